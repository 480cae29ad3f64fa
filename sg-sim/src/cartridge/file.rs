//! Records in a file. A payload is written first and its header behind it, so a record is there once it is whole, and outlives the process as
//! soon as the call returns; `sync` makes it outlive the machine.

use super::{
    CartridgeError,
    header::{FILE_HEADER_BYTES, HeaderFault, MediumHeader},
    index::Index,
    layout::{Extent, Layout, Link},
    record::{OVERHEAD_BYTES, Place, link},
    scan::{Scan, read_up_to, scan, wide},
    state::{CartridgeState, SLOT_BYTES},
};
use nix::libc::O_NONBLOCK;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Where the two copies of the state lie.
const SLOTS_AT: [u64; 2] = [4096, 4096 + SLOT_BYTES as u64];
/// How much of a table is read at once.
const HEADS_READ_BYTES: u64 = 4096;
/// Where the first table of headers lies.
const FIRST_TABLE_AT: u64 = 4096 + 2 * SLOT_BYTES as u64;

/// The store of a cartridge in a file.
pub(super) struct FileStore {
    file: File,
    path: PathBuf,
    /// Header and payload of one record. They grow to the longest and are never shortened, so that they are zeroed once and not for every record.
    head: Vec<u8>,
    payload: Vec<u8>,
    /// Headers that were read last, and where they lie: the next ones are read soon.
    heads_read: Vec<u8>,
    heads_read_at: u64,
    layout: Layout,
    /// Something lies behind the last record; it goes before the next one is written.
    torn: bool,
    /// Sequence number of the newer copy of the state.
    state_sequence: u64,
}

/// What opening a file yields.
pub(super) struct Opened {
    /// The store.
    pub(super) store: FileStore,
    /// Identity and size.
    pub(super) medium: MediumHeader,
    /// Counters and attributes.
    pub(super) state: CartridgeState,
    /// Seed of the records' CRCs.
    pub(super) seed: u32,
    /// The objects.
    pub(super) index: Index,
    /// Highest sequence number of a record.
    pub(super) sequence: u64,
    /// How many bytes are left of a record that was not written to its end, or of a cut.
    pub(super) torn_bytes: u64,
}

