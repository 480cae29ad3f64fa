//! Where the daemon's keys come from, as the controller sees it: a key for a new volume, or the key that a KAD names.
//!
//! The one real source is the KMS ([`kms`]); a host that only recovers has [`none`]. What comes from here has been checked: the key fits its KAD; only the candidates for
//! a KAD of other software cannot be. Keys travel in
//! [`DataKey`]s beside their [`KeyFacts`], so that everything but the drive call handles the facts alone.

pub mod kms;
pub mod none;

use std::future::Future;
use std::pin::Pin;

use thiserror::Error;

use crate::kad::{BlockKads, KeyId, OurKad};
pub use crate::kms_api::{GroupName, KadMatch, KeyState, NameError, ServerResult, VolumeName};
use crate::kms_client::KmsClientError;
pub use crate::kms_client::heads::{HeadAlarm, HeadBook, HeadBookError, HeadReport};
pub use crate::kms_client::{KeyServer, ServerOutcome};
use crate::secret::DataKey;

/// An answer on its way. It owns what it needs; its time is limited by the source.
pub type Fetching<T> = Pin<Box<dyn Future<Output = Result<T, KeySourceError>> + Send>>;

/// Gives keys.
#[cfg_attr(test, mockall::automock)]
pub trait KeySource: Send + Sync {
    /// The key to write `volume` of the pool `group` with, never given for another volume.
    fn key_for_backup(&self, group: GroupName, volume: VolumeName) -> Fetching<FetchedKey>;

    /// The keys that the KADs of a block name, best first; for a KAD of ours at most one, for any other candidates.
    fn keys_for_restore(&self, kads: BlockKads, volume: Option<VolumeName>) -> Fetching<FoundKeys>;

    /// What a person should do so that keys go on coming; on one line. Asks nobody.
    fn alarm(&self) -> Option<String>;
}

/// A key and what is known of it. No `Debug`: it carries a key.
pub struct FetchedKey {
    /// The key for the drive.
    pub key: DataKey,
    /// What is known of it.
    pub facts: KeyFacts,
}

/// What is known of a key, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyFacts {
    /// The KAD that stands beside the blocks.
    pub kad: OurKad,
    /// The name of the group's key.
    pub key_name: String,
    /// The group.
    pub group: GroupName,
    /// What the key may be used for.
    pub state: KeyState,
    /// Who gave it.
    pub server: KeyServer,
    /// Of a key for backup, what each server answered that was asked for it; for a restore that stands beside the keys.
    pub asked: Vec<ServerOutcome>,
}

/// A key that may fit a block whose KAD is not ours, and what is known of it. No `Debug`: it carries a key.
pub struct Candidate {
    /// The key for the drive.
    pub key: DataKey,
    /// What is known of it.
    pub facts: CandidateFacts,
}

/// What is known of a candidate, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CandidateFacts {
    /// Its id.
    pub key_id: KeyId,
    /// Its name.
    pub key_name: String,
    /// The group.
    pub group: GroupName,
    /// What the key may be used for.
    pub state: KeyState,
    /// Why it is a candidate.
    pub matched: KadMatch,
    /// Who gave it.
    pub server: KeyServer,
}

/// The keys that a KAD names, and what each server said. No `Debug`: it carries keys.
pub struct FoundKeys {
    /// The keys, best first; empty if no server has one that may be used.
    pub keys: Vec<FetchedKey>,
    /// Keys that a KAD of other software names, best first; only the drive can tell which one fits.
    pub candidates: Vec<Candidate>,
    /// One outcome for each server asked.
    pub outcomes: Vec<ServerOutcome>,
}

/// No key came.
#[derive(Debug, Error)]
pub enum KeySourceError {
    /// The KMS refused, or none of its addresses answered.
    #[error(transparent)]
    Kms(#[from] KmsClientError),
    /// The configuration names no KMS.
    #[error(
        "there is no KMS in this host's configuration to ask for a key\nhint: add a [kms] section to it; to read a volume whose key you have, tapekey unlock DRIVE --key-fd N"
    )]
    NotConfigured,
    /// The whole request took too long.
    #[error("ask the KMS: no answer in {seconds} s\nhint: check that tapekey-kms runs and that this host can reach it")]
    TimedOut {
        /// How long was waited.
        seconds: u64,
    },
}
