//! The key for new volumes of a group: of its active keys the most recent one, by a rule that gives the same key on every node.

use super::Inner;
use super::attribute::{Attribute, KeyAttributes};
use super::error::{Trouble, shown};
use super::group::{Filtering, GroupAttribute, groups_of, tape_groups};
use super::names::State;
use super::operations::Found;
use super::question::Search;
use super::reason::Meaning;
use super::restore::external;
use super::warm::Remembered;
use crate::kms::connector::{ExternalKey, KeyState};
use crate::kms_api::GroupName;
use crate::secret::DataKey;

/// What the keys that a search found are good for.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Choice<'a> {
    /// The key to be used.
    pub(super) newest: Option<&'a KeyAttributes>,
    /// Why one that is in the group cannot be used.
    pub(super) unusable: Option<String>,
}

impl Inner {
    pub(super) async fn key_for_backup(&self, group: &GroupName) -> Result<ExternalKey, Trouble> {
        let (newest, key) = match self.key_as_before(group).await? {
            Some(found) => found,
            None => self.newest_key_and_bytes(group).await?,
        };
        let version = self.version().await?;
        Ok(external(
            newest,
            (key, version),
            (group.clone(), KeyState::Active, false),
        ))
    }

    async fn newest_key_and_bytes(&self, group: &GroupName) -> Result<(KeyAttributes, DataKey), Trouble> {
        let newest = self.newest_key(group).await?;
        match self.get(&newest.identifier).await? {
            Ok(Ok(key)) => Ok((newest, key)),
            Ok(Err(why)) => Err(not_a_key(&newest.identifier, why)),
            Err(failure) if failure.meaning() == Meaning::NotFound => {
                let id = shown(&newest.identifier);
                Err(Trouble::Refused(format!(
                    "key {id} is gone while it was asked for: {failure}\nhint: try again"
                )))
            }
            Err(failure) => Err(failure.into()),
        }
    }

    /// What the server says of the newest active key of `group`.
    pub(super) async fn newest_key(&self, group: &GroupName) -> Result<KeyAttributes, Trouble> {
        let known = self.known_filtering();
        let filtering = match known {
            Some(known) => known,
            None => self.filtering_anew().await?,
        };
        let found = self.newest_by(filtering, group).await;
        let now = match &found {
            // A server that refuses a search may have been changed, or had no keys yet when it was probed.
            Err(Trouble::Failed(_)) if self.group_attribute.is_none() => {
                self.filtering_after_a_failure(filtering).await?
            }
            // Not everything was searched for: what the server could not do at the time it may do now.
            Err(Trouble::NoKey(_)) if matches!(known, Some(Filtering::Ignored | Filtering::Unsupported)) => {
                self.filtering_anew().await?
            }
            _ => filtering,
        };
        match now == filtering {
            true => found,
            false => self.newest_by(now, group).await,
        }
    }

    async fn newest_by(&self, filtering: Filtering, group: &GroupName) -> Result<KeyAttributes, Trouble> {
        let (mut why, mut refused, mut searches, mut identifiers) = (None, None, Vec::new(), Vec::new());
        let filters = self.searches(filtering, group.as_str()).into_iter().map(Some);
        let unfiltered = self.may_miss_a_vendor(filtering).await?.then_some(None);
        for filter in filters.chain(unfiltered) {
            // Whatever such a search finds is of the group.
            let is_filtered = filtering == Filtering::Works && matches!(filter, Some(Attribute::Custom { .. }));
            let attributes = filter.into_iter().chain([Attribute::StateActive]).collect::<Vec<_>>();
            let found = self.locate_all(attributes.clone()).await?;
            let chosen = self.choose(&found, (group, is_filtered)).await?;
            let beyond = found.has_pages.then(|| Search {
                attributes: attributes.clone(),
                offset: found.identifiers.len(),
                ..Search::default()
            });
            searches.push(Search {
                attributes,
                ..Search::default()
            });
            searches.extend(beyond);
            identifiers.extend(found.identifiers);
            match chosen {
                Ok(newest) => {
                    identifiers.sort_unstable();
                    identifiers.dedup();
                    let remembered = Remembered {
                        searches,
                        identifiers,
                        newest: newest.identifier.clone(),
                    };
                    if !found.may_be_cut {
                        self.remember(group, remembered);
                    }
                    return Ok(newest);
                }
                Err(Trouble::NoKey(unusable)) => why = why.or(unusable),
                Err(trouble) => refused = refused.or(Some(trouble)),
            }
        }
        Err(refused.unwrap_or(Trouble::NoKey(why)))
    }

