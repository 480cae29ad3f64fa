//! Set Data Encryption page: the parameter list of SECURITY PROTOCOL OUT, protocol 20h, page 0010h (SSC-4).
//!
//! This room reads and refuses; it changes nothing. Every refusal points at the byte and left-most bit of the field.

use super::{
    kad::{self, Kad},
    parameters::{DecryptionMode, EncryptionMode, Scope},
};
use crate::{EncryptionProfile, cipher::KEY_BYTES, sense::Sense};
use zeroize::Zeroizing;

/// Page code.
const PAGE_CODE: u16 = 0x0010;
/// Length of the page without key and KADs.
const FIXED_BYTES: usize = 20;

mod field {
    pub(super) const PAGE_CODE: u16 = 0;
    pub(super) const PAGE_LENGTH: u16 = 2;
    pub(super) const SCOPE: usize = 4;
    pub(super) const CONTROL: usize = 5;
    pub(super) const ENCRYPTION_MODE: usize = 6;
    pub(super) const DECRYPTION_MODE: usize = 7;
    pub(super) const ALGORITHM_INDEX: usize = 8;
    pub(super) const KEY_FORMAT: usize = 9;
    pub(super) const KAD_FORMAT: usize = 10;
    pub(super) const RESERVED: std::ops::Range<usize> = 11..18;
    pub(super) const KEY_LENGTH: usize = 18;
}

/// What the page is held against.
pub(super) struct Rules<'a> {
    /// What the drive can do.
    pub(super) capabilities: &'a EncryptionProfile,
    /// A volume is mounted: CKOD makes sense.
    pub(super) mounted: bool,
    /// The sender holds a reservation: CKORL makes sense.
    pub(super) reserved: bool,
    /// CKOD does not go with MIXED.
    pub(super) refuses_clear_on_demount_with_mixed: bool,
    /// Reserved bits are ignored.
    pub(super) ignores_reserved_bits: bool,
    /// KADs are ignored while ENCRYPTION MODE is DISABLE.
    pub(super) ignores_kad_without_encryption: bool,
}

/// The page's meaning. There is no `Debug`: it carries a key.
pub(super) struct SetDataEncryption {
    /// SCOPE.
    pub(super) scope: Scope,
    /// LOCK.
    pub(super) lock: bool,
    /// CEEM, check external encryption mode.
    pub(super) ceem: u8,
    /// Blocks will be marked raw-enabled.
    pub(super) raw_enabled: bool,
    /// CKOD, clear key on demount.
    pub(super) clear_key_on_demount: bool,
    /// CKORL, clear key on reservation loss.
    pub(super) clear_key_on_reservation_loss: bool,
    /// ENCRYPTION MODE.
    pub(super) encryption_mode: EncryptionMode,
    /// DECRYPTION MODE.
    pub(super) decryption_mode: DecryptionMode,
    /// KAD FORMAT.
    pub(super) kad_format: u8,
    /// The key, if the modes need one.
    pub(super) key: Option<Zeroizing<[u8; KEY_BYTES]>>,
    /// The KADs.
    pub(super) kads: Vec<Kad>,
}

impl SetDataEncryption {
    /// Reads a parameter list.
    ///
    /// # Errors
    /// 05/1A/00 for a list too short to be a page, 05/26/11 for a missing KAD, 05/26/00 for everything else.
    pub(super) fn decode(list: &[u8], rules: &Rules<'_>) -> Result<Self, Sense> {
        let fixed = list.first_chunk::<FIXED_BYTES>().ok_or(PARAMETER_LIST_LENGTH_ERROR)?;
        let behind = list.get(FIXED_BYTES..).unwrap_or_default();
        if u16::from_be_bytes([fixed[0], fixed[1]]) != PAGE_CODE {
            return Err(Sense::invalid_parameter_field(field::PAGE_CODE, 7));
        }
        if usize::from(u16::from_be_bytes([fixed[2], fixed[3]])) + 4 != list.len() {
            return Err(Sense::invalid_parameter_field(field::PAGE_LENGTH, 7));
        }
        if !rules.ignores_reserved_bits {
            refuse_bits(fixed, field::SCOPE, 0b0001_1110)?;
        }
        let scope = Scope::from_code(fixed[field::SCOPE] >> 5).ok_or(refusal(field::SCOPE, 7))?;
        let lock = fixed[field::SCOPE] & 0x01 != 0;
        // PUBLIC: everything but SCOPE and LOCK is ignored.
        if scope == Scope::Public {
            return Ok(Self::public(lock));
        }
        let (encryption_mode, decryption_mode) = decode_modes(fixed, rules)?;
        let mut page = Self {
            scope,
            lock,
            encryption_mode,
            decryption_mode,
            ..Self::public(lock)
        };
        page.decode_control(fixed, rules)?;
        page.decode_formats(fixed, rules)?;
        let kads = page.decode_key(fixed, behind)?;
        page.decode_kads(kads, list.len() - kads.len(), rules)?;
        Ok(page)
    }

