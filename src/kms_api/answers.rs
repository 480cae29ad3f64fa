//! What the KMS answers.

use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::names::{GroupName, KeyName, ServerName};
use super::{Cipher, KeyOrigin, KeySource, KeyState, text};
use crate::kad::{KeyId, KeyKind, OurKad};
use crate::secret::{DataKey, wire};

/// A key group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// Its name.
    pub name: GroupName,
    /// How keys on drives follow from its keys.
    pub kind: KeyKind,
    /// What its keys encrypt with.
    pub cipher: Cipher,
    /// A note for people.
    pub description: String,
    /// Days from when a key becomes active to when the next one takes its place by itself; absent where it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotate_after_days: Option<u32>,
    /// The one server that its new keys come from; absent where any may give them, by rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// What is known of a key besides its bytes, which no answer of this type ever holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyRecord {
    /// Its id, as it stands in KADs.
    #[serde(with = "text::key_id")]
    pub id: KeyId,
    /// Its name.
    pub name: KeyName,
    /// The group it is in.
    pub group: GroupName,
    /// What it may be used for.
    pub state: KeyState,
    /// A note for people.
    pub description: String,
    /// Where it came from.
    pub origin: KeyOrigin,
    /// The KAD that other software wrote beside blocks encrypted under it, in hex; for imported keys.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional_hex_bytes")]
    pub foreign_kad: Option<Vec<u8>>,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// When it last became active; absent if it never was.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub activated: Option<OffsetDateTime>,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
}

/// Some groups, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupList {
    /// The groups.
    pub groups: Vec<GroupRecord>,
    /// What to ask for next; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Some keys, by group and name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyList {
    /// The keys.
    pub keys: Vec<KeyRecord>,
    /// What to ask for next; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A key that has a new state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyMove {
    /// The key as it is now.
    pub key: KeyRecord,
    /// The group's former active key, if this move made it inactive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former: Option<KeyRecord>,
    /// False if the key had that state already.
    pub changed: bool,
}

/// The key to write a volume with. No `Debug`: it carries a key.
#[derive(Serialize, Deserialize)]
pub struct BackupKeyAnswer {
    /// The key for the drive, in base64: derived for this volume unless the group is as-is.
    #[serde(with = "wire")]
    pub key: DataKey,
    /// What the drive writes beside each block.
    #[serde(with = "text::our_kad")]
    pub kad: OurKad,
    /// The name of the group's key.
    pub key_name: KeyName,
    /// The group.
    pub group: GroupName,
    /// Who gave it.
    pub server: KeySource,
    /// What each server answered that was asked for it, in that order; the last one gave it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outcomes: Vec<ServerOutcome>,
}

/// One key that fits a KAD. No `Debug`: it carries a key.
#[derive(Serialize, Deserialize)]
pub struct RestoredKeyAnswer {
    /// The key for the drive, in base64.
    #[serde(with = "wire")]
    pub key: DataKey,
    /// The KAD it fits, without what the drive added.
    #[serde(with = "text::our_kad")]
    pub kad: OurKad,
    /// The name of the group's key.
    pub key_name: KeyName,
    /// The group.
    pub group: GroupName,
    /// Active or inactive.
    pub state: KeyState,
    /// Who gave it.
    pub server: KeySource,
}

/// How a key of an as-is group came to be a candidate for a KAD that is not ours, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KadMatch {
    /// It was imported with this very KAD.
    Exact,
    /// The KAD is its id.
    KeyId,
    /// It was imported with this KAD but for 00h and 20h at the end.
    ButForPadding,
}

/// A key that may fit a block whose KAD is not ours; only the drive can tell. No `Debug`: it carries a key.
#[derive(Serialize, Deserialize)]
pub struct CandidateKeyAnswer {
    /// The key for the drive, in base64: as it is, of an as-is group.
    #[serde(with = "wire")]
    pub key: DataKey,
    /// Its id.
    #[serde(with = "text::key_id")]
    pub id: KeyId,
    /// Its name.
    pub key_name: KeyName,
    /// The group.
    pub group: GroupName,
    /// Active or inactive.
    pub state: KeyState,
    /// Why it is a candidate.
    pub matched: KadMatch,
    /// Who gave it.
    pub server: KeySource,
}

