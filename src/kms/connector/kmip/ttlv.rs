//! TTLV as it is read: tag (3 bytes), type (1), length (4), value, filled up to 8 bytes; all big-endian (KMIP specification, "TTLV").
//!
//! Lenient in what may stand there: unknown tags, unknown types and unknown numbers of enumerations are kept as they are. Strict in how it
//! stands there: every length is held against the bytes that are left before anything is made of it, and nothing is read twice. What is read
//! borrows from the message, so that no copy of key bytes is made here: they are in the buffer that gets wiped, and in that of the TLS library for as
//! long as its connection lives. There is no `Debug` for the same reason.

use std::fmt;

use thiserror::Error;

/// Most bytes of a message, its own header included.
pub const MESSAGE_LENGTH_MAX: usize = 1024 * 1024;

/// Most structures inside each other.
pub const DEPTH_MAX: usize = 16;

/// Bytes of tag, type and length.
pub(super) const HEADER_LENGTH: usize = 8;

/// Values are filled up to a multiple of this.
pub(super) const ALIGNMENT: usize = 8;

/// Which field it is: 42h and two more bytes for those of the specification, 54h for those of a vendor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag(pub u32);

impl fmt::Display for Tag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:06X}h", self.0)
    }
}

/// Numbers of the types that are read or written here.
pub(super) mod kind {
    pub(in super::super) const STRUCTURE: u8 = 0x01;
    pub(in super::super) const INTEGER: u8 = 0x02;
    pub(in super::super) const LONG_INTEGER: u8 = 0x03;
    pub(in super::super) const ENUMERATION: u8 = 0x05;
    pub(in super::super) const BOOLEAN: u8 = 0x06;
    pub(in super::super) const TEXT_STRING: u8 = 0x07;
    pub(in super::super) const BYTE_STRING: u8 = 0x08;
    pub(in super::super) const DATE_TIME: u8 = 0x09;
    pub(in super::super) const DATE_TIME_EXTENDED: u8 = 0x0B;
}

/// One field.
pub struct Element<'a> {
    /// Which.
    pub tag: Tag,
    /// What it holds.
    pub value: Value<'a>,
}

/// What a field holds.
pub enum Value<'a> {
    /// Fields.
    Structure(Vec<Element<'a>>),
    /// A number, or a mask of bits.
    Integer(i32),
    /// A number.
    LongInteger(i64),
    /// One of a list; numbers that nobody here knows stay what they are.
    Enumeration(u32),
    /// Yes or no.
    Boolean(bool),
    /// UTF-8.
    Text(&'a str),
    /// Bytes.
    Bytes(&'a [u8]),
    /// Seconds since 1970.
    DateTime(i64),
    /// Microseconds since 1970.
    DateTimeExtended(i64),
    /// A type that is not used here, or text that is not UTF-8.
    Other {
        /// The type's number.
        kind: u8,
        /// The value as it stands there.
        bytes: &'a [u8],
    },
}

/// Something is no TTLV. No variant holds a byte of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum TtlvError {
    /// It ends too early.
    #[error("field at byte {at} needs {needed} bytes, {left} are left")]
    Truncated {
        /// Where the field begins.
        at: usize,
        /// How many bytes it says that it has, with what fills it up.
        needed: usize,
        /// How many there are.
        left: usize,
    },
    /// A type that has one length alone has another one.
    #[error("field {tag} at byte {at} has type {kind:02X}h and {length} bytes")]
    WrongLength {
        /// Which field.
        tag: Tag,
        /// Where it begins.
        at: usize,
        /// Its type.
        kind: u8,
        /// Its length.
        length: usize,
    },
    /// Structures in structures without end.
    #[error("field {tag} at byte {at} lies more than {DEPTH_MAX} structures deep")]
    TooDeep {
        /// Which field.
        tag: Tag,
        /// Where it begins.
        at: usize,
    },
    /// More than a message may have.
    #[error("a message of {length} bytes, at most {MESSAGE_LENGTH_MAX} are read")]
    TooLong {
        /// How many it has, or says that it has.
        length: usize,
    },
    /// Something stands behind the message.
    #[error("{left} bytes stand behind the message")]
    TrailingBytes {
        /// How many.
        left: usize,
    },
}

/// Reads one field that fills `message` exactly.
///
/// # Errors
/// [`TtlvError`] if it is no TTLV, is too long or too deep.
pub fn decode(message: &[u8]) -> Result<Element<'_>, TtlvError> {
    if message.len() > MESSAGE_LENGTH_MAX {
        return Err(TtlvError::TooLong { length: message.len() });
    }
    let mut reader = Reader { rest: message, at: 0 };
    let element = reader.element(0)?;
    match reader.rest.len() {
        0 => Ok(element),
        left => Err(TtlvError::TrailingBytes { left }),
    }
}

/// How long a message is in all, from its first eight bytes.
///
/// # Errors
/// [`TtlvError::TooLong`].
pub(super) fn message_length(header: &[u8; HEADER_LENGTH]) -> Result<usize, TtlvError> {
    let [.., a, b, c, d] = *header;
    let length = length_of([a, b, c, d]).saturating_add(HEADER_LENGTH);
    match length <= MESSAGE_LENGTH_MAX {
        true => Ok(length),
        false => Err(TtlvError::TooLong { length }),
    }
}

