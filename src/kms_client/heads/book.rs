//! The remembered heads of one daemon or one administrator, in memory and in a file.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::file::{self, Content};
use super::{CHAINS_MAX, Doubt, DoubtKind, Judgement, KnownChain, Said, WhenAsked, judge};
use crate::clock::{Clock, Timestamp};
use crate::kad::KeyId;
use crate::kms_api::{AuditHead, text};

/// Acceptances kept, the newest.
const ACCEPTED_MAX: usize = 100;

/// A doubt that a person cleared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// Who: a user of this host.
    pub by: String,
    /// Why it is all right.
    pub reason: String,
    /// The head that was remembered until then.
    #[serde(with = "text::audit_head")]
    pub instead_of: AuditHead,
    /// The head that is remembered from then on.
    #[serde(with = "text::audit_head")]
    pub head: AuditHead,
}

/// Something that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadAlarm {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// What happened.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// Everything that is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadReport {
    /// The chains, in the order in which they were first seen.
    pub chains: Vec<KnownChain>,
    /// What persons accepted, the newest last.
    pub accepted: Vec<Accepted>,
    /// What a person has to look at.
    pub alarms: Vec<HeadAlarm>,
}

/// The heads cannot be kept, or not be accepted.
#[derive(Debug, Error)]
pub enum HeadBookError {
    /// The file cannot be written.
    #[error("remember the heads of the KMS's audit chains in {path}: {source}\nhint: is the disk full or read-only?", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// No alarm is about that node.
    #[error("there is no alarm about the audit chain of node {node}\nhint: see tapekey kms head list")]
    NoAlarm {
        /// The node.
        node: KeyId,
    },
    /// A reason must say something, on one line.
    #[error(
        "the reason is empty, too long, or has control characters\nhint: say in at most 256 characters why the head may be accepted"
    )]
    Reason,
}

/// The heads that are remembered. Share it behind an `Arc`.
pub struct HeadBook {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    content: Mutex<Content>,
    /// Why the file could not be read: then nothing is written over it.
    unreadable: Option<HeadAlarm>,
    writing: tokio::sync::Mutex<()>,
}

impl HeadBook {
    /// Reads what is remembered in the file at `path`. A file that cannot be read is an alarm, and is left as it is.
    #[must_use]
    pub fn open(path: &Path, clock: Arc<dyn Clock>) -> Self {
        let (content, unreadable) = match file::read(path) {
            Ok(content) => (content, None),
            Err(error) => {
                let shown = path.display();
                tracing::error!(file = %shown, %error, "ALARM: the remembered heads of the KMS's audit chains cannot be read");
                let alarm = HeadAlarm {
                    at: clock.now(),
                    text: format!(
                        "the remembered heads of the KMS's audit chains cannot be read: {shown}: {error}; whether the KMS's store was rolled back is unknown"
                    ),
                    hint: format!(
                        "check the KMS with tapekey-kms audit verify, then move {shown} away and start again"
                    ),
                };
                (Content::default(), Some(alarm))
            }
        };
        Self {
            path: path.to_owned(),
            clock,
            content: Mutex::new(content),
            unreadable,
            writing: tokio::sync::Mutex::new(()),
        }
    }

    /// Everything that is remembered.
    #[must_use]
    pub fn report(&self) -> HeadReport {
        let Content { chains, accepted } = self.content().clone();
        HeadReport {
            alarms: self.alarms_of(&chains),
            chains,
            accepted,
        }
    }

    /// What a person has to look at.
    #[must_use]
    pub fn alarms(&self) -> Vec<HeadAlarm> {
        self.alarms_of(&self.content().chains)
    }

    fn alarms_of(&self, chains: &[KnownChain]) -> Vec<HeadAlarm> {
        let of_chains = chains.iter().filter_map(|known| {
            Some(HeadAlarm {
                at: known.doubt.as_ref()?.since,
                text: known.alarm()?,
                hint: hint(known),
            })
        });
        self.unreadable.iter().cloned().chain(of_chains).collect()
    }

    /// What is known as a question goes out.
    pub(in crate::kms_client) fn when_asked(&self) -> WhenAsked {
        WhenAsked(self.content().chains.clone())
    }

