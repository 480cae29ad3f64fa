//! WRITE(6), WRITE FILEMARKS and ERASE (SSC-4). The data path: a block goes from the caller's buffer into the cartridge in one pass.

use super::{
    Drive,
    call::{Call, CommandResult, DATA_PHASE_ERROR},
    encryption::EncryptionMode,
    log::{MEGABYTE, TapeAlert},
    medium::WRITE_ERROR,
};
use crate::{
    ItNexus,
    cartridge::{Seal, TapeFault},
    sense::Sense,
};

impl Drive {
    /// WRITE(6). What lay behind the head before is gone.
    pub(super) fn write(&mut self, call: &Call<'_>) -> CommandResult {
        let fixed = call.cdb.bit(1, 0);
        self.check_writable()?;
        if fixed && self.mode.block_bytes == 0 {
            return Err(Sense::invalid_cdb_field(1, 0).into());
        }
        let length = call.cdb.u24(2);
        if length == 0 {
            return Ok(0);
        }
        let (blocks, block_bytes) = if fixed {
            (length, self.mode.block_bytes)
        } else {
            (1, length)
        };
        if block_bytes > self.profile.block_bytes_max {
            return Err(Sense::invalid_cdb_field(2, 7).into());
        }
        let step = usize::try_from(block_bytes).unwrap_or(usize::MAX);
        let total = step.saturating_mul(usize::try_from(blocks).unwrap_or(usize::MAX));
        let data = call.data_out.get(..total).ok_or(DATA_PHASE_ERROR)?;
        self.check_encryption_for_write(call.nexus)?;
        self.cut_tape()?;
        let remaining = self.medium.threaded()?.remaining_bytes();
        for (written, block) in (0_i64..).zip(data.chunks_exact(step)) {
            let residue = if fixed {
                i64::from(blocks) - written
            } else {
                i64::from(length)
            };
            if let Err(fault) = self.write_block(call.nexus, block) {
                return Err(self.write_failed(&fault).with_information(residue).into());
            }
        }
        if !self.mode.buffered {
            self.sync()?;
        }
        self.check_early_warning(remaining)
    }

    /// Everything written is on the disk.
    fn sync(&mut self) -> Result<(), Sense> {
        let synced = self.medium.threaded_mut()?.sync();
        synced.map_err(|fault| self.write_failed(&fault))
    }

    /// The sense of a write that failed; what is to be counted and raised for it is.
    fn write_failed(&mut self, fault: &TapeFault) -> Sense {
        if matches!(fault, TapeFault::Full) {
            return VOLUME_OVERFLOW;
        }
        self.note_medium_error(true);
        WRITE_ERROR
    }

    /// Counts and raises what belongs to a block that could not be written (`writes`) or read.
    pub(crate) fn note_medium_error(&mut self, writes: bool) {
        let alert = if writes {
            self.statistics.count_write_error();
            TapeAlert::WriteFailure
        } else {
            self.statistics.count_read_error();
            TapeAlert::ReadFailure
        };
        for alert in [TapeAlert::HardError, TapeAlert::Media, alert] {
            self.tape_alerts.raise(alert);
        }
    }

    fn write_block(&mut self, nexus: &ItNexus, block: &[u8]) -> Result<(), TapeFault> {
        let Self {
            medium,
            encryption,
            nexuses,
            randomness,
            statistics,
            ..
        } = self;
        let nexus = nexuses.find_mut(nexus).ok_or(TapeFault::Failed)?;
        let set = encryption
            .in_force_mut(nexus)
            .filter(|set| set.encryption_mode() == EncryptionMode::Encrypt);
        let cartridge = medium.threaded_mut().map_err(|_| TapeFault::Failed)?;
        match set {
            None => cartridge.append_block(block, None)?,
            Some(set) => {
                let (key, attributes) = set.sealing().ok_or(TapeFault::Failed)?;
                let nonce = key.next_nonce(randomness.as_mut());
                cartridge.append_block(block, Some(&Seal { key, nonce, attributes }))?;
            }
        }
        statistics.count_written(u64::try_from(block.len()).unwrap_or(0));
        medium.move_to(medium.position() + 1);
        Ok(())
    }

    /// LOCK, VCELBRE and an external key manager may forbid a block (filemarks need no key).
    fn check_encryption_for_write(&mut self, nexus: &ItNexus) -> Result<(), Sense> {
        if self.quirks.external_key_required {
            self.tape_alerts.raise(TapeAlert::KeyManagerError);
            return Err(KEY_REQUIRED);
        }
        let Some(nexus) = self.nexuses.find(nexus) else {
            return Ok(());
        };
        self.encryption.check_lock(nexus)?;
        let encrypts = self
            .encryption
            .in_force(nexus)
            .is_some_and(|set| set.encryption_mode() == EncryptionMode::Encrypt);
        let (index, position) = (self.medium.threaded()?.index(), self.medium.position());
        let mixes = if encrypts {
            index.plain_before(position)
        } else {
            index.sealed_before(position)
        };
        if let Some(code) = self.quirks.mixing_refused.filter(|_| mixes) {
            return Err(Sense::from_code(code));
        }
        if self.mode.encrypted_volume_requires_encryption && index.first_sealed().is_some() && !encrypts {
            self.tape_alerts.raise(TapeAlert::EncryptionPolicyViolation);
            return Err(Sense::from_code(self.quirks.plain_write_refused));
        }
        Ok(())
    }