impl FileStore {
    /// Makes a new file with this header and state.
    ///
    /// # Errors
    /// The file exists, or cannot be written or locked.
    pub(super) fn create(path: &Path, medium: &MediumHeader, state: &CartridgeState) -> Result<Self, CartridgeError> {
        let failed = |source| io_error("make", path, source);
        let open = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path);
        let file = open.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => CartridgeError::Exists { path: path.to_owned() },
            _ => failed(source),
        })?;
        let mut store = Self::new(file, path, Layout::new(FIRST_TABLE_AT));
        store.write_beginning(medium, state).inspect_err(|_| {
            // What could not be made is no cartridge; if it cannot be removed either, it is refused as foreign.
            let _ = fs::remove_file(path);
        })?;
        Ok(store)
    }

    fn new(file: File, path: &Path, layout: Layout) -> Self {
        Self {
            file,
            path: path.to_owned(),
            head: Vec::new(),
            payload: Vec::new(),
            heads_read: Vec::new(),
            heads_read_at: 0,
            layout,
            torn: false,
            state_sequence: 0,
        }
    }

    /// The header comes last: a file whose making was cut short has none, and is refused as foreign instead of taken for a blank tape.
    fn write_beginning(&mut self, medium: &MediumHeader, state: &CartridgeState) -> Result<(), CartridgeError> {
        lock(&self.file, &self.path)?;
        let begin = |store: &mut Self| {
            store.file.set_len(FIRST_TABLE_AT)?;
            store.write_state(state)?;
            store.file.write_all_at(&medium.encode(), 0)?;
            store.file.sync_all()
        };
        begin(self).map_err(|source| io_error("make", &self.path, source))
    }

    /// Opens a file and finds its records. Nothing in it is changed.
    ///
    /// # Errors
    /// It is no cartridge, of another version, damaged in header or state, in use, or cannot be read.
    pub(super) fn open(path: &Path) -> Result<Opened, CartridgeError> {
        let file = OpenOptions::new().read(true).write(true).open(path);
        let file = file.map_err(|source| io_error("open", path, source))?;
        check_regular(&file, path)?;
        lock(&file, path)?;
        Self::find_records(file, path)
    }

    /// Opens a file to read it alone, whether a drive holds it or not; whether one does comes with it. The file needs no write permission, is
    /// not locked, and may grow at any time.
    ///
    /// # Errors
    /// It is no cartridge, of another version, damaged in header or state, or cannot be read.
    pub(super) fn open_to_look(path: &Path) -> Result<(Opened, bool), CartridgeError> {
        // A pipe would otherwise wait for its other end.
        let file = OpenOptions::new().read(true).custom_flags(O_NONBLOCK).open(path);
        let file = file.map_err(|source| io_error("open", path, source))?;
        check_regular(&file, path)?;
        let in_use = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
        // Held for an instant only: a drive must be able to take the file while somebody looks at it.
        file.unlock().map_err(|source| io_error("unlock", path, source))?;
        Ok((Self::find_records(file, path)?, in_use))
    }

    fn find_records(file: File, path: &Path) -> Result<Opened, CartridgeError> {
        let failed = |source| io_error("open", path, source);
        let length = file.metadata().map_err(failed)?.len();
        let mut header = Vec::new();
        read_up_to(&file, FILE_HEADER_BYTES as u64, 0, &mut header).map_err(failed)?;
        let (medium, seed) = MediumHeader::decode(&header).map_err(|fault| header_error(path, fault))?;
        if length < FIRST_TABLE_AT {
            return Err(CartridgeError::Damaged {
                path: path.to_owned(),
                what: "the end (it is cut short before its records)",
            });
        }
        let (state, state_sequence) = read_state(&file)
            .map_err(failed)?
            .ok_or_else(|| CartridgeError::Damaged {
                path: path.to_owned(),
                what: "the state (both copies)",
            })?;
        let Scan {
            index,
            layout,
            sequence,
            torn_bytes,
        } = scan(&file, seed, state.cut, FIRST_TABLE_AT).map_err(failed)?;
        let mut store = Self::new(file, path, layout);
        (store.torn, store.state_sequence) = (torn_bytes > 0, state_sequence);
        Ok(Opened {
            store,
            medium,
            state,
            seed,
            index,
            sequence,
            torn_bytes,
        })
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record with a header of `header_bytes` and a payload of `payload_bytes`; `fill` makes both for the place that it is told.
    ///
    /// # Errors
    /// There is no such record, or the file cannot be written. What has reached the file then goes before the next record is written.
    pub(super) fn append(
        &mut self,
        header_bytes: usize,
        payload_bytes: usize,
        place: Place,
        fill: impl FnOnce(&mut [u8], &mut [u8], Place) -> io::Result<()>,
    ) -> io::Result<()> {
        self.remove_torn_record()?;
        let length = |bytes: usize| u32::try_from(bytes).map_err(io::Error::other);
        let (extent, link_first) = self
            .layout
            .next(length(header_bytes)?, length(payload_bytes)?)
            .ok_or(io::ErrorKind::FileTooLarge)?;
        let head = room(&mut self.head, extent.header_bytes)?;
        let payload = room(&mut self.payload, extent.payload_bytes)?;
        let payload_at = extent.payload_at;
        fill(head, payload, Place { payload_at, ..place })?;
        let link_first = link_first.map(|to| {
            let payload_at = to.table_at;
            (to, link(Place { payload_at, ..place }))
        });
        self.write(extent, link_first.as_ref()).inspect_err(|_| {
            // If even this fails, the next append tries again.
            let _ = self.remove_torn_record();
        })
    }

    /// Writes what is in the buffers. Until the header is whole, what is in the file is no record.
    fn write(&mut self, extent: Extent, link_first: Option<&(Link, [u8; OVERHEAD_BYTES])>) -> io::Result<()> {
        self.torn = true;
        self.heads_read.clear();
        let payload = room(&mut self.payload, extent.payload_bytes)?;
        self.file.write_all_at(payload, extent.payload_at)?;
        if let Some((to, link)) = link_first {
            self.file.write_all_at(link, to.at)?;
            self.layout.begin_table(to.table_at);
        }
        self.file
            .write_all_at(room(&mut self.head, extent.header_bytes)?, extent.header_at)?;
        self.layout.push(extent);
        self.torn = false;
        Ok(())
    }

    /// Reads header and payload of an object's record.
    ///
    /// # Errors
    /// There is no such object, or the file cannot be read.
    pub(super) fn record(&mut self, object: u64) -> io::Result<(&[u8], &[u8])> {
        let extent = self.layout.extent(object).ok_or(io::ErrorKind::NotFound)?;
        let head_bytes = usize::try_from(extent.header_bytes).map_err(io::Error::other)?;
        let mut offset = extent.header_at.wrapping_sub(self.heads_read_at);
        if offset.saturating_add(extent.header_bytes.into()) > wide(self.heads_read.len()) {
            let length = HEADS_READ_BYTES.max(extent.header_bytes.into());
            read_up_to(&self.file, length, extent.header_at, &mut self.heads_read)?;
            (self.heads_read_at, offset) = (extent.header_at, 0);
        }
        let from_head = usize::try_from(offset)
            .ok()
            .and_then(|offset| self.heads_read.get(offset..));
        let head = from_head.and_then(|heads| heads.get(..head_bytes));
        let payload = room(&mut self.payload, extent.payload_bytes)?;
        self.file.read_exact_at(payload, extent.payload_at)?;
        Ok((head.ok_or(io::ErrorKind::UnexpectedEof)?, payload))
    }

    /// Removes the records of `objects` and all after it, which the state in the file must already say.
    pub(super) fn truncate(&mut self, objects: u64) {
        self.layout.truncate(objects);
        self.heads_read.clear();
        self.torn = true;
        // They are gone in any case; if their bytes cannot be removed now, the next append tries again.
        let _ = self.remove_torn_record();
    }

    /// Writes the state over its older copy.
    ///
    /// # Errors
    /// It is too long for its room, or the file cannot be written.
    pub(super) fn write_state(&mut self, state: &CartridgeState) -> io::Result<()> {
        let sequence = self.state_sequence + 1;
        let slot = state
            .encode(sequence)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let [even, odd] = SLOTS_AT;
        self.file
            .write_all_at(&slot, if sequence.is_multiple_of(2) { even } else { odd })?;
        self.state_sequence = sequence;
        Ok(())
    }

    /// Returns once everything written is on the disk.
    ///
    /// # Errors
    /// The disk says no; what was written since the last sync may be lost.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    /// Leaves nothing but zeros and the end of the file behind the last record.
    fn remove_torn_record(&mut self) -> io::Result<()> {
        if !self.torn {
            return Ok(());
        }
        let (header_at, tail) = (self.layout.header_at(), self.layout.tail());
        self.file.set_len(tail)?;
        let left = self.layout.table_end().min(tail).saturating_sub(header_at);
        let zeros = vec![0; usize::try_from(left).map_err(io::Error::other)?];
        self.file.write_all_at(&zeros, header_at)?;
        self.torn = false;
        Ok(())
    }
}

