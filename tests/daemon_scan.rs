//! `tapekey unlock --scan`: what stands where on a tape, and a tape that is moved only when it may be.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use support::programs::{Running, until};
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block of somebody's data";

/// Operation codes that read data.
const READS: [u8; 4] = [0x08, 0x88, 0x13, 0x8F];

fn write_files(tape: &mut Tape, count: usize) {
    for _ in 0..count {
        tape.write(BLOCK).unwrap();
        tape.write(BLOCK).unwrap();
        tape.filemark();
    }
}

/// As stenc users do: ENCRYPT and DECRYPT for all nexuses, this text as U-KAD; without one, DISABLE.
fn set_as_stenc_does(tape: &mut Tape, description: Option<&str>) {
    let mut page = vec![0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x00, 0x00, 0x01];
    page.resize(20, 0);
    if let Some(text) = description {
        page[3] = u8::try_from(16 + 32 + 4 + text.len()).unwrap();
        page[6..8].copy_from_slice(&[2, 2]);
        page[19] = 0x20;
        page.extend([0x5A; 32]);
        page.extend([0, 0, 0, u8::try_from(text.len()).unwrap()]);
        page.extend(text.as_bytes());
    }
    let length = u8::try_from(page.len()).unwrap();
    tape.send_out(&[0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, length, 0, 0], &page)
        .unwrap();
}

/// Two files under a key of ours, one plain file, one of stenc's. Answers our key's id.
fn write_a_tape_of_many_hands(stage: &Stage) -> Value {
    let socket = stage.sims[0].socket();
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&socket, NEXUS);
    write_files(&mut tape, 2);
    stage.good(&["clear", "d1"]);
    let mut tape = Tape::open(&socket, NEXUS);
    write_files(&mut tape, 1);
    set_as_stenc_does(&mut tape, Some("January tape"));
    write_files(&mut tape, 1);
    set_as_stenc_does(&mut tape, None);
    load["key"]["id"].clone()
}

#[test]
fn a_tape_of_many_hands_is_listed_file_by_file_and_rewound() {
    let stage = Stage::new(1);
    let key_id = write_a_tape_of_many_hands(&stage);
    let scan = stage.good(&["unlock", "--scan", "d1"]);
    assert_eq!((&scan["outcome"], &scan["kind"]), (&json!("scanned"), &json!("scan")));
    let walk = &scan["scan"];
    assert_eq!(
        (&walk["files"], &walk["complete"]),
        (&json!(4), &json!(true)),
        "{walk:#}"
    );
    let seen: Vec<_> = walk["found"].as_array().unwrap().iter().collect();
    let line = |found: &Value| {
        json!([
            found["first_file"],
            found["last_file"],
            found["first_object"],
            found["begins_with"],
            found["key_id"]
        ])
    };
    assert_eq!(line(seen[0]), json!([0, 1, 0, "our_kad", key_id]));
    assert_eq!(line(seen[1]), json!([2, 2, 6, "plain", null]));
    assert_eq!(line(seen[2]), json!([3, 3, 9, "foreign_kad", null]));
    assert_eq!(seen.len(), 3);

    // A job like any other, and the tape stands where a load wants it.
    let text = stage.tapekey(&["job", "show", &scan["id"].to_string()]).well();
    for words in [
        "files 0-1",
        "from object 6: plain",
        "KAD \"January tape\"",
        "to the end of the data",
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    let unlock = stage.good(&["unlock", "d1"]);
    assert_eq!(unlock["key"]["id"], key_id);
}

#[test]
fn a_blank_volume_has_nothing_to_list() {
    let stage = Stage::new(1);
    let scan = stage.good(&["unlock", "--scan", "d1"]);
    let empty = json!({ "files": 0, "object": null, "complete": true, "found": [], "cut_off": false });
    assert_eq!(scan["scan"], empty);
}

#[test]
fn no_data_is_read_and_no_key_is_sent() {
    let mut stage = Stage::without_daemon(1);
    let wire = support::wire::Wire::lay(&stage.sims[0].socket(), stage.path("wire"));
    let config = stage.config_text();
    let config = config.replace(
        &stage.sims[0].socket().display().to_string(),
        &wire.socket().display().to_string(),
    );
    std::fs::write(stage.config(), config).unwrap();
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    write_files(&mut tape, 3);
    stage.start_daemon();
    wire.only_count();
    stage.good(&["unlock", "--scan", "d1"]);
    let sent = wire.operation_codes();
    assert!(
        !sent.iter().any(|code| READS.contains(code) || *code == 0xB5),
        "{sent:02X?}"
    );
    assert_eq!(sent.iter().filter(|code| **code == 0x11).count(), 4, "{sent:02X?}");
    assert_eq!(sent.last(), Some(&0x01), "{sent:02X?}");
}

#[test]
fn a_tape_that_a_program_may_be_using_is_not_moved() {
    let stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    write_files(&mut tape, 2);
    let (code, _, err) = stage.ask(&["unlock", "--scan", "d1"]);
    let words = format!("job {} left its key in drive d1", load["id"]);
    assert!(code == 4 && err.contains(&words), "{code} {err}");
    write_files(&mut tape, 1);
    assert_eq!(stage.good(&["clear", "d1"])["proof"]["verdict"], "all encrypted");
    // Nor with a key that is not ours.
    set_as_stenc_does(&mut tape, Some("January tape"));
    stage.bad(&["unlock", "--scan", "d1"], "a key that is not ours is in the drive");
}

#[test]
fn a_person_can_end_it_early_and_the_tape_is_rewound() {
    let stage = Stage::new(1);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    write_files(&mut tape, 3);
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let mut command = stage.tapekey_command();
    command.args(["unlock", "--scan", "d1"]);
    let mut scan = Running::start(command);
    until(|| !stage.status("d1")["command"].is_null());
    let (code, _, err) = stage.ask(&["clear", "d1"]);
    assert!(code == 4 && err.contains("(scan)"), "one job at a time: {err}");
    scan.signal(Signal::SIGINT);
    scan.wait_for("ends when the tape is rewound");
    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    assert_eq!(scan.exit_code(), Some(1));
    let said = String::from_utf8(scan.said()).unwrap();
    assert!(
        said.contains("cancelled by user") && said.contains("the tape is rewound"),
        "{said}"
    );
    assert_eq!(stage.ask(&["job", "cancel", "1"]).0, 2, "it has ended");
}

#[test]
fn a_drive_that_fails_on_the_way_is_rewound_and_what_was_seen_is_told() {
    let stage = Stage::new(1);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    write_files(&mut tape, 3);
    let fault =
        json!({ "verb": "fault", "at": { "opcode": 0x11, "nth": 2 }, "do": { "what": "sense", "sense": "03/11/00" } });
    stage.sims[0].order(&fault);
    let scan = stage.bad(&["unlock", "--scan", "d1"], "SPACE over a filemark");
    assert_eq!(
        (&scan["outcome"], &scan["scan"]["complete"]),
        (&json!("failed"), &json!(false))
    );
    assert_eq!(scan["scan"]["files"], 2);
    assert!(scan["messages"].to_string().contains("the tape is rewound"));
}
