//! TTLV as it is written: exactly as the KMIP specification says ("TTLV"), with zeros where a value is filled up. Nothing secret is ever sent.

use super::ttlv::{ALIGNMENT, Tag, kind};

/// What most messages have room in.
const USUAL_LENGTH: usize = 1024;

/// A message in the making.
pub(super) struct Writer(Vec<u8>);

impl Default for Writer {
    fn default() -> Self {
        Self(Vec::with_capacity(USUAL_LENGTH))
    }
}

impl Writer {
    /// The bytes.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    /// A field that holds the fields which `fill` writes.
    pub(super) fn structure(&mut self, tag: Tag, fill: impl FnOnce(&mut Self)) {
        self.header(tag, kind::STRUCTURE, 0);
        let begin = self.0.len();
        fill(self);
        // What is asked for is bounded far below 4 GiB: a few identifiers and names of limited length.
        let length = u32::try_from(self.0.len() - begin).unwrap_or(u32::MAX);
        if let Some(place) = self.0.get_mut(begin - 4..begin) {
            place.copy_from_slice(&length.to_be_bytes());
        }
    }

    pub(super) fn integer(&mut self, tag: Tag, number: i32) {
        self.value(tag, kind::INTEGER, &number.to_be_bytes());
    }

    pub(super) fn enumeration(&mut self, tag: Tag, number: u32) {
        self.value(tag, kind::ENUMERATION, &number.to_be_bytes());
    }

    pub(super) fn text(&mut self, tag: Tag, text: &str) {
        self.value(tag, kind::TEXT_STRING, text.as_bytes());
    }

    pub(super) fn bytes(&mut self, tag: Tag, bytes: &[u8]) {
        self.value(tag, kind::BYTE_STRING, bytes);
    }

    fn value(&mut self, tag: Tag, kind: u8, value: &[u8]) {
        self.header(tag, kind, u32::try_from(value.len()).unwrap_or(u32::MAX));
        self.0.extend_from_slice(value);
        self.0.resize(self.0.len().next_multiple_of(ALIGNMENT), 0);
    }

    fn header(&mut self, tag: Tag, kind: u8, length: u32) {
        let [_, tag @ ..] = tag.0.to_be_bytes();
        self.0.extend_from_slice(&tag);
        self.0.push(kind);
        self.0.extend_from_slice(&length.to_be_bytes());
    }
}
