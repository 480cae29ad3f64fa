//! A store as a whole: making it, opening it for this node's one service, and reading the audit chains beside it.

use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use time::OffsetDateTime;

use super::certificates::{self, NewCertificate};
use super::database::{Access, Database};
use super::keyring::Keyring;
use super::place::StorePlace;
use super::postgresql::{Postgresql, Use};
use super::sqlite::Sqlite;
use super::{DATABASE, Session, StoreError, authority, database, keys, millis, snapshots};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::audit::{self, Action, Actor, AuditError, AuditHead, AuditRecord, Event};
use crate::kms::pki::IssuingCa;
use crate::kms::seal::HostMasterKey;

/// Locked by the service that works on the store.
const LOCK: &str = "lock";

/// What a new store begins with, besides its sealing keys.
pub(in crate::kms) struct FirstRecords<'a> {
    /// The issuing CA.
    pub(in crate::kms) ca: &'a IssuingCa,
    /// The certificates that it signed for clients.
    pub(in crate::kms) clients: Vec<NewCertificate<'a>>,
    /// The audit chain's first record.
    pub(in crate::kms) event: &'a Event,
}

/// An opened store, locked against a second service of the same node. No `Debug`: it holds keys.
pub struct StoreFile {
    pub(super) database: Box<dyn Database>,
    pub(super) keyring: Keyring,
    /// Whose audit chain this service writes.
    pub(super) node: KeyId,
    pub(super) place: StorePlace,
    _lock: Option<File>,
}

impl StoreFile {
    /// Makes a store at `place`, an existing, empty folder or a database without one, sealed under `master`. In a database nothing is seen
    /// of it before it is complete.
    ///
    /// # Errors
    /// [`StoreError`] if there is one already, or as disk and server answer.
    pub(in crate::kms) fn create(
        place: &StorePlace,
        master: &HostMasterKey,
        first: FirstRecords<'_>,
        (entropy, now): (&dyn Entropy, OffsetDateTime),
    ) -> Result<(), StoreError> {
        let _lock = lock_of(place)?;
        let id = KeyId::from_random(random_bytes(entropy)?);
        match place {
            StorePlace::Folder(folder) => {
                let path = folder.join(DATABASE);
                new_file(&path)?;
                let database: &dyn Database = &Sqlite::create(&path)?;
                database.transaction(Access::Writing, || {
                    fill(database, (id, id), master, first, (entropy, now))
                })
            }
            StorePlace::Postgresql(place) => {
                let postgresql = Postgresql::empty(place)?;
                let database: &dyn Database = &postgresql;
                database.transaction(Access::Writing, || {
                    postgresql.make_tables()?;
                    fill(database, (id, place.node), master, first, (entropy, now))
                })
            }
        }
    }

    /// Opens the store at `place`.
    ///
    /// # Errors
    /// [`StoreError`]: none there, in use, of another version, sealed under another host master key, no connection.
    pub fn open(place: &StorePlace, master: &HostMasterKey) -> Result<Self, StoreError> {
        let lock = lock_of(place)?;
        Self::opened(place, master, Some(lock))
    }

    /// Opens the store at `place` beside a service that may be working on it, for one short transaction after the other.
    ///
    /// # Errors
    /// As [`StoreFile::open`], but never that it is in use.
    pub(in crate::kms) fn open_beside(place: &StorePlace, master: &HostMasterKey) -> Result<Self, StoreError> {
        Self::opened(place, master, None)
    }

    fn opened(place: &StorePlace, master: &HostMasterKey, lock: Option<File>) -> Result<Self, StoreError> {
        let (database, node): (Box<dyn Database>, _) = match place {
            StorePlace::Folder(folder) => {
                let sqlite = Sqlite::open(&existing(folder)?)?;
                // The one node that a file has goes by the store's own id: a copy that takes its place continues the chain, and is noticed.
                let node = snapshots::id_of(&sqlite)?;
                (Box::new(sqlite), node)
            }
            StorePlace::Postgresql(place) => (Box::new(Postgresql::open(place, Use::Serving)?), place.node),
        };
        Ok(Self {
            keyring: Keyring::open(&*database, master)?,
            database,
            node,
            place: place.clone(),
            _lock: lock,
        })
    }

