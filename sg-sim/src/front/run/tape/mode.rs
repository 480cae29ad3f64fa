//! What the driver asks of and sets in the drive's mode parameters.

use nix::errno::Errno;

use super::super::port::{Trouble, key};
use super::Tape;

const MODE_SENSE: u8 = 0x1A;
const MODE_SELECT: u8 = 0x15;
const PAGE_FORMAT: u8 = 0x10;
/// Mode parameter header and one block descriptor.
const HEADER_BYTES: usize = 12;
const COMPRESSION_PAGE: u8 = 0x0F;
/// The block length that the driver assumes of a drive without MODE SENSE.
const FALLBACK_BLOCK_LENGTH: u32 = 512;

impl Tape {
    /// READ BLOCK LIMITS: which lengths a block may have.
    pub(super) fn read_block_limits(&mut self) {
        let mut limits = [0; 6];
        let read = !self.options.no_block_limits && self.attempt(&[0x05, 0, 0, 0, 0, 0], &[], &mut limits).is_ok();
        let [_, high, middle, low, least_high, least_low] = limits;
        let most = u32::from_be_bytes([0, high, middle, low]);
        self.block_length_limits =
            (read && most > 0).then_some((u32::from(u16::from_be_bytes([least_high, least_low])), most));
    }

    /// MODE SENSE: block length, density, write protection.
    pub(super) fn read_mode(&mut self) {
        let mut header = [0; HEADER_BYTES];
        let length = u8::try_from(HEADER_BYTES).unwrap_or(0);
        let read = self.attempt(&[MODE_SENSE, 0, 0, 0, length, 0], &[], &mut header);
        if read.is_err() {
            self.block_length = FALLBACK_BLOCK_LENGTH;
            self.drive_write_protected = false;
            return;
        }
        let [
            _,
            _,
            device_specific,
            descriptor_length,
            density,
            _,
            _,
            _,
            _,
            high,
            middle,
            low,
        ] = header;
        if descriptor_length >= 8 {
            self.buffered_mode = (device_specific >> 4) & 7;
            self.density = density;
            self.block_length = u32::from_be_bytes([0, high, middle, low]);
        }
        self.drive_write_protected = device_specific & 0x80 != 0;
    }

    /// Sets what `defblksize` and `defdensity` of mt ask for, on a tape that is new to the driver.
    pub(super) fn apply_defaults(&mut self) {
        let density = self.options.default_density.unwrap_or(self.density);
        let length = self.options.default_block_length.unwrap_or(self.block_length);
        if (density, length) != (self.density, self.block_length) {
            // As with the driver, a default that the drive refuses is no reason not to open it.
            let _ = self.select(self.buffered_mode, density, length);
        }
    }

    /// MTSETBLK
    pub(super) fn set_block_length(&mut self, length: i32) -> Result<(), Errno> {
        let length = length.cast_unsigned() & 0xFF_FFFF;
        if let Some((least, most)) = self.block_length_limits
            && length != 0
            && !(least..=most).contains(&length)
        {
            return Err(Errno::EINVAL);
        }
        self.select(self.buffered_mode, self.density, length)
    }

    /// MTSETDENSITY
    pub(super) fn set_density(&mut self, density: i32) -> Result<(), Errno> {
        let [.., density] = density.to_be_bytes();
        self.select(self.buffered_mode, density, self.block_length)
    }

    /// MTSETDRVBUFFER without options
    pub(super) fn set_buffered_mode(&mut self, mode: i32) -> Result<(), Errno> {
        let [.., mode] = mode.to_be_bytes();
        self.select(mode & 7, self.density, self.block_length)
    }

    /// MODE SELECT with a header and a block descriptor, first with the page format bit, then without.
    fn select(&mut self, buffered_mode: u8, density: u8, length: u32) -> Result<(), Errno> {
        self.require_tape()?;
        if !self.ahead.is_empty() {
            return Err(Errno::EIO);
        }
        let [_, high, middle, low] = length.to_be_bytes();
        let list = [0, 0, buffered_mode << 4, 8, density, 0, 0, 0, 0, high, middle, low];
        let mut result = self.mode_select(PAGE_FORMAT, &list);
        if result.is_err_and(|trouble| trouble.key == Some(key::ILLEGAL_REQUEST)) {
            result = self.mode_select(0, &list);
        }
        result?;
        (self.buffered_mode, self.density, self.block_length) = (buffered_mode, density, length);
        Ok(())
    }

    fn mode_select(&mut self, format: u8, list: &[u8]) -> Result<(), Trouble> {
        let length = u8::try_from(list.len()).unwrap_or(u8::MAX);
        self.attempt(&[MODE_SELECT, format, 0, 0, length, 0], list, &mut [])
            .map(drop)
    }

    /// MTCOMPRESSION: sets DCE in the compression page.
    pub(super) fn set_compression(&mut self, on: bool) -> Result<(), Errno> {
        if self.require_tape().is_err() {
            return Err(Errno::EIO);
        }
        let mut page = vec![0; 255];
        let received = self.attempt(&[MODE_SENSE, 0, COMPRESSION_PAGE, 0, 255, 0], &[], &mut page)?;
        page.truncate(received);
        let at = 4 + usize::from(page.get(3).copied().unwrap_or(0));
        let length = at + 2 + usize::from(page.get(at + 1).copied().unwrap_or(0));
        let list = page.get_mut(..length).ok_or(Errno::EIO)?;
        set_compression_bits(list, at, on).ok_or(Errno::EIO)?;
        self.mode_select(PAGE_FORMAT, &page).map_err(Into::into)
    }

    /// MTLOCK and MTUNLOCK: PREVENT ALLOW MEDIUM REMOVAL.
    pub(super) fn lock_door(&mut self, lock: bool) -> Result<(), Errno> {
        self.order([0x1E, 0, 0, 0, u8::from(lock), 0])?;
        self.door_locked = lock;
        Ok(())
    }
}

/// Turns what MODE SENSE gave into what MODE SELECT takes. None if the drive cannot compress.
fn set_compression_bits(list: &mut [u8], page_at: usize, on: bool) -> Option<()> {
    const COMPRESSION_ENABLED: u8 = 0x80;
    const COMPRESSION_CAPABLE: u8 = 0x40;
    list.get_mut(..2)?.fill(0);
    *list.get_mut(2)? &= 0x7F;
    *list.get_mut(page_at)? &= 0x3F;
    let flags = list.get_mut(page_at + 2)?;
    if *flags & COMPRESSION_CAPABLE == 0 {
        return None;
    }
    *flags = (*flags & !COMPRESSION_ENABLED) | if on { COMPRESSION_ENABLED } else { 0 };
    Some(())
}