    /// Takes note of the head that came with an answer. An alarm is durable before this returns, a mere advance a little later: a crash may
    /// lose that, which makes no false alarm.
    pub(in crate::kms_client) async fn see(
        self: &Arc<Self>,
        exchange: (&WhenAsked, Said<'_>),
        found: AuditHead,
        address: &str,
    ) {
        let noted = self.note(exchange, found, address);
        match noted {
            Noted::Nothing => {}
            Noted::Advance => drop(tokio::spawn(self.clone().save_and_say())),
            Noted::Alarm(text) => {
                tracing::error!(address, "ALARM: {text}");
                self.clone().save_and_say().await;
            }
        }
    }

    fn note(&self, (asked, said): (&WhenAsked, Said<'_>), found: AuditHead, address: &str) -> Noted {
        let now = self.clock.now();
        let content = &mut *self.content();
        let doubt = |kind| Doubt {
            kind,
            since: now,
            first: found.clone(),
            last: found.clone(),
            address: address.to_owned(),
        };
        let Some(known) = find(content, found.node) else {
            let expected = content.chains.is_empty() || said == Said::Known;
            let doubt = (!expected).then(|| doubt(DoubtKind::OtherStore));
            return note_new(content, &found, address, now, doubt);
        };
        if let Some(doubt) = &mut known.doubt {
            let changed = doubt.last != found;
            doubt.last = found;
            return if changed { Noted::Advance } else { Noted::Nothing };
        }
        match (judge(&known.head, asked.of(found.node), &found), said) {
            (Judgement::Doubtful(kind), _) => known.raise(doubt(kind)),
            (_, Said::NotKnown(sent)) => match find(content, sent.node).filter(|known| known.doubt.is_none()) {
                Some(denied) => {
                    denied.head = sent.clone();
                    denied.raise(doubt(DoubtKind::Denied))
                }
                None => Noted::Nothing,
            },
            (Judgement::Same, _) => Noted::Nothing,
            (Judgement::Ahead, _) => {
                (known.seen, known.address) = (now, address.to_owned());
                known.head = found;
                Noted::Advance
            }
        }
    }

    /// Clears the alarm about the chain of `node` and goes on from the head that was seen last. Returns once that is durable.
    ///
    /// # Errors
    /// [`HeadBookError`]: no alarm, no reason, the disk.
    pub async fn accept(&self, node: KeyId, by: &str, reason: &str) -> Result<HeadReport, HeadBookError> {
        check_reason(reason)?;
        {
            let now = self.clock.now();
            let mut content = self.content();
            let no_alarm = || HeadBookError::NoAlarm { node };
            let known = find(&mut content, node).ok_or_else(no_alarm)?;
            let doubt = known.doubt.take().ok_or_else(no_alarm)?;
            let instead_of = std::mem::replace(&mut known.head, doubt.last.clone());
            (known.seen, known.address) = (now, doubt.address);
            tracing::warn!(%node, by, reason, %instead_of, head = %doubt.last, "a head of the KMS's audit chain was accepted");
            content.accepted.push(Accepted {
                at: now,
                by: by.to_owned(),
                reason: reason.to_owned(),
                instead_of,
                head: doubt.last,
            });
            let surplus = content.accepted.len().saturating_sub(ACCEPTED_MAX);
            content.accepted.drain(..surplus);
        }
        self.save().await?;
        Ok(self.report())
    }

    /// Makes what is remembered durable.
    ///
    /// # Errors
    /// [`HeadBookError::Unwritable`].
    pub async fn save(&self) -> Result<(), HeadBookError> {
        if self.unreadable.is_some() {
            return Ok(());
        }
        let _one_at_a_time = self.writing.lock().await;
        let (content, path) = (self.content().clone(), self.path.clone());
        let written = tokio::task::spawn_blocking(move || file::write(&path, &content)).await;
        let written = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        written.map_err(|source| HeadBookError::Unwritable {
            path: self.path.clone(),
            source,
        })
    }

    async fn save_and_say(self: Arc<Self>) {
        if let Err(error) = self.save().await {
            tracing::error!(%error, "a roll-back of the KMS's store may not be noticed after the next start");
        }
    }

    fn content(&self) -> MutexGuard<'_, Content> {
        self.content.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What taking note came to.
enum Noted {
    Nothing,
    Advance,
    Alarm(String),
}

impl KnownChain {
    fn raise(&mut self, doubt: Doubt) -> Noted {
        self.doubt = Some(doubt);
        self.alarm().map_or(Noted::Advance, Noted::Alarm)
    }
}

fn find(content: &mut Content, node: KeyId) -> Option<&mut KnownChain> {
    content.chains.iter_mut().find(|known| known.head.node == node)
}

/// A chain that was not seen before: of a new node, which shows by knowing what others said, or, which is doubtful, of another store.
fn note_new(content: &mut Content, found: &AuditHead, address: &str, now: Timestamp, doubt: Option<Doubt>) -> Noted {
    if content.chains.len() >= CHAINS_MAX {
        tracing::error!(address, node = %found.node, "an audit chain of the KMS is not remembered: there are too many");
        return Noted::Nothing;
    }
    tracing::warn!(address, node = %found.node, sequence = found.sequence, "an audit chain of the KMS is seen for the first time");
    let known = KnownChain {
        head: found.clone(),
        seen: now,
        address: address.to_owned(),
        doubt,
    };
    let alarm = known.alarm();
    content.chains.push(known);
    alarm.map_or(Noted::Advance, Noted::Alarm)
}

fn hint(known: &KnownChain) -> String {
    let (node, head) = (known.head.node, &known.head);
    match known.doubt.as_ref().map(|doubt| doubt.kind) {
        Some(DoubtKind::OtherStore) => format!(
            "check the addresses of the KMS; if it was made anew on purpose, tapekey kms head accept {node} --reason TEXT"
        ),
        _ => format!(
            "on the KMS's host: tapekey-kms audit verify DIR --head {head}; keys and revocations made since may be lost; if it was restored on purpose, tapekey kms head accept {node} --reason TEXT"
        ),
    }
}

fn check_reason(reason: &str) -> Result<(), HeadBookError> {
    let length = reason.trim().chars().count();
    if (1..=256).contains(&length) && !reason.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(HeadBookError::Reason)
    }
}

#[cfg(test)]
mod tests;
