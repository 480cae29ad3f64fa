//! Changes of groups and keys that leave every key's bytes and id as they are: names, notes, the group, the age at which a key is rotated.

use serde::{Deserialize, Serialize};

use super::names::{GroupName, KeyName};

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
