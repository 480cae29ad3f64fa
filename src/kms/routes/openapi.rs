//! `/v1/openapi.json`: the description of all addresses and messages (OpenAPI 3.1).

use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::Front;
use crate::kms::auth::{Anybody, Nothing, Permitted};

/// Written by hand and held against the routes and the golden messages by `tests/kms_openapi.rs`.
const DOCUMENT: &str = include_str!("../../../docs/openapi.json");

/// `GET`: the document.
pub(super) async fn read(State(_): State<Front>, _request: Permitted<Anybody, (), Nothing>) -> Response {
    let json = HeaderValue::from_static("application/json");
    ([(header::CONTENT_TYPE, json)], DOCUMENT).into_response()
}
