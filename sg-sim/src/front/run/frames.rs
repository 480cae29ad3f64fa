//! What goes between the preloaded shim and `sg-sim run`: one request and one answer for each connection.
//!
//! Both sides are built together, so this is no public protocol and has no negotiation. Integers are big-endian, reserved bytes are zero.
//!
//! | request bytes | field |
//! |---|---|
//! | 0 | layout: 1 |
//! | 1 | operation |
//! | 2 | driver: `g` (sg), `n` (st, stays at close), `t` (st, rewinds at close) |
//! | 3 | reserved |
//! | 4-5 | unit |
//! | 6-7 | CDB length, at most 260 |
//! | 8-11 | flags of open(2) |
//! | 12-19 | handle: tells one opening from every other |
//! | 20-23, 24-27 | two signed numbers: operation and count of MTIOCTOP; or time limit of SG_IO in milliseconds (unsigned), 0 if it has none |
//! | 28-31 | data-out length |
//! | 32-35 | data-in allocation length |
//! | 36.. | CDB, data-out |
//!
//! | answer bytes | field |
//! |---|---|
//! | 0-3 | errno, 0 if the call did not fail |
//! | 4-7 | bytes written, device type, position or host status, as the operation has it |
//! | 8 | SCSI status |
//! | 9 | reserved |
//! | 10-11 | sense length |
//! | 12-15 | data-in length |
//! | 16-19 | reserved |
//! | 20.. | sense, data-in |

use std::io::{self, Read, Write};

use nix::errno::Errno;

/// The driver that a node belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Driver {
    /// `sg`.
    Generic,
    /// `st`, rewinds at close.
    Tape,
    /// `st`, stays where it is.
    TapeNoRewind,
}

/// What a program did to a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    Open,
    /// The program has closed a descriptor and wants to know how that went, if it was the last one.
    Released,
    Read,
    Write,
    /// MTIOCTOP
    Move,
    /// MTIOCGET
    Status,
    /// MTIOCPOS
    Position,
    /// SG_IO
    Scsi,
    Exists,
    /// SG_SCSI_RESET
    Reset,
}

/// One request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Request {
    pub(super) operation: Operation,
    pub(super) driver: Driver,
    pub(super) unit: usize,
    pub(super) flags: i32,
    pub(super) handle: u64,
    pub(super) numbers: [i32; 2],
    pub(super) cdb: Vec<u8>,
    pub(super) data_out: Vec<u8>,
    pub(super) allocation: usize,
}

/// One answer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Answer {
    pub(super) errno: i32,
    pub(super) value: u32,
    pub(super) scsi_status: u8,
    pub(super) sense: Vec<u8>,
    pub(super) data_in: Vec<u8>,
}

impl Answer {
    /// A call that failed.
    pub(super) fn failed(errno: Errno) -> Self {
        Self {
            errno: errno as i32,
            ..Self::default()
        }
    }

    /// A call that gives a number.
    pub(super) fn value(value: u32) -> Self {
        Self {
            value,
            ..Self::default()
        }
    }

    /// A call that gives data.
    pub(super) fn data(data_in: Vec<u8>) -> Self {
        Self {
            data_in,
            ..Self::default()
        }
    }

    /// Sends the answer.
    ///
    /// # Errors
    /// The program has gone.
    pub(super) fn send(&self, to: &mut impl Write) -> io::Result<()> {
        let length = |length: usize| u32::try_from(length).map_err(|_| malformed());
        let sense_length = u16::try_from(self.sense.len()).map_err(|_| malformed())?;
        let mut header = Vec::with_capacity(ANSWER_BYTES + self.sense.len());
        header.extend(self.errno.to_be_bytes());
        header.extend(self.value.to_be_bytes());
        header.extend([self.scsi_status, 0]);
        header.extend(sense_length.to_be_bytes());
        header.extend(length(self.data_in.len())?.to_be_bytes());
        header.extend([0; 4]);
        header.extend(&self.sense);
        to.write_all(&header)?;
        to.write_all(&self.data_in)
    }
}

