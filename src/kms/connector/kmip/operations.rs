//! The questions that backup and restore are made of: searches read to their end, attributes of many keys in few requests, one key.

use std::collections::BTreeSet;

use super::Inner;
use super::attribute::{Attribute, KeyAttributes};
use super::error::Trouble;
use super::names::Operation;
use super::question::{Question, Search};
use super::reason::{Failure, Meaning};
use super::reply::{self, Item, Located, Material, Unreadable};
use super::version::EXPORTING;

/// How many keys are asked about in one request.
pub(super) const BATCH: usize = 100;

/// Most pages of one search, and most ids of all.
const PAGES_MAX: usize = 64;
const IDENTIFIERS_MAX: usize = 20_000;

/// From so many ids on, a round number of them may be where the server cut.
const CUT_FROM: usize = 50;

/// What a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Each id once.
    pub(super) identifiers: Vec<String>,
    /// Whether the server may have more than it shows.
    pub(super) may_be_cut: bool,
    /// Whether that was found out by asking for a next page.
    pub(super) has_pages: bool,
}

/// What a server says of a key, and the key.
pub(super) type KeyAndAttributes = (Result<KeyAttributes, Failure>, Result<Material, Failure>);

impl Inner {
    pub(super) async fn locate(&self, search: &Search) -> Result<Located, Trouble> {
        let question = [Question::Locate(search)];
        match self.ask(&question, |said| said.only(reply::located)).await? {
            // To some servers it is a failure that there is nothing.
            Err(failure) if failure.meaning() == Meaning::NotFound => Ok(Located::default()),
            located => Ok(located?),
        }
    }

    /// Everything with these attributes, page by page where the server has pages. Only a server that says how many there are need not be asked
    /// for the next page: others cut without a word, at any number.
    pub(super) async fn locate_all(&self, attributes: Vec<Attribute>) -> Result<Found, Trouble> {
        let mut search = Search {
            attributes,
            ..Search::default()
        };
        let first = self.locate(&search).await?;
        let of = first.of.and_then(|of| usize::try_from(of).ok());
        let mut seen: BTreeSet<String> = first.identifiers.iter().cloned().collect();
        let mut found = Found {
            may_be_cut: may_be_cut(&first),
            has_pages: false,
            identifiers: first.identifiers,
        };
        let is_whole = |count: usize| of == Some(count) || (count == 0 && of.is_none());
        let pages_max = match self.version().await?.has_offset_items() {
            true => PAGES_MAX,
            false => 0,
        };
        if is_whole(found.identifiers.len()) {
            found.may_be_cut = false;
            return Ok(found);
        }
        for _ in 0..pages_max {
            search.offset = found.identifiers.len();
            let page = match self.locate(&search).await {
                Ok(page) => page.identifiers,
                // It has no pages; what it has shown is what there is to see.
                Err(Trouble::Failed(_)) => return Ok(found),
                Err(trouble) => return Err(trouble),
            };
            let length = page.len();
            let new: Vec<_> = page.into_iter().filter(|id| seen.insert(id.clone())).collect();
            // It shows again what it has shown: it has none either, or what lies between is not seen.
            if new.len() < length {
                found.may_be_cut |= !new.is_empty();
                return Ok(found);
            }
            found.has_pages = true;
            found.may_be_cut = true;
            found.identifiers.extend(new);
            let count = found.identifiers.len();
            if is_whole(count) || (length == 0 && of.is_none_or(|of| of < count)) {
                found.may_be_cut = false;
                return Ok(found);
            }
            if count > IDENTIFIERS_MAX || length == 0 {
                break;
            }
        }
        Ok(found)
    }

    /// What the server says of each of these, in their order. A server that answers fewer than it was asked is asked again for the rest.
    pub(super) async fn attributes_of(
        &self,
        identifiers: &[String],
    ) -> Result<Vec<Result<KeyAttributes, Failure>>, Trouble> {
        let (mut said, mut batch) = (Vec::new(), BATCH);
        while let Some(rest) = identifiers.get(said.len()..).filter(|rest| !rest.is_empty()) {
            let asked = rest.get(..batch.min(rest.len())).unwrap_or(rest);
            let answers = match self.attributes_in_one_request(asked).await {
                Err(trouble) if asked.len() > 1 && trouble.may_be_the_batch() => Vec::new(),
                answers => answers?,
            };
            if answers.is_empty() {
                // It takes no batches, it seems.
                batch = 1;
            }
            said.extend(answers);
        }
        Ok(said)
    }

