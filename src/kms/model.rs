//! What the KMS refuses and how it says so. A refusal is a definite answer; trouble with the store is another thing and says "unknown".

mod holder;

use thiserror::Error;

pub use self::holder::{CertificateRefusal, HolderRefusal};
use super::pki::PkiError;
use super::requests::RequestRefusal;
use super::servers::ServerRefusal;
use super::snapshot::SnapshotError;
use super::store::StoreError;
use crate::clock::{Timestamp, to_text};
use crate::kad::KeyId;
use crate::kms_api::{ErrorCode, GroupName, IMPORT_KEYS_MAX, KeyName, KeyState, ROTATE_AFTER_DAYS_MAX, ServerName};

/// The KMS will not do what was asked, and asking again will not change that.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// A tape group needs the prefix.
    #[error("group {group} is not for tape: its name does not begin with ENCR_")]
    NotForTape {
        /// The name.
        group: GroupName,
    },
    /// A group for disk pools cannot have the prefix of the others.
    #[error("group {group} is for tape: its name begins with ENCR_")]
    NotForDisk {
        /// The name.
        group: GroupName,
    },
    /// Who may have the key was not asked, and nobody else is to be.
    #[error("group {group}: server {server} cannot be reached, so that it is unknown whether it has a key: {why}")]
    ServerUnreachable {
        /// The group.
        group: GroupName,
        /// The server.
        server: String,
        /// What happened.
        why: String,
    },
    /// Servers were added, changed or removed while they were asked: by another node of this KMS, say.
    #[error("group {group}: the external servers were changed while they were asked, and no key was given")]
    ServersChanged {
        /// The group.
        group: GroupName,
    },
    /// Which servers there are, or which groups are bound to one, cannot be read.
    #[error("group {group}: where its new keys come from is unknown: {why}")]
    ServersUnknown {
        /// The group.
        group: GroupName,
        /// What happened.
        why: String,
    },
    /// An external server does not give the key, or gives a wrong one.
    #[error("group {group}: server {server} refuses: {why}")]
    ServerRefused {
        /// The group.
        group: GroupName,
        /// The server.
        server: String,
        /// What it said.
        why: String,
    },
    /// The only server that may be asked has no key.
    #[error("group {group} is bound to server {server} alone: {said}")]
    BoundServer {
        /// The group.
        group: GroupName,
        /// The server.
        server: ServerName,
        /// What it said, or why it was not asked.
        said: String,
    },
    /// Neither an external server nor the built-in store has a key.
    #[error("{own}, and no external server gave one ({asked})")]
    NoKeyAnywhere {
        /// Why the built-in store has none.
        own: Box<Self>,
        /// What each external server said.
        asked: String,
    },
    /// No such group.
    #[error("there is no group {group}")]
    NoSuchGroup {
        /// The name.
        group: GroupName,
    },
    /// No such key.
    #[error("there is no key {key} in group {group}")]
    NoSuchKey {
        /// The group.
        group: GroupName,
        /// The name.
        key: KeyName,
    },
    /// The group has keys or not, but none is active.
    #[error("group {group} has no active key")]
    NoActiveKey {
        /// The group.
        group: GroupName,
    },
    /// The group's name is taken.
    #[error("there is a group {group} already")]
    GroupExists {
        /// The name.
        group: GroupName,
    },
    /// The name stands for the keys that an external server has in the group, and so for what was written under them.
    #[error("keys of an external server were given out for group {group}, which keeps its name")]
    ReleasedOutside {
        /// The group.
        group: GroupName,
    },
    /// The key's name is taken.
    #[error("there is a key {key} in group {group} already")]
    KeyExists {
        /// The group.
        group: GroupName,
        /// The name.
        key: KeyName,
    },
    /// The key's id is taken.
    #[error("there is a key with id {id} already: {key} in group {group}")]
    KeyIdExists {
        /// The id.
        id: KeyId,
        /// The group.
        group: GroupName,
        /// The name.
        key: KeyName,
    },
    /// Keys of other software are used as they are.
    #[error("group {group} derives a key for each volume; keys of other software are used as they are")]
    ImportIntoDerived {
        /// The group.
        group: GroupName,
    },
    /// An import without keys, or with too many.
    #[error("an import has 1 to {IMPORT_KEYS_MAX} keys, this one {found}")]
    ImportSize {
        /// How many.
        found: usize,
    },
    /// A KAD that no block can be told by.
    #[error("the KAD of key number {number} of the import is nothing but padding")]
    EmptyKad {
        /// Which key of the import, from 1.
        number: usize,
    },
    /// More than one step, or back to prelive.
    #[error("key {key} of group {group} is {from} and cannot become {to} in one step")]
    WrongMove {
        /// The group.
        group: GroupName,
        /// The key.
        key: KeyName,
        /// Its state.
        from: KeyState,
        /// The wanted one.
        to: KeyState,
    },
    /// Volumes are written under it right now.
    #[error("key {key} of group {group} is active and stays in its group")]
    ActiveStays {
        /// The group.
        group: GroupName,
        /// The key.
        key: KeyName,
    },
    /// An age that makes no sense.
    #[error("keys are rotated after 1 to {ROTATE_AFTER_DAYS_MAX} days, not {days}")]
    RotationAge {
        /// The age.
        days: u32,
    },
    /// A next key waits already.
    #[error("a rotation of group {group} is under way: key {key} waits to become active")]
    RotationUnderWay {
        /// The group.
        group: GroupName,
        /// The key that waits.
        key: KeyName,
    },
    /// Somebody did something else with the key that was to become active.
    #[error(
        "key {key} is no longer the next one of its group: it was moved, deleted, or given another state meanwhile"
    )]
    RotationOvertaken {
        /// The key's id.
        key: KeyId,
    },
    /// The kind of a group is bound into each of its keys.
    #[error("key {key} is of group {group}, and group {to} is of the other kind")]
    OtherKind {
        /// The group.
        group: GroupName,
        /// The key.
        key: KeyName,
        /// Where it was to go.
        to: GroupName,
    },
    /// The key would be handed out while it exists on one disk only.
    #[error(
        "key {key} of group {group} would exist on this disk only: if the disk dies, every tape written under it is lost"
    )]
    SingleCopy {
        /// The group.
        group: GroupName,
        /// The key.
        key: KeyName,
    },
    /// The same, where the key would be made in the same step.
    #[error(
        "a new key for group {group} would exist on this disk only: if the disk dies, every tape written under it is lost"
    )]
    RotatedSingleCopy {
        /// The group.
        group: GroupName,
    },
    /// Groups and keys stay as they are for now.
    #[error("changes wait: the service is quiesced ({count} outstanding, the oldest by {subject} since {})", to_text(*since))]
    Quiesced {
        /// How many times.
        count: u64,
        /// Since when.
        since: Timestamp,
        /// By whom first.
        subject: String,
    },
    /// More keys than the configuration lets go in an hour.
    #[error("keys for {limit} volumes were released within this hour, and no further ones may be")]
    ReleasesStopped {
        /// The limit.
        limit: u64,
    },
    /// What is refused of requests that need two administrators.
    #[error(transparent)]
    Request(#[from] RequestRefusal),
    /// The host master key that this service holds seals the store no more.
    #[error(
        "the store was resealed since this service started, and a key sealed under the former host master key would not open again"
    )]
    Resealed,
    /// Nothing to take back.
    #[error("the service is not quiesced")]
    NotQuiesced,
    /// The asker's certificate is not good, or no longer.
    #[error(transparent)]
    Certificate(#[from] CertificateRefusal),
    /// What was asked of certificates, or under one.
    #[error(transparent)]
    Holder(#[from] HolderRefusal),
    /// What was asked of external servers.
    #[error(transparent)]
    Server(#[from] ServerRefusal),
    /// A description is too long or has control characters.
    #[error("a description has at most 256 characters and no control characters")]
    Description,
}

impl Refusal {
    /// The refusal for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotForTape { .. } => ErrorCode::NotForTape,
            Self::NotForDisk { .. } => ErrorCode::NotForDisk,
            Self::ServerUnreachable { .. } | Self::ServersChanged { .. } | Self::ServersUnknown { .. } => {
                ErrorCode::ServerUnreachable
            }
            Self::ServerRefused { .. } => ErrorCode::ServerRefused,
            Self::BoundServer { .. } => ErrorCode::NoActiveKey,
            Self::NoKeyAnywhere { own, .. } => own.code(),
            Self::NoSuchGroup { .. } => ErrorCode::NoSuchGroup,
            Self::NoSuchKey { .. } => ErrorCode::NoSuchKey,
            Self::NoActiveKey { .. } => ErrorCode::NoActiveKey,
            Self::GroupExists { .. } | Self::KeyExists { .. } => ErrorCode::NameTaken,
            Self::ReleasedOutside { .. } => ErrorCode::GroupNotEmpty,
            Self::KeyIdExists { .. } => ErrorCode::IdTaken,
            Self::ImportIntoDerived { .. } | Self::OtherKind { .. } => ErrorCode::WrongKind,
            Self::ImportSize { .. } | Self::EmptyKad { .. } => ErrorCode::BadRequest,
            Self::WrongMove { .. }
            | Self::ActiveStays { .. }
            | Self::RotationUnderWay { .. }
            | Self::RotationOvertaken { .. }
            | Self::Resealed => ErrorCode::WrongState,
            Self::SingleCopy { .. } | Self::RotatedSingleCopy { .. } => ErrorCode::SingleCopy,
            Self::Quiesced { .. } => ErrorCode::Quiesced,
            Self::NotQuiesced => ErrorCode::NotQuiesced,
            Self::Certificate(_) => ErrorCode::Certificate,
            Self::Holder(refusal) => refusal.code(),
            Self::Server(refusal) => refusal.code(),
            Self::Description | Self::RotationAge { .. } => ErrorCode::BadRequest,
            Self::ReleasesStopped { .. } => ErrorCode::ReleasesStopped,
            Self::Request(refusal) => refusal.code(),
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NotForTape { .. } => {
                "name the group ENCR_ and something, like its pool; a group for a disk pool is made with --for disk (purpose: disk)"
                    .to_owned()
            }
            Self::NotForDisk { .. } => {
                "name the group like the disk pool, without ENCR_; tape is the purpose where none is given".to_owned()
            }
            Self::ServerUnreachable { .. } => UNREACHABLE_HINT.to_owned(),
            Self::ServersChanged { .. } => "ask again".to_owned(),
            Self::ServersUnknown { .. } => UNKNOWN_HINT.to_owned(),
            Self::ServerRefused { .. } => SERVER_REFUSED_HINT.to_owned(),
            Self::BoundServer { .. } => {
                "make and activate a key of the group at that server, or bind the group to another one".to_owned()
            }
            Self::NoKeyAnywhere { own, .. } => own.hint(),
            Self::NoSuchGroup { group } => {
                format!("check the pool's name, or make the group: tapekey kms group create {group}")
            }
            Self::NoSuchKey { group, .. } => format!("list its keys: tapekey kms key list {group}"),
            Self::NoActiveKey { group } => {
                format!(
                    "make one with tapekey kms key create {group}, then a snapshot, then tapekey kms key activate {group} KEY"
                )
            }
            Self::GroupExists { .. } | Self::KeyExists { .. } => "choose another name".to_owned(),
            Self::ReleasedOutside { .. } => RELEASED_HINT.to_owned(),
            Self::KeyIdExists { .. } => {
                "use that key; a new one gets an id of its own when --id is left out".to_owned()
            }
            Self::ImportIntoDerived { group } => {
                format!("make a group for them: tapekey kms group create {group}-import --kind as-is")
            }
            Self::ImportSize { .. } => "divide the file".to_owned(),
            Self::EmptyKad { .. } => "leave the KAD out, or give the one that stands on the tape".to_owned(),
            Self::WrongMove { to, .. } => hint_about_moves(*to).to_owned(),
            Self::ActiveStays { group, key } => format!(
                "first make another key active: tapekey kms key activate {group} OTHER; or take it out of use: tapekey kms key retire {group} {key} inactive"
            ),
            Self::RotationAge { .. } => "tapekey kms group set GROUP --rotate-after 90d, or never".to_owned(),
            Self::RotationUnderWay { group, key } => format!(
                "tapekey kms key rotate {group} without --name goes on with it; another name: tapekey kms key rename {group} {key} NAME"
            ),
            Self::RotationOvertaken { .. } => {
                "tapekey kms key list shows how its group is; rotate again if need be".to_owned()
            }
            Self::OtherKind { .. } => {
                "a key stays derived or as-is for ever: choose a group of the same kind, see tapekey kms group list"
                    .to_owned()
            }
            Self::SingleCopy { group, key } => format!(
                "first tapekey kms snapshot create /ON/ANOTHER/DISK/FILE, then tapekey kms key activate {group} {key}; --single-copy (single_copy: true) accepts the risk and is audited"
            ),
            Self::RotatedSingleCopy { group } => format!(
                "name a [snapshots] folder on another disk in kms.toml, or take three steps: tapekey kms key create {group}, tapekey kms snapshot create /ON/ANOTHER/DISK/FILE, tapekey kms key activate {group} KEY; --single-copy (single_copy: true) accepts the risk and is audited"
            ),
            Self::Quiesced { .. } => {
                "ask again after tapekey kms unquiesce; tapekey kms status shows who waits for what".to_owned()
            }
            Self::Request(refusal) => refusal.hint(),
            Self::ReleasesStopped { .. } => STOPPED_HINT.to_owned(),
            Self::Resealed => "restart tapekey-kms, so that it takes up the new host master key".to_owned(),
            Self::NotQuiesced => "tapekey kms status shows how the service is".to_owned(),
            Self::Certificate(refusal) => refusal.hint().to_owned(),
            Self::Holder(refusal) => refusal.hint(),
            Self::Server(refusal) => refusal.hint(),
            Self::Description => "shorten it".to_owned(),
        }
    }
}

