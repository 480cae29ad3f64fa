//! A cartridge that the library keeps: what it is, where it is, and its file.
//!
//! A data cartridge's file is opened when the library is, if it exists, and otherwise made when the cartridge is first put into a drive. A
//! cleaning cartridge has none. The file is held as long as the cartridge is in the library, so no other drive can have it.

use super::{LibraryError, state::Custody, tape::Tape};
use crate::{Cartridge, CartridgeError};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A cartridge of the library.
pub(super) struct Volume {
    /// What it is.
    pub(super) tape: Tape,
    /// Where it is and whence it came.
    pub(super) custody: Custody,
    /// The open file, unless it is in a drive or does not exist yet.
    pub(super) cartridge: Option<Cartridge>,
}

impl Volume {
    /// The cartridge, its file opened if there is one.
    ///
    /// # Errors
    /// The file is in use, foreign, damaged, or another cartridge's.
    pub(super) fn open(tape: Tape, custody: Custody, folder: &Path) -> Result<Self, LibraryError> {
        let mut volume = Self {
            tape,
            custody,
            cartridge: None,
        };
        let path = volume.path(folder);
        if !volume.tape.is_cleaning() && path.try_exists().unwrap_or(true) {
            volume.cartridge = Some(volume.open_file(&path)?);
        }
        Ok(volume)
    }

    /// Makes the file if there is none.
    ///
    /// # Errors
    /// It cannot be made.
    pub(super) fn make_ready(&mut self, folder: &Path) -> Result<(), LibraryError> {
        if self.cartridge.is_some() || self.tape.is_cleaning() {
            return Ok(());
        }
        let path = self.path(folder);
        if !path.try_exists().unwrap_or(true) {
            self.make_file(&path)?;
        }
        self.cartridge = Some(self.open_file(&path)?);
        Ok(())
    }

    fn path(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.tape", self.tape.barcode))
    }

    fn failed(&self, source: CartridgeError) -> LibraryError {
        LibraryError::Cartridge {
            barcode: self.tape.barcode.clone(),
            source,
        }
    }

    /// Makes the file under another name first: one that is there under its own name is whole, also after a kill.
    fn make_file(&self, path: &Path) -> Result<(), LibraryError> {
        let new = path.with_extension("tape.new");
        let failed = |source| LibraryError::Io {
            attempt: "make cartridge",
            path: path.to_owned(),
            source,
        };
        match fs::remove_file(&new) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => return Err(failed(source)),
            _ => {}
        }
        Cartridge::create(&new, &self.tape.spec()).map_err(|source| self.failed(source))?;
        fs::rename(&new, path).map_err(failed)
    }

    fn open_file(&self, path: &Path) -> Result<Cartridge, LibraryError> {
        let cartridge = Cartridge::open(path).map_err(|source| self.failed(source))?;
        match self.tape.demanded_serial() {
            Some(expected) if expected != cartridge.medium_serial() => Err(LibraryError::OtherCartridge {
                barcode: self.tape.barcode.clone(),
                path: path.to_owned(),
                expected: expected.to_owned(),
                found: cartridge.medium_serial().to_owned(),
            }),
            _ => Ok(cartridge),
        }
    }
}
