//! One command on its way through the drive: the checked CDB, the data, and how a room answers.

use crate::{ItNexus, sense::Sense};

/// A CDB whose length and reserved bits are right. Reading past its end gives zero.
#[derive(Clone, Copy)]
pub(crate) struct Cdb([u8; 16]);

impl Cdb {
    /// Takes a CDB of at most 16 bytes; longer ones are cut.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        let mut cdb = [0; 16];
        for (to, from) in cdb.iter_mut().zip(bytes) {
            *to = *from;
        }
        Self(cdb)
    }

    /// The byte at `at`.
    pub(crate) fn byte(&self, at: usize) -> u8 {
        self.0.get(at).copied().unwrap_or(0)
    }

    /// Whether bit `bit` of the byte at `at` is one.
    pub(crate) fn bit(&self, at: usize, bit: u8) -> bool {
        self.byte(at) & (1 << (bit & 7)) != 0
    }

    /// The two-byte field at `at`.
    pub(crate) fn u16(&self, at: usize) -> u16 {
        u16::from_be_bytes([self.byte(at), self.byte(at + 1)])
    }

    /// The three-byte field at `at`.
    pub(crate) fn u24(&self, at: usize) -> u32 {
        u32::from_be_bytes([0, self.byte(at), self.byte(at + 1), self.byte(at + 2)])
    }

    /// The four-byte field at `at`.
    pub(crate) fn u32(&self, at: usize) -> u32 {
        (u32::from(self.u16(at)) << 16) | u32::from(self.u16(at + 2))
    }

    /// The eight-byte field at `at`.
    pub(crate) fn u64(&self, at: usize) -> u64 {
        (u64::from(self.u32(at)) << 32) | u64::from(self.u32(at + 4))
    }
}

/// A command and its data.
pub(crate) struct Call<'a> {
    /// Who sent it.
    pub(crate) nexus: &'a ItNexus,
    /// The command.
    pub(crate) cdb: Cdb,
    /// Data from the initiator.
    pub(crate) data_out: &'a [u8],
    /// Room for data to the initiator.
    pub(crate) data_in: &'a mut [u8],
}

/// How a command ended: GOOD and so many bytes of data-in, or CHECK CONDITION.
pub(crate) type CommandResult = Result<usize, Failure>;

/// A command that ended with CHECK CONDITION.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Failure {
    /// Why.
    pub(crate) sense: Sense,
    /// Bytes of data-in that came before.
    pub(crate) data_in: usize,
}

impl From<Sense> for Failure {
    fn from(sense: Sense) -> Self {
        Self { sense, data_in: 0 }
    }
}

impl Call<'_> {
    /// Answers with `answer`, cut to the allocation length and to the room that there is (SPC-4, "Allocation length").
    pub(crate) fn reply(self, answer: &[u8], allocation_length: u32) -> CommandResult {
        let allocation_length = usize::try_from(allocation_length).unwrap_or(usize::MAX);
        let moved = answer.len().min(allocation_length).min(self.data_in.len());
        for (to, from) in self.data_in.iter_mut().zip(answer.iter().take(moved)) {
            *to = *from;
        }
        Ok(moved)
    }

    /// The `length` bytes of data-out that the CDB announces.
    ///
    /// # Errors
    /// 0B/4B/00, data phase error: fewer came.
    pub(crate) fn parameter_list(&self, length: u32) -> Result<&[u8], Sense> {
        self.data_out
            .get(..usize::try_from(length).unwrap_or(usize::MAX))
            .ok_or(DATA_PHASE_ERROR)
    }
}

/// Fewer bytes came than the CDB announced.
pub(crate) const DATA_PHASE_ERROR: Sense = Sense::new(0xB, 0x4B, 0x00);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_fields_of_every_width_and_zero_past_the_end() {
        let cdb = Cdb::new(&[0x91, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert_eq!((cdb.u16(2), cdb.u24(2), cdb.u32(2)), (0x0203, 0x0002_0304, 0x0203_0405));
        assert_eq!(
            (cdb.u64(2), cdb.u64(8), cdb.byte(99)),
            (0x0203_0405_0607_0809, 0x0809 << 48, 0)
        );
    }

    #[test]
    fn moves_no_more_than_asked_for_and_no_more_than_there_is_room_for() {
        let nexus = ItNexus::stranger();
        for (allocation, room, moved) in [(2, 9, 2), (9, 2, 2), (9, 9, 4), (0, 9, 0)] {
            let mut data_in = vec![0xA5; room];
            let call = Call {
                nexus: &nexus,
                cdb: Cdb::new(&[]),
                data_out: &[],
                data_in: &mut data_in,
            };
            assert_eq!(call.reply(&[1, 2, 3, 4], allocation), Ok(moved));
            assert!(data_in.iter().skip(moved).all(|byte| *byte == 0xA5));
        }
    }
}
