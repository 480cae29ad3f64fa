//! Page 0021h, next block encryption status: what stands at the present position, with the KADs read from the medium. It never moves the tape.

use super::kad_descriptor::{Kad, KadType, data_of, decode_list};
use super::page_body;
use crate::scsi::reader::DecodeError;

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0021;

/// ENCRYPTION STATUS (byte 12, bits 3-0).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockEncryption {
    /// 0h: the drive cannot tell.
    CannotTell,
    /// 1h: it could, but not now: not yet read, read error, end of data.
    NotNow,
    /// 2h: the object is no block.
    NotABlock,
    /// 3h: plain.
    Plain,
    /// 4h: encrypted by an algorithm that this drive does not have.
    UnsupportedAlgorithm,
    /// 5h: encrypted by a supported algorithm. On drives that also report 6h, the present key fits.
    Encrypted,
    /// 6h: encrypted, and the present parameters do not decrypt it.
    EncryptedKeyMissing,
    /// A value that the standard does not define.
    Unknown(u8),
}

/// The page: 16 bytes and the KADs of the block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextBlockEncryptionStatus {
    /// LOGICAL OBJECT NUMBER (4-11) of the object that comes next.
    pub logical_object_number: u64,
    /// ENCRYPTION STATUS.
    pub encryption: BlockEncryption,
    /// ALGORITHM INDEX (13) of the block, meaningful if it is encrypted.
    pub algorithm_index: u8,
    /// KADs read from the medium, from byte 16 on.
    pub kads: Vec<Kad>,
}

impl NextBlockEncryptionStatus {
    /// Reads page 0021h.
    ///
    /// # Errors
    /// [`DecodeError`] if another page came, it is too short, or a KAD is longer than the page.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut body = page_body("next block encryption status page", PAGE_CODE, reply)?;
        let logical_object_number = body.u64()?;
        let [statuses, algorithm_index, _flags, _kad_format] = body.array()?;
        Ok(Self {
            logical_object_number,
            encryption: match statuses & 0x0F {
                0 => BlockEncryption::CannotTell,
                1 => BlockEncryption::NotNow,
                2 => BlockEncryption::NotABlock,
                3 => BlockEncryption::Plain,
                4 => BlockEncryption::UnsupportedAlgorithm,
                5 => BlockEncryption::Encrypted,
                6 => BlockEncryption::EncryptedKeyMissing,
                unknown => BlockEncryption::Unknown(unknown),
            },
            algorithm_index,
            kads: decode_list(&mut body)?,
        })
    }

    /// The U-KAD of the block, empty if there is none.
    #[must_use]
    pub fn unauthenticated_kad(&self) -> &[u8] {
        data_of(&self.kads, KadType::Unauthenticated)
    }

    /// The A-KAD of the block, empty if there is none.
    #[must_use]
    pub fn authenticated_kad(&self) -> &[u8] {
        data_of(&self.kads, KadType::Authenticated)
    }
}
