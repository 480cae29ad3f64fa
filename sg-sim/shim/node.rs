//! The names below `/sim/` and what they stand for: `sgN`, `stN` (rewinds at close) and `nstN` (does not).

use core::ffi::{CStr, c_char, c_int};

/// Where the nodes are. The folder does not exist, so that a program that runs without the shim cannot write a plain file there.
const FOLDER: &[u8] = b"/sim/";

/// The driver behind a node.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Driver {
    /// `sg`: any SCSI device.
    Generic,
    /// `st`, rewinds at close.
    Tape,
    /// `st`, stays where it is.
    TapeNoRewind,
}

/// A node: its driver and its number.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) driver: Driver,
    pub(crate) unit: u16,
}

impl Driver {
    /// The letter that stands for it in requests and socket names.
    pub(crate) const fn letter(self) -> u8 {
        match self {
            Self::Generic => b'g',
            Self::Tape => b't',
            Self::TapeNoRewind => b'n',
        }
    }

    pub(crate) const fn from_letter(letter: u8) -> Option<Self> {
        match letter {
            b'g' => Some(Self::Generic),
            b't' => Some(Self::Tape),
            b'n' => Some(Self::TapeNoRewind),
            _ => None,
        }
    }

    pub(crate) const fn is_tape(self) -> bool {
        !matches!(self, Self::Generic)
    }
}

impl Node {
    /// The node that `path` names, whether it exists or not.
    ///
    /// # Safety
    /// `path` is null or a C string.
    pub(crate) unsafe fn named(path: *const c_char) -> Option<Self> {
        if path.is_null() {
            return None;
        }
        for (at, byte) in FOLDER.iter().enumerate() {
            // SAFETY: the caller promises a C string, and all before this byte was as in `FOLDER`, so it has not ended.
            if unsafe { path.cast::<u8>().add(at).read() } != *byte {
                return None;
            }
        }
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(path.add(FOLDER.len())) }.to_bytes();
        let (driver, digits) = if let Some(digits) = name.strip_prefix(b"nst") {
            (Driver::TapeNoRewind, digits)
        } else if let Some(digits) = name.strip_prefix(b"st") {
            (Driver::Tape, digits)
        } else {
            (Driver::Generic, name.strip_prefix(b"sg")?)
        };
        Some(Self {
            driver,
            unit: number(digits)?,
        })
    }

    /// Major and minor number as Linux gives them: `st` has major 9 and bit 7 of the minor for "does not rewind", `sg` has major 21.
    pub(crate) fn device(self) -> (u32, u32) {
        let unit = u32::from(self.unit);
        match self.driver {
            Driver::Generic => (21, unit),
            Driver::Tape => (9, unit),
            Driver::TapeNoRewind => (9, 0x80 | unit),
        }
    }
}

/// A decimal number of at most 31, the most units that there can be, without leading zeros.
fn number(digits: &[u8]) -> Option<u16> {
    match digits {
        [digit @ b'0'..=b'9'] => Some(u16::from(digit - b'0')),
        [tens @ b'1'..=b'3', ones @ b'0'..=b'9'] => {
            Some(u16::from(tens - b'0') * 10 + u16::from(ones - b'0')).filter(|number| *number <= 31)
        }
        _ => None,
    }
}

/// Whether a descriptor opened with `flags` may be read resp. written.
pub(crate) const fn allows(flags: c_int, write: bool) -> bool {
    use crate::libc::{O_ACCMODE, O_RDONLY, O_WRONLY};
    let refused = if write { O_RDONLY } else { O_WRONLY };
    flags & O_ACCMODE != refused
}
