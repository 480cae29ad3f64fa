//! The drive's time on the sockets: virtual, moved on by an order, and real (`serve --time`).

#![expect(clippy::unwrap_used, reason = "a test stops where it stands")]

mod socket_support;

use std::time::{Duration, Instant};

use socket_support::Server;

fn start(folder: &std::path::Path, pace: &str) -> Server {
    let file = folder.join("a.cart");
    Server::start(
        folder,
        &["--time", pace, "--create", "--cartridge", file.to_str().unwrap()],
    )
}

#[test]
fn a_virtual_load_ends_on_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "virtual");
    let mut client = server.client("host1");
    assert_eq!(client.test_unit_ready().sense_code(), Some((6, 0x29, 0)));
    assert_eq!(client.test_unit_ready().sense_code(), Some((2, 0x04, 1)));
    server.control().order(r#"{"verb":"advance","milliseconds":15000}"#);
    assert_eq!(client.test_unit_ready().sense_code(), Some((6, 0x28, 0)));
    assert!(client.test_unit_ready().is_good());
    assert_eq!(server.control().status()["elapsed_ms"], 16_000);
}

#[test]
fn a_real_command_keeps_its_client_waiting_and_control_answers_meanwhile() {
    let folder = tempfile::tempdir().unwrap();
    let server = start(folder.path(), "real");
    let mut client = server.client("host1");
    let mut control = server.control();
    control.order(r#"{"verb":"advance","milliseconds":15000}"#);
    client.until_ready();
    let began = Instant::now();
    let sequence = client.send(&[0x10, 0, 0, 0, 1, 0], &[], 0).unwrap();
    control.until("filemarks", 1);
    assert!(began.elapsed() < Duration::from_millis(1_400), "control does not wait");
    assert!(client.receive(sequence).unwrap().is_good());
    assert!(began.elapsed() >= Duration::from_millis(1_500));
}
