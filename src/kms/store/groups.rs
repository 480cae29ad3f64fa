//! Key groups in the store. Every group that is read has been checked against its seal.

use super::keyring::seal;
use super::value::Row;
use super::{Session, StoreError, column, key_servers, millis, moment};
use crate::entropy::random_bytes;
use crate::kad::{KeyId, KeyKind};
use crate::kms::seal::Fields;
use crate::kms_api::{Cipher, CreateGroup, GroupName, GroupRecord, ServerName};

/// A group as it is stored.
#[derive(Debug, Clone)]
pub(in crate::kms) struct Group {
    /// What keys refer to; stays when the name changes.
    pub(super) id: KeyId,
    /// What the world sees.
    pub(in crate::kms) record: GroupRecord,
    /// The key that a rotation under way made, and that is to become the active one. It may have gone another way since.
    pub(in crate::kms) next_key: Option<KeyId>,
    /// Whether a key that an external server has under its name was given out. From then on name and kind stay: the volumes are found by
    /// the one, and whether the server's key itself may leave goes by the other.
    pub(in crate::kms) released_outside: bool,
}

/// The note on a group that nobody made.
const MADE_AT_A_RELEASE: &str = "made by the KMS at the first release of an external server's key";

/// Adds a group.
pub(in crate::kms) fn insert(session: &Session<'_>, wanted: &CreateGroup) -> Result<GroupRecord, StoreError> {
    let record = new_record(session, wanted.name.clone(), (wanted.kind, &wanted.description));
    Ok(insert_as_it_was(session, record, false)?.record)
}

fn new_record(session: &Session<'_>, name: GroupName, (kind, description): (KeyKind, &str)) -> GroupRecord {
    let now = moment(millis(session.now));
    GroupRecord {
        name,
        kind,
        cipher: Cipher::Aes256Gcm,
        description: description.to_owned(),
        rotate_after_days: None,
        server: None,
        created: now,
        modified: now,
    }
}

/// Notes that a key which an external server has in the group of that name is given out, and makes the group, derived, if there is none.
/// Belongs into the transaction of the release. Its kind, and whether it was made.
pub(in crate::kms) fn note_release_from_outside(
    session: &Session<'_>,
    name: &GroupName,
) -> Result<(KeyKind, bool), StoreError> {
    if let Some(group) = by_name(session, name)? {
        if !group.released_outside {
            let marked = Group {
                released_outside: true,
                ..group.clone()
            };
            group.replaced(session, marked)?;
        }
        return Ok((group.record.kind, false));
    }
    let record = new_record(session, name.clone(), (KeyKind::Derived, MADE_AT_A_RELEASE));
    insert_as_it_was(session, record, true)?;
    Ok((KeyKind::Derived, true))
}

