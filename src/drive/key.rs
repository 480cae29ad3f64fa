//! The key on the drive: load it, clear it, and read back what the drive really does.

use super::command::Meaning;
use super::{Drive, DriveError, EncryptionOffer, LoadKeyError, Mismatch, Refusal, VolumeIdentity, offers_scope};
use crate::kad::{BlockKads, OurKad};
use crate::scsi::cdb::{self, PROTOCOL_TAPE_DATA_ENCRYPTION};
use crate::scsi::sense::{Sense, SenseKey};
use crate::scsi::tde::management::ManagementCapabilities;
use crate::scsi::tde::set_data_encryption::{self, Decryption, EncryptPage, SetScope, encode_disable};
use crate::scsi::tde::status::DataEncryptionStatus;
use crate::scsi::tde::{DecryptionMode, EncryptionMode, Scope};
use crate::secret::DataKey;
use crate::transport::Data;

/// Everything about a key except the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyParameters {
    /// The volume that the key is for, as read before; checked again right before the key is sent.
    pub volume: VolumeIdentity,
    /// U-KAD that the drive stores beside every block.
    pub unauthenticated_kad: Vec<u8>,
    /// A-KAD, empty for keys of ours.
    pub authenticated_kad: Vec<u8>,
    /// What READ does with plain blocks.
    pub decryption: Decryption,
    /// For whom the drive encrypts.
    pub scope: SetScope,
}

/// Proof that the drive itself reports our key: ENCRYPT, our algorithm, our KAD, and a counter that moved. Nothing else makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLoaded {
    in_force: KeyInForce,
    clear_key_on_demount: bool,
    notes: Vec<String>,
}

impl KeyLoaded {
    /// What the drive reported.
    #[must_use]
    pub fn in_force(&self) -> &KeyInForce {
        &self.in_force
    }

    /// Whether the drive was told to forget the key when the volume leaves.
    #[must_use]
    pub fn clear_key_on_demount(&self) -> bool {
        self.clear_key_on_demount
    }

    /// What an operator should know, such as a bit that the drive did not take.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }
}

/// What page 0020h says is in force for us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyInForce {
    /// ENCRYPTION MODE.
    pub encryption_mode: EncryptionMode,
    /// DECRYPTION MODE.
    pub decryption_mode: DecryptionMode,
    /// Whose parameters are in force.
    pub key_scope: Scope,
    /// ALGORITHM INDEX.
    pub algorithm_index: u8,
    /// KEY INSTANCE COUNTER.
    pub key_instance_counter: u32,
    /// U-KAD given with the key.
    pub unauthenticated_kad: Vec<u8>,
    /// A-KAD given with the key.
    pub authenticated_kad: Vec<u8>,
}

impl KeyInForce {
    /// Whether the drive neither encrypts nor decrypts.
    #[must_use]
    pub fn is_disabled(&self) -> bool {
        self.encryption_mode == EncryptionMode::Disable && self.decryption_mode == DecryptionMode::Disable
    }

    /// The KADs in force.
    #[must_use]
    pub fn kads(&self) -> BlockKads {
        BlockKads {
            unauthenticated: self.unauthenticated_kad.clone(),
            authenticated: self.authenticated_kad.clone(),
        }
    }

    /// The KAD in force, if it is one of ours.
    #[must_use]
    pub fn our_kad(&self) -> Option<OurKad> {
        OurKad::decode(&self.unauthenticated_kad)
    }
}

impl From<DataEncryptionStatus> for KeyInForce {
    fn from(status: DataEncryptionStatus) -> Self {
        Self {
            encryption_mode: status.encryption_mode,
            decryption_mode: status.decryption_mode,
            key_scope: status.key_scope,
            algorithm_index: status.algorithm_index,
            key_instance_counter: status.key_instance_counter,
            unauthenticated_kad: status.unauthenticated_kad().to_vec(),
            authenticated_kad: status.authenticated_kad().to_vec(),
        }
    }
}

/// Proof that the drive reports DISABLE for both modes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyCleared {
    already: bool,
}

impl KeyCleared {
    /// Whether it was so before, and nothing was sent.
    #[must_use]
    pub fn already(&self) -> bool {
        self.already
    }
}

