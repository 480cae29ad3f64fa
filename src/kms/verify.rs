//! `verify`: whether everything in a store or a snapshot is as it was written. It changes nothing and hands out nothing.

use std::path::Path;

use serde::Serialize;

use super::config::{ConfigError, KmsConfig};
use super::master_key::{self, Given, MasterKeySource, UnlockError};
use super::snapshot::{SnapshotError, file};
use super::store::check::{CheckWith, check};
use super::store::{StoreError, copy_sealed_under, sealed_under, snapshots};
use crate::clock::Clock;
use crate::entropy::Entropy;

use thiserror::Error;

/// What was looked at and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// `store` or `snapshot`.
    pub what: &'static str,
    /// The store's id, a UUID.
    pub store: String,
    /// Version of its tables.
    pub schema: i32,
    /// Its groups.
    pub groups: u64,
    /// Its keys.
    pub keys: u64,
    /// Records of its audit chains.
    pub audit_records: u64,
    /// Heads of its audit chains, one for each node.
    pub audit_head: String,
    /// What is wrong, at most a hundred things; empty if all is well.
    pub problems: Vec<String>,
}

/// It could not be looked at.
#[derive(Debug, Error)]
pub enum VerifyError {
    /// No host master key was named for a snapshot.
    #[error(
        "a snapshot does not have the host master key in it\nhint: name it: --master-key FILE, passphrase or credential:NAME"
    )]
    NoMasterKey,
    /// The folder's configuration cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The host master key cannot be read.
    #[error(transparent)]
    MasterKey(#[from] UnlockError),
    /// The snapshot is none, or damaged.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The store cannot be opened at all.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Looks at the KMS in the folder `path`, or at the snapshot in the file `path`. Works beside a running service.
///
/// # Errors
/// [`VerifyError`]: it could not be looked at. What is wrong inside is in the report.
pub fn verify(
    path: &Path,
    (master_key, given): (Option<&MasterKeySource>, &Given),
    (clock, entropy): (&dyn Clock, &dyn Entropy),
    progress: &mut dyn FnMut(&str, u64, u64),
) -> Result<Report, VerifyError> {
    let (database, manifest, master) = if path.is_dir() {
        let config = KmsConfig::read(path)?;
        let master = match master_key {
            Some(source) => master_key::of_source(source, given, || sealed_under(&config.store))?,
            None => master_key::of_kms(&config, given)?,
        };
        (config.store.look()?, None, master)
    } else {
        let manifest = file::open(path)?;
        let source = master_key.ok_or(VerifyError::NoMasterKey)?;
        let master = master_key::of_source(source, given, || copy_sealed_under(path))?;
        (snapshots::open_copy(path)?, Some(manifest), master)
    };
    let with = CheckWith {
        master: &master,
        entropy,
        now: clock.now(),
        progress,
        manifest: manifest.as_ref(),
    };
    let seen = check(&*database, with)?;
    Ok(Report {
        what: if manifest.is_some() { "snapshot" } else { "store" },
        store: seen.facts.store.to_string(),
        schema: seen.facts.schema,
        groups: seen.facts.groups,
        keys: seen.facts.keys,
        audit_records: seen.audit_records,
        audit_head: seen.facts.audit_head,
        problems: seen.problems,
    })
}
