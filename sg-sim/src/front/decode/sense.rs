//! Sense data in words: key, code and qualifier with their names, flags, INFORMATION, field pointer (SPC-4, "Sense data").

use super::{byte, hex, number};
use std::fmt::Write;

/// Sense data of either format in words; in hexadecimal what is of neither.
pub(super) fn describe(sense: &[u8]) -> String {
    match sense.first().map(|code| code & 0x7F) {
        Some(0x70 | 0x71) if sense.len() >= 18 => fixed(sense),
        Some(0x72 | 0x73) if sense.len() >= 8 => descriptors(sense),
        _ => format!("sense {}", hex(sense)),
    }
}

fn fixed(sense: &[u8]) -> String {
    let code = [byte(sense, 2) & 0x0F, byte(sense, 12), byte(sense, 13)];
    let mut text = named(code, byte(sense, 0) & 0x01 != 0);
    flags(&mut text, byte(sense, 2));
    if byte(sense, 0) & 0x80 != 0 {
        information(
            &mut text,
            i64::from(
                number(sense, 3, 4)
                    .to_be_bytes()
                    .last_chunk()
                    .map_or(0, |word| i32::from_be_bytes(*word)),
            ),
        );
    }
    pointer(&mut text, sense.get(15..18).unwrap_or_default());
    text
}

fn descriptors(sense: &[u8]) -> String {
    let mut text = named(
        [byte(sense, 1) & 0x0F, byte(sense, 2), byte(sense, 3)],
        byte(sense, 0) & 0x01 != 0,
    );
    let mut rest = sense.get(8..).unwrap_or_default();
    while let Some(([kind, length], behind)) = rest.split_first_chunk() {
        let Some((value, after)) = behind.split_at_checked(usize::from(*length)) else {
            break;
        };
        match kind {
            0x00 => information(&mut text, number(value, 2, 8).cast_signed()),
            0x02 => pointer(&mut text, value.get(2..5).unwrap_or_default()),
            0x04 => flags(&mut text, byte(value, 1)),
            _ => {}
        }
        rest = after;
    }
    text
}

fn named([key, asc, ascq]: [u8; 3], deferred: bool) -> String {
    let mut text = format!("{key:02X}/{asc:02X}/{ascq:02X}");
    if let Some((.., name)) = NAMES.iter().find(|(code, ..)| *code == [asc, ascq]) {
        text.push(' ');
        text.push_str(name);
    }
    if deferred {
        text.push_str(", deferred");
    }
    text
}

fn flags(text: &mut String, flags: u8) {
    for (bit, name) in [(0x80, "FILEMARK"), (0x40, "EOM"), (0x20, "ILI")] {
        if flags & bit != 0 {
            text.push_str(", ");
            text.push_str(name);
        }
    }
}

fn information(text: &mut String, value: i64) {
    // Writing to a string does not fail, here and below.
    let _ = write!(text, ", information {value}");
}

fn pointer(text: &mut String, specific: &[u8]) {
    let [first, high, low] = specific else { return };
    if first & 0x80 == 0 {
        return;
    }
    let place = if first & 0x40 != 0 { "CDB" } else { "parameter list" };
    let _ = write!(text, ", at byte {} of the {place}", u16::from_be_bytes([*high, *low]));
    if first & 0x08 != 0 {
        let _ = write!(text, ", bit {}", first & 0x07);
    }
}

