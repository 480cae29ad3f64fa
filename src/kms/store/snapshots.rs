//! Snapshots in the store: which were made, and which of them holds a key. And the copy itself, which SQLite makes while the service works.
//!
//! A row of `snapshots` carries a MAC over all its fields. For each key only the newest snapshot that counts is kept: one row per key.

use std::path::Path;

use subtle::ConstantTimeEq;

use super::database::{Access, Database};
use super::sqlite::Sqlite;
use super::value::Row;
use super::{Session, StoreError, StorePlace, column, copy, database, millis, moment};
use crate::kad::KeyId;
use crate::kms::audit::{self, mac_of};
use crate::kms::seal::Fields;
use crate::kms_api::{SnapshotForm, SnapshotRecord};

/// What a copy of the store says of itself, without any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct CopyFacts {
    /// The store's id.
    pub(in crate::kms) store: KeyId,
    /// Version of its tables.
    pub(in crate::kms) schema: i32,
    /// Heads of its audit chains, one for each node.
    pub(in crate::kms) audit_head: String,
    /// Its groups.
    pub(in crate::kms) groups: u64,
    /// Its keys.
    pub(in crate::kms) keys: u64,
}

/// How many keys no snapshot holds, some of them by group and name, and how many keys there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Uncovered {
    pub(in crate::kms) keys: u64,
    pub(in crate::kms) uncovered: u64,
    pub(in crate::kms) examples: Vec<String>,
}

/// Writes a copy of the store at `place`, as of one moment, into the empty file `into`. The service goes on working. Not yet durable.
pub(in crate::kms) fn copy_into(place: &StorePlace, into: &str) -> Result<(), StoreError> {
    match place {
        StorePlace::Folder(folder) => Sqlite::open_read_only(&database(folder))?.copy_into(into),
        StorePlace::Postgresql(_) => {
            let (from, into) = (place.look()?, Sqlite::create_copy(Path::new(into))?);
            copy::copy(&*from, &into, &mut |_, _, _| ())
        }
    }
}

/// Opens the copy of a store in the file at `path`, for looking only.
pub(in crate::kms) fn open_copy(path: &Path) -> Result<Box<dyn Database>, StoreError> {
    Ok(Box::new(Sqlite::open_read_only(path)?))
}

/// Reads what the store or copy at `path` says of itself.
pub(in crate::kms) fn facts(path: &Path) -> Result<CopyFacts, StoreError> {
    facts_of(&Sqlite::open_read_only(path)?)
}

pub(super) fn facts_of(database: &dyn Database) -> Result<CopyFacts, StoreError> {
    let heads: Vec<_> = audit::heads(database)?.iter().map(ToString::to_string).collect();
    Ok(CopyFacts {
        store: id_of(database)?,
        schema: database.version()?,
        audit_head: heads.join(" "),
        groups: database.count("SELECT count(*) AS number FROM key_groups")?,
        keys: database.count("SELECT count(*) AS number FROM keys")?,
    })
}

/// Hands the keys of the copy at `path` to `each`, at most `limit` at a time, as id and time of the last change.
pub(in crate::kms) fn keys_of_copy<E: From<StoreError>>(
    path: &Path,
    limit: usize,
    mut each: impl FnMut(Vec<(KeyId, i64)>) -> Result<(), E>,
) -> Result<(), E> {
    let copy = Sqlite::open_read_only(path)?;
    let mut after = None;
    loop {
        let keys = page_of_ids(&copy, after, limit)?;
        let Some((last, _)) = keys.last() else {
            return Ok(());
        };
        after = Some(*last);
        each(keys)?;
    }
}

fn page_of_ids(database: &dyn Database, after: Option<KeyId>, limit: usize) -> Result<Vec<(KeyId, i64)>, StoreError> {
    let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
    let rows = database.rows(
        "SELECT id, modified FROM keys WHERE id > ?1 ORDER BY id LIMIT ?2",
        &[after.into(), limit.into()],
    )?;
    rows.iter()
        .map(|row| Ok((row.get("id")?, row.get("modified")?)))
        .collect()
}

