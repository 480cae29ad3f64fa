//! Passphrase keys and imports as people make them: the real programs, key files, descriptors and a terminal.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::process::{Command, Stdio};

use nix::pty::openpty;
use serde_json::Value;
use support::programs::Ended;
use support::stage::Stage;

const EIGHT_WORDS: &str = "orbit lemon castle river paper quiet falcon seven";
const ID: &str = "6f2a1c1e-9b6b-4f7a-8d0e-3c5b7a9d1e2f";
/// The key of these words and that id, as `vectors/kad-v1.json` pins it.
const KEY: &str = "76c8f0d270b61734be514ef62f8b8d659e436706b9c3f9a65c6445d50a246975";

fn stage() -> Stage {
    let stage = Stage::without_daemon(0);
    for group in [["ENCR_daily", "--kind", "derived"], ["ENCR_old", "--kind", "as-is"]] {
        stage
            .kms_command(&[["group", "create"].as_slice(), &group].concat())
            .well();
    }
    stage
}

/// The beginning of a `tapekey --json kms` command line.
fn kms(stage: &Stage) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tapekey"));
    command.args(["--json", "kms", "--address", &stage.kms_address, "--client"]);
    command.arg(stage.path("kms/clients/admin-1"));
    command
}

/// With `input` on descriptor 0: exit code, answer, what stands on standard error.
fn with_input(stage: &Stage, arguments: &[&str], input: &[u8]) -> (i32, Value, String) {
    let path = stage.path("input");
    std::fs::write(&path, input).unwrap();
    let mut command = kms(stage);
    let output = command
        .args(arguments)
        .stdin(File::open(path).unwrap())
        .output()
        .unwrap();
    let ended = Ended {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    };
    assert!(!ended.out.contains(EIGHT_WORDS) && !ended.err.contains(EIGHT_WORDS));
    let answer = serde_json::from_str(&ended.out).unwrap_or(Value::Null);
    (ended.code, answer, ended.err)
}

#[test]
fn a_passphrase_from_a_descriptor_gives_the_key_of_the_vectors() {
    let stage = stage();
    let line = ["key", "create", "ENCR_old", "vault", "--passphrase-fd", "0", "--id", ID];
    let (code, answer, err) = with_input(&stage, &line, format!("{EIGHT_WORDS}\n").as_bytes());
    assert_eq!(code, 0, "{err}");
    assert_eq!((&answer["id"], &answer["origin"]), (&ID.into(), &"passphrase".into()));

    // The KMS says that an import of the pinned key is the same key.
    let import = ["key", "import", "ENCR_old", "--fd", "0", "--format", "hex"];
    let (_, answer, _) = with_input(&stage, &import, KEY.as_bytes());
    assert_eq!(answer["keys"][0]["same_key"]["name"], "vault", "{answer:#}");
    // It needs no second copy to become active.
    stage.kms_command(&["key", "activate", "ENCR_old", "vault"]).well();
}

#[test]
fn a_weak_passphrase_is_refused_until_it_is_accepted() {
    let stage = stage();
    let weak = ["key", "create", "ENCR_daily", "--passphrase-fd", "0"];
    let (code, _, err) = with_input(&stage, &weak, b"hunter2");
    assert!(
        code == 2 && err.contains("shows 28 bits at most") && err.contains("--weak"),
        "{err}"
    );
    for (input, says) in [
        (b"".as_slice(), "the passphrase is empty"),
        (b"a\nb", "control character"),
        (&[b'x'; 2000], "is this the right file?"),
    ] {
        let (code, _, err) = with_input(&stage, &weak, input);
        assert!(code == 2 && err.contains(says), "{err}");
    }
    let (code, _, err) = with_input(&stage, &["key", "create", "ENCR_daily", "--passphrase-fd", "77"], b"");
    assert!(code == 2 && err.contains("file descriptor 77"), "{err}");
    let accepted = [weak.as_slice(), &["--weak"]].concat();
    assert_eq!(with_input(&stage, &accepted, b"hunter2").0, 0);
    let mut audit = Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
    let audit = Ended::of(audit.args(["audit", "list"]).arg(stage.path("kms")));
    assert!(
        audit.out.contains("weak passphrase accepted"),
        "{}{}",
        audit.out,
        audit.err
    );
}

/// `tapekey` in a terminal of its own, which hears `typed` of what it shows; its exit code and all that it showed.
fn in_terminal(stage: &Stage, arguments: &[&str], typed: impl Fn(&str) -> Vec<String>) -> (bool, String) {
    let pty = openpty(None, None).unwrap();
    let mut terminal = File::from(pty.master);
    let mut command = Command::new("setsid");
    command.args([
        "--ctty",
        "--wait",
        env!("CARGO_BIN_EXE_tapekey"),
        "kms",
        "--address",
        &stage.kms_address,
    ]);
    command
        .arg("--client")
        .arg(stage.path("kms/clients/admin-1"))
        .args(arguments);
    let mut child = command
        .stdin(Stdio::from(pty.slave.try_clone().unwrap()))
        .stdout(Stdio::from(pty.slave.try_clone().unwrap()))
        .stderr(Stdio::from(pty.slave))
        .spawn()
        .unwrap();
    drop(command);
    let (mut shown, mut lines) = (String::new(), None);
    let mut buffer = [0; 1024];
    // Reading fails once nobody has the other end open.
    while let Ok(length @ 1..) = terminal.read(&mut buffer) {
        shown.push_str(&String::from_utf8_lossy(&buffer[..length]));
        for prompt in ["Passphrase: ", "Once more:  "] {
            if shown.ends_with(prompt) {
                let lines = lines.get_or_insert_with(|| typed(&shown).into_iter());
                let line = lines.next().unwrap();
                terminal.write_all(format!("{line}\n").as_bytes()).unwrap();
            }
        }
    }
    (child.wait().unwrap().success(), shown)
}

