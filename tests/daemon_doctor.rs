//! `tapekey doctor`: what will not work is said before somebody relies on it, with what to change; what was not asked is not called fine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use serde_json::{Value, json};
use support::stage::{NEXUS, Stage};
use support::tape::Tape;
use support::wire::Wire;

/// The findings: exit code and lines.
#[track_caller]
fn examine(stage: &Stage, more: &[&str]) -> (i32, Vec<Value>) {
    let config = stage.config().display().to_string();
    let (code, report, err) = stage.ask(&[&["doctor", "--config", &config], more].concat());
    let findings = report["findings"]
        .as_array()
        .unwrap_or_else(|| panic!("{report}\n{err}"));
    for found in findings {
        let is_ok = found["verdict"] == "ok";
        assert_eq!(
            is_ok,
            found["remedy"].is_null(),
            "a remedy for whatever is not well: {found}"
        );
    }
    (code, findings.clone())
}

#[track_caller]
fn verdict<'a>(findings: &'a [Value], object: &str, about: &str) -> (&'a str, &'a str) {
    let mut lines = findings.iter();
    let found = lines.find(|line| line["object"] == object && line["about"] == about);
    let found = found.unwrap_or_else(|| panic!("nothing about {object}: {about} in {findings:#?}"));
    (found["verdict"].as_str().unwrap(), found["text"].as_str().unwrap())
}

#[test]
fn a_host_that_works_is_told_so_line_by_line() {
    let stage = Stage::new(1);
    let (code, found) = examine(&stage, &[]);
    assert_eq!(code, 0, "{found:#?}");
    for (object, about) in [
        ("configuration", "file"),
        ("daemon", "reached"),
        ("drive d1", "reached"),
        ("drive d1", "encryption"),
        ("drive d1", "permission"),
        ("drive d1", "scope"),
        ("drive d1", "key"),
        ("drive d1", "medium"),
        ("drive d1", "proof"),
        ("KMS", "role"),
        ("KMS", "certificate"),
        ("KMS", "reached"),
        ("KMS", "clock"),
    ] {
        assert_eq!(verdict(&found, object, about).0, "ok", "{object}: {about}");
    }
    assert_eq!(
        verdict(&found, "drive d1", "node").0,
        "warning",
        "a simulated drive is no drive for keys"
    );
    assert!(
        verdict(&found, "KMS", "role")
            .1
            .contains("media-server-1 with role media-server")
    );
    assert!(verdict(&found, "drive d1", "medium").1.contains("A00001L8, LTO-8"));

    let config = stage.config().display().to_string();
    let text = stage.tapekey(&["doctor", "d1", "--config", &config]).well();
    assert!(
        text.contains("\nok       drive d1: encryption: protocol 20h is offered"),
        "{text}"
    );
}

#[test]
fn it_sends_no_key_and_moves_no_tape() {
    let mut stage = Stage::without_daemon(1);
    let wire = Wire::lay(&stage.sims[0].socket(), stage.path("wire"));
    let drive = stage.sims[0].socket().display().to_string();
    let config = stage
        .config_text()
        .replace(&drive, &wire.socket().display().to_string());
    std::fs::write(stage.config(), config).unwrap();
    stage.start_daemon();
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    wire.only_count();
    examine(&stage, &["d1"]);
    let sent = wire.operation_codes();
    // TEST UNIT READY, INQUIRY, MODE SENSE(6), LOG SENSE, READ ATTRIBUTE, SECURITY PROTOCOL IN, and one OUT that no drive takes.
    let harmless = [0x00, 0x12, 0x1A, 0x4D, 0x8C, 0xA2, 0xB5];
    assert!(sent.iter().all(|code| harmless.contains(code)), "{sent:02X?}");
    assert_eq!(sent.iter().filter(|code| **code == 0xB5).count(), 1, "{sent:02X?}");
    let status = stage.sims[0].order(&json!({ "verb": "status" }));
    assert_eq!(status["status"]["encryption"], "disable");
}

