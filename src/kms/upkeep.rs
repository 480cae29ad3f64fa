//! What the service does by itself: snapshots on a schedule, and rotations by age. One look at a time; time is asked for, never waited for.
//!
//! Intervals within a run go by the clock that never jumps; the wall clock says how old a key is and how long the service was down. When the
//! wall clock jumps, no key is rotated by itself until it has run straight for an hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::audit::Actor;
use super::model::ServiceError;
use super::requests::RequestsDue;
use super::rotation::CLOCK_TOLERANCE;
use super::schedule::Snapshots;
use super::sealing::Resealing;
use super::service::Kms;
use super::store::reseal::Walk;
use super::store::{quiesces, snapshots};
use crate::clock::{Clock, Timestamp, to_text};
use crate::kms_api::{GroupName, RotationReport, ServiceAlarm, SnapshotSchedule, WaitingRotation};

/// How long the wall clock must have run straight before a key is rotated by its age.
const STRAIGHT_FOR: Duration = Duration::from_secs(3600);

/// Time from the first failure to the next try; each further failure doubles it.
const RETRY_FIRST: Duration = Duration::from_secs(5 * 60);
const RETRY_LAST: Duration = Duration::from_secs(6 * 3600);

/// What was noted for the status, since there is nobody to be told.
#[derive(Debug, Default)]
pub(super) struct Noted {
    snapshot_failure: Option<(Timestamp, String)>,
    rotation_failures: BTreeMap<GroupName, String>,
    jumped: Option<Timestamp>,
    clock_jump: Option<ServiceAlarm>,
    reseal_failure: Option<(Timestamp, String)>,
}

/// Records that an alarm names.
const RECORDS_SHOWN: usize = 3;

/// What is due when, in one run of the service.
#[derive(Debug, Default)]
pub struct Upkeep {
    straight: Straight,
    snapshot_at: Option<Duration>,
    snapshot_failures: u32,
    rotation_at: Duration,
    rotation_failures: u32,
    requests: RequestsDue,
    reseal_walk: Walk,
    reseal_at: Duration,
    reseal_failures: u32,
}

impl Upkeep {
    /// Does whatever is due now. Failures are logged and in the service's status; they are tried again later.
    pub async fn look(&mut self, kms: &Arc<Kms>, clock: &dyn Clock) {
        let (now, monotonic) = (clock.now(), clock.monotonic());
        self.requests.look(kms, clock).await;
        let straight = self.straight.look(now, monotonic);
        kms.note(|noted| noted.jumped = if straight { None } else { self.straight.jumped });
        if monotonic >= self.reseal_at {
            self.reseal(kms, now, monotonic).await;
        }
        if let Some(place) = &kms.snapshots {
            self.make_snapshot(kms, place, now, monotonic).await;
        }
        if straight && monotonic >= self.rotation_at {
            self.rotate(kms, monotonic).await;
        }
    }

    async fn make_snapshot(&mut self, kms: &Arc<Kms>, place: &Snapshots, now: Timestamp, monotonic: Duration) {
        let Some(every) = place.every.duration() else { return };
        let due = match self.snapshot_at {
            Some(at) => at,
            None => match kms.last_of_schedule().await {
                Ok(last) => monotonic + wait_at_start(last, every, now),
                Err(error) => return tracing::error!(%error, "when the last snapshot was made is unknown"),
            },
        };
        self.snapshot_at = Some(due);
        if monotonic < due {
            return;
        }
        let made = kms.snapshot_to_schedule(&Actor::schedule()).await;
        self.snapshot_failures = if made.is_ok() { 0 } else { self.snapshot_failures + 1 };
        let next = if made.is_ok() {
            every
        } else {
            retry_after(self.snapshot_failures).min(every)
        };
        self.snapshot_at = Some(monotonic + next);
    }

    async fn reseal(&mut self, kms: &Arc<Kms>, now: Timestamp, monotonic: Duration) {
        let failure = match kms.reseal_some(&mut self.reseal_walk).await {
            Ok(Resealing::Done) => None,
            Ok(Resealing::Begun) => return kms.wake.notify_one(),
            Ok(Resealing::Failed(records)) => {
                let shown: Vec<_> = records.iter().take(RECORDS_SHOWN).map(String::as_str).collect();
                let shown = shown.join(", ");
                Some(format!(
                    "{} records do not open, {shown} among them; the former key protection key stays",
                    records.len()
                ))
            }
            Err(error) => Some(error.to_string().lines().next().unwrap_or_default().to_owned()),
        };
        if let Some(why) = &failure {
            tracing::error!(
                why,
                "ALARM: records could not be sealed under the newest key protection key"
            );
        }
        self.reseal_failures = if failure.is_some() { self.reseal_failures + 1 } else { 0 };
        if failure.is_some() {
            self.reseal_at = monotonic + retry_after(self.reseal_failures);
        }
        kms.note(|noted| noted.reseal_failure = failure.map(|why| (now, why)));
    }

