//! Records in a file. Every record is one `write`, so it outlives the process as soon as the call returns; `sync` makes it outlive the machine.

use super::{
    CartridgeError,
    header::{FILE_HEADER_BYTES, HeaderFault, MediumHeader},
    scan::{Scan, scan},
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
/// Where the records begin.
pub(super) const RECORDS_AT: u64 = 4096 + 2 * SLOT_BYTES as u64;

/// The store of a cartridge in a file.
pub(super) struct FileStore {
    file: File,
    path: PathBuf,
    /// Grows to the longest record and is never shortened, so that it is zeroed once and not for every record.
    scratch: Vec<u8>,
    /// Bytes lie behind the last record; they go before the next one is written.
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
    /// The records.
    pub(super) scan: Scan,
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
        let mut store = Self {
            file,
            path: path.to_owned(),
            scratch: Vec::new(),
            torn: false,
            state_sequence: 0,
        };
        store.write_beginning(medium, state).inspect_err(|_| {
            // What could not be made is no cartridge; if it cannot be removed either, it is refused as foreign.
            let _ = fs::remove_file(path);
        })?;
        Ok(store)
    }

    /// The header comes last: a file whose making was cut short has none, and is refused as foreign instead of taken for a blank tape.
    fn write_beginning(&mut self, medium: &MediumHeader, state: &CartridgeState) -> Result<(), CartridgeError> {
        lock(&self.file, &self.path)?;
        let begin = |store: &mut Self| {
            store.file.set_len(RECORDS_AT)?;
            store.write_state(state)?;
            store.file.write_all_at(&medium.encode(), 0)?;
            store.file.sync_all()
        };
        begin(self).map_err(|source| io_error("make", &self.path, source))
    }

    /// Opens a file and finds its records. Nothing in it is changed.
    ///
    /// # Errors
    /// It is no cartridge, of a newer version, damaged in header or state, in use, or cannot be read.
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
    /// It is no cartridge, of a newer version, damaged in header or state, or cannot be read.
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
        read_up_to(&file, FILE_HEADER_BYTES, 0, &mut header).map_err(failed)?;
        let (medium, seed) = MediumHeader::decode(&header).map_err(|fault| header_error(path, fault))?;
        if length < RECORDS_AT {
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
        let scan = scan(&file, seed, RECORDS_AT, length).map_err(failed)?;
        let store = Self {
            file,
            path: path.to_owned(),
            scratch: Vec::new(),
            torn: scan.torn,
            state_sequence,
        };
        Ok(Opened {
            store,
            medium,
            state,
            seed,
            scan,
        })
    }

    /// The file's path.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Appends a record of `record_bytes` behind `start` bytes of records; `fill` makes it.
    ///
    /// # Errors
    /// The file cannot be written. The file then ends where it ended before, or as a torn record that the next append removes.
    pub(super) fn append(
        &mut self,
        start: u64,
        record_bytes: usize,
        fill: impl FnOnce(&mut [u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        self.remove_torn_record(start)?;
        let record = room(&mut self.scratch, record_bytes)?;
        fill(record)?;
        let written = self.file.write_all_at(record, RECORDS_AT + start);
        self.torn = written.is_err();
        written.inspect_err(|_| {
            // If even this fails, `torn` makes the next append try again.
            let _ = self.remove_torn_record(start);
        })
    }

    /// Reads the record that lies from `start` to `end` bytes of records.
    ///
    /// # Errors
    /// The file cannot be read.
    pub(super) fn record(&mut self, start: u64, end: u64) -> io::Result<&[u8]> {
        let length = usize::try_from(end - start).map_err(io::Error::other)?;
        let record = room(&mut self.scratch, length)?;
        self.file.read_exact_at(record, RECORDS_AT + start)?;
        Ok(record)
    }

    /// Ends the records at `start` bytes.
    ///
    /// # Errors
    /// The file cannot be shortened; it is then as before.
    pub(super) fn truncate(&mut self, start: u64) -> io::Result<()> {
        self.file.set_len(RECORDS_AT + start)?;
        self.torn = false;
        Ok(())
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

    fn remove_torn_record(&mut self, start: u64) -> io::Result<()> {
        if self.torn { self.truncate(start) } else { Ok(()) }
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

fn room(scratch: &mut Vec<u8>, length: usize) -> io::Result<&mut [u8]> {
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

fn read_up_to(file: &File, length: usize, at: u64, out: &mut Vec<u8>) -> io::Result<()> {
    out.resize(length, 0);
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let offset = at + u64::try_from(filled).map_err(io::Error::other)?;
        match file.read_at(rest, offset)? {
            0 => break,
            count => filled += count,
        }
    }
    out.truncate(filled);
    Ok(())
}

fn read_state(file: &File) -> io::Result<Option<(CartridgeState, u64)>> {
    let mut newest: Option<(CartridgeState, u64)> = None;
    for slot_at in SLOTS_AT {
        let mut slot = Vec::new();
        read_up_to(file, SLOT_BYTES, slot_at, &mut slot)?;
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
        HeaderFault::Version(version) => CartridgeError::NewerVersion { path, version },
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