#[test]
fn a_drive_that_the_library_manages_is_wrong_and_says_what_to_change() {
    let stage = Stage::new(1);
    stage.sims[0].order(&json!({ "verb": "library-managed", "mode": "list" }));
    let (code, found) = examine(&stage, &["d1"]);
    assert_eq!(code, 1);
    let (verdict, text) = verdict(&found, "drive d1", "encryption");
    assert!(
        verdict == "wrong" && text.contains("protocol 20h is not offered"),
        "{verdict} {text}"
    );
    let line = found.iter().find(|line| line["text"] == text).unwrap();
    assert!(
        line["remedy"].as_str().unwrap().contains("application-managed"),
        "{line}"
    );
}

#[test]
fn an_empty_drive_is_not_called_fine() {
    let stage = Stage::new(1);
    stage.sims[0].order(&json!({ "verb": "eject" }));
    let (code, found) = examine(&stage, &["d1"]);
    assert_eq!((code, verdict(&found, "drive d1", "volume").0), (1, "unknown"));
    assert_eq!(verdict(&found, "drive d1", "encryption").0, "ok");
}

#[test]
fn a_drive_that_may_be_in_use_is_left_alone() {
    let stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    stage.sims[0].order(&json!({ "verb": "reset" }));
    let (code, found) = examine(&stage, &["d1"]);
    let (verdict, text) = verdict(&found, "drive d1", "reached");
    assert_eq!((code, verdict), (1, "unknown"));
    assert!(
        text.contains(&format!("job {} left its key in drive d1", load["id"])),
        "{text}"
    );
    let sense = tape.write(b"a block that would be plain").unwrap_err();
    assert_eq!(
        (sense[2] & 0x0F, sense[12]),
        (0x06, 0x29),
        "the program hears of the reset: {sense:02X?}"
    );
}

#[test]
fn without_a_daemon_it_says_what_can_be_known_without_one() {
    let mut stage = Stage::new(2);
    stage.daemon().kill();
    let (code, found) = examine(&stage, &[]);
    assert_eq!((code, verdict(&found, "daemon", "reached").0), (1, "wrong"));
    for drive in ["drive d1", "drive d2"] {
        assert_eq!(verdict(&found, drive, "reached").0, "unknown");
    }
    assert_eq!(verdict(&found, "configuration", "file").0, "ok");
    assert_eq!(verdict(&found, "KMS", "reached").0, "ok");
}

#[test]
fn a_kms_that_is_not_there_and_a_certificate_of_another_role_are_wrong() {
    let mut stage = Stage::new(1);
    let of_admin = stage.config_text().replace("clients/media-server-1", "clients/admin-1");
    std::fs::write(stage.config(), of_admin).unwrap();
    let (code, found) = examine(&stage, &["d1"]);
    let (role, text) = verdict(&found, "KMS", "role");
    assert!(
        code == 1 && role == "wrong" && text.contains("role admin"),
        "{role} {text}"
    );

    std::fs::write(stage.config(), stage.config_text()).unwrap();
    stage.kms.kill();
    let (code, found) = examine(&stage, &["d1"]);
    assert_eq!((code, verdict(&found, "KMS", "reached").0), (1, "wrong"));
    assert_eq!(
        verdict(&found, "drive d1", "encryption").0,
        "ok",
        "the drive has nothing to do with it"
    );
}

#[test]
fn a_configuration_that_is_none_is_wrong_and_keeps_nothing_else_from_being_looked_at() {
    let stage = Stage::new(1);
    std::fs::write(stage.config(), "drive = 3\n").unwrap();
    let (code, found) = examine(&stage, &[]);
    assert_eq!((code, verdict(&found, "configuration", "file").0), (1, "wrong"));
    assert_eq!(
        verdict(&found, "drive d1", "encryption").0,
        "ok",
        "the daemon runs with the former one"
    );
    assert_eq!(stage.ask(&["doctor", "d9"]).0, 2, "there is no such drive");
}