fn length_of(bytes: [u8; 4]) -> usize {
    usize::try_from(u32::from_be_bytes(bytes)).unwrap_or(usize::MAX)
}

impl<'a> Element<'a> {
    /// The fields inside; none unless it is a structure.
    #[must_use]
    pub fn children(&self) -> &[Element<'a>] {
        match &self.value {
            Value::Structure(children) => children,
            _ => &[],
        }
    }

    /// The first field inside with that tag.
    #[must_use]
    pub fn find(&self, tag: Tag) -> Option<&Element<'a>> {
        self.children().iter().find(|child| child.tag == tag)
    }

    /// All fields inside with that tag.
    pub fn all(&self, tag: Tag) -> impl Iterator<Item = &Element<'a>> {
        self.children().iter().filter(move |child| child.tag == tag)
    }

    /// The text, if it holds one.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        match self.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes, if it holds some.
    #[must_use]
    pub fn bytes(&self) -> Option<&'a [u8]> {
        match self.value {
            Value::Bytes(bytes) => Some(bytes),
            _ => None,
        }
    }

    /// The number, if it holds an integer of either size.
    #[must_use]
    pub fn number(&self) -> Option<i64> {
        match self.value {
            Value::Integer(number) => Some(number.into()),
            Value::LongInteger(number) => Some(number),
            _ => None,
        }
    }

    /// The number of an enumeration.
    #[must_use]
    pub fn enumeration(&self) -> Option<u32> {
        match self.value {
            Value::Enumeration(number) => Some(number),
            _ => None,
        }
    }

    /// The date in seconds since 1970.
    #[must_use]
    pub fn seconds(&self) -> Option<i64> {
        match self.value {
            Value::DateTime(seconds) => Some(seconds),
            Value::DateTimeExtended(microseconds) => Some(microseconds.div_euclid(1_000_000)),
            _ => None,
        }
    }
}

/// What is left of a message.
struct Reader<'a> {
    rest: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn element(&mut self, depth: usize) -> Result<Element<'a>, TtlvError> {
        let (at, left) = (self.at, self.rest.len());
        let truncated = |needed: usize| TtlvError::Truncated { at, needed, left };
        let (header, rest) = self
            .rest
            .split_first_chunk::<HEADER_LENGTH>()
            .ok_or(truncated(HEADER_LENGTH))?;
        let [t1, t2, t3, kind, l1, l2, l3, l4] = *header;
        let tag = Tag(u32::from_be_bytes([0, t1, t2, t3]));
        let length = length_of([l1, l2, l3, l4]);
        let filled = length.checked_next_multiple_of(ALIGNMENT).unwrap_or(usize::MAX);
        let (value, rest) = rest
            .split_at_checked(filled)
            .ok_or(truncated(filled.saturating_add(HEADER_LENGTH)))?;
        let value = value.get(..length).unwrap_or_default();
        let value = match kind {
            kind::STRUCTURE if depth == DEPTH_MAX => return Err(TtlvError::TooDeep { tag, at }),
            kind::STRUCTURE => structure(value, at + HEADER_LENGTH, depth + 1)?,
            kind => simple(kind, value).ok_or(TtlvError::WrongLength { tag, at, kind, length })?,
        };
        self.rest = rest;
        self.at = at + HEADER_LENGTH + filled;
        Ok(Element { tag, value })
    }
}

fn structure(value: &[u8], at: usize, depth: usize) -> Result<Value<'_>, TtlvError> {
    let mut reader = Reader { rest: value, at };
    let mut children = Vec::new();
    while !reader.rest.is_empty() {
        children.push(reader.element(depth)?);
    }
    Ok(Value::Structure(children))
}

/// A value that holds no fields; `None` if its type has another length.
fn simple(kind: u8, value: &[u8]) -> Option<Value<'_>> {
    let four = || <[u8; 4]>::try_from(value).ok();
    let eight = || <[u8; 8]>::try_from(value).ok();
    Some(match kind {
        kind::INTEGER => Value::Integer(i32::from_be_bytes(four()?)),
        kind::LONG_INTEGER => Value::LongInteger(i64::from_be_bytes(eight()?)),
        kind::ENUMERATION => Value::Enumeration(u32::from_be_bytes(four()?)),
        kind::BOOLEAN => Value::Boolean(u64::from_be_bytes(eight()?) != 0),
        kind::BYTE_STRING => Value::Bytes(value),
        kind::DATE_TIME => Value::DateTime(i64::from_be_bytes(eight()?)),
        kind::DATE_TIME_EXTENDED => Value::DateTimeExtended(i64::from_be_bytes(eight()?)),
        kind::TEXT_STRING => match std::str::from_utf8(value) {
            Ok(text) => Value::Text(text),
            Err(_) => Value::Other { kind, bytes: value },
        },
        kind => Value::Other { kind, bytes: value },
    })
}

#[cfg(test)]
mod tests;
