//! A volume that other software encrypted: the keys that may fit are tried one after the other, and the drive decides.
//!
//! Drives stop taking keys after about ten wrong ones until the volume is unloaded, so few are tried while a volume is mounted, and each one
//! once, however often somebody asks. Every trial is a whole load: with encryption off, a stray write would go plain.

use std::collections::VecDeque;
use std::fmt;

use super::{Operation, State, Wish};
use crate::controller::job::{Level, Outcome};
use crate::controller::step::{Ask, Change, Failure, FailureKind, Receipt, Step};
use crate::drive::{Beginning, Fit, KeyParameters};
use crate::kad::{BlockKads, KeyId, without_padding};
use crate::keysource::CandidateFacts;

/// Most wrong keys while a volume is mounted.
const WRONG_KEYS_MAX: usize = 8;

/// The keys that may fit, and what is known of them.
#[derive(Default)]
pub(super) struct Trials {
    /// Not tried yet, with their number in the answer.
    untried: VecDeque<(usize, Contender)>,
    /// In the drive now.
    trying: Option<Contender>,
    /// Tried while this volume was mounted, and wrong.
    wrong: Vec<KeyId>,
    /// There were some, tried before or not.
    any: bool,
    /// A key went into the drive.
    sent: bool,
}

/// A key that may fit.
pub(super) enum Contender {
    /// One that the KMS named.
    Named(CandidateFacts),
    /// The one that somebody gave; it stands by this id among those that were wrong.
    Given(KeyId),
}

impl Contender {
    fn id(&self) -> KeyId {
        match self {
            Self::Named(facts) => facts.key_id,
            Self::Given(id) => *id,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(facts) => write!(formatter, "key {} of group {}", facts.key_name, facts.group),
            Self::Given(_) => formatter.write_str("the key that was given"),
        }
    }
}

impl Trials {
    pub(super) fn of_given(id: KeyId, wrong: Vec<KeyId>) -> Self {
        Self {
            untried: VecDeque::from([(0, Contender::Given(id))]),
            wrong,
            any: true,
            ..Self::default()
        }
    }

    pub(super) fn new(candidates: Vec<CandidateFacts>, wrong: Vec<KeyId>) -> Self {
        let any = !candidates.is_empty();
        let untried = candidates
            .into_iter()
            .enumerate()
            .filter(|(_, candidate)| !wrong.contains(&candidate.key_id))
            .map(|(number, candidate)| (number, Contender::Named(candidate)))
            .collect();
        Self {
            untried,
            wrong,
            any,
            ..Self::default()
        }
    }

    pub(super) fn are_any(&self) -> bool {
        self.any
    }
}

impl Operation {
    /// The KADs of the volume's first block.
    pub(super) fn tape_kads(&self) -> Option<BlockKads> {
        match &self.beginning {
            Some(Beginning::Ours(kad)) => Some((*kad).into()),
            Some(Beginning::Foreign {
                unauthenticated_kad,
                authenticated_kad,
            }) => Some(BlockKads {
                unauthenticated: unauthenticated_kad.clone(),
                authenticated: authenticated_kad.clone(),
            }),
            _ => None,
        }
    }

    pub(super) fn fetch_candidates(&mut self, kads: BlockKads) -> Step {
        if self.is_given() {
            return self.check_given(kads);
        }
        let nameless = |kad: &[u8]| without_padding(kad).is_empty();
        if nameless(&kads.unauthenticated) && nameless(&kads.authenticated) {
            let text = "the volume was encrypted by other software, which wrote no KAD: nothing tells which key it is";
            return self.refuse(text, "read it with the software that wrote it");
        }
        let volume = self.volume_name.clone();
        self.ask(State::FetchingKnown, Ask::KeysOf { kads, volume })
    }

