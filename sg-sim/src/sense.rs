//! Sense data: why a command ended as it did (SPC-4, "Sense data").
//!
//! Fixed format (70h) unless the Control mode page asks for descriptor format (72h). Deferred errors come
//! from [`fault`](crate::fault) alone.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use thiserror::Error;

/// Sense key, additional sense code and its qualifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct SenseCode {
    /// Sense key, 0h to Fh.
    pub key: u8,
    /// Additional sense code.
    pub asc: u8,
    /// Additional sense code qualifier.
    pub ascq: u8,
}

/// Text that is not KEY/ASC/ASCQ in hexadecimal.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "read sense code {text:?}: not key, code and qualifier\nhint: write it like 05/24/00, three hexadecimal numbers, the key at most 0F"
)]
pub struct SenseCodeError {
    text: String,
}

impl SenseCode {
    /// The sense `key`/`asc`/`ascq`; only the low four bits of the key count.
    #[must_use]
    pub const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self {
            key: key & 0x0F,
            asc,
            ascq,
        }
    }
}

impl fmt::Display for SenseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02X}/{:02X}/{:02X}", self.key, self.asc, self.ascq)
    }
}

impl FromStr for SenseCode {
    type Err = SenseCodeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = || SenseCodeError { text: text.to_owned() };
        let mut parts = text.split('/').map(|part| match part.len() {
            2 if part.bytes().all(|byte| byte.is_ascii_hexdigit()) => u8::from_str_radix(part, 16).ok(),
            _ => None,
        });
        match (
            parts.next().flatten(),
            parts.next().flatten(),
            parts.next().flatten(),
            parts.next(),
        ) {
            (Some(key @ 0..=0x0F), Some(asc), Some(ascq), None) => Ok(Self { key, asc, ascq }),
            _ => Err(refused()),
        }
    }
}

impl From<SenseCode> for String {
    fn from(code: SenseCode) -> Self {
        code.to_string()
    }
}

impl TryFrom<String> for SenseCode {
    type Error = SenseCodeError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

/// Where in a CDB or a parameter list the drive found what it refuses (SPC-4, "Field pointer sense-key specific data").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct FieldPointer {
    /// The field is in the CDB, not in the parameter list (C/D).
    pub(crate) in_cdb: bool,
    /// Number of the byte.
    pub(crate) byte: u16,
    /// Left-most bit of the field, 7 to 0.
    pub(crate) bit: u8,
}

/// Sense data of one command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sense {
    code: SenseCode,
    information: Option<i64>,
    field_pointer: Option<FieldPointer>,
    progress: Option<u16>,
    filemark: bool,
    end_of_medium: bool,
    incorrect_length: bool,
}

impl Sense {
    /// Sense with this code and nothing else.
    pub(crate) const fn new(key: u8, asc: u8, ascq: u8) -> Self {
        Self::from_code(SenseCode::new(key, asc, ascq))
    }

    /// Sense with this code and nothing else.
    pub(crate) const fn from_code(code: SenseCode) -> Self {
        Self {
            code,
            information: None,
            field_pointer: None,
            progress: None,
            filemark: false,
            end_of_medium: false,
            incorrect_length: false,
        }
    }

    /// 05/24/00 invalid field in CDB, at this byte and left-most bit.
    pub(crate) const fn invalid_cdb_field(byte: u16, bit: u8) -> Self {
        let mut sense = Self::new(0x5, 0x24, 0x00);
        sense.field_pointer = Some(FieldPointer {
            in_cdb: true,
            byte,
            bit,
        });
        sense
    }

    /// 05/26/00 invalid field in parameter list, at this byte and left-most bit.
    pub(crate) const fn invalid_parameter_field(byte: u16, bit: u8) -> Self {
        let mut sense = Self::new(0x5, 0x26, 0x00);
        sense.field_pointer = Some(FieldPointer {
            in_cdb: false,
            byte,
            bit,
        });
        sense
    }

    /// Adds the INFORMATION field: what was asked for less what was done.
    pub(crate) const fn with_information(mut self, information: i64) -> Self {
        self.information = Some(information);
        self
    }

    /// Adds the INFORMATION field if there is one.
    pub(crate) const fn with_information_if(mut self, information: Option<i64>) -> Self {
        self.information = information;
        self
    }

    /// Adds how far something has come, in 65 536ths.
    pub(crate) const fn with_progress(mut self, progress: u16) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Sets FILEMARK: the command met a filemark.
    pub(crate) const fn at_filemark(mut self) -> Self {
        self.filemark = true;
        self
    }

    /// Sets EOM: the tape is near its end, at its end, or at its beginning while moving backwards.
    pub(crate) const fn at_end_of_medium(mut self) -> Self {
        self.end_of_medium = true;
        self
    }

    /// Sets ILI: the block has another length than asked for.
    pub(crate) const fn of_incorrect_length(mut self) -> Self {
        self.incorrect_length = true;
        self
    }

    /// Sense key.
    pub(crate) const fn key(&self) -> u8 {
        self.code.key
    }

    /// Key, code and qualifier.
    #[cfg(test)]
    pub(crate) const fn code(&self) -> SenseCode {
        self.code
    }

