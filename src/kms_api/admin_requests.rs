//! What needs two administrators and a waiting time: asked for by one, approved by another, carried out by the service itself a month later
//! (or, for a further administrator, allowed then), and undone by anybody who administers or operates the KMS until then.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::{ClientName, GroupName, KeyName, text};
use crate::kad::KeyId;

/// Most requests in one answer.
pub const ADMIN_REQUESTS_MAX: usize = 200;

/// What is asked for, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewAdminRequest {
    /// What.
    pub change: AdminChange,
    /// Why; kept for ever.
    pub reason: String,
}

/// A change that cannot be undone once it is carried out, or that gives all of an administrator's power to somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum AdminChange {
    /// The bytes of a key are deleted; its record stays.
    DeleteKey {
        /// The group.
        group: GroupName,
        /// The key, prelive or terminated.
        key: KeyName,
    },
    /// A group is deleted.
    DeleteGroup {
        /// The group, without any key.
        group: GroupName,
    },
    /// A further administrator: once it is due, tokens with that name and role can be made, until one is used.
    AddAdmin {
        /// Who; nobody may have a valid certificate of that name.
        name: ClientName,
    },
}

impl fmt::Display for AdminChange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DeleteKey { group, key } => write!(formatter, "delete key {key} of group {group}"),
            Self::DeleteGroup { group } => write!(formatter, "delete group {group}"),
            Self::AddAdmin { name } => write!(formatter, "let {name} become an administrator"),
        }
    }
}

/// How far a request is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdminRequestState {
    /// A second administrator has to approve it.
    Asked,
    /// It waits for its time.
    Approved,
    /// Somebody took it back.
    Undone,
    /// It was carried out.
    Done,
    /// It could not be carried out, or nobody approved it in time.
    Void,
}

impl AdminRequestState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Asked, Self::Approved, Self::Undone, Self::Done, Self::Void];

    /// The state's name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Approved => "approved",
            Self::Undone => "undone",
            Self::Done => "done",
            Self::Void => "void",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether something can still happen to it.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Asked | Self::Approved)
    }
}

impl fmt::Display for AdminRequestState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A request and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRequest {
    /// Its number.
    pub number: i64,
    /// What is asked for, with the names of that time.
    pub change: AdminChange,
    /// Id of the key, which no rename changes; for a key.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional_key_id")]
    pub key_id: Option<KeyId>,
    /// Why.
    pub reason: String,
    /// How far it is.
    pub state: AdminRequestState,
    /// When it was asked for.
    #[serde(with = "time::serde::rfc3339")]
    pub asked: OffsetDateTime,
    /// By whom.
    pub asked_by: String,
    /// When it was approved.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub approved: Option<OffsetDateTime>,
    /// By whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Seconds of service time until it is carried out, or, while it is not approved, until it is void; while it is open. 0 for a further
    /// administrator who can enroll now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_left: Option<u64>,
    /// When it ended.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub ended: Option<OffsetDateTime>,
    /// By whom; the service, when it was carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<String>,
}

/// Some requests, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminRequestList {
    /// The requests.
    pub requests: Vec<AdminRequest>,
}

/// Taking a request back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UndoAdminRequest {
    /// Why; kept for ever.
    pub reason: String,
}
