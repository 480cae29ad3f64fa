//! `tapekey unlock --key-fd`: a key through a pipe whose descriptor the daemon gets, without any KMS. The programs as they really run.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod support;

use std::io::{BufRead, BufReader, IoSlice, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};
use serde_json::Value;
use support::programs::Ended;
use support::stage::{NEXUS, Stage};
use support::tape::Tape;

const BLOCK: &[u8] = b"a block of the house";

/// `tapekey --json unlock d1 --key-fd 0` with `key` in the pipe: exit code, job, error.
fn give(stage: &Stage, key: &[u8]) -> (i32, Value, String) {
    let mut command = stage.tapekey_command();
    command.args(["--json", "unlock", "d1", "--key-fd", "0"]);
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // It may have ended without reading.
    let _ = child.stdin.take().unwrap().write_all(key);
    let output = child.wait_with_output().unwrap();
    let answer = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (
        output.status.code().unwrap(),
        answer,
        String::from_utf8(output.stderr).unwrap(),
    )
}

/// A stage with a written volume, cleared, its KMS gone; the volume's KAD and its key, out of a kit.
fn written() -> (Stage, String, Vec<u8>) {
    let mut stage = Stage::new(1);
    let load = stage.good(&["load", "d1", "--pool", "ENCR_a"]);
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    tape.write(BLOCK).unwrap();
    tape.filemark();
    tape.rewind();
    drop(tape);
    stage.good(&["clear", "d1"]);
    let kad = load["key"]["kad"].as_str().unwrap().to_owned();
    let words = "orbit lemon castle river paper quiet falcon seven";
    let (kms, kit) = (stage.path("kms"), stage.path("kit.txt"));
    std::fs::write(stage.path("passphrase"), words).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_tapekey-kms"));
        command.args(arguments).args(["--passphrase-fd", "0"]);
        command.stdin(std::fs::File::open(stage.path("passphrase")).unwrap());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(&["kit", kms.to_str().unwrap(), kit.to_str().unwrap(), "--same-filesystem"]);
    let key = run(&[
        "recover",
        "--kit",
        kit.to_str().unwrap(),
        "--kad",
        &kad,
        "--key-fd",
        "1",
    ]);
    assert_eq!(key.len(), 32);
    stage.kms.kill();
    (stage, kad, key)
}

#[test]
fn a_given_key_reads_the_tape_without_a_kms_and_the_job_says_who_gave_it() {
    let (mut stage, kad, key) = written();
    let (code, refused, err) = stage.ask(&["unlock", "d1"]);
    assert_eq!((code, &refused["volume"]["kad"]), (1, &kad.as_str().into()), "{err}");
    assert!(
        err.contains(&format!(
            "tapekey-kms recover --kit kit.txt --kad {kad} --key-fd 1 | tapekey --socket "
        )),
        "{err}"
    );

    let (code, job, err) = give(&stage, &key);
    assert_eq!((code, &job["outcome"]), (0, &"key_loaded".into()), "{job:#}\n{err}");
    assert_eq!((&job["key"]["kad"], &job["kms"]), (&kad.as_str().into(), &Value::Null));
    let own = nix::unistd::geteuid().as_raw();
    assert_eq!(job["key"]["given_by"]["uid"], own);
    assert!(job["key"]["given_by"]["pid"].as_i64().unwrap() > 1 && job["key"]["group"].is_null());
    assert_eq!(
        (&job["in_force"]["encryption"], &job["in_force"]["decryption"]),
        (&"ENCRYPT".into(), &"DECRYPT".into())
    );
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    assert_eq!(tape.read().unwrap(), BLOCK);
    let shown = stage.tapekey(&["job", "show", &job["id"].to_string()]).well();
    assert!(shown.contains("given by descriptor, by process"), "{shown}");
    let clear = stage.good(&["clear", "d1"]);
    assert_eq!(clear["related_job"], job["id"]);
    let log = stage.daemon().said();
    let in_hex = hex::encode(&key);
    for spelling in [key.as_slice(), in_hex.as_bytes()] {
        assert!(!log.windows(spelling.len()).any(|window| window == spelling));
    }
    assert!(String::from_utf8_lossy(&log).contains("a key was given by descriptor"));
}

#[test]
fn what_is_not_the_volume_s_key_never_reaches_the_drive() {
    let (stage, _, key) = written();
    let kic = stage.status("d1")["modes"]["known"]["key_instance_counter"].clone();
    let mut other = key.clone();
    other[31] ^= 1;
    let (code, job, err) = give(&stage, &other);
    assert_eq!((code, &job["outcome"]), (1, &"refused".into()), "{job:#}");
    assert!(
        err.contains("the key that was given is not the one of this volume"),
        "{err}"
    );
    let jobs = |stage: &Stage| stage.good(&["job", "list"]).as_array().unwrap().len();
    let before = jobs(&stage);
    for (bytes, says) in [
        (&key[..31], "this one 31"),
        (&[key.as_slice(), b"\n"].concat(), "more than 32 bytes"),
        (b"".as_slice(), "the program at its other end gave none"),
    ] {
        let (code, _, err) = give(&stage, bytes);
        assert!(code == 1 && err.contains(says) && err.contains("hint"), "{code}: {err}");
    }
    let mut no_pipe = stage.tapekey_command();
    no_pipe.args(["unlock", "d1", "--key-fd", "0"]);
    let ended = Ended::of(&mut no_pipe);
    assert!(ended.code == 2 && ended.err.contains("it is no pipe"), "{}", ended.err);
    assert_eq!(jobs(&stage), before, "none of these began a job");
    assert_eq!(stage.status("d1")["modes"]["known"]["key_instance_counter"], kic);
}

