//! Tapes that other software encrypted: its key imported, tried on the drive, and the tape read. The programs as they really run.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block that another program wrote";
const DESCRIPTION: &str = "January 2024 LTO6 Tape Key";

/// Writes a tape as stenc users do: ALL I_T NEXUS, ENCRYPT, DECRYPT, CEEM 1, algorithm index 1, the description as U-KAD; off afterwards.
fn write_as_stenc_does(stage: &Stage, key: u8) {
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    let kad = DESCRIPTION.as_bytes();
    let page_length = u8::try_from(16 + 32 + 4 + kad.len()).unwrap();
    let mut page = vec![0x00, 0x10, 0x00, page_length, 0x40, 0x40, 0x02, 0x02, 0x01, 0, 0];
    page.extend([0; 7]);
    page.extend([0x00, 0x20]);
    page.extend([key; 32]);
    page.extend([0x00, 0x00, 0x00, u8::try_from(kad.len()).unwrap()]);
    page.extend(kad);
    spout(&mut tape, &page);
    for _ in 0..3 {
        tape.write(BLOCK).unwrap();
    }
    tape.filemark();
    tape.rewind();
    let mut off = vec![0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x00, 0x00, 0x01];
    off.resize(20, 0);
    spout(&mut tape, &off);
}

fn spout(tape: &mut Tape, page: &[u8]) {
    let length = u8::try_from(page.len()).unwrap();
    tape.send_out(&[0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, length, 0, 0], page)
        .unwrap();
}

/// A host with a tape of stenc's under the key of bytes `written`, and the keys of bytes `imported` from stenc's key files, newest first.
fn stage(written: u8, imported: &[u8]) -> Stage {
    let stage = Stage::new(1);
    stage
        .kms_command(&["group", "create", "ENCR_old", "--kind", "as-is"])
        .well();
    write_as_stenc_does(&stage, written);
    import(&stage, imported);
    stage
}

fn import(stage: &Stage, keys: &[u8]) {
    for key in keys {
        let file = stage.path("old.key");
        std::fs::write(&file, format!("{}\n{DESCRIPTION}\n", hex::encode([*key; 32]))).unwrap();
        let name = format!("key-{key}");
        let line = [
            "key",
            "import",
            "ENCR_old",
            file.to_str().unwrap(),
            "--format",
            "stenc",
            "--commit",
        ];
        stage
            .kms_command(&[line.as_slice(), &["--name", &name]].concat())
            .well();
    }
}

fn reload(stage: &Stage) {
    stage.sims[0].swap(&stage.sims[0].first_cartridge());
}

#[test]
fn a_tape_of_stenc_is_read_with_its_imported_key_and_written_on_under_its_own_kad() {
    let stage = stage(0x5A, &[0x5A]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    assert!(tape.read().is_err(), "it is encrypted");
    tape.rewind();
    let unlock = stage.good(&["unlock", "d1"]);
    assert_eq!(
        (&unlock["outcome"], &unlock["key"]["name"]),
        (&"key_loaded".into(), &"key-90".into())
    );
    assert_eq!(unlock["key"]["kad"].as_str().unwrap()[..52], hex::encode(DESCRIPTION));
    assert_eq!(unlock["in_force"]["encryption"], "ENCRYPT");
    assert!(unlock["wrong_keys"].is_null(), "{unlock:#}");
    for _ in 0..3 {
        assert_eq!(tape.read().unwrap(), BLOCK);
    }
    // The mount is watched like one of ours, and cleared like one.
    let status = stage.status("d1");
    assert_eq!(
        (&status["loaded_by"], &status["alarms"]),
        (&unlock["id"], &serde_json::json!([]))
    );
    let clear = stage.good(&["clear", "d1"]);
    assert_eq!(
        (&clear["related_job"], &clear["not_proven"]),
        (&unlock["id"], &serde_json::Value::Null)
    );
    assert!(tape.read().is_err());
}

#[test]
fn wrong_candidates_are_tried_first_and_only_once_in_a_mount() {
    let stage = stage(0x5A, &[0x5A, 1, 2, 3]);
    let unlock = stage.good(&["unlock", "d1"]);
    assert_eq!(unlock["key"]["name"], "key-90", "{unlock:#}");
    let wrong = unlock["wrong_keys"].as_array().unwrap().len();
    let again = stage.good(&["unlock", "d1"]);
    assert_eq!(again["key"]["name"], "key-90");
    assert_eq!(again["wrong_keys"].as_array().unwrap().len(), wrong);
    let tries = |job: &serde_json::Value| {
        let messages = job["messages"].as_array().unwrap().iter();
        messages
            .filter(|message| message["text"].as_str().unwrap().contains("is tried"))
            .count()
    };
    assert_eq!((tries(&unlock), tries(&again)), (wrong + 1, 1));
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    assert_eq!(tape.read().unwrap(), BLOCK);
}

#[test]
fn the_ninth_wrong_key_is_not_tried_in_any_call_until_the_volume_was_away() {
    let mut stage = stage(0x5A, &[1, 2, 3, 4, 5]);
    let job = stage.bad(&["unlock", "d1"], "5 were tried");
    assert_eq!(
        (&job["outcome"], job["wrong_keys"].as_array().unwrap().len()),
        (&"failed".into(), 5)
    );
    assert_eq!(stage.status("d1")["modes"]["known"]["encryption"], "DISABLE");
    import(&stage, &[6, 7, 8, 9]);
    // The count survives the daemon.
    stage.daemon().kill();
    stage.start_daemon();
    let job = stage.bad(&["unlock", "d1"], "8 keys were tried");
    assert_eq!(job["wrong_keys"].as_array().unwrap().len(), 8, "{job:#}");
    let job = stage.bad(&["unlock", "d1"], "unload the volume");
    assert_eq!(
        (&job["outcome"], job["wrong_keys"].as_array().unwrap().len()),
        (&"refused".into(), 8)
    );

    // Away and back: the count begins anew. The right key is the newest, but the KMS gives eight at most.
    let list = stage.kms_command(&["key", "list", "ENCR_old"]).out;
    for name in list.lines().skip(1).map(|line| line.split_whitespace().nth(1).unwrap()) {
        stage
            .kms_command(&["key", "retire", "ENCR_old", name, "deprecated"])
            .well();
    }
    import(&stage, &[0x5A]);
    stage.bad(&["unlock", "d1"], "8 keys were tried");
    reload(&stage);
    let unlock = stage.good(&["unlock", "d1"]);
    assert!(unlock["wrong_keys"].is_null(), "{unlock:#}");
}

#[test]
fn a_drive_that_takes_no_more_keys_ends_the_trials_with_what_to_do() {
    let stage = stage(0x5A, &[0x5A, 1, 2]);
    stage.sims[0].order(&serde_json::json!({ "verb": "refuse-spout", "sense": "07/26/10" }));
    let job = stage.bad(&["unlock", "d1"], "unload it and load it again");
    let tried = job["messages"].as_array().unwrap().iter();
    let tried = tried
        .filter(|message| message["text"].as_str().unwrap().contains("is tried"))
        .count();
    assert_eq!(tried, 1, "{job:#}");
    assert_eq!(stage.status("d1")["modes"]["known"]["encryption"], "DISABLE");
}
