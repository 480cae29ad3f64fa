//! The audit log on the wire, a page at a time. The key of its MACs never leaves the KMS: it says of each record whether it fits.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{AuditHead, text};
use crate::kad::KeyId;

/// Most audit records in one answer.
pub const AUDIT_PAGE_RECORDS_MAX: usize = 200;

/// One audit record, as it is exported and shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditEntry {
    /// The node whose chain it is in.
    #[serde(with = "text::key_id")]
    pub node: KeyId,
    /// Its place in the chain, from 1.
    pub sequence: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Who: the certificate's subject.
    pub subject: String,
    /// Which certificate.
    pub fingerprint: String,
    /// What was asked.
    pub action: String,
    /// The group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The key, as a UUID.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The volume.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// What else was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// `done`, or why not.
    pub outcome: String,
    /// The head of the chain with this record at its end: compare it with a head that was remembered.
    #[serde(with = "text::audit_head")]
    pub head: AuditHead,
    /// Whether the record is as it was written, after the one that stands before it.
    pub fits: bool,
}

/// Some records of one node's chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditPage {
    /// The records, oldest first.
    pub records: Vec<AuditEntry>,
    /// What to ask for next; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<i64>,
}

/// Which records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AuditPageQuery {
    /// The node whose chain it is.
    #[serde(with = "text::key_id")]
    pub node: KeyId,
    /// Those after this number; without it, from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<i64>,
}

/// The chains that there are, and what is remembered of them in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditHeads {
    /// The head of each node's chain.
    #[serde(with = "text::audit_heads")]
    pub heads: Vec<AuditHead>,
    /// Heads that snapshots were made with.
    #[serde(with = "text::audit_heads")]
    pub of_snapshots: Vec<AuditHead>,
}
