//! Which descriptors are ours, whoever opened them.
//!
//! The truth is the name that the socket is bound to. Asking for it costs a system call, so for low numbers it is remembered that a
//! descriptor is *not* ours; that ours is ours is asked anew each time. The functions that make a descriptor of ours (open, dup, fcntl)
//! take the remark back, so it can only be wrong on the safe side.

use core::ffi::c_int;
use core::sync::atomic::{AtomicU8, Ordering};

use crate::libc::{self, PATH_BYTES, SocketAddress};
use crate::node::{Driver, Node};

/// An open node.
#[derive(Clone, Copy)]
pub(crate) struct Open {
    pub(crate) fd: c_int,
    pub(crate) node: Node,
    /// The flags of open(2).
    pub(crate) flags: c_int,
    /// Tells this opening from every other.
    pub(crate) handle: u64,
}

/// Abstract names begin with a zero byte.
const PREFIX: &[u8] = b"\0sg-sim:";
const DRIVER_AT: usize = PREFIX.len();
const UNIT_AT: usize = DRIVER_AT + 1;
const FLAGS_AT: usize = UNIT_AT + 4;
const HANDLE_AT: usize = FLAGS_AT + 8;
const NAME_BYTES: usize = HANDLE_AT + 16;
/// The same with the family in front.
const NAME_ADDRESS_BYTES: u32 = 39;

/// Low descriptors that are known to belong to somebody else.
static KNOWN: [AtomicU8; 1024] = [const { AtomicU8::new(UNKNOWN) }; 1024];
const UNKNOWN: u8 = 0;
const FOREIGN: u8 = 1;
const PERHAPS_OURS: u8 = 2;

fn known(fd: c_int) -> Option<&'static AtomicU8> {
    usize::try_from(fd).ok().and_then(|fd| KNOWN.get(fd))
}

/// Takes back what was known about `fd`, since it may have become ours.
pub(crate) fn forget(fd: c_int) {
    if let Some(known) = known(fd) {
        known.store(PERHAPS_OURS, Ordering::Relaxed);
    }
}

/// The open node behind `fd`, if it is one of ours. Leaves errno alone.
pub(crate) fn find(fd: c_int) -> Option<Open> {
    let known = known(fd);
    let before = known.map_or(PERHAPS_OURS, |known| known.load(Ordering::Relaxed));
    if before == FOREIGN || fd < 0 {
        return None;
    }
    let errno = libc::errno();
    let found = ask(fd);
    libc::set_errno(errno);
    if let (None, Some(known)) = (&found, known) {
        // Only if nobody has taken the number for something new in the meantime.
        let _ = known.compare_exchange(before, FOREIGN, Ordering::Relaxed, Ordering::Relaxed);
    }
    found
}

fn ask(fd: c_int) -> Option<Open> {
    let (address, length) = SocketAddress::filled(|address, length| {
        // SAFETY: both point to values of the size that `length` states, and live for the call.
        unsafe { libc::getsockname(fd, address, length) }
    })?;
    if length != NAME_ADDRESS_BYTES || !address.path.starts_with(PREFIX) {
        return None;
    }
    Some(Open {
        fd,
        node: Node {
            driver: Driver::from_letter(address.path[DRIVER_AT])?,
            unit: u16::try_from(hexadecimal(&address.path[UNIT_AT..FLAGS_AT])?).ok()?,
        },
        flags: u32::try_from(hexadecimal(&address.path[FLAGS_AT..HANDLE_AT])?)
            .ok()?
            .cast_signed(),
        handle: hexadecimal(&address.path[HANDLE_AT..NAME_BYTES])?,
    })
}

impl SocketAddress {
    const UNIX: u16 = 1;

    /// What `get` fills in, and its length. None if it fails or the address is no Unix one.
    pub(crate) fn filled(get: impl FnOnce(*mut Self, *mut u32) -> c_int) -> Option<(Self, u32)> {
        let mut address = Self {
            family: 0,
            path: [0; PATH_BYTES],
        };
        let mut length = libc::ADDRESS_BYTES;
        let got = get(&raw mut address, &raw mut length) == 0 && address.family == Self::UNIX;
        got.then_some((address, length))
    }

    /// The name that says all about `open`, and its length.
    pub(crate) fn of_node(open: &Open) -> (Self, u32) {
        let mut path = [0; PATH_BYTES];
        path[..PREFIX.len()].copy_from_slice(PREFIX);
        path[DRIVER_AT] = open.node.driver.letter();
        write_hexadecimal(&mut path[UNIT_AT..FLAGS_AT], u64::from(open.node.unit));
        write_hexadecimal(&mut path[FLAGS_AT..HANDLE_AT], u64::from(open.flags.cast_unsigned()));
        write_hexadecimal(&mut path[HANDLE_AT..NAME_BYTES], open.handle);
        let address = Self {
            family: Self::UNIX,
            path,
        };
        (address, NAME_ADDRESS_BYTES)
    }
}

fn hexadecimal(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some((value << 4) | u64::from(digit))
    })
}

fn write_hexadecimal(out: &mut [u8], mut value: u64) {
    for digit in out.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(value & 0xF) as usize];
        value >>= 4;
    }
}
