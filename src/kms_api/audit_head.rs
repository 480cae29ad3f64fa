//! The head of an audit chain, as every reply carries it.
//!
//! Nodes that share a store have a chain each. Who asks several of them keeps one head for each node and compares a head only with the
//! last one of the same node.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;
use uuid::Uuid;

use crate::kad::KeyId;

/// The end of one node's audit chain: grows with every record, and has a MAC that only the store can make. As text
/// `NODE:SEQUENCE:MAC` (UUID, decimal, lower-case hex).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Id of the node.
    pub node: KeyId,
    /// Number of the last record; 0 before the first.
    pub sequence: i64,
    /// The last record's MAC.
    pub mac: [u8; 32],
}

/// A text is no [`AuditHead`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the text is no head of an audit chain: {problem}")]
pub struct AuditHeadError {
    /// What is wrong.
    pub problem: &'static str,
}

impl fmt::Display for AuditHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}:{}", self.node, self.sequence, hex::encode(self.mac))
    }
}

impl FromStr for AuditHead {
    type Err = AuditHeadError;

    fn from_str(text: &str) -> Result<Self, AuditHeadError> {
        let wrong = |problem| AuditHeadError { problem };
        let mut fields = text.splitn(3, ':');
        let node = fields.next().and_then(|node| Uuid::try_parse(node).ok());
        let node = node.ok_or(wrong("the node is no UUID"))?;
        let sequence = fields.next().and_then(|sequence| sequence.parse().ok());
        let sequence = sequence
            .filter(|sequence| *sequence >= 0)
            .ok_or(wrong("the sequence is no number"))?;
        let mut mac = [0; 32];
        let digits = fields.next().unwrap_or_default();
        hex::decode_to_slice(digits, &mut mac).map_err(|_| wrong("the MAC has not 64 hex digits"))?;
        Ok(Self {
            node: KeyId(node.into_bytes()),
            sequence,
            mac,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_reads_back_and_anything_else_is_refused() {
        let head = AuditHead {
            node: KeyId([0xAB; 16]),
            sequence: 42,
            mac: [7; 32],
        };
        let text = head.to_string();
        assert_eq!(text.parse(), Ok(head));
        for cut in 0..text.len() {
            assert!(text[..cut].parse::<AuditHead>().is_err(), "{cut} bytes of the text");
        }
        for wrong in [format!("{text}0"), text.replace(":42:", ":-1:"), format!("0:{text}")] {
            assert!(wrong.parse::<AuditHead>().is_err(), "{wrong}");
        }
    }
}
