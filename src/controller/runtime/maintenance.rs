//! What a person asks of a gate: to hold a drive, or to let it go without a key for a time. Each is a job with a durable record.

use std::sync::Arc;
use std::time::Duration;

use super::gate::Maintenance;
use super::job::{Place, new_record};
use super::{CommandError, Daemon, DriveUnit, Provided};
use crate::clock::to_text;
use crate::controller::job::{JobKind, JobMaintenance, JobRecord, Level, Outcome};
use crate::controller::record;
use crate::gate::{Event, State};

/// Longest time for which a drive is let go.
const RELEASE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Most characters of a reason.
const REASON_LENGTH_MAX: usize = 200;

/// What a person wants.
enum Wanted {
    Hold,
    Release(JobMaintenance, Duration),
}

impl Daemon {
    /// Keeps programs off `drive` until a job brings a key. Returns the job once it is durable; it was refused if a program has the drive open.
    ///
    /// # Errors
    /// [`CommandError`] if no job was begun, or its end could not be stored.
    pub async fn hold(self: &Arc<Self>, drive: &str, requested_by: u32) -> Result<JobRecord, CommandError> {
        self.change_gate(drive, Wanted::Hold, requested_by).await
    }

    /// Lets `drive` go for a time, whatever is in it: for firmware, cleaning by hand and emergencies. What is written then may be plain. It is
    /// held again by itself, also if the daemon was restarted meanwhile.
    ///
    /// # Errors
    /// As [`Daemon::hold`]; [`CommandError::BadRelease`] without a reason or for more than a week.
    pub async fn release(
        self: &Arc<Self>,
        drive: &str,
        reason: &str,
        time: Duration,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        let reason = reason.trim().to_owned();
        if reason.is_empty() || reason.chars().count() > REASON_LENGTH_MAX || reason.contains(char::is_control) {
            return Err(CommandError::BadRelease {
                what: format!("a reason has 1 to {REASON_LENGTH_MAX} printable characters"),
                hint: "say why, for those who read the records later",
            });
        }
        if time.is_zero() || time > RELEASE_MAX {
            return Err(CommandError::BadRelease {
                what: format!("{} s is no time for which a drive is let go", time.as_secs()),
                hint: "choose up to 7 days; it can be said again",
            });
        }
        let until = self.clock.now() + time;
        let maintenance = JobMaintenance { reason, until };
        self.change_gate(drive, Wanted::Release(maintenance, time), requested_by)
            .await
    }

    async fn change_gate(
        self: &Arc<Self>,
        drive: &str,
        wanted: Wanted,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        let unit = self.unit(drive)?;
        if unit.gate.is_none() {
            return Err(CommandError::NotGated { drive: drive.into() });
        }
        let daemon = self.clone();
        // Whoever stops waiting does not end it.
        tokio::spawn(async move { daemon.carry_out_at_gate(&unit, wanted, requested_by).await })
            .await
            .unwrap_or_else(|error| {
                tracing::error!(%error, "a job ended by a bug");
                Err(CommandError::Bug)
            })
    }

    async fn carry_out_at_gate(
        &self,
        unit: &DriveUnit,
        wanted: Wanted,
        requested_by: u32,
    ) -> Result<JobRecord, CommandError> {
        let kind = match wanted {
            Wanted::Hold => JobKind::Hold,
            Wanted::Release(..) => JobKind::Release,
        };
        let place = Place::take(self, unit, kind, Provided::Nothing)?;
        let id = place.id;
        let mut begun = new_record(self, unit, id, kind, requested_by);
        if let Wanted::Release(maintenance, _) = &wanted {
            begun.maintenance = Some(maintenance.clone());
        }
        self.jobs.begin(begun).await?;
        let (outcome, level, text, hint) = match wanted {
            Wanted::Hold => self.hold_now(unit).await,
            Wanted::Release(maintenance, time) => self.release_now(unit, id, maintenance, time).await,
        };
        let now = self.clock.now();
        self.jobs.change(id, |job| {
            record::message(job, now, level, text.clone(), hint.map(str::to_owned));
            job.outcome = outcome;
            job.ended = Some(now);
        });
        self.jobs.save(id).await?;
        tracing::warn!(job = id, drive = unit.name, uid = requested_by, "{kind}: {text}");
        self.jobs.show(id).ok_or(CommandError::Bug)
    }

    async fn hold_now(&self, unit: &DriveUnit) -> (Outcome, Level, String, Option<&'static str>) {
        match self.at_gate(unit, Event::HoldAsked).await {
            Some(State::Held) => {
                unit.forget_maintenance();
                let text = "no program can open the drive until a key is loaded or its volume is to be plain";
                (Outcome::Held, Level::Note, text.into(), None)
            }
            Some(State::Absent) => {
                let text = "the kernel shows no tape node of the drive; it is held as soon as there is one";
                (
                    Outcome::Refused,
                    Level::Error,
                    text.into(),
                    Some("see tapekey drive list"),
                )
            }
            _ => {
                let text = format!("the drive could not be held: {}", self.who_is_in(unit).await);
                (
                    Outcome::Refused,
                    Level::Error,
                    text,
                    Some("end that program and try again"),
                )
            }
        }
    }

    async fn release_now(
        &self,
        unit: &DriveUnit,
        job: u64,
        maintenance: JobMaintenance,
        time: Duration,
    ) -> (Outcome, Level, String, Option<&'static str>) {
        let JobMaintenance { reason, until } = maintenance;
        let ends = self.clock.monotonic().saturating_add(time);
        unit.remember_maintenance(Maintenance { job, until, reason });
        match self.at_gate(unit, Event::SetAsideAsked(ends)).await {
            Some(State::SetAside(_)) => {
                let text = format!(
                    "programs can open the drive until {}, whatever is in it: what they write may be plain",
                    to_text(until)
                );
                (Outcome::Released, Level::Note, text, None)
            }
            _ => {
                unit.forget_maintenance();
                let text = "the drive could not be let go: the kernel does not close its tape node";
                (
                    Outcome::Failed,
                    Level::Error,
                    text.into(),
                    Some("see tapekey status and the daemon's log"),
                )
            }
        }
    }
}
