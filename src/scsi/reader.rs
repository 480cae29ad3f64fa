//! The closed reader that every decoder of this room uses: it hands out what is there and says what is missing.

use thiserror::Error;

/// A reply could not be read as what it should be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The bytes end before the field does.
    #[error("{what}: {wanted} more bytes wanted at byte {offset}, {found} came")]
    Truncated {
        /// The page or structure.
        what: &'static str,
        /// Where the field begins.
        offset: usize,
        /// Length of the field.
        wanted: usize,
        /// Bytes that were left.
        found: usize,
    },
    /// The reply is another page than the one asked for.
    #[error("{what}: page code {found:04X}h came instead of {wanted:04X}h")]
    WrongPage {
        /// The page or structure.
        what: &'static str,
        /// The page code asked for.
        wanted: u16,
        /// The page code that came.
        found: u16,
    },
    /// A length inside the reply contradicts another one.
    #[error("{what}: length {length} at byte {offset} does not fit the page")]
    Contradiction {
        /// The page or structure.
        what: &'static str,
        /// Where the length stands.
        offset: usize,
        /// The length as sent.
        length: usize,
    },
}

/// Reads fields in order from a borrowed reply.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    what: &'static str,
    offset: usize,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader of `bytes`; `what` names the structure in errors.
    #[must_use]
    pub fn new(what: &'static str, bytes: &'a [u8]) -> Self {
        Self {
            what,
            offset: 0,
            rest: bytes,
        }
    }

    /// How many bytes are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.rest.len()
    }

    /// Where the next field begins.
    #[must_use]
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// The next `length` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let Some((taken, rest)) = self.rest.split_at_checked(length) else {
            return Err(DecodeError::Truncated {
                what: self.what,
                offset: self.offset,
                wanted: length,
                found: self.rest.len(),
            });
        };
        self.rest = rest;
        self.offset += length;
        Ok(taken)
    }

    /// A reader of the next `length` bytes alone.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn sub(&mut self, length: usize) -> Result<Reader<'a>, DecodeError> {
        let offset = self.offset;
        Ok(Reader {
            what: self.what,
            offset,
            rest: self.take(length)?,
        })
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    /// The next byte.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    /// The next two bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        self.array().map(u16::from_be_bytes)
    }

    /// The next four bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    /// The next eight bytes.
    ///
    /// # Errors
    /// As [`Reader::take`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }

    /// An error about a length at `offset` that contradicts the rest.
    #[must_use]
    pub fn contradiction(&self, offset: usize, length: usize) -> DecodeError {
        DecodeError::Contradiction {
            what: self.what,
            offset,
            length,
        }
    }
}

/// ASCII text of a fixed-length field, without the padding around it; other bytes are shown as `\xNN`.
#[must_use]
pub fn ascii(field: &[u8]) -> String {
    let text = field.strip_suffix(b"\0").map_or(field, |_| trim_end(field, 0));
    trim_end(text, b' ').trim_ascii_start().escape_ascii().to_string()
}

fn trim_end(mut field: &[u8], padding: u8) -> &[u8] {
    while let Some(shorter) = field.strip_suffix(&[padding]) {
        field = shorter;
    }
    field
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_missing_and_keeps_its_place() {
        let mut reader = Reader::new("a page", &[1, 2, 3]);
        assert_eq!(reader.u16(), Ok(0x0102));
        let missing = DecodeError::Truncated {
            what: "a page",
            offset: 2,
            wanted: 4,
            found: 1,
        };
        assert_eq!(reader.u32(), Err(missing));
        assert_eq!((reader.u8(), reader.left(), reader.offset()), (Ok(3), 0, 3));
    }

    #[test]
    fn shows_text_without_its_padding_and_odd_bytes_escaped() {
        assert_eq!(ascii(b"  A00123L8\0\0"), "A00123L8");
        assert_eq!(ascii(b"IBM     "), "IBM");
        assert_eq!(ascii(b"a\xFFb\n "), "a\\xffb\\n");
        assert_eq!(ascii(b"\0\0\0"), "");
    }
}
