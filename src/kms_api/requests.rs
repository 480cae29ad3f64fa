//! What the KMS can be asked. Unknown fields are refused: a misspelt wish must not be silently dropped.

use serde::{Deserialize, Serialize};

use super::KeyState;
use super::names::{GroupName, KeyName, VolumeName};
use super::text;
use crate::kad::KeyKind;

/// What a key is wanted for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// A tape volume; the group's name must begin with `ENCR_`.
    #[default]
    Tape,
    /// A volume of a disk pool; the group has the pool's name, which must not begin with `ENCR_`.
    Disk,
}

impl Purpose {
    /// What a group of that name is for.
    #[must_use]
    pub fn of(group: &GroupName) -> Self {
        if group.is_for_tape() { Self::Tape } else { Self::Disk }
    }

    /// The purpose's name on the wire and in records.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tape => "tape",
            Self::Disk => "disk",
        }
    }

    fn is_tape(&self) -> bool {
        *self == Self::Tape
    }
}

/// A key for writing one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackupKeyRequest {
    /// What for.
    pub purpose: Purpose,
    /// The group of the volume's pool.
    pub group: GroupName,
    /// The volume, for the audit record; nothing is stored per volume besides.
    pub volume: VolumeName,
}

/// The keys that the KADs of a block name. One of the two KADs at least must be there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestoreKeysRequest {
    /// The unauthenticated KAD as the drive gives it, in hex.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text::hex_bytes")]
    pub kad: Vec<u8>,
    /// The authenticated KAD as the drive gives it, in hex. Blocks of ours have none.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "text::hex_bytes")]
    pub a_kad: Vec<u8>,
    /// The volume, for the audit record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeName>,
}

/// A new key group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateGroup {
    /// Its name, that of the pool.
    pub name: GroupName,
    /// How keys on drives follow from its keys; never changed later.
    pub kind: KeyKind,
    /// What its keys are for; the name must fit, so that a forgotten `ENCR_` is seen.
    #[serde(default, skip_serializing_if = "Purpose::is_tape")]
    pub purpose: Purpose,
    /// A note for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// A new random key in a group, prelive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateKey {
    /// Its name; without one the KMS makes one from the date and the key's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
}

/// Another state for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveKey {
    /// The new state.
    pub state: KeyState,
    /// Accepts that the key exists on one disk only. Asked for when a key becomes active; audited.
    #[serde(default)]
    pub single_copy: bool,
}

/// A new key in a group, active at once; the former active key becomes inactive.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RotateGroup {
    /// The new key's name; without one the KMS makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
    /// Accepts that the key exists on one disk only; audited.
    #[serde(default)]
    pub single_copy: bool,
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PageQuery {
    /// Keys of this group only; listings of groups ignore it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// Where the last answer ended: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}
