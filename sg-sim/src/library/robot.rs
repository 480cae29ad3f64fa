//! The elements, the cartridges in them, and the robot that carries cartridges from one to another.
//!
//! A move is decided, written down, and only then done: what can fail comes before `library.json` is replaced, what comes after cannot fail.

use super::{
    LibraryError, Place,
    bay::{Bay, Inside},
    description::Description,
    place::ElementType,
    state::{Custodies, Custody, StateFile},
    volume::Volume,
};
use crate::{Drive, LoadError, SenseCode, sense::Sense};
use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    time::Duration,
};

/// One place that has an address.
pub(super) struct Element {
    /// ELEMENT ADDRESS.
    pub(super) address: u16,
    /// Which one it is.
    pub(super) place: Place,
    /// The cartridge in it.
    pub(super) volume: Option<Volume>,
}

/// All elements and what is in them.
pub(super) struct Robot {
    /// By ascending address.
    pub(super) elements: Vec<Element>,
    /// Cartridges that an operator took out.
    pub(super) outside: Vec<Volume>,
    /// The import/export station is open.
    pub(super) station_open: bool,
    pub(super) state: StateFile,
    unloaded_by_host: Option<SenseCode>,
}

/// One cartridge's way: indexes of elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Step {
    /// Where it is.
    pub(super) from: usize,
    /// Where it goes.
    pub(super) to: usize,
}

impl Robot {
    /// An empty library.
    pub(super) fn new(description: &Description, state: StateFile) -> Self {
        let mut elements: Vec<Element> = description
            .ranges
            .iter()
            .flat_map(|range| range.places())
            .map(|(address, place)| Element {
                address,
                place,
                volume: None,
            })
            .collect();
        elements.sort_by_key(|element| element.address);
        Self {
            elements,
            outside: Vec::new(),
            station_open: false,
            state,
            unloaded_by_host: description.unloaded_by_host,
        }
    }

    /// Index of the element with this address.
    pub(super) fn find(&self, address: u16) -> Option<usize> {
        self.elements
            .binary_search_by_key(&address, |element| element.address)
            .ok()
    }

    /// The element that is this place.
    pub(super) fn at(&mut self, place: Place) -> Option<&mut Element> {
        self.elements.iter_mut().find(|element| element.place == place)
    }

    /// The element with this index.
    pub(super) fn element(&self, index: usize) -> Option<&Element> {
        self.elements.get(index)
    }

    /// Gives the drives those cartridges that are in their elements, as after power on.
    ///
    /// # Errors
    /// A cartridge's file cannot be made.
    pub(super) fn fill_drives(&mut self, bays: &[Bay]) -> Result<(), LibraryError> {
        let folder = self.state.folder().to_owned();
        for element in &mut self.elements {
            let Place::Drive(number) = element.place else { continue };
            let bay = bays.get(usize::from(number)).and_then(|bay| bay.enter(PATIENCE));
            if let (Some(volume), Some(mut drive)) = (&mut element.volume, bay) {
                volume.make_ready(&folder)?;
                insert(&mut drive, volume);
            }
        }
        Ok(())
    }

    /// Carries cartridges, all of them or none.
    ///
    /// Every source holds one, every destination is free or a source of this same carriage.
    ///
    /// # Errors
    /// 02/04/07 a drive is at work, 05/3B/11 the station is open, 05/53/03 the drive keeps its medium (or what the description says for a drive
    /// that was not unloaded), 04/53/00 the cartridge's file could not be made, 04/44/00 the move could not be written down.
    pub(super) fn carry(&mut self, bays: &[Bay], steps: &[Step]) -> Result<(), Sense> {
        let mut drives = self.enter_bays(bays, steps)?;
        self.check_drives(&drives, steps)?;
        self.make_ready(steps)?;
        let planned = self.plan(steps);
        let mut custodies = self.custodies();
        custodies.extend(planned.iter().cloned());
        self.state.write(custodies).map_err(|_| INTERNAL_FAILURE)?;
        let custody_of: BTreeMap<String, Custody> = planned.into_iter().collect();
        let mut lifted = Vec::new();
        for step in steps {
            lifted.extend(self.lift(step.from, &mut drives).map(|volume| (step.to, volume)));
        }
        for (to, mut volume) in lifted {
            if let Some(custody) = custody_of.get(&volume.tape.barcode) {
                volume.custody = custody.clone();
            }
            self.put(to, volume, &mut drives);
        }
        Ok(())
    }

