//! The import/export station: what an operator does there. No program can do any of this.

use super::{
    Library, LibraryError, Place, StationError,
    changer::Changer,
    place::ElementType,
    state::Custody,
    tape::{Tape, barcode_allowed},
    volume::Volume,
};

impl Library {
    /// Opens the station. The robot cannot reach it until it is shut again.
    ///
    /// # Errors
    /// A nexus prevents it.
    pub fn open_io(&self) -> Result<(), StationError> {
        let mut changer = self.changer();
        if changer.nexuses.prevent_removal() {
            return Err(StationError::Prevented);
        }
        changer.robot.station_open = true;
        Ok(())
    }

    /// Shuts the station; every nexus is told 28h/01h if it was open.
    pub fn close_io(&self) {
        let mut changer = self.changer();
        if std::mem::take(&mut changer.robot.station_open) {
            changer.nexuses.import_export_accessed();
        }
    }

    /// Puts a cartridge into the open station: one that was taken out before, one whose file is in the folder, or a new blank one.
    ///
    /// `at` is a place of the station; None is the first free one. Returns where the cartridge is.
    ///
    /// # Errors
    /// See [`StationError`].
    pub fn insert(&self, barcode: &str, at: Option<Place>) -> Result<Place, StationError> {
        let mut changer = self.open_station()?;
        if !barcode_allowed(barcode) {
            return Err(StationError::Barcode {
                barcode: barcode.to_owned(),
            });
        }
        let robot = &mut changer.robot;
        for element in &robot.elements {
            if element
                .volume
                .as_ref()
                .is_some_and(|volume| volume.tape.barcode == barcode)
            {
                return Err(StationError::Inside {
                    barcode: barcode.to_owned(),
                    place: element.place,
                });
            }
        }
        let place = free_place(&changer, barcode, at)?;
        let robot = &mut changer.robot;
        let known = robot.outside.iter().position(|volume| volume.tape.barcode == barcode);
        let (tape, mut custody) = match known.and_then(|index| robot.outside.get(index)) {
            Some(volume) => (volume.tape.clone(), volume.custody.clone()),
            None => (Tape::data(barcode), Custody::default()),
        };
        if known.is_none() {
            custody.inserted = Some(tape.clone());
        }
        custody.at = Some(place);
        custody.by_operator = true;
        let volume = Volume::open(tape, custody.clone(), robot.state.folder())?;
        let mut custodies = robot.custodies();
        custodies.insert(barcode.to_owned(), custody);
        write(&changer, custodies)?;
        let robot = &mut changer.robot;
        robot.outside.retain(|volume| volume.tape.barcode != barcode);
        if let Some(element) = robot.at(place) {
            element.volume = Some(volume);
        }
        Ok(place)
    }

    /// Takes a cartridge out of the open station; its file is closed and stays where it is. Returns its barcode.
    ///
    /// # Errors
    /// See [`StationError`].
    pub fn remove(&self, at: Place) -> Result<String, StationError> {
        let mut changer = self.open_station()?;
        let count = changer.robot.count(ElementType::ImportExport);
        let no_such_place = || StationError::NoSuchPlace { place: at, count };
        if at.element_type() != ElementType::ImportExport {
            return Err(no_such_place());
        }
        let robot = &mut changer.robot;
        let volume = robot.at(at).ok_or_else(no_such_place)?.volume.as_ref();
        let volume = volume.ok_or(StationError::Empty { place: at })?;
        let (barcode, mut custody) = (volume.tape.barcode.clone(), volume.custody.clone());
        custody.at = None;
        custody.by_operator = false;
        let mut custodies = robot.custodies();
        custodies.insert(barcode.clone(), custody.clone());
        write(&changer, custodies)?;
        let robot = &mut changer.robot;
        let taken = robot.at(at).and_then(|element| element.volume.take());
        robot.outside.extend(taken.map(|volume| Volume {
            tape: volume.tape,
            custody,
            cartridge: None,
        }));
        Ok(barcode)
    }

    fn open_station(&self) -> Result<std::sync::MutexGuard<'_, Changer>, StationError> {
        let changer = self.changer();
        if changer.robot.station_open {
            Ok(changer)
        } else {
            Err(StationError::Shut)
        }
    }
}

fn free_place(changer: &Changer, barcode: &str, at: Option<Place>) -> Result<Place, StationError> {
    let station = || {
        let elements = changer.robot.elements.iter();
        elements.filter(|element| element.place.element_type() == ElementType::ImportExport)
    };
    if let Some(place) = at
        && !station().any(|element| element.place == place)
    {
        let count = changer.robot.count(ElementType::ImportExport);
        return Err(StationError::NoSuchPlace { place, count });
    }
    station()
        .find(|element| element.volume.is_none() && at.is_none_or(|place| place == element.place))
        .map(|element| element.place)
        .ok_or_else(|| StationError::Full {
            barcode: barcode.to_owned(),
        })
}

fn write(changer: &Changer, custodies: super::state::Custodies) -> Result<(), LibraryError> {
    let state = &changer.robot.state;
    state.write(custodies).map_err(|source| LibraryError::Io {
        attempt: "write library.json in",
        path: state.folder().to_owned(),
        source,
    })
}
