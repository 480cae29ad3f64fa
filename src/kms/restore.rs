//! From a KAD on tape to the key that reads it. For a KAD of ours that is one look-up and a check; what does not fit never leaves. Any other
//! KAD names candidates, see `candidates.rs`.

use super::audit::{Action, Actor, Event};
use super::candidates::{self, Candidates};
use super::model::ServiceError;
use super::service::Kms;
use super::store::Session;
use super::store::keys::{self, StoredKey};
use crate::kad::{BlockKads, KeyKind, OurKad, derive_volume_key};
use crate::kms_api::{
    KeySource, KeyState, RestoreKeysAnswer, RestoreKeysRequest, RestoredKeyAnswer, ServerOutcome, ServerResult,
};

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
        let work = move |session: &Session<'_>, event: &mut Event| {
            let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
            let Some(kad) = ours else {
                return by_foreign_kads(session, &kads, None);
            };
            match by_our_kad(session, kad, event)? {
                // It only looks like ours, or names a key of another KMS whose volume's key was imported here.
                Found::Nothing(why) => by_foreign_kads(session, &kads, Some(why)),
                other => Ok(other),
            }
        };
        let audited = move |session: &Session<'_>, event: &mut Event| -> Result<RestoreKeysAnswer, ServiceError> {
            let found = work(session, event)?;
            Ok(answer(found, event))
        };
        self.store.run(move |session| session.audited(event, audited)).await
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
    if !stored.record.state.serves_restore() {
        return Ok(Found::Refused(unusable(&stored)));
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
fn by_foreign_kads(session: &Session<'_>, kads: &BlockKads, not_ours: Option<String>) -> Result<Found, ServiceError> {
    let found = candidates::find(session, kads)?;
    Ok(match (&found.unusable, not_ours) {
        _ if !found.keys.is_empty() => Found::Candidates(Box::new(found)),
        (Some(stored), _) => Found::Refused(unusable(stored)),
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

fn unusable(stored: &StoredKey) -> String {
    let (name, group, state) = (&stored.record.name, &stored.record.group, stored.record.state);
    let remedy = match state {
        KeyState::Terminated => "an administrator must move it back to deprecated and then to inactive",
        KeyState::Prelive => "no volume was written under it yet",
        KeyState::Deprecated | KeyState::Active | KeyState::Inactive => {
            "an administrator must move it back to inactive"
        }
    };
    format!("key {name} of group {group} is {state} and not given out; {remedy}")
}

fn answer(found: Found, event: &mut Event) -> RestoreKeysAnswer {
    let mut candidates = Vec::new();
    let (keys, result) = match found {
        Found::Key(key) => (vec![*key], ServerResult::Keys(1)),
        Found::Candidates(found) => {
            let ids: Vec<String> = found.ids.iter().map(ToString::to_string).collect();
            let more = if found.more { ", more match" } else { "" };
            event.outcome = format!("done: {} candidates{more}; {}", ids.len(), ids.join(" "));
            candidates = found.keys;
            (Vec::new(), ServerResult::Keys(ids.len()))
        }
        Found::Nothing(why) => {
            event.outcome = format!("none: {why}");
            (Vec::new(), ServerResult::None(Some(why)))
        }
        Found::Refused(why) => {
            event.outcome = format!("refused: {why}");
            (Vec::new(), ServerResult::Refused(why))
        }
    };
    RestoreKeysAnswer {
        keys,
        candidates,
        outcomes: vec![ServerOutcome {
            server: KeySource::built_in(),
            result,
        }],
    }
}
