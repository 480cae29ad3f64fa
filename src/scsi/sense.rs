//! Sense data, fixed (70h, 71h) and descriptor (72h, 73h) format (SPC-5, "Sense data").

use std::fmt;

use super::sense_names::additional_sense_name;

/// SENSE KEY: the coarse kind of what happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the standard's own")]
pub enum SenseKey {
    NoSense,
    RecoveredError,
    NotReady,
    MediumError,
    HardwareError,
    IllegalRequest,
    UnitAttention,
    DataProtect,
    BlankCheck,
    VendorSpecific,
    CopyAborted,
    AbortedCommand,
    /// Ch is reserved.
    Reserved,
    VolumeOverflow,
    Miscompare,
    Completed,
}

impl SenseKey {
    fn from_low_nibble(byte: u8) -> Self {
        match byte & 0x0F {
            0x0 => Self::NoSense,
            0x1 => Self::RecoveredError,
            0x2 => Self::NotReady,
            0x3 => Self::MediumError,
            0x4 => Self::HardwareError,
            0x5 => Self::IllegalRequest,
            0x6 => Self::UnitAttention,
            0x7 => Self::DataProtect,
            0x8 => Self::BlankCheck,
            0x9 => Self::VendorSpecific,
            0xA => Self::CopyAborted,
            0xB => Self::AbortedCommand,
            0xC => Self::Reserved,
            0xD => Self::VolumeOverflow,
            0xE => Self::Miscompare,
            _ => Self::Completed,
        }
    }
}

impl fmt::Display for SenseKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::NoSense => "NO SENSE",
            Self::RecoveredError => "RECOVERED ERROR",
            Self::NotReady => "NOT READY",
            Self::MediumError => "MEDIUM ERROR",
            Self::HardwareError => "HARDWARE ERROR",
            Self::IllegalRequest => "ILLEGAL REQUEST",
            Self::UnitAttention => "UNIT ATTENTION",
            Self::DataProtect => "DATA PROTECT",
            Self::BlankCheck => "BLANK CHECK",
            Self::VendorSpecific => "VENDOR SPECIFIC",
            Self::CopyAborted => "COPY ABORTED",
            Self::AbortedCommand => "ABORTED COMMAND",
            Self::Reserved => "SENSE KEY Ch",
            Self::VolumeOverflow => "VOLUME OVERFLOW",
            Self::Miscompare => "MISCOMPARE",
            Self::Completed => "COMPLETED",
        })
    }
}

/// ADDITIONAL SENSE CODE and its qualifier.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AdditionalSense {
    /// ASC.
    pub asc: u8,
    /// ASCQ.
    pub ascq: u8,
}

impl AdditionalSense {
    /// `asc`/`ascq`.
    #[must_use]
    pub const fn new(asc: u8, ascq: u8) -> Self {
        Self { asc, ascq }
    }
}

impl fmt::Display for AdditionalSense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:02X}h/{:02X}h", self.asc, self.ascq)
    }
}

impl fmt::Debug for AdditionalSense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// Which field a drive did not accept (sense-key specific data of ILLEGAL REQUEST).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FieldPointer {
    /// C/D: the field is in the CDB, not in the parameter list.
    pub in_cdb: bool,
    /// First byte of the field.
    pub byte: u16,
    /// Most significant bit of the field, where the drive says it (BPV).
    pub bit: Option<u8>,
}

/// Sense data as a drive sent it, in whichever format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sense {
    /// The error belongs to an earlier command; the present one was not executed (71h, 73h).
    pub deferred: bool,
    /// SENSE KEY.
    pub key: SenseKey,
    /// ASC/ASCQ; 00h/00h if the sense data end before them.
    pub additional: AdditionalSense,
    /// FILEMARK bit.
    pub filemark: bool,
    /// EOM bit.
    pub end_of_medium: bool,
    /// ILI bit.
    pub incorrect_length: bool,
    /// INFORMATION, if valid.
    pub information: Option<u64>,
    /// The field that was refused, if the drive points at one.
    pub field: Option<FieldPointer>,
}

impl Sense {
    /// Reads sense data. `None` if there are none: no bytes, or a response code other than 70h to 73h. Data cut off at any byte are read
    /// as far as they go, since drives and adapters do cut them.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        match bytes.first()? & 0x7F {
            0x70 => Self::decode_fixed(bytes, false),
            0x71 => Self::decode_fixed(bytes, true),
            0x72 => Self::decode_descriptor(bytes, false),
            0x73 => Self::decode_descriptor(bytes, true),
            _ => None,
        }
    }

    fn decode_fixed(bytes: &[u8], deferred: bool) -> Option<Self> {
        let flags = *bytes.get(2)?;
        let byte = |offset: usize| within_length(bytes, offset).unwrap_or(0);
        let information = bytes
            .get(3..7)
            .and_then(|field| <[u8; 4]>::try_from(field).ok())
            .map(u32::from_be_bytes);
        let key = SenseKey::from_low_nibble(flags);
        Some(Self {
            deferred,
            key,
            additional: AdditionalSense::new(byte(12), byte(13)),
            filemark: flags & 0x80 != 0,
            end_of_medium: flags & 0x40 != 0,
            incorrect_length: flags & 0x20 != 0,
            information: information.filter(|_| byte(0) & 0x80 != 0).map(u64::from),
            field: field_pointer(key, [byte(15), byte(16), byte(17)]),
        })
    }

    fn decode_descriptor(bytes: &[u8], deferred: bool) -> Option<Self> {
        let key = SenseKey::from_low_nibble(*bytes.get(1)?);
        let additional = AdditionalSense::new(bytes.get(2).copied().unwrap_or(0), bytes.get(3).copied().unwrap_or(0));
        let (mut filemark, mut end_of_medium, mut incorrect_length) = (false, false, false);
        let (mut information, mut field) = (None, None);
        let mut rest = bytes.get(8..).unwrap_or_default();
        if let Some(declared) = bytes.get(7).copied().map(usize::from) {
            rest = rest.get(..declared).unwrap_or(rest);
        }
        while let [kind, length, body @ ..] = rest {
            let (body, after) = body.split_at_checked(usize::from(*length)).unwrap_or((body, &[]));
            match (kind, body) {
                (0x00, [flags, _, value @ ..]) if flags & 0x80 != 0 => {
                    information = <[u8; 8]>::try_from(value).ok().map(u64::from_be_bytes);
                }
                (0x02, [_, _, a, b, c, ..]) => field = field_pointer(key, [*a, *b, *c]),
                (0x04, [_, flags, ..]) => {
                    (filemark, end_of_medium, incorrect_length) =
                        (flags & 0x80 != 0, flags & 0x40 != 0, flags & 0x20 != 0);
                }
                _ => {}
            }
            rest = after;
        }
        Some(Self {
            deferred,
            key,
            additional,
            filemark,
            end_of_medium,
            incorrect_length,
            information,
            field,
        })
    }

    /// Whether this is `key` with `asc`/`ascq`.
    #[must_use]
    pub fn is(&self, key: SenseKey, asc: u8, ascq: u8) -> bool {
        self.key == key && self.additional == AdditionalSense::new(asc, ascq)
    }
}

