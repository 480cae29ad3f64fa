//! Faults seen from the sockets: a script, live orders, and a run that is repeated (`PROTOCOL.md` 2.4).

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod socket_support;

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::Signal;
use socket_support::{Server, program, run};

/// A server with a script of faults.
fn with_script(folder: &Path, text: &str) -> Server {
    let script = folder.join("faults.toml");
    fs::write(&script, text).unwrap();
    Server::start(
        folder,
        &[
            "--faults",
            script.to_str().unwrap(),
            "--cartridge",
            folder.join("a.cart").to_str().unwrap(),
            "--create",
        ],
    )
}

#[test]
fn a_script_strikes_where_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_script(
        folder.path(),
        r#"
        [[fault]]
        at = { opcode = 0x0A, nth = 2 }
        do = { what = "sense", sense = "03/0C/00" }
        [[fault]]
        at = { opcode = 0xA2, page = 0x20 }
        do = { what = "transport", host_status = 3 }
        "#,
    );
    let mut client = server.client("host1");
    client.until_ready();
    assert!(client.write(b"one").unwrap().is_good());
    assert_eq!(client.write(b"two").unwrap().sense_code(), Some((3, 0x0C, 0)));
    assert!(client.write(b"two").unwrap().is_good());
    assert!(client.spin(0x20, 0x10, 100).is_good());
    let lost = client.spin(0x20, 0x20, 100);
    assert_eq!((lost.kind, lost.code), (1, 3));
    assert!(client.spin(0x20, 0x20, 100).is_good());
    assert_eq!(server.control().status()["faults"], 0);
}

#[test]
fn orders_set_faults_up_and_take_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"fault","do":{"what":"power-cycle"}}"#);
    assert_eq!(client.test_unit_ready().sense_code(), Some((6, 0x29, 0)));
    control.order(r#"{"verb":"fault","at":{"nexus":"host2"},"do":{"what":"status","status":40},"times":2}"#);
    client.until_ready();
    let mut other = server.client("host2");
    for _ in 0..2 {
        assert_eq!(other.test_unit_ready().code, 0x28);
    }
    other.until_ready();
    control.order(r#"{"verb":"fault","do":{"what":"reset"},"always":true}"#);
    assert_eq!(control.status()["faults"], 1);
    control.order(r#"{"verb":"clear-faults"}"#);
    assert!(client.test_unit_ready().is_good());
    let refused = control.ask(r#"{"verb":"fault","at":{"chance":7},"do":{"what":"reset"}}"#);
    assert_eq!(refused["ok"], false);
    assert!(refused["error"].as_str().unwrap().contains("chance"), "{refused}");
}

#[test]
fn a_hang_and_a_delay_hold_the_command_that_they_strike() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"fault","do":{"what":"hang"}}"#);
    let sequence = client.send(&[0x0A, 0, 0, 0, 4, 0], b"late", 0).unwrap();
    control.until("waiting", 1);
    assert_eq!(
        (&control.status()["hang"], &control.status()["objects"]),
        (&true.into(), &0.into())
    );
    control.order(r#"{"verb":"hang","on":false}"#);
    assert!(client.receive(sequence).unwrap().is_good());
    assert_eq!(control.status()["objects"], 1);
    control.order(r#"{"verb":"fault","do":{"what":"slow","milliseconds":150}}"#);
    let began = std::time::Instant::now();
    assert!(client.test_unit_ready().is_good());
    assert!(began.elapsed().as_millis() >= 150);
}

#[test]
fn the_server_ends_while_a_slow_command_waits() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    server
        .control()
        .order(r#"{"verb":"fault","do":{"what":"slow","milliseconds":3600000}}"#);
    client.send(&[0; 6], &[], 0).unwrap();
    server.control().until("commands", 4);
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
}

/// What a server with this script and seed says on standard error while a client writes twenty blocks.
fn said(seed: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("faults.toml");
    fs::write(
        &script,
        "[[fault]]\nat = { chance = 0.3 }\ndo = { what = \"sense\", sense = \"04/44/00\" }\nalways = true\n",
    )
    .unwrap();
    let socket = folder.path().join("scsi");
    let mut child = program()
        .args(["serve", "--seed", seed, "--create", "--cartridge"])
        .arg(folder.path().join("a.cart"))
        .arg("--socket")
        .arg(&socket)
        .arg("--faults")
        .arg(&script)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
    let mut client = socket_support::Client::connect(&socket, "host1");
    for _ in 0..20 {
        client.write(b"block").unwrap();
    }
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(child.id().try_into().unwrap()),
        Signal::SIGTERM,
    )
    .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    text.replace(&folder.path().display().to_string(), "FOLDER")
}

#[test]
fn every_fault_is_said_with_its_seed_and_the_seed_repeats_the_run() {
    let first = said("5");
    assert!(
        first.starts_with("sg-sim: 1 fault from FOLDER/faults.toml, seed 5\n"),
        "{first}"
    );
    assert!(first.contains("sg-sim: fault 1 at command "), "{first}");
    assert_eq!(first, said("5"));
    assert_ne!(
        first.lines().skip(1).collect::<Vec<_>>(),
        said("6").lines().skip(1).collect::<Vec<_>>()
    );
}

#[test]
fn a_script_that_is_none_keeps_the_server_from_starting() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("faults.toml");
    fs::write(&script, "[[fault]]\ndo = { what = \"explode\" }\n").unwrap();
    let socket = folder.path().join("scsi");
    let output = run(&[
        "serve",
        "--socket",
        socket.to_str().unwrap(),
        "--faults",
        script.to_str().unwrap(),
    ]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("explode") && text.contains("line 2"), "{text}");
    assert!(!socket.exists());
}
