//! One connection of the SCSI socket: hello, then requests in order until one side closes (`PROTOCOL.md` 1.2 to 1.6).
//!
//! A violation ends this connection and nothing else. Data-out may hold a key (SECURITY PROTOCOL OUT), so the buffer is wiped
//! after such a command and no byte of it is ever traced.

use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;

use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use super::frame::{
    HEAD, HELLO_HEAD, HelloFault, Refusal, RequestHead, ResponseHead, Violation, decode_hello, decode_name,
    encode_hello_answer,
};
use super::machine::{Client, Command, Machine, Outcome};
use crate::ItNexus;

/// Data-in up to this size goes out in one write with its head; more is not worth the copy.
const COPIED_DATA_MAX: usize = 4096;
const SECURITY_PROTOCOL_OUT: u8 = 0xB5;

/// Why a connection ended other than by a close between two frames.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Ended {
    /// The client sent what the protocol does not allow, or the drive answered so.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// The hello was refused, and the client was told.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The stream broke, or ended inside a frame.
    #[error("read or write a frame: {0}")]
    Stream(#[from] io::Error),
}

/// Serves one connection to the unit with this number until it ends.
///
/// # Errors
/// Any end but a close between two frames.
pub fn serve(stream: &UnixStream, machine: &Machine, unit: usize) -> Result<(), Ended> {
    let mut incoming = Incoming { stream, ahead: None };
    let Some(nexus) = greet(&mut incoming)? else {
        return Ok(());
    };
    let mut buffers = Buffers::default();
    while let Some(head) = incoming.head::<HEAD>()? {
        let request = RequestHead::decode(&head)?;
        incoming.exact(buffers.body(request.cdb_length + request.data_out_length))?;
        let target = Target {
            machine,
            unit,
            nexus: &nexus,
        };
        if !answer(&mut incoming, &target, request, &mut buffers)? {
            break;
        }
    }
    Ok(())
}

/// Tells a client that there is no room, in answer to whatever hello it sent.
///
/// # Errors
/// The stream broke.
pub fn turn_away(mut stream: &UnixStream, refusal: &Refusal) -> io::Result<()> {
    stream.write_all(&encode_hello_answer(Some(refusal)))
}

fn greet(incoming: &mut Incoming<'_>) -> Result<Option<ItNexus>, Ended> {
    let Some(head) = incoming.head::<HELLO_HEAD>()? else {
        return Ok(None);
    };
    match read_name(incoming, &head) {
        Ok(nexus) => {
            incoming.stream.write_all(&encode_hello_answer(None))?;
            Ok(Some(nexus))
        }
        Err(Ended::Refused(refusal)) => {
            incoming.stream.write_all(&encode_hello_answer(Some(&refusal)))?;
            Err(refusal.into())
        }
        Err(other) => Err(other),
    }
}

fn read_name(incoming: &mut Incoming<'_>, head: &[u8; HELLO_HEAD]) -> Result<ItNexus, Ended> {
    let length = decode_hello(head).map_err(|fault| match fault {
        HelloFault::Violation(violation) => Ended::Violation(violation),
        HelloFault::Refusal(refusal) => Ended::Refused(refusal),
    })?;
    let mut name = vec![0; length];
    incoming.exact(&mut name)?;
    ItNexus::new(decode_name(&name)?).map_err(|_| Refusal::Name.into())
}

/// Whom a connection's requests are for, and from whom.
struct Target<'a> {
    machine: &'a Machine,
    unit: usize,
    nexus: &'a ItNexus,
}

