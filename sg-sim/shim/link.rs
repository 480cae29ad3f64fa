//! The way to `sg-sim run`: one connection for one request and its answer.
//!
//! The layout is that of `sg-sim/src/front/run/frames.rs`; both are built together, so there is one version and no negotiation.

use core::ffi::{c_char, c_int, c_void};

use crate::descriptor::Open;
use crate::libc::{
    self, ADDRESS_BYTES, AF_UNIX, EINTR, EIO, ENODEV, MSG_NOSIGNAL, MSG_WAITALL, PATH_BYTES, Piece, SocketAddress,
};
use crate::node::Node;

/// What is asked.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Open = 1,
    Released = 2,
    Read = 3,
    Write = 4,
    Move = 5,
    Status = 6,
    Position = 7,
    Scsi = 8,
    Exists = 9,
    Reset = 10,
}

/// A request without its data.
pub(crate) struct Request<'a> {
    pub(crate) operation: Operation,
    pub(crate) node: Node,
    pub(crate) flags: c_int,
    pub(crate) handle: u64,
    /// Two numbers whose meaning depends on the operation.
    pub(crate) numbers: [i32; 2],
    pub(crate) cdb: &'a [u8],
}

/// The answer without its data.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// 0, or why the call failed.
    pub(crate) errno: c_int,
    /// A number whose meaning depends on the operation.
    pub(crate) value: u32,
    pub(crate) scsi_status: u8,
    pub(crate) sense: [u8; SENSE_BYTES_MAX],
    pub(crate) sense_length: usize,
    /// Bytes that arrived in the pieces for data-in.
    pub(crate) data_in: usize,
}

pub(crate) const CDB_BYTES_MAX: usize = 260;
const SENSE_BYTES_MAX: usize = 252;
const REQUEST_BYTES: usize = 36;
const ANSWER_BYTES: usize = 20;

impl<'a> Request<'a> {
    /// A request about an open node.
    pub(crate) const fn about(open: &Open, operation: Operation) -> Self {
        Self {
            operation,
            node: open.node,
            flags: open.flags,
            handle: open.handle,
            numbers: [0; 2],
            cdb: &[],
        }
    }

    /// Header and CDB as they go over the socket, and their length.
    fn encode(&self, data_out: u32, allocation: u32) -> ([u8; REQUEST_BYTES + CDB_BYTES_MAX], usize) {
        let mut bytes = [0; REQUEST_BYTES + CDB_BYTES_MAX];
        let cdb = &self.cdb[..self.cdb.len().min(CDB_BYTES_MAX)];
        bytes[0] = 1;
        bytes[1] = self.operation as u8;
        bytes[2] = self.node.driver.letter();
        bytes[4..6].copy_from_slice(&self.node.unit.to_be_bytes());
        bytes[6..8].copy_from_slice(&u16::try_from(cdb.len()).unwrap_or_default().to_be_bytes());
        bytes[8..12].copy_from_slice(&self.flags.to_be_bytes());
        bytes[12..20].copy_from_slice(&self.handle.to_be_bytes());
        bytes[20..24].copy_from_slice(&self.numbers[0].to_be_bytes());
        bytes[24..28].copy_from_slice(&self.numbers[1].to_be_bytes());
        bytes[28..32].copy_from_slice(&data_out.to_be_bytes());
        bytes[32..36].copy_from_slice(&allocation.to_be_bytes());
        bytes[REQUEST_BYTES..REQUEST_BYTES + cdb.len()].copy_from_slice(cdb);
        (bytes, REQUEST_BYTES + cdb.len())
    }

    /// Asks and waits for the answer. The error is an errno of this side: nobody is there, or the caller's memory cannot be used.
    ///
    /// # Safety
    /// Pieces of `data_out` may be read, those of `data_in` written, as far as their lengths say; addresses that do not exist are
    /// found by the kernel and give EFAULT.
    pub(crate) unsafe fn ask(&self, to: &Broker, data_out: &[Piece], data_in: &[Piece]) -> Result<Answer, c_int> {
        let connection = to.connect()?;
        let (out_length, in_length) = (total(data_out)?, total(data_in)?);
        let (header, length) = self.encode(out_length, in_length);
        connection.send(header[..length].as_ptr().cast(), length)?;
        for piece in data_out {
            connection.send(piece.base, piece.length)?;
        }
        connection.answer(data_in)
    }
}

fn total(pieces: &[Piece]) -> Result<u32, c_int> {
    let sum = pieces
        .iter()
        .try_fold(0usize, |sum, piece| sum.checked_add(piece.length));
    sum.and_then(|sum| u32::try_from(sum).ok()).ok_or(libc::EINVAL)
}

/// The address of the socket that takes requests.
pub(crate) struct Broker(SocketAddress);

impl Broker {
    const HOLD: &'static [u8] = b"hold";
    const ASK: &'static [u8] = b"/ask";

