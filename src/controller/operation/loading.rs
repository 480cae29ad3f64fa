//! The key goes into the drive. Only a receipt ends this well; anything else ends with the key cleared, or with an alarm that it was not.

use super::{Operation, State};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Change, Failure, FailureKind, Receipt, Step};
use crate::drive::KeyParameters;

impl Operation {
    pub(super) fn send_key(&mut self) -> Step {
        let Some(kad) = &self.kad else {
            return self.refuse(
                "a bug in tapekeyd: there is no key to load",
                "please report it with the daemon's log",
            );
        };
        let parameters = KeyParameters {
            volume: self.volume.clone(),
            unauthenticated_kad: kad.encode().to_vec(),
            authenticated_kad: Vec::new(),
            decryption: self.decryption,
            scope: self.rules.scope,
        };
        self.ask(State::Loading, Ask::LoadKey(parameters))
    }

    pub(super) fn loaded(&mut self, receipt: &Receipt) -> Step {
        self.changes.push(Change::InForce(receipt.in_force().clone()));
        for note in receipt.notes() {
            self.say(Level::Note, note, None);
        }
        self.end(Outcome::KeyLoaded)
    }

    pub(super) fn load_failed(&mut self, failure: Failure) -> Step {
        match failure.kind {
            FailureKind::VolumeChanged => self.start_over(failure),
            FailureKind::Disputed if !self.loaded_again => self.load_again(failure),
            FailureKind::Disputed | FailureKind::Uncertain => {
                self.say_failure(Level::Error, failure);
                self.ask(State::FailedClearing, Ask::ClearKey)
            }
            FailureKind::Unchanged | FailureKind::NoEncryption => self.refuse_failure(failure),
        }
    }

    /// Somebody else's key, or none, was in force right after ours was accepted: blocks may have been written under it.
    fn load_again(&mut self, failure: Failure) -> Step {
        self.loaded_again = true;
        let why = format!("the key changed while it was loaded: {}", failure.text);
        self.changes.push(Change::NotProven(why));
        self.say_failure(Level::Alarm, failure);
        self.say(Level::Note, "the key is loaded once more", None);
        self.send_key()
    }

    pub(super) fn failed_cleared(&mut self) -> Step {
        self.say(Level::Note, "the drive holds no key now, as read back", None);
        self.end(Outcome::Failed)
    }

    pub(super) fn key_may_remain(&mut self, failure: Failure) -> Step {
        self.say_failure(Level::Error, failure);
        let text = "a key may still be in the drive: it could not be cleared, or not be read back";
        self.say(
            Level::Alarm,
            text,
            Some("do not use the drive; when it answers again run tapekey clear, else switch it off"),
        );
        self.end(Outcome::Failed)
    }
}
