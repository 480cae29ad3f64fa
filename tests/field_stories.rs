//! What went wrong elsewhere and fits no other story here; `SECURITY.md` has the whole table.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use serde_json::json;
use support::stage::{NEXUS, Stage};
use support::tape::Tape;
use support::wire::Wire;

#[test]
fn a_key_is_chosen_by_state_and_whole_group_name_however_names_sort() {
    let stage = Stage::new(1);
    for group in ["ENCR_pool0", "ENCR_pool01", "ENCR_pool"] {
        stage.kms_command(&["group", "create", group]).well();
        for key in ["v9", "v10", "v8"] {
            let name = format!("{group}_{key}");
            stage
                .kms_command(&["key", "rotate", group, "--name", &name, "--single-copy"])
                .well();
        }
    }
    for (group, last) in [("ENCR_pool0", "v10"), ("ENCR_pool01", "v9"), ("ENCR_pool", "v8")] {
        let name = format!("{group}_{last}");
        if last != "v8" {
            stage
                .kms_command(&["key", "activate", group, &name, "--single-copy"])
                .well();
        }
        let load = stage.good(&["load", "d1", "--pool", group]);
        assert_eq!(
            (&load["key"]["group"], &load["key"]["name"]),
            (&json!(group), &json!(name))
        );
    }
}

/// A stage whose daemon reaches its drive over the wire that comes with it, and has loaded a key into it.
fn loaded_over_a_wire() -> (Stage, Wire) {
    let stage = Stage::without_daemon(1);
    stage.kms_command(&["group", "create", "ENCR_a"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
    let direct = stage.sims[0].socket();
    let wire = Wire::lay(&direct, stage.path("wire"));
    let (from, to) = (direct.display().to_string(), wire.socket().display().to_string());
    std::fs::write(stage.config(), stage.config_text().replace(&from, &to)).unwrap();
    let mut stage = stage;
    stage.start_daemon();
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    (stage, wire)
}

#[test]
fn a_drive_that_a_program_may_be_using_is_not_asked_unless_somebody_insists() {
    let (mut stage, wire) = loaded_over_a_wire();
    let before = wire.operation_codes();
    let drive = stage.good(&["status"])["drives"][0].clone();
    assert!(
        drive["modes"]["not_asked"].as_str().unwrap().contains("--look"),
        "{drive:#}"
    );
    assert!(stage.daemon().terminate());
    stage.start_daemon();
    stage.good(&["status", "d1"]);
    assert_eq!(
        wire.operation_codes(),
        before,
        "any command may meet the attention of a reset"
    );

    let drive = stage.good(&["status", "--look"])["drives"][0].clone();
    assert_eq!(drive["modes"]["known"]["encryption"], "ENCRYPT");
    assert_ne!(wire.operation_codes(), before);
    stage.good(&["clear", "d1"]);
    let drive = stage.good(&["status"])["drives"][0].clone();
    assert_eq!(
        drive["modes"]["known"]["encryption"], "DISABLE",
        "without a key nobody writes"
    );
}

#[test]
fn whatever_is_asked_of_a_drive_the_tape_stays_where_it_is() {
    const MOVES: [u8; 9] = [0x01, 0x08, 0x0A, 0x10, 0x11, 0x1B, 0x2B, 0x91, 0x92];
    let (stage, wire) = loaded_over_a_wire();
    // The writer has a path of its own, so the wire carries the daemon alone.
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"first").unwrap();
    tape.write(b"second").unwrap();
    stage.good(&["status", "--look"]);
    stage.bad(&["load", "d1"], "the tape stands at object 2");
    stage.bad(&["unlock", "d1"], "the tape stands at object 2");
    stage.good(&["clear", "d1"]);
    tape.filemark();
    tape.rewind();
    stage.good(&["unlock", "d1"]);
    assert_eq!(tape.read().unwrap(), b"first");
    let sent = wire.operation_codes();
    assert!(sent.len() > 50, "{sent:02X?}");
    assert!(!sent.iter().any(|code| MOVES.contains(code)), "{sent:02X?}");
}

#[test]
fn every_test_that_the_security_table_names_exists() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let security = std::fs::read_to_string(root.join("SECURITY.md")).unwrap();
    let (_, table) = security.split_once("| failure elsewhere |").unwrap();
    let mut sources = String::new();
    for folder in ["src", "tests", "sg-sim/src", "sg-sim/tests"] {
        read_all(&root.join(folder), &mut sources);
    }
    let rows: Vec<&str> = table.lines().skip(2).filter(|line| line.starts_with('|')).collect();
    assert!(rows.len() > 30, "{} rows", rows.len());
    for row in rows {
        let here = row.split('|').nth(3).unwrap_or_else(|| panic!("not a row: {row}"));
        let tests: Vec<&str> = here
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|name| name.contains('_'))
            .collect();
        assert!(
            !tests.is_empty() || here.contains("open ("),
            "neither a test nor open: {row}"
        );
        for test in tests {
            assert!(sources.contains(&format!("fn {test}()")), "there is no test {test}");
        }
    }
}

fn read_all(folder: &std::path::Path, text: &mut String) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read_all(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
}
