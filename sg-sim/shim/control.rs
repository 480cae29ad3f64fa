//! Everything else that a program does with a descriptor: ioctl, fcntl, dup, close, and attempts to seek.

use core::ffi::{c_int, c_ulong, c_void};

use crate::descriptor::{self, Open};
use crate::libc;
use crate::link::Broker;
use crate::next::next;
use crate::{scsi, tape};

const SG_IO: u32 = 0x2285;
const F_DUPFD: c_int = 0;
const F_GETFL: c_int = 3;
const F_SETFL: c_int = 4;
const F_DUPFD_CLOEXEC: c_int = 1030;
/// Flags of open that are over once the file is open: O_CREAT, O_EXCL, O_NOCTTY, O_TRUNC, O_CLOEXEC.
const SPENT_FLAGS: c_int = libc::O_CREAT | libc::O_EXCL | 0o400 | 0o1000 | libc::O_CLOEXEC;

/// ioctl(2)
///
/// # Safety
/// As the C library's function. That one has a variable number of arguments, and one of them is used: on this machine both are called alike.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ioctl(fd: c_int, request: c_ulong, argument: *mut c_void) -> c_int {
    let Some(open) = descriptor::find(fd) else {
        return next!(
            c"ioctl",
            fn(c_int, c_ulong, *mut c_void) -> c_int,
            -1,
            fd,
            request,
            argument
        );
    };
    // The kernel looks at 32 bits only, and programs rely on it by passing signed numbers.
    let result = match u32::try_from(request & 0xFFFF_FFFF).unwrap_or_default() {
        // SAFETY: the caller gives what the ioctl demands; so below.
        SG_IO => unsafe { scsi::command(&open, argument) },
        request @ (tape::MTIOCTOP | tape::MTIOCGET | tape::MTIOCPOS) if open.node.driver.is_tape() => {
            // SAFETY: as above.
            unsafe { tape::control(&open, request, argument) }
        }
        // SAFETY: as above.
        request => unsafe { scsi::control(&open, request, argument) },
    };
    result.unwrap_or_else(libc::fail)
}

/// Makes fcntl and its twin.
macro_rules! fcntl_functions {
    ($($name:ident $text:literal),*) => {$(
        /// fcntl(2)
        ///
        /// # Safety
        /// As the C library's function; see [`ioctl`].
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, command: c_int, argument: c_ulong) -> c_int {
            match (command, descriptor::find(fd)) {
                (F_GETFL, Some(open)) => open.flags & !SPENT_FLAGS,
                // The socket behind it must stay as it is; what the flags would change, the other side decides at open.
                (F_SETFL, Some(_)) => 0,
                _ => {
                    let result = next!($text, fn(c_int, c_int, c_ulong) -> c_int, -1, fd, command, argument);
                    if matches!(command, F_DUPFD | F_DUPFD_CLOEXEC) {
                        descriptor::forget(result);
                    }
                    result
                }
            }
        }
    )*};
}
fcntl_functions!(fcntl c"fcntl", fcntl64 c"fcntl64");

/// close(2): returns when the filemark is written, if this was the last descriptor, with its error.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn close(fd: c_int) -> c_int {
    let closing = Closing::of(fd);
    let result = next!(c"close", fn(c_int) -> c_int, -1, fd);
    Closing::finish(closing, result)
}

/// dup(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup(fd: c_int) -> c_int {
    let result = next!(c"dup", fn(c_int) -> c_int, -1, fd);
    descriptor::forget(result);
    result
}

/// dup2(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup2(from: c_int, to: c_int) -> c_int {
    let closing = if from == to { None } else { Closing::of(to) };
    let result = next!(c"dup2", fn(c_int, c_int) -> c_int, -1, from, to);
    descriptor::forget(result);
    // The kernel does not tell dup2 how the close went.
    Closing::finish(closing, 0);
    result
}

/// dup3(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn dup3(from: c_int, to: c_int, flags: c_int) -> c_int {
    let closing = Closing::of(to);
    let result = next!(c"dup3", fn(c_int, c_int, c_int) -> c_int, -1, from, to, flags);
    descriptor::forget(result);
    Closing::finish(closing, 0);
    result
}

/// A tape whose descriptor is about to be closed, and whom to ask how it went.
struct Closing {
    open: Open,
    broker: Broker,
}

impl Closing {
    fn of(fd: c_int) -> Option<Self> {
        let open = descriptor::find(fd).filter(|open| open.node.driver.is_tape())?;
        let errno = libc::errno();
        let broker = Broker::behind(&open);
        libc::set_errno(errno);
        broker.map(|broker| Self { open, broker })
    }

    fn finish(closing: Option<Self>, result: c_int) -> c_int {
        let Some(closing) = closing.filter(|_| result == 0) else {
            return result;
        };
        let errno = libc::errno();
        let failure = tape::await_release(&closing.open, &closing.broker);
        libc::set_errno(errno);
        if failure == 0 { 0 } else { libc::fail(failure) }
    }
}

/// Makes lseek and its twin.
macro_rules! lseek_functions {
    ($($name:ident $text:literal),*) => {$(
        /// lseek(2): `st` permits it without doing anything, `sg` does not.
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, offset: i64, whence: c_int) -> i64 {
            match descriptor::find(fd) {
                Some(open) if open.node.driver.is_tape() => 0,
                Some(_) => i64::from(libc::fail(libc::ESPIPE)),
                None => next!($text, fn(c_int, i64, c_int) -> i64, -1, fd, offset, whence),
            }
        }
    )*};
}
lseek_functions!(lseek c"lseek", lseek64 c"lseek64");

/// Makes ftruncate and its twin.
macro_rules! ftruncate_functions {
    ($($name:ident $text:literal),*) => {$(
        /// ftruncate(2): a device has no length.
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, length: i64) -> c_int {
            if descriptor::find(fd).is_some() {
                return libc::fail(libc::EINVAL);
            }
            next!($text, fn(c_int, i64) -> c_int, -1, fd, length)
        }
    )*};
}
ftruncate_functions!(ftruncate c"ftruncate", ftruncate64 c"ftruncate64");
