//! One connection, from its TLS handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower_service::Service;
use tracing::Instrument;

use super::request_id::{self, RequestId, RequestIds};
use super::room::{Arrival, NoSeat, Room};
use crate::clock::Clock;
use crate::kms::audit::Actor;
use crate::kms::auth::Peer;
use crate::kms::config::{Limits, seconds};
use crate::kms::pki::{Identity, identify};
use crate::kms::routes::problem::Problem;
use crate::kms_api::ErrorCode;

/// Most bytes of a request's header, and most lines of it.
const HEADER_LENGTH_MAX: usize = 16 * 1024;
const HEADERS_MAX: usize = 64;
/// A connection in all; a client that reads nothing holds one no longer.
const LIFETIME: Duration = Duration::from_secs(3600);
/// What a connection in work may still take once it was told to end.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// How long a refused client may take to read why, and how much of it is listened to.
const LINGER: Duration = Duration::from_secs(1);
const LINGER_LENGTH_MAX: u64 = 64 * 1024;

pub(super) struct Connection {
    pub(super) tls: TlsAcceptor,
    pub(super) router: Router,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) peer: SocketAddr,
    pub(super) stopped: watch::Receiver<bool>,
    pub(super) limits: Limits,
    pub(super) room: Arc<Room>,
    pub(super) request_ids: Arc<RequestIds>,
}

impl Connection {
    pub(super) async fn serve(mut self, stream: TcpStream, mut arrival: Arrival) {
        // Answers are short: waiting for more to send only costs time. Without the option the answer is merely slower.
        let _ = stream.set_nodelay(true);
        let Some(stream) = self.handshake(stream, &mut arrival).await else {
            return;
        };
        let (_, session) = stream.get_ref();
        let Some(certificate) = session.peer_certificates().and_then(|chain| chain.first()) else {
            return self.serve_stranger(stream, arrival).await;
        };
        let Some(identity) = identify(certificate) else {
            tracing::warn!(peer = %self.peer, "a client certificate could not be read");
            return;
        };
        match self.room.seat(&identity.actor.subject) {
            Ok(_seat) => {
                drop(arrival);
                self.serve_http(stream, identity).await;
            }
            Err(no_seat) => self.turn_away(stream, &identity.actor, no_seat, arrival).await,
        }
    }

    async fn handshake(&mut self, stream: TcpStream, arrival: &mut Arrival) -> Option<TlsStream<TcpStream>> {
        let accepting = self.tls.accept(stream).into_fallible();
        let accepted = tokio::select! {
            accepted = timeout(seconds(self.limits.handshake_seconds), accepting) => accepted,
            () = arrival.evicted() => {
                tracing::warn!(peer = %self.peer, "a TLS handshake gave way to newer ones");
                return None;
            }
            _ = self.stopped.wait_for(|stopped| *stopped) => return None,
        };
        match accepted {
            Ok(Ok(stream)) => Some(stream),
            Ok(Err((error, stream))) => {
                tracing::warn!(peer = %self.peer, %error, "a TLS handshake failed");
                linger(stream).await;
                None
            }
            Err(_) => {
                tracing::warn!(peer = %self.peer, "a TLS handshake took too long");
                None
            }
        }
    }

