//! The drive is killed, as by a power loss. It has no key when it comes back, the cartridge keeps what was acknowledged, and the daemon sees it.

use serde_json::{Value, json};

use crate::play::{CLEAR, LOAD, Play, UNLOCK};
use crate::support::wire::{Point, When};

type Act = fn(&mut Play);

const MOMENTS: &[(&str, Act)] = &[
    ("load: a command ahead of the key is with the drive", |play| {
        let ahead = play.random.below(10);
        in_a_job(play, LOAD, Point::Command(ahead), When::Sent);
    }),
    ("load: half of the key is on its way", |play| {
        in_a_job(play, LOAD, Point::SecurityProtocolOut, When::Half);
    }),
    ("load: the drive has the key, the daemon has not heard it", |play| {
        in_a_job(play, LOAD, Point::SecurityProtocolOut, When::Answered);
    }),
    ("load: the key is being read back", |play| {
        in_a_job(play, LOAD, Point::AfterSecurityProtocolOut, When::Answered);
    }),
    ("loaded: before the first block", |play| {
        let load = play.load();
        play.restart_drive();
        sees_the_key_gone(play, &load);
    }),
    ("half a block is on its way", |play| {
        let block = play.random.below(5);
        println!("block {block}");
        while_writing(play, Point::Block(block), When::Half);
    }),
    ("a block is with the drive", |play| {
        let block = play.random.below(5);
        println!("block {block}");
        while_writing(play, Point::Block(block), When::Sent);
    }),
    ("a block has been written, the writer has not heard it", |play| {
        let block = play.random.below(5);
        println!("block {block}");
        while_writing(play, Point::Block(block), When::Answered);
    }),
    ("a filemark has been written, the writer has not heard it", |play| {
        while_writing(play, Point::Filemark, When::Answered);
    }),
    ("clear: the proof was taken, the key is still there", |play| {
        play.load();
        play.back_up();
        in_a_job(play, CLEAR, Point::SecurityProtocolOut, When::Before);
    }),
    ("unlock: the drive has the key, the daemon has not heard it", |play| {
        play.load();
        play.back_up();
        play.stage.good(CLEAR);
        play.rewind();
        in_a_job(play, UNLOCK, Point::SecurityProtocolOut, When::Answered);
    }),
];

#[test]
fn a_drive_killed_at_any_moment_of_a_backup_leaves_no_plain_block_and_no_lost_key() {
    let mut play = Play::new();
    for (moment, act) in MOMENTS {
        play.moment(moment);
        act(&mut play);
        play.finish();
    }
    play.look_at_all_volumes();
}

/// Kills the drive while a job is at `point`; the job fails, and the drive comes back without a key.
fn in_a_job(play: &mut Play, job: &'static [&'static str], point: Point, when: When) {
    play.wire.stop_at(point, when);
    let asked = play.ask(job);
    play.wire.gate().wait();
    play.stage.sims[0].process.kill();
    play.cut();
    let ended = asked.end();
    assert_eq!(ended.code, 1, "{ended:?}");
    let job: Value = serde_json::from_str(&ended.out).unwrap();
    assert!(matches!(job["outcome"].as_str(), Some("failed" | "refused")), "{job:#}");
    play.restart_drive();
    let status = play.known_status();
    assert_eq!(status["modes"]["known"]["encryption"], "DISABLE", "{status:#}");
}

/// Kills the drive under the writer, who stops.
fn while_writing(play: &mut Play, point: Point, when: When) {
    let load = play.load();
    play.wire.stop_at(point, when);
    let writer = play.writer(6);
    play.wire.gate().wait();
    play.stage.sims[0].process.kill();
    play.cut();
    assert!(!play.written(writer).complete);
    play.restart_drive();
    sees_the_key_gone(play, &load);
}

/// The daemon reads that there is no key, and calls that an alarm and the job not proven.
fn sees_the_key_gone(play: &Play, load: &Value) {
    let status = play.known_status();
    assert_eq!(status["modes"]["known"]["encryption"], "DISABLE", "{status:#}");
    assert_ne!(status["alarms"], json!([]), "{status:#}");
    let text = play.stage.tapekey(&["status", "d1", "--look"]);
    assert_eq!(text.code, 1, "a lost key is not fine: {text:?}");
    let job = play.stage.good(&["job", "show", &load["id"].to_string()]);
    assert!(job["not_proven"].is_string(), "{job:#}");
}
