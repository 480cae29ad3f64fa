//! CDBs in words: the command's name and the fields that matter (SPC-4, SSC-4).

use super::{byte, hex, number};

/// Name and fields of a command.
pub(super) fn describe(cdb: &[u8]) -> String {
    let Some(name) = name(cdb) else {
        return format!("command {}", hex(cdb));
    };
    let fields = fields(cdb);
    if fields.is_empty() {
        name.to_owned()
    } else {
        format!("{name} {fields}")
    }
}

/// The standard's name of a command.
pub(in crate::front) fn name(cdb: &[u8]) -> Option<&'static str> {
    let service_action = byte(cdb, 1) & 0x1F;
    Some(match byte(cdb, 0) {
        _ if cdb.is_empty() => return None,
        0x00 => "TEST UNIT READY",
        0x01 => "REWIND",
        0x03 => "REQUEST SENSE",
        0x04 => "FORMAT MEDIUM",
        0x05 => "READ BLOCK LIMITS",
        0x08 => "READ(6)",
        0x0A => "WRITE(6)",
        0x10 => "WRITE FILEMARKS(6)",
        0x11 => "SPACE(6)",
        0x12 => "INQUIRY",
        0x13 => "VERIFY(6)",
        0x15 => "MODE SELECT(6)",
        0x16 => "RESERVE(6)",
        0x17 => "RELEASE(6)",
        0x19 => "ERASE(6)",
        0x1A => "MODE SENSE(6)",
        0x1B => "LOAD UNLOAD",
        0x1E => "PREVENT ALLOW MEDIUM REMOVAL",
        0x2B => "LOCATE(10)",
        0x34 => "READ POSITION",
        0x44 => "REPORT DENSITY SUPPORT",
        0x4C => "LOG SELECT",
        0x4D => "LOG SENSE",
        0x55 => "MODE SELECT(10)",
        0x5A => "MODE SENSE(10)",
        0x5E => "PERSISTENT RESERVE IN",
        0x5F => "PERSISTENT RESERVE OUT",
        0x80 => "WRITE FILEMARKS(16)",
        0x8C => "READ ATTRIBUTE",
        0x8D => "WRITE ATTRIBUTE",
        0x91 => "SPACE(16)",
        0x92 => "LOCATE(16)",
        0xA0 => "REPORT LUNS",
        0xA2 => "SECURITY PROTOCOL IN",
        0xA3 if service_action == 0x0C => "REPORT SUPPORTED OPERATION CODES",
        0xA3 if service_action == 0x0F => "REPORT TIMESTAMP",
        0xA4 if service_action == 0x0F => "SET TIMESTAMP",
        0xB5 => "SECURITY PROTOCOL OUT",
        _ => return None,
    })
}

fn fields(cdb: &[u8]) -> String {
    let flag = |at: usize, bit: u8, word: &'static str| (byte(cdb, at) & (1 << bit) != 0).then(|| word.to_owned());
    let words: Vec<Option<String>> = match byte(cdb, 0) {
        0x08 | 0x0A | 0x13 => {
            let length = number(cdb, 2, 3);
            let fixed = byte(cdb, 1) & 1 != 0;
            let what = if fixed {
                format!("{length} fixed blocks")
            } else {
                format!("{length} bytes")
            };
            vec![Some(what), flag(1, 1, "SILI")]
        }
        0x10 => vec![Some(number(cdb, 2, 3).to_string()), flag(1, 0, "IMMED")],
        0x80 => vec![Some(number(cdb, 12, 3).to_string()), flag(1, 0, "IMMED")],
        0x11 => {
            let count = number(cdb, 2, 3).cast_signed();
            let count = if count >= 1 << 23 { count - (1 << 24) } else { count };
            vec![Some(space(byte(cdb, 1), count))]
        }
        0x91 => vec![Some(space(byte(cdb, 1), number(cdb, 4, 8).cast_signed()))],
        0x2B => vec![Some(format!("object {}", number(cdb, 3, 4))), flag(1, 0, "IMMED")],
        0x92 => vec![Some(destination(byte(cdb, 1), number(cdb, 4, 8))), flag(1, 0, "IMMED")],
        0x12 if byte(cdb, 1) & 1 != 0 => vec![Some(format!("vital product data page {:02X}h", byte(cdb, 2)))],
        0x1A | 0x5A => {
            let (page, subpage) = (byte(cdb, 2) & 0x3F, byte(cdb, 3));
            let control = ["current", "changeable", "default", "saved"];
            let control = control.get(usize::from(byte(cdb, 2) >> 6)).copied().unwrap_or_default();
            vec![Some(format!("page {page:02X}h/{subpage:02X}h, {control} values"))]
        }
        0x4C | 0x4D => vec![Some(format!("page {:02X}h", byte(cdb, 2) & 0x3F))],
        0x1B => {
            let load = byte(cdb, 4) & 1 != 0;
            vec![
                Some(if load { "load" } else { "unload" }.to_owned()),
                flag(4, 3, "HOLD"),
                flag(1, 0, "IMMED"),
            ]
        }
        0x1E => vec![Some(if byte(cdb, 4) & 3 == 0 { "allow" } else { "prevent" }.to_owned())],
        0x8C => vec![Some(format!(
            "service action {:02X}h from attribute {:04X}h",
            byte(cdb, 1) & 0x1F,
            number(cdb, 8, 2)
        ))],
        0xA2 | 0xB5 => vec![Some(format!("{:02X}h page {:04X}h", byte(cdb, 1), number(cdb, 2, 2)))],
        _ => vec![],
    };
    words.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn space(code: u8, count: i64) -> String {
    match code & 0x0F {
        0 => format!("{count} blocks"),
        1 => format!("{count} filemarks"),
        3 => "to the end of data".to_owned(),
        code => format!("{count} of code {code:X}h"),
    }
}

fn destination(flags: u8, number: u64) -> String {
    match (flags >> 3) & 0x07 {
        0 => format!("object {number}"),
        1 => format!("file {number}"),
        3 => "end of data".to_owned(),
        kind => format!("destination type {kind}, {number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_commands_and_what_matters_in_them() {
        for (cdb, words) in [
            (&[0x08, 2, 1, 0, 0, 0][..], "READ(6) 65536 bytes, SILI"),
            (&[0x0A, 1, 0, 0, 4, 0], "WRITE(6) 4 fixed blocks"),
            (&[0x11, 1, 0xFF, 0xFF, 0xFE, 0], "SPACE(6) -2 filemarks"),
            (
                &[0x1A, 8, 0x7F, 0xFF, 255, 0],
                "MODE SENSE(6) page 3Fh/FFh, changeable values",
            ),
            (&[0x1B, 0, 0, 0, 9, 0], "LOAD UNLOAD load, HOLD"),
            (&[0x12, 1, 0x80, 0, 255, 0], "INQUIRY vital product data page 80h"),
            (
                &[0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 52, 0, 0],
                "SECURITY PROTOCOL OUT 20h page 0010h",
            ),
            (&[0xA3, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], "REPORT TIMESTAMP"),
            (&[0xA3, 0x1F, 0], "command A31F00"),
            (&[0xEE, 1], "command EE01"),
            (&[], "command "),
        ] {
            assert_eq!(describe(cdb), words);
        }
    }

    #[test]
    fn a_command_cut_short_is_described_all_the_same() {
        for code in 0..=0xFF {
            for length in 1..17 {
                let mut cdb = vec![code];
                cdb.resize(length, 0xFF);
                assert!(!describe(&cdb).is_empty());
            }
        }
    }
}
