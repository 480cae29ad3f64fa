//! How the service is, in numbers: statistics for administrators, readiness for monitoring.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::names::ServerName;
use super::{KeyServerKind, KeyState, ServerResult};

/// How many keys are in a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCount {
    /// The state.
    pub state: KeyState,
    /// How many.
    pub keys: u64,
}

/// How often keys were given out, by the audit records of all nodes. A request that got several candidates of one server counts once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseStatistics {
    /// Releases in the last 24 hours.
    pub releases_day: u64,
    /// Releases in the last 7 days.
    pub releases_week: u64,
    /// Requests of any kind that were refused in the last 24 hours.
    pub refusals_day: u64,
    /// Requests of any kind that were refused in the last 7 days.
    pub refusals_week: u64,
    /// The groups with the most releases in the last 7 days, the most first.
    pub groups: Vec<GroupReleases>,
    /// False if there are more records than were looked at: then the numbers are too low.
    pub complete: bool,
}

/// How often keys of one group were given out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupReleases {
    /// The group, also one that is no more.
    pub group: String,
    /// Releases in the last 7 days.
    pub releases_week: u64,
}

/// An external server behind the KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExternalServerStatus {
    /// Its name.
    pub name: ServerName,
    /// What it speaks.
    pub kind: KeyServerKind,
    /// Where it is reached.
    pub address: String,
    /// Its rank.
    pub priority: i32,
    /// Whether it is asked for backups.
    pub enabled_for_backup: bool,
    /// Why this node of the KMS cannot use it; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it said last to this node of the KMS; absent if it was not asked since the start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAnswer>,
}

/// What a server said, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastAnswer {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What.
    pub result: ServerResult,
}

/// Whether this node can serve, and what else a monitoring system would like to know. What is not known is absent, never "fine".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readiness {
    /// Whether the store answered a reading and a writing transaction just now. Nothing else makes a node not ready: with the rest it
    /// still gives out keys.
    pub ready: bool,
    /// Why not, and whatever else is unknown.
    pub problems: Vec<String>,
    /// Milliseconds since the last commit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_commit_age_ms: Option<u64>,
    /// Outstanding quiesces; while there is one, groups and keys cannot be changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiesces: Option<u64>,
    /// Keys that are lost if the store's disk dies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_in_no_snapshot: Option<u64>,
    /// The service's certificates.
    pub certificates: Vec<CertificateLife>,
    /// The external servers.
    pub servers: Vec<ExternalServerStatus>,
}

/// How long a certificate is still good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateLife {
    /// Which one: `server` or `issuing_ca`.
    pub certificate: String,
    /// Its last moment.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// Whole days until then; negative once it is over.
    pub days_left: i64,
}
