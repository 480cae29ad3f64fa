//! The KMS web service on the wire: every request and answer, used by both its ends and pinned by the golden JSON in
//! `tests/vectors/kms-api/`.
//!
//! Requests refuse fields that they do not know; answers are read leniently, so that an older client understands a newer service.
//! Types that carry a key have no `Debug`. Nothing here talks to anybody.

mod admin_requests;
mod answers;
mod audit_head;
mod audit_pages;
mod audit_walk;
mod certificates;
mod endpoint;
mod enroll_token;
pub mod expiry;
mod health;
mod lifecycle;
mod names;
mod operations;
mod requests;
mod role;
mod servers;
mod supplied;
pub mod text;

pub use admin_requests::{
    ADMIN_REQUESTS_MAX, AdminChange, AdminRequest, AdminRequestList, AdminRequestState, NewAdminRequest,
    UndoAdminRequest,
};
pub use answers::{
    BackupKeyAnswer, CandidateKeyAnswer, ErrorAnswer, ErrorCode, GroupList, GroupRecord, KadMatch, KeyList, KeyMove,
    KeyRecord, RestoreKeysAnswer, RestoredKeyAnswer, ServerOutcome, ServerResult,
};
pub use audit_head::{AuditHead, AuditHeadError};
pub use audit_pages::{AUDIT_PAGE_RECORDS_MAX, AuditEntry, AuditHeads, AuditPage, AuditPageQuery};
pub use audit_walk::{AuditVerdict, AuditWalk};
pub use certificates::{
    BOUND_GROUPS_MAX, BindGroups, Binding, CertificateList, CertificateRecord, CreateEnrollment, EndReason, Ended,
    Enroll, EnrollmentList, EnrollmentRecord, EnrollmentToken, IssuedCertificate, RenewCertificate, RevokeCertificates,
    SIGNING_REQUEST_LENGTH_MAX,
};
pub use endpoint::{EndpointError, ServerEndpoint};
pub use enroll_token::{ENROLL_TOKEN_LENGTH_MAX, EnrollToken};
pub use expiry::Expiry;
pub use health::{
    CertificateLife, ExternalServerStatus, GroupReleases, LastAnswer, Readiness, ReleaseStatistics, StateCount,
};
pub use lifecycle::{
    Describe, MoveKeyToGroup, ROTATE_AFTER_DAYS_MAX, RenameGroup, RenameKey, RotateAfter, RotationReport, SetRotation,
    WaitingRotation,
};
pub use names::{ClientName, GroupName, KeyName, NameError, ServerName, TAPE_PREFIX, VolumeName};
pub use operations::{
    CertificateDates, ClearedCache, CreateSnapshot, QuiesceRecord, SNAPSHOT_PATH_LENGTH_MAX, SealStatus, ServiceAlarm,
    ServiceStatus, SnapshotForm, SnapshotList, SnapshotRecord, SnapshotSchedule,
};
pub use requests::{
    BackupKeyRequest, CreateGroup, CreateKey, MoveKey, PageQuery, Purpose, RestoreKeysRequest, RotateGroup,
};
pub use role::Role;
pub use servers::{
    ANY_SERVER, AddServer, BindGroupToServer, CERTIFICATES_LENGTH_MAX, ChangeServer, CheckServer, CreateServerKey,
    CreatedKey, ENDPOINTS_MAX, Finding, GroupAttribute, HELD_VOLUMES_SHOWN, HeldVolume, RemoveServer, RemovedServer,
    SERVER_LIMIT_MS_DEFAULT, SERVER_LIMIT_MS_MAX, ServerCertificate, ServerCertificateRole, ServerCheck,
    ServerCredentials, ServerList, ServerPrivateKey, ServerRecord, Verdict,
};
pub use supplied::{CreatePassphraseKey, ImportKeys, ImportOutcome, ImportReport, ImportedKey};

use std::fmt;

use serde::{Deserialize, Serialize};

