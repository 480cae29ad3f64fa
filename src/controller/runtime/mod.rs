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

use tokio::sync::Notify;

use self::jobs::{JobBook, JobsError};
use self::lane::Lane;
use self::mount::{Judgement, Mount, Seen, judge};
use super::operation::{Rules, Wish};
use super::pool::Pool;
use super::record;
use crate::clock::Clock;
use crate::control::job::{JobKind, JobMessage, Level};
use crate::control::messages::{Answer, Command, JOBS_MAX, Refusal, RefusalCode};
use crate::control::peer::Peer;
use crate::control::server::{Commands, Executing};
use crate::control::status::{RunningJob, StatusReport};
use crate::keysource::{KeySource, VolumeName};

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
    fn unit(&self, name: &str) -> Result<Arc<DriveUnit>, Refusal> {
        self.drives
            .iter()
            .find(|unit| unit.name == name)
            .cloned()
            .ok_or_else(|| {
                let names: Vec<&str> = self.drives.iter().map(|unit| unit.name.as_str()).collect();
                let what = format!("there is no drive {name:?}");
                Refusal::new(
                    RefusalCode::NoSuchDrive,
                    what,
                    format!("the drives of this host are {}", names.join(", ")),
                )
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

    async fn run(self: Arc<Self>, peer: Peer, command: Command) -> Result<Answer, Refusal> {
        let (name, kind, wish) = match command {
            Command::Load { drive, pool, barcode } => (drive, JobKind::Load, load_wish(pool.as_deref(), barcode)?),
            Command::Unlock { drive } => (drive, JobKind::Unlock, Wish::Unlock),
            Command::Clear { drive } => (drive, JobKind::Clear, Wish::Clear),
            Command::Status { drive } => return self.status(drive.as_deref()).await.map(Answer::Status),
            Command::JobList { drive, limit } => {
                return Ok(Answer::Jobs(self.jobs.list(drive.as_deref(), limit.min(JOBS_MAX))));
            }
            Command::JobShow { job } => {
                let found = self.jobs.show(job).map(|record| Answer::Job(Box::new(record)));
                return found.ok_or_else(|| {
                    let what = format!("there is no job {job}");
                    Refusal::new(RefusalCode::NoSuchJob, what, "see tapekey job list")
                });
            }
        };
        let unit = self.unit(&name)?;
        // A task of its own: a client that goes away does not end what it began.
        let job = tokio::spawn(self.run_job(unit, kind, wish, peer.uid));
        match job.await {
            Ok(outcome) => outcome.map(|record| Answer::Job(Box::new(record))),
            Err(error) => {
                tracing::error!(%error, "a job ended by a bug");
                Err(Refusal::new(
                    RefusalCode::State,
                    "the job ended by a bug in tapekeyd",
                    "see the daemon's log",
                ))
            }
        }
    }

    async fn status(&self, drive: Option<&str>) -> Result<StatusReport, Refusal> {
        let units = match drive {
            Some(name) => vec![self.unit(name)?],
            None => self.drives.clone(),
        };
        Ok(self.look_at(units).await)
    }
}

impl Commands for Daemon {
    fn execute(self: Arc<Self>, peer: Peer, command: Command) -> Executing<'static> {
        Box::pin(self.run(peer, command))
    }
}

impl From<JobsError> for Refusal {
    fn from(error: JobsError) -> Self {
        let text = error.to_string();
        let (what, hint) = text.split_once("\nhint: ").unwrap_or((&text, "see the daemon's log"));
        Self::new(RefusalCode::State, what, hint)
    }
}

fn load_wish(pool: Option<&str>, barcode: Option<String>) -> Result<Wish, Refusal> {
    let bad = |error: &dyn std::fmt::Display| {
        let text = error.to_string();
        let (what, hint) = text
            .split_once("\nhint: ")
            .unwrap_or((&text, "see tapekey load --help"));
        Refusal::new(RefusalCode::BadRequest, what, hint)
    };
    let pool = pool.map(Pool::parse).transpose().map_err(|error| bad(&error))?;
    let barcode = barcode.map(VolumeName::new).transpose().map_err(|error| bad(&error))?;
    Ok(Wish::Load { pool, barcode })
}
