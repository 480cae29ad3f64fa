//! The keys that a KAD may name: by the identifier that its id spells, by the hash of identifiers, or, for a KAD of other software, as an
//! identifier, as a name, or as what was noted in `x-kad`. Nothing is needed but the right to read.

use std::collections::{BTreeMap, BTreeSet};

use super::Inner;
use super::attribute::{Attribute, KeyAttributes, X_KAD};
use super::error::{Trouble, shown};
use super::group::{group_of, may_be_the_attribute};
use super::names::{ProtocolVersion, State};
use super::reason::{Failure, Meaning, ResultReason};
use super::reply::Material;
use crate::kad::{BlockKads, KeyId, without_padding};
use crate::kms::candidates::ids_in;
use crate::kms::connector::{ExternalKey, KeyName, KeyState};
use crate::kms_api::{GroupName, RESTORED_KEYS_MAX};
use crate::secret::DataKey;

/// The keys found so far, and why others are not given.
#[derive(Default)]
struct Gathered {
    keys: Vec<ExternalKey>,
    /// What the server said of keys that searches found, so that it is asked once.
    said: BTreeMap<String, KeyAttributes>,
    /// Keys that are among `keys`, or are not given.
    decided: BTreeSet<String>,
    /// A key is there and not given, or whether there is one could not be found out.
    refused: Option<Trouble>,
    /// The server does not know them, it seems.
    no_custom_attributes: bool,
}

impl Gathered {
    /// What there is in the end, however the look for it ended: a key that was found is given.
    fn into_result(mut self, looked: Result<(), Trouble>) -> Result<Vec<ExternalKey>, Trouble> {
        if let Err(trouble) = looked {
            self.refuse(trouble);
        }
        match self.refused {
            _ if !self.keys.is_empty() => Ok(self.keys),
            Some(refused) => Err(refused),
            None => Err(Trouble::NoKey(None)),
        }
    }

    fn refuse(&mut self, trouble: Trouble) {
        self.refused.get_or_insert(trouble);
    }

    /// Notes how one step went. The next ones may find something nevertheless, unless nobody answers.
    fn went(&mut self, step: Result<(), Trouble>) -> Result<(), Trouble> {
        match step {
            Err(trouble @ Trouble::Unanswered(_)) => return Err(trouble),
            Err(trouble) => self.refuse(trouble),
            Ok(()) => {}
        }
        Ok(())
    }
}

impl Inner {
    /// The keys with this id in KADs.
    pub(super) async fn keys_by_id(&self, id: KeyId) -> Result<Vec<ExternalKey>, Trouble> {
        let mut gathered = Gathered::default();
        let looked = self.look_by_id(id, &mut gathered).await;
        gathered.into_result(looked)
    }

    async fn look_by_id(&self, id: KeyId, gathered: &mut Gathered) -> Result<(), Trouble> {
        let step = self.look_at_one((&id.to_string(), false), gathered).await;
        gathered.went(step)?;
        if !gathered.keys.is_empty() {
            return Ok(());
        }
        // The id may be a hash, or the server may spell UUIDs its own way.
        let found = self.locate_all(vec![Attribute::ObjectType]).await?;
        let named: Vec<_> = found
            .identifiers
            .iter()
            .filter(|identifier| KeyId::from_identifier(identifier) == id)
            .take(RESTORED_KEYS_MAX)
            .collect();
        for identifier in &named {
            let step = self.look_at_one((identifier, true), gathered).await;
            gathered.went(step)?;
        }
        if named.is_empty() && found.may_be_cut {
            gathered.refuse(not_all_shown("has this id", found.identifiers.len()));
        }
        Ok(())
    }

    /// The keys that KADs of other software may name.
    pub(super) async fn keys_by_kads(&self, kads: &BlockKads) -> Result<Vec<ExternalKey>, Trouble> {
        let mut gathered = Gathered::default();
        let looked = self.look_by_kads(kads, &mut gathered).await;
        gathered.into_result(looked)
    }

    async fn look_by_kads(&self, kads: &BlockKads, gathered: &mut Gathered) -> Result<(), Trouble> {
        for kad in [&kads.unauthenticated, &kads.authenticated] {
            let kad = without_padding(kad);
            if !kad.is_empty() {
                self.look_by_kad(kad, gathered).await?;
            }
        }
        Ok(())
    }

