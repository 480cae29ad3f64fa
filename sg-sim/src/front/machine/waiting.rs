//! Waiting: for the end of a hang, for a slow command, for the drive's motor. Whatever is waited for, the wait ends when its client has gone, its time
//! is up, the unit is reset or the server ends.

use std::collections::BTreeMap;
use std::num::NonZeroU8;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use super::{Machine, Outcome};
use crate::Pace;

/// How often a command that waits looks whether its client is still there.
const CLIENT_LOOK: Duration = Duration::from_millis(100);
/// DID_TIME_OUT and DID_RESET of the Linux midlayer.
const TIME_OUT: NonZeroU8 = NonZeroU8::MIN.saturating_add(2);
const RESET: NonZeroU8 = NonZeroU8::MIN.saturating_add(7);

/// Who waits for an answer.
pub struct Client<'a> {
    present: &'a mut dyn FnMut() -> bool,
    time_left: Option<Duration>,
}

impl<'a> Client<'a> {
    /// One that waits for as long as `present` says so.
    pub fn new(present: &'a mut dyn FnMut() -> bool) -> Self {
        Self {
            present,
            time_left: None,
        }
    }

    /// And no longer than this: then the command ends with host status 03h, as when a host's adaptor gives it up. Where time is not
    /// real, nobody waits for that: a hang is over at once.
    #[must_use]
    pub const fn no_longer_than(mut self, limit: Duration) -> Self {
        self.time_left = Some(limit);
        self
    }

    /// So much of its time has passed.
    pub(super) fn spend(&mut self, duration: Duration) -> Result<(), Interruption> {
        let Some(left) = &mut self.time_left else { return Ok(()) };
        match left.checked_sub(duration) {
            Some(rest) if !rest.is_zero() => {
                *left = rest;
                Ok(())
            }
            _ => {
                *left = Duration::ZERO;
                Err(Interruption::TimedOut)
            }
        }
    }
}

/// Why a command came to no answer of the unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Interruption {
    /// The client has gone or the server ends.
    Gone,
    /// The client's time is up.
    TimedOut,
    /// The unit was reset while the command waited.
    Reset,
}

impl From<Interruption> for Outcome {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Gone => Self::Gone,
            Interruption::TimedOut => Self::Transport(TIME_OUT),
            Interruption::Reset => Self::Transport(RESET),
        }
    }
}

/// What holds for all units, and for each.
#[derive(Debug, Default)]
pub(super) struct Switches {
    pub(super) ending: bool,
    hurried: bool,
    units: BTreeMap<usize, UnitSwitches>,
}

/// What happens to the next commands instead of a plain answer.
#[derive(Debug, Default)]
pub(super) struct UnitSwitches {
    pub(super) hang: bool,
    pub(super) waiting: usize,
    pub(super) transport: Option<TransportOrder>,
    /// Counts the resets, so that what waited when one came is told from what came after it.
    resets: u64,
}

/// The next commands end without SCSI status.
#[derive(Debug, Clone, Copy)]
pub(super) struct TransportOrder {
    pub(super) host_status: NonZeroU8,
    pub(super) left: u32,
    pub(super) executed: bool,
}

impl TransportOrder {
    fn after_one(self) -> Option<Self> {
        let left = self.left.saturating_sub(1);
        (left > 0).then_some(Self { left, ..self })
    }
}

impl Switches {
    /// Those of one unit.
    pub(super) fn of(&mut self, unit: usize) -> &mut UnitSwitches {
        self.units.entry(unit).or_default()
    }

    /// What waits for `unit` is ended, and the hang with it.
    pub(super) fn reset(&mut self, unit: usize) {
        let switches = self.of(unit);
        switches.hang = false;
        switches.resets = switches.resets.wrapping_add(1);
    }

    /// Nobody waits for the passing of time any more.
    pub(super) const fn hurry(&mut self) {
        self.hurried = true;
    }