/// What to do where a server is away.
const UNREACHABLE_HINT: &str =
    "bring the server back; with fall_back_when_unreachable = true in kms.toml another source of keys is taken instead";

/// What to do where nobody knows who has the keys.
const UNKNOWN_HINT: &str =
    "tapekey-kms verify FOLDER names every record that is damaged; restores go on, backups wait until it is mended";

/// What to do where a server has a key and does not give it.
const SERVER_REFUSED_HINT: &str = "change that at the server (tapekey kms server check NAME says more); no other one is asked, so that the source of keys never changes by itself";

/// What to do where a group keeps its name.
const RELEASED_HINT: &str = "servers know the group by its name: make a group of the other name for new volumes; what was written stays readable through this one";

/// What to do where the releases of an hour have reached the limit.
const STOPPED_HINT: &str = "tapekey kms status and the audit log show who took them; if all is well, ask again in the next hour, or raise releases.stop_releases_above in kms.toml";

/// What to do where a key cannot go to `to` by a command.
fn hint_about_moves(to: KeyState) -> &'static str {
    match to {
        KeyState::Deleted => {
            "deletion needs two administrators and 30 days: tapekey kms request delete-key GROUP KEY --reason TEXT"
        }
        _ => "prelive, active, inactive, deprecated, terminated: one step at a time, never back to prelive",
    }
}

