//! The simulator's SCSI socket, as `sg-sim/PROTOCOL.md` describes it. Written from that text alone: the simulator shares no line with this file.
//!
//! Whether a daemon may use it at all is decided by its configuration, never here.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::{Completion, Data, SENSE_LENGTH_MAX, Transport, TransportError};

/// A connection to a simulated drive. It reconnects after an error, so that a late answer is never taken for another command's.
pub struct SimSocket {
    name: String,
    path: std::path::PathBuf,
    it_nexus: String,
    connection: Option<UnixStream>,
    sequence_number: u32,
}

impl SimSocket {
    /// Connects to the drive at `path` as the I_T nexus `it_nexus` (1 to 64 bytes, 21h to 7Eh).
    ///
    /// # Errors
    /// [`TransportError`] if nobody listens, or the simulator refuses the hello.
    pub fn connect(path: &Path, it_nexus: &str, timeout: Duration) -> Result<Self, TransportError> {
        let mut socket = Self {
            name: format!("sim:{}", path.display()),
            path: path.to_owned(),
            it_nexus: it_nexus.to_owned(),
            connection: None,
            sequence_number: 0,
        };
        socket.connection = Some(
            socket
                .greet(timeout)
                .map_err(|error| socket.describe("connect", &error, timeout))?,
        );
        Ok(socket)
    }

    fn greet(&self, timeout: Duration) -> io::Result<UnixStream> {
        let mut stream = UnixStream::connect(&self.path)?;
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        stream.write_all(&encode_hello(&self.it_nexus)?)?;
        read_hello_answer(&mut stream)?;
        Ok(stream)
    }

    fn exchange(&mut self, cdb: &[u8], data: Data<'_>, timeout: Duration) -> io::Result<Answer> {
        // Taken out, so that any error below leaves no half-read connection behind.
        let mut stream = match self.connection.take() {
            Some(stream) => stream,
            None => self.greet(timeout)?,
        };
        stream.set_read_timeout(Some(timeout))?;
        stream.set_write_timeout(Some(timeout))?;
        self.sequence_number = self.sequence_number.wrapping_add(1);
        let (data_out, data_in) = match data {
            Data::None => ([].as_slice(), [].as_mut_slice()),
            Data::In(buffer) => ([].as_slice(), buffer),
            Data::Out(buffer) => (buffer, [].as_mut_slice()),
        };
        stream.write_all(&encode_request_head(
            self.sequence_number,
            cdb.len(),
            data_out.len(),
            data_in.len(),
        )?)?;
        stream.write_all(cdb)?;
        stream.write_all(data_out)?;
        let answer = read_response(&mut stream, self.sequence_number, data_in)?;
        self.connection = Some(stream);
        Ok(match answer {
            Answer::Completion(completion) if !data_out.is_empty() => Answer::Completion(Completion {
                transferred: data_out.len(),
                ..completion
            }),
            other => other,
        })
    }

    fn describe(&self, attempt: &'static str, error: &io::Error, timeout: Duration) -> TransportError {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => TransportError::Timeout {
                path: self.name.clone(),
                timeout_ms: timeout.as_millis(),
            },
            _ => TransportError::Path {
                path: self.name.clone(),
                attempt,
                reason: error.to_string(),
                hint: "is the simulator running (`sg-sim serve --socket PATH`)?",
            },
        }
    }
}

impl Transport for SimSocket {
    fn execute(&mut self, cdb: &[u8], data: Data<'_>, timeout: Duration) -> Result<Completion, TransportError> {
        match self.exchange(cdb, data, timeout) {
            Ok(Answer::Completion(completion)) if completion.status == 0x18 => {
                Err(TransportError::ReservationConflict {
                    path: self.name.clone(),
                })
            }
            Ok(Answer::Completion(completion)) => Ok(completion),
            Ok(Answer::Host(HOST_TIME_OUT)) => Err(TransportError::Timeout {
                path: self.name.clone(),
                timeout_ms: timeout.as_millis(),
            }),
            Ok(Answer::Host(host_status)) => Err(TransportError::Host {
                path: self.name.clone(),
                host_status: host_status.into(),
                driver_status: 0,
            }),
            Err(error) => Err(self.describe("exchange", &error, timeout)),
        }
    }

    fn name(&self) -> &str {
        &self.name
    }
}

/// A response, or the host status that stands for one.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    Completion(Completion),
    Host(u8),
}

/// Something the protocol does not allow; the connection is dropped.
fn violation(reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("protocol violation: {reason}"))
}

