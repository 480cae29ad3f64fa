//! The one thread that works on the database. Requests queue; those that wait at the same moment share one commit, and so one wait for the
//! disk. Nobody learns a result before it is durable.

use std::sync::Arc;
use std::thread::{self, JoinHandle};

use time::OffsetDateTime;
use tokio::sync::{mpsc, oneshot, watch};

use super::database::{Access, Database};
use super::keyring::Keyring;
use super::meter::Meter;
use super::{StoreError, StoreFile, StorePlace, certificates, quiesces};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::kms::audit::{self, Action, AuditHead, Event};
use crate::kms::model::ServiceError;
use crate::kms::releases::ReleaseWatch;
use crate::kms::snapshot::SnapshotError;
use crate::secret::DataKey;

/// Requests that wait; more than these wait in their own tasks.
const QUEUE_LENGTH: usize = 256;

/// Most requests that share one commit: bounds how much one failed commit takes with it.
const BATCH_MAX: usize = 64;

/// Tells the asker, once it is known whether the commit succeeded.
type Settle = Box<dyn FnOnce(Result<(), StoreError>) + Send>;
/// Gets the session, or why there is none.
type Job = Box<dyn FnOnce(Result<&mut Session<'_>, StoreError>) -> Settle + Send>;

/// The store, open and at work. Dropping it waits for the work at hand and lets go of the files.
pub struct Store {
    jobs: Option<mpsc::Sender<Job>>,
    head: watch::Receiver<AuditHead>,
    place: StorePlace,
    releases: Arc<ReleaseWatch>,
    meter: Meter,
    thread: Option<JoinHandle<()>>,
}

/// What one request works with, inside the transaction.
pub(in crate::kms) struct Session<'a> {
    pub(super) database: &'a dyn Database,
    pub(super) keyring: &'a Keyring,
    pub(in crate::kms) entropy: &'a dyn Entropy,
    pub(in crate::kms) now: OffsetDateTime,
    pub(super) head: &'a mut AuditHead,
    /// Counts what leaves; a session that serves nobody has none.
    pub(super) releases: Option<&'a ReleaseWatch>,
}

impl Store {
    /// Sets a thread to work on `file`.
    ///
    /// # Errors
    /// [`StoreError::Thread`] if there is none to have, and what reading the audit chain's end may give.
    pub fn start(file: StoreFile, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE_LENGTH);
        let (publish, head) = watch::channel(audit::head(&*file.database, &file.keyring.audit, file.node)?);
        let place = file.place.clone();
        let releases = Arc::new(ReleaseWatch::new());
        let counted = releases.clone();
        let meter = Meter::new();
        let counting = meter.clone();
        let work = move || {
            Writer {
                file,
                clock,
                entropy,
                publish,
                releases: counted,
                meter: counting,
            }
            .work(queue)
        };
        let thread = thread::Builder::new()
            .name("store".to_owned())
            .spawn(work)
            .map_err(StoreError::Thread)?;
        Ok(Self {
            jobs: Some(jobs),
            head,
            place,
            releases,
            meter,
            thread: Some(thread),
        })
    }

    /// End of the audit chain as of the last commit.
    #[must_use]
    pub fn head(&self) -> AuditHead {
        self.head.borrow().clone()
    }

    /// What counts the keys that leave.
    pub(in crate::kms) fn releases(&self) -> &ReleaseWatch {
        &self.releases
    }

    /// Where it is.
    pub(in crate::kms) fn place(&self) -> &StorePlace {
        &self.place
    }

    /// A connection of its own, for looking only: what takes long does not belong on the thread that serves.
    pub(in crate::kms) fn look(&self) -> Result<Box<dyn Database>, StoreError> {
        self.place.look()
    }

    /// How its commits go.
    pub(in crate::kms) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How many requests wait.
    pub(in crate::kms) fn queued(&self) -> usize {
        let jobs = self.jobs.as_ref();
        jobs.map_or(0, |jobs| jobs.max_capacity() - jobs.capacity())
    }

    /// Does `work` in a transaction and returns once it is durable.
    pub(in crate::kms) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (job, answer) = job(work);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.send(job).await.map_err(|_| StoreError::Stopped)?;
        answer.await.map_err(|_| StoreError::Stopped)?
    }

    /// The same from a thread that may wait, never from a task.
    pub(in crate::kms) fn run_and_wait<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Session<'_>) -> Result<T, ServiceError> + Send + 'static,
    ) -> Result<T, ServiceError> {
        let (job, answer) = job(work);
        let jobs = self.jobs.as_ref().ok_or(StoreError::Stopped)?;
        jobs.blocking_send(job).map_err(|_| StoreError::Stopped)?;
        answer.blocking_recv().map_err(|_| StoreError::Stopped)?
    }
}

/// `work` as the thread gets it, and where its result comes once it is durable.
fn job<T: Send + 'static>(
    work: impl FnOnce(&mut Session<'_>) -> Result<T, ServiceError> + Send + 'static,
) -> (Job, oneshot::Receiver<Result<T, ServiceError>>) {
    let (reply, answer) = oneshot::channel();
    let job: Job = Box::new(move |session| {
        let result = session.map_err(ServiceError::Store).and_then(work);
        Box::new(move |committed| {
            if let (Err(_), Err(ServiceError::Store(error))) = (&committed, &result) {
                // Nobody is told of it otherwise: all who shared the transaction hear that it came to nothing.
                tracing::error!(%error, "the store failed one request, and with it those of the same transaction");
            }
            // An asker that went away needs no answer; what it asked for is done and audited all the same.
            let _ = reply.send(committed.map_err(ServiceError::Store).and(result));
        })
    });
    (job, answer)
}

