//! Page 0012h, data encryption management capabilities: which bits of a Set Data Encryption page a drive takes.

use bitflags::bitflags;

use super::page_body;
use crate::scsi::reader::DecodeError;

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0012;

bitflags! {
    /// Bytes 4, 5 and 7 of the page, read as one number. A bit whose capability is missing must not be sent.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct ManagementCapabilities: u32 {
        /// LOCK_C (byte 4, bit 0).
        const LOCK = 1 << 24;
        /// CKOD_C, clear key on demount (byte 5, bit 2).
        const CLEAR_KEY_ON_DEMOUNT = 1 << 18;
        /// CKORP_C, clear key on reservation preemption (byte 5, bit 1).
        const CLEAR_KEY_ON_RESERVATION_PREEMPT = 1 << 17;
        /// CKORL_C, clear key on reservation loss (byte 5, bit 0).
        const CLEAR_KEY_ON_RESERVATION_LOSS = 1 << 16;
        /// AITN_C, scope ALL I_T NEXUS (byte 7, bit 2).
        const ALL_IT_NEXUS = 1 << 2;
        /// LOCAL_C, scope LOCAL (byte 7, bit 1).
        const LOCAL = 1 << 1;
        /// PUBLIC_C, scope PUBLIC (byte 7, bit 0).
        const PUBLIC = 1 << 0;
    }
}

impl ManagementCapabilities {
    /// Reads page 0012h; reserved bits are dropped.
    ///
    /// # Errors
    /// [`DecodeError`] if another page came, or it is too short.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut body = page_body("data encryption management capabilities page", PAGE_CODE, reply)?;
        Ok(Self::from_bits_truncate(body.u32()?))
    }
}
