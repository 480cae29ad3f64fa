//! One drive or changer and the thread that alone talks to it, so that one that hangs blocks nobody but itself.
//!
//! Calls block. They run here one after another; whoever asked waits without blocking, and only so long. A call that nobody
//! waits for any more is not begun.

use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::oneshot;

use crate::clock::{Clock, Timestamp};
use crate::controller::step::{Failure, FailureKind};
use crate::drive::{Attention, Drive, DriveError, LoadKeyError};
use crate::library::{Changer, LibraryError};

/// Calls that may wait for a drive: one of a job, some of status queries.
const WAITING_MAX: usize = 16;

/// What a thread can talk to.
pub trait Reached: Send + 'static {
    /// What its calls fail with.
    type Error: Send + 'static;

    /// What it reported besides, since this was last asked.
    fn take_attentions(&mut self) -> Vec<Attention>;
}

impl Reached for Drive {
    type Error = DriveError;

    fn take_attentions(&mut self) -> Vec<Attention> {
        Self::take_attentions(self)
    }
}

impl Reached for Changer {
    type Error = LibraryError;

    /// A changer's attentions concern no key.
    fn take_attentions(&mut self) -> Vec<Attention> {
        Vec::new()
    }
}

/// Opens a drive or changer. It may block.
pub type Opener<D = Drive> = Box<dyn Fn() -> Result<D, <D as Reached>::Error> + Send>;

type Errand<D> = Box<dyn FnOnce(&mut Slot<D>) + Send>;

/// The asking side of a drive's or changer's thread.
pub struct Lane<D: Reached = Drive> {
    errands: SyncSender<Errand<D>>,
    in_flight: Arc<Mutex<Option<InFlight>>>,
    clock: Arc<dyn Clock>,
}

/// A call that the drive has not finished.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InFlight {
    /// What is asked of the drive.
    pub name: &'static str,
    /// Since when, by the wall.
    pub since: Timestamp,
    /// For how long.
    pub elapsed: Duration,
    /// How long it may take.
    pub limit: Duration,
    started: Duration,
}

/// How long to wait for a call, and how long the drive may take for it before it counts as hanging.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long the asker waits.
    pub wait: Duration,
    /// How long the call may take; not shorter.
    pub may_take: Duration,
}

impl From<Duration> for Patience {
    fn from(limit: Duration) -> Self {
        Self {
            wait: limit,
            may_take: limit,
        }
    }
}

impl InFlight {
    /// Whether it takes longer than it may: the drive hangs.
    #[must_use]
    pub fn is_overdue(&self) -> bool {
        self.elapsed > self.limit
    }
}

/// The drive gave no answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LaneError {
    /// It has not finished an earlier call, which is overdue.
    #[error(
        "the drive hangs: \"{name}\" has had no answer for {seconds} s\nhint: look at the drive; if it stays so, power-cycle it and run tapekey status"
    )]
    Hangs {
        /// The earlier call.
        name: &'static str,
        /// For how long.
        seconds: u64,
    },
    /// This call took too long. It may still be carried out.
    #[error(
        "\"{name}\" had no answer from the drive in {seconds} s\nhint: the drive is busy or hangs; see tapekey status, and power-cycle it if it stays so"
    )]
    NoAnswer {
        /// The call.
        name: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The drive's thread has ended.
    #[error(
        "nobody talks to the drive any more: its thread has ended\nhint: this is a bug in tapekeyd; see its log and restart it"
    )]
    Gone,
}

impl From<LaneError> for Failure {
    fn from(error: LaneError) -> Self {
        Self::new(FailureKind::Unchanged, error)
    }
}

/// The drive as its thread has it: opened when it is first needed, and again after its path was lost.
struct Slot<D: Reached> {
    open: Opener<D>,
    drive: Option<D>,
}

impl<D: Reached> Slot<D> {
    fn drive(&mut self) -> Result<&mut D, D::Error> {
        let drive = match self.drive.take() {
            Some(drive) => drive,
            None => (self.open)()?,
        };
        Ok(self.drive.insert(drive))
    }
}

/// Errors after which the path to the drive must be opened anew.
pub trait PathLoss: Send + 'static {
    /// Whether the path was lost.
    fn path_is_lost(&self) -> bool;
}

impl PathLoss for DriveError {
    fn path_is_lost(&self) -> bool {
        self.is_path_lost()
    }
}

impl PathLoss for LibraryError {
    fn path_is_lost(&self) -> bool {
        self.is_path_lost()
    }
}

impl PathLoss for LoadKeyError {
    fn path_is_lost(&self) -> bool {
        match self {
            Self::NotSent(error) | Self::Refused(error) | Self::NoReadBack(error) => error.path_is_lost(),
            Self::AnotherVolume { .. } | Self::Interrupted { .. } | Self::ReadBackMismatch { .. } => false,
        }
    }
}

impl From<DriveError> for LoadKeyError {
    fn from(error: DriveError) -> Self {
        Self::NotSent(error)
    }
}

