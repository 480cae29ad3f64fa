//! How often one client may ask, whichever of its certificates it shows: a bucket for each, which fills again at a steady rate.
//!
//! A bucket is kept as the moment at which it will be full (the generic cell rate algorithm): nothing runs while nobody asks.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::config::Limits;

/// Buckets kept; full ones are forgotten when there are more.
const BUCKETS_MAX: usize = 4096;

/// At most one audit record in this time says that somebody asks too often: else asking would fill the log.
const TELL_EVERY: Duration = Duration::from_secs(60);

/// How often an address may try a token: typing it wrong a few times is human.
const ATTEMPT_EVERY: Duration = Duration::from_secs(10);
const ATTEMPTS_AT_ONCE: u32 = 5;

/// Whether somebody may ask now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    Granted,
    TooMany {
        /// Until the next request may come.
        wait: Duration,
        /// Whether the audit log has been told of it lately.
        told: bool,
    },
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    full_at: Duration,
    told_at: Option<Duration>,
}

/// The buckets of all clients, or of all addresses.
#[derive(Debug)]
pub(super) struct Rates {
    /// What one request takes out.
    interval: Duration,
    /// What a full bucket holds.
    depth: Duration,
    buckets: Mutex<HashMap<String, Bucket>>,
}

impl Rates {
    /// For holders of certificates.
    pub(super) fn new(limits: &Limits) -> Self {
        let interval = Duration::from_secs(1) / limits.requests_per_second.get();
        Self::of(interval, limits.requests_burst.get())
    }

    /// For those who come with a token.
    pub(super) fn of_attempts() -> Self {
        Self::of(ATTEMPT_EVERY, ATTEMPTS_AT_ONCE)
    }

    fn of(interval: Duration, burst: u32) -> Self {
        Self {
            interval,
            depth: interval.saturating_mul(burst),
            buckets: Mutex::default(),
        }
    }

    /// Takes one request out of the bucket of somebody, by the name in its certificate or by address, if there is one in it.
    pub(super) fn admit(&self, who: &str, now: Duration) -> Admission {
        // A thread that panicked here left a map that is still whole.
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(who) {
            buckets.retain(|_, bucket| bucket.full_at > now);
        }
        let bucket = buckets.entry(who.to_owned()).or_insert(Bucket {
            full_at: now,
            told_at: None,
        });
        let full_at = bucket.full_at.max(now) + self.interval;
        let wait = full_at.saturating_sub(now).saturating_sub(self.depth);
        if wait.is_zero() {
            bucket.full_at = full_at;
            return Admission::Granted;
        }
        let told = bucket.told_at.is_some_and(|told| now.saturating_sub(told) < TELL_EVERY);
        if !told {
            bucket.told_at = Some(now);
        }
        Admission::TooMany { wait, told }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(requests_per_second: u32, requests_burst: u32) -> Rates {
        Rates::new(&Limits {
            requests_per_second: requests_per_second.try_into().unwrap(),
            requests_burst: requests_burst.try_into().unwrap(),
            ..Limits::default()
        })
    }

    fn granted(rates: &Rates, who: &str, now_ms: u64) -> usize {
        let ask = || rates.admit(who, Duration::from_millis(now_ms));
        (0..1000).take_while(|_| ask() == Admission::Granted).count()
    }

    #[test]
    fn a_burst_is_served_and_then_the_steady_rate() {
        let rates = rates(10, 5);
        assert_eq!(granted(&rates, "a", 1_000), 5);
        assert_eq!(granted(&rates, "b", 1_000), 5, "each client has its own");
        assert_eq!(granted(&rates, "a", 1_099), 0);
        assert_eq!(granted(&rates, "a", 1_100), 1);
        assert_eq!(granted(&rates, "a", 1_300), 2);
        assert_eq!(granted(&rates, "a", 900_000), 5, "and no more than full");
    }

    #[test]
    fn whoever_asks_too_often_is_told_how_long_to_wait_and_written_down_once_a_minute() {
        let rates = rates(10, 1);
        let ask = |seconds| rates.admit("a", Duration::from_secs(seconds));
        let wait = Duration::from_millis(100);
        assert_eq!(ask(5), Admission::Granted);
        assert_eq!(ask(5), Admission::TooMany { wait, told: false });
        assert_eq!(ask(5), Admission::TooMany { wait, told: true });
        assert_eq!(ask(64), Admission::Granted);
        assert_eq!(ask(64), Admission::TooMany { wait, told: true });
        assert_eq!(ask(65), Admission::Granted);
        assert_eq!(ask(65), Admission::TooMany { wait, told: false });
    }

    #[test]
    fn buckets_that_are_full_again_take_no_room() {
        let rates = rates(10, 5);
        for who in 0..10_000_u64 {
            rates.admit(&who.to_string(), Duration::from_secs(who));
        }
        assert!(rates.buckets.lock().unwrap().len() <= BUCKETS_MAX);
    }
}
