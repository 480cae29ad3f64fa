//! MODE SENSE and MODE SELECT (SPC-4), and the mode pages of a tape drive (SSC-4).
//!
//! A page is built three times from one description: as it is, as it was at power on, and which bits may be changed.

use super::{
    Drive,
    call::{Call, CommandResult},
    nexuses::MODE_CHANGED,
};
use crate::{Quirks, sense::Sense};

/// What MODE SELECT may change.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct ModeParameters {
    /// Block length for FIXED transfers; 0 means none is set.
    pub(super) block_bytes: u32,
    /// Sense data comes in descriptor format (D_SENSE).
    pub(super) descriptor_sense: bool,
    /// Data would be compressed (DCE); blocks are stored as they are, whatever it says.
    data_compression: bool,
    /// SWP: the tape is write-protected.
    pub(super) software_write_protect: bool,
    /// VCELBRE: a volume that holds encrypted blocks takes no plain one.
    pub(super) encrypted_volume_requires_encryption: bool,
}

impl Default for ModeParameters {
    fn default() -> Self {
        Self {
            block_bytes: 0,
            descriptor_sense: false,
            data_compression: true,
            software_write_protect: false,
            encrypted_volume_requires_encryption: false,
        }
    }
}

/// Page and subpage code.
type PageCode = (u8, u8);

const CONTROL: PageCode = (0x0A, 0x00);
const DATA_COMPRESSION: PageCode = (0x0F, 0x00);
const DEVICE_CONFIGURATION: PageCode = (0x10, 0x00);
const DEVICE_CONFIGURATION_EXTENSION: PageCode = (0x10, 0x01);
const MEDIUM_CONFIGURATION: PageCode = (0x1D, 0x00);
const PAGES: [PageCode; 5] = [
    CONTROL,
    DATA_COMPRESSION,
    DEVICE_CONFIGURATION,
    DEVICE_CONFIGURATION_EXTENSION,
    MEDIUM_CONFIGURATION,
];

const ALL_PAGES: u8 = 0x3F;
const ALL_SUBPAGES: u8 = 0xFF;
const BLOCK_DESCRIPTOR_BYTES: u8 = 8;
/// Density code that leaves the density as it is.
const NO_CHANGE: u8 = 0x7F;

const D_SENSE: u8 = 0x04;
const DCE: u8 = 0x80;
const SWP: u8 = 0x04;
const VCELBRE: u8 = 0x01;

impl ModeParameters {
    /// The page's bytes, header included. None for a page that does not exist.
    fn page(&self, code: PageCode) -> Option<Vec<u8>> {
        let flag = |set: bool, bit: u8| if set { bit } else { 0 };
        let (length, bytes): (usize, Vec<(usize, u8)>) = match code {
            CONTROL => (12, vec![(2, flag(self.descriptor_sense, D_SENSE))]),
            // DCC: compression is possible; DDE: compressed data would be expanded; algorithm 1.
            DATA_COMPRESSION => (
                16,
                vec![(2, 0x40 | flag(self.data_compression, DCE)), (3, 0x80), (7, 1), (11, 1)],
            ),
            // BIS; EEG and SEW; algorithm 1.
            DEVICE_CONFIGURATION => (
                16,
                vec![(8, 0x40), (10, 0x18 | flag(self.software_write_protect, SWP)), (14, 1)],
            ),
            // A short erase writes end of data.
            DEVICE_CONFIGURATION_EXTENSION => (
                32,
                vec![(5, 0x02), (8, flag(self.encrypted_volume_requires_encryption, VCELBRE))],
            ),
            // Label and filemark restrictions of a WORM cartridge; this one is none.
            MEDIUM_CONFIGURATION => (32, vec![(4, 0x01), (5, 0x02)]),
            _ => return None,
        };
        Some(with_header(code, length, &bytes))
    }

    /// Which bits of a page may be changed.
    fn changeable(code: PageCode, quirks: &Quirks) -> Option<Vec<u8>> {
        let (length, bytes): (usize, Vec<(usize, u8)>) = match code {
            CONTROL => (12, vec![(2, D_SENSE)]),
            DATA_COMPRESSION => (16, vec![(2, DCE)]),
            DEVICE_CONFIGURATION => (16, vec![(10, SWP)]),
            DEVICE_CONFIGURATION_EXTENSION => (32, vec![(8, if quirks.vcelbre_changeable { VCELBRE } else { 0 })]),
            MEDIUM_CONFIGURATION => (32, vec![]),
            _ => return None,
        };
        Some(with_header(code, length, &bytes))
    }