    async fn rotate(&mut self, kms: &Arc<Kms>, monotonic: Duration) {
        let looked = async {
            // While quiesced nothing changes, and that nothing changes is no failure.
            if kms.is_quiesced().await? || kms.due_rotations().await?.is_empty() {
                return Ok(None);
            }
            kms.rotate_due(&Actor::schedule()).await.map(Some)
        };
        let waiting = match looked.await {
            Ok(None) => {
                kms.note(|noted| noted.rotation_failures.clear());
                false
            }
            Ok(Some(report)) => kms.note_rotations(&report),
            Err(error) => {
                tracing::error!(%error, "whether a key must be rotated is unknown");
                true
            }
        };
        self.rotation_failures = if waiting { self.rotation_failures + 1 } else { 0 };
        if waiting {
            self.rotation_at = monotonic + retry_after(self.rotation_failures);
        }
    }
}

/// How long to wait for the first snapshot of a run: one that is overdue is made up once, at once. A last one from the future tells nothing.
fn wait_at_start(last: Option<Timestamp>, every: Duration, now: Timestamp) -> Duration {
    let age = last
        .filter(|last| *last <= now.saturating_add(CLOCK_TOLERANCE))
        .map(|last| Duration::try_from(now - last).unwrap_or_default());
    age.map_or(Duration::ZERO, |age| every.saturating_sub(age))
}

fn retry_after(failures: u32) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).unwrap_or(u32::MAX);
    RETRY_FIRST.saturating_mul(doubled).min(RETRY_LAST)
}

/// Whether the wall clock runs as the clock that never jumps.
#[derive(Debug, Default)]
struct Straight {
    last: Option<(Timestamp, Duration)>,
    since: Duration,
    jumped: Option<Timestamp>,
}

impl Straight {
    /// Takes both clocks; true once they have agreed for an hour.
    fn look(&mut self, now: Timestamp, monotonic: Duration) -> bool {
        let jumped = match self.last.replace((now, monotonic)) {
            None => true,
            Some((wall, steady)) => {
                let passed = time::Duration::try_from(monotonic.saturating_sub(steady)).unwrap_or(time::Duration::MAX);
                let jump = (now - wall).checked_sub(passed).unwrap_or(time::Duration::MAX);
                let jumped = jump.unsigned_abs() > CLOCK_TOLERANCE.unsigned_abs();
                if jumped {
                    tracing::warn!(
                        from = to_text(wall),
                        to = to_text(now),
                        "ALARM: the clock jumped; no key is rotated by its age for an hour"
                    );
                    self.jumped = Some(now);
                }
                jumped
            }
        };
        if jumped {
            self.since = monotonic;
        }
        monotonic.saturating_sub(self.since) >= STRAIGHT_FOR
    }
}

impl Kms {
    fn note(&self, note: impl FnOnce(&mut Noted)) {
        // Whoever panicked while it was locked left at worst an older note.
        note(&mut self.noted.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
    }

    /// Keeps that the clock jumped while a request waited.
    pub(super) fn note_clock_jump(&self, alarm: ServiceAlarm) {
        self.note(|noted| noted.clock_jump = Some(alarm));
    }

    /// The last jump of the clock while a request waited.
    pub(super) fn clock_jump(&self) -> Option<ServiceAlarm> {
        let mut jump = None;
        self.note(|noted| jump.clone_from(&noted.clock_jump));
        jump
    }

    /// Keeps why rotations wait, and logs it. Whether any does.
    fn note_rotations(&self, report: &RotationReport) -> bool {
        for WaitingRotation { group, why, .. } in &report.waiting {
            tracing::warn!(%group, why, "ALARM: a rotation is due and waits; the former key goes on serving");
        }
        let failures = report
            .waiting
            .iter()
            .map(|waiting| (waiting.group.clone(), waiting.why.clone()));
        self.note(|noted| noted.rotation_failures = failures.collect());
        !report.waiting.is_empty()
    }

    /// Keeps that a snapshot of the schedule failed, or not.
    pub(super) fn note_snapshot<T>(&self, now: Timestamp, made: &Result<T, ServiceError>) {
        let failure = made.as_ref().err().map(|error| {
            tracing::error!(%error, "ALARM: the service could not make a snapshot by itself");
            (now, error.to_string().lines().next().unwrap_or_default().to_owned())
        });
        self.note(|noted| noted.snapshot_failure = failure);
    }

    /// Ends when something is due sooner than by the clock.
    pub(super) async fn something_is_due(&self) {
        self.wake.notified().await;
    }

    pub(super) async fn is_quiesced(&self) -> Result<bool, ServiceError> {
        self.store.run(|session| Ok(quiesces::count(session)? > 0)).await
    }

    async fn last_of_schedule(&self) -> Result<Option<Timestamp>, ServiceError> {
        let Some(place) = self.snapshots.clone() else {
            return Ok(None);
        };
        let find = move |session: &mut super::store::Session<'_>| {
            let records = snapshots::newest(session, true, usize::MAX)?;
            Ok(records
                .into_iter()
                .find(|record| place.made(record))
                .map(|record| record.made))
        };
        self.store.run(find).await
    }

