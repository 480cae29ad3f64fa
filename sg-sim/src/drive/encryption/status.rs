//! The two status pages of protocol 20h: Data Encryption Status (0020h) and Next Block Encryption Status (0021h) (SSC-4).
//!
//! Neither ever moves the tape.

use super::{
    kad::{self, Authenticated},
    parameters::DecryptionMode,
};
use crate::{
    BlankAnswer, EmptyAnswer, EndOfDataAnswer, ItNexus, LibraryManaged, OutsideOwner,
    cartridge::{AES_256_GCM, ObjectKind, Record},
    drive::Drive,
    sense::Sense,
};

/// ENCRYPTION STATUS of the next block.
mod encryption_status {
    pub(super) const NOT_NOW: u8 = 1;
    pub(super) const NOT_A_BLOCK: u8 = 2;
    pub(super) const PLAIN: u8 = 3;
    pub(super) const UNKNOWN_ALGORITHM: u8 = 4;
    pub(super) const SUPPORTED: u8 = 5;
    pub(super) const KEY_NEEDED: u8 = 6;
}

/// What the page says about a block, besides where it is.
struct NextBlock {
    status: u8,
    algorithm_index: u8,
    raw_disabled: bool,
    kad_format: u8,
    kads: Vec<u8>,
}

impl NextBlock {
    const fn only(status: u8) -> Self {
        Self {
            status,
            algorithm_index: 0,
            raw_disabled: false,
            kad_format: 0,
            kads: Vec::new(),
        }
    }
}

impl Drive {
    /// Data Encryption Status page: what is in force for `nexus`. Needs no volume.
    pub(super) fn data_encryption_status(&self, nexus: &ItNexus) -> Vec<u8> {
        let Some(nexus) = self.nexuses.find(nexus) else {
            return vec![0; 20];
        };
        let capabilities = &self.profile.encryption;
        let set = self.encryption.in_force(nexus);
        let key_scope = match set {
            None => 0,
            Some(_) if nexus.local.is_some() => 1,
            Some(_) => 2,
        };
        let controlled = match (self.quirks.library_managed, self.quirks.outside_owner) {
            (LibraryManaged::Off, _) => 1,
            (_, OutsideOwner::Library) => 3,
            (_, OutsideOwner::Management) => 4,
        };
        let holds_encrypted = capabilities.vcelb_capable
            && self
                .medium
                .threaded()
                .is_ok_and(|cartridge| cartridge.index().first_sealed().is_some());
        let marks_raw_disabled =
            set.is_some_and(|set| set.encryption_mode != super::EncryptionMode::Disable && !set.attributes.raw_enabled);
        let mut body = vec![
            (nexus.scope.code() << 5) | key_scope,
            set.map_or(0, |set| set.encryption_mode.code()),
            set.map_or(0, |set| set.decryption_mode.code()),
            set.map_or(0, |_| capabilities.algorithm_index),
        ];
        body.extend_from_slice(&self.encryption.counter_in_force(nexus).to_be_bytes());
        body.push(
            (controlled << 4)
                | (u8::from(holds_encrypted) << 3)
                | (set.map_or(0, |set| set.ceem) << 1)
                | u8::from(marks_raw_disabled),
        );
        body.push(set.map_or(0, |set| set.attributes.kad_format));
        body.extend_from_slice(&[0; 10]);
        body.extend(
            set.map(|set| kad::encode(&set.kads, Authenticated::NotAttempted, self.quirks.u_kad_authenticated))
                .unwrap_or_default(),
        );
        body
    }

    /// Next Block Encryption Status page: what lies before the head.
    ///
    /// # Errors
    /// 02/3A/00 without a volume; 08/14/03 on a blank tape and 08/00/05 at the end of data where the quirks say so.
    pub(super) fn next_block_encryption_status(&mut self, nexus: &ItNexus) -> Result<Vec<u8>, Sense> {
        if self.quirks.next_block_without_volume == EmptyAnswer::Zeros && !self.medium.is_threaded() {
            return Ok(vec![0; PAGE_WITHOUT_KADS_BYTES]);
        }
        let position = self.medium.position();
        let next = self.next_block(nexus, position)?;
        let mut body = position.to_be_bytes().to_vec();
        body.extend_from_slice(&[
            next.status,
            next.algorithm_index,
            u8::from(next.raw_disabled),
            next.kad_format,
        ]);
        body.extend_from_slice(&next.kads);
        Ok(body)
    }

