//! The drive: what it keeps, and how a command reaches the room that executes it.

use crate::{Cartridge, Event, ItNexus, Profile, Quirks, Randomness, Reply, Status, sense::Sense};
use std::path::PathBuf;
use thiserror::Error;

/// An LTO drive.
pub struct Drive {
    profile: Profile,
    quirks: Quirks,
    randomness: Box<dyn Randomness + Send>,
    cartridge: Option<Cartridge>,
}

/// Why a cartridge did not go in. The cartridge comes back.
#[derive(Debug, Error)]
pub enum LoadError {
    /// There is a cartridge in the drive.
    #[error("load a cartridge: the drive holds one already\nhint: eject it first")]
    Occupied(Box<Cartridge>),
    /// The drive cannot read this density.
    #[error(
        "load a cartridge: density {density:02X}h is not for this drive\nhint: an LTO-8 drive takes LTO-8 (5Eh) and LTO-7 (5Ch)"
    )]
    Unsuitable {
        /// The cartridge.
        cartridge: Box<Cartridge>,
        /// Its density code.
        density: u8,
    },
}

/// What a person who looks at the simulator wants to know.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DriveStatus {
    /// The cartridge in the drive, if one is loaded and ready.
    pub medium: Option<MediumStatus>,
    /// ENCRYPTION MODE in force: 0 disable, 1 external, 2 encrypt.
    pub encryption_mode: u8,
    /// DECRYPTION MODE in force: 0 disable, 1 raw, 2 decrypt, 3 mixed.
    pub decryption_mode: u8,
    /// Key instance counter.
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
    /// A drive that has just been switched on, without a cartridge.
    #[must_use]
    pub fn new(profile: Profile, randomness: Box<dyn Randomness + Send>) -> Self {
        Self {
            profile,
            quirks: Quirks::default(),
            randomness,
            cartridge: None,
        }
    }

    /// Executes one command for `nexus`.
    ///
    /// `cdb`, `data_out` and `data_in` may be of any length and hold anything. `data_in` is overwritten from its beginning; only the first
    /// [`Reply::data_in`] bytes of it mean anything afterwards.
    pub fn execute(&mut self, _nexus: &ItNexus, _cdb: &[u8], _data_out: &[u8], _data_in: &mut [u8]) -> Reply {
        let sense = Sense::new(0x5, 0x20, 0x00).encode_fixed(self.profile.sense_bytes);
        Reply {
            status: Status::CHECK_CONDITION,
            sense,
            data_in: 0,
        }
    }

    /// Puts a cartridge in and threads it; every nexus is told 28h/00h.
    ///
    /// # Errors
    /// The drive holds a cartridge already, or cannot read this one.
    pub fn load(&mut self, cartridge: Cartridge) -> Result<(), LoadError> {
        if self.cartridge.is_some() {
            return Err(LoadError::Occupied(Box::new(cartridge)));
        }
        self.cartridge = Some(cartridge);
        Ok(())
    }

    /// Takes the cartridge out, synced; a set of encryption parameters with CKOD goes with it. None if the drive is empty.
    pub fn eject(&mut self) -> Option<Cartridge> {
        self.cartridge.take()
    }

    /// Lets something happen to the drive.
    pub fn apply(&mut self, _event: Event) {
        let mut bytes = [0; 1];
        self.randomness.fill(&mut bytes);
    }

    /// The switches that hold.
    pub fn quirks(&mut self) -> &mut Quirks {
        &mut self.quirks
    }

    /// What is in the drive and which modes are in force for `nexus`, or for a nexus that has set no parameters of its own.
    #[must_use]
    pub fn status(&self, _nexus: Option<&ItNexus>) -> DriveStatus {
        DriveStatus {
            medium: None,
            encryption_mode: 0,
            decryption_mode: 0,
            key_instance_counter: 0,
        }
    }
}
