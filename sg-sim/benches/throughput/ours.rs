//! Our side of every ratio: the drive with a key in force, called directly or over its socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use sg_sim::front::connection;
use sg_sim::front::machine::Machine;
use sg_sim::{Cartridge, Drive, ItNexus, MediumSpec, Profile, SeededRandomness, Status};

use super::Tape;

const NEXUS: &str = "bench";
const REWIND: [u8; 6] = [0x01, 0, 0, 0, 0, 0];

/// READ(6) or WRITE(6) of one block in variable mode.
fn cdb(opcode: u8, size: usize) -> [u8; 6] {
    let [_, l0, l1, l2] = u32::try_from(size).unwrap().to_be_bytes();
    [opcode, 0, l0, l1, l2, 0]
}

/// A drive with a loaded cartridge, no unit attention left, and a key with a KAD of 30 bytes in force for all.
pub(super) fn keyed(cartridge: Cartridge) -> Drive {
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
    drive.load(cartridge).unwrap();
    let nexus = ItNexus::new(NEXUS).unwrap();
    let ready = (0..8).any(|_| drive.execute(&nexus, &[0; 6], &[], &mut []).status == Status::GOOD);
    assert!(ready);
    let mut list = vec![
        0x00, 0x10, 0x00, 82, 0x40, 0x00, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
    ];
    list.extend([0x5A; 32]);
    list.extend([0x00, 0x00, 0x00, 30]);
    list.extend([0x4B; 30]);
    let set = [0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, 86, 0, 0];
    assert_eq!(drive.execute(&nexus, &set, &list, &mut []).status, Status::GOOD);
    drive
}

/// Writes `block` so often.
pub(super) fn write_blocks(drive: &mut Drive, block: &[u8], count: usize) {
    let nexus = ItNexus::new(NEXUS).unwrap();
    for _ in 0..count {
        let reply = drive.execute(&nexus, &cdb(0x0A, block.len()), block, &mut []);
        assert_eq!(reply.status, Status::GOOD);
    }
}

/// The drive in this process.
pub(super) struct InProcess {
    drive: Drive,
    nexus: ItNexus,
}

impl InProcess {
    pub(super) fn in_memory() -> Self {
        Self::new(Cartridge::in_memory(&MediumSpec::default()).unwrap())
    }

    pub(super) fn in_file(path: &Path) -> Self {
        Self::new(Cartridge::create(path, &MediumSpec::default()).unwrap())
    }

    fn new(cartridge: Cartridge) -> Self {
        Self {
            drive: keyed(cartridge),
            nexus: ItNexus::new(NEXUS).unwrap(),
        }
    }

    fn rewind(&mut self) {
        assert_eq!(
            self.drive.execute(&self.nexus, &REWIND, &[], &mut []).status,
            Status::GOOD
        );
    }
}

impl Tape for InProcess {
    fn write(&mut self, data: &[u8], size: usize) -> Duration {
        self.rewind();
        let began = Instant::now();
        for block in data.chunks(size) {
            let reply = self.drive.execute(&self.nexus, &cdb(0x0A, size), block, &mut []);
            assert_eq!(reply.status, Status::GOOD);
        }
        began.elapsed()
    }

    fn read(&mut self, into: &mut [u8], size: usize) -> Duration {
        self.rewind();
        let began = Instant::now();
        for block in into.chunks_mut(size) {
            let reply = self.drive.execute(&self.nexus, &cdb(0x08, size), &[], block);
            assert_eq!((reply.status, reply.data_in), (Status::GOOD, size));
        }
        began.elapsed()
    }
}

/// The drive behind its socket, in a thread of this process.
pub(super) fn socket() -> Remote {
    let (near, far) = UnixStream::pair().unwrap();
    let drive = keyed(Cartridge::in_memory(&MediumSpec::default()).unwrap());
    let machine = Machine::new(Arc::new(Mutex::new(drive)));
    thread::spawn(move || connection::serve(&far, &machine, 0));
    Remote::greeted(near)
}

/// A client of either socket: frames as `PROTOCOL.md` has them, one command at a time.
pub(super) struct Remote(UnixStream);

impl Remote {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// A client that has said who it is, as the real socket asks.
    pub(super) fn greeted(mut stream: UnixStream) -> Self {
        let mut hello = b"SGSM\x01\x00\x00\x05".to_vec();
        hello.extend(NEXUS.bytes());
        stream.write_all(&hello).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        Self(stream)
    }

    pub(super) fn execute(&mut self, cdb: [u8; 6], data_out: &[u8], data_in: &mut [u8]) {
        let mut frame = vec![0, 0, 0, 1, 0, 6, 0, 0];
        frame.extend(u32::try_from(data_out.len()).unwrap().to_be_bytes());
        frame.extend(u32::try_from(data_in.len()).unwrap().to_be_bytes());
        frame.extend(cdb);
        self.0.write_all(&frame).unwrap();
        self.0.write_all(data_out).unwrap();
        let mut head = [0; 16];
        self.0.read_exact(&mut head).unwrap();
        let [_, _, _, _, kind, status, n0, n1, d0, d1, d2, d3, ..] = head;
        assert_eq!([kind, status, n0, n1], [0; 4]);
        assert_eq!(
            u32::from_be_bytes([d0, d1, d2, d3]),
            u32::try_from(data_in.len()).unwrap()
        );
        self.0.read_exact(data_in).unwrap();
    }
}

impl Tape for Remote {
    fn write(&mut self, data: &[u8], size: usize) -> Duration {
        self.execute(REWIND, &[], &mut []);
        let began = Instant::now();
        for block in data.chunks(size) {
            self.execute(cdb(0x0A, size), block, &mut []);
        }
        began.elapsed()
    }

    fn read(&mut self, into: &mut [u8], size: usize) -> Duration {
        self.execute(REWIND, &[], &mut []);
        let began = Instant::now();
        for block in into.chunks_mut(size) {
            self.execute(cdb(0x08, size), &[], block);
        }
        began.elapsed()
    }
}