    pub(super) fn try_next(&mut self) -> Step {
        let Some(kads) = self.tape_kads() else {
            return self.refuse(
                "a bug in tapekeyd: there is no block to try a key on",
                "please report it with the daemon's log",
            );
        };
        if self.trials.wrong.len() >= WRONG_KEYS_MAX {
            let text = format!("{WRONG_KEYS_MAX} keys were tried while this volume was mounted, and none fits");
            return self.give_up(
                text,
                "unload the volume and load it again before more are tried: drives stop taking keys",
            );
        }
        let Some((candidate, contender)) = self.trials.untried.pop_front() else {
            if self.is_given() {
                return self.give_up(
                    "the key that was given does not fit this volume",
                    "give another key; it counts among the eight wrong ones until the volume is unloaded",
                );
            }
            let text = format!(
                "no key that the KMS has for this volume fits; {} were tried",
                self.trials.wrong.len()
            );
            return self.give_up(
                text,
                "import the right key: tapekey kms key import; keys tried once are not tried again before an unload",
            );
        };
        // It counts as wrong until the drive says that it fits, so that nothing is lost if we are.
        let mut counted = self.trials.wrong.clone();
        counted.push(contender.id());
        self.changes.push(Change::WrongKeys(counted));
        self.say(Level::Note, format!("{contender} is tried on the drive"), None);
        self.trials.trying = Some(contender);
        let parameters = KeyParameters {
            volume: self.volume.clone(),
            unauthenticated_kad: kads.unauthenticated,
            authenticated_kad: kads.authenticated,
            decryption: self.decryption,
            scope: self.rules.scope,
        };
        self.ask(State::Trying, Ask::TryKey { candidate, parameters })
    }

    pub(super) fn tried(&mut self, receipt: &Receipt, fit: Fit) -> Step {
        self.trials.sent = true;
        let (Some(contender), Some(kads)) = (self.trials.trying.take(), self.tape_kads()) else {
            return self.give_up(
                "a bug in tapekeyd: a key was tried that nobody named",
                "please report it",
            );
        };
        match fit {
            Fit::Fits => {
                self.changes.push(Change::WrongKeys(self.trials.wrong.clone()));
                self.say(Level::Note, format!("{contender} fits, as the drive says"), None);
                match (contender, &self.wish) {
                    (Contender::Named(facts), _) => self.changes.push(Change::Candidate { facts, kads }),
                    (Contender::Given(_), Wish::UnlockWith(by)) => {
                        let by = *by;
                        self.changes.push(Change::GivenKey { kads, by });
                    }
                    (Contender::Given(_), _) => {}
                }
                self.changes.push(Change::InForce(receipt.in_force().clone()));
                for note in receipt.notes() {
                    self.say(Level::Note, note, None);
                }
                self.end(Outcome::KeyLoaded)
            }
            Fit::DoesNot => {
                self.trials.wrong.push(contender.id());
                self.say(Level::Note, format!("{contender} does not fit"), None);
                self.try_next()
            }
            Fit::Unknown { why } => {
                let text = format!("whether {contender} fits is unknown: {why}");
                self.give_up(text, "rewind the tape and try again")
            }
        }
    }

    /// Nothing of what was tried may stay in the drive.
    fn give_up(&mut self, text: impl Into<String>, hint: &str) -> Step {
        if !self.trials.sent {
            return self.refuse(text, hint);
        }
        self.say(Level::Error, text, Some(hint));
        self.ask(State::FailedClearing, Ask::ClearKey)
    }

    pub(super) fn trial_failed(&mut self, failure: Failure) -> Step {
        let not_sent = matches!(
            failure.kind,
            FailureKind::Unchanged | FailureKind::NoEncryption | FailureKind::VolumeChanged
        );
        if not_sent {
            self.changes.push(Change::WrongKeys(self.trials.wrong.clone()));
        }
        match failure.kind {
            FailureKind::VolumeChanged if !self.trials.sent => self.start_over(failure),
            _ if not_sent && !self.trials.sent => self.refuse_failure(failure),
            _ => {
                self.say_failure(Level::Error, failure);
                self.ask(State::FailedClearing, Ask::ClearKey)
            }
        }
    }
}
