//! `/healthz`, `/readyz` and `/metrics`: for load balancers and monitoring, which have no certificate. On a listener of their own.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use crate::clock::Clock;
use crate::kms::health::Health;
use crate::kms::metrics::{CONTENT_TYPE, Metrics};
use crate::kms::service::Kms;

/// What these handlers work with.
#[derive(Clone)]
pub(in crate::kms) struct Plain {
    pub(in crate::kms) kms: Arc<Kms>,
    pub(in crate::kms) clock: Arc<dyn Clock>,
    pub(in crate::kms) metrics: Arc<Metrics>,
    pub(in crate::kms) health: Arc<Health>,
}

/// All addresses of the plain listener.
pub(in crate::kms) fn plain_router(plain: Plain) -> Router {
    Router::new()
        .route("/healthz", get(alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
        .with_state(plain)
}

/// `GET`: the process answers.
async fn alive() -> &'static str {
    "ok\n"
}

/// `GET`: 200 if this node can serve, else 503; the body says more in either case.
async fn ready(State(plain): State<Plain>) -> Response {
    let readiness = plain.health.readiness().await;
    let status = match readiness.ready {
        true => StatusCode::OK,
        false => StatusCode::SERVICE_UNAVAILABLE,
    };
    (
        status,
        [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))],
        Json(readiness),
    )
        .into_response()
}

/// `GET`: OpenMetrics text.
async fn metrics(State(plain): State<Plain>) -> Response {
    let survey = plain.health.survey().await;
    let survey = survey.inspect_err(|problem| tracing::error!(problem, "the store could not be looked over"));
    match plain
        .metrics
        .text(&plain.kms, plain.clock.monotonic(), survey.as_ref().ok())
    {
        Ok(text) => ([(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE))], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
