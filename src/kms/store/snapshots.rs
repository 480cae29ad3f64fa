//! Snapshots in the store: which were made, and which of them holds a key. And the copy itself, which SQLite makes while the service works.
//!
//! A row of `snapshots` carries a MAC over all its fields. For each key only the newest snapshot that counts is kept: one row per key.

use std::path::Path;

use rusqlite::{Connection, OptionalExtension, Row, params};
use subtle::ConstantTimeEq;

use super::{Session, StoreError, database, millis, moment, schema};
use crate::kad::KeyId;
use crate::kms::audit::{self, mac_of};
use crate::kms::seal::Fields;
use crate::kms_api::SnapshotRecord;

/// What a copy of the store says of itself, without any key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct CopyFacts {
    /// The store's id.
    pub(in crate::kms) store: KeyId,
    /// Version of its tables.
    pub(in crate::kms) schema: i32,
    /// Head of its audit chain.
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

/// Writes a copy of the store in `folder`, as of one moment, into the empty file `into`. The service goes on working. Not yet durable.
pub(in crate::kms) fn copy_into(folder: &Path, into: &str) -> Result<(), StoreError> {
    let connection = schema::open_read_only(&database(folder))?;
    connection.execute("VACUUM INTO ?1", [into])?;
    Ok(())
}

/// Reads what the store or copy at `path` says of itself.
pub(in crate::kms) fn facts(path: &Path) -> Result<CopyFacts, StoreError> {
    facts_of(&schema::open_read_only(path)?)
}

pub(super) fn facts_of(connection: &Connection) -> Result<CopyFacts, StoreError> {
    let head = audit::last(connection)?;
    Ok(CopyFacts {
        store: KeyId(connection.query_row("SELECT id FROM store", (), |row| row.get(0))?),
        schema: connection.pragma_query_value(None, "user_version", |row| row.get(0))?,
        audit_head: head.map(|head| head.to_string()).unwrap_or_default(),
        groups: count(connection, "SELECT count(*) FROM key_groups")?,
        keys: count(connection, "SELECT count(*) FROM keys")?,
    })
}

/// Hands the keys of the copy at `path` to `each`, at most `limit` at a time, as id and time of the last change.
pub(in crate::kms) fn keys_of_copy<E: From<StoreError>>(
    path: &Path,
    limit: usize,
    mut each: impl FnMut(Vec<(KeyId, i64)>) -> Result<(), E>,
) -> Result<(), E> {
    let connection = schema::open_read_only(path)?;
    let mut after = None;
    loop {
        let keys = page_of_ids(&connection, after, limit)?;
        let Some((last, _)) = keys.last() else {
            return Ok(());
        };
        after = Some(*last);
        each(keys)?;
    }
}

fn page_of_ids(connection: &Connection, after: Option<KeyId>, limit: usize) -> Result<Vec<(KeyId, i64)>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT id, modified FROM keys WHERE id > ?1 ORDER BY id LIMIT ?2")?;
    let after = after.map_or_else(Vec::new, |id| id.0.to_vec());
    let read = |row: &Row<'_>| Ok((KeyId(row.get(0)?), row.get(1)?));
    let rows = statement.query_map(params![after, i64::try_from(limit).unwrap_or(i64::MAX)], read)?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Writes down a snapshot; its number is for [`add_keys`].
pub(in crate::kms) fn insert(session: &Session<'_>, record: &SnapshotRecord) -> Result<i64, StoreError> {
    let number = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
    session
        .connection
        .prepare_cached(
            "INSERT INTO snapshots (id, made, path, file_system, counts, audit_head, key_groups, keys, bytes, sha256, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            record.id,
            millis(record.made),
            record.path,
            record.file_system,
            record.counts,
            record.audit_head,
            number(record.groups),
            number(record.keys),
            number(record.bytes),
            record.sha256,
            mac(session, record),
        ])?;
    Ok(session.connection.last_insert_rowid())
}

