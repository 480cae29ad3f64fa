//! MTIOCTOP: which operation there is, and what happens before it.

use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::{Activity, End, Place, Readiness, Tape};

/// mt_op of mtio.h, as far as the driver knows them.
mod op {
    pub(super) const FSF: i32 = 1;
    pub(super) const BSF: i32 = 2;
    pub(super) const FSR: i32 = 3;
    pub(super) const BSR: i32 = 4;
    pub(super) const WEOF: i32 = 5;
    pub(super) const REW: i32 = 6;
    pub(super) const OFFL: i32 = 7;
    pub(super) const NOP: i32 = 8;
    pub(super) const RETEN: i32 = 9;
    pub(super) const BSFM: i32 = 10;
    pub(super) const FSFM: i32 = 11;
    pub(super) const EOM: i32 = 12;
    pub(super) const ERASE: i32 = 13;
    pub(super) const SETBLK: i32 = 20;
    pub(super) const SETDENSITY: i32 = 21;
    pub(super) const SEEK: i32 = 22;
    pub(super) const SETDRVBUFFER: i32 = 24;
    pub(super) const FSS: i32 = 25;
    pub(super) const BSS: i32 = 26;
    pub(super) const WSM: i32 = 27;
    pub(super) const LOCK: i32 = 28;
    pub(super) const UNLOCK: i32 = 29;
    pub(super) const LOAD: i32 = 30;
    pub(super) const UNLOAD: i32 = 31;
    pub(super) const COMPRESSION: i32 = 32;
    pub(super) const SETPART: i32 = 33;
    pub(super) const MKPART: i32 = 34;
    pub(super) const WEOFI: i32 = 35;
}

/// Operations that move the tape somewhere else, so that it need not first be put right after reading.
const MOVING_ON: [i32; 11] = [
    op::REW,
    op::OFFL,
    op::RETEN,
    op::EOM,
    op::LOCK,
    op::LOAD,
    op::FSF,
    op::FSFM,
    op::BSF,
    op::BSFM,
    op::COMPRESSION,
];
/// Operations that end a file that is being written.
const ENDING_A_FILE: [i32; 5] = [op::REW, op::OFFL, op::SEEK, op::BSF, op::BSFM];
/// Operations that do not change what the tape is being used for.
const KEEPING_THE_ACTIVITY: [i32; 6] = [
    op::NOP,
    op::SETBLK,
    op::SETDENSITY,
    op::WSM,
    op::SETDRVBUFFER,
    op::SETPART,
];
/// Operations that make a lost position known again.
const FINDING_THE_PLACE: [i32; 7] = [op::REW, op::OFFL, op::LOAD, op::RETEN, op::ERASE, op::SEEK, op::EOM];
/// Bits of MTSETDRVBUFFER's count that say that it sets options.
const OPTIONS_MASK: u32 = 0xF000_0000;

impl Tape {
    /// One MTIOCTOP.
    ///
    /// # Errors
    /// What `st` gives for that operation: EIO, ENOMEDIUM, EINVAL, EACCES, ENOSYS (no such operation).
    pub(in crate::front::run) fn operate(&mut self, operation: i32, count: i32, flags: OFlag) -> Result<(), Errno> {
        let count = self.prepare(operation, count)?;
        if !KEEPING_THE_ACTIVITY.contains(&operation) {
            self.place.activity = Activity::Idle;
        }
        match operation {
            op::SETDRVBUFFER if count.cast_unsigned() & OPTIONS_MASK != 0 => self.set_options(count.cast_unsigned()),
            // Partitions are an option of the driver that this model does not have.
            op::SETPART | op::MKPART => Err(Errno::EINVAL),
            op::SEEK => self.seek(count.cast_unsigned()),
            op::OFFL | op::UNLOAD => self.unload(operation == op::OFFL),
            op::LOAD => self.load(flags),
            op::LOCK | op::UNLOCK => self.lock_door(operation == op::LOCK),
            op::COMPRESSION => self.set_compression(count & 1 != 0),
            _ => self.move_tape(operation, count),
        }
    }

    /// The operations that need a tape in every case.
    fn move_tape(&mut self, operation: i32, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        match operation {
            op::NOP => Ok(()),
            op::FSF => self.forward_filemarks(count),
            op::FSFM => self.forward_before_filemark(count),
            op::BSF => self.backward_filemarks(count),
            op::BSFM => self.backward_behind_filemark(count),
            op::FSR => self.forward_blocks(count),
            op::BSR => self.backward_blocks(count),
            op::FSS => self.space_setmarks(count),
            op::BSS => self.space_setmarks(-count),
            op::WEOF => self.write_filemarks(count, false, false),
            op::WEOFI => self.write_filemarks(count, true, false),
            op::WSM => self.write_filemarks(count, false, true),
            op::REW => self.rewind(),
            op::RETEN => self.retension(),
            op::EOM => self.end_of_medium(),
            op::ERASE => self.erase(count != 0),
            op::SETBLK => self.set_block_length(count),
            op::SETDENSITY => self.set_density(count),
            op::SETDRVBUFFER => self.set_buffered_mode(count),
            _ => Err(Errno::ENOSYS),
        }
    }

