//! MODE SENSE(6), header and block descriptor alone: what sort of medium is in the drive, and whether it may be written (SPC-5, SSC-4).

use super::reader::{DecodeError, Reader};

/// DENSITY CODE of LTO-4, the first generation whose volumes can be encrypted.
pub const DENSITY_LTO_4: u8 = 0x46;

/// What stands before the mode pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeHeader {
    /// WP (byte 2, bit 7): the medium, or the drive, does not take writes.
    pub write_protected: bool,
    /// DENSITY CODE of the block descriptor (byte 4); `None` without one, or 00h, which says nothing.
    pub density: Option<u8>,
}

impl ModeHeader {
    /// Bytes of a header with one block descriptor.
    pub const LENGTH: u16 = 12;

    /// Reads the header and the first block descriptor.
    ///
    /// # Errors
    /// [`DecodeError`] if less came than the header says.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("MODE SENSE data, header", reply);
        let [_length, _medium_type, device_specific, descriptors] = reader.array()?;
        let mut descriptors = reader.sub(descriptors.into())?;
        let density = match descriptors.left() {
            0 => None,
            _ => Some(descriptors.u8()?),
        };
        Ok(Self {
            write_protected: device_specific & 0x80 != 0,
            density: density.filter(|density| *density != 0),
        })
    }
}

/// The generation of LTO that wrote media of this density, as people call it.
#[must_use]
pub fn generation(density: u8) -> Option<&'static str> {
    Some(match density {
        0x40 => "LTO-1",
        0x42 => "LTO-2",
        0x44 => "LTO-3",
        DENSITY_LTO_4 => "LTO-4",
        0x58 => "LTO-5",
        0x5A => "LTO-6",
        0x5C => "LTO-7",
        0x5D => "LTO-7 (M8)",
        0x5E => "LTO-8",
        0x60 => "LTO-9",
        0x62 => "LTO-10",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_protection_and_density_are_read_and_what_is_missing_is_not_invented() {
        let reply = [0x0B, 0x88, 0x90, 0x08, 0x5E, 0, 0, 0, 0, 0, 0, 0];
        let header = ModeHeader::decode(&reply).unwrap();
        assert_eq!((header.write_protected, header.density), (true, Some(0x5E)));
        assert_eq!(header.density.and_then(generation), Some("LTO-8"));
        let without = ModeHeader::decode(&[3, 0, 0x10, 0]).unwrap();
        assert_eq!((without.write_protected, without.density), (false, None));
        for length in 0..reply.len() {
            assert!(ModeHeader::decode(&reply[..length]).is_err(), "{length} bytes");
        }
    }
}
