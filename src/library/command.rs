//! One command to a changer: sent, and repeated where a unit attention kept it from being executed.

use super::{Changer, LibraryError};
use crate::scsi::reader::DecodeError;
use crate::scsi::sense::{Sense, SenseKey};
use crate::transport::Data;

/// Unit attentions in a row before we give up.
const ATTENTIONS_IN_A_ROW_MAX: usize = 8;

const GOOD: u8 = 0x00;

impl Changer {
    /// Sends a command that reads, and decodes what came.
    pub(super) fn read<T>(
        &mut self,
        attempt: &'static str,
        cdb: &[u8],
        allocation_length: usize,
        decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
    ) -> Result<T, LibraryError> {
        let mut reply = vec![0; allocation_length];
        let transferred = self.send(attempt, cdb, &mut reply)?;
        decode(reply.get(..transferred).unwrap_or(&reply)).map_err(|source| LibraryError::Answer {
            attempt,
            path: self.path().to_owned(),
            source,
        })
    }

    fn send(&mut self, attempt: &'static str, cdb: &[u8], reply: &mut [u8]) -> Result<usize, LibraryError> {
        let mut last = None;
        for _ in 0..ATTENTIONS_IN_A_ROW_MAX {
            let completion = self.transport.execute(cdb, Data::In(reply), self.command_timeout);
            let completion = completion.map_err(|source| LibraryError::Transport { attempt, source })?;
            let path = || self.transport.name().to_owned();
            match Sense::decode(&completion.sense) {
                _ if completion.status == GOOD => return Ok(completion.transferred),
                Some(sense) if sense.key == SenseKey::RecoveredError && !sense.deferred => {
                    return Ok(completion.transferred);
                }
                // The door was open, or the changer began anew: what follows is what it finds now.
                Some(sense) if sense.key == SenseKey::UnitAttention || sense.deferred => last = Some(sense),
                Some(sense) => {
                    return Err(LibraryError::CheckCondition {
                        attempt,
                        path: path(),
                        sense,
                    });
                }
                None => {
                    return Err(LibraryError::Status {
                        attempt,
                        path: path(),
                        status: completion.status,
                    });
                }
            }
        }
        let path = self.path().to_owned();
        Err(match last {
            Some(last) => LibraryError::Unsettled { attempt, path, last },
            None => LibraryError::Status {
                attempt,
                path,
                status: GOOD,
            },
        })
    }
}
