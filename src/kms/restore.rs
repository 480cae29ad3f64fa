//! From a KAD on tape to the key that reads it. For a KAD of ours that is one look-up and a check; what does not fit never leaves. Any other
//! KAD names candidates, see `candidates.rs`. External servers are asked before, see `select`.

use super::audit::{Action, Actor, Event};
use super::candidates::{self, Candidates};
use super::connector::Wanted;
use super::metrics::count_release;
use super::model::ServiceError;
use super::select::{Released, Vetted, in_millis, note_restore};
use super::service::Kms;
use super::store::keys::{self, StoredKey};
use super::store::{Session, certificates, requests};
use crate::clock::to_text;
use crate::kad::{BlockKads, KeyKind, OurKad, derive_volume_key};
use crate::kms_api::{
    CandidateKeyAnswer, KeyServerKind, KeySource, KeyState, RESTORED_KEYS_MAX, RestoreKeysAnswer, RestoreKeysRequest,
    RestoredKeyAnswer, ServerOutcome, ServerResult,
};
use crate::secret::DataKey;

/// What the built-in store has for a KAD.
enum Found {
    Key(Box<RestoredKeyAnswer>),
    Candidates(Box<Candidates>),
    Nothing(String),
    Refused(String),
}

impl Kms {
    /// The keys that a KAD names. No key is an answer, not an error.
    ///
    /// # Errors
    /// The store's: then it is not known whether there is a key.
    pub async fn restore_keys(
        &self,
        actor: &Actor,
        request: RestoreKeysRequest,
    ) -> Result<RestoreKeysAnswer, ServiceError> {
        let mut event = Event::new(actor, Action::RestoreKeys);
        event.volume = request.volume.as_ref().map(ToString::to_string);
        event.detail = Some(detail(&request));
        let kads = BlockKads {
            unauthenticated: request.kad,
            authenticated: request.a_kad,
        };
        let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
        let wanted = match ours {
            Some(kad) => Wanted::Id(kad.key_id()),
            None => Wanted::ForeignKads(kads.clone()),
        };
        let outside = self.selection.for_restore(&wanted).await;
        let began = self.clock.monotonic();
        let work = move |session: &mut Session<'_>| {
            let request = event.clone();
            let (answer, from_outside) = session.audited(event, |session, event| {
                let outside = outside.vet(session, (&kads, &request.actor), ours);
                let found = find(session, &kads, ours, (outside.keys.is_empty(), event))?;
                Ok(combine(found, outside, event))
            })?;
            for one in from_outside {
                session.audited(one.event(&request), |session, event| {
                    note_restore(session, event, &one.group)
                })?;
            }
            Ok(answer)
        };
        let mut answer = self.store.run(work).await?;
        let kinds = answer.keys.iter().map(|key| key.server.kind);
        let kinds = kinds.chain(answer.candidates.iter().map(|candidate| candidate.server.kind));
        kinds.for_each(|kind| count_release(&self.releases, "restore", kind));
        let took_ms = in_millis(self.clock.monotonic().saturating_sub(began));
        built_in_sources(&mut answer).for_each(|source| source.took_ms = took_ms);
        Ok(answer)
    }
}

/// What the built-in store has. A KAD that only looks like ours, or that names a key of another KMS, may be that of an imported key;
/// `alone`: no other server has the key that it names.
fn find(
    session: &Session<'_>,
    kads: &BlockKads,
    ours: Option<OurKad>,
    (alone, event): (bool, &mut Event),
) -> Result<Found, ServiceError> {
    let Some(kad) = ours else {
        return by_foreign_kads(session, (kads, &event.actor), None);
    };
    match by_our_kad(session, kad, event)? {
        Found::Nothing(why) if alone => by_foreign_kads(session, (kads, &event.actor), Some(why)),
        found => Ok(found),
    }
}

