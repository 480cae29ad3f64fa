//! What can be wrong with a library: its description, its folder, a cartridge, or what an operator wants of it.

use super::Place;
use crate::CartridgeError;
use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a library could not be opened. Nothing that was there is changed.
#[derive(Debug, Error)]
pub enum LibraryError {
    /// The operating system refused.
    #[error("{attempt} {path:?}: {source}\nhint: the user who runs this must be able to read and write it")]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// File or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The description is not TOML, or has a key that is unknown, missing or of another type.
    #[error("read library description {path:?}: {}\nhint: docs/library.md lists every key", source.to_string().trim_end())]
    Syntax {
        /// The description.
        path: PathBuf,
        /// What and where.
        source: Box<toml::de::Error>,
    },
    /// A value that no library can have.
    #[error("read library description {path:?}: {key} = {value}: {reason}\nhint: {hint}")]
    Value {
        /// The description.
        path: PathBuf,
        /// Key, with the number of its table where there are several.
        key: String,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// Two cartridges want to be in one place, or the place does not exist.
    #[error(
        "put cartridge {barcode} into {place}: {reason}\nhint: give it another place with the key at, or, to begin again as {path:?} describes, remove library.json from the folder of the cartridges"
    )]
    NoPlace {
        /// The description.
        path: PathBuf,
        /// The cartridge.
        barcode: String,
        /// Where it should be.
        place: String,
        /// What is in the way.
        reason: String,
    },
    /// Another library, maybe in another process, has the folder.
    #[error(
        "open library folder {path:?}: another library is running on it\nhint: stop that one, or name another folder with the key cartridges"
    )]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The file that says where the cartridges are is not ours, newer or damaged.
    #[error(
        "read library state {path:?}: {reason}\nhint: remove it to begin again as the description says; it was left as it is"
    )]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A cartridge's file could not be opened or made.
    #[error("take cartridge {barcode} into the library: {source}")]
    Cartridge {
        /// Its barcode.
        barcode: String,
        /// What is wrong with the file.
        source: CartridgeError,
    },
    /// The file of that name is another cartridge.
    #[error(
        "take cartridge {barcode} into the library: {path:?} has medium serial {found}, not {expected}\nhint: correct medium-serial in the description, or move the file away; it was left as it is"
    )]
    OtherCartridge {
        /// Barcode in the description.
        barcode: String,
        /// The file.
        path: PathBuf,
        /// Medium serial number in the description.
        expected: String,
        /// Medium serial number in the file.
        found: String,
    },
}

/// Why an operator could not do something at the import/export station. Nothing was changed.
#[derive(Debug, Error)]
pub enum StationError {
    /// A program holds the station shut.
    #[error(
        "open the import/export station: a program prevents it\nhint: it has sent PREVENT MEDIUM REMOVAL; wait until it allows removal"
    )]
    Prevented,
    /// The station is shut.
    #[error("reach into the import/export station: it is shut\nhint: open it first")]
    Shut,
    /// There is no such element.
    #[error(
        "reach into {place}: there is no such place at the import/export station\nhint: the station has {count} places, io 1 first"
    )]
    NoSuchPlace {
        /// The place.
        place: Place,
        /// How many there are.
        count: u16,
    },
    /// No room.
    #[error("insert cartridge {barcode}: the import/export station is full\nhint: remove a cartridge first")]
    Full {
        /// The cartridge.
        barcode: String,
    },
    /// Nothing there.
    #[error("remove a cartridge from {place}: it is empty\nhint: list the library to see what is where")]
    Empty {
        /// The place.
        place: Place,
    },
    /// It is in the library already.
    #[error("insert cartridge {barcode}: it is in {place}\nhint: each cartridge exists once; remove it there first")]
    Inside {
        /// The cartridge.
        barcode: String,
        /// Where it is.
        place: Place,
    },
    /// No cartridge can be called this.
    #[error("insert cartridge {barcode:?}: not a barcode\nhint: 1 to 32 letters, digits, '-' or '_'")]
    Barcode {
        /// What was asked for.
        barcode: String,
    },
    /// Its file is not usable.
    #[error(transparent)]
    Cartridge(#[from] LibraryError),
}
