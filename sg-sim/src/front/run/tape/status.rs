//! MTIOCGET and MTIOCPOS: what the driver says about the place and the drive.

use nix::errno::Errno;

use super::{End, Place, Readiness, Tape};

/// MT_ISSCSI2, which is what the driver calls every modern drive.
const SCSI_TAPE: u32 = 0x72;

/// The fields of `struct mtget`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::front::run) struct TapeStatus {
    pub(in crate::front::run) drive_type: u32,
    /// Density code in the first byte, block length in the others.
    pub(in crate::front::run) drive_status: u32,
    /// The GMT_ bits.
    pub(in crate::front::run) general_status: u32,
    /// -1: unknown.
    pub(in crate::front::run) file_number: i32,
    /// -1: unknown.
    pub(in crate::front::run) block_number: i32,
}

/// The GMT_ bits of mtio.h.
mod general {
    pub(super) const END_OF_FILE: u32 = 0x8000_0000;
    pub(super) const BEGINNING_OF_TAPE: u32 = 0x4000_0000;
    pub(super) const END_OF_TAPE: u32 = 0x2000_0000;
    pub(super) const END_OF_DATA: u32 = 0x0800_0000;
    pub(super) const WRITE_PROTECTED: u32 = 0x0400_0000;
    pub(super) const ONLINE: u32 = 0x0100_0000;
    pub(super) const DOOR_OPEN: u32 = 0x0004_0000;
    pub(super) const IMMEDIATE_REPORT: u32 = 0x0001_0000;
}

impl Tape {
    /// MTIOCGET. After a reset it is allowed, and knows no place.
    ///
    /// # Errors
    /// EIO if the tape could not be put where the program believes it is.
    pub(in crate::front::run) fn status(&mut self) -> Result<TapeStatus, Errno> {
        let place = if self.position_unknown {
            Place::UNKNOWN
        } else {
            self.leave_reading(false)?;
            self.place
        };
        Ok(TapeStatus {
            drive_type: SCSI_TAPE,
            drive_status: (u32::from(self.density) << 24) | (self.block_length & 0xFF_FFFF),
            general_status: self.general_status(place),
            file_number: place.file.unwrap_or(-1),
            block_number: place.block.unwrap_or(-1),
        })
    }

    fn general_status(&self, place: Place) -> u32 {
        let first_block = place.block == Some(0);
        let first_file = place.file == Some(0);
        let end = place.end;
        let at_end = end == End::Medium;
        // The driver reports itself as buffering in its default settings.
        [
            (general::WRITE_PROTECTED, self.drive_write_protected),
            (general::BEGINNING_OF_TAPE, first_block && first_file),
            (general::END_OF_FILE, first_block && !first_file),
            (general::END_OF_TAPE, at_end),
            (general::END_OF_DATA, !at_end && end >= End::Medium),
            (general::ONLINE, self.readiness == Readiness::Ready),
            (general::DOOR_OPEN, self.readiness == Readiness::NoTape),
            (general::IMMEDIATE_REPORT, true),
        ]
        .into_iter()
        .filter(|(_, holds)| *holds)
        .fold(0, |status, (bit, _)| status | bit)
    }

    /// MTIOCPOS: the number of the next object.
    ///
    /// # Errors
    /// EIO if the drive does not say.
    pub(in crate::front::run) fn position(&mut self) -> Result<u32, Errno> {
        const POSITION_UNKNOWN: u8 = 0x04;
        self.leave_reading(false)?;
        if self.require_tape().is_err() {
            return Err(Errno::EIO);
        }
        let mut data = [0; 20];
        let device_specific = u8::from(!self.options.logical_blocks);
        self.attempt(&[0x34, device_specific, 0, 0, 0, 0, 0, 0, 0, 0], &[], &mut data)?;
        let [flags, partition, _, _, a, b, c, d, ..] = data;
        if flags & POSITION_UNKNOWN != 0 {
            return Err(Errno::EIO);
        }
        if flags & 0x80 != 0 && partition == 0 {
            self.place.at(Some(0), Some(0));
        }
        Ok(u32::from_be_bytes([a, b, c, d]))
    }
}

impl TapeStatus {
    /// As the shim takes it: type, partition, drive status, general status, soft errors, file, block.
    pub(in crate::front::run) fn encode(&self) -> Vec<u8> {
        let unsigned = [self.drive_type, 0, self.drive_status, self.general_status, 0];
        let signed = [self.file_number, self.block_number];
        let unsigned = unsigned.into_iter().flat_map(u32::to_be_bytes);
        unsigned.chain(signed.into_iter().flat_map(i32::to_be_bytes)).collect()
    }
}
