//! Below `/v1/groups/{group}`: another name, note, group or age of rotation for what is there. And `/v1/rotate-due` and `/v1/seal/rotate`.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Json, Nothing, Operator, Permitted};
use crate::kms_api::{
    Describe, GroupName, GroupRecord, KeyName, KeyRecord, MoveKeyToGroup, RenameGroup, RenameKey, RotationReport,
    SealStatus, SetRotation,
};

/// `POST`: another name.
pub(super) async fn rename_group(
    State(front): State<Front>,
    request: Permitted<Operator, GroupName, Json<RenameGroup>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.rename_group(actor, group, to).await)
}

/// `POST`: another description.
pub(super) async fn describe_group(
    State(front): State<Front>,
    request: Permitted<Operator, GroupName, Json<Describe>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.describe_group(actor, group, to).await)
}

/// `POST`: the age at which keys are rotated.
pub(super) async fn set_rotation(
    State(front): State<Front>,
    request: Permitted<Operator, GroupName, Json<SetRotation>>,
) -> Outcome<GroupRecord> {
    let (actor, group, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.set_rotation(actor, group, to).await)
}

/// `POST`: every rotation by age that is due, now.
pub(super) async fn rotate_due(
    State(front): State<Front>,
    request: Permitted<Operator, (), Nothing>,
) -> Outcome<RotationReport> {
    reply(front.kms.rotate_due(&request.actor).await)
}

/// `POST`: another key protection key.
pub(super) async fn rotate_seal(
    State(front): State<Front>,
    request: Permitted<Admin, (), Nothing>,
) -> Outcome<SealStatus> {
    reply(front.kms.rotate_key_protection(&request.actor).await)
}

/// `POST`: another name.
pub(super) async fn rename_key(
    State(front): State<Front>,
    request: Permitted<Operator, (GroupName, KeyName), Json<RenameKey>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.rename_key(actor, key, to).await)
}

/// `POST`: another description.
pub(super) async fn describe_key(
    State(front): State<Front>,
    request: Permitted<Operator, (GroupName, KeyName), Json<Describe>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.describe_key(actor, key, to).await)
}

/// `POST`: another group of the same kind.
pub(super) async fn move_key_to_group(
    State(front): State<Front>,
    request: Permitted<Operator, (GroupName, KeyName), Json<MoveKeyToGroup>>,
) -> Outcome<KeyRecord> {
    let (actor, key, to) = (&request.actor, request.names, request.payload.0);
    reply(front.kms.move_key_to_group(actor, key, to).await)
}
