//! MODE SENSE and MODE SELECT (SPC-4), and the mode pages of a tape drive (SSC-4).
//!
//! A page is built three times from one description: as it is, as it was at power on, and which bits may be changed.

mod select;
mod sense;

use crate::Quirks;

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
    /// Writes are acknowledged before they are on the disk (BUFFERED MODE 1).
    pub(super) buffered: bool,
    /// PEWS: how long before early warning a first warning comes, in megabytes; 0 for none.
    pub(super) programmable_early_warning_mb: u16,
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
            buffered: true,
            programmable_early_warning_mb: 0,
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
const MEDIUM_PARTITION: PageCode = (0x11, 0x00);
const INFORMATION_EXCEPTIONS: PageCode = (0x1C, 0x00);
const MEDIUM_CONFIGURATION: PageCode = (0x1D, 0x00);
/// IBM: whether the drive can encrypt, and does.
const IBM_ENCRYPTION_STATUS: PageCode = (0x24, 0x00);
/// IBM: who manages encryption. Only the way of a host that does is known, so the page is there for no other.
const IBM_ENCRYPTION_MODE: PageCode = (0x30, 0x20);
const PAGES: [PageCode; 9] = [
    CONTROL,
    DATA_COMPRESSION,
    DEVICE_CONFIGURATION,
    DEVICE_CONFIGURATION_EXTENSION,
    MEDIUM_PARTITION,
    INFORMATION_EXCEPTIONS,
    MEDIUM_CONFIGURATION,
    IBM_ENCRYPTION_STATUS,
    IBM_ENCRYPTION_MODE,
];

/// What pages say about drive and cartridge, and no MODE SELECT changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Facts {
    /// Capacity of the loaded cartridge in 10^9 bytes; 0 without one.
    capacity_gb: u16,
    /// The host owns encryption.
    host_managed: bool,
}

const ALL_PAGES: u8 = 0x3F;
const ALL_SUBPAGES: u8 = 0xFF;
const BLOCK_DESCRIPTOR_BYTES: u8 = 8;

const D_SENSE: u8 = 0x04;
const DCE: u8 = 0x80;
const SWP: u8 = 0x04;
const VCELBRE: u8 = 0x01;

impl ModeParameters {
    /// DCE: data would be compressed.
    pub(super) const fn data_compression(&self) -> bool {
        self.data_compression
    }

    /// The page's bytes, header included. None for a page that does not exist.
    fn page(&self, code: PageCode, facts: Facts) -> Option<Vec<u8>> {
        let [warning_high, warning_low] = self.programmable_early_warning_mb.to_be_bytes();
        let [capacity_high, capacity_low] = facts.capacity_gb.to_be_bytes();
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
                vec![
                    (5, 0x02),
                    (6, warning_high),
                    (7, warning_low),
                    (8, flag(self.encrypted_volume_requires_encryption, VCELBRE)),
                ],
            ),
            // No further partition; sizes in 10^9 bytes (PSUM 3, POFM); format and partitions recognised.
            MEDIUM_PARTITION => (
                10,
                vec![(4, 0x1C), (5, 0x03), (6, 0x09), (8, capacity_high), (9, capacity_low)],
            ),
            // DEXCPT: exceptions are read from TapeAlert, not reported.
            INFORMATION_EXCEPTIONS => (12, vec![(2, 0x08), (3, 0x03)]),
            // Label and filemark restrictions of a WORM cartridge; this one is none.
            MEDIUM_CONFIGURATION => (32, vec![(4, 0x01), (5, 0x02)]),
            // ENCR_C and ENCR_E.
            IBM_ENCRYPTION_STATUS => (8, vec![(7, 0x09)]),
            // Method: application; key path; default state.
            IBM_ENCRYPTION_MODE if facts.host_managed => (11, vec![(5, 0x03), (6, 0x01), (7, 0x01)]),
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
            DEVICE_CONFIGURATION_EXTENSION => (
                32,
                vec![
                    (6, 0xFF),
                    (7, 0xFF),
                    (8, if quirks.vcelbre_changeable { VCELBRE } else { 0 }),
                ],
            ),
            MEDIUM_PARTITION => (10, vec![]),
            INFORMATION_EXCEPTIONS => (12, vec![]),
            MEDIUM_CONFIGURATION => (32, vec![]),
            IBM_ENCRYPTION_STATUS => (8, vec![]),
            IBM_ENCRYPTION_MODE => (11, vec![]),
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
            DEVICE_CONFIGURATION_EXTENSION => {
                self.encrypted_volume_requires_encryption = set(8, VCELBRE);
                let byte = |at: usize| page.get(at).copied().unwrap_or(0);
                self.programmable_early_warning_mb = u16::from_be_bytes([byte(6), byte(7)]);
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: Facts = Facts {
        capacity_gb: 12_000,
        host_managed: true,
    };

    #[test]
    fn builds_current_and_changeable_pages_of_the_same_length() {
        for code in PAGES {
            let current = ModeParameters::default().page(code, HOST).unwrap();
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
            programmable_early_warning_mb: 0x0102,
            ..ModeParameters::default()
        };
        let page = mode.page(DEVICE_CONFIGURATION_EXTENSION, HOST).unwrap();
        assert_eq!(page[..9], [0x50, 0x01, 0x00, 0x1C, 0x00, 0x02, 0x01, 0x02, 0x01]);
        assert_eq!(page.len(), 32);
    }

    #[test]
    fn sizes_the_only_partition_in_gigabytes() {
        let page = ModeParameters::default().page(MEDIUM_PARTITION, HOST).unwrap();
        assert_eq!(page, [0x11, 0x08, 0, 0, 0x1C, 0x03, 0x09, 0, 0x2E, 0xE0]);
    }

    #[test]
    fn shows_how_a_host_manages_encryption_and_nothing_where_it_does_not() {
        let mode = ModeParameters::default();
        assert_eq!(
            mode.page(IBM_ENCRYPTION_MODE, HOST).unwrap(),
            [0x70, 0x20, 0x00, 0x07, 0, 3, 1, 1, 0, 0, 0]
        );
        assert_eq!(mode.page(IBM_ENCRYPTION_MODE, Facts::default()), None);
        assert_eq!(
            mode.page(IBM_ENCRYPTION_STATUS, HOST).unwrap(),
            [0x24, 0x06, 0, 0, 0, 0, 0, 9]
        );
    }
}
