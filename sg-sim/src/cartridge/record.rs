//! One record: a block or a filemark, as it lies in a cartridge, or a link to where records go on. The layout is described in the room's front page ([`super`]).

use super::checksum::{crc32c, extend};
use crate::cipher::{BlockKey, CipherError, KEY_CHECK_BYTES, KeyCheck, NONCE_BYTES, TAG_BYTES};

/// Length of the fixed part of a record's header.
pub(super) const HEADER_BYTES: usize = 80;
/// What a record without KADs and payload takes: header and its CRC.
pub(super) const OVERHEAD_BYTES: usize = HEADER_BYTES + 4;
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
    pub(super) const PAYLOAD_AT: Range<usize> = 44..52;
    pub(super) const OBJECT: Range<usize> = 52..60;
    pub(super) const KIND: usize = 60;
    pub(super) const ALGORITHM: usize = 61;
    pub(super) const FLAGS: usize = 62;
    pub(super) const KAD_FORMAT: usize = 63;
    pub(super) const PAYLOAD_LENGTH: Range<usize> = 64..68;
    pub(super) const KAD_LENGTH: Range<usize> = 68..70;
    pub(super) const KEY_CHECK: Range<usize> = 72..80;
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

/// What the header of a record says that it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RecordKind {
    /// An object on the tape, not damaged.
    Object(ObjectKind),
    /// No object: the headers go on in another table, whose place is the header's payload place.
    Link,
}

impl RecordKind {
    const fn code(self) -> u8 {
        match self {
            Self::Object(ObjectKind::Damaged) => 0,
            Self::Object(ObjectKind::Plain) => 1,
            Self::Object(ObjectKind::Sealed) => 2,
            Self::Object(ObjectKind::Filemark) => 3,
            Self::Link => 4,
        }
    }

    const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Object(ObjectKind::Plain)),
            2 => Some(Self::Object(ObjectKind::Sealed)),
            3 => Some(Self::Object(ObjectKind::Filemark)),
            4 => Some(Self::Link),
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
    /// Seed of the header's CRC: the CRC of the file's header.
    pub(super) seed: u32,
    /// Where in the file the payload lies; 0 in memory.
    pub(super) payload_at: u64,
    /// Whether plain payload is given a CRC; a cartridge in memory needs none.
    pub(super) payload_crc: bool,
}

/// Length of a record's header with these KADs and its CRC.
pub(super) const fn header_bytes(kads: usize) -> usize {
    OVERHEAD_BYTES + kads
}

/// The fixed header plus KADs, before tag, nonce and CRCs are filled in.
fn header(
    place: Place,
    kind: RecordKind,
    payload_length: u32,
    attributes: Option<(&SealAttributes, KeyCheck)>,
) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    header[field::MAGIC].copy_from_slice(&MAGIC);
    header[field::SEQUENCE].copy_from_slice(&place.sequence.to_be_bytes());
    header[field::PAYLOAD_AT].copy_from_slice(&place.payload_at.to_be_bytes());
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

/// Writes a block's header, KADs and CRC into `head`, which is exactly [`header_bytes`] long, and the block as it is stored into `payload`, which
/// has the block's length.
///
/// # Errors
/// The lengths do not agree, or the cipher library refuses the block.
pub(super) fn write_block(
    head: &mut [u8],
    payload: &mut [u8],
    place: Place,
    plain: &[u8],
    seal: Option<&Seal<'_>>,
) -> Result<(), CipherError> {
    let payload_length = u32::try_from(plain.len()).map_err(|_| CipherError)?;
    if payload.len() != plain.len() {
        return Err(CipherError);
    }
    let kads: &[u8] = seal.map_or(&[], |seal| &seal.attributes.kads);
    let (head, crc) = head
        .split_at_mut_checked(HEADER_BYTES + kads.len())
        .ok_or(CipherError)?;
    let (fixed, kads_area) = head.split_first_chunk_mut::<HEADER_BYTES>().ok_or(CipherError)?;
    kads_area.copy_from_slice(kads);
    if let Some(seal) = seal {
        let kind = RecordKind::Object(ObjectKind::Sealed);
        *fixed = header(place, kind, payload_length, Some((seal.attributes, seal.key.check())));
        fixed[field::NONCE].copy_from_slice(&seal.nonce);
        let tag = seal
            .key
            .seal(seal.nonce, head.get(AAD_START..).ok_or(CipherError)?, plain, payload)?;
        head.get_mut(field::TAG).ok_or(CipherError)?.copy_from_slice(&tag);
    } else {
        *fixed = header(place, RecordKind::Object(ObjectKind::Plain), payload_length, None);
        let payload_crc = if place.payload_crc { crc32c(plain) } else { 0 };
        fixed[field::PAYLOAD_CRC].copy_from_slice(&payload_crc.to_be_bytes());
        payload.copy_from_slice(plain);
    }
    close(place.seed, head, crc)
}

