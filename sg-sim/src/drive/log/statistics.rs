//! What the drive counts, and the log pages made of it: error counters (02h, 03h), sequential access (0Ch), device statistics (14h), data
//! compression (1Bh) (SPC-4, SSC-4).

use super::{Format, MEGABYTE, Parameter};
use crate::drive::Drive;

/// Blocks that went one way.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Transfer {
    bytes: u64,
    unrecovered: u64,
}

/// The drive's counters. Those of the cartridge's whole life are in the cartridge.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(in crate::drive) struct Statistics {
    written: Transfer,
    read: Transfer,
    /// The same since the cartridge was loaded; LOG SELECT leaves them alone.
    written_this_mount: Transfer,
    read_this_mount: Transfer,
    loads: u64,
    loads_since_reset: u64,
    power_cycles: u64,
    hard_write_errors: u64,
    hard_read_errors: u64,
}

impl Statistics {
    /// A block was written.
    pub(in crate::drive) fn count_written(&mut self, bytes: u64) {
        self.written.bytes += bytes;
        self.written_this_mount.bytes += bytes;
    }

    /// Blocks were read and given out.
    pub(in crate::drive) fn count_read(&mut self, bytes: u64) {
        self.read.bytes += bytes;
        self.read_this_mount.bytes += bytes;
    }

    /// A block could not be written.
    pub(in crate::drive) fn count_write_error(&mut self) {
        self.written.unrecovered += 1;
        self.written_this_mount.unrecovered += 1;
        self.hard_write_errors += 1;
    }

    /// A block could not be read.
    pub(in crate::drive) fn count_read_error(&mut self) {
        self.read.unrecovered += 1;
        self.read_this_mount.unrecovered += 1;
        self.hard_read_errors += 1;
    }

    /// A tape was threaded.
    pub(in crate::drive) fn count_load(&mut self) {
        self.loads += 1;
        self.loads_since_reset += 1;
        (self.written_this_mount, self.read_this_mount) = (Transfer::default(), Transfer::default());
    }

    /// The power came back: what a drive keeps in memory alone is gone.
    pub(in crate::drive) fn count_power_cycle(&mut self) {
        *self = Self {
            loads: self.loads,
            power_cycles: self.power_cycles + 1,
            hard_write_errors: self.hard_write_errors,
            hard_read_errors: self.hard_read_errors,
            ..Self::default()
        };
    }

    /// LOG SELECT resets these counters.
    pub(super) fn reset(&mut self, written: bool, read: bool, device: bool) {
        if written {
            self.written = Transfer::default();
        }
        if read {
            self.read = Transfer::default();
        }
        if device {
            self.loads_since_reset = 0;
        }
    }

    /// Bytes written and read since the cartridge was loaded.
    pub(in crate::drive) const fn this_mount(&self) -> [u64; 2] {
        [self.written_this_mount.bytes, self.read_this_mount.bytes]
    }

    /// Blocks that could not be written and read since the cartridge was loaded.
    pub(super) const fn unrecovered_this_mount(&self) -> [u64; 2] {
        [self.written_this_mount.unrecovered, self.read_this_mount.unrecovered]
    }

    /// Write Error Counter log page.
    pub(super) fn write_errors(&self) -> Vec<Parameter> {
        error_counters(self.written)
    }

    /// Read Error Counter log page.
    pub(super) fn read_errors(&self) -> Vec<Parameter> {
        error_counters(self.read)
    }
}

/// Nothing is ever corrected here: a block is whole or lost.
fn error_counters(transfer: Transfer) -> Vec<Parameter> {
    const BYTES_PROCESSED: u16 = 0x0005;
    const UNCORRECTED: u16 = 0x0006;
    (0x0000..=UNCORRECTED)
        .map(|code| match code {
            BYTES_PROCESSED => Parameter::number(code, Format::Counter, transfer.bytes, 8),
            UNCORRECTED => Parameter::number(code, Format::Counter, transfer.unrecovered, 4),
            _ => Parameter::number(code, Format::Counter, 0, 4),
        })
        .collect()
}

