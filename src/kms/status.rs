//! How the service as a whole is, quiesce and unquiesce, and the alarm about keys that are on one disk only.

use std::sync::Arc;
use std::time::Duration;

use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError};
use super::requests;
use super::service::Kms;
use super::store::{StoreError, quiesces, snapshots, statistics};
use super::upkeep::UpkeepStatus;
use crate::clock::{Clock, Timestamp};
use crate::kms_api::{AdminRequest, ServiceAlarm, ServiceStatus};

/// Keys, and quiesces, that a status names.
const EXAMPLES: usize = 10;

/// Time between two alarms about keys in no snapshot.
const ALARM_EVERY: Duration = Duration::from_secs(24 * 3600);

/// What is due now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due {
    /// What is done once after the start.
    pub(super) first: bool,
    /// What is done at the start and then daily.
    pub(super) daily: bool,
}

/// Says when the alarm is due: at the start and then daily. Goes by a clock that never jumps.
#[derive(Debug, Default)]
pub(super) struct Daily {
    last: Option<Duration>,
}

impl Daily {
    /// What is due at `now`.
    pub(super) fn due(&mut self, now: Duration) -> Due {
        let first = self.last.is_none();
        Due {
            first,
            daily: self.is_due(now),
        }
    }

    /// Whether it is due at `now`; if so, the next time is a day later.
    fn is_due(&mut self, now: Duration) -> bool {
        let due = self.last.is_none_or(|last| now.saturating_sub(last) >= ALARM_EVERY);
        if due {
            self.last = Some(now);
        }
        due
    }
}

impl Kms {
    /// How the service is.
    ///
    /// # Errors
    /// The store's.
    pub async fn status(self: &Arc<Self>) -> Result<ServiceStatus, ServiceError> {
        let kms = self.clone();
        // It looks at every key's row: not on the thread that serves.
        let now = self.clock.now();
        let looked = tokio::task::spawn_blocking(move || {
            let looking = kms.store.look()?;
            Ok::<_, StoreError>((
                snapshots::uncovered(kms.store.place(), EXAMPLES)?,
                statistics::keys_by_state(&*looking)?,
                statistics::releases(&*looking, now)?,
            ))
        });
        let (looked, keys_by_state, statistics) = looked.await.map_err(|_| StoreError::Stopped)??;
        let (store, last_snapshot, count, quiesced_by, requests) = self
            .store
            .run(|session| {
                Ok((
                    snapshots::store_id(session)?,
                    snapshots::newest(session, true, 1)?.pop(),
                    quiesces::count(session)?,
                    quiesces::oldest(session, EXAMPLES)?,
                    requests::shown(session, true)?,
                ))
            })
            .await?;
        let UpkeepStatus {
            schedule,
            rotations,
            mut alarms,
        } = self.upkeep_status().await?;
        let servers = self.selection.servers();
        let unusable = servers
            .iter()
            .filter_map(|server| Some((&server.name, server.failure.as_ref()?)));
        alarms.extend(unusable.map(|(name, why)| format!("external server {name} cannot be used: {why}")));
        let stopped = self.selection.stopped();
        alarms.extend(
            stopped.map(|why| format!("backups wait, since which external servers there are is unknown: {why}")),
        );
        Ok(ServiceStatus {
            store: store.to_string(),
            keys: looked.keys,
            keys_in_no_snapshot: looked.uncovered,
            examples: looked.examples,
            keys_by_state,
            statistics,
            servers,
            last_snapshot,
            quiesces: count,
            quiesced_by,
            schedule,
            rotations,
            alarms,
            security_alarms: self.security_alarms(&requests, now),
            requests,
            seal: Some(self.seal_status().await?),
            certificates: self.certificate_dates().await?,
        })
    }

    fn security_alarms(&self, open: &[AdminRequest], now: Timestamp) -> Vec<ServiceAlarm> {
        let releases = self.release_alarms(now).into_iter().map(|alarm| ServiceAlarm {
            at: alarm.at,
            text: alarm.to_string(),
            hint: "look into the audit log; if it was a theft, revoke that certificate; what is usual is set under releases in kms.toml"
                .to_owned(),
        });
        let jump = self.clock_jump();
        releases.chain(requests::alarms(open, jump.as_ref(), now)).collect()
    }

    /// Does what is due from time to time; called once a minute, at first when the service begins to serve.
    pub(super) async fn do_what_is_due(self: &Arc<Self>, due: Due, clock: &dyn Clock) {
        if due.first {
            self.learn_releases(clock.now()).await;
        }
        if due.daily {
            self.alarm_about_single_copies().await;
            self.alarm_about_certificates().await;
        }
    }

    /// Forbids changes of groups and keys until it is taken back, also over a restart. Keys are given out all the same.
    ///
    /// # Errors
    /// The store's.
    pub async fn quiesce(self: &Arc<Self>, actor: &Actor) -> Result<ServiceStatus, ServiceError> {
        let (event, actor) = (Event::new(actor, Action::Quiesce), actor.clone());
        self.store
            .run(move |session| session.audited(event, |session, _| Ok(quiesces::add(session, &actor)?)))
            .await?;
        self.status().await
    }

    /// Takes one quiesce back, the asker's own if there is one.
    ///
    /// # Errors
    /// [`Refusal::NotQuiesced`].
    pub async fn unquiesce(self: &Arc<Self>, actor: &Actor) -> Result<ServiceStatus, ServiceError> {
        let (event, actor) = (Event::new(actor, Action::Unquiesce), actor.clone());
        let work = move |session: &super::store::Session<'_>, _: &mut Event| {
            if quiesces::take_back(session, &actor)? {
                Ok(())
            } else {
                Err(Refusal::NotQuiesced.into())
            }
        };
        self.store.run(move |session| session.audited(event, work)).await?;
        self.status().await
    }

    /// Logs how many keys are in no snapshot, if any are.
    pub async fn alarm_about_single_copies(self: &Arc<Self>) {
        match self.status().await {
            Ok(status) if status.keys_in_no_snapshot > 0 => tracing::warn!(
                keys = status.keys_in_no_snapshot,
                of = status.keys,
                examples = status.examples.join(" "),
                "ALARM: keys are in no snapshot on another file system and are lost if this disk dies; run tapekey kms snapshot create"
            ),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "whether every key is in a snapshot is unknown"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alarm_is_due_at_the_start_and_then_once_a_day() {
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        let mut daily = Daily::default();
        let due: Vec<_> = [0, 1, 23, 24, 25, 47, 48, 200, 201]
            .into_iter()
            .filter(|hour| daily.is_due(hours(*hour)))
            .collect();
        assert_eq!(due, [0, 24, 48, 200]);
    }
}
