//! The lines to a server's endpoints: one kept connection each, opened again when it turns out to be dead, and the next endpoint when one
//! gives no answer in its time. The endpoint that answered last is asked first.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex as StdMutex, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use tokio::sync::Mutex;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use super::connection::Connection;
use super::endpoint::Endpoint;
use super::error::{Lost, Trouble};
use super::names::ProtocolVersion;
use super::question::{Question, message};
use super::reply::{self, Reply, Unreadable};
use crate::clock::{Clock, Timestamp};
use crate::kms::pki::facts;

/// How long a connection may lie idle and be used again. Firewalls forget one that was idle for longer without a word to either end.
const IDLE_MAX: Duration = Duration::from_secs(60);

/// The lines to all endpoints of a server.
pub(super) struct Lines {
    lines: Vec<Line>,
    /// Which one answered last.
    preferred: AtomicUsize,
    tls: TlsConnector,
    /// How long one endpoint may take for one exchange, connecting included.
    limit: Duration,
    /// The number of the next item that is asked; none is used twice, so that no late reply is taken for another's.
    next_item: AtomicU64,
    clock: Arc<dyn Clock>,
}

struct Line {
    endpoint: Endpoint,
    /// The connection, unless it is in use or broken. Whoever holds the lock has the line for the whole exchange.
    kept: Mutex<Option<Kept>>,
    /// The last moment of the certificate that the endpoint showed last.
    certificate_not_after: StdMutex<Option<Timestamp>>,
}

struct Kept {
    connection: Connection,
    /// When it was last used, by the clock that never jumps.
    since: Duration,
}

/// What a TLS connection showed of its other end.
pub(super) struct Peer {
    pub(super) certificate: Option<CertificateDer<'static>>,
    pub(super) tls: &'static str,
}

impl Lines {
    pub(super) fn new(endpoints: Vec<Endpoint>, tls: TlsConnector, (limit, clock): (Duration, Arc<dyn Clock>)) -> Self {
        let line = |endpoint| Line {
            endpoint,
            kept: Mutex::new(None),
            certificate_not_after: StdMutex::default(),
        };
        Self {
            lines: endpoints.into_iter().map(line).collect(),
            preferred: AtomicUsize::new(0),
            tls,
            limit,
            next_item: AtomicU64::new(1),
            clock,
        }
    }

    /// Asks one endpoint after the other until one gives a reply that `read` can read.
    pub(super) async fn ask<T>(
        &self,
        version: ProtocolVersion,
        questions: &[Question<'_>],
        read: impl Fn(Reply<'_>) -> Result<T, Unreadable>,
    ) -> Result<T, Trouble> {
        let count = u64::try_from(questions.len()).unwrap_or(u64::MAX);
        let first = self.next_item.fetch_add(count, Ordering::Relaxed);
        let request = message(version, questions, first);
        let read = |reply: &[u8]| reply::read(reply, (questions, first), &read);
        let repeatable = questions.iter().all(Question::is_repeatable);
        let mut lost = Vec::new();
        let begin = self.preferred.load(Ordering::Relaxed);
        for index in (begin..self.lines.len()).chain(0..begin) {
            let Some(line) = self.lines.get(index) else { continue };
            let asked = line.ask((&self.tls, self.clock.as_ref()), &request, (&read, repeatable));
            let why = match timeout(self.limit, asked).await {
                Ok(Ok(answer)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(why)) => why,
                Err(_) if repeatable => Lost::TimedOut(self.limit),
                Err(_) => Lost::Uncertain(Box::new(Lost::TimedOut(self.limit))),
            };
            let uncertain = matches!(why, Lost::Uncertain(_));
            lost.push((line.endpoint.clone(), why));
            if uncertain {
                break;
            }
        }
        Err(Trouble::Unanswered(lost))
    }

    /// The last moment of the certificates that the endpoints showed last; the soonest of them.
    pub(super) fn certificate_not_after(&self) -> Option<Timestamp> {
        let shown = self.lines.iter().filter_map(|line| {
            let not_after = line.certificate_not_after.lock();
            *not_after.unwrap_or_else(PoisonError::into_inner)
        });
        shown.min()
    }

    /// Connects to every endpoint anew; what each of them showed.
    pub(super) async fn peers(&self) -> Vec<(Endpoint, Result<Peer, Lost>)> {
        let mut peers = Vec::new();
        for line in &self.lines {
            let opened = timeout(self.limit, Connection::open(&line.endpoint, (&self.tls, false))).await;
            let peer = opened.unwrap_or(Err(Lost::TimedOut(self.limit))).map(|connection| {
                line.note(&connection);
                let (certificate, tls) = connection.peer();
                Peer { certificate, tls }
            });
            peers.push((line.endpoint.clone(), peer));
        }
        peers
    }
}

impl Line {
    fn note(&self, connection: &Connection) {
        let (certificate, _) = connection.peer();
        let not_after = certificate
            .and_then(|certificate| facts(&certificate))
            .map(|facts| facts.not_after);
        *self
            .certificate_not_after
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = not_after;
    }

    async fn ask<T>(
        &self,
        (tls, clock): (&TlsConnector, &dyn Clock),
        request: &[u8],
        (read, repeatable): (impl Fn(&[u8]) -> Result<T, Unreadable>, bool),
    ) -> Result<T, Lost> {
        let mut kept = self.kept.lock().await;
        // Out of its place: if this is given up half-way, the connection goes with it.
        // A change is sent over a new one, since it is sent once and a kept one may be dead.
        let now = clock.monotonic();
        let is_fresh = |kept: &Kept| now.saturating_sub(kept.since) < IDLE_MAX;
        let keep = |connection| Kept {
            connection,
            since: clock.monotonic(),
        };
        let old = kept.take().filter(is_fresh);
        let proven = old.is_some();
        if let Some(Kept { mut connection, .. }) = old.filter(|_| repeatable) {
            match connection.exchange(request).await {
                // Closed while nobody looked: that is no answer, and asking once more is safe.
                Err(Lost::Broken { unanswered: true, .. }) => {}
                Err(lost) => return Err(lost),
                Ok(reply) => {
                    let answer = read(&reply)?;
                    *kept = Some(keep(connection));
                    return Ok(answer);
                }
            }
        }
        let mut connection = Connection::open(&self.endpoint, (tls, proven)).await?;
        self.note(&connection);
        let uncertain = |lost: Lost| match lost {
            // Whoever is refused by TLS was not listened to.
            Lost::Certificate(_) => lost,
            lost if repeatable => lost,
            lost => Lost::Uncertain(Box::new(lost)),
        };
        let reply = connection.exchange(request).await.map_err(uncertain)?;
        let answer = read(&reply).map_err(|unreadable| uncertain(unreadable.into()))?;
        *kept = Some(keep(connection));
        Ok(answer)
    }
}
