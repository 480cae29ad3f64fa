//! What a cartridge keeps besides its records: counters, the write-protect tab, the last cut and the host's attributes (the part of MAM that is not
//! computed). It lies twice in the file, and the older copy is the one that is overwritten, so that one of them is always whole.

use super::checksum::crc32c;
use std::collections::BTreeMap;

/// Room for one copy in bytes.
pub(super) const SLOT_BYTES: usize = 16 * 1024;

const MAGIC: [u8; 4] = *b"SGST";
const WRITE_PROTECTED: u8 = 0x01;
const HEAD_BYTES: usize = 16;

/// A host attribute (SPC-4, "Medium auxiliary memory attributes").
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct HostAttribute {
    /// FORMAT: 0 binary, 1 ASCII, 2 text.
    pub(crate) format: u8,
    /// Its value.
    pub(crate) value: Vec<u8>,
}

/// Where the tape was cut last. Of the records that lie about, those of objects from `object` on with a sequence up to `sequence` are gone.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Cut {
    /// The first object that went.
    pub(super) object: u64,
    /// Sequence number of the last record written before the cut.
    pub(super) sequence: u64,
}

impl Cut {
    /// Whether a record with this object number and sequence number is gone.
    pub(super) const fn took(self, object: u64, sequence: u64) -> bool {
        object >= self.object && sequence <= self.sequence
    }
}

/// The changing part of a cartridge that is not on the tape.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct CartridgeState {
    /// How often it was loaded.
    pub(crate) load_count: u64,
    /// Payload bytes written in its life.
    pub(crate) written_bytes: u64,
    /// Payload bytes read in its life.
    pub(crate) read_bytes: u64,
    /// The write-protect tab is set.
    pub(crate) write_protected: bool,
    /// Where the tape was cut last.
    pub(super) cut: Cut,
    /// Attributes that hosts wrote, by identifier.
    pub(crate) host_attributes: BTreeMap<u16, HostAttribute>,
}

impl CartridgeState {
    /// One copy, with its sequence number. None if it does not fit into a slot.
    pub(super) fn encode(&self, sequence: u64) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        for number in [self.load_count, self.written_bytes, self.read_bytes] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        body.push(if self.write_protected { WRITE_PROTECTED } else { 0 });
        for number in [self.cut.object, self.cut.sequence] {
            body.extend_from_slice(&number.to_be_bytes());
        }
        for (identifier, attribute) in &self.host_attributes {
            body.extend_from_slice(&identifier.to_be_bytes());
            body.push(attribute.format);
            body.extend_from_slice(&u16::try_from(attribute.value.len()).ok()?.to_be_bytes());
            body.extend_from_slice(&attribute.value);
        }
        let mut slot = MAGIC.to_vec();
        slot.extend_from_slice(&sequence.to_be_bytes());
        slot.extend_from_slice(&u32::try_from(body.len()).ok()?.to_be_bytes());
        slot.extend_from_slice(&body);
        slot.extend_from_slice(&crc32c(&slot).to_be_bytes());
        (slot.len() <= SLOT_BYTES).then_some(slot)
    }

    /// Reads a copy and its sequence number from a slot. None if it is not whole.
    pub(super) fn decode(slot: &[u8]) -> Option<(Self, u64)> {
        let head = slot.first_chunk::<HEAD_BYTES>()?;
        let body_length = usize::try_from(u32::from_be_bytes([head[12], head[13], head[14], head[15]])).ok()?;
        let (covered, crc) = slot.split_at_checked(HEAD_BYTES.checked_add(body_length)?)?;
        if head[..4] != MAGIC || *crc.first_chunk()? != crc32c(covered).to_be_bytes() {
            return None;
        }
        let sequence = u64::from_be_bytes(*head.get(4..)?.first_chunk()?);
        Some((Self::decode_body(covered.get(HEAD_BYTES..)?)?, sequence))
    }

    fn decode_body(body: &[u8]) -> Option<Self> {
        let (counters, rest) = body.split_at_checked(24)?;
        let (flags, rest) = rest.split_first()?;
        let (cut, mut rest) = rest.split_at_checked(16)?;
        let number = |index: usize| Some(u64::from_be_bytes(*counters.get(index * 8..)?.first_chunk()?));
        let mut state = Self {
            load_count: number(0)?,
            written_bytes: number(1)?,
            read_bytes: number(2)?,
            write_protected: flags & WRITE_PROTECTED != 0,
            cut: Cut {
                object: u64::from_be_bytes(*cut.first_chunk()?),
                sequence: u64::from_be_bytes(*cut.last_chunk()?),
            },
            host_attributes: BTreeMap::new(),
        };
        while !rest.is_empty() {
            let ([high, low, format, length_high, length_low], after) = rest.split_first_chunk()?;
            let (value, after) =
                after.split_at_checked(usize::from(u16::from_be_bytes([*length_high, *length_low])))?;
            let attribute = HostAttribute {
                format: *format,
                value: value.to_vec(),
            };
            state
                .host_attributes
                .insert(u16::from_be_bytes([*high, *low]), attribute);
            rest = after;
        }
        Some(state)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> CartridgeState {
        let barcode = HostAttribute {
            format: 1,
            value: b"A00001L8".to_vec(),
        };
        CartridgeState {
            load_count: 3,
            written_bytes: 1 << 40,
            read_bytes: 7,
            write_protected: true,
            cut: Cut {
                object: 5,
                sequence: 77,
            },
            host_attributes: BTreeMap::from([
                (0x0806, barcode),
                (
                    0x0805,
                    HostAttribute {
                        format: 0,
                        value: vec![],
                    },
                ),
            ]),
        }
    }

    #[test]
    fn comes_back_with_whatever_lies_behind_it() {
        let mut slot = state().encode(9).unwrap();
        slot.extend_from_slice(&[0xA5; 100]);
        assert_eq!(CartridgeState::decode(&slot), Some((state(), 9)));
    }

    #[test]
    fn refuses_every_truncation_and_every_flipped_bit() {
        let slot = state().encode(9).unwrap();
        for length in 0..slot.len() {
            assert_eq!(CartridgeState::decode(&slot[..length]), None, "{length}");
        }
        for bit in 0..slot.len() * 8 {
            let mut flipped = slot.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(CartridgeState::decode(&flipped), None, "bit {bit}");
        }
    }
}
