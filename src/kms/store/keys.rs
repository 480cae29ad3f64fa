//! Data keys in the store, each sealed on its own; a changed field is a new seal. Reading a record does not open it, using it does.

use super::groups::{self, Group, kind_name};
use super::keyring::seal;
use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::entropy::random_bytes;
use crate::kad::{KeyId, KeyKind, without_padding};
use crate::kms::seal::Fields;
use crate::kms_api::{GroupName, KeyName, KeyOrigin, KeyRecord, KeyState, PAGE_RECORDS_MAX};
use crate::secret::{DataKey, Sealed};

/// A key as it is stored: still sealed.
#[derive(Debug, Clone)]
pub(in crate::kms) struct StoredKey {
    /// What the world sees.
    pub(in crate::kms) record: KeyRecord,
    /// How keys on drives follow from it: the group's kind, bound into the seal.
    pub(in crate::kms) kind: KeyKind,
    group_id: KeyId,
    sealed_under: KeyId,
    sealed: Sealed,
}

/// What a new key is to be, besides its bytes.
pub(in crate::kms) struct NewKey<'a> {
    pub(in crate::kms) id: KeyId,
    /// Without one, one is made from the date and the id.
    pub(in crate::kms) name: Option<KeyName>,
    pub(in crate::kms) description: &'a str,
    pub(in crate::kms) origin: KeyOrigin,
    pub(in crate::kms) state: KeyState,
    pub(in crate::kms) foreign_kad: Option<Vec<u8>>,
}

/// Draws a key and adds it to `group`, prelive.
pub(in crate::kms) fn insert_random(
    session: &Session<'_>,
    group: &Group,
    name: Option<KeyName>,
    description: &str,
) -> Result<StoredKey, StoreError> {
    let new = NewKey {
        id: KeyId::from_random(random_bytes(session.entropy)?),
        name,
        description,
        origin: KeyOrigin::Random,
        state: KeyState::Prelive,
        foreign_kad: None,
    };
    let data_key = DataKey::generate(session.entropy)?;
    insert(session, group, new, &data_key)
}

/// Adds `data_key` to `group`. The caller has checked that id and name are free.
pub(in crate::kms) fn insert(
    session: &Session<'_>,
    group: &Group,
    new: NewKey<'_>,
    data_key: &DataKey,
) -> Result<StoredKey, StoreError> {
    let (id, now) = (new.id, moment(millis(session.now)));
    let record = KeyRecord {
        id,
        name: column(new.name.or_else(|| name_from(session, id)), || {
            format!("a name for key {id}")
        })?,
        group: group.record.name.clone(),
        state: new.state,
        description: new.description.to_owned(),
        origin: new.origin,
        foreign_kad: new.foreign_kad,
        created: now,
        activated: None,
        modified: now,
    };
    let stored = StoredKey::seal(session, record, group.record.kind, group.id, data_key.expose())?;
    stored.insert(session)?;
    Ok(stored)
}

/// Adds a key that another store had, with its times, to the `group` that it was in there. Id and name must be free.
pub(in crate::kms) fn insert_as_it_was(
    session: &Session<'_>,
    group: &Group,
    record: KeyRecord,
    data_key: &DataKey,
) -> Result<(), StoreError> {
    StoredKey::seal(session, record, group.record.kind, group.id, data_key.expose())?.insert(session)
}

/// The key with that id: the look-up of a restore.
pub(in crate::kms) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
    let found = session
        .database
        .first("SELECT * FROM keys WHERE id = ?1", &[id.into()])?;
    found.map(|row| Raw::read(&row)?.checked_alone(session)).transpose()
}

/// The key of that name.
pub(in crate::kms) fn by_name(
    session: &Session<'_>,
    group: &Group,
    name: &KeyName,
) -> Result<Option<StoredKey>, StoreError> {
    found_by_name(session, group, name.as_str())
}

