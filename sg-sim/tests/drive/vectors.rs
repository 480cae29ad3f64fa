//! The shared vectors: bytes that real drives sent and that real clients send. The drive must take the one and say the other.

use crate::initiator::Initiator;
use serde_json::Value;
use sg_sim::{Cartridge, MediumSpec, Profile, Status};

const KEY: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/scsi.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn bytes(vector: &Value) -> Vec<u8> {
    let text = vector["bytes"].as_str().unwrap().replace("K32", KEY).replace(' ', "");
    hex::decode(text).unwrap()
}

/// The one vector of this kind and name.
fn named(vectors: &Value, kind: &str, name: &str) -> Vec<u8> {
    let found = vectors[kind]
        .as_array()
        .unwrap()
        .iter()
        .find(|vector| vector["name"] == name);
    bytes(found.unwrap_or_else(|| panic!("no vector {kind}: {name}")))
}

/// A drive that has the capabilities of the captured one, with a blank tape.
fn drive_with(algorithm_index: u8) -> Initiator {
    let mut profile = Profile::ibm_lto8();
    profile.encryption.algorithm_index = algorithm_index;
    profile.encryption.kad_format_capable = true;
    profile.encryption.vcelb_capable = true;
    let mut host = Initiator::of(profile);
    host.load(Cartridge::in_memory(&MediumSpec::default()).unwrap());
    host
}

#[test]
fn takes_every_page_that_clients_send() {
    let vectors = vectors();
    for vector in vectors["set_data_encryption"].as_array().unwrap() {
        let field = |name: &str| u8::try_from(vector[name].as_u64().unwrap()).unwrap();
        let mut host = drive_with(field("algorithm_index"));
        host.set_data_encryption(&bytes(vector)).good();
        let status = host.status_page();
        assert_eq!(
            (status[5], status[6]),
            (field("encryption_mode"), field("decryption_mode")),
            "{vector}"
        );
        let scope = ["public", "local", "all_it_nexus"]
            .iter()
            .position(|scope| vector["scope"] == *scope)
            .unwrap();
        assert_eq!(usize::from(status[4] >> 5), scope, "{vector}");
        let name = hex::decode(vector["u_kad"].as_str().unwrap()).unwrap();
        assert_eq!(status.get(28..).unwrap_or_default(), name, "{vector}");
        host.drive.eject();
        let kept = host.drive.status(Some(&host.nexus)).encryption_mode != 0;
        let cleared_on_demount = vector["clear_key_on_demount"].as_bool().unwrap();
        assert_eq!(kept, field("encryption_mode") != 0 && !cleared_on_demount, "{vector}");
    }
}

#[test]
fn takes_every_cdb_that_clients_send() {
    let vectors = vectors();
    for vector in vectors["cdbs"].as_array().unwrap() {
        let mut host = drive_with(1);
        let page = named(&vectors, "set_data_encryption", "on");
        let answer = host.exchange(&bytes(vector), &page, 8192);
        assert_eq!(answer.status, Status::GOOD, "{vector}");
    }
}

#[test]
fn says_what_drives_say_of_themselves() {
    let vectors = vectors();
    let mut host = drive_with(1);
    assert_eq!(
        host.security_page(0x00, 0x00).good(),
        named(&vectors, "supported_protocols", "host managed")
    );
    assert_eq!(
        host.security_page(0x20, 0x01).good(),
        named(&vectors, "supported_pages", "write: one page")
    );
    assert_eq!(
        host.security_page(0x20, 0x11).good(),
        named(&vectors, "key_formats", "plain only")
    );
    assert_eq!(
        host.security_page(0x20, 0x12).good(),
        named(&vectors, "management", "HP LTO-5")
    );
    let seven = named(&vectors, "supported_pages", "read: seven pages");
    assert_eq!(
        host.security_page(0x20, 0x00).good()[4..18],
        seven[4..],
        "and page 0030h behind them"
    );
}

#[test]
fn shows_the_captured_status_pages() {
    let vectors = vectors();
    let mut host = drive_with(1);
    assert_eq!(host.status_page(), named(&vectors, "status", "idle"));
    // CEEM 0 and raw-enabled blocks: byte 12 of the capture has neither CEEMS nor RDMD.
    let mut page = named(&vectors, "set_data_encryption", "on with a name");
    page[5] = 0x20;
    host.set_data_encryption(&page).good();
    let without_encrypted_block = named(&vectors, "status", "encrypting, named key");
    let shown = host.status_page();
    assert_eq!(shown[..25], without_encrypted_block[..25]);
    assert_eq!(
        shown[26..],
        without_encrypted_block[26..],
        "AUTHENTICATED (25) is 0 in that capture"
    );
    host.write(b"secret").good();
    assert_eq!(
        host.status_page(),
        named(&vectors, "status", "encrypting, named key, VCELB")
    );
}

#[test]
fn shows_the_captured_next_block_pages() {
    let vectors = vectors();
    let mut host = drive_with(1);
    host.write(b"plain").good();
    host.rewind();
    assert_eq!(host.next_block(), named(&vectors, "next_block", "plain"));
    let mut page = named(&vectors, "set_data_encryption", "on with a name");
    page[5] = 0x20;
    host.set_data_encryption(&page).good();
    host.locate(1);
    host.write(b"secret").good();
    host.locate(1);
    assert_eq!(host.next_block(), named(&vectors, "next_block", "encrypted, key fits"));

    (page[5], page[10]) = (0x30, 2);
    host.set_data_encryption(&page).good();
    host.rewind();
    host.write(b"secret").good();
    host.clear_key();
    host.rewind();
    let shown = host.next_block();
    let captured = named(&vectors, "next_block", "encrypted, key missing");
    assert_eq!((&shown[..14], &shown[15..]), (&captured[..14], &captured[15..]));
    assert_eq!(shown[14], 1, "this block is raw-disabled");
}

/// Key, code, qualifier, flags and field pointer of the captured sense; what an HP drive puts into bytes 15 to 17 otherwise is its own.
#[test]
fn fails_with_the_captured_sense() {
    let vectors = vectors();
    let mut host = drive_with(1);
    let mut failures = vec![];
    let mut page = named(&vectors, "set_data_encryption", "on");
    page[8] = 0;
    failures.push(("index 0 refused", host.set_data_encryption(&page)));
    failures.push(("bad VPD page", host.ask(&[0x12, 1, 0x99, 0, 255, 0])));
    failures.push(("invalid operation code", host.send(&[0x07, 0, 0, 0, 0, 0])));
    failures.push(("end of data", host.read(4)));
    host.filemark();
    host.rewind();
    failures.push(("filemark", host.exchange(&[0x08, 0, 0x08, 0, 0, 0], &[], 16)));
    host.drive.eject();
    failures.push(("no medium", host.send(&[0; 6])));
    assert_eq!(failures.len(), vectors["sense"].as_array().unwrap().len());
    for (name, answer) in failures {
        let captured = named(&vectors, "sense", name);
        assert_eq!(answer.sense[2], captured[2], "{name}: flags and key");
        assert_eq!(answer.sense[12..14], captured[12..14], "{name}: code and qualifier");
        if captured[15] & 0x80 != 0 {
            assert_eq!(answer.sense[15..18], captured[15..18], "{name}: field pointer");
        }
    }
}
