//! `/v1/restore-keys`: the keys that a KAD names.

use axum::extract::State;

use super::Front;
use super::problem::Problem;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Json, MediaServer, Permitted};
use crate::kms_api::{RestoreKeysAnswer, RestoreKeysRequest};

/// `POST`: a look-up; by POST because a KAD and a volume belong into no address and no proxy's log.
pub(super) async fn find(
    State(front): State<Front>,
    request: Permitted<MediaServer, (), Json<RestoreKeysRequest>>,
) -> Outcome<RestoreKeysAnswer> {
    if request.payload.0.kad.is_empty() && request.payload.0.a_kad.is_empty() {
        return Err(Problem::bad_request("there is no KAD: kad and a_kad are both missing"));
    }
    reply(front.kms.restore_keys(&request.actor, request.payload.0).await)
}
