//! A library that ends, or is killed, is as it was when it is opened again.

mod library_support;

use library_support::{CHANGER, SMALL, Stand, description_path, open_in, randomness};
use sg_sim::{ItNexus, Library, Place, Units};
use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
};

#[test]
fn finds_cartridges_where_they_were_left() {
    let stand = Stand::small();
    stand.carry(0x03E8, 0x01F4).good();
    stand.carry(0x03E9, 0x000B).good();
    stand.carry(0x03EB, 0x01F5).good();
    stand.carry(0x01F5, 0x03E9).good();
    stand.library.open_io().unwrap();
    assert_eq!(stand.library.remove(Place::ImportExport(2)).unwrap(), "A00002L8");
    stand.library.insert("B00001L8", None).unwrap();
    stand.library.close_io();
    assert_eq!(stand.send(CHANGER, &[0; 6]).sense_code(), (6, 0x28, 1));
    let (before, inventory) = (stand.descriptors(), stand.library.inventory());
    let stand = stand.reopened();
    assert_eq!(stand.descriptors(), before);
    assert_eq!(stand.library.inventory(), inventory);
    // What was in a drive is ready there; what a hand put in is still known to be a hand's.
    stand.send(0, &[0; 6]).good();
    assert_eq!(stand.descriptor(0x000A)[2], 0x3B);
    assert_eq!(stand.barcode(0x000B), None);
}

#[test]
fn tells_of_power_on_and_of_the_cartridge_in_the_drive() {
    let stand = Stand::small();
    stand.carry(0x03E8, 0x01F4).good();
    let stand = stand.reopened();
    let fresh = ItNexus::new("host9").unwrap();
    let ready = |unit| stand.exchange(&fresh, unit, &[0; 6], &[], 0);
    assert_eq!(ready(0).sense_code(), (6, 0x29, 0));
    assert_eq!(ready(0).sense_code(), (6, 0x28, 0));
    ready(0).good();
    assert_eq!(ready(1).sense_code(), (6, 0x29, 0));
    assert_eq!(ready(1).sense_code(), (2, 0x3A, 0));
}

#[test]
fn keeps_what_was_written_on_a_cartridge_in_a_slot() {
    let stand = Stand::small();
    stand.carry(0x03E8, 0x01F4).good();
    assert_eq!(stand.send(0, &[0; 6]).sense_code(), (6, 0x28, 0));
    stand
        .exchange(&stand.nexus, 0, &[0x0A, 0, 0, 0, 4, 0], b"data", 0)
        .good();
    stand.carry(0x01F4, 0x03E8).good();
    let stand = stand.reopened();
    stand.carry(0x03E8, 0x01F5).good();
    assert_eq!(stand.send(1, &[0; 6]).sense_code(), (6, 0x28, 0));
    assert_eq!(
        stand.exchange(&stand.nexus, 1, &[0x08, 0, 0, 0, 4, 0], &[], 4).good(),
        b"data"
    );
}

#[test]
fn makes_a_file_only_when_a_cartridge_is_first_used() {
    let stand = Stand::small();
    let file = stand.tapes().join("A00001L8.tape");
    stand.carry(0x03E8, 0x03EA).good();
    assert!(!file.exists());
    stand.carry(0x03EA, 0x01F4).good();
    assert!(file.exists());
    stand.carry(0x03EB, 0x01F5).good();
    assert!(
        !stand.tapes().join("CLNU01L1.tape").exists(),
        "a cleaning cartridge holds nothing"
    );
}

#[test]
fn takes_new_cartridges_and_forgets_those_no_longer_described() {
    let stand = Stand::small();
    stand.carry(0x03E8, 0x03EA).good();
    let Stand { library, folder, .. } = stand;
    drop(library);
    let changed = SMALL.replace("A00002L8", "A00009L8") + "\n[[tape]]\nbarcode = \"A00010L8\"\n";
    let library = open_in(folder.path(), &changed).unwrap();
    let places: BTreeMap<String, Option<Place>> = library
        .inventory()
        .into_iter()
        .map(|one| (one.barcode, one.place))
        .collect();
    let expected = [
        ("A00001L8", Place::Slot(3)),
        ("A00009L8", Place::Slot(2)),
        // The first slot that is free now.
        ("A00010L8", Place::Slot(1)),
        ("CLNU01L1", Place::Slot(4)),
    ];
    let expected = expected.map(|(barcode, place)| (barcode.to_owned(), Some(place)));
    assert_eq!(places, BTreeMap::from(expected));
}

/// Set in the process that the story below kills.
const MOVER: &str = "SG_SIM_LIBRARY_MOVER";

#[test]
fn has_every_cartridge_in_exactly_one_place_after_a_kill_at_any_moment() {
    if let Some(folder) = std::env::var_os(MOVER) {
        move_until_killed(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    drop(open_in(folder.path(), SMALL).unwrap());
    for moves in 0..12 {
        kill_after(folder.path(), moves);
        let library = Library::open(&description_path(folder.path()), randomness).unwrap();
        let holdings = library.inventory();
        let barcodes: Vec<&str> = holdings.iter().map(|one| one.barcode.as_str()).collect();
        assert_eq!(barcodes, ["A00001L8", "A00002L8", "CLNU01L1"]);
        let nexus = ItNexus::new("host1").unwrap();
        let mut status = vec![0; 4096];
        library.execute(CHANGER, &nexus, &[0; 6], &[], &mut []);
        let cdb = [0xB8, 0x10, 0, 0, 0xFF, 0xFF, 0, 0, 0x10, 0, 0, 0];
        let length = library.execute(CHANGER, &nexus, &cdb, &[], &mut status).data_in;
        status.truncate(length);
        let full = library_support::descriptors(&status)
            .into_iter()
            .filter(|one| one[2] & 1 != 0);
        assert_eq!(full.count(), 3);
    }
}

/// Runs the story in another process, and kills it at once after it has told of so many moves.
#[expect(clippy::unwrap_used, reason = "a test stops where it stands")]
fn kill_after(folder: &Path, moves: usize) {
    let mut mover = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "has_every_cartridge_in_exactly_one_place_after_a_kill_at_any_moment",
            "--nocapture",
        ])
        .env(MOVER, folder)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(mover.stdout.take().unwrap()).lines();
    let told = lines
        .map_while(Result::ok)
        .filter(|line| line == "moved")
        .take(moves)
        .count();
    mover.kill().unwrap();
    mover.wait().unwrap();
    assert_eq!(told, moves, "the mover ended by itself");
}

#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops where it stands, and the killer reads what is printed"
)]
fn move_until_killed(folder: &Path) -> ! {
    let library = Library::open(&description_path(folder), randomness).unwrap();
    let nexus = ItNexus::new("host1").unwrap();
    let addresses = [0x03E8_u16, 0x01F4, 0x03E9, 0x01F5, 0x03EA, 0x000A, 0x03EB];
    let mut step = 0_usize;
    loop {
        let ([from_high, from_low], [to_high, to_low]) = (
            addresses[step % addresses.len()].to_be_bytes(),
            addresses[(step / addresses.len() + step + 1) % addresses.len()].to_be_bytes(),
        );
        let cdb = [0xA5, 0, 0, 0, from_high, from_low, to_high, to_low, 0, 0, 0, 0];
        let reply = library.execute(CHANGER, &nexus, &cdb, &[], &mut []);
        if reply.sense.is_empty() {
            println!("moved");
        }
        step += 1;
    }
}
