//! `tapekey run`: the key is in the drive as long as the program runs and no longer, however the program, the daemon or somebody's patience ends.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use nix::sys::stat::Mode;
use serde_json::{Value, json};
use support::programs::{Running, until};
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block that nobody may find in the cartridge file, whoever looks for it";

/// The program says that it runs, and goes on once the test lets it.
const UNTIL_LET_GO: &str = "echo \"runs with $TAPEKEY_DRIVE\"; read line < \"$LET_GO\"";

/// A stage on which programs can be kept waiting.
struct Scene {
    stage: Stage,
}

impl Scene {
    fn new() -> Self {
        let stage = Stage::new(1);
        nix::unistd::mkfifo(&stage.path("let-go"), Mode::S_IRWXU).unwrap();
        Self { stage }
    }

    /// Starts `tapekey run OPTIONS -- sh -c SCRIPT` on d1, with an outcome.
    fn start(&self, options: &[&str], script: &str) -> Running {
        let mut command = self.stage.tapekey_command();
        command
            .args(["run", "--drive", "d1", "--wait", "20", "--outcome"])
            .arg(self.outcome_file());
        command.args(options).args(["--", "sh", "-c", script]);
        command.env("LET_GO", self.stage.path("let-go"));
        Running::start(command)
    }

    /// The same for the pool ENCR_a, and waits until the program runs.
    fn running(&self, then: &str) -> Running {
        let run = self.start(&["--pool", "ENCR_a"], &format!("{UNTIL_LET_GO}; {then}"));
        run.wait_for("runs with d1");
        run
    }

    fn let_go(&self) {
        std::fs::write(self.stage.path("let-go"), "go\n").unwrap();
    }

    fn outcome_file(&self) -> std::path::PathBuf {
        self.stage.path("outcome")
    }

    fn outcome(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.outcome_file()).unwrap()).unwrap()
    }

    fn write_blocks(&self, count: usize) {
        let mut tape = Tape::open(&self.stage.sims[0].socket(), NEXUS);
        for _ in 0..count {
            tape.write(BLOCK).unwrap();
        }
        tape.filemark();
        tape.rewind();
    }

    /// What the drive does by its own word, without our daemon.
    fn encryption(&self) -> Value {
        self.stage.sims[0].order(&json!({ "verb": "status" }))["status"]["encryption"].clone()
    }

    #[track_caller]
    fn no_key_is_in_the_drive(&self) {
        assert_eq!(self.encryption(), "disable");
    }
}

fn said(run: &Running) -> String {
    String::from_utf8(run.said()).unwrap()
}

fn holds(file: &Path, needle: &[u8]) -> bool {
    let bytes = std::fs::read(file).unwrap();
    bytes.windows(needle.len()).any(|window| window == needle)
}

#[test]
fn a_program_writes_cipher_text_and_the_key_comes_out_with_the_proof() {
    let scene = Scene::new();
    let mut run = scene.running("true");
    assert_eq!(scene.encryption(), "encrypt");
    scene.write_blocks(3);
    scene.let_go();
    assert_eq!(run.exit_code(), Some(0), "{}", said(&run));
    scene.no_key_is_in_the_drive();
    let outcome = scene.outcome();
    assert_eq!(
        (&outcome["exit"], &outcome["program"], &outcome["problems"]),
        (&json!(0), &json!({ "code": 0 }), &json!([]))
    );
    assert_eq!(outcome["key_in"]["outcome"], "key_loaded");
    assert_eq!(outcome["key_out"]["proof"]["verdict"], "all encrypted");
    assert_eq!(outcome["key_out"]["related_job"], outcome["key_in"]["id"]);
    assert!(said(&run).contains("A00001L8: all encrypted"), "{}", said(&run));
    let cartridge = scene.stage.sims[0].first_cartridge();
    scene.stage.sims[0].swap(&scene.stage.sims[0].blank_cartridge("A00009L8"));
    assert!(!holds(&cartridge, &BLOCK[..32]));
}

#[test]
fn a_restore_reads_with_the_volumes_own_key_and_only_a_volume_of_the_pool_that_is_named() {
    let scene = Scene::new();
    let mut run = scene.running("true");
    scene.write_blocks(3);
    scene.let_go();
    run.exit_code();

    let mut restore = scene.start(&["--restore", "--pool", "ENCR_a"], UNTIL_LET_GO);
    restore.wait_for("runs with d1");
    assert_eq!(Tape::open(&scene.stage.sims[0].socket(), NEXUS).read().unwrap(), BLOCK);
    scene.let_go();
    assert_eq!(restore.exit_code(), Some(0), "{}", said(&restore));
    scene.no_key_is_in_the_drive();

    Tape::open(&scene.stage.sims[0].socket(), NEXUS).rewind();
    let mut other = scene.start(&["--restore", "--pool", "ENCR_b"], "echo it-runs");
    assert_eq!(other.exit_code(), Some(125));
    assert!(
        said(&other).contains("belongs to pool ENCR_a, not to pool ENCR_b"),
        "{}",
        said(&other)
    );
    assert!(!said(&other).contains("it-runs"), "{}", said(&other));
    scene.no_key_is_in_the_drive();
}

