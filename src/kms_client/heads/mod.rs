//! Remembering the heads of the KMS's audit chains, so that a store that was rolled back is noticed.
//!
//! A chain only ever grows. One that is shorter than it was, or has another record where one is known, was put back to an older state, by
//! an attacker or by a restore. Here that is judged ([`judge`]) and kept ([`HeadBook`]); nothing here forgets an alarm by itself.

mod book;
mod exchange;
mod file;

pub use book::{Accepted, HeadAlarm, HeadBook, HeadBookError, HeadReport};
pub(super) use exchange::Exchange;

use serde::{Deserialize, Serialize};

use crate::clock::{Timestamp, to_text};
use crate::kad::KeyId;
use crate::kms_api::{AuditHead, text};

/// Chains remembered at most: every node of a KMS has one, and a KMS has few nodes.
const CHAINS_MAX: usize = 64;

/// What is remembered of one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownChain {
    /// The furthest head that was seen, or the one that a person accepted.
    #[serde(with = "text::audit_head")]
    pub head: AuditHead,
    /// When it was seen.
    #[serde(with = "time::serde::rfc3339")]
    pub seen: Timestamp,
    /// The address of the KMS that said so.
    pub address: String,
    /// What does not fit, until a person accepts it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<Doubt>,
}

/// A head that does not fit what is remembered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// What does not fit.
    pub kind: DoubtKind,
    /// When it was first seen.
    #[serde(with = "time::serde::rfc3339")]
    pub since: Timestamp,
    /// The head that was seen then.
    #[serde(with = "text::audit_head")]
    pub first: AuditHead,
    /// The head that was seen last.
    #[serde(with = "text::audit_head")]
    pub last: AuditHead,
    /// Who said so.
    pub address: String,
}

/// What does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoubtKind {
    /// The chain is shorter than it was.
    Shorter,
    /// The chain has another record where one is known.
    OtherRecord,
    /// The KMS does not have the record that is known.
    Denied,
    /// The store is another one than those that answered before.
    OtherStore,
}

impl KnownChain {
    /// The alarm for people, if there is one: what happened.
    fn alarm(&self) -> Option<String> {
        let doubt = self.doubt.as_ref()?;
        let (node, known, seen) = (self.head.node, self.head.sequence, to_text(self.seen));
        let found = doubt.first.sequence;
        Some(match doubt.kind {
            DoubtKind::Shorter => format!(
                "the KMS's store was rolled back: the audit chain of node {node} ended at record {found} at {}, at {known} when last seen on {seen}",
                doubt.address
            ),
            DoubtKind::OtherRecord | DoubtKind::Denied => format!(
                "the KMS's store was rolled back: at {} the audit chain of node {node} has another record {known} than was seen on {seen}",
                doubt.address
            ),
            DoubtKind::OtherStore => format!(
                "another store than before answers as the KMS at {}: its node {node} does not have what was seen before",
                doubt.address
            ),
        })
    }
}

/// What a head means to one who remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Judgement {
    /// It goes on from what is known.
    Ahead,
    /// Nothing new.
    Same,
    /// It does not fit.
    Doubtful(DoubtKind),
}

/// Compares `found` with the head that is known now, and with the one that was known when the question was sent: answers overtake each
/// other, so that one may arrive late with a head between the two, which is no sign of anything.
fn judge(known: &AuditHead, when_asked: Option<&AuditHead>, found: &AuditHead) -> Judgement {
    let clashes = |other: &AuditHead| found.sequence == other.sequence && found.mac != other.mac;
    if clashes(known) || when_asked.is_some_and(clashes) {
        return Judgement::Doubtful(DoubtKind::OtherRecord);
    }
    if found.sequence > known.sequence {
        return Judgement::Ahead;
    }
    match when_asked {
        Some(asked) if found.sequence < asked.sequence => Judgement::Doubtful(DoubtKind::Shorter),
        _ => Judgement::Same,
    }
}

/// What the KMS said of the head that was sent along with the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Said<'a> {
    /// Nothing, or none was sent.
    Nothing,
    /// Its store has that record.
    Known,
    /// Its store does not have this record.
    NotKnown(&'a AuditHead),
}

/// What was known when a question was sent.
#[derive(Debug, Clone, Default)]
pub(super) struct WhenAsked(Vec<KnownChain>);

impl WhenAsked {
    fn of(&self, node: KeyId) -> Option<&AuditHead> {
        let known = self.0.iter().find(|known| known.head.node == node)?;
        Some(&known.head)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn head(sequence: i64, mac: u8) -> AuditHead {
        AuditHead {
            node: KeyId([1; 16]),
            sequence,
            mac: [mac; 32],
        }
    }

    #[test]
    fn a_chain_that_is_shorter_or_has_another_record_is_doubtful() {
        let known = head(100, 1);
        for (found, expected) in [
            (head(101, 2), Judgement::Ahead),
            (head(100, 1), Judgement::Same),
            (head(100, 2), Judgement::Doubtful(DoubtKind::OtherRecord)),
            (head(99, 1), Judgement::Doubtful(DoubtKind::Shorter)),
            (head(0, 1), Judgement::Doubtful(DoubtKind::Shorter)),
        ] {
            assert_eq!(judge(&known, Some(&known), &found), expected, "{found}");
        }
    }

    #[test]
    fn an_answer_that_was_overtaken_is_no_sign_of_anything() {
        let (asked, known) = (head(100, 1), head(105, 5));
        for sequence in 101..105 {
            assert_eq!(judge(&known, Some(&asked), &head(sequence, 9)), Judgement::Same);
        }
        assert_eq!(judge(&known, Some(&asked), &head(100, 1)), Judgement::Same);
        assert_eq!(
            judge(&known, Some(&asked), &head(100, 9)),
            Judgement::Doubtful(DoubtKind::OtherRecord)
        );
        assert_eq!(
            judge(&known, Some(&asked), &head(99, 9)),
            Judgement::Doubtful(DoubtKind::Shorter)
        );
        // Two first questions at once: nothing was known when the second was sent.
        assert_eq!(judge(&known, None, &head(3, 9)), Judgement::Same);
    }
}
