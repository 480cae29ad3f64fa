//! What moves do: to the elements, to the drives, and to programs that use both at once.

mod library_support;

use library_support::{CHANGER, SMALL, Stand};
use sg_sim::{ItNexus, Place, StationError, Status, Units};
use std::sync::mpsc;

const DRIVE_0: u16 = 0x01F4;
const DRIVE_1: u16 = 0x01F5;
const SLOT_1: u16 = 0x03E8;
const SLOT_2: u16 = 0x03E9;
const SLOT_3: u16 = 0x03EA;
const SLOT_4: u16 = 0x03EB;
const IO_1: u16 = 0x000A;

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const UNLOAD: [u8; 6] = [0x1B, 0, 0, 0, 0, 0];

/// EXCHANGE MEDIUM with the transport that mtx names.
fn exchange(stand: &Stand, source: u16, first: u16, second: u16) -> library_support::Answer {
    let mut cdb = vec![0xA6, 0, 0x00, 0x01];
    for address in [source, first, second] {
        cdb.extend_from_slice(&address.to_be_bytes());
    }
    cdb.extend_from_slice(&[0, 0]);
    stand.send(CHANGER, &cdb)
}

#[test]
fn loads_and_unloads_a_drive_as_mtx_does() {
    let stand = Stand::small();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    stand
        .send(CHANGER, &[0xA5, 0, 0, 0x01, 0x03, 0xE8, 0x01, 0xF4, 0, 0, 0, 0])
        .good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand.send(0, &TEST_UNIT_READY).good();
    assert_eq!(stand.send(1, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    assert_eq!(stand.barcode(DRIVE_0).as_deref(), Some("A00001L8"));
    assert_eq!(stand.barcode(SLOT_1), None);
    stand
        .send(CHANGER, &[0xA5, 0, 0, 0x01, 0x01, 0xF4, 0x03, 0xE8, 0, 0, 0, 0])
        .good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    assert_eq!(stand.barcode(SLOT_1).as_deref(), Some("A00001L8"));
    // It is in slot 1 and was last taken from there too.
    assert_eq!(stand.descriptor(SLOT_1)[9..12], [0x81, 0x03, 0xE8]);
}

#[test]
fn tells_every_nexus_of_the_drive_about_its_new_cartridge() {
    let stand = Stand::small();
    let other = ItNexus::new("host2").unwrap();
    let ready = |nexus| stand.exchange(nexus, 0, &TEST_UNIT_READY, &[], 0);
    assert_eq!(ready(&other).sense_code(), (6, 0x29, 0));
    stand.carry(SLOT_1, DRIVE_0).good();
    for nexus in [&stand.nexus, &other] {
        assert_eq!(ready(nexus).sense_code(), (6, 0x28, 0));
        ready(nexus).good();
    }
    // The changer has nothing to tell: the move was a program's.
    stand.send(CHANGER, &TEST_UNIT_READY).good();
}

#[test]
fn carries_what_was_written_from_drive_to_drive() {
    let stand = Stand::small();
    let block = b"one block of data";
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand
        .exchange(&stand.nexus, 0, &[0x0A, 0, 0, 0, 17, 0], block, 0)
        .good();
    stand.carry(DRIVE_0, DRIVE_1).good();
    assert_eq!(stand.send(1, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    let read = stand.exchange(&stand.nexus, 1, &[0x08, 0, 0, 0, 17, 0], &[], 17).good();
    assert_eq!(read, block);
    // The slot it came from is still slot 1: a drive is no place to go home to.
    assert_eq!(stand.descriptor(DRIVE_1)[9..12], [0x81, 0x03, 0xE8]);
    // Barcode and medium serial number go with it (MAM 0806h and 0401h).
    let attributes = |identifier: u8, at: u8| {
        let cdb = [0x8C, 0, 0, 0, 0, 0, 0, 0, at, identifier, 0, 0, 1, 0, 0, 0];
        stand.exchange(&stand.nexus, 1, &cdb, &[], 256).good()
    };
    assert_eq!(&attributes(0x06, 0x08)[9..17], b"A00001L8");
    assert_eq!(&attributes(0x01, 0x04)[9..20], b"SIMA00001L8");
}

#[test]
fn refuses_moves_that_cannot_be() {
    let stand = Stand::small();
    stand.carry(SLOT_2, DRIVE_1).good();
    for (from, to, sense) in [
        (SLOT_3, DRIVE_0, (5, 0x3B, 0x0E)),
        (DRIVE_0, SLOT_3, (5, 0x3B, 0x0E)),
        (SLOT_1, SLOT_4, (5, 0x3B, 0x0D)),
        (SLOT_1, DRIVE_1, (5, 0x3B, 0x0D)),
        (SLOT_1, SLOT_1, (5, 0x3B, 0x0D)),
        (0x0000, SLOT_3, (5, 0x21, 0x01)),
        (SLOT_1, 0x03EC, (5, 0x21, 0x01)),
        (0xFFFF, SLOT_3, (5, 0x21, 0x01)),
        // The robot's hand keeps nothing.
        (SLOT_1, 0x0001, (5, 0x21, 0x01)),
        (0x0001, SLOT_3, (5, 0x21, 0x01)),
    ] {
        let before = stand.descriptors();
        assert_eq!(stand.carry(from, to).sense_code(), sense, "{from:04X}h to {to:04X}h");
        assert_eq!(stand.descriptors(), before);
    }
    let with = |at: usize, value: u8| {
        let mut cdb = [0xA5, 0, 0, 1, 0x03, 0xE8, 0x03, 0xEA, 0, 0, 0, 0];
        cdb[at] = value;
        stand.send(CHANGER, &cdb).sense_code()
    };
    assert_eq!(with(3, 2), (5, 0x21, 0x01), "no such transport");
    assert_eq!(with(10, 1), (5, 0x24, 0x00), "INVERT");
    assert_eq!(with(8, 1), (5, 0x24, 0x00), "reserved");
}

#[test]
fn positions_the_robot_before_any_element_that_exists() {
    let stand = Stand::small();
    stand.send(CHANGER, &[0x2B, 0, 0, 1, 0x03, 0xEA, 0, 0, 0, 0]).good();
    let wrong = stand.send(CHANGER, &[0x2B, 0, 0, 1, 0x03, 0xEC, 0, 0, 0, 0]);
    assert_eq!(wrong.sense_code(), (5, 0x21, 1));
    let inverted = stand.send(CHANGER, &[0x2B, 0, 0, 1, 0x03, 0xEA, 0, 0, 1, 0]);
    assert_eq!(inverted.sense_code(), (5, 0x24, 0));
}

#[test]
fn exchanges_two_cartridges_as_mtx_does() {
    let stand = Stand::small();
    // mtx names the source as second destination.
    exchange(&stand, SLOT_1, SLOT_2, SLOT_1).good();
    assert_eq!(stand.barcode(SLOT_1).as_deref(), Some("A00002L8"));
    assert_eq!(stand.barcode(SLOT_2).as_deref(), Some("A00001L8"));
    assert_eq!(stand.descriptor(SLOT_1)[9..12], [0x81, 0x03, 0xE9]);
    // Into a drive that holds one, which goes to a third place.
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    exchange(&stand, SLOT_2, DRIVE_0, SLOT_3).good();
    assert_eq!(stand.barcode(DRIVE_0).as_deref(), Some("A00001L8"));
    assert_eq!(stand.barcode(SLOT_3).as_deref(), Some("A00002L8"));
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand.send(0, &TEST_UNIT_READY).good();
}

#[test]
fn exchanges_the_cartridges_of_two_drives() {
    let stand = Stand::small();
    stand.carry(SLOT_1, DRIVE_0).good();
    stand.carry(SLOT_2, DRIVE_1).good();
    exchange(&stand, DRIVE_1, DRIVE_0, DRIVE_1).good();
    assert_eq!(stand.barcode(DRIVE_0).as_deref(), Some("A00002L8"));
    assert_eq!(stand.barcode(DRIVE_1).as_deref(), Some("A00001L8"));
    for unit in [0, 1] {
        assert_eq!(stand.send(unit, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
        stand.send(unit, &TEST_UNIT_READY).good();
    }
}

#[test]
fn refuses_exchanges_that_cannot_be() {
    let stand = Stand::small();
    for (source, first, second, sense) in [
        (SLOT_3, SLOT_1, SLOT_3, (5, 0x3B, 0x0E)),
        (SLOT_1, SLOT_3, SLOT_1, (5, 0x3B, 0x0E)),
        (SLOT_1, SLOT_2, SLOT_4, (5, 0x3B, 0x0D)),
        (SLOT_1, SLOT_2, SLOT_2, (5, 0x3B, 0x0D)),
        (SLOT_1, SLOT_1, SLOT_3, (5, 0x3B, 0x0D)),
        (SLOT_1, SLOT_2, 0x0002, (5, 0x21, 0x01)),
    ] {
        let before = stand.descriptors();
        assert_eq!(exchange(&stand, source, first, second).sense_code(), sense);
        assert_eq!(stand.descriptors(), before);
    }
    for invert in [1, 2] {
        let cdb = [0xA6, 0, 0, 0, 0x03, 0xE8, 0x03, 0xE9, 0x03, 0xE8, invert, 0];
        assert_eq!(stand.send(CHANGER, &cdb).sense_code(), (5, 0x24, 0));
    }
}

#[test]
fn keeps_hands_off_a_drive_that_a_program_has_locked() {
    let stand = Stand::small();
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand.send(0, &[0x1E, 0, 0, 0, 1, 0]).good();
    assert_eq!(stand.carry(DRIVE_0, SLOT_1).sense_code(), (5, 0x53, 0x03));
    assert_eq!(exchange(&stand, SLOT_2, DRIVE_0, SLOT_2).sense_code(), (5, 0x53, 0x03));
    stand.send(0, &TEST_UNIT_READY).good();
    stand.send(0, &[0x1E, 0, 0, 0, 0, 0]).good();
    stand.carry(DRIVE_0, SLOT_1).good();
}

#[test]
fn waits_for_the_host_to_unload_when_the_library_does_not() {
    let stand = Stand::of(&SMALL.replace("slots = 4", "slots = 4\nunloaded-by-host = \"05/3B/90\""));
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    assert_eq!(stand.descriptor(DRIVE_0)[2], 0x01);
    assert_eq!(stand.carry(DRIVE_0, SLOT_1).sense_code(), (5, 0x3B, 0x90));
    stand.send(0, &UNLOAD).good();
    assert_eq!(stand.descriptor(DRIVE_0)[2], 0x09, "within the robot's reach");
    stand.carry(DRIVE_0, SLOT_1).good();
}

#[test]
fn threads_again_what_the_host_unloaded_and_the_robot_left() {
    let stand = Stand::small();
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand.send(0, &UNLOAD).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    assert_eq!(
        stand.carry(SLOT_2, DRIVE_0).sense_code(),
        (5, 0x3B, 0x0D),
        "it is still in the mouth"
    );
    stand.send(0, &[0x1B, 0, 0, 0, 1, 0]).good();
    stand.send(0, &TEST_UNIT_READY).good();
    assert_eq!(stand.descriptor(DRIVE_0)[2], 0x01);
}

#[test]
fn cleans_a_drive_and_counts_it() {
    let stand = Stand::small();
    for uses in 1..=2 {
        stand.carry(SLOT_4, DRIVE_0).good();
        assert_eq!(stand.descriptor(DRIVE_0)[9], 0x82);
        assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
        assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x30, 3));
        // READ, WRITE, LOAD: none of them can use it.
        for cdb in [[0x08, 0, 0, 0, 1, 0], [0x1B, 0, 0, 0, 1, 0], [0x01, 0, 0, 0, 0, 0]] {
            assert_eq!(stand.send(0, &cdb).sense_code(), (2, 0x30, 3), "{cdb:02X?}");
        }
        assert_eq!(stand.carry(SLOT_1, DRIVE_0).sense_code(), (5, 0x3B, 0x0D));
        stand.carry(DRIVE_0, SLOT_4).good();
        assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
        let holding = stand.library.inventory().into_iter().find(|one| one.cleaning).unwrap();
        assert_eq!((holding.uses, holding.place), (uses, Some(Place::Slot(4))));
    }
    // The drive is as good as before.
    stand.carry(SLOT_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    stand.send(0, &TEST_UNIT_READY).good();
}

#[test]
fn leaves_a_cartridge_in_the_mouth_of_a_drive_that_cannot_use_it() {
    let stand = Stand::small();
    let old = sg_sim::MediumSpec {
        medium_serial: "SIMOLD".to_owned(),
        density: 0x46,
        ..sg_sim::MediumSpec::default()
    };
    drop(sg_sim::Cartridge::create(&stand.tapes().join("OLD001L4.tape"), &old).unwrap());
    stand.library.open_io().unwrap();
    stand.library.insert("OLD001L4", Some(Place::ImportExport(1))).unwrap();
    stand.library.close_io();
    assert_eq!(stand.send(CHANGER, &TEST_UNIT_READY).sense_code(), (6, 0x28, 1));
    stand.carry(IO_1, DRIVE_0).good();
    assert_eq!(stand.send(0, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    // Full, within reach, and something is wrong: incompatible medium.
    assert_eq!(stand.descriptor(DRIVE_0)[2..6], [0x0D, 0, 0x30, 0x00]);
    stand.carry(DRIVE_0, SLOT_3).good();
    assert_eq!(stand.descriptor(SLOT_3)[2..6], [0x09, 0, 0, 0]);
}

#[test]
fn answers_for_a_drive_that_is_at_work_without_waiting_for_ever() {
    let stand = Stand::small();
    stand.carry(SLOT_1, DRIVE_0).good();
    let (started, has_started) = mpsc::channel();
    let (end, ended) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let ended = ended;
            stand.library.with_drive(0, |_| {
                started.send(()).unwrap();
                // The drive is at work until the story lets it go, or fails and drops its end.
                let _ = ended.recv();
            })
        });
        has_started.recv().unwrap();
        // The other drive, the inventory and the robot's other ways are free.
        assert_eq!(stand.send(1, &TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
        assert_eq!(stand.descriptor(DRIVE_0)[2], 0x01);
        stand.carry(SLOT_2, DRIVE_1).good();
        let before = stand.descriptors();
        assert_eq!(stand.carry(DRIVE_0, SLOT_1).sense_code(), (2, 0x04, 7));
        assert_eq!(stand.descriptors(), before);
        end.send(()).unwrap();
    });
    stand.carry(DRIVE_0, SLOT_1).good();
}

#[test]
fn gives_two_hosts_that_pull_at_one_library_each_a_right_answer() {
    let stand = Stand::small();
    let hosts = ["host1", "host2", "host3"].map(|name| ItNexus::new(name).unwrap());
    std::thread::scope(|scope| {
        for (number, nexus) in hosts.iter().enumerate() {
            let stand = &stand;
            scope.spawn(move || {
                for round in 0..20_usize {
                    let (slot, drive) = ([0xE8, 0xE9][round % 2], [0xF4, 0xF5][(round + number) % 2]);
                    let there = [0xA5, 0, 0, 0, 0x03, slot, 0x01, drive, 0, 0, 0, 0];
                    let back = [0xA5, 0, 0, 0, 0x01, drive, 0x03, slot, 0, 0, 0, 0];
                    for cdb in [there, back] {
                        let answer = stand.exchange(nexus, CHANGER, &cdb, &[], 0);
                        if answer.status != Status::GOOD {
                            let told = answer.sense_code();
                            let possible = [(5, 0x3B, 0x0D), (5, 0x3B, 0x0E), (6, 0x29, 0)];
                            assert!(possible.contains(&told), "{told:02X?}");
                        }
                        stand.exchange(nexus, round % 2, &TEST_UNIT_READY, &[], 0);
                    }
                }
            });
        }
    });
    let mut inside: Vec<String> = stand
        .descriptors()
        .iter()
        .filter(|one| one[2] & 1 != 0)
        .map(|one| String::from_utf8_lossy(&one[12..20]).into_owned())
        .collect();
    inside.sort();
    assert_eq!(inside, ["A00001L8", "A00002L8", "CLNU01L1"]);
}

#[test]
fn lets_an_operator_do_only_what_a_hand_could() {
    let stand = Stand::small();
    let library = &stand.library;
    let first = Place::ImportExport(1);
    assert!(matches!(library.insert("B00001L8", None), Err(StationError::Shut)));
    stand.send(CHANGER, &[0x1E, 0, 0, 0, 1, 0]).good();
    assert!(matches!(library.open_io(), Err(StationError::Prevented)));
    stand.send(CHANGER, &[0x1E, 0, 0, 0, 0, 0]).good();
    library.open_io().unwrap();
    for barcode in ["", "a/b", "..", "B 1"] {
        assert!(
            matches!(library.insert(barcode, None), Err(StationError::Barcode { .. })),
            "{barcode:?}"
        );
    }
    assert!(matches!(
        library.insert("A00001L8", None),
        Err(StationError::Inside { .. })
    ));
    assert!(matches!(
        library.insert("B00001L8", Some(Place::Slot(3))),
        Err(StationError::NoSuchPlace { count: 2, .. })
    ));
    assert!(matches!(
        library.remove(Place::Slot(1)),
        Err(StationError::NoSuchPlace { .. })
    ));
    assert!(matches!(
        library.remove(Place::ImportExport(3)),
        Err(StationError::NoSuchPlace { .. })
    ));
    assert!(matches!(library.remove(first), Err(StationError::Empty { .. })));
    assert_eq!(library.insert("B00001L8", None).unwrap(), first);
    assert!(matches!(
        library.insert("B00002L8", Some(first)),
        Err(StationError::Full { .. })
    ));
    library.insert("B00002L8", None).unwrap();
    assert!(matches!(
        library.insert("B00003L8", None),
        Err(StationError::Full { .. })
    ));
    assert_eq!(library.remove(first).unwrap(), "B00001L8");
    std::fs::write(stand.tapes().join("B00004L8.tape"), b"a letter to a friend").unwrap();
    assert!(matches!(
        library.insert("B00004L8", None),
        Err(StationError::Cartridge(_))
    ));
    assert_eq!(library.insert("B00001L8", None).unwrap(), first);
    library.close_io();
    assert_eq!(library.kinds().len(), 3);
}

#[test]
fn refuses_a_load_whose_file_cannot_be_made() {
    let stand = Stand::small();
    // Something else has the name since the library was opened.
    std::fs::write(stand.tapes().join("A00001L8.tape"), b"not a cartridge").unwrap();
    assert_eq!(stand.carry(SLOT_1, DRIVE_0).sense_code(), (4, 0x53, 0));
    assert_eq!(stand.barcode(SLOT_1).as_deref(), Some("A00001L8"));
    assert_eq!(
        std::fs::read(stand.tapes().join("A00001L8.tape")).unwrap(),
        b"not a cartridge"
    );
    stand.carry(SLOT_2, DRIVE_0).good();
}

#[test]
fn refuses_a_move_that_cannot_be_written_down() {
    let stand = Stand::small();
    // A folder in the way of the new state file.
    let in_the_way = stand.tapes().join("library.json.new");
    std::fs::create_dir(&in_the_way).unwrap();
    let before = stand.descriptors();
    assert_eq!(stand.carry(SLOT_1, SLOT_3).sense_code(), (4, 0x44, 0));
    assert_eq!(stand.carry(SLOT_1, DRIVE_0).sense_code(), (4, 0x44, 0));
    assert_eq!(stand.descriptors(), before);
    std::fs::remove_dir(&in_the_way).unwrap();
    stand.carry(SLOT_1, DRIVE_0).good();
}
