//! Key groups in the store. Every group that is read has been checked against its seal.

use super::keyring::seal;
use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::entropy::random_bytes;
use crate::kad::{KeyId, KeyKind};
use crate::kms::seal::Fields;
use crate::kms_api::{Cipher, CreateGroup, GroupName, GroupRecord};

/// A group as it is stored.
#[derive(Debug, Clone)]
pub(in crate::kms) struct Group {
    /// What keys refer to; stays when the name changes.
    pub(super) id: KeyId,
    /// What the world sees.
    pub(in crate::kms) record: GroupRecord,
}

/// Adds a group.
pub(in crate::kms) fn insert(session: &Session<'_>, wanted: &CreateGroup) -> Result<GroupRecord, StoreError> {
    let now = moment(millis(session.now));
    let record = GroupRecord {
        name: wanted.name.clone(),
        kind: wanted.kind,
        cipher: Cipher::Aes256Gcm,
        description: wanted.description.clone(),
        created: now,
        modified: now,
    };
    Ok(insert_as_it_was(session, record)?.record)
}

/// Adds a group as another store had it, with its times.
pub(in crate::kms) fn insert_as_it_was(session: &Session<'_>, record: GroupRecord) -> Result<Group, StoreError> {
    let group = Group {
        id: KeyId::from_random(random_bytes(session.entropy)?),
        record,
    };
    let (under, key) = session.keyring.current()?;
    let seal = key.seal(session.entropy, b"", &group.bound(under))?;
    let record = &group.record;
    session.database.execute(
        "INSERT INTO key_groups (id, name, kind, cipher, description, created, modified, sealed_under, nonce, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &[
            group.id.into(),
            record.name.as_str().into(),
            kind_name(record.kind).into(),
            record.cipher.to_string().into(),
            record.description.as_str().into(),
            millis(record.created).into(),
            millis(record.modified).into(),
            under.into(),
            seal.nonce.into(),
            seal.sealed.into(),
        ],
    )?;
    Ok(group)
}

/// The group of that name.
pub(in crate::kms) fn by_name(session: &Session<'_>, name: &GroupName) -> Result<Option<Group>, StoreError> {
    let sql = "SELECT * FROM key_groups WHERE name = ?1";
    let found = session.database.first(sql, &[name.as_str().into()])?;
    found.map(|row| read(session, &row)).transpose()
}

/// The group with that id.
pub(super) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<Group>, StoreError> {
    let sql = "SELECT * FROM key_groups WHERE id = ?1";
    let found = session.database.first(sql, &[id.into()])?;
    found.map(|row| read(session, &row)).transpose()
}

/// At most `limit` groups by name, those after `after`.
pub(in crate::kms) fn list(session: &Session<'_>, after: &str, limit: usize) -> Result<Vec<GroupRecord>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM key_groups WHERE name > ?1 ORDER BY name LIMIT ?2",
        &[after.into(), limit.into()],
    )?;
    rows.iter()
        .map(|row| read(session, row).map(|group| group.record))
        .collect()
}

impl Group {
    fn bound(&self, sealed_under: KeyId) -> Vec<u8> {
        Fields::of("tapekey key group v1")
            .bytes(&self.id.0)
            .text(self.record.name.as_str())
            .text(kind_name(self.record.kind))
            .text(&self.record.cipher.to_string())
            .text(&self.record.description)
            .number(millis(self.record.created))
            .number(millis(self.record.modified))
            .bytes(&sealed_under.0)
            .encode()
    }
}

fn read(session: &Session<'_>, row: &Row) -> Result<Group, StoreError> {
    let name: String = row.get("name")?;
    let what = || format!("group {}", name.escape_default());
    let kind: String = row.get("kind")?;
    let cipher: String = row.get("cipher")?;
    let record = GroupRecord {
        name: column(GroupName::new(name.as_str()).ok(), what)?,
        kind: column(kind_from_name(&kind), what)?,
        cipher: column(
            (cipher == Cipher::Aes256Gcm.to_string()).then_some(Cipher::Aes256Gcm),
            what,
        )?,
        description: row.get("description")?,
        created: moment(row.get("created")?),
        modified: moment(row.get("modified")?),
    };
    let group = Group {
        id: row.get("id")?,
        record,
    };
    let under = row.get("sealed_under")?;
    let key = session.keyring.named(session.database, under)?;
    key.open(&seal(row)?, &group.bound(under))
        .map_err(|_| StoreError::DoesNotOpen { what: what() })?;
    Ok(group)
}

pub(super) fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::AsIs => "as_is",
        KeyKind::Derived => "derived",
    }
}

fn kind_from_name(name: &str) -> Option<KeyKind> {
    [KeyKind::AsIs, KeyKind::Derived]
        .into_iter()
        .find(|kind| kind_name(*kind) == name)
}
