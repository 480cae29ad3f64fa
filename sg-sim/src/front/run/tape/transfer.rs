//! read(2) and write(2).

use nix::errno::Errno;

use super::super::port::{Trouble, key};
use super::{Activity, End, Tape, three_bytes};

const READ: u8 = 0x08;
const WRITE: u8 = 0x0A;
/// The longest transfer that a six-byte command can ask for.
const LENGTH_MAX: usize = 0xFF_FFFF;

impl Tape {
    /// One write(2): a block, or several of the fixed length. Gives the number of bytes written.
    ///
    /// # Errors
    /// EACCES, EINVAL, EIO, ENOMEDIUM, ENOSPC.
    pub(in crate::front::run) fn write(&mut self, data: &[u8]) -> Result<usize, Errno> {
        self.check_transfer(data.len())?;
        if data.is_empty() {
            return Ok(0);
        }
        let blocks = self.blocks_in(data.len()).ok_or(Errno::EINVAL)?;
        if self.write_protected {
            return Err(Errno::EACCES);
        }
        if self.place.activity == Activity::Reading {
            self.leave_reading(false)?;
        }
        if self.place.end == End::Medium {
            // Told once; the next write is let through, for the program's trailer.
            self.place.end = End::DataFirst;
            return Err(Errno::ENOSPC);
        }
        self.place.activity = Activity::Writing;
        let cdb = self.transfer_cdb(WRITE, blocks)?;
        match self.attempt(&cdb, data, &mut []) {
            Ok(_) => {
                self.place.pass_blocks(if self.block_length == 0 { 1 } else { blocks });
                self.place.end = match self.place.end {
                    End::DataFirst => End::Medium,
                    _ => End::None,
                };
                Ok(data.len())
            }
            Err(trouble) => self.written_before(trouble, data.len()),
        }
    }

    /// How much of a write was done that ended with CHECK CONDITION.
    fn written_before(&mut self, trouble: Trouble, length: usize) -> Result<usize, Errno> {
        if !trouble.end_of_medium {
            self.place.block = None;
            return Err(trouble.into());
        }
        let unit = usize::try_from(self.block_length).unwrap_or(0).max(1);
        let undone = match trouble.information {
            Some(residue) => usize::try_from(residue).unwrap_or(0).saturating_mul(unit),
            None if self.block_length == 0 && trouble.key == Some(key::VOLUME_OVERFLOW) => length,
            None => 0,
        };
        let written = length.saturating_sub(undone);
        self.place.end = End::Medium;
        self.place.pass_blocks(if self.block_length == 0 {
            usize::from(written > 0)
        } else {
            written / unit
        });
        if written > 0 { Ok(written) } else { Err(Errno::ENOSPC) }
    }

    /// One read(2): a block, or as many of the fixed length as `length` has room for. No bytes: a filemark.
    ///
    /// # Errors
    /// EINVAL, EIO, ENOMEDIUM, ENOMEM (the block is longer than `length`).
    pub(in crate::front::run) fn read(&mut self, length: usize) -> Result<Vec<u8>, Errno> {
        self.check_transfer(length)?;
        if length == 0 {
            return Ok(Vec::new());
        }
        if self.ahead.is_empty() && self.place.end >= End::DataFirst {
            return self.read_past_the_end();
        }
        self.place.activity = Activity::Reading;
        let mut out = Vec::new();
        let mut special = false;
        while out.len() < length && !special {
            if self.ahead.is_empty() {
                special = self.read_blocks(length - out.len())?;
            }
            self.ahead.take(length - out.len(), &mut out);
            if self.block_length == 0 {
                break;
            }
        }
        self.after_read(out.is_empty());
        Ok(out)
    }

    /// Behind the end of data the driver gives no bytes once more, then an error.
    fn read_past_the_end(&mut self) -> Result<Vec<u8>, Errno> {
        self.place.end = match self.place.end {
            End::DataFirst => End::DataSecond,
            End::DataSecond => End::Data,
            _ => return Err(Errno::EIO),
        };
        Ok(Vec::new())
    }

    fn after_read(&mut self, nothing: bool) {
        match self.place.end {
            End::FilemarkHit if nothing => {
                self.place.next_file();
                self.place.end = End::Filemark;
            }
            End::DataFirst if nothing => {
                self.place.next_file();
                self.place.end = End::DataSecond;
            }
            End::DataSecond if nothing => self.place.end = End::Data,
            End::Filemark if !nothing => self.place.end = End::None,
            _ => {}
        }
    }

