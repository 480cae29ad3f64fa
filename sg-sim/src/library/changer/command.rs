//! Which commands the changer has, and which bits of their CDBs mean something (SMC-3, SPC-4).

use crate::sense::Sense;

/// What a command asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// TEST UNIT READY.
    TestUnitReady,
    /// REQUEST SENSE.
    RequestSense,
    /// INITIALIZE ELEMENT STATUS, with and without range.
    InitializeElementStatus,
    /// INQUIRY.
    Inquiry,
    /// MODE SENSE(6) and (10).
    ModeSense,
    /// PREVENT ALLOW MEDIUM REMOVAL.
    PreventAllow,
    /// POSITION TO ELEMENT.
    PositionToElement,
    /// LOG SENSE.
    LogSense,
    /// REPORT LUNS.
    ReportLuns,
    /// MOVE MEDIUM.
    MoveMedium,
    /// EXCHANGE MEDIUM.
    ExchangeMedium,
    /// READ ELEMENT STATUS.
    ReadElementStatus,
}

impl Operation {
    /// Whether the command leaves unit attentions alone (SAM-5, "Unit attention condition"; REQUEST SENSE takes them itself).
    pub(super) const fn passes_unit_attention(self) -> bool {
        matches!(self, Self::Inquiry | Self::ReportLuns | Self::RequestSense)
    }
}

/// One line of the table.
#[derive(Debug)]
pub(super) struct Command {
    /// What it asks for.
    pub(super) operation: Operation,
    /// The operation code, then a one for each bit that may be one.
    usage: &'static [u8],
}

impl Command {
    /// The command that a CDB begins with.
    ///
    /// # Errors
    /// 05/20/00 for an operation code that the changer does not know.
    pub(super) fn find(cdb: &[u8]) -> Result<&'static Self, Sense> {
        let known = COMMANDS.iter().find(|command| {
            let code = command.usage.first();
            code.is_some() && code == cdb.first()
        });
        known.ok_or(Sense::new(0x5, 0x20, 0x00))
    }

    /// Checks the length of a CDB and its reserved bits.
    ///
    /// # Errors
    /// 05/24/00 with the first byte that is missing or holds a bit that must be zero.
    pub(super) fn check(&self, cdb: &[u8]) -> Result<(), Sense> {
        let pointer = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        if cdb.len() < self.usage.len() {
            return Err(Sense::invalid_cdb_field(pointer(cdb.len()), 7));
        }
        for (at, byte) in cdb.iter().enumerate().skip(1) {
            let allowed = self.usage.get(at).copied().unwrap_or(0);
            if let Some(bit) = (byte & !allowed).checked_ilog2() {
                return Err(Sense::invalid_cdb_field(pointer(at), u8::try_from(bit).unwrap_or(7)));
            }
        }
        Ok(())
    }
}

const fn command(operation: Operation, usage: &'static [u8]) -> Command {
    Command { operation, usage }
}

/// Every command, by operation code.
static COMMANDS: [Command; 15] = [
    command(Operation::TestUnitReady, &[0x00, 0, 0, 0, 0, 0]),
    command(Operation::RequestSense, &[0x03, 0x01, 0, 0, 0xFF, 0]),
    command(Operation::InitializeElementStatus, &[0x07, 0, 0, 0, 0, 0]),
    command(Operation::Inquiry, &[0x12, 0x01, 0xFF, 0xFF, 0xFF, 0]),
    command(Operation::ModeSense, &[0x1A, 0x08, 0xFF, 0xFF, 0xFF, 0]),
    command(Operation::PreventAllow, &[0x1E, 0, 0, 0, 0x03, 0]),
    command(
        Operation::PositionToElement,
        &[0x2B, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x01, 0],
    ),
    command(
        Operation::InitializeElementStatus,
        &[0x37, 0x03, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0],
    ),
    command(
        Operation::LogSense,
        &[0x4D, 0, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0],
    ),
    command(Operation::ModeSense, &[0x5A, 0x08, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0]),
    command(
        Operation::ReportLuns,
        &[0xA0, 0, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
    command(
        Operation::MoveMedium,
        &[0xA5, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0x01, 0],
    ),
    command(
        Operation::ExchangeMedium,
        &[0xA6, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x03, 0],
    ),
    command(
        Operation::ReadElementStatus,
        &[0xB8, 0x1F, 0xFF, 0xFF, 0xFF, 0xFF, 0x03, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
    // The older code of INITIALIZE ELEMENT STATUS WITH RANGE, vendor-specific and widely used.
    command(
        Operation::InitializeElementStatus,
        &[0xE7, 0x01, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0, 0],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_each_operation_code_once_and_in_order() {
        let codes: Vec<u8> = COMMANDS
            .iter()
            .filter_map(|command| command.usage.first().copied())
            .collect();
        assert!(codes.is_sorted_by(|one, next| one < next));
        for command in &COMMANDS {
            let length = match command.usage[0] >> 5 {
                0 => 6,
                1 | 2 | 7 => 10,
                _ => 12,
            };
            assert_eq!(command.usage.len(), length, "{:02X}h", command.usage[0]);
        }
    }

    #[test]
    fn refuses_unknown_codes_short_cdbs_and_reserved_bits() {
        assert_eq!(Command::find(&[]).err(), Some(Sense::new(5, 0x20, 0)));
        assert_eq!(Command::find(&[0xB6]).err(), Some(Sense::new(5, 0x20, 0)));
        let read_element_status = Command::find(&[0xB8]).unwrap();
        assert_eq!(
            read_element_status.check(&[0xB8; 11]),
            Err(Sense::invalid_cdb_field(11, 7))
        );
        assert_eq!(
            read_element_status.check(&[0xB8, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            Err(Sense::invalid_cdb_field(1, 5))
        );
    }
}
