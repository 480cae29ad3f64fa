//! The machine's clock: with its neighbour the only place where a program of this package asks the machine for the time.

use std::time::{Duration, Instant};

use tapekey::clock::{Clock, Timestamp};

/// The machine's clock.
pub(crate) struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    pub(crate) fn start() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}
