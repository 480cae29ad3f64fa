//! `/v1/snapshots`, `/v1/status`, `/v1/quiesce` and `/v1/unquiesce`: the service as a whole.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Json, Nothing, Operator, Permitted, Viewer};
use crate::kms_api::{CreateSnapshot, ServiceStatus, SnapshotList, SnapshotRecord};

/// `GET`: the newest snapshots.
pub(super) async fn list_snapshots(
    State(front): State<Front>,
    _request: Permitted<Viewer, (), Nothing>,
) -> Outcome<SnapshotList> {
    reply(front.kms.snapshots().await)
}

/// `POST`: a new snapshot.
pub(super) async fn create_snapshot(
    State(front): State<Front>,
    request: Permitted<Operator, (), Json<CreateSnapshot>>,
) -> Outcome<SnapshotRecord> {
    reply(front.kms.create_snapshot(&request.actor, request.payload.0).await)
}

/// `GET`: how the service is.
pub(super) async fn status(
    State(front): State<Front>,
    _request: Permitted<Viewer, (), Nothing>,
) -> Outcome<ServiceStatus> {
    reply(front.kms.status().await)
}

/// `POST`: one more quiesce.
pub(super) async fn quiesce(
    State(front): State<Front>,
    request: Permitted<Operator, (), Nothing>,
) -> Outcome<ServiceStatus> {
    reply(front.kms.quiesce(&request.actor).await)
}

/// `POST`: one quiesce less.
pub(super) async fn unquiesce(
    State(front): State<Front>,
    request: Permitted<Operator, (), Nothing>,
) -> Outcome<ServiceStatus> {
    reply(front.kms.unquiesce(&request.actor).await)
}
