//! The real clock and the real randomness: the only place where a program of this package asks the machine for either.

use std::time::{Duration, Instant};

use tapekey::clock::{Clock, Timestamp};
use tapekey::entropy::{Entropy, EntropyError};

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

/// The kernel's randomness, getrandom(2).
pub(crate) struct KernelEntropy;

impl Entropy for KernelEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let wanted = bytes.len();
        getrandom::fill(bytes).map_err(|error| EntropyError {
            wanted,
            reason: error.to_string(),
        })
    }
}
