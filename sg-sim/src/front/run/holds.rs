//! The sockets whose other ends are programs' descriptors.
//!
//! They are of the kind that keeps messages apart (SOCK_SEQPACKET), because what a program writes around the shim, through stdio, arrives
//! here, and each write is a block.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, listen, socket};
use std::os::fd::AsRawFd;

/// Digits of the handle at the end of a socket's name.
const HANDLE_DIGITS: usize = 16;

/// Connections that have come in, by the handle that their name ends with.
pub(super) struct Holds {
    listener: UnixListener,
    waiting: Mutex<HashMap<u64, UnixStream>>,
}

impl Holds {
    /// Listens on `path`.
    ///
    /// # Errors
    /// The system refuses: the path is too long, or something is there.
    pub(super) fn listen(path: &Path) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let fd = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        bind(fd.as_raw_fd(), &UnixAddr::new(path)?)?;
        listen(&fd, Backlog::MAXCONN)?;
        Ok(Self {
            listener: UnixListener::from(fd),
            waiting: Mutex::default(),
        })
    }

    /// The connection with that handle, if it has come in.
    pub(super) fn claim(&self, handle: u64) -> Option<UnixStream> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        // Descriptors of `sg` nodes are never claimed; those that are closed go now.
        waiting.retain(|_, socket| still_open(socket));
        while let Ok((socket, address)) = self.listener.accept() {
            let name = address.as_abstract_name().and_then(handle_in);
            if let (Some(name), Ok(())) = (name, socket.set_nonblocking(true)) {
                waiting.insert(name, socket);
            }
        }
        waiting.remove(&handle)
    }
}

fn still_open(mut socket: &UnixStream) -> bool {
    let mut byte = [0];
    match socket.read(&mut byte) {
        Ok(length) => length > 0,
        Err(error) => matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}

fn handle_in(name: &[u8]) -> Option<u64> {
    let digits = name.get(name.len().checked_sub(HANDLE_DIGITS)?..)?;
    u64::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}
