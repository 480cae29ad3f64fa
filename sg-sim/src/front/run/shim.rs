//! The preloaded object: carried in the program, written to a file that the dynamic linker can open.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// What `build.rs` made of `shim/`; empty on machines that it does not know.
static OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/sg-sim-preload.so"));

/// Whether there is a shim for this machine.
pub(super) const fn available() -> bool {
    !OBJECT.is_empty()
}

/// Writes the object into `folder` and gives its path.
///
/// # Errors
/// The file exists or cannot be written.
pub(super) fn write(folder: &Path) -> io::Result<PathBuf> {
    let path = folder.join("sg-sim-preload.so");
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o500)
        .open(&path)?;
    file.write_all(OBJECT)?;
    Ok(path)
}
