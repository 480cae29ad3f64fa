//! How the service says no: a status, a code for programs, an error and a hint for people.

use std::time::Duration;

use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::reply::json;
use crate::kms::audit::Actor;
use crate::kms::model::ServiceError;
use crate::kms_api::{ErrorAnswer, ErrorCode, REQUEST_LENGTH_MAX, Role};

/// A request that is not served.
#[derive(Debug)]
pub(in crate::kms) struct Problem {
    answer: ErrorAnswer,
    /// When to ask again, for the header Retry-After.
    wait: Option<Duration>,
}

impl Problem {
    fn new(code: ErrorCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        let answer = ErrorAnswer {
            code,
            error: error.into(),
            hint: hint.into(),
        };
        Self { answer, wait: None }
    }

    fn later(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// What happened, for logs.
    pub(in crate::kms) fn error(&self) -> &str {
        &self.answer.error
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

    pub(in crate::kms) fn forbidden(actor: &Actor, role: Role, wanted: &[Role]) -> Self {
        let wanted: Vec<_> = wanted.iter().map(|role| role.name()).collect();
        let wanted = wanted.join(" or ");
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

    /// A body that does not come to its end.
    pub(in crate::kms) fn slow_body(limit: Duration) -> Self {
        let error = format!("the body took longer than {} s", limit.as_secs());
        Self::new(ErrorCode::SlowBody, error, "nothing was done; is the network in order?")
    }

    /// More requests than one certificate may make.
    pub(in crate::kms) fn too_many(actor: &Actor, wait: Duration) -> Self {
        let error = format!("{} asks too often", actor.subject);
        let hint = "ask again later; what is sensible is set under [limits] in kms.toml";
        Self::new(ErrorCode::TooMany, error, hint).later(wait)
    }

    /// More connections than one certificate may have.
    pub(in crate::kms) fn crowded(actor: &Actor, connections_max: u32) -> Self {
        let error = format!("{} has {connections_max} connections open already", actor.subject);
        let hint = "end some of them; the limit is set under [limits] in kms.toml";
        Self::new(ErrorCode::TooMany, error, hint).later(Duration::from_secs(1))
    }

    /// More connections than the service serves.
    pub(in crate::kms) fn full() -> Self {
        let hint = "ask again, or ask another node; the limit is set under [limits] in kms.toml";
        Self::new(ErrorCode::Busy, "all connections of the service are in use", hint).later(Duration::from_secs(1))
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

    /// Trouble of the service's own, which its log has too.
    fn failed(code: ErrorCode, what: &str, error: &dyn std::error::Error) -> Self {
        tracing::error!(%error, "{what}");
        let text = error.to_string();
        let (error, hint) = text
            .split_once("\nhint: ")
            .unwrap_or((&text, "look into the log of tapekey-kms"));
        Self::new(code, error, hint)
    }

    fn status(&self) -> StatusCode {
        match self.answer.code {
            ErrorCode::BadRequest | ErrorCode::NotForTape | ErrorCode::NotForDisk => StatusCode::BAD_REQUEST,
            ErrorCode::Forbidden
            | ErrorCode::SecondAdmin
            | ErrorCode::Certificate
            | ErrorCode::GroupNotBound
            | ErrorCode::EnrollmentRefused => StatusCode::FORBIDDEN,
            ErrorCode::NoSuchGroup
            | ErrorCode::NoSuchRequest
            | ErrorCode::NoSuchKey
            | ErrorCode::NoSuchCertificate
            | ErrorCode::NoSuchServer
            | ErrorCode::NoSuchEnrollment
            | ErrorCode::NoSuchPath => StatusCode::NOT_FOUND,
            ErrorCode::NoActiveKey
            | ErrorCode::NameTaken
            | ErrorCode::IdTaken
            | ErrorCode::WrongKind
            | ErrorCode::WrongState
            | ErrorCode::SingleCopy
            | ErrorCode::Quiesced
            | ErrorCode::NotQuiesced
            | ErrorCode::ServerRefused
            | ErrorCode::ServerInUse
            | ErrorCode::GroupNotEmpty
            | ErrorCode::NotYet
            | ErrorCode::Snapshot => StatusCode::CONFLICT,
            ErrorCode::ReleasesStopped => StatusCode::TOO_MANY_REQUESTS,
            ErrorCode::WrongMethod => StatusCode::METHOD_NOT_ALLOWED,
            ErrorCode::TooLong => StatusCode::PAYLOAD_TOO_LARGE,
            ErrorCode::SlowBody => StatusCode::REQUEST_TIMEOUT,
            ErrorCode::TooMany => StatusCode::TOO_MANY_REQUESTS,
            // Another node of the KMS may reach the server.
            ErrorCode::TimedOut | ErrorCode::Busy | ErrorCode::ServerUnreachable => StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Store | ErrorCode::Unknown => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<ServiceError> for Problem {
    fn from(error: ServiceError) -> Self {
        match error {
            ServiceError::Refused(refusal) => Self::new(refusal.code(), refusal.to_string(), refusal.hint()),
            ServiceError::Snapshot(error) => Self::failed(ErrorCode::Snapshot, "no snapshot was made", &error),
            ServiceError::Pki(error) => Self::failed(ErrorCode::Store, "no certificate was made", &error),
            ServiceError::Store(error) => Self::failed(ErrorCode::Store, "the store failed", &error),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = json(self.status(), &self.answer);
        // For logs and metrics.
        response.extensions_mut().insert(self.answer.code);
        if let Some(wait) = self.wait {
            // Whole seconds (RFC 9110, "Retry-After"), and never "at once".
            let seconds = wait.as_secs() + 1;
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
