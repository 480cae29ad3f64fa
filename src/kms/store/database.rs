//! What the store needs of a database. The same SQL runs on each of them: placeholders are `?1`, `?2` …; text compares by its bytes; what a
//! statement of one database alone does is a method here.

use super::StoreError;
use super::value::{Row, Value};

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kms) enum Access {
    /// Looking at the state of one moment, whatever others write meanwhile.
    Reading,
    /// Changing: nobody else writes until its end, and it sees all that was written before it.
    Writing,
}

/// One connection to a database, used by one thread at a time. Every call is a bounded wait.
pub(in crate::kms) trait Database: Send {
    /// Runs one statement; how many rows it changed.
    ///
    /// # Errors
    /// What the database says. The transaction may then be of no use any more: see [`Database::is_whole`].
    fn execute(&self, sql: &str, values: &[Value]) -> Result<u64, StoreError>;

    /// Runs one query. All rows come at once: whoever expects many asks for a page.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn rows(&self, sql: &str, values: &[Value]) -> Result<Vec<Row>, StoreError>;

    /// Runs statements without placeholders, such as savepoints.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn batch(&self, sql: &str) -> Result<(), StoreError>;

    /// Begins a transaction.
    ///
    /// # Errors
    /// Also that another writer did not end in time.
    fn begin(&self, access: Access) -> Result<(), StoreError>;

    /// Ends it: durable for good, or an error and nothing of it is there.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn commit(&self) -> Result<(), StoreError>;

    /// Ends it with nothing done. A failure shows at the next [`Database::begin`].
    fn rollback(&self);

    /// Whether the transaction that was begun can still be committed. False outside of one.
    fn is_whole(&self) -> bool;

    /// Version of the tables.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn version(&self) -> Result<i32, StoreError>;

    /// What is wrong with pages, indexes and references as the database itself sees them.
    ///
    /// # Errors
    /// As [`Database::execute`].
    fn look_at_structure(&self) -> Result<Vec<String>, StoreError>;
}

impl dyn Database + '_ {
    /// The first row, if there is one.
    ///
    /// # Errors
    /// As [`Database::execute`].
    pub(in crate::kms) fn first(&self, sql: &str, values: &[Value]) -> Result<Option<Row>, StoreError> {
        Ok(self.rows(sql, values)?.into_iter().next())
    }

    /// The number in `SELECT count(*) AS number …`.
    ///
    /// # Errors
    /// As [`Database::execute`].
    pub(in crate::kms) fn count(&self, sql: &str) -> Result<u64, StoreError> {
        self.first(sql, &[])?.map_or(Ok(0), |row| row.get("number"))
    }

    /// Does `work` in a transaction of its own: all of it or nothing.
    ///
    /// # Errors
    /// Those of `work` and of the transaction.
    pub(in crate::kms) fn transaction<T, E: From<StoreError>>(
        &self,
        access: Access,
        work: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        self.begin(access)?;
        let done = work().and_then(|value| {
            self.commit()?;
            Ok(value)
        });
        if done.is_err() {
            self.rollback();
        }
        done
    }
}
