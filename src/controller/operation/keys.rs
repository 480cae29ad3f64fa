//! Asking for a key, and whether the one that came may be used for this volume.

use super::{Operation, State, Wish};
use crate::controller::job::Level;
use crate::controller::pool::Pool;
use crate::controller::step::{Ask, Change, Step};
use crate::kad::OurKad;
use crate::keysource::{GroupName, KeyFacts, KeyState, ServerOutcome};

impl Operation {
    pub(super) fn fetch_new(&mut self, group: GroupName) -> Step {
        match self.volume_name.clone() {
            Some(volume) => self.ask(State::FetchingNew, Ask::NewKey { group, volume }),
            None => self.refuse("the volume has no name", "name it with --barcode"),
        }
    }

    pub(super) fn fetch_known(&mut self, kad: OurKad) -> Step {
        if self.is_given() {
            return self.check_given(kad.into());
        }
        let volume = self.volume_name.clone();
        self.ask(
            State::FetchingKnown,
            Ask::KeysOf {
                kads: kad.into(),
                volume,
            },
        )
    }

    pub(super) fn new_key(&mut self, facts: KeyFacts) -> Step {
        if self.named_group().is_none_or(|group| *group != facts.group) {
            let text = format!("the KMS gave a key of group {}, which nobody asked for", facts.group);
            return self.refuse(text, "look at the KMS; this should never happen");
        }
        self.load(facts, true)
    }

    pub(super) fn known_keys(&mut self, keys: Vec<KeyFacts>, outcomes: &[ServerOutcome]) -> Step {
        let Some(facts) = keys.into_iter().next() else {
            if self.wish == Wish::Unlock && self.trials.are_any() && self.tape_kads().is_some() {
                return self.try_next();
            }
            return self.no_key(outcomes);
        };
        if let Some(group) = self.named_group()
            && *group != facts.group
        {
            let text = format!(
                "the volume belongs to group {}, as its KAD and the KMS say, but the caller says {group}",
                facts.group
            );
            return self.refuse(
                text,
                "leave --pool out to write on in the volume's own pool, or load another cartridge",
            );
        }
        match facts.state {
            KeyState::Active => self.load(facts, false),
            KeyState::Inactive if self.wish == Wish::Unlock => self.load(facts, false),
            KeyState::Inactive if self.rules.finish_volumes => {
                self.say(
                    Level::Note,
                    format!("key {} is inactive; the volume is finished under it", facts.key_name),
                    None,
                );
                self.load(facts, false)
            }
            state => {
                let text = format!(
                    "key {} of group {} is {state}, and the volume is encrypted under it",
                    facts.key_name, facts.group
                );
                self.refuse(
                    text,
                    "use another cartridge for backups; tapekey unlock still reads this one if the key is inactive",
                )
            }
        }
    }

    fn load(&mut self, facts: KeyFacts, new: bool) -> Step {
        self.changes.push(Change::Key {
            facts: facts.clone(),
            new,
        });
        self.kad = Some(facts.kad);
        self.send_key()
    }

    fn no_key(&mut self, outcomes: &[ServerOutcome]) -> Step {
        let kad = match &self.beginning {
            Some(crate::drive::Beginning::Ours(kad)) => format!("{kad} (key id {})", kad.key_id()),
            Some(crate::drive::Beginning::Foreign {
                unauthenticated_kad,
                authenticated_kad,
            }) => super::looking::in_words(unauthenticated_kad, authenticated_kad),
            _ => "that the last job on this volume names".into(),
        };
        let said: Vec<String> = outcomes.iter().map(server_said).collect();
        let said = if said.is_empty() {
            "no server was asked".to_owned()
        } else {
            said.join("; ")
        };
        let text = format!("no key for the KAD {kad}: {said}; the drive stays without a key");
        self.refuse(
            text,
            "look for the key with tapekey kms key list; a KMS restored from an old copy may lack it",
        )
    }

    fn named_group(&self) -> Option<&GroupName> {
        match &self.wish {
            Wish::Load {
                pool: Some(Pool::Encrypted(group)),
                ..
            } => Some(group),
            _ => None,
        }
    }
}

fn server_said(outcome: &ServerOutcome) -> String {
    let server = &outcome.server;
    let address = server.server_address.as_ref().unwrap_or(&server.address);
    let name = format!("{} at {address}", server.name);
    format!("{name} {}", outcome.result)
}
