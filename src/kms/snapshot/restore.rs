//! A KMS from a snapshot and the host master key: store, configuration and a new server certificate, in an empty folder.
//!
//! The issuing CA comes out of the store, so that the certificates of clients stay good. Clients' bundles and the root CA are not in a
//! snapshot.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::SnapshotError;
use super::file::{self, Manifest};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::kms::config::KmsConfig;
use crate::kms::init::{Files, Made, STORE};
use crate::kms::seal::HostMasterKey;
use crate::kms::store::check::{CheckWith, Seen, check};
use crate::kms::store::{DATABASE, StoreFile, StorePlace, snapshots};

/// Problems that an error names; `verify` names all.
const PROBLEMS_SHOWN: usize = 5;

/// What a restore works with.
pub struct RestoreWith<'a> {
    /// The host master key that the store is sealed under.
    pub master: &'a HostMasterKey,
    /// Names and addresses for the new server certificate.
    pub hosts: &'a [String],
    /// The clock.
    pub clock: &'a dyn Clock,
    /// The source of randomness.
    pub entropy: &'a dyn Entropy,
    /// Told of every hundred thousandth record: how many, of how many.
    pub progress: &'a mut dyn FnMut(&str, u64, u64),
}

/// Makes a KMS in the empty `folder` from `snapshot`, having looked at every record of it. Returns what it made.
///
/// # Errors
/// [`SnapshotError`]; the folder is then as empty as it was.
pub fn restore(snapshot: &Path, folder: &Path, with: RestoreWith<'_>) -> Result<(Manifest, Vec<Made>), SnapshotError> {
    let manifest = file::open(snapshot)?;
    let mut files = Files::in_empty(folder)?;
    files.folder(STORE)?;
    let store = folder.join(STORE);
    let made = take_out(snapshot, &manifest, &store, with, &mut files);
    if made.is_err() {
        // Nothing else was made before everything was known to be good.
        let _ = fs::remove_dir_all(&store);
    }
    made?;
    Ok((manifest, files.finish()?))
}

fn take_out(
    snapshot: &Path,
    manifest: &Manifest,
    store: &Path,
    with: RestoreWith<'_>,
    files: &mut Files<'_>,
) -> Result<(), SnapshotError> {
    copy_database(snapshot, manifest, &store.join(DATABASE))?;
    let checked = CheckWith {
        master: with.master,
        entropy: with.entropy,
        now: with.clock.now(),
        progress: with.progress,
        manifest: Some(manifest),
    };
    let seen = check(&*snapshots::open_copy(&store.join(DATABASE))?, checked)?;
    refuse_problems(snapshot, &seen)?;
    let drawn_and_dated = (with.entropy, with.clock.now());
    let opened = StoreFile::take_over(store, with.master, &manifest.id, drawn_and_dated)?;
    let ca = opened.issuing_ca()?;
    files.note(STORE.into(), "store: groups, keys and audit chain, as in the snapshot");
    let config = KmsConfig::initial(StorePlace::Folder(STORE.into()));
    files.add_node(config, with.master, &ca, with.hosts, with.clock.now())?;
    Ok(())
}

fn refuse_problems(snapshot: &Path, seen: &Seen) -> Result<(), SnapshotError> {
    if seen.problems.is_empty() {
        return Ok(());
    }
    let shown: Vec<_> = seen.problems.iter().take(PROBLEMS_SHOWN).cloned().collect();
    Err(SnapshotError::Altered {
        path: snapshot.to_owned(),
        problem: shown.join("; "),
    })
}

fn copy_database(snapshot: &Path, manifest: &Manifest, to: &PathBuf) -> Result<(), SnapshotError> {
    let from = File::open(snapshot).map_err(SnapshotError::file("read", snapshot))?;
    let copied = (|| {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
        file::copy(&mut from.take(manifest.database_bytes), |chunk| file.write_all(chunk))?;
        file.sync_all()
    })();
    copied.map_err(SnapshotError::file("write", to))?;
    // Read again from where it is now: the snapshot's disk may have said another thing the first time.
    let found = file::digest(to, manifest.database_bytes).map_err(SnapshotError::file("read back", to))?;
    if found == manifest.database_sha256 {
        Ok(())
    } else {
        Err(SnapshotError::Altered {
            path: snapshot.to_owned(),
            problem: "its database reads differently the second time".to_owned(),
        })
    }
}
