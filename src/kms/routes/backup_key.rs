//! `/v1/backup-key`: a key for writing a volume.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::audit::Action;
use crate::kms::auth::{Json, MediaServer, Permitted};
use crate::kms_api::{BackupKeyAnswer, BackupKeyRequest};

/// `POST`: derives a key for one volume.
pub(super) async fn create(
    State(front): State<Front>,
    request: Permitted<MediaServer, (), Json<BackupKeyRequest>>,
) -> Outcome<BackupKeyAnswer> {
    let (actor, group) = (&request.actor, &request.payload.0.group);
    front.kms.check_bound(actor, Action::BackupKey, group).await?;
    reply(front.kms.backup_key(&request.actor, request.payload.0).await)
}
