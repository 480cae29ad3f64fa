//! The drive's own time: what takes how long, and what goes on by itself after its command has ended (IMMED).
//!
//! Nothing here waits or reads a clock. A command that takes time moves the drive's time on; whoever wants to feel it compares
//! [`Drive::elapsed`] before and after, and waits. What goes on by itself ends when enough time has passed: in virtual time that is also so when
//! a host is told to wait, which moves time on by a second.

use super::{
    Drive,
    call::{Call, CommandResult},
    command::Operation,
    durations,
    nexuses::MEDIUM_CHANGED,
};
use crate::{Cartridge, sense::Sense};
use std::time::Duration;

/// How the drive's time goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pace {
    /// Everything takes no time.
    #[default]
    Instant,
    /// Everything takes its time, and nobody waits for it: time goes on by commands, by questions whether the drive is ready, and by
    /// [`Drive::let_pass`].
    Virtual,
    /// Everything takes its time, and time goes on by [`Drive::let_pass`] and commands alone.
    Real,
}

/// What goes on by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Activity {
    /// A cartridge is being loaded; `announced`: every nexus is told when it is ready.
    Load { announced: bool },
    /// The tape moves.
    Motion,
    /// The tape is erased or formatted.
    Erase,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Ongoing {
    activity: Activity,
    began: Duration,
    until: Duration,
}

/// The drive's time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Timeline {
    pace: Pace,
    now: Duration,
    ongoing: Option<Ongoing>,
}

impl Timeline {
    /// Time since the drive was made.
    pub(super) const fn now(&self) -> Duration {
        self.now
    }

    fn takes_time(self) -> bool {
        self.pace != Pace::Instant
    }

    fn spend(&mut self, duration: Duration) {
        self.now = self.now.saturating_add(duration);
    }

    fn begin(&mut self, activity: Activity, duration: Duration) {
        self.ongoing = Some(Ongoing {
            activity,
            began: self.now,
            until: self.now.saturating_add(duration),
        });
    }

    /// NOT READY with what goes on and how far it has come.
    fn not_ready(self) -> Option<Sense> {
        let Ongoing { activity, began, until } = self.ongoing?;
        let (whole, done) = (until.saturating_sub(began), self.now.saturating_sub(began));
        let progress = done.as_millis().saturating_mul(0x1_0000) / whole.as_millis().max(1);
        let sense = match activity {
            Activity::Load { .. } => BECOMING_READY,
            Activity::Motion | Activity::Erase => OPERATION_IN_PROGRESS,
        };
        Some(sense.with_progress(u16::try_from(progress).unwrap_or(u16::MAX)))
    }

    /// DT DEVICE ACTIVITY of log page 11h.
    pub(super) const fn activity(&self) -> u8 {
        match self.ongoing {
            None => 0x00,
            Some(Ongoing { activity, .. }) => match activity {
                Activity::Load { .. } => 0x02,
                Activity::Motion => 0x07,
                Activity::Erase => 0x09,
            },
        }
    }
}

/// Where a command found drive and tape, for what it took to be reckoned afterwards.
#[derive(Clone, Copy)]
pub(super) struct Departure {
    head: u64,
    capacity: u64,
}

impl Drive {
    /// Sets how the drive's time goes.
    pub const fn set_pace(&mut self, pace: Pace) {
        self.time.pace = pace;
    }

    /// The drive's time: how long it has worked since it was made. Always 0 while everything takes no time.
    #[must_use]
    pub const fn elapsed(&self) -> Duration {
        self.time.now()
    }

    /// Time passes: what goes on by itself comes so much nearer to its end.
    pub fn let_pass(&mut self, duration: Duration) {
        self.time.spend(duration);
        self.settle();
    }

    /// Ends what goes on by itself if its time has come.
    pub(super) fn settle(&mut self) {
        let Some(Ongoing { activity, until, .. }) = self.time.ongoing else {
            return;
        };
        if self.time.now < until {
            return;
        }
        self.time.ongoing = None;
        if let Activity::Load { announced } = activity {
            self.medium.become_ready();
            if announced {
                self.nexuses.all_mut().for_each(|nexus| nexus.attend(MEDIUM_CHANGED));
            }
        }
    }

    /// A cartridge has come in by hand or robot: it is loaded, and all nexuses are told when it is ready.
    pub(super) fn begin_load(&mut self) {
        let announced = true;
        if self.time.takes_time() {
            self.medium.become_busy();
            self.time.begin(Activity::Load { announced }, durations::LOAD);
        } else {
            self.nexuses.all_mut().for_each(|nexus| nexus.attend(MEDIUM_CHANGED));
        }
    }

    /// The power is back: the tape, if there is one, is loaded again, as everybody knows from the power-on unit attention.
    pub(super) fn load_after_power_on(&mut self) {
        self.time.ongoing = None;
        if self.time.takes_time() && self.medium.is_threaded() {
            self.medium.become_busy();
            self.time.begin(Activity::Load { announced: false }, durations::LOAD);
        }
    }

    /// Nothing goes on by itself any more: the cartridge is gone.
    pub(super) const fn stop(&mut self) {
        self.time.ongoing = None;
    }

