//! Copies all records of one database into another that has the same tables and none yet. Every record stays as sealed as it is.

use super::StoreError;
use super::database::{Access, Database};
use super::schema::ORDER;
use super::value::Value;

/// Records that are read and written at a time: memory does not grow with the store.
const RECORDS_AT_ONCE: usize = 500;

/// Records between two reports of progress.
const PROGRESS_EVERY: u64 = 100_000;

/// Copies `from`, as of one moment, into `into`: all in one transaction, so that a copy that was cut short is none.
pub(super) fn copy(
    from: &dyn Database,
    into: &dyn Database,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StoreError> {
    from.transaction(Access::Reading, || {
        into.transaction(Access::Writing, || copy_tables(from, into, progress))
    })
}

/// The same inside the transactions of the caller.
pub(super) fn copy_tables(
    from: &dyn Database,
    into: &dyn Database,
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StoreError> {
    for (table, key) in ORDER {
        copy_table(from, into, (table, key), progress)?;
    }
    Ok(())
}

fn copy_table(
    from: &dyn Database,
    into: &dyn Database,
    (table, key): (&str, &[&str]),
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<(), StoreError> {
    let of = from.count(&format!("SELECT count(*) AS number FROM {table}"))?;
    let (mut after, mut copied): (Vec<Value>, u64) = (Vec::new(), 0);
    loop {
        let rows = from.rows(&page(table, key, &after), &after)?;
        let Some(last) = rows.last() else { return Ok(()) };
        after = key.iter().map(|column| last.get(column)).collect::<Result<_, _>>()?;
        for row in &rows {
            into.execute(&insertion(table, row.columns()), row.values())?;
            copied += 1;
            if copied.is_multiple_of(PROGRESS_EVERY) {
                progress(&format!("records of {table}"), copied, of);
            }
        }
    }
}

fn page(table: &str, key: &[&str], after: &[Value]) -> String {
    let columns = key.join(", ");
    let later = if after.is_empty() {
        String::new()
    } else {
        format!("WHERE ({columns}) > ({})", placeholders(key.len()))
    };
    format!("SELECT * FROM {table} {later} ORDER BY {columns} LIMIT {RECORDS_AT_ONCE}")
}

fn insertion(table: &str, columns: &[String]) -> String {
    let placeholders = placeholders(columns.len());
    format!("INSERT INTO {table} ({}) VALUES ({placeholders})", columns.join(", "))
}

fn placeholders(count: usize) -> String {
    let numbered: Vec<_> = (1..=count).map(|number| format!("?{number}")).collect();
    numbered.join(", ")
}
