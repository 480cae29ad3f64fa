//! A key that somebody gave through a descriptor: with a KAD of ours its check value must agree before anything is sent, with any other the
//! drive decides, within the same few trials.

use super::candidates::Trials;
use super::{Operation, State, Wish};
use crate::controller::job::Level;
use crate::controller::step::{Ask, Change, Step};
use crate::kad::{BlockKads, KeyId, OurKad};

impl Operation {
    /// Whether it is about reading, wherever the key comes from.
    pub(super) fn is_unlock(&self) -> bool {
        matches!(self.wish, Wish::Unlock | Wish::UnlockWith(_))
    }

    /// Whether somebody gave the key, so that no server is asked.
    pub(super) fn is_given(&self) -> bool {
        matches!(self.wish, Wish::UnlockWith(_))
    }

    pub(super) fn check_given(&mut self, kads: BlockKads) -> Step {
        self.ask(State::FetchingKnown, Ask::CheckGiven { kads })
    }

    pub(super) fn given_fits(&mut self, kad: OurKad) -> Step {
        self.say(
            Level::Note,
            "the key that was given fits the volume's KAD: its check value agrees",
            None,
        );
        if let Wish::UnlockWith(by) = self.wish {
            self.changes.push(Change::GivenKey { kads: kad.into(), by });
        }
        self.kad = Some(kad);
        self.send_key()
    }

    pub(super) fn given_unchecked(&mut self, id: KeyId, wrong: Vec<KeyId>) -> Step {
        self.trials = Trials::of_given(id, wrong);
        self.try_next()
    }
}
