//! Finds the records of a file again when it is opened.
//!
//! Nothing is written here. Headers are taken one behind the other as long as each is the next object of this tape, whole, with its payload
//! in the file. What follows otherwise is the end: empty, the torn last record of a process that was killed, or what a cut has left behind. But
//! if headers come later that can only belong to this tape, it is damage in the middle: the objects between stand as damaged, so that
//! everything around them keeps its number and stays readable.

use super::{
    index::Index,
    layout::{Extent, Layout, PAGE_BYTES, TABLE_BYTES},
    record::{MAGIC, OVERHEAD_BYTES, ObjectKind, RecordHeader, RecordKind},
    state::Cut,
};
use nix::{
    errno::Errno,
    unistd::{Whence, lseek},
};
use std::{fs::File, io, os::unix::fs::FileExt};

/// How much is read at once while looking for the next table.
const WINDOW_BYTES: u64 = 1 << 20;
/// More objects than this are not taken for lost between two tables.
const LOST_OBJECTS_MAX: u64 = 1 << 20;

/// What a scan found.
pub(super) struct Scan {
    /// All objects.
    pub(super) index: Index,
    /// Where they lie.
    pub(super) layout: Layout,
    /// Highest sequence number of a record, gone or not.
    pub(super) sequence: u64,
    /// How many bytes lie behind the last record, or where its successor's header will be.
    pub(super) torn_bytes: u64,
}

/// Scans the records of `file`, whose first table lies at `first_table_at`; what `cut` took is not there.
///
/// # Errors
/// The file cannot be read.
pub(super) fn scan(file: &File, seed: u32, cut: Cut, first_table_at: u64) -> io::Result<Scan> {
    let mut scanner = Scanner {
        file,
        seed,
        cut,
        index: Index::default(),
        layout: Layout::new(first_table_at),
        sequence: 0,
    };
    loop {
        let table = TableBytes::read(file, scanner.table_at())?;
        if scanner.walk(&table) {
            continue;
        }
        let Some((table_at, record)) = scanner.search_file(table.file_bytes)? else {
            return Ok(scanner.end(&table));
        };
        scanner.layout.begin_table(table_at);
        scanner.take(&record);
    }
}

/// A table as it lies in the file.
struct TableBytes {
    at: u64,
    bytes: Vec<u8>,
    /// How long the file was after the table was read: whatever the headers tell of was written before.
    file_bytes: u64,
}

impl TableBytes {
    fn read(file: &File, at: u64) -> io::Result<Self> {
        let mut bytes = Vec::new();
        read_up_to(file, TABLE_BYTES, at, &mut bytes)?;
        let file_bytes = file.metadata()?.len();
        Ok(Self { at, bytes, file_bytes })
    }

    /// What lies from this place in the file to the end of the table.
    fn from(&self, at: u64) -> &[u8] {
        let offset = at.checked_sub(self.at).and_then(|offset| usize::try_from(offset).ok());
        offset.and_then(|offset| self.bytes.get(offset..)).unwrap_or_default()
    }
}

struct Scanner<'a> {
    file: &'a File,
    seed: u32,
    cut: Cut,
    index: Index,
    layout: Layout,
    sequence: u64,
}

/// A record that may belong to this tape.
struct Found {
    kind: RecordKind,
    object: u64,
    sequence: u64,
    extent: Extent,
}

