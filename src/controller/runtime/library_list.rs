//! `tapekey library show`: what the libraries said last, put together without asking them.

use std::sync::Arc;

use super::libraries::LibraryUnit;
use super::{CommandError, Daemon};
use crate::controller::inventory::{LibraryList, ListedLibrary, ListedPlace, ListedVolume, PlaceKind};
use crate::library::{Bay, Inventory, Place};

/// Slots and the door are counted from 1 by backup programs, drives from 0.
const FIRST_SLOT: usize = 1;

impl Daemon {
    /// What the libraries said last, or one of them, named by its name or serial number.
    ///
    /// # Errors
    /// [`CommandError::NoSuchLibrary`].
    pub fn library_list(&self, name: Option<&str>) -> Result<LibraryList, CommandError> {
        let all = self.libraries();
        let wanted = |library: &&Arc<LibraryUnit>| {
            name.is_none_or(|name| library.name == name || library.serial().as_deref() == Some(name))
        };
        let libraries: Vec<ListedLibrary> = all.iter().filter(wanted).map(|library| self.listed(library)).collect();
        if let (Some(name), true) = (name, libraries.is_empty()) {
            let names: Vec<&str> = all.iter().map(|library| library.name.as_str()).collect();
            return Err(CommandError::NoSuchLibrary {
                library: name.to_owned(),
                libraries: names.join(", "),
            });
        }
        Ok(LibraryList {
            at: self.clock.now(),
            libraries,
        })
    }

    fn listed(&self, library: &LibraryUnit) -> ListedLibrary {
        let identity = library.identity();
        let seen = library.seen();
        ListedLibrary {
            name: library.name.clone(),
            serial: library.serial(),
            vendor: identity.as_ref().map(|identity| identity.vendor.clone()),
            product: identity.as_ref().map(|identity| identity.product.clone()),
            revision: identity.map(|identity| identity.revision),
            simulated: library.simulated,
            path: library.path.clone(),
            inventory_at: seen.as_ref().map(|seen| seen.at),
            problem: library.problem(),
            places: seen.map(|seen| self.places(&seen.inventory)).unwrap_or_default(),
        }
    }

    fn places(&self, inventory: &Inventory) -> Vec<ListedPlace> {
        let bays = inventory
            .bays
            .iter()
            .enumerate()
            .map(|(number, bay)| self.bay(number, bay));
        let of = |kind, places: &[Place]| -> Vec<ListedPlace> {
            let numbered = places.iter().zip(FIRST_SLOT..);
            numbered
                .map(|(place, number)| listed_place(kind, number, place))
                .collect()
        };
        bays.chain(of(PlaceKind::Slot, &inventory.slots))
            .chain(of(PlaceKind::ImportExport, &inventory.import_export))
            .chain(of(PlaceKind::Robot, &inventory.transports))
            .collect()
    }

    fn bay(&self, number: usize, bay: &Bay) -> ListedPlace {
        let is_it = |serial: &String| self.drives.iter().find(|unit| unit.serial().as_ref() == Some(serial));
        ListedPlace {
            drive: bay.drive_serial.as_ref().and_then(is_it).map(|unit| unit.name.clone()),
            drive_serial: bay.drive_serial.clone(),
            ..listed_place(PlaceKind::Bay, number, &bay.place)
        }
    }
}

fn listed_place(kind: PlaceKind, number: usize, place: &Place) -> ListedPlace {
    ListedPlace {
        kind,
        number,
        address: place.address,
        volume: place.volume.as_ref().map(|volume| ListedVolume {
            barcode: volume.barcode.clone(),
            cleaning: volume.cleaning,
        }),
        exception: place.exception.map(|(asc, ascq)| format!("{asc:02X}/{ascq:02X}")),
        drive_serial: None,
        drive: None,
    }
}
