//! Whether a drive takes keys from us for the volume that is in it: every check before a key is sent, each with its own refusal.

use super::{Drive, DriveError, Refusal, SetScope};
use crate::kad::KAD_LENGTH;
use crate::scsi::cdb::{self, PROTOCOL_INFORMATION, PROTOCOL_TAPE_DATA_ENCRYPTION};
use crate::scsi::reader::DecodeError;
use crate::scsi::security_protocol::{self, SupportedSecurityProtocols};
use crate::scsi::sense::SenseKey;
use crate::scsi::tde::capabilities::{
    AES_256_GCM_128, AlgorithmDescriptor, ConfigurationPrevented, DataEncryptionCapabilities, IN_HARDWARE,
};
use crate::scsi::tde::key_formats::{self, PLAIN_TEXT_KEY, decode_key_formats};
use crate::scsi::tde::management::{self, ManagementCapabilities};
use crate::scsi::tde::status::{DataEncryptionStatus, ParametersControl};
use crate::scsi::tde::supported_pages::{IN_SUPPORT, OUT_SUPPORT, decode_supported_pages};
use crate::scsi::tde::{capabilities, next_block, set_data_encryption, status};
use crate::secret::KEY_LENGTH;

/// Room for any page of protocol 20h.
const PAGE_LENGTH: u16 = 0x2000;

/// Pages that we read; without one of them nothing can be shown.
const PAGES_READ: [u16; 3] = [capabilities::PAGE_CODE, status::PAGE_CODE, next_block::PAGE_CODE];

/// What a drive offers for the volume that is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptionOffer {
    /// The algorithm, AES-256-GCM in hardware, valid for this volume.
    pub algorithm: AlgorithmDescriptor,
    /// Which bits may be sent with a key.
    pub management: ManagementCapabilities,
    /// KEY INSTANCE COUNTER before anything was sent.
    pub key_instance_counter: u32,
}

/// Whether keys may be set for whom `scope` says.
#[must_use]
pub fn offers_scope(offer: &EncryptionOffer, scope: SetScope) -> bool {
    offer.management.contains(match scope {
        SetScope::AllItNexus => ManagementCapabilities::ALL_IT_NEXUS,
        SetScope::Local => ManagementCapabilities::LOCAL,
    })
}

impl Drive {
    /// Checks everything that must hold before a key is sent.
    ///
    /// # Errors
    /// [`DriveError::Refused`] says which check failed and what to do; others say why the drive could not be asked.
    pub fn encryption(&mut self) -> Result<EncryptionOffer, DriveError> {
        let management = match self.management {
            Some(management) => management,
            None => self.read_management()?,
        };
        self.management = Some(management);
        let page = self.read_page(capabilities::PAGE_CODE, DataEncryptionCapabilities::decode)?;
        if page.configuration_prevented == ConfigurationPrevented::Prevented {
            return Err(self.refused(Refusal::ConfigurationPrevented));
        }
        let status = self.status()?;
        if let Some(owner) = foreign_owner(status.parameters_control) {
            return Err(self.refused(Refusal::ControlledElsewhere { owner }));
        }
        let algorithm = choose(&page.algorithms).map_err(|refusal| self.refused(refusal))?;
        Ok(EncryptionOffer {
            algorithm,
            management,
            key_instance_counter: status.key_instance_counter,
        })
    }