    /// The answers up to the first that is missing; of one key there is always one.
    async fn attributes_in_one_request(
        &self,
        asked: &[String],
    ) -> Result<Vec<Result<KeyAttributes, Failure>>, Trouble> {
        let questions: Vec<_> = asked.iter().map(|id| Question::GetAttributes(id)).collect();
        let read = |said: reply::Reply<'_>| {
            let mut answers = Vec::new();
            if asked.len() > 1 && said.is_refused_whole() {
                return Ok(answers);
            }
            for (item, id) in said.items().into_iter().zip(asked) {
                match item {
                    Item::Done(payload) => answers.push(Ok(reply::attributes(payload, id)?)),
                    Item::Failed(failure) => answers.push(Err(failure)),
                    Item::Missing if asked.len() > 1 => break,
                    Item::Missing => return Err(Unreadable::NoAnswer(Operation::GetAttributes)),
                }
            }
            Ok(answers)
        };
        self.ask(&questions, read).await
    }

    /// What the server says of one key.
    pub(super) async fn attributes(&self, identifier: &str) -> Result<Result<KeyAttributes, Failure>, Trouble> {
        let read = |said: reply::Reply<'_>| said.only(|payload| reply::attributes(payload, identifier));
        self.ask(&[Question::GetAttributes(identifier)], read).await
    }

    /// The key, by Get.
    pub(super) async fn get(&self, identifier: &str) -> Result<Result<Material, Failure>, Trouble> {
        let read = |said: reply::Reply<'_>| said.only(|payload| reply::key(payload, identifier));
        self.ask(&[Question::Get(identifier)], read).await
    }

    /// The key, by Export, as servers give it that refuse Get on keys that are no longer active. It always goes out as 2.1.
    pub(super) async fn export(&self, identifier: &str) -> Result<Result<Material, Failure>, Trouble> {
        let read = |said: reply::Reply<'_>| said.only(|payload| reply::key(payload, identifier));
        self.lines.ask(EXPORTING, &[Question::Export(identifier)], read).await
    }

    /// What the server says of a key and the key itself, in one request if it takes two at once.
    pub(super) async fn look_at(&self, identifier: &str) -> Result<KeyAndAttributes, Trouble> {
        let questions = [Question::GetAttributes(identifier), Question::Get(identifier)];
        let read = |said: reply::Reply<'_>| {
            if said.is_refused_whole() {
                return Ok((None, None));
            }
            let mut items = said.items().into_iter();
            let attributes = match items.next() {
                Some(Item::Done(payload)) => Some(Ok(reply::attributes(payload, identifier)?)),
                Some(Item::Failed(failure)) => Some(Err(failure)),
                Some(Item::Missing) | None => None,
            };
            let key = match items.next() {
                Some(Item::Done(payload)) => Some(Ok(reply::key(payload, identifier)?)),
                Some(Item::Failed(failure)) => Some(Err(failure)),
                Some(Item::Missing) | None => None,
            };
            Ok((attributes, key))
        };
        let (attributes, key) = match self.ask(&questions, read).await {
            Err(trouble) if trouble.may_be_the_batch() => (None, None),
            said => said?,
        };
        let attributes = match attributes {
            Some(attributes) => attributes,
            None => self.attributes(identifier).await?,
        };
        let key = match key {
            Some(key) => key,
            None => self.get(identifier).await?,
        };
        Ok((attributes, key))
    }
}

/// Whether a server may have cut its answer: it says so, or it says nothing, and the count is as round as such limits are.
pub(super) fn may_be_cut(located: &Located) -> bool {
    let count = located.identifiers.len();
    let looks_cut = count >= CUT_FROM && (count.is_multiple_of(10) || count.is_power_of_two());
    located.says_more() || (located.of.is_none() && looks_cut)
}
