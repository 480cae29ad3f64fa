//! A client of the sockets for these tests, written from `PROTOCOL.md` and not from `src/front`, and the server as a process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]
#![expect(dead_code, unreachable_pub, reason = "each test file uses another part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// No wait in these tests is longer.
pub const LIMIT: Duration = Duration::from_secs(20);

/// What came back for one command.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    pub kind: u8,
    pub code: u8,
    pub sense: Vec<u8>,
    pub data_in: Vec<u8>,
}

impl Response {
    /// Sense key, ASC, ASCQ of fixed-format sense.
    pub fn sense_code(&self) -> Option<(u8, u8, u8)> {
        (self.sense.len() >= 14).then(|| (self.sense[2] & 0x0F, self.sense[12], self.sense[13]))
    }

    pub fn is_good(&self) -> bool {
        self.kind == 0 && self.code == 0
    }
}

/// One connection of the SCSI socket.
pub struct Client {
    pub stream: UnixStream,
    sequence: u32,
}

impl Client {
    pub fn connect(path: &Path, nexus: &str) -> Self {
        let mut stream = raw(path);
        let mut hello = b"SGSM\x01\x00".to_vec();
        hello.extend(u16::try_from(nexus.len()).unwrap().to_be_bytes());
        hello.extend(nexus.as_bytes());
        stream.write_all(&hello).unwrap();
        let mut answer = [0; 8];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"SGSM\x01\x00\x00\x00");
        Self { stream, sequence: 0 }
    }

    pub fn send(&mut self, cdb: &[u8], data_out: &[u8], allocation: u32) -> std::io::Result<u32> {
        self.sequence += 1;
        let mut frame = self.sequence.to_be_bytes().to_vec();
        frame.extend(u16::try_from(cdb.len()).unwrap().to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(u32::try_from(data_out.len()).unwrap().to_be_bytes());
        frame.extend(allocation.to_be_bytes());
        frame.extend(cdb);
        frame.extend(data_out);
        self.stream.write_all(&frame)?;
        Ok(self.sequence)
    }

    pub fn receive(&mut self, sequence: u32) -> std::io::Result<Response> {
        let mut head = [0; 16];
        self.stream.read_exact(&mut head)?;
        assert_eq!(head[..4], sequence.to_be_bytes());
        assert_eq!(head[12..], [0; 4]);
        let mut sense = vec![0; usize::from(u16::from_be_bytes([head[6], head[7]]))];
        let mut data_in = vec![0; usize::try_from(u32::from_be_bytes([head[8], head[9], head[10], head[11]])).unwrap()];
        self.stream.read_exact(&mut sense)?;
        self.stream.read_exact(&mut data_in)?;
        Ok(Response {
            kind: head[4],
            code: head[5],
            sense,
            data_in,
        })
    }

    pub fn try_execute(&mut self, cdb: &[u8], data_out: &[u8], allocation: u32) -> std::io::Result<Response> {
        let sequence = self.send(cdb, data_out, allocation)?;
        self.receive(sequence)
    }

    pub fn execute(&mut self, cdb: &[u8], data_out: &[u8], allocation: u32) -> Response {
        self.try_execute(cdb, data_out, allocation).unwrap()
    }

    pub fn test_unit_ready(&mut self) -> Response {
        self.execute(&[0; 6], &[], 0)
    }

    /// Asks until no unit attention is left.
    pub fn until_ready(&mut self) {
        for _ in 0..8 {
            if self.test_unit_ready().is_good() {
                return;
            }
        }
        panic!("not ready: {:02X?}", self.test_unit_ready());
    }

    /// WRITE(6), one block in variable mode.
    pub fn write(&mut self, block: &[u8]) -> std::io::Result<Response> {
        let [_, l0, l1, l2] = u32::try_from(block.len()).unwrap().to_be_bytes();
        self.try_execute(&[0x0A, 0, l0, l1, l2, 0], block, 0)
    }

    /// READ(6), one block in variable mode, at most `room` bytes.
    pub fn read(&mut self, room: u32) -> Response {
        let [_, l0, l1, l2] = room.to_be_bytes();
        self.execute(&[0x08, 0, l0, l1, l2, 0], &[], room)
    }

    pub fn rewind(&mut self) -> Response {
        self.execute(&[0x01, 0, 0, 0, 0, 0], &[], 0)
    }

    pub fn spin(&mut self, protocol: u8, page: u16, room: u32) -> Response {
        let [p0, p1] = page.to_be_bytes();
        let [a0, a1, a2, a3] = room.to_be_bytes();
        self.execute(&[0xA2, protocol, p0, p1, 0, 0, a0, a1, a2, a3, 0, 0], &[], room)
    }

    pub fn spout(&mut self, list: &[u8]) -> Response {
        let [a0, a1, a2, a3] = u32::try_from(list.len()).unwrap().to_be_bytes();
        self.execute(&[0xB5, 0x20, 0x00, 0x10, 0, 0, a0, a1, a2, a3, 0, 0], list, 0)
    }

    /// Set Data Encryption page: ALL I_T NEXUS, ENCRYPT, DECRYPT, this key, no KAD.
    pub fn set_key(&mut self, algorithm_index: u8, key: [u8; 32]) -> Response {
        let mut list = vec![
            0x00,
            0x10,
            0x00,
            0x30,
            0x40,
            0x00,
            0x02,
            0x02,
            algorithm_index,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            32,
        ];
        list.extend(key);
        self.spout(&list)
    }
}

