//! LOG SENSE (SPC-4): volume statistics (SSC-4), TapeAlert flags, tape capacity.

use super::{
    Drive,
    call::{Call, CommandResult},
};
use crate::{Cartridge, sense::Sense};

/// TapeAlert flags that this drive raises (SSC-4, "TapeAlert log page").
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum TapeAlert {
    /// Something was to be written to a protected cartridge.
    WriteProtect = 0x09,
}

/// Which flags are raised.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct TapeAlerts(u64);

impl TapeAlerts {
    /// Raises a flag.
    pub(super) const fn raise(&mut self, alert: TapeAlert) {
        self.0 |= 1 << (alert as u32 - 1);
    }

    /// The flags as MAM has them: flag 1 is the most significant bit.
    pub(super) const fn most_significant_first(self) -> u64 {
        self.0.reverse_bits()
    }

    const fn is_raised(self, flag: u16) -> bool {
        self.0 & (1 << ((flag - 1) & 63)) != 0
    }
}

const SUPPORTED_PAGES: u8 = 0x00;
const VOLUME_STATISTICS: u8 = 0x17;
const TAPE_ALERT: u8 = 0x2E;
const TAPE_CAPACITY: u8 = 0x31;

/// Code and value of a log parameter.
type Parameter = (u16, Vec<u8>);

impl Drive {
    /// LOG SENSE.
    pub(super) fn log_sense(&mut self, call: Call<'_>) -> CommandResult {
        const CUMULATIVE: u8 = 1;
        let (control, page_code) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3F);
        if control != CUMULATIVE {
            return Err(Sense::invalid_cdb_field(2, 7).into());
        }
        if call.cdb.byte(3) != 0 {
            return Err(Sense::invalid_cdb_field(3, 7).into());
        }
        let (format, parameters) = match page_code {
            SUPPORTED_PAGES => return self.reply_supported_pages(call),
            VOLUME_STATISTICS => (0x03, self.volume_statistics()),
            TAPE_ALERT => (0x00, self.take_tape_alerts()),
            TAPE_CAPACITY => (0x60, self.tape_capacity()),
            _ => return Err(Sense::invalid_cdb_field(2, 5).into()),
        };
        let pointer = call.cdb.u16(5);
        if parameters.iter().all(|(code, _)| *code < pointer) {
            return Err(Sense::invalid_cdb_field(5, 7).into());
        }
        let mut body = Vec::new();
        for (code, value) in parameters.iter().filter(|(code, _)| *code >= pointer) {
            body.extend_from_slice(&code.to_be_bytes());
            body.extend_from_slice(&[
                format_of(page_code, *code, format),
                u8::try_from(value.len()).unwrap_or(u8::MAX),
            ]);
            body.extend_from_slice(value);
        }
        let allocation_length = u32::from(call.cdb.u16(7));
        call.reply(&log_page(page_code, &body), allocation_length)
    }

    fn reply_supported_pages(&self, call: Call<'_>) -> CommandResult {
        let page = log_page(
            SUPPORTED_PAGES,
            &[SUPPORTED_PAGES, VOLUME_STATISTICS, TAPE_ALERT, TAPE_CAPACITY],
        );
        let allocation_length = u32::from(call.cdb.u16(7));
        call.reply(&page, allocation_length)
    }

    /// Volume Statistics log page. Without a volume its first parameter says that the rest is not valid.
    fn volume_statistics(&self) -> Vec<Parameter> {
        let Ok(cartridge) = self.medium.threaded() else {
            return vec![(0x0000, vec![0])];
        };
        let index = cartridge.index();
        let [loads, written, read] = cartridge.counters();
        let record = |value: Option<u64>| self.partition_record(value);
        let mut parameters = vec![
            (0x0000, vec![1]),
            (0x0001, counter(loads, 4)),
            (0x0002, counter(index.sealed_blocks() + index.plain_blocks(), 8)),
            (0x0010, counter(written / MEGABYTE, 8)),
            (0x0011, counter(read / MEGABYTE, 8)),
            (0x0016, counter(cartridge.capacity_bytes() / MEGABYTE, 4)),
            (0x0017, counter(index.end() / MEGABYTE, 4)),
            (0x0040, padded(cartridge.medium_serial(), 32)),
        ];
        if let Some(barcode) = cartridge.barcode() {
            parameters.push((0x0042, padded(&barcode, 32)));
        }
        parameters.extend([
            (0x0043, b"SG-SIM  ".to_vec()),
            (0x0045, b"Ultrium-8".to_vec()),
            (0x0080, vec![u8::from(cartridge.write_protected())]),
            (0x0081, vec![0]),
            (0x0200, record(index.first_sealed())),
            (0x0201, record(index.first_plain_after_sealed())),
            (0x0202, record(Some(cartridge.capacity_bytes() / MEGABYTE))),
            (0x0203, record(Some(index.end() / MEGABYTE))),
            (0x0204, record(Some(cartridge.remaining_bytes() / MEGABYTE))),
        ]);
        parameters
    }

    /// A partition record for partition 0: length, reserved, partition, counter; all ones stand for none.
    fn partition_record(&self, value: Option<u64>) -> Vec<u8> {
        let width = self.profile.partition_counter_bytes;
        let mut record = vec![u8::try_from(width + 3).unwrap_or(0), 0, 0, 0];
        record.extend(value.map_or_else(|| vec![0xFF; width], |value| counter(value, width)));
        record
    }

    /// TapeAlert log page. Reading it lowers the flags.
    fn take_tape_alerts(&mut self) -> Vec<Parameter> {
        let alerts = std::mem::take(&mut self.tape_alerts);
        (0x0001..=0x0040)
            .map(|flag| (flag, vec![u8::from(alerts.is_raised(flag))]))
            .collect()
    }

    /// Tape Capacity log page: remaining and whole capacity of partition 0 in MiB.
    fn tape_capacity(&self) -> Vec<Parameter> {
        let sizes = self.medium.threaded().map_or((0, 0), |cartridge: &Cartridge| {
            (
                cartridge.remaining_bytes() / MEBIBYTE,
                cartridge.capacity_bytes() / MEBIBYTE,
            )
        });
        vec![
            (0x0001, counter(sizes.0, 4)),
            (0x0002, vec![0; 4]),
            (0x0003, counter(sizes.1, 4)),
            (0x0004, vec![0; 4]),
        ]
    }
}

/// Parameter control byte: strings and lists of records are marked as such (FORMAT AND LINKING 01b, 11b).
const fn format_of(page_code: u8, code: u16, format: u8) -> u8 {
    match (page_code, code) {
        (VOLUME_STATISTICS, 0x0040..=0x0045) => 0x01,
        _ => format,
    }
}

fn log_page(page_code: u8, body: &[u8]) -> Vec<u8> {
    let mut page = vec![page_code, 0];
    page.extend_from_slice(&u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes());
    page.extend_from_slice(body);
    page
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
const MEBIBYTE: u64 = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raises_and_lowers_flags_by_their_number() {
        let mut alerts = TapeAlerts::default();
        alerts.raise(TapeAlert::WriteProtect);
        assert_eq!((1..=64).filter(|flag| alerts.is_raised(*flag)).collect::<Vec<_>>(), [9]);
    }

    #[test]
    fn cuts_numbers_and_pads_text() {
        assert_eq!(counter(0x0102_0304_0506, 4), [3, 4, 5, 6]);
        assert_eq!(padded("A1", 4), b"A1  ");
    }
}
