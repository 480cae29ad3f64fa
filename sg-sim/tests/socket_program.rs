//! The program as people start and stop it: what it refuses, what it prints, how it ends.

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod socket_support;

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use socket_support::{Server, program, run};

/// The program fails with exit code 1, says all of `words` and a hint, and prints nothing.
fn refuses(arguments: &[&str], words: &[&str]) {
    let output = run(arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
    assert!(
        output.stdout.is_empty() && said.contains("\nhint: "),
        "{arguments:?}: {said}"
    );
    for word in words {
        assert!(said.contains(word), "{arguments:?}: {said}");
    }
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn prints_one_line_when_it_is_ready_and_its_sockets_are_its_owners() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let expected = format!(
        "sg-sim: listening on {}, control on {}\n",
        server.socket.display(),
        server.control.display()
    );
    assert_eq!(server.first_line, expected);
    for path in [&server.socket, &server.control] {
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
    }
}

#[test]
fn ends_cleanly_on_sigterm_and_sigint_and_leaves_cartridge_and_no_sockets() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::with_cartridge(folder.path());
        let mut client = server.client("host1");
        client.until_ready();
        assert!(client.write(b"kept").unwrap().is_good());
        assert_eq!(server.end(signal), Some(0));
        assert!(!server.socket.exists() && !server.control.exists());
        let again = Server::with_cartridge(folder.path());
        let mut client = again.client("host1");
        client.until_ready();
        assert_eq!(client.read(4).data_in, b"kept");
    }
}

#[test]
fn ends_while_the_drive_hangs() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--hang"]);
    let mut client = server.client("host1");
    client.send(&[0; 6], &[], 0).unwrap();
    server.control().until("waiting", 1);
    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    assert!(socket_support::is_closed(&mut client.stream));
}

#[test]
fn replaces_a_stale_socket_and_refuses_one_in_use() {
    let folder = tempfile::tempdir().unwrap();
    drop(UnixListener::bind(folder.path().join("scsi")).unwrap());
    let server = Server::start(folder.path(), &[]);
    refuses(
        &["serve", "--socket", text(&server.socket)],
        &[text(&server.socket), "listens"],
    );
    assert!(
        server
            .client("host1")
            .execute(&[0x12, 0, 0, 0, 36, 0], &[], 36)
            .is_good()
    );
}

#[test]
fn refuses_cartridge_files_that_it_cannot_use_and_leaves_them_alone() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scsi");
    let serve = |file: &Path, words: &[&str]| {
        refuses(
            &["serve", "--socket", text(&socket), "--cartridge", text(file)],
            &[&[text(file)], words].concat(),
        );
    };
    let foreign = folder.path().join("foreign.tar");
    fs::write(
        &foreign,
        b"not a cartridge at all, but long enough to be read as one, were it one",
    )
    .unwrap();
    serve(&foreign, &["not a cartridge"]);
    assert_eq!(fs::read(&foreign).unwrap().len(), 70);
    serve(&folder.path().join("missing"), &[]);

    let held = Server::with_cartridge(folder.path());
    let file = folder.path().join("A00001L8.cart");
    let other = folder.path().join("other");
    refuses(
        &["serve", "--socket", text(&other), "--cartridge", text(&file)],
        &["in another drive"],
    );
    drop(held);
    let asked = [
        "serve",
        "--socket",
        text(&other),
        "--cartridge",
        text(&file),
        "--barcode",
        "B00001L8",
    ];
    refuses(&asked, &["barcode", "A00001L8", "B00001L8"]);
}

#[test]
fn refuses_names_that_no_drive_and_no_cartridge_can_have() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scsi");
    let file = folder.path().join("new.cart");
    refuses(&["serve", "--socket", text(&socket), "--serial", "short"], &["short"]);
    for barcode in ["", "A0000 L8", "A00001L8\u{7f}", "Ä00001L8"] {
        let create = ["create", text(&file), "--medium-serial", "X1", "--barcode", barcode];
        refuses(&create, &["barcode"]);
        let serve = [
            "serve",
            "--socket",
            text(&socket),
            "--cartridge",
            text(&file),
            "--create",
            "--barcode",
            barcode,
        ];
        refuses(&serve, &["barcode"]);
        assert!(!file.exists());
    }
    refuses(&["create", text(&file), "--medium-serial", "a\tb"], &["medium serial"]);
}

#[test]
fn create_never_overwrites() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("new.cart");
    let create = ["create", text(&file), "--medium-serial", "X1"];
    assert!(run(&create).status.success());
    let before = fs::read(&file).unwrap();
    refuses(&create, &[text(&file), "exists"]);
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_two() {
    for arguments in [
        &["serve"][..],
        &["explode"],
        &["control", "--control", "x", "hang", "maybe"],
        &[],
    ] {
        assert_eq!(run(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn control_speaks_to_a_running_drive_and_says_when_there_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let control = |order: &[&str]| run(&[&["control", "--control", text(&server.control)], order].concat());
    assert!(control(&["hang", "on"]).status.success());
    let status = control(&["status"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(
        (&status["hang"], &status["barcode"]),
        (&true.into(), &"A00001L8".into())
    );
    for order in [
        &["hang", "off"][..],
        &["reset"],
        &["library-managed", "cfgp"],
        &["refuse-spout", "05/24/00"],
        &["eject"],
    ] {
        assert!(control(order).status.success(), "{order:?}");
    }
    assert_eq!(control(&["eject"]).status.code(), Some(1));
    let nobody = folder.path().join("nobody");
    refuses(&["control", "--control", text(&nobody), "status"], &[text(&nobody)]);
}

#[test]
fn traces_commands_and_never_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("scsi");
    let mut serve = program();
    serve.args(["serve", "-v", "--socket", text(&socket)]);
    let mut child = serve.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    BufReader::new(child.stdout.as_mut().unwrap())
        .read_line(&mut String::new())
        .unwrap();
    let mut client = socket_support::Client::connect(&socket, "host1");
    client.test_unit_ready();
    client.set_key(1, *b"a key of 32 bytes, never traced!");
    kill(Pid::from_raw(child.id().try_into().unwrap()), Signal::SIGTERM).unwrap();
    let mut traced = String::new();
    child.stderr.take().unwrap().read_to_string(&mut traced).unwrap();
    child.wait().unwrap();
    assert!(
        traced.contains("host1 unit 0 SECURITY PROTOCOL OUT [B52000100000000000340000] out 52 -> status"),
        "{traced}"
    );
    let key = hex::encode(b"a key of 32 bytes, never traced!");
    assert!(
        !traced.to_lowercase().contains(&key[..16]) && !traced.contains("a key of"),
        "{traced}"
    );
}

#[test]
fn switches_come_from_a_file_and_unknown_ones_are_refused_with_their_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("quirks.toml");
    fs::write(
        &file,
        "next-block-without-volume = \"zeros\"\nrefuse-security-protocol-out = \"05/74/21\"\n",
    )
    .unwrap();
    let server = Server::start(folder.path(), &["--quirks", text(&file)]);
    let mut client = server.client("host1");
    client.test_unit_ready();
    assert_eq!(client.spin(0x20, 0x21, 100).data_in.len(), 16);
    assert_eq!(client.set_key(1, [1; 32]).sense_code(), Some((5, 0x74, 0x21)));
    drop(server);
    fs::write(&file, "\nwrong-key-limt = 3\n").unwrap();
    let socket = folder.path().join("other");
    refuses(
        &["serve", "--socket", text(&socket), "--quirks", text(&file)],
        &["wrong-key-limt", "line 2"],
    );
}
