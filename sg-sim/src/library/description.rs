//! The description of a library: a TOML file, read and checked as a whole before anything is made.
//!
//! This room must never touch a cartridge or the library's folder. `docs/library.md` describes every key.

use super::{
    LibraryError, Place,
    drive::{DescribedDrive, DriveTable},
    model::{ChangerModel, Range},
    place::ElementType,
    tape::Tape,
};
use crate::SenseCode;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    cartridges: PathBuf,
    #[serde(default)]
    model: ChangerModel,
    #[serde(default = "default_serial")]
    serial: String,
    slots: u16,
    #[serde(default)]
    import_export: u16,
    #[serde(default = "one")]
    transports: u16,
    #[serde(default)]
    drive_identification: DriveIdentification,
    unloaded_by_host: Option<SenseCode>,
    #[serde(default)]
    addresses: Addresses,
    #[serde(default)]
    drive: Vec<DriveTable>,
    #[serde(default)]
    tape: Vec<Tape>,
}

/// Addresses of the first elements, where they are not the model's.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Addresses {
    transport: Option<u16>,
    storage: Option<u16>,
    import_export: Option<u16>,
    drive: Option<u16>,
}

/// What READ ELEMENT STATUS with DVCID says about a drive.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum DriveIdentification {
    /// Vendor, product and serial number (identifier type 1).
    #[default]
    Full,
    /// The serial number alone (identifier type 0).
    Serial,
}

/// A description in which everything fits together.
#[derive(Debug)]
pub(super) struct Description {
    /// The file.
    pub(super) path: PathBuf,
    /// Where the cartridges' files are.
    pub(super) folder: PathBuf,
    /// Whose library this is.
    pub(super) model: ChangerModel,
    /// Unit serial number of the changer.
    pub(super) serial: String,
    /// The elements, by type code.
    pub(super) ranges: [Range; 4],
    /// What DVCID says.
    pub(super) drive_identification: DriveIdentification,
    /// A move out of a drive whose tape is threaded ends with this sense. None: the library unloads the tape.
    pub(super) unloaded_by_host: Option<SenseCode>,
    /// The drives in bay order.
    pub(super) drives: Vec<DescribedDrive>,
    /// The cartridges.
    pub(super) tapes: Vec<Tape>,
}

impl Description {
    /// Reads and checks a description.
    ///
    /// # Errors
    /// It cannot be read, is no TOML, or something in it is not possible.
    pub(super) fn read(path: &Path) -> Result<Self, LibraryError> {
        let text = fs::read_to_string(path).map_err(|source| LibraryError::Io {
            attempt: "read library description",
            path: path.to_owned(),
            source,
        })?;
        let file: File = toml::from_str(&text).map_err(|source| LibraryError::Syntax {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Checked { path }.check(file)
    }

    /// Whether the library has this place.
    pub(super) fn has(&self, place: Place) -> bool {
        self.ranges.iter().any(|range| range.address(place).is_some())
    }
}

/// A check of one file, so that every error can name it.
struct Checked<'a> {
    path: &'a Path,
}

impl Checked<'_> {
    fn refused(
        &self,
        key: impl Into<String>,
        value: &dyn ToString,
        reason: &'static str,
        hint: &'static str,
    ) -> LibraryError {
        LibraryError::Value {
            path: self.path.to_owned(),
            key: key.into(),
            value: value.to_string(),
            reason,
            hint,
        }
    }

    fn check(&self, file: File) -> Result<Description, LibraryError> {
        let serial_allowed =
            (1..=32).contains(&file.serial.len()) && file.serial.bytes().all(|byte| byte.is_ascii_graphic());
        if !serial_allowed {
            let hint = "write 1 to 32 printable ASCII characters without spaces";
            return Err(self.refused("serial", &file.serial, "not a unit serial number", hint));
        }
        if file.unloaded_by_host.is_some_and(|sense| sense.key == 0) {
            let hint = "write an error, 05/3B/90 for example";
            return Err(self.refused("unloaded-by-host", &"00/..", "not an error", hint));
        }
        let description = Description {
            path: self.path.to_owned(),
            folder: self.path.parent().unwrap_or(Path::new("")).join(&file.cartridges),
            model: file.model,
            ranges: self.ranges(&file)?,
            drives: self.drives(&file.drive)?,
            serial: file.serial,
            drive_identification: file.drive_identification,
            unloaded_by_host: file.unloaded_by_host,
            tapes: file.tape,
        };
        self.check_tapes(&description)?;
        Ok(description)
    }