/// `POST`: a key for writing a volume. Role media-server.
pub const BACKUP_KEY_PATH: &str = "/v1/backup-key";
/// `POST`: the keys that a KAD names. Role media-server.
pub const RESTORE_KEYS_PATH: &str = "/v1/restore-keys";
/// `GET`: all groups; `POST`: a new one. `/v1/groups/{group}/keys` takes `POST` for a new key,
/// `/v1/groups/{group}/passphrase-keys` for a key made of a passphrase, `/v1/groups/{group}/import` for keys of other software,
/// `/v1/groups/{group}/keys/{key}/state` for a move, `/v1/groups/{group}/rotate` for a rotation, `/v1/groups/{group}/name` and
/// `/v1/groups/{group}/description`, `/v1/groups/{group}/rotation` for the age of one, `/v1/groups/{group}/keys/{key}/name`, `/v1/groups/{group}/keys/{key}/description` and
/// `/v1/groups/{group}/keys/{key}/group` for another of these.
pub const GROUPS_PATH: &str = "/v1/groups";
/// `POST`, without a body: another key protection key.
pub const SEAL_ROTATE_PATH: &str = "/v1/seal/rotate";
/// `POST`, without a body: carries out every rotation by age that is due.
pub const ROTATE_DUE_PATH: &str = "/v1/rotate-due";
/// `GET`: keys of all groups, or of one with `?group=`.
pub const KEYS_PATH: &str = "/v1/keys";
/// `GET`: the newest snapshots; `POST`: a new one.
pub const SNAPSHOTS_PATH: &str = "/v1/snapshots";
/// `GET`: how the service as a whole is.
pub const STATUS_PATH: &str = "/v1/status";
/// `POST`, without a body: one more quiesce.
pub const QUIESCE_PATH: &str = "/v1/quiesce";
/// `POST`, without a body: one quiesce less.
pub const UNQUIESCE_PATH: &str = "/v1/unquiesce";
/// `POST`, without a body: forget what external servers answered.
pub const CLEAR_CACHE_PATH: &str = "/v1/cache/clear";
/// `GET`: the external servers; `POST`: a new one. `/v1/servers/{server}` takes `GET`; `/v1/servers/{server}/settings`,
/// `/v1/servers/{server}/remove`, `/v1/servers/{server}/check` and `/v1/servers/{server}/keys` take `POST`. `/v1/groups/{group}/server` takes
/// `POST` to bind a group to one of them.
pub const SERVERS_PATH: &str = "/v1/servers";
/// `GET`: certificates that were issued. `/v1/certificates/{name}/revoke` takes `POST` to end those of a name, `/v1/certificates/{name}/groups`
/// to bind a media server to other groups.
pub const CERTIFICATES_PATH: &str = "/v1/certificates";
/// `POST`: a successor for the asker's own certificate.
pub const RENEWAL_PATH: &str = "/v1/renewal";
/// `GET`: tokens that can be used. `POST`: a token for a new host. `/v1/enrollments/{name}/cancel` takes `POST` to make those for a name
/// worthless.
pub const ENROLLMENTS_PATH: &str = "/v1/enrollments";
/// `POST`: a certificate for a token. The one address that takes clients without a certificate.
pub const ENROLL_PATH: &str = "/v1/enroll";
/// `GET`: the description of all of these, OpenAPI 3.1; it says which roles may ask what.
pub const OPENAPI_PATH: &str = "/v1/openapi.json";

/// `GET`: the newest requests; `POST`: a new one. `/v1/requests/{number}` takes `GET`; `/v1/requests/{number}/approve` and
/// `/v1/requests/{number}/undo` take `POST`. Roles: admin; operators may undo, auditors see.
pub const REQUESTS_PATH: &str = "/v1/requests";
/// `GET`: records of the audit log, with `?node=` and `&after=`. Roles auditor, operator, admin.
pub const AUDIT_PATH: &str = "/v1/audit";
/// `GET`: the heads of the audit log's chains. Roles auditor, operator, admin.
pub const AUDIT_HEADS_PATH: &str = "/v1/audit/heads";

/// Header of every reply: [`AuditHead`], the end of the audit chain of the node that answers. A node's head that goes back shows a store
/// that was rolled back.
pub const AUDIT_HEAD_HEADER: &str = "tapekey-audit-head";

/// Header of a request, if its sender remembers one: an [`AuditHead`] that the KMS showed earlier. The reply repeats the header with [`KNOWN`]
/// or [`NOT_KNOWN`]; without it, nothing is said. A chain that was rolled back may have grown beyond what is remembered: this shows it.
pub const KNOWN_HEAD_HEADER: &str = "tapekey-known-head";
/// The store has that very record.
pub const KNOWN: &str = "known";
/// The store does not have that record: it was rolled back, or restored.
pub const NOT_KNOWN: &str = "not-known";

/// Most bytes of a request body.
pub const REQUEST_LENGTH_MAX: usize = 64 * 1024;
/// Most bytes of an answer.
pub const ANSWER_LENGTH_MAX: usize = 1024 * 1024;
/// Most records in one answer to a listing; the rest is behind `next`.
pub const PAGE_RECORDS_MAX: usize = 500;
/// Most keys that a KMS gives for one KAD: drives stop taking keys after about ten wrong ones.
pub const RESTORED_KEYS_MAX: usize = 8;
/// Most keys in one import, so that it fits a request whatever stands beside each key.
pub const IMPORT_KEYS_MAX: usize = 32;
/// Most characters of a description.
pub const DESCRIPTION_LENGTH_MAX: usize = 256;

