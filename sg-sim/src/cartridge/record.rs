//! One record: a block or a filemark, as it lies in a cartridge. The layout is described in the room's front page ([`super`]).

use super::checksum::{crc32c, extend};
use crate::cipher::{BlockKey, CipherError, KEY_CHECK_BYTES, KeyCheck, NONCE_BYTES, TAG_BYTES};

/// Length of the fixed part of a record's header.
pub(super) const HEADER_BYTES: usize = 72;
/// What a record without KADs and payload takes: header, CRC, trailer.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 4 + 4;
/// Beginning of every record.
pub(super) const MAGIC: [u8; 4] = *b"SGRC";

/// The algorithm of sealed blocks: AES-256-GCM with a tag of 16 bytes.
pub(crate) const AES_256_GCM: u8 = 1;

const RAW_ENABLED: u8 = 0x01;

mod field {
    use std::ops::Range;
    pub(super) const MAGIC: Range<usize> = 0..4;
    pub(super) const SEQUENCE: Range<usize> = 4..12;
    pub(super) const TAG: Range<usize> = 12..28;
    pub(super) const NONCE: Range<usize> = 28..40;
    pub(super) const PAYLOAD_CRC: Range<usize> = 40..44;
    pub(super) const OBJECT: Range<usize> = 44..52;
    pub(super) const KIND: usize = 52;
    pub(super) const ALGORITHM: usize = 53;
    pub(super) const FLAGS: usize = 54;
    pub(super) const KAD_FORMAT: usize = 55;
    pub(super) const PAYLOAD_LENGTH: Range<usize> = 56..60;
    pub(super) const KAD_LENGTH: Range<usize> = 60..62;
    pub(super) const KEY_CHECK: Range<usize> = 64..72;
}

/// Offset in a header where the authenticated part begins.
const AAD_START: usize = field::OBJECT.start;

/// What an object on the tape is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ObjectKind {
    /// A block that is not encrypted.
    Plain,
    /// A block sealed with AES-256-GCM.
    Sealed,
    /// A filemark.
    Filemark,
    /// Something was here and cannot be read any more.
    Damaged,
}

impl ObjectKind {
    const fn code(self) -> u8 {
        match self {
            Self::Damaged => 0,
            Self::Plain => 1,
            Self::Sealed => 2,
            Self::Filemark => 3,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Plain),
            2 => Some(Self::Sealed),
            3 => Some(Self::Filemark),
            _ => None,
        }
    }
}

/// What is stored with every sealed block besides the block.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct SealAttributes {
    /// The algorithm; [`AES_256_GCM`] is the only one known.
    pub(crate) algorithm: u8,
    /// The block may be read in RAW mode.
    pub(crate) raw_enabled: bool,
    /// KAD FORMAT.
    pub(crate) kad_format: u8,
    /// KAD descriptors, encoded as SPOUT had them.
    pub(crate) kads: Vec<u8>,
}

/// How to seal one block.
pub(crate) struct Seal<'a> {
    /// The key.
    pub(crate) key: &'a BlockKey,
    /// A nonce fresh for this block.
    pub(crate) nonce: [u8; NONCE_BYTES],
    /// What to store with it.
    pub(crate) attributes: &'a SealAttributes,
}

/// Where a record will lie.
#[derive(Clone, Copy)]
pub(super) struct Place {
    /// Number of the object on the tape.
    pub(super) object: u64,
    /// Sequence number of the record: rises with every record ever written.
    pub(super) sequence: u64,
    /// Seed of the record's CRC: the CRC of the file's header.
    pub(super) seed: u32,
    /// Whether plain payload is given a CRC; a cartridge in memory needs none.
    pub(super) payload_crc: bool,
}

/// Length of a record with this payload and these KADs.
pub(super) const fn record_bytes(payload: usize, kads: usize) -> usize {
    OVERHEAD_BYTES + kads + payload
}

