//! The daemon is killed. The drive goes on with what it has; the next daemon asks it, marks the job, and assumes nothing.

use serde_json::json;

use crate::play::{CLEAR, LOAD, Play, UNLOCK};
use crate::support::gate::Verdict;
use crate::support::kms_wire::Hold;
use crate::support::wire::{Point, When};

type Act = fn(&mut Play);

const MOMENTS: &[(&str, Act)] = &[
    ("load: a command ahead of the key is with the drive", |play| {
        let ahead = play.random.below(10);
        in_a_job(play, LOAD, Point::Command(ahead), When::Sent);
        assert!(!play.holds_key());
    }),
    ("load: the KMS is about to be asked", |play| {
        while_asking(play, Hold::Request)
    }),
    ("load: the KMS has answered, the daemon has not heard it", |play| {
        while_asking(play, Hold::Answer);
    }),
    ("load: the key is on its way to the drive", |play| {
        in_a_job(play, LOAD, Point::SecurityProtocolOut, When::Before);
        assert!(!play.holds_key());
    }),
    ("load: the drive has the key, the daemon has not heard it", |play| {
        in_a_job(play, LOAD, Point::SecurityProtocolOut, When::Answered);
        assert!(play.holds_key());
    }),
    ("load: the key was taken and not read back", |play| {
        in_a_job(play, LOAD, Point::AfterSecurityProtocolOut, When::Before);
        assert!(play.holds_key());
    }),
    ("loaded: before the first block", |play| {
        let load = play.load();
        play.kill_daemon();
        play.back_up();
        comes_back_to_a_key(play, &load);
    }),
    ("a block has been written, the writer has not heard it", |play| {
        while_writing(play, When::Answered);
    }),
    ("half a block is on its way", |play| while_writing(play, When::Half)),
    ("a filemark is on its way", |play| {
        let load = play.load();
        play.wire.stop_at(Point::Filemark, When::Before);
        let writer = play.writer(2);
        play.wire.gate().wait();
        play.kill_daemon();
        play.go_on();
        assert!(play.written(writer).complete, "the daemon is not in the data path");
        comes_back_to_a_key(play, &load);
    }),
    ("clear: the proof was taken, the key is still there", |play| {
        play.load();
        play.back_up();
        in_a_job(play, CLEAR, Point::SecurityProtocolOut, When::Before);
        assert!(play.holds_key());
    }),
    ("clear: the key is gone, the daemon has not heard it", |play| {
        play.load();
        play.back_up();
        in_a_job(play, CLEAR, Point::SecurityProtocolOut, When::Answered);
        assert!(!play.holds_key());
        let status = play.known_status();
        assert_ne!(
            status["alarms"],
            json!([]),
            "a load whose key has gone is not fine: {status:#}"
        );
    }),
    ("unlock: the drive has the key, the daemon has not heard it", |play| {
        play.load();
        play.back_up();
        play.stage.good(CLEAR);
        play.rewind();
        in_a_job(play, UNLOCK, Point::SecurityProtocolOut, When::Answered);
        assert!(play.holds_key());
    }),
];

#[test]
fn a_daemon_killed_at_any_moment_of_a_backup_leaves_no_plain_block_and_no_lost_key() {
    let mut play = Play::new();
    for (moment, act) in MOMENTS {
        play.moment(moment);
        act(&mut play);
        play.finish();
    }
    play.look_at_all_volumes();
}

/// Kills it while it has a job at `point`, and starts it again.
fn in_a_job(play: &mut Play, job: &'static [&'static str], point: Point, when: When) {
    play.wire.stop_at(point, when);
    let asked = play.ask(job);
    play.wire.gate().wait();
    play.kill_daemon();
    play.cut();
    let ended = asked.end();
    assert_ne!(ended.code, 0, "{ended:?}");
    play.stage.start_daemon();
    play.interrupted_job();
}

fn while_asking(play: &mut Play, hold: Hold) {
    play.kms_wire.stop_at(hold);
    let before = play.audit();
    let asked = play.ask(LOAD);
    play.kms_wire.gate().wait();
    if hold == Hold::Answer {
        play.audited("backup_key", &before);
    }
    play.kill_daemon();
    play.kms_wire.gate().decide(Verdict::Cut);
    assert_ne!(asked.end().code, 0);
    play.stage.start_daemon();
    play.interrupted_job();
    assert!(!play.holds_key());
}

fn while_writing(play: &mut Play, when: When) {
    let load = play.load();
    let block = play.random.below(5);
    println!("block {block}");
    play.wire.stop_at(Point::Block(block), when);
    let writer = play.writer(6);
    play.wire.gate().wait();
    play.kill_daemon();
    play.go_on();
    assert!(play.written(writer).complete, "the daemon is not in the data path");
    comes_back_to_a_key(play, &load);
}

/// The restarted daemon finds the key of `load` in the drive, and says so because the drive does.
fn comes_back_to_a_key(play: &mut Play, load: &serde_json::Value) {
    play.stage.start_daemon();
    let status = play.known_status();
    assert_eq!(status["modes"]["known"]["kad"], load["key"]["kad"], "{status:#}");
    assert_eq!((&status["loaded_by"], &status["alarms"]), (&load["id"], &json!([])));
    assert_eq!(
        &play.stage.good(&["job", "list"])[0],
        load,
        "a job is durable before it is answered"
    );
}
