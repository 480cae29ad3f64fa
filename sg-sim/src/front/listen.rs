//! Opens a Unix stream socket that only its owner may use, and takes it away again.
//!
//! A socket file that a killed server left behind is replaced; one that somebody listens on, or a file that is no socket,
//! is never touched.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::stat::{Mode, umask};
use thiserror::Error;

/// Why a socket could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum ListenError {
    /// Another process answers on that path.
    #[error("listen on {path}: another process listens there\nhint: end it first, or choose another path")]
    InUse {
        /// The path asked for.
        path: PathBuf,
    },
    /// Something that is not a socket is in the way.
    #[error("listen on {path}: that file is not a socket\nhint: choose another path; it was left as it is")]
    NotASocket {
        /// The path asked for.
        path: PathBuf,
    },
    /// The system refused.
    #[error("listen on {path}: {source}\nhint: the folder must exist and be writable, the path have at most 107 bytes")]
    System {
        /// The path asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

/// A listening socket; its file goes when this value does.
#[derive(Debug)]
pub(super) struct Listening {
    listener: UnixListener,
    path: PathBuf,
    identity: (u64, u64),
}

impl Listening {
    /// Listens on `path` with mode 0600. Call it while the process has one thread: it sets the umask for a moment.
    ///
    /// # Errors
    /// Somebody listens there, a file that is no socket is in the way, or the system refuses.
    pub(super) fn open(path: &Path) -> Result<Self, ListenError> {
        remove_stale(path)?;
        // No other user may get in between bind and chmod; 0077 also leaves folders usable that other threads make meanwhile.
        let old = umask(Mode::from_bits_truncate(0o077));
        let bound = UnixListener::bind(path);
        umask(old);
        let listener = bound.map_err(|source| system(path, source))?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(|source| system(path, source))?;
        let identity = fs::symlink_metadata(path)
            .map(|found| (found.dev(), found.ino()))
            .map_err(|source| system(path, source))?;
        Ok(Self {
            listener,
            path: path.to_owned(),
            identity,
        })
    }

    /// A second handle on the socket, for the thread that accepts.
    ///
    /// # Errors
    /// The system has no descriptor left.
    pub(super) fn acceptor(&self) -> io::Result<UnixListener> {
        self.listener.try_clone()
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        let ours = fs::symlink_metadata(&self.path).is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if ours {
            // A file that cannot be removed is a stale socket, and the next start deals with it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn remove_stale(path: &Path) -> Result<(), ListenError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(system(path, source)),
        Ok(found) if !found.file_type().is_socket() => return Err(ListenError::NotASocket { path: path.to_owned() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(ListenError::InUse { path: path.to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(|source| system(path, source))
        }
        Err(source) => Err(system(path, source)),
    }
}

fn system(path: &Path, source: io::Error) -> ListenError {
    ListenError::System {
        path: path.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_belongs_to_its_owner_alone_and_goes_with_the_value() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive");
        let listening = Listening::open(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        drop(listening);
        assert!(!path.exists());
    }

    #[test]
    fn a_stale_socket_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let listening = Listening::open(&path).unwrap();
        let _acceptor = listening.acceptor().unwrap();
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_socket_in_use_is_left_to_its_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive");
        let _first = UnixListener::bind(&path).unwrap();
        assert!(matches!(Listening::open(&path), Err(ListenError::InUse { .. })));
        assert!(UnixStream::connect(&path).is_ok());
    }

    #[test]
    fn a_file_in_the_way_is_not_touched() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive");
        fs::write(&path, "diary").unwrap();
        assert!(matches!(Listening::open(&path), Err(ListenError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"diary");
    }
}
