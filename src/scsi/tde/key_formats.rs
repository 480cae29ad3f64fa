//! Page 0011h, supported key formats.

use super::page_body;
use crate::scsi::reader::DecodeError;

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0011;

/// KEY FORMAT 00h: the key as it is.
pub const PLAIN_TEXT_KEY: u8 = 0x00;

/// Reads the key formats: one byte each. Some emulators send two bytes for each, which reads as repeated 00h.
///
/// # Errors
/// [`DecodeError`] if another page came, or fewer bytes than PAGE LENGTH says.
pub fn decode_key_formats(reply: &[u8]) -> Result<Vec<u8>, DecodeError> {
    let mut body = page_body("supported key formats page", PAGE_CODE, reply)?;
    Ok(body.take(body.left())?.to_vec())
}