fn encode_hello(it_nexus: &str) -> io::Result<Vec<u8>> {
    if !(1..=IT_NEXUS_LENGTH_MAX).contains(&it_nexus.len()) || !it_nexus.bytes().all(|byte| byte.is_ascii_graphic()) {
        let reason = format!(
            "I_T nexus name {it_nexus:?}: 1 to {IT_NEXUS_LENGTH_MAX} printable ASCII bytes without spaces are allowed"
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let length = u16::try_from(it_nexus.len()).unwrap_or(u16::MAX).to_be_bytes();
    Ok([MAGIC.as_slice(), &[VERSION, 0], &length, it_nexus.as_bytes()].concat())
}

/// Reads the hello answer and returns only if it lets the connection go on.
fn read_hello_answer(stream: &mut impl Read) -> io::Result<()> {
    let mut head = [0; HELLO_ANSWER_LENGTH];
    stream.read_exact(&mut head)?;
    let answer = HelloAnswer::decode(head)?;
    let mut reason = vec![0; answer.reason_length];
    stream.read_exact(&mut reason)?;
    answer.accept(&reason)
}

/// Reads the response to the request with `sequence_number`; its data go to the front of `data_in`.
fn read_response(stream: &mut impl Read, sequence_number: u32, data_in: &mut [u8]) -> io::Result<Answer> {
    let mut head = [0; RESPONSE_LENGTH];
    stream.read_exact(&mut head)?;
    let response = Response::decode(head, sequence_number, data_in.len())?;
    let mut sense = vec![0; response.sense_length];
    stream.read_exact(&mut sense)?;
    let data_in = data_in
        .get_mut(..response.data_in_length)
        .ok_or_else(|| violation("data-in longer than allowed"))?;
    stream.read_exact(data_in)?;
    Ok(match response.kind {
        Kind::Status(status) => Answer::Completion(Completion {
            status,
            sense,
            transferred: response.data_in_length,
        }),
        Kind::Host(host_status) => Answer::Host(host_status),
    })
}

struct HelloAnswer {
    version: u8,
    outcome: u8,
    reason_length: usize,
}

impl HelloAnswer {
    fn decode(head: [u8; HELLO_ANSWER_LENGTH]) -> io::Result<Self> {
        let [m0, m1, m2, m3, version, outcome, reason_high, reason_low] = head;
        if [m0, m1, m2, m3] != MAGIC {
            return Err(violation("another magic than SGSM"));
        }
        let reason_length = usize::from(u16::from_be_bytes([reason_high, reason_low]));
        if reason_length > REASON_LENGTH_MAX {
            return Err(violation("a reason longer than 255 bytes"));
        }
        Ok(Self {
            version,
            outcome,
            reason_length,
        })
    }

    fn accept(&self, reason: &[u8]) -> io::Result<()> {
        let reason = std::str::from_utf8(reason).map_err(|_| violation("a reason that is not UTF-8"))?;
        match (self.outcome, self.version, reason) {
            (0, VERSION, "") => Ok(()),
            (0, ..) => Err(violation("accepted with another version or with a reason")),
            (outcome, version, reason) => Err(io::Error::new(
                io::ErrorKind::ConnectionRefused,
                format!("the simulator refused: outcome {outcome:02X}h, its version {version}, {reason:?}"),
            )),
        }
    }
}

fn encode_request_head(sequence_number: u32, cdb: usize, data_out: usize, data_in: usize) -> io::Result<Vec<u8>> {
    if !(1..=CDB_LENGTH_MAX).contains(&cdb) || data_out > DATA_LENGTH_MAX || data_in > DATA_LENGTH_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "command or data longer than the simulator's protocol carries",
        ));
    }
    let cdb = u16::try_from(cdb).unwrap_or(u16::MAX).to_be_bytes();
    let data_out = u32::try_from(data_out).unwrap_or(u32::MAX).to_be_bytes();
    let data_in = u32::try_from(data_in).unwrap_or(u32::MAX).to_be_bytes();
    Ok([
        sequence_number.to_be_bytes().as_slice(),
        &cdb,
        &[0, 0],
        &data_out,
        &data_in,
    ]
    .concat())
}

enum Kind {
    Status(u8),
    Host(u8),
}

struct Response {
    kind: Kind,
    sense_length: usize,
    data_in_length: usize,
}

impl Response {
    fn decode(head: [u8; RESPONSE_LENGTH], sequence_number: u32, allocation_length: usize) -> io::Result<Self> {
        let [
            q0,
            q1,
            q2,
            q3,
            kind,
            status,
            sense_high,
            sense_low,
            d0,
            d1,
            d2,
            d3,
            reserved @ ..,
        ] = head;
        if u32::from_be_bytes([q0, q1, q2, q3]) != sequence_number {
            return Err(violation("another command's sequence number"));
        }
        if reserved != [0; 4] {
            return Err(violation("a reserved field that is not zero"));
        }
        let sense_length = usize::from(u16::from_be_bytes([sense_high, sense_low]));
        let data_in_length = usize::try_from(u32::from_be_bytes([d0, d1, d2, d3])).unwrap_or(usize::MAX);
        if sense_length > SENSE_LENGTH_MAX || data_in_length > allocation_length {
            return Err(violation("more sense or data than allowed"));
        }
        let kind = match (kind, status) {
            (0, status) => Kind::Status(status),
            (1, 1..) if sense_length == 0 && data_in_length == 0 => Kind::Host(status),
            _ => return Err(violation("a kind of response that does not exist")),
        };
        Ok(Self {
            kind,
            sense_length,
            data_in_length,
        })
    }
}