    const fn public(lock: bool) -> Self {
        Self {
            scope: Scope::Public,
            lock,
            ceem: 0,
            raw_enabled: false,
            clear_key_on_demount: false,
            clear_key_on_reservation_loss: false,
            encryption_mode: EncryptionMode::Disable,
            decryption_mode: DecryptionMode::Disable,
            kad_format: 0,
            key: None,
            kads: Vec::new(),
        }
    }

    /// Byte 5: CEEM, RDMC, SDK, CKOD, CKORP, CKORL.
    fn decode_control(&mut self, fixed: &[u8; FIXED_BYTES], rules: &Rules<'_>) -> Result<(), Sense> {
        let control = fixed[field::CONTROL];
        let (ceem, rdmc) = (control >> 6, (control >> 4) & 0x03);
        if ceem >= 2 && self.decryption_mode == DecryptionMode::Disable {
            return Err(refusal(field::CONTROL, 7));
        }
        let uncontrollable = matches!(rules.capabilities.raw_decryption_mode_control, 1 | 6 | 7);
        if rdmc == 1 || (rdmc >= 2 && self.encryption_mode == EncryptionMode::Encrypt && uncontrollable) {
            return Err(refusal(field::CONTROL, 5));
        }
        // Supplemental decryption keys (SDK_C 0), and persistent reservations for CKORP to go by, do not exist.
        refuse_bits(fixed, field::CONTROL, 0b0000_1010)?;
        self.clear_key_on_demount = control & 0x04 != 0;
        let refused_mix = rules.refuses_clear_on_demount_with_mixed && self.decryption_mode == DecryptionMode::Mixed;
        if self.clear_key_on_demount && (!rules.mounted || refused_mix) {
            return Err(refusal(field::CONTROL, 2));
        }
        self.clear_key_on_reservation_loss = control & 0x01 != 0;
        if self.clear_key_on_reservation_loss && !rules.reserved {
            return Err(refusal(field::CONTROL, 0));
        }
        self.ceem = ceem;
        self.raw_enabled = match rdmc {
            0 => matches!(rules.capabilities.raw_decryption_mode_control, 5 | 7),
            control => control == 2,
        };
        Ok(())
    }

    /// Bytes 8 to 17: algorithm index, formats, reserved bytes.
    fn decode_formats(&mut self, fixed: &[u8; FIXED_BYTES], rules: &Rules<'_>) -> Result<(), Sense> {
        // Clients that take the key away leave the index at zero (stenc without -a), and drives take that: no algorithm is meant.
        let meant = self.encryption_mode != EncryptionMode::Disable || self.decryption_mode != DecryptionMode::Disable;
        if meant && fixed[field::ALGORITHM_INDEX] != rules.capabilities.algorithm_index {
            return Err(refusal(field::ALGORITHM_INDEX, 7));
        }
        if fixed[field::KEY_FORMAT] != 0 {
            return Err(refusal(field::KEY_FORMAT, 7));
        }
        let kad_formats = if rules.capabilities.kad_format_capable { 2 } else { 0 };
        if fixed[field::KAD_FORMAT] > kad_formats {
            return Err(refusal(field::KAD_FORMAT, 7));
        }
        self.kad_format = fixed[field::KAD_FORMAT];
        if rules.ignores_reserved_bits {
            return Ok(());
        }
        field::RESERVED
            .into_iter()
            .try_for_each(|byte| refuse_bits(fixed, byte, 0xFF))
    }

