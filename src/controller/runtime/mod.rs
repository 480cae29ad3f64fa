//! Everything around the state machine: the drives and their threads, the key source, the job records, and the commands of the control
//! socket.
//!
//! Each drive has one job at a time; drives do not wait for each other. Whatever is waited for has a limit. Nothing is taken over
//! from an earlier run of the daemon but the job records: what a drive holds is asked from the drive.

mod examine;
mod gate;
mod hold;
pub mod job;
pub mod jobs;
pub mod lane;
pub mod libraries;
mod library_list;
mod list;
mod maintenance;
pub mod mount;
mod perform;
pub mod serials;
pub mod start;
mod status;
mod surroundings;
mod watch;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use self::gate::{GateUnit, PlainMount};
use self::jobs::{JobBook, JobsError};
use self::lane::{Lane, LaneError};
use self::libraries::{FoundLibraries, LibraryUnit};
use self::list::LastLook;
use self::mount::{Judgement, Mount, Seen, WrongKeys, judge};
use self::serials::Inquirer;
use self::surroundings::Scans;
use self::watch::Watched;
use super::job::{JobGiver, JobKind, JobMessage, JobRecord, Level};
use super::operation::{Rules, Wish};
use super::record;
use super::report::{RunningJob, StatusReport};
use crate::clock::Clock;
use crate::discovery::Tree;
use crate::drive::NodeInUse;
use crate::keysource::{HeadBook, KeySource};
pub use crate::keysource::{HeadBookError, HeadReport};
use crate::secret::DataKey;

/// Alarms that a drive keeps for its status; its jobs keep them all.
const ALARMS_MAX: usize = 16;

/// The daemon without its socket.
pub struct Daemon {
    drives: Vec<Arc<DriveUnit>>,
    jobs: Arc<JobBook>,
    keys: Arc<dyn KeySource>,
    heads: Arc<HeadBook>,
    tree: Tree,
    scans: Scans,
    inquirer: Inquirer,
    watched: Mutex<Watched>,
    looked_around: tokio::sync::watch::Sender<bool>,
    /// More is known than sysfs shows.
    look_again: Notify,
    libraries: Mutex<Vec<Arc<LibraryUnit>>>,
    found_libraries: FoundLibraries,
    clock: Arc<dyn Clock>,
    running: AtomicU64,
    one_ended: Notify,
}

/// What must hold of the key in a drive, or the job is not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provided {
    /// Nothing.
    Nothing,
    /// No job has left one there.
    NoKeyIn,
    /// No other job than this one has put it there, and no program has the drive's tape node open.
    KeyOf(u64),
}

/// One drive and what the daemon knows of it.
pub struct DriveUnit {
    /// Its name in the configuration.
    pub name: String,
    /// How it is reached, for people.
    pub path: String,
    /// Whether it is found by its serial number, wherever the kernel shows it.
    pub by_serial: bool,
    /// Whether it is a simulated drive.
    pub simulated: bool,
    /// What the configuration says of its jobs.
    pub rules: Rules,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// Its thread.
    pub lane: Lane,
    gate: Option<GateUnit>,
    state: Mutex<UnitState>,
}

#[derive(Default)]
struct UnitState {
    running: Option<RunningJob>,
    /// The user who wants the running job to end early.
    cancelled: Option<u32>,
    mount: Option<Mount>,
    /// The volume for which it was let go without a key.
    plain: Option<PlainMount>,
    wrong_keys: WrongKeys,
    last_look: Option<LastLook>,
    /// Since the last load or clear, the newest [`ALARMS_MAX`].
    alarms: Vec<JobMessage>,
    /// What the alarms said already.
    told: Vec<String>,
}

impl UnitState {
    fn alarm(&mut self, alarm: JobMessage) {
        self.alarms.push(alarm);
        let surplus = self.alarms.len().saturating_sub(ALARMS_MAX);
        self.alarms.drain(..surplus);
    }

