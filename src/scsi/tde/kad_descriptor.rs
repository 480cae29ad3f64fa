//! Key-associated data descriptors, the same in pages that are sent and in pages that are read (SSC-4, "Key-associated data descriptors list").

use std::fmt;

use super::super::reader::{DecodeError, Reader};

/// KEY-ASSOCIATED DATA TYPE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum KadType {
    /// 00h, U-KAD.
    Unauthenticated,
    /// 01h, A-KAD.
    Authenticated,
    /// 02h.
    Nonce,
    /// 03h, M-KAD.
    Metadata,
    /// 04h, WK-KAD.
    WrappedKey,
    /// A type that the standard does not define.
    Unknown(u8),
}

impl KadType {
    fn decode(value: u8) -> Self {
        match value {
            0 => Self::Unauthenticated,
            1 => Self::Authenticated,
            2 => Self::Nonce,
            3 => Self::Metadata,
            4 => Self::WrappedKey,
            unknown => Self::Unknown(unknown),
        }
    }
}

/// One descriptor: 0 type, 1 AUTHENTICATED (bits 2-0), 2-3 length, then the data.
#[derive(Clone, PartialEq, Eq)]
pub struct Kad {
    /// Which kind.
    pub kad_type: KadType,
    /// AUTHENTICATED as read: 1 not covered, 2 not attempted, 3 authenticated, 4 failed. Drives disagree on it for U-KADs.
    pub authenticated: u8,
    /// The data.
    pub data: Vec<u8>,
}

impl fmt::Debug for Kad {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{:?}({}, authenticated {})",
            self.kad_type,
            hex::encode(&self.data),
            self.authenticated
        )
    }
}

/// Reads descriptors until fewer than a header's four bytes remain.
///
/// # Errors
/// [`DecodeError`] if a descriptor is longer than the page.
pub(super) fn decode_list(body: &mut Reader<'_>) -> Result<Vec<Kad>, DecodeError> {
    let mut kads = Vec::new();
    while body.left() >= 4 {
        let [kad_type, authenticated] = body.array()?;
        let length = body.u16()?;
        kads.push(Kad {
            kad_type: KadType::decode(kad_type),
            authenticated: authenticated & 0x07,
            data: body.take(length.into())?.to_vec(),
        });
    }
    Ok(kads)
}

/// The data of the first descriptor of `kad_type`, empty if there is none.
#[must_use]
pub fn data_of(kads: &[Kad], kad_type: KadType) -> &[u8] {
    kads.iter()
        .find(|kad| kad.kad_type == kad_type)
        .map_or(&[], |kad| &kad.data)
}
