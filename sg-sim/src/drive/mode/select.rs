//! MODE SELECT(6) and (10) (SPC-4): takes a list apart and refuses, at the right byte, whatever may not be changed.

use super::{BLOCK_DESCRIPTOR_BYTES, ModeParameters};
use crate::{
    drive::{
        Drive,
        call::{Call, CommandResult},
        nexuses::MODE_CHANGED,
    },
    sense::Sense,
};

/// Density code that leaves the density as it is.
const NO_CHANGE: u8 = 0x7F;

impl Drive {
    /// MODE SELECT(6) and (10): everything in the list or, on error, nothing.
    pub(in crate::drive) fn mode_select(&mut self, call: &Call<'_>) -> CommandResult {
        const MODE_SELECT_6: u8 = 0x15;
        const PAGE_FORMAT: u8 = 4;
        const SAVE_PAGES: u8 = 0;
        if !call.cdb.bit(1, PAGE_FORMAT) {
            return Err(Sense::invalid_cdb_field(1, PAGE_FORMAT).into());
        }
        if call.cdb.bit(1, SAVE_PAGES) {
            return Err(Sense::invalid_cdb_field(1, SAVE_PAGES).into());
        }
        let short = call.cdb.byte(0) == MODE_SELECT_6;
        let length = if short {
            u32::from(call.cdb.byte(4))
        } else {
            u32::from(call.cdb.u16(7))
        };
        if length == 0 {
            return Ok(0);
        }
        let mut mode = self.mode.clone();
        self.decode_mode_list(call.parameter_list(length)?, short, &mut mode)?;
        if mode != self.mode {
            self.mode = mode;
            self.nexuses
                .others_mut(call.nexus)
                .for_each(|nexus| nexus.attend(MODE_CHANGED));
        }
        Ok(0)
    }

    fn decode_mode_list(&self, list: &[u8], short: bool, mode: &mut ModeParameters) -> Result<(), Sense> {
        let header_bytes = if short { 4 } else { 8 };
        let (header, behind) = list.split_at_checked(header_bytes).ok_or(PARAMETER_LIST_LENGTH_ERROR)?;
        let descriptor_at = header_bytes - 1;
        // Mode data length and reserved bytes; the medium type may be anything, the device-specific byte keeps its speed at 0.
        let zero = if short { &[0][..] } else { &[0, 1, 4, 5, 6][..] };
        for at in zero {
            refuse_unless(header.get(*at) == Some(&0), *at, 7)?;
        }
        let device_specific_at = if short { 2 } else { 3 };
        let device_specific = header.get(device_specific_at).copied().unwrap_or(0);
        refuse_unless(
            device_specific & 0x0F == 0 && (device_specific >> 4) & 0x07 <= 1,
            device_specific_at,
            6,
        )?;
        mode.buffered = (device_specific >> 4) & 0x07 == 1;
        let mut at = header_bytes;
        let mut pages = behind;
        match header.get(descriptor_at) {
            Some(0) => {}
            Some(&BLOCK_DESCRIPTOR_BYTES) => {
                let (descriptor, rest) = behind.split_first_chunk::<8>().ok_or(PARAMETER_LIST_LENGTH_ERROR)?;
                self.decode_block_descriptor(*descriptor, at, mode)?;
                (pages, at) = (rest, at + descriptor.len());
            }
            _ => return Err(refusal(descriptor_at, 7)),
        }
        while !pages.is_empty() {
            let length = self.decode_mode_page(pages, at, mode)?;
            (pages, at) = (pages.get(length..).unwrap_or_default(), at + length);
        }
        Ok(())
    }

    fn decode_block_descriptor(&self, descriptor: [u8; 8], at: usize, mode: &mut ModeParameters) -> Result<(), Sense> {
        let [
            density,
            blocks_high,
            blocks_middle,
            blocks_low,
            reserved,
            high,
            middle,
            low,
        ] = descriptor;
        let known = density == 0 || density == NO_CHANGE || self.block_descriptor(0).first() == Some(&density);
        refuse_unless(known, at, 7)?;
        refuse_unless([blocks_high, blocks_middle, blocks_low] == [0; 3], at + 1, 7)?;
        refuse_unless(reserved == 0, at + 4, 7)?;
        let block_bytes = u32::from_be_bytes([0, high, middle, low]);
        refuse_unless(block_bytes <= self.profile.block_bytes_max, at + 5, 7)?;
        mode.block_bytes = block_bytes;
        Ok(())
    }

    /// Takes the page at the beginning of `pages` and returns its length.
    fn decode_mode_page(&self, pages: &[u8], at: usize, mode: &mut ModeParameters) -> Result<usize, Sense> {
        const SUBPAGE_FORMAT: u8 = 0x40;
        let first = pages.first().copied().unwrap_or(0);
        let subpage = if first & SUBPAGE_FORMAT == 0 {
            0
        } else {
            pages.get(1).copied().unwrap_or(0)
        };
        let code = (first & 0x3F, subpage);
        let current = self.mode.page(code, self.mode_facts()).ok_or(refusal(at, 5))?;
        let changeable = ModeParameters::changeable(code, &self.quirks).ok_or(refusal(at, 5))?;
        let page = pages.get(..current.len()).ok_or(PARAMETER_LIST_LENGTH_ERROR)?;
        let header_bytes = if subpage == 0 { 2 } else { 4 };
        for (offset, ((new, old), mask)) in page.iter().zip(&current).zip(&changeable).enumerate() {
            let mask = if offset < header_bytes { 0 } else { *mask };
            if let Some(bit) = ((new ^ old) & !mask).checked_ilog2() {
                return Err(refusal(at + offset, u8::try_from(bit).unwrap_or(7)));
            }
        }
        mode.take_page(code, page);
        Ok(page.len())
    }
}

fn refusal(at: usize, bit: u8) -> Sense {
    Sense::invalid_parameter_field(u16::try_from(at).unwrap_or(u16::MAX), bit)
}

fn refuse_unless(allowed: bool, at: usize, bit: u8) -> Result<(), Sense> {
    if allowed { Ok(()) } else { Err(refusal(at, bit)) }
}

const PARAMETER_LIST_LENGTH_ERROR: Sense = Sense::new(0x5, 0x1A, 0x00);
