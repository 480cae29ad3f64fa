//! Records in memory, in segments that are kept for reuse when the tape is overwritten.

/// Length of a segment. Zeroed memory of this size comes from the kernel page by page as it is touched, so an empty one costs nothing.
const SEGMENT_BYTES: usize = 64 << 20;

/// The store of a cartridge in memory.
#[derive(Default)]
pub(super) struct MemoryStore {
    segments: Vec<Vec<u8>>,
    /// Segment and range of each record.
    places: Vec<(usize, usize, usize)>,
}

impl MemoryStore {
    /// Room for one more record of `record_bytes`, to be filled by the caller. None if it is longer than a segment.
    ///
    /// What was in the room before is not defined. If the record cannot be filled, [`truncate`](Self::truncate) gives the room back.
    pub(super) fn append(&mut self, record_bytes: usize) -> Option<&mut [u8]> {
        let (mut segment, mut start) = self.places.last().map_or((0, 0), |(segment, _, end)| (*segment, *end));
        if SEGMENT_BYTES - start < record_bytes {
            (segment, start) = (segment + 1, 0);
        }
        if segment >= self.segments.len() {
            self.segments.push(vec![0; SEGMENT_BYTES]);
        }
        let end = start.checked_add(record_bytes)?;
        let room = self.segments.get_mut(segment)?.get_mut(start..end)?;
        self.places.push((segment, start, end));
        Some(room)
    }

    /// The record of an object.
    pub(super) fn record(&self, object: usize) -> Option<&[u8]> {
        let (segment, start, end) = *self.places.get(object)?;
        self.segments.get(segment)?.get(start..end)
    }

    /// Forgets the record of this object and all after it. Their memory is kept for what is written next.
    pub(super) fn truncate(&mut self, objects: usize) {
        self.places.truncate(objects);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_a_new_segment_when_a_record_does_not_fit_into_the_rest() {
        let mut store = MemoryStore::default();
        store.append(SEGMENT_BYTES - 1).unwrap().fill(1);
        store.append(2).unwrap().fill(2);
        assert_eq!(store.record(0).unwrap().len(), SEGMENT_BYTES - 1);
        assert_eq!(store.record(1), Some(&[2, 2][..]));
        assert!(store.append(SEGMENT_BYTES + 1).is_none());
    }

    #[test]
    fn reuses_the_memory_of_what_was_overwritten() {
        let mut store = MemoryStore::default();
        store.append(3).unwrap().copy_from_slice(b"old");
        store.truncate(0);
        store.append(3).unwrap().copy_from_slice(b"new");
        assert_eq!((store.record(0), store.segments.len()), (Some(&b"new"[..]), 1));
    }
}
