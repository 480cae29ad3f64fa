//! SQLite: the store in one file, its marks, and how it is opened so that what is committed is on the disk.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, OpenFlags, ToSql, params_from_iter};

use super::StoreError;
use super::database::{Access, Database};
use super::schema::{TABLES, VERSION};
use super::value::{Columns, Row, Value};

/// SQLite's application id of our files: "TKMS".
const APPLICATION_ID: i32 = 0x544B_4D53;

/// How long to wait for a reader (`tapekey-kms audit list`, a backup program) to let go.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Statements kept prepared: more than this program has.
const STATEMENTS_MAX: usize = 128;

/// A connection to one file.
pub(super) struct Sqlite {
    connection: Connection,
    columns: RefCell<HashMap<String, Columns>>,
}

impl Sqlite {
    /// Makes the tables in the empty file at `path`.
    pub(super) fn create(path: &Path) -> Result<Self, StoreError> {
        let sqlite = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sqlite
            .connection
            .pragma_update(None, "application_id", APPLICATION_ID)?;
        sqlite.make_durable()?;
        sqlite.batch(&format!(
            "BEGIN IMMEDIATE;{TABLES}PRAGMA user_version = {VERSION};COMMIT;"
        ))?;
        Ok(sqlite)
    }

    /// Makes the tables in the empty file at `path` for a copy, which counts only when the caller has brought all of it to the disk.
    pub(super) fn create_copy(path: &Path) -> Result<Self, StoreError> {
        let sqlite = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sqlite
            .connection
            .pragma_update(None, "application_id", APPLICATION_ID)?;
        sqlite.connection.pragma_update(None, "synchronous", "OFF")?;
        sqlite.batch(&format!(
            "BEGIN IMMEDIATE;{TABLES}PRAGMA user_version = {VERSION};COMMIT;"
        ))?;
        Ok(sqlite)
    }

    /// Opens the store at `path` for writing.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let sqlite = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
        sqlite.check_marks(path)?;
        sqlite.make_durable()?;
        Ok(sqlite)
    }

    /// Opens the store or copy at `path` for looking only, also while a service works on it.
    pub(super) fn open_read_only(path: &Path) -> Result<Self, StoreError> {
        let sqlite = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        sqlite.check_marks(path)?;
        Ok(sqlite)
    }

    /// Writes a copy of the store, as of one moment, into the empty file `into`. Others go on working. Not yet durable.
    pub(super) fn copy_into(&self, into: &str) -> Result<(), StoreError> {
        self.execute("VACUUM INTO ?1", &[into.into()]).map(drop)
    }

    fn connect(path: &Path, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
        Ok(Self {
            connection,
            columns: RefCell::default(),
        })
    }

    fn mark(&self, name: &str) -> Result<i32, StoreError> {
        Ok(self.connection.pragma_query_value(None, name, |row| row.get(0))?)
    }

    fn check_marks(&self, path: &Path) -> Result<(), StoreError> {
        if self.mark("application_id")? != APPLICATION_ID {
            return Err(StoreError::NotAStore { path: path.to_owned() });
        }
        match self.version()? {
            VERSION => Ok(()),
            found => Err(StoreError::OtherVersion {
                store: path.display().to_string(),
                found,
                known: VERSION,
            }),
        }
    }

    /// Write-ahead log, and each commit on the disk before it counts.
    fn make_durable(&self) -> Result<(), StoreError> {
        let connection = &self.connection;
        let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
        if mode != "wal" {
            return Err(StoreError::NoWriteAheadLog { mode });
        }
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "trusted_schema", false)?;
        Ok(())
    }

    /// The names of the columns, made once for each statement.
    fn columns_of(&self, sql: &str, statement: &rusqlite::Statement<'_>) -> Columns {
        let mut known = self.columns.borrow_mut();
        if let Some(columns) = known.get(sql) {
            return columns.clone();
        }
        if known.len() >= STATEMENTS_MAX {
            known.clear();
        }
        let names: Columns = statement.column_names().map(str::to_owned).collect();
        known.insert(sql.to_owned(), names.clone());
        names
    }
}

impl Database for Sqlite {
    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let changed = statement.execute(params_from_iter(values))?;
        Ok(u64::try_from(changed).unwrap_or(u64::MAX))
    }

    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let columns = self.columns_of(sql, &statement);
        let mut found = statement.query(params_from_iter(values))?;
        let mut rows = Vec::new();
        while let Some(row) = found.next()? {
            let values = (0..columns.len()).map(|index| row.get_ref(index).map(value));
            rows.push(Row::new(columns.clone(), values.collect::<Result<_, _>>()?));
        }
        Ok(rows)
    }

    fn batch(&self, sql: &str) -> Result<(), StoreError> {
        Ok(self.connection.execute_batch(sql)?)
    }

    fn begin(&self, access: Access) -> Result<(), StoreError> {
        self.execute(
            match access {
                Access::Reading => "BEGIN DEFERRED",
                Access::Writing => "BEGIN IMMEDIATE",
            },
            &[],
        )
        .map(drop)
    }

    fn commit(&self) -> Result<(), StoreError> {
        self.execute("COMMIT", &[]).map(drop)
    }

    fn rollback(&self) {
        if self.is_whole() {
            // SQLite has undone the transaction itself, or does so here; a failure of either shows at the next BEGIN.
            let _ = self.batch("ROLLBACK");
        }
    }

    /// A full disk makes SQLite undo the whole transaction; what came after would be committed on its own.
    fn is_whole(&self) -> bool {
        !self.connection.is_autocommit()
    }

    fn version(&self) -> Result<i32, StoreError> {
        self.mark("user_version")
    }

    fn look_at_structure(&self) -> Result<Vec<String>, StoreError> {
        let mut problems = Vec::new();
        for row in self.rows("PRAGMA integrity_check", &[])? {
            let said: String = row.get("integrity_check")?;
            if said != "ok" {
                problems.push(format!("the database: {}", said.escape_default()));
            }
        }
        for row in self.rows("PRAGMA foreign_key_check", &[])? {
            let (table, parent): (String, String) = (row.get("table")?, row.get("parent")?);
            problems.push(format!(
                "a record of {table} refers to a record of {parent} that is not there"
            ));
        }
        Ok(problems)
    }
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Integer(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(number) => Value::Integer(number),
        // No table has a column of these; whoever reads it as another kind is told so.
        ValueRef::Real(number) => Value::Text(number.to_string()),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(_) => Value::Bytes(text.to_vec()),
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_vec()),
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(Box::new(error)),
            Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen) => Self::ReadOnly(Box::new(error)),
            _ => Self::Sqlite(Box::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_committed_is_on_the_disk_before_it_counts() {
        const FULL: i32 = 2;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kms.sqlite");
        std::fs::File::create(&path).unwrap();
        let made = Sqlite::create(&path).ok().unwrap();
        assert_eq!(made.mark("synchronous").ok(), Some(FULL));
        drop(made);
        // As the service opens it.
        let opened = Sqlite::open(&path).ok().unwrap();
        assert_eq!(opened.mark("synchronous").ok(), Some(FULL));
    }
}
