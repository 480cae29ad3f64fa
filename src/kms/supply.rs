//! Keys that the KMS does not draw: made of a passphrase elsewhere, or brought from other software. Imports go into as-is groups alone.

use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError};
use super::service::{Kms, check_new, existing};
use super::store::Session;
use super::store::foreign::{holders, without_trace};
use super::store::groups::Group;
use super::store::keys::{self, NewKey};
use crate::entropy::random_bytes;
use crate::kad::{KeyId, KeyKind, without_padding};
use crate::kms_api::{
    CreatePassphraseKey, GroupName, IMPORT_KEYS_MAX, ImportKeys, ImportOutcome, ImportReport, ImportedKey, KeyOrigin,
    KeyRecord, KeyState,
};
use crate::secret::DataKey;

impl Kms {
    /// Keeps a key that was made of a passphrase, prelive.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, name or id taken, description.
    pub async fn create_passphrase_key(
        &self,
        actor: &Actor,
        group: GroupName,
        wanted: CreatePassphraseKey,
    ) -> Result<KeyRecord, ServiceError> {
        let mut event = Event::new(actor, Action::CreatePassphraseKey);
        event.group = Some(group.to_string());
        event.key_id = Some(wanted.id);
        event.detail = wanted.weak.then(|| "weak passphrase accepted".to_owned());
        let work = move |session: &Session<'_>, _: &mut Event| {
            let group = existing(session, &group)?;
            check_new(session, &group, wanted.name.as_ref(), &wanted.description)?;
            if let Some(taken) = keys::by_id(session, wanted.id)? {
                return Err(Refusal::KeyIdExists {
                    id: wanted.id,
                    group: taken.record.group,
                    key: taken.record.name,
                }
                .into());
            }
            let new = NewKey {
                id: wanted.id,
                name: wanted.name,
                description: &wanted.description,
                origin: KeyOrigin::Passphrase,
                state: KeyState::Prelive,
                foreign_kad: None,
            };
            Ok(keys::insert(session, &group, new, &wanted.key)?.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Imports keys of other software, all that are new or none; or says what that would do.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, a group that derives, a name taken, description, number of keys.
    pub async fn import_keys(
        &self,
        actor: &Actor,
        group: GroupName,
        wanted: ImportKeys,
    ) -> Result<ImportReport, ServiceError> {
        let mut event = Event::new(actor, Action::ImportKeys);
        event.group = Some(group.to_string());
        event.detail = Some(format!("{} keys", wanted.keys.len()));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let group = existing(session, &group)?;
            check_import(&group, &wanted.keys)?;
            let keys = if wanted.commit {
                import(session, &group, &wanted.keys)?
            } else {
                without_trace(session, || import(session, &group, &wanted.keys))?
            };
            let report = ImportReport {
                committed: wanted.commit,
                keys,
            };
            event.outcome = outcome(&report);
            Ok(report)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }
}

fn check_import(group: &Group, keys: &[ImportedKey]) -> Result<(), Refusal> {
    if group.record.kind != KeyKind::AsIs {
        return Err(Refusal::ImportIntoDerived {
            group: group.record.name.clone(),
        });
    }
    if !(1..=IMPORT_KEYS_MAX).contains(&keys.len()) {
        return Err(Refusal::ImportSize { found: keys.len() });
    }
    let is_empty = |key: &ImportedKey| {
        key.foreign_kad
            .as_deref()
            .is_some_and(|kad| without_padding(kad).is_empty())
    };
    match keys.iter().position(is_empty) {
        Some(index) => Err(Refusal::EmptyKad { number: index + 1 }),
        None => Ok(()),
    }
}

fn import(session: &Session<'_>, group: &Group, keys: &[ImportedKey]) -> Result<Vec<ImportOutcome>, ServiceError> {
    let bytes: Vec<&DataKey> = keys.iter().map(|key| &key.key).collect();
    let same_keys = holders(session, &bytes)?;
    let mut outcomes = Vec::new();
    for (index, (key, same_key)) in keys.iter().zip(same_keys).enumerate() {
        let mut earlier = keys.iter().take(index);
        let outcome = if let Some(same) = same_key {
            ImportOutcome::SameKey {
                group: same.record.group,
                name: same.record.name,
            }
        } else if earlier.any(|other| other.key == key.key || (key.id.is_some() && other.id == key.id)) {
            ImportOutcome::Repeated
        } else {
            import_one(session, group, key)?
        };
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn import_one(session: &Session<'_>, group: &Group, key: &ImportedKey) -> Result<ImportOutcome, ServiceError> {
    let id = match key.id {
        Some(id) => id,
        None => KeyId::from_random(random_bytes(session.entropy)?),
    };
    if let Some(same) = keys::by_id(session, id)? {
        return Ok(ImportOutcome::SameId {
            group: same.record.group,
            name: same.record.name,
        });
    }
    check_new(session, group, key.name.as_ref(), &key.description)?;
    let new = NewKey {
        id,
        name: key.name.clone(),
        description: &key.description,
        origin: KeyOrigin::Imported,
        // It is there to read what other software wrote; to write under it, it must pass the same check as any other key.
        state: KeyState::Inactive,
        foreign_kad: key.foreign_kad.clone(),
    };
    Ok(ImportOutcome::New(keys::insert(session, group, new, &key.key)?.record))
}

fn outcome(report: &ImportReport) -> String {
    let new: Vec<String> = report
        .keys
        .iter()
        .filter_map(|outcome| match outcome {
            ImportOutcome::New(record) => Some(record.id.to_string()),
            _ => None,
        })
        .collect();
    let skipped = report.keys.len() - new.len();
    if report.committed {
        format!("done: {} imported, {skipped} skipped; {}", new.len(), new.join(" "))
    } else {
        format!("preview: {} new, {skipped} to be skipped", new.len())
    }
}
