//! LOG SENSE page 17h, volume statistics: where the first encrypted and the first plain object stand (SSC-4, "Volume Statistics log page").

use super::reader::{DecodeError, Reader};

/// PAGE CODE of the volume statistics page.
pub const VOLUME_STATISTICS: u8 = 0x17;

const PAGE_VALID: u16 = 0x0000;
const FIRST_ENCRYPTED_OBJECT: u16 = 0x0200;
const FIRST_PLAIN_OBJECT: u16 = 0x0201;
const USED_NATIVE_CAPACITY: u16 = 0x0203;

/// A counter of one partition, as drives encode it: 6 or 8 bytes, low 48 bits significant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartitionCounter {
    /// There is no such object: all 48 low bits set.
    None,
    /// The drive does not know: all but the lowest bit set. Also if the page has no such parameter or no record for the partition.
    Unknown,
    /// The number.
    Known(u64),
}

const LOW_48_BITS: u64 = 0xFFFF_FFFF_FFFF;

impl PartitionCounter {
    fn decode(value: &[u8]) -> Self {
        let counter = value.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)) & LOW_48_BITS;
        match counter {
            LOW_48_BITS => Self::None,
            almost if almost == LOW_48_BITS - 1 => Self::Unknown,
            known => Self::Known(known),
        }
    }
}

/// What page 17h says of partition 0, the only one that tapekey's volumes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeStatistics {
    /// Parameter 0000h: whether the page may be believed at all.
    pub page_valid: bool,
    /// Parameter 0200h: the first encrypted logical object.
    pub first_encrypted_object: PartitionCounter,
    /// Parameter 0201h: the first plain logical object after the first encrypted one.
    pub first_plain_object: PartitionCounter,
    /// Parameter 0203h: native capacity used, in MB.
    pub used_native_capacity_mb: PartitionCounter,
}

impl VolumeStatistics {
    /// Reads page 17h.
    ///
    /// # Errors
    /// [`DecodeError`] if another page came, or a parameter is longer than the page.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let what = "volume statistics log page";
        let mut reader = Reader::new(what, reply);
        let [page, subpage] = reader.array()?;
        let found = u16::from_be_bytes([page & 0x3F, subpage]);
        if found != u16::from_be_bytes([VOLUME_STATISTICS, 0]) {
            return Err(DecodeError::WrongPage {
                what,
                wanted: u16::from_be_bytes([VOLUME_STATISTICS, 0]),
                found,
            });
        }
        let length = reader.u16()?;
        let mut body = reader.sub(length.into())?;
        let mut statistics = Self {
            page_valid: false,
            first_encrypted_object: PartitionCounter::Unknown,
            first_plain_object: PartitionCounter::Unknown,
            used_native_capacity_mb: PartitionCounter::Unknown,
        };
        while body.left() > 0 {
            let parameter_code = body.u16()?;
            let [_control, length] = body.array()?;
            let value = body.sub(length.into())?;
            statistics.take_parameter(parameter_code, value)?;
        }
        Ok(statistics)
    }

    fn take_parameter(&mut self, parameter_code: u16, mut value: Reader<'_>) -> Result<(), DecodeError> {
        match parameter_code {
            PAGE_VALID => self.page_valid = value.take(value.left())?.iter().any(|byte| *byte != 0),
            FIRST_ENCRYPTED_OBJECT => self.first_encrypted_object = partition_zero(value)?,
            FIRST_PLAIN_OBJECT => self.first_plain_object = partition_zero(value)?,
            USED_NATIVE_CAPACITY => self.used_native_capacity_mb = partition_zero(value)?,
            _ => {}
        }
        Ok(())
    }
}

/// Partition records: 0 length of what follows, 1 reserved, 2-3 partition, then the counter.
fn partition_zero(mut records: Reader<'_>) -> Result<PartitionCounter, DecodeError> {
    while records.left() > 0 {
        let offset = records.offset();
        let length = records.u8()?;
        let mut record = records.sub(length.into())?;
        record.u8()?;
        let partition = record.u16()?;
        if !matches!(record.left(), 1..=8) {
            return Err(record.contradiction(offset, length.into()));
        }
        if partition == 0 {
            return Ok(PartitionCounter::decode(record.take(record.left())?));
        }
    }
    Ok(PartitionCounter::Unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two partitions in the form of an HP drive (8-byte counters), then mhvtl's (6-byte counters).
    const PAGE: &str = "17 00 00 43  0000 03 02 00 01
        0200 03 18  0B 00 0000 0000 0000 0000 0007  0B 00 0001 0000 FFFF FFFF FFFF
        0201 03 0A  09 00 0000 FFFF FFFF FFFF
        0203 03 0A  09 00 0000 FFFF FFFF FFFE  0300 03 01 A5";

    fn page() -> Vec<u8> {
        hex::decode(PAGE.replace([' ', '\n'], "")).unwrap()
    }

    #[test]
    fn tells_none_unknown_and_known_apart_in_both_widths() {
        let statistics = VolumeStatistics::decode(&page()).unwrap();
        assert!(statistics.page_valid);
        assert_eq!(statistics.first_encrypted_object, PartitionCounter::Known(7));
        assert_eq!(statistics.first_plain_object, PartitionCounter::None);
        assert_eq!(statistics.used_native_capacity_mb, PartitionCounter::Unknown);
    }

    #[test]
    fn what_a_page_does_not_say_is_unknown() {
        let statistics = VolumeStatistics::decode(&[0x17, 0, 0, 0]).unwrap();
        assert!(!statistics.page_valid);
        assert_eq!(statistics.first_encrypted_object, PartitionCounter::Unknown);
    }

    #[test]
    fn refuses_every_truncation_another_page_and_contradictions() {
        let whole = page();
        for length in 0..whole.len() {
            assert!(VolumeStatistics::decode(&whole[..length]).is_err(), "{length} bytes");
        }
        assert!(matches!(
            VolumeStatistics::decode(&[0x2E, 0, 0, 0]),
            Err(DecodeError::WrongPage { .. })
        ));
        let short_record = [0x17, 0, 0, 8, 2, 0, 3, 4, 3, 0, 0, 0];
        assert!(matches!(
            VolumeStatistics::decode(&short_record),
            Err(DecodeError::Contradiction { .. })
        ));
    }
}
