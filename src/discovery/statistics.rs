//! What programs do with a drive, by the counters of st: seen without touching the drive.

use std::time::Duration;

use super::file;
use super::nodes::Node;
use super::tree::Tree;

/// The counters of a drive since st bound to it (Linux, `Documentation/scsi/st.rst`: "sysfs and statistics").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Commands that the drive has not answered yet.
    pub in_flight: u64,
    /// Reads.
    pub reads: u64,
    /// Bytes read.
    pub bytes_read: u64,
    /// Writes.
    pub writes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Other commands: positioning, filemarks.
    pub others: u64,
}

/// What a program did with a drive between two looks at its counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Nothing.
    Idle,
    /// It wrote blocks, whatever else it did.
    Writing,
    /// It read blocks and wrote none.
    Reading,
    /// It moved the tape, wrote filemarks, or waits for a command to end.
    Positioning,
}

impl Statistics {
    /// What happened since `earlier`. Counters that went back belong to a drive that was found anew, so all of them count.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Activity {
        let earlier = if self.went_back(earlier) {
            &Self::default()
        } else {
            earlier
        };
        if self.writes > earlier.writes {
            Activity::Writing
        } else if self.reads > earlier.reads {
            Activity::Reading
        } else if self.others > earlier.others || self.in_flight > 0 {
            Activity::Positioning
        } else {
            Activity::Idle
        }
    }

    fn went_back(&self, earlier: &Self) -> bool {
        self.writes < earlier.writes || self.reads < earlier.reads || self.others < earlier.others
    }
}

/// How long the counters have to stand still before a drive counts as idle: a program that fills a buffer pauses for seconds.
pub const IDLE_AFTER: Duration = Duration::from_secs(10);

impl Tree {
    /// The counters of the drive that `tape` belongs to; nothing if st does not keep them or the drive has gone.
    #[must_use]
    pub fn statistics(&self, tape: &Node) -> Option<Statistics> {
        let folder = self
            .sysfs
            .join("class/scsi_tape")
            .join(tape.path.file_name()?)
            .join("stats");
        let counter = |name| file::number(&folder.join(name));
        Some(Statistics {
            in_flight: counter("in_flight")?,
            reads: counter("read_cnt")?,
            bytes_read: counter("read_byte_cnt")?,
            writes: counter("write_cnt")?,
            bytes_written: counter("write_byte_cnt")?,
            others: counter("other_cnt")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writing_counts_before_reading_and_that_before_positioning() {
        let before = Statistics {
            reads: 5,
            writes: 7,
            others: 9,
            ..Statistics::default()
        };
        let later = |change: fn(&mut Statistics)| {
            let mut later = before;
            change(&mut later);
            later.since(&before)
        };
        assert_eq!(later(|_| {}), Activity::Idle);
        assert_eq!(later(|now| now.in_flight = 1), Activity::Positioning);
        assert_eq!(later(|now| now.others += 1), Activity::Positioning);
        assert_eq!(
            later(|now| {
                now.others += 1;
                now.reads += 1;
            }),
            Activity::Reading
        );
        assert_eq!(
            later(|now| {
                now.reads += 1;
                now.writes += 1;
            }),
            Activity::Writing
        );
    }

    #[test]
    fn a_drive_that_was_found_anew_has_done_what_its_new_counters_say() {
        let before = Statistics {
            reads: 5,
            writes: 7,
            ..Statistics::default()
        };
        let anew = Statistics {
            reads: 1,
            ..Statistics::default()
        };
        assert_eq!(anew.since(&before), Activity::Reading);
        assert_eq!(Statistics::default().since(&before), Activity::Idle);
    }
}
