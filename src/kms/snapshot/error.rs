//! What can go wrong with a snapshot. Where one was to be made there is none then, and the store is as it was.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::kms::init::InitError;
use crate::kms::kit::KitError;
use crate::kms::pki::PkiError;
use crate::kms::store::StoreError;

/// A snapshot was not made, or cannot be used.
#[derive(Debug, Error)]
pub enum SnapshotError {
    /// The path cannot be used.
    #[error(
        "snapshot \"{shown}\": the path {problem}\nhint: name a new file by its whole path, such as /mnt/second-disk/tapekey-1.snapshot"
    )]
    Path {
        /// The path with everything unprintable escaped.
        shown: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is something of that name.
    #[error("there is something at {path} already\nhint: a snapshot never replaces anything; choose another name", path = path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// It would die with the store's disk.
    #[error(
        "snapshot {path} would lie on the file system of the store: if that disk dies, both are lost\nhint: name a file on another disk, or accept it with --same-filesystem (same_filesystem: true): it then counts for no key",
        path = path.display()
    )]
    SameFileSystem {
        /// The path.
        path: PathBuf,
    },
    /// Somebody is at it.
    #[error("snapshot {path} is being made already\nhint: wait for it, or choose another name", path = path.display())]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// The disk said no.
    #[error("{attempt} {path}: {source}\nhint: check that the folder is there, that tapekey-kms may write in it, and its free space", path = path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// SQLite could not write the copy.
    #[error("copy the store to {path}: {}\nhint: no snapshot was made; check free space on its disk and the limits on file sizes", first_line(source), path = path.display())]
    Copy {
        /// Where to.
        path: PathBuf,
        /// What it said.
        source: Box<StoreError>,
    },
    /// Something else, or cut short.
    #[error("{path} is no snapshot of tapekey-kms: {problem}\nhint: name the file that `tapekey-kms snapshot` made, whole", path = path.display())]
    NotASnapshot {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: &'static str,
    },
    /// Not as it was written.
    #[error("snapshot {path} was altered or damaged: {problem}\nhint: trust nothing in it; take another snapshot", path = path.display())]
    Altered {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
    },
    /// From a newer program.
    #[error("snapshot {path} has version {found}, this program knows up to {known}\nhint: use the tapekey-kms that made it, or a newer one", path = path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// What is special to a recovery kit.
    #[error(transparent)]
    Kit(#[from] KitError),
    /// The folder or a certificate in it cannot be made.
    #[error(transparent)]
    Folder(#[from] InitError),
    /// The server's certificate cannot be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The store in it cannot be used.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl SnapshotError {
    /// For `map_err`: `attempt` on `path` failed.
    pub(super) fn file(attempt: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            attempt,
            path: path.clone(),
            source,
        }
    }
}

fn first_line(error: &StoreError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