fn by_our_kad(session: &Session<'_>, kad: OurKad, event: &mut Event) -> Result<Found, ServiceError> {
    let id = kad.key_id();
    event.key_id = Some(id);
    let Some(stored) = keys::by_id(session, id)? else {
        return Ok(Found::Nothing(format!("there is no key {id} in this store")));
    };
    event.group = Some(stored.record.group.to_string());
    if stored.kind != kad.kind() {
        return Ok(Found::Nothing(format!(
            "the KAD does not fit the kind of group {}",
            stored.record.group
        )));
    }
    if let Err(refusal) = certificates::admit_to_group(session, &event.actor, &stored.record.group)? {
        return Ok(Found::Refused(format!("{refusal}; {}", refusal.hint())));
    }
    if !stored.record.state.serves_restore() {
        return Ok(Found::Refused(unusable(session, &stored)?));
    }
    let group_key = stored.open(session)?;
    let key = match stored.kind {
        KeyKind::AsIs => group_key,
        KeyKind::Derived => derive_volume_key(&group_key, id, kad.nonce()),
    };
    if let Err(failed) = kad.verify(&key) {
        return Ok(Found::Nothing(format!(
            "{failed}: the KAD was altered, or another program wrote it"
        )));
    }
    let (name, group, state) = (stored.record.name, stored.record.group, stored.record.state);
    let restored = RestoredKeyAnswer {
        key,
        kad,
        key_name: name,
        group,
        state,
        server: KeySource::built_in(),
    };
    Ok(Found::Key(Box::new(restored)))
}

/// `not_ours`: why a KAD that looks like ours names no key.
fn by_foreign_kads(
    session: &Session<'_>,
    (kads, actor): (&BlockKads, &Actor),
    not_ours: Option<String>,
) -> Result<Found, ServiceError> {
    let found = candidates::find(session, kads, actor)?;
    Ok(match (&found.unusable, not_ours) {
        _ if !found.keys.is_empty() => Found::Candidates(Box::new(found)),
        (Some(why), _) => Found::Refused(why.clone()),
        (None, Some(why)) => Found::Nothing(why),
        (None, None) => {
            Found::Nothing("no key of an as-is group was imported with this KAD, and none has it as its id".to_owned())
        }
    })
}

fn detail(request: &RestoreKeysRequest) -> String {
    let u_kad = format!("kad {}", hex::encode(&request.kad));
    if request.a_kad.is_empty() {
        u_kad
    } else {
        format!("{u_kad}, a-kad {}", hex::encode(&request.a_kad))
    }
}

/// Why a key that fits is not given.
pub(super) fn unusable(session: &Session<'_>, stored: &StoredKey) -> Result<String, ServiceError> {
    if stored.record.state == KeyState::Deleted {
        return deleted(session, stored);
    }
    let (name, group, state) = (&stored.record.name, &stored.record.group, stored.record.state);
    let remedy = match state {
        KeyState::Terminated => "an administrator must move it back to deprecated and then to inactive",
        KeyState::Prelive => "no volume was written under it yet",
        KeyState::Deprecated | KeyState::Active | KeyState::Inactive | KeyState::Deleted => {
            "an administrator must move it back to inactive"
        }
    };
    Ok(format!(
        "key {name} of group {group} is {state} and not given out; {remedy}"
    ))
}

/// Who deleted the key, and when: nothing else can be done for the volume here.
fn deleted(session: &Session<'_>, stored: &StoredKey) -> Result<String, ServiceError> {
    let (name, group) = (&stored.record.name, &stored.record.group);
    let request = requests::about(session, stored.record.id)?.map(|request| request.record);
    let by = request.map_or_else(String::new, |request| {
        let approved = request.approved_by.as_deref().unwrap_or("nobody");
        format!(" by {} and {approved} (request {})", request.asked_by, request.number)
    });
    let when = to_text(stored.record.modified);
    Ok(format!(
        "key {name} of group {group} was deleted on {when}{by}; a snapshot or a recovery kit from before may still hold it"
    ))
}

