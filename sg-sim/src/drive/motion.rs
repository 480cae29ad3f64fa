//! Commands that move the tape or say where it stands: REWIND, SPACE, LOCATE, READ POSITION (SSC-4).
//!
//! Blocks and filemarks are numbered alike, from 0. No key is needed for any of this.

use super::{
    Drive,
    call::{Call, CommandResult},
};
use crate::{cartridge::Index, sense::Sense};

impl Drive {
    /// REWIND. IMMED makes no difference: it takes no time.
    pub(super) fn rewind(&mut self) -> CommandResult {
        self.medium.threaded()?;
        self.medium.move_to(0);
        Ok(0)
    }

    /// SPACE(6) and (16).
    pub(super) fn space(&mut self, call: &Call<'_>) -> CommandResult {
        const SPACE_6: u8 = 0x11;
        let index = self.medium.threaded()?.index();
        let count = if call.cdb.byte(0) == SPACE_6 {
            signed_24_bits(call.cdb.u24(2))
        } else {
            call.cdb.u64(4).cast_signed()
        };
        let from = self.medium.position();
        let (to, result) = match call.cdb.byte(1) & 0x0F {
            0 => space_blocks(index, from, count),
            1 => space_filemarks(index, from, count),
            3 => (index.objects(), Ok(())),
            _ => return Err(Sense::invalid_cdb_field(1, 3).into()),
        };
        self.medium.move_to(to);
        result.map(|()| 0).map_err(Into::into)
    }

    /// LOCATE(10) and (16). BT asks for vendor-specific locations, as Linux' st does; they are object numbers too.
    pub(super) fn locate(&mut self, call: &Call<'_>) -> CommandResult {
        const LOCATE_10: u8 = 0x2B;
        const CHANGE_PARTITION: u8 = 1;
        let index = self.medium.threaded()?.index();
        let short = call.cdb.byte(0) == LOCATE_10;
        let partition_at = if short { 8 } else { 3 };
        if call.cdb.bit(1, CHANGE_PARTITION) && call.cdb.byte(partition_at) != 0 {
            return Err(Sense::invalid_cdb_field(u16::try_from(partition_at).unwrap_or(0), 7).into());
        }
        let destination_type = if short { 0 } else { (call.cdb.byte(1) >> 3) & 0x07 };
        let destination = if short {
            u64::from(call.cdb.u32(3))
        } else {
            call.cdb.u64(4)
        };
        let found = match destination_type {
            0 => Some(destination).filter(|object| *object <= index.objects()),
            1 => destination
                .checked_sub(1)
                .map_or(Some(0), |before| index.filemark(before).map(|filemark| filemark + 1)),
            3 => Some(index.objects()),
            _ => return Err(Sense::invalid_cdb_field(1, 5).into()),
        };
        let end = index.objects();
        self.medium.move_to(found.unwrap_or(end));
        if found.is_some() {
            Ok(0)
        } else {
            Err(END_OF_DATA.into())
        }
    }

    /// READ POSITION: short form (01h is the one with vendor-specific locations, which are object numbers too), long and extended form.
    pub(super) fn read_position(&mut self, call: Call<'_>) -> CommandResult {
        let cartridge = self.medium.threaded()?;
        let (position, end) = (self.medium.position(), cartridge.past_early_warning());
        let flags = (u8::from(position == 0) << 7) | (u8::from(end) << 6);
        let allocation_length = u32::from(call.cdb.u16(7));
        match call.cdb.byte(1) & 0x1F {
            0x00 | 0x01 | 0x06 if allocation_length != 0 => Err(Sense::invalid_cdb_field(7, 7).into()),
            0x00 | 0x01 => call.reply(&short_form(flags, position), u32::MAX),
            0x06 => call.reply(
                &long_form(flags, position, cartridge.index().filemarks_before(position)),
                u32::MAX,
            ),
            0x08 => call.reply(&extended_form(flags, position), allocation_length),
            _ => Err(Sense::invalid_cdb_field(1, 4).into()),
        }
    }
}

