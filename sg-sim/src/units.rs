//! What a front end sees: logical units that take commands, one drive or a whole library of them.
//!
//! A front end (socket, vhost-user, preload shim) knows this trait and nothing of drives and changers behind it.

use std::sync::Mutex;

use crate::sense::Sense;
use crate::{Drive, Event, ItNexus, Reply, Status};

/// What stands behind a unit's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitKind {
    /// A sequential-access device (01h).
    Drive,
    /// A medium changer (08h).
    Changer,
}

/// Logical units, numbered from 0: the drives in bay order, then the changer if there is one.
pub trait Units: Send + Sync {
    /// The kind of each unit.
    fn kinds(&self) -> Vec<UnitKind>;

    /// Executes one command on `unit`, as [`Drive::execute`] does. Commands to different units do not wait for each other.
    ///
    /// An unknown unit answers as a device server does for a LUN that it does not have: 05h, 25h/00h.
    fn execute(&self, unit: usize, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply;

    /// Resets `unit`, as a LOGICAL UNIT RESET does.
    fn reset(&self, unit: usize);
}

/// LOGICAL UNIT NOT SUPPORTED: the answer for a unit that does not exist.
#[must_use]
pub fn no_such_unit() -> Reply {
    Reply {
        status: Status::CHECK_CONDITION,
        sense: Sense::new(0x5, 0x25, 0x00).encode_fixed(NO_UNIT_SENSE_BYTES),
        data_in: 0,
    }
}

/// One drive, unit 0.
impl Units for Mutex<Drive> {
    fn kinds(&self) -> Vec<UnitKind> {
        vec![UnitKind::Drive]
    }

    fn execute(&self, unit: usize, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        // A panic in another thread leaves the drive as a power loss would: its files are consistent, so going on is right.
        if unit != 0 {
            return no_such_unit();
        }
        let mut drive = self.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        drive.execute(nexus, cdb, data_out, data_in)
    }

    fn reset(&self, unit: usize) {
        if unit == 0 {
            self.lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner())
                .apply(Event::Reset);
        }
    }
}

/// Length of fixed-format sense without vendor bytes.
const NO_UNIT_SENSE_BYTES: usize = 18;