    fn ranges(&self, file: &File) -> Result<[Range; 4], LibraryError> {
        let drives = u16::try_from(file.drive.len()).unwrap_or(u16::MAX);
        for (key, count) in [
            ("slots", file.slots),
            ("transports", file.transports),
            ("[[drive]]", drives),
        ] {
            if count == 0 {
                return Err(self.refused(key, &0, "a library has at least one", "write 1 or more"));
            }
        }
        let range = |element_type, count, first: Option<u16>| Range {
            element_type,
            first: first.unwrap_or_else(|| file.model.first_address(element_type)),
            count,
        };
        let ranges = [
            range(ElementType::MediumTransport, file.transports, file.addresses.transport),
            range(ElementType::Storage, file.slots, file.addresses.storage),
            range(
                ElementType::ImportExport,
                file.import_export,
                file.addresses.import_export,
            ),
            range(ElementType::DataTransfer, drives, file.addresses.drive),
        ];
        self.check_ranges(&ranges)?;
        Ok(ranges)
    }

    fn check_ranges(&self, ranges: &[Range; 4]) -> Result<(), LibraryError> {
        let mut by_address: Vec<&Range> = ranges.iter().filter(|range| range.count > 0).collect();
        by_address.sort_by_key(|range| range.first);
        let mut free_from = 0;
        for range in by_address {
            let key = match range.element_type {
                ElementType::MediumTransport => "addresses.transport",
                ElementType::Storage => "addresses.storage",
                ElementType::ImportExport => "addresses.import-export",
                ElementType::DataTransfer => "addresses.drive",
            };
            if range.first == 0 || range.end() > ADDRESSES {
                let hint = "choose a first address that leaves room for all of them";
                return Err(self.refused(key, &range.first, "element addresses go from 1 to 65535", hint));
            }
            if u32::from(range.first) < free_from {
                let hint = "set another first address in [addresses], or have fewer elements";
                let reason = "the elements would get addresses that other elements have";
                return Err(self.refused(key, &range.first, reason, hint));
            }
            free_from = range.end();
        }
        Ok(())
    }

    fn drives(&self, tables: &[DriveTable]) -> Result<Vec<DescribedDrive>, LibraryError> {
        let mut seen = BTreeSet::new();
        let mut drives = Vec::new();
        for (number, table) in tables.iter().enumerate() {
            let key = || format!("serial of [[drive]] {number}");
            let drive = table.described().ok_or_else(|| {
                let hint = "write 10 printable ASCII characters, like 1013000101";
                self.refused(key(), &table.serial, "not a drive's serial number", hint)
            })?;
            if !seen.insert(&table.serial) {
                let hint = "give each drive its own";
                return Err(self.refused(key(), &table.serial, "another drive has it", hint));
            }
            drives.push(drive);
        }
        Ok(drives)
    }

    fn check_tapes(&self, description: &Description) -> Result<(), LibraryError> {
        let (mut barcodes, mut serials, mut places) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for tape in &description.tapes {
            let key = |name: &str| format!("{name} of [[tape]] {}", tape.barcode);
            tape.check()
                .map_err(|fault| self.refused(key(fault.key), &fault.value, fault.reason, fault.hint))?;
            if !barcodes.insert(&tape.barcode) {
                let hint = "each cartridge has its own barcode";
                return Err(self.refused("barcode of [[tape]]", &tape.barcode, "another cartridge has it", hint));
            }
            let serial = tape.serial();
            if !tape.is_cleaning() && !serials.insert(serial.clone()) {
                let hint = "each cartridge has its own medium-serial";
                return Err(self.refused(key("medium-serial"), &serial, "another cartridge has it", hint));
            }
            let Some(place) = tape.at else { continue };
            if !description.has(place) {
                let hint = "slots and io are counted from 1, drives from 0";
                return Err(self.refused(key("at"), &place, "the library has no such place", hint));
            }
            if !places.insert(place) {
                let hint = "leave the key out to have the first free slot";
                return Err(self.refused(key("at"), &place, "another cartridge is there", hint));
            }
        }
        Ok(())
    }
}

fn default_serial() -> String {
    "SGSIMLIB01".to_owned()
}

const fn one() -> u16 {
    1
}

/// Number of element addresses.
const ADDRESSES: u32 = 0x1_0000;
