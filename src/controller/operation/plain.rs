//! A volume of a plain pool: no key of ours may be in the drive, and the volume must not be one of ours.

use super::{Operation, State};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Failure, FailureKind, Step};
use crate::drive::{Beginning, KeyInForce};

impl Operation {
    pub(super) fn plain_in_force(&mut self, in_force: &KeyInForce) -> Step {
        if let Some(pool) = self.volume.pool.clone().filter(|pool| pool.starts_with("ENCR_")) {
            return self.conflict(&format!("its memory names pool {}", pool.escape_debug()));
        }
        self.our_key_in_force = in_force.our_kad().is_some();
        if !self.our_key_in_force && !in_force.is_disabled() {
            self.say(
                Level::Note,
                "a key that is not ours is in force; it was left alone",
                Some("see tapekey status"),
            );
        }
        self.ask(State::PlainLooking, Ask::Beginning)
    }

    /// A drive that takes no keys from us holds none of ours.
    pub(super) fn plain_unreadable(&mut self, failure: Failure) -> Step {
        if failure.kind != FailureKind::NoEncryption {
            return self.refuse_failure(failure);
        }
        self.say(
            Level::Note,
            format!("this drive takes no keys from tapekey: {}", failure.text),
            failure.hint.as_deref(),
        );
        self.end(Outcome::Plain)
    }

    pub(super) fn plain_looked(&mut self, beginning: &Beginning) -> Step {
        self.beginning = Some(beginning.clone());
        match beginning {
            Beginning::Ours(kad) => self.conflict(&format!("it begins with blocks under our key {}", kad.key_id())),
            Beginning::NotAtBeginning { object } => {
                let text =
                    format!("the tape stands at object {object}, so whether it is an encrypted volume cannot be seen");
                self.refuse(text, "rewind it, as with mt rewind, and try again")
            }
            Beginning::Unknown { why } => {
                let text = format!("whether the volume is one of ours is unknown: {why}");
                self.refuse(text, "rewind and try again; what is unknown is not taken for plain")
            }
            _ if self.our_key_in_force => self.ask(State::PlainClearing, Ask::ClearKey),
            _ => self.end(Outcome::Plain),
        }
    }

    fn conflict(&mut self, evidence: &str) -> Step {
        let pool = self.plain_pool().map(ToString::to_string).unwrap_or_default();
        let text = format!("the caller says plain pool {pool}, but the volume is an encrypted one: {evidence}");
        self.refuse(
            text,
            "name the volume's own pool, or erase the cartridge before it changes pools",
        )
    }
}