    async fn look_by_kad(&self, kad: &[u8], gathered: &mut Gathered) -> Result<(), Trouble> {
        let text = std::str::from_utf8(kad)
            .ok()
            .filter(|text| !text.contains(char::is_control));
        let mut identifiers: Vec<_> = ids_in(kad).iter().map(ToString::to_string).collect();
        identifiers.extend(text.map(str::to_owned));
        for identifier in identifiers {
            let step = self.look_at_one((&identifier, false), gathered).await;
            gathered.went(step)?;
        }
        let custom = |value: String| Attribute::Custom { name: X_KAD, value };
        let mut searches = vec![custom(hex::encode(kad)), custom(hex::encode_upper(kad))];
        if let Some(text) = text {
            searches.push(custom(text.to_owned()));
            searches.push(Attribute::Name(text.to_owned()));
        }
        searches.dedup();
        for search in searches {
            let step = self.search(search, kad, gathered).await;
            gathered.went(step)?;
        }
        Ok(())
    }

    /// Looks at what the search finds for keys that really have that name or that KAD noted with them.
    async fn search(&self, attribute: Attribute, kad: &[u8], gathered: &mut Gathered) -> Result<(), Trouble> {
        let is_custom = matches!(attribute, Attribute::Custom { .. });
        if is_custom && gathered.no_custom_attributes {
            return Ok(());
        }
        let found = match self.locate_all(vec![attribute]).await {
            Ok(found) => found,
            // Then no key can have it, unless the server fails at every search.
            Err(Trouble::Failed(failure)) if is_custom && may_be_the_attribute(&failure) => {
                gathered.no_custom_attributes = true;
                return self.finds_any(vec![Attribute::ObjectType]).await.map(|_| ());
            }
            Err(trouble) => return Err(trouble),
        };
        let known = |identifier: &&String| !gathered.said.contains_key(*identifier);
        let new: Vec<_> = found.identifiers.iter().filter(known).cloned().collect();
        for said in self.attributes_of(&new).await? {
            match said {
                Ok(attributes) => drop(gathered.said.insert(attributes.identifier.clone(), attributes)),
                Err(failure) if failure.meaning() == Meaning::NotFound => {}
                // It was found, and what it is remains unknown.
                Err(failure) => gathered.refuse(failure.into()),
            }
        }
        let noted = |identifier: &String| {
            let attributes = gathered.said.get(identifier)?;
            (is_noted(attributes, kad) && !gathered.decided.contains(identifier)).then(|| attributes.clone())
        };
        let noted: Vec<_> = found
            .identifiers
            .iter()
            .filter_map(noted)
            .take(RESTORED_KEYS_MAX)
            .collect();
        if noted.is_empty() && found.may_be_cut {
            gathered.refuse(not_all_shown("is noted with this KAD", found.identifiers.len()));
        }
        for attributes in noted {
            gathered.decided.insert(attributes.identifier.clone());
            let key = self.key_of(&attributes, None).await?;
            self.gather(attributes, key, (Some(kad), gathered)).await?;
        }
        Ok(())
    }

    /// Looks at the key with this identifier; `is_there` if a search found it, otherwise there may be none.
    async fn look_at_one(&self, (identifier, is_there): (&str, bool), gathered: &mut Gathered) -> Result<(), Trouble> {
        if gathered.decided.contains(identifier) {
            return Ok(());
        }
        let (attributes, key) = self.look_at(identifier).await?;
        match attributes {
            Ok(attributes) => {
                gathered.decided.insert(identifier.to_owned());
                let key = self.key_of(&attributes, Some(key)).await?;
                self.gather(attributes, key, (None, gathered)).await
            }
            Err(failure) => {
                let is_none = match failure.meaning() {
                    Meaning::NotFound => true,
                    // An identifier of another kind may be an invalid field.
                    Meaning::Unsupported => !is_there && failure.reason != ResultReason::OPERATION_NOT_SUPPORTED,
                    _ => false,
                };
                if !is_none {
                    gathered.refuse(failure.into());
                }
                Ok(())
            }
        }
    }

