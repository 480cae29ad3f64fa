//! Ends and beginnings of the daemon: jobs survive, nothing is assumed, one daemon per host.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use serde_json::json;
use support::programs::{Running, until};
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

#[test]
fn jobs_survive_a_kill_and_the_drive_says_what_it_holds() {
    let mut stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.daemon().kill();
    stage.start_daemon();
    assert_eq!(
        stage.good(&["job", "show", "1"]),
        load,
        "a job is durable before it is answered"
    );
    let status = stage.status("d1");
    assert_eq!(status["modes"]["known"]["key_id"], load["key"]["id"]);
    assert_eq!((&status["loaded_by"], &status["alarms"]), (&json!(1), &json!([])));
    assert_eq!(stage.good(&["clear", "d1"])["id"], 2);
}

#[test]
fn a_key_that_was_changed_while_the_daemon_was_down_is_an_alarm() {
    let mut stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.daemon().kill();
    stage.sims[0].order(&json!({ "verb": "another-nexus-sets-a-key" }));
    stage.start_daemon();
    let status = stage.status("d1");
    assert_eq!(status["alarms"].as_array().unwrap().len(), 1, "{status:#}");
    assert!(!stage.good(&["job", "show", "1"])["not_proven"].is_null());
}

#[test]
fn a_daemon_that_starts_again_does_not_take_a_reset_away_from_the_program_that_writes() {
    let mut stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(b"block").unwrap();
    stage.daemon().kill();
    stage.sims[0].order(&json!({ "verb": "reset" }));
    stage.start_daemon();
    let sense = tape.write(b"a block that would be plain").unwrap_err();
    // Fixed format (SPC-5): UNIT ATTENTION, 29h.
    assert_eq!((sense[2] & 0x0F, sense[12]), (0x06, 0x29), "{sense:02X?}");
}

#[test]
fn a_job_that_was_running_is_marked_and_the_true_state_of_its_drive_is_told() {
    let mut stage = Stage::new(1);
    stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let mut client = UnixStream::connect(stage.path("tapekeyd")).unwrap();
    let load = json!({ "version": 1, "id": 1, "command": { "load": { "drive": "d1", "pool": "ENCR_a" } } });
    client.write_all(format!("{load}\n").as_bytes()).unwrap();
    until(|| !stage.status("d1")["command"].is_null());
    stage.daemon().kill();
    stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    stage.start_daemon();
    let record = stage.path("state/jobs/0000000001.json");
    until(|| {
        std::fs::read_to_string(&record)
            .unwrap()
            .contains("when the daemon started again: ")
    });
    let job = stage.good(&["job", "show", "1"]);
    assert_eq!(job["outcome"], "interrupted");
    let said = job["messages"].to_string();
    assert!(
        said.contains("interrupted: daemon stopped") && said.contains("no key of ours"),
        "{said}"
    );
    stage.daemon().kill();
    stage.start_daemon();
    assert_eq!(stage.good(&["job", "show", "1"]), job, "it is told once");
}

#[test]
fn what_is_no_job_is_kept_and_said_and_numbers_are_never_used_twice() {
    let mut stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    stage.good(&["clear", "d1"]);
    stage.daemon().kill();
    let torn = stage.path("state/jobs/0000000002.json");
    let whole = std::fs::read(&torn).unwrap();
    std::fs::write(&torn, &whole[..whole.len() / 2]).unwrap();
    std::fs::write(stage.path("state/jobs/0000000003.new"), "{").unwrap();
    stage.start_daemon();
    let said = String::from_utf8(stage.daemon().said()).unwrap();
    assert!(
        said.contains("0000000002.json") && said.contains("cannot be read; the file was kept"),
        "{said}"
    );
    assert!(said.contains("0000000003.new"), "{said}");
    assert_eq!(stage.ask(&["job", "show", "2"]).0, 2);
    assert_eq!(stage.good(&["load", "d1", "--pool", "ENCR_a"])["id"], 3);
    assert_eq!(std::fs::read(&torn).unwrap(), &whole[..whole.len() / 2]);
}

#[test]
fn the_records_and_the_socket_are_kept_from_others() {
    let stage = Stage::new(1);
    stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mode = |name: &str| std::fs::metadata(stage.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("state/jobs/0000000001.json"), 0o600);
    assert_eq!((mode("state"), mode("state/jobs")), (0o700, 0o700));
    assert_eq!(mode("tapekeyd"), 0o660);
}

#[test]
fn a_second_daemon_is_refused_by_the_lock_and_by_the_socket() {
    let stage = Stage::new(1);
    let mut second = Running::start(stage.daemon_command());
    assert!(second.wait_for("cannot go on").contains("another tapekeyd uses it"));
    assert!(!second.end());
    let elsewhere = stage.config_text().replace("/state\"", "/state2\"");
    std::fs::write(stage.config(), elsewhere).unwrap();
    let mut third = Running::start(stage.daemon_command());
    assert!(
        third
            .wait_for("cannot go on")
            .contains("somebody answers there already")
    );
    assert!(!third.end());
    stage.good(&["status"]);
}

#[test]
fn sigterm_ends_it_cleanly_and_leaves_the_drive_as_it_is() {
    let mut stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    assert!(stage.daemon().terminate());
    let said = String::from_utf8(stage.daemon().said()).unwrap();
    assert!(said.contains("drives are left as they are"), "{said}");
    assert!(!stage.path("tapekeyd").exists());
    assert_eq!(stage.tapekey(&["status"]).code, 3, "nobody there");
    let status = stage.sims[0].order(&json!({ "verb": "status" }));
    assert_eq!(status["status"]["encryption"], "encrypt");
    stage.start_daemon();
    assert_eq!(stage.status("d1")["modes"]["known"]["key_id"], load["key"]["id"]);
}

#[test]
fn nobody_can_look_into_the_daemon() {
    let mut stage = Stage::new(1);
    let pid = stage.daemon().pid();
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"]);
    // A process that is not dumpable belongs to root in /proc, whoever it runs as (proc(5)).
    use std::os::unix::fs::MetadataExt;
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/mem")).unwrap().uid(), 0);
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    assert!(
        status
            .lines()
            .any(|line| line.split_whitespace().eq(["Umask:", "0077"])),
        "{status}"
    );
}
