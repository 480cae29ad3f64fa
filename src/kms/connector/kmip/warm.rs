//! A group's key once more, in one request: the search, what the server says of every key that it found last time, and the newest of these. It
//! gives nothing that asking step by step would not give: the search must find the same keys, and each is held against its own attributes
//! anew. Otherwise it gives nothing at all. What is remembered are identifiers; no key and no attribute.

use std::collections::BTreeSet;
use std::sync::PoisonError;

use super::Inner;
use super::attribute::{Attribute, KeyAttributes};
use super::backup::choose;
use super::error::Trouble;
use super::operations::{BATCH, looks_cut};
use super::question::{Question, Search};
use super::reply::{self, Item, Located, Reply, Unreadable};
use crate::kms_api::GroupName;
use crate::secret::DataKey;

/// Most groups that are remembered.
const GROUPS_MAX: usize = 256;

/// What a look-up went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    /// What was searched for.
    pub(super) attributes: Vec<Attribute>,
    /// What was found.
    pub(super) identifiers: Vec<String>,
    /// The one that was chosen.
    pub(super) newest: String,
}

/// What came back; nothing where an item failed or is missing.
struct Said {
    located: Option<Located>,
    attributes: Option<Vec<KeyAttributes>>,
    key: Option<DataKey>,
}

impl Inner {
    /// Remembers what the key of `group` was found by, unless that is too much for one request.
    pub(super) fn remember(&self, group: &GroupName, found: Remembered) {
        let mut groups = self.remembered.lock().unwrap_or_else(PoisonError::into_inner);
        if groups.len() >= GROUPS_MAX {
            groups.clear();
        }
        if found.identifiers.len() <= BATCH {
            groups.insert(group.clone(), found);
        } else {
            groups.remove(group);
        }
    }

    /// The newest key of `group` if it is found as it was last time.
    pub(super) async fn key_as_before(&self, group: &GroupName) -> Result<Option<(KeyAttributes, DataKey)>, Trouble> {
        let remembered = self
            .remembered
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(group);
        let Some(remembered) = remembered else {
            return Ok(None);
        };
        let said = self.ask_as_before(&remembered).await?;
        let same = |located: &Located| {
            let (now, before): (BTreeSet<_>, BTreeSet<_>) = (
                located.identifiers.iter().collect(),
                remembered.identifiers.iter().collect(),
            );
            now == before && !located.says_more() && !looks_cut(located.identifiers.len())
        };
        let (Some(attributes), Some(key)) = (said.attributes, said.key) else {
            return Ok(None);
        };
        let newest = choose(&attributes, (group, self.group_attribute), self.now())
            .newest
            .cloned();
        match newest {
            Some(newest) if newest.identifier == remembered.newest && said.located.as_ref().is_some_and(same) => {
                self.remember(group, remembered);
                Ok(Some((newest, key)))
            }
            _ => Ok(None),
        }
    }

    async fn ask_as_before(&self, remembered: &Remembered) -> Result<Said, Trouble> {
        let version = self.version().await?;
        let search = Search {
            attributes: remembered.attributes.clone(),
            ..Search::default()
        };
        let (identifiers, newest) = (&remembered.identifiers, &remembered.newest);
        let mut questions = vec![Question::Locate(&search), Question::Get(newest)];
        questions.extend(identifiers.iter().map(|id| Question::GetAttributes(id)));
        let read = |reply: Reply<'_>| read(reply, identifiers, newest);
        self.lines.ask(version, &questions, read).await
    }
}

fn read(reply: Reply<'_>, identifiers: &[String], newest: &str) -> Result<Said, Unreadable> {
    let mut items = reply.items().into_iter();
    let mut done = || match items.next() {
        Some(Item::Done(payload)) => Some(payload),
        Some(Item::Failed(_) | Item::Missing) | None => None,
    };
    let located = done().map(reply::located).transpose()?;
    let key = done().map(|payload| reply::key(payload, newest)).transpose()?;
    let attributes = identifiers
        .iter()
        .map(|id| done().map(|payload| reply::attributes(payload, id)));
    Ok(Said {
        located,
        attributes: attributes.collect::<Option<Result<_, _>>>().transpose()?,
        key: key.and_then(Result::ok),
    })
}