/// The fixed header plus KADs, before tag, nonce and CRCs are filled in.
fn header(
    place: Place,
    kind: ObjectKind,
    payload_length: u32,
    attributes: Option<(&SealAttributes, KeyCheck)>,
) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[field::MAGIC].copy_from_slice(&MAGIC);
    header[field::SEQUENCE].copy_from_slice(&place.sequence.to_be_bytes());
    header[field::OBJECT].copy_from_slice(&place.object.to_be_bytes());
    header[field::KIND] = kind.code();
    header[field::PAYLOAD_LENGTH].copy_from_slice(&payload_length.to_be_bytes());
    if let Some((attributes, check)) = attributes {
        header[field::ALGORITHM] = attributes.algorithm;
        header[field::FLAGS] = if attributes.raw_enabled { RAW_ENABLED } else { 0 };
        header[field::KAD_FORMAT] = attributes.kad_format;
        let kad_length = u16::try_from(attributes.kads.len()).unwrap_or(u16::MAX);
        header[field::KAD_LENGTH].copy_from_slice(&kad_length.to_be_bytes());
        header[field::KEY_CHECK].copy_from_slice(&check);
    }
    header
}

/// Writes a whole record into `out`, which is exactly [`record_bytes`] long.
///
/// # Errors
/// The lengths do not agree, or the cipher library refuses the block.
pub(super) fn write_block(
    out: &mut [u8],
    place: Place,
    plain: &[u8],
    seal: Option<&Seal<'_>>,
) -> Result<(), CipherError> {
    let payload_length = u32::try_from(plain.len()).map_err(|_| CipherError)?;
    let kads: &[u8] = seal.map_or(&[], |seal| &seal.attributes.kads);
    let (head, rest) = out.split_at_mut_checked(HEADER_BYTES + kads.len()).ok_or(CipherError)?;
    let (crc, rest) = rest.split_at_mut_checked(4).ok_or(CipherError)?;
    let (payload, trailer) = rest.split_at_mut_checked(plain.len()).ok_or(CipherError)?;
    let (fixed, kad_area) = head.split_first_chunk_mut::<HEADER_BYTES>().ok_or(CipherError)?;
    kad_area.copy_from_slice(kads);
    if let Some(seal) = seal {
        *fixed = header(
            place,
            ObjectKind::Sealed,
            payload_length,
            Some((seal.attributes, seal.key.check())),
        );
        fixed[field::NONCE].copy_from_slice(&seal.nonce);
        let tag = seal
            .key
            .seal(seal.nonce, head.get(AAD_START..).ok_or(CipherError)?, plain, payload)?;
        head.get_mut(field::TAG).ok_or(CipherError)?.copy_from_slice(&tag);
    } else {
        *fixed = header(place, ObjectKind::Plain, payload_length, None);
        let payload_crc = if place.payload_crc { crc32c(plain) } else { 0 };
        fixed[field::PAYLOAD_CRC].copy_from_slice(&payload_crc.to_be_bytes());
        payload.copy_from_slice(plain);
    }
    close(place.seed, head, crc, trailer)
}

/// Writes a filemark into `out`, which is exactly [`OVERHEAD_BYTES`] long.
///
/// # Errors
/// The length is another one.
pub(super) fn write_filemark(out: &mut [u8], place: Place) -> Result<(), CipherError> {
    let (head, rest) = out.split_at_mut_checked(HEADER_BYTES).ok_or(CipherError)?;
    let (crc, trailer) = rest.split_at_mut_checked(4).ok_or(CipherError)?;
    head.copy_from_slice(&header(place, ObjectKind::Filemark, 0, None));
    close(place.seed, head, crc, trailer)
}

fn close(seed: u32, head: &[u8], crc_area: &mut [u8], trailer_area: &mut [u8]) -> Result<(), CipherError> {
    let crc = extend(seed, head);
    *crc_area.first_chunk_mut().ok_or(CipherError)? = crc.to_be_bytes();
    *trailer_area.first_chunk_mut().ok_or(CipherError)? = (!crc).to_be_bytes();
    if trailer_area.len() == 4 {
        Ok(())
    } else {
        Err(CipherError)
    }
}

/// Header and KADs of a record, checked.
#[derive(Clone, Copy)]
pub(crate) struct RecordHeader<'a> {
    fixed: &'a [u8; HEADER_BYTES],
    with_kads: &'a [u8],
    crc: u32,
}

