//! The counts at work: each release is counted inside its own transaction, unusual ones are said and written down, and what is usual is learnt
//! from the audit chain after a start.

use std::sync::{Mutex, MutexGuard, PoisonError};

use time::Duration;

use super::{Counted, ReleaseAlarm, ReleaseLimits, Releases, release_of};
use crate::clock::Timestamp;
use crate::kms::audit::{Action, Actor, AuditRecord, Event, look};
use crate::kms::model::{Refusal, ServiceError};
use crate::kms::service::Kms;

/// The counts, shared by the store's thread and those who ask.
pub(in crate::kms) struct ReleaseWatch(Mutex<Releases>);

impl ReleaseWatch {
    pub(in crate::kms) fn new() -> Self {
        Self(Mutex::new(Releases::new(ReleaseLimits::default())))
    }

    fn releases(&self) -> MutexGuard<'_, Releases> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts `event` if keys leave with it; alarms that this raises, each an event to be written after it.
    ///
    /// # Errors
    /// [`Refusal::ReleasesStopped`]: then they must not leave.
    pub(in crate::kms) fn count(&self, event: &Event, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let key_id = event.key_id.map(|id| id.to_string());
        let fields = (key_id.as_deref(), event.volume.as_deref(), event.detail.as_deref());
        let release = release_of(&event.actor.subject, event.action.name(), &event.outcome, fields);
        let Some(release) = release else { return Ok(Vec::new()) };
        match self.releases().count(&release, now) {
            Counted::Usual => Ok(Vec::new()),
            Counted::Stopped { limit } => Err(Refusal::ReleasesStopped { limit }),
            Counted::Unusual(alarms) => Ok(alarms.iter().map(event_of).collect()),
        }
    }
}

fn event_of(alarm: &ReleaseAlarm) -> Event {
    tracing::error!(
        subject = alarm.subject,
        volumes = alarm.volumes,
        usual_at_most = alarm.usual_at_most,
        "ALARM: {alarm}"
    );
    let mut event = Event::new(&Actor::service(), Action::ReleaseAlarm);
    event.detail = Some(alarm.to_string());
    event
}

impl Kms {
    /// Sets from how many releases on they are unusual, and beyond how many they stop.
    pub fn limit_releases(&self, limits: ReleaseLimits) {
        self.store.releases().releases().limits = limits;
    }

    /// What was unusual within the last day.
    pub(in crate::kms) fn release_alarms(&self, now: Timestamp) -> Vec<ReleaseAlarm> {
        self.store.releases().releases().alarms(now)
    }

    /// Learns from the audit chain of this node what was usual in the last thirty days: a page at a time, while the service serves.
    pub(in crate::kms) async fn learn_releases(&self, now: Timestamp) {
        let limits = self.store.releases().releases().limits.clone();
        match self.learnt(Releases::new(limits), now).await {
            Ok(learnt) => self.store.releases().releases().learn(learnt),
            Err(error) => {
                tracing::error!(%error, "how many releases of keys are usual is unknown; alarms go by kms.toml alone");
            }
        }
    }

    async fn learnt(&self, mut learnt: Releases, now: Timestamp) -> Result<Releases, ServiceError> {
        let since = now - Duration::days(30);
        let mut after = self.store.run(move |session| Ok(look::before(session, since)?)).await?;
        loop {
            let page = self
                .store
                .run(move |session| Ok(look::page(session.database(), session.head().node, after)?))
                .await?;
            let Some(last) = page.back() else { return Ok(learnt) };
            after = last.sequence;
            page.iter().for_each(|record| recount(&mut learnt, record));
        }
    }
}

fn recount(learnt: &mut Releases, record: &AuditRecord) {
    let fields = (
        record.key_id.as_deref(),
        record.volume.as_deref(),
        record.detail.as_deref(),
    );
    if let Some(release) = release_of(&record.subject, &record.action, &record.outcome, fields) {
        // It was released: what a limit of today would say to it is of no interest.
        let _ = learnt.count(&release, record.time);
    }
}
