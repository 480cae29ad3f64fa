//! Snapshots: a consistent copy of the store in one file, made while the service works, with every record as sealed as it was.
//!
//! A snapshot on another file system than the store's is what lets a random key become active: the key then survives the loss of a disk.
//! Nothing here opens a key. The file gets its name only when it is complete and on the disk.

mod error;
pub(super) mod file;
mod kept;
pub mod restore;

pub use error::SnapshotError;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::stat::{major, minor};

use self::file::Manifest;
use super::audit::{Action, Actor, Event};
use super::model::ServiceError;
use super::schedule::Snapshots;
use super::service::Kms;
use super::store::snapshots::{self, CopyFacts};
use super::store::{StoreError, millis, moment};
use crate::clock::Timestamp;
use crate::entropy::random_bytes;
use crate::kad::KeyId;
use crate::kms_api::{
    CreateSnapshot, PAGE_RECORDS_MAX, SNAPSHOT_PATH_LENGTH_MAX, SnapshotForm, SnapshotList, SnapshotRecord,
};

/// Keys that are written down in one transaction: requests wait no longer than one of these takes.
const KEYS_AT_ONCE: usize = 2_000;

/// What becomes of the file at `path`, which was written and then not recorded. One that the store knows nothing of would stand in the way of
/// the next try; one that the store may know of stays, since keys may count as kept by it.
pub(in crate::kms) fn not_recorded(error: ServiceError, path: Option<&str>) -> ServiceError {
    let Some(path) = path else { return error };
    match &error {
        ServiceError::Store(StoreError::InDoubt { .. } | StoreError::Stopped) => {
            tracing::error!(path, %error, "the file stays: whether the store knows of it is not known");
        }
        _ => {
            let _ = fs::remove_file(path);
        }
    }
    error
}

impl Kms {
    /// Makes a snapshot. Goes on to its end also if the asker goes away.
    ///
    /// # Errors
    /// [`SnapshotError`]: the path, the file system, the disk; the store's. Then there is no file of that name.
    pub async fn create_snapshot(
        self: &Arc<Self>,
        actor: &Actor,
        wanted: CreateSnapshot,
    ) -> Result<SnapshotRecord, ServiceError> {
        let (kms, actor) = (self.clone(), actor.clone());
        let made = tokio::task::spawn_blocking(move || kms.make_snapshot(&actor, &Target::File(wanted)));
        made.await.map_err(|_| StoreError::Stopped)?
    }

