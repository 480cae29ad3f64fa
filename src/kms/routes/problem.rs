//! How the service says no: a status, a code for programs, an error and a hint for people.

use std::time::Duration;

use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};

use super::reply::json;
use crate::kms::audit::Actor;
use crate::kms::model::ServiceError;
use crate::kms::pki::Role;
use crate::kms_api::{ErrorAnswer, ErrorCode, REQUEST_LENGTH_MAX};

/// A request that is not served.
#[derive(Debug)]
pub(in crate::kms) struct Problem(ErrorAnswer);

impl Problem {
    fn new(code: ErrorCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self(ErrorAnswer {
            code,
            error: error.into(),
            hint: hint.into(),
        })
    }

    /// What happened, for logs.
    pub(in crate::kms) fn error(&self) -> &str {
        &self.0.error
    }

    pub(in crate::kms) fn bad_request(error: impl Into<String>) -> Self {
        // The errors of names end with a hint of their own.
        let error = error.into();
        match error.split_once("\nhint: ") {
            Some((error, hint)) => Self::new(ErrorCode::BadRequest, error, hint),
            None => Self::new(
                ErrorCode::BadRequest,
                error,
                "compare the request with the service's description",
            ),
        }
    }

    /// A body that is too long, or that broke off.
    pub(in crate::kms) fn body(error: &axum::Error) -> Self {
        let chain = std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source());
        let too_long = chain
            .into_iter()
            .any(|cause| cause.to_string().contains("length limit"));
        if too_long {
            let hint = format!("a request has at most {REQUEST_LENGTH_MAX} bytes");
            Self::new(ErrorCode::TooLong, "the body is too long", hint)
        } else {
            Self::bad_request(format!("the body broke off: {error}"))
        }
    }

    pub(in crate::kms) fn certificate(error: &str) -> Self {
        Self::new(
            ErrorCode::Certificate,
            error,
            "get a new client certificate from the administrator of the KMS",
        )
    }

    pub(in crate::kms) fn forbidden(actor: &Actor, role: Role, wanted: Role) -> Self {
        let error = format!("{} has role {role}, this needs role {wanted}", actor.subject);
        Self::new(
            ErrorCode::Forbidden,
            error,
            format!("use the client bundle of a holder of role {wanted}"),
        )
    }

    pub(in crate::kms) fn timed_out(limit: Duration) -> Self {
        let error = format!("the request took longer than {} s", limit.as_secs());
        Self::new(
            ErrorCode::TimedOut,
            error,
            "it may or may not have been done; look before asking again",
        )
    }

    pub(super) fn no_such_path(path: &str) -> Self {
        let error = format!("there is nothing at {}", path.escape_default());
        Self::new(
            ErrorCode::NoSuchPath,
            error,
            "is the client of another version than the KMS?",
        )
    }

    pub(super) fn wrong_method(method: &Method, path: &str) -> Self {
        let error = format!("{} does not take {method}", path.escape_default());
        Self::new(
            ErrorCode::WrongMethod,
            error,
            "is the client of another version than the KMS?",
        )
    }

    fn status(&self) -> StatusCode {
        match self.0.code {
            ErrorCode::BadRequest | ErrorCode::NotForTape | ErrorCode::NotForDisk => StatusCode::BAD_REQUEST,
            ErrorCode::Forbidden | ErrorCode::Certificate => StatusCode::FORBIDDEN,
            ErrorCode::NoSuchGroup | ErrorCode::NoSuchKey | ErrorCode::NoSuchPath => StatusCode::NOT_FOUND,
            ErrorCode::NoActiveKey
            | ErrorCode::NameTaken
            | ErrorCode::IdTaken
            | ErrorCode::WrongKind
            | ErrorCode::WrongState
            | ErrorCode::SingleCopy
            | ErrorCode::Quiesced
            | ErrorCode::NotQuiesced
            | ErrorCode::ServerRefused
            | ErrorCode::Snapshot => StatusCode::CONFLICT,
            ErrorCode::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            // Another node of the KMS may reach it.
            ErrorCode::TimedOut | ErrorCode::ServerUnreachable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Store | ErrorCode::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refusal) => Self::new(refusal.code(), refusal.to_string(), refusal.hint()),
            ServiceError::Snapshot(error) => {
                tracing::error!(%error, "no snapshot was made");
                let text = error.to_string();
                let (error, hint) = text
                    .split_once("\nhint: ")
                    .unwrap_or((&text, "look into the log of tapekey-kms"));
                Self::new(ErrorCode::Snapshot, error, hint)
            }
            ServiceError::Store(error) => {
                tracing::error!(%error, "the store failed");
                let text = error.to_string();
                let (error, hint) = text
                    .split_once("\nhint: ")
                    .unwrap_or((&text, "look into the log of tapekey-kms"));
                Self::new(ErrorCode::Store, error, hint)
            }
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        json(self.status(), &self.0)
    }
}
