//! The plain listener: HTTP without TLS for health, readiness and metrics, with few connections and a limit on every wait.

use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// Connections at once; more wait in the kernel's queue.
const CONNECTIONS_MAX: usize = 32;
/// From one answer to the end of the next request's header.
const HEADER_LIMIT: Duration = Duration::from_secs(30);
/// A connection in all.
const LIFETIME: Duration = Duration::from_secs(600);
/// How long to wait after accept(2) failed, for want of file descriptors usually.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Serves until `stopped` says so.
pub(super) async fn serve(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = async { stopped.wait_for(|stopped| *stopped).await.is_ok() } => return,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stream, router.clone()));
                }
                Err(error) => {
                    tracing::error!(%error, "a plain connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
}

async fn connection(stream: TcpStream, router: Router) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_LIMIT);
    let serving = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    // Whatever ends it, a monitoring system asks again.
    let _ = timeout(LIFETIME, serving).await;
}