/// The keys that a KAD names, best first. No `Debug`: it carries keys.
#[derive(Serialize, Deserialize)]
pub struct RestoreKeysAnswer {
    /// The keys; for a KAD of ours at most one, and its key check value agrees.
    pub keys: Vec<RestoredKeyAnswer>,
    /// Keys of as-is groups that a KAD of other software names, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub candidates: Vec<CandidateKeyAnswer>,
    /// What each server behind the KMS answered.
    pub outcomes: Vec<ServerOutcome>,
}

/// What one server behind the KMS answered to a KAD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOutcome {
    /// The server.
    pub server: KeySource,
    /// Its answer.
    pub result: ServerResult,
}

/// The answer of one server behind the KMS to a KAD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerResult {
    /// This many keys.
    Keys(usize),
    /// No key; the text says why, where that is known.
    None(Option<String>),
    /// It could not be asked: this happened.
    Unreachable(String),
    /// It has the key and does not give it: this is why, and what to do.
    Refused(String),
}

impl fmt::Display for ServerOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {}", self.server.name, self.result)
    }
}

impl fmt::Display for ServerResult {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keys(count) => write!(formatter, "has {count}"),
            Self::None(None) => formatter.write_str("has none"),
            Self::None(Some(why)) => write!(formatter, "has none: {why}"),
            Self::Unreachable(why) => write!(formatter, "could not be asked: {why}"),
            Self::Refused(why) => write!(formatter, "refused: {why}"),
        }
    }
}

/// Why a request was not served, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// The request itself is wrong.
    BadRequest,
    /// The certificate's role does not allow it.
    Forbidden,
    /// The certificate has expired, was revoked or replaced, is unknown, or no role can be read from it.
    Certificate,
    /// The media server is not bound to the group.
    GroupNotBound,
    /// There is no certificate of that name or serial number, or none that is still valid.
    NoSuchCertificate,
    /// The token does not exist, was used or cancelled, or is too old: which of them is not said.
    EnrollmentRefused,
    /// There is no token of that name that was not used yet.
    NoSuchEnrollment,
    /// A tape request for a group whose name does not begin with `ENCR_`.
    NotForTape,
    /// A disk request for a group whose name begins with `ENCR_`.
    NotForDisk,
    /// An external server that may have the key cannot be reached from this node of the KMS.
    ServerUnreachable,
    /// An external server does not give the key.
    ServerRefused,
    /// There is no external server of that name.
    NoSuchServer,
    /// Volumes were written under the server's keys, or groups are bound to it.
    ServerInUse,
    /// No such group.
    NoSuchGroup,
    /// No such key in the group.
    NoSuchKey,
    /// The group has no active key.
    NoActiveKey,
    /// The name is taken.
    NameTaken,
    /// There is a key with that id already.
    IdTaken,
    /// The group is of the other kind.
    WrongKind,
    /// A key cannot go from its state to the wanted one.
    WrongState,
    /// The key exists on one disk only and the request does not accept that.
    SingleCopy,
    /// Changes wait until every quiesce was taken back.
    Quiesced,
    /// There is no quiesce to take back.
    NotQuiesced,
    /// More keys than may leave within an hour.
    ReleasesStopped,
    /// There is no such request.
    NoSuchRequest,
    /// It needs the approval of another administrator.
    SecondAdmin,
    /// It was asked for, and its waiting time is not over.
    NotYet,
    /// A group with keys cannot be deleted; nor one for which an external server gave keys, which keeps its name too.
    GroupNotEmpty,
    /// No snapshot was made, or it would lie beside the store and the request does not accept that.
    Snapshot,
    /// No such address.
    NoSuchPath,
    /// The address does not take this method.
    WrongMethod,
    /// The body is too long.
    TooLong,
    /// The body did not come in time; nothing was done.
    SlowBody,
    /// The certificate asks too often, or has too many connections; nothing was done. `Retry-After` says when to ask again.
    TooMany,
    /// The service has no connection left; nothing was done. `Retry-After` says when to ask again.
    Busy,
    /// The service took too long.
    TimedOut,
    /// A record of the store does not open, or the store failed.
    Store,
    /// A code that this client does not know.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// Its name on the wire.
    #[must_use]
    pub fn name(self) -> String {
        // A variant without fields is always written as text.
        let name = serde_json::to_value(self).ok();
        name.and_then(|name| name.as_str().map(str::to_owned))
            .unwrap_or_default()
    }
}

/// A request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorAnswer {
    /// Why, for programs.
    pub code: ErrorCode,
    /// Why, for people.
    pub error: String,
    /// What to do.
    pub hint: String,
}