/// Writes down that snapshot `sequence` holds `keys`.
pub(in crate::kms) fn add_keys(session: &Session<'_>, sequence: i64, keys: &[(KeyId, i64)]) -> Result<(), StoreError> {
    let mut statement = session.connection.prepare_cached(
        "INSERT INTO snapshot_keys (key_id, snapshot, modified) SELECT ?1, ?2, ?3 WHERE EXISTS (SELECT 1 FROM keys WHERE id = ?1)
         ON CONFLICT (key_id) DO UPDATE SET snapshot = excluded.snapshot, modified = excluded.modified
         WHERE excluded.snapshot > snapshot",
    )?;
    for (id, modified) in keys {
        statement.execute(params![id.0, sequence, modified])?;
    }
    Ok(())
}

/// Whether a snapshot on another file system holds the key.
pub(in crate::kms) fn is_kept(session: &Session<'_>, key: KeyId) -> Result<bool, StoreError> {
    let mut statement = session.connection.prepare_cached(
        "SELECT snapshots.* FROM snapshots JOIN snapshot_keys ON snapshots.sequence = snapshot_keys.snapshot WHERE key_id = ?1",
    )?;
    let found = statement.query_row([key.0], read).optional()?;
    Ok(match found {
        Some(found) => checked(session, found)?.counts,
        None => false,
    })
}

/// At most `limit` snapshots, the newest first; `counting` leaves out those that count for no key.
pub(in crate::kms) fn newest(
    session: &Session<'_>,
    counting: bool,
    limit: usize,
) -> Result<Vec<SnapshotRecord>, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT * FROM snapshots WHERE counts >= ?1 ORDER BY sequence DESC LIMIT ?2")?;
    let found = statement
        .query_map(params![counting, i64::try_from(limit).unwrap_or(i64::MAX)], read)?
        .collect::<Result<Vec<_>, _>>()?;
    found.into_iter().map(|found| checked(session, found)).collect()
}

/// Looks for keys that no snapshot holds, on a connection of its own: it reads every key's row.
pub(in crate::kms) fn uncovered(folder: &Path, examples: usize) -> Result<Uncovered, StoreError> {
    const MISSING: &str = "NOT EXISTS (SELECT 1 FROM snapshot_keys WHERE key_id = keys.id)";
    let connection = schema::open_read_only(&database(folder))?;
    let transaction = connection.unchecked_transaction()?;
    let mut statement = transaction.prepare(&format!(
        "SELECT key_groups.name || '/' || keys.name FROM keys JOIN key_groups ON key_groups.id = group_id WHERE {MISSING}
         ORDER BY keys.state = 'active' DESC, key_groups.name, keys.name LIMIT ?1"
    ))?;
    let shown = statement.query_map([i64::try_from(examples).unwrap_or(i64::MAX)], |row| row.get(0))?;
    Ok(Uncovered {
        keys: count(&transaction, "SELECT count(*) FROM keys")?,
        uncovered: count(&transaction, &format!("SELECT count(*) FROM keys WHERE {MISSING}"))?,
        examples: shown.collect::<Result<_, _>>()?,
    })
}

/// The store's id.
pub(in crate::kms) fn store_id(session: &Session<'_>) -> Result<KeyId, StoreError> {
    Ok(KeyId(session.connection.query_row(
        "SELECT id FROM store",
        (),
        |row| row.get(0),
    )?))
}

/// A MAC that only this store can make.
pub(in crate::kms) fn mac_with_audit_key(session: &Session<'_>, message: &[u8]) -> [u8; 32] {
    mac_of(&session.keyring.audit, message)
}

fn count(connection: &Connection, sql: &str) -> Result<u64, StoreError> {
    let count: i64 = connection.query_row(sql, (), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

fn read(row: &Row<'_>) -> rusqlite::Result<(SnapshotRecord, [u8; 32])> {
    let number = |name: &str| -> rusqlite::Result<u64> { Ok(u64::try_from(row.get::<_, i64>(name)?).unwrap_or(0)) };
    let record = SnapshotRecord {
        id: row.get("id")?,
        made: moment(row.get("made")?),
        path: row.get("path")?,
        file_system: row.get("file_system")?,
        counts: row.get("counts")?,
        audit_head: row.get("audit_head")?,
        groups: number("key_groups")?,
        keys: number("keys")?,
        bytes: number("bytes")?,
        sha256: row.get("sha256")?,
    };
    Ok((record, row.get("mac")?))
}

fn checked(session: &Session<'_>, (record, found): (SnapshotRecord, [u8; 32])) -> Result<SnapshotRecord, StoreError> {
    if bool::from(mac(session, &record).ct_eq(&found)) {
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
