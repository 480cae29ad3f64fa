//! Whole messages: what the fake server reads of a request, what it notes about it, and the message that it answers.

use std::collections::BTreeSet;
use std::time::Duration;

use super::habits::{Habits, UnknownOperation};
use super::hostile::{Step, steps};
use super::operations::{Failure, World};
use crate::kmip_support::tags::{self, operation, reason};
use crate::kmip_support::ttlv::{self, Item, Value, date_time, enumeration, integer, structure, text};

/// 2026-11-24T12:00:00Z: where the server's clock begins.
const START: i64 = 1_795_521_600;
/// Batch Error Continuation Options "Continue" and "Undo".
const CONTINUE: u32 = 1;
const UNDO: u32 = 3;

/// A request as the server saw it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Request {
    pub(crate) version: (i32, i32),
    /// The operations, in the order of the batch.
    pub(crate) operations: Vec<u32>,
    /// All of it.
    pub(crate) message: Item,
}

/// The server's state, behind a lock.
pub(super) struct Desk {
    pub(super) world: World,
    pub(super) requests: Vec<Request>,
    pub(super) complaints: Vec<String>,
}

/// The whole message is refused: the Result Reason.
struct Unreadable(u32);

impl Desk {
    pub(super) fn new(habits: Habits) -> Self {
        Self {
            world: World {
                habits,
                objects: Vec::new(),
                now: START,
                made: 0,
                id_placeholder: None,
                next_key: 0,
            },
            requests: Vec::new(),
            complaints: Vec::new(),
        }
    }

    /// How long to wait, and what to do then.
    pub(super) fn reply(&mut self, request: &[u8]) -> (Duration, Vec<Step>) {
        let delay = self.world.habits.delay;
        let (asked, message) = match self.read(request) {
            Ok(request) => {
                let asked = request.operations.clone();
                self.requests.push(request.clone());
                (
                    asked,
                    self.answer(&request).unwrap_or_else(|refused| self.refusal(&refused)),
                )
            }
            Err((problem, refused)) => {
                self.complaints.push(problem);
                (Vec::new(), self.refusal(&refused))
            }
        };
        let trouble = self.world.habits.trouble.as_ref();
        let steps = match trouble.filter(|trouble| trouble.operation.is_none_or(|only| asked.contains(&only))) {
            Some(trouble) => steps(message, &trouble.what),
            None => vec![Step::Send(message.encode())],
        };
        (delay, steps)
    }

    fn read(&mut self, request: &[u8]) -> Result<Request, (String, Unreadable)> {
        let malformed = |problem: String| (problem, Unreadable(reason::INVALID_MESSAGE));
        let message = Item::decode(request).map_err(malformed)?;
        let [header, batch @ ..] = message.items() else {
            return Err(malformed("a message without header".into()));
        };
        let (Some(version), Some(count)) = (header.version(), header.integer(tags::BATCH_COUNT)) else {
            return Err(malformed("a header without version or batch count".into()));
        };
        let operations: Vec<_> = batch
            .iter()
            .filter_map(|item| item.enumeration(tags::OPERATION))
            .collect();
        let shaped = message.tag == tags::REQUEST_MESSAGE
            && header.tag == tags::REQUEST_HEADER
            && batch.iter().all(|item| item.tag == tags::BATCH_ITEM)
            && operations.len() == batch.len()
            && usize::try_from(count) == Ok(batch.len())
            && !batch.is_empty();
        if !shaped {
            return Err(malformed(format!("not a request: {message:?}")));
        }
        self.complain_about(header, batch);
        Ok(Request {
            version,
            operations,
            message,
        })
    }

