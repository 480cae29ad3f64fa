//! Trying a key on a block that somebody else wrote: only the drive can tell whether it fits, and it counts the keys that do not.

use super::{Drive, KeyLoaded, KeyParameters, LoadKeyError};
use crate::scsi::tde::next_block::{BlockEncryption, NextBlockEncryptionStatus};
use crate::secret::DataKey;

/// What the drive says of a key that was just loaded, about the block that comes next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fit {
    /// It decrypts the block.
    Fits,
    /// It does not.
    DoesNot,
    /// The drive does not tell.
    Unknown {
        /// What it does say.
        why: String,
    },
}

/// A key that was loaded, and what the drive says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial {
    /// The key is in the drive, whether it fits or not.
    pub loaded: KeyLoaded,
    /// Whether it fits.
    pub fit: Fit,
}

impl Drive {
    /// Loads `key` as [`Drive::load_key`] does and asks the drive whether it decrypts the first block (page 0021h). The tape does not move.
    ///
    /// # Errors
    /// As [`Drive::load_key`]; a page that cannot be read is [`LoadKeyError::NoReadBack`], with the key in the drive.
    pub fn try_key(&mut self, key: &DataKey, parameters: &KeyParameters) -> Result<Trial, LoadKeyError> {
        let loaded = self.load_key(key, parameters)?;
        let next = self.next_block().map_err(LoadKeyError::NoReadBack)?;
        Ok(Trial {
            loaded,
            fit: fit(&next),
        })
    }
}

/// Decryption is on here, so 5h says that the key fits, not only that the algorithm is known.
fn fit(next: &NextBlockEncryptionStatus) -> Fit {
    match next.encryption {
        _ if next.logical_object_number != 0 => Fit::Unknown {
            why: format!("the tape was moved to object {}", next.logical_object_number),
        },
        BlockEncryption::Encrypted => Fit::Fits,
        BlockEncryption::EncryptedKeyMissing => Fit::DoesNot,
        other => Fit::Unknown {
            why: format!("the drive says {other:?} of the first block"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_5h_and_6h_of_the_first_block_decide() {
        for status in 0..=0x0F_u8 {
            for object in [0, 1] {
                let mut page = [0; 16];
                page[1] = 0x21;
                page[3] = 12;
                page[11] = object;
                page[12] = status;
                let fit = fit(&NextBlockEncryptionStatus::decode(&page).unwrap());
                match (object, status) {
                    (0, 5) => assert_eq!(fit, Fit::Fits),
                    (0, 6) => assert_eq!(fit, Fit::DoesNot),
                    _ => assert!(matches!(fit, Fit::Unknown { .. }), "{object} {status}"),
                }
            }
        }
    }
}