    fn next_block(&mut self, nexus: &ItNexus, position: u64) -> Result<NextBlock, Sense> {
        let index = self.medium.threaded()?.index();
        if index.objects() == 0 && self.quirks.next_block_on_blank == BlankAnswer::EndOfDataNotFound {
            return Err(END_OF_DATA_NOT_FOUND);
        }
        if self.quirks.next_block_unknown_after_load && self.medium.is_fresh() {
            return Ok(NextBlock::only(encryption_status::NOT_NOW));
        }
        if position == index.objects() && position > 0 {
            return match self.quirks.next_block_at_end_of_data {
                EndOfDataAnswer::NotNow => Ok(NextBlock::only(encryption_status::NOT_NOW)),
                EndOfDataAnswer::NotABlock => Ok(NextBlock::only(encryption_status::NOT_A_BLOCK)),
                EndOfDataAnswer::EndOfDataDetected => Err(END_OF_DATA_DETECTED),
            };
        }
        Ok(match index.object(position).map(|object| object.kind) {
            None | Some(ObjectKind::Damaged) => NextBlock::only(encryption_status::NOT_NOW),
            Some(ObjectKind::Filemark) if self.quirks.next_block_unknown_at_filemark => {
                NextBlock::only(encryption_status::NOT_NOW)
            }
            Some(ObjectKind::Filemark) => NextBlock::only(encryption_status::NOT_A_BLOCK),
            Some(ObjectKind::Plain) => NextBlock::only(encryption_status::PLAIN),
            Some(ObjectKind::Sealed) => self.next_sealed_block(nexus, position)?,
        })
    }

    fn next_sealed_block(&mut self, nexus: &ItNexus, position: u64) -> Result<NextBlock, Sense> {
        let Self {
            medium,
            nexuses,
            encryption,
            quirks,
            profile,
            ..
        } = self;
        let Some(nexus) = nexuses.find_mut(nexus) else {
            return Ok(NextBlock::only(encryption_status::NOT_NOW));
        };
        let Ok(record) = medium.threaded_mut()?.record(position) else {
            return Ok(NextBlock::only(encryption_status::NOT_NOW));
        };
        if record.header.algorithm() != AES_256_GCM {
            return Ok(NextBlock::only(encryption_status::UNKNOWN_ALGORITHM));
        }
        let set = encryption.in_force(nexus);
        let key = set.filter(|set| set.decrypts()).and_then(|set| set.key.as_ref());
        let fits = key.is_some_and(|key| key.check() == record.header.key_check());
        let decryption_off = set.is_none_or(|set| set.decryption_mode == DecryptionMode::Disable);
        let supported = fits || (decryption_off && quirks.next_block_supported_without_key);
        let attributes = record.header.attributes();
        let kads = kad::decode_stored(&attributes.kads);
        let authenticated = match key.filter(|_| fits) {
            Some(key) if kads.iter().any(|kad| kad.kind == kad::AUTHENTICATED) => authenticate(&record, key),
            _ => Authenticated::NotAttempted,
        };
        let next = NextBlock {
            status: if supported {
                encryption_status::SUPPORTED
            } else {
                encryption_status::KEY_NEEDED
            },
            algorithm_index: profile.encryption.algorithm_index,
            raw_disabled: !attributes.raw_enabled,
            kad_format: attributes.kad_format,
            kads: kad::encode(&kads, authenticated, quirks.u_kad_authenticated),
        };
        if key.is_some() && !fits {
            encryption.count_wrong_key(nexus);
        }
        Ok(next)
    }
}

/// Whether block and A-KAD are what was written together.
fn authenticate(record: &Record<'_>, key: &crate::cipher::BlockKey) -> Authenticated {
    let mut plain = vec![0; record.payload.len()];
    if record.open(key, &mut plain).is_ok() {
        Authenticated::Succeeded
    } else {
        Authenticated::Failed
    }
}

/// Length of the page behind its header while it carries no KAD.
const PAGE_WITHOUT_KADS_BYTES: usize = 12;
const END_OF_DATA_DETECTED: Sense = Sense::new(0x8, 0x00, 0x05);
const END_OF_DATA_NOT_FOUND: Sense = Sense::new(0x8, 0x14, 0x03);
