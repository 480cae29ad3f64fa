//! Reading and writing: each call on a tape is one block (or several of the fixed length).

use core::ffi::{c_int, c_void};

use crate::descriptor::{self, Open};
use crate::libc::{self, Piece};
use crate::next::next;
use crate::node::allows;
use crate::tape;

/// read(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn read(fd: c_int, data: *mut c_void, length: usize) -> isize {
    match descriptor::find(fd) {
        // SAFETY: the caller gives `length` bytes to write to.
        Some(open) => unsafe { read_node(&open, data, length) },
        None => next!(c"read", fn(c_int, *mut c_void, usize) -> isize, -1, fd, data, length),
    }
}

/// read(2) as programs call it that were compiled with buffer checks.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __read_chk(fd: c_int, data: *mut c_void, length: usize, room: usize) -> isize {
    match descriptor::find(fd) {
        // SAFETY: the caller gives `room` bytes to write to, and we use no more.
        Some(open) if length <= room => unsafe { read_node(&open, data, length) },
        // The C library ends a program that asks for more than there is room for.
        _ => next!(
            c"__read_chk",
            fn(c_int, *mut c_void, usize, usize) -> isize,
            -1,
            fd,
            data,
            length,
            room
        ),
    }
}

/// write(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, data: *const c_void, length: usize) -> isize {
    match descriptor::find(fd) {
        // SAFETY: the caller gives `length` bytes to read from.
        Some(open) => unsafe { write_node(&open, data, length) },
        None => next!(c"write", fn(c_int, *const c_void, usize) -> isize, -1, fd, data, length),
    }
}

/// readv(2): a block for each piece, as `st` has no vectored form.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readv(fd: c_int, pieces: *const Piece, count: c_int) -> isize {
    match descriptor::find(fd) {
        // SAFETY: the caller gives `count` pieces of memory to write to.
        Some(open) => unsafe { each(pieces, count, |piece| read_node(&open, piece.base, piece.length)) },
        None => next!(c"readv", fn(c_int, *const Piece, c_int) -> isize, -1, fd, pieces, count),
    }
}

/// writev(2): a block for each piece.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, pieces: *const Piece, count: c_int) -> isize {
    match descriptor::find(fd) {
        // SAFETY: the caller gives `count` pieces of memory to read from.
        Some(open) => unsafe { each(pieces, count, |piece| write_node(&open, piece.base, piece.length)) },
        None => next!(
            c"writev",
            fn(c_int, *const Piece, c_int) -> isize,
            -1,
            fd,
            pieces,
            count
        ),
    }
}

/// Makes the functions that read or write at an offset, which neither driver allows.
macro_rules! at_an_offset {
    ($($name:ident $text:literal $pointer:ty),*) => {$(
        /// pread(2) or pwrite(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(fd: c_int, data: $pointer, length: usize, offset: i64) -> isize {
            if descriptor::find(fd).is_some() {
                return refused(libc::ESPIPE);
            }
            next!($text, fn(c_int, $pointer, usize, i64) -> isize, -1, fd, data, length, offset)
        }
    )*};
}
at_an_offset!(
    pread c"pread" *mut c_void,
    pread64 c"pread64" *mut c_void,
    pwrite c"pwrite" *const c_void,
    pwrite64 c"pwrite64" *const c_void
);

fn refused(errno: c_int) -> isize {
    libc::set_errno(errno);
    -1
}

unsafe fn read_node(open: &Open, data: *mut c_void, length: usize) -> isize {
    if !allows(open.flags, false) {
        return refused(libc::EBADF);
    }
    if !open.node.driver.is_tape() {
        return refused(libc::ENOSYS);
    }
    let piece = Piece { base: data, length };
    // SAFETY: the caller's promise about `data`.
    unsafe { tape::read(open, piece) }.unwrap_or_else(refused)
}

unsafe fn write_node(open: &Open, data: *const c_void, length: usize) -> isize {
    if !allows(open.flags, true) {
        return refused(libc::EBADF);
    }
    if !open.node.driver.is_tape() {
        return refused(libc::ENOSYS);
    }
    let piece = Piece {
        base: data.cast_mut(),
        length,
    };
    // SAFETY: the caller's promise about `data`.
    unsafe { tape::write(open, piece) }.unwrap_or_else(refused)
}

/// Goes on from piece to piece as long as each is filled whole.
unsafe fn each(pieces: *const Piece, count: c_int, transfer: impl Fn(Piece) -> isize) -> isize {
    let mut sum = 0;
    for at in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: the caller gives `count` pieces.
        let piece = unsafe { pieces.add(at).read() };
        let moved = transfer(piece);
        if moved < 0 {
            return if sum == 0 { moved } else { sum };
        }
        sum += moved;
        if moved.cast_unsigned() != piece.length {
            break;
        }
    }
    sum
}
