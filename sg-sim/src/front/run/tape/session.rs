//! Opening and closing the device.

use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;

use super::super::port::{Trouble, key};
use super::{Activity, Ahead, End, Readiness, Tape, moved};

/// How often a drive that is becoming ready is asked, and how many times: two minutes, as the driver waits.
const READY_POLL: Duration = Duration::from_secs(1);
const READY_POLLS_MAX: u32 = 120;
/// Unit attentions in a row before the driver gives up.
const ATTENTIONS_MAX: u32 = 10;
const MEDIUM_NOT_PRESENT: u8 = 0x3A;

/// What TEST UNIT READY came to.
enum Test {
    Ready,
    /// Ready, and a unit attention was taken on the way: the tape may be another one.
    NewSession,
    NotReady,
    NoTape,
}

impl Tape {
    /// open(2) with `flags`, on the node that rewinds at close or on the one that does not.
    ///
    /// # Errors
    /// ENOMEDIUM, EIO (not ready), EROFS; the device then counts as closed.
    pub(in crate::front::run) fn open(&mut self, flags: OFlag, rewinding_node: bool) -> Result<(), Errno> {
        self.rewinding_node = rewinding_node;
        self.rewind_at_close = rewinding_node;
        self.write_protected = flags & OFlag::O_ACCMODE == OFlag::O_RDONLY;
        self.place.activity = Activity::Idle;
        self.check(flags)?;
        if flags.contains(OFlag::O_NONBLOCK) {
            Ok(())
        } else {
            self.require_tape()
        }
    }

    /// Looks whether there is a tape, and what it is like.
    pub(super) fn check(&mut self, flags: OFlag) -> Result<(), Errno> {
        let blocking = !flags.contains(OFlag::O_NONBLOCK);
        let test = self.test_ready(blocking)?;
        self.readiness = match test {
            Test::Ready | Test::NewSession => Readiness::Ready,
            Test::NotReady => Readiness::NotReady,
            Test::NoTape => Readiness::NoTape,
        };
        if self.readiness != Readiness::Ready {
            self.forget_tape();
            return Ok(());
        }
        if matches!(test, Test::NewSession) {
            self.position_unknown = false;
            self.place.at(Some(0), Some(0));
            (self.place.end, self.place.activity) = (End::None, Activity::Idle);
        }
        self.read_block_limits();
        self.read_mode();
        self.ahead = Ahead::default();
        if self.drive_write_protected {
            self.write_protected = true;
            if blocking && flags & OFlag::O_ACCMODE != OFlag::O_RDONLY {
                return Err(Errno::EROFS);
            }
        }
        if matches!(test, Test::NewSession) {
            self.apply_defaults();
        }
        Ok(())
    }

    fn forget_tape(&mut self) {
        self.density = 0;
        self.write_protected = false;
        self.block_length = 0;
        self.door_locked = false;
        self.place.at(None, None);
    }

    /// TEST UNIT READY until it says something lasting. Unit attentions are taken here, as the driver does.
    fn test_ready(&mut self, blocking: bool) -> Result<Test, Errno> {
        let (mut attentions, mut polls) = (0, 0);
        loop {
            match self.order([0; 6]) {
                Ok(()) if attentions > 0 => return Ok(Test::NewSession),
                Ok(()) => return Ok(Test::Ready),
                Err(Trouble {
                    key: Some(key::UNIT_ATTENTION),
                    ..
                }) if attentions < ATTENTIONS_MAX => attentions += 1,
                Err(Trouble {
                    key: Some(key::NOT_READY),
                    asc: MEDIUM_NOT_PRESENT,
                    ..
                }) => return Ok(Test::NoTape),
                Err(Trouble {
                    key: Some(key::NOT_READY),
                    ..
                }) if blocking && polls < READY_POLLS_MAX => {
                    polls += 1;
                    self.port.pause(READY_POLL);
                }
                Err(Trouble {
                    key: Some(key::NOT_READY),
                    ..
                }) => return Ok(Test::NotReady),
                Err(trouble) => return Err(trouble.into()),
            }
        }
    }

    /// The last close(2): a filemark after writing, the position put right after reading, a rewind on the node that rewinds.
    ///
    /// # Errors
    /// EIO if the filemark could not be written, or what the rewind gave.
    pub(in crate::front::run) fn release(&mut self) -> Result<(), Errno> {
        let closed = if self.place.activity == Activity::Writing && !self.position_unknown {
            self.close_file()
        } else if self.rewind_at_close {
            Ok(())
        } else {
            self.leave_reading(false)
        };
        let rewound = if self.rewind_at_close { self.rewind() } else { Ok(()) };
        if self.options.lock_door && self.door_locked {
            // The driver does not look either whether the door opened.
            let _ = self.lock_door(false);
        }
        closed.and(rewound)
    }

    fn close_file(&mut self) -> Result<(), Errno> {
        let count = 1 + u8::from(self.options.two_filemarks);
        match self.order([0x10, 0, 0, 0, count, 0]) {
            Err(trouble) if !trouble.early_warning() => return Err(trouble.into()),
            _ => {}
        }
        self.place.next_file();
        if self.options.two_filemarks {
            // Between the two, so that the next file overwrites the second.
            let _ = self.order([0x11, 1, 0xFF, 0xFF, 0xFF, 0]);
        }
        self.place.end = End::Filemark;
        Ok(())
    }

    /// Puts the tape where the program believes it is, before it does something other than reading on.
    ///
    /// With `moving_on` the tape is about to be moved anyway, so that a filemark already met counts as passed.
    pub(super) fn leave_reading(&mut self, moving_on: bool) -> Result<(), Errno> {
        if self.position_unknown {
            return Err(Errno::EIO);
        }
        let block_length = usize::try_from(self.block_length).unwrap_or(0);
        if self.readiness != Readiness::Ready || self.place.activity == Activity::Writing || block_length == 0 {
            return Ok(());
        }
        let unseen = self.ahead.unseen_blocks(block_length);
        self.ahead = Ahead::default();
        let filemark_met = self.place.end == End::FilemarkHit;
        if moving_on {
            if filemark_met {
                self.place.next_file();
                self.place.end = End::None;
            }
            return Ok(());
        }
        if filemark_met {
            if let Err(trouble) = self.order([0x11, 1, 0xFF, 0xFF, 0xFF, 0]) {
                self.place.at(moved(self.place.file, 1), Some(0));
                return Err(trouble.into());
            }
            self.place.end = End::None;
        }
        match i32::try_from(unseen) {
            Ok(unseen @ 1..) => self.backward_blocks(unseen),
            _ => Ok(()),
        }
    }
}