impl<'a> RecordHeader<'a> {
    /// How many bytes header and KADs take, from the first [`HEADER_BYTES`] of a record. None if that is no header.
    pub(super) fn length(fixed: &[u8; HEADER_BYTES]) -> Option<usize> {
        let known = fixed[field::MAGIC] == MAGIC && ObjectKind::from_code(fixed[field::KIND]).is_some();
        known.then(|| HEADER_BYTES + usize::from(be_u16(fixed[60], fixed[61])))
    }

    /// Takes the header at the beginning of `record`. None if it is none, or its CRC does not fit.
    pub(super) fn parse(record: &'a [u8], seed: u32) -> Option<Self> {
        let fixed = record.first_chunk()?;
        let (with_kads, rest) = record.split_at_checked(Self::length(fixed)?)?;
        let crc = u32::from_be_bytes(*rest.first_chunk()?);
        (crc == extend(seed, with_kads)).then_some(Self { fixed, with_kads, crc })
    }

    /// What the record is.
    pub(crate) fn kind(&self) -> ObjectKind {
        ObjectKind::from_code(self.fixed[field::KIND]).unwrap_or(ObjectKind::Damaged)
    }

    /// Number of the object on the tape.
    pub(super) fn object(&self) -> u64 {
        be_u64(self.fixed, field::OBJECT.start)
    }

    /// Sequence number.
    pub(super) fn sequence(&self) -> u64 {
        be_u64(self.fixed, field::SEQUENCE.start)
    }

    /// Length of the payload in bytes.
    pub(super) const fn payload_length(&self) -> u32 {
        u32::from_be_bytes([self.fixed[56], self.fixed[57], self.fixed[58], self.fixed[59]])
    }

    /// The last four bytes that the record must have.
    pub(super) const fn trailer(&self) -> [u8; 4] {
        (!self.crc).to_be_bytes()
    }

    /// Length of header, KADs and CRC: where the payload begins.
    pub(super) const fn payload_start(&self) -> usize {
        self.with_kads.len() + 4
    }

    /// Check value of the key that sealed the block.
    pub(crate) fn key_check(&self) -> KeyCheck {
        let mut check = [0; KEY_CHECK_BYTES];
        check.copy_from_slice(&self.fixed[field::KEY_CHECK]);
        check
    }

    /// The algorithm of a sealed block.
    pub(crate) const fn algorithm(&self) -> u8 {
        self.fixed[field::ALGORITHM]
    }

    /// What was stored with the block.
    pub(crate) fn attributes(&self) -> SealAttributes {
        SealAttributes {
            algorithm: self.algorithm(),
            raw_enabled: self.raw_enabled(),
            kad_format: self.fixed[field::KAD_FORMAT],
            kads: self.with_kads.get(HEADER_BYTES..).unwrap_or_default().to_vec(),
        }
    }

    /// The block may be read in RAW mode.
    pub(crate) const fn raw_enabled(&self) -> bool {
        self.fixed[field::FLAGS] & RAW_ENABLED != 0
    }

    fn nonce(&self) -> [u8; NONCE_BYTES] {
        let mut nonce = [0; NONCE_BYTES];
        nonce.copy_from_slice(&self.fixed[field::NONCE]);
        nonce
    }

    fn tag(&self) -> [u8; TAG_BYTES] {
        let mut tag = [0; TAG_BYTES];
        tag.copy_from_slice(&self.fixed[field::TAG]);
        tag
    }

    const fn payload_crc(&self) -> u32 {
        u32::from_be_bytes([self.fixed[40], self.fixed[41], self.fixed[42], self.fixed[43]])
    }
}

/// A whole record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'a> {
    /// Header and KADs.
    pub(crate) header: RecordHeader<'a>,
    /// The block as it is stored.
    pub(crate) payload: &'a [u8],
}

impl<'a> Record<'a> {
    /// Takes the record that fills `bytes`. None if header, length or trailer do not fit.
    pub(super) fn parse(bytes: &'a [u8], seed: u32) -> Option<Self> {
        let header = RecordHeader::parse(bytes, seed)?;
        let payload_length = usize::try_from(header.payload_length()).ok()?;
        let (payload, trailer) = bytes.get(header.payload_start()..)?.split_at_checked(payload_length)?;
        (trailer == header.trailer()).then_some(Self { header, payload })
    }

    /// Whether plain payload is what was written.
    pub(super) fn payload_intact(&self) -> bool {
        self.header.kind() != ObjectKind::Plain || self.header.payload_crc() == crc32c(self.payload)
    }