    /// The key in the drive was replaced or taken out: what was told of the former one is history, and stands in its job.
    fn begin_anew(&mut self) -> Option<Mount> {
        self.alarms.clear();
        self.told.clear();
        self.plain = None;
        self.mount.take()
    }
}

impl DriveUnit {
    /// Its serial number: the one that the configuration demands, or else the one that the drive last said.
    fn serial(&self) -> Option<String> {
        let said = || {
            self.state()
                .last_look
                .as_ref()?
                .identity
                .as_ref()
                .map(|identity| identity.serial.clone())
        };
        self.rules.expected_serial.clone().or_else(said)
    }

    fn state(&self) -> MutexGuard<'_, UnitState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Daemon {
    fn unit(&self, name: &str) -> Result<Arc<DriveUnit>, CommandError> {
        self.drives
            .iter()
            .find(|unit| unit.name == name)
            .cloned()
            .ok_or_else(|| CommandError::NoSuchDrive {
                drive: name.into(),
                drives: self
                    .drives
                    .iter()
                    .map(|unit| unit.name.as_str())
                    .collect::<Vec<_>>()
                    .join(", "),
            })
    }

    fn watched(&self) -> MutexGuard<'_, Watched> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Draws the conclusions from what was seen of a drive: alarms for the drive and for the job whose key was in it. Returns what disturbed
    /// that key, if anything.
    async fn conclude(&self, unit: &DriveUnit, seen: &Seen) -> Option<String> {
        let mount = unit.state().mount.clone()?;
        match judge(&mount, seen) {
            Judgement::Intact => None,
            Judgement::Left => {
                let former = unit.state().mount.take();
                self.key_is_gone(former).await;
                let left = "the volume left the drive without tapekey clear: proof not taken";
                self.annotate(mount.job, Level::Note, left, None, None).await;
                None
            }
            Judgement::KeyOutlivedVolume => {
                let what = format!(
                    "the key of job {} is still in the drive, but its volume is not",
                    mount.job
                );
                let hint = "run tapekey clear, or tapekey load for the volume that is there now";
                self.raise(unit, &mount, vec![what.clone()], &what, hint).await;
                None
            }
            Judgement::Disturbed(reasons) => {
                let reasons_text = reasons.join("; ");
                let what = format!(
                    "the key of job {} was disturbed while its volume was mounted: ",
                    mount.job
                );
                let hint = "blocks written since may be plain or under another key; check what wrote to this drive, then load again";
                self.raise(unit, &mount, reasons, &what, hint).await;
                Some(what + &reasons_text)
            }
        }
    }

    /// Raises an alarm, for the drive and for the job whose key was in it, for those of `reasons` that were not told before.
    async fn raise(&self, unit: &DriveUnit, mount: &Mount, reasons: Vec<String>, what: &str, hint: &str) {
        let text = {
            let mut state = unit.state();
            let new: Vec<String> = reasons
                .into_iter()
                .filter(|reason| !state.told.contains(reason))
                .collect();
            if new.is_empty() {
                return;
            }
            let text = if new == [what] {
                what.to_owned()
            } else {
                format!("{what}{}", new.join("; "))
            };
            let alarm = JobMessage {
                at: self.clock.now(),
                level: Level::Alarm,
                text: text.clone(),
                hint: Some(hint.into()),
            };
            state.told.extend(new);
            state.alarm(alarm);
            text
        };
        tracing::error!(drive = unit.name, job = mount.job, hint, "ALARM: {text}");
        self.annotate(mount.job, Level::Alarm, &text, Some(hint), Some(&text))
            .await;
    }

    /// Records that the key of `former` is not in the drive any more, so that no later run of the daemon looks for it there.
    async fn key_is_gone(&self, former: Option<Mount>) {
        if let Some(mount) = former {
            self.note_gone(mount.job).await;
        }
    }