    /// The newest of what was found; without one, why: another search may find one then. `is_filtered`: all of it is of the group.
    async fn choose(
        &self,
        found: &Found,
        (group, is_filtered): (&GroupName, bool),
    ) -> Result<Result<KeyAttributes, Trouble>, Trouble> {
        let said = self.attributes_of(&found.identifiers).await?;
        let (mut candidates, mut denied) = (Vec::new(), None);
        for one in said {
            match one {
                Ok(attributes) => candidates.push(attributes),
                // Gone since the search.
                Err(failure) if failure.meaning() == Meaning::NotFound => {}
                Err(failure) if failure.meaning() == Meaning::Denied && !is_filtered => {
                    denied = denied.or(Some(failure));
                }
                Err(failure) => return Err(failure.into()),
            }
        }
        let Choice { newest, unusable } = choose(&candidates, (group, self.group_attribute), self.now());
        if found.may_be_cut {
            let (server, shown) = (&self.identity.name, found.identifiers.len());
            tracing::warn!(%server, %group, shown, "the server shows so many keys and no more: a newer one may not be among them");
        }
        match newest {
            Some(newest) => match in_several_groups(newest, self.group_attribute) {
                Some(refused) => Err(refused),
                None => Ok(Ok(newest.clone())),
            },
            None if found.may_be_cut => Err(Trouble::Refused(format!(
                "none of the {} keys that the server shows is an active key of group {group}, and it may have more\nhint: choose a group attribute that it can search by",
                found.identifiers.len()
            ))),
            None => Ok(Err(match denied {
                // What it is, is not known.
                Some(denied) => denied.into(),
                None if candidates.is_empty() && !found.identifiers.is_empty() => all_gone(found.identifiers.len()),
                None => Trouble::NoKey(unusable),
            })),
        }
    }

    pub(super) fn now(&self) -> i64 {
        self.clock.now().unix_timestamp()
    }
}

/// Why a key in several groups for tape is not used: a restore goes by one of them, and its hosts alone would get the key.
pub(super) fn in_several_groups(key: &KeyAttributes, configured: Option<GroupAttribute>) -> Option<Trouble> {
    // Nearly every key of nearly every look-up ends here.
    if groups_of(key, configured).len() <= 1 {
        return None;
    }
    let groups = tape_groups(key, configured);
    let names: Vec<_> = groups.iter().take(4).map(ToString::to_string).collect();
    let (id, names) = (shown(&key.identifier), names.join(", "));
    (groups.len() > 1).then(|| {
        Trouble::Refused(format!(
            "the newest key {id} is in {} groups for tape ({names}), and only hosts of the first could restore what is written under it\nhint: leave it in one of them, and make a key for each other",
            groups.len()
        ))
    })
}

fn all_gone(count: usize) -> Trouble {
    Trouble::Refused(format!(
        "none of the {count} keys that a search found is there any more\nhint: try again"
    ))
}

fn not_a_key(identifier: &str, why: &str) -> Trouble {
    let id = shown(identifier);
    Trouble::Refused(format!(
        "the newest key {id} {why}\nhint: only AES-256 keys in the clear are used on tape"
    ))
}

/// The newest of `candidates` that may write for `group` at `now`: by the date from which it was active, or else was made; then by when it
/// was made; then by its identifier. Dates have one second, so two keys can share them, and every node must choose the same one.
pub(super) fn choose<'a>(
    candidates: &'a [KeyAttributes],
    (group, attribute): (&GroupName, Option<GroupAttribute>),
    now: i64,
) -> Choice<'a> {
    let mut choice = Choice {
        newest: None,
        unusable: None,
    };
    let of_group = |key: &&KeyAttributes| groups_of(key, attribute).iter().any(|name| name == group.as_str());
    for candidate in candidates.iter().filter(of_group) {
        match unusable(candidate, now) {
            Some(why) => {
                let id = shown(&candidate.identifier);
                choice.unusable = choice.unusable.or(Some(format!("key {id} {why}")));
            }
            None if choice.newest.is_none_or(|newest| rank(newest) < rank(candidate)) => {
                choice.newest = Some(candidate);
            }
            None => {}
        }
    }
    choice
}

fn rank(key: &KeyAttributes) -> (Option<i64>, Option<i64>, &str) {
    let since = key.activation_date.or(key.initial_date);
    (since, key.initial_date, &key.identifier)
}