/// One answer of what the built-in store and the others have: the same key only once, the built-in store's before another's, and never
/// more than a drive can be tried with. Also the keys of external servers that leave with it.
fn combine(found: Found, mut outside: Vetted, event: &mut Event) -> (RestoreKeysAnswer, Vec<Released>) {
    let said: String = outside.outcomes.iter().map(|outcome| format!("; {outcome}")).collect();
    event.detail = event.detail.take().map(|detail| detail + &said);
    let (mut keys, mut candidates, mut more) = (Vec::new(), Vec::new(), false);
    let result = match found {
        Found::Key(key) => {
            keys.push(*key);
            ServerResult::Keys(1)
        }
        Found::Candidates(found) => {
            more = found.more;
            candidates = found.keys;
            ServerResult::Keys(candidates.len())
        }
        Found::Nothing(why) => {
            event.outcome = format!("none: {why}");
            ServerResult::None(Some(why))
        }
        Found::Refused(why) => {
            event.outcome = format!("refused: {why}");
            ServerResult::Refused(why)
        }
    };
    keys.append(&mut outside.keys);
    // The sorts are stable: among equals, the built-in store and then the servers by their rank.
    keys.sort_by_key(|key| key.state != KeyState::Active);
    keep_first_of_each(&mut keys, |key| &key.key);
    candidates.append(&mut outside.candidates);
    candidates.sort_by_key(|candidate| candidate.matched);
    keep_first_of_each(&mut candidates, |candidate| &candidate.key);
    keys.truncate(RESTORED_KEYS_MAX);
    let room = RESTORED_KEYS_MAX - keys.len();
    more |= candidates.len() > room;
    candidates.truncate(room);
    note_candidates(&candidates, more, event);
    let released = released(&keys, &candidates, &outside);
    let mut outcomes = outside.outcomes;
    outcomes.push(ServerOutcome {
        server: KeySource::built_in(),
        result,
    });
    let answer = RestoreKeysAnswer {
        keys,
        candidates,
        outcomes,
    };
    (answer, released)
}

/// The candidates of the built-in store share one audit record.
fn note_candidates(candidates: &[CandidateKeyAnswer], more: bool, event: &mut Event) {
    let own = candidates
        .iter()
        .filter(|candidate| candidate.server.kind == KeyServerKind::BuiltIn);
    let ids: Vec<String> = own.map(|candidate| candidate.id.to_string()).collect();
    if !ids.is_empty() {
        let more = if more { ", more match" } else { "" };
        event.outcome = format!("done: {} candidates{more}; {}", ids.len(), ids.join(" "));
    }
}

fn released(keys: &[RestoredKeyAnswer], candidates: &[CandidateKeyAnswer], outside: &Vetted) -> Vec<Released> {
    let keys = keys.iter().map(|key| (key.kad.key_id(), &key.group, &key.server));
    let candidates = candidates
        .iter()
        .map(|candidate| (candidate.id, &candidate.group, &candidate.server));
    keys.chain(candidates)
        .filter(|(_, _, server)| server.kind != KeyServerKind::BuiltIn)
        .map(|(id, group, server)| Released::new(id, group, (server, outside.is_compromised(id, server))))
        .collect()
}

/// Keeps of keys with the same bytes the first.
fn keep_first_of_each<T>(found: &mut Vec<T>, key: impl Fn(&T) -> &DataKey) {
    let mut kept: Vec<T> = Vec::new();
    for one in found.drain(..) {
        if !kept.iter().any(|earlier| key(earlier) == key(&one)) {
            kept.push(one);
        }
    }
    *found = kept;
}

fn built_in_sources(answer: &mut RestoreKeysAnswer) -> impl Iterator<Item = &mut KeySource> {
    let keys = answer.keys.iter_mut().map(|key| &mut key.server);
    let candidates = answer.candidates.iter_mut().map(|candidate| &mut candidate.server);
    let outcomes = answer.outcomes.iter_mut().map(|outcome| &mut outcome.server);
    keys.chain(candidates)
        .chain(outcomes)
        .filter(|source| source.kind == KeyServerKind::BuiltIn)
}