/// Adds a group as another store had it, with its times.
pub(in crate::kms) fn insert_as_it_was(
    session: &Session<'_>,
    record: GroupRecord,
    released_outside: bool,
) -> Result<Group, StoreError> {
    let group = Group {
        id: KeyId::from_random(random_bytes(session.entropy)?),
        record,
        next_key: None,
        released_outside,
    };
    let (under, key) = session.keyring.current()?;
    let seal = key.seal(session.entropy, b"", &group.bound(under))?;
    let record = &group.record;
    session.database.execute(
        "INSERT INTO key_groups (id, name, kind, cipher, description, rotate_after_days, released_outside, server, created, modified,
                                 sealed_under, nonce, sealed)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        &[
            group.id.into(),
            record.name.as_str().into(),
            kind_name(record.kind).into(),
            record.cipher.to_string().into(),
            record.description.as_str().into(),
            record.rotate_after_days.map(i64::from).into(),
            group.released_outside.into(),
            record.server.as_ref().map(ServerName::as_str).into(),
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
pub(in crate::kms) fn by_id(session: &Session<'_>, id: KeyId) -> Result<Option<Group>, StoreError> {
    let sql = "SELECT * FROM key_groups WHERE id = ?1";
    let found = session.database.first(sql, &[id.into()])?;
    found.map(|row| read(session, &row)).transpose()
}

/// What stays when the name changes.
pub(in crate::kms) fn id_of(group: &Group) -> KeyId {
    group.id
}

/// Deletes the group with that id, which has no keys.
pub(in crate::kms) fn delete(session: &Session<'_>, id: KeyId) -> Result<(), StoreError> {
    session
        .database
        .execute("DELETE FROM key_groups WHERE id = ?1", &[id.into()])?;
    key_servers::note_change(session)?;
    Ok(())
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

/// At most `limit` groups by name, those after `after`, of which keys are rotated by age or a rotation is under way.
pub(in crate::kms) fn rotated_by_age(
    session: &Session<'_>,
    after: &str,
    limit: usize,
) -> Result<Vec<Group>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM key_groups WHERE (rotate_after_days IS NOT NULL OR next_key IS NOT NULL) AND name > ?1
         ORDER BY name LIMIT ?2",
        &[after.into(), limit.into()],
    )?;
    rows.iter().map(|row| read(session, row)).collect()
}

/// At most `limit` groups by name, those after `after`, whose new keys come from one server: `server`, or whichever.
pub(in crate::kms) fn bound_to_a_server(
    session: &Session<'_>,
    server: Option<&ServerName>,
    after: &str,
    limit: usize,
) -> Result<Vec<GroupRecord>, StoreError> {
    let server = server.map(ServerName::as_str);
    let rows = match server {
        Some(server) => session.database.rows(
            "SELECT * FROM key_groups WHERE server = ?1 AND name > ?2 ORDER BY name LIMIT ?3",
            &[server.into(), after.into(), limit.into()],
        ),
        None => session.database.rows(
            "SELECT * FROM key_groups WHERE server IS NOT NULL AND name > ?1 ORDER BY name LIMIT ?2",
            &[after.into(), limit.into()],
        ),
    }?;
    rows.iter()
        .map(|row| read(session, row).map(|group| group.record))
        .collect()
}

/// Seals the group with that id anew, if there is one.
pub(super) fn reseal(session: &Session<'_>, id: KeyId) -> Result<(), StoreError> {
    if let Some(group) = by_id(session, id)? {
        group.replaced(session, group.clone())?;
    }
    Ok(())
}

impl Group {
    /// The same group with what is different in `record`, stored. The caller has checked that a new name is free.
    pub(in crate::kms) fn changed(&self, session: &Session<'_>, record: GroupRecord) -> Result<Self, StoreError> {
        let record = GroupRecord {
            modified: moment(millis(session.now)),
            ..record
        };
        let changed = Self { record, ..self.clone() };
        self.replaced(session, changed)
    }

    /// The same group with another next key, stored. It counts as no change of the group.
    pub(in crate::kms) fn with_next_key(
        &self,
        session: &Session<'_>,
        next_key: Option<KeyId>,
    ) -> Result<Self, StoreError> {
        let changed = Self {
            next_key,
            ..self.clone()
        };
        self.replaced(session, changed)
    }

    fn replaced(&self, session: &Session<'_>, changed: Self) -> Result<Self, StoreError> {
        let (under, key) = session.keyring.current()?;
        let seal = key.seal(session.entropy, b"", &changed.bound(under))?;
        session.database.execute(
            "UPDATE key_groups SET name = ?2, description = ?3, modified = ?4, sealed_under = ?5, nonce = ?6, sealed = ?7,
                                   rotate_after_days = ?8, next_key = ?9, server = ?10, released_outside = ?11
             WHERE id = ?1",
            &[
                changed.id.into(),
                changed.record.name.as_str().into(),
                changed.record.description.as_str().into(),
                millis(changed.record.modified).into(),
                under.into(),
                seal.nonce.into(),
                seal.sealed.into(),
                changed.record.rotate_after_days.map(i64::from).into(),
                changed.next_key.into(),
                changed.record.server.as_ref().map(ServerName::as_str).into(),
                changed.released_outside.into(),
            ],
        )?;
        let bound = |group: &Self| {
            group
                .record
                .server
                .clone()
                .map(|server| (group.record.name.clone(), server))
        };
        if bound(self) != bound(&changed) {
            key_servers::note_change(session)?;
        }
        Ok(changed)
    }

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
            .optional(
                self.record
                    .rotate_after_days
                    .map(u32::to_be_bytes)
                    .as_ref()
                    .map(<[u8; 4]>::as_slice),
            )
            .optional(self.next_key.as_ref().map(|id| id.0.as_slice()))
            .optional(self.record.server.as_ref().map(|server| server.as_str().as_bytes()))
            .number(i64::from(self.released_outside))
            .encode()
    }
}

fn read(session: &Session<'_>, row: &Row) -> Result<Group, StoreError> {
    let name: String = row.get("name")?;
    let what = || format!("group {}", name.escape_default());
    let kind: String = row.get("kind")?;
    let cipher: String = row.get("cipher")?;
    let days: Option<i64> = row.get("rotate_after_days")?;
    let server: Option<String> = row.get("server")?;
    let record = GroupRecord {
        name: column(GroupName::new(name.as_str()).ok(), what)?,
        kind: column(kind_from_name(&kind), what)?,
        cipher: column(
            (cipher == Cipher::Aes256Gcm.to_string()).then_some(Cipher::Aes256Gcm),
            what,
        )?,
        description: row.get("description")?,
        rotate_after_days: days.map(|days| column(u32::try_from(days).ok(), what)).transpose()?,
        server: server
            .map(|server| column(ServerName::new(server).ok(), what))
            .transpose()?,
        created: moment(row.get("created")?),
        modified: moment(row.get("modified")?),
    };
    let group = Group {
        id: row.get("id")?,
        record,
        next_key: row.get("next_key")?,
        released_outside: row.get("released_outside")?,
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
