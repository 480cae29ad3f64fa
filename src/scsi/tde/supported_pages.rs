//! Pages 0000h and 0001h: which pages of protocol 20h a drive offers to read and to write.

use super::page_body;
use crate::scsi::reader::DecodeError;

/// PAGE CODE of the Tape Data Encryption In Support page.
pub const IN_SUPPORT: u16 = 0x0000;

/// PAGE CODE of the Tape Data Encryption Out Support page.
pub const OUT_SUPPORT: u16 = 0x0001;

/// Reads the list of page codes: two bytes each, from byte 4 on.
///
/// # Errors
/// [`DecodeError`] if another page came, or the list ends inside a code.
pub fn decode_supported_pages(page_code: u16, reply: &[u8]) -> Result<Vec<u16>, DecodeError> {
    let mut body = page_body("supported pages of protocol 20h", page_code, reply)?;
    let mut codes = Vec::new();
    while body.left() > 0 {
        codes.push(body.u16()?);
    }
    Ok(codes)
}
