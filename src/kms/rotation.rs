//! Rotation: a new key takes the place of a group's active one. By age, by command or by itself, always in the same three steps: the new key
//! is made prelive and noted as the group's next; a snapshot on another file system takes it up; it becomes active. The old key serves
//! until then. A kill between two steps leaves a next key that waits, and whoever rotates later goes on with that one.

use std::sync::Arc;

use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError};
use super::service::{Kms, existing, insert, make_move, survives_a_disk};
use super::store::groups::{self, Group};
use super::store::keys::{self, StoredKey};
use super::store::{Session, StoreError};
use crate::clock::{Timestamp, to_text};
use crate::kad::KeyId;
use crate::kms_api::{
    GroupName, GroupRecord, KeyMove, KeyName, KeyOrigin, KeyState, MoveKey, PAGE_RECORDS_MAX, ROTATE_AFTER_DAYS_MAX,
    RotateAfter, RotateGroup, RotationReport, SetRotation, WaitingRotation,
};

impl Kms {
    /// Sets the age at which a group's active key is rotated.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, an age out of bounds.
    pub async fn set_rotation(
        &self,
        actor: &Actor,
        group: GroupName,
        to: SetRotation,
    ) -> Result<GroupRecord, ServiceError> {
        let mut event = Event::new(actor, Action::SetRotation);
        event.group = Some(group.to_string());
        event.detail = Some(match to.rotate_after {
            RotateAfter::Never => "never".to_owned(),
            RotateAfter::Days(days) => format!("after {days} days"),
        });
        let work = move |session: &Session<'_>, _: &mut Event| {
            let rotate_after_days = match to.rotate_after {
                RotateAfter::Never => None,
                RotateAfter::Days(days @ 1..=ROTATE_AFTER_DAYS_MAX) => Some(days),
                RotateAfter::Days(days) => return Err(Refusal::RotationAge { days }.into()),
            };
            let found = existing(session, &group)?;
            let record = GroupRecord {
                rotate_after_days,
                ..found.record.clone()
            };
            Ok(found.changed(session, record)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Makes a key and makes it active. Where the asker accepts a single copy that is one transaction; else it is the three steps, which go
    /// on to their end also if the asker goes away.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, name taken, no place for a snapshot; the snapshot's errors. The former key is then still active.
    pub async fn rotate_group(
        self: &Arc<Self>,
        actor: &Actor,
        group: GroupName,
        wanted: RotateGroup,
    ) -> Result<KeyMove, ServiceError> {
        if wanted.single_copy || self.snapshots.is_none() {
            return self.rotate_at_once(actor, group, wanted).await;
        }
        let (kms, actor) = (self.clone(), actor.clone());
        let rotating = tokio::spawn(async move {
            let _alone = kms.rotating.lock().await;
            let waiting = kms.begin_rotation(&actor, group, wanted.name).await?;
            if !waiting.kept {
                kms.snapshot_to_schedule(&actor).await?;
            }
            kms.finish_rotation(&actor, waiting.key_id).await
        });
        rotating.await.map_err(|_| StoreError::Stopped)?
    }

    /// Carries out every rotation that is due or was begun, with one snapshot for all of them.
    ///
    /// # Errors
    /// The store's. What stands in the way of a rotation is in the report.
    pub async fn rotate_due(self: &Arc<Self>, actor: &Actor) -> Result<RotationReport, ServiceError> {
        let (kms, actor) = (self.clone(), actor.clone());
        let rotating = tokio::spawn(async move { kms.rotate_all_due(&actor).await });
        rotating.await.map_err(|_| StoreError::Stopped)?
    }

    async fn rotate_all_due(self: &Arc<Self>, actor: &Actor) -> Result<RotationReport, ServiceError> {
        let _alone = self.rotating.lock().await;
        let mut report = RotationReport {
            rotated: Vec::new(),
            waiting: Vec::new(),
        };
        let mut begun = Vec::new();
        for due in self.due_rotations().await? {
            let why = match (&due.obstacle, &self.snapshots) {
                (Some(obstacle), _) => Some(obstacle.clone()),
                (None, None) => Some(NO_PLACE.to_owned()),
                (None, Some(_)) => match self.begin_rotation(actor, due.group.clone(), None).await {
                    Ok(waiting) => {
                        begun.push((due.clone(), waiting));
                        None
                    }
                    Err(error) => Some(first_line(&error)),
                },
            };
            report.waiting.extend(why.map(|why| due.waits(why)));
        }
        let mut missing = None;
        if begun.iter().any(|(_, waiting)| !waiting.kept) {
            missing = self
                .snapshot_to_schedule(actor)
                .await
                .err()
                .map(|error| first_line(&error));
        }
        for (due, waiting) in begun {
            let finished = match &missing {
                Some(why) if !waiting.kept => Err(why.clone()),
                _ => self
                    .finish_rotation(actor, waiting.key_id)
                    .await
                    .map_err(|error| first_line(&error)),
            };
            match finished {
                Ok(moved) => report.rotated.push(moved),
                Err(why) => report.waiting.push(WaitingRotation {
                    key: Some(waiting.name),
                    ..due.waits(why)
                }),
            }
        }
        Ok(report)
    }

    /// The rotations that are due or begun, at most a page of them: the rest waits for the next look.
    pub(super) async fn due_rotations(&self) -> Result<Vec<Due>, ServiceError> {
        let look = |session: &mut Session<'_>| {
            let (mut due, mut after) = (Vec::new(), String::new());
            while due.len() < PAGE_RECORDS_MAX {
                let page = groups::rotated_by_age(session, &after, PAGE_RECORDS_MAX)?;
                let Some(last) = page.last() else { break };
                after = last.record.name.to_string();
                for group in &page {
                    due.extend(look_at(session, group)?);
                }
            }
            Ok(due)
        };
        self.store.run(look).await
    }

    async fn rotate_at_once(
        &self,
        actor: &Actor,
        group: GroupName,
        wanted: RotateGroup,
    ) -> Result<KeyMove, ServiceError> {
        let mut event = Event::new(actor, Action::RotateGroup);
        event.group = Some(group.to_string());
        let accepted = if wanted.single_copy {
            ", single copy accepted"
        } else {
            ""
        };
        event.detail = Some(format!("to active{accepted}"));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let group = existing(session, &group)?;
            if !wanted.single_copy {
                // The new key cannot be in any snapshot yet, and there is no place to make one.
                let group = group.record.name;
                return Err(Refusal::RotatedSingleCopy { group }.into());
            }
            let (group, stored) = next_key(session, group, wanted.name)?;
            event.key_id = Some(stored.record.id);
            activate(session, &group, &stored, true)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    async fn begin_rotation(
        &self,
        actor: &Actor,
        group: GroupName,
        name: Option<KeyName>,
    ) -> Result<Waiting, ServiceError> {
        let mut event = Event::new(actor, Action::BeginRotation);
        event.group = Some(group.to_string());
        let work = move |session: &Session<'_>, event: &mut Event| {
            let (_, stored) = next_key(session, existing(session, &group)?, name)?;
            event.key_id = Some(stored.record.id);
            Ok(Waiting {
                key_id: stored.record.id,
                kept: survives_a_disk(session, &stored)?,
                name: stored.record.name,
            })
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    async fn finish_rotation(&self, actor: &Actor, key: KeyId) -> Result<KeyMove, ServiceError> {
        let mut event = Event::new(actor, Action::RotateGroup);
        event.key_id = Some(key);
        event.detail = Some("to active".to_owned());
        let work = move |session: &Session<'_>, event: &mut Event| {
            // By its id: the group may have another name by now.
            let stored = keys::by_id(session, key)?.ok_or(Refusal::RotationOvertaken { key })?;
            let group = existing(session, &stored.record.group)?;
            event.group = Some(group.record.name.to_string());
            match waiting_key(session, &group)? {
                Some(waiting) if waiting.record.id == key => activate(session, &group, &waiting, false),
                _ => Err(Refusal::RotationOvertaken { key }.into()),
            }
        };
        self.store.run(move |session| session.audited(event, work)).await
    }
}

/// A next key that was made and is not active yet.
struct Waiting {
    key_id: KeyId,
    name: KeyName,
    kept: bool,
}

/// A rotation that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Due {
    pub(super) group: GroupName,
    /// Since when; none if it was begun by command.
    since: Option<Timestamp>,
    /// The key that was made for it.
    key: Option<KeyName>,
    /// Why it cannot be carried out without a person.
    obstacle: Option<String>,
}

impl Due {
    pub(super) fn waits(&self, why: String) -> WaitingRotation {
        WaitingRotation {
            group: self.group.clone(),
            key: self.key.clone(),
            due: self.since,
            why,
        }
    }

