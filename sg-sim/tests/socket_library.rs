//! A library over sockets: one for each unit, the drives in bay order and then the changer (`PROTOCOL.md`, beginning).
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod socket_support;

use nix::sys::signal::Signal;
use socket_support::{Client, Server, run};

const LIBRARY: &str = r#"
cartridges = "tapes"
model = "hp"
slots = 4

[[drive]]
serial = "1013000101"

[[drive]]
serial = "1013000102"

[[tape]]
barcode = "A00001L8"
"#;

const NO_MEDIUM: Option<(u8, u8, u8)> = Some((0x02, 0x3A, 0x00));

/// MOVE MEDIUM from the first slot (03E8h) to the second drive (01F5h), with the robot 0001h: SMC-3 6.6.
const TO_SECOND_DRIVE: [u8; 12] = [0xA5, 0, 0, 1, 0x03, 0xE8, 0x01, 0xF5, 0, 0, 0, 0];

fn described(folder: &std::path::Path) -> String {
    let file = folder.join("library.toml");
    std::fs::write(&file, LIBRARY).unwrap();
    file.into_os_string().into_string().unwrap()
}

/// A client of the unit with this number, past the unit attentions of the power on.
fn unit(server: &Server, number: usize) -> Client {
    let mut path = server.socket.clone().into_os_string();
    path.push(format!(".{number}"));
    let mut client = Client::connect(path.as_ref(), "host1");
    while client
        .test_unit_ready()
        .sense_code()
        .is_some_and(|sense| sense.0 == 0x06)
    {}
    client
}

#[test]
fn every_unit_has_a_socket_and_a_cartridge_moves_from_slot_to_drive() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Server::start(folder.path(), &["--library", &described(folder.path())]);
    let mut units = [0, 1, 2].map(|number| unit(&server, number));
    let types = units
        .each_mut()
        .map(|unit| unit.execute(&[0x12, 0, 0, 0, 36, 0], &[], 36).data_in[0] & 0x1F);
    assert_eq!(types, [0x01, 0x01, 0x08], "two drives and a changer");
    let [first, second, changer] = &mut units;
    assert_eq!(second.test_unit_ready().sense_code(), NO_MEDIUM);

    assert!(changer.execute(&TO_SECOND_DRIVE, &[], 0).is_good());
    second.until_ready();
    assert_eq!(first.test_unit_ready().sense_code(), NO_MEDIUM);
    assert!(second.set_key(1, [0x11; 32]).is_good());
    assert!(second.write(b"a block of the second drive").unwrap().is_good());

    assert_eq!(server.end(Signal::SIGTERM), Some(0));
    let kept = std::fs::read(folder.path().join("tapes/A00001L8.tape")).unwrap();
    let plain = b"a block of the second drive";
    assert!(
        !kept.windows(plain.len()).any(|window| window == plain),
        "a plain block in the file"
    );
    for number in 0..3 {
        assert!(
            !folder.path().join(format!("scsi.{number}")).exists(),
            "socket {number} is left"
        );
    }
}

#[test]
fn a_library_and_a_cartridge_at_once_are_a_contradiction() {
    let folder = tempfile::tempdir().unwrap();
    let ended = run(&[
        "serve",
        "--socket",
        "s",
        "--library",
        &described(folder.path()),
        "--cartridge",
        "c",
    ]);
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--library"));
}
