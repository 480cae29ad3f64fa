//! A tape library: drives, slots, an import/export station and a robot, described in a TOML file (SMC-3).
//!
//! Front ends see it as [`Units`]: the drives in bay order, then the changer. The cartridges are files in one folder; `library.json` beside
//! them says where each is, so a library that is opened again is as it was left.
//!
//! Lock order: the changer (one mutex: commands to it do not run side by side), then drives by ascending bay number. A command to a drive holds
//! that drive alone and never the changer, and the robot waits for a drive two seconds at most, so nothing waits in a circle and nothing for ever.

mod attention;
mod bay;
mod changer;
mod description;
mod drive;
mod error;
mod model;
mod place;
mod robot;
mod shelve;
mod state;
mod station;
mod tape;
mod volume;

pub use error::{LibraryError, StationError};
pub use place::{Place, PlaceError};

use crate::{Absence, Drive, Randomness, Unit, UnitKind, Units};
use bay::Bay;
use changer::{Changer, ChangerAtWork};
use description::Description;
use robot::Robot;
use state::StateFile;
use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// Drives, cartridges and the robot that brings them together.
pub struct Library {
    bays: Vec<Bay>,
    changer: Mutex<Changer>,
}

/// A cartridge of the library and where it is, for a person to read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Holding {
    /// Barcode.
    pub barcode: String,
    /// Where it is; None if an operator took it out.
    pub place: Option<Place>,
    /// It is a cleaning cartridge.
    pub cleaning: bool,
    /// How often a cleaning cartridge was put into a drive.
    pub uses: u64,
}

impl Library {
    /// Opens the library that `description` describes; its folder and cartridges are made as they are needed.
    ///
    /// `randomness` gives each drive its own source, which must be unpredictable outside tests.
    ///
    /// # Errors
    /// The description is wrong, the folder is in use, or a cartridge's file is foreign, damaged or in use. Cartridge files are left as they are.
    pub fn open(
        description: &Path,
        mut randomness: impl FnMut() -> Box<dyn Randomness + Send>,
    ) -> Result<Self, LibraryError> {
        let description = Description::read(description)?;
        let state = StateFile::hold(&description.folder)?;
        let known = state.read()?;
        let mut robot = Robot::new(&description, state);
        shelve::shelve(&mut robot, &description, known)?;
        let bays: Vec<Bay> = description
            .drives
            .iter()
            .map(|described| {
                let mut drive = Drive::new(described.profile.clone(), randomness());
                *drive.quirks() = described.quirks.clone();
                Bay::new(drive)
            })
            .collect();
        robot.fill_drives(&bays)?;
        robot.write_down().map_err(|source| LibraryError::Io {
            attempt: "write library.json in",
            path: description.folder.clone(),
            source,
        })?;
        Ok(Self {
            bays,
            changer: Mutex::new(Changer::new(description, robot)),
        })
    }

    /// Reads and checks a description without opening anything.
    ///
    /// # Errors
    /// The description is wrong.
    pub fn check(description: &Path) -> Result<(), LibraryError> {
        Description::read(description).map(drop)
    }

    /// Does something with the drive in bay `bay` while nobody else uses it. None if there is no such bay, or the drive is at work for minutes.
    ///
    /// `act` must not ask anything of the library: a robot that waits for this drive would keep it waiting.
    pub fn with_drive<T>(&self, bay: usize, act: impl FnOnce(&mut Drive) -> T) -> Option<T> {
        let mut drive = self.bays.get(bay)?.enter(PATIENCE)?;
        Some(act(&mut drive))
    }

    /// All cartridges, by barcode.
    pub fn inventory(&self) -> Vec<Holding> {
        let changer = self.changer();
        let inside = changer
            .robot
            .elements
            .iter()
            .filter_map(|element| element.volume.as_ref());
        let mut holdings: Vec<Holding> = inside
            .chain(&changer.robot.outside)
            .map(|volume| Holding {
                barcode: volume.tape.barcode.clone(),
                place: volume.custody.at,
                cleaning: volume.tape.is_cleaning(),
                uses: volume.custody.uses,
            })
            .collect();
        holdings.sort_by(|one, other| one.barcode.cmp(&other.barcode));
        holdings
    }

    fn changer(&self) -> MutexGuard<'_, Changer> {
        // A panic in another thread leaves the changer as a power loss would: what was written down holds.
        self.changer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Units for Library {
    fn kinds(&self) -> Vec<UnitKind> {
        let mut kinds = vec![UnitKind::Drive; self.bays.len()];
        kinds.push(UnitKind::Changer);
        kinds
    }

    fn visit(&self, unit: usize, act: &mut dyn FnMut(&mut dyn Unit)) -> Result<(), Absence> {
        if unit == self.bays.len() {
            act(&mut ChangerAtWork {
                changer: &mut self.changer(),
                bays: &self.bays,
            });
            return Ok(());
        }
        let bay = self.bays.get(unit).ok_or(Absence::NoSuchUnit)?;
        let mut drive = bay.enter(PATIENCE).ok_or(Absence::Busy)?;
        act(&mut *drive);
        Ok(())
    }
}

/// How long a command waits for the one before it on the same drive: longer than any but a long erase takes.
const PATIENCE: Duration = Duration::from_secs(600);
