//! The store's files: making them, opening them for the one service, and reading the audit chain beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::certificates::{self, NewCertificate};
use super::database::{Access, Database};
use super::keyring::Keyring;
use super::sqlite::Sqlite;
use super::{DATABASE, Session, StoreError, authority, keys, millis, snapshots};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::audit::{self, Action, Actor, AuditError, AuditHead, AuditRecord, Event};
use crate::kms::pki::IssuingCa;
use crate::kms::seal::HostMasterKey;

/// Locked by the service that works on the store.
const LOCK: &str = "lock";

/// An opened store, locked against a second service. No `Debug`: it holds keys.
pub struct StoreFile {
    pub(super) database: Box<dyn Database>,
    pub(super) keyring: Keyring,
    /// Whose audit chain this service writes.
    pub(super) node: KeyId,
    pub(super) folder: PathBuf,
    _lock: Option<File>,
}

impl StoreFile {
    /// Makes a store in the existing, empty `folder`, sealed under `master`.
    ///
    /// # Errors
    /// [`StoreError`] if there is one already, or as the disk answers.
    pub fn create(
        folder: &Path,
        master: &HostMasterKey,
        entropy: &dyn Entropy,
        now: OffsetDateTime,
    ) -> Result<Self, StoreError> {
        let lock = lock(folder, OpenOptions::new().create_new(true))?;
        let path = folder.join(DATABASE);
        new_file(&path)?;
        let database = Sqlite::create(&path)?;
        let id = KeyId::from_random(random_bytes(entropy)?);
        database.execute(
            "INSERT INTO store (singleton, id, created) VALUES (1, ?1, ?2)",
            &[id.into(), millis(now).into()],
        )?;
        Keyring::create(&database, master, entropy, now)?;
        Self::of(database, folder, master, Some(lock))
    }

    /// Opens the store in `folder`.
    ///
    /// # Errors
    /// [`StoreError`]: none there, in use, of another version, sealed under another host master key.
    pub fn open(folder: &Path, master: &HostMasterKey) -> Result<Self, StoreError> {
        let lock = lock(folder, &mut OpenOptions::new())?;
        Self::of(Sqlite::open(&existing(folder)?)?, folder, master, Some(lock))
    }

    /// Opens the store in `folder` beside a service that may be working on it, for one short transaction after the other.
    ///
    /// # Errors
    /// As [`StoreFile::open`], but never that it is in use.
    pub(in crate::kms) fn open_beside(folder: &Path, master: &HostMasterKey) -> Result<Self, StoreError> {
        Self::of(Sqlite::open(&existing(folder)?)?, folder, master, None)
    }

    fn of(sqlite: Sqlite, folder: &Path, master: &HostMasterKey, lock: Option<File>) -> Result<Self, StoreError> {
        Ok(Self {
            keyring: Keyring::open(&sqlite, master)?,
            // The one node that a file has goes by the store's own id: a copy that takes its place continues the chain, and is noticed.
            node: snapshots::id_of(&sqlite)?,
            database: Box::new(sqlite),
            folder: folder.to_owned(),
            _lock: lock,
        })
    }

    /// Takes a store that came out of a snapshot into use: nothing that was said of snapshots or quiesces of the old one holds for it, and
    /// prelive keys become inactive, since volumes may have been written under them after the snapshot. Locks the folder, which has the
    /// database and nothing else.
    ///
    /// # Errors
    /// As [`StoreFile::open`].
    pub(in crate::kms) fn take_over(
        folder: &Path,
        master: &HostMasterKey,
        snapshot: &str,
        (entropy, now): (&dyn Entropy, OffsetDateTime),
    ) -> Result<Self, StoreError> {
        drop(lock(folder, OpenOptions::new().create_new(true))?);
        let file = Self::open(folder, master)?;
        file.database.transaction(Access::Writing, || {
            file.retire_former_life(&format!("from snapshot {snapshot}"), entropy, now)
        })?;
        Ok(file)
    }

