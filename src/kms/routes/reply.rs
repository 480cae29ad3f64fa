//! JSON answers whose bytes are wiped once they were sent: any of them may hold a key.

use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use zeroize::Zeroizing;

use super::problem::Problem;
use crate::kms::model::ServiceError;

/// Room for an answer with a key, so that the buffer never grows and leaves a copy behind.
const KEY_ANSWER_LENGTH: usize = 8 * 1024;

/// What a handler gives back.
pub(super) struct Reply<T>(pub(super) T);

/// A handler's end: the service's answer, or why there is none.
pub(super) type Outcome<T> = Result<Reply<T>, Problem>;

/// Makes an answer of what the service said.
pub(super) fn reply<T>(result: Result<T, ServiceError>) -> Outcome<T> {
    Ok(Reply(result?))
}

impl<T: Serialize> IntoResponse for Reply<T> {
    fn into_response(self) -> Response {
        json(StatusCode::OK, &self.0)
    }
}

/// An answer of any status.
pub(super) fn json(status: StatusCode, value: &impl Serialize) -> Response {
    let mut text = Zeroizing::new(Vec::with_capacity(KEY_ANSWER_LENGTH));
    let (status, body) = match serde_json::to_writer(&mut *text, value) {
        Ok(()) => (status, Body::from(Bytes::from_owner(text))),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            (StatusCode::INTERNAL_SERVER_ERROR, Body::empty())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