#[test]
fn the_exit_code_is_the_programs_and_its_failure_takes_the_key_out_too() {
    let scene = Scene::new();
    let mut run = scene.running("exit 7");
    scene.write_blocks(1);
    scene.let_go();
    assert_eq!(run.exit_code(), Some(7), "{}", said(&run));
    assert_eq!(scene.outcome()["program"], json!({ "code": 7 }));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_program_that_ends_well_without_the_proof_ends_with_a_code_of_its_own() {
    let scene = Scene::new();
    let mut nothing_written = scene.start(&["--pool", "ENCR_a"], "true");
    assert_eq!(nothing_written.exit_code(), Some(121), "{}", said(&nothing_written));
    assert!(said(&nothing_written).contains("nothing encrypted"));

    let mut ejected = scene.running("true");
    scene.stage.sims[0].order(&json!({ "verb": "eject" }));
    scene.let_go();
    assert_eq!(ejected.exit_code(), Some(121), "{}", said(&ejected));
    let words = "proof not taken: there is no volume in the drive";
    assert!(said(&ejected).contains(words), "{}", said(&ejected));
    assert!(
        scene.outcome()["problems"][0]["error"]
            .as_str()
            .unwrap()
            .contains(words)
    );
    scene.no_key_is_in_the_drive();
}

#[test]
fn without_a_key_the_program_is_never_started() {
    let mut scene = Scene::new();
    for (options, reason) in [
        (["--pool", "ENCR_none"].as_slice(), "ENCR_none"),
        (&["--pool", "ENCR_a", "--barcode", "B00001L8"], "not B00001L8"),
        (&["--restore"], "there is nothing to unlock"),
    ] {
        let mut refused = scene.start(options, "echo it-runs");
        assert_eq!(refused.exit_code(), Some(125), "{}", said(&refused));
        let text = said(&refused);
        assert!(
            text.contains(reason) && text.contains("hint: ") && !text.contains("it-runs"),
            "{text}"
        );
        assert_eq!(scene.outcome()["program"], Value::Null);
    }
    scene.stage.daemon().kill();
    let mut nobody = scene.start(&["--pool", "ENCR_a"], "echo it-runs");
    assert_eq!(nobody.exit_code(), Some(125), "{}", said(&nobody));
    assert!(!said(&nobody).contains("it-runs"));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_program_that_cannot_be_started_leaves_no_key_behind() {
    let scene = Scene::new();
    let file = scene.stage.path("no-program");
    std::fs::write(&file, "text").unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (program, code) in [("/no/such/program", 127), (file.to_str().unwrap(), 126)] {
        let ended = scene
            .stage
            .tapekey(&["run", "--drive", "d1", "--pool", "ENCR_a", "--", program]);
        assert_eq!(ended.code, code, "{}", ended.err);
        assert!(
            ended.err.contains("hint: ") && ended.err.contains("is out of drive d1 again"),
            "{}",
            ended.err
        );
        scene.no_key_is_in_the_drive();
    }
}

#[test]
fn a_program_that_kills_itself_leaves_no_key_behind() {
    let scene = Scene::new();
    let mut run = scene.running("kill -KILL $$");
    scene.write_blocks(1);
    scene.let_go();
    assert_eq!(run.exit_code(), Some(128 + 9), "{}", said(&run));
    assert_eq!(scene.outcome()["program"], json!({ "signal": 9 }));
    scene.no_key_is_in_the_drive();
}

#[test]
fn signals_are_passed_on_and_the_key_comes_out_when_the_program_has_ended() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let scene = Scene::new();
        // A shell cannot trap what was ignored when it began, as under nohup or in the background of a script.
        let script = r#"exec env --default-signal=INT,TERM,HUP sh -c 'trap "kill \$!; exit 9" INT TERM HUP; sleep 600 & echo "runs with $TAPEKEY_DRIVE"; wait'"#;
        let mut run = scene.start(&["--pool", "ENCR_a"], script);
        run.wait_for("runs with d1");
        scene.write_blocks(1);
        run.signal(signal);
        assert_eq!(run.exit_code(), Some(9), "{signal}: {}", said(&run));
        scene.no_key_is_in_the_drive();
    }
}

