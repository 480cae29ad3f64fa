//! `/v1/cache/clear`: what external servers answered, forgotten.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Nothing, Operator, Permitted};
use crate::kms_api::ClearedCache;

/// `POST`: the next requests ask the servers again.
pub(super) async fn clear(
    State(front): State<Front>,
    request: Permitted<Operator, (), Nothing>,
) -> Outcome<ClearedCache> {
    reply(front.kms.clear_cache(&request.actor).await)
}
