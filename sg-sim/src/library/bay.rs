//! A drive in its bay: one command at a time, and a robot that does not wait for ever.
//!
//! The gate says whether somebody is inside; it is only ever held for an instant, so the robot can ask what it must know (is a tape threaded?)
//! while the drive executes a long command. Whoever is let in holds the drive until its guard is dropped.

use crate::Drive;
use std::{
    ops::{Deref, DerefMut},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// One drive and its gate.
pub(super) struct Bay {
    gate: Mutex<Gate>,
    left: Condvar,
    drive: Mutex<Drive>,
}

struct Gate {
    occupied: bool,
    threaded: bool,
}

/// The right to use the drive, until it is dropped.
pub(super) struct Inside<'a> {
    bay: &'a Bay,
    drive: MutexGuard<'a, Drive>,
}

impl Bay {
    /// A bay with this drive.
    pub(super) fn new(drive: Drive) -> Self {
        let threaded = drive.is_threaded();
        Self {
            gate: Mutex::new(Gate {
                occupied: false,
                threaded,
            }),
            left: Condvar::new(),
            drive: Mutex::new(drive),
        }
    }

    /// Waits until nobody else uses the drive, at most `limit`. None if somebody still does.
    pub(super) fn enter(&self, limit: Duration) -> Option<Inside<'_>> {
        let gate = self.gate.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.left.wait_timeout_while(gate, limit, |gate| gate.occupied);
        let (mut gate, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if gate.occupied {
            return None;
        }
        gate.occupied = true;
        drop(gate);
        // A panic in another thread leaves the drive as a power loss would: its files are consistent, so going on is right.
        let drive = self.drive.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Inside { bay: self, drive })
    }

    /// Whether a tape was threaded when the last command ended.
    pub(super) fn is_threaded(&self) -> bool {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner).threaded
    }
}

impl Deref for Inside<'_> {
    type Target = Drive;

    fn deref(&self) -> &Drive {
        &self.drive
    }
}

impl DerefMut for Inside<'_> {
    fn deref_mut(&mut self) -> &mut Drive {
        &mut self.drive
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let threaded = self.drive.is_threaded();
        let mut gate = self.bay.gate.lock().unwrap_or_else(PoisonError::into_inner);
        *gate = Gate {
            occupied: false,
            threaded,
        };
        self.bay.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Profile, SeededRandomness};

    fn bay() -> Bay {
        Bay::new(Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1))))
    }

    #[test]
    fn lets_one_in_and_gives_up_after_the_limit() {
        let bay = bay();
        let inside = bay.enter(Duration::ZERO).unwrap();
        assert!(bay.enter(Duration::from_millis(1)).is_none());
        assert!(!bay.is_threaded());
        drop(inside);
        assert!(bay.enter(Duration::ZERO).is_some());
    }

    #[test]
    fn lets_the_next_one_in_as_soon_as_the_first_has_left() {
        let bay = bay();
        let inside = bay.enter(Duration::ZERO).unwrap();
        std::thread::scope(|scope| {
            let second = scope.spawn(|| bay.enter(Duration::from_secs(60)).is_some());
            drop(inside);
            assert!(second.join().unwrap());
        });
    }
}
