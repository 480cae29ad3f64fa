//! Which commands there are, and which bits of their CDBs mean something.
//!
//! The table serves twice: it checks every CDB, and REPORT SUPPORTED OPERATION CODES shows it (SPC-4).

use crate::sense::Sense;

/// What a command asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operation {
    /// TEST UNIT READY.
    TestUnitReady,
    /// REWIND.
    Rewind,
    /// REQUEST SENSE.
    RequestSense,
    /// READ BLOCK LIMITS.
    ReadBlockLimits,
    /// READ(6).
    Read,
    /// WRITE(6).
    Write,
    /// WRITE FILEMARKS(6) and (16).
    WriteFilemarks,
    /// SPACE(6) and (16).
    Space,
    /// INQUIRY.
    Inquiry,
    /// MODE SELECT(6) and (10).
    ModeSelect,
    /// ERASE(6).
    Erase,
    /// MODE SENSE(6) and (10).
    ModeSense,
    /// LOAD UNLOAD.
    LoadUnload,
    /// PREVENT ALLOW MEDIUM REMOVAL.
    PreventAllow,
    /// LOCATE(10) and (16).
    Locate,
    /// READ POSITION.
    ReadPosition,
    /// REPORT DENSITY SUPPORT.
    ReportDensity,
    /// LOG SENSE.
    LogSense,
    /// READ ATTRIBUTE.
    ReadAttribute,
    /// WRITE ATTRIBUTE.
    WriteAttribute,
    /// REPORT LUNS.
    ReportLuns,
    /// SECURITY PROTOCOL IN.
    SecurityProtocolIn,
    /// SECURITY PROTOCOL OUT.
    SecurityProtocolOut,
    /// REPORT SUPPORTED OPERATION CODES.
    ReportOperationCodes,
}

impl Operation {
    /// Whether the command leaves unit attentions alone (SAM-5, "Unit attention condition"; REQUEST SENSE takes them itself).
    pub(super) const fn passes_unit_attention(self) -> bool {
        matches!(self, Self::Inquiry | Self::ReportLuns | Self::RequestSense)
    }
}

/// One line of the table.
pub(super) struct Command {
    /// What it asks for.
    pub(super) operation: Operation,
    /// SERVICE ACTION, for an operation code that has several commands.
    pub(super) service_action: Option<u8>,
    /// CDB USAGE DATA: the operation code (and service action), then a one for each bit that may be one.
    pub(super) usage: &'static [u8],
}

impl Command {
    /// Operation code.
    pub(super) fn operation_code(&self) -> u8 {
        self.usage.first().copied().unwrap_or(0)
    }

    /// The command that a CDB begins with.
    ///
    /// # Errors
    /// 05/20/00 for an operation code, 05/24/00 for a service action that the drive does not know.
    pub(super) fn find(cdb: &[u8]) -> Result<&'static Self, Sense> {
        let operation_code = *cdb.first().ok_or(INVALID_OPERATION_CODE)?;
        let mut with_code = COMMANDS
            .iter()
            .filter(|command| command.operation_code() == operation_code)
            .peekable();
        with_code.peek().ok_or(INVALID_OPERATION_CODE)?;
        let asked = cdb.get(1).map_or(0, |byte| byte & SERVICE_ACTION);
        with_code
            .find(|command| {
                command
                    .service_action
                    .is_none_or(|service_action| service_action == asked)
            })
            .ok_or(Sense::invalid_cdb_field(1, 4))
    }

    /// Checks the length of a CDB and, unless `lenient`, its reserved bits.
    ///
    /// # Errors
    /// 05/24/00 with the first byte that is missing or holds a bit that must be zero.
    pub(super) fn check(&self, cdb: &[u8], lenient: bool) -> Result<(), Sense> {
        if cdb.len() < self.usage.len() {
            return Err(Sense::invalid_cdb_field(
                u16::try_from(cdb.len()).unwrap_or(u16::MAX),
                7,
            ));
        }
        if lenient {
            return Ok(());
        }
        for (at, byte) in cdb.iter().enumerate().skip(1) {
            let mut allowed = self.usage.get(at).copied().unwrap_or(0);
            if at == 1 && self.service_action.is_some() {
                allowed |= SERVICE_ACTION;
            }
            if let Some(bit) = (byte & !allowed).checked_ilog2() {
                let bit = u8::try_from(bit).unwrap_or(7);
                return Err(Sense::invalid_cdb_field(u16::try_from(at).unwrap_or(u16::MAX), bit));
            }
        }
        Ok(())
    }
}

const SERVICE_ACTION: u8 = 0x1F;
const INVALID_OPERATION_CODE: Sense = Sense::new(0x5, 0x20, 0x00);

const fn plain(operation: Operation, usage: &'static [u8]) -> Command {
    Command {
        operation,
        service_action: None,
        usage,
    }
}

