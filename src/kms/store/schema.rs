//! The SQLite file: its marks, its tables, and how it is opened so that what is committed is on the disk.

use rusqlite::{Connection, OpenFlags};
use std::path::Path;
use std::time::Duration;

use super::StoreError;

/// SQLite's application id of our files: "TKMS".
const APPLICATION_ID: i32 = 0x544B_4D53;

/// The version of the tables below.
pub(super) const VERSION: i32 = 3;

/// The first version that has [`SNAPSHOT_TABLES`].
pub(super) const VERSION_WITH_SNAPSHOTS: i32 = 2;

/// The first version that has [`FOREIGN_KADS`].
const VERSION_WITH_FOREIGN_KADS: i32 = 3;

/// How long to wait for a reader (`tapekey-kms audit list`, a backup program) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Every table has its own note on what its seal or MAC covers; what is sealed is never also stored open.
const TABLES: &str = "
CREATE TABLE store (
    only INTEGER PRIMARY KEY CHECK (only = 1),
    id BLOB NOT NULL CHECK (length(id) = 16),
    created INTEGER NOT NULL
) STRICT;
-- Keys that seal others: the key protection key and the audit key, under the host master key.
CREATE TABLE sealing_keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    purpose TEXT NOT NULL,
    sealed_under BLOB NOT NULL CHECK (length(sealed_under) = 16),
    created INTEGER NOT NULL,
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The seal holds nothing; it binds the other fields.
CREATE TABLE key_groups (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    cipher TEXT NOT NULL,
    description TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The id is the one in KADs, so that a restore is one look-up. The seal holds the key and binds the other fields and the group's kind.
CREATE TABLE keys (
    id BLOB PRIMARY KEY CHECK (length(id) = 16),
    group_id BLOB NOT NULL REFERENCES key_groups (id),
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    description TEXT NOT NULL,
    origin TEXT NOT NULL,
    created INTEGER NOT NULL,
    modified INTEGER NOT NULL,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL,
    UNIQUE (group_id, name)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX one_active_key ON keys (group_id) WHERE state = 'active';
-- The issuing CA; the seal holds its private key (PKCS #8) and binds the certificate.
CREATE TABLE certificate_authorities (
    certificate BLOB PRIMARY KEY,
    sealed_under BLOB NOT NULL REFERENCES sealing_keys (id),
    nonce BLOB NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
-- The MAC covers every field and the MAC of the record before.
CREATE TABLE audit (
    sequence INTEGER PRIMARY KEY,
    time INTEGER NOT NULL,
    subject TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    action TEXT NOT NULL,
    group_name TEXT,
    key_id TEXT,
    volume TEXT,
    detail TEXT,
    outcome TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
";

/// What version 2 added.
const SNAPSHOT_TABLES: &str = "
-- The MAC covers every field but the number.
CREATE TABLE snapshots (
    sequence INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    made INTEGER NOT NULL,
    path TEXT NOT NULL,
    file_system TEXT NOT NULL,
    counts INTEGER NOT NULL CHECK (counts IN (0, 1)),
    audit_head TEXT NOT NULL,
    key_groups INTEGER NOT NULL,
    keys INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    mac BLOB NOT NULL
) STRICT;
-- The newest snapshot that counts and holds the key, as the key was at that time.
CREATE TABLE snapshot_keys (
    key_id BLOB PRIMARY KEY REFERENCES keys (id) ON DELETE CASCADE,
    snapshot INTEGER NOT NULL REFERENCES snapshots (sequence),
    modified INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
-- One row for each quiesce that was not taken back.
CREATE TABLE quiesces (
    sequence INTEGER PRIMARY KEY,
    since INTEGER NOT NULL,
    subject TEXT NOT NULL,
    fingerprint TEXT NOT NULL
) STRICT;
";

/// What version 3 added: the KADs of imported keys, as given and without padding for the look-up. The seal binds the first; the second follows from it.
const FOREIGN_KADS: &str = "
ALTER TABLE keys ADD COLUMN foreign_kad BLOB;
ALTER TABLE keys ADD COLUMN foreign_kad_unpadded BLOB;
CREATE INDEX keys_by_foreign_kad ON keys (foreign_kad_unpadded) WHERE foreign_kad_unpadded IS NOT NULL;
";

/// Makes the tables in the empty file at `path`.
pub(super) fn create(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)?;
    make_durable(&connection)?;
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE;{TABLES}{SNAPSHOT_TABLES}{FOREIGN_KADS}PRAGMA user_version = {VERSION};COMMIT;"
    ))?;
    Ok(connection)
}

/// Opens the store at `path` for writing; tables of an older version become those of this one.
pub(super) fn open(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let found = check_marks(&connection, path)?;
    make_durable(&connection)?;
    let mut steps = String::new();
    if found < VERSION_WITH_SNAPSHOTS {
        steps.push_str(SNAPSHOT_TABLES);
    }
    if found < VERSION_WITH_FOREIGN_KADS {
        steps.push_str(FOREIGN_KADS);
    }
    if found < VERSION {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE;{steps}PRAGMA user_version = {VERSION};COMMIT;"
        ))?;
    }
    Ok(connection)
}

/// Opens the store at `path` for looking only, also while a service works on it.
pub(super) fn open_read_only(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    check_marks(&connection, path)?;
    Ok(connection)
}

fn connect(path: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    Ok(connection)
}

/// The version of the tables, if this program knows it.
fn check_marks(connection: &Connection, path: &Path) -> Result<i32, StoreError> {
    let mark = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
    if mark("application_id")? != APPLICATION_ID {
        return Err(StoreError::NotAStore { path: path.to_owned() });
    }
    match mark("user_version")? {
        known @ 1..=VERSION => Ok(known),
        found => Err(StoreError::OtherVersion {
            path: path.to_owned(),
            found,
            known: VERSION,
        }),
    }
}

/// Write-ahead log, and each commit on the disk before it counts.
fn make_durable(connection: &Connection) -> Result<(), StoreError> {
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::NoWriteAheadLog { mode });
    }
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    Ok(())
}
