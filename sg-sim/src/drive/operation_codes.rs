//! REPORT SUPPORTED OPERATION CODES (SPC-4): the table of commands, as it is used to check every CDB.

use super::{
    Drive,
    call::{Call, CommandResult},
    command::{COMMANDS, Command, Operation},
};
use crate::sense::Sense;

impl Drive {
    /// REPORT SUPPORTED OPERATION CODES: all, one by operation code, one by operation code and service action, or by either; with RCTD, timeouts too.
    pub(super) fn report_operation_codes(&self, call: Call<'_>) -> CommandResult {
        const ALL: u8 = 0;
        const ONE: u8 = 1;
        const ONE_WITH_SERVICE_ACTION: u8 = 2;
        const ONE_OF_EITHER_KIND: u8 = 3;
        const RETURN_TIMEOUTS: u8 = 7;
        let with_timeouts = call.cdb.bit(2, RETURN_TIMEOUTS);
        let (operation_code, service_action) = (call.cdb.byte(3), call.cdb.u16(4));
        let mut with_code = COMMANDS
            .iter()
            .filter(|command| command.operation_code() == operation_code)
            .peekable();
        let has_service_actions = with_code.peek().is_some_and(|command| command.service_action.is_some());
        let answer = match call.cdb.byte(2) & 0x07 {
            ALL => all_commands(with_timeouts),
            ONE if has_service_actions => return Err(Sense::invalid_cdb_field(2, 2).into()),
            ONE => one_command(with_code.next(), with_timeouts),
            ONE_WITH_SERVICE_ACTION if with_code.peek().is_some() && !has_service_actions => {
                return Err(Sense::invalid_cdb_field(2, 2).into());
            }
            ONE_WITH_SERVICE_ACTION => {
                let found = with_code.find(|command| command.service_action.map(u16::from) == Some(service_action));
                one_command(found, with_timeouts)
            }
            ONE_OF_EITHER_KIND => {
                let found = with_code.find(|command| u16::from(command.service_action.unwrap_or(0)) == service_action);
                one_command(found, with_timeouts)
            }
            _ => return Err(Sense::invalid_cdb_field(2, 2).into()),
        };
        let allocation_length = call.cdb.u32(6);
        call.reply(&answer, allocation_length)
    }
}

fn all_commands(with_timeouts: bool) -> Vec<u8> {
    const SERVICE_ACTION_VALID: u8 = 0x01;
    const TIMEOUTS_PRESENT: u8 = 0x02;
    let mut descriptors = Vec::new();
    for command in &COMMANDS {
        let [high, low] = u16::from(command.service_action.unwrap_or(0)).to_be_bytes();
        let mut flags = if with_timeouts { TIMEOUTS_PRESENT } else { 0 };
        if command.service_action.is_some() {
            flags |= SERVICE_ACTION_VALID;
        }
        let [length_high, length_low] = u16::try_from(command.usage.len()).unwrap_or(0).to_be_bytes();
        descriptors.extend_from_slice(&[
            command.operation_code(),
            0,
            high,
            low,
            0,
            flags,
            length_high,
            length_low,
        ]);
        if with_timeouts {
            descriptors.extend_from_slice(&timeouts(command.operation));
        }
    }
    let mut answer = u32::try_from(descriptors.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    answer.extend_from_slice(&descriptors);
    answer
}

fn one_command(command: Option<&Command>, with_timeouts: bool) -> Vec<u8> {
    const NOT_SUPPORTED: u8 = 1;
    const SUPPORTED: u8 = 3;
    const TIMEOUTS_PRESENT: u8 = 0x80;
    let Some(command) = command else {
        return vec![0, NOT_SUPPORTED, 0, 0];
    };
    let mut answer = vec![0, SUPPORTED | if with_timeouts { TIMEOUTS_PRESENT } else { 0 }];
    answer.extend_from_slice(&u16::try_from(command.usage.len()).unwrap_or(0).to_be_bytes());
    answer.extend_from_slice(command.usage);
    if with_timeouts {
        answer.extend_from_slice(&timeouts(command.operation));
    }
    answer
}

/// Command timeouts descriptor: nothing said about the nominal time, and how long to wait before giving up.
fn timeouts(operation: Operation) -> [u8; 12] {
    let mut descriptor = [0; 12];
    descriptor[1] = 0x0A;
    descriptor[8..].copy_from_slice(&recommended_seconds(operation).to_be_bytes());
    descriptor
}

/// How long to wait for a command, in seconds: what drivers of LTO-7 and LTO-8 drives wait.
const fn recommended_seconds(operation: Operation) -> u32 {
    match operation {
        Operation::Read | Operation::Verify => 2_280,
        Operation::Write | Operation::WriteFilemarks => 1_620,
        Operation::Space | Operation::Locate => 2_880,
        Operation::LoadUnload => 960,
        Operation::Rewind => 600,
        Operation::Erase => 54_896,
        Operation::FormatMedium => 3_000,
        _ => 60,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_one_command_with_its_usage_data() {
        let test_unit_ready = Command::find(&[0]).ok();
        assert_eq!(one_command(test_unit_ready, false), [0, 3, 0, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!(
            one_command(test_unit_ready, true),
            [0, 0x83, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 60]
        );
        assert_eq!(one_command(None, true), [0, 1, 0, 0]);
    }

    #[test]
    fn shows_all_commands_in_descriptors_of_one_length() {
        for (with_timeouts, length, flags) in [(false, 8, 0), (true, 20, 2)] {
            let all = all_commands(with_timeouts);
            assert_eq!(all.len(), 4 + COMMANDS.len() * length);
            assert_eq!(usize::from(u16::from_be_bytes([all[2], all[3]])) + 4, all.len());
            assert_eq!(all[9], flags);
        }
    }
}