/// The words between the proposal's headline and the next empty line.
fn proposal(shown: &str) -> String {
    let after = shown.split("88 bits:").nth(1).unwrap().trim_start();
    after.lines().next().unwrap().trim().to_owned()
}

#[test]
fn the_terminal_proposes_words_takes_them_typed_twice_and_shows_nothing_typed() {
    let stage = stage();
    let line = ["key", "create", "ENCR_daily", "typed", "--passphrase"];
    let (good, shown) = in_terminal(&stage, &line, |shown| vec![proposal(shown); 2]);
    assert!(good, "{shown}");
    assert_eq!(proposal(&shown).split(' ').count(), 8);
    assert_eq!(
        shown.matches(&proposal(&shown)).count(),
        1,
        "shown once, as the proposal: {shown}"
    );
    assert!(shown.contains("passphrase (at most 88 bits)"), "{shown}");

    let own = "eight other words that somebody chose by hand";
    let line = ["key", "create", "ENCR_daily", "own", "--passphrase"];
    let (good, shown) = in_terminal(&stage, &line, |_| vec![own.to_owned(); 2]);
    assert!(good && !shown.contains(own), "{shown}");

    let line = ["key", "create", "ENCR_daily", "third", "--passphrase"];
    let (good, shown) = in_terminal(&stage, &line, |_| vec![own.to_owned(), EIGHT_WORDS.to_owned()]);
    assert!(!good && shown.contains("the two passphrases differ"), "{shown}");
    let (good, shown) = in_terminal(&stage, &line, |_| vec!["\u{3}".to_owned()]);
    assert!(!good && shown.contains("given up"), "{shown}");
    assert_eq!(stage.kms_command(&["key", "list"]).out.lines().count(), 3, "two keys");
}

#[test]
fn key_files_of_stenc_are_shown_first_and_then_imported_with_their_description_as_kad() {
    let stage = stage();
    let file = stage.path("old.key");
    std::fs::write(&file, format!("{KEY}\nJanuary 2024 LTO6 Tape Key\n")).unwrap();
    let file = file.to_str().unwrap();
    let import = |more: &[&str]| {
        let line = ["key", "import", "ENCR_old", file, "--format", "stenc"];
        stage.kms_command(&[line.as_slice(), more].concat())
    };
    let preview = import(&[]);
    assert!(preview.out.contains("would be imported") && preview.out.contains("\"January 2024 LTO6 Tape Key\""));
    assert!(
        preview.out.contains("stenc 1.0.x") && preview.out.contains("cannot be told"),
        "{}",
        preview.out
    );
    assert!(
        preview.out.contains("nothing was changed; --commit does it"),
        "{}",
        preview.out
    );
    assert_eq!(stage.kms_command(&["key", "list", "ENCR_old"]).out.lines().count(), 1);
    let done = import(&["--commit", "--name", "january"]);
    assert!(
        done.code == 0 && done.out.contains("january") && !done.out.contains("--commit"),
        "{}{}",
        done.out,
        done.err
    );
    let listed = stage.kms_command(&["key", "list", "ENCR_old"]).out;
    assert!(
        listed.contains("january") && listed.contains("inactive") && listed.contains("imported"),
        "{listed}"
    );
    assert!(
        import(&["--commit"])
            .out
            .contains("skipped: the same key is january of group ENCR_old")
    );

    for (arguments, says) in [
        (vec!["ENCR_daily", file, "--format", "stenc"], "used as they are"),
        (vec!["ENCR_old", file, "--format", "raw"], "a raw key has 32 bytes"),
        (vec!["ENCR_old", file, "--format", "hex"], "line 2 is no 32-byte key"),
        (vec!["ENCR_old", "/nonexistent", "--format", "raw"], "No such file"),
    ] {
        let refused = stage.kms_command(&[["key", "import"].as_slice(), &arguments].concat());
        assert!(refused.code != 0 && refused.err.contains(says), "{}", refused.err);
        assert!(
            refused.err.contains("hint: ") || says == "No such file",
            "{}",
            refused.err
        );
    }
}

#[test]
fn raw_keys_come_with_the_kad_that_the_command_line_gives() {
    let stage = stage();
    let raw = hex::decode(KEY).unwrap();
    let line = ["key", "import", "ENCR_old", "--fd", "0", "--format", "raw", "--commit"];
    let with = |more: &[&str]| with_input(&stage, &[line.as_slice(), more].concat(), &raw);
    let (code, answer, err) = with(&["--kad-hex", "0a0b"]);
    assert_eq!(code, 0, "{err}");
    assert_eq!(answer["keys"][0]["new"]["foreign_kad"], "0a0b");
    assert_eq!(with(&["--kad-hex", "xyz"]).0, 2);
    assert_eq!(with(&["--kad-hex", "00", "--kad-text", "a"]).0, 2);
    let two = format!("{}\n{}\n", "11".repeat(32), "22".repeat(32));
    let hex = ["key", "import", "ENCR_old", "--fd", "0", "--format", "hex", "--commit"];
    let (code, _, err) = with_input(&stage, &[hex.as_slice(), &["--name", "x"]].concat(), two.as_bytes());
    assert!(code == 2 && err.contains("this one has 2"), "{err}");
    let (code, answer, _) = with_input(&stage, &hex, two.as_bytes());
    assert!(code == 0 && answer["keys"].as_array().unwrap().len() == 2, "{answer:#}");
}
