//! What can be wrong with a cartridge file.

use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a cartridge could not be made or opened. The file is never changed when one of these is returned by `open`.
#[derive(Debug, Error)]
pub enum CartridgeError {
    /// No cartridge can be like this.
    #[error(
        "make a cartridge: {field} {value:?} is not possible\nhint: names are 1 to 32 printable ASCII characters, sizes at most 1 PiB"
    )]
    Spec {
        /// What is wrong.
        field: &'static str,
        /// Its value.
        value: String,
    },
    /// A file of that name is already there.
    #[error("make cartridge {path:?}: the file exists\nhint: open it, or choose another name; nothing was changed")]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("{attempt} cartridge {path:?}: {source}")]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another drive holds the file.
    #[error("open cartridge {path:?}: it is in another drive\nhint: eject it there first")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// The file is no cartridge of ours.
    #[error("open cartridge {path:?}: not a cartridge file: {found}\nhint: the file was left as it is")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What was found instead.
        found: &'static str,
    },
    /// The file was made by an older or a newer program.
    #[error(
        "open cartridge {path:?}: format version {version}, and this program knows only version 2\nhint: use the program that wrote it; the file was left as it is"
    )]
    OtherVersion {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u16,
    },
    /// The header is ours but damaged.
    #[error("open cartridge {path:?}: {what} is damaged\nhint: restore the file from a copy; it was left as it is")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Which part.
        what: &'static str,
    },
}
