//! From a KAD that is not ours to the keys that may fit it: keys of as-is groups alone, whatever is asked, and few of them.

use super::model::ServiceError;
use super::store::keys::{self, StoredKey};
use super::store::{Session, foreign};
use crate::kad::{BlockKads, KeyId, KeyKind, without_padding};
use crate::kms_api::{CandidateKeyAnswer, KadMatch, KeySource, RESTORED_KEYS_MAX};

/// Bytes of a key id as it may stand in a KAD.
const ID_LENGTH: usize = 16;

/// What the store has for a foreign KAD.
#[derive(Default)]
pub(super) struct Candidates {
    /// Keys that may be handed out, best first, at most eight.
    pub(super) keys: Vec<CandidateKeyAnswer>,
    /// Their ids, for the audit record.
    pub(super) ids: Vec<KeyId>,
    /// More keys than may be handed out match.
    pub(super) more: bool,
    /// A key that matches and whose state forbids it.
    pub(super) unusable: Option<StoredKey>,
}

/// The keys of as-is groups that `kads` name.
pub(super) fn find(session: &Session<'_>, kads: &BlockKads) -> Result<Candidates, ServiceError> {
    let mut matches: Vec<(KadMatch, StoredKey)> = Vec::new();
    for kad in [&kads.unauthenticated, &kads.authenticated] {
        let by_kad = foreign::by_kad(session, kad, RESTORED_KEYS_MAX + 1)?;
        matches.extend(by_kad.into_iter().map(|stored| (how(&stored, kad), stored)));
        for id in ids_in(kad) {
            let named = keys::by_id(session, id)?.filter(|stored| stored.kind == KeyKind::AsIs);
            matches.extend(named.map(|stored| (KadMatch::KeyId, stored)));
        }
    }
    // The sort is stable: what the store put first stays first.
    matches.sort_by_key(|(how, _)| *how);
    let mut found = Candidates::default();
    for (matched, stored) in matches {
        if !stored.record.state.serves_restore() {
            found.unusable = found.unusable.or(Some(stored));
        } else if !found.ids.contains(&stored.record.id) {
            found.add(session, matched, stored)?;
        }
    }
    Ok(found)
}

impl Candidates {
    fn add(&mut self, session: &Session<'_>, matched: KadMatch, stored: StoredKey) -> Result<(), ServiceError> {
        if self.keys.len() == RESTORED_KEYS_MAX {
            self.more = true;
            return Ok(());
        }
        let key = stored.open(session)?;
        self.ids.push(stored.record.id);
        self.keys.push(CandidateKeyAnswer {
            key,
            id: stored.record.id,
            key_name: stored.record.name,
            group: stored.record.group,
            state: stored.record.state,
            matched,
            server: KeySource::built_in(),
        });
        Ok(())
    }
}

fn how(stored: &StoredKey, kad: &[u8]) -> KadMatch {
    if stored.record.foreign_kad.as_deref() == Some(kad) {
        KadMatch::Exact
    } else {
        KadMatch::ButForPadding
    }
}

/// The key ids that a KAD may spell: its 16 bytes, padded or not, or a UUID as text.
pub(super) fn ids_in(kad: &[u8]) -> Vec<KeyId> {
    let mut ids = Vec::new();
    if let Some((id, padding)) = kad.split_first_chunk::<ID_LENGTH>()
        && without_padding(padding).is_empty()
    {
        ids.push(KeyId(*id));
    }
    let text = std::str::from_utf8(without_padding(kad)).ok();
    let spelt = text.and_then(|text| uuid::Uuid::try_parse(text).ok());
    ids.extend(spelt.map(|uuid| KeyId(uuid.into_bytes())));
    ids
}
