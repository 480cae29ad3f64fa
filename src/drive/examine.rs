//! Everything that `tapekey doctor` asks of a drive. No key is sent, nothing on the medium is touched, the tape stays where it is.

use super::{Drive, DriveError, DriveIdentity, EncryptionOffer, KeyInForce, Readiness, VolumeIdentity};
use crate::scsi::cdb::{self, PROTOCOL_INFORMATION};
use crate::scsi::mam::{MEDIUM_SERIAL_NUMBER, MEDIUM_TYPE, decode_attributes};
use crate::scsi::mode::ModeHeader;
use crate::scsi::sense::SenseKey;
use crate::transport::Data;

/// Room for the attributes from MEDIUM SERIAL NUMBER to MEDIUM TYPE, and what a drive sends behind them.
const ATTRIBUTES_LENGTH: u16 = 0x8000;

/// MEDIUM TYPE of a volume that is written once.
const WORM: u8 = 0x80;

/// What a drive answered.
#[derive(Debug)]
pub struct Examination {
    /// Who it is.
    pub identity: Result<DriveIdentity, DriveError>,
    /// Whether a volume is ready.
    pub readiness: Result<Readiness, DriveError>,
    /// The volume, if one is ready.
    pub medium: Option<Result<MediumFacts, DriveError>>,
    /// Whether it takes keys from us.
    pub offer: Result<EncryptionOffer, DriveError>,
    /// What is in force, asked twice: once before everything else about keys, once after.
    pub in_force: Result<[KeyInForce; 2], DriveError>,
    /// Whether the system lets a SECURITY PROTOCOL OUT pass.
    pub sending: Result<(), DriveError>,
    /// Whether its volume statistics, of which the proof is taken, may be believed; asked if a volume is ready.
    pub statistics: Option<Result<bool, DriveError>>,
}

/// What is known of the volume in a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediumFacts {
    /// Its names.
    pub volume: VolumeIdentity,
    /// Whether writes are refused.
    pub write_protected: bool,
    /// DENSITY CODE, if the drive tells.
    pub density: Option<u8>,
    /// Whether it can be written only once, if its memory tells.
    pub worm: Option<bool>,
}

impl Drive {
    /// Asks everything. The unit attentions that it meets are kept for [`Drive::take_attentions`].
    ///
    /// # Errors
    /// If the drive cannot be reached at all: asking on would only wait as long again.
    pub fn examine(&mut self) -> Result<Examination, DriveError> {
        let identity = match self.identify() {
            Err(error @ DriveError::Transport { .. }) => return Err(error),
            other => other,
        };
        let readiness = self.readiness();
        let is_ready = matches!(readiness, Ok(Readiness::Ready));
        let before = self.read_back();
        let offer = self.encryption();
        let sending = self.try_sending();
        let medium = is_ready.then(|| self.medium());
        let statistics = is_ready.then(|| self.volume_statistics().map(|statistics| statistics.page_valid));
        let in_force = before.and_then(|before| Ok([before, self.read_back()?]));
        Ok(Examination {
            identity,
            readiness,
            medium,
            offer,
            in_force,
            sending,
            statistics,
        })
    }

    fn medium(&mut self) -> Result<MediumFacts, DriveError> {
        let volume = self.volume()?;
        let header = self.read(
            "MODE SENSE",
            &cdb::MODE_SENSE_HEADER,
            ModeHeader::LENGTH,
            ModeHeader::decode,
        )?;
        let read = cdb::read_attribute(MEDIUM_SERIAL_NUMBER, ATTRIBUTES_LENGTH.into());
        let attributes = self.read("READ ATTRIBUTE", &read, ATTRIBUTES_LENGTH, decode_attributes)?;
        let medium_type = attributes.iter().find(|attribute| attribute.identifier == MEDIUM_TYPE);
        Ok(MediumFacts {
            volume,
            write_protected: header.write_protected,
            density: header.density,
            worm: medium_type.and_then(|attribute| Some(*attribute.value.first()? == WORM)),
        })
    }

    /// Protocol 00h has nothing that could be set, so every drive refuses this; that it is the drive who does shows that the system let it pass.
    fn try_sending(&mut self) -> Result<(), DriveError> {
        let cdb = cdb::security_protocol_out(PROTOCOL_INFORMATION, 0, 0);
        match self.send("SECURITY PROTOCOL OUT, protocol 00h", &cdb, Data::None) {
            Ok(_) => Ok(()),
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::IllegalRequest => Ok(()),
            Err(error) => Err(error),
        }
    }
}