    /// What is allowed, and leads to trouble on one real server or another.
    fn complain_about(&mut self, header: &Item, batch: &[Item]) {
        if header.find(tags::TIME_STAMP).is_some() {
            self.complaints.push("a Time Stamp, which depends on two clocks".into());
        }
        if header.enumeration(tags::BATCH_ERROR_CONTINUATION_OPTION) == Some(UNDO) {
            self.complaints.push("the batch option Undo".into());
        }
        let ids: BTreeSet<_> = batch
            .iter()
            .filter_map(|item| item.bytes(tags::UNIQUE_BATCH_ITEM_ID))
            .collect();
        if batch.len() > 1 && ids.len() != batch.len() {
            self.complaints
                .push("a batch without an id of its own on every item".into());
        }
        for item in batch {
            let needs_identifier = matches!(
                item.enumeration(tags::OPERATION),
                Some(operation::GET | operation::GET_ATTRIBUTES | operation::EXPORT | operation::ACTIVATE)
            );
            let identifier = item
                .find(tags::REQUEST_PAYLOAD)
                .and_then(|payload| payload.text(tags::UNIQUE_IDENTIFIER));
            if needs_identifier && identifier.is_none() {
                self.complaints.push("an operation on the ID Placeholder".into());
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Result<Item, Unreadable> {
        let habits = &self.world.habits;
        let known = habits.versions.contains(&request.version);
        if !known && !habits.echoes_unknown_versions {
            return Err(Unreadable(reason::INVALID_MESSAGE));
        }
        let unknown = |asked: &u32| !habits.operations.contains(asked);
        let unreadable = habits.unknown_operation == UnknownOperation::Unreadable;
        // Export came with KMIP 1.4; the server that was looked at reads it in the form of 2.1 only.
        let too_old = request.operations.contains(&operation::EXPORT) && request.version < (2, 1);
        if too_old || unreadable && request.operations.iter().any(unknown) {
            return Err(Unreadable(reason::INVALID_MESSAGE));
        }
        let header = &request.message.items()[0];
        if header.enumeration(tags::BATCH_ERROR_CONTINUATION_OPTION) == Some(UNDO) {
            return Err(Unreadable(reason::INVALID_MESSAGE));
        }
        let goes_on = header.enumeration(tags::BATCH_ERROR_CONTINUATION_OPTION) == Some(CONTINUE);
        let stops = habits.stops_batches && !goes_on;
        let mut results = Vec::new();
        for item in &request.message.items()[1..] {
            let result = self.answer_item(request.version, item);
            let failed = result.enumeration(tags::RESULT_STATUS) != Some(0);
            results.push(result);
            if failed && stops {
                break;
            }
        }
        let message = self.message(request.version, results);
        match header.integer(tags::MAXIMUM_RESPONSE_SIZE).map(usize::try_from) {
            Some(Ok(most)) if message.encode().len() > most => Err(Unreadable(reason::RESPONSE_TOO_LARGE)),
            _ => Ok(message),
        }
    }

    fn answer_item(&mut self, version: (i32, i32), item: &Item) -> Item {
        let asked = item.enumeration(tags::OPERATION).unwrap_or_default();
        let outcome = match item.find(tags::REQUEST_PAYLOAD) {
            Some(_) if !self.world.habits.operations.contains(&asked) => Err(reason::OPERATION_NOT_SUPPORTED),
            Some(payload) => self.world.answer(version, asked, payload),
            None => Err(reason::INVALID_MESSAGE),
        };
        let id = item.find(tags::UNIQUE_BATCH_ITEM_ID).cloned();
        result(Some(asked), id, outcome)
    }

    fn refusal(&self, Unreadable(reason): &Unreadable) -> Item {
        self.message((1, 0), vec![result(None, None, Err(*reason))])
    }

    fn message(&self, version: (i32, i32), results: Vec<Item>) -> Item {
        let count = i32::try_from(results.len()).unwrap();
        let header = structure(
            tags::RESPONSE_HEADER,
            [
                ttlv::version(version),
                date_time(tags::TIME_STAMP, self.world.now),
                integer(tags::BATCH_COUNT, count),
            ],
        );
        structure(tags::RESPONSE_MESSAGE, std::iter::once(header).chain(results))
    }
}

fn result(asked: Option<u32>, id: Option<Item>, outcome: Result<Vec<Item>, Failure>) -> Item {
    let mut items: Vec<Item> = asked
        .map(|asked| enumeration(tags::OPERATION, asked))
        .into_iter()
        .collect();
    items.extend(id);
    match outcome {
        Ok(payload) => {
            items.push(enumeration(tags::RESULT_STATUS, 0));
            items.push(Item {
                tag: tags::RESPONSE_PAYLOAD,
                value: Value::Structure(payload),
            });
        }
        Err(reason) => {
            items.push(enumeration(tags::RESULT_STATUS, 1));
            items.push(enumeration(tags::RESULT_REASON, reason));
            items.push(text(
                tags::RESULT_MESSAGE,
                format!("refused by the fake server, {reason:#x}"),
            ));
        }
    }
    structure(tags::BATCH_ITEM, items)
}