    /// That of the `sg-sim run` which an open node belongs to: it is beside the socket that the descriptor is connected to.
    pub(crate) fn behind(open: &Open) -> Option<Self> {
        let (mut address, _) = SocketAddress::filled(|address, length| {
            // SAFETY: both point to values of the size that `length` states, and live for the call.
            unsafe { libc::getpeername(open.fd, address, length) }
        })?;
        let end = address.path.iter().position(|byte| *byte == 0)?;
        let name = address.path.get_mut(end.checked_sub(Self::HOLD.len())?..end)?;
        name.copy_from_slice(b"ask\0");
        Some(Self(address))
    }

    /// That of the `sg-sim run` that started this process or one of its parents.
    pub(crate) fn around() -> Option<Self> {
        Self::in_folder(Self::ASK).map(Self)
    }

    /// The socket whose connections are the open nodes.
    pub(crate) fn hold() -> Option<SocketAddress> {
        Self::in_folder(b"/hold")
    }

    fn in_folder(name: &[u8]) -> Option<SocketAddress> {
        // SAFETY: the name is a C string. Programs that change their environment while another thread opens a file are on their own.
        let folder: *const c_char = unsafe { libc::getenv(c"SG_SIM_RUN".as_ptr()) };
        if folder.is_null() {
            return None;
        }
        // SAFETY: getenv gives a C string.
        let folder = unsafe { core::ffi::CStr::from_ptr(folder) }.to_bytes();
        let mut path = [0; PATH_BYTES];
        // One byte is left for the zero at the end.
        path.get_mut(..PATH_BYTES - 1)?
            .get_mut(..folder.len())?
            .copy_from_slice(folder);
        path.get_mut(..PATH_BYTES - 1)?
            .get_mut(folder.len()..folder.len() + name.len())?
            .copy_from_slice(name);
        Some(SocketAddress { family: 1, path })
    }

    fn connect(&self) -> Result<Connection, c_int> {
        // SAFETY: socket(2) takes numbers only.
        let fd = unsafe { libc::socket(AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        if fd < 0 {
            return Err(libc::errno());
        }
        let connection = Connection(fd);
        connect(fd, &self.0).map(|()| connection)
    }
}

/// Connects `fd` to `address`. A server that is not there any more is a device that has gone.
pub(crate) fn connect(fd: c_int, address: &SocketAddress) -> Result<(), c_int> {
    loop {
        // SAFETY: `address` is a whole socket address of the length given.
        if unsafe { libc::connect(fd, address, ADDRESS_BYTES) } == 0 {
            return Ok(());
        }
        match libc::errno() {
            EINTR => {}
            libc::EACCES => return Err(libc::EACCES),
            _ => return Err(ENODEV),
        }
    }
}

/// A connection that lasts for one request.
struct Connection(c_int);

impl Drop for Connection {
    fn drop(&mut self) {
        libc::close_quietly(self.0);
    }
}

impl Connection {
    fn send(&self, data: *const c_void, length: usize) -> Result<(), c_int> {
        let mut sent = 0;
        while sent < length {
            // SAFETY: `data` has `length` bytes by the callers' promise; the kernel answers EFAULT if they do not exist.
            match unsafe { libc::send(self.0, data.byte_add(sent), length - sent, MSG_NOSIGNAL) } {
                -1 if libc::errno() == EINTR => {}
                -1 if libc::errno() == libc::EFAULT => return Err(libc::EFAULT),
                count => sent += usize::try_from(count).map_err(|_| EIO)?,
            }
        }
        Ok(())
    }

    /// Receives exactly `length` bytes.
    fn receive(&self, data: *mut c_void, length: usize) -> Result<(), c_int> {
        let mut got = 0;
        while got < length {
            // SAFETY: as in `send`, for writing.
            match unsafe { libc::recv(self.0, data.byte_add(got), length - got, MSG_WAITALL) } {
                -1 if libc::errno() == EINTR => {}
                -1 if libc::errno() == libc::EFAULT => return Err(libc::EFAULT),
                // The other side went away in the middle: the device has gone, and nobody knows what it has done.
                0 | -1 => return Err(EIO),
                count => got += usize::try_from(count).map_err(|_| EIO)?,
            }
        }
        Ok(())
    }

    fn answer(&self, data_in: &[Piece]) -> Result<Answer, c_int> {
        let mut header = [0u8; ANSWER_BYTES];
        self.receive(header.as_mut_ptr().cast(), ANSWER_BYTES)?;
        let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
        let mut answer = Answer {
            errno: number(0).cast_signed(),
            value: number(4),
            scsi_status: header[8],
            sense: [0; SENSE_BYTES_MAX],
            sense_length: usize::from(u16::from_be_bytes([header[10], header[11]])).min(SENSE_BYTES_MAX),
            data_in: number(12) as usize,
        };
        self.receive(answer.sense.as_mut_ptr().cast(), answer.sense_length)?;
        let mut left = answer.data_in;
        for piece in data_in {
            let part = piece.length.min(left);
            self.receive(piece.base, part)?;
            left -= part;
        }
        if left == 0 { Ok(answer) } else { Err(EIO) }
    }
}
