//! The KMS as a source of keys.

use std::sync::Arc;
use std::time::Duration;

use super::{
    Candidate, CandidateFacts, FetchedKey, Fetching, FoundKeys, GroupName, KeyFacts, KeySource, KeySourceError,
    KeyState, VolumeName,
};
use crate::kad::BlockKads;
use crate::kms_client::{BackupKey, CandidateKey, KmsClient, KmsClientError, RestoredKey};

/// A KMS, reached through a client.
pub struct Kms {
    client: Arc<KmsClient>,
    limit: Duration,
}

impl Kms {
    /// Asks through `client`; a whole request, with all addresses that the client tries, may take `limit`.
    #[must_use]
    pub fn new(client: Arc<KmsClient>, limit: Duration) -> Self {
        Self { client, limit }
    }
}

impl KeySource for Kms {
    fn key_for_backup(&self, group: GroupName, volume: VolumeName) -> Fetching<FetchedKey> {
        let client = self.client.clone();
        within(self.limit, async move {
            client.backup_key(group.as_str(), &volume).await.map(fresh)
        })
    }

    fn alarm(&self) -> Option<String> {
        self.client.expiry()
    }

    fn keys_for_restore(&self, kads: BlockKads, volume: Option<VolumeName>) -> Fetching<FoundKeys> {
        let client = self.client.clone();
        within(self.limit, async move {
            let answer = client.restore_keys_of(&kads, volume.as_ref()).await?;
            Ok(FoundKeys {
                keys: answer.keys.into_iter().map(known).collect(),
                candidates: answer.candidates.into_iter().map(candidate).collect(),
                outcomes: answer.outcomes,
            })
        })
    }
}

fn within<T: Send + 'static>(
    limit: Duration,
    request: impl Future<Output = Result<T, KmsClientError>> + Send + 'static,
) -> Fetching<T> {
    Box::pin(async move {
        match tokio::time::timeout(limit, request).await {
            Ok(answer) => answer.map_err(KeySourceError::from),
            Err(_) => Err(KeySourceError::TimedOut {
                seconds: limit.as_secs(),
            }),
        }
    })
}

fn fresh(answer: BackupKey) -> FetchedKey {
    let BackupKey {
        key,
        kad,
        key_name,
        group,
        server,
        outcomes,
    } = answer;
    // Only an active key is given for backup.
    let facts = KeyFacts {
        kad,
        key_name: key_name.into(),
        group,
        state: KeyState::Active,
        server,
        asked: outcomes,
    };
    FetchedKey { key, facts }
}

fn known(answer: RestoredKey) -> FetchedKey {
    let RestoredKey {
        key,
        kad,
        key_name,
        group,
        state,
        server,
    } = answer;
    FetchedKey {
        key,
        facts: KeyFacts {
            kad,
            key_name: key_name.into(),
            group,
            state,
            server,
            asked: Vec::new(),
        },
    }
}

fn candidate(answer: CandidateKey) -> Candidate {
    let CandidateKey {
        key,
        id,
        key_name,
        group,
        state,
        matched,
        server,
    } = answer;
    let facts = CandidateFacts {
        key_id: id,
        key_name: key_name.into(),
        group,
        state,
        matched,
        server,
    };
    Candidate { key, facts }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_kms_that_never_answers_is_given_up() {
        let never = within::<()>(Duration::from_secs(15), std::future::pending());
        let error = never.await.unwrap_err().to_string();
        assert!(error.starts_with("ask the KMS: no answer in 15 s\nhint: "), "{error}");
    }
}
