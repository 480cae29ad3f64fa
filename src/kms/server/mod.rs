//! The web service's front: TLS with client certificates, one task per connection, a limit on every wait, a graceful end.
//!
//! What a request means is the business of `routes`; who may ask is decided in `auth`, from what is learnt here.

mod connection;
mod own;
mod plain;
mod request_id;
mod room;
mod tls;

pub use super::routes::{DeclaredRoute, declared};
pub use tls::TlsError;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use self::connection::Connection;
use self::own::OwnCertificate;
use self::request_id::RequestIds;
use self::room::Room;
use super::config::{KmsConfig, Limits};
use super::health::Health;
use super::metrics::Metrics;
use super::rate::Rates;
use super::routes;
use super::routes::health::Plain;
use super::service::Kms;
use super::status::Daily;
use super::upkeep::Upkeep;
use crate::clock::Clock;

/// How long requests in work may take once the service is asked to stop.
const GRACE: Duration = Duration::from_secs(5);

/// How often to see whether something is due: the daily alarm, a snapshot, a rotation.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(60);

/// How often to see whether another node of this KMS changed external servers.
const LOOK_AT_SERVERS: Duration = Duration::from_secs(5);

/// How long to wait after accept(2) failed, for want of file descriptors usually.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// A service ready to run.
pub struct Server {
    listener: TcpListener,
    tls: TlsAcceptor,
    own: Arc<OwnCertificate>,
    router: Router,
    limits: Limits,
    room: Arc<Room>,
    request_ids: Arc<RequestIds>,
    plain: Option<(TcpListener, Router)>,
    kms: Arc<Kms>,
    clock: Arc<dyn Clock>,
}

/// The service cannot be started.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be had.
    #[error(
        "listen on {address}: {source}\nhint: is another service using it? choose another one in kms.toml, or with --listen or --metrics-listen"
    )]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The server's certificates cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Listens; nothing is accepted before [`Server::run`]. Reads certificate files.
    ///
    /// # Errors
    /// [`ServerError`]: files, dates, the address.
    pub async fn bind(config: &KmsConfig, kms: Arc<Kms>, clock: Arc<dyn Clock>) -> Result<Self, ServerError> {
        kms.begin_with_servers().await;
        let own = OwnCertificate::ready(config, &kms, &clock).await?;
        let tls = TlsAcceptor::from(Arc::new(tls::server_config(config, &own, &kms, &clock)?));
        if let Err(error) = kms.look_for_enrollments().await {
            tracing::error!(%error, "whether a host may enroll is unknown");
        }
        let listener = listen(config.listen).await?;
        let metrics = Arc::new(Metrics::of(&kms));
        let plain = match config.metrics_listen {
            Some(address) => {
                let router = routes::health::plain_router(Plain {
                    kms: kms.clone(),
                    clock: clock.clone(),
                    metrics: metrics.clone(),
                    health: Arc::new(Health::new(kms.clone(), clock.clone(), config)),
                });
                Some((listen(address).await?, router))
            }
            None => None,
        };
        let router = routes::router(routes::Front {
            kms: kms.clone(),
            clock: clock.clone(),
            rates: Arc::new(Rates::new(&config.limits)),
            attempts: Arc::new(Rates::of_attempts()),
            limits: config.limits,
            metrics,
        });
        Ok(Self {
            listener,
            tls,
            own,
            router,
            limits: config.limits,
            room: Room::new(config.limits),
            request_ids: Arc::new(RequestIds::since(clock.now())),
            plain,
            kms,
            clock,
        })
    }

    /// The address that it listens on, also if the configured port was 0.
    ///
    /// # Errors
    /// The system's.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Where it answers health, readiness and metrics, if it does.
    ///
    /// # Errors
    /// The system's.
    pub fn metrics_address(&self) -> io::Result<Option<SocketAddr>> {
        self.plain
            .as_ref()
            .map(|(listener, _)| listener.local_addr())
            .transpose()
    }

    /// Serves until `stop` is ready, then finishes the requests in work.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let (stopping, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        if let Some((listener, router)) = self.plain.take() {
            tasks.spawn(plain::serve(listener, router, stopped.clone()));
        }
        let mut stop = std::pin::pin!(stop);
        let (mut daily, mut look_at_clock) = (Daily::default(), tokio::time::interval(LOOK_AT_CLOCK));
        tasks.spawn(upkeep(self.kms.clone(), self.clock.clone(), stopped.clone()));
        tasks.spawn(follow_servers(self.kms.clone(), stopped.clone()));
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = tasks.join_next() => {}
                _ = look_at_clock.tick() => {
                    self.kms.selection.forget_expired();
                    let (kms, clock, due) = (self.kms.clone(), self.clock.clone(), daily.due(self.clock.monotonic()));
                    let own = self.own.clone();
                    tasks.spawn(async move {
                        look(&kms, &own).await;
                        kms.do_what_is_due(due, &*clock).await;
                    });
                }
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, peer)) => {
                        let arrival = self.room.arrive();
                        tasks.spawn(self.connection(peer, &stopped).serve(stream, arrival));
                    }
                    Err(error) => {
                        tracing::error!(%error, "a connection could not be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        drop(self.listener);
        stopping.send_replace(true);
        let finished = tokio::time::timeout(GRACE, async { while tasks.join_next().await.is_some() {} });
        if finished.await.is_err() {
            tracing::warn!(connections = tasks.len(), "connections were cut off at the end");
        }
    }

    fn connection(&self, peer: SocketAddr, stopped: &watch::Receiver<bool>) -> Connection {
        Connection {
            tls: self.tls.clone(),
            router: self.router.clone(),
            clock: self.clock.clone(),
            peer,
            stopped: stopped.clone(),
            limits: self.limits,
            room: self.room.clone(),
            request_ids: self.request_ids.clone(),
        }
    }
}

/// Does what is due until the service ends. Whatever is cut off then is gone on with at the next start.
async fn upkeep(kms: Arc<Kms>, clock: Arc<dyn Clock>, mut stopped: watch::Receiver<bool>) {
    let work = async {
        let (mut upkeep, mut look_at_clock) = (Upkeep::default(), tokio::time::interval(LOOK_AT_CLOCK));
        loop {
            tokio::select! {
                _ = look_at_clock.tick() => upkeep.look(&kms, &*clock).await,
                () = kms.something_is_due() => upkeep.look(&kms, &*clock).await,
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

/// Takes up what other nodes change of external servers, until the service ends. Waits for nothing else: upkeep may take as long as a
/// snapshot does.
async fn follow_servers(kms: Arc<Kms>, mut stopped: watch::Receiver<bool>) {
    let work = async {
        let mut look_at_servers = tokio::time::interval(LOOK_AT_SERVERS);
        loop {
            look_at_servers.tick().await;
            kms.take_up_now().await;
        }
    };
    tokio::select! {
        () = work => {}
        _ = stopped.wait_for(|stopped| *stopped) => {}
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServerError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServerError::Listen { address, source })
}

/// What is looked at each minute.
async fn look(kms: &Arc<Kms>, own: &OwnCertificate) {
    own.renew_if_due(kms).await;
    if let Err(error) = kms.look_for_enrollments().await {
        tracing::error!(%error, "whether a host may enroll is unknown");
    }
}
