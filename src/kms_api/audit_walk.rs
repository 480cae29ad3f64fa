//! Going along audit chains and finding what is missing, altered, reordered or cut off. Pure, and the same for who reads the store and who
//! reads the web service.
//!
//! A chain alone cannot show that records are missing at its end: only heads that were remembered elsewhere can.

use serde::{Deserialize, Serialize};

use super::{AuditEntry, AuditHead, text};
use crate::kad::KeyId;

/// Problems named at most.
const PROBLEMS_MAX: usize = 100;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditVerdict {
    /// Records seen, of all chains.
    pub records: u64,
    /// Where the chains end.
    #[serde(with = "text::audit_heads")]
    pub heads: Vec<AuditHead>,
    /// Remembered heads that were looked for.
    pub compared: usize,
    /// What is wrong, at most a hundred things; empty if all is well.
    pub problems: Vec<String>,
}

/// A walk along all chains of a store, one node after the other.
#[derive(Debug)]
pub struct AuditWalk {
    remembered: Vec<AuditHead>,
    verdict: AuditVerdict,
}

impl AuditWalk {
    /// A walk that has not begun; `remembered` are heads seen earlier, by whomever.
    #[must_use]
    pub fn new(remembered: Vec<AuditHead>) -> Self {
        let verdict = AuditVerdict {
            records: 0,
            heads: Vec::new(),
            compared: remembered.len(),
            problems: Vec::new(),
        };
        Self { remembered, verdict }
    }

    /// The next record. All records of a node come in a row, as they stand.
    pub fn see(&mut self, entry: &AuditEntry) {
        let (node, sequence) = (entry.node, entry.sequence);
        let before = self.verdict.heads.last().filter(|head| head.node == node);
        let expected = before.map_or(1, |head| head.sequence.saturating_add(1));
        if sequence > expected {
            let last = sequence.saturating_sub(1);
            let missing = if last == expected {
                format!("record {expected} of node {node} is missing")
            } else {
                format!("records {expected} to {last} of node {node} are missing")
            };
            self.problem(missing);
        } else if sequence < expected {
            self.problem(format!("record {sequence} of node {node} stands out of order"));
        }
        if !entry.fits {
            self.problem(format!(
                "record {sequence} of node {node} is not as it was written, or not after the one that stands before it"
            ));
        }
        let other = |head: &&AuditHead| head.node == node && head.sequence == sequence && head.mac != entry.head.mac;
        if self.remembered.iter().any(|head| other(&head)) {
            self.problem(format!(
                "record {sequence} of node {node} is another one than was seen earlier"
            ));
        }
        if expected == 1 {
            self.verdict.heads.push(entry.head.clone());
        } else if let Some(head) = self.verdict.heads.last_mut() {
            *head = entry.head.clone();
        }
        self.verdict.records = self.verdict.records.saturating_add(1);
    }

    /// How many records were seen.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.verdict.records
    }

    /// What was found, once every chain was walked to its end.
    #[must_use]
    pub fn end(mut self) -> AuditVerdict {
        for remembered in std::mem::take(&mut self.remembered) {
            let (node, seen) = (remembered.node, remembered.sequence);
            let ends = self.reached(node);
            if seen > ends {
                self.problem(format!(
                    "the chain of node {node} ends at record {ends}, but record {seen} was seen earlier: the end was cut off, or the store rolled back"
                ));
            }
        }
        self.verdict
    }

    fn reached(&self, node: KeyId) -> i64 {
        let mut heads = self.verdict.heads.iter();
        heads.find(|head| head.node == node).map_or(0, |head| head.sequence)
    }

    fn problem(&mut self, problem: String) {
        if self.verdict.problems.len() < PROBLEMS_MAX {
            self.verdict.problems.push(problem);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use time::OffsetDateTime;

    fn entry(node: u8, sequence: i64) -> AuditEntry {
        let node = KeyId([node; 16]);
        AuditEntry {
            node,
            sequence,
            time: OffsetDateTime::UNIX_EPOCH,
            subject: "CN=a".to_owned(),
            fingerprint: String::new(),
            action: "backup_key".to_owned(),
            group: None,
            key_id: None,
            volume: None,
            detail: None,
            outcome: "done".to_owned(),
            head: AuditHead {
                node,
                sequence,
                mac: [u8::try_from(sequence).unwrap(); 32],
            },
            fits: true,
        }
    }

    fn walk(remembered: Vec<AuditHead>, entries: &[AuditEntry]) -> Vec<String> {
        let mut walk = AuditWalk::new(remembered);
        entries.iter().for_each(|entry| walk.see(entry));
        walk.end().problems
    }

    #[test]
    fn whole_chains_have_no_problem_and_known_heads_are_found_in_them() {
        let entries = [entry(1, 1), entry(1, 2), entry(1, 3), entry(2, 1)];
        let remembered = vec![entry(1, 2).head, entry(1, 3).head, entry(2, 1).head];
        assert_eq!(walk(remembered, &entries), Vec::<String>::new());
    }

    #[test]
    fn gaps_repetitions_and_ends_that_were_cut_off_are_named() {
        let says = |entries: &[AuditEntry], remembered: Vec<AuditHead>, what: &str| {
            let problems = walk(remembered, entries);
            assert!(
                problems.iter().any(|problem| problem.contains(what)),
                "{what}: {problems:?}"
            );
        };
        says(&[entry(1, 1), entry(1, 3)], vec![], "record 2 of node");
        says(&[entry(1, 4)], vec![], "records 1 to 3 of node");
        says(&[entry(1, 1), entry(1, 1)], vec![], "stands out of order");
        says(
            &[entry(1, 1)],
            vec![entry(1, 2).head],
            "ends at record 1, but record 2 was seen",
        );
        says(
            &[entry(1, 1)],
            vec![entry(2, 2).head],
            "ends at record 0, but record 2 was seen",
        );
        let other = AuditHead {
            mac: [9; 32],
            ..entry(1, 1).head
        };
        says(&[entry(1, 1)], vec![other], "is another one than was seen earlier");
        let altered = AuditEntry {
            fits: false,
            ..entry(1, 1)
        };
        says(&[altered], vec![], "is not as it was written");
    }
}
