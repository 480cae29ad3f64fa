//! Pages of protocol 20h in words (SSC-4): what was set, what is in force, what lies before the head.

use super::{byte, hex, number};
use std::fmt::Write;

const ENCRYPTION_MODES: [&str; 3] = ["DISABLE", "EXTERNAL", "ENCRYPT"];
const DECRYPTION_MODES: [&str; 4] = ["DISABLE", "RAW", "DECRYPT", "MIXED"];
const SCOPES: [&str; 3] = ["PUBLIC", "LOCAL", "ALL I_T NEXUS"];
const KADS: [&str; 5] = ["U-KAD", "A-KAD", "nonce", "M-KAD", "WK-KAD"];

/// A word of a list; in hexadecimal what has none.
fn word(words: &[&str], code: u8) -> String {
    words
        .get(usize::from(code))
        .map_or_else(|| format!("{code:02X}h"), |word| (*word).to_owned())
}

/// Set Data Encryption: its fixed part, and its KADs if they were kept.
pub(super) fn set_data_encryption(fixed: &[u8], kads: &[u8]) -> String {
    if fixed.len() < 20 || number(fixed, 0, 2) != 0x0010 {
        return "not a Set Data Encryption page".to_owned();
    }
    let control = byte(fixed, 5);
    let mut text = format!(
        "scope {}, encryption {}, decryption {}, algorithm index {}",
        word(&SCOPES, byte(fixed, 4) >> 5),
        word(&ENCRYPTION_MODES, byte(fixed, 6)),
        word(&DECRYPTION_MODES, byte(fixed, 7)),
        byte(fixed, 8)
    );
    if control >> 6 != 0 {
        // Writing to a string does not fail, here and below.
        let _ = write!(text, ", CEEM {}", control >> 6);
    }
    if (control >> 4) & 0x03 != 0 {
        let _ = write!(text, ", RDMC {}", (control >> 4) & 0x03);
    }
    let flags = [
        (byte(fixed, 4) & 0x01, "LOCK"),
        (control & 0x08, "SDK"),
        (control & 0x04, "CKOD"),
        (control & 0x02, "CKORP"),
        (control & 0x01, "CKORL"),
    ];
    for (_, name) in flags.iter().filter(|(bit, _)| *bit != 0) {
        let _ = write!(text, ", {name}");
    }
    match number(fixed, 18, 2) {
        0 => text.push_str(", no key"),
        length => {
            let _ = write!(
                text,
                ", a key of {length} bytes (format {:02X}h, not shown)",
                byte(fixed, 9)
            );
        }
    }
    text + &descriptors(kads)
}

/// What SECURITY PROTOCOL IN of protocol 20h answered.
pub(super) fn security_page(page: &[u8]) -> String {
    match number(page, 0, 2) {
        0x0010 if page.len() >= 44 => format!(
            "CFG_P {}, EXTDECC {}; algorithm index {}, U-KAD up to {} bytes, A-KAD up to {}, algorithm {:08X}h",
            byte(page, 4) & 0x03,
            (byte(page, 4) >> 2) & 0x03,
            byte(page, 20),
            number(page, 26, 2),
            number(page, 28, 2),
            number(page, 40, 4)
        ),
        0x0020 if page.len() >= 24 => {
            let text = format!(
                "scope {}, of {}, encryption {}, decryption {}, key instance counter {}, controlled by {}",
                word(&SCOPES, byte(page, 4) >> 5),
                word(&SCOPES, byte(page, 4) & 0x07),
                word(&ENCRYPTION_MODES, byte(page, 5)),
                word(&DECRYPTION_MODES, byte(page, 6)),
                number(page, 8, 4),
                word(&CONTROLLERS, (byte(page, 12) >> 4) & 0x07)
            );
            text + &descriptors(page.get(24..).unwrap_or_default())
        }
        0x0021 if page.len() >= 16 => {
            let text = format!(
                "object {}: {}",
                number(page, 4, 8),
                word(&BLOCKS, byte(page, 12) & 0x0F)
            );
            text + &descriptors(page.get(16..).unwrap_or_default())
        }
        _ => format!("page {}", hex(page)),
    }
}

/// KAD descriptors; text beside those that are text.
fn descriptors(mut rest: &[u8]) -> String {
    let mut text = String::new();
    while let Some(([kind, _, high, low], behind)) = rest.split_first_chunk() {
        let Some((data, after)) = behind.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
            break;
        };
        let _ = write!(text, ", {} {}", word(&KADS, *kind), hex(data));
        if !data.is_empty() && data.iter().all(|byte| (0x20..0x7F).contains(byte)) {
            let _ = write!(text, " {:?}", String::from_utf8_lossy(data));
        }
        rest = after;
    }
    text
}

const CONTROLLERS: [&str; 5] = [
    "nobody says whom",
    "nobody alone",
    "this device server",
    "the library",
    "a management interface",
];
const BLOCKS: [&str; 7] = [
    "cannot say",
    "not known now",
    "not a block",
    "plain",
    "encrypted, unknown algorithm",
    "encrypted, the key fits",
    "encrypted, another key is needed",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_set_and_not_the_key() {
        let fixed = [
            0x00, 0x10, 0x00, 0x38, 0x41, 0x64, 2, 3, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
        ];
        assert_eq!(
            set_data_encryption(&fixed, b"\0\0\0\x04name"),
            "scope ALL I_T NEXUS, encryption ENCRYPT, decryption MIXED, algorithm index 1, CEEM 1, RDMC 2, LOCK, CKOD, \
             a key of 32 bytes (format 00h, not shown), U-KAD 6E616D65 \"name\""
        );
        assert_eq!(set_data_encryption(&fixed[..19], &[]), "not a Set Data Encryption page");
    }

    #[test]
    fn says_what_captured_pages_say() {
        let in_force = [
            0x00, 0x20, 0x00, 0x24, 0x42, 0x02, 0x02, 0x01, 0, 0, 0, 1, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0,
            12, 0x48, 0x65, 0x6C, 0x6C, 0x6F, 0x20, 0x77, 0x6F, 0x72, 0x6C, 0x64, 0x21,
        ];
        assert_eq!(
            security_page(&in_force),
            "scope ALL I_T NEXUS, of ALL I_T NEXUS, encryption ENCRYPT, decryption DECRYPT, key instance counter 1, \
             controlled by nobody alone, U-KAD 48656C6C6F20776F726C6421 \"Hello world!\""
        );
        let plain = [0x00, 0x21, 0x00, 0x0C, 0, 0, 0, 0, 0, 0, 0, 7, 3, 0, 0, 0];
        assert_eq!(security_page(&plain), "object 7: plain");
    }

    #[test]
    fn shows_what_it_does_not_know_or_what_is_cut_as_it_is() {
        assert_eq!(security_page(&[0x00, 0x20, 0x00]), "page 002000");
        assert_eq!(security_page(&[0x00, 0x99]), "page 0099");
        for length in 0..24 {
            assert!(!security_page(&vec![0x21; length]).is_empty());
        }
    }
}