/// Executes one request and writes its response; `false` if nobody is to be answered.
fn answer(
    incoming: &mut Incoming<'_>,
    target: &Target<'_>,
    request: RequestHead,
    buffers: &mut Buffers,
) -> Result<bool, Ended> {
    let Buffers { body, data_in, head } = buffers;
    grow(data_in, request.allocation_length);
    let room = data_in.get_mut(..request.allocation_length).unwrap_or_default();
    let body = body
        .get_mut(..request.cdb_length + request.data_out_length)
        .unwrap_or_default();
    let (cdb, data_out) = body.split_at_checked(request.cdb_length).unwrap_or_default();
    let command = Command {
        unit: target.unit,
        nexus: target.nexus,
        cdb,
        data_out,
    };
    let mut present = || incoming.client_waits();
    let outcome = target.machine.execute(&command, room, &mut Client::new(&mut present));
    if cdb.first() == Some(&SECURITY_PROTOCOL_OUT) {
        body.zeroize();
    }
    let (response, sense, length) = match outcome {
        Outcome::Gone => return Ok(false),
        Outcome::Transport(host_status) => (ResponseHead::Transport { host_status }, Vec::new(), 0),
        Outcome::Reply(reply) => (
            ResponseHead::Status {
                status: reply.status.0,
                sense_length: reply.sense.len(),
                data_in_length: reply.data_in,
            },
            reply.sense,
            reply.data_in,
        ),
    };
    let too_long = Violation::Response {
        sense: sense.len(),
        data_in: length,
    };
    let data = room.get(..length).ok_or(too_long)?;
    head.clear();
    head.extend_from_slice(&response.encode(request.sequence)?);
    head.extend_from_slice(&sense);
    write_response(incoming.stream, head, data)?;
    Ok(true)
}

fn write_response(mut stream: &UnixStream, head: &mut Vec<u8>, data: &[u8]) -> io::Result<()> {
    if data.len() <= COPIED_DATA_MAX {
        head.extend_from_slice(data);
        return stream.write_all(head);
    }
    stream.write_all(head)?;
    stream.write_all(data)
}

/// Buffers that one connection uses again and again; they only grow, up to the protocol's limits.
#[derive(Default)]
struct Buffers {
    /// CDB and data-out. Wiped when it goes, also if the connection breaks inside a key.
    body: Zeroizing<Vec<u8>>,
    data_in: Vec<u8>,
    head: Vec<u8>,
}

impl Buffers {
    fn body(&mut self, length: usize) -> &mut [u8] {
        grow(&mut self.body, length);
        self.body.get_mut(..length).unwrap_or_default()
    }
}

fn grow(buffer: &mut Vec<u8>, length: usize) {
    if buffer.len() < length {
        // A body may have held a key: the old bytes are wiped, not left to the allocator.
        buffer.zeroize();
        buffer.resize(length, 0);
    }
}

/// The reading half, with at most one byte read ahead to learn whether the client is still there.
struct Incoming<'a> {
    stream: &'a UnixStream,
    ahead: Option<u8>,
}

impl Incoming<'_> {
    /// The fixed part of the next frame; `None` if the client closed between two frames.
    fn head<const N: usize>(&mut self) -> io::Result<Option<[u8; N]>> {
        let mut head = [0; N];
        match self.fill(&mut head)? {
            0 => Ok(None),
            filled if filled == N => Ok(Some(head)),
            _ => Err(ErrorKind::UnexpectedEof.into()),
        }
    }

    fn exact(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        if self.fill(buffer)? == buffer.len() {
            Ok(())
        } else {
            Err(ErrorKind::UnexpectedEof.into())
        }
    }

    /// Reads until `buffer` is full or the stream ends, and says how far it came.
    fn fill(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.some(rest) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn some(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.ahead.take(), buffer.first_mut()) {
            (Some(byte), Some(place)) => {
                *place = byte;
                Ok(1)
            }
            _ => self.stream.read(buffer),
        }
    }

    /// Whether the client still holds its end open. Reads at most one byte of what it sent ahead, and keeps it.
    fn client_waits(&mut self) -> bool {
        if self.ahead.is_some() {
            return true;
        }
        let mut byte = [0];
        let looked = self
            .stream
            .set_nonblocking(true)
            .and_then(|()| self.stream.read(&mut byte));
        let blocking = self.stream.set_nonblocking(false);
        match looked {
            Ok(0) => false,
            Ok(_) => {
                let [first] = byte;
                self.ahead = Some(first);
                blocking.is_ok()
            }
            Err(error) => blocking.is_ok() && matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted),
        }
    }
}
