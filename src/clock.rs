//! The time, as it is passed in: nothing in this library reads a clock of the machine, so that daemon and KMS can run on a virtual one.
//!
//! Only the programs in `src/bin/` make the real clock.

use std::time::Duration;

pub use time::OffsetDateTime as Timestamp;

/// `time` as people and programs read it: RFC 3339, to the second.
#[must_use]
pub fn to_text(time: Timestamp) -> String {
    let whole = time.replace_nanosecond(0).unwrap_or(time);
    // Only years that need more than four digits have no such form.
    whole
        .format(&time::format_description::well_known::Rfc3339)
        .unwrap_or_else(|_| whole.to_string())
}

/// Where the time comes from.
#[cfg_attr(test, mockall::automock)]
pub trait Clock: Send + Sync {
    /// Wall clock time in UTC. May jump; good for records that people read and for certificate dates, never for measuring waits.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary fixed moment. Never jumps and never goes back; good for measuring, meaningless as a date.
    fn monotonic(&self) -> Duration;
}
