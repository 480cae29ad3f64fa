//! Replies: each item is matched with its question by the Unique Batch Item ID, and read for what was asked. A server may answer fewer items
//! than were asked; an item that nobody asked for makes the whole reply worthless, since it may hold another session's key.

use thiserror::Error;
use zeroize::Zeroizing;

use super::attribute::KeyAttributes;
use super::names::{
    AES, KEY_BITS, Operation, ProtocolVersion, RAW, SUCCESS, SYMMETRIC_KEY, TRANSPARENT_SYMMETRIC_KEY, tag,
};
use super::question::Question;
use super::reason::{Failure, Meaning, ResultReason};
use super::ttlv::{Element, Tag, TtlvError, decode};
use crate::secret::DataKey;

/// Most bytes of an identifier.
const IDENTIFIER_LENGTH_MAX: usize = 1024;

/// A reply is none to what was asked. No variant holds a byte of it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Unreadable {
    #[error("is no TTLV: {0}")]
    Ttlv(#[from] TtlvError),
    #[error("lacks field {0}, or it is of another type")]
    Lacks(Tag),
    #[error("is no response message")]
    NoResponse,
    #[error("holds an item that was not asked for")]
    NotAsked,
    #[error("does not answer {0}")]
    NoAnswer(Operation),
    #[error("is about another object than was asked for")]
    OtherObject,
    #[error("holds an identifier of {0} bytes")]
    LongIdentifier(usize),
}

/// What a server said to one question.
pub(super) enum Item<'r> {
    /// Done; this came with it.
    Done(&'r Element<'r>),
    Failed(Failure),
    /// Nothing.
    Missing,
}

/// What a server said, in the order of the questions.
pub(super) struct Reply<'r> {
    questions: &'r [Question<'r>],
    items: Vec<Item<'r>>,
    refused_whole: bool,
}

