//! What stands at the beginning of the volume, before anybody writes: it decides which key may be loaded.

use super::{Drive, DriveError};
use crate::kad::OurKad;
use crate::scsi::cdb;
use crate::scsi::log::PartitionCounter;
use crate::scsi::position::ShortPosition;
use crate::scsi::sense::SenseKey;
use crate::scsi::tde::next_block::{self, BlockEncryption, NextBlockEncryptionStatus};

/// The first object of the volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beginning {
    /// Nothing was written yet.
    Blank {
        /// How the drive shows it.
        evidence: String,
    },
    /// A plain block.
    Plain,
    /// An encrypted block with a KAD of ours (in form; the KMS checks it).
    Ours(OurKad),
    /// An encrypted block with somebody else's KAD, or none.
    Foreign {
        /// U-KAD as read, may be empty.
        unauthenticated_kad: Vec<u8>,
        /// A-KAD as read, may be empty.
        authenticated_kad: Vec<u8>,
    },
    /// An encrypted block of an algorithm that this drive does not have.
    OtherAlgorithm,
    /// The tape stands elsewhere, so its beginning cannot be seen without moving it.
    NotAtBeginning {
        /// The next object.
        object: u64,
    },
    /// The drive does not tell.
    Unknown {
        /// What it does say.
        why: String,
    },
}

impl Drive {
    /// Looks at the beginning of the volume without moving the tape.
    ///
    /// # Errors
    /// Whatever kept the drive from answering.
    pub fn beginning(&mut self) -> Result<Beginning, DriveError> {
        let next = match self.next_block() {
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::BlankCheck => {
                return self.blank_if_at_beginning(format!("the drive says {sense}"));
            }
            other => other?,
        };
        if next.logical_object_number != 0 {
            return Ok(Beginning::NotAtBeginning {
                object: next.logical_object_number,
            });
        }
        Ok(match next.encryption {
            BlockEncryption::Plain => Beginning::Plain,
            BlockEncryption::UnsupportedAlgorithm => Beginning::OtherAlgorithm,
            BlockEncryption::Encrypted | BlockEncryption::EncryptedKeyMissing => encrypted(&next),
            BlockEncryption::CannotTell | BlockEncryption::NotNow => return self.blank_by_statistics(next.encryption),
            BlockEncryption::NotABlock => Beginning::Unknown {
                why: "the volume begins with a filemark".to_owned(),
            },
            BlockEncryption::Unknown(status) => Beginning::Unknown {
                why: format!("encryption status {status:X}h, which no standard defines"),
            },
        })
    }

    /// Reads the Next Block Encryption Status page. It does not move the tape.
    ///
    /// # Errors
    /// Whatever kept the drive from answering, among it BLANK CHECK on a blank volume of some drives.
    pub fn next_block(&mut self) -> Result<NextBlockEncryptionStatus, DriveError> {
        self.read_page(next_block::PAGE_CODE, NextBlockEncryptionStatus::decode)
    }

    /// Where the tape stands.
    pub(super) fn position(&mut self) -> Result<ShortPosition, DriveError> {
        self.read(
            "READ POSITION",
            &cdb::READ_POSITION_SHORT,
            ShortPosition::LENGTH,
            ShortPosition::decode,
        )
    }

    /// BLANK CHECK at the end of data means nothing about the beginning, so the position decides.
    fn blank_if_at_beginning(&mut self, evidence: String) -> Result<Beginning, DriveError> {
        let position = self.position()?;
        Ok(match position.object {
            Some(0) if position.beginning_of_partition => Beginning::Blank { evidence },
            Some(object) => Beginning::NotAtBeginning { object },
            None => Beginning::Unknown {
                why: format!("{evidence}, and its position is unknown"),
            },
        })
    }

    /// Some drives do not look ahead on a volume just loaded. Their statistics can still show that nothing was ever written.
    fn blank_by_statistics(&mut self, said: BlockEncryption) -> Result<Beginning, DriveError> {
        let statistics = self.volume_statistics()?;
        let nothing_encrypted = statistics.first_encrypted_object == PartitionCounter::None;
        let nothing_written = statistics.used_native_capacity_mb == PartitionCounter::Known(0);
        if statistics.page_valid && nothing_encrypted && nothing_written {
            return Ok(Beginning::Blank {
                evidence: "its statistics show no encrypted object and no capacity used".to_owned(),
            });
        }
        let why = format!(
            "next block {said:?}; statistics valid: {}, first encrypted object {:?}, used capacity in MB {:?}",
            statistics.page_valid, statistics.first_encrypted_object, statistics.used_native_capacity_mb
        );
        Ok(Beginning::Unknown { why })
    }
}

fn encrypted(next: &NextBlockEncryptionStatus) -> Beginning {
    match OurKad::decode(next.unauthenticated_kad()) {
        // We never write an A-KAD, so a block that has one is not ours whatever its U-KAD says. Some drives show a missing one as padding.
        Some(kad) if next.authenticated_kad().iter().all(|byte| matches!(byte, 0x00 | 0x20)) => Beginning::Ours(kad),
        _ => Beginning::Foreign {
            unauthenticated_kad: next.unauthenticated_kad().to_vec(),
            authenticated_kad: next.authenticated_kad().to_vec(),
        },
    }
}