/// Writes a filemark into `head`, which is exactly [`OVERHEAD_BYTES`] long.
///
/// # Errors
/// The length is another one.
pub(super) fn write_filemark(head: &mut [u8], place: Place) -> Result<(), CipherError> {
    write_bare(head, place, RecordKind::Object(ObjectKind::Filemark))
}

/// A record that says: from `place.object` on, headers lie in the table at `place.payload_at`.
pub(super) fn link(place: Place) -> [u8; OVERHEAD_BYTES] {
    let mut head = [0; OVERHEAD_BYTES];
    // The length is right, which is all that can be wrong.
    let _ = write_bare(&mut head, place, RecordKind::Link);
    head
}

fn write_bare(head: &mut [u8], place: Place, kind: RecordKind) -> Result<(), CipherError> {
    let (head, crc) = head.split_at_mut_checked(HEADER_BYTES).ok_or(CipherError)?;
    head.copy_from_slice(&header(place, kind, 0, None));
    close(place.seed, head, crc)
}

fn close(seed: u32, head: &[u8], crc_area: &mut [u8]) -> Result<(), CipherError> {
    let crc_area = <&mut [u8; 4]>::try_from(crc_area).map_err(|_| CipherError)?;
    *crc_area = extend(seed, head).to_be_bytes();
    Ok(())
}

/// Header and KADs of a record, checked.
#[derive(Clone, Copy)]
pub(crate) struct RecordHeader<'a> {
    fixed: &'a [u8; HEADER_BYTES],
    with_kads: &'a [u8],
    kind: RecordKind,
}

impl<'a> RecordHeader<'a> {
    /// Takes the header at the beginning of `bytes`, whatever lies behind it. None if it is none, or its CRC does not fit.
    pub(super) fn parse(bytes: &'a [u8], seed: u32) -> Option<Self> {
        let fixed = bytes.first_chunk()?;
        let kind = RecordKind::from_code(fixed[field::KIND]).filter(|_| fixed[field::MAGIC] == MAGIC)?;
        let kads = usize::from(be_u16(fixed[68], fixed[69]));
        let (with_kads, rest) = bytes.split_at_checked(HEADER_BYTES + kads)?;
        let crc = u32::from_be_bytes(*rest.first_chunk()?);
        (crc == extend(seed, with_kads)).then_some(Self { fixed, with_kads, kind })
    }

    /// What the record is.
    pub(super) const fn record_kind(&self) -> RecordKind {
        self.kind
    }

    /// What the object is.
    pub(crate) const fn kind(&self) -> ObjectKind {
        match self.kind {
            RecordKind::Object(kind) => kind,
            RecordKind::Link => ObjectKind::Damaged,
        }
    }

    /// Number of the object on the tape; of a link, of the first object behind it.
    pub(super) fn object(&self) -> u64 {
        be_u64(self.fixed, field::OBJECT.start)
    }

    /// Sequence number.
    pub(super) fn sequence(&self) -> u64 {
        be_u64(self.fixed, field::SEQUENCE.start)
    }

    /// Where the payload lies in the file; of a link, where the next table lies.
    pub(super) fn payload_at(&self) -> u64 {
        be_u64(self.fixed, field::PAYLOAD_AT.start)
    }

    /// Length of the payload in bytes.
    pub(super) const fn payload_length(&self) -> u32 {
        u32::from_be_bytes([self.fixed[64], self.fixed[65], self.fixed[66], self.fixed[67]])
    }

