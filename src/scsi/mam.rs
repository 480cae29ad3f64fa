//! READ ATTRIBUTE: the medium auxiliary memory, a chip in the cartridge (SPC-5, "Medium auxiliary memory attributes").

use super::reader::{DecodeError, Reader, ascii};

/// MEDIUM SERIAL NUMBER (32 ASCII): the identity of a volume.
pub const MEDIUM_SERIAL_NUMBER: u16 = 0x0401;

/// MEDIUM TYPE (1 byte): 00h data, 01h cleaning, 80h WORM.
pub const MEDIUM_TYPE: u16 = 0x0408;

/// BARCODE (32 ASCII), written by hosts and libraries.
pub const BARCODE: u16 = 0x0806;

/// MEDIA POOL (160 text), written by hosts.
pub const MEDIA_POOL: u16 = 0x0808;

/// One attribute as read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// ATTRIBUTE IDENTIFIER.
    pub identifier: u16,
    /// FORMAT: 0 binary, 1 ASCII, 2 text.
    pub format: u8,
    /// ATTRIBUTE VALUE as sent.
    pub value: Vec<u8>,
}

impl Attribute {
    /// The value as text, or `None` if it is empty or blank.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        Some(ascii(&self.value)).filter(|text| !text.is_empty())
    }
}

/// Reads the attributes of a READ ATTRIBUTE reply, service action 00h: AVAILABLE DATA (0-3), then {identifier 2, format 1, length 2, value}.
///
/// # Errors
/// [`DecodeError`] if an attribute is longer than what came.
pub fn decode_attributes(reply: &[u8]) -> Result<Vec<Attribute>, DecodeError> {
    let mut reader = Reader::new("READ ATTRIBUTE data", reply);
    let length = reader.u32()?;
    let mut body = reader.sub(usize::try_from(length).unwrap_or(usize::MAX))?;
    let mut attributes = Vec::new();
    while body.left() > 0 {
        let identifier = body.u16()?;
        let format = body.u8()? & 0x03;
        let length = body.u16()?;
        attributes.push(Attribute {
            identifier,
            format,
            value: body.take(length.into())?.to_vec(),
        });
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_attributes_and_refuses_every_truncation() {
        let reply = b"\0\0\0\x14\x04\x01\x81\0\x08SERIAL  \x08\x06\x01\0\x02A1";
        let attributes = decode_attributes(reply).unwrap();
        assert_eq!(attributes.len(), 2);
        assert_eq!(
            (attributes[0].identifier, attributes[0].format),
            (MEDIUM_SERIAL_NUMBER, 1)
        );
        assert_eq!(
            (attributes[0].text(), attributes[1].text()),
            (Some("SERIAL".into()), Some("A1".into()))
        );
        for length in 0..reply.len() {
            assert!(decode_attributes(&reply[..length]).is_err(), "{length} bytes");
        }
        assert!(
            decode_attributes(b"\0\0\0\x07\x04\x01\x81\0\x0812").is_err(),
            "a value longer than the list"
        );
        assert_eq!(decode_attributes(&[0, 0, 0, 0, 0xA5]).unwrap(), []);
    }
}
