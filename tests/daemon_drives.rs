//! Several drives and several callers: nobody waits for a drive that hangs but those who asked it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde_json::{Value, json};
use support::stage::Stage;

/// A request that is on its way: the answer is read later.
fn begin(stage: &Stage, command: &Value) -> BufReader<UnixStream> {
    let mut stream = UnixStream::connect(stage.path("tapekeyd")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
        .write_all(format!("{}\n", json!({ "version": 1, "id": 1, "command": command })).as_bytes())
        .unwrap();
    BufReader::new(stream)
}

fn answer(mut stream: BufReader<UnixStream>) -> Value {
    let mut line = String::new();
    stream.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Asks until `d1` has a command under way for its job: each answer is an event, there is nothing else to wait for.
fn until_the_job_waits_for_its_drive(stage: &Stage) -> Value {
    loop {
        let status = stage.status("d1");
        if !status["job"].is_null() && !status["command"].is_null() {
            return status;
        }
    }
}

#[test]
fn a_drive_that_hangs_blocks_no_other_and_is_shown_as_such() {
    let stage = Stage::new(2);
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let hanging = begin(&stage, &json!({ "load": { "drive": "d1", "pool": "ENCR_a" } }));
    let status = until_the_job_waits_for_its_drive(&stage);
    assert_eq!(status["command"]["name"], "identify the drive");
    assert!(
        status["modes"]["unknown"]
            .as_str()
            .unwrap()
            .contains("is running on it"),
        "unknown is never fine: {status:#}"
    );

    let (code, _, err) = stage.ask(&["clear", "d1"]);
    assert!(code == 4 && err.contains("busy with job 1 (load)"), "{code}: {err}");
    let other = stage.good(&["load", "d2", "--pool", "ENCR_a"]);
    assert_eq!(other["outcome"], "key_loaded");
    let all = stage.ask(&["status", "--look"]).1;
    assert_eq!(all["drives"][1]["modes"]["known"]["encryption"], "ENCRYPT");
    assert_eq!(
        stage.good(&["job", "list", "--drive", "d2"]).as_array().unwrap().len(),
        1
    );

    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    let job = answer(hanging)["answer"]["job"].clone();
    assert_eq!(job["outcome"], "key_loaded", "it goes on where it was: {job:#}");
}

#[test]
fn a_drive_that_stays_hung_is_given_up_in_time_and_works_again_later() {
    let stage = Stage::without_daemon(1);
    stage.kms_command(&["group", "create", "ENCR_a"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
    // The last section of the configuration is the drive's.
    let stage = stage.with_daemon("command_timeout_ms = 1000\n");
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let job = stage.bad(&["load", "d1", "--pool", "ENCR_a"], "no answer in 1000 ms");
    assert_eq!(job["outcome"], "refused");
    let status = stage.status("d1");
    assert!(
        status["modes"]["unknown"]
            .as_str()
            .unwrap()
            .contains("no answer in 1000 ms"),
        "{status:#}"
    );
    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
}

#[test]
fn a_key_in_a_drive_that_hangs_is_not_called_cleared() {
    let stage = Stage::without_daemon(1);
    stage.kms_command(&["group", "create", "ENCR_a"]).well();
    stage.kms_command(&["key", "rotate", "ENCR_a", "--single-copy"]).well();
    let stage = stage.with_daemon("command_timeout_ms = 1000\n");
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let job = stage.bad(&["clear", "d1"], "no answer in 1000 ms");
    assert!(!job["outcome"].as_str().unwrap().contains("cleared"), "{job:#}");
    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    assert_eq!(
        stage.status("d1")["modes"]["known"]["encryption"],
        "ENCRYPT",
        "nothing was assumed"
    );
    assert_eq!(stage.good(&["clear", "d1"])["outcome"], "cleared");
}

#[test]
fn drives_are_loaded_side_by_side_each_with_its_own_key() {
    let stage = Stage::new(3);
    let loads: Vec<_> = ["d1", "d2", "d3"]
        .map(|drive| begin(&stage, &json!({ "load": { "drive": drive, "pool": "ENCR_a" } })))
        .into_iter()
        .map(answer)
        .collect();
    let mut kads: Vec<_> = loads
        .iter()
        .map(|load| load["answer"]["job"]["key"]["kad"].as_str().unwrap().to_owned())
        .collect();
    kads.sort();
    kads.dedup();
    assert_eq!(kads.len(), 3, "{loads:#?}");
}

#[test]
fn a_client_that_goes_away_does_not_end_what_it_began() {
    let stage = Stage::new(1);
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    drop(begin(&stage, &json!({ "load": { "drive": "d1", "pool": "ENCR_a" } })));
    until_the_job_waits_for_its_drive(&stage);
    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    let job = loop {
        let job = stage.good(&["job", "show", "1"]);
        if job["outcome"] != "running" {
            break job;
        }
    };
    assert_eq!(job["outcome"], "key_loaded");
}
