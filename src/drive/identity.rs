//! Who the drive is, whether it is ready, and which volume is in it.

use super::{Drive, DriveError, Refusal};
use crate::scsi::cdb;
use crate::scsi::inquiry::{
    Designator, SEQUENTIAL_ACCESS, StandardInquiry, VPD_DEVICE_IDENTIFICATION, VPD_UNIT_SERIAL_NUMBER,
    decode_device_identification, decode_unit_serial_number,
};
use crate::scsi::mam::{Attribute, BARCODE, MEDIA_POOL, MEDIUM_SERIAL_NUMBER, MEDIUM_TYPE, decode_attributes};
use crate::scsi::sense::SenseKey;
use crate::transport::Data;

/// Room for standard INQUIRY data and any VPD page that we read.
const INQUIRY_LENGTH: u16 = 0x0400;

/// Room for all attributes of a volume: the memory of an LTO-9 cartridge has 32 KiB, most of it not attributes.
const ATTRIBUTES_LENGTH: u16 = 0x8000;

/// MEDIUM TYPE of a cleaning cartridge.
const TYPE_CLEANING: [u8; 1] = [0x01];

/// Who a drive is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DriveIdentity {
    /// T10 VENDOR IDENTIFICATION.
    pub vendor: String,
    /// PRODUCT IDENTIFICATION.
    pub product: String,
    /// PRODUCT REVISION LEVEL: the firmware.
    pub revision: String,
    /// Unit serial number (VPD 80h): the name that outlives node numbers.
    pub serial: String,
    /// Designators (VPD 83h), empty if the drive has no such page.
    pub designators: Vec<Designator>,
}

/// Whether a drive can be used, by TEST UNIT READY.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// A volume is loaded and ready.
    Ready,
    /// 02h, 04h/01h or 04h/07h: it is loading, or an operation is in progress; ask again.
    BecomingReady,
    /// 02h, 3Ah/xxh: there is no volume.
    NoMedium,
    /// 02h, 30h/03h: a cleaning cartridge is in it, which is no volume.
    CleaningCartridge,
    /// Something else, in the drive's words; a person must look.
    NotReady {
        /// The sense, as text.
        sense: String,
    },
}

/// Which volume is in a drive, as its memory says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct VolumeIdentity {
    /// MEDIUM SERIAL NUMBER (0401h): the identity.
    pub medium_serial: Option<String>,
    /// BARCODE (0806h): an attribute of the volume, not its identity.
    pub barcode: Option<String>,
    /// MEDIA POOL (0808h): may only raise protection.
    pub pool: Option<String>,
    /// MEDIUM TYPE (0408h) 01h: it is a cleaning cartridge, and never gets a key.
    pub cleaning: bool,
}

impl VolumeIdentity {
    fn of(attributes: &[Attribute]) -> Self {
        let find = |identifier| attributes.iter().find(|attribute| attribute.identifier == identifier);
        let text = |identifier| find(identifier).and_then(Attribute::text);
        Self {
            medium_serial: text(MEDIUM_SERIAL_NUMBER),
            barcode: text(BARCODE),
            pool: text(MEDIA_POOL),
            cleaning: find(MEDIUM_TYPE).is_some_and(|attribute| attribute.value == TYPE_CLEANING),
        }
    }
}

impl Drive {
    /// Reads who the drive is. It needs no volume and no readiness.
    ///
    /// # Errors
    /// [`Refusal::NotATapeDrive`], or whatever kept the drive from answering.
    pub fn identify(&mut self) -> Result<DriveIdentity, DriveError> {
        let standard = self.read(
            "INQUIRY",
            &cdb::inquiry(None, INQUIRY_LENGTH),
            INQUIRY_LENGTH,
            StandardInquiry::decode,
        )?;
        if standard.device_type != SEQUENTIAL_ACCESS {
            let refusal = Refusal::NotATapeDrive {
                device_type: standard.device_type,
            };
            return Err(DriveError::Refused {
                path: self.path().to_owned(),
                refusal,
            });
        }
        let serial = self.unit_serial_number()?;
        let designators_cdb = cdb::inquiry(Some(VPD_DEVICE_IDENTIFICATION), INQUIRY_LENGTH);
        let designators = match self.read(
            "INQUIRY page 83h",
            &designators_cdb,
            INQUIRY_LENGTH,
            decode_device_identification,
        ) {
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::IllegalRequest => Vec::new(),
            other => other?,
        };
        let StandardInquiry {
            vendor,
            product,
            revision,
            ..
        } = standard;
        Ok(DriveIdentity {
            vendor,
            product,
            revision,
            serial,
            designators,
        })
    }

    /// Requires the drive to be the one with serial number `expected`: between the look that found its node and the open, the node may have
    /// been given to another. INQUIRY takes no unit attention from anybody.
    ///
    /// # Errors
    /// [`Refusal::AnotherDrive`], or whatever kept the drive from answering.
    pub fn confirm_serial(&mut self, expected: &str) -> Result<(), DriveError> {
        let found = self.unit_serial_number()?;
        if found == expected {
            return Ok(());
        }
        Err(DriveError::Refused {
            path: self.path().to_owned(),
            refusal: Refusal::AnotherDrive {
                expected: expected.to_owned(),
                found,
            },
        })
    }

    /// Reads the unit serial number (VPD 80h) alone.
    ///
    /// # Errors
    /// Whatever kept the drive from answering; some drives have no such page.
    pub fn unit_serial_number(&mut self) -> Result<String, DriveError> {
        let ask = cdb::inquiry(Some(VPD_UNIT_SERIAL_NUMBER), INQUIRY_LENGTH);
        self.read("INQUIRY page 80h", &ask, INQUIRY_LENGTH, decode_unit_serial_number)
    }

    /// Asks whether the drive is ready.
    ///
    /// # Errors
    /// Whatever kept the drive from answering; "not ready" is an answer.
    pub fn readiness(&mut self) -> Result<Readiness, DriveError> {
        let sense = match self.send("TEST UNIT READY", &cdb::TEST_UNIT_READY, Data::None) {
            Ok(_) => return Ok(Readiness::Ready),
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::NotReady => sense,
            Err(error) => return Err(error),
        };
        Ok(match (sense.additional.asc, sense.additional.ascq) {
            (0x04, 0x01 | 0x07) => Readiness::BecomingReady,
            (0x3A, _) => Readiness::NoMedium,
            (0x30, 0x03) => Readiness::CleaningCartridge,
            _ => Readiness::NotReady {
                sense: sense.to_string(),
            },
        })
    }

    /// Reads the identity of the volume from its memory.
    ///
    /// # Errors
    /// Whatever kept the drive from answering; a volume without such attributes is an answer.
    pub fn volume(&mut self) -> Result<VolumeIdentity, DriveError> {
        let read = cdb::read_attribute(MEDIUM_SERIAL_NUMBER, ATTRIBUTES_LENGTH.into());
        let attributes = self.read("READ ATTRIBUTE", &read, ATTRIBUTES_LENGTH, decode_attributes)?;
        Ok(VolumeIdentity::of(&attributes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_medium_type_01h_is_a_cleaning_cartridge() {
        let with = |value: &[u8]| {
            VolumeIdentity::of(&[Attribute {
                identifier: MEDIUM_TYPE,
                format: 0,
                value: value.to_vec(),
            }])
        };
        assert!(with(&[0x01]).cleaning);
        for other in [[0x00].as_slice(), &[0x80], &[], &[0x01, 0x00]] {
            assert!(!with(other).cleaning, "{other:02X?}");
        }
        assert!(!VolumeIdentity::of(&[]).cleaning);
    }
}
