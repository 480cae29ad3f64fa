//! A set of data encryption parameters, and the modes in it (SSC-4, "Data encryption parameters").

use super::{
    kad::{Kad, encode_stored},
    set_page::SetDataEncryption,
};
use crate::{
    EncryptionProfile, Quirks,
    cartridge::{AES_256_GCM, SealAttributes},
    cipher::BlockKey,
};

/// Who shares a set of parameters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Scope {
    /// The nexus sets none and uses the shared set.
    #[default]
    Public,
    /// The nexus has its own set.
    Local,
    /// The nexus sets the shared set.
    AllItNexus,
}

impl Scope {
    /// The scope with this code.
    pub(super) const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Public),
            1 => Some(Self::Local),
            2 => Some(Self::AllItNexus),
            _ => None,
        }
    }

    /// Its code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Public => 0,
            Self::Local => 1,
            Self::AllItNexus => 2,
        }
    }
}

/// What becomes of blocks that are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum EncryptionMode {
    /// They are written as they are.
    #[default]
    Disable,
    /// They are encrypted.
    Encrypt,
}

impl EncryptionMode {
    /// Its code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Disable => 0,
            Self::Encrypt => 2,
        }
    }
}

/// What becomes of blocks that are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum DecryptionMode {
    /// Encrypted ones are refused.
    #[default]
    Disable,
    /// Encrypted ones come as cipher text, if they are marked so.
    Raw,
    /// Encrypted ones are decrypted, plain ones are refused.
    Decrypt,
    /// Encrypted ones are decrypted, plain ones come as they are.
    Mixed,
}

impl DecryptionMode {
    /// Its code.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Disable => 0,
            Self::Raw => 1,
            Self::Decrypt => 2,
            Self::Mixed => 3,
        }
    }
}

/// A set of parameters with at least one mode that is not DISABLE. There is no `Debug`: it holds a key.
pub(crate) struct ParameterSet {
    /// ENCRYPTION MODE.
    pub(super) encryption_mode: EncryptionMode,
    /// DECRYPTION MODE.
    pub(super) decryption_mode: DecryptionMode,
    /// CEEM.
    pub(super) ceem: u8,
    /// CKOD.
    pub(super) clear_key_on_demount: bool,
    /// CKORL.
    pub(super) clear_key_on_reservation_loss: bool,
    /// The key, if a mode needs one.
    pub(super) key: Option<BlockKey>,
    /// KADs as they were given.
    pub(super) kads: Vec<Kad>,
    /// What is stored with every block.
    pub(super) attributes: SealAttributes,
    /// Value of the key instance counter when the set was made.
    pub(super) key_instance_counter: u32,
    /// A block was met that this key does not fit. Each key counts once.
    pub(super) found_wrong: bool,
}

impl ParameterSet {
    /// The set that a page asks for; none if both modes are DISABLE.
    pub(super) fn new(
        page: SetDataEncryption,
        key_instance_counter: u32,
        capabilities: &EncryptionProfile,
        quirks: &Quirks,
    ) -> Option<Self> {
        if page.encryption_mode == EncryptionMode::Disable && page.decryption_mode == DecryptionMode::Disable {
            return None;
        }
        Some(Self {
            encryption_mode: page.encryption_mode,
            decryption_mode: page.decryption_mode,
            ceem: page.ceem,
            clear_key_on_demount: page.clear_key_on_demount,
            clear_key_on_reservation_loss: page.clear_key_on_reservation_loss,
            key: page.key.as_ref().and_then(BlockKey::new),
            attributes: SealAttributes {
                algorithm: AES_256_GCM,
                raw_enabled: page.raw_enabled,
                kad_format: page.kad_format,
                kads: encode_stored(&page.kads, quirks.kad_padding, capabilities),
            },
            kads: page.kads,
            key_instance_counter,
            found_wrong: false,
        })
    }

    /// Whether blocks are decrypted.
    pub(super) const fn decrypts(&self) -> bool {
        matches!(self.decryption_mode, DecryptionMode::Decrypt | DecryptionMode::Mixed)
    }
}