fn found_by_name(session: &Session<'_>, group: &Group, name: &str) -> Result<Option<StoredKey>, StoreError> {
    let sql = "SELECT * FROM keys WHERE group_id = ?1 AND name = ?2";
    let found = session.database.first(sql, &[group.id.into(), name.into()])?;
    found.map(|row| Raw::read(&row)?.checked(group)).transpose()
}

/// The group's active key.
pub(in crate::kms) fn active(session: &Session<'_>, group: &Group) -> Result<Option<StoredKey>, StoreError> {
    let sql = "SELECT * FROM keys WHERE group_id = ?1 AND state = 'active'";
    let found = session.database.first(sql, &[group.id.into()])?;
    found.map(|row| Raw::read(&row)?.checked(group)).transpose()
}

/// At most `limit` keys of `group` by name, those after `after`.
pub(in crate::kms) fn list(
    session: &Session<'_>,
    group: &Group,
    after: &str,
    limit: usize,
) -> Result<Vec<KeyRecord>, StoreError> {
    let stored = page(session, group, after, limit)?;
    Ok(stored.into_iter().map(|stored| stored.record).collect())
}

/// The same, as they are stored.
pub(super) fn page(
    session: &Session<'_>,
    group: &Group,
    after: &str,
    limit: usize,
) -> Result<Vec<StoredKey>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM keys WHERE group_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
        &[group.id.into(), after.into(), limit.into()],
    )?;
    rows.iter().map(|row| Raw::read(row)?.checked(group)).collect()
}

/// Opens the key of that name and throws it away; its state.
pub(super) fn check(session: &Session<'_>, group: &Group, name: &str) -> Result<KeyState, StoreError> {
    let found = found_by_name(session, group, name)?;
    let stored = column(found, || {
        format!("key {} of group {}", name.escape_default(), group.record.name)
    })?;
    stored.check(session)?;
    Ok(stored.record.state)
}

/// Seals the key with that id anew, if there is one.
pub(super) fn reseal(session: &Session<'_>, id: KeyId) -> Result<(), StoreError> {
    if let Some(stored) = by_id(session, id)? {
        stored.replaced(session, stored.record.clone(), stored.group_id)?;
    }
    Ok(())
}

/// Makes every prelive key inactive: it then serves restores, and new volumes only after an activation. Tells `each` of every one.
pub(super) fn retire_prelive(
    session: &Session<'_>,
    mut each: impl FnMut(KeyRecord) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    loop {
        let sql = "SELECT * FROM keys WHERE state = 'prelive' LIMIT ?1";
        let rows = session.database.rows(sql, &[PAGE_RECORDS_MAX.into()])?;
        if rows.is_empty() {
            return Ok(());
        }
        for row in rows {
            let stored = Raw::read(&row)?.checked_alone(session)?;
            each(stored.moved_to(session, KeyState::Inactive)?.record)?;
        }
    }
}

impl StoredKey {
    /// The key itself, if the record is exactly as it was sealed.
    pub(in crate::kms) fn open(&self, session: &Session<'_>) -> Result<DataKey, StoreError> {
        if self.record.state == KeyState::Deleted {
            return Err(StoreError::Deleted {
                what: format!("key {} of group {}", self.record.name, self.record.group),
            });
        }
        let bound = bound(&self.record, self.kind, self.group_id, self.sealed_under);
        let key = session.keyring.named(session.database, self.sealed_under)?;
        key.open_key(&self.sealed, &bound).map_err(|_| StoreError::DoesNotOpen {
            what: format!("key {} of group {}", self.record.name, self.record.group),
        })
    }

    /// Opens it and throws it away; of a deleted key, makes sure that nothing is left.
    fn check(&self, session: &Session<'_>) -> Result<(), StoreError> {
        if self.record.state != KeyState::Deleted {
            return self.open(session).map(drop);
        }
        let bound = bound(&self.record, self.kind, self.group_id, self.sealed_under);
        let key = session.keyring.named(session.database, self.sealed_under)?;
        let opened = key.open(&self.sealed, &bound).ok();
        column(opened.filter(|bytes| bytes.is_empty()).map(drop), || {
            format!("deleted key {} of group {}", self.record.name, self.record.group)
        })
    }

