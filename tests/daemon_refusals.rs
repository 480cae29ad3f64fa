//! Every reason for which a drive gets no key, with the programs as they really run: the job says which it was and what to do.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use serde_json::{Value, json};
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

/// No key is in force, and nobody has to look.
#[track_caller]
fn has_no_key(stage: &Stage) {
    let status = stage.status("d1");
    assert_eq!(status["modes"]["known"]["encryption"], "DISABLE", "{status:#}");
    assert_eq!(status["alarms"], json!([]));
}

#[track_caller]
fn is_refused(stage: &Stage, arguments: &[&str], reason: &str) -> Value {
    let job = stage.bad(arguments, reason);
    assert_eq!(job["outcome"], "refused", "{job:#}");
    job
}

#[test]
fn a_library_managed_drive_gets_no_key() {
    let stage = Stage::new(1);
    for (mode, reason) in [
        ("list", "protocol 20h is not offered"),
        ("cfgp", "configured to take no parameters from a host"),
    ] {
        stage.sims[0].order(&json!({ "verb": "library-managed", "mode": mode }));
        is_refused(&stage, &["load", "d1", "--pool", "ENCR_a"], reason);
        is_refused(&stage, &["unlock", "d1"], "application-managed encryption");
    }
    stage.sims[0].order(&json!({ "verb": "library-managed", "mode": "off" }));
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
}

#[test]
fn a_group_without_an_active_key_gives_none() {
    let stage = Stage::new(1);
    stage.kms_command(&["group", "create", "ENCR_empty"]).well();
    stage.kms_command(&["key", "create", "ENCR_empty", "prelive"]).well();
    let job = is_refused(&stage, &["load", "d1", "--pool", "ENCR_empty"], "ENCR_empty");
    assert!(job["key"].is_null());
    has_no_key(&stage);
}

#[test]
fn a_wrong_group_name_gives_no_key() {
    let stage = Stage::new(1);
    is_refused(&stage, &["load", "d1", "--pool", "ENCR_nowhere"], "ENCR_nowhere");
    for pool in ["encr_a", "ENCR-a", "ENCR_"] {
        let (code, _, err) = stage.ask(&["load", "d1", "--pool", pool]);
        assert!(
            code == 2 && err.contains("almost has the prefix ENCR_"),
            "{pool}: {err}"
        );
    }
    has_no_key(&stage);
    assert_eq!(
        stage.good(&["job", "list"]).as_array().unwrap().len(),
        1,
        "what is no pool begins no job"
    );
}

