//! A private folder for sockets and the preloaded object; it goes with the value.

use std::env;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;

/// Room for the folder's name and that of a socket in it, with slashes.
const LONGEST_NAME_BYTES: usize = 40;
/// How many folders a killed process of the same number may have left behind.
const ATTEMPTS_MAX: u32 = 1000;
/// Room in a Unix socket's address.
const SOCKET_PATH_BYTES_MAX: usize = 107;

/// A folder that only its owner can enter.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Makes the folder where temporary files go, or in `/tmp` if that path would not do in `LD_PRELOAD` or a socket's address.
    ///
    /// # Errors
    /// The system refuses.
    pub(super) fn new() -> io::Result<Self> {
        let usual = env::temp_dir();
        let usable = usual.to_str().is_some_and(|path| {
            path.starts_with('/')
                && !path.contains([' ', ':', '\t', '\n'])
                && path.len() + LONGEST_NAME_BYTES <= SOCKET_PATH_BYTES_MAX
        });
        Self::make_in(if usable { &usual } else { Path::new("/tmp") })
    }

    fn make_in(parent: &Path) -> io::Result<Self> {
        let mut attempt = 0;
        loop {
            let path = parent.join(format!("sg-sim-{}-{attempt}", process::id()));
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists && attempt < ATTEMPTS_MAX => attempt += 1,
                Err(error) => return Err(error),
            }
        }
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left to whoever clears temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