    /// The key by Get; if its state is why it is not given, by Export.
    async fn key_of(
        &self,
        attributes: &KeyAttributes,
        by_get: Option<Result<Material, Failure>>,
    ) -> Result<Result<Material, Failure>, Trouble> {
        let identifier = &attributes.identifier;
        let by_get = match by_get {
            Some(by_get) => by_get,
            None => self.get(identifier).await?,
        };
        let is_over = matches!(attributes.state(), Some(State::Deactivated | State::Compromised));
        match by_get {
            Err(failure) if is_over && failure.may_be_for_its_state() => Ok(match self.export(identifier).await {
                Ok(Ok(key)) => Ok(key),
                Ok(Err(exporting)) if exporting.meaning() == Meaning::Denied => Err(exporting),
                // Why Get failed says more than that there is no Export, in whatever way the server says so.
                Ok(Err(_)) | Err(_) => Err(failure),
            }),
            said => Ok(said),
        }
    }

    async fn gather(
        &self,
        attributes: KeyAttributes,
        key: Result<Material, Failure>,
        (kad, gathered): (Option<&[u8]>, &mut Gathered),
    ) -> Result<(), Trouble> {
        let id = shown(&attributes.identifier);
        let refused = |why: String| Trouble::Refused(format!("key {id} {why}"));
        let (state, compromised) = match self.readable(&attributes) {
            Ok(readable) => readable,
            Err(why) => {
                gathered.refuse(refused(why));
                return Ok(());
            }
        };
        let key = match key {
            Ok(Ok(key)) => key,
            Ok(Err(why)) => {
                gathered.refuse(refused(why.to_owned()));
                return Ok(());
            }
            Err(failure) => {
                let state = attributes.state().map_or_else(String::new, |state| state.to_string());
                gathered.refuse(refused(format!("is {state} and not given: {failure}")));
                return Ok(());
            }
        };
        let Some(group) = group_of(&attributes, self.group_attribute) else {
            gathered.refuse(refused(
                "is in no group\nhint: give it the attribute x-keygroup or an Object Group".to_owned(),
            ));
            return Ok(());
        };
        let version = self.version().await?;
        let mut key = external(attributes, (key, version), (group, state, compromised));
        key.foreign_kad = kad.map(<[u8]>::to_vec);
        gathered.keys.push(key);
        Ok(())
    }

    /// What a key's state is here and whether it is compromised; why it may not read.
    fn readable(&self, attributes: &KeyAttributes) -> Result<(KeyState, bool), String> {
        match attributes.state() {
            Some(State::Active) if attributes.is_past_protect_stop(self.now()) => Ok((KeyState::Inactive, false)),
            Some(State::Active) => Ok((KeyState::Active, false)),
            Some(State::Deactivated) => Ok((KeyState::Inactive, false)),
            Some(State::Compromised) if self.allow_compromised_restore => Ok((KeyState::Inactive, true)),
            Some(State::Compromised) => Err(
                "is Compromised\nhint: what was written under it is read only with allow_compromised_restore"
                    .to_owned(),
            ),
            Some(State::PreActive) => Err("is Pre-Active: no volume can have been written under it".to_owned()),
            Some(state) => Err(format!("is {state}")),
            None => Err("has no state".to_owned()),
        }
    }
}

/// What is not among the keys that a server shows may still be on it.
fn not_all_shown(wanted: &str, shown: usize) -> Trouble {
    Trouble::Refused(format!(
        "none of the {shown} keys that the server shows {wanted}, and it may have more\nhint: let it show more at once, or give its keys UUIDs as identifiers"
    ))
}

/// Whether a key has `kad` as a name, or noted in `x-kad`, as text or in hex.
fn is_noted(attributes: &KeyAttributes, kad: &[u8]) -> bool {
    let is_it = |text: &String| without_padding(text.as_bytes()) == kad;
    let in_hex = |text: &String| hex::decode(text.trim()).is_ok_and(|bytes| without_padding(&bytes) == kad);
    attributes.names.iter().chain(&attributes.x_kad).any(is_it) || attributes.x_kad.iter().any(in_hex)
}

/// A key as selection gets it.
pub(super) fn external(
    attributes: KeyAttributes,
    (key, version): (DataKey, ProtocolVersion),
    (group, state, compromised): (GroupName, KeyState, bool),
) -> ExternalKey {
    let names = attributes.names.into_iter();
    ExternalKey {
        key,
        name: names.filter_map(|name| KeyName::new(name).ok()).next(),
        identifier: attributes.identifier,
        group,
        state,
        compromised,
        foreign_kad: None,
        protocol_version: version.to_string(),
    }
}
