//! How long things take: one table of plausible numbers for a full-height LTO-8 drive, and where on the tape a byte lies.
//!
//! Drive makers publish load, rewind and stream figures; the rest is chosen to be of the right size. Nothing else in the crate depends on them.

use std::time::Duration;

/// From the cartridge's arrival to READY.
pub(super) const LOAD: Duration = Duration::from_secs(15);
/// From the beginning of the tape to the cartridge in the mouth of the drive.
pub(super) const UNLOAD: Duration = Duration::from_secs(20);
/// To stop the tape and start it again elsewhere.
const REPOSITION: Duration = Duration::from_millis(2_500);
/// To bring what is buffered onto the tape and come to a stop.
pub(super) const FLUSH: Duration = Duration::from_millis(1_500);
/// To write the end of data.
pub(super) const SHORT_ERASE: Duration = Duration::from_secs(3);
/// To lay out a blank tape.
pub(super) const FORMAT: Duration = Duration::from_secs(40);
/// What a host waits between two questions whether the drive is ready.
pub(super) const QUESTION: Duration = Duration::from_secs(1);

/// Longest way from one end of the tape to the other: 960 m at 16 m/s.
const END_TO_END: Duration = Duration::from_secs(60);
/// The tape is written to and fro in so many passes.
const WRAPS: u64 = 208;
/// Bytes a second while it streams, uncompressed.
const BYTES_PER_SECOND: u64 = 360_000_000;

/// How long this many bytes take in one go.
pub(super) const fn stream(bytes: u64) -> Duration {
    let (seconds, rest) = (bytes / BYTES_PER_SECOND, bytes % BYTES_PER_SECOND);
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(rest * 1_000 / (BYTES_PER_SECOND / 1_000_000)))
}

/// How long the head takes from one place to another, both in bytes from the beginning, on a tape that holds `capacity`.
pub(super) fn travel(capacity: u64, from: u64, to: u64) -> Duration {
    if from == to {
        return Duration::ZERO;
    }
    let distance = place(capacity, from).abs_diff(place(capacity, to));
    REPOSITION.saturating_add(END_TO_END.mul_f64(f64::from(distance) / f64::from(u16::MAX)))
}

/// Where along the tape a byte lies, from 0 at the beginning to 65 535 at the far end: every second pass goes backwards.
fn place(capacity: u64, byte: u64) -> u16 {
    let wrap = (capacity / WRAPS).max(1);
    let along = (byte % wrap).saturating_mul(u64::from(u16::MAX)) / wrap;
    let along = u16::try_from(along).unwrap_or(u16::MAX);
    if (byte / wrap).is_multiple_of(2) {
        along
    } else {
        u16::MAX - along
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPACITY: u64 = 12_000_000_000_000;

    #[test]
    fn streams_a_full_tape_in_nine_hours() {
        assert_eq!(stream(CAPACITY).as_secs(), 33_333);
        assert_eq!(stream(360), Duration::from_micros(1));
        assert_eq!(stream(0), Duration::ZERO);
    }

    #[test]
    fn goes_to_and_fro() {
        let wrap = CAPACITY / WRAPS;
        assert_eq!(travel(CAPACITY, 7, 7), Duration::ZERO);
        let far = travel(CAPACITY, 0, wrap - 1);
        assert!((62..=63).contains(&far.as_secs()), "{far:?}");
        let near = travel(CAPACITY, 0, 2 * wrap - 1);
        assert!(
            near.as_secs() < 3,
            "the second pass ends where the first began: {near:?}"
        );
        assert_eq!(travel(CAPACITY, 0, wrap / 2), travel(CAPACITY, wrap / 2, 0));
        assert!(travel(100, 0, 99) >= REPOSITION);
    }
}
