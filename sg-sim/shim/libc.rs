//! The few functions and layouts of the C library that the shim needs, declared by hand for 64-bit Linux with glibc.

use core::ffi::{c_char, c_int, c_long, c_void};

/// A socket address with room for any name of a Unix socket (`struct sockaddr_un`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct SocketAddress {
    pub(crate) family: u16,
    pub(crate) path: [u8; PATH_BYTES],
}

/// One piece of memory (`struct iovec`).
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Piece {
    pub(crate) base: *mut c_void,
    pub(crate) length: usize,
}

pub(crate) const PATH_BYTES: usize = 108;
/// A whole socket address: its family and its path.
pub(crate) const ADDRESS_BYTES: u32 = 110;

#[link(name = "c")]
unsafe extern "C" {
    fn __errno_location() -> *mut c_int;
    pub(crate) fn abort() -> !;
    pub(crate) fn getenv(name: *const c_char) -> *const c_char;
    pub(crate) fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    pub(crate) fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int;
    pub(crate) fn bind(fd: c_int, address: *const SocketAddress, length: u32) -> c_int;
    pub(crate) fn connect(fd: c_int, address: *const SocketAddress, length: u32) -> c_int;
    pub(crate) fn getsockname(fd: c_int, address: *mut SocketAddress, length: *mut u32) -> c_int;
    pub(crate) fn getpeername(fd: c_int, address: *mut SocketAddress, length: *mut u32) -> c_int;
    pub(crate) fn send(fd: c_int, data: *const c_void, length: usize, flags: c_int) -> isize;
    pub(crate) fn recv(fd: c_int, data: *mut c_void, length: usize, flags: c_int) -> isize;
    pub(crate) fn getrandom(data: *mut c_void, length: usize, flags: u32) -> isize;
    pub(crate) fn geteuid() -> u32;
    pub(crate) fn getegid() -> u32;
    pub(crate) fn malloc(length: usize) -> *mut c_void;
    fn syscall(number: c_long, ...) -> c_long;
}

/// The calling thread's errno.
pub(crate) fn errno() -> c_int {
    // SAFETY: the C library gives every thread a valid place for errno.
    unsafe { *__errno_location() }
}

/// Sets the calling thread's errno.
pub(crate) fn set_errno(value: c_int) {
    // SAFETY: as in `errno`.
    unsafe { *__errno_location() = value }
}

/// Sets errno and gives the return value of a call that failed.
pub(crate) fn fail(value: c_int) -> c_int {
    set_errno(value);
    -1
}

/// Closes a descriptor without coming by our own `close`.
pub(crate) fn close_quietly(fd: c_int) {
    #[cfg(target_arch = "x86_64")]
    const CLOSE: c_long = 3;
    #[cfg(target_arch = "aarch64")]
    const CLOSE: c_long = 57;
    // SAFETY: close(2) takes a number and touches no memory of ours. The callers own `fd`.
    unsafe { syscall(CLOSE, fd) };
}

pub(crate) const AF_UNIX: c_int = 1;
pub(crate) const SOCK_STREAM: c_int = 1;
pub(crate) const SOCK_SEQPACKET: c_int = 5;
pub(crate) const SOCK_CLOEXEC: c_int = 0o2_000_000;
pub(crate) const MSG_NOSIGNAL: c_int = 0x4000;
pub(crate) const MSG_WAITALL: c_int = 0x100;

pub(crate) const O_ACCMODE: c_int = 3;
pub(crate) const O_RDONLY: c_int = 0;
pub(crate) const O_WRONLY: c_int = 1;
pub(crate) const O_CREAT: c_int = 0o100;
pub(crate) const O_EXCL: c_int = 0o200;
pub(crate) const O_CLOEXEC: c_int = 0o2_000_000;
#[cfg(target_arch = "x86_64")]
pub(crate) const O_DIRECTORY: c_int = 0o200_000;
#[cfg(target_arch = "aarch64")]
pub(crate) const O_DIRECTORY: c_int = 0o40_000;

pub(crate) const EINTR: c_int = 4;
pub(crate) const EIO: c_int = 5;
pub(crate) const EBADF: c_int = 9;
pub(crate) const ENOMEM: c_int = 12;
pub(crate) const EACCES: c_int = 13;
pub(crate) const EFAULT: c_int = 14;
pub(crate) const EEXIST: c_int = 17;
pub(crate) const ENODEV: c_int = 19;
pub(crate) const ENOTDIR: c_int = 20;
pub(crate) const EINVAL: c_int = 22;
pub(crate) const ENOTTY: c_int = 25;
pub(crate) const ESPIPE: c_int = 29;
pub(crate) const ENOSYS: c_int = 38;
pub(crate) const EMSGSIZE: c_int = 90;
pub(crate) const EOPNOTSUPP: c_int = 95;
pub(crate) const EADDRINUSE: c_int = 98;
