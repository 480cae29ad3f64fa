//! From a KAD on tape to the key that reads it. For a KAD of ours that is one look-up and a check; what does not fit never leaves.

use super::audit::{Action, Actor, Event};
use super::model::ServiceError;
use super::service::Kms;
use super::store::Session;
use super::store::keys::{self, StoredKey};
use crate::kad::{KeyKind, OurKad, derive_volume_key};
use crate::kms_api::{
    KeySource, KeyState, RestoreKeysAnswer, RestoreKeysRequest, RestoredKeyAnswer, ServerOutcome, ServerResult,
};

/// What the built-in store has for a KAD.
enum Found {
    Key(Box<RestoredKeyAnswer>),
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
        event.detail = Some(format!("kad {}", hex::encode(&request.kad)));
        let work = move |session: &Session<'_>, event: &mut Event| match OurKad::decode(&request.kad) {
            Some(kad) => by_our_kad(session, kad, event),
            None => Ok(Found::Nothing(
                "not a KAD that tapekey wrote, and this KMS does not match foreign ones yet".to_owned(),
            )),
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
    let (keys, result) = match found {
        Found::Key(key) => (vec![*key], ServerResult::Keys(1)),
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
        outcomes: vec![ServerOutcome {
            server: KeySource::built_in(),
            result,
        }],
    }
}
