//! What a new cartridge is made of.

use super::CartridgeError;
use serde::{Deserialize, Serialize};

/// A cartridge to be made.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MediumSpec {
    /// Medium serial number (MAM 0401h): 1 to 32 printable ASCII characters.
    pub medium_serial: String,
    /// Barcode (MAM 0806h): 1 to 32 printable ASCII characters.
    pub barcode: Option<String>,
    /// Density code: 5Eh for LTO-8, 5Ch for LTO-7.
    pub density: u8,
    /// Room for records in bytes, headers included.
    pub capacity_bytes: u64,
    /// Early warning comes when less than this is left.
    pub early_warning_bytes: u64,
    /// The write-protect tab is set.
    pub write_protected: bool,
}

impl Default for MediumSpec {
    /// An LTO-8 cartridge of 12 TB without a barcode.
    fn default() -> Self {
        Self {
            medium_serial: "SIM0000001".to_owned(),
            barcode: None,
            density: 0x5E,
            capacity_bytes: 12_000_000_000_000,
            early_warning_bytes: 4_000_000_000,
            write_protected: false,
        }
    }
}

impl MediumSpec {
    /// Refuses what no cartridge can be.
    pub(crate) fn validate(&self) -> Result<(), CartridgeError> {
        let name_allowed =
            |name: &str| (1..=32).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_graphic());
        let refused = |field, value: &dyn ToString| CartridgeError::Spec {
            field,
            value: value.to_string(),
        };
        if !name_allowed(&self.medium_serial) {
            return Err(refused("medium serial number", &self.medium_serial));
        }
        if let Some(barcode) = self.barcode.as_ref().filter(|barcode| !name_allowed(barcode)) {
            return Err(refused("barcode", barcode));
        }
        if self.capacity_bytes > CAPACITY_BYTES_MAX {
            return Err(refused("capacity in bytes", &self.capacity_bytes));
        }
        if self.early_warning_bytes > self.capacity_bytes {
            return Err(refused(
                "early warning in bytes (above the capacity)",
                &self.early_warning_bytes,
            ));
        }
        Ok(())
    }
}

/// 1 PiB: far above any cartridge, far below any overflow.
const CAPACITY_BYTES_MAX: u64 = 1 << 50;