    /// The newest snapshots, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn snapshots(&self) -> Result<SnapshotList, ServiceError> {
        let list = |session: &mut super::store::Session<'_>| Ok(snapshots::newest(session, false, PAGE_RECORDS_MAX)?);
        let snapshots = self.store.run(list).await?;
        Ok(SnapshotList { snapshots })
    }

    fn make_snapshot(&self, actor: &Actor, target: &Target) -> Result<SnapshotRecord, ServiceError> {
        let mut event = Event::new(actor, Action::CreateSnapshot);
        event.detail = Some(target.shown());
        let made = self.write_snapshot(target);
        if let Ok(record) = &made {
            let counts = if record.counts { "" } else { ", counts for no key" };
            event.outcome = format!("done: snapshot {} with {} keys{counts}", record.id, record.keys);
        }
        let written = made.as_ref().ok().map(|record| record.path.clone());
        let recorded = self.store.run_and_wait(move |session| {
            session.audited(event, |session, _| {
                let record = made?;
                Ok((snapshots::insert(session, &record)?, record))
            })
        });
        let (sequence, record) = recorded.map_err(|error| not_recorded(error, written.as_deref()))?;
        if record.counts {
            self.write_down_keys(sequence, Path::new(&record.path))?;
        }
        tracing::info!(
            id = record.id,
            path = record.path,
            keys = record.keys,
            counts = record.counts,
            "snapshot made"
        );
        Ok(record)
    }

    fn write_snapshot(&self, target: &Target) -> Result<SnapshotRecord, ServiceError> {
        let (id, made) = self.store.run_and_wait(|session| {
            let id = KeyId::from_random(random_bytes(session.entropy).map_err(StoreError::from)?);
            Ok((id, moment(millis(session.now))))
        })?;
        let path = target.path(id, made);
        let place = Place::of(&path, self.store.place().disk())?;
        if !place.counts && !target.same_filesystem() {
            return Err(SnapshotError::SameFileSystem { path: place.path }.into());
        }
        let partial = Partial::make(&place.path)?;
        let copied = |source| SnapshotError::Copy {
            path: place.path.clone(),
            source: Box::new(source),
        };
        snapshots::copy_into(self.store.place(), partial.name()).map_err(copied)?;
        let facts = snapshots::facts(&partial.path).map_err(copied)?;
        let manifest = self.sign(partial.manifest(id, made, facts)?)?;
        partial.finish(&manifest, &place.path)?;
        Ok(SnapshotRecord {
            id: manifest.id,
            form: SnapshotForm::Snapshot,
            made,
            path,
            file_system: place.file_system,
            counts: place.counts,
            audit_head: manifest.audit_head,
            groups: manifest.groups,
            keys: manifest.keys,
            bytes: manifest.database_bytes,
            sha256: manifest.database_sha256,
        })
    }

    fn sign(&self, manifest: Manifest) -> Result<Manifest, ServiceError> {
        let message = manifest.signed_part();
        let mac = self
            .store
            .run_and_wait(move |session| Ok(snapshots::mac_with_audit_key(session, &message)))?;
        Ok(Manifest {
            mac: hex::encode(mac),
            ..manifest
        })
    }

    /// After the snapshot itself: a kill in between leaves keys that count as being in none, never the other way round.
    fn write_down_keys(&self, sequence: i64, copy: &Path) -> Result<(), ServiceError> {
        snapshots::keys_of_copy(copy, KEYS_AT_ONCE, |keys| {
            self.store
                .run_and_wait(move |session| Ok(snapshots::add_keys(session, sequence, &keys)?))
        })
    }
}

/// What a snapshot is made for.
enum Target {
    /// For somebody who names the file.
    File(CreateSnapshot),
    /// For the schedule, which names its files itself.
    Schedule(Snapshots),
}

impl Target {
    fn path(&self, id: KeyId, made: Timestamp) -> String {
        match self {
            Self::File(wanted) => wanted.path.clone(),
            Self::Schedule(place) => place.path(id, made),
        }
    }

    fn same_filesystem(&self) -> bool {
        matches!(self, Self::File(wanted) if wanted.same_filesystem)
    }

    /// As the audit record has it.
    fn shown(&self) -> String {
        let folder;
        let path = match self {
            Self::File(wanted) => &wanted.path,
            Self::Schedule(place) => {
                folder = place.folder.display().to_string();
                &folder
            }
        };
        let shown: String = path.escape_default().take(SNAPSHOT_PATH_LENGTH_MAX).collect();
        let accepted = if self.same_filesystem() {
            ", same file system accepted"
        } else {
            ""
        };
        format!("to {shown}{accepted}")
    }
}

/// Where a snapshot or a kit is to be.
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) file_system: String,
    pub(super) counts: bool,
}

impl Place {
    /// `store`: where the store is, if it is on this host.
    pub(super) fn of(path: &str, store: Option<&Path>) -> Result<Self, SnapshotError> {
        let wrong = |problem| SnapshotError::Path {
            shown: path.escape_default().take(SNAPSHOT_PATH_LENGTH_MAX).collect(),
            problem,
        };
        if path.len() > SNAPSHOT_PATH_LENGTH_MAX {
            return Err(wrong("is too long"));
        }
        if path.chars().any(char::is_control) {
            return Err(wrong("has control characters"));
        }
        if !path.starts_with('/') {
            return Err(wrong("is not absolute"));
        }
        let path = PathBuf::from(path);
        let (Some(folder), Some(_)) = (path.parent(), path.file_name()) else {
            return Err(wrong("names no file"));
        };
        let (there, here) = (device(folder)?, store.map(device).transpose()?);
        if path.symlink_metadata().is_ok() {
            return Err(SnapshotError::Exists { path });
        }
        Ok(Self {
            file_system: format!("{}:{}", major(there), minor(there)),
            counts: here.is_none_or(|here| here != there),
            path,
        })
    }
}

