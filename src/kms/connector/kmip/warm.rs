//! A group's key once more, in one request: the searches, what the server says of every key that they found last time, and the newest of these. It
//! gives nothing that asking step by step would not give: the searches must find the same keys, and each is held against its own attributes
//! anew. Otherwise it gives nothing at all. What is remembered are identifiers; no key and no attribute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{MutexGuard, PoisonError};

use super::Inner;
use super::attribute::KeyAttributes;
use super::backup::{choose, in_several_groups};
use super::error::Trouble;
use super::operations::{BATCH, may_be_cut};
use super::question::{Question, Search};
use super::reply::{self, Item, Located, Reply, Unreadable};
use crate::kms_api::GroupName;
use crate::secret::DataKey;

/// Most groups that are remembered.
const GROUPS_MAX: usize = 256;

/// What a look-up went by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remembered {
    /// What was searched for: in vain at first, perhaps, and in the end with success. Also for what may have come behind it since.
    pub(super) searches: Vec<Search>,
    /// What was found by all of them.
    pub(super) identifiers: Vec<String>,
    /// The one that was chosen.
    pub(super) newest: String,
}

/// What came back; nothing where an item failed or is missing.
struct Said {
    located: Option<Vec<Located>>,
    attributes: Option<Vec<KeyAttributes>>,
    key: Option<DataKey>,
}

impl Inner {
    /// Remembers what the key of `group` was found by, unless that is too much for one request.
    pub(super) fn remember(&self, group: &GroupName, found: Remembered) {
        let mut groups = self.remembered();
        if groups.len() >= GROUPS_MAX {
            groups.clear();
        }
        if found.identifiers.len() <= BATCH {
            groups.insert(group.clone(), found);
        } else {
            groups.remove(group);
        }
    }

    /// The newest key of `group` if it is found as it was last time. Whatever goes wrong, it is not asked for in this way next time.
    pub(super) async fn key_as_before(&self, group: &GroupName) -> Result<Option<(KeyAttributes, DataKey)>, Trouble> {
        // It stays for others who ask for the group meanwhile.
        let Some(remembered) = self.remembered().get(group).cloned() else {
            return Ok(None);
        };
        let choose = |keys: &[KeyAttributes]| {
            let newest = choose(keys, (group, self.group_attribute), self.now()).newest;
            let newest = newest.filter(|newest| in_several_groups(newest, self.group_attribute).is_none());
            newest.cloned()
        };
        let found = match self.ask_as_before(&remembered).await {
            Ok(said) => Ok(said.still_newest(&remembered, choose)),
            Err(trouble) if trouble.may_be_the_batch() => Ok(None),
            Err(trouble) => Err(trouble),
        };
        if !matches!(found, Ok(Some(_))) {
            self.remembered().remove(group);
        }
        found
    }

    fn remembered(&self) -> MutexGuard<'_, BTreeMap<GroupName, Remembered>> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn ask_as_before(&self, remembered: &Remembered) -> Result<Said, Trouble> {
        let searches = &remembered.searches;
        let (identifiers, newest) = (&remembered.identifiers, &remembered.newest);
        let mut questions: Vec<_> = searches.iter().map(Question::Locate).collect();
        questions.push(Question::Get(newest));
        questions.extend(identifiers.iter().map(|id| Question::GetAttributes(id)));
        let read = |reply: Reply<'_>| read(reply, searches.len(), (identifiers, newest));
        self.ask(&questions, read).await
    }
}

impl Said {
    /// The key and what is said of it, if all was found as it was before and the same key is the newest.
    fn still_newest(
        self,
        remembered: &Remembered,
        newest: impl FnOnce(&[KeyAttributes]) -> Option<KeyAttributes>,
    ) -> Option<(KeyAttributes, DataKey)> {
        let located = self.located?;
        let now: BTreeSet<_> = located.iter().flat_map(|one| &one.identifiers).collect();
        if now != remembered.identifiers.iter().collect() || located.iter().any(may_be_cut) {
            return None;
        }
        let newest = newest(&self.attributes?)?;
        let key = self.key?;
        (newest.identifier == remembered.newest).then_some((newest, key))
    }
}

fn read(reply: Reply<'_>, searches: usize, (identifiers, newest): (&[String], &str)) -> Result<Said, Unreadable> {
    let mut items = reply.items().into_iter();
    let mut done = || match items.next() {
        Some(Item::Done(payload)) => Some(payload),
        Some(Item::Failed(_) | Item::Missing) | None => None,
    };
    let located = (0..searches).map(|_| done().map(reply::located));
    let located = located.collect::<Option<Result<_, _>>>().transpose()?;
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
