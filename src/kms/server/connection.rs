//! One connection, from its TLS handshake to its end.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
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

use crate::clock::Clock;
use crate::kms::pki::{Identity, identify};
use crate::kms::routes::problem::Problem;

/// From connect to the end of the handshake.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);
/// From the last answer, or the handshake, to the end of the next request's header.
const HEADER_LIMIT: Duration = Duration::from_secs(60);
/// From a request's header to its answer, the body included.
const REQUEST_LIMIT: Duration = Duration::from_secs(30);
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
}

impl Connection {
    pub(super) async fn serve(mut self, stream: TcpStream) {
        // Answers are short: waiting for more to send only costs time. Without the option the answer is merely slower.
        let _ = stream.set_nodelay(true);
        let Some(stream) = self.handshake(stream).await else {
            return;
        };
        let (_, session) = stream.get_ref();
        let certificate = session.peer_certificates().and_then(|chain| chain.first());
        let Some(identity) = certificate.and_then(|certificate| identify(certificate)) else {
            tracing::warn!(peer = %self.peer, "a client certificate could not be read");
            return;
        };
        self.serve_http(stream, identity).await;
    }

    async fn handshake(&mut self, stream: TcpStream) -> Option<TlsStream<TcpStream>> {
        let accepting = self.tls.accept(stream).into_fallible();
        let accepted = tokio::select! {
            accepted = timeout(HANDSHAKE_LIMIT, accepting) => accepted,
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

    async fn serve_http(mut self, stream: TlsStream<TcpStream>, identity: Identity) {
        let (router, clock, peer) = (self.router, self.clock, self.peer);
        let subject = identity.actor.subject.clone();
        let service = service_fn(move |request: Request<Incoming>| {
            let (router, clock, identity) = (router.clone(), clock.clone(), identity.clone());
            async move { Ok::<_, Infallible>(answer(router, &*clock, identity, request).await) }
        });
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
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
    identity: Identity,
    request: Request<Incoming>,
) -> Response<Body> {
    let started = clock.monotonic();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let subject = identity.actor.subject.clone();
    let mut request = request.map(Body::new);
    request.extensions_mut().insert(identity);
    let response = match timeout(REQUEST_LIMIT, router.call(request)).await {
        Ok(Ok(response)) => response,
        Err(_) => axum::response::IntoResponse::into_response(Problem::timed_out(REQUEST_LIMIT)),
    };
    let took_us = clock.monotonic().saturating_sub(started).as_micros();
    tracing::info!(subject, %method, path, status = response.status().as_u16(), took_us, "request");
    response
}