impl Drop for Store {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported by the thread itself.
            let _ = thread.join();
        }
    }
}

impl Session<'_> {
    /// The database, for those who look into the audit chain.
    pub(in crate::kms) fn database(&self) -> &dyn Database {
        self.database
    }

    /// The end of this node's audit chain, as this transaction sees it.
    pub(in crate::kms) fn head(&self) -> &AuditHead {
        self.head
    }

    /// The key of the audit chain.
    pub(in crate::kms) fn audit_key(&self) -> &DataKey {
        &self.keyring.audit
    }

    /// Whether the asker may still ask and the thing be done now, whatever another node was told a moment ago.
    fn admit(&self, event: &Event) -> Result<(), ServiceError> {
        // A request that was turned away is written down, whoever asked.
        if event.action != Action::Request {
            certificates::admit(self, &event.actor)?;
        }
        quiesces::admit(self, event.action)
    }

    /// Does `work` and writes `event` with its outcome; both or neither. A refusal undoes the work and is written as well.
    pub(in crate::kms) fn audited<T>(
        &mut self,
        mut event: Event,
        work: impl FnOnce(&Self, &mut Event) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        self.database.batch("SAVEPOINT attempt")?;
        let result = match self.admit(&event) {
            Ok(()) => work(self, &mut event).and_then(|done| Ok((done, self.count(&event)?))),
            Err(error) => Err(error),
        };
        if let Err(error) = &result {
            self.database.batch("ROLLBACK TO attempt")?;
            event.outcome = outcome(error);
        }
        let (result, alarms) = match result {
            Ok((done, alarms)) => (Ok(done), alarms),
            Err(error) => (Err(error), Vec::new()),
        };
        let mut events = std::iter::once(&event).chain(&alarms);
        let appended =
            events.try_for_each(|event| audit::append(self.database, &self.keyring.audit, self.head, event, self.now));
        match appended {
            Ok(()) => self.database.batch("RELEASE attempt")?,
            Err(error) => {
                self.database.batch("ROLLBACK TO attempt; RELEASE attempt")?;
                return Err(error.into());
            }
        }
        result
    }

    fn count(&self, event: &Event) -> Result<Vec<Event>, ServiceError> {
        let counted = self.releases.map(|releases| releases.count(event, self.now));
        Ok(counted.transpose()?.unwrap_or_default())
    }
}

/// What each asker is told when a transaction came to nothing.
fn not_done(error: &StoreError) -> StoreError {
    let reason = error.to_string();
    match error {
        StoreError::InDoubt { reason } => StoreError::InDoubt { reason: reason.clone() },
        _ => StoreError::Commit { reason },
    }
}

fn outcome(error: &ServiceError) -> String {
    let (ended, text) = match error {
        ServiceError::Refused(refusal) => ("refused", refusal.to_string()),
        ServiceError::Snapshot(error @ SnapshotError::SameFileSystem { .. }) => ("refused", error.to_string()),
        ServiceError::Snapshot(error) => ("failed", error.to_string()),
        ServiceError::Pki(error) => ("failed", error.to_string()),
        ServiceError::Store(error) => ("failed", error.to_string()),
    };
    // Hints are for the asker; a record is one line.
    format!("{ended}: {}", text.lines().next().unwrap_or_default())
}

struct Writer {
    file: StoreFile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    publish: watch::Sender<AuditHead>,
    releases: Arc<ReleaseWatch>,
    meter: Meter,
}

impl Writer {
    fn work(self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            self.batch(first, &mut queue);
        }
    }

    fn batch(&self, first: Job, queue: &mut mpsc::Receiver<Job>) {
        let mut settled = Vec::new();
        let committed = self.commit(first, queue, &mut settled);
        if let Err(error) = &committed {
            tracing::error!(%error, "the store could not commit");
            self.meter.failures.inc();
            self.file.database.rollback();
        }
        for settle in settled {
            settle(committed.as_ref().copied().map_err(not_done));
        }
    }

    fn commit(&self, first: Job, queue: &mut mpsc::Receiver<Job>, settled: &mut Vec<Settle>) -> Result<(), StoreError> {
        let database = &*self.file.database;
        let mut next = Some(first);
        let mut head = match self.begin() {
            Ok(head) => head,
            Err(error) => {
                // Whoever waits already is told at once, and does not wait as long again.
                settled.extend(next.map(|job| job(Err(StoreError::Stopped))));
                while let Some(job) = queue.try_recv().ok().filter(|_| settled.len() < QUEUE_LENGTH) {
                    settled.push(job(Err(StoreError::Stopped)));
                }
                return Err(error);
            }
        };
        while let Some(job) = next {
            settled.push(job(Ok(&mut self.session(&mut head))));
            if !database.is_whole() {
                return Err(StoreError::Undone);
            }
            next = if settled.len() < BATCH_MAX {
                queue.try_recv().ok()
            } else {
                None
            };
        }
        let began = self.clock.monotonic();
        database.commit()?;
        self.meter.committed(began, self.clock.monotonic());
        self.publish.send_replace(head);
        Ok(())
    }

    /// Begins a transaction, in which nothing is older than what other nodes committed.
    fn begin(&self) -> Result<AuditHead, StoreError> {
        let StoreFile {
            database,
            keyring,
            node,
            ..
        } = &self.file;
        database.begin(Access::Writing)?;
        keyring.refresh(&**database)?;
        audit::head(&**database, &keyring.audit, *node)
    }

    fn session<'a>(&'a self, head: &'a mut AuditHead) -> Session<'a> {
        Session {
            database: &*self.file.database,
            keyring: &self.file.keyring,
            entropy: &*self.entropy,
            now: self.clock.now(),
            head,
            releases: Some(&self.releases),
        }
    }
}