fn device(folder: &Path) -> Result<u64, SnapshotError> {
    let found = fs::metadata(folder).map_err(SnapshotError::file("look at", folder))?;
    if found.is_dir() {
        Ok(found.dev())
    } else {
        Err(SnapshotError::file("look at", folder)(io::Error::from(
            io::ErrorKind::NotADirectory,
        )))
    }
}

/// A snapshot or kit in the making, under a name of its own beside the final one. Whatever is not finished is removed; what a kill leaves behind
/// is overwritten by the next snapshot of that name.
pub(super) struct Partial {
    pub(super) path: PathBuf,
    file: File,
}

impl Partial {
    pub(super) fn make(path: &Path) -> Result<Self, SnapshotError> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let partial = path.with_file_name(format!(".{name}.partial"));
        let failed = SnapshotError::file("make", &partial);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = file.open(&partial).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(SnapshotError::Busy { path: path.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(SnapshotError::file("lock", &partial)(source)),
        }
        // It may have been finished and renamed between opening and locking: then it is somebody's snapshot now.
        let locked = file.metadata().map_err(SnapshotError::file("look at", &partial))?;
        let still_there = fs::symlink_metadata(&partial)
            .is_ok_and(|named| (named.dev(), named.ino()) == (locked.dev(), locked.ino()));
        if !still_there {
            return Err(SnapshotError::Busy { path: path.to_owned() });
        }
        // Whoever left it is gone. SQLite would roll its journal back into the new copy.
        remove_if_there(&journal_of(&partial)).map_err(SnapshotError::file("remove", &partial))?;
        file.set_len(0).map_err(SnapshotError::file("empty", &partial))?;
        Ok(Self { path: partial, file })
    }

    /// The path was made of a `str`.
    fn name(&self) -> &str {
        self.path.to_str().unwrap_or_default()
    }

    fn manifest(&self, id: KeyId, made: Timestamp, facts: CopyFacts) -> Result<Manifest, SnapshotError> {
        Ok(Manifest::new(id, made, facts, self.digest()?))
    }

    /// Its length and SHA-256, as it is now.
    pub(super) fn digest(&self) -> Result<(u64, String), SnapshotError> {
        let failed = SnapshotError::file("read back", &self.path);
        let length = self.file.metadata().map_err(&failed)?.len();
        let sha256 = file::digest(&self.path, length).map_err(&failed)?;
        Ok((length, sha256))
    }

    fn finish(self, manifest: &Manifest, path: &Path) -> Result<(), SnapshotError> {
        file::append(&self.file, manifest).map_err(SnapshotError::file("write", path))?;
        self.publish(path)
    }

    /// Gives it its name, once everything is on the disk.
    pub(super) fn publish(self, path: &Path) -> Result<(), SnapshotError> {
        self.file.sync_all().map_err(SnapshotError::file("write", path))?;
        if path.symlink_metadata().is_ok() {
            return Err(SnapshotError::Exists { path: path.to_owned() });
        }
        fs::rename(&self.path, path).map_err(SnapshotError::file("name", path))?;
        let folder = path.parent().unwrap_or(Path::new("/"));
        File::open(folder)
            .and_then(|folder| folder.sync_all())
            .map_err(SnapshotError::file("sync", folder))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Gone already if it was finished. Otherwise the error that is on its way says more than this one would.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(journal_of(&self.path));
    }
}

/// SQLite's journal of the copy, which it leaves behind if it cannot finish.
fn journal_of(copy: &Path) -> PathBuf {
    let mut name = copy.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_the_store_may_know_of_stays_and_one_that_it_does_not_goes() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("kit.txt");
        let left_after = |error: StoreError| {
            fs::write(&file, "kept").unwrap();
            not_recorded(error.into(), file.to_str());
            file.exists()
        };
        let reason = || "no answer".to_owned();
        assert!(left_after(StoreError::InDoubt { reason: reason() }));
        assert!(left_after(StoreError::Stopped));
        assert!(!left_after(StoreError::Commit { reason: reason() }));
    }
}
