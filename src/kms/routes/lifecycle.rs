//! Below `/v1/groups/{group}`: another name, note or group for what is there.

use axum::Router;
use axum::extract::State;
use axum::routing::post;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Json, Permitted};
use crate::kms_api::{
    Describe, GROUPS_PATH, GroupName, GroupRecord, KeyName, KeyRecord, MoveKeyToGroup, RenameGroup, RenameKey,
};

/// The addresses of this file.
pub(super) fn router() -> Router<Front> {
    Router::new()
        .route(&format!("{GROUPS_PATH}/{{group}}/name"), post(rename_group))
        .route(&format!("{GROUPS_PATH}/{{group}}/description"), post(describe_group))
        .route(&format!("{GROUPS_PATH}/{{group}}/keys/{{key}}/name"), post(rename_key))
        .route(
            &format!("{GROUPS_PATH}/{{group}}/keys/{{key}}/description"),
            post(describe_key),
        )
        .route(
            &format!("{GROUPS_PATH}/{{group}}/keys/{{key}}/group"),
            post(move_key_to_group),
        )
}

async fn rename_group(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, Json<RenameGroup>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.rename_group(actor, group, to).await)
}

async fn describe_group(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, Json<Describe>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.describe_group(actor, group, to).await)
}

async fn rename_key(
    State(front): State<Front>,
    request: Permitted<Admin, (GroupName, KeyName), Json<RenameKey>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.rename_key(actor, key, to).await)
}

async fn describe_key(
    State(front): State<Front>,
    request: Permitted<Admin, (GroupName, KeyName), Json<Describe>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.describe_key(actor, key, to).await)
}

async fn move_key_to_group(
    State(front): State<Front>,
    request: Permitted<Admin, (GroupName, KeyName), Json<MoveKeyToGroup>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.move_key_to_group(actor, key, to).await)
}
