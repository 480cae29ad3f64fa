//! One operation on one drive as a state machine: `load`, `unlock`, `clear` or `scan`.
//!
//! [`Operation::start`] gives the first step; every later one comes from [`Operation::handle`] with the event that the last one asked for.
//! An event that fits no question is a bug of ours: the operation ends, and a key that may be in the drive is cleared first.
//!
//! `load` is design section 4 without hold, library, catalogue and hooks; `unlock` is section 5; a
//! volume whose blocks are under several keys is read as far as the first one goes.

mod candidates;
mod clear;
mod given;
mod keys;
mod loading;
mod looking;
mod plain;
mod refuse;
mod scan;

use std::time::Duration;

use self::candidates::Trials;
use self::scan::Walk;
use super::pool::Pool;
use super::step::{Ask, Change, Event, Failure, FailureKind, Next, Step};
use crate::controller::job::{JobGiver, Level, Outcome};
use crate::drive::{Beginning, Decryption, DriveIdentity, Readiness, SetScope, VolumeIdentity};
use crate::kad::OurKad;
use crate::keysource::VolumeName;

/// How long a volume may take to become ready: loading takes minutes at most, a rewind from the far end two.
const BECOMING_READY_MAX: Duration = Duration::from_secs(600);

/// How long to wait before asking again.
const PAUSE: Duration = Duration::from_secs(1);

/// What is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// A key for writing the volume.
    Load {
        /// Its pool, if the caller knows.
        pool: Option<Pool>,
        /// Its barcode, if the caller knows.
        barcode: Option<VolumeName>,
    },
    /// The key for reading the volume.
    Unlock,
    /// The same, with a key that somebody gave through a descriptor.
    UnlockWith(JobGiver),
    /// No key.
    Clear,
    /// Which KADs stand where on the tape.
    Scan,
}

/// What the configuration says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The serial number that the drive must have.
    pub expected_serial: Option<String>,
    /// Whether volumes of inactive keys may be written on.
    pub finish_volumes: bool,
    /// Who shares the key.
    pub scope: SetScope,
    /// Which pools' volumes may begin with plain blocks.
    pub plain_blocks: PlainBlocks,
}

/// Which pools' volumes may begin with plain blocks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlainBlocks {
    /// For pools that are not named.
    pub otherwise: bool,
    /// For pools that are.
    pub named: Vec<(String, bool)>,
}

impl PlainBlocks {
    /// Whether volumes of `pool` may.
    #[must_use]
    pub fn allowed_in(&self, pool: &str) -> bool {
        let named = self.named.iter().find(|(name, _)| name == pool);
        named.map_or(self.otherwise, |(_, allowed)| *allowed)
    }
}

/// An operation under way.
pub struct Operation {
    wish: Wish,
    rules: Rules,
    state: State,
    changes: Vec<Change>,
    waited: Duration,
    volume: VolumeIdentity,
    volume_name: Option<VolumeName>,
    beginning: Option<Beginning>,
    decryption: Decryption,
    kad: Option<OurKad>,
    our_key_in_force: bool,
    started_over: bool,
    loaded_again: bool,
    trials: Trials,
    walk: Walk,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Identifying,
    AskingReadiness,
    Pausing,
    ReadingVolume,
    CheckingOffer,
    Looking,
    Recalling,
    CheckingStatistics,
    FetchingNew,
    FetchingKnown,
    Loading,
    Trying,
    PlainReadingBack,
    PlainLooking,
    PlainClearing,
    ClearReadingBack,
    ClearAskingReadiness,
    ClearReadingVolume,
    ClearProving,
    Clearing,
    RefusedReadingBack,
    RefusedRecalling,
    RefusedClearing,
    FailedClearing,
    ScanHolding,
    ScanReadingBack,
    ScanRewinding,
    ScanLooking,
    ScanSpacing,
    ScanComparing,
    ScanEnding,
    Ended,
}

impl Operation {
    /// An operation that has not asked anything yet.
    #[must_use]
    pub fn new(wish: Wish, rules: Rules) -> Self {
        Self {
            wish,
            rules,
            state: State::New,
            changes: Vec::new(),
            waited: Duration::ZERO,
            volume: VolumeIdentity::default(),
            volume_name: None,
            beginning: None,
            decryption: Decryption::Decrypt,
            kad: None,
            our_key_in_force: false,
            started_over: false,
            loaded_again: false,
            trials: Trials::default(),
            walk: Walk::default(),
        }
    }

