//! The stat family: what kind of thing a path or a descriptor is.

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};

use crate::answers::{fill_stat, fill_statx};
use crate::descriptor;
use crate::link::Broker;
use crate::next::next;
use crate::node::Node;
use crate::open::exists;

const MODEL: &CStr = c"/dev/null";
const AT_FDCWD: c_int = -100;

/// The node that `path` names, if it exists.
pub(crate) unsafe fn present(path: *const c_char) -> Option<Node> {
    // SAFETY: the callers get a C string or null.
    let node = unsafe { Node::named(path) }?;
    exists(&Broker::around()?, node).then_some(node)
}

/// The node that `path` names, or if it is empty the one behind `fd`.
pub(crate) unsafe fn present_at(fd: c_int, path: *const c_char) -> Option<Node> {
    // SAFETY: the callers get a C string or null.
    if !path.is_null() && unsafe { path.read() } == 0 {
        return descriptor::find(fd).map(|open| open.node);
    }
    // SAFETY: as above.
    unsafe { present(path) }
}

/// Makes stat and lstat in all their forms: without and with a version number in front.
macro_rules! stat_functions {
    ($($name:ident $text:literal),*; $($versioned:ident $versioned_text:literal),*) => {
        $(
            /// stat(2) or lstat(2)
            ///
            /// # Safety
            /// As the C library's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(path: *const c_char, out: *mut c_void) -> c_int {
                // SAFETY: the caller gives a C string or null.
                let node = unsafe { present(path) };
                let path = if node.is_some() { MODEL.as_ptr() } else { path };
                let result = next!($text, fn(*const c_char, *mut c_void) -> c_int, -1, path, out);
                if let (Some(node), 0) = (node, result) {
                    // SAFETY: the C library has just filled it.
                    unsafe { fill_stat(out, node) };
                }
                result
            }
        )*
        $(
            /// stat(2) or lstat(2) of programs linked with an old C library
            ///
            /// # Safety
            /// As the C library's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $versioned(version: c_int, path: *const c_char, out: *mut c_void) -> c_int {
                // SAFETY: the caller gives a C string or null.
                let node = unsafe { present(path) };
                let path = if node.is_some() { MODEL.as_ptr() } else { path };
                let result = next!($versioned_text, fn(c_int, *const c_char, *mut c_void) -> c_int, -1, version, path, out);
                if let (Some(node), 0) = (node, result) {
                    // SAFETY: the C library has just filled it.
                    unsafe { fill_stat(out, node) };
                }
                result
            }
        )*
    };
}
stat_functions!(
    stat c"stat", stat64 c"stat64", lstat c"lstat", lstat64 c"lstat64";
    __xstat c"__xstat", __xstat64 c"__xstat64", __lxstat c"__lxstat", __lxstat64 c"__lxstat64"
);

/// Fills `out` for the node behind a descriptor.
unsafe fn stat_node(node: Node, out: *mut c_void) -> c_int {
    let result = next!(
        c"stat",
        fn(*const c_char, *mut c_void) -> c_int,
        -1,
        MODEL.as_ptr(),
        out
    );
    if result == 0 {
        // SAFETY: the C library has just filled it.
        unsafe { fill_stat(out, node) };
    }
    result
}

/// Makes fstat in all its forms.
macro_rules! fstat_functions {
    ($($name:ident $text:literal),*; $($versioned:ident $versioned_text:literal),*) => {
        $(
            /// fstat(2)
            ///
            /// # Safety
            /// As the C library's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $name(fd: c_int, out: *mut c_void) -> c_int {
                match descriptor::find(fd) {
                    // SAFETY: the caller gives room for a `struct stat`.
                    Some(open) => unsafe { stat_node(open.node, out) },
                    None => next!($text, fn(c_int, *mut c_void) -> c_int, -1, fd, out),
                }
            }
        )*
        $(
            /// fstat(2) of programs linked with an old C library
            ///
            /// # Safety
            /// As the C library's function.
            #[unsafe(no_mangle)]
            pub unsafe extern "C" fn $versioned(version: c_int, fd: c_int, out: *mut c_void) -> c_int {
                match descriptor::find(fd) {
                    // SAFETY: the caller gives room for a `struct stat`.
                    Some(open) => unsafe { stat_node(open.node, out) },
                    None => next!($versioned_text, fn(c_int, c_int, *mut c_void) -> c_int, -1, version, fd, out),
                }
            }
        )*
    };
}
fstat_functions!(fstat c"fstat", fstat64 c"fstat64"; __fxstat c"__fxstat", __fxstat64 c"__fxstat64");

/// Makes fstatat in all its forms.
macro_rules! fstatat_functions {
    ($($name:ident $text:literal ($($version:ident: $type:ty)?)),*) => {$(
        /// fstatat(2)
        ///
        /// # Safety
        /// As the C library's function.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn $name($($version: $type,)? fd: c_int, path: *const c_char, out: *mut c_void, flags: c_int) -> c_int {
            // SAFETY: the caller gives a C string or null.
            if let Some(node) = unsafe { present_at(fd, path) } {
                // SAFETY: the caller gives room for a `struct stat`.
                return unsafe { stat_node(node, out) };
            }
            next!($text, fn($($type,)? c_int, *const c_char, *mut c_void, c_int) -> c_int, -1, $($version,)? fd, path, out, flags)
        }
    )*};
}
fstatat_functions!(
    fstatat c"fstatat" (),
    fstatat64 c"fstatat64" (),
    __fxstatat c"__fxstatat" (version: c_int),
    __fxstatat64 c"__fxstatat64" (version: c_int)
);

/// statx(2)
///
/// # Safety
/// As the C library's function.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn statx(fd: c_int, path: *const c_char, flags: c_int, mask: c_uint, out: *mut c_void) -> c_int {
    // SAFETY: the caller gives a C string or null.
    let node = unsafe { present_at(fd, path) };
    let (fd, path) = if node.is_some() {
        (AT_FDCWD, MODEL.as_ptr())
    } else {
        (fd, path)
    };
    let result = next!(
        c"statx",
        fn(c_int, *const c_char, c_int, c_uint, *mut c_void) -> c_int,
        -1,
        fd,
        path,
        flags,
        mask,
        out
    );
    if let (Some(node), 0) = (node, result) {
        // SAFETY: the C library has just filled it.
        unsafe { fill_statx(out, node) };
    }
    result
}
