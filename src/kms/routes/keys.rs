//! `/v1/keys`, `/v1/groups/{group}/keys` and `/v1/groups/{group}/keys/{key}/state`.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Json, Operator, Permitted, Viewer, Wanted};
use crate::kms_api::{CreateKey, GroupName, KeyList, KeyMove, KeyName, KeyRecord, MoveKey, PageQuery};

/// `GET`: keys by group and name, without their bytes.
pub(super) async fn list(
    State(front): State<Front>,
    request: Permitted<Viewer, (), Wanted<PageQuery>>,
) -> Outcome<KeyList> {
    reply(front.kms.keys(request.payload.0).await)
}

/// `POST`: a new key, prelive.
pub(super) async fn create(
    State(front): State<Front>,
    request: Permitted<Operator, GroupName, Json<CreateKey>>,
) -> Outcome<KeyRecord> {
    reply(
        front
            .kms
            .create_key(&request.actor, request.names, request.payload.0)
            .await,
    )
}

/// `POST`: another state.
pub(super) async fn set_state(
    State(front): State<Front>,
    request: Permitted<Operator, (GroupName, KeyName), Json<MoveKey>>,
) -> Outcome<KeyMove> {
    reply(
        front
            .kms
            .move_key(&request.actor, request.names, request.payload.0)
            .await,
    )
}