#[test]
fn a_volume_of_another_group_is_told_with_both_names() {
    let stage = Stage::new(1);
    stage.kms_command(&["group", "create", "ENCR_b"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_b", "--single-copy"]).well();
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    Tape::open(&stage.sims[0].socket(), NEXUS).write(b"block").unwrap();
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.filemark();
    is_refused(&stage, &["load", "d1"], "stands at object 2");
    tape.rewind();
    is_refused(
        &stage,
        &["load", "d1", "--pool", "ENCR_b"],
        "belongs to group ENCR_a, as its KAD and the KMS say, but the caller says ENCR_b",
    );
    is_refused(
        &stage,
        &["load", "d1", "--pool", "Scratch"],
        "the caller says plain pool Scratch",
    );
    let status = stage.status("d1");
    assert_eq!(
        status["modes"]["known"]["key_id"], load["key"]["id"],
        "the volume's own key stays"
    );
}

#[test]
fn without_a_kms_there_is_no_key_and_with_it_again_there_is() {
    let mut stage = Stage::new(1);
    stage.kms.kill();
    is_refused(&stage, &["load", "d1", "--pool", "ENCR_a"], "no KMS answered");
    has_no_key(&stage);
    stage.restart_kms();
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
}

#[test]
fn a_drive_that_says_no_is_quoted_and_holds_no_key() {
    let stage = Stage::new(1);
    stage.sims[0].order(&json!({ "verb": "refuse-spout", "sense": "05/26/00" }));
    let job = stage.bad(&["load", "d1", "--pool", "ENCR_a"], "26h/00h");
    assert_eq!(job["outcome"], "failed");
    assert!(!job["key"].is_null(), "which key it was is recorded");
    let cleared = |message: &Value| message["text"].as_str().unwrap().contains("holds no key now");
    assert!(job["messages"].as_array().unwrap().iter().any(cleared), "{job:#}");
    has_no_key(&stage);
}

#[test]
fn a_key_changed_by_another_nexus_is_an_alarm_and_the_job_is_not_proven() {
    let stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.sims[0].order(&json!({ "verb": "another-nexus-sets-a-key" }));
    let (code, status, _) = stage.ask(&["status", "--look"]);
    assert_eq!(code, 1, "an alarm");
    let alarm = status["drives"][0]["alarms"][0].clone();
    assert!(alarm["text"].as_str().unwrap().contains("disturbed"), "{alarm}");
    let job = stage.good(&["job", "show", &load["id"].to_string()]);
    assert!(job["not_proven"].as_str().unwrap().contains("2Ah/11h"), "{job:#}");

    let clear = stage.good(&["clear", "d1"]);
    assert!(!clear["not_proven"].is_null(), "{clear:#}");
    has_no_key(&stage);
}

#[test]
fn a_reset_met_by_the_next_job_makes_the_last_one_not_proven_and_the_key_is_loaded_again() {
    let stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.sims[0].order(&json!({ "verb": "reset" }));
    let again = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    assert_eq!(again["outcome"], "key_loaded");
    assert!(again["not_proven"].is_null());
    let first = stage.good(&["job", "show", "1"]);
    assert!(first["not_proven"].as_str().unwrap().contains("29h"), "{first:#}");
}

#[test]
fn a_dropped_key_is_an_alarm() {
    let stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.sims[0].order(&json!({ "verb": "key-dropped" }));
    let status = stage.status("d1");
    assert_eq!(status["modes"]["known"]["encryption"], "DISABLE");
    assert_eq!(status["alarms"].as_array().unwrap().len(), 1, "{status:#}");
}

#[test]
fn a_foreign_kad_without_an_imported_key_is_reported_in_hex_and_nothing_is_tried() {
    let stage = Stage::new(1);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    set_foreign_key(&mut tape, b"stenc key 1");
    tape.write(b"block").unwrap();
    tape.filemark();
    tape.rewind();
    let kad = hex::encode(b"stenc key 1");
    for arguments in [&["unlock", "d1"][..], &["load", "d1", "--pool", "ENCR_a"]] {
        let job = is_refused(&stage, arguments, &kad);
        assert!(job["key"].is_null());
    }
    let modes = stage.status("d1")["modes"]["known"].clone();
    assert!(
        modes["kad"].as_str().unwrap().starts_with(&kad),
        "the other program's key was left alone: {modes}"
    );
}

#[test]
fn a_kad_of_ours_that_the_kms_does_not_know_is_named_with_what_the_servers_said() {
    let stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    tape.filemark();
    let cartridge = stage.sims[0].first_cartridge();
    stage.sims[0].order(&json!({ "verb": "eject" }));

    let elsewhere = Stage::new(1);
    elsewhere.sims[0].swap(&cartridge);
    let job = is_refused(&elsewhere, &["unlock", "d1"], load["key"]["id"].as_str().unwrap());
    let said = job["messages"].to_string();
    assert!(
        said.contains(load["key"]["kad"].as_str().unwrap()) && said.contains("built-in"),
        "{said}"
    );
    has_no_key(&elsewhere);
}

#[test]
fn a_key_that_was_taken_out_of_use_is_refused() {
    let stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    tape.filemark();
    tape.rewind();
    stage.good(&["clear", "d1"]);
    stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
    stage
        .kms_command(&["key", "retire", "ENCR_a", "first", "deprecated"])
        .well();
    is_refused(&stage, &["unlock", "d1"], "deprecated");
    has_no_key(&stage);
}

#[test]
fn plain_and_blank_and_missing_volumes_are_told_apart() {
    let stage = Stage::new(1);
    is_refused(&stage, &["load", "d1"], "the volume is blank");
    is_refused(&stage, &["unlock", "d1"], "nothing to unlock");
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"a plain block").unwrap();
    tape.filemark();
    tape.rewind();
    is_refused(&stage, &["load", "d1", "--pool", "ENCR_a"], "begins with plain blocks");
    is_refused(&stage, &["unlock", "d1"], "no key is needed");
    stage.sims[0].order(&json!({ "verb": "eject" }));
    is_refused(&stage, &["load", "d1", "--pool", "ENCR_a"], "no volume in the drive");
    let clear = stage.good(&["clear", "d1"]);
    assert!(clear["proof"].is_null());
    assert!(
        clear["messages"]
            .to_string()
            .contains("proof not taken: there is no volume")
    );
}

#[test]
fn barcodes_that_do_not_fit_or_are_odd_are_refused() {
    let stage = Stage::new(1);
    is_refused(
        &stage,
        &["load", "d1", "--pool", "ENCR_a", "--barcode", "B00001L8"],
        "has barcode A00001L8, not B00001L8",
    );
    for odd in ["A0\u{7}1", "A0\u{e9}1", " A00001L8", ""] {
        let (code, _, err) = stage.ask(&["load", "d1", "--pool", "ENCR_a", "--barcode", odd]);
        assert!(code == 2 && err.contains("hint"), "{odd:?}: {err}");
    }
    has_no_key(&stage);
}

#[test]
fn names_of_drives_and_jobs_that_do_not_exist_are_usage_errors() {
    let stage = Stage::new(1);
    for arguments in [
        &["load", "d9"][..],
        &["unlock", "d9"],
        &["clear", "d9"],
        &["status", "d9"],
        &["job", "show", "99"],
    ] {
        let (code, _, err) = stage.ask(arguments);
        assert!(code == 2 && err.contains("there is no"), "{arguments:?}: {err}");
    }
}

#[test]
fn a_drive_with_another_serial_number_gets_no_key() {
    let stage = Stage::without_daemon(1);
    let text = stage
        .config_text()
        .replace("serial = \"1013000101\"", "serial = \"1013000999\"");
    std::fs::write(stage.config(), text).unwrap();
    let mut stage = stage;
    stage.start_daemon();
    let reason = "serial number 1013000101, not 1013000999 as configured";
    is_refused(&stage, &["load", "d1", "--pool", "ENCR_a"], reason);
    is_refused(&stage, &["clear", "d1"], reason);
}

#[test]
fn a_key_of_another_volume_does_not_stay_behind_a_refusal() {
    let stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    // A drive that keeps its key at a demount, as some do: loaded anew by the same nexus for the volume that is gone.
    let load = stage.good(&["job", "show", "1"]);
    let kad = hex::decode(load["key"]["kad"].as_str().unwrap()).unwrap();
    stage.sims[0].swap(&stage.sims[0].blank_cartridge("A00007L8"));
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    set_foreign_key(&mut tape, &kad);
    is_refused(&stage, &["load", "d1"], "the volume is blank");
    assert_eq!(stage.status("d1")["modes"]["known"]["encryption"], "DISABLE");
}

/// Sends a Set Data Encryption page as another program does (SSC-4): ALL I_T NEXUS, ENCRYPT, DECRYPT, algorithm index 1, a key of 5Ah
/// bytes, a U-KAD.
fn set_foreign_key(tape: &mut Tape, u_kad: &[u8]) {
    let kad_length = u8::try_from(u_kad.len()).unwrap();
    let page_length = 16 + 32 + 4 + u_kad.len();
    let mut page = vec![
        0x00,
        0x10,
        0x00,
        u8::try_from(page_length).unwrap(),
        0x40,
        0x00,
        0x02,
        0x02,
        0x01,
        0x00,
        0x00,
    ];
    page.extend([0; 7]);
    page.extend([0x00, 0x20]);
    page.extend([0x5A; 32]);
    page.extend([0x00, 0x00, 0x00, kad_length]);
    page.extend(u_kad);
    let length = u8::try_from(page.len()).unwrap();
    // SECURITY PROTOCOL OUT, protocol 20h, page 0010h (SPC-5).
    tape.send_out(&[0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, length, 0, 0], &page)
        .unwrap();
}