impl Drive {
    /// Reads what is in force for us.
    ///
    /// # Errors
    /// Whatever kept the drive from saying so; it then counts as not encrypting.
    pub fn read_back(&mut self) -> Result<KeyInForce, DriveError> {
        self.status().map(KeyInForce::from)
    }

    /// Loads `key` for `parameters.volume` and returns only once the drive itself reports it.
    ///
    /// GOOD status is not proof: another I_T nexus may replace the parameters before our next command. The Data Encryption Status page is
    /// read back and must show what was sent and a key instance counter that moved.
    ///
    /// # Errors
    /// [`LoadKeyError`]; where [`LoadKeyError::may_have_loaded`] holds, the drive must be cleared and the volume not be written.
    pub fn load_key(&mut self, key: &DataKey, parameters: &KeyParameters) -> Result<KeyLoaded, LoadKeyError> {
        let offer = self.encryption().map_err(LoadKeyError::NotSent)?;
        self.scope_offered(&offer, parameters.scope)
            .map_err(LoadKeyError::NotSent)?;
        self.same_volume(&parameters.volume)?;
        let mut page = EncryptPage {
            scope: parameters.scope,
            clear_key_on_demount: offer.management.contains(ManagementCapabilities::CLEAR_KEY_ON_DEMOUNT),
            decryption: parameters.decryption,
            algorithm_index: offer.algorithm.algorithm_index,
            key,
            unauthenticated_kad: &parameters.unauthenticated_kad,
            authenticated_kad: &parameters.authenticated_kad,
        };
        let mut notes = Vec::new();
        match self.send_key(&page) {
            // Some drives refuse this bit although they offer it; the key and the mode are never given up.
            Err(LoadKeyError::Refused(error)) if page.clear_key_on_demount && is_invalid_field(&error) => {
                notes.push(format!(
                    "the drive refused CLEAR KEY ON DEMOUNT and takes the key without it: {error}"
                ));
                page.clear_key_on_demount = false;
                self.send_key(&page)?;
            }
            other => other?,
        }
        let attentions_before = self.attentions.len();
        let in_force = self.read_back().map_err(LoadKeyError::NoReadBack)?;
        let attention = self
            .attentions
            .get(attentions_before..)
            .and_then(<[_]>::first)
            .map(|attention| attention.sense);
        match mismatch(&in_force, &page, offer.key_instance_counter, attention) {
            Some(mismatch) => Err(LoadKeyError::ReadBackMismatch {
                path: self.path().to_owned(),
                mismatch,
            }),
            None => Ok(KeyLoaded {
                in_force,
                clear_key_on_demount: page.clear_key_on_demount,
                notes,
            }),
        }
    }

    fn scope_offered(&self, offer: &EncryptionOffer, scope: SetScope) -> Result<(), DriveError> {
        if offers_scope(offer, scope) {
            Ok(())
        } else {
            Err(self.refused(Refusal::ScopeMissing))
        }
    }

    /// The identity is the medium serial number; where a cartridge has none, its barcode. What has neither cannot be told from another volume.
    fn same_volume(&mut self, expected: &VolumeIdentity) -> Result<(), LoadKeyError> {
        let found = self.volume().map_err(LoadKeyError::NotSent)?;
        let same = match (&found.medium_serial, &expected.medium_serial) {
            (None, None) => found.barcode.is_some() && found.barcode == expected.barcode,
            (found, expected) => found == expected,
        };
        if same {
            return Ok(());
        }
        let name = |volume: &VolumeIdentity| {
            let named = volume.medium_serial.clone().or_else(|| volume.barcode.clone());
            named.unwrap_or_else(|| "without medium serial and barcode".to_owned())
        };
        Err(LoadKeyError::AnotherVolume {
            path: self.path().to_owned(),
            found: name(&found),
            expected: name(expected),
        })
    }