    /// Writes the first record of this node's chain in a store that others made.
    ///
    /// # Errors
    /// As the server answers.
    pub(in crate::kms) fn record(&self, event: &Event, now: OffsetDateTime) -> Result<(), StoreError> {
        let database = &*self.database;
        database.transaction(Access::Writing, || {
            let mut head = audit::head(database, &self.keyring.audit, self.node)?;
            audit::append(database, &self.keyring.audit, &mut head, event, now)
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
        let file = Self::open(&StorePlace::Folder(folder.to_owned()), master)?;
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
}

/// Everything that a new store has; `ids` are the store's and the node's.
fn fill(
    database: &dyn Database,
    (store, node): (KeyId, KeyId),
    master: &HostMasterKey,
    first: FirstRecords<'_>,
    (entropy, now): (&dyn Entropy, OffsetDateTime),
) -> Result<(), StoreError> {
    database.execute(
        "INSERT INTO store (singleton, id, created) VALUES (1, ?1, ?2)",
        &[store.into(), millis(now).into()],
    )?;
    Keyring::create(database, master, entropy, now)?;
    let keyring = Keyring::open(database, master)?;
    authority::insert(database, &keyring, first.ca, entropy)?;
    let mut head = audit::head(database, &keyring.audit, node)?;
    audit::append(database, &keyring.audit, &mut head, first.event, now)?;
    let session = Session {
        database,
        keyring: &keyring,
        entropy,
        now,
        head: &mut head,
        releases: None,
    };
    let mut clients = first.clients.into_iter();
    clients.try_for_each(|client| certificates::insert(&session, client).map(drop))
}

/// Hands every audit record of the store at `place` to `each`, oldest first, and checks the chains. Works beside a running service.
///
/// # Errors
/// [`AuditError::Broken`] at the first record that does not fit; the store's errors; those of `each`.
pub fn walk_audit(
    place: &StorePlace,
    master: &HostMasterKey,
    each: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<Vec<AuditHead>, AuditError> {
    let database = &*place.look()?;
    let keyring = Keyring::open(database, master)?;
    database.transaction(Access::Reading, || audit::walk(database, &keyring.audit, each))
}

/// The host master key that the store at `place` is sealed under.
///
/// # Errors
/// [`StoreError`]: none there, of another version, no connection.
pub(in crate::kms) fn sealed_under(place: &StorePlace) -> Result<KeyId, StoreError> {
    super::keyring::sealed_under(&*place.look()?)
}

/// The same for the copy of a store in the file at `path`.
///
/// # Errors
/// [`StoreError`]: none there, of another version.
pub(in crate::kms) fn copy_sealed_under(path: &Path) -> Result<KeyId, StoreError> {
    super::keyring::sealed_under(&*snapshots::open_copy(path)?)
}

/// The SQLite file in `folder`.
pub(super) fn existing(folder: &Path) -> Result<PathBuf, StoreError> {
    let path = database(folder);
    // SQLite's own words for a missing file do not name it.
    File::open(&path).map_err(|source| StoreError::File {
        path: path.clone(),
        source,
    })?;
    Ok(path)
}

/// Locks the store, or this node's part in it.
pub(super) fn lock_of(place: &StorePlace) -> Result<File, StoreError> {
    let folder = match place {
        StorePlace::Folder(folder) => folder,
        StorePlace::Postgresql(place) => &place.folder,
    };
    let path = folder.join(LOCK);
    let failed = |source| StoreError::File {
        path: path.clone(),
        source,
    };
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
    let file = file.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse {
            path: folder.to_owned(),
        }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// SQLite gives its journal files the mode of the database, so only this one must be made with care.
pub(super) fn new_file(path: &Path) -> Result<(), StoreError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    made.map(drop).map_err(|source| StoreError::File {
        path: path.to_owned(),
        source,
    })
}
