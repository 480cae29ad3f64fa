//! One command to a drive: sent, repeated where a unit attention or a deferred error kept it from being executed, and judged.

use std::fmt;

use super::{Drive, DriveError};
use crate::scsi::sense::{Sense, SenseKey};
use crate::transport::Data;

/// Unit attentions in a row before we give up: a drive can have power on, medium change and three parameter changes pending at once.
const ATTENTIONS_IN_A_ROW_MAX: usize = 8;

const GOOD: u8 = 0x00;
const CHECK_CONDITION: u8 = 0x02;

/// Something that happened to the drive before our command, reported in its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// What we were about to do.
    pub attempt: &'static str,
    /// What the drive said.
    pub sense: Sense,
}

/// What a unit attention means for a key in the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// 28h: another volume may be in the drive.
    MediumChanged,
    /// 29h: power on or reset. Keys are gone.
    Reset,
    /// 2Ah/11h, 12h, 13h: the encryption parameters are not what they were.
    ParametersChanged,
    /// 2Ah/0Dh or 80h: what the drive offers may have changed.
    CapabilitiesChanged,
    /// An error of an earlier command of somebody else.
    Deferred,
    /// Nothing that concerns keys.
    Other,
}

impl Attention {
    /// What it means for a key in the drive.
    #[must_use]
    pub fn meaning(&self) -> Meaning {
        if self.sense.deferred {
            return Meaning::Deferred;
        }
        match (self.sense.additional.asc, self.sense.additional.ascq) {
            (0x28, _) => Meaning::MediumChanged,
            (0x29, _) => Meaning::Reset,
            (0x2A, 0x11..=0x13) => Meaning::ParametersChanged,
            (0x2A, 0x0D | 0x80) => Meaning::CapabilitiesChanged,
            _ => Meaning::Other,
        }
    }
}

impl fmt::Display for Attention {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (met by {})", self.sense, self.attempt)
    }
}

impl Drive {
    /// Sends a command, repeating it after every unit attention, and returns how many bytes of data moved.
    pub(super) fn send(&mut self, attempt: &'static str, cdb: &[u8], data: Data<'_>) -> Result<usize, DriveError> {
        self.send_unless(attempt, cdb, data, |_| false)
    }

    /// As [`Drive::send`], but a unit attention for which `stop` holds is returned as the error instead.
    pub(super) fn send_unless(
        &mut self,
        attempt: &'static str,
        cdb: &[u8],
        mut data: Data<'_>,
        stop: fn(Meaning) -> bool,
    ) -> Result<usize, DriveError> {
        let mut attentions = 0;
        loop {
            let again = match &mut data {
                Data::None => Data::None,
                Data::In(buffer) => Data::In(buffer),
                Data::Out(buffer) => Data::Out(buffer),
            };
            let completion = self
                .transport
                .execute(cdb, again, self.command_timeout)
                .map_err(|source| DriveError::Transport { attempt, source })?;
            let sense = Sense::decode(&completion.sense);
            match (completion.status, sense) {
                (GOOD, _) => return Ok(completion.transferred),
                (CHECK_CONDITION, Some(sense)) if sense.key == SenseKey::RecoveredError && !sense.deferred => {
                    return Ok(completion.transferred);
                }
                (CHECK_CONDITION, Some(sense)) if sense.key == SenseKey::UnitAttention || sense.deferred => {
                    let stopped = self.note(attempt, sense, stop);
                    attentions += 1;
                    if stopped {
                        return Err(DriveError::CheckCondition {
                            attempt,
                            path: self.path().to_owned(),
                            sense,
                        });
                    }
                    if attentions == ATTENTIONS_IN_A_ROW_MAX {
                        return Err(DriveError::Unsettled {
                            attempt,
                            path: self.path().to_owned(),
                            last: sense,
                        });
                    }
                }
                (CHECK_CONDITION, Some(sense)) => {
                    return Err(DriveError::CheckCondition {
                        attempt,
                        path: self.path().to_owned(),
                        sense,
                    });
                }
                (status, _) => {
                    return Err(DriveError::Status {
                        attempt,
                        path: self.path().to_owned(),
                        status,
                    });
                }
            }
        }
    }

    /// Remembers an attention; forgets what it may have made untrue. Returns whether the command must not be repeated.
    fn note(&mut self, attempt: &'static str, sense: Sense, stop: fn(Meaning) -> bool) -> bool {
        let attention = Attention { attempt, sense };
        let meaning = attention.meaning();
        if matches!(meaning, Meaning::Reset | Meaning::CapabilitiesChanged) {
            self.management = None;
        }
        self.attentions.push(attention);
        stop(meaning)
    }

    /// Sends a command that reads, and decodes what came.
    pub(super) fn read<T>(
        &mut self,
        attempt: &'static str,
        cdb: &[u8],
        allocation_length: u16,
        decode: impl FnOnce(&[u8]) -> Result<T, crate::scsi::reader::DecodeError>,
    ) -> Result<T, DriveError> {
        let mut reply = vec![0; allocation_length.into()];
        let transferred = self.send(attempt, cdb, Data::In(&mut reply))?;
        decode(reply.get(..transferred).unwrap_or(&reply)).map_err(|source| DriveError::Answer {
            attempt,
            path: self.path().to_owned(),
            source,
        })
    }
}