    /// Sends the page once. A medium change or reset reported in its place ends the attempt: the key may be for another volume now.
    fn send_key(&mut self, page: &EncryptPage<'_>) -> Result<(), LoadKeyError> {
        let list = page.encode();
        let interrupts = |meaning| matches!(meaning, Meaning::MediumChanged | Meaning::Reset);
        let cdb = spout(list.len());
        match self.send_unless("set data encryption (page 0010h)", &cdb, Data::Out(&list), interrupts) {
            Ok(_) => Ok(()),
            Err(DriveError::CheckCondition { sense, path, .. }) if sense.key == SenseKey::UnitAttention => {
                Err(LoadKeyError::Interrupted { path, sense })
            }
            Err(error) => Err(LoadKeyError::Refused(error)),
        }
    }

    /// Makes the drive forget the key that is in force for us, and reads back that it did.
    ///
    /// # Errors
    /// Whatever kept the drive from doing or showing it; the key then counts as still there.
    pub fn clear_key(&mut self) -> Result<KeyCleared, DriveError> {
        let before = self.read_back()?;
        if before.is_disabled() {
            return Ok(KeyCleared { already: true });
        }
        let scope = if before.key_scope == Scope::Local {
            SetScope::Local
        } else {
            SetScope::AllItNexus
        };
        let list = encode_disable(scope, before.algorithm_index);
        self.send(
            "clear data encryption (page 0010h)",
            &spout(list.len()),
            Data::Out(&list),
        )?;
        let after = self.read_back()?;
        if after.is_disabled() {
            return Ok(KeyCleared { already: false });
        }
        let modes = format!("{:?}/{:?}", after.encryption_mode, after.decryption_mode);
        Err(DriveError::NotCleared {
            path: self.path().to_owned(),
            modes,
        })
    }
}

fn spout(length: usize) -> [u8; 12] {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    cdb::security_protocol_out(PROTOCOL_TAPE_DATA_ENCRYPTION, set_data_encryption::PAGE_CODE, length)
}

fn is_invalid_field(error: &DriveError) -> bool {
    error
        .sense()
        .is_some_and(|sense| sense.is(SenseKey::IllegalRequest, 0x26, 0x00))
}

/// The first thing in a read-back that is not as sent.
fn mismatch(
    found: &KeyInForce,
    sent: &EncryptPage<'_>,
    counter_before: u32,
    attention: Option<Sense>,
) -> Option<Mismatch> {
    if let Some(sense) = attention {
        return Some(Mismatch::Attention(sense));
    }
    let decryption = match sent.decryption {
        Decryption::Decrypt => DecryptionMode::Decrypt,
        Decryption::Mixed => DecryptionMode::Mixed,
    };
    let scope = match sent.scope {
        SetScope::AllItNexus => Scope::AllItNexus,
        SetScope::Local => Scope::Local,
    };
    differs("encryption mode", &found.encryption_mode, &EncryptionMode::Encrypt)
        .or_else(|| differs("decryption mode", &found.decryption_mode, &decryption))
        .or_else(|| differs("key scope", &found.key_scope, &scope))
        .or_else(|| differs("algorithm index", &found.algorithm_index, &sent.algorithm_index))
        .or_else(|| kad_differs("U-KAD", &found.unauthenticated_kad, sent.unauthenticated_kad))
        .or_else(|| kad_differs("A-KAD", &found.authenticated_kad, sent.authenticated_kad))
        .or_else(|| {
            (found.key_instance_counter == counter_before).then_some(Mismatch::CounterStoodStill(counter_before))
        })
}

fn differs<T: PartialEq + std::fmt::Debug>(field: &'static str, found: &T, expected: &T) -> Option<Mismatch> {
    (found != expected).then(|| Mismatch::Field {
        field,
        found: format!("{found:?}"),
        expected: format!("{expected:?}"),
    })
}

/// Drives may fill a KAD up with 00h or 20h; anything else after it, or in it, is another KAD.
fn kad_differs(field: &'static str, found: &[u8], expected: &[u8]) -> Option<Mismatch> {
    let same = found
        .strip_prefix(expected)
        .is_some_and(|rest| rest.iter().all(|byte| matches!(byte, 0x00 | 0x20)));
    (!same).then(|| Mismatch::Field {
        field,
        found: hex::encode(found),
        expected: hex::encode(expected),
    })
}
