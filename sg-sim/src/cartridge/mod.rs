//! A cartridge: a volume with an identity, blocks and filemarks, in one file or in memory.
//!
//! This room stores and finds objects. It must never decide whether a block may be read or written, and never sees a key's bytes.
//!
//! # The file, version 2
//!
//! All integers are unsigned and big-endian, lengths and places are in bytes, CRC is CRC-32C. Reserved bytes are zero.
//!
//! | bytes | content |
//! |---|---|
//! | 0-127 | header, written once: 0-7 `SGSIMLTO`; 8-9 version; 10 density code; 11-15 reserved; 16-23 capacity; 24-31 early warning distance; 32-63 medium serial number, ASCII padded with spaces; 64-123 reserved; 124-127 CRC of 0-123 (the *seed* below) |
//! | 4096, 20480 | two copies of the state, 16 KiB of room each: `SGST`; sequence (8); body length (4); body; CRC of all before it. The whole copy with the higher sequence counts |
//! | 36864 | the first table of record headers |
//! | behind it | payloads, and more tables where one was full |
//!
//! State body: load count (8), bytes written (8), bytes read (8), flags (1; bit 0 write-protected), the last cut: object number (8) and sequence
//! (8), then kept attributes: identifier (2), format (1), length (2), value: those that hosts wrote, the last four drives (020Ah to 020Dh) and
//! the volume change reference (0009h).
//!
//! A table begins at a multiple of 4096, is 64 KiB long, and holds headers one behind the other, as many as there are objects; the rest is zeros.
//! When it has no room for one more header and a link, a link follows, and the headers go on in the table that it names. A payload lies
//! behind its table and behind every payload before it. If its length is a multiple of 4096, its place is a multiple of the largest power of two
//! that its length is a multiple of, 1 MiB at most; otherwise it follows without a gap. What lies in gaps means nothing; in a file of its own they are holes.
//!
//! | header bytes | content |
//! |---|---|
//! | 0-3 | `SGRC` |
//! | 4-11 | sequence: rises with every record ever written, so that a record left over from before an overwrite is known for what it is. A link has that of the record behind it |
//! | 12-27 | tag of a sealed block, else zero |
//! | 28-39 | nonce of a sealed block, else zero |
//! | 40-43 | CRC of the payload of a plain block, else zero |
//! | 44-51 | place of the payload in the file; of a filemark: where one would begin; of a link: place of the next table |
//! | 52-59 | object number: position on the tape, from 0; blocks and filemarks count alike. Of a link: that of the record behind it |
//! | 60 | kind: 1 plain block, 2 sealed block, 3 filemark, 4 link |
//! | 61 | algorithm of a sealed block: 1 AES-256-GCM |
//! | 62 | flags: bit 0 raw-enabled |
//! | 63 | KAD format |
//! | 64-67 | payload length: the block's, or that of its cipher text, which is the same |
//! | 68-69 | KAD length K |
//! | 70-71 | reserved |
//! | 72-79 | key check: HMAC-SHA-256 (key, `sg-sim key check v1`), first 8 bytes |
//! | 80.. | K bytes of KAD descriptors (type, reserved, length (2), data), as they were given with the key |
//! | 80+K | CRC of (seed, then bytes 0 to 79+K); continuing the CRC of the header from its value |
//!
//! A sealed block is AES-256-GCM with the header's nonce and tag; additional authenticated data are bytes 52 to 79+K of the header. So object
//! number, raw mark, all KADs (also the "unauthenticated" one), lengths and key check are bound to the cipher text. A nonce is 8 random bytes, drawn each
//! time a key is taken into use, and a counter. The payload of sealed blocks has no CRC of its own: its tag tells.
//!
//! # What a killed process leaves
//!
//! A payload is written before its header, and a link before the header behind it, so a record is there when its header is whole, and never
//! earlier. A tape that is overwritten in the middle is first cut there: the state is written with the cut, which takes
//! all records from its object number on with a sequence up to its own, wherever their bytes still lie; then those are removed, and then it is
//! written on. Killed between any two of these, the tape ends at the cut.

mod checksum;
mod error;
mod file;
mod header;
mod index;
mod layout;
mod memory;
mod record;
mod scan;
mod spec;
mod state;

pub use error::CartridgeError;
pub(crate) use index::{Index, Object};
pub(crate) use record::{AES_256_GCM, ObjectKind, Record, Seal, SealAttributes};
pub use spec::MediumSpec;
pub(crate) use state::HostAttribute;

