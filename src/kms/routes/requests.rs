//! `/v1/requests`: what needs two administrators and a waiting time.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Json, Nothing, Operator, Permitted, Viewer};
use crate::kms_api::{AdminRequest, AdminRequestList, NewAdminRequest, UndoAdminRequest};

/// `GET`: the newest requests.
pub(super) async fn list(
    State(front): State<Front>,
    _request: Permitted<Viewer, (), Nothing>,
) -> Outcome<AdminRequestList> {
    reply(front.kms.requests().await)
}

/// `GET`: one request.
pub(super) async fn show(
    State(front): State<Front>,
    request: Permitted<Viewer, i64, Nothing>,
) -> Outcome<AdminRequest> {
    reply(front.kms.request(request.names).await)
}

/// `POST`: a new request.
pub(super) async fn make(
    State(front): State<Front>,
    request: Permitted<Admin, (), Json<NewAdminRequest>>,
) -> Outcome<AdminRequest> {
    reply(front.kms.make_request(&request.actor, request.payload.0).await)
}

/// `POST`: a second administrator's yes.
pub(super) async fn approve(
    State(front): State<Front>,
    request: Permitted<Admin, i64, Nothing>,
) -> Outcome<AdminRequest> {
    reply(front.kms.approve_request(&request.actor, request.names).await)
}

/// `POST`: a no, whoever asked and approved.
pub(super) async fn undo(
    State(front): State<Front>,
    request: Permitted<Operator, i64, Json<UndoAdminRequest>>,
) -> Outcome<AdminRequest> {
    let (actor, number) = (&request.actor, request.names);
    reply(front.kms.undo_request(actor, number, request.payload.0).await)
}