impl Drop for FileStore {
    /// A process that is being started just now still has the file open until it runs its program; without this it would hold the lock too.
    fn drop(&mut self) {
        // The lock goes with the file in any case, only later.
        let _ = self.file.unlock();
    }
}

fn check_regular(file: &File, path: &Path) -> Result<(), CartridgeError> {
    let found = file.metadata().map_err(|source| io_error("open", path, source))?;
    if found.is_file() {
        return Ok(());
    }
    Err(CartridgeError::Foreign {
        path: path.to_owned(),
        found: "it is not a regular file",
    })
}

fn room(scratch: &mut Vec<u8>, length: u32) -> io::Result<&mut [u8]> {
    let length = usize::try_from(length).map_err(io::Error::other)?;
    if scratch.len() < length {
        scratch.resize(length, 0);
    }
    scratch
        .get_mut(..length)
        .ok_or_else(|| io::Error::from(io::ErrorKind::OutOfMemory))
}

fn lock(file: &File, path: &Path) -> Result<(), CartridgeError> {
    file.try_lock().map_err(|error| match error {
        TryLockError::WouldBlock => CartridgeError::InUse { path: path.to_owned() },
        TryLockError::Error(source) => io_error("lock", path, source),
    })
}

fn read_state(file: &File) -> io::Result<Option<(CartridgeState, u64)>> {
    let mut newest: Option<(CartridgeState, u64)> = None;
    for slot_at in SLOTS_AT {
        let mut slot = Vec::new();
        read_up_to(file, SLOT_BYTES as u64, slot_at, &mut slot)?;
        let copy = CartridgeState::decode(&slot);
        newest = newest.into_iter().chain(copy).max_by_key(|(_, sequence)| *sequence);
    }
    Ok(newest)
}

fn header_error(path: &Path, fault: HeaderFault) -> CartridgeError {
    let path = path.to_owned();
    match fault {
        HeaderFault::Short => CartridgeError::Foreign {
            path,
            found: "it is shorter than a cartridge's header",
        },
        HeaderFault::Foreign => CartridgeError::Foreign {
            path,
            found: "it does not begin with SGSIMLTO",
        },
        HeaderFault::Version(version) => CartridgeError::OtherVersion { path, version },
        HeaderFault::Damaged => CartridgeError::Damaged {
            path,
            what: "the header",
        },
    }
}

fn io_error(attempt: &'static str, path: &Path, source: io::Error) -> CartridgeError {
    CartridgeError::Io {
        attempt,
        path: path.to_owned(),
        source,
    }
}
