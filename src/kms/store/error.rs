//! What can be wrong with the store. Nothing here means "there is no such key": that would be an answer.

use std::path::PathBuf;

use thiserror::Error;

use crate::entropy::EntropyError;
use crate::kad::KeyId;

/// The store failed, or is not what it should be.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another service works on it.
    #[error("store {path} is in use by another tapekey-kms\nhint: one service per store; end the other one first", path = path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// A file of the store cannot be made or opened.
    #[error("open store {path}: {source}\nhint: make one with `tapekey-kms init`, or check the folder's permissions", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Some other SQLite file.
    #[error("{path} is no store of tapekey-kms\nhint: check the path in kms.toml", path = path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// Made by another version of the program.
    #[error(
        "store {store} has version {found}, this program knows {known}\nhint: run the tapekey-kms that wrote it; nothing in it was touched"
    )]
    OtherVersion {
        /// Which store.
        store: String,
        /// Its version.
        found: i32,
        /// Ours.
        known: i32,
    },
    /// The file system cannot do what SQLite needs.
    #[error("the store's journal mode is {mode}, not WAL\nhint: keep the store on a local file system")]
    NoWriteAheadLog {
        /// What SQLite uses instead.
        mode: String,
    },
    /// The host master key is not the store's.
    #[error(
        "the store is sealed under host master key {sealed_under}, this one is {given}\nhint: put the store's own key file back"
    )]
    WrongMasterKey {
        /// The id in the store.
        sealed_under: KeyId,
        /// The id in the file.
        given: KeyId,
    },
    /// The passphrase is another one.
    #[error(
        "the passphrase is not the one of host master key {id}, which the store is sealed under\nhint: nothing was changed; try again, and mind spelling, spaces and the keyboard's layout"
    )]
    WrongPassphrase {
        /// The id in the store.
        id: KeyId,
    },
    /// It was sealed under another host master key while this service was running.
    #[error(
        "the store was resealed since this service started\nhint: restart tapekey-kms, so that it takes up the new host master key"
    )]
    Resealed,
    /// A record was altered, or the key above it is another one.
    #[error(
        "{what} does not open: the record was altered behind the service's back, or the disk is damaged\nhint: restore it from a copy of the store; every other record is unharmed"
    )]
    DoesNotOpen {
        /// The record.
        what: String,
    },
    /// Nothing is left of it but its record.
    #[error(
        "{what} was deleted, and nothing is left of it but its record\nhint: tapekey kms request list --all shows by whom"
    )]
    Deleted {
        /// The key.
        what: String,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// SQLite failed.
    #[error("store: {0}\nhint: check free space and the disk under the store")]
    Sqlite(Box<dyn std::error::Error + Send + Sync>),
    /// A column has what this program never puts there.
    #[error(
        "column {column} of the store does not make sense: it was altered behind the service's back, or the disk is damaged\nhint: restore it from a copy of the store"
    )]
    Column {
        /// Its name.
        column: String,
    },
    /// SQLite undid everything that was in work.
    #[error("the store undid its transaction\nhint: check free space on the disk under the store")]
    Undone,
    /// What was asked for is not durable.
    #[error("nothing was changed and no key was given, since it could not be made durable: {reason}")]
    Commit {
        /// What the disk said.
        reason: String,
    },
    /// No thread for the store.
    #[error("start the store's thread: {0}\nhint: raise the limit on tasks")]
    Thread(std::io::Error),
    /// The service ends.
    #[error("the store is closed\nhint: the service is stopping; ask again when it runs")]
    Stopped,
}
