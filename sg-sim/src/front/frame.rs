//! The frames of the SCSI socket, as bytes: `PROTOCOL.md` part 1, version 1, server side.
//!
//! Pure code: it reads fixed-size headers, judges every length before anything behind the header is read, and writes
//! answers. It never touches a socket and never looks inside a CDB.

use thiserror::Error;

/// Protocol version that this server speaks.
pub const VERSION: u8 = 1;
/// Largest data-out, data-in allocation and data-in, in bytes.
pub const DATA_LENGTH_MAX: usize = 16 * 1024 * 1024 + 4096;
/// Longest CDB, in bytes.
pub const CDB_LENGTH_MAX: usize = 260;
/// Longest sense data, in bytes (SPC-5).
pub const SENSE_LENGTH_MAX: usize = 252;
/// Longest I_T nexus name, in bytes.
pub const NAME_LENGTH_MAX: usize = 64;
/// Longest reason in a hello answer, in bytes.
pub const REASON_LENGTH_MAX: usize = 255;
/// Size of the fixed part of a hello, and of its answer.
pub const HELLO_HEAD: usize = 8;
/// Size of the fixed part of a request, and of a response.
pub const HEAD: usize = 16;

const MAGIC: [u8; 4] = *b"SGSM";

/// A frame that the protocol does not allow. The connection is closed without a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Violation {
    /// The hello does not begin with "SGSM".
    #[error("read a hello: its magic is {0:02X?}")]
    Magic([u8; 4]),
    /// A reserved field is not zero.
    #[error("read a frame: a reserved field holds {0:04X}h")]
    Reserved(u16),
    /// CDB LENGTH is 0 or above 260.
    #[error("read a request: its CDB is said to have {0} bytes")]
    CdbLength(u16),
    /// DATA-OUT LENGTH or DATA-IN ALLOCATION LENGTH is above the limit.
    #[error("read a request: it wants to move {0} bytes")]
    DataLength(u32),
    /// Both lengths are non-zero.
    #[error("read a request: {data_out} bytes out and {allocation} in, in one command")]
    BothDirections {
        /// DATA-OUT LENGTH.
        data_out: usize,
        /// DATA-IN ALLOCATION LENGTH.
        allocation: usize,
    },
    /// The drive answered more than a response can carry. A bug in the drive, not in the client.
    #[error("write a response: {sense} bytes of sense and {data_in} of data do not fit it")]
    Response {
        /// Bytes of sense.
        sense: usize,
        /// Bytes of data-in.
        data_in: usize,
    },
}

/// Why a hello gets an answer that is not "accepted". The connection is closed after the answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The client speaks another version.
    #[error("this server speaks version 1, the hello asks for version {0}")]
    Version(u8),
    /// The name is empty, too long, or holds a byte outside 21h to 7Eh.
    #[error("an I_T nexus name has 1 to 64 bytes, each 21h to 7Eh")]
    Name,
    /// The server has as many connections as it takes.
    #[error("this server has {0} connections and takes no more")]
    Connections(usize),
}

/// What is wrong with a hello.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HelloFault {
    /// Close without an answer.
    #[error(transparent)]
    Violation(#[from] Violation),
    /// Answer, then close.
    #[error(transparent)]
    Refusal(#[from] Refusal),
}

/// Reads the fixed part of a hello and answers how long the name behind it is.
///
/// # Errors
/// As the text orders the checks: magic, version, reserved byte, name length.
pub fn decode_hello(head: &[u8; HELLO_HEAD]) -> Result<usize, HelloFault> {
    let [m0, m1, m2, m3, version, reserved, l0, l1] = *head;
    let magic = [m0, m1, m2, m3];
    if magic != MAGIC {
        return Err(Violation::Magic(magic).into());
    }
    if version != VERSION {
        return Err(Refusal::Version(version).into());
    }
    if reserved != 0 {
        return Err(Violation::Reserved(u16::from(reserved)).into());
    }
    match usize::from(u16::from_be_bytes([l0, l1])) {
        length @ 1..=NAME_LENGTH_MAX => Ok(length),
        _ => Err(Refusal::Name.into()),
    }
}

/// Reads the name behind a hello's head.
///
/// # Errors
/// `Refusal::Name` if a byte is outside 21h to 7Eh, or the length is.
pub fn decode_name(name: &[u8]) -> Result<&str, Refusal> {
    let allowed = (1..=NAME_LENGTH_MAX).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    if !allowed {
        return Err(Refusal::Name);
    }
    str::from_utf8(name).map_err(|_| Refusal::Name)
}

/// Writes a hello answer: accepted without `refusal`, else its outcome and its text as the reason.
#[must_use]
pub fn encode_hello_answer(refusal: Option<&Refusal>) -> Vec<u8> {
    let outcome = match refusal {
        None => 0,
        Some(Refusal::Version(_)) => 1,
        Some(Refusal::Name) => 2,
        Some(Refusal::Connections(_)) => 3,
    };
    let reason: Vec<u8> = refusal
        .map(ToString::to_string)
        .unwrap_or_default()
        .bytes()
        .take(REASON_LENGTH_MAX)
        .collect();
    let length = u16::try_from(reason.len()).unwrap_or_default();
    let mut answer = Vec::with_capacity(HELLO_HEAD + reason.len());
    answer.extend_from_slice(&MAGIC);
    answer.extend_from_slice(&[VERSION, outcome]);
    answer.extend_from_slice(&length.to_be_bytes());
    answer.extend_from_slice(&reason);
    answer
}

/// The fixed part of a request, every length within its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestHead {
    /// Number to repeat in the response.
    pub sequence: u32,
    /// Bytes of CDB, 1 to 260.
    pub cdb_length: usize,
    /// Bytes of data-out behind the CDB.
    pub data_out_length: usize,
    /// Bytes that the client can take.
    pub allocation_length: usize,
}

