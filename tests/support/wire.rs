//! A wire between the programs of a host and a simulated drive that knows commands, so that a test can stop everything at a chosen one.
//!
//! It reads frames as `sg-sim/PROTOCOL.md` describes them, counts requests, and changes nothing that passes.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::gate::{Gate, Verdict};

const SECURITY_PROTOCOL_OUT: u8 = 0xB5;
const WRITE_6: u8 = 0x0A;
const WRITE_FILEMARKS_6: u8 = 0x10;

/// Which command, counted from the order to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// The one with this number, from 0.
    Command(usize),
    /// The first SECURITY PROTOCOL OUT.
    SecurityProtocolOut,
    /// The first one after a SECURITY PROTOCOL OUT.
    AfterSecurityProtocolOut,
    /// The WRITE with this number, from 0.
    Block(usize),
    /// The first WRITE FILEMARKS.
    Filemark,
}

/// How far the command has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The drive has seen nothing of it.
    Before,
    /// The drive has half of its bytes.
    Half,
    /// The drive has all of it, and may be at any point of carrying it out.
    Sent,
    /// The drive has answered, and the answer is still on the wire.
    Answered,
}

/// The wire.
pub struct Wire {
    socket: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    upstream: PathBuf,
    gate: Gate,
    watch: Mutex<Watch>,
}

#[derive(Default)]
struct Watch {
    stop: Option<(Point, When)>,
    operation_codes: Vec<u8>,
}

impl Watch {
    /// Notes a command; how far it may go, if it is the one to be stopped.
    fn note(&mut self, operation_code: u8) -> Option<When> {
        let number = self.operation_codes.len();
        let earlier = |wanted: u8| self.operation_codes.iter().filter(|code| **code == wanted).count();
        let (point, when) = self.stop?;
        let here = match point {
            Point::Command(wanted) => number == wanted,
            Point::SecurityProtocolOut => operation_code == SECURITY_PROTOCOL_OUT,
            Point::AfterSecurityProtocolOut => self.operation_codes.last() == Some(&SECURITY_PROTOCOL_OUT),
            Point::Block(wanted) => operation_code == WRITE_6 && earlier(WRITE_6) == wanted,
            Point::Filemark => operation_code == WRITE_FILEMARKS_6,
        };
        here.then_some(when)
    }
}

impl Wire {
    /// Listens on `socket` for what is meant for the drive at `upstream`.
    pub fn lay(upstream: &Path, socket: PathBuf) -> Self {
        let listener = UnixListener::bind(&socket).unwrap();
        let shared = Arc::new(Shared {
            upstream: upstream.to_owned(),
            gate: Gate::default(),
            watch: Mutex::default(),
        });
        let accepting = shared.clone();
        // It ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let shared = accepting.clone();
                // Either end may go at any time; dropping both ends the other one too.
                std::thread::spawn(move || shared.carry(client));
            }
        });
        Self { socket, shared }
    }

    /// Where the programs connect to.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Where commands are stopped.
    pub fn gate(&self) -> &Gate {
        &self.shared.gate
    }

    /// Counts from here on, and stops once, at `point`.
    pub fn stop_at(&self, point: Point, when: When) {
        *self.shared.watch.lock().unwrap() = Watch {
            stop: Some((point, when)),
            ..Watch::default()
        };
    }

    /// Counts from here on, and stops nothing.
    pub fn only_count(&self) {
        *self.shared.watch.lock().unwrap() = Watch::default();
    }

    /// Operation codes of the commands since the count began.
    pub fn operation_codes(&self) -> Vec<u8> {
        self.shared.watch.lock().unwrap().operation_codes.clone()
    }
}

impl Shared {
    fn carry(&self, mut client: UnixStream) -> io::Result<()> {
        let mut drive = UnixStream::connect(&self.upstream)?;
        let (head, name) = frame(&mut client, 8, |head| length(&head[6..8]))?;
        drive.write_all(&[head, name].concat())?;
        let (head, reason) = frame(&mut drive, 8, |head| length(&head[6..8]))?;
        client.write_all(&[head, reason].concat())?;
        loop {
            let request = frame(&mut client, 16, |head| length(&head[4..6]) + length(&head[8..12]))?;
            let when = self.note(request.1[0]);
            self.pass(when == Some(When::Before))?;
            let request = [request.0, request.1].concat();
            let (first, second) = request.split_at(request.len() / 2);
            drive.write_all(first)?;
            self.pass(when == Some(When::Half))?;
            drive.write_all(second)?;
            self.pass(when == Some(When::Sent))?;
            let response = frame(&mut drive, 16, |head| length(&head[6..8]) + length(&head[8..12]))?;
            self.pass(when == Some(When::Answered))?;
            client.write_all(&[response.0, response.1].concat())?;
        }
    }

    fn note(&self, operation_code: u8) -> Option<When> {
        let mut watch = self.watch.lock().unwrap();
        let when = watch.note(operation_code);
        watch.operation_codes.push(operation_code);
        if when.is_some() {
            watch.stop = None;
        }
        when
    }

    fn pass(&self, stop: bool) -> io::Result<()> {
        if stop && self.gate.hold() == Verdict::Cut {
            return Err(io::ErrorKind::ConnectionAborted.into());
        }
        Ok(())
    }
}

/// A fixed head, and behind it as many bytes as `rest` reads from it.
fn frame(stream: &mut UnixStream, head: usize, rest: fn(&[u8]) -> usize) -> io::Result<(Vec<u8>, Vec<u8>)> {
    let mut head = vec![0; head];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; rest(&head)];
    stream.read_exact(&mut body)?;
    Ok((head, body))
}

fn length(bytes: &[u8]) -> usize {
    bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
}
