//! What Linux' `st` driver makes of a drive: one tape device with blocks, files and the rules of st(4).
//!
//! Rebuilt from the driver's documented and observed behaviour (Linux 6.1, default options). It keeps, between openings, what the driver
//! keeps: file and block number, what the last read met, block length, options. It never decides what the drive answers.
//!
//! Differences, all on purpose: an empty drive answers a blocking open at once instead of after two minutes; writes are never
//! delayed, so an error comes from the write that met it; partitions, setmark positions and System V semantics are not there.

mod mode;
mod motion;
mod operation;
mod session;
mod status;
#[cfg(test)]
mod tests;
mod transfer;

use nix::errno::Errno;

use super::port::{Port, Trouble};

/// One tape device.
pub(super) struct Tape {
    port: Port,
    options: Options,
    readiness: Readiness,
    place: Place,
    /// Blocks of the fixed length that were read and not yet asked for.
    ahead: Ahead,
    /// 0: each write is a block of its own length.
    block_length: u32,
    block_length_limits: Option<(u32, u32)>,
    density: u8,
    /// BUFFERED MODE of the mode parameter header.
    buffered_mode: u8,
    drive_write_protected: bool,
    /// Writing is refused: opened for reading only, or the drive says so.
    write_protected: bool,
    /// The node rewinds when it is closed.
    rewinding_node: bool,
    rewind_at_close: bool,
    /// This host reset the drive: nobody knows where the tape stands.
    position_unknown: bool,
    door_locked: bool,
}

/// What MTSETDRVBUFFER can switch and this model follows.
#[derive(Clone, Copy, Debug, Default)]
struct Options {
    two_filemarks: bool,
    fast_end_of_medium: bool,
    logical_blocks: bool,
    no_wait: bool,
    no_block_limits: bool,
    lock_door: bool,
    default_block_length: Option<u32>,
    default_density: Option<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Readiness {
    Ready,
    NotReady,
    NoTape,
}

/// Where the tape stands, as far as the driver knows.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Filemarks before this place; none: unknown.
    file: Option<i32>,
    /// Blocks since the last filemark; none: unknown.
    block: Option<i32>,
    end: End,
    activity: Activity,
}

/// What the tape has met, in the order in which reads get from one to the next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum End {
    None,
    /// A filemark was met, and the program has not been told.
    FilemarkHit,
    Filemark,
    Medium,
    DataFirst,
    DataSecond,
    Data,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Activity {
    Idle,
    Reading,
    Writing,
}

#[derive(Debug, Default)]
struct Ahead {
    data: Vec<u8>,
    taken: usize,
}

impl Tape {
    /// The device as it is before anybody has opened it.
    pub(super) fn new(port: Port) -> Self {
        Self {
            port,
            options: Options::default(),
            readiness: Readiness::NotReady,
            place: Place::UNKNOWN,
            ahead: Ahead::default(),
            block_length: 0,
            block_length_limits: None,
            density: 0,
            buffered_mode: 1,
            drive_write_protected: false,
            write_protected: false,
            rewinding_node: false,
            rewind_at_close: false,
            position_unknown: false,
            door_locked: false,
        }
    }

    /// Executes a command. The first that fails after this host has reset the drive tells the driver that it has lost its place; a unit
    /// attention of somebody else's reset does not (seen on Linux 6.1).
    fn attempt(&mut self, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Result<usize, Trouble> {
        let result = self.port.command(cdb, data_out, data_in);
        if result.is_err() && self.port.was_reset() {
            self.position_unknown = true;
        }
        result
    }

    /// A command without data.
    fn order(&mut self, cdb: [u8; 6]) -> Result<(), Trouble> {
        self.attempt(&cdb, &[], &mut []).map(drop)
    }

    /// Refuses what needs a tape while there is none.
    fn require_tape(&self) -> Result<(), Errno> {
        match self.readiness {
            Readiness::Ready => Ok(()),
            Readiness::NoTape => Err(Errno::ENOMEDIUM),
            Readiness::NotReady => Err(Errno::EIO),
        }
    }
}

impl Place {
    const UNKNOWN: Self = Self {
        file: None,
        block: None,
        end: End::None,
        activity: Activity::Idle,
    };

    fn at(&mut self, file: Option<i32>, block: Option<i32>) {
        (self.file, self.block) = (file, block);
    }

    /// One filemark further on.
    fn next_file(&mut self) {
        self.at(moved(self.file, 1), Some(0));
    }

    fn pass_blocks(&mut self, count: usize) {
        self.block = i32::try_from(count).ok().and_then(|count| moved(self.block, count));
    }
}

/// A position `by` further, unknown if it was unknown or cannot be.
fn moved(position: Option<i32>, by: i32) -> Option<i32> {
    position
        .and_then(|position| position.checked_add(by))
        .filter(|position| *position >= 0)
}

impl Ahead {
    fn is_empty(&self) -> bool {
        self.taken == self.data.len()
    }

    fn fill(&mut self, data: Vec<u8>) {
        *self = Self { data, taken: 0 };
    }

    fn take(&mut self, length: usize, out: &mut Vec<u8>) {
        let rest = self.data.get(self.taken..).unwrap_or_default();
        let part = rest.get(..length.min(rest.len())).unwrap_or_default();
        out.extend_from_slice(part);
        self.taken += part.len();
    }

    /// Whole blocks that nobody has seen a byte of.
    fn unseen_blocks(&self, block_length: usize) -> usize {
        (self.data.len() / block_length).saturating_sub(self.taken.div_ceil(block_length))
    }
}

/// A 24-bit field, as most six-byte commands have it, of a count that may be negative.
fn three_bytes(count: i32) -> [u8; 3] {
    let [_, high, middle, low] = count.to_be_bytes();
    [high, middle, low]
}
