//! READ POSITION, short form: where the tape stands (SSC-4, "READ POSITION data format, short form").

use super::reader::{DecodeError, Reader};

/// The next logical object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShortPosition {
    /// BOP (byte 0, bit 7): at the beginning of the partition.
    pub beginning_of_partition: bool,
    /// FIRST LOGICAL OBJECT LOCATION (4-7): the next object; `None` if the drive does not know it (LOLU, or PERR).
    pub object: Option<u64>,
}

impl ShortPosition {
    /// Bytes of the reply.
    pub const LENGTH: u16 = 20;

    /// Reads the short form.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer than 20 bytes came.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("READ POSITION data, short form", reply);
        let flags = reader.u8()?;
        reader.take(3)?;
        let object = reader.u32()?;
        reader.take(12)?;
        // LOLU (bit 2): location unknown; PERR (bit 1): it does not fit 32 bits.
        let known = flags & 0x06 == 0;
        Ok(Self {
            beginning_of_partition: flags & 0x80 != 0,
            object: known.then_some(object.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_that_is_not_known_is_no_position() {
        let mut reply = [0xA5; 20];
        reply[0] = 0x80;
        reply[4..8].copy_from_slice(&[0, 0, 1, 2]);
        let position = ShortPosition::decode(&reply).unwrap();
        assert_eq!((position.beginning_of_partition, position.object), (true, Some(0x102)));
        for flags in [0x04, 0x02, 0x86] {
            reply[0] = flags;
            assert_eq!(ShortPosition::decode(&reply).unwrap().object, None);
        }
        for length in 0..reply.len() {
            assert!(ShortPosition::decode(&reply[..length]).is_err(), "{length} bytes");
        }
    }
}
