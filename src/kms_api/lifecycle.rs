//! Changes of groups and keys that leave every key's bytes and id as they are: names, notes, the group, the age at which a key is rotated.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::KeyMove;
use super::names::{GroupName, KeyName};

/// Most days between two rotations.
pub const ROTATE_AFTER_DAYS_MAX: u32 = 3650;

/// Another name for a group. Pools that use it must be renamed too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameGroup {
    /// The new name.
    pub name: GroupName,
}

/// Another name for a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenameKey {
    /// The new name.
    pub name: KeyName,
}

/// Another note for people, on a group or a key. An empty one takes the note away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Describe {
    /// The new note.
    pub description: String,
}

/// Another group of the same kind for a key. Its id stays, so that its volumes find it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MoveKeyToGroup {
    /// The group that it goes to.
    pub group: GroupName,
    /// Its name there; without one it keeps its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
}

/// The age at which a group's active key is rotated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetRotation {
    /// The age.
    pub rotate_after: RotateAfter,
}

/// An age at which a key is rotated, counted from when it last became active.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotateAfter {
    /// Not by its age.
    Never,
    /// This many days, 1 to 3650.
    Days(u32),
}

/// What a look at all groups with a rotation by age did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationReport {
    /// The rotations that were carried out.
    pub rotated: Vec<KeyMove>,
    /// Those that are due and were not.
    pub waiting: Vec<WaitingRotation>,
}

/// A rotation that is due and waits. The group's active key serves until then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitingRotation {
    /// The group.
    pub group: GroupName,
    /// The next key, if it was made already: prelive, until a snapshot on another file system holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<KeyName>,
    /// Since when it is due; absent for one that was asked for.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        with = "time::serde::rfc3339::option"
    )]
    pub due: Option<OffsetDateTime>,
    /// What it waits for.
    pub why: String,
}
