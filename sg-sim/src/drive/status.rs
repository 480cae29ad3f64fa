//! What a person who looks at the simulator wants to know. No SCSI command shows it like this.

use super::Drive;
use crate::ItNexus;
use std::path::{Path, PathBuf};

/// What is in the drive and what is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveStatus {
    /// The cartridge in the drive, if its tape is threaded.
    pub medium: Option<MediumStatus>,
    /// ENCRYPTION MODE in force: 0 disable, 1 external, 2 encrypt.
    pub encryption_mode: u8,
    /// DECRYPTION MODE in force: 0 disable, 1 raw, 2 decrypt, 3 mixed.
    pub decryption_mode: u8,
    /// Key instance counter in force.
    pub key_instance_counter: u32,
}

/// The cartridge in the drive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediumStatus {
    /// The file; none for a cartridge in memory.
    pub path: Option<PathBuf>,
    /// Medium serial number.
    pub medium_serial: String,
    /// Barcode, if there is one.
    pub barcode: Option<String>,
    /// Number of the next object.
    pub object: u64,
    /// Objects on the tape: blocks and filemarks.
    pub objects: u64,
    /// Filemarks on the tape.
    pub filemarks: u64,
    /// Blocks that are not encrypted.
    pub plain_blocks: u64,
    /// Blocks that are encrypted.
    pub encrypted_blocks: u64,
}

impl Drive {
    /// What is in the drive and which modes are in force for `nexus`, or for a nexus that has set no parameters of its own.
    #[must_use]
    pub fn status(&self, nexus: Option<&ItNexus>) -> DriveStatus {
        let nexus = nexus.and_then(|nexus| self.nexuses.find(nexus));
        let set = nexus.map_or_else(|| self.encryption.shared(), |nexus| self.encryption.in_force(nexus));
        let counter = nexus.map(|nexus| self.encryption.counter_in_force(nexus));
        DriveStatus {
            medium: self.medium_status(),
            encryption_mode: set.map_or(0, |set| set.encryption_mode().code()),
            decryption_mode: set.map_or(0, super::encryption::ParameterSet::decryption_mode_code),
            key_instance_counter: counter.unwrap_or_else(|| self.encryption.key_instance_counter()),
        }
    }

    fn medium_status(&self) -> Option<MediumStatus> {
        let cartridge = self.medium.threaded().ok()?;
        let index = cartridge.index();
        Some(MediumStatus {
            path: cartridge.path().map(Path::to_owned),
            medium_serial: cartridge.medium_serial().to_owned(),
            barcode: cartridge.barcode(),
            object: self.medium.position(),
            objects: index.objects(),
            filemarks: index.filemarks(),
            plain_blocks: index.plain_blocks(),
            encrypted_blocks: index.sealed_blocks(),
        })
    }
}
