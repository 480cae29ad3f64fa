//! MODE SENSE(6) and (10) (SPC-4): header, block descriptor, and the pages that were asked for.

use super::{
    ALL_PAGES, ALL_SUBPAGES, BLOCK_DESCRIPTOR_BYTES, Facts, IBM_ENCRYPTION_MODE, ModeParameters, PAGES, PageCode,
};
use crate::{
    LibraryManaged,
    drive::{
        Drive,
        call::{Call, CommandResult},
    },
    sense::Sense,
};

impl Drive {
    /// MODE SENSE(6) and (10).
    pub(in crate::drive) fn mode_sense(&self, call: Call<'_>) -> CommandResult {
        const MODE_SENSE_6: u8 = 0x1A;
        const SAVED_VALUES: u8 = 3;
        let short = call.cdb.byte(0) == MODE_SENSE_6;
        let (control, code, subpage) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3F, call.cdb.byte(3));
        if control == SAVED_VALUES {
            return Err(SAVING_NOT_SUPPORTED.into());
        }
        let facts = self.mode_facts();
        let known = PAGES
            .into_iter()
            .filter(|page| *page != IBM_ENCRYPTION_MODE || facts.host_managed);
        let wanted: Vec<PageCode> = match (code, subpage) {
            (ALL_PAGES, 0) => known.filter(|page| page.1 == 0).collect(),
            (ALL_PAGES, ALL_SUBPAGES) => known.collect(),
            (code, ALL_SUBPAGES) => known.filter(|page| page.0 == code).collect(),
            page => known.filter(|known| *known == page).collect(),
        };
        // Page 00h stands for header and block descriptor alone.
        if wanted.is_empty() && (code, subpage) != (0, 0) {
            let known = PAGES.iter().any(|page| page.0 == code);
            return Err(if known {
                Sense::invalid_cdb_field(3, 7)
            } else {
                Sense::invalid_cdb_field(2, 5)
            }
            .into());
        }
        let defaults = ModeParameters::default();
        let pages = wanted.into_iter().filter_map(|page| match control {
            0 => self.mode.page(page, facts),
            1 => ModeParameters::changeable(page, &self.quirks),
            _ => defaults.page(page, facts),
        });
        let pages: Vec<u8> = pages.flatten().collect();
        let descriptor = if call.cdb.bit(1, 3) {
            vec![]
        } else {
            self.block_descriptor(control).to_vec()
        };
        let answer = self.mode_header(short, &descriptor, &pages);
        let allocation_length = if short {
            u32::from(call.cdb.byte(4))
        } else {
            u32::from(call.cdb.u16(7))
        };
        call.reply(&answer, allocation_length)
    }

    fn mode_header(&self, short: bool, descriptor: &[u8], pages: &[u8]) -> Vec<u8> {
        const BUFFERED: u8 = 0x10;
        const WRITE_PROTECTED: u8 = 0x80;
        let cartridge = self.medium.threaded().ok();
        // IBM's medium types: generation in the high digit.
        let medium_type = match cartridge.map(crate::Cartridge::density) {
            Some(0x5C) => 0x78,
            Some(_) => 0x88,
            None => 0x00,
        };
        let protected = self.mode.software_write_protect || cartridge.is_some_and(crate::Cartridge::write_protected);
        let buffered = if self.mode.buffered { BUFFERED } else { 0 };
        let device_specific = buffered | if protected { WRITE_PROTECTED } else { 0 };
        let descriptor_bytes = u8::try_from(descriptor.len()).unwrap_or(BLOCK_DESCRIPTOR_BYTES);
        let behind = descriptor.len() + pages.len();
        let mut answer = if short {
            vec![
                u8::try_from(behind + 3).unwrap_or(u8::MAX),
                medium_type,
                device_specific,
                descriptor_bytes,
            ]
        } else {
            let [high, low] = u16::try_from(behind + 6).unwrap_or(u16::MAX).to_be_bytes();
            vec![high, low, medium_type, device_specific, 0, 0, 0, descriptor_bytes]
        };
        answer.extend_from_slice(descriptor);
        answer.extend_from_slice(pages);
        answer
    }

    pub(super) fn block_descriptor(&self, control: u8) -> [u8; 8] {
        let density = match self.medium.threaded() {
            Ok(cartridge) => cartridge.density(),
            Err(_) => self.profile.densities.first().copied().unwrap_or(0),
        };
        match control {
            0 => {
                let [_, high, middle, low] = self.mode.block_bytes.to_be_bytes();
                [density, 0, 0, 0, 0, high, middle, low]
            }
            1 => [0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF],
            _ => [density, 0, 0, 0, 0, 0, 0, 0],
        }
    }

    /// What pages say about drive and cartridge.
    pub(super) fn mode_facts(&self) -> Facts {
        const GIGABYTE: u64 = 1_000_000_000;
        let capacity_gb = self
            .medium
            .threaded()
            .map_or(0, |cartridge| cartridge.capacity_bytes() / GIGABYTE);
        Facts {
            capacity_gb: u16::try_from(capacity_gb).unwrap_or(u16::MAX),
            host_managed: self.quirks.library_managed == LibraryManaged::Off,
        }
    }
}

const SAVING_NOT_SUPPORTED: Sense = Sense::new(0x5, 0x39, 0x00);
