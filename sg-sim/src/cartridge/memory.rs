//! Records in memory, in segments that are kept for reuse when the tape is overwritten.

/// Length of a segment. Zeroed memory of this size comes from the kernel page by page as it is touched, so an empty one costs nothing.
const SEGMENT_BYTES: usize = 64 << 20;

/// The store of a cartridge in memory.
#[derive(Default)]
pub(super) struct MemoryStore {
    segments: Vec<Vec<u8>>,
    /// Where each record lies.
    places: Vec<Place>,
}

#[derive(Clone, Copy)]
struct Place {
    segment: usize,
    start: usize,
    payload: usize,
    end: usize,
}

impl MemoryStore {
    /// Room for header and payload of one more record, to be filled by the caller. None if it is longer than a segment.
    ///
    /// What was in the room before is not defined. If the record cannot be filled, [`truncate`](Self::truncate) gives the room back.
    pub(super) fn append(&mut self, header_bytes: usize, payload_bytes: usize) -> Option<(&mut [u8], &mut [u8])> {
        let record_bytes = header_bytes.checked_add(payload_bytes)?;
        let (mut segment, mut start) = self.places.last().map_or((0, 0), |last| (last.segment, last.end));
        if SEGMENT_BYTES - start < record_bytes {
            (segment, start) = (segment + 1, 0);
        }
        if segment >= self.segments.len() {
            self.segments.push(vec![0; SEGMENT_BYTES]);
        }
        let end = start.checked_add(record_bytes)?;
        let room = self.segments.get_mut(segment)?.get_mut(start..end)?;
        self.places.push(Place {
            segment,
            start,
            payload: start + header_bytes,
            end,
        });
        room.split_at_mut_checked(header_bytes)
    }

    /// Header and payload of the record of an object.
    pub(super) fn record(&self, object: usize) -> Option<(&[u8], &[u8])> {
        let place = *self.places.get(object)?;
        let segment = self.segments.get(place.segment)?;
        Some((
            segment.get(place.start..place.payload)?,
            segment.get(place.payload..place.end)?,
        ))
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
        store.append(3, SEGMENT_BYTES - 4).unwrap().1.fill(1);
        store.append(1, 2).unwrap().1.fill(2);
        assert_eq!(store.record(0).unwrap().1.len(), SEGMENT_BYTES - 4);
        assert_eq!(store.record(1), Some((&[0][..], &[2, 2][..])));
        assert!(store.append(1, SEGMENT_BYTES).is_none());
    }

    #[test]
    fn reuses_the_memory_of_what_was_overwritten() {
        let mut store = MemoryStore::default();
        store.append(0, 3).unwrap().1.copy_from_slice(b"old");
        store.truncate(0);
        store.append(0, 3).unwrap().1.copy_from_slice(b"new");
        let kept = store.record(0).unwrap().1;
        assert_eq!((kept, store.segments.len()), (&b"new"[..], 1));
    }
}
