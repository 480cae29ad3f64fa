//! The other side of every ratio: the same cipher library and the least work around it that keeps the blocks.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use super::Tape;
use super::ours::Remote;

type Tag = [u8; 16];

fn key() -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[0x5A; 32]).unwrap())
}

/// Block number as nonce: unique under this key within a turn, and nobody reads what these sides seal.
fn nonce(number: usize) -> Nonce {
    let mut bytes = [0; 12];
    bytes[4..].copy_from_slice(&u64::try_from(number).unwrap().to_be_bytes());
    Nonce::assume_unique_for_key(bytes)
}

fn seal_in_place(key: &LessSafeKey, number: usize, block: &mut [u8]) -> Tag {
    let tag = key
        .seal_in_place_separate_tag(nonce(number), Aad::empty(), block)
        .unwrap();
    tag.as_ref().try_into().unwrap()
}

/// Memory: memcpy + seal, memcpy + open.
pub(super) struct Memory {
    key: LessSafeKey,
    tape: Vec<u8>,
    tags: Vec<Tag>,
}

impl Memory {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            key: key(),
            tape: vec![0; bytes],
            tags: Vec::new(),
        }
    }
}

impl Tape for Memory {
    fn write(&mut self, data: &[u8], size: usize) -> Duration {
        self.tags.clear();
        let began = Instant::now();
        for (number, (block, place)) in data.chunks(size).zip(self.tape.chunks_mut(size)).enumerate() {
            place.copy_from_slice(block);
            self.tags.push(seal_in_place(&self.key, number, place));
        }
        began.elapsed()
    }

    fn read(&mut self, into: &mut [u8], size: usize) -> Duration {
        let began = Instant::now();
        let stored = self.tape.chunks(size).zip(&self.tags);
        for (number, (block, (place, tag))) in into.chunks_mut(size).zip(stored).enumerate() {
            block.copy_from_slice(place);
            self.key
                .open_in_place_separate_tag(nonce(number), Aad::empty(), tag, block)
                .unwrap();
        }
        began.elapsed()
    }
}

/// A file: seal + pwrite, pread + open.
pub(super) struct OnDisk {
    key: LessSafeKey,
    file: File,
    tags: Vec<Tag>,
    scratch: Vec<u8>,
}

impl OnDisk {
    pub(super) fn new(path: &Path) -> Self {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .unwrap();
        Self {
            key: key(),
            file,
            tags: Vec::new(),
            scratch: Vec::new(),
        }
    }
}

impl Tape for OnDisk {
    fn write(&mut self, data: &[u8], size: usize) -> Duration {
        self.tags.clear();
        self.scratch.resize(size, 0);
        let began = Instant::now();
        self.file.set_len(0).unwrap();
        for (number, block) in data.chunks(size).enumerate() {
            let mut tag = [0; 16];
            let sealed = self.scratch.as_mut_slice();
            self.key
                .seal_out_of_place_scatter(nonce(number), Aad::empty(), block, sealed, &[], &mut tag)
                .unwrap();
            self.file
                .write_all_at(sealed, u64::try_from(number * size).unwrap())
                .unwrap();
            self.tags.push(tag);
        }
        began.elapsed()
    }

    fn read(&mut self, into: &mut [u8], size: usize) -> Duration {
        self.scratch.resize(size, 0);
        let began = Instant::now();
        for (number, (block, tag)) in into.chunks_mut(size).zip(&self.tags).enumerate() {
            let sealed = self.scratch.as_mut_slice();
            self.file
                .read_exact_at(sealed, u64::try_from(number * size).unwrap())
                .unwrap();
            self.key
                .open_separate_gather(nonce(number), Aad::empty(), sealed, tag, block)
                .unwrap();
        }
        began.elapsed()
    }
}

/// The bare socket: the same frames, read without looking at them, sealed where they lie.
pub(super) fn socket(bytes: usize) -> Remote {
    let (near, far) = UnixStream::pair().unwrap();
    thread::spawn(move || serve(far, bytes));
    Remote::new(near)
}

/// Serves until the other end closes: 22 bytes of head and CDB in, 16 bytes of head out, data on either side.
fn serve(mut stream: UnixStream, bytes: usize) {
    let (key, mut tape, mut tags) = (key(), vec![0; bytes], Vec::<Tag>::new());
    let (mut head, mut opened, mut at) = ([0; 22], Vec::new(), 0);
    while stream.read_exact(&mut head).is_ok() {
        let [s0, s1, s2, s3, _, _, _, _, o0, o1, o2, o3, i0, i1, i2, i3, opcode, ..] = head;
        let out = usize::try_from(u32::from_be_bytes([o0, o1, o2, o3])).unwrap();
        let room = usize::try_from(u32::from_be_bytes([i0, i1, i2, i3])).unwrap();
        opened.resize(room, 0);
        match opcode {
            WRITE => {
                let place = tape.get_mut(at * out..(at + 1) * out).unwrap();
                stream.read_exact(place).unwrap();
                tags.truncate(at);
                tags.push(seal_in_place(&key, at, place));
                at += 1;
            }
            READ => {
                let place = tape.get(at * room..(at + 1) * room).unwrap();
                key.open_separate_gather(nonce(at), Aad::empty(), place, tags.get(at).unwrap(), &mut opened)
                    .unwrap();
                at += 1;
            }
            _ => at = 0,
        }
        stream
            .write_all(&[s0, s1, s2, s3, 0, 0, 0, 0, i0, i1, i2, i3, 0, 0, 0, 0])
            .unwrap();
        stream.write_all(&opened).unwrap();
    }
}

const WRITE: u8 = 0x0A;
const READ: u8 = 0x08;
