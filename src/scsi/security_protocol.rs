//! SECURITY PROTOCOL IN, protocol 00h page 0000h: which security protocols a drive offers (SPC-5, "Supported security protocols list").

use super::cdb::PROTOCOL_TAPE_DATA_ENCRYPTION;
use super::reader::{DecodeError, Reader};

/// SECURITY PROTOCOL SPECIFIC of the supported security protocols list.
pub const PAGE_CODE: u16 = 0x0000;

/// The protocols a drive offers.
///
/// Bytes 0-5 reserved, 6-7 LIST LENGTH, then one byte for each protocol. It has no page header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SupportedSecurityProtocols(pub Vec<u8>);

impl SupportedSecurityProtocols {
    /// Reads the list; bytes after LIST LENGTH are padding.
    ///
    /// # Errors
    /// [`DecodeError`] if the list is longer than what came.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("supported security protocols list", reply);
        reader.take(6)?;
        let length = reader.u16()?;
        Ok(Self(reader.take(length.into())?.to_vec()))
    }

    /// Whether tape data encryption by the host is among them. Drives whose library owns the keys list only 00h.
    #[must_use]
    pub fn offers_tape_data_encryption(&self) -> bool {
        self.0.contains(&PROTOCOL_TAPE_DATA_ENCRYPTION)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_every_truncation_and_ignores_padding() {
        let mut reply = vec![0, 0, 0, 0, 0, 0, 0, 2, 0x00, 0x20];
        for length in 0..reply.len() {
            assert!(
                SupportedSecurityProtocols::decode(&reply[..length]).is_err(),
                "{length} bytes"
            );
        }
        reply.extend([0xA5; 3]);
        let protocols = SupportedSecurityProtocols::decode(&reply).unwrap();
        assert_eq!(protocols.0, [0x00, 0x20]);
        assert!(protocols.offers_tape_data_encryption());
        assert!(
            !SupportedSecurityProtocols::decode(&[0, 0, 0, 0, 0, 0, 0, 1, 0])
                .unwrap()
                .offers_tape_data_encryption()
        );
    }
}