use file::{FileStore, Opened};
use header::MediumHeader;
use memory::MemoryStore;
use record::{OVERHEAD_BYTES, Place, header_bytes, write_block, write_filemark};
use state::{CartridgeState, Cut};
use std::{fmt, io, path::Path};

/// MAM identifier of the barcode.
const BARCODE: u16 = 0x0806;
/// MAM identifier of the volume change reference.
const VOLUME_CHANGE_REFERENCE: u16 = 0x0009;
/// MAM identifiers of the drives that loaded the cartridge last, the latest first.
pub(crate) const LAST_DRIVES: std::ops::RangeInclusive<u16> = 0x020A..=0x020D;

/// A cartridge: a volume with an identity, in one file or in memory.
pub struct Cartridge {
    medium: MediumHeader,
    state: CartridgeState,
    index: Index,
    store: Store,
    sequence: u64,
    seed: u32,
    /// The volume change reference is that of this load.
    contents_marked: bool,
    /// What was left of a torn record when the file was opened.
    torn_bytes: u64,
}

enum Store {
    Memory(MemoryStore),
    File(FileStore),
}

/// Why an object could not be written or read.
#[derive(Debug)]
pub(crate) enum TapeFault {
    /// There is no room for it.
    Full,
    /// The medium does not hold it whole.
    Unreadable,
    /// The file could not be read or written, or the cipher library refused.
    Failed,
}

impl From<io::Error> for TapeFault {
    fn from(_: io::Error) -> Self {
        Self::Failed
    }
}

impl fmt::Debug for Cartridge {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Cartridge")
            .field("medium", &self.medium)
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}

impl Cartridge {
    /// Makes a blank cartridge in a new file, readable by its owner alone, and locks it against other drives.
    ///
    /// # Errors
    /// The file exists, cannot be written, or the specification is impossible.
    pub fn create(path: &Path, spec: &MediumSpec) -> Result<Self, CartridgeError> {
        spec.validate()?;
        let (medium, state) = (MediumHeader::new(spec), first_state(spec));
        let store = FileStore::create(path, &medium, &state)?;
        Ok(Self::blank(medium, state, Store::File(store)))
    }

    /// Opens a cartridge file and locks it against other drives. The file is not changed by this.
    ///
    /// # Errors
    /// The file is not a cartridge, is of another version, is damaged, or is in use.
    pub fn open(path: &Path) -> Result<Self, CartridgeError> {
        FileStore::open(path).map(Self::from_file)
    }

    /// Opens a cartridge file to read it, also one that may not be written and one that a drive holds; whether one does comes with it.
    ///
    /// # Errors
    /// The file is not a cartridge, is of another version, is damaged, or cannot be read.
    pub(crate) fn open_to_look(path: &Path) -> Result<(Self, bool), CartridgeError> {
        let (opened, in_use) = FileStore::open_to_look(path)?;
        Ok((Self::from_file(opened), in_use))
    }

    fn from_file(opened: Opened) -> Self {
        Self {
            medium: opened.medium,
            state: opened.state,
            index: opened.index,
            store: Store::File(opened.store),
            sequence: opened.sequence,
            seed: opened.seed,
            contents_marked: false,
            torn_bytes: opened.torn_bytes,
        }
    }

    /// Makes a blank cartridge that lives in memory.
    ///
    /// # Errors
    /// The specification is impossible.
    pub fn in_memory(spec: &MediumSpec) -> Result<Self, CartridgeError> {
        spec.validate()?;
        Ok(Self::blank(
            MediumHeader::new(spec),
            first_state(spec),
            Store::Memory(MemoryStore::default()),
        ))
    }

    fn blank(medium: MediumHeader, state: CartridgeState, store: Store) -> Self {
        let seed = MediumHeader::decode(&medium.encode()).map_or(0, |(_, seed)| seed);
        Self {
            medium,
            state,
            index: Index::default(),
            store,
            sequence: 0,
            seed,
            contents_marked: false,
            torn_bytes: 0,
        }
    }