    /// Records that what this job left in a drive is not there any more.
    async fn note_gone(&self, job: u64) {
        let now = self.clock.now();
        self.jobs.change(job, |job| job.key_gone = job.key_gone.or(Some(now)));
        if let Err(error) = self.jobs.save(job).await {
            tracing::error!(job, %error, "a job record could not be saved");
        }
    }

    async fn annotate(&self, job: u64, level: Level, text: &str, hint: Option<&str>, not_proven: Option<&str>) {
        let now = self.clock.now();
        self.jobs.change(job, |record| {
            record::message(record, now, level, text.into(), hint.map(str::to_owned));
            record.not_proven = record.not_proven.take().or(not_proven.map(str::to_owned));
        });
        if let Err(error) = self.jobs.save(job).await {
            tracing::error!(job, %error, "a job record could not be saved");
        }
    }

    /// Waits until no job is running, at most `limit`. Answers how many still are.
    pub async fn settle(&self, limit: Duration) -> u64 {
        let settled = async {
            loop {
                let ended = self.one_ended.notified();
                if self.running.load(Ordering::SeqCst) == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _ = tokio::time::timeout(limit, settled).await;
        self.running.load(Ordering::SeqCst)
    }

    /// Carries out `wish` on `drive` for the user `requested_by`. Returns the job once it has ended and is durable; a job may have been refused
    /// or have failed. Whoever stops waiting does not end the job.
    ///
    /// # Errors
    /// [`CommandError`] if no job was begun, or its end could not be stored.
    pub async fn carry_out(
        self: &Arc<Self>,
        drive: &str,
        wish: Wish,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        self.do_job(drive, (wish, None), Provided::Nothing, requested_by).await
    }

    /// The same, if what is `provided` holds.
    ///
    /// # Errors
    /// As [`Daemon::carry_out`], and [`CommandError::NotItsKey`], [`CommandError::MayBeInUse`], [`CommandError::NodeInUse`].
    pub async fn carry_out_if(
        self: &Arc<Self>,
        drive: &str,
        wish: Wish,
        provided: Provided,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        self.do_job(drive, (wish, None), provided, requested_by).await
    }

    /// Makes `drive` ready for reading with `key`, which the process `by` gave, as [`Daemon::carry_out`] does with the KMS's. No server is
    /// asked.
    ///
    /// # Errors
    /// As [`Daemon::carry_out`]. A key that does not fit ends as a job that was refused.
    pub async fn unlock_with(
        self: &Arc<Self>,
        drive: &str,
        key: DataKey,
        by: JobGiver,
    ) -> Result<JobRecord, CommandError> {
        self.do_job(drive, (Wish::UnlockWith(by), Some(key)), Provided::Nothing, by.uid)
            .await
    }

    /// Has a running scan end where it is, with the tape rewound, for the user `requested_by`. Returns at once, with the job as it is now.
    ///
    /// # Errors
    /// [`CommandError::CannotCancel`] if it is not running, or no scan: other jobs end by themselves, in a state that is known.
    pub fn cancel(&self, job: u64, requested_by: u32) -> Result<JobRecord, CommandError> {
        let is_it = |unit: &&Arc<DriveUnit>| {
            let mut state = unit.state();
            let running = state.running.as_ref();
            let found = running.is_some_and(|running| running.id == job && running.kind == JobKind::Scan);
            if found {
                state.cancelled = Some(requested_by);
            }
            found
        };
        let found = self.drives.iter().find(is_it).and_then(|_| self.jobs.show(job));
        found.ok_or(CommandError::CannotCancel { job })
    }

    async fn do_job(
        self: &Arc<Self>,
        drive: &str,
        wanted: (Wish, Option<DataKey>),
        provided: Provided,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        let unit = self.unit(drive)?;
        let kind = match &wanted.0 {
            Wish::Load { .. } => JobKind::Load,
            Wish::Unlock | Wish::UnlockWith(_) => JobKind::Unlock,
            Wish::Clear => JobKind::Clear,
            Wish::Scan => JobKind::Scan,
        };
        tokio::spawn(self.clone().run_job(unit, (kind, provided), wanted, requested_by))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a job ended by a bug");
                Err(CommandError::Bug)
            })
    }

