//! A walk over the files of a volume, to see which KADs stand where. It moves the tape, so only a person's command leads here.
//!
//! No data is read: the drive is asked what stands at a place (page 0021h), and spaced to the next filemark.

use std::time::Duration;

use super::command::Meaning;
use super::{Drive, DriveError};
use crate::scsi::cdb;
use crate::scsi::sense::SenseKey;
use crate::scsi::tde::next_block::BlockEncryption;
use crate::transport::Data;

/// How long one movement may take: over a whole tape, by the drive makers' own time limits, with a margin.
const MOVEMENT_MAX: Duration = Duration::from_secs(3300);

/// What stands at a place of the tape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// An encrypted block.
    Encrypted {
        /// U-KAD as read, may be empty.
        unauthenticated_kad: Vec<u8>,
        /// A-KAD as read, may be empty.
        authenticated_kad: Vec<u8>,
    },
    /// An encrypted block of an algorithm that this drive does not have.
    OtherAlgorithm,
    /// A plain block.
    Plain,
    /// No block: a filemark.
    Filemark,
    /// Nothing: the data end here.
    EndOfData,
    /// The drive does not tell.
    NotTold,
}

/// A place of the tape and what stands there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The logical object; `None` if the drive does not know.
    pub object: Option<u64>,
    /// What it is.
    pub standing: Standing,
}

/// Where a step to the next file ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Spaced {
    /// Behind a filemark.
    NextFile,
    /// At the end of the data: no filemark follows.
    EndOfData {
        /// The number that the next object would have; `None` if the drive does not know.
        object: Option<u64>,
    },
}

impl Drive {
    /// Asks what stands where the tape is. It does not move the tape.
    ///
    /// # Errors
    /// Whatever kept the drive from answering.
    pub fn look_here(&mut self) -> Result<Place, DriveError> {
        self.undisturbed("look what stands on the tape", Self::look)
    }

    fn look(&mut self) -> Result<Place, DriveError> {
        let next = match self.next_block() {
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::BlankCheck => {
                return Ok(Place {
                    object: self.position()?.object,
                    standing: Standing::EndOfData,
                });
            }
            other => other?,
        };
        let standing = match next.encryption {
            BlockEncryption::Encrypted | BlockEncryption::EncryptedKeyMissing => Standing::Encrypted {
                unauthenticated_kad: next.unauthenticated_kad().to_vec(),
                authenticated_kad: next.authenticated_kad().to_vec(),
            },
            BlockEncryption::UnsupportedAlgorithm => Standing::OtherAlgorithm,
            BlockEncryption::Plain => Standing::Plain,
            BlockEncryption::NotABlock => Standing::Filemark,
            BlockEncryption::CannotTell | BlockEncryption::NotNow | BlockEncryption::Unknown(_) => Standing::NotTold,
        };
        Ok(Place {
            object: Some(next.logical_object_number),
            standing,
        })
    }

    /// Moves the tape behind the next filemark. Blocks for up to an hour.
    ///
    /// # Errors
    /// Whatever kept the drive from it, a medium change or a reset among it; the end of the data is an answer.
    pub fn next_file(&mut self) -> Result<Spaced, DriveError> {
        match self.move_tape("SPACE over a filemark", &cdb::SPACE_ONE_FILEMARK) {
            Err(DriveError::CheckCondition { sense, .. }) if sense.key == SenseKey::BlankCheck => {
                let position = self.undisturbed("READ POSITION", Self::position)?;
                Ok(Spaced::EndOfData {
                    object: position.object,
                })
            }
            other => other.map(|()| Spaced::NextFile),
        }
    }

    /// Moves the tape to its beginning. Blocks for minutes.
    ///
    /// # Errors
    /// Whatever kept the drive from it, a medium change or a reset among it.
    pub fn rewind(&mut self) -> Result<(), DriveError> {
        self.move_tape("REWIND", &cdb::REWIND)
    }

    /// What `work` found, unless the drive reported a medium change or a reset meanwhile: then it is not of this walk.
    fn undisturbed<T>(
        &mut self,
        attempt: &'static str,
        work: fn(&mut Self) -> Result<T, DriveError>,
    ) -> Result<T, DriveError> {
        let before = self.attentions.len();
        let found = work(self)?;
        let met = self.attentions.get(before..).unwrap_or_default();
        let ends_walk = met
            .iter()
            .find(|met| matches!(met.meaning(), Meaning::MediumChanged | Meaning::Reset));
        match ends_walk {
            None => Ok(found),
            Some(met) => Err(DriveError::CheckCondition {
                attempt,
                path: self.path().to_owned(),
                sense: met.sense,
            }),
        }
    }

    /// After a medium change or a reset the walk is over: the tape is another one, or stands elsewhere.
    fn move_tape(&mut self, attempt: &'static str, cdb: &[u8]) -> Result<(), DriveError> {
        let usual = std::mem::replace(&mut self.command_timeout, MOVEMENT_MAX);
        let ends_walk = |meaning| matches!(meaning, Meaning::MediumChanged | Meaning::Reset);
        let moved = self.send_unless(attempt, cdb, Data::None, ends_walk);
        self.command_timeout = usual;
        moved.map(drop)
    }
}
