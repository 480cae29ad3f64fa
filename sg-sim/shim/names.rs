//! What else is asked about a path: whether it may be used, whether it is a link, what it is really called.

use core::ffi::{CStr, c_char, c_int, c_void};

use crate::libc;
use crate::next::next;
use crate::status::{present, present_at};

const X_OK: c_int = 1;

fn allowed(mode: c_int) -> c_int {
    if mode & X_OK == 0 { 0 } else { libc::fail(libc::EACCES) }
}

/// Makes access and its cousins that ask for the effective user.
macro_rules! access_functions {
    ($($name:ident $text:literal),*) => {$(
        /// access(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, mode: c_int) -> c_int {
            // SAFETY: the caller gives a C string or null.
            if unsafe { present(path) }.is_some() {
                return allowed(mode);
            }
            next!($text, fn(*const c_char, c_int) -> c_int, -1, path, mode)
        }
    )*};
}
access_functions!(access c"access", eaccess c"eaccess", euidaccess c"euidaccess");

/// faccessat(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn faccessat(fd: c_int, path: *const c_char, mode: c_int, flags: c_int) -> c_int {
    // SAFETY: the caller gives a C string or null.
    if unsafe { present_at(fd, path) }.is_some() {
        return allowed(mode);
    }
    next!(
        c"faccessat",
        fn(c_int, *const c_char, c_int, c_int) -> c_int,
        -1,
        fd,
        path,
        mode,
        flags
    )
}

/// readlink(2): a device is no link.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn readlink(path: *const c_char, out: *mut c_char, room: usize) -> isize {
    // SAFETY: the caller gives a C string or null.
    if unsafe { present(path) }.is_some() {
        libc::set_errno(libc::EINVAL);
        return -1;
    }
    next!(
        c"readlink",
        fn(*const c_char, *mut c_char, usize) -> isize,
        -1,
        path,
        out,
        room
    )
}

/// realpath(3): a node is its own true name.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn realpath(path: *const c_char, out: *mut c_char) -> *mut c_char {
    // SAFETY: the caller gives a C string or null, and room for a path or null.
    match unsafe { copy_name(path, out) } {
        Some(copy) => copy,
        None => next!(
            c"realpath",
            fn(*const c_char, *mut c_char) -> *mut c_char,
            core::ptr::null_mut(),
            path,
            out
        ),
    }
}

/// realpath(3) as programs call it that were compiled with buffer checks.
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __realpath_chk(path: *const c_char, out: *mut c_char, room: usize) -> *mut c_char {
    // SAFETY: the caller gives a C string or null, and room for a path or null.
    match unsafe { copy_name(path, out) } {
        Some(copy) => copy,
        None => {
            next!(
                c"__realpath_chk",
                fn(*const c_char, *mut c_char, usize) -> *mut c_char,
                core::ptr::null_mut(),
                path,
                out,
                room
            )
        }
    }
}

/// canonicalize_file_name(3)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
    // SAFETY: as realpath, which takes memory of its own for a null pointer.
    unsafe { realpath(path, core::ptr::null_mut()) }
}

/// Copies the name of a node to `out`, or to new memory that the program frees.
unsafe fn copy_name(path: *const c_char, out: *mut c_char) -> Option<*mut c_char> {
    // SAFETY: the caller gives a C string or null.
    unsafe { present(path) }?;
    // SAFETY: a node was found, so it is a C string.
    let name = unsafe { CStr::from_ptr(path) }.to_bytes_with_nul();
    let out = if out.is_null() {
        // SAFETY: malloc takes a number.
        unsafe { libc::malloc(name.len()) }.cast()
    } else {
        out
    };
    if !out.is_null() {
        // SAFETY: `out` has room for a path, and names of nodes are a few bytes.
        unsafe { core::ptr::copy_nonoverlapping(name.as_ptr().cast(), out, name.len()) };
    }
    Some(out)
}

/// Makes the functions that ask for extended attributes, of which a device in memory has none.
macro_rules! attribute_functions {
    ($($name:ident $text:literal),*) => {$(
        /// getxattr(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name(path: *const c_char, name: *const c_char, out: *mut c_void, room: usize) -> isize {
            // SAFETY: the caller gives a C string or null.
            if unsafe { present(path) }.is_some() {
                libc::set_errno(libc::EOPNOTSUPP);
                return -1;
            }
            next!($text, fn(*const c_char, *const c_char, *mut c_void, usize) -> isize, -1, path, name, out, room)
        }
    )*};
}
attribute_functions!(getxattr c"getxattr", lgetxattr c"lgetxattr");