impl Scanner<'_> {
    fn table_at(&self) -> u64 {
        self.layout.table_end().saturating_sub(TABLE_BYTES)
    }

    /// Takes the records of the last table. Whether that has led to another table.
    fn walk(&mut self, table: &TableBytes) -> bool {
        loop {
            let next = self.record_at(table, self.layout.header_at());
            let next = next.filter(|found| found.object == self.index.objects());
            let Some(found) = next.or_else(|| self.search_table(table)) else {
                return false;
            };
            self.take(&found);
            if found.kind == RecordKind::Link {
                return true;
            }
        }
    }

    /// The record whose header lies at `at`, if it is whole and may come behind those that were taken.
    fn record_at(&self, table: &TableBytes, at: u64) -> Option<Found> {
        let header = RecordHeader::parse(table.from(at), self.seed)?;
        let extent = Extent {
            header_at: at,
            header_bytes: header.length().try_into().ok()?,
            payload_at: header.payload_at(),
            payload_bytes: header.payload_length(),
        };
        let found = Found {
            kind: header.record_kind(),
            object: header.object(),
            sequence: header.sequence(),
            extent,
        };
        let in_order = found.object >= self.index.objects()
            && found.sequence > self.sequence
            && !self.cut.took(found.object, found.sequence);
        let behind = extent.payload_at >= self.layout.payload_from().max(table.at.saturating_add(TABLE_BYTES));
        let whole = match found.kind {
            RecordKind::Link => extent.payload_at.is_multiple_of(PAGE_BYTES),
            RecordKind::Object(_) => extent.payload_bytes == 0 || extent.payload_end() <= table.file_bytes,
        };
        (in_order && behind && whole).then_some(found)
    }

    /// The next record behind damage in the same table.
    fn search_table(&self, table: &TableBytes) -> Option<Found> {
        let damage_at = self.layout.header_at();
        let words = table.from(damage_at).windows(MAGIC.len()).enumerate().skip(1);
        let candidates = words.filter(|(_, word)| *word == MAGIC);
        candidates
            .filter_map(|(offset, _)| self.record_at(table, damage_at.saturating_add(wide(offset))))
            .find(|found| {
                let lost = found.object.saturating_sub(self.index.objects());
                let gap = found.extent.header_at.saturating_sub(damage_at);
                lost > 0 && lost <= gap / wide(OVERHEAD_BYTES) + 1
            })
    }

    /// The next table behind one whose link is lost, and its first record.
    fn search_file(&self, file_bytes: u64) -> io::Result<Option<(u64, Found)>> {
        let mut window = Vec::new();
        let mut window_at = self.layout.payload_from().next_multiple_of(PAGE_BYTES);
        while let Some(data_at) = data_from(self.file, window_at)?.filter(|at| *at < file_bytes) {
            window_at = data_at / PAGE_BYTES * PAGE_BYTES;
            read_up_to(self.file, WINDOW_BYTES, window_at, &mut window)?;
            let pages = (window_at..).step_by(PAGE_STEP).zip(window.chunks(PAGE_STEP));
            for (table_at, _) in pages.filter(|(_, page)| page.starts_with(&MAGIC)) {
                let table = TableBytes::read(self.file, table_at)?;
                let near = |found: &Found| found.object.saturating_sub(self.index.objects()) <= LOST_OBJECTS_MAX;
                if let Some(found) = self.record_at(&table, table_at).filter(near) {
                    return Ok(Some((table_at, found)));
                }
            }
            window_at = window_at.saturating_add(WINDOW_BYTES);
        }
        Ok(None)
    }

    /// Takes a record in, and before it the objects that are lost.
    fn take(&mut self, found: &Found) {
        let Extent {
            header_at, payload_at, ..
        } = found.extent;
        let gap =
            payload_at.saturating_sub(self.layout.payload_from()) + header_at.saturating_sub(self.layout.header_at());
        let mut lost_bytes = gap;
        while self.index.objects() < found.object {
            self.index.push(ObjectKind::Damaged, 0, lost_bytes);
            lost_bytes = 0;
            self.layout.push(Extent {
                header_at,
                header_bytes: 0,
                payload_at,
                payload_bytes: 0,
            });
        }
        let RecordKind::Object(kind) = found.kind else {
            self.layout.begin_table(payload_at);
            return;
        };
        let record_bytes = u64::from(found.extent.header_bytes) + u64::from(found.extent.payload_bytes);
        self.index.push(kind, found.extent.payload_bytes, record_bytes);
        self.layout.push(found.extent);
        self.sequence = found.sequence;
    }

    /// What was found, once `table` has nothing more.
    fn end(self, table: &TableBytes) -> Scan {
        let (header_at, tail) = (self.layout.header_at(), self.layout.tail());
        let left_in_table = table.from(header_at).iter().rposition(|byte| *byte != 0);
        let left_in_table = left_in_table.map_or(0, |last| wide(last) + 1);
        let before_tail = tail.saturating_sub(header_at).min(left_in_table);
        Scan {
            index: self.index,
            layout: self.layout,
            // The next record must not pass for one that the cut took.
            sequence: self.sequence.max(self.cut.sequence),
            torn_bytes: table.file_bytes.saturating_sub(tail) + before_tail,
        }
    }
}

/// Where the next byte is that lies in no hole. A file may be longer than could ever be read, and a hole from end to end.
fn data_from(file: &File, at: u64) -> io::Result<Option<u64>> {
    let Ok(from) = i64::try_from(at) else { return Ok(None) };
    match lseek(file, from, Whence::SeekData) {
        Ok(found) => u64::try_from(found).map(Some).map_err(io::Error::other),
        Err(Errno::ENXIO) => Ok(None),
        // A file system that knows of no holes.
        Err(Errno::EINVAL) => Ok(Some(at)),
        Err(error) => Err(error.into()),
    }
}

/// Reads up to `length` bytes, fewer only where the file ends.
pub(super) fn read_up_to(file: &File, length: u64, at: u64, out: &mut Vec<u8>) -> io::Result<()> {
    out.resize(usize::try_from(length).map_err(io::Error::other)?, 0);
    let mut filled = 0;
    while let Some(rest) = out.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let Some(offset) = at
            .checked_add(wide(filled))
            .filter(|offset| i64::try_from(*offset).is_ok())
        else {
            break;
        };
        match file.read_at(rest, offset)? {
            0 => break,
            count => filled += count,
        }
    }
    out.truncate(filled);
    Ok(())
}

/// [`PAGE_BYTES`] as a number of bytes in memory.
const PAGE_STEP: usize = 4096;

/// A length in memory as one in the file.
pub(super) fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
