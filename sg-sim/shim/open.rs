//! Opening a node: the open family of functions.
//!
//! A tape is opened on the other side before the descriptor is handed out, so EBUSY, ENOMEDIUM and the like come from open, as with `st`.

use core::ffi::{c_char, c_int, c_uint, c_void};

use crate::descriptor::{self, Open};
use crate::libc::{self, SocketAddress};
use crate::link::{self, Broker, Operation, Request};
use crate::next::next;
use crate::node::Node;

/// Makes the C library's open functions with two or three arguments.
macro_rules! open_functions {
    ($($name:ident $text:literal),*) => {$(
        /// open(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            // SAFETY: the caller gives a C string or null.
            if let Some(fd) = unsafe { try_open(path, flags) } {
                return fd;
            }
            renewed(next!($text, fn(*const c_char, c_int, c_uint) -> c_int, -1, path, flags, mode))
        }
    )*};
}
open_functions!(open c"open", open64 c"open64", __open_2 c"__open_2", __open64_2 c"__open64_2");

/// The same with a folder in front, which makes no difference to an absolute path.
macro_rules! openat_functions {
    ($($name:ident $text:literal),*) => {$(
        /// openat(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(folder: c_int, path: *const c_char, flags: c_int, mode: c_uint) -> c_int {
            // SAFETY: the caller gives a C string or null.
            if let Some(fd) = unsafe { try_open(path, flags) } {
                return fd;
            }
            renewed(next!($text, fn(c_int, *const c_char, c_int, c_uint) -> c_int, -1, folder, path, flags, mode))
        }
    )*};
}
openat_functions!(openat c"openat", openat64 c"openat64", __openat_2 c"__openat_2", __openat64_2 c"__openat64_2");

/// creat(2)
macro_rules! creat_functions {
    ($($name:ident $text:literal),*) => {$(
        /// creat(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, mode: c_uint) -> c_int {
            // SAFETY: the caller gives a C string or null.
            if let Some(fd) = unsafe { try_open(path, libc::O_WRONLY) } {
                return fd;
            }
            renewed(next!($text, fn(*const c_char, c_uint) -> c_int, -1, path, mode))
        }
    )*};
}
creat_functions!(creat c"creat", creat64 c"creat64");

/// A number that the C library gave out may have been known as something else before.
fn renewed(fd: c_int) -> c_int {
    if fd >= 0 {
        descriptor::forget(fd);
    }
    fd
}

/// Opens `path` if it is a node of ours; `None` if the C library is to open it.
///
/// # Safety
/// `path` is null or a C string.
unsafe fn try_open(path: *const c_char, flags: c_int) -> Option<c_int> {
    // SAFETY: the caller's promise.
    let node = unsafe { Node::named(path) }?;
    let hold = Broker::hold()?;
    let ask = Broker::around()?;
    if !exists(&ask, node) {
        return None;
    }
    Some(open_node(node, flags, &hold, &ask).unwrap_or_else(libc::fail))
}

/// Whether `sg-sim run` has such a node. Leaves errno alone.
pub(crate) fn exists(ask: &Broker, node: Node) -> bool {
    let errno = libc::errno();
    let request = Request {
        operation: Operation::Exists,
        node,
        flags: 0,
        handle: 0,
        numbers: [0; 2],
        cdb: &[],
    };
    // SAFETY: there is no data.
    let answer = unsafe { request.ask(ask, &[], &[]) };
    libc::set_errno(errno);
    answer.is_ok_and(|answer| answer.errno == 0)
}

fn open_node(node: Node, flags: c_int, hold: &SocketAddress, ask: &Broker) -> Result<c_int, c_int> {
    if flags & (libc::O_CREAT | libc::O_EXCL) == libc::O_CREAT | libc::O_EXCL {
        return Err(libc::EEXIST);
    }
    if flags & libc::O_DIRECTORY != 0 {
        return Err(libc::ENOTDIR);
    }
    let close_on_exec = if flags & libc::O_CLOEXEC == 0 {
        0
    } else {
        libc::SOCK_CLOEXEC
    };
    // SAFETY: socket(2) takes numbers only.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_SEQPACKET | close_on_exec, 0) };
    if fd < 0 {
        return Err(libc::errno());
    }
    let opened = claim(fd, node, flags, hold, ask);
    match opened {
        Ok(()) => {
            descriptor::forget(fd);
            Ok(fd)
        }
        Err(errno) => {
            libc::close_quietly(fd);
            Err(errno)
        }
    }
}

/// Gives the socket its name, connects it and has the other side open the node for it.
fn claim(fd: c_int, node: Node, flags: c_int, hold: &SocketAddress, ask: &Broker) -> Result<(), c_int> {
    let open = loop {
        let mut handle = [0u8; 8];
        // SAFETY: the buffer has the eight bytes.
        if unsafe { libc::getrandom(handle.as_mut_ptr().cast::<c_void>(), handle.len(), 0) } != 8 {
            return Err(libc::EIO);
        }
        let open = Open {
            fd,
            node,
            flags,
            handle: u64::from_ne_bytes(handle),
        };
        let (address, length) = SocketAddress::of_node(&open);
        // SAFETY: `address` is valid for `length` bytes.
        if unsafe { libc::bind(fd, &raw const address, length) } == 0 {
            break open;
        }
        if libc::errno() != libc::EADDRINUSE {
            return Err(libc::errno());
        }
    };
    link::connect(fd, hold)?;
    // SAFETY: there is no data.
    let answer = unsafe { Request::about(&open, Operation::Open).ask(ask, &[], &[]) }?;
    if answer.errno == 0 { Ok(()) } else { Err(answer.errno) }
}
