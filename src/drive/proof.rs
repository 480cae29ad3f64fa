//! The proof: what the drive's own statistics say about plain blocks on the volume.

use std::fmt;

use super::{Drive, DriveError};
use crate::scsi::cdb;
use crate::scsi::log::{PartitionCounter, VOLUME_STATISTICS, VolumeStatistics};

/// Room for the volume statistics page.
const LOG_LENGTH: u16 = 0x2000;

/// Whether a volume holds only cipher text, by log page 17h.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", tag = "verdict")]
pub enum Proof {
    /// The first object is encrypted and no plain one follows.
    AllEncrypted,
    /// Everything from `object` on is encrypted; what stands before it is not.
    PlainBefore {
        /// The first encrypted object.
        object: u64,
    },
    /// Encrypted and plain objects.
    Mixed {
        /// The first encrypted object.
        first_encrypted_object: u64,
        /// The first plain object after it.
        first_plain_object: u64,
    },
    /// No encrypted object: the volume is plain, or nothing was written yet.
    NothingEncrypted,
    /// The drive does not say.
    Unknown {
        /// What it does say.
        why: String,
    },
}

impl Proof {
    fn judge(statistics: &VolumeStatistics) -> Self {
        use PartitionCounter::{Known, None};
        if !statistics.page_valid {
            return Self::Unknown {
                why: "the drive says that its volume statistics are not valid".to_owned(),
            };
        }
        match (statistics.first_encrypted_object, statistics.first_plain_object) {
            (Known(0), None) => Self::AllEncrypted,
            (Known(object), None) => Self::PlainBefore { object },
            (Known(first_encrypted_object), Known(first_plain_object)) => Self::Mixed {
                first_encrypted_object,
                first_plain_object,
            },
            (None, _) => Self::NothingEncrypted,
            (encrypted, plain) => Self::Unknown {
                why: format!("first encrypted object {encrypted:?}, first plain object after it {plain:?}"),
            },
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllEncrypted => formatter.write_str("all encrypted"),
            Self::PlainBefore { object } => write!(formatter, "plain before object {object}"),
            Self::Mixed {
                first_encrypted_object,
                first_plain_object,
            } => {
                write!(
                    formatter,
                    "mixed: encrypted from object {first_encrypted_object}, plain again at object {first_plain_object}"
                )
            }
            Self::NothingEncrypted => formatter.write_str("nothing encrypted: plain, or not written yet"),
            Self::Unknown { why } => write!(formatter, "unknown: {why}"),
        }
    }
}

impl Drive {
    /// Asks the drive whether the volume in it holds only cipher text. It does not move the tape.
    ///
    /// # Errors
    /// Whatever kept the drive from answering; the proof then counts as not taken.
    pub fn proof(&mut self) -> Result<Proof, DriveError> {
        self.volume_statistics().map(|statistics| Proof::judge(&statistics))
    }

    pub(super) fn volume_statistics(&mut self) -> Result<VolumeStatistics, DriveError> {
        let read = cdb::log_sense(VOLUME_STATISTICS, LOG_LENGTH);
        self.read(
            "read volume statistics (log page 17h)",
            &read,
            LOG_LENGTH,
            VolumeStatistics::decode,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_encrypted_first_object_and_no_plain_one_is_all_encrypted() {
        use PartitionCounter::{Known, None, Unknown};
        let judge = |page_valid, first_encrypted_object, first_plain_object| {
            let used_native_capacity_mb = Unknown;
            Proof::judge(&VolumeStatistics {
                page_valid,
                first_encrypted_object,
                first_plain_object,
                used_native_capacity_mb,
            })
        };
        assert_eq!(judge(true, Known(0), None), Proof::AllEncrypted);
        assert_eq!(judge(true, Known(3), None), Proof::PlainBefore { object: 3 });
        assert_eq!(
            judge(true, Known(0), Known(9)),
            Proof::Mixed {
                first_encrypted_object: 0,
                first_plain_object: 9
            }
        );
        assert_eq!(judge(true, None, Unknown), Proof::NothingEncrypted);
        for (valid, encrypted, plain) in [
            (false, Known(0), None),
            (true, Known(0), Unknown),
            (true, Unknown, None),
        ] {
            assert!(
                matches!(judge(valid, encrypted, plain), Proof::Unknown { .. }),
                "{valid} {encrypted:?} {plain:?}"
            );
        }
    }
}
