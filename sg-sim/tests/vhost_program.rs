//! `sg-sim serve-vhost` as a process, with this test in QEMU's place: it shares memory, sets queues up and rings for the device.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test stops where it stands"
)]

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vhost::vhost_user::message::VhostUserProtocolFeatures;
use vhost::vhost_user::{Frontend, VhostUserFrontend};
use vhost::{VhostBackend, VhostUserMemoryRegionInfo, VringConfigData};
use vmm_sys_util::eventfd::EventFd;

/// No wait in these tests is longer.
const LIMIT: Duration = Duration::from_secs(20);
/// Where QEMU would have the guest's memory: addresses of rings are sent in these terms.
const MEMORY_AT: u64 = 0x7000_0000_0000;
const MEMORY_BYTES: u64 = 1 << 20;
const TABLE: u64 = 0;
const AVAILABLE: u64 = 0x4000;
const USED: u64 = 0x8000;
const REQUEST: u64 = 0x1_0000;
const ANSWER: u64 = 0x2_0000;
const QUEUES: usize = 3;
const REQUESTS: usize = 2;
/// What QEMU 7.2 acknowledges: VERSION_1, PROTOCOL_FEATURES, INDIRECT_DESC, CHANGE, HOTPLUG.
const FEATURES: u64 = 0x1_5000_0006;

/// The program, killed when the value goes.
struct Server {
    child: Child,
    socket: PathBuf,
}

impl Server {
    fn start(folder: &Path, arguments: &[&str]) -> Self {
        let socket = folder.join("vhost");
        let mut child = program()
            .args(["serve-vhost", "--seed", "7", "--socket"])
            .arg(&socket)
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        assert_eq!(line, format!("sg-sim: waiting for a guest on {}\n", socket.display()));
        Self { child, socket }
    }

    fn with_cartridge(folder: &Path) -> Self {
        let file = folder.join("A00001L8.cart");
        Self::start(folder, &["--cartridge", file.to_str().unwrap(), "--create"])
    }