impl Drive {
    /// Sequential Access Device log page. Without a tape its capacities are all ones.
    pub(super) fn sequential_access(&self) -> Vec<Parameter> {
        const UNKNOWN: u64 = 0xFFFF_FFFF;
        let Statistics { written, read, .. } = &self.statistics;
        let capacities = self.medium.threaded().map_or([UNKNOWN; 4], |cartridge| {
            let warning = cartridge.early_warning_bytes();
            [
                cartridge.index().end() / MEGABYTE,
                cartridge.capacity_bytes().saturating_sub(warning) / MEGABYTE,
                warning / MEGABYTE,
                cartridge.index().bytes_before(self.medium.position()) / MEGABYTE,
            ]
        });
        let bytes = [written.bytes, written.bytes, read.bytes, read.bytes];
        let counters = (0x0000..).zip(bytes).map(|(code, value)| (code, value, 8));
        let sizes = (0x0004..).zip(capacities).map(|(code, value)| (code, value, 4));
        let buffer_mb = u64::from(self.profile.block_bytes_max) / MEGABYTE;
        // 0100h: no cleaning is asked for.
        let rest = [(0x0008, buffer_mb, 4), (0x0100, 0, 4)];
        counters
            .chain(sizes)
            .chain(rest)
            .map(|(code, value, width)| Parameter::number(code, Format::Counter, value, width))
            .collect()
    }

    /// Device Statistics log page. Hours and metres stay zero: no power-on hour meter is simulated.
    pub(super) fn device_statistics(&self) -> Vec<Parameter> {
        const VOLUME_LOADS: u16 = 0x0000;
        const POWER_CYCLES: u16 = 0x000C;
        const LOADS_SINCE_RESET: u16 = 0x000D;
        const HARD_WRITE_ERRORS: u16 = 0x000E;
        const HARD_READ_ERRORS: u16 = 0x000F;
        let statistics = &self.statistics;
        let mut parameters: Vec<Parameter> = (VOLUME_LOADS..=HARD_READ_ERRORS)
            .map(|code| {
                let value = match code {
                    VOLUME_LOADS => statistics.loads,
                    POWER_CYCLES => statistics.power_cycles,
                    LOADS_SINCE_RESET => statistics.loads_since_reset,
                    HARD_WRITE_ERRORS => statistics.hard_write_errors,
                    HARD_READ_ERRORS => statistics.hard_read_errors,
                    _ => 0,
                };
                Parameter::number(code, Format::BinaryList, value, 8)
            })
            .collect();
        let serial = String::from_utf8_lossy(&self.profile.serial_number);
        parameters.extend([0x0040, 0x0041].map(|code| Parameter::text(code, &serial, serial.len())));
        let prevented = u64::from(self.prevents_removal());
        parameters.push(Parameter::number(0x0080, Format::BinaryList, prevented, 1));
        parameters.push(Parameter::number(0x0081, Format::BinaryList, 0, 1));
        parameters
    }

    /// Data Compression log page: blocks are stored as they come, so every ratio is 1 (100 hundredths).
    pub(super) fn data_compression(&self) -> Vec<Parameter> {
        let Statistics { written, read, .. } = &self.statistics;
        let mut parameters = [0x0000, 0x0001]
            .map(|code| Parameter::number(code, Format::Counter, 100, 2))
            .to_vec();
        // Megabytes and the bytes beyond them: to the host, from the tape, from the host, to the tape.
        for (code, bytes) in (0x0002..)
            .step_by(2)
            .zip([read.bytes, read.bytes, written.bytes, written.bytes])
        {
            parameters.push(Parameter::number(code, Format::Counter, bytes / MEGABYTE, 4));
            parameters.push(Parameter::number(code + 1, Format::Counter, bytes % MEGABYTE, 4));
        }
        let enabled = u64::from(self.mode.data_compression());
        parameters.push(Parameter::number(0x0100, Format::BinaryList, enabled, 1));
        parameters
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_begins_a_new_mount_and_a_reset_spares_it() {
        let mut statistics = Statistics::default();
        statistics.count_load();
        statistics.count_written(7);
        statistics.count_read(5);
        statistics.count_read_error();
        statistics.reset(true, true, true);
        assert_eq!(statistics.write_errors(), error_counters(Transfer::default()));
        assert_eq!(
            (statistics.this_mount(), statistics.unrecovered_this_mount()),
            ([7, 5], [0, 1])
        );
        statistics.count_load();
        assert_eq!((statistics.this_mount(), statistics.loads), ([0, 0], 2));
    }

    #[test]
    fn a_power_cycle_keeps_what_is_counted_for_life() {
        let mut statistics = Statistics::default();
        statistics.count_load();
        statistics.count_write_error();
        statistics.count_power_cycle();
        assert_eq!(
            statistics,
            Statistics {
                loads: 1,
                power_cycles: 1,
                hard_write_errors: 1,
                ..Statistics::default()
            }
        );
    }
}