/// Writes down a snapshot; its number is for [`add_keys`].
pub(in crate::kms) fn insert(session: &Session<'_>, record: &SnapshotRecord) -> Result<i64, StoreError> {
    let newest = session
        .database
        .first("SELECT sequence FROM snapshots ORDER BY sequence DESC LIMIT 1", &[])?;
    let sequence = newest.map_or(Ok(0), |row| row.get::<i64>("sequence"))? + 1;
    session.database.execute(
        "INSERT INTO snapshots (sequence, id, made, path, file_system, counts, audit_head, key_groups, keys, bytes, sha256, mac,
                                form)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        &[
            sequence.into(),
            record.id.as_str().into(),
            millis(record.made).into(),
            record.path.as_str().into(),
            record.file_system.as_str().into(),
            record.counts.into(),
            record.audit_head.as_str().into(),
            record.groups.into(),
            record.keys.into(),
            record.bytes.into(),
            record.sha256.as_str().into(),
            mac(session, record).into(),
            record.form.name().into(),
        ],
    )?;
    Ok(sequence)
}

/// Writes down that snapshot `sequence` holds `keys`.
pub(in crate::kms) fn add_keys(session: &Session<'_>, sequence: i64, keys: &[(KeyId, i64)]) -> Result<(), StoreError> {
    for (id, modified) in keys {
        session.database.execute(
            "INSERT INTO snapshot_keys (key_id, snapshot, modified) SELECT id, ?2, ?3 FROM keys WHERE id = ?1
             ON CONFLICT (key_id) DO UPDATE SET snapshot = excluded.snapshot, modified = excluded.modified
             WHERE excluded.snapshot > snapshot_keys.snapshot",
            &[(*id).into(), sequence.into(), (*modified).into()],
        )?;
    }
    Ok(())
}

/// Whether a snapshot on another file system holds the key.
pub(in crate::kms) fn is_kept(session: &Session<'_>, key: KeyId) -> Result<bool, StoreError> {
    let found = session.database.first(
        "SELECT snapshots.* FROM snapshots JOIN snapshot_keys ON snapshots.sequence = snapshot_keys.snapshot WHERE key_id = ?1",
        &[key.into()],
    )?;
    found.map_or(Ok(false), |row| Ok(checked(session, &row)?.counts))
}

/// How many keys count as kept because of that snapshot.
pub(in crate::kms) fn keys_counting_on(session: &Session<'_>, id: &str) -> Result<u64, StoreError> {
    let counted = session.database.first(
        "SELECT count(*) AS number FROM snapshot_keys JOIN snapshots ON snapshots.sequence = snapshot_keys.snapshot
         WHERE snapshots.id = ?1",
        &[id.into()],
    )?;
    counted.map_or(Ok(0), |row| row.get("number"))
}

/// Forgets a snapshot that no key counts on.
pub(in crate::kms) fn delete(session: &Session<'_>, id: &str) -> Result<(), StoreError> {
    session
        .database
        .execute("DELETE FROM snapshots WHERE id = ?1", &[id.into()])?;
    Ok(())
}

/// At most `limit` snapshots, the newest first; `counting` leaves out those that count for no key.
pub(in crate::kms) fn newest(
    session: &Session<'_>,
    counting: bool,
    limit: usize,
) -> Result<Vec<SnapshotRecord>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM snapshots WHERE counts >= ?1 ORDER BY sequence DESC LIMIT ?2",
        &[counting.into(), limit.into()],
    )?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// Keys that are lost with the store's disk. Those made of a passphrase come back from it.
const UNCOVERED: &str = "keys.origin <> 'passphrase' AND keys.state <> 'deleted' AND NOT EXISTS (SELECT 1 FROM snapshot_keys WHERE key_id = keys.id)";

