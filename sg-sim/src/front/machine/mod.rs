//! The units of a server and what stands between them and their clients: faults, hang, transport outcomes, time, the end of the server.
//!
//! Every front end goes through here, so that a unit executes one command at a time and the switches hold for all. While a unit hangs or is slow
//! nothing is held that somebody else needs: control works, and other units do.

mod pacing;
mod waiting;

pub use pacing::Clock;
pub use waiting::Client;

use std::num::NonZeroU8;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use crate::fault::{self, FaultRule, Faults, Plan, Struck};
use crate::{Absence, Drive, Event, ItNexus, Pace, Reply, Unit, UnitKind, Units};
use pacing::RealTime;
use waiting::{Interruption, Switches, TransportOrder};

/// Hears of every fault that strikes.
pub type FaultReport = Box<dyn Fn(&Struck) + Send + Sync>;

/// Sees every command and what it came to.
pub trait Observer: Send + Sync {
    /// A command has ended; of `data_in` counts what the outcome says.
    fn command(&self, command: &Command<'_>, outcome: &Outcome, data_in: &[u8]);

    /// A unit was reset.
    fn reset(&self, _unit: usize) {}
}

/// One command.
#[derive(Clone, Copy)]
pub struct Command<'a> {
    /// For whom.
    pub unit: usize,
    /// From whom.
    pub nexus: &'a ItNexus,
    /// CDB.
    pub cdb: &'a [u8],
    /// Data-out.
    pub data_out: &'a [u8],
}

/// What a command came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The unit answered.
    Reply(Reply),
    /// No SCSI status: this host status instead, a value of the Linux midlayer's host byte.
    Transport(NonZeroU8),
    /// Nobody is to be answered: the client has gone or the server ends.
    Gone,
}

/// Why there is no drive to do something with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NoDrive {
    /// There are fewer units.
    #[error(
        "there is no unit {unit}, the last is {last}\nhint: units are numbered from 0, the drives in bay order, then the changer"
    )]
    NoSuchUnit {
        /// What was asked for.
        unit: usize,
        /// The last there is.
        last: usize,
    },
    /// The unit is a changer.
    #[error("unit {unit} is a changer\nhint: ask a drive, unit 0 for the first")]
    Changer {
        /// What was asked for.
        unit: usize,
    },
    /// The drive is at work.
    #[error("unit {unit} has been at work for minutes\nhint: ask again when its command has ended")]
    Busy {
        /// What was asked for.
        unit: usize,
    },
}

/// Units shared by connections and control.
pub struct Machine {
    units: Arc<dyn Units>,
    kinds: Vec<UnitKind>,
    seed: u64,
    faults: Mutex<Faults>,
    report: FaultReport,
    observers: Vec<Box<dyn Observer>>,
    pace: Pace,
    /// A clock for each unit, if time is real.
    clocks: Vec<RealTime>,
    switches: Mutex<Switches>,
    changed: Condvar,
}

/// What came of letting a command into its unit.
enum Admission {
    /// It was executed, and keeps its client waiting so long.
    Executed(fault::Outcome, Duration),
    /// It is to suffer this first.
    Struck(Plan),
    Absent(Absence),
}

