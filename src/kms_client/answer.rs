//! What the KMS gave, with the address that gave it; and the checks before it is believed.

use serde::{Deserialize, Serialize};

use super::address::KmsAddress;
use crate::kad::{KeyId, OurKad};
use crate::kms_api::{
    self, BackupKeyAnswer, CandidateKeyAnswer, GroupName, KadMatch, KeyName, KeyServerKind, KeySource, KeyState,
    PAGE_RECORDS_MAX, RESTORED_KEYS_MAX, RestoreKeysAnswer, RestoredKeyAnswer, ServerResult,
};
use crate::secret::DataKey;

/// Where a key came from: for job details.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyServer {
    /// The server's name in the KMS's configuration.
    pub name: String,
    /// What it is.
    pub kind: KeyServerKind,
    /// The address of the KMS that answered.
    pub address: String,
    /// Where that KMS reaches the server; its own store has no address.
    pub server_address: Option<String>,
    /// The server's rank for backup; the built-in store has none.
    pub priority: Option<i32>,
    /// Whether the answer came from the KMS's memory.
    pub cached: bool,
    /// Whether it was asked only because another one could not be reached.
    pub fallback: bool,
    /// How long the server took to answer the KMS, in milliseconds.
    pub took_ms: u64,
    /// The version of its protocol that the KMS and it spoke; the built-in store has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// What it calls the key that it gave, where it does not call it by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

impl KeyServer {
    fn new(source: KeySource, address: &KmsAddress) -> Self {
        let KeySource {
            name,
            kind,
            address: server_address,
            priority,
            cached,
            fallback,
            took_ms,
            protocol_version,
            identifier,
        } = source;
        Self {
            name,
            kind,
            address: address.to_string(),
            server_address,
            priority,
            cached,
            fallback,
            took_ms,
            protocol_version,
            identifier,
        }
    }
}

/// A key for writing a volume. No `Debug`: it carries a key.
pub struct BackupKey {
    /// The key for the drive.
    pub key: DataKey,
    /// What the drive writes beside each block.
    pub kad: OurKad,
    /// The name of the group's key.
    pub key_name: KeyName,
    /// The group.
    pub group: GroupName,
    /// Who gave it.
    pub server: KeyServer,
    /// What each server answered that the KMS asked for it; the last one gave it.
    pub outcomes: Vec<ServerOutcome>,
}

impl BackupKey {
    pub(super) fn new(answer: BackupKeyAnswer, address: &KmsAddress) -> Self {
        let BackupKeyAnswer {
            key,
            kad,
            key_name,
            group,
            server,
            outcomes,
        } = answer;
        Self {
            key,
            kad,
            key_name,
            group,
            server: KeyServer::new(server, address),
            outcomes: ServerOutcome::all(outcomes, address),
        }
    }
}

/// A key that fits a KAD. No `Debug`: it carries a key.
pub struct RestoredKey {
    /// The key for the drive.
    pub key: DataKey,
    /// The KAD it fits.
    pub kad: OurKad,
    /// The name of the group's key.
    pub key_name: KeyName,
    /// The group.
    pub group: GroupName,
    /// Active or inactive.
    pub state: KeyState,
    /// Who gave it.
    pub server: KeyServer,
}

impl RestoredKey {
    fn new(answer: RestoredKeyAnswer, address: &KmsAddress) -> Self {
        let RestoredKeyAnswer {
            key,
            kad,
            key_name,
            group,
            state,
            server,
        } = answer;
        Self {
            key,
            kad,
            key_name,
            group,
            state,
            server: KeyServer::new(server, address),
        }
    }
}

/// A key that may fit a block whose KAD is not ours. No `Debug`: it carries a key.
pub struct CandidateKey {
    /// The key for the drive.
    pub key: DataKey,
    /// Its id.
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
    pub server: KeyServer,
}

impl CandidateKey {
    fn new(answer: CandidateKeyAnswer, address: &KmsAddress) -> Self {
        let CandidateKeyAnswer {
            key,
            id,
            key_name,
            group,
            state,
            matched,
            server,
        } = answer;
        Self {
            key,
            id,
            key_name,
            group,
            state,
            matched,
            server: KeyServer::new(server, address),
        }
    }
}

/// What one server behind the KMS answered to a KAD.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerOutcome {
    /// The server.
    pub server: KeyServer,
    /// Its answer.
    pub result: ServerResult,
}

impl ServerOutcome {
    fn all(outcomes: Vec<kms_api::ServerOutcome>, address: &KmsAddress) -> Vec<Self> {
        let outcome = |one: kms_api::ServerOutcome| Self {
            server: KeyServer::new(one.server, address),
            result: one.result,
        };
        outcomes.into_iter().map(outcome).collect()
    }
}

/// The keys that a KAD names, best first, and what each server answered. No `Debug`: it carries keys.
pub struct RestoreAnswer {
    /// The keys.
    pub keys: Vec<RestoredKey>,
    /// Keys that a KAD of other software names.
    pub candidates: Vec<CandidateKey>,
    /// One outcome for each server that the KMS asked.
    pub outcomes: Vec<ServerOutcome>,
}

impl RestoreAnswer {
    pub(super) fn new(answer: RestoreKeysAnswer, address: &KmsAddress) -> Self {
        Self {
            keys: answer
                .keys
                .into_iter()
                .map(|key| RestoredKey::new(key, address))
                .collect(),
            candidates: answer
                .candidates
                .into_iter()
                .map(|candidate| CandidateKey::new(candidate, address))
                .collect(),
            outcomes: ServerOutcome::all(answer.outcomes, address),
        }
    }
}

/// A key for backup must be of the group asked for, and fit its own KAD.
pub(super) fn check_backup_key(answer: &BackupKeyAnswer, group: &GroupName) -> Result<(), String> {
    if answer.group != *group {
        return Err(format!("the key is of group {}, not {group}", answer.group));
    }
    fits(&answer.kad, &answer.key)
}

/// Every restored key must fit the KAD that was asked about; a KAD that is not of our form has none.
pub(super) fn check_restored_keys(answer: &RestoreKeysAnswer, asked: Option<OurKad>) -> Result<(), String> {
    let count = answer.keys.len().saturating_add(answer.candidates.len());
    if count > RESTORED_KEYS_MAX {
        return Err(format!("{count} keys for one KAD"));
    }
    let unusable = answer
        .candidates
        .iter()
        .find(|candidate| !candidate.state.serves_restore());
    if let Some(candidate) = unusable {
        return Err(format!("a key that is {}", candidate.state));
    }
    answer.keys.iter().try_for_each(|restored| {
        if asked != Some(restored.kad) {
            return Err(format!("a key for another KAD, {}", restored.kad));
        }
        if !restored.state.serves_restore() {
            return Err(format!("a key that is {}", restored.state));
        }
        fits(&restored.kad, &restored.key)
    })
}

/// A page of a listing that promises more must hold something, else the listing would never end.
pub(super) fn check_page<T>(records: &[T], next: &Option<String>) -> Result<(), String> {
    match next {
        Some(_) if records.is_empty() => Err("an empty page that promises more".to_owned()),
        _ if records.len() > PAGE_RECORDS_MAX => Err(format!("{} records on one page", records.len())),
        _ => Ok(()),
    }
}

fn fits(kad: &OurKad, key: &DataKey) -> Result<(), String> {
    kad.verify(key).map_err(|error| error.to_string())
}