    /// What the drives do now, or one of them. A drive that is busy or hangs is shown as such; one on which a program may be writing is left
    /// alone, unless `look` says otherwise.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDrive`].
    pub async fn status(&self, drive: Option<&str>, look: bool) -> Result<StatusReport, CommandError> {
        let units = match drive {
            Some(name) => vec![self.unit(name)?],
            None => self.drives.clone(),
        };
        Ok(self.look_at(units, look).await)
    }

    /// What is remembered of the KMS's audit chains, which shows whether its store was rolled back.
    #[must_use]
    pub fn heads(&self) -> &HeadBook {
        &self.heads
    }

    /// The job records.
    #[must_use]
    pub fn jobs(&self) -> &JobBook {
        &self.jobs
    }
}

/// A command was not carried out.
#[derive(Debug, Error)]
pub enum CommandError {
    /// No drive has that name.
    #[error("there is no drive {drive:?}\nhint: the drives of this host are {drives}")]
    NoSuchDrive {
        /// The name.
        drive: String,
        /// The names there are.
        drives: String,
    },
    /// No library has that name.
    #[error("there is no library {library:?}\nhint: the libraries of this host are {libraries}")]
    NoSuchLibrary {
        /// The name.
        library: String,
        /// The names there are.
        libraries: String,
    },
    /// One job at a time.
    #[error("drive {drive} is busy with job {job} ({kind})\nhint: wait until it has ended; see tapekey job show")]
    Busy {
        /// The drive.
        drive: String,
        /// The job; 0 if it has no number yet.
        job: u64,
        /// What it does.
        kind: JobKind,
    },
    /// The key that is there now was put in by another job than the caller thinks.
    #[error(
        "the key in drive {drive} is that of job {found}, not of job {expected}: it was left there\nhint: see tapekey job show {found}; tapekey clear takes it out all the same"
    )]
    NotItsKey {
        /// The drive.
        drive: String,
        /// The job that put it in.
        found: u64,
        /// The one that the caller named.
        expected: u64,
    },
    /// A program may be using the drive.
    #[error(
        "job {job} left its key in drive {drive}: a program may be using it\nhint: end the program, run tapekey clear {drive}, and try again"
    )]
    MayBeInUse {
        /// The drive.
        drive: String,
        /// The job.
        job: u64,
    },
    /// A program has the drive's tape node open, or that cannot be told.
    #[error("drive {drive}: {error}")]
    NodeInUse {
        /// The drive.
        drive: String,
        /// Who has it.
        error: NodeInUse,
    },
    /// Only scans can be ended early.
    #[error("job {job} is no scan that is running\nhint: see tapekey job list; other jobs end by themselves")]
    CannotCancel {
        /// The job.
        job: u64,
    },
    /// The configuration does not want the drive to be held.
    #[error("drive {drive} is not held by tapekeyd\nhint: say hold = true in its section, and restart tapekeyd")]
    NotGated {
        /// The drive.
        drive: String,
    },
    /// Nobody said why, or for how long.
    #[error("{what}\nhint: {hint}")]
    BadRelease {
        /// What is wrong.
        what: String,
        /// What to say instead.
        hint: &'static str,
    },
    /// The drive has not answered an earlier call.
    #[error("drive {drive}: {error}")]
    DriveHangs {
        /// The drive.
        drive: String,
        /// Which call, and for how long.
        error: LaneError,
    },
    /// The job records cannot be kept.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// A bug of ours.
    #[error(
        "the job ended by a bug in tapekeyd\nhint: please report it with the daemon's log; tapekey status shows what the drive holds"
    )]
    Bug,
}