#[test]
fn a_descriptor_comes_with_the_command_that_needs_it_and_with_no_other() {
    let (stage, _, _) = written();
    let ask = |line: &str, descriptor: bool| {
        let stream = UnixStream::connect(stage.path("tapekeyd")).unwrap();
        let (read, write) = std::io::pipe().unwrap();
        let numbers = [read.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&numbers)];
        let parts = [IoSlice::new(line.as_bytes())];
        let rights = if descriptor { rights.as_slice() } else { &[] };
        sendmsg::<()>(stream.as_raw_fd(), &parts, rights, MsgFlags::empty(), None).unwrap();
        drop((read, write));
        let mut answer = String::new();
        BufReader::new(&stream).read_line(&mut answer).unwrap();
        serde_json::from_str::<Value>(&answer).unwrap()
    };
    let wanting = "{\"version\":1,\"id\":1,\"command\":{\"unlock\":{\"drive\":\"d1\",\"key_by_descriptor\":true}}}\n";
    let plain = "{\"version\":1,\"id\":1,\"command\":{\"unlock\":{\"drive\":\"d1\"}}}\n";
    for answer in [ask(wanting, false), ask(plain, true)] {
        assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
    }
    assert_eq!(ask(wanting, true)["error"]["code"], "no_key_came");
}

#[test]
fn without_a_kms_in_the_configuration_a_load_is_refused_and_says_why() {
    let mut stage = Stage::without_daemon(1);
    let text = stage.config_text();
    let (before, after) = (
        text.split("[kms]").next().unwrap(),
        text.split("[[drive]]").nth(1).unwrap(),
    );
    std::fs::write(stage.config(), format!("{before}[[drive]]{after}")).unwrap();
    let check = stage
        .tapekey(&["config", "check", stage.config().to_str().unwrap()])
        .well();
    assert!(check.contains("KMS: none"), "{check}");
    stage.start_daemon();
    stage.bad(
        &["load", "d1", "--pool", "ENCR_a"],
        "there is no KMS in this host's configuration",
    );
}

/// A tape as other software writes it, under the key of bytes 5Ah.
fn write_foreign(stage: &Stage) {
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    let kad = b"an old tape";
    let mut page = vec![
        0x00,
        0x10,
        0x00,
        u8::try_from(16 + 32 + 4 + kad.len()).unwrap(),
        0x40,
        0x40,
        0x02,
        0x02,
        0x01,
    ];
    page.resize(18, 0);
    page.extend([0x00, 0x20]);
    page.extend([0x5A; 32]);
    page.extend([0x00, 0x00, 0x00, u8::try_from(kad.len()).unwrap()]);
    page.extend(kad);
    let length = u8::try_from(page.len()).unwrap();
    tape.send_out(&[0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, length, 0, 0], &page)
        .unwrap();
    tape.write(BLOCK).unwrap();
    tape.filemark();
    tape.rewind();
    let mut off = vec![0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0x00, 0x00, 0x01];
    off.resize(20, 0);
    tape.send_out(&[0xB5, 0x20, 0x00, 0x10, 0, 0, 0, 0, 0, 20, 0, 0], &off)
        .unwrap();
}

#[test]
fn for_a_tape_of_other_software_the_drive_decides_and_wrong_keys_are_counted() {
    let mut stage = Stage::new(1);
    write_foreign(&stage);
    stage.kms.kill();
    for wrong in 1..=2 {
        let (code, job, err) = give(&stage, &[wrong; 32]);
        assert_eq!((code, &job["outcome"]), (1, &"failed".into()), "{job:#}");
        assert!(err.contains("the key that was given does not fit this volume"), "{err}");
        assert_eq!(
            job["wrong_keys"].as_array().unwrap().len(),
            usize::from(wrong),
            "{job:#}"
        );
    }
    let (code, job, err) = give(&stage, &[0x5A; 32]);
    assert_eq!((code, &job["outcome"]), (0, &"key_loaded".into()), "{job:#}\n{err}");
    assert!(job["key"]["given_by"]["uid"].is_number() && job["key"]["id"].is_null());
    let mut tape = Tape::open(&stage.sims[0].socket(), NEXUS);
    assert_eq!(tape.read().unwrap(), BLOCK);
    tape.rewind();
    drop(tape);
    stage.good(&["clear", "d1"]);
    for wrong in 3..=8 {
        assert_eq!(give(&stage, &[wrong; 32]).0, 1);
    }
    let (code, job, err) = give(&stage, &[0x5A; 32]);
    assert!(
        code == 1 && err.contains("8 keys were tried while this volume was mounted"),
        "{job:#}\n{err}"
    );
}
