//! The store's files: making them, opening them for the one service, and reading the audit chain beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, params};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::keyring::Keyring;
use super::{DATABASE, Session, StoreError, keys, millis, schema};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::audit::{self, Action, Actor, AuditError, AuditHead, AuditRecord, Event};
use crate::kms::seal::{Fields, HostMasterKey};
use crate::secret::Sealed;

/// Locked by the service that works on the store.
const LOCK: &str = "lock";

/// An opened store, locked against a second service. No `Debug`: it holds keys.
pub struct StoreFile {
    pub(super) connection: Connection,
    pub(super) keyring: Keyring,
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
        let connection = schema::create(&path)?;
        let id = KeyId::from_random(random_bytes(entropy)?);
        connection.execute(
            "INSERT INTO store (only, id, created) VALUES (1, ?1, ?2)",
            params![id.0, millis(now)],
        )?;
        Keyring::create(&connection, master, entropy, now)?;
        let keyring = Keyring::open(&connection, master)?;
        Ok(Self {
            connection,
            keyring,
            folder: folder.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Opens the store in `folder`.
    ///
    /// # Errors
    /// [`StoreError`]: none there, in use, of another version, sealed under another host master key.
    pub fn open(folder: &Path, master: &HostMasterKey) -> Result<Self, StoreError> {
        let lock = lock(folder, &mut OpenOptions::new())?;
        let path = existing(folder)?;
        let connection = schema::open(&path)?;
        let keyring = Keyring::open(&connection, master)?;
        Ok(Self {
            connection,
            keyring,
            folder: folder.to_owned(),
            _lock: Some(lock),
        })
    }

    /// Opens the store in `folder` beside a service that may be working on it, for one short transaction after the other.
    ///
    /// # Errors
    /// As [`StoreFile::open`], but never that it is in use.
    pub(in crate::kms) fn open_beside(folder: &Path, master: &HostMasterKey) -> Result<Self, StoreError> {
        let connection = schema::open(&existing(folder)?)?;
        let keyring = Keyring::open(&connection, master)?;
        Ok(Self {
            connection,
            keyring,
            folder: folder.to_owned(),
            _lock: None,
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
        let transaction = file.connection.unchecked_transaction()?;
        transaction.execute_batch("DELETE FROM snapshot_keys; DELETE FROM snapshots; DELETE FROM quiesces;")?;
        let mut head = audit::head(&transaction, &file.keyring.audit)?;
        let mut event = Event::new(&Actor::local(), Action::RestoreStore);
        event.detail = Some(format!("from snapshot {snapshot}"));
        audit::append(&transaction, &file.keyring.audit, &mut head, &event, now)?;
        let session = Session {
            connection: &transaction,
            keyring: &file.keyring,
            entropy,
            now,
            head: &mut head,
        };
        let moved = keys::retire_prelive(&session)?;
        for record in moved {
            let mut event = Event::new(&Actor::local(), Action::MoveKey);
            event.group = Some(record.group.to_string());
            event.key_id = Some(record.id);
            event.detail = Some("to inactive, since it may have been used after the snapshot".to_owned());
            audit::append(&transaction, &file.keyring.audit, &mut head, &event, now)?;
        }
        transaction.commit()?;
        Ok(file)
    }

    /// The issuing CA: its certificate (DER) and private key (PKCS #8, DER).
    ///
    /// # Errors
    /// [`StoreError`] if there is none, or it does not open.
    pub(in crate::kms) fn issuing_ca(&self) -> Result<(Vec<u8>, Zeroizing<Vec<u8>>), StoreError> {
        let certificate: Vec<u8> =
            self.connection
                .query_row("SELECT certificate FROM certificate_authorities", (), |row| row.get(0))?;
        let key = open_certificate_authority(&self.connection, &self.keyring, &certificate)?;
        Ok((certificate, key))
    }

    /// Keeps a CA's private key (PKCS #8), sealed and bound to its certificate, and writes the audit chain's first record.
    ///
    /// # Errors
    /// As the disk and the source of randomness answer.
    pub fn keep_issuing_ca(
        &self,
        certificate: &[u8],
        private_key: &[u8],
        entropy: &dyn Entropy,
        event: &Event,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        let under = self.keyring.key_protection_id;
        let bound = bound_to(certificate, under);
        let sealed = self.keyring.key_protection.seal(entropy, private_key, &bound)?;
        let transaction = self.connection.unchecked_transaction()?;
        transaction.execute(
            "INSERT INTO certificate_authorities (certificate, sealed_under, nonce, sealed) VALUES (?1, ?2, ?3, ?4)",
            params![certificate, under.0, sealed.nonce, sealed.sealed],
        )?;
        let mut head = audit::head(&transaction, &self.keyring.audit)?;
        audit::append(&transaction, &self.keyring.audit, &mut head, event, now)?;
        transaction.commit()?;
        Ok(())
    }
}

/// The private key of the CA with that certificate.
pub(super) fn open_certificate_authority(
    connection: &Connection,
    keyring: &Keyring,
    certificate: &[u8],
) -> Result<Zeroizing<Vec<u8>>, StoreError> {
    let (under, sealed) = connection.query_row(
        "SELECT sealed_under, nonce, sealed FROM certificate_authorities WHERE certificate = ?1",
        [certificate],
        |row| {
            let sealed = Sealed {
                nonce: row.get(1)?,
                sealed: row.get(2)?,
            };
            Ok((KeyId(row.get(0)?), sealed))
        },
    )?;
    keyring
        .key_protection
        .open(&sealed, &bound_to(certificate, under))
        .map_err(|_| StoreError::DoesNotOpen {
            what: "the issuing CA's private key".to_owned(),
        })
}

fn bound_to(certificate: &[u8], sealed_under: KeyId) -> Vec<u8> {
    Fields::of("tapekey issuing ca v1")
        .bytes(certificate)
        .bytes(&sealed_under.0)
        .encode()
}

/// Hands every audit record of the store in `folder` to `each`, oldest first, and checks the chain. Works beside a running service.
///
/// # Errors
/// [`AuditError::Broken`] at the first record that does not fit; the store's errors; those of `each`.
pub fn walk_audit(
    folder: &Path,
    master: &HostMasterKey,
    each: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<AuditHead, AuditError> {
    let connection = schema::open_read_only(&existing(folder)?)?;
    let keyring = Keyring::open(&connection, master)?;
    audit::walk(&connection, &keyring.audit, each)
}

fn existing(folder: &Path) -> Result<PathBuf, StoreError> {
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