const MAGIC: [u8; 4] = *b"SGSM";
const VERSION: u8 = 1;
const IT_NEXUS_LENGTH_MAX: usize = 64;
const REASON_LENGTH_MAX: usize = 255;
const CDB_LENGTH_MAX: usize = 260;
const DATA_LENGTH_MAX: usize = 0x0100_1000;
const HELLO_ANSWER_LENGTH: usize = 8;
const RESPONSE_LENGTH: usize = 16;
const HOST_TIME_OUT: u8 = 0x03;

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn vectors(frame: &str) -> Vec<Value> {
        let all: Value = serde_json::from_str(include_str!("../../tests/vectors/socket/socket.json")).unwrap();
        let chosen: Vec<_> = all["vectors"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|case| case["frame"] == frame)
            .cloned()
            .collect();
        assert!(chosen.len() > 5, "{frame}");
        chosen
    }

    fn bytes(value: &Value) -> Vec<u8> {
        hex::decode(value.as_str().unwrap()).unwrap()
    }

    fn number(value: &Value) -> usize {
        value.as_u64().unwrap().try_into().unwrap()
    }

    #[test]
    fn hellos_are_those_of_the_vectors_and_a_bad_name_is_never_sent() {
        for case in vectors("hello").iter().filter(|case| case["verdict"] == "ok") {
            assert_eq!(
                encode_hello(case["fields"]["nexus"].as_str().unwrap()).unwrap(),
                bytes(&case["hex"]),
                "{case}"
            );
        }
        for name in ["", "two words", "ü", &"n".repeat(65)] {
            assert!(encode_hello(name).is_err(), "{name:?}");
        }
    }

    #[test]
    fn only_an_accepted_hello_goes_on() {
        for case in vectors("hello_answer") {
            let accepted = read_hello_answer(&mut bytes(&case["hex"]).as_slice()).is_ok();
            assert_eq!(
                accepted,
                case["verdict"] == "ok" && case["fields"]["outcome"] == 0,
                "{case}"
            );
        }
    }

    #[test]
    fn requests_are_those_of_the_vectors() {
        for case in vectors("request").iter().filter(|case| case["verdict"] == "ok") {
            let fields = &case["fields"];
            let (cdb, data_out) = (bytes(&fields["cdb"]), bytes(&fields["data_out"]));
            let sequence = number(&fields["sequence"]).try_into().unwrap();
            let head = encode_request_head(
                sequence,
                cdb.len(),
                data_out.len(),
                number(&fields["allocation_length"]),
            )
            .unwrap();
            assert_eq!([head, cdb, data_out].concat(), bytes(&case["hex"]), "{case}");
        }
        assert!(encode_request_head(1, 0, 0, 0).is_err() && encode_request_head(1, 261, 0, 0).is_err());
        assert!(encode_request_head(1, 6, DATA_LENGTH_MAX + 1, 0).is_err());
    }

    #[test]
    fn responses_are_read_as_the_vectors_say() {
        for case in vectors("response") {
            let sequence = number(&case["expect"]["sequence"]).try_into().unwrap();
            let mut data_in = vec![0xA5; number(&case["expect"]["allocation_length"])];
            let read = read_response(&mut bytes(&case["hex"]).as_slice(), sequence, &mut data_in);
            if case["verdict"] != "ok" {
                assert!(read.is_err(), "{case}");
                continue;
            }
            let fields = &case["fields"];
            match read.unwrap() {
                Answer::Host(host_status) => {
                    assert_eq!(usize::from(host_status), number(&fields["host_status"]), "{case}")
                }
                Answer::Completion(completion) => {
                    assert_eq!(usize::from(completion.status), number(&fields["status"]), "{case}");
                    assert_eq!(completion.sense, bytes(&fields["sense"]), "{case}");
                    assert_eq!(data_in[..completion.transferred], bytes(&fields["data_in"]), "{case}");
                }
            }
        }
    }

    #[test]
    fn a_drive_that_hangs_gives_a_time_out_and_the_next_command_a_new_connection() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("drive");
        let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
        let server = std::thread::spawn(move || {
            let mut greeted = Vec::new();
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().unwrap();
                stream.read_exact(&mut [0; 9]).unwrap();
                stream.write_all(b"SGSM\x01\0\0\0").unwrap();
                greeted.push(stream);
            }
            let mut request = [0; 22];
            greeted[1].read_exact(&mut request).unwrap();
            greeted[1].write_all(&request[..4]).unwrap();
            greeted[1].write_all(&[0; 12]).unwrap();
        });
        let mut socket = SimSocket::connect(&path, "h", Duration::from_secs(5)).unwrap();
        let late = socket
            .execute(&[0; 6], Data::None, Duration::from_millis(20))
            .unwrap_err();
        assert!(matches!(late, TransportError::Timeout { timeout_ms: 20, .. }), "{late}");
        let answer = socket.execute(&[0; 6], Data::None, Duration::from_secs(5)).unwrap();
        assert_eq!(answer.status, 0);
        server.join().unwrap();
    }
}