    /// The file; none for a cartridge in memory.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.store {
            Store::Memory(_) => None,
            Store::File(store) => Some(store.path()),
        }
    }

    /// Medium serial number (MAM 0401h).
    #[must_use]
    pub fn medium_serial(&self) -> &str {
        &self.medium.medium_serial
    }

    /// Barcode (MAM 0806h), without the spaces it may be padded with.
    #[must_use]
    pub fn barcode(&self) -> Option<String> {
        let attribute = self.state.host_attributes.get(&BARCODE)?;
        Some(String::from_utf8_lossy(&attribute.value).trim_end().to_owned()).filter(|barcode| !barcode.is_empty())
    }

    /// Sets or releases the write-protect tab.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn set_write_protected(&mut self, write_protected: bool) -> io::Result<()> {
        self.change_state(|state| state.write_protected = write_protected)
    }

    /// How many bytes a torn record has left, in the file as it was opened.
    pub(crate) const fn torn_bytes(&self) -> u64 {
        self.torn_bytes
    }

    /// Density code.
    pub(crate) const fn density(&self) -> u8 {
        self.medium.density
    }

    /// Room for records in bytes, used and free.
    pub(crate) const fn capacity_bytes(&self) -> u64 {
        self.medium.capacity_bytes
    }

    /// Room left in bytes.
    pub(crate) const fn remaining_bytes(&self) -> u64 {
        self.medium.capacity_bytes.saturating_sub(self.index.end())
    }

    /// How far before the end early warning comes, in bytes.
    pub(crate) const fn early_warning_bytes(&self) -> u64 {
        self.medium.early_warning_bytes
    }

    /// Whether writing has come near the end of the tape.
    pub(crate) const fn past_early_warning(&self) -> bool {
        self.remaining_bytes() < self.medium.early_warning_bytes
    }

    /// Whether the write-protect tab is set.
    pub(crate) const fn write_protected(&self) -> bool {
        self.state.write_protected
    }

    /// Counters and attributes: load count, payload bytes written, payload bytes read.
    pub(crate) const fn counters(&self) -> [u64; 3] {
        [self.state.load_count, self.state.written_bytes, self.state.read_bytes]
    }

    /// Attributes that hosts wrote.
    pub(crate) fn host_attribute(&self, identifier: u16) -> Option<&HostAttribute> {
        self.state.host_attributes.get(&identifier)
    }

    /// Sets or removes attributes: all of them or, on error, none.
    ///
    /// # Errors
    /// They do not fit, or the file cannot be written.
    pub(crate) fn write_attributes(&mut self, changes: Vec<(u16, Option<HostAttribute>)>) -> io::Result<()> {
        self.change_state(|state| {
            for (identifier, attribute) in changes {
                match attribute {
                    Some(attribute) => state.host_attributes.insert(identifier, attribute),
                    None => state.host_attributes.remove(&identifier),
                };
            }
        })
    }

    /// Counts a load by `drive`, and remembers it as the last of four.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn count_load(&mut self, drive: &str) -> io::Result<()> {
        self.contents_marked = false;
        self.change_state(|state| {
            state.load_count += 1;
            for identifier in LAST_DRIVES.rev().skip(1) {
                if let Some(before) = state.host_attributes.get(&identifier).cloned() {
                    state.host_attributes.insert(identifier + 1, before);
                }
            }
            let value = drive.as_bytes().to_vec();
            state
                .host_attributes
                .insert(*LAST_DRIVES.start(), HostAttribute { format: 1, value });
        })
    }

    /// Before the first change of its contents since the load: the volume change reference becomes another one.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn mark_contents(&mut self) -> io::Result<()> {
        if self.contents_marked {
            return Ok(());
        }
        let value = self.volume_change_reference().wrapping_add(1).to_be_bytes().to_vec();
        self.change_state(|state| {
            state
                .host_attributes
                .insert(VOLUME_CHANGE_REFERENCE, HostAttribute { format: 0, value });
        })?;
        self.contents_marked = true;
        Ok(())
    }

    /// A number that is another one whenever the contents may have changed (MAM 0009h); 0 for a cartridge that was never written.
    pub(crate) fn volume_change_reference(&self) -> u32 {
        let attribute = self.state.host_attributes.get(&VOLUME_CHANGE_REFERENCE);
        attribute
            .and_then(|attribute| attribute.value.first_chunk())
            .map_or(0, |value| u32::from_be_bytes(*value))
    }

    fn change_state(&mut self, change: impl FnOnce(&mut CartridgeState)) -> io::Result<()> {
        let mut state = self.state.clone();
        change(&mut state);
        if let Store::File(store) = &mut self.store {
            store.write_state(&state)?;
        }
        self.state = state;
        Ok(())
    }

    /// What lies where.
    pub(crate) const fn index(&self) -> &Index {
        &self.index
    }

    /// Appends a block at the end of data, sealed or as it is.
    ///
    /// # Errors
    /// See [`TapeFault`]. On any the tape is as before.
    pub(crate) fn append_block(&mut self, plain: &[u8], seal: Option<&Seal<'_>>) -> Result<(), TapeFault> {
        let block_bytes = u32::try_from(plain.len()).map_err(|_| TapeFault::Failed)?;
        let header = header_bytes(seal.map_or(0, |seal| seal.attributes.kads.len()));
        let kind = if seal.is_some() {
            ObjectKind::Sealed
        } else {
            ObjectKind::Plain
        };
        self.append(kind, header, block_bytes, |head, payload, place| {
            write_block(head, payload, place, plain, seal).map_err(|_| io::ErrorKind::InvalidInput.into())
        })?;
        self.state.written_bytes += u64::from(block_bytes);
        Ok(())
    }

    /// Appends a filemark at the end of data.
    ///
    /// # Errors
    /// See [`TapeFault`]. On any the tape is as before.
    pub(crate) fn append_filemark(&mut self) -> Result<(), TapeFault> {
        self.append(ObjectKind::Filemark, OVERHEAD_BYTES, 0, |head, _, place| {
            write_filemark(head, place).map_err(|_| io::ErrorKind::InvalidInput.into())
        })
    }

    fn append(
        &mut self,
        kind: ObjectKind,
        header: usize,
        block_bytes: u32,
        fill: impl FnOnce(&mut [u8], &mut [u8], Place) -> io::Result<()>,
    ) -> Result<(), TapeFault> {
        let payload = usize::try_from(block_bytes).map_err(|_| TapeFault::Failed)?;
        let record_length = u64::try_from(header + payload).map_err(|_| TapeFault::Failed)?;
        if record_length > self.remaining_bytes() {
            return Err(TapeFault::Full);
        }
        let object = self.index.objects();
        let place = |payload_crc| Place {
            object,
            sequence: self.sequence + 1,
            seed: self.seed,
            payload_at: 0,
            payload_crc,
        };
        match &mut self.store {
            Store::File(store) => store.append(header, payload, place(true), fill)?,
            Store::Memory(store) => {
                let (head, payload) = store.append(header, payload).ok_or(TapeFault::Failed)?;
                let filled = fill(head, payload, place(false));
                filled.inspect_err(|_| store.truncate(usize::try_from(object).unwrap_or(usize::MAX)))?;
            }
        }
        self.sequence += 1;
        self.index.push(kind, block_bytes, record_length);
        Ok(())
    }

    /// Makes object `number` the end of data: forgets it and all after it.
    ///
    /// # Errors
    /// The file cannot be written. The tape is as before.
    pub(crate) fn truncate(&mut self, number: u64) -> Result<(), TapeFault> {
        if number >= self.index.objects() {
            return Ok(());
        }
        let sequence = self.sequence;
        let cut = Cut {
            object: number,
            sequence,
        };
        self.change_state(|state| state.cut = cut)?;
        match &mut self.store {
            Store::File(store) => store.truncate(number),
            Store::Memory(store) => store.truncate(usize::try_from(number).map_err(|_| TapeFault::Failed)?),
        }
        self.index.truncate(number);
        Ok(())
    }

    /// The record of object `number`, checked.
    ///
    /// # Errors
    /// There is none, it is damaged, or the file cannot be read.
    pub(crate) fn record(&mut self, number: u64) -> Result<Record<'_>, TapeFault> {
        let object = self.index.object(number);
        if object.is_none_or(|object| object.kind == ObjectKind::Damaged) {
            return Err(TapeFault::Unreadable);
        }
        let ((head, payload), in_file) = match &mut self.store {
            Store::File(store) => (store.record(number)?, true),
            Store::Memory(store) => {
                let position = usize::try_from(number).map_err(|_| TapeFault::Failed)?;
                (store.record(position).ok_or(TapeFault::Unreadable)?, false)
            }
        };
        let record = Record::join(head, payload, self.seed).ok_or(TapeFault::Unreadable)?;
        if in_file && !record.payload_intact() {
            return Err(TapeFault::Unreadable);
        }
        Ok(record)
    }

    /// Counts payload bytes that were read.
    pub(crate) const fn count_read(&mut self, bytes: u64) {
        self.state.read_bytes += bytes;
    }

    /// Returns once everything written is on the disk.
    ///
    /// # Errors
    /// The disk says no.
    pub(crate) fn sync(&mut self) -> Result<(), TapeFault> {
        if let Store::File(store) = &mut self.store {
            store.write_state(&self.state)?;
            store.sync()?;
        }
        Ok(())
    }
}

fn first_state(spec: &MediumSpec) -> CartridgeState {
    let mut state = CartridgeState {
        write_protected: spec.write_protected,
        ..CartridgeState::default()
    };
    if let Some(barcode) = &spec.barcode {
        let value = format!("{barcode:<32}").into_bytes();
        state
            .host_attributes
            .insert(BARCODE, HostAttribute { format: 1, value });
    }
    state
}
