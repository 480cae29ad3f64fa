//! What the KMIP tests share: a real server to start (PyKMIP), an in-process server that behaves as other servers do and worse, a small
//! client that sends what the product never sends, and certificates for all of them. TTLV is written here once more, by itself: nothing of
//! the product's own codec is used, so that no mistake can be on both sides of the wire.
#![allow(dead_code, unused_imports, reason = "each test file uses its own part")]

pub(crate) mod certificates;
pub(crate) mod client;
pub(crate) mod everywhere;
pub(crate) mod fake;
pub(crate) mod pykmip;
pub(crate) mod tags;
pub(crate) mod talk;
pub(crate) mod ttlv;

use std::future::Future;
use std::time::Duration;

/// Longer than anything here should take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits, but not for ever.
pub(crate) async fn in_time<T>(what: &str, waited_for: impl Future<Output = T>) -> T {
    let Ok(done) = tokio::time::timeout(PATIENCE, waited_for).await else {
        panic!("{what}: not within {PATIENCE:?}");
    };
    done
}
