//! What the drive supports: REPORT DENSITY SUPPORT (SSC-4) and REPORT SUPPORTED OPERATION CODES (SPC-4).

use super::{
    Drive,
    call::{Call, CommandResult},
    command::{COMMANDS, Command},
    log::padded,
};
use crate::sense::Sense;

/// One recording format.
struct Density {
    code: u8,
    medium_type_name: &'static str,
    bits_per_mm: u32,
    tracks: u16,
    capacity_mb: u32,
    name: &'static str,
    description: &'static str,
}

/// Formats of LTO-7 and LTO-8, as drives of these generations report them.
const DENSITIES: [Density; 2] = [
    Density {
        code: 0x5C,
        medium_type_name: "Ultrium 7 Data",
        bits_per_mm: 19_107,
        tracks: 3_584,
        capacity_mb: 6_000_000,
        name: "U-732",
        description: "Ultrium 7/16T",
    },
    Density {
        code: 0x5E,
        medium_type_name: "Ultrium 8 Data",
        bits_per_mm: 20_669,
        tracks: 6_656,
        capacity_mb: 12_000_000,
        name: "U-832",
        description: "Ultrium 8/32T",
    },
];

impl Drive {
    /// REPORT DENSITY SUPPORT: of the drive, or with MEDIA of the loaded cartridge.
    pub(super) fn report_density(&self, call: Call<'_>) -> CommandResult {
        const MEDIA: u8 = 0;
        const MEDIUM_TYPE: u8 = 1;
        let loaded = if call.cdb.bit(1, MEDIA) {
            Some(self.medium.threaded()?.density())
        } else {
            None
        };
        let own = self.profile.densities.first().copied();
        let wanted = DENSITIES.iter().filter(|density| {
            self.profile.densities.contains(&density.code) && loaded.is_none_or(|loaded| loaded == density.code)
        });
        let descriptors: Vec<u8> = if call.cdb.bit(1, MEDIUM_TYPE) {
            wanted.flat_map(Density::medium_type_descriptor).collect()
        } else {
            wanted
                .flat_map(|density| density.descriptor(own == Some(density.code)))
                .collect()
        };
        let mut answer = u16::try_from(descriptors.len() + 2)
            .unwrap_or(u16::MAX)
            .to_be_bytes()
            .to_vec();
        answer.extend_from_slice(&[0, 0]);
        answer.extend_from_slice(&descriptors);
        let allocation_length = u32::from(call.cdb.u16(7));
        call.reply(&answer, allocation_length)
    }

    /// REPORT SUPPORTED OPERATION CODES: all, one by operation code, one by operation code and service action, or by either.
    pub(super) fn report_operation_codes(&self, call: Call<'_>) -> CommandResult {
        const ALL: u8 = 0;
        const ONE: u8 = 1;
        const ONE_WITH_SERVICE_ACTION: u8 = 2;
        const ONE_OF_EITHER_KIND: u8 = 3;
        let (operation_code, service_action) = (call.cdb.byte(3), call.cdb.u16(4));
        let mut with_code = COMMANDS
            .iter()
            .filter(|command| command.operation_code() == operation_code)
            .peekable();
        let has_service_actions = with_code.peek().is_some_and(|command| command.service_action.is_some());
        let answer = match call.cdb.byte(2) & 0x07 {
            ALL => all_commands(),
            ONE if has_service_actions => return Err(Sense::invalid_cdb_field(2, 2).into()),
            ONE => one_command(with_code.next()),
            ONE_WITH_SERVICE_ACTION if with_code.peek().is_some() && !has_service_actions => {
                return Err(Sense::invalid_cdb_field(2, 2).into());
            }
            ONE_WITH_SERVICE_ACTION => {
                one_command(with_code.find(|command| command.service_action.map(u16::from) == Some(service_action)))
            }
            ONE_OF_EITHER_KIND => {
                one_command(with_code.find(|command| u16::from(command.service_action.unwrap_or(0)) == service_action))
            }
            _ => return Err(Sense::invalid_cdb_field(2, 2).into()),
        };
        let allocation_length = call.cdb.u32(6);
        call.reply(&answer, allocation_length)
    }
}