    /// Takes over a page whose every changed bit may be changed.
    fn take_page(&mut self, code: PageCode, page: &[u8]) {
        let set = |at: usize, bit: u8| page.get(at).is_some_and(|byte| byte & bit != 0);
        match code {
            CONTROL => self.descriptor_sense = set(2, D_SENSE),
            DATA_COMPRESSION => self.data_compression = set(2, DCE),
            DEVICE_CONFIGURATION => self.software_write_protect = set(10, SWP),
            DEVICE_CONFIGURATION_EXTENSION => self.encrypted_volume_requires_encryption = set(8, VCELBRE),
            _ => {}
        }
    }
}

/// Page header (page_0 or sub_page format), zeros, and the bytes that are not zero.
fn with_header((code, subpage): PageCode, length: usize, bytes: &[(usize, u8)]) -> Vec<u8> {
    let mut page = vec![0; length];
    let short = |length: usize| u8::try_from(length).unwrap_or(u8::MAX);
    let header = if subpage == 0 {
        vec![(0, code), (1, short(length - 2))]
    } else {
        vec![(0, 0x40 | code), (1, subpage), (3, short(length - 4))]
    };
    for (at, value) in header.iter().chain(bytes) {
        if let Some(byte) = page.get_mut(*at) {
            *byte = *value;
        }
    }
    page
}

impl Drive {
    /// MODE SENSE(6) and (10).
    pub(super) fn mode_sense(&self, call: Call<'_>) -> CommandResult {
        const MODE_SENSE_6: u8 = 0x1A;
        const SAVED_VALUES: u8 = 3;
        let short = call.cdb.byte(0) == MODE_SENSE_6;
        let (control, code, subpage) = (call.cdb.byte(2) >> 6, call.cdb.byte(2) & 0x3F, call.cdb.byte(3));
        if control == SAVED_VALUES {
            return Err(SAVING_NOT_SUPPORTED.into());
        }
        let wanted: Vec<PageCode> = match (code, subpage) {
            (ALL_PAGES, 0) => PAGES.into_iter().filter(|page| page.1 == 0).collect(),
            (ALL_PAGES, ALL_SUBPAGES) => PAGES.to_vec(),
            (code, ALL_SUBPAGES) => PAGES.into_iter().filter(|page| page.0 == code).collect(),
            page => PAGES.into_iter().filter(|known| *known == page).collect(),
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
            0 => self.mode.page(page),
            1 => ModeParameters::changeable(page, &self.quirks),
            _ => defaults.page(page),
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
        let device_specific = BUFFERED | if protected { WRITE_PROTECTED } else { 0 };
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

    fn block_descriptor(&self, control: u8) -> [u8; 8] {
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

    /// MODE SELECT(6) and (10): everything in the list or, on error, nothing.
    pub(super) fn mode_select(&mut self, call: &Call<'_>) -> CommandResult {
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
        let current = self.mode.page(code).ok_or(refusal(at, 5))?;
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

const SAVING_NOT_SUPPORTED: Sense = Sense::new(0x5, 0x39, 0x00);
const PARAMETER_LIST_LENGTH_ERROR: Sense = Sense::new(0x5, 0x1A, 0x00);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_current_and_changeable_pages_of_the_same_length() {
        for code in PAGES {
            let current = ModeParameters::default().page(code).unwrap();
            let changeable = ModeParameters::changeable(code, &Quirks::default()).unwrap();
            assert_eq!(
                (current.len(), &current[..2]),
                (changeable.len(), &changeable[..2]),
                "{code:02X?}"
            );
        }
    }

    #[test]
    fn lays_out_the_extension_page_with_its_long_header() {
        let mode = ModeParameters {
            encrypted_volume_requires_encryption: true,
            ..ModeParameters::default()
        };
        let page = mode.page(DEVICE_CONFIGURATION_EXTENSION).unwrap();
        assert_eq!(page[..9], [0x50, 0x01, 0x00, 0x1C, 0x00, 0x02, 0x00, 0x00, 0x01]);
        assert_eq!(page.len(), 32);
    }
}