    /// Deletes the bytes of the key for good. Its record stays, so that whoever finds a tape can be told. The caller has seen to everything
    /// that has to come before.
    pub(in crate::kms) fn erase(&self, session: &Session<'_>) -> Result<(), StoreError> {
        let record = KeyRecord {
            state: KeyState::Deleted,
            modified: moment(millis(session.now)),
            ..self.record.clone()
        };
        Self::seal(session, record, self.kind, self.group_id, b"")?.update(session)
    }

    /// The same key with another state, stored. The caller has checked that it may move there.
    pub(in crate::kms) fn moved_to(&self, session: &Session<'_>, state: KeyState) -> Result<Self, StoreError> {
        let activated = match state {
            KeyState::Active => Some(moment(millis(session.now))),
            _ => self.record.activated,
        };
        let record = KeyRecord {
            state,
            activated,
            ..self.record.clone()
        };
        self.changed(session, record, self.group_id)
    }

    /// The same key in `group`, which is of the same kind, under `name`, which is free there. Stored.
    pub(in crate::kms) fn moved_into(
        &self,
        session: &Session<'_>,
        group: &Group,
        name: KeyName,
    ) -> Result<Self, StoreError> {
        let record = KeyRecord {
            group: group.record.name.clone(),
            name,
            ..self.record.clone()
        };
        self.changed(session, record, group.id)
    }

    /// The same key with another name or note, stored. The caller has checked that the name is free.
    pub(in crate::kms) fn relabelled(&self, session: &Session<'_>, record: KeyRecord) -> Result<Self, StoreError> {
        self.changed(session, record, self.group_id)
    }

    /// The same key with what is different in `record`, in the group with that id, stored.
    fn changed(&self, session: &Session<'_>, record: KeyRecord, group_id: KeyId) -> Result<Self, StoreError> {
        let record = KeyRecord {
            modified: moment(millis(session.now)),
            ..record
        };
        self.replaced(session, record, group_id)
    }

    /// Seals the key anew, bound to what it is now, and stores it.
    fn replaced(&self, session: &Session<'_>, record: KeyRecord, group_id: KeyId) -> Result<Self, StoreError> {
        let changed = if record.state == KeyState::Deleted {
            self.check(session)?;
            Self::seal(session, record, self.kind, group_id, b"")?
        } else {
            Self::seal(session, record, self.kind, group_id, self.open(session)?.expose())?
        };
        changed.update(session)?;
        Ok(changed)
    }

    fn update(&self, session: &Session<'_>) -> Result<(), StoreError> {
        session.database.execute(
            "UPDATE keys SET group_id = ?2, name = ?3, state = ?4, description = ?5, modified = ?6, sealed_under = ?7, nonce = ?8,
                             sealed = ?9, activated = ?10
             WHERE id = ?1",
            &[
                self.record.id.into(),
                self.group_id.into(),
                self.record.name.as_str().into(),
                self.record.state.name().into(),
                self.record.description.as_str().into(),
                millis(self.record.modified).into(),
                self.sealed_under.into(),
                self.sealed.nonce.into(),
                self.sealed.sealed.as_slice().into(),
                self.record.activated.map(millis).into(),
            ],
        )?;
        Ok(())
    }

    fn seal(
        session: &Session<'_>,
        record: KeyRecord,
        kind: KeyKind,
        group_id: KeyId,
        bytes: &[u8],
    ) -> Result<Self, StoreError> {
        let (sealed_under, key) = session.keyring.current()?;
        let bound = bound(&record, kind, group_id, sealed_under);
        let sealed = key.seal(session.entropy, bytes, &bound)?;
        Ok(Self {
            record,
            kind,
            group_id,
            sealed_under,
            sealed,
        })
    }

