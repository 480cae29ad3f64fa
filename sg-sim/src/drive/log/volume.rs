//! Log pages about the cartridge: Volume Statistics (17h, SSC-4) and Tape Capacity (31h, as HP and IBM drives have it).

use super::{Format, MEBIBYTE, MEGABYTE, Parameter, counter};
use crate::{Cartridge, drive::Drive};

impl Drive {
    /// Volume Statistics log page. Without a volume its first parameter says that the rest is not valid.
    pub(super) fn volume_statistics(&self) -> Vec<Parameter> {
        let list = |code, value, width| Parameter::number(code, Format::BinaryList, value, width);
        let Ok(cartridge) = self.medium.threaded() else {
            return vec![list(0x0000, 0, 1)];
        };
        let index = cartridge.index();
        let [loads, written, read] = cartridge.counters();
        let [mount_written, mount_read] = self.statistics.this_mount();
        let [mount_write_errors, mount_read_errors] = self.statistics.unrecovered_this_mount();
        let blocks = index.sealed_blocks() + index.plain_blocks();
        let mut parameters = vec![
            list(0x0000, 1, 1),
            list(0x0001, loads, 4),
            list(0x0002, blocks, 8),
            list(0x0003, 0, 4),
            list(0x0004, mount_write_errors, 2),
            list(0x0005, 0, 2),
            list(0x0006, 0, 2),
            list(0x0007, blocks, 8),
            list(0x0008, 0, 4),
            list(0x0009, mount_read_errors, 2),
            list(0x000C, mount_write_errors, 2),
            list(0x000D, mount_read_errors, 2),
            list(0x000E, mount_written / MEGABYTE, 4),
            list(0x000F, mount_read / MEGABYTE, 4),
            list(0x0010, written / MEGABYTE, 8),
            list(0x0011, read / MEGABYTE, 8),
            list(0x0012, 100, 2),
            list(0x0013, 100, 2),
            list(0x0016, cartridge.capacity_bytes() / MEGABYTE, 4),
            list(0x0017, index.end() / MEGABYTE, 4),
            Parameter::text(0x0040, cartridge.medium_serial(), 32),
        ];
        if let Some(barcode) = cartridge.barcode() {
            parameters.push(Parameter::text(0x0042, &barcode, 32));
        }
        parameters.extend([
            Parameter::text(0x0043, "SG-SIM", 8),
            Parameter::text(0x0045, "Ultrium-8", 9),
            list(0x0080, u64::from(cartridge.write_protected()), 1),
            list(0x0081, 0, 1),
            list(0x0101, loads, 4),
            list(0x0102, loads, 4),
        ]);
        let capacity = cartridge.capacity_bytes() / MEGABYTE;
        let records = [
            (0x0200, index.first_sealed()),
            (0x0201, index.first_plain_after_sealed()),
            (0x0202, Some(capacity)),
            (0x0203, Some(index.end() / MEGABYTE)),
            (0x0204, Some(cartridge.remaining_bytes() / MEGABYTE)),
        ];
        parameters.extend(records.map(|(code, value)| self.partition_record(code, value)));
        parameters
    }

    /// A partition record for partition 0: length, reserved, partition, counter; 48 ones stand for none, however wide the counter is.
    fn partition_record(&self, code: u16, value: Option<u64>) -> Parameter {
        const NONE: u64 = 0xFFFF_FFFF_FFFF;
        let width = if self.quirks.wide_partition_records { 8 } else { 6 };
        let mut record = vec![u8::try_from(width + 3).unwrap_or(0), 0, 0, 0];
        record.extend(counter(value.unwrap_or(NONE), width));
        Parameter {
            code,
            format: Format::BinaryList,
            value: record,
        }
    }

    /// Tape Capacity log page: remaining and whole capacity of partition 0 in MiB; there is no partition 1.
    pub(super) fn tape_capacity(&self) -> Vec<Parameter> {
        let (remaining, whole) = self.medium.threaded().map_or((0, 0), |cartridge: &Cartridge| {
            (
                cartridge.remaining_bytes() / MEBIBYTE,
                cartridge.capacity_bytes() / MEBIBYTE,
            )
        });
        (0x0001..)
            .zip([remaining, 0, whole, 0])
            .map(|(code, value)| Parameter::number(code, Format::Fixed, value, 4))
            .collect()
    }
}
