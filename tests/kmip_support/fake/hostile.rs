//! Replies that no server should give: what a broken, overloaded or malicious one could send.

use std::time::Duration;

use crate::kmip_support::tags;
use crate::kmip_support::ttlv::{Item, Value, bytes, enumeration, integer, raw, structure, text};

/// One way in which a reply is wrong.
#[derive(Debug, Clone)]
pub(crate) enum Hostility {
    /// No reply, and the connection stays.
    Silence,
    /// The connection is closed instead.
    Close,
    /// It is closed after so many bytes of the reply.
    CloseAfter(usize),
    /// One byte at a time, with this pause before each.
    Drip(Duration),
    /// These bytes, which are no TTLV perhaps, and then nothing.
    Instead(Vec<u8>),
    /// The message says that it is as long as a message can say, and zeros follow without end.
    Endless,
    /// The message says this length of itself. What is missing never comes.
    Length(u32),
    /// The message is eight bytes shorter, and says so, while the items in it are as long as before.
    CutShort,
    /// The last item of the payload says that it has nearly 4 GiB.
    InnerLength,
    /// The payload holds a structure in a structure in …, so many times.
    Nested(usize),
    /// The same reply comes again, unasked.
    Twice,
    /// It is a message of another kind.
    OtherMessage,
    /// No batch item has an id.
    NoBatchIds,
    /// Every batch item has an id that nobody sent.
    WrongBatchIds,
    /// Each batch item has the id of the next.
    SwappedBatchIds,
    /// The last batch item is missing.
    OneItemLess,
    /// There is no batch item at all.
    NoItems,
    /// The last batch item is there twice.
    OneItemMore,
    /// The batch items come last first. That is allowed.
    Reversed,
    /// The batch items are about another operation.
    OtherOperation,
    /// The batch items have this status, and a payload nevertheless.
    Status(u32),
    /// They are successful and have no payload.
    NoPayload,
    /// They failed for no reason.
    NoReason,
    /// They failed for this reason, with this message.
    Refused(u32, String),
    /// They are about another object, of this identifier.
    OtherIdentifier(String),
    /// Locate found so many objects, which do not exist.
    Identifiers(usize),
    /// Locate found one object, of this identifier.
    Identifier(String),
    /// The key is wrapped.
    Wrapped,
    /// The key is in this format.
    Format(u32),
    /// The key has this many bytes.
    KeyBytes(usize),
    /// The key block says that it is for this algorithm.
    Algorithm(u32),
    /// The key block says this length in bits.
    KeyLength(i32),
    /// There is no key material.
    NoMaterial,
    /// The attribute of this name has this value, wherever it is told (KMIP 1.x).
    Attribute(&'static str, Value),
    /// The attribute of this name is told once more, with this value (KMIP 1.x).
    AttributeAgain(&'static str, Value),
    /// The attribute of this name is not told (KMIP 1.x).
    NoAttribute(&'static str),
}

/// What is done to send a reply.
pub(super) enum Step {
    Send(Vec<u8>),
    Pause(Duration),
    /// Nothing more, until the other side ends it.
    Wait,
    Close,
    /// These bytes again and again, until the other side ends it.
    Forever(Vec<u8>),
}

/// The steps by which `message` is sent, gone wrong.
pub(super) fn steps(message: Item, how: &Hostility) -> Vec<Step> {
    let message = disturbed(message, how);
    let encoded = message.encode();
    match how {
        Hostility::Silence => vec![Step::Wait],
        Hostility::Close => vec![Step::Close],
        Hostility::CloseAfter(count) => vec![Step::Send(encoded[..*count].to_vec()), Step::Close],
        Hostility::Drip(pause) => encoded
            .into_iter()
            .flat_map(|byte| [Step::Pause(*pause), Step::Send(vec![byte])])
            .collect(),
        Hostility::Instead(bytes) => vec![Step::Send(bytes.clone()), Step::Wait],
        Hostility::Endless => vec![
            Step::Send(with_length(encoded, 0xFFFF_FFF8)),
            Step::Forever(vec![0; 16 * 1024]),
        ],
        Hostility::Length(length) => vec![Step::Send(with_length(encoded, *length)), Step::Wait],
        Hostility::CutShort => {
            let shorter = encoded.len() - 8;
            let length = u32::try_from(shorter - 8).unwrap();
            vec![Step::Send(with_length(encoded[..shorter].to_vec(), length))]
        }
        Hostility::InnerLength => vec![Step::Send(with_an_endless_end(&message))],
        Hostility::Nested(depth) => vec![Step::Send(nested(&message, *depth))],
        Hostility::Twice => vec![Step::Send([encoded.clone(), encoded].concat())],
        _ => vec![Step::Send(encoded)],
    }
}

fn with_length(mut message: Vec<u8>, length: u32) -> Vec<u8> {
    message[4..8].copy_from_slice(&length.to_be_bytes());
    message
}

/// The message with one more batch item, whose payload is a byte string of nearly 4 GiB, by what it says.
fn with_an_endless_end(message: &Item) -> Vec<u8> {
    let lie = with_length(raw(tags::KEY_MATERIAL, 8, &[0; 8]), 0xFFFF_FFF0);
    with_raw_payload(message, &lie)
}

fn nested(message: &Item, depth: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        inner = raw(tags::ATTRIBUTES, 1, &inner);
    }
    with_raw_payload(message, &inner)
}

fn with_raw_payload(message: &Item, payload: &[u8]) -> Vec<u8> {
    let mut value: Vec<u8> = Vec::new();
    for item in message.items() {
        if item.tag == tags::BATCH_ITEM {
            let head = item.items().iter().filter(|inner| inner.tag != tags::RESPONSE_PAYLOAD);
            let mut inner: Vec<u8> = head.flat_map(Item::encode).collect();
            inner.extend(raw(tags::RESPONSE_PAYLOAD, 1, payload));
            value.extend(raw(tags::BATCH_ITEM, 1, &inner));
        } else {
            value.extend(item.encode());
        }
    }
    raw(message.tag, 1, &value)
}

fn disturbed(mut message: Item, how: &Hostility) -> Item {
    if matches!(how, Hostility::OtherMessage) {
        message.tag = tags::REQUEST_MESSAGE;
    }
    let Value::Structure(items) = &mut message.value else {
        panic!("a message is a structure");
    };
    let mut batch: Vec<Item> = items.split_off(1);
    match how {
        Hostility::SwappedBatchIds => {
            let ids: Vec<_> = batch
                .iter()
                .map(|item| item.find(tags::UNIQUE_BATCH_ITEM_ID).cloned())
                .collect();
            let next = ids.iter().cycle().skip(1);
            for (item, id) in batch.iter_mut().zip(next) {
                set(item, id.clone().expect("the client gave ids"));
            }
        }
        Hostility::OneItemLess => {
            batch.pop();
        }
        Hostility::NoItems => batch.clear(),
        Hostility::OneItemMore => batch.extend(batch.last().cloned()),
        Hostility::Reversed => batch.reverse(),
        _ => batch.iter_mut().for_each(|item| disturb_item(item, how)),
    }
    let count = i32::try_from(batch.len()).unwrap();
    set(&mut items[0], integer(tags::BATCH_COUNT, count));
    items.extend(batch);
    message
}

fn disturb_item(item: &mut Item, how: &Hostility) {
    match how {
        Hostility::NoBatchIds => remove(item, tags::UNIQUE_BATCH_ITEM_ID),
        Hostility::WrongBatchIds => set(item, bytes(tags::UNIQUE_BATCH_ITEM_ID, *b"nobody's")),
        Hostility::OtherOperation => set(item, enumeration(tags::OPERATION, tags::operation::DESTROY)),
        Hostility::Status(status) => set(item, enumeration(tags::RESULT_STATUS, *status)),
        Hostility::NoPayload => remove(item, tags::RESPONSE_PAYLOAD),
        Hostility::NoReason => {
            remove(item, tags::RESPONSE_PAYLOAD);
            set(item, enumeration(tags::RESULT_STATUS, 1));
        }
        Hostility::Refused(reason, message) => {
            remove(item, tags::RESPONSE_PAYLOAD);
            set(item, enumeration(tags::RESULT_STATUS, 1));
            set(item, enumeration(tags::RESULT_REASON, *reason));
            set(item, text(tags::RESULT_MESSAGE, message.clone()));
        }
        _ => {
            if let Some(payload) = find_mut(item, tags::RESPONSE_PAYLOAD) {
                disturb_payload(payload, how);
            }
        }
    }
}

fn disturb_payload(payload: &mut Item, how: &Hostility) {
    match how {
        Hostility::OtherIdentifier(identifier) => set(payload, text(tags::UNIQUE_IDENTIFIER, identifier.clone())),
        Hostility::Identifier(identifier) => {
            *payload = structure(
                tags::RESPONSE_PAYLOAD,
                [text(tags::UNIQUE_IDENTIFIER, identifier.clone())],
            );
        }
        Hostility::Identifiers(count) => {
            let made_up = (0..*count).map(|number| text(tags::UNIQUE_IDENTIFIER, format!("made-up-{number}")));
            *payload = structure(tags::RESPONSE_PAYLOAD, made_up);
        }
        Hostility::Attribute(name, value) => {
            for attribute in items_mut(payload).iter_mut().filter(|item| is_named(item, name)) {
                let value = value.clone();
                let tag = tags::ATTRIBUTE_VALUE;
                set(attribute, Item { tag, value });
            }
        }
        Hostility::AttributeAgain(name, value) => {
            let value = value.clone();
            let tag = tags::ATTRIBUTE_VALUE;
            let head = text(tags::ATTRIBUTE_NAME, *name);
            items_mut(payload).push(structure(tags::ATTRIBUTE, [head, Item { tag, value }]));
        }
        Hostility::NoAttribute(name) => items_mut(payload).retain(|item| !is_named(item, name)),
        _ => {
            let key = find_mut(payload, tags::SYMMETRIC_KEY);
            if let Some(block) = key.and_then(|key| find_mut(key, tags::KEY_BLOCK)) {
                disturb_key(block, how);
            }
        }
    }
}

fn disturb_key(block: &mut Item, how: &Hostility) {
    match how {
        Hostility::Wrapped => items_mut(block).push(structure(
            tags::KEY_WRAPPING_DATA,
            // Wrapping Method "Encrypt".
            [enumeration(0x42_009E, 1)],
        )),
        Hostility::Format(format) => set(block, enumeration(tags::KEY_FORMAT_TYPE, *format)),
        Hostility::Algorithm(algorithm) => set(block, enumeration(tags::CRYPTOGRAPHIC_ALGORITHM, *algorithm)),
        Hostility::KeyLength(bits) => set(block, integer(tags::CRYPTOGRAPHIC_LENGTH, *bits)),
        Hostility::KeyBytes(count) => {
            let value = find_mut(block, tags::KEY_VALUE).expect("a key block has a value");
            set(value, bytes(tags::KEY_MATERIAL, vec![0x5A; *count]));
        }
        Hostility::NoMaterial => {
            let value = find_mut(block, tags::KEY_VALUE).expect("a key block has a value");
            remove(value, tags::KEY_MATERIAL);
        }
        _ => {}
    }
}

fn is_named(item: &Item, name: &str) -> bool {
    item.tag == tags::ATTRIBUTE && item.text(tags::ATTRIBUTE_NAME) == Some(name)
}

fn items_mut(item: &mut Item) -> &mut Vec<Item> {
    match &mut item.value {
        Value::Structure(items) => items,
        other => panic!("{other:?} is no structure"),
    }
}

fn find_mut(item: &mut Item, tag: u32) -> Option<&mut Item> {
    items_mut(item).iter_mut().find(|inner| inner.tag == tag)
}

fn remove(item: &mut Item, tag: u32) {
    items_mut(item).retain(|inner| inner.tag != tag);
}

/// Replaces the item of that tag, or adds it at the end.
fn set(item: &mut Item, new: Item) {
    match find_mut(item, new.tag) {
        Some(old) => *old = new,
        None => items_mut(item).push(new),
    }
}
