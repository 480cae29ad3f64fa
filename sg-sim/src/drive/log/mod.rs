//! LOG SENSE and LOG SELECT (SPC-4): which log pages there are, and how a page is framed.
//!
//! What a page says is built in the rooms below, from counters that other rooms keep.

mod alerts;
mod device_status;
mod statistics;
mod volume;

pub(super) use alerts::{TapeAlert, TapeAlerts};
pub(super) use statistics::Statistics;

use super::{
    Drive,
    call::{Call, CommandResult},
};
use crate::sense::Sense;

const SUPPORTED_PAGES: u8 = 0x00;
const WRITE_ERRORS: u8 = 0x02;
const READ_ERRORS: u8 = 0x03;
const SEQUENTIAL_ACCESS: u8 = 0x0C;
const DEVICE_STATUS: u8 = 0x11;
const TAPE_ALERT_RESPONSE: u8 = 0x12;
const DEVICE_STATISTICS: u8 = 0x14;
const VOLUME_STATISTICS: u8 = 0x17;
const DATA_COMPRESSION: u8 = 0x1B;
const TAPE_ALERT: u8 = 0x2E;
const TAPE_CAPACITY: u8 = 0x31;

/// All pages, ascending.
const PAGES: [u8; 11] = [
    SUPPORTED_PAGES,
    WRITE_ERRORS,
    READ_ERRORS,
    SEQUENTIAL_ACCESS,
    DEVICE_STATUS,
    TAPE_ALERT_RESPONSE,
    DEVICE_STATISTICS,
    VOLUME_STATISTICS,
    DATA_COMPRESSION,
    TAPE_ALERT,
    TAPE_CAPACITY,
];

/// One log parameter (SPC-4, "Log parameters").
#[derive(Clone, PartialEq, Eq, Debug)]
struct Parameter {
    code: u16,
    format: Format,
    value: Vec<u8>,
}

/// FORMAT AND LINKING: what the value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Format {
    /// A counter without a limit.
    Counter = 0x00,
    /// ASCII.
    Ascii = 0x01,
    /// A list of binary values.
    BinaryList = 0x03,
    /// A counter that no LOG SELECT changes (DU and TSD as HP drives set them on page 31h).
    Fixed = 0x60,
}

impl Parameter {
    /// A number of `width` bytes.
    fn number(code: u16, format: Format, value: u64, width: usize) -> Self {
        Self {
            code,
            format,
            value: counter(value, width),
        }
    }

    /// Text padded to `width`.
    fn text(code: u16, text: &str, width: usize) -> Self {
        Self {
            code,
            format: Format::Ascii,
            value: padded(text, width),
        }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = self.code.to_be_bytes().to_vec();
        bytes.push(self.format as u8);
        bytes.push(u8::try_from(self.value.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(&self.value);
        bytes
    }
}

impl Drive {
    /// LOG SENSE: cumulative values.
    pub(super) fn log_sense(&mut self, call: Call<'_>) -> CommandResult {
        const CUMULATIVE: u8 = 1;
        let (control, page_code) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3F);
        if control != CUMULATIVE {
            return Err(Sense::invalid_cdb_field(2, 7).into());
        }
        if call.cdb.byte(3) != 0 {
            return Err(Sense::invalid_cdb_field(3, 7).into());
        }
        let pointer = call.cdb.u16(5);
        let body = match page_code {
            SUPPORTED_PAGES => PAGES.to_vec(),
            _ => {
                let parameters = self.log_parameters(page_code)?;
                if parameters.iter().all(|parameter| parameter.code < pointer) {
                    return Err(Sense::invalid_cdb_field(5, 7).into());
                }
                if page_code == TAPE_ALERT {
                    // Reading the page lowers the flags.
                    self.tape_alerts = TapeAlerts::default();
                }
                let wanted = parameters.iter().filter(|parameter| parameter.code >= pointer);
                wanted.flat_map(Parameter::encode).collect()
            }
        };
        let mut page = vec![page_code, 0];
        page.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
        page.extend_from_slice(&body);
        let allocation_length = u32::from(call.cdb.u16(7));
        call.reply(&page, allocation_length)
    }

    fn log_parameters(&self, page_code: u8) -> Result<Vec<Parameter>, Sense> {
        Ok(match page_code {
            WRITE_ERRORS => self.statistics.write_errors(),
            READ_ERRORS => self.statistics.read_errors(),
            SEQUENTIAL_ACCESS => self.sequential_access(),
            DEVICE_STATUS => self.device_status(),
            TAPE_ALERT_RESPONSE => self.tape_alerts.response(),
            DEVICE_STATISTICS => self.device_statistics(),
            VOLUME_STATISTICS => self.volume_statistics(),
            DATA_COMPRESSION => self.data_compression(),
            TAPE_ALERT => self.tape_alerts.flags(),
            TAPE_CAPACITY => self.tape_capacity(),
            _ => return Err(Sense::invalid_cdb_field(2, 5)),
        })
    }

    /// LOG SELECT: only a reset of all that can be reset (PCR), without a list.
    pub(super) fn log_select(&mut self, call: &Call<'_>) -> CommandResult {
        const PARAMETER_CODE_RESET: u8 = 1;
        if call.cdb.bit(1, 0) {
            return Err(Sense::invalid_cdb_field(1, 0).into());
        }
        if call.cdb.u16(7) != 0 {
            return Err(Sense::invalid_cdb_field(7, 7).into());
        }
        let page_code = call.cdb.byte(2) & 0x3F;
        if page_code != 0 && !PAGES.contains(&page_code) {
            return Err(Sense::invalid_cdb_field(2, 5).into());
        }
        if call.cdb.byte(3) != 0 {
            return Err(Sense::invalid_cdb_field(3, 7).into());
        }
        if call.cdb.bit(1, PARAMETER_CODE_RESET) {
            self.reset_log(page_code);
        }
        Ok(0)
    }

    fn reset_log(&mut self, page_code: u8) {
        let all = page_code == SUPPORTED_PAGES;
        if all || page_code == TAPE_ALERT {
            self.tape_alerts = TapeAlerts::default();
        }
        self.statistics.reset(
            all || matches!(page_code, WRITE_ERRORS | SEQUENTIAL_ACCESS | DATA_COMPRESSION),
            all || matches!(page_code, READ_ERRORS | SEQUENTIAL_ACCESS | DATA_COMPRESSION),
            all || page_code == DEVICE_STATISTICS,
        );
    }
}

/// The low `width` bytes of a number.
pub(super) fn counter(value: u64, width: usize) -> Vec<u8> {
    let bytes = value.to_be_bytes();
    bytes
        .get(bytes.len().saturating_sub(width)..)
        .unwrap_or_default()
        .to_vec()
}

/// Text padded with spaces.
pub(super) fn padded(text: &str, width: usize) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.resize(width, b' ');
    bytes
}

/// 10^6 bytes.
pub(super) const MEGABYTE: u64 = 1_000_000;
/// 2^20 bytes.
const MEBIBYTE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cuts_numbers_and_pads_text() {
        assert_eq!(counter(0x0102_0304_0506, 4), [3, 4, 5, 6]);
        assert_eq!(padded("A1", 4), b"A1  ");
    }

    #[test]
    fn frames_a_parameter_with_code_control_and_length() {
        assert_eq!(
            Parameter::number(0x0102, Format::Fixed, 7, 4).encode(),
            [1, 2, 0x60, 4, 0, 0, 0, 7]
        );
        assert_eq!(Parameter::text(0x40, "A1", 3).encode(), *b"\x00\x40\x01\x03A1 ");
    }
}
