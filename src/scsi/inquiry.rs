//! INQUIRY: who the drive is (SPC-5, "Standard INQUIRY data", "Unit Serial Number VPD page", "Device Identification VPD page").

use super::reader::{DecodeError, Reader, ascii};

/// VPD page code of the unit serial number.
pub const VPD_UNIT_SERIAL_NUMBER: u8 = 0x80;

/// VPD page code of the device identification.
pub const VPD_DEVICE_IDENTIFICATION: u8 = 0x83;

/// PERIPHERAL DEVICE TYPE of a tape drive.
pub const SEQUENTIAL_ACCESS: u8 = 0x01;

/// PERIPHERAL DEVICE TYPE of a medium changer.
pub const MEDIUM_CHANGER: u8 = 0x08;

/// The first 36 bytes of standard INQUIRY data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StandardInquiry {
    /// PERIPHERAL DEVICE TYPE (byte 0, bits 4-0): 01h is a tape drive.
    pub device_type: u8,
    /// T10 VENDOR IDENTIFICATION (8-15).
    pub vendor: String,
    /// PRODUCT IDENTIFICATION (16-31).
    pub product: String,
    /// PRODUCT REVISION LEVEL (32-35), the firmware.
    pub revision: String,
}

impl StandardInquiry {
    /// Reads standard INQUIRY data.
    ///
    /// # Errors
    /// [`DecodeError`] if fewer than 36 bytes came.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new("standard INQUIRY data", reply);
        let device_type = reader.u8()? & 0x1F;
        reader.take(7)?;
        Ok(Self {
            device_type,
            vendor: ascii(reader.take(8)?),
            product: ascii(reader.take(16)?),
            revision: ascii(reader.take(4)?),
        })
    }
}

/// Reads the unit serial number from VPD page 80h.
///
/// # Errors
/// [`DecodeError`] if another page came or the page is shorter than it says.
pub fn decode_unit_serial_number(reply: &[u8]) -> Result<String, DecodeError> {
    let mut body = vpd_body("unit serial number VPD page", VPD_UNIT_SERIAL_NUMBER, reply)?;
    Ok(ascii(body.take(body.left())?))
}

/// One designator of VPD page 83h.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Designator {
    /// ASSOCIATION (byte 1, bits 5-4): 0 logical unit, 1 target port, 2 target device.
    pub association: u8,
    /// DESIGNATOR TYPE (byte 1, bits 3-0): 3 is NAA.
    pub designator_type: u8,
    /// The designator as sent.
    pub designator: Vec<u8>,
}

/// Reads the designators of VPD page 83h.
///
/// # Errors
/// [`DecodeError`] if another page came, or a length inside contradicts the page.
pub fn decode_device_identification(reply: &[u8]) -> Result<Vec<Designator>, DecodeError> {
    let mut body = vpd_body("device identification VPD page", VPD_DEVICE_IDENTIFICATION, reply)?;
    let mut designators = Vec::new();
    while body.left() > 0 {
        let [_code_set, kind, _reserved, length] = body.array()?;
        designators.push(Designator {
            association: (kind >> 4) & 0x03,
            designator_type: kind & 0x0F,
            designator: body.take(length.into())?.to_vec(),
        });
    }
    Ok(designators)
}

/// Byte 1 PAGE CODE, 2-3 PAGE LENGTH, then the page's body.
fn vpd_body<'a>(what: &'static str, page_code: u8, reply: &'a [u8]) -> Result<Reader<'a>, DecodeError> {
    let mut reader = Reader::new(what, reply);
    let [_device_type, found] = reader.array()?;
    if found != page_code {
        return Err(DecodeError::WrongPage {
            what,
            wanted: page_code.into(),
            found: found.into(),
        });
    }
    let length = reader.u16()?;
    reader.sub(length.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_every_truncation_and_another_page() {
        let serial = b"\x01\x80\x00\x0a1234567890";
        assert_eq!(decode_unit_serial_number(serial).unwrap(), "1234567890");
        let identification = b"\x01\x83\x00\x0c\x01\x03\x00\x08\x51\x40\x2e\xc0\x12\x09\x2d\xf6";
        let designators = decode_device_identification(identification).unwrap();
        assert_eq!((designators[0].association, designators[0].designator_type), (0, 3));
        assert_eq!(hex::encode(&designators[0].designator), "51402ec012092df6");
        for length in 0..serial.len() {
            assert!(decode_unit_serial_number(&serial[..length]).is_err(), "{length} bytes");
        }
        for length in 0..identification.len() {
            assert!(
                decode_device_identification(&identification[..length]).is_err(),
                "{length} bytes"
            );
        }
        let error = decode_unit_serial_number(identification).unwrap_err();
        assert!(matches!(
            error,
            DecodeError::WrongPage {
                wanted: 0x80,
                found: 0x83,
                ..
            }
        ));
        assert!(
            decode_device_identification(b"\x01\x83\x00\x05\x01\x03\x00\x08\x51").is_err(),
            "a designator longer than its page"
        );
    }
}
