//! Descriptions and folders that cannot be used: each is refused with the file, the key and what to do, and nothing is changed.

mod library_support;

use library_support::{SMALL, Stand, open_in};
use sg_sim::{Cartridge, Library, LibraryError, MediumSpec, UnitKind, Units};
use std::{fs, path::Path};

/// The refusal of a description.
#[expect(clippy::unwrap_used, clippy::expect_used, reason = "a test stops where it stands")]
#[track_caller]
fn refusal(description: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let error = open_in(folder.path(), description).err().expect("refused").to_string();
    assert!(!folder.path().join("tapes").exists(), "made something: {error}");
    assert!(error.contains("library.toml"), "{error}");
    assert!(error.contains("\nhint: "), "{error}");
    error
}

/// The small library with a switch of its first drive turned.
fn with_quirk(line: &str) -> String {
    let serial = "serial = \"1013000101\"";
    SMALL.replacen(serial, &format!("{serial}\n[drive.quirks]\n{line}"), 1)
}

#[test]
fn says_which_key_is_unknown_missing_or_of_another_type() {
    for (description, told) in [
        (SMALL.replace("slots = 4", "slots = 4\nshelves = 2"), "shelves"),
        (SMALL.replace("slots = 4", ""), "slots"),
        (SMALL.replace("slots = 4", "slots = \"four\""), "slots"),
        (SMALL.replace("slots = 4", "slots = -1"), "slots"),
        (SMALL.replace("at = \"slot 1\"", "at = \"shelf 1\""), "\"shelf 1\""),
        (
            SMALL.replace("at = \"slot 1\"", "at = \"transport 1\""),
            "\"transport 1\"",
        ),
        (SMALL.replace("\"hp\"", "\"acme\""), "acme"),
        (SMALL.replace("\"cleaning\"", "\"washing\""), "washing"),
        (with_quirk("library-manged = \"off\""), "`library-managed`"),
        (with_quirk("library-managed = \"hidden\""), "`protocol-hidden`"),
        (with_quirk("library-managed = \"hidden\""), "line 10"),
        (with_quirk("refuse-security-protocol-out = \"05/24\""), "05/24"),
        (with_quirk("u-kad-authenticated = 7"), "expected 0, 1 or 2"),
        (with_quirk("wrong-key-limit = -1"), "expected u32"),
        (
            SMALL.replacen("[[drive]]", "[[drive]]\nmodel = \"hp-lto9\"", 1),
            "expected `ibm-lto8`",
        ),
        ("]".to_owned(), "line 1"),
        (String::new(), "cartridges"),
    ] {
        let error = refusal(&description);
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn each_drive_has_its_own_switches() {
    let stand = Stand::of(&with_quirk("refuse-security-protocol-out = \"05/24/00\""));
    let mut clear = vec![0x00, 0x10, 0x00, 0x10, 0x40, 0x00, 0, 0, 1];
    clear.resize(20, 0);
    let set = [0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, 20, 0, 0];
    let refused = stand.exchange(&stand.nexus, 0, &set, &clear, 0);
    assert_eq!(refused.sense_code(), (5, 0x24, 0));
    stand.exchange(&stand.nexus, 1, &set, &clear, 0).good();
}

#[test]
fn says_which_value_no_library_can_have() {
    let tape = |keys: &str| format!("{SMALL}\n[[tape]]\n{keys}\n");
    for (description, key) in [
        (SMALL.replace("slots = 4", "slots = 0"), "slots = 0"),
        (
            SMALL.replace("slots = 4", "slots = 4\ntransports = 0"),
            "transports = 0",
        ),
        (SMALL.replace("slots = 4", "slots = 4\nserial = \"\""), "serial = "),
        (SMALL.replace("slots = 4", "slots = 65000"), "addresses.storage = 1000"),
        (
            SMALL.replace("import-export = 2", "import-export = 600"),
            "addresses.drive = 500",
        ),
        (
            SMALL.replace("slots = 4", "slots = 4\nunloaded-by-host = \"00/00/00\""),
            "unloaded-by-host",
        ),
        (
            SMALL.replace(
                "[[tape]]\nbarcode = \"A00001L8\"",
                "[addresses]\ndrive = 0\n[[tape]]\nbarcode = \"A00001L8\"",
            ),
            "addresses.drive = 0",
        ),
        (
            SMALL.replace("1013000102", "1013000101"),
            "serial of [[drive]] 1 = 1013000101",
        ),
        (
            SMALL.replace("1013000102", "101300010"),
            "serial of [[drive]] 1 = 101300010",
        ),
        (SMALL.replace("A00002L8", "A00001L8"), "barcode of [[tape]] = A00001L8"),
        (SMALL.replace("A00002L8", "../A00002"), "barcode of [[tape]] ../A00002"),
        (SMALL.replace("slot 2", "slot 1"), "at of [[tape]] A00002L8 = slot 1"),
        (SMALL.replace("slot 2", "slot 5"), "at of [[tape]] A00002L8 = slot 5"),
        (SMALL.replace("slot 2", "io 3"), "at of [[tape]] A00002L8 = io 3"),
        (SMALL.replace("slot 2", "drive 2"), "at of [[tape]] A00002L8 = drive 2"),
        (
            tape("barcode = \"A3\"\ngeneration = 9"),
            "generation of [[tape]] A3 = 9",
        ),
        (
            tape("barcode = \"A3\"\nmedium-serial = \"SIMA00001L8\""),
            "medium-serial of [[tape]] A3",
        ),
        (
            tape("barcode = \"A3\"\ncapacity-bytes = 9_000_000_000_000_000_000"),
            "capacity-bytes",
        ),
        (
            tape("barcode = \"C3\"\nkind = \"cleaning\"\nwrite-protected = true"),
            "write-protected of [[tape]] C3",
        ),
    ] {
        let error = refusal(&description);
        assert!(error.contains(key), "{key}: {error}");
    }
    let without_drives = SMALL
        .replace("[[drive]]\nserial = \"1013000101\"", "")
        .replace("[[drive]]\nserial = \"1013000102\"", "");
    assert!(refusal(&without_drives).contains("[[drive]] = 0"));
}

#[test]
fn says_that_a_description_is_not_there() {
    let error = Library::open(Path::new("/sim/none.toml"), library_support::randomness)
        .err()
        .unwrap();
    assert!(matches!(error, LibraryError::Io { .. }));
    assert!(error.to_string().contains("/sim/none.toml"));
}

#[test]
fn has_no_slot_for_more_cartridges_than_slots() {
    let folder = tempfile::tempdir().unwrap();
    let more = format!("{SMALL}\n[[tape]]\nbarcode = \"A00003L8\"\n[[tape]]\nbarcode = \"A00004L8\"\n");
    let error = open_in(folder.path(), &more).err().unwrap().to_string();
    assert!(
        error.contains("A00004L8") && error.contains("every slot is taken"),
        "{error}"
    );
}

#[test]
fn refuses_foreign_files_and_leaves_them_as_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let tapes = folder.path().join("tapes");
    fs::create_dir(&tapes).unwrap();
    let file = tapes.join("A00002L8.tape");
    fs::write(&file, b"a letter to a friend").unwrap();
    let error = open_in(folder.path(), SMALL).err().unwrap();
    assert!(matches!(error, LibraryError::Cartridge { .. }), "{error}");
    assert!(error.to_string().contains("A00002L8.tape"));
    assert_eq!(fs::read(&file).unwrap(), b"a letter to a friend");
}

#[test]
fn refuses_a_cartridge_that_another_drive_holds_or_that_is_another_one() {
    let folder = tempfile::tempdir().unwrap();
    let tapes = folder.path().join("tapes");
    fs::create_dir(&tapes).unwrap();
    let held = Cartridge::create(&tapes.join("A00001L8.tape"), &MediumSpec::default()).unwrap();
    let error = open_in(folder.path(), SMALL).err().unwrap().to_string();
    assert!(error.contains("it is in another drive"), "{error}");
    drop(held);
    drop(open_in(folder.path(), SMALL).unwrap());
    let other = SMALL.replace("at = \"slot 1\"", "at = \"slot 1\"\nmedium-serial = \"HK1B000001\"");
    let error = open_in(folder.path(), &other).err().unwrap();
    assert!(matches!(error, LibraryError::OtherCartridge { .. }), "{error}");
    assert!(error.to_string().contains("SIM0000001, not HK1B000001"), "{error}");
}

#[test]
fn refuses_a_folder_that_another_library_holds() {
    let folder = tempfile::tempdir().unwrap();
    let first = open_in(folder.path(), SMALL).unwrap();
    let error = open_in(folder.path(), SMALL).err().unwrap();
    assert!(matches!(error, LibraryError::InUse { .. }), "{error}");
    drop(first);
    assert!(open_in(folder.path(), SMALL).is_ok());
}

#[test]
fn refuses_a_state_that_is_damaged_or_does_not_fit() {
    let folder = tempfile::tempdir().unwrap();
    drop(open_in(folder.path(), SMALL).unwrap());
    let state = folder.path().join("tapes/library.json");
    let good = fs::read_to_string(&state).unwrap();
    for text in [
        "",
        "{",
        "{\"version\": 2}",
        &good.replace("slot 1", "slot 2"),
        &good.replace("uses", "users"),
    ] {
        fs::write(&state, text).unwrap();
        let error = open_in(folder.path(), SMALL).err().unwrap();
        assert!(matches!(error, LibraryError::State { .. }), "{error}");
        assert_eq!(fs::read_to_string(&state).unwrap(), text);
    }
    fs::write(&state, good.replace("slot 1", "slot 40")).unwrap();
    let error = open_in(folder.path(), SMALL).err().unwrap().to_string();
    assert!(
        error.contains("A00001L8 into slot 40: the library has no such place"),
        "{error}"
    );
    // A newcomer wants to be where another one is.
    fs::write(&state, good.replace("slot 1", "slot 3")).unwrap();
    let newcomer = format!("{SMALL}\n[[tape]]\nbarcode = \"A00003L8\"\nat = \"slot 3\"\n");
    let error = open_in(folder.path(), &newcomer).err().unwrap().to_string();
    assert!(error.contains("A00003L8 into slot 3: A00001L8 is there"), "{error}");
}

#[test]
fn opens_every_sample_and_has_the_drives_that_it_says() {
    for (sample, drives) in [("small.toml", 2), ("ibm.toml", 3)] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("libraries").join(sample)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let library = open_in(folder.path(), &text).unwrap();
        let kinds = library.kinds();
        assert_eq!(kinds.len(), drives + 1, "{sample}");
        assert_eq!(kinds.last(), Some(&UnitKind::Changer));
    }
}

#[test]
fn opens_the_example_of_the_manual() {
    let manual = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/library.md")).unwrap();
    let (_, behind) = manual.split_once("```toml\n").unwrap();
    let (example, _) = behind.split_once("```").unwrap();
    let folder = tempfile::tempdir().unwrap();
    assert!(open_in(folder.path(), example).is_ok());
}
