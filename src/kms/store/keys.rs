//! Data keys in the store, each sealed on its own; a changed field is a new seal. Reading a record does not open it, using it does.

use rusqlite::{OptionalExtension, Row, params};

use super::groups::{self, Group, kind_name};
use super::{Session, StoreError, column, millis, moment};
use crate::entropy::random_bytes;
use crate::kad::{KeyId, KeyKind, without_padding};
use crate::kms::seal::Fields;
use crate::kms_api::{GroupName, KeyName, KeyOrigin, KeyRecord, KeyState};
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
        modified: now,
    };
    let stored = StoredKey::seal(session, record, group.record.kind, group.id, data_key)?;
    stored.insert(session)?;
    Ok(stored)
}

/// The key with that id: the look-up of a restore.
pub(in crate::kms) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<StoredKey>, StoreError> {
    let mut statement = session.connection.prepare_cached("SELECT * FROM keys WHERE id = ?1")?;
    let found = statement.query_row([id.0], Raw::read).optional()?;
    found.map(|raw| raw.checked_alone(session)).transpose()
}

/// The key of that name.
pub(in crate::kms) fn by_name(
    session: &Session<'_>,
    group: &Group,
    name: &KeyName,
) -> Result<Option<StoredKey>, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT * FROM keys WHERE group_id = ?1 AND name = ?2")?;
    let found = statement
        .query_row(params![group.id.0, name.as_str()], Raw::read)
        .optional()?;
    found.map(|raw| raw.checked(group)).transpose()
}

/// The group's active key.
pub(in crate::kms) fn active(session: &Session<'_>, group: &Group) -> Result<Option<StoredKey>, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT * FROM keys WHERE group_id = ?1 AND state = 'active'")?;
    let found = statement.query_row([group.id.0], Raw::read).optional()?;
    found.map(|raw| raw.checked(group)).transpose()
}

/// At most `limit` keys of `group` by name, those after `after`.
pub(in crate::kms) fn list(
    session: &Session<'_>,
    group: &Group,
    after: &str,
    limit: usize,
) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT * FROM keys WHERE group_id = ?1 AND name > ?2 ORDER BY name LIMIT ?3")?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = statement.query(params![group.id.0, after, limit])?;
    let mut keys = Vec::new();
    while let Some(row) = rows.next()? {
        keys.push(Raw::read(row)?.checked(group)?.record);
    }
    Ok(keys)
}

/// Opens the key of that name and throws it away; its state.
pub(super) fn check(session: &Session<'_>, group: &Group, name: &str) -> Result<KeyState, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT * FROM keys WHERE group_id = ?1 AND name = ?2")?;
    let stored = statement
        .query_row(params![group.id.0, name], Raw::read)?
        .checked(group)?;
    stored.open(session).map(|_| stored.record.state)
}

/// Makes every prelive key inactive: it then serves restores, and new volumes only after an activation. What they are now.
pub(super) fn retire_prelive(session: &Session<'_>) -> Result<Vec<KeyRecord>, StoreError> {
    let mut statement = session
        .connection
        .prepare("SELECT * FROM keys WHERE state = 'prelive'")?;
    let found = statement.query_map((), Raw::read)?.collect::<Result<Vec<_>, _>>()?;
    let retire = |raw: Raw| {
        let id = raw.id;
        let group = column(groups::by_id(session, raw.group_id)?, || format!("key {id}: its group"))?;
        let moved = raw.checked(&group)?.moved_to(session, KeyState::Inactive)?;
        Ok(moved.record)
    };
    found.into_iter().map(retire).collect()
}

impl StoredKey {
    /// The key itself, if the record is exactly as it was sealed.
    pub(in crate::kms) fn open(&self, session: &Session<'_>) -> Result<DataKey, StoreError> {
        let bound = bound(&self.record, self.kind, self.group_id, self.sealed_under);
        session
            .keyring
            .key_protection
            .open_key(&self.sealed, &bound)
            .map_err(|_| StoreError::DoesNotOpen {
                what: format!("key {} of group {}", self.record.name, self.record.group),
            })
    }