/// What a call came back with, and the unit attentions that it met.
pub struct Heard<T> {
    /// The answer.
    pub answer: T,
    /// What the drive reported besides.
    pub attentions: Vec<Attention>,
}

impl<D: Reached> Lane<D> {
    /// Starts the thread of a drive or changer. Nothing is opened or asked yet.
    ///
    /// # Errors
    /// What the system answers if it has no more threads.
    pub fn start(name: &str, open: Opener<D>, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (errands, waiting) = sync_channel::<Errand<D>>(WAITING_MAX);
        let mut slot = Slot { open, drive: None };
        std::thread::Builder::new().name(name.to_owned()).spawn(move || {
            while let Ok(errand) = waiting.recv() {
                errand(&mut slot);
            }
        })?;
        Ok(Self {
            errands,
            in_flight: Arc::default(),
            clock,
        })
    }

    /// The call that the drive has not finished, if any.
    #[must_use]
    pub fn in_flight(&self) -> Option<InFlight> {
        let now = self.clock.monotonic();
        let in_flight = self.in_flight.lock().unwrap_or_else(PoisonError::into_inner).clone();
        in_flight.map(|call| InFlight {
            elapsed: now.saturating_sub(call.started),
            ..call
        })
    }

    /// Has the drive's thread do `work` and waits for it as long as `patience` says.
    ///
    /// `unheard` is done with the drive if the answer comes after nobody waits for it any more.
    ///
    /// # Errors
    /// [`LaneError`]; after `NoAnswer` the work may still be done later, unless it had not begun.
    pub async fn call<T: Send + 'static, E: PathLoss + From<D::Error>>(
        &self,
        name: &'static str,
        patience: impl Into<Patience>,
        work: impl FnOnce(&mut D) -> Result<T, E> + Send + 'static,
        unheard: impl FnOnce(&mut D, Result<T, E>) + Send + 'static,
    ) -> Result<Heard<Result<T, E>>, LaneError> {
        if let Some(earlier) = self.in_flight().filter(InFlight::is_overdue) {
            return Err(LaneError::Hangs {
                name: earlier.name,
                seconds: earlier.elapsed.as_secs(),
            });
        }
        let Patience { wait, may_take } = patience.into();
        let (reply, answer) = oneshot::channel();
        let mark = Mark {
            in_flight: self.in_flight.clone(),
            clock: self.clock.clone(),
            name,
            limit: may_take,
        };
        let errand: Errand<D> = Box::new(move |slot| {
            if reply.is_closed() {
                return;
            }
            let marked = mark.set();
            let heard = attend(slot, work);
            // Before the answer, so that whoever got it does not find the call under way.
            drop(marked);
            if let Err(late) = reply.send(heard)
                && let Some(drive) = &mut slot.drive
            {
                let _marked = mark.set();
                unheard(drive, late.answer);
            }
        });
        match self.errands.try_send(errand) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(self.no_answer(name, wait)),
            Err(TrySendError::Disconnected(_)) => return Err(LaneError::Gone),
        }
        match tokio::time::timeout(wait, answer).await {
            Ok(Ok(heard)) => Ok(heard),
            Ok(Err(_)) => Err(LaneError::Gone),
            Err(_) => Err(self.no_answer(name, wait)),
        }
    }

    fn no_answer(&self, name: &'static str, waited: Duration) -> LaneError {
        match self.in_flight() {
            Some(earlier) if earlier.name != name => LaneError::Hangs {
                name: earlier.name,
                seconds: earlier.elapsed.as_secs(),
            },
            _ => LaneError::NoAnswer {
                name,
                seconds: waited.as_secs(),
            },
        }
    }
}

fn attend<D: Reached, T, E: PathLoss + From<D::Error>>(
    slot: &mut Slot<D>,
    work: impl FnOnce(&mut D) -> Result<T, E>,
) -> Heard<Result<T, E>> {
    let drive = match slot.drive() {
        Ok(drive) => drive,
        Err(error) => {
            return Heard {
                answer: Err(error.into()),
                attentions: Vec::new(),
            };
        }
    };
    let answer = work(drive);
    let attentions = drive.take_attentions();
    if answer.as_ref().is_err_and(PathLoss::path_is_lost) {
        slot.drive = None;
    }
    Heard { answer, attentions }
}

struct Mark {
    in_flight: Arc<Mutex<Option<InFlight>>>,
    clock: Arc<dyn Clock>,
    name: &'static str,
    limit: Duration,
}

struct Marked(Arc<Mutex<Option<InFlight>>>);

impl Mark {
    fn set(&self) -> Marked {
        let call = InFlight {
            name: self.name,
            since: self.clock.now(),
            elapsed: Duration::ZERO,
            limit: self.limit,
            started: self.clock.monotonic(),
        };
        *self.in_flight.lock().unwrap_or_else(PoisonError::into_inner) = Some(call);
        Marked(self.in_flight.clone())
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
