//! Page 0010h (read), data encryption capabilities: the algorithms of a drive and whether a host may set keys.

use super::page_body;
use crate::scsi::reader::{DecodeError, Reader};

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0010;

/// SECURITY ALGORITHM CODE of AES-256-GCM with a 128-bit tag, the algorithm of LTO.
pub const AES_256_GCM_128: u32 = 0x0001_0014;

/// ENCRYPT_C or DECRYPT_C: done by the drive's hardware.
pub const IN_HARDWARE: u8 = 2;

/// CFG_P: whether a host is prevented from setting parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigurationPrevented {
    /// 0.
    NotReported,
    /// 1: this device server takes parameters.
    Allowed,
    /// 2: it does not; a library or a management interface owns them.
    Prevented,
    /// 3 is reserved.
    Reserved,
}

/// The page: byte 4 EXTDECC (3-2) and CFG_P (1-0), algorithm descriptors from byte 20 on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataEncryptionCapabilities {
    /// CFG_P.
    pub configuration_prevented: ConfigurationPrevented,
    /// The algorithms in the drive's order.
    pub algorithms: Vec<AlgorithmDescriptor>,
}

/// One algorithm. Offsets are those inside the descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlgorithmDescriptor {
    /// ALGORITHM INDEX (0): what later pages call it. Never assumed, always read.
    pub algorithm_index: u8,
    /// AVFMV (4, bit 7): valid for the mounted volume; false without one.
    pub valid_for_mounted_volume: bool,
    /// DECRYPT_C (4, bits 3-2): 2 in hardware.
    pub decrypt_capable: u8,
    /// ENCRYPT_C (4, bits 1-0): 2 in hardware.
    pub encrypt_capable: u8,
    /// UKADF (5, bit 1): a U-KAD must have exactly the maximum length.
    pub unauthenticated_kad_fixed_length: bool,
    /// MAXIMUM UNAUTHENTICATED KEY-ASSOCIATED DATA BYTES (6-7).
    pub unauthenticated_kad_bytes_max: u16,
    /// MAXIMUM AUTHENTICATED KEY-ASSOCIATED DATA BYTES (8-9).
    pub authenticated_kad_bytes_max: u16,
    /// KEY SIZE (10-11), bytes.
    pub key_size: u16,
    /// RDMC_C (12, bits 3-1): what may be said about raw reading.
    pub raw_decryption_mode_control: u8,
    /// SECURITY ALGORITHM CODE (20-23).
    pub security_algorithm_code: u32,
}

impl DataEncryptionCapabilities {
    /// Reads page 0010h.
    ///
    /// # Errors
    /// [`DecodeError`] if another page came, or a descriptor is longer than the page or shorter than its fields.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut body = page_body("data encryption capabilities page", PAGE_CODE, reply)?;
        let configuration_prevented = match body.u8()? & 0x03 {
            0 => ConfigurationPrevented::NotReported,
            1 => ConfigurationPrevented::Allowed,
            2 => ConfigurationPrevented::Prevented,
            _ => ConfigurationPrevented::Reserved,
        };
        body.take(15)?;
        let mut algorithms = Vec::new();
        while body.left() > 0 {
            algorithms.push(AlgorithmDescriptor::decode(&mut body)?);
        }
        Ok(Self {
            configuration_prevented,
            algorithms,
        })
    }
}

impl AlgorithmDescriptor {
    fn decode(body: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let [algorithm_index, _reserved] = body.array()?;
        let length = body.u16()?;
        let mut fields = body.sub(length.into())?;
        let [flags, kad_flags] = fields.array()?;
        let unauthenticated_kad_bytes_max = fields.u16()?;
        let authenticated_kad_bytes_max = fields.u16()?;
        let key_size = fields.u16()?;
        let raw_flags = fields.u8()?;
        fields.take(7)?;
        Ok(Self {
            algorithm_index,
            valid_for_mounted_volume: flags & 0x80 != 0,
            decrypt_capable: (flags >> 2) & 0x03,
            encrypt_capable: flags & 0x03,
            unauthenticated_kad_fixed_length: kad_flags & 0x02 != 0,
            unauthenticated_kad_bytes_max,
            authenticated_kad_bytes_max,
            key_size,
            raw_decryption_mode_control: (raw_flags >> 1) & 0x07,
            security_algorithm_code: fields.u32()?,
        })
    }
}