    fn check(&mut self, unit: usize, resets: u64, client: &mut Client<'_>) -> Result<(), Interruption> {
        if self.ending || !(client.present)() {
            Err(Interruption::Gone)
        } else if self.of(unit).resets != resets {
            Err(Interruption::Reset)
        } else {
            Ok(())
        }
    }
}

impl Machine {
    /// Waits out a hang, then takes the transport order that holds for this command.
    pub(super) fn pass(&self, unit: usize, client: &mut Client<'_>) -> Result<Option<TransportOrder>, Interruption> {
        if self.switches().of(unit).hang {
            self.wait_out_hang(unit, client)?;
        }
        let mut switches = self.switches();
        if switches.ending {
            return Err(Interruption::Gone);
        }
        let order = switches.of(unit).transport;
        switches.of(unit).transport = order.and_then(TransportOrder::after_one);
        Ok(order)
    }

    /// Waits until the hang is over.
    pub(super) fn wait_out_hang(&self, unit: usize, client: &mut Client<'_>) -> Result<(), Interruption> {
        let mut switches = self.switches();
        switches.of(unit).waiting += 1;
        let resets = switches.of(unit).resets;
        let ended = loop {
            if let Err(interruption) = switches.check(unit, resets, client) {
                break Err(interruption);
            }
            if !switches.of(unit).hang {
                break Ok(());
            }
            if client.time_left.is_some() && (self.pace != Pace::Real || switches.hurried) {
                break Err(Interruption::TimedOut);
            }
            let (woken, waited) = self.wait_for_a_change(switches, CLIENT_LOOK);
            switches = woken;
            if let Err(interruption) = client.spend(waited) {
                break Err(interruption);
            }
        };
        switches.of(unit).waiting -= 1;
        drop(switches);
        if ended == Err(Interruption::TimedOut) && self.pace == Pace::Virtual {
            self.let_pass(unit, client.time_left.replace(Duration::ZERO).unwrap_or_default());
        }
        ended
    }

    /// Waits that long, or lets virtual time go on by as much.
    pub(super) fn wait(&self, unit: usize, delay: Duration, client: &mut Client<'_>) -> Result<(), Interruption> {
        let allowed = client.time_left.map_or(delay, |left| left.min(delay));
        match self.pace {
            _ if delay.is_zero() => Ok(()),
            Pace::Virtual => {
                self.let_pass(unit, allowed);
                client.spend(delay)
            }
            // A time limit takes no time either.
            Pace::Instant if client.time_left.is_some_and(|left| left <= delay) => Err(Interruption::TimedOut),
            Pace::Instant | Pace::Real => self.sleep(unit, delay, client),
        }
    }

    /// Waits that long by the system's clock.
    pub(super) fn sleep(&self, unit: usize, delay: Duration, client: &mut Client<'_>) -> Result<(), Interruption> {
        let mut switches = self.switches();
        let resets = switches.of(unit).resets;
        let mut left = delay;
        while !left.is_zero() {
            switches.check(unit, resets, client)?;
            if switches.hurried {
                drop(switches);
                return client.spend(left);
            }
            let (woken, waited) = self.wait_for_a_change(switches, left.min(CLIENT_LOOK));
            switches = woken;
            left = left.saturating_sub(waited);
            client.spend(waited)?;
        }
        Ok(())
    }

    /// Waits at most that long for a switch to be turned, and says how much of it counts as passed.
    fn wait_for_a_change<'a>(
        &'a self,
        switches: MutexGuard<'a, Switches>,
        limit: Duration,
    ) -> (MutexGuard<'a, Switches>, Duration) {
        let woken = self.changed.wait_timeout(switches, limit);
        let (switches, result) = woken.unwrap_or_else(PoisonError::into_inner);
        let waited = if result.timed_out() { limit } else { Duration::ZERO };
        (switches, waited)
    }

    /// Lets the time of the drive pass.
    fn let_pass(&self, unit: usize, duration: Duration) {
        // A changer has no time of its own.
        let _ = self.with_drive(unit, |drive| drive.let_pass(duration));
    }

    /// The switches are plain values: a thread that died while it held them left none half set.
    pub(super) fn switches(&self) -> MutexGuard<'_, Switches> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
