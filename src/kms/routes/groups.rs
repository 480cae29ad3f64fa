//! `/v1/groups` and `/v1/groups/{group}/rotate`.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Json, Operator, Permitted, Viewer, Wanted};
use crate::kms_api::{CreateGroup, GroupList, GroupName, GroupRecord, KeyMove, PageQuery, RotateGroup};

/// `GET`: groups by name.
pub(super) async fn list(
    State(front): State<Front>,
    request: Permitted<Viewer, (), Wanted<PageQuery>>,
) -> Outcome<GroupList> {
    reply(front.kms.groups(request.payload.0).await)
}

/// `POST`: a new group.
pub(super) async fn create(
    State(front): State<Front>,
    request: Permitted<Operator, (), Json<CreateGroup>>,
) -> Outcome<GroupRecord> {
    reply(front.kms.create_group(&request.actor, request.payload.0).await)
}

/// `POST`: a new key, active at once.
pub(super) async fn rotate(
    State(front): State<Front>,
    request: Permitted<Operator, GroupName, Json<RotateGroup>>,
) -> Outcome<KeyMove> {
    reply(
        front
            .kms
            .rotate_group(&request.actor, request.names, request.payload.0)
            .await,
    )
}
