//! Real time: the drive's time is kept beside a clock, so that what takes the drive a minute takes its clients a minute.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::Drive;

/// A clock that never goes back; its zero does not matter.
pub type Clock = fn() -> Duration;

/// Keeps a drive's time beside a clock.
#[derive(Debug)]
pub(super) struct RealTime {
    clock: Clock,
    /// What the clock shows, or will show, when the drive's time has come to where it is.
    reached: Mutex<Duration>,
}

impl RealTime {
    /// From now on.
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            reached: Mutex::new(clock()),
        }
    }

    /// How long until the drive has done the last command.
    pub(super) fn until_free(&self) -> Duration {
        self.reached().saturating_sub((self.clock)())
    }

    /// Lets the drive's time pass as far as the clock has come, and says where the drive's time stands.
    pub(super) fn catch_up(&self, drive: &mut Drive) -> Duration {
        let now = (self.clock)();
        let mut reached = self.reached();
        drive.let_pass(now.saturating_sub(*reached));
        *reached = now.max(*reached);
        drive.elapsed()
    }

    /// How long the command that began at `began` of the drive's time keeps its client waiting.
    pub(super) fn keep_up(&self, drive: &Drive, began: Duration) -> Duration {
        let mut reached = self.reached();
        *reached = reached.saturating_add(drive.elapsed().saturating_sub(began));
        reached.saturating_sub((self.clock)())
    }

    /// A plain value, written whole.
    fn reached(&self) -> MutexGuard<'_, Duration> {
        self.reached.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Cartridge, MediumSpec, Pace, Profile, SeededRandomness};

    #[test]
    fn a_drive_that_loads_for_fifteen_seconds_is_busy_as_long_as_the_clock_stands() {
        let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
        drive.set_pace(Pace::Real);
        let time = RealTime::new(|| Duration::from_secs(100));
        drive
            .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
            .unwrap();
        assert_eq!(time.catch_up(&mut drive), Duration::ZERO);
        assert_eq!(time.until_free(), Duration::ZERO);
        drive.let_pass(Duration::from_secs(15));
        assert_eq!(time.keep_up(&drive, Duration::ZERO), Duration::from_secs(15));
        assert_eq!(time.until_free(), Duration::from_secs(15));
    }
}
