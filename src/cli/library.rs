//! `tapekey library`: the libraries of this host.

use clap::Subcommand;

use super::daemon::{DaemonAt, unexpected};
use super::output::{Exit, Failure, Output, Table, printable};
use crate::control::messages::inventory::{LibraryList, ListedLibrary, ListedPlace, ListedVolume, PlaceKind};
use crate::control::messages::{Answer, Command};

/// Show the libraries of this host
#[derive(Debug, Subcommand)]
pub(super) enum LibraryVerb {
    /// Show what is in which place, as the library last said
    ///
    /// Libraries are asked every few seconds; none is asked for this. No drive is sent a command, and the robot does not move.
    Show {
        /// Only this library: its name in the configuration, or its serial number
        library: Option<String>,
        /// Also places with nothing in them
        #[arg(long)]
        all: bool,
    },
}

pub(super) fn run(verb: LibraryVerb, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let LibraryVerb::Show { library, all } = verb;
    let list = match daemon.ask(Command::LibraryShow { library })? {
        Answer::Libraries(list) => list,
        other => return Err(unexpected(&other)),
    };
    output.answer(&list, |list| shown(list, all))?;
    let silent = list.libraries.iter().filter(|library| library.problem.is_some());
    let silent: Vec<&str> = silent.map(|library| library.name.as_str()).collect();
    if silent.is_empty() {
        return Ok(());
    }
    let text = format!(
        "library {} does not answer\nhint: the lines above say why",
        silent.join(", ")
    );
    Err(Failure::new(Exit::Failed, printable_lines(&text)))
}

fn printable_lines(text: &str) -> String {
    text.lines().map(printable).collect::<Vec<_>>().join("\n")
}

fn shown(list: &LibraryList, all: bool) -> String {
    if list.libraries.is_empty() {
        return "no library: the kernel shows no changer, and the configuration names none\n".into();
    }
    let libraries = list.libraries.iter().map(|library| one(library, all));
    libraries.collect::<Vec<_>>().join("\n")
}

fn one(library: &ListedLibrary, all: bool) -> String {
    let known = [&library.vendor, &library.product];
    let model: Vec<&str> = known.into_iter().flatten().map(String::as_str).collect();
    let model = if model.is_empty() {
        "unknown model".into()
    } else {
        model.join(" ")
    };
    let serial = library.serial.as_deref().unwrap_or("unknown");
    let age = match library.inventory_at {
        Some(at) => format!("as it said at {}", crate::clock::to_text(at)),
        None => "it has not said yet what is where".into(),
    };
    let head = format!(
        "library {}: {model}, serial number {serial}, at {}; {age}",
        library.name, library.path
    );
    let mut text = printable(&head) + "\n";
    if library.simulated {
        text.push_str("a simulated library\n");
    }
    if let Some(problem) = &library.problem {
        text.push_str(&format!("PROBLEM: {}\n", printable(problem)));
    }
    if library.places.is_empty() {
        return text;
    }
    let mut table = Table::new(&["place", "address", "volume", "note"]);
    let is_shown = |place: &&ListedPlace| {
        all || place.kind == PlaceKind::Bay || place.volume.is_some() || place.exception.is_some()
    };
    for place in library.places.iter().filter(is_shown) {
        table.row([
            name(place),
            format!("{:04X}h", place.address),
            place.volume.as_ref().map_or_else(|| "empty".into(), volume),
            note(place),
        ]);
    }
    let hidden = library.places.iter().filter(|place| !is_shown(place)).count();
    text.push_str(&table.to_string());
    if hidden > 0 {
        text.push_str(&format!(
            "empty places that are not shown: {hidden}; --all shows them\n"
        ));
    }
    text
}

fn name(place: &ListedPlace) -> String {
    let kind = match place.kind {
        PlaceKind::Bay => "bay",
        PlaceKind::Slot => "slot",
        PlaceKind::ImportExport => "door",
        PlaceKind::Robot => "robot",
    };
    format!("{kind} {}", place.number)
}

fn volume(volume: &ListedVolume) -> String {
    volume.barcode.clone().unwrap_or_else(|| "without a barcode".into())
}

fn note(place: &ListedPlace) -> String {
    let mut notes = Vec::new();
    match (place.kind, &place.drive, &place.drive_serial) {
        (PlaceKind::Bay, Some(drive), Some(serial)) => notes.push(format!("drive {drive}, serial number {serial}")),
        (PlaceKind::Bay, _, Some(serial)) => notes.push(format!("serial number {serial}, not in the configuration")),
        (PlaceKind::Bay, _, None) => notes.push("the library does not say which drive this is".into()),
        _ => {}
    }
    if place.volume.as_ref().is_some_and(|volume| volume.cleaning) {
        notes.push("cleaning cartridge, never held, never gets a key".into());
    }
    notes.extend(
        place
            .exception
            .as_ref()
            .map(|sense| format!("the library says something is wrong: {sense}")),
    );
    notes.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn place(kind: PlaceKind, number: usize, barcode: Option<&str>) -> ListedPlace {
        ListedPlace {
            kind,
            number,
            address: 0x1000,
            volume: barcode.map(|barcode| ListedVolume {
                barcode: Some(barcode.into()),
                cleaning: barcode.starts_with("CLN"),
            }),
            exception: None,
            drive_serial: (kind == PlaceKind::Bay).then(|| "1013000301".into()),
            drive: (kind == PlaceKind::Bay).then(|| "d0".into()),
        }
    }

    fn library(places: Vec<ListedPlace>, problem: Option<&str>) -> LibraryList {
        let library = ListedLibrary {
            name: "main".into(),
            serial: Some("78A1234L01".into()),
            vendor: Some("IBM".into()),
            product: Some("3573-TL".into()),
            revision: None,
            simulated: false,
            path: "serial number 78A1234L01".into(),
            inventory_at: Some(Timestamp::UNIX_EPOCH),
            problem: problem.map(str::to_owned),
            places,
        };
        LibraryList {
            at: Timestamp::UNIX_EPOCH,
            libraries: vec![library],
        }
    }

    #[test]
    fn places_are_shown_with_what_is_in_them_and_empty_ones_are_counted() {
        let list = library(
            vec![
                place(PlaceKind::Bay, 0, None),
                place(PlaceKind::Slot, 1, Some("A00001L8")),
                place(PlaceKind::Slot, 2, None),
                place(PlaceKind::Slot, 3, Some("CLNU01L1")),
            ],
            None,
        );
        let text = shown(&list, false);
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "PLACE   ADDRESS  VOLUME    NOTE",
                "bay 0   1000h    empty     drive d0, serial number 1013000301",
                "slot 1  1000h    A00001L8",
                "slot 3  1000h    CLNU01L1  cleaning cartridge, never held, never gets a key",
                "empty places that are not shown: 1; --all shows them",
            ]
        );
        assert!(shown(&list, true).contains("slot 2  1000h    empty"));
    }

    #[test]
    fn a_library_that_does_not_answer_says_so_above_its_old_inventory_and_nothing_moves_the_cursor() {
        let list = library(vec![place(PlaceKind::Slot, 1, Some("A\u{1b}[2J"))], Some("it hangs"));
        let text = shown(&list, false);
        assert!(
            text.contains("as it said at 1970-01-01T00:00:00Z\nPROBLEM: it hangs\n"),
            "{text}"
        );
        assert!(!text.contains('\u{1b}'), "{text}");
    }
}
