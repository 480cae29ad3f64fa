//! Service time: how long the service has run with its wall clock going as the clock that never jumps. Waits of a month are measured in it, so
//! that no clock set forward shortens one. Pure; what was measured is kept by the store.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::kms::rotation::CLOCK_TOLERANCE;

/// An interval longer than this between two looks was no running service.
const INTERVAL_MAX: Duration = Duration::from_secs(3600);

/// What the time since the last look was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kms) enum Interval {
    /// The first look, which measures nothing.
    First,
    /// So much service time.
    Passed(Duration),
    /// The wall clock jumped from where it should have been: nothing counts.
    Jumped {
        /// Where the wall clock should have been.
        expected: Timestamp,
        /// Where it was.
        found: Timestamp,
    },
    /// The service stood still: nothing counts.
    StoodStill,
}

/// Both clocks at the last look.
#[derive(Debug, Default)]
pub(in crate::kms) struct ServiceTime {
    last: Option<(Timestamp, Duration)>,
}

impl ServiceTime {
    /// Takes both clocks as they are now.
    pub(in crate::kms) fn look(&mut self, wall: Timestamp, monotonic: Duration) -> Interval {
        let Some((last_wall, last_monotonic)) = self.last.replace((wall, monotonic)) else {
            return Interval::First;
        };
        let passed = monotonic.saturating_sub(last_monotonic);
        let expected = time::Duration::try_from(passed)
            .ok()
            .and_then(|passed| last_wall.checked_add(passed))
            .unwrap_or(last_wall);
        if (wall - expected).unsigned_abs() > CLOCK_TOLERANCE.unsigned_abs() {
            Interval::Jumped { expected, found: wall }
        } else if passed > INTERVAL_MAX {
            Interval::StoodStill
        } else {
            Interval::Passed(passed)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minutes: i64) -> Timestamp {
        Timestamp::UNIX_EPOCH + time::Duration::minutes(minutes)
    }

    fn steady(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn only_time_in_which_both_clocks_agree_counts() {
        let mut time = ServiceTime::default();
        let counted = |interval| match interval {
            Interval::Passed(passed) => Some(passed.as_secs() / 60),
            Interval::First | Interval::Jumped { .. } | Interval::StoodStill => None,
        };
        // Wall clock and steady clock, in minutes.
        for (wall, minutes, counts) in [
            (1000, 0, None),
            (1001, 1, Some(1)),
            (1004, 2, Some(1)),
            (50_000, 3, None),
            (50_001, 4, Some(1)),
            (10, 5, None),
            (11, 6, Some(1)),
            (71, 66, Some(60)),
            (132, 127, None),
            (133, 128, Some(1)),
        ] {
            assert_eq!(
                counted(time.look(at(wall), steady(minutes))),
                counts,
                "{wall} at {minutes}"
            );
        }
    }
}
