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
        "the store is sealed under host master key {sealed_under}, this one is {given}\nhint: put the store's own key file back; on PostgreSQL, the node that resealed the store has the new one"
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
    /// SQLite found a page that it cannot have written.
    #[error(
        "store: {0}\nhint: the file is damaged; make a KMS from the newest snapshot that verifies: tapekey-kms restore"
    )]
    Damaged(Box<dyn std::error::Error + Send + Sync>),
    /// SQLite may not write.
    #[error(
        "store: {0}\nhint: the store's folder and files must belong to the account of tapekey-kms, on a disk that is not mounted read-only"
    )]
    ReadOnly(Box<dyn std::error::Error + Send + Sync>),
    /// A column has what this program never puts there.
    #[error(
        "column {column} of the store does not make sense: it was altered behind the service's back, or the disk is damaged\nhint: restore it from a copy of the store"
    )]
    Column {
        /// Its name.
        column: String,
    },
    /// The database undid everything that was in work.
    #[error("the store undid its transaction\nhint: check the log, and free space on the disk under the store")]
    Undone,
    /// PostgreSQL answered with an error.
    #[error("store: PostgreSQL: {said}\nhint: the server's own log says more")]
    Postgresql {
        /// Severity, code and message.
        said: String,
    },
    /// No connection to PostgreSQL.
    #[error(
        "connect to PostgreSQL, {place}, as {user}: {said}\nhint: check that the server runs and lets this host and user in, and [store.postgresql] in kms.toml"
    )]
    Unreachable {
        /// Database, host and port.
        place: String,
        /// The role.
        user: String,
        /// What came back.
        said: String,
    },
    /// PostgreSQL is silent.
    #[error("PostgreSQL, {place}: no answer in {seconds} seconds\nhint: check the server and the way to it")]
    NoAnswer {
        /// Database, host and port.
        place: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// The connection went in the middle of something.
    #[error("PostgreSQL, {place}: the connection was lost\nhint: ask again; the next request connects anew")]
    ConnectionLost {
        /// Database, host and port.
        place: String,
    },
    /// Another node writes and does not end.
    #[error(
        "PostgreSQL, {place}: another node did not finish writing in time\nhint: ask again; if it stays so, look at the other nodes"
    )]
    WritersLock {
        /// Database, host and port.
        place: String,
    },
    /// The server would lose what it committed, or alter text.
    #[error(
        "PostgreSQL has {setting} = {found}, the store needs {wanted}\nhint: set it in postgresql.conf, or make the database anew with it"
    )]
    ServerSetting {
        /// Which.
        setting: &'static str,
        /// What it must be.
        wanted: &'static str,
        /// What it is.
        found: String,
    },
    /// There is a database, but no store in it.
    #[error(
        "{place}: there is no store of tapekey-kms in it\nhint: make one with `tapekey-kms init`, or check [store.postgresql] in kms.toml"
    )]
    NoTables {
        /// Database, host and port.
        place: String,
    },
    /// There is a store already.
    #[error(
        "{place}: there is a store of tapekey-kms in it already\nhint: a store is never made over another one: join it with `tapekey-kms node join`, or name another database"
    )]
    HasTables {
        /// Database, host and port.
        place: String,
    },
    /// A copy is to go where something is.
    #[error("{path} is not empty\nhint: name a new folder; a store is never made over something", path = path.display())]
    FolderNotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A copy came out otherwise than the store.
    #[error(
        "the copy is not the store: {problem}\nhint: nothing was left of it; look at the store with `tapekey-kms verify`"
    )]
    CopyDiffers {
        /// What was seen.
        problem: String,
    },
    /// The password cannot be read.
    #[error("password for PostgreSQL {path}: {problem}\nhint: it must be one line in a file of mode 0600", path = path.display())]
    Password {
        /// The file.
        path: PathBuf,
        /// What is wrong, without a word of the content.
        problem: String,
    },
    /// The CA of the server's certificate cannot be used.
    #[error("CA of PostgreSQL's certificate {path}: {problem}\nhint: it must hold certificates in PEM", path = path.display())]
    ServerCa {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// The answer to the commit did not come.
    #[error("whether it was done is not known, no key was given: {reason}\nhint: look before asking again")]
    InDoubt {
        /// What came instead.
        reason: String,
    },
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

/// An error without its hints, to be named in another one.
pub(super) fn first_line(error: &StoreError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
