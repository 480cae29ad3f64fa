//! `sg-sim create`: makes a cartridge file with a blank medium.

use std::path::Path;

use crate::{Cartridge, CartridgeError, MediumSpec};

/// Makes `file`.
///
/// # Errors
/// The file exists or cannot be written, or serial number or barcode are not printable ASCII.
pub(super) fn run(file: &Path, medium_serial: &str, barcode: Option<&str>) -> Result<(), CartridgeError> {
    let spec = MediumSpec {
        medium_serial: medium_serial.to_owned(),
        barcode: barcode.map(ToOwned::to_owned),
        ..MediumSpec::default()
    };
    Cartridge::create(file, &spec).map(drop)
}
