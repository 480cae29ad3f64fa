//! `/v1/restore-keys`: the keys that a KAD names.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Json, MediaServer, Permitted};
use crate::kms_api::{RestoreKeysAnswer, RestoreKeysRequest};

/// `POST`: a look-up; by POST because a KAD and a volume belong into no address and no proxy's log.
pub(super) async fn find(
    State(front): State<Front>,
    request: Permitted<MediaServer, (), Json<RestoreKeysRequest>>,
) -> Outcome<RestoreKeysAnswer> {
    reply(front.kms.restore_keys(&request.actor, request.payload.0).await)
}