/// Where spacing over `count` blocks ends, and how.
fn space_blocks(index: &Index, from: u64, count: i64) -> (u64, Result<(), Sense>) {
    let wanted = count.unsigned_abs();
    if count < 0 {
        let barrier = index
            .filemarks_before(from)
            .checked_sub(1)
            .and_then(|last| index.filemark(last));
        let lowest = barrier.map_or(0, |filemark| filemark + 1);
        let left = wanted.saturating_sub(from - lowest);
        return match barrier {
            _ if left == 0 => (from - wanted, Ok(())),
            Some(filemark) => (filemark, Err(FILEMARK_DETECTED.with_information(residue(left)))),
            None => (0, Err(BEGINNING_OF_PARTITION.with_information(residue(left)))),
        };
    }
    let barrier = index.filemark(index.filemarks_before(from));
    let left = wanted.saturating_sub(barrier.unwrap_or(index.objects()).saturating_sub(from));
    match barrier {
        _ if left == 0 => (from + wanted, Ok(())),
        Some(filemark) => (filemark + 1, Err(FILEMARK_DETECTED.with_information(residue(left)))),
        None => (index.objects(), Err(END_OF_DATA.with_information(residue(left)))),
    }
}

/// Where spacing over `count` filemarks ends, and how. Forward it ends behind the last one, backward before it.
fn space_filemarks(index: &Index, from: u64, count: i64) -> (u64, Result<(), Sense>) {
    let (before, wanted) = (index.filemarks_before(from), count.unsigned_abs());
    if wanted == 0 {
        return (from, Ok(()));
    }
    if count < 0 {
        return match before.checked_sub(wanted).and_then(|filemark| index.filemark(filemark)) {
            Some(filemark) => (filemark, Ok(())),
            None => (
                0,
                Err(BEGINNING_OF_PARTITION.with_information(residue(wanted - before))),
            ),
        };
    }
    match before
        .checked_add(wanted - 1)
        .and_then(|filemark| index.filemark(filemark))
    {
        Some(filemark) => (filemark + 1, Ok(())),
        None => {
            let left = wanted.saturating_sub(index.filemarks() - before);
            (index.objects(), Err(END_OF_DATA.with_information(residue(left))))
        }
    }
}

fn residue(left: u64) -> i64 {
    i64::try_from(left).unwrap_or(i64::MAX)
}

/// A 24-bit field in two's complement.
fn signed_24_bits(field: u32) -> i64 {
    let value = i64::from(field);
    if value >= 1 << 23 { value - (1 << 24) } else { value }
}

fn short_form(mut flags: u8, position: u64) -> [u8; 20] {
    let mut form = [0; 20];
    match u32::try_from(position) {
        Ok(position) => {
            form[4..8].copy_from_slice(&position.to_be_bytes());
            form[8..12].copy_from_slice(&position.to_be_bytes());
        }
        // LOLU: the object number needs more than 32 bits.
        Err(_) => flags |= 0x04,
    }
    form[0] = flags;
    form
}

fn long_form(flags: u8, position: u64, filemarks: u64) -> [u8; 32] {
    let mut form = [0; 32];
    form[0] = flags;
    form[8..16].copy_from_slice(&position.to_be_bytes());
    form[16..24].copy_from_slice(&filemarks.to_be_bytes());
    form
}

fn extended_form(flags: u8, position: u64) -> [u8; 32] {
    let mut form = [0; 32];
    form[0] = flags;
    form[3] = 0x1C;
    form[8..16].copy_from_slice(&position.to_be_bytes());
    form[16..24].copy_from_slice(&position.to_be_bytes());
    form
}

const FILEMARK_DETECTED: Sense = Sense::new(0x0, 0x00, 0x01).at_filemark();
const BEGINNING_OF_PARTITION: Sense = Sense::new(0x0, 0x00, 0x04).at_end_of_medium();
const END_OF_DATA: Sense = Sense::new(0x8, 0x00, 0x05);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_24_bit_counts_in_twos_complement() {
        assert_eq!(
            [0, 1, 0x7F_FFFF, 0x80_0000, 0xFF_FFFF].map(signed_24_bits),
            [0, 1, 8_388_607, -8_388_608, -1]
        );
    }

    #[test]
    fn marks_a_position_that_the_short_form_cannot_hold() {
        assert_eq!(short_form(0x80, 7)[..8], [0x80, 0, 0, 0, 0, 0, 0, 7]);
        assert_eq!(short_form(0, 1 << 32)[..8], [0x04, 0, 0, 0, 0, 0, 0, 0]);
    }
}