    /// NOT READY with the reason, if something goes on by itself.
    pub(super) fn not_ready(&self) -> Option<Sense> {
        self.time.not_ready()
    }

    /// Where the command begins; none if it takes no time. A command that needs the tape first waits for what goes on by itself, except
    /// for a load, which it runs into.
    pub(super) fn depart(&mut self, operation: Operation) -> Option<Departure> {
        if !self.time.takes_time() {
            return None;
        }
        let loading = |ongoing: &Ongoing| matches!(ongoing.activity, Activity::Load { .. });
        if needs_tape(operation)
            && let Some(ongoing) = self.time.ongoing.filter(|ongoing| !loading(ongoing))
        {
            self.time.now = self.time.now.max(ongoing.until);
            self.settle();
        }
        Some(Departure {
            head: self.head(),
            capacity: self.medium.threaded().map_or(0, Cartridge::capacity_bytes),
        })
    }

    /// Reckons what a command took, and lets go on by itself what it did not wait for.
    pub(super) fn arrive(
        &mut self,
        operation: Operation,
        call: [u8; 5],
        Departure { head, capacity }: Departure,
        result: &CommandResult,
    ) {
        const NOT_READY: u8 = 0x2;
        const ILLEGAL_REQUEST: u8 = 0x5;
        match result.as_ref().map_err(|failure| failure.sense.key()) {
            Err(NOT_READY) => {
                if self.time.pace == Pace::Virtual && self.time.ongoing.is_some() {
                    self.time.spend(durations::QUESTION);
                }
                return;
            }
            Err(ILLEGAL_REQUEST) => return,
            Ok(_) | Err(_) => {}
        }
        let [_, flags, _, _, load] = call;
        let immediate = flags & IMMED != 0;
        let to = self.head();
        let travel = durations::travel(capacity, head, to);
        let (activity, duration) = match operation {
            Operation::Rewind | Operation::Locate => (Activity::Motion, travel),
            Operation::Space => return self.time.spend(travel),
            Operation::Read | Operation::Write | Operation::Verify => {
                return self.time.spend(durations::stream(to.saturating_sub(head)));
            }
            Operation::WriteFilemarks if !immediate => return self.time.spend(durations::FLUSH),
            Operation::Erase if flags & LONG != 0 => {
                return self.erase_took(
                    durations::stream(capacity.saturating_sub(head)),
                    flags & ERASE_IMMED != 0,
                );
            }
            Operation::Erase => return self.erase_took(durations::SHORT_ERASE, flags & ERASE_IMMED != 0),
            Operation::FormatMedium => (Activity::Erase, durations::FORMAT),
            Operation::LoadUnload if load & LOAD != 0 => return self.load_took(capacity, travel, immediate),
            // A tape that was not threaded is not unthreaded.
            Operation::LoadUnload if capacity > 0 => {
                let back = durations::travel(capacity, head, 0);
                return self.time.spend(back.saturating_add(durations::UNLOAD));
            }
            _ => return,
        };
        if immediate {
            self.time.begin(activity, duration);
        } else {
            self.time.spend(duration);
        }
    }

    fn erase_took(&mut self, duration: Duration, immediate: bool) {
        if immediate {
            self.time.begin(Activity::Erase, duration);
        } else {
            self.time.spend(duration);
        }
    }

    /// LOAD of a threaded tape takes it to its beginning; any other threads it. The others were told when the command was executed.
    fn load_took(&mut self, capacity_before: u64, travel: Duration, immediate: bool) {
        let threads = capacity_before == 0 && self.medium.is_threaded();
        match (threads, immediate) {
            (true, true) => {
                self.medium.become_busy();
                self.time.begin(Activity::Load { announced: false }, durations::LOAD);
            }
            (true, false) => self.time.spend(durations::LOAD),
            (false, true) => self.time.begin(Activity::Motion, travel),
            (false, false) => self.time.spend(travel),
        }
    }

    /// Bytes before the head.
    fn head(&self) -> u64 {
        let bytes_before = |cartridge: &Cartridge| cartridge.index().bytes_before(self.medium.position());
        self.medium.threaded().map_or(0, bytes_before)
    }
}

impl Call<'_> {
    /// The bytes that say whether a command waits for what it began.
    pub(super) fn beginning(&self) -> [u8; 5] {
        [0, 1, 2, 3, 4].map(|at| self.cdb.byte(at))
    }
}

const fn needs_tape(operation: Operation) -> bool {
    matches!(
        operation,
        Operation::Rewind
            | Operation::FormatMedium
            | Operation::Read
            | Operation::Write
            | Operation::WriteFilemarks
            | Operation::Space
            | Operation::Verify
            | Operation::Erase
            | Operation::LoadUnload
            | Operation::Locate
            | Operation::ReadPosition
    )
}

/// IMMED in byte 1 of most commands; ERASE has LONG there and IMMED beside it.
const IMMED: u8 = 0x01;
const LONG: u8 = 0x01;
const ERASE_IMMED: u8 = 0x02;
/// LOAD in byte 4 of LOAD UNLOAD.
const LOAD: u8 = 0x01;
const BECOMING_READY: Sense = Sense::new(0x2, 0x04, 0x01);
const OPERATION_IN_PROGRESS: Sense = Sense::new(0x2, 0x04, 0x07);
