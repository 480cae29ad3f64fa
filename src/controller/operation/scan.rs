//! A walk over the tape's files, on a person's command alone: it moves the tape, keeps programs out meanwhile, and ends at the beginning.

use super::{Operation, State};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Change, Failure, Step};
use crate::drive::{KeyInForce, Place, Spaced, Standing, VolumeIdentity};

/// Most files. At a second for each filemark that is more than a day.
const FILES_MAX: u64 = 100_000;

/// How far the walk is.
#[derive(Default)]
pub(super) struct Walk {
    files: u64,
    /// What was seen last and is not recorded yet: only the next step shows whether anything stands there.
    last: Option<Place>,
    failed: bool,
}

impl Operation {
    /// A key in the drive is for somebody: with decryption on, the drive would also answer otherwise.
    pub(super) fn scan_in_force(&mut self, in_force: &KeyInForce) -> Step {
        if in_force.is_disabled() {
            return self.ask(State::AskingReadiness, Ask::Readiness);
        }
        let whose = match in_force.our_kad() {
            Some(kad) => format!("key {}", kad.key_id()),
            None => "a key that is not ours".to_owned(),
        };
        let text = format!("{whose} is in the drive, so a program may be using it; the tape was not moved");
        self.refuse(text, "end the program, run tapekey clear, and try again")
    }

    pub(super) fn scan_looked(&mut self, place: Place) -> Step {
        if place.standing == Standing::EndOfData {
            return self.scan_complete();
        }
        if self.walk.files >= FILES_MAX {
            let text = format!("only the first {FILES_MAX} files were looked at");
            self.say(Level::Note, text, None);
            return self.ask(State::ScanEnding, Ask::Rewind);
        }
        self.walk.last = Some(place);
        self.ask(State::ScanSpacing, Ask::NextFile)
    }

    pub(super) fn scan_spaced(&mut self, spaced: Spaced) -> Step {
        let last = self.walk.last.take();
        match (last, spaced) {
            // Nothing stands there: the data ended right behind the last filemark.
            (Some(place), Spaced::EndOfData { object: Some(end) })
                if place.object == Some(end) && place.standing == Standing::NotTold =>
            {
                self.scan_complete()
            }
            (place, spaced) => {
                self.walk.files = self.walk.files.saturating_add(1);
                self.changes.extend(place.map(Change::File));
                match spaced {
                    Spaced::NextFile => self.ask(State::ScanLooking, Ask::LookHere),
                    Spaced::EndOfData { .. } => self.scan_complete(),
                }
            }
        }
    }

    /// Only if it is still the volume that the walk began on.
    fn scan_complete(&mut self) -> Step {
        self.ask(State::ScanComparing, Ask::Volume)
    }

    pub(super) fn scan_compared(&mut self, volume: &VolumeIdentity) -> Step {
        if volume.medium_serial == self.volume.medium_serial {
            self.changes.push(Change::AllFiles);
            return self.ask(State::ScanEnding, Ask::Rewind);
        }
        self.scan_cancelled("another volume is in the drive now")
    }

    pub(super) fn scan_cancelled(&mut self, why: &str) -> Step {
        self.changes.extend(self.walk.last.take().map(Change::File));
        self.walk.failed = true;
        let text = format!("the scan did not come to the end of the tape: {why}");
        self.say(Level::Error, text, Some("what was found so far stands in the job"));
        self.ask(State::ScanEnding, Ask::Rewind)
    }

    pub(super) fn scan_failed(&mut self, failure: Failure) -> Step {
        self.changes.extend(self.walk.last.take().map(Change::File));
        self.walk.failed = true;
        self.say_failure(Level::Error, failure);
        self.ask(State::ScanEnding, Ask::Rewind)
    }

    pub(super) fn scan_ended(&mut self) -> Step {
        self.say(Level::Note, "the tape is rewound", None);
        let outcome = if self.walk.failed {
            Outcome::Failed
        } else {
            Outcome::Scanned
        };
        self.end(outcome)
    }

    pub(super) fn scan_not_rewound(&mut self, failure: Failure) -> Step {
        self.say_failure(Level::Error, failure);
        let text = "where the tape stands is not known";
        self.say(
            Level::Error,
            text,
            Some("rewind it, as with mt rewind, before it is used"),
        );
        self.end(Outcome::Failed)
    }
}