    /// Encodes in fixed format, `sense_bytes` long (at least 18).
    pub(crate) fn encode_fixed(&self, sense_bytes: usize) -> Vec<u8> {
        let mut head = [0; FIXED_BYTES_MIN];
        // The field has 32 bits; a residue that does not fit leaves VALID at zero (SPC-4, "Information field").
        let information = self.information.and_then(to_32_bits);
        head[0] = 0x70 | if information.is_some() { VALID } else { 0 };
        head[2] = self.code.key | self.flags();
        head[3..7].copy_from_slice(&information.unwrap_or([0; 4]));
        head[12] = self.code.asc;
        head[13] = self.code.ascq;
        head[15..18].copy_from_slice(&self.sense_key_specific().unwrap_or([0; 3]));
        let mut sense = head.to_vec();
        sense.resize(sense_bytes.clamp(FIXED_BYTES_MIN, SENSE_BYTES_MAX), 0);
        if let (Ok(additional), Some(byte)) = (u8::try_from(sense.len() - 8), sense.get_mut(7)) {
            *byte = additional;
        }
        sense
    }

    /// Encodes in descriptor format, with only those descriptors that say something.
    pub(crate) fn encode_descriptors(&self) -> Vec<u8> {
        let mut sense = vec![0x72, self.code.key, self.code.asc, self.code.ascq, 0, 0, 0, 0];
        if let Some(information) = self.information {
            sense.extend_from_slice(&[0x00, 0x0A, VALID, 0x00]);
            sense.extend_from_slice(&information.to_be_bytes());
        }
        if let Some([first, second, third]) = self.sense_key_specific() {
            sense.extend_from_slice(&[0x02, 0x06, 0x00, 0x00, first, second, third, 0x00]);
        }
        if self.flags() != 0 {
            sense.extend_from_slice(&[0x04, 0x02, 0x00, self.flags()]);
        }
        if let (Ok(additional), Some(byte)) = (u8::try_from(sense.len() - 8), sense.get_mut(7)) {
            *byte = additional;
        }
        sense
    }

    fn flags(&self) -> u8 {
        (u8::from(self.filemark) << 7) | (u8::from(self.end_of_medium) << 6) | (u8::from(self.incorrect_length) << 5)
    }

    fn sense_key_specific(&self) -> Option<[u8; 3]> {
        if let Some(progress) = self.progress {
            let [high, low] = progress.to_be_bytes();
            return Some([SKSV, high, low]);
        }
        let FieldPointer { in_cdb, byte, bit } = self.field_pointer?;
        let [high, low] = byte.to_be_bytes();
        Some([SKSV | (u8::from(in_cdb) << 6) | BPV | (bit & 0x07), high, low])
    }
}

/// The four bytes of a fixed INFORMATION field: counts up to 2^32-1, or a negative number in two's complement.
fn to_32_bits(information: i64) -> Option<[u8; 4]> {
    u32::try_from(information)
        .map(u32::to_be_bytes)
        .or_else(|_| i32::try_from(information).map(i32::to_be_bytes))
        .ok()
}

const VALID: u8 = 0x80;
const SKSV: u8 = 0x80;
const BPV: u8 = 0x08;
const FIXED_BYTES_MIN: usize = 18;
const SENSE_BYTES_MAX: usize = 252;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_at_the_refused_field_as_a_captured_drive_does() {
        let index_zero = Sense::invalid_parameter_field(8, 7).encode_fixed(24);
        assert_eq!(
            index_zero[..18],
            [0x70, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0x26, 0, 0, 0x8F, 0, 8]
        );
        let vpd_page = Sense::invalid_cdb_field(2, 7).encode_fixed(24);
        assert_eq!(
            vpd_page[..18],
            [0x70, 0, 5, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0x24, 0, 0, 0xCF, 0, 2]
        );
        assert_eq!(vpd_page.len(), 24);
    }

    #[test]
    fn reports_a_filemark_with_the_requested_length() {
        let sense = Sense::new(0, 0, 1)
            .at_filemark()
            .with_information(0x0008_0000)
            .encode_fixed(24);
        assert_eq!(sense[..14], [0xF0, 0, 0x80, 0, 8, 0, 0, 0x10, 0, 0, 0, 0, 0, 1]);
    }

    #[test]
    fn counts_a_block_that_was_too_long_below_zero() {
        let sense = Sense::new(0, 0, 0).of_incorrect_length().with_information(-2);
        assert_eq!(sense.encode_fixed(18)[..7], [0xF0, 0, 0x20, 0xFF, 0xFF, 0xFF, 0xFE]);
        assert_eq!(
            sense.encode_descriptors(),
            [
                0x72, 0, 0, 0, 0, 0, 0, 16, 0, 10, 0x80, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 4, 2, 0,
                0x20
            ]
        );
    }

    #[test]
    fn leaves_valid_at_zero_when_the_residue_needs_more_than_32_bits() {
        let sense = Sense::new(8, 0, 5).with_information(1 << 32).encode_fixed(36);
        assert_eq!((sense[0], sense[7]), (0x70, 28));
    }

    #[test]
    fn reads_sense_codes_as_people_write_them() {
        assert_eq!("07/26/10".parse(), Ok(SenseCode::new(7, 0x26, 0x10)));
        assert_eq!(SenseCode::new(7, 0x2A, 0x13).to_string(), "07/2A/13");
        for text in [
            "",
            "5/24/00",
            "05/24",
            "05/24/00/00",
            "10/24/00",
            "05/+4/00",
            "05-24-00",
        ] {
            assert!(text.parse::<SenseCode>().is_err(), "{text:?}");
        }
    }
}
