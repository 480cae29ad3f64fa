//! One drive and what stands between it and its clients: faults, hang, transport outcomes, the end of the server.
//!
//! Every front end goes through here, so that a command is executed by one thread at a time and the switches hold for all.
//! Nothing here waits for the drive while it hangs except the command itself.

use std::num::NonZeroU8;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::decode::Recorder;
use super::pacing::RealTime;
use crate::fault::{self, FaultRule, Faults, Plan, Struck};
use crate::{Drive, ItNexus, Reply};

/// How often a command that waits for the end of a hang looks whether its client is still there.
const CLIENT_LOOK: Duration = Duration::from_millis(100);

/// Hears of every fault that strikes.
pub type FaultReport = Box<dyn Fn(&Struck) + Send + Sync>;

/// A drive shared by connections and control.
pub struct Machine {
    drive: Mutex<Drive>,
    faults: Mutex<Faults>,
    report: FaultReport,
    recorder: Option<Recorder>,
    real_time: Option<RealTime>,
    switches: Mutex<Switches>,
    changed: Condvar,
}

/// What happens to the next SCSI requests instead of a plain answer.
#[derive(Debug, Clone, Copy)]
struct TransportOrder {
    host_status: NonZeroU8,
    left: u32,
    executed: bool,
}

impl TransportOrder {
    fn after_one(self) -> Option<Self> {
        let left = self.left.saturating_sub(1);
        (left > 0).then_some(Self { left, ..self })
    }
}

#[derive(Debug, Default)]
struct Switches {
    hang: bool,
    waiting: usize,
    ending: bool,
    transport: Option<TransportOrder>,
}

/// What a command came to.
#[derive(Debug)]
pub enum Outcome {
    /// The drive answered.
    Reply(Reply),
    /// No SCSI status: this host status instead.
    Transport(NonZeroU8),
    /// Nobody is to be answered: the client has gone or the server ends.
    Gone,
}

/// The drive cannot be used any more.
#[derive(Debug, Clone, Copy, Error)]
#[error(
    "use the drive: a command stopped it by a bug in the simulator\nhint: end the server; the cartridge file keeps all that was acknowledged"
)]
pub struct Broken;

impl Machine {
    /// Puts `drive` behind the switches, all of them off, and no faults.
    #[must_use]
    pub fn new(drive: Drive) -> Self {
        Self {
            drive: Mutex::new(drive),
            faults: Mutex::new(Faults::new(0)),
            report: Box::new(|_| ()),
            recorder: None,
            real_time: None,
            switches: Mutex::new(Switches::default()),
            changed: Condvar::new(),
        }
    }