    /// Opens a sealed block into `plain`, which has the payload's length.
    ///
    /// # Errors
    /// The tag does not fit.
    pub(crate) fn open(&self, key: &BlockKey, plain: &mut [u8]) -> Result<(), CipherError> {
        let aad = self.header.with_kads.get(AAD_START..).ok_or(CipherError)?;
        key.open(self.header.nonce(), aad, self.payload, &self.header.tag(), plain)
    }
}

const fn be_u16(high: u8, low: u8) -> u16 {
    u16::from_be_bytes([high, low])
}

fn be_u64(fixed: &[u8; HEADER_BYTES], start: usize) -> u64 {
    fixed
        .get(start..)
        .and_then(<[u8]>::first_chunk)
        .map_or(0, |bytes| u64::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeroize::Zeroizing;

    const PLACE: Place = Place {
        object: 5,
        sequence: 9,
        seed: 0x0102_0304,
        payload_crc: true,
    };

    fn attributes() -> SealAttributes {
        SealAttributes {
            algorithm: AES_256_GCM,
            raw_enabled: true,
            kad_format: 2,
            kads: b"\0\0\0\x01n".to_vec(),
        }
    }

    fn sealed(dirt: u8) -> Vec<u8> {
        let (key, attributes) = (BlockKey::new(&Zeroizing::new([7; 32])).unwrap(), attributes());
        let mut record = vec![dirt; record_bytes(5, attributes.kads.len())];
        let seal = Seal {
            key: &key,
            nonce: [3; NONCE_BYTES],
            attributes: &attributes,
        };
        write_block(&mut record, PLACE, b"hello", Some(&seal)).unwrap();
        record
    }

    #[test]
    fn writes_every_byte_whatever_lay_there_before() {
        assert_eq!(sealed(0xA5), sealed(0x00));
        let with_dirt = |dirt| {
            let (mut plain, mut filemark) = (vec![dirt; record_bytes(5, 0)], vec![dirt; OVERHEAD_BYTES]);
            write_block(&mut plain, PLACE, b"hello", None).unwrap();
            write_filemark(&mut filemark, PLACE).unwrap();
            [plain, filemark]
        };
        assert_eq!(with_dirt(0xA5), with_dirt(0x00));
    }

    #[test]
    fn gives_back_what_was_sealed_with_all_that_lies_beside_it() {
        let bytes = sealed(0);
        let record = Record::parse(&bytes, PLACE.seed).unwrap();
        assert_eq!(
            (record.header.kind(), record.header.object(), record.header.sequence()),
            (ObjectKind::Sealed, 5, 9)
        );
        assert_eq!(record.header.attributes(), attributes());
        let mut plain = [0xA5; 5];
        record
            .open(&BlockKey::new(&Zeroizing::new([7; 32])).unwrap(), &mut plain)
            .unwrap();
        assert_eq!(&plain, b"hello");
    }

    #[test]
    fn refuses_every_truncation_trailing_bytes_and_the_records_of_another_cartridge() {
        let mut bytes = sealed(0);
        for length in 0..bytes.len() {
            assert!(Record::parse(&bytes[..length], PLACE.seed).is_none(), "{length}");
        }
        assert!(Record::parse(&bytes, PLACE.seed + 1).is_none());
        bytes.push(0);
        assert!(Record::parse(&bytes, PLACE.seed).is_none());
    }

    #[test]
    fn notices_every_flipped_bit() {
        let (bytes, key) = (sealed(0), BlockKey::new(&Zeroizing::new([7; 32])).unwrap());
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let opened =
                Record::parse(&flipped, PLACE.seed).is_some_and(|record| record.open(&key, &mut [0; 5]).is_ok());
            assert!(!opened, "bit {bit}");
        }
    }

    #[test]
    fn refuses_room_of_another_length() {
        for length in [0, OVERHEAD_BYTES, record_bytes(5, 0) - 1, record_bytes(5, 0) + 1] {
            assert!(
                write_block(&mut vec![0; length], PLACE, b"hello", None).is_err(),
                "{length}"
            );
        }
        assert!(write_filemark(&mut [0; OVERHEAD_BYTES + 1], PLACE).is_err());
    }
}
