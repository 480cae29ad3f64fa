//! Whose certificate is good, known without asking the store each time: what was read is believed for a few seconds, and forgotten at once
//! when this node changes anything. Other nodes' changes are seen when it is read again; what hands out a key or changes anything asks the
//! store itself in any case, in its own transaction: for the certificate and, where a key goes out, for the groups that it is bound to.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::store::certificates::Stored;

/// How long what was read is believed.
const BELIEVED: Duration = Duration::from_secs(5);

/// Certificates remembered; all are forgotten when there are more.
const KNOWN_MAX: usize = 4096;

/// What is known of certificates, by fingerprint.
#[derive(Debug, Default)]
pub(super) struct Admissions(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// Grows whenever all is forgotten: what was read before that is not remembered after it.
    age: u64,
    read: HashMap<String, (Duration, Stored)>,
}

impl Admissions {
    /// The certificate with that fingerprint; or, for what will be read, when that was.
    pub(super) fn of(&self, fingerprint: &str, now: Duration) -> Result<Stored, u64> {
        let known = self.lock();
        let found = known.read.get(fingerprint);
        let fresh = found.filter(|(read, _)| now.saturating_sub(*read) < BELIEVED);
        fresh.map(|(_, stored)| stored.clone()).ok_or(known.age)
    }

    pub(super) fn remember(&self, stored: Stored, now: Duration, age: u64) {
        let mut known = self.lock();
        if known.age != age {
            return;
        }
        if known.read.len() >= KNOWN_MAX {
            known.read.clear();
        }
        known.read.insert(stored.record.fingerprint.clone(), (now, stored));
    }

    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.read.clear();
        known.age += 1;
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        // Nothing that holds the lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