    /// Tells a client that there is no place for it, in the answer to its first request.
    async fn turn_away(mut self, stream: TlsStream<TcpStream>, actor: &Actor, no_seat: NoSeat, mut arrival: Arrival) {
        tracing::warn!(peer = %self.peer, subject = actor.subject, ?no_seat, "a connection was turned away");
        let service = service_fn(|_: Request<Incoming>| async {
            let problem = match no_seat {
                NoSeat::Full => Problem::full(),
                NoSeat::Crowded(connections_max) => Problem::crowded(actor, connections_max),
            };
            Ok::<_, Infallible>(problem.into_response())
        });
        let mut http = http();
        let limit = seconds(self.limits.handshake_seconds);
        http.keep_alive(false);
        // What becomes of somebody without a place is written down above already.
        tokio::select! {
            _ = timeout(limit, http.serve_connection(TokioIo::new(stream), service)) => {}
            () = arrival.evicted() => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    /// One request of somebody without a certificate, who keeps the place of one that nobody knows.
    async fn serve_stranger(mut self, stream: TlsStream<TcpStream>, mut arrival: Arrival) {
        let limit = seconds(self.limits.request_seconds);
        let (router, clock, peer, ids) = (self.router, self.clock, self.peer, self.request_ids);
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, clock, id) = (router.clone(), clock.clone(), ids.draw());
            let asked = tracing::info_span!("asked", request_id = %id);
            let answer = async move { answer(router, &*clock, (peer, None, id), request, limit).await };
            async move { Ok::<_, Infallible>(answer.instrument(asked).await) }
        });
        let mut http = http();
        http.keep_alive(false);
        // What was asked is in the log of requests already.
        tokio::select! {
            _ = timeout(limit, http.serve_connection(TokioIo::new(stream), service)) => {}
            () = arrival.evicted() => {}
            _ = self.stopped.wait_for(|stopped| *stopped) => {}
        }
    }

    async fn serve_http(mut self, stream: TlsStream<TcpStream>, identity: Identity) {
        let (router, clock, peer, ids) = (self.router, self.clock, self.peer, self.request_ids);
        let limit = seconds(self.limits.request_seconds);
        let subject = identity.actor.subject.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, clock, identity, id) = (router.clone(), clock.clone(), identity.clone(), ids.draw());
            let asked = tracing::info_span!("asked", request_id = %id);
            let from = (peer, Some(identity), id);
            let answer = async move { answer(router, &*clock, from, request, limit).await };
            async move { Ok::<_, Infallible>(answer.instrument(asked).await) }
        });
        let mut http = http();
        http.header_read_timeout(seconds(self.limits.idle_seconds));
        let mut serving = std::pin::pin!(http.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = serving.as_mut() => Ok(ended),
            _ = self.stopped.wait_for(|stopped| *stopped) => Err(()),
            () = tokio::time::sleep(LIFETIME) => Err(()),
        };
        let ended = match ended {
            Ok(ended) => ended,
            Err(()) => {
                serving.as_mut().graceful_shutdown();
                timeout(LAST_ANSWER, serving).await.unwrap_or(Ok(()))
            }
        };
        if let Err(error) = ended {
            tracing::info!(%peer, subject, %error, "a connection broke");
        }
    }
}

/// HTTP/1.1 with bounds.
fn http() -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .max_buf_size(HEADER_LENGTH_MAX)
        .max_headers(HEADERS_MAX);
    http
}

/// Gives a client that was refused the time to read the alert: closing with unread data would take it away from it.
async fn linger(mut stream: TcpStream) {
    let read_on = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(LINGER_LENGTH_MAX), &mut tokio::io::sink()).await
    };
    // Whatever happens now, the connection is over.
    let _ = timeout(LINGER, read_on).await;
}

async fn answer(
    mut router: Router,
    clock: &dyn Clock,
    (peer, identity, id): (SocketAddr, Option<Identity>, RequestId),
    request: Request<Incoming>,
    limit: Duration,
) -> Response<Body> {
    let started = clock.monotonic();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let subject = identity
        .as_ref()
        .map_or("nobody", |identity| &identity.actor.subject)
        .to_owned();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(Peer(peer.ip()));
    if let Some(identity) = identity {
        request.extensions_mut().insert(identity);
    }
    let mut response = match timeout(limit, router.call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => Problem::timed_out(limit).into_response(),
    };
    let took_us = clock.monotonic().saturating_sub(started).as_micros();
    let (status, code) = (response.status().as_u16(), response.extensions().get::<ErrorCode>());
    let outcome = code.map_or_else(|| "ok".to_owned(), |code| code.name());
    tracing::info!(subject, %method, path, status, outcome, took_us, "request");
    // Hex and a hyphen are always a header.
    if let Ok(id) = HeaderValue::try_from(id.to_string()) {
        response.headers_mut().insert(request_id::HEADER, id);
    }
    response
}
