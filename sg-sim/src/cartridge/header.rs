//! The beginning of a cartridge file: what it is, and whose. Written once, never changed.

use super::{MediumSpec, checksum::crc32c};

/// Length of the header in bytes.
pub(super) const FILE_HEADER_BYTES: usize = 128;
/// Version of the format.
pub(super) const VERSION: u16 = 2;

const MAGIC: [u8; 8] = *b"SGSIMLTO";

/// Identity and size of a medium.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct MediumHeader {
    /// Medium serial number.
    pub(super) medium_serial: String,
    /// Density code.
    pub(super) density: u8,
    /// Room for records in bytes.
    pub(super) capacity_bytes: u64,
    /// Early warning comes when less than this is left.
    pub(super) early_warning_bytes: u64,
}

/// Why a header was refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum HeaderFault {
    /// Fewer bytes than a header has.
    Short,
    /// Another magic.
    Foreign,
    /// Another version than ours.
    Version(u16),
    /// CRC or contents are wrong.
    Damaged,
}

impl MediumHeader {
    /// The header of a new cartridge.
    pub(super) fn new(spec: &MediumSpec) -> Self {
        Self {
            medium_serial: spec.medium_serial.clone(),
            density: spec.density,
            capacity_bytes: spec.capacity_bytes,
            early_warning_bytes: spec.early_warning_bytes,
        }
    }

    /// The header as bytes.
    pub(super) fn encode(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut header = [0; FILE_HEADER_BYTES];
        header[0..8].copy_from_slice(&MAGIC);
        header[8..10].copy_from_slice(&VERSION.to_be_bytes());
        header[10] = self.density;
        header[16..24].copy_from_slice(&self.capacity_bytes.to_be_bytes());
        header[24..32].copy_from_slice(&self.early_warning_bytes.to_be_bytes());
        header[32..64].fill(b' ');
        for (byte, letter) in header[32..64].iter_mut().zip(self.medium_serial.bytes()) {
            *byte = letter;
        }
        let crc = crc32c(&header[..124]);
        header[124..].copy_from_slice(&crc.to_be_bytes());
        header
    }

    /// Reads a header from the first bytes of a file, and the CRC that seeds those of the records.
    ///
    /// # Errors
    /// See [`HeaderFault`].
    pub(super) fn decode(bytes: &[u8]) -> Result<(Self, u32), HeaderFault> {
        let magic = bytes.first_chunk::<8>().ok_or(HeaderFault::Short)?;
        if *magic != MAGIC {
            return Err(HeaderFault::Foreign);
        }
        let version = u16::from_be_bytes([
            *bytes.get(8).ok_or(HeaderFault::Short)?,
            *bytes.get(9).ok_or(HeaderFault::Short)?,
        ]);
        if version != VERSION {
            return Err(HeaderFault::Version(version));
        }
        let header = bytes.first_chunk::<FILE_HEADER_BYTES>().ok_or(HeaderFault::Short)?;
        let crc = u32::from_be_bytes([header[124], header[125], header[126], header[127]]);
        if crc != crc32c(&header[..124]) || header[11..16] != [0; 5] || header[64..124] != [0; 60] {
            return Err(HeaderFault::Damaged);
        }
        let medium_serial = str::from_utf8(&header[32..64])
            .map_err(|_| HeaderFault::Damaged)?
            .trim_end()
            .to_owned();
        let number = |start: usize| {
            header
                .get(start..)
                .and_then(<[u8]>::first_chunk)
                .map_or(0, |bytes| u64::from_be_bytes(*bytes))
        };
        let medium = Self {
            medium_serial,
            density: header[10],
            capacity_bytes: number(16),
            early_warning_bytes: number(24),
        };
        Ok((medium, crc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn medium() -> MediumHeader {
        MediumHeader::new(&MediumSpec {
            medium_serial: "A00001".to_owned(),
            ..MediumSpec::default()
        })
    }

    #[test]
    fn lays_out_the_header_as_documented() {
        let header = medium().encode();
        assert_eq!(header[..16], *b"SGSIMLTO\0\x02\x5E\0\0\0\0\0");
        assert_eq!(
            header[16..32],
            [0, 0, 0x0A, 0xE9, 0xF7, 0xBC, 0xC0, 0, 0, 0, 0, 0, 0xEE, 0x6B, 0x28, 0]
        );
        assert_eq!(header[32..64], *b"A00001                          ");
        assert_eq!(MediumHeader::decode(&header).unwrap().0, medium());
    }

    #[test]
    fn refuses_every_truncation_and_every_flipped_bit() {
        let header = medium().encode();
        for length in 0..header.len() {
            assert_eq!(
                MediumHeader::decode(&header[..length]),
                Err(HeaderFault::Short),
                "{length}"
            );
        }
        for bit in 0..header.len() * 8 {
            let mut flipped = header;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(MediumHeader::decode(&flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn names_every_other_version() {
        for version in [0, 1, 3] {
            let mut header = medium().encode();
            header[9] = version;
            assert_eq!(
                MediumHeader::decode(&header),
                Err(HeaderFault::Version(u16::from(version)))
            );
        }
    }
}
