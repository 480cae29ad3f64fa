//! What administrators ask of the service as a whole: snapshots, quiesce, status.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::expiry::Expiry;
use super::health::{ExternalServerStatus, ReleaseStatistics, StateCount};
use super::{AdminRequest, WaitingRotation};

/// Most bytes of a snapshot's path.
pub const SNAPSHOT_PATH_LENGTH_MAX: usize = 1024;

/// A new snapshot of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateSnapshot {
    /// The file to make, on the KMS's host: an absolute path to nothing yet.
    pub path: String,
    /// Accepts that it lies on the store's own file system: then it counts for no key. Audited.
    #[serde(default)]
    pub same_filesystem: bool,
}

/// In which form keys were brought to another disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SnapshotForm {
    /// A copy of the store, as sealed as it was.
    Snapshot,
    /// A recovery kit: all keys under a passphrase of its own.
    Kit,
}

impl SnapshotForm {
    /// The form's name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::Kit => "kit",
        }
    }

    /// The form of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Snapshot, Self::Kit].into_iter().find(|form| form.name() == name)
    }
}

/// A snapshot or recovery kit that was made of the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotRecord {
    /// Its id, a UUID.
    pub id: String,
    /// What it is.
    pub form: SnapshotForm,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made: OffsetDateTime,
    /// Where it was written, on the KMS's host.
    pub path: String,
    /// The file system it was written to, as `major:minor` of its device.
    pub file_system: String,
    /// Whether it counts: it lies on another file system than the store.
    pub counts: bool,
    /// Head of the audit chain in it.
    pub audit_head: String,
    /// Groups in it.
    pub groups: u64,
    /// Keys in it.
    pub keys: u64,
    /// Length of the database in it, or of the kit, in bytes.
    pub bytes: u64,
    /// SHA-256 of the same, in hex.
    pub sha256: String,
}

/// The newest snapshots, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotList {
    /// The snapshots.
    pub snapshots: Vec<SnapshotRecord>,
}

/// The KMS forgot what external servers had answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClearedCache {
    /// How many answers it had kept.
    pub answers: u64,
}

/// Somebody's quiesce that was not taken back yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuiesceRecord {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: OffsetDateTime,
    /// Whose: the certificate's subject.
    pub subject: String,
}

/// Something that a person has to look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceAlarm {
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// What happened.
    pub text: String,
    /// What to do.
    pub hint: String,
}

/// How the service as a whole is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The store's id, a UUID.
    pub store: String,
    /// Keys in the store.
    pub keys: u64,
    /// Keys in no snapshot that counts: lost if the store's disk dies.
    pub keys_in_no_snapshot: u64,
    /// Some of them, as `GROUP/KEY`.
    pub examples: Vec<String>,
    /// Keys by state, every state once.
    #[serde(default)]
    pub keys_by_state: Vec<StateCount>,
    /// How often keys were given out lately.
    #[serde(default)]
    pub statistics: ReleaseStatistics,
    /// The external servers, in the order in which they are asked for backups.
    #[serde(default)]
    pub servers: Vec<ExternalServerStatus>,
    /// The newest snapshot that counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_snapshot: Option<SnapshotRecord>,
    /// Outstanding quiesces; while there is one, groups and keys cannot be changed.
    pub quiesces: u64,
    /// The oldest of them.
    pub quiesced_by: Vec<QuiesceRecord>,
    /// Where and when the service makes snapshots by itself, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<SnapshotSchedule>,
    /// Rotations that are due, some of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rotations: Vec<WaitingRotation>,
    /// What the service could not do by itself and an operator must look at, a line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alarms: Vec<String>,
    /// What a person has to look at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub security_alarms: Vec<ServiceAlarm>,
    /// Requests of administrators that are open.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<AdminRequest>,
    /// How far records are sealed under the newest key protection key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<SealStatus>,
    /// The service's own certificates, and those of clients that end soon and have no successor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub certificates: Vec<CertificateDates>,
}

/// How far records are sealed under the newest key protection key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealStatus {
    /// The newest key protection key's id, a UUID.
    pub key_protection_key: String,
    /// Older ones that are still needed.
    pub former: u64,
    /// Records that are sealed under these.
    pub records_left: u64,
}

/// The snapshots that the service makes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SnapshotSchedule {
    /// Their folder, on the KMS's host.
    pub folder: String,
    /// Seconds between two of them; absent if they are made for rotations only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every_seconds: Option<u64>,
    /// How many are kept.
    pub keep: u32,
    /// When the last one was made.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub last: Option<OffsetDateTime>,
    /// When the next one is due.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub next: Option<OffsetDateTime>,
}

/// When a certificate ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateDates {
    /// What it is: `server`, `issuing CA`, `root CA`, or role and name of a client.
    pub what: String,
    /// Its last moment.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// How near that is, if it is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}
