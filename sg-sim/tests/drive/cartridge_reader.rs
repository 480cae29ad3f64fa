//! A reader of cartridge files, written from the description of the file in the crate's documentation.

/// Where the first table of headers lies.
pub(crate) const FIRST_TABLE: usize = 36_864;
/// Length of a table.
pub(crate) const TABLE_BYTES: usize = 65_536;

/// A header in a file, and what it says.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header {
    /// Where it begins.
    pub(crate) at: usize,
    /// Length with KADs and CRC.
    pub(crate) length: usize,
    /// 1 plain block, 2 sealed block, 3 filemark, 4 link.
    pub(crate) kind: u8,
    /// Where the payload, or the next table, lies.
    pub(crate) payload_at: usize,
    /// Length of the payload.
    pub(crate) payload_bytes: usize,
}

/// All headers, in order, links too.
pub(crate) fn headers(bytes: &[u8]) -> Vec<Header> {
    let (mut found, mut at) = (vec![], FIRST_TABLE);
    while bytes.get(at..).is_some_and(|rest| rest.starts_with(b"SGRC")) {
        let number = |from: usize, length: usize| {
            let field = &bytes[at + from..at + from + length];
            field.iter().fold(0, |value, byte| (value << 8) | usize::from(*byte))
        };
        let header = Header {
            at,
            length: 84 + number(68, 2),
            kind: bytes[at + 60],
            payload_at: number(44, 8),
            payload_bytes: number(64, 4),
        };
        at = if header.kind == 4 {
            header.payload_at
        } else {
            at + header.length
        };
        found.push(header);
    }
    found
}
