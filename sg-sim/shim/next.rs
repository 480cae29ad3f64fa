//! The functions that ours stand in front of: the next of the same name in the order of loading.

use core::ffi::{CStr, c_void};
use core::sync::atomic::{AtomicPtr, Ordering};

use crate::libc::dlsym;

/// A function found at its first use.
pub(crate) struct Next {
    name: &'static CStr,
    address: AtomicPtr<c_void>,
}

impl Next {
    pub(crate) const fn new(name: &'static CStr) -> Self {
        Self {
            name,
            address: AtomicPtr::new(core::ptr::null_mut()),
        }
    }

    /// Its address; null if no library behind us has it.
    pub(crate) fn address(&self) -> *mut c_void {
        const RTLD_NEXT: *mut c_void = core::ptr::without_provenance_mut(usize::MAX);
        let known = self.address.load(Ordering::Relaxed);
        if !known.is_null() {
            return known;
        }
        // SAFETY: `name` is a C string that lives for ever, and RTLD_NEXT is a handle that dlsym knows.
        let found = unsafe { dlsym(RTLD_NEXT, self.name.as_ptr()) };
        // Two threads that come here at the same time find the same address.
        self.address.store(found, Ordering::Relaxed);
        found
    }
}

/// Calls the next function of that name and type. Without one the call fails with ENOSYS.
macro_rules! next {
    ($name:literal, fn($($type:ty),*) -> $result:ty, $failed:expr, $($argument:expr),*) => {{
        static NEXT: $crate::next::Next = $crate::next::Next::new($name);
        let address = NEXT.address();
        if address.is_null() {
            $crate::libc::set_errno($crate::libc::ENOSYS);
            $failed
        } else {
            // SAFETY: dlsym found the C library's function of this name, which has the type written here. The arguments are
            // those that the caller gave us for that very function.
            unsafe {
                let function = core::mem::transmute::<*mut core::ffi::c_void, unsafe extern "C" fn($($type),*) -> $result>(address);
                function($($argument),*)
            }
        }
    }};
}
pub(crate) use next;