    fn insert(&self, session: &Session<'_>) -> Result<(), StoreError> {
        session.database.execute(
            "INSERT INTO keys (id, group_id, name, state, description, origin, created, modified, sealed_under, nonce, sealed,
                               foreign_kad, foreign_kad_unpadded, activated)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            &[
                self.record.id.into(),
                self.group_id.into(),
                self.record.name.as_str().into(),
                self.record.state.name().into(),
                self.record.description.as_str().into(),
                self.record.origin.name().into(),
                millis(self.record.created).into(),
                millis(self.record.modified).into(),
                self.sealed_under.into(),
                self.sealed.nonce.into(),
                self.sealed.sealed.as_slice().into(),
                self.record.foreign_kad.as_deref().into(),
                self.record.foreign_kad.as_deref().map(without_padding).into(),
                self.record.activated.map(millis).into(),
            ],
        )?;
        Ok(())
    }
}

/// A row whose text fields are not yet known to make sense.
pub(super) struct Raw {
    id: KeyId,
    group_id: KeyId,
    name: String,
    state: String,
    description: String,
    origin: String,
    foreign_kad: Option<Vec<u8>>,
    foreign_kad_unpadded: Option<Vec<u8>>,
    created: i64,
    activated: Option<i64>,
    modified: i64,
    sealed_under: KeyId,
    sealed: Sealed,
}

impl Raw {
    pub(super) fn read(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.get("id")?,
            group_id: row.get("group_id")?,
            name: row.get("name")?,
            state: row.get("state")?,
            description: row.get("description")?,
            origin: row.get("origin")?,
            foreign_kad: row.get("foreign_kad")?,
            foreign_kad_unpadded: row.get("foreign_kad_unpadded")?,
            created: row.get("created")?,
            activated: row.get("activated")?,
            modified: row.get("modified")?,
            sealed_under: row.get("sealed_under")?,
            sealed: seal(row)?,
        })
    }

    /// The record with the group that it is in, looked up.
    pub(super) fn checked_alone(self, session: &Session<'_>) -> Result<StoredKey, StoreError> {
        let group = groups::by_id(session, self.group_id)?;
        let group = column(group, || format!("key {}: its group", self.id))?;
        self.checked(&group)
    }

    pub(super) fn checked(self, group: &Group) -> Result<StoredKey, StoreError> {
        let what = || format!("key {} of group {}", self.id, group.record.name);
        // The look-up must find what the seal binds.
        let unpadded = self.foreign_kad.as_deref().map(without_padding);
        column((self.foreign_kad_unpadded.as_deref() == unpadded).then_some(()), what)?;
        let record = KeyRecord {
            id: self.id,
            name: column(KeyName::new(self.name).ok(), what)?,
            group: GroupName::clone(&group.record.name),
            state: column(KeyState::from_name(&self.state), what)?,
            origin: column(KeyOrigin::from_name(&self.origin), what)?,
            foreign_kad: self.foreign_kad,
            description: self.description,
            created: moment(self.created),
            activated: self.activated.map(moment),
            modified: moment(self.modified),
        };
        Ok(StoredKey {
            record,
            kind: group.record.kind,
            group_id: self.group_id,
            sealed_under: self.sealed_under,
            sealed: self.sealed,
        })
    }
}

/// Everything that must not change behind the KMS's back. The group's name may: the id stands for it.
fn bound(record: &KeyRecord, kind: KeyKind, group_id: KeyId, sealed_under: KeyId) -> Vec<u8> {
    Fields::of("tapekey data key v1")
        .bytes(&record.id.0)
        .bytes(&group_id.0)
        .text(kind_name(kind))
        .text(record.name.as_str())
        .text(record.state.name())
        .text(&record.description)
        .text(record.origin.name())
        .number(millis(record.created))
        .optional(
            record
                .activated
                .map(|at| millis(at).to_be_bytes())
                .as_ref()
                .map(<[u8; 8]>::as_slice),
        )
        .number(millis(record.modified))
        .bytes(&sealed_under.0)
        .optional(record.foreign_kad.as_deref())
        .encode()
}

/// A name for a key that was given none: the day, and the first digits of its id, so that names do not collide.
fn name_from(session: &Session<'_>, id: KeyId) -> Option<KeyName> {
    let id = id.to_string();
    KeyName::new(format!("{}-{}", session.now.date(), id.get(..8)?)).ok()
}
