//! From a KAD that is not ours to the keys that may fit it: keys of as-is groups alone, whatever is asked, and few of them.

use super::audit::Actor;
use super::model::ServiceError;
use super::restore::unusable;
use super::store::keys::{self, StoredKey};
use super::store::{Session, certificates, foreign};
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
    /// Why a key that matches is not given.
    pub(super) unusable: Option<String>,
}

/// The keys of as-is groups that `kads` name, for `actor`.
pub(super) fn find(session: &Session<'_>, kads: &BlockKads, actor: &Actor) -> Result<Candidates, ServiceError> {
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
        if let Err(refusal) = certificates::admit_to_group(session, actor, &stored.record.group)? {
            found.unusable = found.unusable.or(Some(format!("{refusal}; {}", refusal.hint())));
        } else if !stored.record.state.serves_restore() {
            found.unusable = Some(match found.unusable {
                Some(why) => why,
                None => unusable(session, &stored)?,
            });
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

/// Why a key with that id, noted with `foreign_kad`, is a candidate for `kads`; `None` if it is none. For keys that no index of the
/// store found; an id that is not spelt as a UUID stands in a KAD as its text.
pub(super) fn match_of(kads: &BlockKads, id: KeyId, foreign_kad: Option<&[u8]>) -> Option<KadMatch> {
    let match_of_one = |kad: &Vec<u8>| {
        let unpadded = without_padding(kad);
        let text = std::str::from_utf8(unpadded).ok();
        if unpadded.is_empty() {
            None
        } else if foreign_kad == Some(kad.as_slice()) {
            Some(KadMatch::Exact)
        } else if ids_in(kad).contains(&id) || text.is_some_and(|text| KeyId::from_identifier(text) == id) {
            Some(KadMatch::KeyId)
        } else {
            (foreign_kad.map(without_padding) == Some(unpadded)).then_some(KadMatch::ButForPadding)
        }
    };
    let kads = [&kads.unauthenticated, &kads.authenticated];
    kads.into_iter().filter_map(match_of_one).min()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_a_candidate_by_its_kad_or_its_id_and_the_better_reason_counts() {
        let id = KeyId([0x41; 16]);
        let of = |u_kad: &[u8], a_kad: &[u8], foreign_kad: Option<&[u8]>| {
            let kads = BlockKads {
                unauthenticated: u_kad.to_vec(),
                authenticated: a_kad.to_vec(),
            };
            match_of(&kads, id, foreign_kad)
        };
        assert_eq!(of(b"old", b"", Some(b"old")), Some(KadMatch::Exact));
        assert_eq!(of(b"old  ", b"", Some(b"old\0")), Some(KadMatch::ButForPadding));
        assert_eq!(of(b"old  ", &[0x41; 16], Some(b"old")), Some(KadMatch::KeyId));
        assert_eq!(of(&[0x41; 16], b"old", Some(b"old")), Some(KadMatch::Exact));
        assert_eq!(of(id.to_string().as_bytes(), b"", None), Some(KadMatch::KeyId));
        for (u_kad, foreign_kad) in [(b"old".as_slice(), None), (b"", None), (b"  ", Some(b"\0".as_slice()))] {
            assert_eq!(of(u_kad, b"", foreign_kad), None);
        }
        let number = BlockKads {
            unauthenticated: b"42".to_vec(),
            authenticated: Vec::new(),
        };
        let named_42 = KeyId::from_identifier("42");
        assert_eq!(match_of(&number, named_42, None), Some(KadMatch::KeyId));
    }
}