/// Reads `message`, the reply to `questions` whose first is number `first`, with `read`.
pub(super) fn read<T>(
    message: &[u8],
    (questions, first): (&[Question<'_>], u64),
    read: impl FnOnce(Reply<'_>) -> Result<T, Unreadable>,
) -> Result<T, Unreadable> {
    let message = decode(message)?;
    if message.tag != tag::RESPONSE_MESSAGE {
        return Err(Unreadable::NoResponse);
    }
    let mut reply = Reply {
        questions,
        items: questions.iter().map(|_| Item::Missing).collect(),
        refused_whole: false,
    };
    for item in message.all(tag::BATCH_ITEM) {
        reply.place(item, first)?;
    }
    read(reply)
}

fn failure(item: &Element<'_>, operation: Operation) -> Failure {
    let reason = item.find(tag::RESULT_REASON).and_then(Element::enumeration);
    let reason = reason.map_or(ResultReason::GENERAL_FAILURE, ResultReason);
    let message = item.find(tag::RESULT_MESSAGE).and_then(Element::text);
    Failure::new(operation, reason, message.unwrap_or_default())
}

/// The ids that a search found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Located {
    pub(super) identifiers: Vec<String>,
    /// How many there are in all, if the server says so.
    pub(super) of: Option<i64>,
}

impl Located {
    /// Whether the server says that there are more than it shows.
    pub(super) fn says_more(&self) -> bool {
        self.of
            .is_some_and(|of| usize::try_from(of).is_ok_and(|of| of > self.identifiers.len()))
    }
}

/// What a server says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Advertised {
    pub(super) vendor: Option<String>,
    pub(super) operations: Vec<u32>,
}

impl<'r> Reply<'r> {
    /// Puts one item where its question is.
    fn place(&mut self, item: &'r Element<'r>, first: u64) -> Result<(), Unreadable> {
        let status = item.find(tag::RESULT_STATUS).and_then(Element::enumeration);
        let status = status.ok_or(Unreadable::Lacks(tag::RESULT_STATUS))?;
        let index = match item.find(tag::UNIQUE_BATCH_ITEM_ID) {
            Some(id) => self.number_of(id, first)?,
            None if self.questions.len() == 1 => 0,
            None if status == SUCCESS => return Err(Unreadable::NotAsked),
            // A server that could not read the request says so in one item without an identifier: that is about all of them.
            None => return self.refuse_whole(item),
        };
        let (Some(question), Some(place)) = (self.questions.get(index), self.items.get_mut(index)) else {
            return Err(Unreadable::NotAsked);
        };
        let operation = item.find(tag::OPERATION).and_then(Element::enumeration);
        let another = operation.is_some_and(|code| code != question.operation().code());
        if another || !matches!(place, Item::Missing) {
            return Err(Unreadable::NotAsked);
        }
        *place = match status {
            SUCCESS => Item::Done(item.find(tag::RESPONSE_PAYLOAD).unwrap_or(item)),
            // Pending counts as failed: nobody comes back to ask.
            _ => Item::Failed(failure(item, question.operation())),
        };
        Ok(())
    }

    fn number_of(&self, id: &Element<'_>, first: u64) -> Result<usize, Unreadable> {
        let id = id.bytes().and_then(|id| <[u8; 8]>::try_from(id).ok());
        let number = id.and_then(|id| u64::from_be_bytes(id).checked_sub(first));
        let index = number.and_then(|number| usize::try_from(number).ok());
        index.ok_or(Unreadable::NotAsked)
    }

    fn refuse_whole(&mut self, item: &Element<'_>) -> Result<(), Unreadable> {
        for (place, question) in self.items.iter_mut().zip(self.questions) {
            *place = Item::Failed(failure(item, question.operation()));
        }
        self.refused_whole = true;
        Ok(())
    }

    /// What was said to the only question, read with `read`.
    pub(super) fn only<T>(
        self,
        read: impl FnOnce(&Element<'_>) -> Result<T, Unreadable>,
    ) -> Result<Result<T, Failure>, Unreadable> {
        let operation = self.questions.first().map_or(Operation::Query, Question::operation);
        match self.items.into_iter().next() {
            Some(Item::Done(payload)) => Ok(Ok(read(payload)?)),
            Some(Item::Failed(failure)) => Ok(Err(failure)),
            Some(Item::Missing) | None => Err(Unreadable::NoAnswer(operation)),
        }
    }

    /// Whether the server refused the request as a whole: it may be that it takes no batches.
    pub(super) fn is_refused_whole(&self) -> bool {
        self.refused_whole
    }

    /// Whether some question was refused for the version that it was asked in, or for want of understanding.
    pub(super) fn refuses_version(&self) -> bool {
        let of_version =
            |item: &Item<'_>| matches!(item, Item::Failed(failure) if failure.meaning() == Meaning::Version);
        self.items.iter().any(of_version)
    }

    /// What was said to each question.
    pub(super) fn items(self) -> Vec<Item<'r>> {
        self.items
    }
}

pub(super) fn versions(payload: &Element<'_>) -> Vec<ProtocolVersion> {
    let part = |version: &Element<'_>, tag: Tag| i32::try_from(version.find(tag)?.number()?).ok();
    let version = |version| {
        Some(ProtocolVersion {
            major: part(version, tag::PROTOCOL_VERSION_MAJOR)?,
            minor: part(version, tag::PROTOCOL_VERSION_MINOR)?,
        })
    };
    payload.all(tag::PROTOCOL_VERSION).filter_map(version).collect()
}

pub(super) fn advertised(payload: &Element<'_>) -> Advertised {
    Advertised {
        vendor: payload
            .find(tag::VENDOR_IDENTIFICATION)
            .and_then(Element::text)
            .map(str::to_owned),
        operations: payload.all(tag::OPERATION).filter_map(Element::enumeration).collect(),
    }
}

pub(super) fn located(payload: &Element<'_>) -> Result<Located, Unreadable> {
    Ok(Located {
        identifiers: payload
            .all(tag::UNIQUE_IDENTIFIER)
            .map(identifier_in)
            .collect::<Result<_, _>>()?,
        of: payload.find(tag::LOCATED_ITEMS).and_then(Element::number),
    })
}

/// The identifier of what the reply is about.
pub(super) fn identifier(payload: &Element<'_>) -> Result<String, Unreadable> {
    let identifier = payload.find(tag::UNIQUE_IDENTIFIER);
    identifier_in(identifier.ok_or(Unreadable::Lacks(tag::UNIQUE_IDENTIFIER))?)
}

fn identifier_in(element: &Element<'_>) -> Result<String, Unreadable> {
    let text = element.text().ok_or(Unreadable::Lacks(tag::UNIQUE_IDENTIFIER))?;
    match text.len() {
        length if length > IDENTIFIER_LENGTH_MAX => Err(Unreadable::LongIdentifier(length)),
        _ => Ok(text.to_owned()),
    }
}

fn must_be_about(payload: &Element<'_>, asked: &str) -> Result<(), Unreadable> {
    match identifier(payload)? == asked {
        true => Ok(()),
        false => Err(Unreadable::OtherObject),
    }
}

/// What is said of the object `asked`.
pub(super) fn attributes(payload: &Element<'_>, asked: &str) -> Result<KeyAttributes, Unreadable> {
    must_be_about(payload, asked)?;
    Ok(KeyAttributes::read(asked, payload))
}

/// A key that came, or why what came is no key for a tape.
pub(super) type Material = Result<DataKey, &'static str>;

/// The key of the object `asked`, in the reply to Get or Export.
pub(super) fn key(payload: &Element<'_>, asked: &str) -> Result<Material, Unreadable> {
    must_be_about(payload, asked)?;
    let object_type = payload.find(tag::OBJECT_TYPE).and_then(Element::enumeration);
    let Some(key) = payload.find(tag::SYMMETRIC_KEY) else {
        return match object_type {
            Some(SYMMETRIC_KEY) | None => Err(Unreadable::Lacks(tag::SYMMETRIC_KEY)),
            Some(_) => Ok(Err("is no symmetric key")),
        };
    };
    let block = key.find(tag::KEY_BLOCK).ok_or(Unreadable::Lacks(tag::KEY_BLOCK))?;
    if block.find(tag::KEY_WRAPPING_DATA).is_some() {
        return Ok(Err("is wrapped under another key"));
    }
    if let Some(why) = not_for_tape(block) {
        return Ok(Err(why));
    }
    let value = block.find(tag::KEY_VALUE).ok_or(Unreadable::Lacks(tag::KEY_VALUE))?;
    let material = value
        .find(tag::KEY_MATERIAL)
        .ok_or(Unreadable::Lacks(tag::KEY_MATERIAL))?;
    // Raw, or the one field of a transparent symmetric key; attributes may follow and do not matter here.
    let bytes = material.bytes().or_else(|| material.find(tag::KEY)?.bytes());
    let mut bytes = Zeroizing::new(bytes.ok_or(Unreadable::Lacks(tag::KEY_MATERIAL))?.to_vec());
    Ok(DataKey::take_slice(&mut bytes).map_err(|_| "has not 32 bytes"))
}

/// What a key block says of itself that no key for a tape has. It need not say anything.
fn not_for_tape(block: &Element<'_>) -> Option<&'static str> {
    let enumeration = |tag| block.find(tag).map(Element::enumeration);
    if enumeration(tag::KEY_FORMAT_TYPE).is_some_and(|format| !matches!(format, Some(RAW | TRANSPARENT_SYMMETRIC_KEY)))
    {
        Some("comes in a format that is not read here")
    } else if enumeration(tag::CRYPTOGRAPHIC_ALGORITHM).is_some_and(|algorithm| algorithm != Some(AES)) {
        Some("is not for AES")
    } else if block
        .find(tag::CRYPTOGRAPHIC_LENGTH)
        .is_some_and(|length| length.number() != Some(KEY_BITS.into()))
    {
        Some("has not 256 bits")
    } else {
        None
    }
}
