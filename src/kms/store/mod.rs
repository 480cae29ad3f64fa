//! The built-in store: a database with every key in it sealed. SQL stands here and in `audit.rs`, nowhere else.

mod admit;
mod audit_check;
pub(in crate::kms) mod authority;
pub(in crate::kms) mod certificates;
pub(in crate::kms) mod check;
mod copy;
pub(in crate::kms) mod database;
mod dialect;
pub(in crate::kms) mod enrollments;
mod error;
mod file;
pub(in crate::kms) mod foreign;
pub(in crate::kms) mod groups;
pub(in crate::kms) mod held;
pub(in crate::kms) mod key_servers;
mod keyring;
pub(in crate::kms) mod keys;
pub(in crate::kms) mod meter;
pub mod place;
mod postgresql;
mod postgresql_link;
pub(in crate::kms) mod quiesces;
pub(in crate::kms) mod requests;
pub(in crate::kms) mod reseal;
mod schema;
pub(in crate::kms) mod service_time;
pub(in crate::kms) mod snapshots;
mod sqlite;
pub(in crate::kms) mod statistics;
pub(in crate::kms) mod transfer;
pub(in crate::kms) mod value;
mod writer;

pub use audit_check::{AuditCheckWith, check_audit};
pub use error::StoreError;
pub(in crate::kms) use file::{FirstRecords, copy_sealed_under, sealed_under};
pub use file::{StoreFile, walk_audit};
pub use place::{PostgresqlPlace, StorePlace};
pub(in crate::kms) use writer::Session;
pub use writer::Store;

use std::path::{Path, PathBuf};

use time::OffsetDateTime;

/// The database in the store's folder.
pub(in crate::kms) const DATABASE: &str = "kms.sqlite";

/// The database of the store in `folder`.
pub(in crate::kms) fn database(folder: &Path) -> PathBuf {
    folder.join(DATABASE)
}

/// A time as the store keeps it: milliseconds since 1970.
pub(in crate::kms) fn millis(time: OffsetDateTime) -> i64 {
    // Every time that has a year of four digits fits.
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

/// The time that the store kept; the first of all for a number that is no time, which the seal beside it then refuses.
pub(in crate::kms) fn moment(millis: i64) -> OffsetDateTime {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000).unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

/// A column that must make sense.
fn column<T>(value: Option<T>, what: impl Fn() -> String) -> Result<T, StoreError> {
    value.ok_or_else(|| StoreError::DoesNotOpen { what: what() })
}
