//! A guest with one queue. It knows the layout of a split virtqueue from the standard (VIRTIO 1.2, "Split Virtqueues") and nothing of the device.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use vhost_user_backend::{VhostUserBackend, VringT};
use vm_memory::{Bytes, GuestAddress, GuestAddressSpace, GuestMemoryAtomic, GuestMemoryMmap};

use crate::front::machine::Machine;
use crate::front::vhost::device::{Device, Lanes};
use crate::front::vhost::lane::Lane;
use crate::front::vhost::ring::{Memory, Vring};
use crate::{Cartridge, Drive, ItNexus, MediumSpec, Profile, SeededRandomness, Units};

/// Size of the guest's memory.
pub(super) const MEMORY_BYTES: usize = 1 << 20;
/// Where the guest puts its buffers.
pub(super) const BUFFERS: u64 = 0x1_0000;
/// Entries of the queue.
pub(super) const ENTRIES: u16 = 64;
pub(super) const CONTROL: usize = 0;
pub(super) const REQUESTS: usize = 2;
/// Descriptor flags.
pub(super) const NEXT: u16 = 1;
pub(super) const WRITE: u16 = 2;
pub(super) const INDIRECT: u16 = 4;
const TABLE: u64 = 0;
const AVAILABLE: u64 = 0x4000;
const USED: u64 = 0x8000;
/// Longest wait for an answer that must come.
const PATIENCE: Duration = Duration::from_secs(20);

/// LUN field of target 0 or another, LUN 0.
pub(super) const fn lun(target: u8) -> [u8; 8] {
    [1, target, 0x40, 0, 0, 0, 0, 0]
}

/// A request header: LUN, tag, three attributes, CDB.
pub(super) fn header(lun: [u8; 8], cdb: &[u8]) -> Vec<u8> {
    let mut header = lun.to_vec();
    header.extend([0xEE; 8]);
    header.extend([0; 3]);
    header.extend(cdb);
    header.resize(51, 0);
    header
}

/// A task management request.
pub(super) fn task_management(subtype: u8, lun: [u8; 8]) -> Vec<u8> {
    let mut request = vec![0, 0, 0, 0, subtype, 0, 0, 0];
    request.extend(lun);
    request.extend([0xEE; 8]);
    request
}

/// A drive with a blank tape; its unit attentions are still to be told.
pub(super) fn drive() -> Arc<Mutex<Drive>> {
    let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
    drive
        .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
        .unwrap();
    Arc::new(Mutex::new(drive))
}

/// The ways to the units of a machine.
pub(super) fn lanes(machine: &Arc<Machine>) -> Arc<Lanes> {
    let lane = |unit| Lane::open(Arc::clone(machine), unit, ItNexus::new("guest").unwrap()).unwrap();
    Arc::new(Lanes((0..machine.kinds().len()).map(lane).collect()))
}

/// What a chain came back with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    /// LENGTH in the used ring.
    pub(super) written: u32,
    /// The writable part, all of it.
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    pub(super) fn outcome(&self) -> u8 {
        self.bytes[11]
    }

    pub(super) fn status(&self) -> u8 {
        self.bytes[10]
    }

    pub(super) fn residual(&self) -> u32 {
        u32::from_le_bytes(self.bytes[4..8].try_into().unwrap())
    }

    /// Sense key, ASC, ASCQ.
    pub(super) fn sense_code(&self) -> (u8, u8, u8) {
        assert!(self.bytes[0] >= 18, "sense length");
        (self.bytes[14], self.bytes[24], self.bytes[25])
    }

    pub(super) fn data(&self) -> &[u8] {
        &self.bytes[108..]
    }
}

/// The guest.
pub(super) struct Guest {
    pub(super) device: Device,
    pub(super) memory: Memory,
    pub(super) vring: Vring,
    queue: usize,
    bell: UnixStream,
    next_descriptor: u16,
    next_buffer: u64,
    available: u16,
    used: u16,
}

/// A chain under way: its head, and where its writable part is.
#[derive(Clone, Copy)]
pub(super) struct Sent {
    head: u16,
    at: u64,
    room: usize,
}

impl Guest {
    /// A guest with `queue` of a device in front of `units`.
    pub(super) fn new(units: &Arc<impl Units + 'static>, queue: usize) -> Self {
        Self::on(lanes(&Arc::new(Machine::new(Arc::clone(units) as _))), queue)
    }

