//! `/v1/audit` and `/v1/audit/heads`: the audit log for those who may read it.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Nothing, Permitted, Viewer, Wanted};
use crate::kms_api::{AuditHeads, AuditPage, AuditPageQuery};

/// `GET`: some records of one node's chain.
pub(super) async fn page(
    State(front): State<Front>,
    request: Permitted<Viewer, (), Wanted<AuditPageQuery>>,
) -> Outcome<AuditPage> {
    reply(front.kms.audit_page(request.payload.0).await)
}

/// `GET`: the chains that there are.
pub(super) async fn heads(State(front): State<Front>, _request: Permitted<Viewer, (), Nothing>) -> Outcome<AuditHeads> {
    reply(front.kms.audit_heads().await)
}