    /// Lock order: the robot (which the caller holds), then bays by ascending number. A drive's commands hold their own bay alone.
    fn enter_bays<'a>(&self, bays: &'a [Bay], steps: &[Step]) -> Result<BTreeMap<u16, Inside<'a>>, Sense> {
        let touched = steps.iter().flat_map(|step| [step.from, step.to]);
        let mut numbers = BTreeSet::new();
        for element in touched.filter_map(|index| self.element(index)) {
            match element.place {
                Place::Drive(number) => {
                    numbers.insert(number);
                }
                Place::ImportExport(_) if self.station_open => return Err(STATION_NOT_ACCESSIBLE),
                _ => {}
            }
        }
        let enter = |number: u16| {
            let inside = bays.get(usize::from(number)).and_then(|bay| bay.enter(PATIENCE));
            inside.map(|inside| (number, inside)).ok_or(OPERATION_IN_PROGRESS)
        };
        numbers.into_iter().map(enter).collect()
    }

    fn check_drives(&self, drives: &BTreeMap<u16, Inside<'_>>, steps: &[Step]) -> Result<(), Sense> {
        for step in steps {
            let Some(Place::Drive(number)) = self.element(step.from).map(|element| element.place) else {
                continue;
            };
            let Some(drive) = drives.get(&number) else { continue };
            if drive.prevents_removal() {
                return Err(REMOVAL_PREVENTED_BY_DRIVE);
            }
            if let Some(sense) = self.unloaded_by_host.filter(|_| drive.is_threaded()) {
                return Err(Sense::from_code(sense));
            }
        }
        Ok(())
    }

    /// Makes the files of cartridges that go into a drive for the first time.
    fn make_ready(&mut self, steps: &[Step]) -> Result<(), Sense> {
        for step in steps {
            let is_drive = |element: &Element| matches!(element.place, Place::Drive(_));
            let (from_drive, to_drive) = (
                self.element(step.from).is_some_and(is_drive),
                self.element(step.to).is_some_and(is_drive),
            );
            let volume = self
                .elements
                .get_mut(step.from)
                .and_then(|element| element.volume.as_mut());
            if let Some(volume) = volume.filter(|_| to_drive && !from_drive) {
                volume.make_ready(self.state.folder()).map_err(|_| LOAD_FAILED)?;
            }
        }
        Ok(())
    }

    /// What will be known of each carried cartridge.
    fn plan(&self, steps: &[Step]) -> Vec<(String, Custody)> {
        let planned = |step: &Step| {
            let (from, to) = (self.element(step.from)?, self.element(step.to)?);
            let volume = from.volume.as_ref()?;
            let mut custody = volume.custody.clone();
            custody.at = Some(to.place);
            custody.by_operator = false;
            if matches!(from.place, Place::Slot(_) | Place::ImportExport(_)) {
                custody.source = Some(from.place);
            }
            if volume.tape.is_cleaning() && matches!(to.place, Place::Drive(_)) {
                custody.uses = custody.uses.saturating_add(1);
            }
            Some((volume.tape.barcode.clone(), custody))
        };
        steps.iter().filter_map(planned).collect()
    }

    fn lift(&mut self, from: usize, drives: &mut BTreeMap<u16, Inside<'_>>) -> Option<Volume> {
        let element = self.elements.get_mut(from)?;
        let mut volume = element.volume.take()?;
        if let Place::Drive(number) = element.place
            && let Some(drive) = drives.get_mut(&number)
        {
            volume.cartridge = drive.eject().or(volume.cartridge);
        }
        Some(volume)
    }

    fn put(&mut self, to: usize, mut volume: Volume, drives: &mut BTreeMap<u16, Inside<'_>>) {
        let Some(element) = self.elements.get_mut(to) else {
            return;
        };
        if let Place::Drive(number) = element.place
            && let Some(drive) = drives.get_mut(&number)
        {
            insert(drive, &mut volume);
        }
        element.volume = Some(volume);
    }

    /// What `library.json` says now.
    pub(super) fn custodies(&self) -> Custodies {
        let inside = self.elements.iter().filter_map(|element| element.volume.as_ref());
        inside
            .chain(&self.outside)
            .map(|volume| (volume.tape.barcode.clone(), volume.custody.clone()))
            .collect()
    }

    /// Writes down where everything is.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write_down(&self) -> io::Result<()> {
        self.state.write(self.custodies())
    }

    /// How many elements of a kind there are.
    pub(super) fn count(&self, element_type: ElementType) -> u16 {
        let of_kind = self
            .elements
            .iter()
            .filter(|element| element.place.element_type() == element_type);
        u16::try_from(of_kind.count()).unwrap_or(u16::MAX)
    }
}

/// Pushes a cartridge into a drive. One that the drive does not take stays in its mouth.
fn insert(drive: &mut Drive, volume: &mut Volume) {
    if volume.tape.is_cleaning() {
        drive.load_cleaning_cartridge();
    } else if let Some(cartridge) = volume.cartridge.take()
        && let Err(LoadError::Occupied(cartridge) | LoadError::Unsuitable { cartridge, .. }) = drive.load(cartridge)
    {
        volume.cartridge = Some(*cartridge);
    }
}

impl Element {
    /// ASC and ASCQ of what is wrong with the element (EXCEPT).
    pub(super) fn exception(&self, station_open: bool) -> Option<(u8, u8)> {
        const INCOMPATIBLE_MEDIUM: (u8, u8) = (0x30, 0x00);
        const MAGAZINE_NOT_ACCESSIBLE: (u8, u8) = (0x3B, 0x11);
        match self.place {
            // The file of a cartridge that is in the drive belongs to the drive.
            Place::Drive(_) => self
                .volume
                .as_ref()
                .and_then(|volume| volume.cartridge.as_ref())
                .map(|_| INCOMPATIBLE_MEDIUM),
            Place::ImportExport(_) => station_open.then_some(MAGAZINE_NOT_ACCESSIBLE),
            Place::Transport(_) | Place::Slot(_) => None,
        }
    }
}

/// How long the robot waits for a drive to end its command.
const PATIENCE: Duration = Duration::from_secs(2);

const OPERATION_IN_PROGRESS: Sense = Sense::new(0x2, 0x04, 0x07);
const INTERNAL_FAILURE: Sense = Sense::new(0x4, 0x44, 0x00);
const LOAD_FAILED: Sense = Sense::new(0x4, 0x53, 0x00);
const STATION_NOT_ACCESSIBLE: Sense = Sense::new(0x5, 0x3B, 0x11);
const REMOVAL_PREVENTED_BY_DRIVE: Sense = Sense::new(0x5, 0x53, 0x03);
