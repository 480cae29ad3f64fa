//! How the store's commits go, counted by its thread and read by anybody. Numbers alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

/// Counts commits. Clones count together.
#[derive(Debug, Clone)]
pub(in crate::kms) struct Meter {
    /// Seconds that the disk took to make a commit durable: 0.25 ms to 8 s.
    pub(in crate::kms) seconds: Histogram,
    /// Transactions that could not be begun or committed.
    pub(in crate::kms) failures: Counter,
    /// When the last one succeeded, in milliseconds of the clock that never jumps; [`NEVER`] before the first.
    last: Arc<AtomicU64>,
}

const NEVER: u64 = u64::MAX;

impl Meter {
    pub(super) fn new() -> Self {
        Self {
            seconds: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            failures: Counter::default(),
            last: Arc::new(AtomicU64::new(NEVER)),
        }
    }

    pub(super) fn committed(&self, began: Duration, ended: Duration) {
        self.seconds.observe(ended.saturating_sub(began).as_secs_f64());
        let millis = u64::try_from(ended.as_millis()).unwrap_or(NEVER - 1);
        self.last.store(millis, Ordering::Relaxed);
    }

    /// How long ago at `now` the last commit was; `None` before the first.
    pub(in crate::kms) fn since_last(&self, now: Duration) -> Option<Duration> {
        match self.last.load(Ordering::Relaxed) {
            NEVER => None,
            millis => Some(now.saturating_sub(Duration::from_millis(millis))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn before_the_first_commit_there_is_no_last_one() {
        let meter = Meter::new();
        let second = Duration::from_secs(1);
        assert_eq!(meter.since_last(second), None);
        meter.committed(Duration::ZERO, second);
        assert_eq!(meter.since_last(second * 3), Some(second * 2));
    }
}