#[test]
fn a_program_that_ignores_sigterm_keeps_its_key_until_it_ends() {
    let scene = Scene::new();
    let script = format!("trap '' TERM; {UNTIL_LET_GO}; exit 5");
    let mut run = scene.start(&["--pool", "ENCR_a"], &script);
    run.wait_for("runs with d1");
    for _ in 0..3 {
        run.signal(Signal::SIGTERM);
    }
    scene.write_blocks(1);
    assert!(run.is_running());
    assert_eq!(scene.encryption(), "encrypt", "what it writes now is not plain");
    scene.let_go();
    assert_eq!(run.exit_code(), Some(5), "{}", said(&run));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_signal_that_comes_before_the_key_is_in_keeps_the_program_from_being_started() {
    let scene = Scene::new();
    scene.stage.sims[0].order(&json!({ "verb": "hang", "on": true }));
    let mut run = scene.start(&["--pool", "ENCR_a"], "echo it-runs");
    until(|| !scene.stage.status("d1")["job"].is_null());
    run.signal(Signal::SIGTERM);
    run.wait_for("SIGTERM: waiting for the drive");
    scene.stage.sims[0].order(&json!({ "verb": "hang", "on": false }));
    assert_eq!(run.exit_code(), Some(128 + 15), "{}", said(&run));
    assert!(!said(&run).contains("it-runs"), "{}", said(&run));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_daemon_that_starts_again_meanwhile_takes_the_key_out() {
    let mut scene = Scene::new();
    let mut run = scene.running("true");
    scene.write_blocks(1);
    scene.stage.daemon().kill();
    scene.let_go();
    run.wait_for("the key has to come out of drive d1");
    scene.stage.start_daemon();
    assert_eq!(run.exit_code(), Some(0), "{}", said(&run));
    assert!(said(&run).contains("all encrypted"), "{}", said(&run));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_daemon_that_stays_away_leaves_it_to_a_person_who_is_told_what_is_known_and_what_to_type() {
    let mut scene = Scene::new();
    let mut run = scene.running("true");
    scene.stage.daemon().kill();
    scene.let_go();
    assert_eq!(run.exit_code(), Some(122), "{}", said(&run));
    let text = said(&run);
    let line = format!("tapekey --socket {} clear d1", scene.stage.path("tapekeyd").display());
    for words in [
        "known: job 1 put the key of group ENCR_a for A00001L8 into drive d1",
        "sh ended with code 0; not known: whether the key is still there",
        &line,
    ] {
        assert!(text.contains(words), "{words:?} is not in:\n{text}");
    }
    assert_eq!(scene.outcome()["key_out"], Value::Null);
    scene.stage.start_daemon();
    scene.stage.good(&["clear", "d1"]);
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_key_that_somebody_else_put_in_meanwhile_is_left_alone() {
    let scene = Scene::new();
    let mut run = scene.running("true");
    let theirs = scene.stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    scene.let_go();
    assert_eq!(run.exit_code(), Some(122), "{}", said(&run));
    let words = format!("is that of job {}, not of job 1", theirs["id"]);
    assert!(said(&run).contains(&words), "{}", said(&run));
    assert_eq!(scene.encryption(), "encrypt");
}

#[test]
fn a_second_run_on_the_drive_is_refused_and_leaves_the_first_ones_key_in() {
    let scene = Scene::new();
    let mut first = scene.running("true");
    for options in [["--pool", "ENCR_a"].as_slice(), &["--pool", "Scratch"], &["--restore"]] {
        let line = [&["run", "--drive", "d1"], options, &["--", "echo", "it-runs"]].concat();
        let second = scene.stage.tapekey(&line);
        assert_eq!((second.code, second.out.as_str()), (125, ""), "{}", second.err);
        assert!(second.err.contains("job 1 left its key in drive d1"), "{}", second.err);
        assert_eq!(scene.encryption(), "encrypt");
    }
    scene.write_blocks(1);
    scene.let_go();
    assert_eq!(first.exit_code(), Some(0), "{}", said(&first));
}

#[test]
fn children_of_the_program_hear_of_signals_too() {
    let scene = Scene::new();
    let script = "sh -c 'trap \"exit 0\" TERM; echo \"runs with $TAPEKEY_DRIVE\"; while :; do sleep 0.1; done'; exit 6";
    let mut run = scene.start(&["--pool", "ENCR_a"], &format!("trap : TERM; {script}"));
    run.wait_for("runs with d1");
    run.signal(Signal::SIGTERM);
    assert_eq!(run.exit_code(), Some(6), "{}", said(&run));
    scene.no_key_is_in_the_drive();
}

#[test]
fn a_plain_pool_runs_without_a_key() {
    let scene = Scene::new();
    let mut run = scene.start(&["--pool", "Scratch"], "exit 3");
    assert_eq!(run.exit_code(), Some(3), "{}", said(&run));
    assert_eq!(scene.outcome()["key_out"], Value::Null);
}

#[test]
fn json_goes_where_it_does_not_mix_with_the_programs_output() {
    let scene = Scene::new();
    let options = ["--json", "run", "--drive", "d1", "--pool", "ENCR_a", "--", "true"];
    let refused = scene.stage.tapekey(&options);
    assert_eq!(refused.code, 2, "{}", refused.err);
    assert!(refused.err.contains("--outcome"), "{}", refused.err);

    let mut through_descriptor = std::process::Command::new("sh");
    let line =
        "exec \"$0\" --socket \"$1\" --json run --drive d1 --pool Scratch --outcome /dev/fd/3 -- echo hello 3> \"$2\"";
    through_descriptor.args(["-c", line, env!("CARGO_BIN_EXE_tapekey")]);
    through_descriptor
        .arg(scene.stage.path("tapekeyd"))
        .arg(scene.outcome_file());
    let ended = support::programs::Ended::of(&mut through_descriptor);
    assert_eq!((ended.code, ended.out.as_str(), ended.err.as_str()), (0, "hello\n", ""));
    assert_eq!(scene.outcome()["key_in"]["outcome"], "plain");
}