    /// Whether only a person can get it going.
    pub(super) fn is_stuck(&self, has_place: bool) -> bool {
        self.obstacle.is_some() || !has_place
    }

    /// Why it has not been carried out yet, as far as that can be told without trying.
    pub(super) fn why(&self, has_place: bool) -> String {
        match &self.obstacle {
            Some(obstacle) => obstacle.clone(),
            None if !has_place => NO_PLACE.to_owned(),
            None if self.key.is_some() => "a snapshot on another file system must hold the new key first".to_owned(),
            None => "the service has not got to it yet".to_owned(),
        }
    }
}

const NO_PLACE: &str = "kms.toml has no [snapshots] folder on another file system, and no other copy holds a new key";

/// Whether a rotation of `group` is due or begun.
fn look_at(session: &Session<'_>, group: &Group) -> Result<Option<Due>, ServiceError> {
    let active = keys::active(session, group)?;
    let waiting = waiting_key(session, group)?;
    let mut due = Due {
        group: group.record.name.clone(),
        since: None,
        key: waiting.map(|stored| stored.record.name),
        obstacle: None,
    };
    let (Some(days), Some(active)) = (group.record.rotate_after_days, active) else {
        return Ok(due.key.is_some().then_some(due));
    };
    let activated = active.record.activated.unwrap_or(active.record.created);
    match age(activated, days, session.now) {
        Age::Due(since) => due.since = Some(since),
        Age::Young if due.key.is_some() => {}
        Age::Young => return Ok(None),
        Age::Unknown => {
            due.obstacle = Some(format!(
                "key {} became active at {}, which is yet to come: is the clock right? tapekey kms key rotate {} rotates all the same",
                active.record.name,
                to_text(activated),
                due.group
            ));
        }
    }
    if due.key.is_none() && active.record.origin == KeyOrigin::Passphrase {
        due.obstacle = Some(format!(
            "key {} is of a passphrase, and a key drawn at random would not come back with one: make the next one with tapekey kms key create {} --passphrase",
            active.record.name, due.group
        ));
    }
    Ok(Some(due))
}

/// How old an active key is, against the age at which it is rotated.
#[derive(Debug, PartialEq, Eq)]
enum Age {
    Young,
    /// Since then.
    Due(Timestamp),
    /// It became active in the future: the clock was ahead, or is behind.
    Unknown,
}

fn age(activated: Timestamp, days: u32, now: Timestamp) -> Age {
    let due = activated.checked_add(time::Duration::days(days.into()));
    match due {
        _ if activated > now.saturating_add(CLOCK_TOLERANCE) => Age::Unknown,
        Some(due) if due <= now => Age::Due(due),
        _ => Age::Young,
    }
}

/// Clocks of one host differ from themselves by less.
pub(super) const CLOCK_TOLERANCE: time::Duration = time::Duration::minutes(5);

/// The key that was made as the group's next and is still to become active.
fn waiting_key(session: &Session<'_>, group: &Group) -> Result<Option<StoredKey>, ServiceError> {
    let Some(id) = group.next_key else {
        return Ok(None);
    };
    // Somebody may have moved it away, deleted it, or given it another state: then it is not waiting any more.
    let still_waits =
        |stored: &StoredKey| stored.record.state == KeyState::Prelive && stored.record.group == group.record.name;
    Ok(keys::by_id(session, id)?.filter(still_waits))
}

/// The key that waits, or a new one that is noted as the group's next.
fn next_key(session: &Session<'_>, group: Group, name: Option<KeyName>) -> Result<(Group, StoredKey), ServiceError> {
    if let Some(waiting) = waiting_key(session, &group)? {
        if name.is_some_and(|name| name != waiting.record.name) {
            let (group, key) = (waiting.record.group, waiting.record.name);
            return Err(Refusal::RotationUnderWay { group, key }.into());
        }
        return Ok((group, waiting));
    }
    let stored = insert(session, &group, name, "")?;
    let group = group.with_next_key(session, Some(stored.record.id))?;
    Ok((group, stored))
}

fn activate(
    session: &Session<'_>,
    group: &Group,
    stored: &StoredKey,
    single_copy: bool,
) -> Result<KeyMove, ServiceError> {
    let to = MoveKey {
        state: KeyState::Active,
        single_copy,
    };
    let moved = make_move(session, group, stored, &to)?;
    group.with_next_key(session, None)?;
    Ok(moved)
}

fn first_line(error: &ServiceError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_due_at_its_age_and_one_from_the_future_has_none() {
        let at = |day: i64| Timestamp::UNIX_EPOCH + time::Duration::days(day);
        for (activated, days, now, expected) in [
            (0, 90, 0, Age::Young),
            (0, 90, 89, Age::Young),
            (0, 90, 90, Age::Due(at(90))),
            (0, 90, 5000, Age::Due(at(90))),
            (1, 90, 0, Age::Unknown),
            (400, 1, 0, Age::Unknown),
        ] {
            assert_eq!(age(at(activated), days, at(now)), expected, "{activated} {days} {now}");
        }
        assert_eq!(
            age(at(0) + time::Duration::MINUTE, 1, at(0)),
            Age::Young,
            "clocks are slewed"
        );
        let last = time::PrimitiveDateTime::MAX.assume_utc();
        assert_eq!(age(last, ROTATE_AFTER_DAYS_MAX, last), Age::Young);
    }
}
