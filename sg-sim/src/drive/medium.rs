//! The cartridge in the drive: where it sits, and where on the tape the head stands. LOAD UNLOAD, PREVENT ALLOW, and what the operator does.

use super::{
    Drive, LoadError,
    call::{Call, CommandResult},
    log::TapeAlert,
    nexuses::MEDIUM_CHANGED,
};
use crate::{Cartridge, cartridge::TapeFault, sense::Sense};

/// Where the cartridge sits.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Seat {
    /// In the mouth of the drive, or nowhere.
    #[default]
    Out,
    /// In the drive, not threaded (UNLOAD with HOLD).
    Held,
    /// Threaded: the tape can be read and written.
    Threaded,
    /// On its way to being threaded.
    Loading,
    /// A cleaning cartridge, which no command can read, is in the drive.
    Cleaning,
}

/// Cartridge and position.
#[derive(Default)]
pub(super) struct Medium {
    cartridge: Option<Cartridge>,
    seat: Seat,
    position: u64,
    fresh: bool,
    loaded_since_power_on: bool,
}

impl Medium {
    /// The cartridge, if its tape is threaded.
    ///
    /// # Errors
    /// 02/3A/00 without one, 02/04/02 if it must be loaded first.
    pub(super) fn threaded(&self) -> Result<&Cartridge, Sense> {
        self.check_threaded()?;
        self.cartridge.as_ref().ok_or(MEDIUM_NOT_PRESENT)
    }

    /// The cartridge, if its tape is threaded.
    ///
    /// # Errors
    /// As [`threaded`](Self::threaded).
    pub(super) fn threaded_mut(&mut self) -> Result<&mut Cartridge, Sense> {
        self.check_threaded()?;
        self.cartridge.as_mut().ok_or(MEDIUM_NOT_PRESENT)
    }

    /// The cartridge, if the chip in it can be reached: threaded, or held without being threaded.
    ///
    /// # Errors
    /// 02/3A/00 without one.
    pub(super) fn memory(&self) -> Result<&Cartridge, Sense> {
        match self.seat {
            Seat::Held => self.cartridge.as_ref().ok_or(MEDIUM_NOT_PRESENT),
            _ => self.threaded(),
        }
    }

    /// The cartridge, if the chip in it can be reached.
    ///
    /// # Errors
    /// As [`memory`](Self::memory).
    pub(super) fn memory_mut(&mut self) -> Result<&mut Cartridge, Sense> {
        match self.seat {
            Seat::Held => self.cartridge.as_mut().ok_or(MEDIUM_NOT_PRESENT),
            _ => self.threaded_mut(),
        }
    }

    /// Where the cartridge sits.
    pub(super) const fn seat(&self) -> Seat {
        self.seat
    }

    /// Whether there is a cartridge in the drive or in its mouth.
    pub(super) const fn is_present(&self) -> bool {
        self.cartridge.is_some() || matches!(self.seat, Seat::Cleaning)
    }

    const fn check_threaded(&self) -> Result<(), Sense> {
        match self.seat {
            Seat::Threaded => Ok(()),
            Seat::Held => Err(INITIALIZING_COMMAND_REQUIRED),
            Seat::Loading => Err(BECOMING_READY),
            Seat::Cleaning => Err(CLEANING_CARTRIDGE_INSTALLED),
            Seat::Out => Err(MEDIUM_NOT_PRESENT),
        }
    }

    /// Whether a tape is threaded.
    pub(super) fn is_threaded(&self) -> bool {
        self.threaded().is_ok()
    }

    /// Number of the object before the head; 0 without a tape.
    pub(super) const fn position(&self) -> u64 {
        self.position
    }

    /// Moves the head before object `position`.
    pub(super) const fn move_to(&mut self, position: u64) {
        self.position = position;
        self.fresh = false;
    }

    /// Whether the tape has been neither read nor moved since it was loaded.
    pub(super) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether a cartridge was loaded since power on; one that is on its way is yet to be announced.
    pub(super) fn loaded_since_power_on(&self) -> bool {
        self.loaded_since_power_on && self.seat != Seat::Loading
    }

    /// Takes the tape to its beginning, as a reset does.
    pub(super) const fn rewind(&mut self) {
        self.position = 0;
    }

    /// Power on: the tape, if there is one, is threaded again.
    pub(super) const fn power_on(&mut self) {
        self.position = 0;
        self.fresh = true;
        self.loaded_since_power_on = false;
    }

    /// A tape that is threaded still has to be loaded.
    pub(super) const fn become_busy(&mut self) {
        self.seat = Seat::Loading;
    }

    /// The tape is loaded.
    pub(super) const fn become_ready(&mut self) {
        self.seat = Seat::Threaded;
    }

    fn thread(&mut self, drive: &str) {
        self.seat = Seat::Threaded;
        self.position = 0;
        self.fresh = true;
        self.loaded_since_power_on = true;
        if let Some(cartridge) = &mut self.cartridge {
            // A load that could not be counted is no reason to keep the data from its owner; a write will say what is wrong with the file.
            let _ = cartridge.count_load(drive);
        }
    }
}

impl Drive {
    /// Puts a cartridge in and loads it; every nexus is told 28h/00h when it is ready, at once unless the drive's time goes (see [`Pace`](crate::Pace)).
    ///
    /// # Errors
    /// The drive holds a cartridge already, or cannot read this one.
    pub fn load(&mut self, cartridge: Cartridge) -> Result<(), LoadError> {
        if self.medium.cartridge.is_some() {
            return Err(LoadError::Occupied(Box::new(cartridge)));
        }
        let density = cartridge.density();
        if !self.profile.densities.contains(&density) {
            return Err(LoadError::Unsuitable {
                cartridge: Box::new(cartridge),
                density,
            });
        }
        self.medium.cartridge = Some(cartridge);
        self.thread();
        self.begin_load();
        Ok(())
    }