/// A byte of fixed-format sense, if ADDITIONAL LENGTH says that it is there.
fn within_length(bytes: &[u8], offset: usize) -> Option<u8> {
    let end = bytes.get(7).map_or(8, |additional| 8 + usize::from(*additional));
    bytes.get(offset).copied().filter(|_| offset < end)
}

fn field_pointer(key: SenseKey, [flags, high, low]: [u8; 3]) -> Option<FieldPointer> {
    (key == SenseKey::IllegalRequest && flags & 0x80 != 0).then(|| FieldPointer {
        in_cdb: flags & 0x40 != 0,
        byte: u16::from_be_bytes([high, low]),
        bit: (flags & 0x08 != 0).then_some(flags & 0x07),
    })
}

impl fmt::Display for Sense {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.deferred {
            formatter.write_str("deferred ")?;
        }
        write!(formatter, "{} {}", self.key, self.additional)?;
        if let Some(name) = additional_sense_name(self.additional) {
            write!(formatter, " ({name})")?;
        }
        if let Some(field) = self.field {
            let place = if field.in_cdb {
                "of the CDB"
            } else {
                "of the parameter list"
            };
            write!(formatter, ", byte {} {place}", field.byte)?;
            if let Some(bit) = field.bit {
                write!(formatter, ", bit {bit}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(text: &str) -> Sense {
        Sense::decode(&hex::decode(text.replace(' ', "")).unwrap()).unwrap()
    }

    #[test]
    fn reads_the_same_from_both_formats() {
        let fixed = decode("F0 00 A5 00 00 10 00 0A 00 00 00 00 26 00 00 8F 00 08");
        let descriptor = decode(
            "72 05 26 00 00 00 00 18  00 0A 80 00 00 00 00 00 00 00 10 00  02 06 00 00 8F 00 08 00  04 02 00 A0",
        );
        assert_eq!(fixed, descriptor);
        let field = FieldPointer {
            in_cdb: false,
            byte: 8,
            bit: Some(7),
        };
        assert_eq!((fixed.field, fixed.information), (Some(field), Some(0x1000)));
        assert!(fixed.filemark && fixed.incorrect_length && !fixed.end_of_medium && !fixed.deferred);
        assert!(decode("71 00 03 00 00 00 00 0A 00 00 00 00 0C 00").deferred && decode("73 03 0C 00").deferred);
    }

    #[test]
    fn a_field_pointer_needs_its_valid_bit_and_its_sense_key() {
        assert_eq!(
            decode("70 00 05 00 00 00 00 10 00 00 00 00 20 00 00 00 94 10").field,
            None
        );
        assert_eq!(
            decode("70 00 02 00 00 00 00 10 00 00 00 00 04 01 00 80 12 34").field,
            None
        );
    }

    #[test]
    fn bytes_beyond_the_additional_length_do_not_count() {
        assert_eq!(
            decode("70 00 05 00 00 00 00 04 00 00 00 00 26 00").additional,
            AdditionalSense::new(0, 0)
        );
    }

    #[test]
    fn no_truncation_and_no_response_code_panics() {
        let whole =
            hex::decode("72052600000000180 00A8000000000000000100002060000 8F000800040200A0".replace(' ', "")).unwrap();
        for length in 0..=whole.len() {
            for code in 0..=255 {
                let mut cut = whole[..length].to_vec();
                if let Some(first) = cut.first_mut() {
                    *first = code;
                }
                let sense = Sense::decode(&cut);
                assert!(sense.is_none() || (0x70..=0x73).contains(&(code & 0x7F)));
            }
        }
    }

    #[test]
    fn tells_an_operator_what_the_drive_said() {
        assert_eq!(
            decode("70 00 05 00 00 00 00 10 00 00 00 00 26 00 00 8F 00 08").to_string(),
            "ILLEGAL REQUEST 26h/00h (invalid field in parameter list), byte 8 of the parameter list, bit 7"
        );
        assert_eq!(
            decode("70 00 07 00 00 00 00 0A 00 00 00 00 99 99").to_string(),
            "DATA PROTECT 99h/99h"
        );
    }
}