    /// Length of header, KADs and CRC.
    pub(super) const fn length(&self) -> usize {
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
    /// Takes the record whose header fills `head` and whose block is `payload`. None if it is no object, or a length does not fit.
    pub(super) fn join(head: &'a [u8], payload: &'a [u8], seed: u32) -> Option<Self> {
        let header = RecordHeader::parse(head, seed)?;
        let object = matches!(header.kind, RecordKind::Object(_));
        let fits = header.length() == head.len() && usize::try_from(header.payload_length()) == Ok(payload.len());
        (object && fits).then_some(Self { header, payload })
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
        payload_at: 0x0A0B,
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

    /// Header and payload of a sealed block.
    fn sealed(dirt: u8) -> (Vec<u8>, Vec<u8>) {
        let (key, attributes) = (BlockKey::new(&Zeroizing::new([7; 32])).unwrap(), attributes());
        let (mut head, mut payload) = (vec![dirt; header_bytes(attributes.kads.len())], vec![dirt; 5]);
        let seal = Seal {
            key: &key,
            nonce: [3; NONCE_BYTES],
            attributes: &attributes,
        };
        write_block(&mut head, &mut payload, PLACE, b"hello", Some(&seal)).unwrap();
        (head, payload)
    }

    #[test]
    fn writes_every_byte_whatever_lay_there_before() {
        assert_eq!(sealed(0xA5), sealed(0x00));
        let with_dirt = |dirt| {
            let (mut plain, mut payload, mut filemark) =
                (vec![dirt; OVERHEAD_BYTES], vec![dirt; 5], vec![dirt; OVERHEAD_BYTES]);
            write_block(&mut plain, &mut payload, PLACE, b"hello", None).unwrap();
            write_filemark(&mut filemark, PLACE).unwrap();
            [plain, payload, filemark]
        };
        assert_eq!(with_dirt(0xA5), with_dirt(0x00));
    }

    #[test]
    fn gives_back_what_was_sealed_with_all_that_lies_beside_it() {
        let (head, payload) = sealed(0);
        let record = Record::join(&head, &payload, PLACE.seed).unwrap();
        let header = record.header;
        assert_eq!(
            (header.kind(), header.object(), header.sequence(), header.payload_at()),
            (ObjectKind::Sealed, 5, 9, 0x0A0B)
        );
        assert_eq!(header.attributes(), attributes());
        let mut plain = [0xA5; 5];
        record
            .open(&BlockKey::new(&Zeroizing::new([7; 32])).unwrap(), &mut plain)
            .unwrap();
        assert_eq!(&plain, b"hello");
    }

    #[test]
    fn refuses_every_truncation_trailing_bytes_and_the_records_of_another_cartridge() {
        let (mut head, mut payload) = sealed(0);
        let taken = |head: &[u8], payload: &[u8], seed| Record::join(head, payload, seed).is_some();
        assert!(taken(&head, &payload, PLACE.seed));
        for length in 0..head.len() {
            assert!(!taken(&head[..length], &payload, PLACE.seed), "{length}");
        }
        assert!(!taken(&head, &payload, PLACE.seed + 1));
        assert!(!taken(&head, &payload[..4], PLACE.seed));
        payload.push(0);
        assert!(!taken(&head, &payload, PLACE.seed));
        head.push(0);
        assert!(!taken(&head, &payload[..5], PLACE.seed));
    }

    #[test]
    fn notices_every_flipped_bit() {
        let ((head, payload), key) = (sealed(0), BlockKey::new(&Zeroizing::new([7; 32])).unwrap());
        let whole: Vec<u8> = [head.as_slice(), &payload].concat();
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            let (head, payload) = flipped.split_at(head.len());
            let record = Record::join(head, payload, PLACE.seed);
            let refused = record.is_none_or(|record| record.open(&key, &mut [0; 5]).is_err());
            assert!(refused, "bit {bit}");
        }
    }

    #[test]
    fn refuses_room_of_another_length() {
        for (head, payload) in [
            (0, 5),
            (OVERHEAD_BYTES - 1, 5),
            (OVERHEAD_BYTES + 1, 5),
            (OVERHEAD_BYTES, 4),
        ] {
            let (mut head, mut payload) = (vec![0; head], vec![0; payload]);
            assert!(write_block(&mut head, &mut payload, PLACE, b"hello", None).is_err());
        }
        assert!(write_filemark(&mut [0; OVERHEAD_BYTES + 1], PLACE).is_err());
    }

    #[test]
    fn a_link_is_no_object() {
        let head = link(PLACE);
        let header = RecordHeader::parse(&head, PLACE.seed).unwrap();
        assert_eq!((header.record_kind(), header.payload_at()), (RecordKind::Link, 0x0A0B));
        assert!(Record::join(&head, &[], PLACE.seed).is_none());
    }
}