    /// Takes the key from what lies behind the fixed part, and returns the rest.
    fn decode_key<'a>(&mut self, fixed: &[u8; FIXED_BYTES], behind: &'a [u8]) -> Result<&'a [u8], Sense> {
        let length = usize::from(u16::from_be_bytes([
            fixed[field::KEY_LENGTH],
            fixed[field::KEY_LENGTH + 1],
        ]));
        if length != 0 && length != KEY_BYTES {
            return Err(refusal(field::KEY_LENGTH, 7));
        }
        let (key, rest) = behind.split_at_checked(length).ok_or(refusal(field::KEY_LENGTH, 7))?;
        let needed = self.encryption_mode == EncryptionMode::Encrypt
            || matches!(self.decryption_mode, DecryptionMode::Decrypt | DecryptionMode::Mixed);
        if needed {
            let key = key.first_chunk().ok_or(refusal(field::KEY_LENGTH, 7))?;
            self.key = Some(Zeroizing::new(*key));
        }
        Ok(rest)
    }

    fn decode_kads(&mut self, descriptors: &[u8], offset: usize, rules: &Rules<'_>) -> Result<(), Sense> {
        let kads = kad::decode(descriptors, offset, rules.capabilities, rules.ignores_reserved_bits)?;
        let encrypts = self.encryption_mode == EncryptionMode::Encrypt;
        let decrypts = matches!(self.decryption_mode, DecryptionMode::Decrypt | DecryptionMode::Mixed);
        let fits = match rules.capabilities.decryption_kad {
            1 if decrypts && kads.is_empty() => return Err(INCOMPLETE_KEY_ASSOCIATED_DATA_SET),
            1 | 3 if decrypts => true,
            2 if decrypts => kads.is_empty(),
            _ => encrypts || kads.is_empty(),
        };
        if fits {
            self.kads = kads;
        } else if !rules.ignores_kad_without_encryption {
            return Err(refusal(offset, 7));
        }
        Ok(())
    }
}

fn decode_modes(fixed: &[u8; FIXED_BYTES], rules: &Rules<'_>) -> Result<(EncryptionMode, DecryptionMode), Sense> {
    // EXTERNAL needs EEMC_C 2 and M-KADs, which LTO drives do not offer.
    let encryption_mode = match fixed[field::ENCRYPTION_MODE] {
        0 => EncryptionMode::Disable,
        2 => EncryptionMode::Encrypt,
        _ => return Err(refusal(field::ENCRYPTION_MODE, 7)),
    };
    let raw_possible = !matches!(rules.capabilities.raw_decryption_mode_control, 1 | 6);
    let decryption_mode = match fixed[field::DECRYPTION_MODE] {
        0 => DecryptionMode::Disable,
        1 if raw_possible => DecryptionMode::Raw,
        2 => DecryptionMode::Decrypt,
        3 => DecryptionMode::Mixed,
        _ => return Err(refusal(field::DECRYPTION_MODE, 7)),
    };
    Ok((encryption_mode, decryption_mode))
}

/// Refuses the left-most bit of `mask` that is set in the byte at `at`.
fn refuse_bits(fixed: &[u8; FIXED_BYTES], at: usize, mask: u8) -> Result<(), Sense> {
    match fixed.get(at).and_then(|byte| (byte & mask).checked_ilog2()) {
        Some(bit) => Err(refusal(at, u8::try_from(bit).unwrap_or(7))),
        None => Ok(()),
    }
}

fn refusal(byte: usize, bit: u8) -> Sense {
    Sense::invalid_parameter_field(u16::try_from(byte).unwrap_or(u16::MAX), bit)
}

const PARAMETER_LIST_LENGTH_ERROR: Sense = Sense::new(0x5, 0x1A, 0x00);
const INCOMPLETE_KEY_ASSOCIATED_DATA_SET: Sense = Sense::new(0x5, 0x26, 0x11);

#[cfg(test)]
#[path = "set_page_tests.rs"]
mod tests;
