//! Keys that the KMS does not draw itself: made of a passphrase on an administrator's machine, or brought from other software.
//!
//! The only requests that carry keys; they have no `Debug`, and both ends wipe their buffers.

use serde::{Deserialize, Serialize};

use super::names::{GroupName, KeyName};
use super::{KeyRecord, text};
use crate::kad::KeyId;
use crate::secret::{DataKey, wire};

/// A key made of a passphrase, prelive. The passphrase itself stays where it was typed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreatePassphraseKey {
    /// Its id, which was the salt: drawn anew for a new key, the old one to bring a lost key back.
    #[serde(with = "text::key_id")]
    pub id: KeyId,
    /// Its name; without one the KMS makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The key, in base64.
    #[serde(with = "wire")]
    pub key: DataKey,
    /// Whether the passphrase is weaker than a proposal; audited. The KMS cannot see that itself.
    #[serde(default)]
    pub weak: bool,
}

/// Keys of other software, all or none of them, into an as-is group. They arrive inactive: they read what was written under them.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportKeys {
    /// The keys, in the order of the file.
    pub keys: Vec<ImportedKey>,
    /// False: only say what would happen.
    #[serde(default)]
    pub commit: bool,
}

/// One key of other software.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportedKey {
    /// Its id, if it has one already; else the KMS draws one.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional_key_id")]
    pub id: Option<KeyId>,
    /// Its name; without one the KMS makes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
    /// A note for people.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The key, in base64.
    #[serde(with = "wire")]
    pub key: DataKey,
    /// The KAD that the other software writes beside blocks encrypted under it, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "text::optional_hex_bytes")]
    pub foreign_kad: Option<Vec<u8>>,
}

/// What an import did, or would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImportReport {
    /// Whether it was done.
    pub committed: bool,
    /// One outcome for each key, in the order of the request.
    pub keys: Vec<ImportOutcome>,
}

/// What became of one key, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ImportOutcome {
    /// It is new. In a preview id and time are not yet those that it will have.
    New(KeyRecord),
    /// Skipped: the store has this very key already.
    SameKey {
        /// Where.
        group: GroupName,
        /// Under which name.
        name: KeyName,
    },
    /// Skipped: the store has a key with this id already. Whether it is the same one is not said.
    SameId {
        /// Where.
        group: GroupName,
        /// Under which name.
        name: KeyName,
    },
    /// Skipped: the same key, or one with the same id, came earlier in the same request.
    Repeated,
}
