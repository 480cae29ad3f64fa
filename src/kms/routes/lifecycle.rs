//! Below `/v1/groups/{group}`: another name, note, group or age of rotation for what is there. And `/v1/rotate-due`.

use axum::Router;
use axum::extract::State;
use axum::routing::post;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Json, Nothing, Permitted};
use crate::kms_api::{
    Describe, GROUPS_PATH, GroupName, GroupRecord, KeyName, KeyRecord, MoveKeyToGroup, ROTATE_DUE_PATH, RenameGroup,
    RenameKey, RotationReport, SetRotation,
};

/// The addresses of this file.
pub(super) fn router() -> Router<Front> {
    Router::new()
        .route(&format!("{GROUPS_PATH}/{{group}}/name"), post(rename_group))
        .route(&format!("{GROUPS_PATH}/{{group}}/description"), post(describe_group))
        .route(&format!("{GROUPS_PATH}/{{group}}/rotation"), post(set_rotation))
        .route(ROTATE_DUE_PATH, post(rotate_due))
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

async fn set_rotation(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, Json<SetRotation>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.set_rotation(actor, group, to).await)
}

async fn rotate_due(State(front): State<Front>, request: Permitted<Admin, (), Nothing>) -> Outcome<RotationReport> {
    reply(front.kms.rotate_due(&request.actor).await)
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