    /// Puts a cleaning cartridge in; every nexus is told 28h/00h. It holds no data, so there is no [`Cartridge`] for it.
    ///
    /// The caller knows that the drive is empty.
    pub(crate) fn load_cleaning_cartridge(&mut self) {
        self.medium.seat = Seat::Cleaning;
        self.nexuses.all_mut().for_each(|nexus| nexus.attend(MEDIUM_CHANGED));
    }

    /// Whether a tape is threaded, so that a hand or a robot would have to unload it first.
    pub(crate) fn is_threaded(&self) -> bool {
        self.medium.is_threaded()
    }

    /// Whether a nexus asked that the medium stay in the drive.
    pub(crate) fn prevents_removal(&self) -> bool {
        self.nexuses.all().any(|nexus| nexus.prevents_removal)
    }

    /// Takes the cartridge out, synced; a set of encryption parameters with CKOD goes with it. None if the drive is empty.
    ///
    /// PREVENT MEDIUM REMOVAL does not hold a hand back.
    pub fn eject(&mut self) -> Option<Cartridge> {
        if self.medium.seat == Seat::Threaded && self.prevents_removal() {
            self.tape_alerts.raise(TapeAlert::ForcedEject);
        }
        // What the disk could not take is known at the last write or filemark; the hand that pulls the cartridge out does not care.
        let _ = self.demount();
        self.stop();
        self.medium.seat = Seat::Out;
        self.medium.cartridge.take()
    }

    /// Threads the tape.
    fn thread(&mut self) {
        self.medium.thread(&self.profile.identification());
        self.statistics.count_load();
    }

    /// Unthreads the tape.
    fn demount(&mut self) -> Result<(), TapeFault> {
        if !matches!(self.medium.seat, Seat::Threaded | Seat::Loading) {
            return Ok(());
        }
        self.medium.seat = Seat::Held;
        self.medium.position = 0;
        self.last_kads = None;
        self.encryption.demount(&mut self.nexuses, &self.quirks);
        self.medium.cartridge.as_mut().map_or(Ok(()), Cartridge::sync)
    }

    /// TEST UNIT READY (SPC-4).
    pub(super) fn test_unit_ready(&self) -> CommandResult {
        if let Some(not_ready) = self.not_ready() {
            return Err(not_ready.into());
        }
        self.medium.threaded()?;
        Ok(0)
    }

    /// LOAD UNLOAD (SSC-4). IMMED is looked at where time is reckoned. A tape that is being loaded is neither loaded again nor unloaded.
    pub(super) fn load_unload(&mut self, call: &Call<'_>) -> CommandResult {
        const HOLD: u8 = 3;
        const EOT: u8 = 2;
        const LOAD: u8 = 0;
        let (hold, load) = (call.cdb.bit(4, HOLD), call.cdb.bit(4, LOAD));
        if call.cdb.bit(4, EOT) && (load || hold) {
            return Err(Sense::invalid_cdb_field(4, EOT).into());
        }
        if self.medium.seat == Seat::Loading {
            return Err(BECOMING_READY.into());
        }
        if load {
            return self.load_command(call, hold);
        }
        if !hold && self.prevents_removal() {
            self.tape_alerts.raise(TapeAlert::NoRemoval);
            return Err(MEDIUM_REMOVAL_PREVENTED.into());
        }
        let synced = self.demount();
        if !hold {
            self.medium.seat = Seat::Out;
        }
        synced.map(|()| 0).map_err(|_| WRITE_ERROR.into())
    }

    fn load_command(&mut self, call: &Call<'_>, hold: bool) -> CommandResult {
        match self.medium.seat {
            Seat::Cleaning => return Err(CLEANING_CARTRIDGE_INSTALLED.into()),
            _ if self.medium.cartridge.is_none() => return Err(MEDIUM_NOT_PRESENT.into()),
            // LOAD of a loaded tape takes it to its beginning.
            Seat::Threaded if !hold => self.medium.move_to(0),
            Seat::Threaded | Seat::Loading => {}
            Seat::Out | Seat::Held if hold => self.medium.seat = Seat::Held,
            Seat::Out | Seat::Held => {
                self.thread();
                // Who sent LOAD knows; HP's manual of its LTO drives says so, too ("Load/Unload specific status").
                self.nexuses
                    .others_mut(call.nexus)
                    .for_each(|nexus| nexus.attend(MEDIUM_CHANGED));
            }
        }
        Ok(0)
    }

    /// PREVENT ALLOW MEDIUM REMOVAL (SPC-4).
    pub(super) fn prevent_allow(&mut self, call: &Call<'_>) -> CommandResult {
        let prevent = call.cdb.byte(4) & 0x03;
        if prevent > 1 {
            return Err(Sense::invalid_cdb_field(4, 1).into());
        }
        if let Some(nexus) = self.nexuses.find_mut(call.nexus) {
            nexus.prevents_removal = prevent == 1;
        }
        Ok(0)
    }
}

/// No cartridge.
pub(super) const MEDIUM_NOT_PRESENT: Sense = Sense::new(0x2, 0x3A, 0x00);
const CLEANING_CARTRIDGE_INSTALLED: Sense = Sense::new(0x2, 0x30, 0x03);
const BECOMING_READY: Sense = Sense::new(0x2, 0x04, 0x01);
const INITIALIZING_COMMAND_REQUIRED: Sense = Sense::new(0x2, 0x04, 0x02);
const MEDIUM_REMOVAL_PREVENTED: Sense = Sense::new(0x5, 0x53, 0x02);
/// The medium, that is the file, could not be written.
pub(super) const WRITE_ERROR: Sense = Sense::new(0x3, 0x0C, 0x00);