/// A connection without a hello, with the limit on every read and write.
pub fn raw(path: &Path) -> UnixStream {
    let stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.set_write_timeout(Some(LIMIT)).unwrap();
    stream
}

/// Whether the server has closed this connection, all answers read away; panics after the limit.
pub fn is_closed(stream: &mut UnixStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// One connection of the control socket.
pub struct Control(BufReader<UnixStream>);

impl Control {
    pub fn connect(path: &Path) -> Self {
        Self(BufReader::new(raw(path)))
    }

    pub fn ask(&mut self, line: &str) -> serde_json::Value {
        self.0.get_mut().write_all(format!("{line}\n").as_bytes()).unwrap();
        let mut answer = String::new();
        self.0.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap()
    }

    pub fn is_closed(&mut self) -> bool {
        is_closed(self.0.get_mut())
    }

    pub fn order(&mut self, line: &str) {
        let answer = self.ask(line);
        assert_eq!(answer["ok"], true, "{line} -> {answer}");
    }

    /// Asks for the status until a member has this value; panics after the limit.
    pub fn until(&mut self, member: &str, value: u64) {
        let began = Instant::now();
        while self.status()[member] != value {
            assert!(began.elapsed() < LIMIT, "{member} did not become {value}");
        }
    }

    pub fn status(&mut self) -> serde_json::Value {
        self.ask(r#"{"verb":"status"}"#)["status"].take()
    }
}

/// `sg-sim serve` as a process; killed when the value goes.
pub struct Server {
    pub child: Child,
    pub socket: PathBuf,
    pub control: PathBuf,
    pub first_line: String,
}

impl Server {
    /// Starts the server on sockets in `folder` and waits for its one line.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let (socket, control) = (folder.join("scsi"), folder.join("control"));
        let mut child = program()
            .args(["serve", "--seed", "7", "--socket"])
            .arg(&socket)
            .arg("--control")
            .arg(&control)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first_line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut first_line)
            .unwrap();
        Self {
            child,
            socket,
            control,
            first_line,
        }
    }

    /// Starts it with a new cartridge in `folder`.
    pub fn with_cartridge(folder: &Path) -> Self {
        let file = folder.join("A00001L8.cart");
        Self::start(
            folder,
            &[
                "--cartridge",
                file.to_str().unwrap(),
                "--create",
                "--medium-serial",
                "A00001X1",
                "--barcode",
                "A00001L8",
            ],
        )
    }

    /// Sends a signal and waits for the end, no longer than the limit; the exit code.
    pub fn end(&mut self, signal: Signal) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < LIMIT, "the server did not end");
            thread::yield_now();
        }
    }

    pub fn client(&self, nexus: &str) -> Client {
        Client::connect(&self.socket, nexus)
    }

    pub fn control(&self) -> Control {
        Control::connect(&self.control)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The test may have ended it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sg-sim"))
}

/// Runs the program to its end; one that does not end within the limit is killed and the test fails.
pub fn run(arguments: &[&str]) -> Output {
    let child = program()
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let pid = child.id();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap(),
        Err(_) => {
            kill(Pid::from_raw(pid.try_into().unwrap()), Signal::SIGKILL).unwrap();
            panic!("sg-sim {arguments:?} did not end")
        }
    }
}
