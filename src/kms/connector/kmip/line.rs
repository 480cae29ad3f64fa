//! The lines to a server's endpoints: one kept connection each, opened again when it turns out to be dead, another beside it while it is in
//! use, and the next endpoint when one gives no answer in its time. The endpoint that answered last is asked first. No question waits for another.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustls::pki_types::CertificateDer;
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
    /// A connection, unless it is in use or broken. Whoever uses it has taken it out.
    kept: Mutex<Option<Kept>>,
    /// The last moment of the certificate that the endpoint showed last.
    certificate_not_after: Mutex<Option<Timestamp>>,
}

struct Kept {
    connection: Connection,
    /// When it was last used, by the clock that never jumps.
    since: Duration,
}

impl Kept {
    fn is_fresh(&self, now: Duration) -> bool {
        now.saturating_sub(self.since) < IDLE_MAX
    }
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
            certificate_not_after: Mutex::default(),
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
            let changing = (!repeatable).then(AtomicBool::default);
            let asked = line.ask((&self.tls, self.clock.as_ref()), &request, (&read, changing.as_ref()));
            let why = match timeout(self.limit, asked).await {
                Ok(Ok(answer)) => {
                    self.preferred.store(index, Ordering::Relaxed);
                    return Ok(answer);
                }
                Ok(Err(why)) => why,
                Err(_) if changing.as_ref().is_some_and(|begun| begun.load(Ordering::Relaxed)) => {
                    Lost::Uncertain(Box::new(Lost::TimedOut(self.limit)))
                }
                Err(_) => Lost::TimedOut(self.limit),
            };
            let uncertain = matches!(why, Lost::Uncertain(_));
            lost.push((line.endpoint.clone(), why));
            if uncertain {
                break;
            }
        }
        Err(Trouble::Unanswered(lost))
    }

    /// Ends the connections that would not be used again. Until then their buffers hold what came last, decrypted.
    pub(super) fn end_idle(&self) {
        let now = self.clock.monotonic();
        for line in &self.lines {
            drop(line.kept().take_if(|kept| !kept.is_fresh(now)));
        }
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

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        // Whoever panicked with it left it whole: every change is one assignment.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks here. Of a change, `changing` says from then on when something of it may have been sent.
    async fn ask<T>(
        &self,
        (tls, clock): (&TlsConnector, &dyn Clock),
        request: &[u8],
        (read, changing): (impl Fn(&[u8]) -> Result<T, Unreadable>, Option<&AtomicBool>),
    ) -> Result<T, Lost> {
        // Out of its place: if this is given up half-way, the connection goes with it.
        // A change is sent over a new one, since it is sent once and a kept one may be dead.
        let now = clock.monotonic();
        let old = self.kept().take().filter(|kept| kept.is_fresh(now));
        // Used since now at least: a moment early is on the safe side.
        let keep = |connection| *self.kept() = Some(Kept { connection, since: now });
        let proven = old.is_some();
        if let Some(Kept { mut connection, .. }) = old.filter(|_| changing.is_none()) {
            match connection.exchange(request).await {
                // Closed while nobody looked: that is no answer, and asking once more is safe.
                Err(Lost::Broken { unanswered: true, .. }) => {}
                Err(lost) => return Err(lost),
                Ok(reply) => {
                    let answer = read(&reply)?;
                    keep(connection);
                    return Ok(answer);
                }
            }
        }
        let mut connection = Connection::open(&self.endpoint, (tls, proven)).await?;
        self.note(&connection);
        let uncertain = |lost: Lost| match lost {
            // Whoever is refused for the certificate was not listened to.
            Lost::Certificate(_) => lost,
            lost if changing.is_none() => lost,
            lost => Lost::Uncertain(Box::new(lost)),
        };
        if let Some(begun) = changing {
            begun.store(true, Ordering::Relaxed);
        }
        let reply = connection.exchange(request).await.map_err(uncertain)?;
        let answer = read(&reply).map_err(|unreadable| uncertain(unreadable.into()))?;
        keep(connection);
        Ok(answer)
    }
}