impl Machine {
    /// Puts `units` behind the switches, all of them off, without faults; everything takes no time.
    #[must_use]
    pub fn new(units: Arc<dyn Units>) -> Self {
        Self {
            kinds: units.kinds(),
            units,
            seed: 0,
            faults: Mutex::new(Faults::new(0)),
            report: Box::new(|_| ()),
            observers: Vec::new(),
            pace: Pace::Instant,
            clocks: Vec::new(),
            switches: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// With these faults, whose lots are drawn from `seed`; `report` hears of each that strikes.
    #[must_use]
    pub fn with_faults(mut self, rules: Vec<FaultRule>, seed: u64, report: FaultReport) -> Self {
        let mut faults = Faults::new(seed);
        for rule in rules {
            faults.arm(rule);
        }
        self.faults = Mutex::new(faults);
        self.seed = seed;
        self.report = report;
        self
    }

    /// With somebody who sees every command.
    #[must_use]
    pub fn with_observer(mut self, observer: Box<dyn Observer>) -> Self {
        self.observers.push(observer);
        self
    }

    /// With drives whose time goes at this pace, by `clock` if it is real.
    #[must_use]
    pub fn with_pace(mut self, pace: Pace, clock: Clock) -> Self {
        self.pace = pace;
        for unit in 0..self.kinds.len() {
            // A changer has no time of its own.
            let _ = self.with_drive(unit, |drive| drive.set_pace(pace));
        }
        if pace == Pace::Real {
            self.clocks = self.kinds.iter().map(|_| RealTime::new(clock)).collect();
        }
        self
    }

    /// What the units are.
    #[must_use]
    pub fn kinds(&self) -> &[UnitKind] {
        &self.kinds
    }

    /// Where the lots of faults are drawn from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// Does something with the drive that is unit `unit`, between two commands. Works while it hangs.
    ///
    /// # Errors
    /// There is no such drive, or it is at work for minutes.
    pub fn with_drive<T>(&self, unit: usize, act: impl FnOnce(&mut Drive) -> T) -> Result<T, NoDrive> {
        let (mut act, mut result) = (Some(act), None);
        let visited = self.units.visit(unit, &mut |target| {
            if let (Some(drive), Some(act)) = (target.drive(), act.take()) {
                result = Some(act(drive));
            }
        });
        match (result, visited) {
            (Some(result), _) => Ok(result),
            (None, Ok(())) => Err(NoDrive::Changer { unit }),
            (None, Err(Absence::Busy)) => Err(NoDrive::Busy { unit }),
            (None, Err(Absence::NoSuchUnit)) => Err(NoDrive::NoSuchUnit {
                unit,
                last: self.kinds.len().saturating_sub(1),
            }),
        }
    }

    /// Executes one command, after a hang if there is one.
    pub fn execute(&self, command: &Command<'_>, data_in: &mut [u8], client: &mut Client<'_>) -> Outcome {
        let outcome = self.try_execute(command, data_in, client).unwrap_or_else(Outcome::from);
        for observer in &self.observers {
            observer.command(command, &outcome, data_in);
        }
        outcome
    }

    fn try_execute(
        &self,
        command: &Command<'_>,
        data_in: &mut [u8],
        client: &mut Client<'_>,
    ) -> Result<Outcome, Interruption> {
        let unit = command.unit;
        if unit >= self.kinds.len() {
            return Ok(Outcome::Reply(Absence::NoSuchUnit.reply()));
        }
        let order = self.pass(unit, client)?;
        if let Some(TransportOrder {
            host_status,
            executed: false,
            ..
        }) = order
        {
            return Ok(Outcome::Transport(host_status));
        }
        if let Some(clock) = self.clocks.get(unit) {
            self.sleep(unit, clock.until_free(), client)?;
        }
        let mut admission = self.admit(None, command, data_in)?;
        if let Admission::Struck(plan) = admission {
            self.suffer(unit, &plan, client)?;
            admission = self.admit(Some(&plan), command, data_in)?;
        }
        let (outcome, lasts) = match admission {
            Admission::Executed(outcome, lasts) => (outcome, lasts),
            // A plan that has been suffered does not strike again.
            Admission::Struck(_) => (fault::Outcome::Reply(Absence::Busy.reply()), Duration::ZERO),
            Admission::Absent(absence) => (fault::Outcome::Reply(absence.reply()), Duration::ZERO),
        };
        match self.pace {
            Pace::Instant => {}
            Pace::Virtual => client.spend(lasts)?,
            Pace::Real => self.sleep(unit, lasts, client)?,
        }
        Ok(match (order, outcome) {
            (Some(order), _) => Outcome::Transport(order.host_status),
            (None, fault::Outcome::Transport(host_status)) => Outcome::Transport(host_status),
            (None, fault::Outcome::Reply(reply)) => Outcome::Reply(reply),
        })
    }

    /// Lets a command into its unit: with a plan that it has suffered, or to make one.
    fn admit(
        &self,
        suffered: Option<&Plan>,
        command: &Command<'_>,
        data_in: &mut [u8],
    ) -> Result<Admission, Interruption> {
        let mut admission = Ok(Admission::Absent(Absence::Busy));
        let visited = self.units.visit(command.unit, &mut |target| {
            admission = match suffered {
                Some(plan) => self.carry_out(plan, target, command, data_in),
                None => match self.plan(target, command) {
                    plan if plan.is_harmless() => self.carry_out(&plan, target, command, data_in),
                    plan => Ok(Admission::Struck(plan)),
                },
            };
        });
        match visited {
            Ok(()) => admission,
            Err(absence) => Ok(Admission::Absent(absence)),
        }
    }

    fn plan(&self, target: &mut dyn Unit, command: &Command<'_>) -> Plan {
        let position = target.drive().map_or(0, |drive| drive.position());
        self.faults().plan(command.unit, command.nexus, command.cdb, position)
    }

    fn carry_out(
        &self,
        plan: &Plan,
        target: &mut dyn Unit,
        command: &Command<'_>,
        data_in: &mut [u8],
    ) -> Result<Admission, Interruption> {
        if self.switches().ending {
            return Err(Interruption::Gone);
        }
        let clock = self.clocks.get(command.unit);
        let began = target.drive().map(|drive| match clock {
            Some(clock) => clock.catch_up(drive),
            None => drive.elapsed(),
        });
        let Command {
            nexus, cdb, data_out, ..
        } = command;
        let outcome = plan.carry_out(target, nexus, cdb, data_out, data_in);
        let lasts = match (began, target.drive()) {
            (Some(began), Some(drive)) => match clock {
                Some(clock) => clock.keep_up(drive, began),
                None => drive.elapsed().saturating_sub(began),
            },
            _ => Duration::ZERO,
        };
        Ok(Admission::Executed(outcome, lasts))
    }

    /// Reports what strikes, and waits as long as that takes.
    fn suffer(&self, unit: usize, plan: &Plan, client: &mut Client<'_>) -> Result<(), Interruption> {
        if plan.hangs() {
            // Before it is reported, so that whoever hears of it can end it.
            self.set_hang(unit, true);
        }
        plan.struck().iter().for_each(|struck| (self.report)(struck));
        if plan.hangs() {
            self.wait_out_hang(unit, client)?;
        }
        self.wait(unit, plan.delay(), client)
    }

    /// Waits, where time is real, as a host does before it sends a command again. `false`: its client has no time left.
    pub(super) fn pause(&self, unit: usize, delay: Duration, client: &mut Client<'_>) -> bool {
        match self.pace {
            Pace::Real => self.sleep(unit, delay, client).is_ok(),
            Pace::Instant | Pace::Virtual => client.spend(delay).is_ok(),
        }
    }

    /// LOGICAL UNIT RESET: ends what waits for the unit, and its hang.
    ///
    /// # Errors
    /// There is no such unit, or it is at work for minutes.
    pub fn reset(&self, unit: usize) -> Result<(), Absence> {
        self.interrupt(unit, &Event::Reset)?;
        self.observers.iter().for_each(|observer| observer.reset(unit));
        Ok(())
    }

    /// A reset or a loss of power, which ends what waits for the unit, and its hang.
    ///
    /// # Errors
    /// There is no such unit, or it is at work for minutes.
    pub(super) fn interrupt(&self, unit: usize, event: &Event) -> Result<(), Absence> {
        if unit >= self.kinds.len() {
            return Err(Absence::NoSuchUnit);
        }
        self.switches().reset(unit);
        self.changed.notify_all();
        self.units.visit(unit, &mut |target| target.apply(event.clone()))
    }

    /// Lets something happen to a unit.
    ///
    /// # Errors
    /// There is no such unit, or it is at work for minutes.
    pub(super) fn apply(&self, unit: usize, event: &Event) -> Result<(), Absence> {
        self.units.visit(unit, &mut |target| target.apply(event.clone()))
    }

    /// Whether the unit hangs, and how many commands wait for the end of it.
    pub fn hang(&self, unit: usize) -> (bool, usize) {
        let mut switches = self.switches();
        let switches = switches.of(unit);
        (switches.hang, switches.waiting)
    }

    /// From now on commands to the unit wait (`true`), or go on.
    pub fn set_hang(&self, unit: usize, hang: bool) {
        self.switches().of(unit).hang = hang;
        self.changed.notify_all();
    }

    /// The next `count` commands to the unit end with `host_status`; `None` takes the order back.
    pub fn set_transport(&self, unit: usize, host_status: Option<NonZeroU8>, count: u32, executed: bool) {
        let order = host_status.map(|host_status| TransportOrder {
            host_status,
            left: count,
            executed,
        });
        self.switches().of(unit).transport = order.filter(|order| order.left > 0);
    }

    /// Sets up one more fault.
    pub fn arm(&self, rule: FaultRule) {
        self.faults().arm(rule);
    }

    /// Takes back every fault.
    pub fn disarm(&self) {
        self.faults().disarm();
    }

    /// How many faults may still strike, and how many commands there were.
    pub fn fault_counts(&self) -> (usize, u64) {
        let faults = self.faults();
        (faults.armed(), faults.commands())
    }

    /// Nobody waits any more for time to pass: commands are still executed, but a hang is a time out at once.
    pub(super) fn hurry(&self) {
        self.switches().hurry();
        self.changed.notify_all();
    }

    /// No command is executed any more; those that wait are dropped. Once a running one has ended, the cartridge of a single drive is
    /// taken out, so that its file is written out and closed. A library keeps nothing back.
    pub fn end(&self) {
        self.switches().ending = true;
        self.changed.notify_all();
        if self.kinds == [UnitKind::Drive] {
            // An empty drive has nothing to write out.
            let _ = self.with_drive(0, |drive| drop(drive.eject()));
        }
    }

    /// Counters and rules are plain values too.
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
