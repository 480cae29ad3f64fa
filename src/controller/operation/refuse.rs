//! Saying no: with the reason and the remedy, and without leaving another volume's key in the drive.

use super::{Operation, State, Wish};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Failure, Step};
use crate::drive::{Beginning, KeyInForce};

impl Operation {
    pub(super) fn refuse(&mut self, text: impl Into<String>, hint: &str) -> Step {
        self.say(Level::Error, text, Some(hint));
        self.refused()
    }

    /// A cleaning cartridge holds no blocks: nothing can be written on it, and no key is ever meant for it.
    pub(super) fn refuse_cleaning(&mut self) -> Step {
        self.refuse(
            "a cleaning cartridge is in the drive: it holds no data, so it never gets a key",
            "wait until the drive has cleaned itself, take the cartridge out, and load a data cartridge",
        )
    }

    pub(super) fn refuse_failure(&mut self, failure: Failure) -> Step {
        self.say_failure(Level::Error, failure);
        self.refused()
    }

    /// Before a volume was seen nothing can be said of the key in the drive; after it, a key of another volume must not stay.
    fn refused(&mut self) -> Step {
        let volume_seen = self.volume.medium_serial.is_some();
        if volume_seen && !matches!(self.wish, Wish::Clear | Wish::Scan) {
            self.ask(State::RefusedReadingBack, Ask::InForce)
        } else {
            self.end(Outcome::Refused)
        }
    }

    pub(super) fn refused_in_force(&mut self, in_force: &KeyInForce) -> Step {
        match in_force.our_kad() {
            None => self.end(Outcome::Refused),
            Some(kad) if self.beginning == Some(Beginning::Ours(kad)) => self.end(Outcome::Refused),
            Some(kad) => self.ask(State::RefusedRecalling, Ask::VolumeOf(kad)),
        }
    }

    pub(super) fn refused_recalled(&mut self, serial: Option<&str>) -> Step {
        match serial {
            Some(serial) if self.volume.medium_serial.as_deref() != Some(serial) => {
                let text =
                    format!("the key in the drive was for volume {serial}, which is not there any more: it is cleared");
                self.say(Level::Note, text, None);
                self.ask(State::RefusedClearing, Ask::ClearKey)
            }
            Some(_) => self.end(Outcome::Refused),
            None => {
                let text = "a key of ours is in the drive, and no job says for which volume; it was left there";
                self.say(
                    Level::Alarm,
                    text,
                    Some("run tapekey clear unless a program is using the drive"),
                );
                self.end(Outcome::Refused)
            }
        }
    }

    pub(super) fn refused_unreadable(&mut self, failure: Failure) -> Step {
        self.say(
            Level::Note,
            format!("what the drive holds now is unknown: {}", failure.text),
            failure.hint.as_deref(),
        );
        self.end(Outcome::Refused)
    }
}
