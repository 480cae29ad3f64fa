//! A load that is interrupted at each of its commands in turn: the drive then holds no key, or one that can be found again.

use serde_json::{Value, json};

use crate::play::{LOAD, Play};
use crate::support::wire::{Point, When};

/// More commands than a load has.
const COMMANDS_MAX: usize = 64;

/// Commands with which a drive is identified, at the beginning of each job. A path lost there is opened anew: it may have been lost while
/// nobody used it.
const IDENTIFYING: usize = 3;

#[test]
fn a_daemon_killed_at_each_command_of_a_load_leaves_no_key_or_one_that_is_found() {
    let mut play = Play::new();
    let mut with_key = 0;
    for command in 0..COMMANDS_MAX {
        play.moment(&format!("the daemon is killed before command {command} of a load"));
        play.wire.stop_at(Point::Command(command), When::Before);
        let asked = play.ask(LOAD);
        if let Some(ended) = asked.end_unless_held(&play.wire) {
            ended.well();
            assert!(
                command > 10 && with_key > 0,
                "{command} commands, {with_key} with a key"
            );
            return;
        }
        play.kill_daemon();
        play.cut();
        assert_ne!(asked.end().code, 0);
        play.stage.start_daemon();
        play.interrupted_job();
        if play.holds_key() {
            with_key += 1;
            play.finish();
        }
    }
    panic!("a load has no end");
}

#[test]
fn a_path_lost_at_each_command_of_a_load_leaves_no_key() {
    let mut play = Play::new();
    for when in [When::Before, When::Answered] {
        for command in 0..COMMANDS_MAX {
            play.moment(&format!("the path is lost at command {command} of a load, {when:?}"));
            play.wire.stop_at(Point::Command(command), when);
            let asked = play.ask(LOAD);
            let (ended, lost) = match asked.end_unless_held(&play.wire) {
                Some(ended) => (ended, false),
                None => {
                    play.cut();
                    (asked.end(), true)
                }
            };
            if ended.code == 0 {
                assert!(play.holds_key());
                if lost {
                    assert!(
                        command < IDENTIFYING,
                        "only the first question is asked again, not command {command}"
                    );
                    continue;
                }
                assert!(command > 10);
                break;
            }
            let job: Value = serde_json::from_str(&ended.out).unwrap();
            assert!(matches!(job["outcome"].as_str(), Some("failed" | "refused")), "{job:#}");
            assert!(!play.holds_key(), "{job:#}");
            assert_eq!(play.known_status()["alarms"], json!([]));
        }
    }
    play.wire.only_count();
    play.finish();
}