    /// Another queue's guest, with the same lanes.
    pub(super) fn on(lanes: Arc<Lanes>, queue: usize) -> Self {
        let memory = GuestMemoryAtomic::new(GuestMemoryMmap::from_ranges(&[(GuestAddress(0), MEMORY_BYTES)]).unwrap());
        let vring = Vring::new(memory.clone(), ENTRIES).unwrap();
        vring.set_queue_size(ENTRIES);
        vring.set_queue_info(TABLE, AVAILABLE, USED).unwrap();
        let (bell, rope) = UnixStream::pair().unwrap();
        bell.set_read_timeout(Some(PATIENCE)).unwrap();
        vring.set_call(Some(OwnedFd::from(rope).into()));
        vring.set_queue_ready(true);
        vring.set_enabled(true);
        Self {
            device: Device::new(memory.clone(), lanes),
            memory,
            vring,
            queue,
            bell,
            next_descriptor: 0,
            next_buffer: BUFFERS,
            available: 0,
            used: 0,
        }
    }

    /// Sends `readable` and waits for the answer in a writable part of `room` bytes, filled with A5h before.
    pub(super) fn exchange(&mut self, readable: &[&[u8]], room: usize) -> Answer {
        let sent = self.send(readable, room);
        self.receive(sent)
    }

    /// A SCSI command without data-out.
    pub(super) fn command(&mut self, cdb: &[u8], data_in: usize) -> Answer {
        self.exchange(&[&header(lun(0), cdb)], 108 + data_in)
    }

    /// Puts a chain on the queue and rings for the device.
    pub(super) fn send(&mut self, readable: &[&[u8]], room: usize) -> Sent {
        let head = self.next_descriptor;
        for part in readable {
            let at = self.buffer(part.len());
            self.write(at, part);
            self.descriptor(at, part.len(), NEXT);
        }
        let at = self.buffer(room);
        self.write(at, &vec![0xA5; room]);
        self.descriptor(at, room, WRITE);
        self.offer(head);
        Sent { head, at, room }
    }

    /// Waits until the device rings.
    pub(super) fn wait(&mut self) {
        let mut ring = [0; 8];
        self.bell.read_exact(&mut ring).unwrap();
    }

    /// Waits for the next chain that comes back; it must be `sent`.
    pub(super) fn receive(&mut self, sent: Sent) -> Answer {
        self.wait();
        let (head, written) = self.used().expect("the bell rings for an answer");
        assert_eq!(head, u32::from(sent.head));
        let mut bytes = vec![0; sent.room];
        self.memory
            .memory()
            .read_slice(&mut bytes, GuestAddress(sent.at))
            .unwrap();
        Answer { written, bytes }
    }

    /// The next entry of the used ring, if there is one.
    pub(super) fn used(&mut self) -> Option<(u32, u32)> {
        let index: [u8; 2] = self.read(USED + 2);
        if u16::from_le_bytes(index) == self.used {
            return None;
        }
        let at = USED + 4 + 8 * u64::from(self.used % ENTRIES);
        self.used = self.used.wrapping_add(1);
        Some((u32::from_le_bytes(self.read(at)), u32::from_le_bytes(self.read(at + 4))))
    }

    /// Appends a descriptor; with NEXT it leads to the one that is appended after it.
    pub(super) fn descriptor(&mut self, at: u64, length: usize, flags: u16) -> u16 {
        let number = self.next_descriptor;
        let next = number + 1;
        self.next_descriptor = next % ENTRIES;
        self.write(
            TABLE + 16 * u64::from(number),
            &descriptor(at, u32::try_from(length).unwrap(), flags, next),
        );
        number
    }

    /// Makes a chain available and lets the device look.
    pub(super) fn offer(&mut self, head: u16) {
        self.write(
            AVAILABLE + 4 + 2 * u64::from(self.available % ENTRIES),
            &head.to_le_bytes(),
        );
        self.available = self.available.wrapping_add(1);
        self.write(AVAILABLE + 2, &self.available.to_le_bytes());
        self.device.drain(self.queue, &self.vring);
    }

    /// Stops the queue, as a guest's reset does.
    pub(super) fn stop(&self) {
        self.vring.set_queue_ready(false);
        self.device.stop_vring(u32::try_from(self.queue).unwrap()).unwrap();
    }

    pub(super) fn buffer(&mut self, length: usize) -> u64 {
        let at = self.next_buffer;
        self.next_buffer += u64::try_from(length).unwrap().next_multiple_of(16) + 16;
        at
    }

    pub(super) fn write(&self, at: u64, bytes: &[u8]) {
        self.memory.memory().write_slice(bytes, GuestAddress(at)).unwrap();
    }

    pub(super) fn read<const N: usize>(&self, at: u64) -> [u8; N] {
        let mut bytes = [0; N];
        self.memory.memory().read_slice(&mut bytes, GuestAddress(at)).unwrap();
        bytes
    }
}

/// A descriptor's 16 bytes.
pub(super) fn descriptor(at: u64, length: u32, flags: u16, next: u16) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&at.to_le_bytes());
    bytes[8..12].copy_from_slice(&length.to_le_bytes());
    bytes[12..14].copy_from_slice(&flags.to_le_bytes());
    bytes[14..].copy_from_slice(&next.to_le_bytes());
    bytes
}