    /// With these faults; `report` hears of each that strikes.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults, report: FaultReport) -> Self {
        self.faults = Mutex::new(faults);
        self.report = report;
        self
    }

    /// With every command written down.
    #[must_use]
    pub fn with_recorder(mut self, recorder: Recorder) -> Self {
        self.recorder = Some(recorder);
        self
    }

    /// With commands that take as long as the drive says.
    #[must_use]
    pub fn with_real_time(mut self, real_time: RealTime) -> Self {
        self.real_time = Some(real_time);
        self
    }

    /// The drive itself, for control: works while the drive hangs.
    ///
    /// # Errors
    /// `Broken` if a command panicked in it.
    pub fn drive(&self) -> Result<MutexGuard<'_, Drive>, Broken> {
        self.drive.lock().map_err(|_| Broken)
    }

    /// Executes one command, after a hang if there is one. `alive` says whether the client still waits.
    ///
    /// # Errors
    /// `Broken` if this or an earlier command panicked in the drive.
    pub fn execute(
        &self,
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
        alive: impl FnMut() -> bool,
    ) -> Result<Outcome, Broken> {
        let outcome = self.try_execute(nexus, cdb, data_out, data_in, alive)?;
        if let Some(recorder) = &self.recorder {
            recorder.record(nexus, cdb, data_out, &outcome, data_in);
        }
        Ok(outcome)
    }

    fn try_execute(
        &self,
        nexus: &ItNexus,
        cdb: &[u8],
        data_out: &[u8],
        data_in: &mut [u8],
        mut alive: impl FnMut() -> bool,
    ) -> Result<Outcome, Broken> {
        let Some(order) = self.pass(&mut alive) else {
            return Ok(Outcome::Gone);
        };
        if let Some(TransportOrder {
            host_status,
            executed: false,
            ..
        }) = order
        {
            return Ok(Outcome::Transport(host_status));
        }
        let busy = self.real_time.as_ref().map_or(Duration::ZERO, RealTime::until_free);
        if !self.wait(busy, &mut alive) {
            return Ok(Outcome::Gone);
        }
        let mut drive = self.drive()?;
        let plan = self.faults().plan(nexus, cdb, drive.position());
        if !plan.is_harmless() {
            drop(drive);
            if !self.suffer(&plan, &mut alive) {
                return Ok(Outcome::Gone);
            }
            drive = self.drive()?;
        }
        if self.switches().ending {
            return Ok(Outcome::Gone);
        }
        let began = self.real_time.as_ref().map(|time| time.catch_up(&mut drive));
        let outcome = plan.carry_out(&mut drive, nexus, cdb, data_out, data_in);
        if let (Some(time), Some(began)) = (&self.real_time, began) {
            let lasts = time.keep_up(&drive, began);
            drop(drive);
            if !self.wait(lasts, &mut alive) {
                return Ok(Outcome::Gone);
            }
        }
        Ok(match (order, outcome) {
            (Some(order), _) => Outcome::Transport(order.host_status),
            (None, fault::Outcome::Transport(host_status)) => Outcome::Transport(host_status),
            (None, fault::Outcome::Reply(reply)) => Outcome::Reply(reply),
        })
    }

    /// Reports what strikes, and waits as long as that takes. `false`: drop the command.
    fn suffer(&self, plan: &Plan, alive: &mut impl FnMut() -> bool) -> bool {
        plan.struck().iter().for_each(|struck| (self.report)(struck));
        if plan.hangs() {
            self.set_hang(true);
            let mut switches = self.switches();
            switches.waiting += 1;
            switches = self.wait_out(switches, alive);
            switches.waiting -= 1;
            if switches.hang || switches.ending {
                return false;
            }
        }
        self.wait(plan.delay(), alive)
    }

    /// Waits that long, unless the server ends or the client goes: then `false`.
    fn wait(&self, delay: Duration, alive: &mut impl FnMut() -> bool) -> bool {
        if delay.is_zero() {
            return true;
        }
        let mut switches = self.switches();
        let mut left = delay;
        while !left.is_zero() && !switches.ending && alive() {
            let slice = left.min(CLIENT_LOOK);
            let (woken, result) = self
                .changed
                .wait_timeout(switches, slice)
                .unwrap_or_else(PoisonError::into_inner);
            switches = woken;
            if result.timed_out() {
                left = left.saturating_sub(slice);
            }
        }
        left.is_zero() && !switches.ending
    }

    /// Waits out a hang, then takes the transport order that holds for this command. `None`: drop the command.
    fn pass(&self, alive: &mut impl FnMut() -> bool) -> Option<Option<TransportOrder>> {
        let mut switches = self.switches();
        if switches.hang && !switches.ending {
            switches.waiting += 1;
            switches = self.wait_out(switches, alive);
            switches.waiting -= 1;
            if switches.hang || !alive() {
                return None;
            }
        }
        let order = switches.transport;
        switches.transport = order.and_then(TransportOrder::after_one);
        (!switches.ending).then_some(order)
    }

    /// Returns when the hang is over, the server ends or the client has gone.
    fn wait_out<'a>(
        &self,
        mut switches: MutexGuard<'a, Switches>,
        alive: &mut impl FnMut() -> bool,
    ) -> MutexGuard<'a, Switches> {
        while switches.hang && !switches.ending && alive() {
            let woken = self.changed.wait_timeout(switches, CLIENT_LOOK);
            switches = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        switches
    }

    /// Whether the drive hangs, and how many commands wait for the end of it.
    pub fn hang(&self) -> (bool, usize) {
        let switches = self.switches();
        (switches.hang, switches.waiting)
    }

    /// From now on commands wait (`true`), or go on.
    pub fn set_hang(&self, hang: bool) {
        self.switches().hang = hang;
        self.changed.notify_all();
    }

    /// The next `count` requests end with `host_status`; `None` takes the order back.
    pub fn set_transport(&self, host_status: Option<NonZeroU8>, count: u32, executed: bool) {
        let order = host_status.map(|host_status| TransportOrder {
            host_status,
            left: count,
            executed,
        });
        self.switches().transport = order.filter(|order| order.left > 0);
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

    /// No command is executed any more; those that wait are dropped. Returns once a running one has ended.
    ///
    /// # Errors
    /// `Broken` if a command panicked in the drive.
    pub fn end(&self) -> Result<MutexGuard<'_, Drive>, Broken> {
        self.switches().ending = true;
        self.changed.notify_all();
        self.drive()
    }

    /// Counters and rules are plain values too.
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The switches are plain values: a thread that died while it held them left none half set.
    fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
