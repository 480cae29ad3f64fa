//! What a front end sees: logical units that take commands, one drive or a whole library of them.
//!
//! A front end (socket, vhost-user, preload shim) knows these traits and nothing of drives and changers behind them.

use std::sync::Mutex;

use crate::sense::Sense;
use crate::{Drive, Event, ItNexus, Reply, SenseCode, Status};

/// What stands behind a unit's number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum UnitKind {
    /// A sequential-access device (01h).
    Drive,
    /// A medium changer (08h).
    Changer,
}

/// One logical unit while nobody else uses it.
pub trait Unit {
    /// Executes one command, as [`Drive::execute`] does.
    fn execute(&mut self, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply;

    /// Lets something happen to the unit; what does not concern it changes nothing.
    fn apply(&mut self, event: Event);

    /// CHECK CONDITION with this sense and INFORMATION field, as the unit would send it now.
    fn check_condition(&self, sense: SenseCode, information: Option<i64>, data_in: usize) -> Reply;

    /// The drive that it is; none if it is a changer.
    fn drive(&mut self) -> Option<&mut Drive>;
}

/// Why nobody could be let in to a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Absence {
    /// There is no such unit.
    NoSuchUnit,
    /// It has been at work for minutes.
    Busy,
}

/// Logical units, numbered from 0: the drives in bay order, then the changer if there is one.
pub trait Units: Send + Sync {
    /// The kind of each unit.
    fn kinds(&self) -> Vec<UnitKind>;

    /// Does something with `unit` while nobody else uses it. Visits to different units do not wait for each other.
    ///
    /// `act` is called once or, with the error, not at all. It must not ask anything of these units: who comes after it would wait for ever.
    ///
    /// # Errors
    /// There is no such unit, or it is at work and does not come to an end.
    fn visit(&self, unit: usize, act: &mut dyn FnMut(&mut dyn Unit)) -> Result<(), Absence>;

    /// Executes one command on `unit`. An unknown unit answers as a device server does for a LUN that it does not have: 05h, 25h/00h.
    fn execute(&self, unit: usize, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        let mut reply = None;
        let visited = self.visit(unit, &mut |unit| {
            reply = Some(unit.execute(nexus, cdb, data_out, data_in))
        });
        reply.unwrap_or_else(|| visited.err().unwrap_or(Absence::Busy).reply())
    }
}

impl Absence {
    /// What is answered in the unit's name: LOGICAL UNIT NOT SUPPORTED or BUSY.
    #[must_use]
    pub fn reply(self) -> Reply {
        match self {
            Self::NoSuchUnit => Reply {
                status: Status::CHECK_CONDITION,
                sense: Sense::new(0x5, 0x25, 0x00).encode_fixed(NO_UNIT_SENSE_BYTES),
                data_in: 0,
            },
            Self::Busy => Reply {
                status: Status::BUSY,
                sense: Vec::new(),
                data_in: 0,
            },
        }
    }
}

impl Unit for Drive {
    fn execute(&mut self, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        Self::execute(self, nexus, cdb, data_out, data_in)
    }

    fn apply(&mut self, event: Event) {
        Self::apply(self, event);
    }

    fn check_condition(&self, sense: SenseCode, information: Option<i64>, data_in: usize) -> Reply {
        Self::check_condition(self, &Sense::from_code(sense).with_information_if(information), data_in)
    }

    fn drive(&mut self) -> Option<&mut Drive> {
        Some(self)
    }
}

/// One drive, unit 0.
impl Units for Mutex<Drive> {
    fn kinds(&self) -> Vec<UnitKind> {
        vec![UnitKind::Drive]
    }

    fn visit(&self, unit: usize, act: &mut dyn FnMut(&mut dyn Unit)) -> Result<(), Absence> {
        if unit != 0 {
            return Err(Absence::NoSuchUnit);
        }
        // A panic in another thread leaves the drive as a power loss would: its files are consistent, so going on is right.
        let mut drive = self.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        act(&mut *drive);
        Ok(())
    }
}

/// Length of fixed-format sense without vendor bytes.
const NO_UNIT_SENSE_BYTES: usize = 18;
