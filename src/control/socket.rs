//! The socket file: a stale one is replaced, but only if nobody answers there; rights are set before anybody can connect.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Mode of the socket: its owner and its group.
const MODE: u32 = 0o660;

/// The socket cannot be made.
#[derive(Debug, Error)]
pub enum SocketError {
    /// Another process answers on it.
    #[error("listen on {}: somebody answers there already\nhint: stop the other tapekeyd, or choose another control.socket", path.display())]
    InUse {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket is in the way.
    #[error("listen on {}: a file that is no socket is in the way\nhint: remove it if nobody needs it, or choose another control.socket", path.display())]
    NotASocket {
        /// What is in the way.
        path: PathBuf,
    },
    /// The system refused.
    #[error("{attempt} {}: {source}\nhint: the directory must exist and the daemon's user must be able to write to it", path.display())]
    System {
        /// What was tried.
        attempt: &'static str,
        /// The socket.
        path: PathBuf,
        /// What the system answered.
        source: io::Error,
    },
}

/// Listens on `path`, readable and writable for owner and `group` only.
///
/// # Errors
/// [`SocketError`]; nothing was removed unless it was a socket on which nobody listens.
pub fn listen(path: &Path, group: Option<u32>) -> Result<UnixListener, SocketError> {
    remove_stale(path)?;
    let system = |attempt| {
        move |source| SocketError::System {
            attempt,
            path: path.into(),
            source,
        }
    };
    // Made with no rights for others (the daemon's umask is 0077), then widened.
    let listener = UnixListener::bind(path).map_err(system("listen on"))?;
    std::os::unix::fs::chown(path, None, group).map_err(system("set the group of"))?;
    fs::set_permissions(path, Permissions::from_mode(MODE)).map_err(system("set the mode of"))?;
    listener.set_nonblocking(true).map_err(system("prepare"))?;
    Ok(listener)
}

fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let system = |attempt| {
        move |source| SocketError::System {
            attempt,
            path: path.into(),
            source,
        }
    };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(system("look at")(error)),
        Ok(metadata) if !metadata.file_type().is_socket() => return Err(SocketError::NotASocket { path: path.into() }),
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path).map_err(system("remove the stale"))
        }
        Err(error) => Err(system("try")(error)),
        Ok(_) => Err(SocketError::InUse { path: path.into() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_a_socket_where_nobody_answers_and_no_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let first = listen(&path, None).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, MODE);
        assert!(matches!(listen(&path, None), Err(SocketError::InUse { .. })));
        drop(first);
        listen(&path, None).unwrap();
    }

    #[test]
    fn never_removes_a_file_that_is_no_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        fs::write(&path, "precious").unwrap();
        assert!(matches!(listen(&path, None), Err(SocketError::NotASocket { .. })));
        assert_eq!(fs::read(&path).unwrap(), b"precious");
        assert!(matches!(
            listen(&directory.path().join("no/s"), None),
            Err(SocketError::System { .. })
        ));
    }
}
