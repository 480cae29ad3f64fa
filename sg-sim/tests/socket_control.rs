//! The switches of the control socket, each seen from the SCSI socket (`PROTOCOL.md` part 2).

mod socket_support;

use std::io::{ErrorKind, Read};
use std::time::Duration;

use socket_support::{Server, program};

/// How long a test looks for an answer that must not come.
const LOOK: Duration = Duration::from_millis(200);

#[test]
fn hang_holds_scsi_answers_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"hang","on":true}"#);
    let sequence = client.send(&[0; 6], &[], 0).unwrap();
    client.stream.set_read_timeout(Some(LOOK)).unwrap();
    assert_eq!(
        client.stream.read(&mut [0; 1]).unwrap_err().kind(),
        ErrorKind::WouldBlock
    );
    let mut late = server.client("host1");
    assert_eq!(control.status()["hang"], true);
    assert_eq!(server.control().status()["loaded"], true);

    control.order(r#"{"verb":"hang","on":false}"#);
    client.stream.set_read_timeout(Some(socket_support::LIMIT)).unwrap();
    assert!(client.receive(sequence).unwrap().is_good());
    assert!(late.test_unit_ready().is_good());
}

#[test]
fn a_command_whose_client_left_during_the_hang_is_not_executed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"hang","on":true}"#);
    client.send(&[0x0A, 0, 0, 0, 4, 0], b"late", 0).unwrap();
    control.until("waiting", 1);
    drop(client);
    control.until("waiting", 0);
    control.order(r#"{"verb":"hang","on":false}"#);
    let mut next = server.client("host1");
    assert!(next.test_unit_ready().is_good());
    assert_eq!(control.status()["objects"], 0);
}

#[test]
fn a_drive_can_start_hung() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &["--hang"]);
    let mut control = server.control();
    assert_eq!(control.status()["hang"], true);
    let mut client = server.client("host1");
    let sequence = client.send(&[0x12, 0, 0, 0, 36, 0], &[], 36).unwrap();
    control.order(r#"{"verb":"hang","on":false}"#);
    assert_eq!(client.receive(sequence).unwrap().data_in.len(), 36);
}

#[test]
fn a_transport_outcome_replaces_as_many_answers_as_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"transport-error","host_status":8,"count":2}"#);
    for _ in 0..2 {
        let response = client.write(b"lost").unwrap();
        assert_eq!(
            (
                response.kind,
                response.code,
                response.sense.len(),
                response.data_in.len()
            ),
            (1, 8, 0, 0)
        );
    }
    assert!(client.test_unit_ready().is_good());
    assert_eq!(control.status()["objects"], 0);

    control.order(r#"{"verb":"transport-error","host_status":3,"executed":true}"#);
    assert_eq!(client.write(b"done").unwrap().kind, 1);
    assert!(client.test_unit_ready().is_good());
    assert_eq!(control.status()["objects"], 1);

    control.order(r#"{"verb":"transport-error","host_status":1,"count":9}"#);
    control.order(r#"{"verb":"transport-error","host_status":0}"#);
    assert!(client.test_unit_ready().is_good());
}

#[test]
fn a_refused_spout_ends_with_the_sense_that_was_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    control.order(r#"{"verb":"refuse-spout","sense":"05/74/21"}"#);
    assert_eq!(client.set_key(1, [0x22; 32]).sense_code(), Some((0x05, 0x74, 0x21)));
    assert_eq!(control.status()["encryption"], "disable");
    control.order(r#"{"verb":"refuse-spout","sense":"off"}"#);
    assert!(client.set_key(1, [0x22; 32]).is_good());
    assert_eq!(control.status()["encryption"], "encrypt");
}

#[test]
fn a_library_managed_drive_shows_it_in_the_way_that_was_ordered() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    assert!(client.spin(0x00, 0x0000, 64).data_in.contains(&0x20));
    control.order(r#"{"verb":"library-managed","mode":"list"}"#);
    client.test_unit_ready();
    assert!(!client.spin(0x00, 0x0000, 64).data_in.contains(&0x20));
    assert_eq!(client.spin(0x20, 0x0010, 64).sense_code(), Some((0x05, 0x24, 0x00)));
    control.order(r#"{"verb":"library-managed","mode":"cfgp"}"#);
    client.test_unit_ready();
    assert!(client.spin(0x20, 0x0010, 64).is_good());
    assert!(!client.set_key(1, [0x33; 32]).is_good());
    control.order(r#"{"verb":"library-managed","mode":"off"}"#);
    client.test_unit_ready();
    assert!(client.set_key(1, [0x33; 32]).is_good());
}

#[test]
fn events_reach_the_nexus_as_unit_attentions() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    let mut control = server.control();
    for (verb, asc) in [
        ("key-dropped", 0x2A),
        ("another-nexus-sets-a-key", 0x2A),
        ("reset", 0x29),
        ("power-cycle", 0x29),
    ] {
        client.until_ready();
        assert!(client.set_key(1, [0x44; 32]).is_good());
        control.order(&format!(r#"{{"verb":"{verb}"}}"#));
        let told = client.test_unit_ready().sense_code().unwrap();
        assert_eq!((told.0, told.1), (0x06, asc), "{verb}");
    }
}

#[test]
fn the_status_counts_plain_and_encrypted_blocks() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    assert!(client.write(b"plain").unwrap().is_good());
    assert!(client.execute(&[0x10, 0, 0, 0, 1, 0], &[], 0).is_good());
    assert!(client.set_key(1, [0x55; 32]).is_good());
    assert!(client.write(b"secret").unwrap().is_good());
    let status = server.control().status();
    let counts =
        ["objects", "blocks", "filemarks", "plain_blocks", "encrypted_blocks"].map(|name| status[name].as_u64());
    assert_eq!(counts, [3, 2, 1, 1, 1].map(Some));
    assert_eq!(status["position"], serde_json::json!({"partition": 0, "object": 3}));
    assert_eq!(
        (&status["medium_serial"], &status["barcode"]),
        (&"A00001X1".into(), &"A00001L8".into())
    );
}

#[test]
fn a_cartridge_goes_out_and_another_comes_in() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let mut control = server.control();
    let second = folder.path().join("second.cart");
    let made = program()
        .arg("create")
        .arg(&second)
        .args(["--medium-serial", "B00002X2", "--barcode", "B00002L8"])
        .status();
    assert!(made.unwrap().success());
    let load = serde_json::json!({"verb": "load", "file": second}).to_string();
    assert_eq!(control.ask(&load)["ok"], false);
    control.order(r#"{"verb":"eject"}"#);
    assert_eq!(control.ask(r#"{"verb":"eject"}"#)["ok"], false);
    assert_eq!(control.status()["loaded"], false);
    control.order(&load);
    assert_eq!(control.status()["barcode"], "B00002L8");
    assert_eq!(client.test_unit_ready().sense_code(), Some((0x06, 0x28, 0x00)));
}

#[test]
fn an_order_is_refused_with_its_reason_and_a_foreign_line_closes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), &[]);
    let mut control = server.control();
    let answer = control.ask(r#"{"verb":"load","file":"relative"}"#);
    assert!(
        answer["error"].as_str().unwrap().contains("relative") && answer["hint"].is_string(),
        "{answer}"
    );
    assert_eq!(control.status()["loaded"], false);
    let answer = control.ask(r#"{"verb":"explode"}"#);
    assert_eq!(answer["ok"], false);
    assert!(control.is_closed());
}
