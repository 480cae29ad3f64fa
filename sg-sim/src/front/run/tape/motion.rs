//! Moving the tape, and what the driver then knows about the place.

use nix::errno::Errno;

use super::super::port::{Trouble, key};
use super::{Activity, End, Tape, moved, three_bytes};

/// CODE of SPACE(6).
#[derive(Clone, Copy)]
enum Space {
    Blocks = 0,
    Filemarks = 1,
    EndOfData = 3,
    Setmarks = 4,
}

/// The most filemarks that one SPACE(6) can pass.
const ALL_FILEMARKS: i32 = 0x7F_FFFF;

impl Tape {
    fn space(&mut self, what: Space, count: i32) -> Result<(), Trouble> {
        let [high, middle, low] = three_bytes(count);
        self.order([0x11, what as u8, high, middle, low, 0])
    }

    /// What holds for every motion that failed.
    fn stopped(&mut self, trouble: Trouble) -> Errno {
        self.place.end = if trouble.key == Some(key::BLANK_CHECK) {
            End::Data
        } else {
            End::None
        };
        trouble.into()
    }

    /// MTFSF: behind the `count`th filemark from here.
    pub(super) fn forward_filemarks(&mut self, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        let target = moved(self.place.file, count);
        match self.space(Space::Filemarks, count) {
            Ok(()) => {
                self.place.at(target, Some(0));
                self.place.end = End::Filemark;
                Ok(())
            }
            Err(trouble) => {
                self.place.at(moved(target, -trouble.information.unwrap_or(0)), None);
                Err(self.stopped(trouble))
            }
        }
    }

    /// MTFSFM: as MTFSF, then back before that filemark.
    pub(super) fn forward_before_filemark(&mut self, count: i32) -> Result<(), Errno> {
        self.forward_filemarks(count)?;
        self.backward_filemarks(1)
    }

    /// MTBSF: before the `count`th filemark back from here.
    pub(super) fn backward_filemarks(&mut self, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        let target = moved(self.place.file, -count);
        match self.space(Space::Filemarks, -count) {
            Ok(()) => {
                self.place.at(target, None);
                self.place.end = End::None;
                Ok(())
            }
            Err(trouble) => {
                let undone = trouble.information.unwrap_or(0).saturating_abs();
                let file = self
                    .place
                    .file
                    .and_then(|file| file.checked_sub(count)?.checked_add(undone));
                self.place.at(file.filter(|file| *file >= 0), Some(0));
                Err(self.stopped(trouble))
            }
        }
    }

    /// MTBSFM: as MTBSF, then behind that filemark.
    pub(super) fn backward_behind_filemark(&mut self, count: i32) -> Result<(), Errno> {
        self.backward_filemarks(count)?;
        self.forward_filemarks(1)
    }

    /// MTFSR
    pub(super) fn forward_blocks(&mut self, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        let target = moved(self.place.block, count);
        match self.space(Space::Blocks, count) {
            Ok(()) => {
                self.place.block = target;
                self.place.end = End::None;
                Ok(())
            }
            Err(trouble) if trouble.filemark => {
                self.place.next_file();
                self.place.end = End::Filemark;
                Err(trouble.into())
            }
            Err(trouble) => {
                self.place.block = moved(target, -trouble.information.unwrap_or(0));
                Err(self.stopped(trouble))
            }
        }
    }

    /// MTBSR
    pub(super) fn backward_blocks(&mut self, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        let before = self.place.block;
        match self.space(Space::Blocks, -count) {
            Ok(()) => {
                self.place.block = moved(before, -count);
                self.place.end = End::None;
                Ok(())
            }
            Err(trouble) if trouble.filemark => {
                self.place.at(moved(self.place.file, -1), None);
                Err(self.stopped(trouble))
            }
            Err(trouble) => {
                let undone = trouble.information.unwrap_or(0).saturating_abs();
                let block = before.and_then(|block| block.checked_sub(count)?.checked_add(undone));
                self.place.block = block.filter(|block| *block >= 0);
                Err(self.stopped(trouble))
            }
        }
    }

