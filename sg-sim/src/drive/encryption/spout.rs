//! SECURITY PROTOCOL OUT (SPC-4): protocol 20h, page 0010h is the only one.

use super::{
    EncryptionMode, Scope,
    parameters::DecryptionMode,
    set_page::{Rules, SetDataEncryption},
};
use crate::{
    ItNexus, LibraryManaged,
    cipher::KEY_BYTES,
    drive::{
        Drive,
        call::{Call, CommandResult},
    },
    sense::Sense,
};
use zeroize::Zeroizing;

const TAPE_DATA_ENCRYPTION: u8 = 0x20;
const SET_DATA_ENCRYPTION: u16 = 0x0010;

impl Drive {
    /// SECURITY PROTOCOL OUT.
    pub(in crate::drive) fn security_protocol_out(&mut self, call: &Call<'_>) -> CommandResult {
        if let Some(code) = self.quirks.refuse_security_protocol_out {
            return Err(Sense::from_code(code).into());
        }
        let hidden = self.quirks.library_managed == LibraryManaged::ProtocolHidden;
        if call.cdb.byte(1) != TAPE_DATA_ENCRYPTION || hidden {
            return Err(Sense::invalid_cdb_field(1, 7).into());
        }
        if call.cdb.u16(2) != SET_DATA_ENCRYPTION {
            return Err(Sense::invalid_cdb_field(2, 7).into());
        }
        if self.quirks.library_managed == LibraryManaged::ConfigurationPrevented {
            return Err(Sense::from_code(self.quirks.configuration_prevented).into());
        }
        let list = call.parameter_list(call.cdb.u32(6))?;
        let rules = Rules {
            capabilities: &self.profile.encryption,
            mounted: self.medium.is_threaded(),
            reserved: self.holds_reservation(call.nexus),
            refuses_clear_on_demount_with_mixed: self.quirks.refuses_clear_on_demount_with_mixed,
            ignores_reserved_bits: self.quirks.ignores_reserved_bits,
            ignores_kad_without_encryption: self.quirks.ignores_kad_without_encryption,
        };
        let page = SetDataEncryption::decode(list, &rules)?;
        if page.key.is_some() && self.encryption.takes_no_more_keys(&self.quirks) {
            return Err(Sense::from_code(self.quirks.wrong_key_limit_reached).into());
        }
        if let Some(nexus) = self.nexuses.find_mut(call.nexus) {
            nexus.registered = true;
        }
        self.encryption.set(
            &mut self.nexuses,
            call.nexus,
            page,
            &self.profile.encryption,
            &self.quirks,
        );
        Ok(0)
    }

    /// A nexus that nobody names sets a random key for all.
    pub(in crate::drive) fn set_key_by_stranger(&mut self) {
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        self.randomness.fill(key.as_mut_slice());
        let page = SetDataEncryption {
            scope: Scope::AllItNexus,
            lock: false,
            ceem: 1,
            raw_enabled: false,
            clear_key_on_demount: false,
            clear_key_on_reservation_loss: false,
            encryption_mode: EncryptionMode::Encrypt,
            decryption_mode: DecryptionMode::Mixed,
            kad_format: 0,
            key: Some(key),
            kads: Vec::new(),
        };
        let stranger = ItNexus::stranger();
        if self.nexuses.admit(&stranger, []).is_some() {
            self.encryption.set(
                &mut self.nexuses,
                &stranger,
                page,
                &self.profile.encryption,
                &self.quirks,
            );
        }
    }
}