/// Looks for keys that no snapshot holds, on a connection of its own: it reads every key's row.
pub(in crate::kms) fn uncovered(place: &StorePlace, examples: usize) -> Result<Uncovered, StoreError> {
    let looking = &*place.look()?;
    looking.transaction(Access::Reading, || uncovered_in(looking, examples))
}

fn uncovered_in(database: &dyn Database, examples: usize) -> Result<Uncovered, StoreError> {
    let shown = database.rows(
        &format!(
            "SELECT key_groups.name || '/' || keys.name AS shown FROM keys JOIN key_groups ON key_groups.id = group_id
             WHERE {UNCOVERED} ORDER BY keys.state = 'active' DESC, key_groups.name, keys.name LIMIT ?1"
        ),
        &[examples.into()],
    )?;
    Ok(Uncovered {
        keys: database.count("SELECT count(*) AS number FROM keys WHERE state <> 'deleted'")?,
        uncovered: database.count(&format!("SELECT count(*) AS number FROM keys WHERE {UNCOVERED}"))?,
        examples: shown.iter().map(|row| row.get("shown")).collect::<Result<_, _>>()?,
    })
}

/// Reads a row and writes it again as it is: shows that the database takes both.
pub(in crate::kms) fn touch(session: &Session<'_>) -> Result<(), StoreError> {
    let written = session.database.execute("UPDATE store SET created = created", &[])?;
    column((written == 1).then_some(()), || "the store's own record".to_owned())
}

/// The store's id.
pub(in crate::kms) fn store_id(session: &Session<'_>) -> Result<KeyId, StoreError> {
    id_of(session.database)
}

/// The id of the store in `database`.
pub(in crate::kms) fn id_of(database: &dyn Database) -> Result<KeyId, StoreError> {
    let row = database.first("SELECT id FROM store", &[])?;
    column(row, || "the store's id".to_owned())?.get("id")
}

/// End of the audit chain.
pub(in crate::kms) fn audit_head(session: &Session<'_>) -> String {
    session.head.to_string()
}

/// A MAC that only this store can make.
pub(in crate::kms) fn mac_with_audit_key(session: &Session<'_>, message: &[u8]) -> [u8; 32] {
    mac_of(&session.keyring.audit, message)
}

fn read(row: &Row) -> Result<SnapshotRecord, StoreError> {
    let form: String = row.get("form")?;
    Ok(SnapshotRecord {
        id: row.get("id")?,
        // Any other word reads as a snapshot, and the MAC refuses it unless it was one.
        form: SnapshotForm::from_name(&form).unwrap_or(SnapshotForm::Snapshot),
        made: moment(row.get("made")?),
        path: row.get("path")?,
        file_system: row.get("file_system")?,
        counts: row.get("counts")?,
        audit_head: row.get("audit_head")?,
        groups: row.get("key_groups")?,
        keys: row.get("keys")?,
        bytes: row.get("bytes")?,
        sha256: row.get("sha256")?,
    })
}

fn checked(session: &Session<'_>, row: &Row) -> Result<SnapshotRecord, StoreError> {
    let record = read(row)?;
    if bool::from(mac(session, &record).ct_eq(&row.get::<[u8; 32]>("mac")?)) {
        Ok(record)
    } else {
        Err(StoreError::DoesNotOpen {
            what: format!("the record of snapshot {}", record.id.escape_default()),
        })
    }
}

fn mac(session: &Session<'_>, record: &SnapshotRecord) -> [u8; 32] {
    let fields = Fields::of("tapekey snapshot record v1")
        .text(&record.id)
        .text(record.form.name())
        .number(millis(record.made))
        .text(&record.path)
        .text(&record.file_system)
        .number(i64::from(record.counts))
        .text(&record.audit_head)
        .bytes(&record.groups.to_be_bytes())
        .bytes(&record.keys.to_be_bytes())
        .bytes(&record.bytes.to_be_bytes())
        .text(&record.sha256);
    mac_of(&session.keyring.audit, &fields.encode())
}