    /// MTFSS and MTBSS. No LTO drive has setmarks; the drive says so itself.
    pub(super) fn space_setmarks(&mut self, count: i32) -> Result<(), Errno> {
        self.require_tape()?;
        self.space(Space::Setmarks, count)
            .map_err(|trouble| self.stopped(trouble))
    }

    /// MTWEOF, MTWEOFI (`immediate`) and MTWSM (`setmarks`).
    pub(super) fn write_filemarks(&mut self, count: i32, immediate: bool, setmarks: bool) -> Result<(), Errno> {
        self.require_tape()?;
        if self.write_protected {
            return Err(Errno::EACCES);
        }
        let [high, middle, low] = three_bytes(count);
        let target = moved(self.place.file, count);
        let result = self.order([
            0x10,
            u8::from(immediate) | (u8::from(setmarks) << 1),
            high,
            middle,
            low,
            0,
        ]);
        self.place.end = End::None;
        match result {
            Err(trouble) if !trouble.early_warning() => {
                if trouble.end_of_medium {
                    self.place.file = moved(target, -trouble.information.unwrap_or(0));
                    self.place.block = Some(0);
                }
                Err(trouble.into())
            }
            _ => {
                self.place.at(target, Some(0));
                self.place.activity = Activity::Idle;
                Ok(())
            }
        }
    }

    /// MTREW
    pub(super) fn rewind(&mut self) -> Result<(), Errno> {
        self.begin_again([0x01, u8::from(self.options.no_wait), 0, 0, 0, 0])
    }

    /// MTRETEN: LOAD with RETEN.
    pub(super) fn retension(&mut self) -> Result<(), Errno> {
        self.begin_again([0x1B, u8::from(self.options.no_wait), 0, 0, 3, 0])
    }

    /// MTERASE: the long form if `long`.
    pub(super) fn erase(&mut self, long: bool) -> Result<(), Errno> {
        self.require_tape()?;
        if self.write_protected {
            return Err(Errno::EACCES);
        }
        let immediate = u8::from(self.options.no_wait) << 1;
        self.begin_again([0x19, u8::from(long) | immediate, 0, 0, 0, 0])
    }

    /// A command after which the driver takes the tape to stand at its beginning.
    fn begin_again(&mut self, cdb: [u8; 6]) -> Result<(), Errno> {
        self.require_tape()?;
        match self.order(cdb) {
            Ok(()) => {
                self.place.at(Some(0), Some(0));
                self.place.end = End::None;
                Ok(())
            }
            Err(trouble) => Err(self.stopped(trouble)),
        }
    }

    /// MTEOM: behind everything. Filemarks are counted on the way, unless the option for the fast way is set.
    pub(super) fn end_of_medium(&mut self) -> Result<(), Errno> {
        self.require_tape()?;
        if self.options.fast_end_of_medium {
            self.place.file = None;
        } else {
            // It cannot succeed: a tape has fewer filemarks.
            let _ = self.forward_filemarks(ALL_FILEMARKS);
            if self.place.end >= End::DataFirst {
                return Ok(());
            }
        }
        let result = self.space(Space::EndOfData, 0);
        let file = self.place.file.filter(|_| result.is_ok());
        self.place.at(file, None);
        self.place.end = End::Data;
        result.map_err(Into::into)
    }

    /// MTSEEK: to an object number.
    pub(super) fn seek(&mut self, block: u32) -> Result<(), Errno> {
        if self.require_tape().is_err() {
            return Err(Errno::EIO);
        }
        // Addresses of the device's own kind (BT) are the driver's default; on LTO drives they are the same numbers.
        let device_specific = u8::from(!self.options.logical_blocks) << 2;
        let [a, b, c, d] = block.to_be_bytes();
        let flags = device_specific | u8::from(self.options.no_wait);
        let result = self.attempt(&[0x2B, flags, 0, a, b, c, d, 0, 0, 0], &[], &mut []);
        self.place.at(None, None);
        (self.place.end, self.place.activity) = (End::None, Activity::Idle);
        if result.is_ok() && block == 0 {
            self.place.at(Some(0), Some(0));
        }
        result.map(drop).map_err(Into::into)
    }
}
