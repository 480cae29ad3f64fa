//! Counts every request by its route and its outcome, also one that nobody waits for any more.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use super::Front;
use crate::clock::Clock;
use crate::kms::metrics::{ABANDONED, Metrics, method_label};
use crate::kms_api::ErrorCode;

/// A request at work. Counted when it is dropped.
struct Counting {
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    route: String,
    method: &'static str,
    began: Duration,
    outcome: String,
}

impl Drop for Counting {
    fn drop(&mut self) {
        let took = self.clock.monotonic().saturating_sub(self.began);
        self.metrics
            .count_request(&self.route, self.method, &self.outcome, took);
    }
}

/// Around every request.
pub(super) async fn observe(State(front): State<Front>, request: Request, next: Next) -> Response {
    let route = request.extensions().get::<MatchedPath>();
    let mut counting = Counting {
        route: route.map_or("none", MatchedPath::as_str).to_owned(),
        method: method_label(request.method()),
        began: front.clock.monotonic(),
        metrics: front.metrics,
        clock: front.clock,
        // Unless it comes to an end below.
        outcome: ABANDONED.to_owned(),
    };
    let response = next.run(request).await;
    let code = response.extensions().get::<ErrorCode>();
    counting.outcome = code.map_or_else(|| "ok".to_owned(), |code| code.name());
    response
}