impl Density {
    /// Density support descriptor (52 bytes).
    fn descriptor(&self, default: bool) -> Vec<u8> {
        const WRITABLE: u8 = 0x80;
        const DEFAULT: u8 = 0x20;
        let [_, high, middle, low] = self.bits_per_mm.to_be_bytes();
        let mut descriptor = vec![
            self.code,
            self.code,
            WRITABLE | if default { DEFAULT } else { 0 },
            0,
            0,
            high,
            middle,
            low,
        ];
        // Media width 12.7 mm, in tenths.
        descriptor.extend_from_slice(&[0x00, 0x7F]);
        descriptor.extend_from_slice(&self.tracks.to_be_bytes());
        descriptor.extend_from_slice(&self.capacity_mb.to_be_bytes());
        descriptor.extend(padded("LTO-CVE", 8));
        descriptor.extend(padded(self.name, 8));
        descriptor.extend(padded(self.description, 20));
        descriptor
    }

    /// Medium type descriptor (56 bytes).
    fn medium_type_descriptor(&self) -> Vec<u8> {
        let mut descriptor = vec![0, 0, 0x00, 0x34, 1, self.code];
        descriptor.resize(14, 0);
        descriptor.extend_from_slice(&[0x00, 0x7F]);
        descriptor.extend_from_slice(&960_u16.to_be_bytes());
        descriptor.resize(20, 0);
        descriptor.extend(padded("LTO-CVE", 8));
        descriptor.extend(padded(self.name, 8));
        descriptor.extend(padded(self.medium_type_name, 20));
        descriptor
    }
}

fn all_commands() -> Vec<u8> {
    const SERVICE_ACTION_VALID: u8 = 0x01;
    let mut descriptors = Vec::new();
    for command in &COMMANDS {
        let [high, low] = u16::from(command.service_action.unwrap_or(0)).to_be_bytes();
        let flags = if command.service_action.is_some() {
            SERVICE_ACTION_VALID
        } else {
            0
        };
        let [length_high, length_low] = u16::try_from(command.usage.len()).unwrap_or(0).to_be_bytes();
        let descriptor = [
            command.operation_code(),
            0,
            high,
            low,
            0,
            flags,
            length_high,
            length_low,
        ];
        descriptors.extend_from_slice(&descriptor);
    }
    let mut answer = u32::try_from(descriptors.len())
        .unwrap_or(u32::MAX)
        .to_be_bytes()
        .to_vec();
    answer.extend_from_slice(&descriptors);
    answer
}

fn one_command(command: Option<&Command>) -> Vec<u8> {
    const NOT_SUPPORTED: u8 = 1;
    const SUPPORTED: u8 = 3;
    let Some(command) = command else {
        return vec![0, NOT_SUPPORTED, 0, 0];
    };
    let mut answer = vec![0, SUPPORTED];
    answer.extend_from_slice(&u16::try_from(command.usage.len()).unwrap_or(0).to_be_bytes());
    answer.extend_from_slice(command.usage);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lays_out_densities_as_documented() {
        let lto8 = DENSITIES[1].descriptor(true);
        assert_eq!(lto8.len(), 52);
        assert_eq!(
            lto8[..16],
            [
                0x5E, 0x5E, 0xA0, 0, 0, 0x00, 0x50, 0xBD, 0x00, 0x7F, 0x1A, 0x00, 0x00, 0xB7, 0x1B, 0x00
            ]
        );
        assert_eq!(&lto8[16..32], b"LTO-CVE U-832   ");
        assert_eq!(DENSITIES[0].medium_type_descriptor().len(), 56);
    }

    #[test]
    fn shows_one_command_with_its_usage_data() {
        assert_eq!(one_command(Command::find(&[0]).ok()), [0, 3, 0, 6, 0, 0, 0, 0, 0, 0]);
        assert_eq!(one_command(None), [0, 1, 0, 0]);
    }
}