    /// READ into `ahead`. Gives whether something other than data was met.
    fn read_blocks(&mut self, length: usize) -> Result<bool, Errno> {
        if self.place.end == End::FilemarkHit {
            return Ok(true);
        }
        let unit = usize::try_from(self.block_length).unwrap_or(0).max(1);
        let blocks = length.div_ceil(unit).min(LENGTH_MAX);
        let cdb = self.transfer_cdb(READ, blocks)?;
        let mut data = vec![0; blocks * unit];
        let special = match self.attempt(&cdb, &[], &mut data) {
            Ok(received) => {
                data.truncate(received);
                false
            }
            Err(trouble) => {
                let received = self.received_before(trouble, blocks, unit)?;
                data.truncate(received);
                true
            }
        };
        let passed = if self.block_length == 0 { 1 } else { data.len() / unit };
        self.ahead.fill(data);
        self.place.pass_blocks(passed);
        Ok(special)
    }

    /// How many bytes came with a READ that ended with CHECK CONDITION, and what it met.
    fn received_before(&mut self, trouble: Trouble, blocks: usize, unit: usize) -> Result<usize, Errno> {
        if trouble.key.is_none() {
            // Nothing is known of what happened, and the driver leaves its idea of the place as it was.
            return Err(trouble.into());
        }
        let variable = self.block_length == 0;
        let residue = match trouble.key {
            Some(key::MEDIUM_ERROR) if variable => i32::try_from(blocks).unwrap_or(i32::MAX),
            _ => trouble.information.unwrap_or(0),
        };
        // Negative when the block is longer than the buffer: then nothing can be said of the data.
        let missing = usize::try_from(residue).ok();
        let received = blocks.saturating_sub(missing.unwrap_or(0)).saturating_mul(unit);
        if trouble.incorrect_length && trouble.key != Some(key::BLANK_CHECK) {
            return if variable {
                self.short_block(missing, received)
            } else {
                self.other_block(received)
            };
        }
        if trouble.filemark {
            self.place.end = match self.place.end {
                End::FilemarkHit => End::DataSecond,
                _ => End::FilemarkHit,
            };
            return Ok(if variable { 0 } else { received });
        }
        if trouble.end_of_medium {
            self.place.end = match self.place.end {
                End::Filemark => End::DataFirst,
                _ => End::Medium,
            };
            return Ok(received);
        }
        self.place.block = None;
        if self.place.end == End::Filemark && trouble.key == Some(key::BLANK_CHECK) {
            self.place.end = End::DataSecond;
            return Ok(0);
        }
        Err(trouble.into())
    }

    /// A block of another length than asked for.
    fn short_block(&mut self, missing: Option<usize>, received: usize) -> Result<usize, Errno> {
        if missing.unwrap_or(0) > 0 {
            return Ok(received);
        }
        self.place.pass_blocks(1);
        Err(Errno::ENOMEM)
    }

    /// A block that has not the fixed length: what came before it is delivered, the tape goes back before it.
    fn other_block(&mut self, received: usize) -> Result<usize, Errno> {
        self.place.pass_blocks(1);
        let back = self.backward_blocks(1);
        if received == 0 {
            Err(Errno::EIO)
        } else {
            back.map(|()| received)
        }
    }

    fn check_transfer(&mut self, length: usize) -> Result<(), Errno> {
        self.require_tape()?;
        if self.position_unknown {
            return Err(Errno::EIO);
        }
        if self.options.lock_door && !self.door_locked {
            // The driver goes on with an open door as well.
            let _ = self.lock_door(true);
        }
        let Some((least, most)) = self
            .block_length_limits
            .filter(|_| self.block_length == 0 && length > 0)
        else {
            return Ok(());
        };
        let allowed = u32::try_from(length).is_ok_and(|length| (least..=most).contains(&length));
        if allowed { Ok(()) } else { Err(Errno::EINVAL) }
    }

    /// TRANSFER LENGTH of a write of that many bytes; none if they are no whole number of blocks.
    fn blocks_in(&self, length: usize) -> Option<usize> {
        match usize::try_from(self.block_length) {
            Ok(0) => Some(length),
            Ok(unit) if length.is_multiple_of(unit) => Some(length / unit),
            _ => None,
        }
    }

    fn transfer_cdb(&self, operation: u8, blocks: usize) -> Result<[u8; 6], Errno> {
        if blocks > LENGTH_MAX {
            return Err(Errno::EINVAL);
        }
        let [high, middle, low] = three_bytes(i32::try_from(blocks).map_err(|_| Errno::EINVAL)?);
        Ok([operation, u8::from(self.block_length != 0), high, middle, low, 0])
    }
}