    /// What does not depend on the volume: protocols, pages, key formats, management capabilities.
    fn read_management(&mut self) -> Result<ManagementCapabilities, DriveError> {
        let protocols_cdb =
            cdb::security_protocol_in(PROTOCOL_INFORMATION, security_protocol::PAGE_CODE, PAGE_LENGTH.into());
        let attempt = "read supported security protocols";
        let protocols = match self.read(attempt, &protocols_cdb, PAGE_LENGTH, SupportedSecurityProtocols::decode) {
            Err(error)
                if error
                    .sense()
                    .is_some_and(|sense| sense.is(SenseKey::IllegalRequest, 0x20, 0x00)) =>
            {
                return Err(self.refused(Refusal::NoSecurityProtocols));
            }
            other => other?,
        };
        if !protocols.offers_tape_data_encryption() {
            return Err(self.refused(Refusal::LibraryManaged));
        }
        let readable = self.read_page(IN_SUPPORT, |reply| decode_supported_pages(IN_SUPPORT, reply))?;
        if let Some(page) = PAGES_READ.into_iter().find(|page| !readable.contains(page)) {
            return Err(self.refused(Refusal::PageMissing { page }));
        }
        let writable = self.read_page(OUT_SUPPORT, |reply| decode_supported_pages(OUT_SUPPORT, reply))?;
        if !writable.contains(&set_data_encryption::PAGE_CODE) {
            return Err(self.refused(Refusal::PageMissing {
                page: set_data_encryption::PAGE_CODE,
            }));
        }
        if readable.contains(&key_formats::PAGE_CODE) {
            let formats = self.read_page(key_formats::PAGE_CODE, decode_key_formats)?;
            if !formats.contains(&PLAIN_TEXT_KEY) {
                return Err(self.refused(Refusal::NoPlainTextKeys { formats }));
            }
        }
        if readable.contains(&management::PAGE_CODE) {
            self.read_page(management::PAGE_CODE, ManagementCapabilities::decode)
        } else {
            // A drive that does not say may still take the scope that every drive takes; no other bit is sent to it.
            Ok(ManagementCapabilities::ALL_IT_NEXUS)
        }
    }

    /// Reads the Data Encryption Status page.
    pub(super) fn status(&mut self) -> Result<DataEncryptionStatus, DriveError> {
        self.read_page(status::PAGE_CODE, DataEncryptionStatus::decode)
    }

    /// Reads one page of protocol 20h. A drive that refuses the protocol as such is library-managed.
    pub(super) fn read_page<T>(
        &mut self,
        page: u16,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, DriveError> {
        let attempt = match page {
            capabilities::PAGE_CODE => "read data encryption capabilities (page 0010h)",
            status::PAGE_CODE => "read data encryption status (page 0020h)",
            next_block::PAGE_CODE => "read next block encryption status (page 0021h)",
            _ => "read a page of protocol 20h",
        };
        let read = cdb::security_protocol_in(PROTOCOL_TAPE_DATA_ENCRYPTION, page, PAGE_LENGTH.into());
        match self.read(attempt, &read, PAGE_LENGTH, decode) {
            Err(error)
                if error
                    .sense()
                    .is_some_and(|sense| sense.is(SenseKey::IllegalRequest, 0x24, 0x00)) =>
            {
                Err(self.refused(Refusal::LibraryManaged))
            }
            Err(error)
                if error
                    .sense()
                    .is_some_and(|sense| sense.is(SenseKey::IllegalRequest, 0x20, 0x00)) =>
            {
                Err(self.refused(Refusal::NoSecurityProtocols))
            }
            other => other,
        }
    }

    pub(super) fn refused(&self, refusal: Refusal) -> DriveError {
        DriveError::Refused {
            path: self.path().to_owned(),
            refusal,
        }
    }
}

fn foreign_owner(control: ParametersControl) -> Option<&'static str> {
    match control {
        ParametersControl::Automation => Some("the library"),
        ParametersControl::ManagementInterface => Some("a management interface"),
        _ => None,
    }
}

/// The algorithm to use: AES-256-GCM in hardware, valid for the mounted volume, with room for our KAD.
fn choose(algorithms: &[AlgorithmDescriptor]) -> Result<AlgorithmDescriptor, Refusal> {
    let suitable: Vec<_> = algorithms
        .iter()
        .filter(|algorithm| {
            algorithm.security_algorithm_code == AES_256_GCM_128
                && usize::from(algorithm.key_size) == KEY_LENGTH
                && algorithm.encrypt_capable == IN_HARDWARE
                && algorithm.decrypt_capable == IN_HARDWARE
        })
        .collect();
    if suitable.is_empty() {
        return Err(Refusal::NoAlgorithm);
    }
    let algorithm = suitable
        .into_iter()
        .find(|algorithm| algorithm.valid_for_mounted_volume)
        .ok_or(Refusal::NotForThisVolume)?;
    if usize::from(algorithm.unauthenticated_kad_bytes_max) < KAD_LENGTH {
        return Err(Refusal::KadTooLong {
            offered: algorithm.unauthenticated_kad_bytes_max,
            wanted: KAD_LENGTH,
        });
    }
    Ok(algorithm.clone())
}