    /// Ready, and neither tab nor mode page protects the tape.
    fn check_writable(&mut self) -> Result<(), Sense> {
        if self.medium.threaded()?.write_protected() {
            self.tape_alerts.raise(TapeAlert::WriteProtect);
            return Err(HARDWARE_WRITE_PROTECTED);
        }
        if self.mode.software_write_protect {
            Err(SOFTWARE_WRITE_PROTECTED)
        } else {
            Ok(())
        }
    }

    /// Everything from the head on is overwritten.
    fn cut_tape(&mut self) -> Result<(), Sense> {
        let position = self.medium.position();
        let cartridge = self.medium.threaded_mut()?;
        let cut = cartridge
            .mark_contents()
            .map_err(TapeFault::from)
            .and_then(|()| cartridge.truncate(position));
        cut.map_err(|fault| self.write_failed(&fault))
    }

    /// Warns of the end: always once past early warning, and once where the zone of the programmable warning begins.
    ///
    /// `remaining` is what was left before the command.
    fn check_early_warning(&self, remaining: u64) -> CommandResult {
        let cartridge = self.medium.threaded()?;
        if cartridge.past_early_warning() {
            return Err(EARLY_WARNING.with_information(0).into());
        }
        let zone_bytes = u64::from(self.mode.programmable_early_warning_mb) * MEGABYTE;
        let begins = cartridge.early_warning_bytes().saturating_add(zone_bytes);
        if zone_bytes > 0 && remaining >= begins && cartridge.remaining_bytes() < begins {
            return Err(PROGRAMMABLE_EARLY_WARNING.with_information(0).into());
        }
        Ok(0)
    }

    /// WRITE FILEMARKS(6) and (16). Without IMMED, or with a count of 0, what was written is on the disk when it returns.
    pub(super) fn write_filemarks(&mut self, call: &Call<'_>) -> CommandResult {
        const FIRST_SIXTEEN_BYTE_CODE: u8 = 0x80;
        self.check_writable()?;
        let immediate = call.cdb.bit(1, 0);
        let count = call.cdb.u24(if call.cdb.byte(0) < FIRST_SIXTEEN_BYTE_CODE {
            2
        } else {
            12
        });
        if count > 0 {
            self.cut_tape()?;
        }
        let remaining = self.medium.threaded()?.remaining_bytes();
        for written in 0..count {
            let appended = self.medium.threaded_mut()?.append_filemark();
            appended.map_err(|fault| self.write_failed(&fault).with_information(i64::from(count - written)))?;
            self.medium.move_to(self.medium.position() + 1);
        }
        if !immediate || count == 0 {
            self.sync()?;
        }
        if count == 0 {
            Ok(0)
        } else {
            self.check_early_warning(remaining)
        }
    }

    /// ERASE(6): the tape ends here. LONG and IMMED make no difference: what is erased is gone at once.
    pub(super) fn erase(&mut self) -> CommandResult {
        self.check_writable()?;
        self.cut_tape()?;
        self.sync()?;
        Ok(0)
    }

    /// FORMAT MEDIUM: a blank tape with one partition, from its beginning only. Formats with more partitions are refused.
    pub(super) fn format_medium(&mut self, call: &Call<'_>) -> CommandResult {
        if call.cdb.byte(2) & 0x0F != 0 {
            return Err(Sense::invalid_cdb_field(2, 3).into());
        }
        if call.cdb.u16(3) != 0 {
            return Err(Sense::invalid_cdb_field(3, 7).into());
        }
        self.check_writable()?;
        if self.medium.position() != 0 {
            return Err(POSITION_PAST_BEGINNING.into());
        }
        self.erase()
    }
}

const POSITION_PAST_BEGINNING: Sense = Sense::new(0x5, 0x3B, 0x0C);
const PROGRAMMABLE_EARLY_WARNING: Sense = Sense::new(0x0, 0x00, 0x07).at_end_of_medium();
const EARLY_WARNING: Sense = Sense::new(0x0, 0x00, 0x02).at_end_of_medium();
const VOLUME_OVERFLOW: Sense = Sense::new(0xD, 0x00, 0x02).at_end_of_medium();
const HARDWARE_WRITE_PROTECTED: Sense = Sense::new(0x7, 0x27, 0x01);
const SOFTWARE_WRITE_PROTECTED: Sense = Sense::new(0x7, 0x27, 0x02);
const KEY_REQUIRED: Sense = Sense::new(0x7, 0xEF, 0x10);