impl Request {
    /// Receives one request. `None` if the program has gone without asking anything.
    ///
    /// # Errors
    /// The request is cut short, or is none that the shim sends.
    pub(super) fn receive(from: &mut impl Read) -> io::Result<Option<Self>> {
        let mut header = [0; REQUEST_BYTES];
        if from.read(&mut header[..1])? == 0 {
            return Ok(None);
        }
        from.read_exact(&mut header[1..])?;
        let [layout, operation, driver, reserved, rest @ ..] = header;
        let mut fields = Fields(&rest);
        let (unit, cdb_length) = (fields.u16(), fields.u16());
        let flags = fields.u32().cast_signed();
        let handle = (u64::from(fields.u32()) << 32) | u64::from(fields.u32());
        let numbers = [fields.u32().cast_signed(), fields.u32().cast_signed()];
        let (data_out, allocation) = (size(fields.u32())?, size(fields.u32())?);
        if (layout, reserved) != (1, 0) || usize::from(cdb_length) > CDB_BYTES_MAX {
            return Err(malformed());
        }
        Ok(Some(Self {
            operation: Operation::from_code(operation).ok_or_else(malformed)?,
            driver: Driver::from_letter(driver).ok_or_else(malformed)?,
            unit: unit.into(),
            flags,
            handle,
            numbers,
            cdb: bytes(from, cdb_length.into())?,
            data_out: bytes(from, data_out)?,
            allocation,
        }))
    }
}

impl Operation {
    const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            1 => Self::Open,
            2 => Self::Released,
            3 => Self::Read,
            4 => Self::Write,
            5 => Self::Move,
            6 => Self::Status,
            7 => Self::Position,
            8 => Self::Scsi,
            9 => Self::Exists,
            10 => Self::Reset,
            _ => return None,
        })
    }
}

impl Driver {
    const fn from_letter(letter: u8) -> Option<Self> {
        Some(match letter {
            b'g' => Self::Generic,
            b'n' => Self::TapeNoRewind,
            b't' => Self::Tape,
            _ => return None,
        })
    }
}

/// Takes integers off the front of a header. Past its end there are zeros.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        match self.0.split_first_chunk() {
            Some((value, rest)) => {
                self.0 = rest;
                *value
            }
            None => [0; N],
        }
    }

    fn u16(&mut self) -> u16 {
        u16::from_be_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }
}

/// A length that memory may be set aside for.
fn size(length: u32) -> io::Result<usize> {
    usize::try_from(length)
        .ok()
        .filter(|length| *length <= TRANSFER_BYTES_MAX)
        .ok_or_else(malformed)
}

fn bytes(from: &mut impl Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn malformed() -> io::Error {
    io::Error::from(io::ErrorKind::InvalidData)
}

const REQUEST_BYTES: usize = 36;
const ANSWER_BYTES: usize = 20;
const CDB_BYTES_MAX: usize = 260;
/// A program may ask to read more than a block has; more than this it cannot mean.
const TRANSFER_BYTES_MAX: usize = 64 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn write_of_two_bytes() -> Vec<u8> {
        let mut bytes = vec![1, 4, b'n', 0, 0, 3, 0, 1, 0, 0, 0, 2, 1, 2, 3, 4, 5, 6, 7, 8];
        bytes.extend([0xFF, 0xFF, 0xFF, 0xFE, 0, 0, 0, 9, 0, 0, 0, 2, 0, 0, 1, 0]);
        bytes.extend([0x12, 0xAA, 0xBB]);
        bytes
    }

    #[test]
    fn a_request_is_read_field_by_field() {
        let request = Request::receive(&mut write_of_two_bytes().as_slice()).unwrap().unwrap();
        assert_eq!(
            request,
            Request {
                operation: Operation::Write,
                driver: Driver::TapeNoRewind,
                unit: 3,
                flags: 2,
                handle: 0x0102_0304_0506_0708,
                numbers: [-2, 9],
                cdb: vec![0x12],
                data_out: vec![0xAA, 0xBB],
                allocation: 256,
            }
        );
    }

    #[test]
    fn a_request_that_is_cut_short_is_refused() {
        let whole = write_of_two_bytes();
        for length in 1..whole.len() {
            assert!(Request::receive(&mut &whole[..length]).is_err(), "{length}");
        }
        assert_eq!(Request::receive(&mut [].as_slice()).unwrap(), None);
    }

    #[test]
    fn lengths_that_nothing_has_are_refused_before_memory_is_set_aside() {
        for at in [6, 28, 32] {
            let mut bytes = write_of_two_bytes();
            bytes[at] = 0xFF;
            assert!(Request::receive(&mut bytes.as_slice()).is_err(), "{at}");
        }
    }

    #[test]
    fn an_answer_is_written_field_by_field() {
        let answer = Answer {
            errno: 5,
            value: 0x0102_0304,
            scsi_status: 2,
            sense: vec![0x70],
            data_in: vec![0xCC, 0xDD],
        };
        let mut bytes = Vec::new();
        answer.send(&mut bytes).unwrap();
        assert_eq!(
            bytes,
            [
                0, 0, 0, 5, 1, 2, 3, 4, 2, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0x70, 0xCC, 0xDD
            ]
        );
    }
}
