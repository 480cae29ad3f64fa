//! What stat and statx say of a node: a character device with the major and minor number that Linux gives it.
//!
//! The structures come filled from `/dev/null`, so that everything that makes no difference is as on this system.

use core::ffi::c_void;

use crate::libc;
use crate::node::{Driver, Node};

/// S_IFCHR and read and write for owner and group.
const MODE: u16 = 0o020_660;

/// The beginning of `struct stat`, which is the same for its 64-bit twin.
#[cfg(target_arch = "x86_64")]
#[repr(C)]
struct Stat {
    device: u64,
    inode: u64,
    links: u64,
    mode: u32,
    user: u32,
    group: u32,
    padding: u32,
    represented: u64,
}

/// The beginning of `struct stat`.
#[cfg(target_arch = "aarch64")]
#[repr(C)]
struct Stat {
    device: u64,
    inode: u64,
    mode: u32,
    links: u32,
    user: u32,
    group: u32,
    represented: u64,
}

/// The beginning of `struct statx`.
#[repr(C)]
struct Statx {
    mask: u32,
    block_size: u32,
    attributes: u64,
    links: u32,
    user: u32,
    group: u32,
    mode: u16,
    padding: u16,
    inode: u64,
    size_blocks_attributes: [u64; 3],
    times: [[u64; 2]; 4],
    represented_major: u32,
    represented_minor: u32,
}

/// Turns the `struct stat` of `/dev/null` into that of `node`.
///
/// # Safety
/// `out` points to a whole `struct stat`.
pub(crate) unsafe fn fill_stat(out: *mut c_void, node: Node) {
    // SAFETY: the caller's promise; ours is the beginning of that structure.
    let stat = unsafe { &mut *out.cast::<Stat>() };
    stat.inode = inode(node);
    stat.mode = MODE.into();
    (stat.user, stat.group) = owner();
    let (major, minor) = node.device();
    stat.represented = (u64::from(major) << 8) | u64::from(minor);
}

/// Turns the `struct statx` of `/dev/null` into that of `node`.
///
/// # Safety
/// `out` points to a whole `struct statx`.
pub(crate) unsafe fn fill_statx(out: *mut c_void, node: Node) {
    // SAFETY: the caller's promise; ours is the beginning of that structure.
    let statx = unsafe { &mut *out.cast::<Statx>() };
    statx.inode = inode(node);
    statx.mode = MODE;
    (statx.user, statx.group) = owner();
    (statx.represented_major, statx.represented_minor) = node.device();
}

/// The nodes belong to whoever looks.
fn owner() -> (u32, u32) {
    // SAFETY: both take nothing and cannot fail.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// Different for each node, and unlike small numbers of real files.
fn inode(node: Node) -> u64 {
    let driver = match node.driver {
        Driver::Generic => 1,
        Driver::Tape => 2,
        Driver::TapeNoRewind => 3,
    };
    0x5367_0000 | (driver << 8) | u64::from(node.unit)
}