impl RequestHead {
    /// Reads the fixed part of a request.
    ///
    /// # Errors
    /// Any length outside its limit, a reserved field in use, data in both directions.
    pub fn decode(head: &[u8; HEAD]) -> Result<Self, Violation> {
        let [s0, s1, s2, s3, c0, c1, r0, r1, o0, o1, o2, o3, i0, i1, i2, i3] = *head;
        let cdb = u16::from_be_bytes([c0, c1]);
        let cdb_length = usize::from(cdb);
        if !(1..=CDB_LENGTH_MAX).contains(&cdb_length) {
            return Err(Violation::CdbLength(cdb));
        }
        let reserved = u16::from_be_bytes([r0, r1]);
        if reserved != 0 {
            return Err(Violation::Reserved(reserved));
        }
        let data_out_length = data_length(u32::from_be_bytes([o0, o1, o2, o3]))?;
        let allocation_length = data_length(u32::from_be_bytes([i0, i1, i2, i3]))?;
        if data_out_length != 0 && allocation_length != 0 {
            return Err(Violation::BothDirections {
                data_out: data_out_length,
                allocation: allocation_length,
            });
        }
        let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
        Ok(Self {
            sequence,
            cdb_length,
            data_out_length,
            allocation_length,
        })
    }
}

fn data_length(length: u32) -> Result<usize, Violation> {
    match usize::try_from(length) {
        Ok(within) if within <= DATA_LENGTH_MAX => Ok(within),
        _ => Err(Violation::DataLength(length)),
    }
}

/// What a response says before sense and data-in follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseHead {
    /// Kind 00h: the drive answered.
    Status {
        /// SCSI status byte.
        status: u8,
        /// Bytes of sense that follow.
        sense_length: usize,
        /// Bytes of data-in that follow the sense.
        data_in_length: usize,
    },
    /// Kind 01h: no SCSI status came back; the value of the Linux midlayer's host byte.
    Transport {
        /// Never 0.
        host_status: std::num::NonZeroU8,
    },
}

impl ResponseHead {
    /// Writes the fixed part of the response to request number `sequence`.
    ///
    /// # Errors
    /// `Violation::Response` if sense or data are longer than the protocol carries.
    pub fn encode(self, sequence: u32) -> Result<[u8; HEAD], Violation> {
        let (kind, code, sense, data_in) = match self {
            Self::Status {
                status,
                sense_length,
                data_in_length,
            } => (0, status, sense_length, data_in_length),
            Self::Transport { host_status } => (1, host_status.get(), 0, 0),
        };
        let too_long = Violation::Response { sense, data_in };
        if sense > SENSE_LENGTH_MAX || data_in > DATA_LENGTH_MAX {
            return Err(too_long);
        }
        let [s0, s1, s2, s3] = sequence.to_be_bytes();
        let [n0, n1] = u16::try_from(sense).map_err(|_| too_long)?.to_be_bytes();
        let [d0, d1, d2, d3] = u32::try_from(data_in).map_err(|_| too_long)?.to_be_bytes();
        Ok([s0, s1, s2, s3, kind, code, n0, n1, d0, d1, d2, d3, 0, 0, 0, 0])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_every_byte_of_a_response_head() {
        let head = ResponseHead::Status {
            status: 2,
            sense_length: 18,
            data_in_length: 3,
        }
        .encode(0x0102_0304)
        .unwrap();
        assert_eq!(head, [1, 2, 3, 4, 0, 2, 0, 18, 0, 0, 0, 3, 0, 0, 0, 0]);
    }

    #[test]
    fn writes_a_transport_outcome_without_lengths() {
        let host_status = std::num::NonZeroU8::new(8).unwrap();
        let head = ResponseHead::Transport { host_status }.encode(7).unwrap();
        assert_eq!(head, [0, 0, 0, 7, 1, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn refuses_to_write_more_than_the_protocol_carries() {
        let sense = ResponseHead::Status {
            status: 2,
            sense_length: 253,
            data_in_length: 0,
        };
        let data = ResponseHead::Status {
            status: 0,
            sense_length: 0,
            data_in_length: DATA_LENGTH_MAX + 1,
        };
        assert!(sense.encode(0).is_err());
        assert!(data.encode(0).is_err());
    }

    #[test]
    fn every_refusal_carries_its_outcome_and_a_reason_that_fits() {
        for (outcome, refusal) in [
            (1, Refusal::Version(9)),
            (2, Refusal::Name),
            (3, Refusal::Connections(256)),
        ] {
            let answer = encode_hello_answer(Some(&refusal));
            assert_eq!(answer[..6], [b'S', b'G', b'S', b'M', 1, outcome]);
            assert_eq!(usize::from(answer[7]), answer.len() - HELLO_HEAD);
        }
        assert_eq!(encode_hello_answer(None), [b'S', b'G', b'S', b'M', 1, 0, 0, 0]);
    }
}
