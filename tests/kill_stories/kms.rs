//! The KMS is killed. What it handed out it finds again, its audit chain holds, and nobody takes its silence for a yes.

use std::process::Command;

use serde_json::Value;

use crate::play::{CLEAR, LOAD, Play, UNLOCK};
use crate::support::gate::Verdict;
use crate::support::kms_wire::Hold;
use crate::support::programs::Ended;
use crate::support::wire::{Point, When};

type Act = fn(&mut Play);

const MOMENTS: &[(&str, Act)] = &[
    ("load: before it is asked", |play| {
        play.stage.kms.kill();
        play.stage.bad(LOAD, "no KMS answered");
        assert!(!play.holds_key());
    }),
    ("load: the request is on its way", |play| {
        play.kms_wire.stop_at(Hold::Request);
        let asked = play.ask(LOAD);
        play.kms_wire.gate().wait();
        play.stage.kms.kill();
        play.kms_wire.gate().decide(Verdict::Cut);
        refused(play, &asked.end());
    }),
    ("load: the request has just arrived", |play| {
        play.kms_wire.stop_at(Hold::Request);
        let asked = play.ask(LOAD);
        play.kms_wire.gate().wait();
        play.kms_wire.gate().decide(Verdict::GoOn);
        play.stage.kms.kill();
        let ended = asked.end();
        println!("the load ended with {}", ended.code);
        if ended.code == 0 {
            play.loaded(&serde_json::from_str(&ended.out).unwrap());
        } else {
            refused(play, &ended);
        }
    }),
    ("load: the audit record is on disk, the key has not left", |play| {
        let ended = answer_lost(play, LOAD, "backup_key");
        refused(play, &ended);
    }),
    ("load: the key has arrived and is on its way to the drive", |play| {
        during_load(play, When::Before);
    }),
    ("load: the drive has the key and it was not read back", |play| {
        during_load(play, When::Answered);
    }),
    ("loaded: before the first block", |play| {
        play.load();
        play.stage.kms.kill();
        play.back_up();
    }),
    ("a block is on its way", |play| {
        let block = play.random.below(5);
        println!("block {block}");
        while_writing(play, Point::Block(block));
    }),
    ("a filemark is on its way", |play| while_writing(play, Point::Filemark)),
    ("clear: the key is on its way out", |play| {
        play.load();
        play.back_up();
        play.wire.stop_at(Point::SecurityProtocolOut, When::Before);
        let asked = play.ask(CLEAR);
        play.wire.gate().wait();
        play.stage.kms.kill();
        play.go_on();
        asked.end().well();
        assert!(!play.holds_key(), "clearing needs no KMS");
    }),
    ("unlock: the audit record is on disk, the key has not left", |play| {
        play.load();
        play.back_up();
        play.stage.good(CLEAR);
        play.rewind();
        let ended = answer_lost(play, UNLOCK, "restore_keys");
        refused(play, &ended);
    }),
    (
        "rotate: the new key is on disk, the administrator has not heard it",
        |play| {
            play.load();
            play.back_up();
            play.kms_wire.stop_at(Hold::Answer);
            let before = play.audit();
            let rotation = rotate(play);
            play.kms_wire.gate().wait();
            play.audited("rotate_group", &before);
            play.stage.kms.kill();
            play.kms_wire.gate().decide(Verdict::Cut);
            assert_ne!(rotation.join().unwrap().code, 0);
            play.stage.restart_kms();
            let keys: Value =
                serde_json::from_str(&play.stage.kms_command(&["key", "list", "ENCR_a", "--json"]).well()).unwrap();
            let active = keys.to_string().matches("\"active\"").count();
            assert_eq!(active, 1, "{keys:#}");
        },
    ),
];

#[test]
fn a_kms_killed_at_any_moment_of_a_backup_leaves_no_plain_block_and_no_lost_key() {
    let mut play = Play::new();
    for (moment, act) in MOMENTS {
        play.moment(moment);
        let records = play.audit();
        act(&mut play);
        play.stage.restart_kms();
        let now = play.audit();
        assert_eq!(now[..records.len()], records, "a record is gone");
        play.finish();
    }
    play.look_at_all_volumes();
    let released = play
        .audit()
        .iter()
        .filter(|record| record["action"] == "backup_key")
        .count();
    assert!(released >= MOMENTS.len(), "each volume had its key: {released}");
}

/// A job that got no key says so and leaves none in the drive.
fn refused(play: &Play, ended: &Ended) {
    assert_eq!(ended.code, 1, "{ended:?}");
    let job: Value = serde_json::from_str(&ended.out).unwrap();
    assert_eq!(job["outcome"], "refused", "{job:#}");
    assert!(!play.holds_key());
}

/// Kills it after its audit record and before its answer.
fn answer_lost(play: &mut Play, job: &'static [&'static str], action: &str) -> Ended {
    let before = play.audit();
    play.kms_wire.stop_at(Hold::Answer);
    let asked = play.ask(job);
    play.kms_wire.gate().wait();
    play.audited(action, &before);
    play.stage.kms.kill();
    play.kms_wire.gate().decide(Verdict::Cut);
    asked.end()
}

fn during_load(play: &mut Play, when: When) {
    play.wire.stop_at(Point::SecurityProtocolOut, when);
    let asked = play.ask(LOAD);
    play.wire.gate().wait();
    play.stage.kms.kill();
    play.go_on();
    let job = serde_json::from_str(&asked.end().well()).unwrap();
    play.loaded(&job);
    play.back_up();
}

fn while_writing(play: &mut Play, point: Point) {
    play.load();
    play.wire.stop_at(point, When::Sent);
    let writer = play.writer(6);
    play.wire.gate().wait();
    play.stage.kms.kill();
    play.go_on();
    assert!(play.written(writer).complete, "writing needs no KMS");
}

fn rotate(play: &Play) -> std::thread::JoinHandle<Ended> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey"));
    command
        .arg("kms")
        .arg("--client")
        .arg(play.stage.path("kms/clients/admin-1"));
    command.args([
        "--address",
        play.kms_wire.address(),
        "key",
        "rotate",
        "ENCR_a",
        "--single-copy",
    ]);
    std::thread::spawn(move || Ended::of(&mut command))
}