    fn retire_former_life(&self, detail: &str, entropy: &dyn Entropy, now: OffsetDateTime) -> Result<(), StoreError> {
        let (database, key) = (&*self.database, &self.keyring.audit);
        database.batch("DELETE FROM snapshot_keys; DELETE FROM snapshots; DELETE FROM quiesces;")?;
        let mut head = audit::head(database, key, self.node)?;
        let mut event = Event::new(&Actor::local(), Action::RestoreStore);
        event.detail = Some(detail.to_owned());
        audit::append(database, key, &mut head, &event, now)?;
        let mut written = head.clone();
        let session = Session {
            database,
            keyring: &self.keyring,
            entropy,
            now,
            head: &mut head,
            releases: None,
        };
        keys::retire_prelive(&session, |record| {
            let mut event = Event::new(&Actor::local(), Action::MoveKey);
            event.group = Some(record.group.to_string());
            event.key_id = Some(record.id);
            event.detail = Some("to inactive, since it may have been used after the snapshot".to_owned());
            audit::append(database, key, &mut written, &event, now)
        })
    }

    /// The issuing CA.
    ///
    /// # Errors
    /// [`StoreError`] if there is none, or it does not open.
    pub(in crate::kms) fn issuing_ca(&self) -> Result<IssuingCa, StoreError> {
        authority::issuing_ca(&*self.database, &self.keyring)
    }

    /// Keeps the issuing CA and the certificates that it signed for clients, and writes the audit chain's first record.
    ///
    /// # Errors
    /// As the disk and the source of randomness answer.
    pub(in crate::kms) fn keep_issuing_ca(
        &self,
        ca: &IssuingCa,
        clients: Vec<NewCertificate<'_>>,
        event: &Event,
        (entropy, now): (&dyn Entropy, OffsetDateTime),
    ) -> Result<(), StoreError> {
        let database = &*self.database;
        database.transaction(Access::Writing, || {
            authority::insert(database, &self.keyring, ca, entropy)?;
            let mut head = audit::head(database, &self.keyring.audit, self.node)?;
            audit::append(database, &self.keyring.audit, &mut head, event, now)?;
            let session = Session {
                database,
                keyring: &self.keyring,
                entropy,
                now,
                head: &mut head,
                releases: None,
            };
            clients
                .into_iter()
                .try_for_each(|client| certificates::insert(&session, client).map(drop))
        })
    }
}

/// Hands every audit record of the store in `folder` to `each`, oldest first, and checks the chains. Works beside a running service.
///
/// # Errors
/// [`AuditError::Broken`] at the first record that does not fit; the store's errors; those of `each`.
pub fn walk_audit(
    folder: &Path,
    master: &HostMasterKey,
    each: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<Vec<AuditHead>, AuditError> {
    let database = Sqlite::open_read_only(&existing(folder)?)?;
    let database: &dyn Database = &database;
    let keyring = Keyring::open(database, master)?;
    database.transaction(Access::Reading, || audit::walk(database, &keyring.audit, each))
}

/// The host master key that the store or copy at `path` is sealed under.
///
/// # Errors
/// [`StoreError`]: none there, of another version.
pub(in crate::kms) fn sealed_under(path: &Path) -> Result<KeyId, StoreError> {
    File::open(path).map_err(|source| StoreError::File {
        path: path.to_owned(),
        source,
    })?;
    super::keyring::sealed_under(&Sqlite::open_read_only(path)?)
}

pub(super) fn existing(folder: &Path) -> Result<PathBuf, StoreError> {
    let path = folder.join(DATABASE);
    // SQLite's own words for a missing file do not name it.
    File::open(&path).map_err(|source| StoreError::File {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

fn lock(folder: &Path, options: &mut OpenOptions) -> Result<File, StoreError> {
    let path = folder.join(LOCK);
    let failed = |source| StoreError::File {
        path: path.clone(),
        source,
    };
    let file = options.read(true).write(true).mode(0o600).open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// SQLite gives its journal files the mode of the database, so only this one must be made with care.
fn new_file(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| StoreError::File {
        path: path.to_owned(),
        source,
    })
}
