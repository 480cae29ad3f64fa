//! Everything around the state machine: the drives and their threads, the key source, the job records, and the commands of the control
//! socket.
//!
//! Each drive has one job at a time; drives do not wait for each other. Whatever is waited for has a limit. Nothing is taken over
//! from an earlier run of the daemon but the job records: what a drive holds is asked from the drive.

pub mod job;
pub mod jobs;
pub mod lane;
pub mod mount;
mod perform;
pub mod start;
mod status;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use self::jobs::{JobBook, JobsError};
use self::lane::{Lane, LaneError};
use self::mount::{Judgement, Mount, Seen, judge};
use super::job::{JobKind, JobMessage, JobRecord, Level};
use super::operation::{Rules, Wish};
use super::record;
use super::report::{RunningJob, StatusReport};
use crate::clock::Clock;
use crate::keysource::KeySource;

/// Alarms that a drive keeps for its status.
const ALARMS_MAX: usize = 16;

/// The daemon without its socket.
pub struct Daemon {
    drives: Vec<Arc<DriveUnit>>,
    jobs: Arc<JobBook>,
    keys: Arc<dyn KeySource>,
    clock: Arc<dyn Clock>,
    running: AtomicU64,
    one_ended: Notify,
}

/// One drive and what the daemon knows of it.
pub struct DriveUnit {
    /// Its name in the configuration.
    pub name: String,
    /// How it is reached, for people.
    pub path: String,
    /// Whether it is a simulated drive.
    pub simulated: bool,
    /// What the configuration says of its jobs.
    pub rules: Rules,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// Its thread.
    pub lane: Lane,
    state: Mutex<UnitState>,
}

#[derive(Default)]
struct UnitState {
    running: Option<RunningJob>,
    mount: Option<Mount>,
    alarms: Vec<JobMessage>,
}

impl DriveUnit {
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

    /// Draws the conclusions from what was seen of a drive: alarms for the drive and for the job whose key was in it.
    async fn conclude(&self, unit: &DriveUnit, seen: &Seen) -> Option<String> {
        let mount = unit.state().mount.clone()?;
        let (text, hint) = match judge(&mount, seen) {
            Judgement::Intact => return None,
            Judgement::Left => {
                unit.state().mount = None;
                let left = "the volume left the drive without tapekey clear: proof not taken";
                self.annotate(mount.job, Level::Note, left, None, None).await;
                return None;
            }
            Judgement::KeyOutlivedVolume => (
                format!(
                    "the key of job {} is still in the drive, but its volume is not",
                    mount.job
                ),
                "run tapekey clear, or tapekey load for the volume that is there now",
            ),
            Judgement::Disturbed(why) => (
                format!(
                    "the key of job {} was disturbed while its volume was mounted: {why}",
                    mount.job
                ),
                "blocks written since may be plain or under another key; check what wrote to this drive, then load again",
            ),
        };
        if self.raise(unit, &text, hint) {
            self.annotate(mount.job, Level::Alarm, &text, Some(hint), Some(&text))
                .await;
        }
        Some(text)
    }

    /// Adds an alarm to a drive. Answers whether it is a new one.
    fn raise(&self, unit: &DriveUnit, text: &str, hint: &str) -> bool {
        let mut state = unit.state();
        if state.alarms.iter().any(|alarm| alarm.text == text) {
            return false;
        }
        tracing::error!(drive = unit.name, alarm = text, hint);
        let alarm = JobMessage {
            at: self.clock.now(),
            level: Level::Alarm,
            text: text.into(),
            hint: Some(hint.into()),
        };
        state.alarms.push(alarm);
        if state.alarms.len() > ALARMS_MAX {
            state.alarms.remove(0);
        }
        true
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
        let unit = self.unit(drive)?;
        let kind = match wish {
            Wish::Load { .. } => JobKind::Load,
            Wish::Unlock => JobKind::Unlock,
            Wish::Clear => JobKind::Clear,
        };
        tokio::spawn(self.clone().run_job(unit, kind, wish, requested_by))
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a job ended by a bug");
                Err(CommandError::Bug)
            })
    }

    /// What the drives do now, or one of them. A drive that is busy or hangs is shown as such.
    ///
    /// # Errors
    /// [`CommandError::NoSuchDrive`].
    pub async fn status(&self, drive: Option<&str>) -> Result<StatusReport, CommandError> {
        let units = match drive {
            Some(name) => vec![self.unit(name)?],
            None => self.drives.clone(),
        };
        Ok(self.look_at(units).await)
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