/// Names of the codes that this drive and its faults send most (SPC-4, "ASC and ASCQ assignments").
const NAMES: [([u8; 2], &str); 47] = [
    ([0x00, 0x01], "filemark detected"),
    ([0x00, 0x02], "end of partition or medium detected"),
    ([0x00, 0x04], "beginning of partition or medium detected"),
    ([0x00, 0x05], "end of data detected"),
    ([0x00, 0x07], "programmable early warning detected"),
    ([0x04, 0x01], "becoming ready"),
    ([0x04, 0x02], "initializing command required"),
    ([0x04, 0x07], "operation in progress"),
    ([0x0C, 0x00], "write error"),
    ([0x11, 0x00], "unrecovered read error"),
    ([0x14, 0x03], "end of data not found"),
    ([0x1A, 0x00], "parameter list length error"),
    ([0x20, 0x00], "invalid command operation code"),
    ([0x24, 0x00], "invalid field in CDB"),
    ([0x25, 0x00], "logical unit not supported"),
    ([0x26, 0x00], "invalid field in parameter list"),
    ([0x26, 0x10], "data decryption key fail limit reached"),
    ([0x26, 0x11], "incomplete key-associated data set"),
    ([0x27, 0x01], "hardware write protected"),
    ([0x27, 0x02], "logical unit software write protected"),
    ([0x28, 0x00], "medium may have changed"),
    ([0x29, 0x00], "power on, reset or bus device reset occurred"),
    ([0x29, 0x02], "SCSI bus reset occurred"),
    ([0x29, 0x03], "bus device reset function occurred"),
    ([0x29, 0x07], "I_T nexus loss occurred"),
    ([0x2A, 0x01], "mode parameters changed"),
    ([0x2A, 0x10], "timestamp changed"),
    ([0x2A, 0x11], "data encryption parameters changed by another I_T nexus"),
    (
        [0x2A, 0x12],
        "data encryption parameters changed by vendor-specific event",
    ),
    ([0x2A, 0x13], "data encryption key instance counter has changed"),
    ([0x30, 0x03], "cleaning cartridge installed"),
    ([0x30, 0x05], "cannot write medium, incompatible format"),
    ([0x39, 0x00], "saving parameters not supported"),
    ([0x3A, 0x00], "medium not present"),
    ([0x3B, 0x0C], "position past beginning of medium"),
    ([0x4B, 0x00], "data phase error"),
    ([0x53, 0x02], "medium removal prevented"),
    ([0x55, 0x03], "insufficient resources"),
    ([0x74, 0x00], "security error"),
    ([0x74, 0x01], "unable to decrypt data"),
    ([0x74, 0x02], "unencrypted data encountered while decrypting"),
    ([0x74, 0x03], "incorrect data encryption key"),
    ([0x74, 0x04], "cryptographic integrity validation failed"),
    ([0x74, 0x09], "encryption mode mismatch on read"),
    ([0x74, 0x0A], "encrypted block not raw read enabled"),
    ([0x74, 0x0B], "incorrect encryption parameters"),
    ([0x74, 0x21], "data encryption configuration prevented"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_a_captured_drive_sent() {
        let index_zero = [0x70, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0x26, 0, 0, 0x8F, 0, 8];
        assert_eq!(
            describe(&index_zero),
            "05/26/00 invalid field in parameter list, at byte 8 of the parameter list, bit 7"
        );
        let filemark = [0xF0, 0, 0x80, 0, 8, 0, 0, 0x10, 0, 0, 0, 0, 0, 1, 0, 0, 0x30, 0x21];
        assert_eq!(
            describe(&filemark),
            "00/00/01 filemark detected, FILEMARK, information 524288"
        );
    }

    #[test]
    fn reads_descriptors_and_deferred_errors() {
        let short_block = [
            0x73, 0, 0, 0, 0, 0, 0, 16, 0, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 2, 0, 0x20,
        ];
        assert_eq!(describe(&short_block), "00/00/00, deferred, information 2, ILI");
        let mut long_block = vec![0xF0, 0, 0x20, 0xFF, 0xFF, 0xFF, 0xFE, 10];
        long_block.resize(18, 0);
        assert_eq!(describe(&long_block), "00/00/00, ILI, information -2");
    }

    #[test]
    fn shows_what_it_does_not_know_as_it_is() {
        assert_eq!(describe(&[0x7F, 1]), "sense 7F01");
        let mut vendor = vec![0x70, 0, 3, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0xEE, 0x0E];
        vendor.resize(18, 0);
        assert_eq!(describe(&vendor), "03/EE/0E");
    }
}
