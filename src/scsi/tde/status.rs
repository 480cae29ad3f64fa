//! Page 0020h, data encryption status: which parameters are in force for the asking nexus. The key itself is never in it.

use super::kad_descriptor::{Kad, KadType, data_of, decode_list};
use super::{DecryptionMode, EncryptionMode, Scope, page_body};
use crate::scsi::reader::DecodeError;

/// PAGE CODE.
pub const PAGE_CODE: u16 = 0x0020;

/// PARAMETERS CONTROL (byte 12, bits 6-4): who owns the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParametersControl {
    /// 0.
    NotReported,
    /// 1: not exclusively controlled from outside.
    NotExclusive,
    /// 2: exclusively by this device server, which is us.
    ThisDeviceServer,
    /// 3: exclusively by automation, a library.
    Automation,
    /// 4: exclusively by a management interface.
    ManagementInterface,
    /// A value that the standard does not define.
    Unknown(u8),
}

/// The page: 24 bytes and the KADs that were given with the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataEncryptionStatus {
    /// I_T NEXUS SCOPE (4, bits 7-5): the scope saved for the asking nexus.
    pub it_nexus_scope: Scope,
    /// KEY SCOPE (4, bits 2-0): whose parameters are in force.
    pub key_scope: Scope,
    /// ENCRYPTION MODE (5).
    pub encryption_mode: EncryptionMode,
    /// DECRYPTION MODE (6).
    pub decryption_mode: DecryptionMode,
    /// ALGORITHM INDEX (7).
    pub algorithm_index: u8,
    /// KEY INSTANCE COUNTER (8-11).
    pub key_instance_counter: u32,
    /// PARAMETERS CONTROL (12).
    pub parameters_control: ParametersControl,
    /// VCELB (12, bit 3): the volume holds at least one encrypted block, where VCELB_C says that the bit means something.
    pub volume_contains_encrypted_blocks: bool,
    /// KADs of the parameters in force, from byte 24 on; never read from tape.
    pub kads: Vec<Kad>,
}

impl DataEncryptionStatus {
    /// Reads page 0020h.
    ///
    /// # Errors
    /// [`DecodeError`] if another page came, it is too short, or a KAD is longer than the page.
    pub fn decode(reply: &[u8]) -> Result<Self, DecodeError> {
        let mut body = page_body("data encryption status page", PAGE_CODE, reply)?;
        let [scopes, encryption_mode, decryption_mode, algorithm_index] = body.array()?;
        let key_instance_counter = body.u32()?;
        let control = body.u8()?;
        body.take(11)?;
        Ok(Self {
            it_nexus_scope: Scope::decode(scopes >> 5),
            key_scope: Scope::decode(scopes & 0x07),
            encryption_mode: EncryptionMode::decode(encryption_mode),
            decryption_mode: DecryptionMode::decode(decryption_mode),
            algorithm_index,
            key_instance_counter,
            parameters_control: match (control >> 4) & 0x07 {
                0 => ParametersControl::NotReported,
                1 => ParametersControl::NotExclusive,
                2 => ParametersControl::ThisDeviceServer,
                3 => ParametersControl::Automation,
                4 => ParametersControl::ManagementInterface,
                unknown => ParametersControl::Unknown(unknown),
            },
            volume_contains_encrypted_blocks: control & 0x08 != 0,
            kads: decode_list(&mut body)?,
        })
    }

    /// The U-KAD in force, empty if there is none.
    #[must_use]
    pub fn unauthenticated_kad(&self) -> &[u8] {
        data_of(&self.kads, KadType::Unauthenticated)
    }

    /// The A-KAD in force, empty if there is none.
    #[must_use]
    pub fn authenticated_kad(&self) -> &[u8] {
        data_of(&self.kads, KadType::Authenticated)
    }
}
