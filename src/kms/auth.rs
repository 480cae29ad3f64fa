//! Permission before payload: a handler's one argument is a [`Permitted`], and that reads path and body only after the role was checked.

use std::marker::PhantomData;
use std::net::IpAddr;
use std::time::Duration;

use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::request::Parts;
use axum::http::{Method, Uri};
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use zeroize::Zeroize;

use super::audit::Actor;
use super::config::seconds;
use super::model::ServiceError;
use super::pki::Identity;
use super::rate::Admission;
use super::routes::Front;
use super::routes::problem::Problem;
use crate::clock::to_text;
use crate::kms_api::{REQUEST_LENGTH_MAX, Role};
/// Who may ask, as a type.
pub(super) trait Holder: Send {
    const ROLES: &'static [Role];
}

macro_rules! holders {
    ($($(#[$doc:meta])* $name:ident: $($role:ident)*;)*) => {
        $(
            $(#[$doc])*
            pub(super) struct $name;

            impl Holder for $name {
                const ROLES: &'static [Role] = &[$(Role::$role),*];
            }
        )*
    };
}

holders! {
    /// What brings keys in from outside, or decides who may do what.
    Admin: Admin;
    /// What a day's work changes.
    Operator: Admin Operator;
    /// What may be seen and changes nothing.
    Viewer: Admin Operator Auditor;
    /// What hands out keys.
    MediaServer: MediaServer;
    /// What everybody with a certificate may know.
    Anybody: Admin Operator Auditor MediaServer;
}

/// A request of somebody who may make it: who, the names in its path, and its payload.
pub(super) struct Permitted<H, N, P> {
    pub(super) actor: Actor,
    pub(super) names: N,
    pub(super) payload: P,
    holder: PhantomData<H>,
}

/// What a request brings besides its path. A body that is not there after `limit` is given up.
pub(super) trait Payload: Sized {
    fn read(request: Request, limit: Duration) -> impl Future<Output = Result<Self, Problem>> + Send;
}

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> Payload for Json<T> {
    async fn read(request: Request, limit: Duration) -> Result<Self, Problem> {
        let body = body_of(request, limit).await?;
        let body = serde_json::from_slice(&body).map_err(|error| Problem::bad_request(format!("the body: {error}")))?;
        Ok(Self(body))
    }
}

/// A JSON body that holds a key: it is wiped once it was read, and no error repeats a word of it.
pub(super) struct SecretJson<T>(pub(super) T);

impl<T: DeserializeOwned> Payload for SecretJson<T> {
    async fn read(request: Request, limit: Duration) -> Result<Self, Problem> {
        let body = body_of(request, limit).await?;
        let read = serde_json::from_slice(&body);
        // Nobody else refers to the bytes any more, so they come back as a buffer of our own.
        if let Ok(mut body) = body.try_into_mut() {
            body.zeroize();
        }
        let read = read.map_err(|error| {
            let (line, column) = (error.line(), error.column());
            Problem::bad_request(format!(
                "the body is no such request: wrong at line {line} column {column}"
            ))
        })?;
        Ok(Self(read))
    }
}

/// No body at all.
pub(super) struct Nothing;

impl Payload for Nothing {
    async fn read(request: Request, limit: Duration) -> Result<Self, Problem> {
        if body_of(request, limit).await?.is_empty() {
            Ok(Self)
        } else {
            Err(Problem::bad_request("the body: there should be none"))
        }
    }
}

/// The whole body, if it comes in time and is not too long.
async fn body_of(request: Request, limit: Duration) -> Result<Bytes, Problem> {
    let reading = to_bytes(request.into_body(), REQUEST_LENGTH_MAX);
    match timeout(limit, reading).await {
        Ok(read) => read.map_err(|error| Problem::body(&error)),
        Err(_) => Err(Problem::slow_body(limit)),
    }
}

/// The part of the address after the question mark.
pub(super) struct Wanted<T>(pub(super) T);

impl<T: DeserializeOwned> Payload for Wanted<T> {
    async fn read(request: Request, _: Duration) -> Result<Self, Problem> {
        let Query(query) =
            Query::try_from_uri(request.uri()).map_err(|error| Problem::bad_request(error.body_text()))?;
        Ok(Self(query))
    }
}

impl<H, N, P> FromRequest<Front> for Permitted<H, N, P>
where
    H: Holder,
    N: DeserializeOwned + Send,
    P: Payload + Send,
{
    type Rejection = Problem;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Problem> {
        let (mut parts, body) = request.into_parts();
        let actor = permit(&parts, front, H::ROLES).await?;
        let Path(names) = Path::from_request_parts(&mut parts, front)
            .await
            .map_err(|error| Problem::bad_request(error.body_text()))?;
        let payload = P::read(Request::from_parts(parts, body), seconds(front.limits.body_seconds)).await?;
        Ok(Self {
            actor,
            names,
            payload,
            holder: PhantomData,
        })
    }
}

/// A request of somebody without a certificate, who may come again only so often.
pub(super) struct Stranger<P> {
    /// As the audit log names them.
    pub(super) actor: Actor,
    pub(super) payload: P,
}

/// Where a connection comes from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

impl<P: Payload + Send> FromRequest<Front> for Stranger<P> {
    type Rejection = Problem;

    async fn from_request(request: Request, front: &Front) -> Result<Self, Problem> {
        let Some(Peer(address)) = request.extensions().get().copied() else {
            return Err(Problem::certificate("the request came from nowhere"));
        };
        let actor = Actor {
            subject: format!("a new host at {address}"),
            fingerprint: String::new(),
            public_key: String::new(),
        };
        if let Admission::TooMany { wait, told } = front.attempts.admit(&address.to_string(), front.clock.monotonic()) {
            let problem = Problem::too_many(&actor, wait);
            return Err(if told {
                problem
            } else {
                deny(request.method(), request.uri(), front, &actor, problem).await
            });
        }
        let payload = P::read(request, seconds(front.limits.body_seconds)).await?;
        Ok(Self { actor, payload })
    }
}

/// Who asks, if their certificate is still good and names one of the roles, and they do not ask too often.
async fn permit(parts: &Parts, front: &Front, wanted: &[Role]) -> Result<Actor, Problem> {
    // Connections put it there; a request without one came without a certificate.
    let Some(identity) = parts.extensions.get::<Identity>().cloned() else {
        return Err(Problem::certificate("there is no client certificate"));
    };
    let actor = &identity.actor;
    let problem = match front.rates.admit(&actor.subject, front.clock.monotonic()) {
        Admission::TooMany { wait, told: true } => return Err(Problem::too_many(actor, wait)),
        Admission::TooMany { wait, told: false } => Problem::too_many(actor, wait),
        Admission::Granted => match denial(front, &identity, wanted).await? {
            None => return Ok(identity.actor),
            Some(problem) => problem,
        },
    };
    Err(deny(&parts.method, &parts.uri, front, actor, problem).await)
}

/// Why the holder of a certificate may not ask, if so.
async fn denial(front: &Front, identity: &Identity, wanted: &[Role]) -> Result<Option<Problem>, Problem> {
    if front.clock.now() > identity.not_after {
        let ended = to_text(identity.not_after);
        return Ok(Some(Problem::certificate(&format!(
            "the client certificate expired on {ended}"
        ))));
    }
    match front.kms.admit(&identity.actor).await {
        Ok(record) if wanted.contains(&record.role) => Ok(None),
        Ok(record) => Ok(Some(Problem::forbidden(&identity.actor, record.role, wanted))),
        Err(error @ ServiceError::Refused(_)) => Ok(Some(error.into())),
        Err(error) => Err(error.into()),
    }
}

/// Writes down that somebody was turned away; what they are told.
async fn deny(method: &Method, uri: &Uri, front: &Front, actor: &Actor, problem: Problem) -> Problem {
    tracing::warn!(
        subject = actor.subject,
        fingerprint = actor.fingerprint,
        problem = problem.error(),
        "a request was refused"
    );
    let what = format!("{method} {}", uri.path()).chars().take(200).collect();
    match front.kms.record_denial(actor, what, problem.error()).await {
        Ok(()) => problem,
        Err(error) => error.into(),
    }
}