    /// The first step.
    #[must_use]
    pub fn start(&mut self) -> Step {
        if let Wish::Load {
            pool: Some(Pool::Encrypted(name) | Pool::Plain(name)),
            ..
        } = &self.wish
        {
            self.changes.push(Change::Pool(name.to_string()));
        }
        if self.wish == Wish::Scan {
            // Before anything is sent: a program that uses the drive must not lose a unit attention to us.
            return self.ask(State::ScanHolding, Ask::HoldNode);
        }
        self.ask(State::Identifying, Ask::Identify)
    }

    /// The step that follows from the answer to the last one.
    #[must_use]
    pub fn handle(&mut self, event: Event) -> Step {
        use State::{
            AskingReadiness, CheckingOffer, CheckingStatistics, ClearAskingReadiness, ClearProving, ClearReadingBack,
            ClearReadingVolume, Clearing, FailedClearing, FetchingKnown, FetchingNew, Identifying, Loading, Looking,
            Pausing, PlainClearing, PlainLooking, PlainReadingBack, ReadingVolume, Recalling, RefusedClearing,
            RefusedReadingBack, RefusedRecalling, ScanComparing, ScanEnding, ScanHolding, ScanLooking, ScanReadingBack,
            ScanRewinding, ScanSpacing, Trying,
        };
        match (self.state, event) {
            (state, Event::Failed(failure)) => self.failed(state, failure),
            (Identifying, Event::Identity(identity)) => self.identified(identity),
            (AskingReadiness, Event::Readiness(readiness)) => self.readiness(readiness),
            (Pausing, Event::Paused) => self.ask(AskingReadiness, Ask::Readiness),
            (ReadingVolume, Event::Volume(volume)) => self.volume_read(volume),
            (CheckingOffer, Event::Offered) => self.ask(Looking, Ask::Beginning),
            (Looking, Event::Beginning(beginning)) => self.looked(beginning),
            (Recalling, Event::KadOf(kad)) => self.recalled(kad),
            (CheckingStatistics, Event::Proof(proof)) => self.statistics(&proof),
            (FetchingNew, Event::NewKey(facts)) => self.new_key(facts),
            (
                FetchingKnown,
                Event::KeysOf {
                    keys,
                    candidates,
                    wrong,
                    outcomes,
                },
            ) => {
                self.changes.push(Change::Asked(outcomes.clone()));
                self.trials = Trials::new(candidates, wrong);
                self.known_keys(keys, &outcomes)
            }
            (FetchingKnown, Event::GivenFits(kad)) => self.given_fits(kad),
            (FetchingKnown, Event::GivenUnchecked { id, wrong }) => self.given_unchecked(id, wrong),
            (Trying, Event::Tried { receipt, fit }) => self.tried(&receipt, fit),
            (Loading, Event::Loaded(receipt)) => self.loaded(&receipt),
            (PlainReadingBack, Event::InForce(in_force)) => self.plain_in_force(&in_force),
            (PlainLooking, Event::Beginning(beginning)) => self.plain_looked(&beginning),
            (PlainClearing, Event::Cleared { .. }) => self.end(Outcome::Plain),
            (ClearReadingBack, Event::InForce(in_force)) => self.clear_in_force(&in_force),
            (ClearAskingReadiness, Event::Readiness(readiness)) => self.clear_readiness(&readiness),
            (ClearReadingVolume, Event::Volume(volume)) => self.clear_volume(volume),
            (ClearProving, Event::Proof(proof)) => self.proven(proof),
            (Clearing, Event::Cleared { already }) => self.cleared(already),
            (RefusedReadingBack, Event::InForce(in_force)) => self.refused_in_force(&in_force),
            (RefusedRecalling, Event::VolumeOf(serial)) => self.refused_recalled(serial.as_deref()),
            (RefusedClearing, Event::Cleared { .. }) => self.end(Outcome::Refused),
            (FailedClearing, Event::Cleared { .. }) => self.failed_cleared(),
            (ScanHolding, Event::Held) => self.ask(Identifying, Ask::Identify),
            (ScanReadingBack, Event::InForce(in_force)) => self.scan_in_force(&in_force),
            (ScanRewinding, Event::Rewound) => self.ask(ScanLooking, Ask::LookHere),
            (ScanLooking, Event::Place(place)) => self.scan_looked(place),
            (ScanComparing, Event::Volume(volume)) => self.scan_compared(&volume),
            (ScanSpacing, Event::Spaced(spaced)) => self.scan_spaced(spaced),
            (ScanLooking | ScanSpacing, Event::Cancelled(why)) => self.scan_cancelled(&why),
            (ScanEnding, Event::Rewound) => self.scan_ended(),
            (state, event) => self.out_of_order(state, &event),
        }
    }

