//! A connection is not a nexus: what one shares, and what a close does not end (`PROTOCOL.md` 1.6).

mod socket_support;

use socket_support::Server;

const POWER_ON: Option<(u8, u8, u8)> = Some((0x06, 0x29, 0x00));

#[test]
fn connections_of_one_nexus_share_a_unit_attention_and_another_nexus_has_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let (mut sg, mut st, mut other) = (server.client("host1"), server.client("host1"), server.client("host2"));
    sg.until_ready();
    assert!(st.test_unit_ready().is_good());
    assert_eq!(other.test_unit_ready().sense_code(), POWER_ON);
    other.until_ready();

    server.control().order(r#"{"verb":"reset"}"#);
    let told = st.test_unit_ready().sense_code().unwrap();
    assert_eq!((told.0, told.1), (0x06, 0x29));
    assert!(sg.test_unit_ready().is_good());
    let told = other.test_unit_ready().sense_code().unwrap();
    assert_eq!((told.0, told.1), (0x06, 0x29));
}

#[test]
fn closing_a_connection_is_no_nexus_loss() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut first = server.client("host1");
    first.until_ready();
    assert!(first.set_key(1, [0x11; 32]).is_good());
    drop(first);
    let mut second = server.client("host1");
    assert!(second.test_unit_ready().is_good());
    let status = server.control().ask(r#"{"verb":"status","nexus":"host1"}"#);
    assert_eq!(
        (&status["status"]["encryption"], &status["status"]["decryption"]),
        (&"encrypt".into(), &"decrypt".into())
    );

    server.control().order(r#"{"verb":"nexus-loss","nexus":"host1"}"#);
    assert_eq!(second.test_unit_ready().sense_code(), Some((0x06, 0x29, 0x07)));
}

#[test]
fn requests_sent_ahead_are_answered_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::with_cartridge(folder.path());
    let mut client = server.client("host1");
    client.until_ready();
    let sent: Vec<_> = (0..50)
        .map(|_| client.send(&[0x12, 0, 0, 0, 36, 0], &[], 36).unwrap())
        .collect();
    for sequence in sent {
        assert_eq!(client.receive(sequence).unwrap().data_in.len(), 36);
    }
}