/// Why no new volume may be written under a key.
fn unusable(key: &KeyAttributes, now: i64) -> Option<String> {
    match key.state() {
        Some(State::Active) => {}
        Some(state) => return Some(format!("is {state}")),
        None => return Some("has no state".to_owned()),
    }
    if let Some(why) = key.not_aes_256() {
        return Some(why.to_owned());
    }
    if !key.may_encrypt() {
        return Some("is not for encryption".to_owned());
    }
    key.is_past_protect_stop(now)
        .then(|| "is past its Protect Stop Date".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::connector::kmip::names::{AES, SYMMETRIC_KEY};

    const NOW: i64 = 1_000_000;

    fn key(identifier: &str, (activation, initial): (Option<i64>, Option<i64>)) -> KeyAttributes {
        KeyAttributes {
            identifier: identifier.to_owned(),
            object_type: Some(SYMMETRIC_KEY),
            algorithm: Some(AES),
            length: Some(256),
            usage_mask: Some(0xC),
            state: Some(State::ACTIVE),
            initial_date: initial,
            activation_date: activation,
            x_keygroup: vec!["ENCR_a".to_owned()],
            ..KeyAttributes::default()
        }
    }

    fn chosen(keys: &[KeyAttributes]) -> Result<String, Option<String>> {
        let group = GroupName::new("ENCR_a").unwrap();
        let choice = choose(keys, (&group, None), NOW);
        choice.newest.map(|key| key.identifier.clone()).ok_or(choice.unusable)
    }

    #[test]
    fn the_newest_is_chosen_whatever_the_order_and_ties_go_by_the_greatest_identifier() {
        let cases: [(&[KeyAttributes], &str); 4] = [
            (&[key("a", (Some(5), Some(1))), key("b", (Some(4), Some(9)))], "a"),
            (&[key("a", (None, Some(6))), key("b", (Some(5), Some(9)))], "a"),
            (&[key("a", (Some(5), Some(1))), key("b", (Some(5), Some(2)))], "b"),
            (
                &[
                    key("9", (None, Some(5))),
                    key("10", (None, Some(5))),
                    key("x", (None, None)),
                ],
                "9",
            ),
        ];
        for (keys, newest) in cases {
            let mut reversed = keys.to_vec();
            reversed.reverse();
            assert_eq!(chosen(keys).unwrap(), newest);
            assert_eq!(chosen(&reversed).unwrap(), newest);
        }
    }

    #[test]
    fn a_key_that_may_not_write_is_passed_over_and_the_reason_is_told() {
        let good = key("good", (Some(1), Some(1)));
        let newer = |change: fn(&mut KeyAttributes)| {
            let mut key = key("newer", (Some(9), Some(9)));
            change(&mut key);
            key
        };
        let cases: [(KeyAttributes, &str); 9] = [
            (newer(|key| key.state = Some(1)), "is Pre-Active"),
            (newer(|key| key.state = Some(4)), "is Compromised"),
            (
                newer(|key| key.state = Some(0x8000_0001)),
                "is in unknown state 80000001h",
            ),
            (newer(|key| key.state = None), "has no state"),
            (newer(|key| key.algorithm = Some(2)), "is not for AES"),
            (newer(|key| key.length = Some(128)), "has not 256 bits"),
            (newer(|key| key.object_type = Some(1)), "is no symmetric key"),
            (newer(|key| key.usage_mask = Some(8)), "is not for encryption"),
            (
                newer(|key| key.protect_stop_date = Some(NOW)),
                "is past its Protect Stop Date",
            ),
        ];
        for (key, why) in cases {
            assert_eq!(chosen(&[good.clone(), key.clone()]).unwrap(), "good");
            assert_eq!(chosen(&[key]), Err(Some(format!("key newer {why}"))));
        }
        let later = newer(|key| key.protect_stop_date = Some(NOW + 1));
        assert_eq!(chosen(&[good, later]).unwrap(), "newer");
    }

    #[test]
    fn a_key_is_in_the_group_that_its_own_attributes_say_exactly() {
        let of = |change: fn(&mut KeyAttributes)| {
            let mut key = key("k", (Some(9), Some(9)));
            key.x_keygroup.clear();
            change(&mut key);
            chosen(&[key]).is_ok()
        };
        let name = || "ENCR_a".to_owned();
        assert!(of(
            |key| key.object_groups = vec!["other".to_owned(), "ENCR_a".to_owned()]
        ));
        assert!(of(|key| key.application_data = vec!["ENCR_a".to_owned()]));
        assert!(!of(|_| {}));
        assert!(!of(|key| key.x_keygroup = vec!["ENCR_A".to_owned()]));
        assert!(!of(|key| key.x_keygroup = vec!["ENCR_a ".to_owned()]));
        let mut both = key("k", (None, None));
        both.x_keygroup = vec!["ENCR_b".to_owned()];
        both.object_groups = vec![name()];
        assert_eq!(chosen(&[both.clone()]), Err(None), "the custom attribute counts more");
        let group = GroupName::new("ENCR_a").unwrap();
        let configured = Some(GroupAttribute::ObjectGroup);
        assert!(choose(&[both], (&group, configured), NOW).newest.is_some());
    }
}
