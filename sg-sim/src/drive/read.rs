//! READ(6), VERIFY(6) and READ BLOCK LIMITS (SSC-4). The data path: a sealed block goes from the cartridge to the caller's buffer in one pass.

use super::{
    Drive,
    call::{Call, CommandResult, Failure},
    encryption::{Refusal, deliver},
};
use crate::{ItNexus, cartridge::ObjectKind, sense::Sense};

/// What READ met instead of a block that it may give out.
enum Stop {
    Filemark,
    /// The sense without its INFORMATION field.
    Sense(Sense),
    /// The block must not be given out.
    Refused(Refusal),
    /// The medium does not hold the block whole.
    Unreadable,
}

impl From<Sense> for Stop {
    fn from(sense: Sense) -> Self {
        Self::Sense(sense)
    }
}

impl Drive {
    /// READ(6).
    pub(super) fn read(&mut self, call: &mut Call<'_>) -> CommandResult {
        let (fixed, suppress_incorrect_length) = (call.cdb.bit(1, 0), call.cdb.bit(1, 1));
        if fixed && suppress_incorrect_length {
            return Err(Sense::invalid_cdb_field(1, 1).into());
        }
        self.medium.threaded()?;
        if fixed && self.mode.block_bytes == 0 {
            return Err(Sense::invalid_cdb_field(1, 0).into());
        }
        let length = call.cdb.u24(2);
        if length == 0 {
            return Ok(0);
        }
        if self.quirks.lock_guards_reads
            && let Some(nexus) = self.nexuses.find(call.nexus)
        {
            self.encryption.check_lock(nexus)?;
        }
        let result = if fixed {
            self.read_fixed(call.nexus, call.data_in, length)
        } else {
            self.read_variable(call.nexus, call.data_in, length, suppress_incorrect_length)
        };
        let moved = result.as_ref().map_or_else(|failure| failure.data_in, |moved| *moved);
        let moved = u64::try_from(moved).unwrap_or(0);
        if let Ok(cartridge) = self.medium.threaded_mut() {
            cartridge.count_read(moved);
        }
        self.statistics.count_read(moved);
        result
    }

    /// VERIFY(6): reads and gives nothing out. Blocks are checked as READ checks them; there is no comparison with data (BYTCMP).
    pub(super) fn verify(&mut self, call: &Call<'_>) -> CommandResult {
        const BYTE_COMPARE: u8 = 1;
        if call.cdb.bit(1, BYTE_COMPARE) {
            return Err(Sense::invalid_cdb_field(1, BYTE_COMPARE).into());
        }
        let fixed = call.cdb.bit(1, 0);
        self.medium.threaded()?;
        if fixed && self.mode.block_bytes == 0 {
            return Err(Sense::invalid_cdb_field(1, 0).into());
        }
        let length = call.cdb.u24(2);
        if length == 0 {
            return Ok(0);
        }
        let verified = if fixed {
            self.read_fixed(call.nexus, &mut [], length)
        } else {
            self.read_variable(call.nexus, &mut [], length, false)
        };
        verified.map(|_| 0).map_err(|failure| failure.sense.into())
    }

    /// One block of any length.
    fn read_variable(
        &mut self,
        nexus: &ItNexus,
        data_in: &mut [u8],
        length: u32,
        suppress_incorrect_length: bool,
    ) -> CommandResult {
        let asked = usize::try_from(length).unwrap_or(usize::MAX).min(data_in.len());
        let room = data_in.get_mut(..asked).unwrap_or_default();
        let block_bytes = match self.read_block(nexus, room) {
            Ok(block_bytes) => block_bytes,
            Err(stop) => return Err(self.stopped(nexus, &stop, i64::from(length), 0)),
        };
        self.medium.move_to(self.medium.position() + 1);
        let moved = usize::try_from(block_bytes).unwrap_or(usize::MAX).min(room.len());
        let suppressed = suppress_incorrect_length && (block_bytes < length || self.mode.block_bytes == 0);
        if block_bytes == length || suppressed {
            return Ok(moved);
        }
        let residue = i64::from(length) - i64::from(block_bytes);
        Err(Failure {
            sense: INCORRECT_LENGTH.with_information(residue),
            data_in: moved,
        })
    }