    fn end(&mut self) -> Option<i32> {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            assert!(began.elapsed() < LIMIT, "the server did not end");
            thread::yield_now();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The test may have ended it already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sg-sim"))
}

fn run(arguments: &[&str]) -> Output {
    program().args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// A machine whose guest has one request under way at a time.
struct Machine {
    frontend: Frontend,
    memory: File,
    kick: EventFd,
    call: EventFd,
    requests: u16,
}

impl Machine {
    fn connect(socket: &Path) -> Self {
        let memory = File::from(memfd_create("guest", MFdFlags::MFD_CLOEXEC).unwrap());
        memory.set_len(MEMORY_BYTES).unwrap();
        let mut frontend = Frontend::connect(socket, 3).unwrap();
        frontend.set_owner().unwrap();
        let offered = frontend.get_features().unwrap();
        assert_eq!(offered & FEATURES, FEATURES);
        frontend.set_features(FEATURES).unwrap();
        let offered = frontend.get_protocol_features().unwrap();
        frontend
            .set_protocol_features(offered & VhostUserProtocolFeatures::MQ)
            .unwrap();
        assert!(frontend.get_queue_num().unwrap() >= 3);
        frontend
            .set_mem_table(&[VhostUserMemoryRegionInfo {
                guest_phys_addr: 0,
                memory_size: MEMORY_BYTES,
                userspace_addr: MEMORY_AT,
                mmap_offset: 0,
                mmap_handle: memory.as_raw_fd(),
            }])
            .unwrap();
        let (kick, call) = (EventFd::new(0).unwrap(), EventFd::new(0).unwrap());
        for queue in 0..QUEUES {
            set_up(&mut frontend, queue, &kick, &call);
        }
        Self {
            frontend,
            memory,
            kick,
            call,
            requests: 0,
        }
    }

    /// A command for target 0. Returns status, sense code, data-in.
    fn execute(&mut self, cdb: &[u8], data_out: &[u8], room: u32) -> (u8, [u8; 3], Vec<u8>) {
        let mut header = vec![1, 0, 0x40, 0, 0, 0, 0, 0];
        header.extend([0; 11]);
        header.extend(cdb);
        header.resize(51, 0);
        header.extend(data_out);
        self.memory.write_all_at(&header, REQUEST).unwrap();
        self.descriptor(0, REQUEST, u32::try_from(header.len()).unwrap(), 1);
        self.descriptor(1, ANSWER, 108 + room, 2);
        let slot = u64::from(self.requests % 64);
        self.memory
            .write_all_at(&0_u16.to_le_bytes(), AVAILABLE + 4 + 2 * slot)
            .unwrap();
        self.requests += 1;
        self.memory
            .write_all_at(&self.requests.to_le_bytes(), AVAILABLE + 2)
            .unwrap();
        self.kick.write(1).unwrap();
        self.wait();
        let mut answer = vec![0; 108 + usize::try_from(room).unwrap()];
        self.memory.read_exact_at(&mut answer, ANSWER).unwrap();
        let (response, data) = answer.split_at(108);
        let sense = [response[14] & 0x0F, response[24], response[25]];
        assert_eq!(response[11], 0, "response");
        (response[10], sense, data.to_vec())
    }

    fn descriptor(&self, number: u64, at: u64, length: u32, flags: u16) {
        let mut bytes = at.to_le_bytes().to_vec();
        bytes.extend(length.to_le_bytes());
        bytes.extend(flags.to_le_bytes());
        bytes.extend(1_u16.to_le_bytes());
        self.memory.write_all_at(&bytes, TABLE + 16 * number).unwrap();
    }

    fn wait(&self) {
        let call = self.call.try_clone().unwrap();
        let (sender, receiver) = channel();
        thread::spawn(move || sender.send(call.read().unwrap()));
        receiver.recv_timeout(LIMIT).unwrap();
        let mut index = [0; 2];
        self.memory.read_exact_at(&mut index, USED + 2).unwrap();
        assert_eq!(u16::from_le_bytes(index), self.requests);
    }

    /// Stops the queues, as QEMU does when its guest restarts.
    fn stop(&self) -> u32 {
        self.frontend.get_vring_base(REQUESTS).unwrap()
    }
}

fn set_up(frontend: &mut Frontend, queue: usize, kick: &EventFd, call: &EventFd) {
    // The queues that are not used have their rings where nothing is ever put.
    let rings = if queue == REQUESTS {
        0
    } else {
        0x4_0000 * u64::try_from(queue + 1).unwrap()
    };
    let spare = EventFd::new(0).unwrap();
    let (kick, call) = if queue == REQUESTS {
        (kick, call)
    } else {
        (&spare, &spare)
    };
    frontend.set_vring_num(queue, 64).unwrap();
    let at = MEMORY_AT + rings;
    frontend
        .set_vring_addr(
            queue,
            &VringConfigData {
                queue_max_size: 64,
                queue_size: 64,
                flags: 0,
                desc_table_addr: at + TABLE,
                used_ring_addr: at + USED,
                avail_ring_addr: at + AVAILABLE,
                log_addr: None,
            },
        )
        .unwrap();
    frontend.set_vring_base(queue, 0).unwrap();
    frontend.set_vring_call(queue, call).unwrap();
    frontend.set_vring_kick(queue, kick).unwrap();
    frontend.set_vring_enable(queue, true).unwrap();
}

const TEST_UNIT_READY: [u8; 6] = [0; 6];

#[test]
fn a_guest_is_served_and_the_next_one_finds_what_it_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_cartridge(folder.path());
    let mut first = Machine::connect(&server.socket);
    let (status, _, inquiry) = first.execute(&[0x12, 0, 0, 0, 36, 0], &[], 36);
    assert_eq!((status, inquiry.get(8..16)), (0, Some(&b"IBM     "[..])));
    assert_eq!(first.execute(&TEST_UNIT_READY, &[], 0).1, [6, 0x29, 0]);
    assert_eq!(first.execute(&TEST_UNIT_READY, &[], 0).1, [6, 0x28, 0]);
    assert_eq!(first.execute(&[0x0A, 0, 0, 0, 9, 0], b"one block", 0).0, 0);
    assert_eq!(first.stop(), 4);
    drop(first);
    let mut second = Machine::connect(&server.socket);
    assert_eq!(second.execute(&[1, 0, 0, 0, 0, 0], &[], 0).0, 0);
    assert_eq!(second.execute(&[0x08, 0, 0, 0, 9, 0], &[], 9).2, b"one block");
    assert_eq!(server.end(), Some(0));
    assert!(!server.socket.exists());
}

#[test]
fn a_machine_that_talks_rubbish_or_dies_is_followed_by_another() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut rubbish = UnixStream::connect(&server.socket).unwrap();
    rubbish.write_all(&[0xFF; 4096]).unwrap();
    drop(rubbish);
    drop(Machine::connect(&server.socket));
    let mut machine = Machine::connect(&server.socket);
    assert_eq!(machine.execute(&TEST_UNIT_READY, &[], 0).0, 2);
}

#[test]
fn a_drive_and_a_library_at_once_are_a_usage_error() {
    let output = run(&[
        "serve-vhost",
        "--socket",
        "s",
        "--library",
        "l.toml",
        "--cartridge",
        "c",
    ]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn what_keeps_it_from_starting_is_said_with_a_hint() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vhost");
    let missing = folder.path().join("missing.toml");
    let socket = socket.to_str().unwrap();
    for arguments in [
        [
            "serve-vhost",
            "--socket",
            socket,
            "--library",
            missing.to_str().unwrap(),
        ],
        [
            "serve-vhost",
            "--socket",
            socket,
            "--cartridge",
            missing.to_str().unwrap(),
        ],
    ] {
        let output = run(&arguments);
        assert_eq!(output.status.code(), Some(1));
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("missing.toml") && text.contains("\nhint: "), "{text}");
    }
}