    /// The same key with another state, stored. The caller has checked that it may move there.
    pub(in crate::kms) fn moved_to(&self, session: &Session<'_>, state: KeyState) -> Result<Self, StoreError> {
        let data_key = self.open(session)?;
        let record = KeyRecord {
            state,
            modified: moment(millis(session.now)),
            ..self.record.clone()
        };
        let moved = Self::seal(session, record, self.kind, self.group_id, &data_key)?;
        session
            .connection
            .prepare_cached(
                "UPDATE keys SET state = ?2, modified = ?3, sealed_under = ?4, nonce = ?5, sealed = ?6 WHERE id = ?1",
            )?
            .execute(params![
                moved.record.id.0,
                moved.record.state.name(),
                millis(moved.record.modified),
                moved.sealed_under.0,
                moved.sealed.nonce,
                moved.sealed.sealed,
            ])?;
        Ok(moved)
    }

    fn seal(
        session: &Session<'_>,
        record: KeyRecord,
        kind: KeyKind,
        group_id: KeyId,
        data_key: &DataKey,
    ) -> Result<Self, StoreError> {
        let sealed_under = session.keyring.key_protection_id;
        let bound = bound(&record, kind, group_id, sealed_under);
        let sealed = session
            .keyring
            .key_protection
            .seal(session.entropy, data_key.expose(), &bound)?;
        Ok(Self {
            record,
            kind,
            group_id,
            sealed_under,
            sealed,
        })
    }

    fn insert(&self, session: &Session<'_>) -> Result<(), StoreError> {
        session
            .connection
            .prepare_cached(
                "INSERT INTO keys (id, group_id, name, state, description, origin, created, modified, sealed_under, nonce, sealed,
                                   foreign_kad, foreign_kad_unpadded)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
            )?
            .execute(params![
                self.record.id.0,
                self.group_id.0,
                self.record.name.as_str(),
                self.record.state.name(),
                self.record.description,
                self.record.origin.name(),
                millis(self.record.created),
                millis(self.record.modified),
                self.sealed_under.0,
                self.sealed.nonce,
                self.sealed.sealed,
                self.record.foreign_kad,
                self.record.foreign_kad.as_deref().map(without_padding),
            ])?;
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
    modified: i64,
    sealed_under: KeyId,
    sealed: Sealed,
}

impl Raw {
    pub(super) fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: KeyId(row.get("id")?),
            group_id: KeyId(row.get("group_id")?),
            name: row.get("name")?,
            state: row.get("state")?,
            description: row.get("description")?,
            origin: row.get("origin")?,
            foreign_kad: kad_column(row, "foreign_kad")?,
            foreign_kad_unpadded: kad_column(row, "foreign_kad_unpadded")?,
            created: row.get("created")?,
            modified: row.get("modified")?,
            sealed_under: KeyId(row.get("sealed_under")?),
            sealed: Sealed {
                nonce: row.get("nonce")?,
                sealed: row.get("sealed")?,
            },
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

/// A column that only tables of the present version have; copies of older ones are looked at as they are.
fn kad_column(row: &Row<'_>, name: &str) -> rusqlite::Result<Option<Vec<u8>>> {
    match row.get(name) {
        Err(rusqlite::Error::InvalidColumnName(_)) => Ok(None),
        other => other,
    }
}

/// Everything that must not change behind the KMS's back. The group's name may: the id stands for it.
fn bound(record: &KeyRecord, kind: KeyKind, group_id: KeyId, sealed_under: KeyId) -> Vec<u8> {
    let fields = Fields::of("tapekey data key v1")
        .bytes(&record.id.0)
        .bytes(&group_id.0)
        .text(kind_name(kind))
        .text(record.name.as_str())
        .text(record.state.name())
        .text(&record.description)
        .text(record.origin.name())
        .number(millis(record.created))
        .number(millis(record.modified))
        .bytes(&sealed_under.0);
    // Only where there is one, so that the seals of keys that were made before there were any still open.
    match &record.foreign_kad {
        Some(kad) => fields.bytes(kad).encode(),
        None => fields.encode(),
    }
}

/// A name for a key that was given none: the day, and the first digits of its id, so that names do not collide.
fn name_from(session: &Session<'_>, id: KeyId) -> Option<KeyName> {
    let id = id.to_string();
    KeyName::new(format!("{}-{}", session.now.date(), id.get(..8)?)).ok()
}
