//! Puts the cartridges where they belong when a library is opened: where `library.json` says, or where the description says, or into a free slot.

use super::{
    LibraryError, Place,
    description::Description,
    robot::Robot,
    state::{Custodies, Custody},
    tape::Tape,
    volume::Volume,
};

/// Fills an empty library.
///
/// # Errors
/// A cartridge has no place, or its file is not usable.
pub(super) fn shelve(robot: &mut Robot, description: &Description, mut known: Custodies) -> Result<(), LibraryError> {
    let mut newcomers = Vec::new();
    for tape in &description.tapes {
        match known.remove(&tape.barcode) {
            Some(custody) => place(robot, description, tape.clone(), custody)?,
            None => newcomers.push(tape),
        }
    }
    // What is left was inserted by an operator, or is no longer described: then it is gone, and its file stays.
    for custody in known.into_values() {
        if let Some(tape) = custody.inserted.clone() {
            place(robot, description, tape, custody)?;
        }
    }
    // Those with a place of their own come first, so that the others do not take it from them.
    newcomers.sort_by_key(|tape| tape.at.is_none());
    for tape in newcomers {
        let at = tape
            .at
            .or_else(|| free_slot(robot))
            .ok_or_else(|| LibraryError::NoPlace {
                path: description.path.clone(),
                barcode: tape.barcode.clone(),
                place: "a free slot".to_owned(),
                reason: "every slot is taken".to_owned(),
            })?;
        let custody = Custody {
            at: Some(at),
            ..Custody::default()
        };
        place(robot, description, tape.clone(), custody)?;
    }
    Ok(())
}

fn place(robot: &mut Robot, description: &Description, tape: Tape, custody: Custody) -> Result<(), LibraryError> {
    let folder = robot.state.folder().to_owned();
    let Some(at) = custody.at else {
        robot.outside.push(Volume {
            tape,
            custody,
            cartridge: None,
        });
        return Ok(());
    };
    let refused = |barcode: &str, reason| LibraryError::NoPlace {
        path: description.path.clone(),
        barcode: barcode.to_owned(),
        place: at.to_string(),
        reason,
    };
    let Some(element) = robot.at(at) else {
        return Err(refused(&tape.barcode, "the library has no such place".to_owned()));
    };
    if let Some(other) = &element.volume {
        return Err(refused(&tape.barcode, format!("{} is there", other.tape.barcode)));
    }
    element.volume = Some(Volume::open(tape, custody, &folder)?);
    Ok(())
}

fn free_slot(robot: &Robot) -> Option<Place> {
    let mut free: Vec<Place> = robot
        .elements
        .iter()
        .filter(|element| matches!(element.place, Place::Slot(_)) && element.volume.is_none())
        .map(|element| element.place)
        .collect();
    free.sort();
    free.first().copied()
}
