//! Taking the key out: first the proof, as long as drive and volume still say what was written, then the key.

use super::{Operation, State};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Change, Failure, Step};
use crate::drive::{KeyInForce, Proof, Readiness, VolumeIdentity};

impl Operation {
    pub(super) fn clear_in_force(&mut self, in_force: &KeyInForce) -> Step {
        let text = match in_force.our_kad() {
            Some(kad) => format!("before: key {} in force, KAD {kad}", kad.key_id()),
            None if in_force.is_disabled() => "before: no key in force".into(),
            None => format!(
                "before: a key that is not ours, U-KAD {}",
                hex::encode(&in_force.unauthenticated_kad)
            ),
        };
        self.say(Level::Note, text, None);
        self.ask(State::ClearAskingReadiness, Ask::Readiness)
    }

    pub(super) fn clear_unreadable(&mut self, failure: Failure) -> Step {
        self.say_failure(Level::Error, failure);
        let text = "what the drive holds could not be read, so nothing was cleared";
        self.say(
            Level::Error,
            text,
            Some("if a key of ours may be in it, unload the volume and switch the drive off"),
        );
        self.end(Outcome::Failed)
    }

    pub(super) fn clear_readiness(&mut self, readiness: &Readiness) -> Step {
        let why = match readiness {
            Readiness::Ready => return self.ask(State::ClearReadingVolume, Ask::Volume),
            Readiness::NoMedium => "there is no volume in the drive".to_owned(),
            Readiness::CleaningCartridge => "a cleaning cartridge is in the drive".to_owned(),
            Readiness::BecomingReady => "the volume is becoming ready".to_owned(),
            Readiness::NotReady { sense } => sense.clone(),
        };
        self.without_proof(&why)
    }

    pub(super) fn clear_volume(&mut self, volume: VolumeIdentity) -> Step {
        self.changes.push(Change::Volume(volume));
        self.ask(State::ClearProving, Ask::Proof)
    }

    pub(super) fn proven(&mut self, proof: Proof) -> Step {
        self.changes.push(Change::Proof(proof));
        self.ask(State::Clearing, Ask::ClearKey)
    }

    pub(super) fn not_proven(&mut self, failure: Failure) -> Step {
        self.without_proof(&failure.text)
    }

    fn without_proof(&mut self, why: &str) -> Step {
        self.say(Level::Note, format!("proof not taken: {why}"), None);
        self.ask(State::Clearing, Ask::ClearKey)
    }

    pub(super) fn cleared(&mut self, already: bool) -> Step {
        let text = if already {
            "the drive held no key already"
        } else {
            "the drive holds no key now, as read back"
        };
        self.say(Level::Note, text, None);
        self.end(Outcome::Cleared)
    }
}