    fn ask(&mut self, state: State, ask: Ask) -> Step {
        self.state = state;
        Step {
            changes: std::mem::take(&mut self.changes),
            next: Next::Ask(ask),
        }
    }

    fn end(&mut self, outcome: Outcome) -> Step {
        self.state = State::Ended;
        Step {
            changes: std::mem::take(&mut self.changes),
            next: Next::End(outcome),
        }
    }

    fn say(&mut self, level: Level, text: impl Into<String>, hint: Option<&str>) {
        self.changes.push(Change::Message {
            level,
            text: text.into(),
            hint: hint.map(str::to_owned),
        });
    }

    fn say_failure(&mut self, level: Level, failure: Failure) {
        self.changes.push(Change::Message {
            level,
            text: failure.text,
            hint: failure.hint,
        });
    }

    fn identified(&mut self, identity: DriveIdentity) -> Step {
        let serial = identity.serial.clone();
        self.changes.push(Change::Drive(identity));
        match &self.rules.expected_serial {
            Some(expected) if *expected != serial => {
                let text = format!("this is the drive with serial number {serial}, not {expected} as configured");
                self.refuse(
                    text,
                    "nodes change their numbers at a restart; correct path or serial of this drive",
                )
            }
            _ if self.wish == Wish::Clear => self.ask(State::ClearReadingBack, Ask::InForce),
            _ if self.wish == Wish::Scan => self.ask(State::ScanReadingBack, Ask::InForce),
            _ => self.ask(State::AskingReadiness, Ask::Readiness),
        }
    }

    fn readiness(&mut self, readiness: Readiness) -> Step {
        match readiness {
            Readiness::Ready => self.ask(State::ReadingVolume, Ask::Volume),
            Readiness::BecomingReady if self.waited >= BECOMING_READY_MAX => {
                let text = format!("the volume was still not ready after {} s", self.waited.as_secs());
                self.refuse(text, "look at the drive; unload the volume and load it again")
            }
            Readiness::BecomingReady => {
                self.waited += PAUSE;
                self.ask(State::Pausing, Ask::Pause(PAUSE))
            }
            Readiness::NoMedium => self.refuse("there is no volume in the drive", "put a volume in and try again"),
            Readiness::CleaningCartridge => self.refuse_cleaning(),
            Readiness::NotReady { sense } => {
                let text = format!("the drive is not ready: {sense}");
                self.refuse(text, "look at the drive's display and manual for what it wants")
            }
        }
    }

    /// The drive or the volume may have changed under us: forget what was seen and begin again, once.
    fn start_over(&mut self, failure: Failure) -> Step {
        if self.started_over {
            return self.refuse_failure(failure);
        }
        self.started_over = true;
        self.say_failure(Level::Note, failure);
        self.say(Level::Note, "the volume may be another one now: starting again", None);
        self.volume = VolumeIdentity::default();
        self.volume_name = None;
        self.beginning = None;
        self.decryption = Decryption::Decrypt;
        self.kad = None;
        self.trials = Trials::default();
        self.ask(State::AskingReadiness, Ask::Readiness)
    }

    fn failed(&mut self, state: State, failure: Failure) -> Step {
        match state {
            State::Loading => self.load_failed(failure),
            State::Trying => self.trial_failed(failure),
            State::PlainReadingBack => self.plain_unreadable(failure),
            State::ClearReadingBack => self.clear_unreadable(failure),
            State::ClearAskingReadiness | State::ClearReadingVolume | State::ClearProving => self.not_proven(failure),
            State::PlainClearing | State::Clearing | State::FailedClearing | State::RefusedClearing => {
                self.key_may_remain(failure)
            }
            State::RefusedReadingBack | State::RefusedRecalling => self.refused_unreadable(failure),
            State::ScanRewinding | State::ScanLooking | State::ScanSpacing | State::ScanComparing => {
                self.scan_failed(failure)
            }
            State::ScanEnding => self.scan_not_rewound(failure),
            _ => self.refuse_failure(failure),
        }
    }

    fn out_of_order(&mut self, state: State, event: &Event) -> Step {
        let text = format!("a bug in tapekeyd: {event:?} came in state {state:?}");
        let failure = Failure {
            text,
            hint: Some("please report it with the daemon's log".into()),
            kind: FailureKind::Uncertain,
        };
        match state {
            State::Loading | State::Trying => self.load_failed(failure),
            State::Ended => self.end(Outcome::Failed),
            _ => {
                self.say_failure(Level::Error, failure);
                self.end(Outcome::Failed)
            }
        }
    }
}

#[cfg(test)]
mod tests;
