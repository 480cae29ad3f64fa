//! A drive of the library as the description has it: model, serial number, switches.

use crate::{Profile, Quirks};
use serde::Deserialize;

/// A `[[drive]]` table.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct DriveTable {
    #[serde(default)]
    model: DriveModel,
    /// Unit serial number.
    pub(super) serial: String,
    #[serde(default)]
    quirks: Quirks,
}

/// What kind of drive is in a bay.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DriveModel {
    /// IBM LTO-8, full height.
    #[default]
    IbmLto8,
}

/// A drive that can be made.
#[derive(Debug)]
pub(super) struct DescribedDrive {
    /// Model and serial number.
    pub(super) profile: Profile,
    /// The switches that hold from the beginning.
    pub(super) quirks: Quirks,
}

impl DriveTable {
    /// The drive. None if no drive can have its serial number.
    pub(super) fn described(&self) -> Option<DescribedDrive> {
        let model = match self.model {
            DriveModel::IbmLto8 => Profile::ibm_lto8(),
        };
        Some(DescribedDrive {
            profile: model.with_serial_number(&self.serial).ok()?,
            quirks: self.quirks.clone(),
        })
    }
}
