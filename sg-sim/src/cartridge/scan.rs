//! Finds the records of a file again when it is opened.
//!
//! Nothing is written here. What does not parse at the end is the torn last record of a process that was killed: it is left out. What does
//! not parse, but has whole records of the same cartridge behind it, is damage in the middle: those objects stand as damaged, so that
//! everything around them keeps its number and stays readable.

use super::{
    index::Index,
    record::{HEADER_BYTES, MAGIC, OVERHEAD_BYTES, ObjectKind, RecordHeader},
};
use std::{fs::File, io, os::unix::fs::FileExt};

/// How much is read at once while looking for the next whole record.
const WINDOW_BYTES: usize = 1 << 20;

/// What a scan found.
pub(super) struct Scan {
    /// All objects.
    pub(super) index: Index,
    /// Highest sequence number of a record.
    pub(super) sequence: u64,
    /// Bytes lie behind the last record.
    pub(super) torn: bool,
}

struct Found {
    kind: ObjectKind,
    object: u64,
    sequence: u64,
    payload_length: u32,
    record_bytes: u64,
}

/// Scans the records of `file` that lie from `start` to `end`.
///
/// # Errors
/// The file cannot be read.
pub(super) fn scan(file: &File, seed: u32, start: u64, end: u64) -> io::Result<Scan> {
    let mut scan = Scan {
        index: Index::default(),
        sequence: 0,
        torn: false,
    };
    let mut at = start;
    while at < end {
        let next = |found: &Found| found.object == scan.index.objects() && found.sequence > scan.sequence;
        if let Some(found) = record_at(file, seed, at, end)?.filter(next) {
            at += found.record_bytes;
            scan.push(&found);
            continue;
        }
        let Some((behind, found)) = record_behind(file, seed, at, end, &scan)? else {
            scan.torn = true;
            break;
        };
        scan.push_damaged(found.object, behind - at);
        at = behind + found.record_bytes;
        scan.push(&found);
    }
    Ok(scan)
}

impl Scan {
    fn push(&mut self, found: &Found) {
        self.index.push(found.kind, found.payload_length, found.record_bytes);
        self.sequence = found.sequence;
    }

    /// Fills the objects up to `object` with damage that takes `gap` bytes in all.
    fn push_damaged(&mut self, object: u64, gap: u64) {
        self.index.push(ObjectKind::Damaged, 0, gap);
        while self.index.objects() < object {
            self.index.push(ObjectKind::Damaged, 0, 0);
        }
    }

    /// Whether a whole record found behind `gap` bytes of damage belongs there.
    fn continues_with(&self, found: &Found, gap: u64) -> bool {
        let missing = found.object.saturating_sub(self.index.objects());
        let shortest = u64::try_from(OVERHEAD_BYTES).unwrap_or(u64::MAX);
        found.sequence > self.sequence && missing > 0 && missing <= gap / shortest + 1
    }
}

/// The record at `at`, if it is whole: header and trailer fit, and it ends before `end`.
fn record_at(file: &File, seed: u32, at: u64, end: u64) -> io::Result<Option<Found>> {
    let mut fixed = [0; HEADER_BYTES];
    let left = end - at;
    if left < wide(OVERHEAD_BYTES) {
        return Ok(None);
    }
    file.read_exact_at(&mut fixed, at)?;
    let Some(length) = RecordHeader::length(&fixed).filter(|length| wide(*length) + 8 <= left) else {
        return Ok(None);
    };
    let mut head = vec![0; length + 4];
    file.read_exact_at(&mut head, at)?;
    let Some(header) = RecordHeader::parse(&head, seed) else {
        return Ok(None);
    };
    let trailer_at = wide(header.payload_start()) + u64::from(header.payload_length());
    if trailer_at + 4 > left {
        return Ok(None);
    }
    let mut trailer = [0; 4];
    file.read_exact_at(&mut trailer, at + trailer_at)?;
    Ok((trailer == header.trailer()).then(|| Found {
        kind: header.kind(),
        object: header.object(),
        sequence: header.sequence(),
        payload_length: header.payload_length(),
        record_bytes: trailer_at + 4,
    }))
}

/// The next whole record behind damage at `at`, and where it lies.
fn record_behind(file: &File, seed: u32, at: u64, end: u64, scan: &Scan) -> io::Result<Option<(u64, Found)>> {
    let mut window = vec![0; WINDOW_BYTES];
    let mut window_at = at + 1;
    while window_at < end {
        let length = usize::try_from(end - window_at).map_or(WINDOW_BYTES, |left| left.min(WINDOW_BYTES));
        let Some(bytes) = window.get_mut(..length) else { break };
        file.read_exact_at(bytes, window_at)?;
        for (offset, _) in bytes
            .windows(MAGIC.len())
            .enumerate()
            .filter(|(_, word)| *word == MAGIC)
        {
            let candidate = window_at + wide(offset);
            let found = record_at(file, seed, candidate, end)?;
            if let Some(found) = found.filter(|found| scan.continues_with(found, candidate - at)) {
                return Ok(Some((candidate, found)));
            }
        }
        // The next window begins inside this one's end, lest a magic that lies across both be missed.
        window_at += wide(length.saturating_sub(MAGIC.len() - 1).max(1));
    }
    Ok(None)
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
