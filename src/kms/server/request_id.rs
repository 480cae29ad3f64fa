//! Names for requests: they join the lines of a log, and the answer that a client got, to one request.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::HeaderName;

use crate::clock::Timestamp;

/// The answer's header with the request's id.
pub(super) const HEADER: HeaderName = HeaderName::from_static("tapekey-request-id");

/// Numbers requests.
pub(super) struct RequestIds {
    /// Tells the runs of a service apart: when this one started.
    run: i64,
    next: AtomicU64,
}

/// One request's id: the second in which the service started and a number, both in hex.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct RequestId {
    run: i64,
    number: u64,
}

impl RequestIds {
    /// For a service that starts at `now`.
    pub(super) fn since(now: Timestamp) -> Self {
        Self {
            run: now.unix_timestamp(),
            next: AtomicU64::new(1),
        }
    }

    pub(super) fn draw(&self) -> RequestId {
        RequestId {
            run: self.run,
            number: self.next.fetch_add(1, Ordering::Relaxed),
        }
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:x}-{:x}", self.run, self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_requests_have_the_same_id() {
        let ids = RequestIds::since(Timestamp::UNIX_EPOCH + std::time::Duration::from_secs(0x6b04_5ec0));
        assert_eq!(ids.draw().to_string(), "6b045ec0-1");
        assert_eq!(ids.draw().to_string(), "6b045ec0-2");
    }
}