/// The life of a key, one step at a time in either direction, but never back to prelive; deleted it stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// Made, not yet used for anything.
    Prelive,
    /// For backup and restore; at most one key of a group.
    Active,
    /// For restore, and for finishing volumes that were begun under it.
    Inactive,
    /// For nothing; an attempt is a clear error.
    Deprecated,
    /// For nothing, and on its way out.
    Terminated,
    /// Gone: only the record is left.
    Deleted,
}

impl KeyState {
    /// Every state, in the order of a key's life.
    pub const ALL: [Self; 6] = [
        Self::Prelive,
        Self::Active,
        Self::Inactive,
        Self::Deprecated,
        Self::Terminated,
        Self::Deleted,
    ];

    /// The state's name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Prelive => "prelive",
            Self::Active => "active",
            Self::Inactive => "inactive",
            Self::Deprecated => "deprecated",
            Self::Terminated => "terminated",
            Self::Deleted => "deleted",
        }
    }

    /// The state of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Whether a key may go from this state to `to` in one step, by a command. To deleted none may: that needs two administrators and time.
    #[must_use]
    pub fn may_move_to(self, to: Self) -> bool {
        use KeyState::{Active, Deprecated, Inactive, Prelive, Terminated};
        matches!(
            (self, to),
            (Prelive, Active)
                | (Active, Inactive)
                | (Inactive, Active | Deprecated)
                | (Deprecated, Inactive | Terminated)
                | (Terminated, Deprecated)
        )
    }

    /// Whether a key of this state may be handed out to read a volume.
    #[must_use]
    pub fn serves_restore(self) -> bool {
        matches!(self, Self::Active | Self::Inactive)
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// What a group's keys encrypt with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Cipher {
    /// AES in Galois/Counter Mode with a 256-bit key, as LTO drives do it.
    #[serde(rename = "AES-256-GCM")]
    Aes256Gcm,
}

impl fmt::Display for Cipher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad("AES-256-GCM")
    }
}

/// Where a key came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyOrigin {
    /// Drawn at random: lost with the store.
    Random,
    /// Made of a passphrase and its own id: comes back with both.
    Passphrase,
    /// Brought from other software.
    Imported,
}

impl KeyOrigin {
    /// Every origin.
    pub const ALL: [Self; 3] = [Self::Random, Self::Passphrase, Self::Imported];

    /// The origin's name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Passphrase => "passphrase",
            Self::Imported => "imported",
        }
    }

    /// The origin of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|origin| origin.name() == name)
    }
}

impl fmt::Display for KeyOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// The name of the KMS's own store among the servers behind it.
pub const BUILT_IN: &str = "built-in";

/// What kind of server holds a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyServerKind {
    /// The KMS's own store.
    BuiltIn,
    /// An external server that speaks the Key Management Interoperability Protocol.
    Kmip,
}

impl fmt::Display for KeyServerKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::BuiltIn => "built-in",
            Self::Kmip => "KMIP",
        })
    }
}

/// Which of the servers behind the KMS gave a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeySource {
    /// Its name in the KMS's configuration; `built-in` for its own store.
    pub name: String,
    /// What it is.
    pub kind: KeyServerKind,
    /// Where the KMS reaches it; the built-in store has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// Its rank among the external servers; the built-in store has none, it is always last.
    pub priority: Option<i32>,
    /// Whether the answer came from the KMS's memory.
    pub cached: bool,
    /// Whether it was asked only because another one could not be reached.
    pub fallback: bool,
    /// How long it took to answer, in milliseconds; a cached answer takes none.
    #[serde(default)]
    pub took_ms: u64,
    /// The version of its protocol that was spoken, such as `1.4`; the built-in store has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// What it calls the key that it gave, printable; absent for the built-in store, and where this stands beside no single key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

impl KeySource {
    /// The KMS's own store.
    #[must_use]
    pub fn built_in() -> Self {
        Self {
            name: BUILT_IN.to_owned(),
            kind: KeyServerKind::BuiltIn,
            address: None,
            priority: None,
            cached: false,
            fallback: false,
            took_ms: 0,
            protocol_version: None,
            identifier: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_moves_one_step_at_a_time_and_never_back_to_prelive() {
        for (rank, from) in KeyState::ALL.into_iter().enumerate() {
            assert_eq!(KeyState::from_name(from.name()), Some(from));
            for (to_rank, to) in KeyState::ALL.into_iter().enumerate() {
                let one_step = rank.abs_diff(to_rank) == 1
                    && to != KeyState::Prelive
                    && to != KeyState::Deleted
                    && from != KeyState::Deleted;
                assert_eq!(from.may_move_to(to), one_step, "{from} to {to}");
            }
        }
    }
}