    /// As many blocks of the mode's length as asked for. A block of another length ends it, behind that block.
    fn read_fixed(&mut self, nexus: &ItNexus, data_in: &mut [u8], blocks: u32) -> CommandResult {
        let block_bytes = self.mode.block_bytes;
        let step = usize::try_from(block_bytes).unwrap_or(usize::MAX);
        let mut moved = 0_usize;
        for block in 0..blocks {
            let left = i64::from(blocks - block);
            let end = moved.saturating_add(step).min(data_in.len());
            let room = data_in.get_mut(moved..end).unwrap_or_default();
            match self.read_block(nexus, room) {
                Ok(length) => {
                    self.medium.move_to(self.medium.position() + 1);
                    if length != block_bytes {
                        return Err(Failure {
                            sense: INCORRECT_LENGTH.with_information(left),
                            data_in: moved,
                        });
                    }
                    moved = end;
                }
                Err(stop) => return Err(self.stopped(nexus, &stop, left, moved)),
            }
        }
        Ok(moved)
    }

    /// The failure of a READ that met `stop` with `residue` left to read. A filemark is passed, a refused block only by drives that do so.
    fn stopped(&mut self, nexus: &ItNexus, stop: &Stop, residue: i64, data_in: usize) -> Failure {
        let sense = match stop {
            Stop::Filemark => {
                self.medium.move_to(self.medium.position() + 1);
                FILEMARK_DETECTED
            }
            Stop::Refused(refusal) => {
                if let Some(nexus) = self.nexuses.find_mut(nexus)
                    && *refusal == Refusal::WrongKey
                {
                    self.encryption.count_wrong_key(nexus);
                }
                if self.quirks.passes_refused_blocks {
                    self.medium.move_to(self.medium.position() + 1);
                }
                refusal.sense()
            }
            Stop::Sense(sense) => *sense,
            Stop::Unreadable => {
                self.note_medium_error(false);
                UNRECOVERED_READ_ERROR
            }
        };
        Failure {
            sense: sense.with_information(residue),
            data_in,
        }
    }

    /// Reads the block before the head into `room`, which may be shorter, and returns its length. The head stays.
    fn read_block(&mut self, nexus: &ItNexus, room: &mut [u8]) -> Result<u32, Stop> {
        let Self {
            medium,
            encryption,
            nexuses,
            quirks,
            spill,
            last_kads,
            ..
        } = self;
        let position = medium.position();
        let cartridge = medium.threaded_mut()?;
        let object = cartridge.index().object(position).ok_or(END_OF_DATA)?;
        if object.kind == ObjectKind::Filemark {
            return Err(Stop::Filemark);
        }
        let record = cartridge.record(position).map_err(|_| Stop::Unreadable)?;
        if let Some(code) = quirks.key_associated_data_changed
            && object.kind == ObjectKind::Sealed
        {
            let kads = record.header.attributes().kads;
            let before = last_kads.replace(kads);
            if before.is_some() && before != *last_kads {
                return Err(Stop::Sense(Sense::from_code(code)));
            }
        }
        let set = nexuses.find(nexus).and_then(|nexus| encryption.in_force(nexus));
        let delivered = match room.get_mut(..record.payload.len()) {
            Some(exact) => deliver(&record, set, quirks, exact),
            // The tag covers the whole block, so a block that does not fit is opened elsewhere and cut.
            None => {
                spill.resize(record.payload.len(), 0);
                deliver(&record, set, quirks, spill)
                    .inspect(|()| room.iter_mut().zip(&*spill).for_each(|(to, from)| *to = *from))
            }
        };
        delivered.map(|()| object.block_bytes).map_err(Stop::Refused)
    }

    /// READ BLOCK LIMITS (SSC-4): any length from one byte up.
    pub(super) fn read_block_limits(&self, call: Call<'_>) -> CommandResult {
        let [_, high, middle, low] = self.profile.block_bytes_max.to_be_bytes();
        call.reply(&[0, high, middle, low, 0, 1], u32::MAX)
    }
}

const INCORRECT_LENGTH: Sense = Sense::new(0x0, 0x00, 0x00).of_incorrect_length();
const FILEMARK_DETECTED: Sense = Sense::new(0x0, 0x00, 0x01).at_filemark();
const END_OF_DATA: Sense = Sense::new(0x8, 0x00, 0x05);
const UNRECOVERED_READ_ERROR: Sense = Sense::new(0x3, 0x11, 0x00);
