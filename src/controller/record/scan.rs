//! What a scan saw, as its job keeps it: files in a row that begin alike are one entry, and there is a limit to entries.

use crate::controller::job::{BeginsWith, JobFound, JobScan};
use crate::drive::{Place, Standing};
use crate::kad::OurKad;

/// Most entries. A tape that other software wrote with a KAD of its own for each file has more; the rest is counted.
const FOUND_MAX: usize = 256;

/// Adds the next file.
pub(super) fn add(scan: &mut JobScan, place: Place) {
    let file = scan.files;
    scan.files = scan.files.saturating_add(1);
    scan.object = place.object;
    let found = found(file, place);
    let is_full = scan.found.len() >= FOUND_MAX;
    match scan.found.last_mut() {
        Some(last) if begin_alike(last, &found) && last.last_file.saturating_add(1) == file => last.last_file = file,
        _ if is_full => scan.cut_off = true,
        _ => scan.found.push(found),
    }
}

fn begin_alike(one: &JobFound, other: &JobFound) -> bool {
    one.begins_with == other.begins_with && one.kad == other.kad && one.a_kad == other.a_kad
}

fn found(file: u64, place: Place) -> JobFound {
    let (begins_with, unauthenticated, authenticated) = match place.standing {
        Standing::Encrypted {
            unauthenticated_kad,
            authenticated_kad,
        } => {
            // We never write an A-KAD; some drives show a missing one as padding.
            let no_a_kad = authenticated_kad.iter().all(|byte| matches!(byte, 0x00 | 0x20));
            let ours = no_a_kad && OurKad::decode(&unauthenticated_kad).is_some();
            let kind = if ours {
                BeginsWith::OurKad
            } else {
                BeginsWith::ForeignKad
            };
            (kind, unauthenticated_kad, authenticated_kad)
        }
        Standing::OtherAlgorithm => (BeginsWith::OtherAlgorithm, Vec::new(), Vec::new()),
        Standing::Plain => (BeginsWith::Plain, Vec::new(), Vec::new()),
        Standing::Filemark => (BeginsWith::Filemark, Vec::new(), Vec::new()),
        Standing::EndOfData | Standing::NotTold => (BeginsWith::NotTold, Vec::new(), Vec::new()),
    };
    let ours = OurKad::decode(&unauthenticated).filter(|_| begins_with == BeginsWith::OurKad);
    JobFound {
        first_file: file,
        last_file: file,
        first_object: place.object,
        begins_with,
        key_id: ours.map(|kad| kad.key_id().to_string()),
        kad: super::hex_if_any(&unauthenticated),
        a_kad: super::hex_if_any(&authenticated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(object: u64, kad: &[u8]) -> Place {
        Place {
            object: Some(object),
            standing: Standing::Encrypted {
                unauthenticated_kad: kad.to_vec(),
                authenticated_kad: Vec::new(),
            },
        }
    }

    #[test]
    fn files_that_begin_alike_are_one_entry_and_no_entry_reaches_over_a_gap() {
        let mut scan = JobScan::default();
        for place in [block(0, b"a"), block(7, b"a"), block(9, b"b"), block(20, b"a")] {
            add(&mut scan, place);
        }
        let runs: Vec<_> = scan
            .found
            .iter()
            .map(|found| (found.first_file, found.last_file, found.first_object))
            .collect();
        assert_eq!(runs, [(0, 1, Some(0)), (2, 2, Some(9)), (3, 3, Some(20))]);
        assert_eq!((scan.files, scan.object, scan.cut_off), (4, Some(20), false));
    }

    #[test]
    fn more_entries_than_are_kept_are_counted() {
        let mut scan = JobScan::default();
        for file in 0..1000_u64 {
            add(&mut scan, block(file, &file.to_be_bytes()));
        }
        assert_eq!((scan.files, scan.found.len(), scan.cut_off), (1000, FOUND_MAX, true));
        add(&mut scan, block(1000, &255_u64.to_be_bytes()));
        assert_eq!(
            scan.found[255].last_file, 255,
            "an entry does not swallow what was left out"
        );
    }
}