/// A request was not served.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store failed; whether the thing is so or not is unknown.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No snapshot was made.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// No certificate was made.
    #[error(transparent)]
    Pki(PkiError),
}

impl From<CertificateRefusal> for ServiceError {
    fn from(error: CertificateRefusal) -> Self {
        Self::Refused(error.into())
    }
}

impl From<HolderRefusal> for ServiceError {
    fn from(error: HolderRefusal) -> Self {
        Self::Refused(error.into())
    }
}

impl From<PkiError> for ServiceError {
    fn from(error: PkiError) -> Self {
        match error {
            PkiError::Request { problem } => HolderRefusal::SigningRequest { problem }.into(),
            error => Self::Pki(error),
        }
    }
}

impl From<RequestRefusal> for ServiceError {
    fn from(refusal: RequestRefusal) -> Self {
        Self::Refused(refusal.into())
    }
}

impl From<crate::entropy::EntropyError> for ServiceError {
    fn from(error: crate::entropy::EntropyError) -> Self {
        Self::Store(error.into())
    }
}

/// Descriptions stand in tables and logs: one line, not too long.
pub(super) fn check_description(text: &str) -> Result<(), Refusal> {
    let fits = text.chars().count() <= crate::kms_api::DESCRIPTION_LENGTH_MAX;
    if fits && !text.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(Refusal::Description)
    }
}