    /// Brings the tape to where the program believes it is, and gives the count that then remains.
    fn prepare(&mut self, operation: i32, mut count: i32) -> Result<i32, Errno> {
        if self.position_unknown {
            if !FINDING_THE_PLACE.contains(&operation) {
                return Err(Errno::EIO);
            }
            self.position_unknown = false;
            self.port.forget_reset();
            self.place = Place::UNKNOWN;
            return Ok(count);
        }
        let back = matches!(operation, op::BSF | op::BSFM);
        if self.place.end == End::FilemarkHit {
            // The filemark lies behind the head already, though the program has not been told. `leave_reading` counts it.
            count = match operation {
                op::FSF | op::FSFM | op::EOM => count.saturating_sub(1),
                _ if back => count.saturating_add(1),
                _ => count,
            };
        }
        self.leave_reading(operation == op::SEEK || MOVING_ON.contains(&operation))?;
        if self.place.activity == Activity::Writing && ENDING_A_FILE.contains(&operation) {
            self.write_filemarks(1, false, false)?;
            count = count.saturating_add(i32::from(back));
        }
        Ok(count)
    }

    fn unload(&mut self, unlock: bool) -> Result<(), Errno> {
        if unlock && self.door_locked {
            // The driver does not look whether the door opened; UNLOAD will tell.
            let _ = self.lock_door(false);
        }
        self.require_tape()?;
        match self.order([0x1B, u8::from(self.options.no_wait), 0, 0, 0, 0]) {
            Ok(()) => {
                self.rewind_at_close = false;
                self.readiness = Readiness::NoTape;
                Ok(())
            }
            Err(trouble) => {
                self.place.at(None, None);
                Err(trouble.into())
            }
        }
    }

    fn load(&mut self, flags: OFlag) -> Result<(), Errno> {
        match self.order([0x1B, u8::from(self.options.no_wait), 0, 0, 1, 0]) {
            Ok(()) => {
                self.rewind_at_close = self.rewinding_node;
                self.check(flags)
            }
            Err(trouble) => {
                self.place.at(None, None);
                Err(trouble.into())
            }
        }
    }

    /// MTSETDRVBUFFER with options. Those that change nothing a program could see are accepted.
    fn set_options(&mut self, options: u32) -> Result<(), Errno> {
        const BOOLEANS: u32 = 0x1000_0000;
        const WRITE_THRESHOLD: u32 = 0x2000_0000;
        const SET_BOOLEANS: u32 = 0x3000_0000;
        const CLEAR_BOOLEANS: u32 = 0x4000_0000;
        const DEFAULT_BLOCK_LENGTH: u32 = 0x5000_0000;
        const DEFAULTS: u32 = 0x6000_0000;
        const TIMEOUTS: u32 = 0x7000_0000;
        const LONG_TIMEOUT: u32 = 0x10_0000;
        const CLEANING: u32 = 0x8000_0000;
        const NO_DEFAULT: u32 = 0x0FFF_FFFF;
        let value = options & !OPTIONS_MASK;
        match options & OPTIONS_MASK {
            BOOLEANS => {
                self.options.switch(!0, false)?;
                self.options.switch(value, true)
            }
            SET_BOOLEANS => self.options.switch(value, true),
            CLEAR_BOOLEANS => self.options.switch(value, false),
            DEFAULT_BLOCK_LENGTH => {
                self.options.default_block_length = (value != NO_DEFAULT).then_some(value & 0xFF_FFFF);
                self.apply_defaults_if_ready();
                Ok(())
            }
            DEFAULTS => self.set_default(value),
            TIMEOUTS => {
                let long = value & LONG_TIMEOUT != 0;
                let seconds = u64::from(value & !LONG_TIMEOUT);
                self.port.set_time_limit(long, Duration::from_secs(seconds));
                Ok(())
            }
            WRITE_THRESHOLD | CLEANING => Ok(()),
            _ => Err(Errno::EIO),
        }
    }

    /// Default density, compression or drive buffering.
    fn set_default(&mut self, value: u32) -> Result<(), Errno> {
        const DENSITY: u32 = 0x10_0000;
        const COMPRESSION: u32 = 0x20_0000;
        const BUFFERED_MODE: u32 = 0x30_0000;
        const NO_DEFAULT: u32 = 0xF_FFFF;
        let [.., default] = value.to_be_bytes();
        let ready = self.readiness == Readiness::Ready;
        match (value & !NO_DEFAULT, value & NO_DEFAULT) {
            (DENSITY, NO_DEFAULT) => self.options.default_density = None,
            (DENSITY, _) => {
                self.options.default_density = Some(default);
                self.apply_defaults_if_ready();
            }
            (COMPRESSION | BUFFERED_MODE, NO_DEFAULT) => {}
            (COMPRESSION, _) if ready => self.set_compression(default & 1 != 0)?,
            (BUFFERED_MODE, _) if ready => self.set_buffered_mode(default.into())?,
            (COMPRESSION | BUFFERED_MODE, _) => return Err(Errno::ENOMEDIUM),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    fn apply_defaults_if_ready(&mut self) {
        if self.readiness == Readiness::Ready {
            self.apply_defaults();
        }
    }
}

impl super::Options {
    /// Switches those of the MT_ST_ bits that are in `mask`.
    fn switch(&mut self, mask: u32, on: bool) -> Result<(), Errno> {
        const PARTITIONS: u32 = 0x400;
        const SYSTEM_V: u32 = 0x1000;
        const SUPPRESS_INCORRECT_LENGTH: u32 = 0x4000;
        if on && mask & (PARTITIONS | SYSTEM_V | SUPPRESS_INCORRECT_LENGTH) != 0 {
            return Err(Errno::EINVAL);
        }
        for (bit, option) in [
            (0x10, &mut self.two_filemarks),
            (0x20, &mut self.fast_end_of_medium),
            (0x40, &mut self.lock_door),
            (0x200, &mut self.no_block_limits),
            (0x800, &mut self.logical_blocks),
            (0x2000, &mut self.no_wait),
        ] {
            if mask & bit != 0 {
                *option = on;
            }
        }
        Ok(())
    }
}