/// Every command of the drive, by operation code.
pub(super) static COMMANDS: [Command; 29] = [
    plain(Operation::TestUnitReady, &[0x00, 0, 0, 0, 0, 0]),
    plain(Operation::Rewind, &[0x01, 0x01, 0, 0, 0, 0]),
    plain(Operation::RequestSense, &[0x03, 0x01, 0, 0, 0xFF, 0]),
    plain(Operation::ReadBlockLimits, &[0x05, 0, 0, 0, 0, 0]),
    plain(Operation::Read, &[0x08, 0x03, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::Write, &[0x0A, 0x01, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::WriteFilemarks, &[0x10, 0x01, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::Space, &[0x11, 0x0F, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::Inquiry, &[0x12, 0x01, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::ModeSelect, &[0x15, 0x11, 0, 0, 0xFF, 0]),
    plain(Operation::Erase, &[0x19, 0x03, 0, 0, 0, 0]),
    plain(Operation::ModeSense, &[0x1A, 0x08, 0xFF, 0xFF, 0xFF, 0]),
    plain(Operation::LoadUnload, &[0x1B, 0x01, 0, 0, 0x0F, 0]),
    plain(Operation::PreventAllow, &[0x1E, 0, 0, 0, 0x03, 0]),
    plain(Operation::Locate, &[0x2B, 0x07, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0xFF, 0]),
    plain(Operation::ReadPosition, &[0x34, 0x1F, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0]),
    plain(Operation::ReportDensity, &[0x44, 0x03, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0]),
    plain(
        Operation::LogSense,
        &[0x4D, 0, 0xFF, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0],
    ),
    plain(Operation::ModeSelect, &[0x55, 0x11, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0]),
    plain(Operation::ModeSense, &[0x5A, 0x08, 0xFF, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0]),
    plain(
        Operation::WriteFilemarks,
        &[0x80, 0x01, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0],
    ),
    plain(
        Operation::ReadAttribute,
        &[
            0x8C, 0x1F, 0, 0, 0, 0xFF, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, 0,
        ],
    ),
    plain(
        Operation::WriteAttribute,
        &[0x8D, 0x01, 0, 0, 0, 0xFF, 0, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
    plain(
        Operation::Space,
        &[
            0x91, 0x0F, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0,
        ],
    ),
    plain(
        Operation::Locate,
        &[
            0x92, 0x3B, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0,
        ],
    ),
    plain(
        Operation::ReportLuns,
        &[0xA0, 0, 0xFF, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
    plain(
        Operation::SecurityProtocolIn,
        &[0xA2, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
    Command {
        operation: Operation::ReportOperationCodes,
        service_action: Some(0x0C),
        usage: &[0xA3, 0x0C, 0x07, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    },
    plain(
        Operation::SecurityProtocolOut,
        &[0xB5, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SenseCode;

    #[test]
    fn has_each_length_that_its_group_code_demands() {
        for command in &COMMANDS {
            let length = match command.operation_code() >> 5 {
                0 => 6,
                1 | 2 => 10,
                4 => 16,
                _ => 12,
            };
            assert_eq!(command.usage.len(), length, "{:02X}h", command.operation_code());
        }
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for cdb in [&[][..], &[0xFF], &[0x04, 0, 0, 0, 0, 0]] {
            assert_eq!(
                Command::find(cdb).err().map(|sense| sense.code()),
                Some(SenseCode::new(5, 0x20, 0)),
                "{cdb:02X?}"
            );
        }
        assert_eq!(Command::find(&[0xA3, 0x05]).err(), Some(Sense::invalid_cdb_field(1, 4)));
    }

    #[test]
    fn points_at_the_first_reserved_bit_that_is_set() {
        let spin = Command::find(&[0xA2]).ok().unwrap();
        let with = |at: usize, value: u8| {
            let mut cdb = [0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0x20, 0, 0, 0];
            cdb[at] = value;
            spin.check(&cdb, false)
        };
        assert_eq!(with(3, 0x21), Ok(()));
        assert_eq!(with(4, 0x80), Err(Sense::invalid_cdb_field(4, 7)));
        assert_eq!(with(11, 0x04), Err(Sense::invalid_cdb_field(11, 2)));
        assert_eq!(spin.check(&[0xA2; 12], true), Ok(()));
    }

    #[test]
    fn points_behind_the_end_of_a_cdb_that_is_too_short() {
        let unit_ready = Command::find(&[0]).ok().unwrap();
        assert_eq!(unit_ready.check(&[0; 5], true), Err(Sense::invalid_cdb_field(5, 7)));
        assert_eq!(unit_ready.check(&[0; 32], false), Ok(()));
        assert!(unit_ready.check(&[0, 0, 0, 0, 0, 0, 1], false).is_err());
    }
}