    /// What the status says of the schedule, of rotations that are due, and of what failed.
    pub(super) async fn upkeep_status(&self) -> Result<UpkeepStatus, ServiceError> {
        let due = self.due_rotations().await?;
        let schedule = match &self.snapshots {
            Some(place) => Some(schedule(place, self.last_of_schedule().await?)),
            None => None,
        };
        let mut status = UpkeepStatus {
            schedule,
            rotations: Vec::new(),
            alarms: Vec::new(),
        };
        self.note(|noted| {
            if let Some((at, why)) = &noted.snapshot_failure {
                status
                    .alarms
                    .push(format!("the snapshot of {} failed: {why}", to_text(*at)));
            }
            if let Some((at, why)) = &noted.reseal_failure {
                status.alarms.push(format!(
                    "the sealing of {} under the newest key protection key failed: {why}",
                    to_text(*at)
                ));
            }
            if let Some(jumped) = noted.jumped {
                let at = to_text(jumped);
                status.alarms.push(format!(
                    "the clock jumped to {at}; no key is rotated by its age until it has run straight for an hour"
                ));
            }
            for due in &due {
                let failure = noted.rotation_failures.get(&due.group);
                let why = failure.cloned().unwrap_or_else(|| due.why(self.snapshots.is_some()));
                if failure.is_some() || due.is_stuck(self.snapshots.is_some()) {
                    status
                        .alarms
                        .push(format!("the rotation of group {} waits: {why}", due.group));
                }
                status.rotations.push(due.waits(why));
            }
        });
        status.alarms.truncate(SHOWN);
        status.rotations.truncate(SHOWN);
        Ok(status)
    }
}

/// Alarms and rotations that a status names at most.
const SHOWN: usize = 20;

/// The part of a status that is about what the service does by itself.
pub(super) struct UpkeepStatus {
    pub(super) schedule: Option<SnapshotSchedule>,
    pub(super) rotations: Vec<WaitingRotation>,
    pub(super) alarms: Vec<String>,
}

fn schedule(place: &Snapshots, last: Option<Timestamp>) -> SnapshotSchedule {
    let every = place.every.duration();
    let next = last
        .zip(every)
        .and_then(|(last, every)| last.checked_add(every.try_into().ok()?));
    SnapshotSchedule {
        folder: place.folder.display().to_string(),
        every_seconds: every.map(|every| every.as_secs()),
        keep: place.keep.get(),
        last,
        next,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3600;

    fn at(hour: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::hours(hour)
    }

    #[test]
    fn a_clock_is_trusted_after_an_hour_and_again_an_hour_after_each_jump() {
        let mut straight = Straight::default();
        // Wall clock and steady clock, in hours.
        for (wall, steady, trusted) in [
            (100, 0, false),
            (101, 1, true),
            (102, 2, true),
            (9000, 3, false),
            (9001, 4, true),
            (50, 5, false),
            (51, 6, true),
            (75, 30, true),
        ] {
            let looked = straight.look(at(wall), Duration::from_secs(steady * HOUR));
            assert_eq!(looked, trusted, "{wall} at {steady}");
        }
    }

    #[test]
    fn an_overdue_snapshot_is_made_up_once_and_a_future_one_says_nothing() {
        let every = Duration::from_secs(24 * HOUR);
        for (last, now, wait) in [
            (None, 0, 0),
            (Some(0), 0, 24),
            (Some(0), 23, 1),
            (Some(0), 24, 0),
            (Some(0), 2400, 0),
            (Some(100), 50, 0),
        ] {
            let waits = wait_at_start(last.map(at), every, at(now));
            assert_eq!(waits, Duration::from_secs(wait * HOUR), "{last:?} {now}");
        }
    }

    #[test]
    fn tries_come_seldomer_up_to_six_hours() {
        let minutes: Vec<_> = (1..=9).map(|failures| retry_after(failures).as_secs() / 60).collect();
        assert_eq!(minutes, [5, 10, 20, 40, 80, 160, 320, 360, 360]);
        assert_eq!(retry_after(u32::MAX), RETRY_LAST);
    }
}
