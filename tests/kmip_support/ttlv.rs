//! Tag, type, length, value (KMIP 1.4, "TTLV Encoding"): items to bytes and back. Strict: whatever the standard does not allow is refused.

use super::tags;

const HEADER: usize = 8;

#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Item {
    pub(crate) tag: u32,
    pub(crate) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    Structure(Vec<Item>),
    Integer(i32),
    LongInteger(i64),
    /// In bytes, a multiple of eight.
    BigInteger(Vec<u8>),
    Enumeration(u32),
    Boolean(bool),
    Text(String),
    Bytes(Vec<u8>),
    DateTime(i64),
    Interval(u32),
}

pub(crate) fn structure(tag: u32, items: impl IntoIterator<Item = Item>) -> Item {
    let value = Value::Structure(items.into_iter().collect());
    Item { tag, value }
}

pub(crate) fn integer(tag: u32, value: i32) -> Item {
    let value = Value::Integer(value);
    Item { tag, value }
}

pub(crate) fn enumeration(tag: u32, value: u32) -> Item {
    let value = Value::Enumeration(value);
    Item { tag, value }
}

pub(crate) fn text(tag: u32, value: impl Into<String>) -> Item {
    let value = Value::Text(value.into());
    Item { tag, value }
}

pub(crate) fn bytes(tag: u32, value: impl Into<Vec<u8>>) -> Item {
    let value = Value::Bytes(value.into());
    Item { tag, value }
}

pub(crate) fn date_time(tag: u32, seconds: i64) -> Item {
    let value = Value::DateTime(seconds);
    Item { tag, value }
}

pub(crate) fn version((major, minor): (i32, i32)) -> Item {
    structure(
        tags::PROTOCOL_VERSION,
        [
            integer(tags::PROTOCOL_VERSION_MAJOR, major),
            integer(tags::PROTOCOL_VERSION_MINOR, minor),
        ],
    )
}

impl Item {
    /// What a structure holds; nothing for anything else.
    pub(crate) fn items(&self) -> &[Self] {
        match &self.value {
            Value::Structure(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn find(&self, tag: u32) -> Option<&Self> {
        self.all(tag).next()
    }

    pub(crate) fn all(&self, tag: u32) -> impl Iterator<Item = &Self> {
        self.items().iter().filter(move |item| item.tag == tag)
    }

    /// The text of the item with this tag.
    pub(crate) fn text(&self, tag: u32) -> Option<&str> {
        self.find(tag)?.as_text()
    }

    pub(crate) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn enumeration(&self, tag: u32) -> Option<u32> {
        match self.find(tag)?.value {
            Value::Enumeration(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn integer(&self, tag: u32) -> Option<i32> {
        match self.find(tag)?.value {
            Value::Integer(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn date_time(&self, tag: u32) -> Option<i64> {
        match self.find(tag)?.value {
            Value::DateTime(value) => Some(value),
            _ => None,
        }
    }

    pub(crate) fn bytes(&self, tag: u32) -> Option<&[u8]> {
        match &self.find(tag)?.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    pub(crate) fn version(&self) -> Option<(i32, i32)> {
        let version = self.find(tags::PROTOCOL_VERSION)?;
        Some((
            version.integer(tags::PROTOCOL_VERSION_MAJOR)?,
            version.integer(tags::PROTOCOL_VERSION_MINOR)?,
        ))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let (kind, value): (u8, Vec<u8>) = match &self.value {
            Value::Structure(items) => (1, items.iter().flat_map(Self::encode).collect()),
            Value::Integer(value) => (2, value.to_be_bytes().into()),
            Value::LongInteger(value) => (3, value.to_be_bytes().into()),
            Value::BigInteger(value) => (4, value.clone()),
            Value::Enumeration(value) => (5, value.to_be_bytes().into()),
            Value::Boolean(value) => (6, u64::from(*value).to_be_bytes().into()),
            Value::Text(value) => (7, value.as_bytes().into()),
            Value::Bytes(value) => (8, value.clone()),
            Value::DateTime(value) => (9, value.to_be_bytes().into()),
            Value::Interval(value) => (10, value.to_be_bytes().into()),
        };
        raw(self.tag, kind, &value)
    }

    /// Reads one item that fills `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let (item, rest) = take(bytes)?;
        match rest {
            [] => Ok(item),
            rest => Err(format!("{} bytes after the message", rest.len())),
        }
    }
}

/// An item of any kind around a value of any bytes.
pub(crate) fn raw(tag: u32, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut encoded = tag.to_be_bytes()[1..].to_vec();
    encoded.push(kind);
    encoded.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    encoded.extend(value);
    encoded.resize(HEADER + value.len().next_multiple_of(8), 0);
    encoded
}

/// How long the message is that begins with these eight bytes.
pub(crate) fn message_length(header: [u8; HEADER]) -> usize {
    let [.., a, b, c, d] = header;
    HEADER + usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap()
}

fn take(bytes: &[u8]) -> Result<(Item, &[u8]), String> {
    let (header, rest) = bytes.split_first_chunk::<HEADER>().ok_or("too short for a header")?;
    let tag = u32::from_be_bytes([0, header[0], header[1], header[2]]);
    let length = message_length(*header) - HEADER;
    if rest.len() < length.next_multiple_of(8) {
        return Err(format!("{tag:06X} is longer than what it is in"));
    }
    let (value, rest) = rest.split_at(length.next_multiple_of(8));
    let (value, padding) = value.split_at(length);
    if padding.iter().any(|byte| *byte != 0) {
        return Err(format!("{tag:06X} is padded with something"));
    }
    let value = read(header[3], value).map_err(|problem| format!("{tag:06X} {problem}"))?;
    Ok((Item { tag, value }, rest))
}

fn read(kind: u8, value: &[u8]) -> Result<Value, String> {
    Ok(match kind {
        1 => {
            let (mut items, mut rest) = (Vec::new(), value);
            while !rest.is_empty() {
                let (item, after) = take(rest)?;
                items.push(item);
                rest = after;
            }
            Value::Structure(items)
        }
        2 => Value::Integer(i32::from_be_bytes(array(value)?)),
        3 => Value::LongInteger(i64::from_be_bytes(array(value)?)),
        4 if value.len().is_multiple_of(8) => Value::BigInteger(value.to_vec()),
        5 => Value::Enumeration(u32::from_be_bytes(array(value)?)),
        6 => match u64::from_be_bytes(array(value)?) {
            0 => Value::Boolean(false),
            1 => Value::Boolean(true),
            other => return Err(format!("is neither true nor false but {other}")),
        },
        7 => Value::Text(String::from_utf8(value.to_vec()).map_err(|_| "is no UTF-8")?),
        8 => Value::Bytes(value.to_vec()),
        9 => Value::DateTime(i64::from_be_bytes(array(value)?)),
        10 => Value::Interval(u32::from_be_bytes(array(value)?)),
        other => return Err(format!("is of type {other}, with {} bytes", value.len())),
    })
}

fn array<const N: usize>(value: &[u8]) -> Result<[u8; N], String> {
    let length = value.len();
    value
        .try_into()
        .map_err(|_| format!("has {length} bytes instead of {N}"))
}
