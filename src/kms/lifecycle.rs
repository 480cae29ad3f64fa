//! Names, notes and places of groups and keys. Nothing here touches a key's bytes or id, so whatever is on tape finds its key as before; each
//! change seals the record anew, since every field is bound into its seal.

use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError, check_description};
use super::service::{Kms, check_new, check_purpose, existing};
use super::store::Session;
use super::store::groups::{self, Group};
use super::store::keys::{self, StoredKey};
use crate::kms_api::{
    Describe, GroupName, GroupRecord, KeyName, KeyRecord, KeyState, MoveKeyToGroup, Purpose, RenameGroup, RenameKey,
};

impl Kms {
    /// Gives a group another name. Its keys stay in it; hosts ask for it by the new name.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, no `ENCR_`, name taken, keys of an external server were given out for it.
    pub async fn rename_group(
        &self,
        actor: &Actor,
        group: GroupName,
        to: RenameGroup,
    ) -> Result<GroupRecord, ServiceError> {
        let mut event = about_group(actor, Action::RenameGroup, &group);
        event.detail = Some(format!("to {}", to.name));
        let work = move |session: &Session<'_>, _: &mut Event| {
            // A name that begins with ENCR_ is a promise, in either direction.
            check_purpose(Purpose::of(&group), &to.name)?;
            let found = existing(session, &group)?;
            if to.name == group {
                return Ok(found.record);
            }
            if found.released_outside {
                return Err(Refusal::ReleasedOutside { group }.into());
            }
            if groups::by_name(session, &to.name)?.is_some() {
                return Err(Refusal::GroupExists { group: to.name }.into());
            }
            let renamed = GroupRecord {
                name: to.name,
                ..found.record.clone()
            };
            Ok(found.changed(session, renamed)?.record)
        };
        let renamed = self.store.run(move |session| session.audited(event, work)).await?;
        // It may be bound to a server under its name.
        self.take_up_now().await;
        Ok(renamed)
    }

    /// Gives a group another note.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, description.
    pub async fn describe_group(
        &self,
        actor: &Actor,
        group: GroupName,
        to: Describe,
    ) -> Result<GroupRecord, ServiceError> {
        let mut event = about_group(actor, Action::DescribeGroup, &group);
        event.detail = Some(quoted(&to.description));
        let work = move |session: &Session<'_>, _: &mut Event| {
            check_description(&to.description)?;
            let found = existing(session, &group)?;
            let described = GroupRecord {
                description: to.description,
                ..found.record.clone()
            };
            Ok(found.changed(session, described)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Gives a key another name.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or key, name taken.
    pub async fn rename_key(
        &self,
        actor: &Actor,
        key: (GroupName, KeyName),
        to: RenameKey,
    ) -> Result<KeyRecord, ServiceError> {
        let mut event = about_group(actor, Action::RenameKey, &key.0);
        event.detail = Some(format!("{} to {}", key.1, to.name));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let (group, stored) = existing_key(session, key, event)?;
            if to.name == stored.record.name {
                return Ok(stored.record);
            }
            check_new(session, &group, Some(&to.name), "")?;
            let renamed = KeyRecord {
                name: to.name,
                ..stored.record.clone()
            };
            Ok(stored.relabelled(session, renamed)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Gives a key another note.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or key, description.
    pub async fn describe_key(
        &self,
        actor: &Actor,
        key: (GroupName, KeyName),
        to: Describe,
    ) -> Result<KeyRecord, ServiceError> {
        let mut event = about_group(actor, Action::DescribeKey, &key.0);
        event.detail = Some(format!("{} {}", key.1, quoted(&to.description)));
        let work = move |session: &Session<'_>, event: &mut Event| {
            check_description(&to.description)?;
            let (_, stored) = existing_key(session, key, event)?;
            let described = KeyRecord {
                description: to.description,
                ..stored.record.clone()
            };
            Ok(stored.relabelled(session, described)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Puts a key into another group of the same kind. Volumes written under it are restored as before. An active key stays where it is: its
    /// group would write nothing from one moment to the next.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or key, active, the other kind, name taken there.
    pub async fn move_key_to_group(
        &self,
        actor: &Actor,
        key: (GroupName, KeyName),
        to: MoveKeyToGroup,
    ) -> Result<KeyRecord, ServiceError> {
        let mut event = about_group(actor, Action::MoveKeyToGroup, &key.0);
        event.detail = Some(format!(
            "{} to {}/{}",
            key.1,
            to.group,
            to.name.as_ref().unwrap_or(&key.1)
        ));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let (group, stored) = existing_key(session, key, event)?;
            let target = existing(session, &to.group)?;
            let name = to.name.unwrap_or_else(|| stored.record.name.clone());
            if to.group == group.record.name && name == stored.record.name {
                return Ok(stored.record);
            }
            check_may_leave(&stored, &target)?;
            check_new(session, &target, Some(&name), "")?;
            Ok(stored.moved_into(session, &target, name)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }
}

fn check_may_leave(stored: &StoredKey, target: &Group) -> Result<(), Refusal> {
    let (group, key) = (stored.record.group.clone(), stored.record.name.clone());
    if stored.record.state == KeyState::Active {
        return Err(Refusal::ActiveStays { group, key });
    }
    if stored.kind != target.record.kind {
        let to = target.record.name.clone();
        return Err(Refusal::OtherKind { group, key, to });
    }
    Ok(())
}

fn existing_key(
    session: &Session<'_>,
    (group, name): (GroupName, KeyName),
    event: &mut Event,
) -> Result<(Group, StoredKey), ServiceError> {
    let found = existing(session, &group)?;
    let stored = keys::by_name(session, &found, &name)?.ok_or(Refusal::NoSuchKey { group, key: name })?;
    event.key_id = Some(stored.record.id);
    Ok((found, stored))
}

fn about_group(actor: &Actor, action: Action, group: &GroupName) -> Event {
    let mut event = Event::new(actor, action);
    event.group = Some(group.to_string());
    event
}

/// A note as the audit record has it, also one that is refused.
fn quoted(description: &str) -> String {
    const SHOWN: usize = 300;
    let shown: String = description.escape_debug().take(SHOWN).collect();
    format!("to \"{shown}\"")
}
