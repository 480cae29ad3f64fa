//! Stories about cartridge files: what survives, what is refused, and what an independent reader finds in one.
//!
//! What is found in one is found by a reader written from the description of the file, with another cipher library.

use crate::cartridge_reader::{FIRST_TABLE, headers};
use crate::initiator::{Initiator, KEY, OTHER_KEY};
use aes_gcm::{
    Aes256Gcm, Nonce, Tag,
    aead::{AeadInOut, KeyInit},
};
use proptest::{collection::vec, option, prelude::*, sample::Index};
use sg_sim::{Cartridge, CartridgeError, MediumSpec};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// A cartridge with a barcode.
pub(crate) fn spec() -> MediumSpec {
    MediumSpec {
        medium_serial: "A123".to_owned(),
        barcode: Some("A00123L8".to_owned()),
        ..MediumSpec::default()
    }
}

/// A drive with a new cartridge file in `directory`.
pub(crate) fn with_file(directory: &Path) -> (Initiator, PathBuf) {
    let path = directory.join("A00123L8.cart");
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::create(&path, &spec()).unwrap());
    (host, path)
}

/// Writes a plain block, a sealed one, a filemark, a sealed block.
pub(crate) fn write_four_objects(host: &mut Initiator) {
    host.write(b"plain block").good();
    host.encrypt_with(&KEY, b"\0\0\0\x04name");
    host.write(b"first secret").good();
    host.filemark();
    host.write(b"second secret").good();
}

#[test]
fn a_tape_is_read_in_another_drive_as_it_was_written_in_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);

    let mut other = Initiator::with_empty_drive();
    other.load(Cartridge::open(&path).unwrap());
    assert_eq!(other.read(11).good(), b"plain block");
    assert_eq!(other.next_block()[16..], *b"\0\x01\0\x04name");
    other.encrypt_with(&OTHER_KEY, &[]);
    assert_eq!(other.read(12).sense_code(), (7, 0x74, 0x03));
    other.encrypt_with(&KEY, &[]);
    assert_eq!(other.read(12).good(), b"first secret");
    assert_eq!(other.read(12).flags(), 0x80);
    assert_eq!(other.read(13).good(), b"second secret");
    assert_eq!(other.read(13).sense_code(), (8, 0, 5));
    let status = other.drive.status(None).medium.unwrap();
    assert_eq!(
        (
            status.objects,
            status.plain_blocks,
            status.encrypted_blocks,
            status.filemarks
        ),
        (4, 1, 2, 1)
    );
    assert_eq!((status.barcode.as_deref(), status.path), (Some("A00123L8"), Some(path)));
}

#[test]
fn a_header_cut_short_is_refused_and_left_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);
    let whole = fs::read(&path).unwrap();
    let cut = directory.path().join("cut.cart");
    for length in [0, 1, 7, 8, 9, 127, 128, 4095, 4096, 20_000, FIRST_TABLE - 1] {
        fs::write(&cut, &whole[..length]).unwrap();
        assert!(Cartridge::open(&cut).is_err(), "{length}");
        assert_eq!(fs::read(&cut).unwrap(), whole[..length]);
    }
}

#[test]
fn foreign_older_newer_and_busy_files_are_refused_and_left_as_they_are() {
    let directory = tempfile::tempdir().unwrap();
    let (host, path) = with_file(directory.path());
    assert!(matches!(Cartridge::open(&path), Err(CartridgeError::InUse { .. })));
    assert!(matches!(
        Cartridge::create(&path, &spec()),
        Err(CartridgeError::Exists { .. })
    ));
    drop(host);
    let [older, newer] = [1, 3].map(|version| {
        let mut bytes = fs::read(&path).unwrap();
        bytes[9] = version;
        bytes
    });
    let mut damaged = fs::read(&path).unwrap();
    damaged[40] ^= 1;
    for (bytes, expected) in [
        (older, "version 1"),
        (newer, "version 3"),
        (damaged, "damaged"),
        (b"#!/bin/sh\n".repeat(99), "not a cartridge"),
    ] {
        let file = directory.path().join("file");
        fs::write(&file, &bytes).unwrap();
        let error = Cartridge::open(&file).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("\nhint: "), "{error}");
        assert_eq!(fs::read(&file).unwrap(), bytes);
    }
    assert!(matches!(
        Cartridge::open(directory.path()),
        Err(CartridgeError::Io { .. } | CartridgeError::Foreign { .. })
    ));
    assert!(
        Cartridge::open(&directory.path().join("missing"))
            .unwrap_err()
            .to_string()
            .contains("missing")
    );
}

#[test]
fn impossible_cartridges_are_not_made() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.cart");
    for bad in [
        MediumSpec {
            medium_serial: String::new(),
            ..spec()
        },
        MediumSpec {
            medium_serial: "S".repeat(33),
            ..spec()
        },
        MediumSpec {
            barcode: Some("A\n0".to_owned()),
            ..spec()
        },
        MediumSpec {
            early_warning_bytes: 2,
            capacity_bytes: 1,
            ..spec()
        },
        MediumSpec {
            capacity_bytes: u64::MAX,
            ..spec()
        },
    ] {
        assert!(
            matches!(Cartridge::create(&path, &bad), Err(CartridgeError::Spec { .. })),
            "{bad:?}"
        );
        assert!(!path.exists());
    }
}

#[test]
fn a_damaged_plain_block_is_a_medium_error_and_a_damaged_sealed_one_fails_its_tag() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);
    let mut bytes = fs::read(&path).unwrap();
    let plain = position_of(&bytes, b"plain block");
    bytes[plain] ^= 1;
    let sealed = headers(&bytes)[1].payload_at;
    bytes[sealed] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(&path).unwrap());
    assert_eq!(host.read(11).sense_code(), (3, 0x11, 0));
    host.encrypt_with(&KEY, &[]);
    host.locate(1);
    let refused = host.read(12);
    assert_eq!(
        (refused.sense_code(), refused.data, host.position()),
        ((7, 0x74, 0x04), vec![], 1)
    );
    host.locate(3);
    assert_eq!(host.read(13).good(), b"second secret");
}

#[test]
fn damage_in_the_middle_costs_the_damaged_object_alone() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);
    let mut bytes = fs::read(&path).unwrap();
    let name = position_of(&bytes, b"name");
    bytes[name] ^= 1;
    fs::write(&path, &bytes).unwrap();

    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(&path).unwrap());
    host.encrypt_with(&KEY, &[]);
    host.locate(1);
    assert_eq!(
        (host.next_block_status(), host.read(12).sense_code()),
        (1, (3, 0x11, 0))
    );
    host.locate(2);
    assert_eq!(host.read(12).flags(), 0x80);
    assert_eq!(host.read(13).good(), b"second secret");
    assert_eq!(
        fs::read(&path).unwrap()[FIRST_TABLE..],
        bytes[FIRST_TABLE..],
        "reading repairs nothing"
    );
}

#[test]
fn the_write_protect_tab_and_the_attributes_are_kept_in_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    let list = b"\0\0\0\x0D\x08\x00\x01\0\x08SG-TEST ";
    host.exchange(&[0x8D, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0], list, 0)
        .good();
    host.drive.eject().unwrap().set_write_protected(true).unwrap();
    for loads in 2..5 {
        host.load(Cartridge::open(&path).unwrap());
        assert_eq!(host.write(b"no").sense_code(), (7, 0x27, 1));
        let vendor = host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1, 0, 0, 0]).good();
        assert_eq!(&vendor[4..17], b"\x08\x00\x01\0\x08SG-TEST ");
        let count = host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 1, 0, 0, 0]).good();
        assert_eq!(count[16], loads);
        host.drive.eject().unwrap();
    }
}

#[test]
fn another_cipher_library_opens_what_the_drive_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    drop(host);
    let bytes = fs::read(&path).unwrap();
    let mut nonces = vec![];
    let mut opened = vec![];
    for header in headers(&bytes).iter().filter(|header| header.kind == 2) {
        let head = &bytes[header.at..header.at + header.length - 4];
        let cipher = Aes256Gcm::new(&KEY.into());
        let mut block = bytes[header.payload_at..header.payload_at + header.payload_bytes].to_vec();
        let nonce: [u8; 12] = head[28..40].try_into().unwrap();
        let tag: [u8; 16] = head[12..28].try_into().unwrap();
        cipher
            .decrypt_inout_detached(
                &Nonce::from(nonce),
                &head[52..],
                block.as_mut_slice().into(),
                &Tag::from(tag),
            )
            .unwrap();
        assert_eq!(head[72..80], key_check(&KEY));
        nonces.push(nonce);
        opened.push(block);
    }
    assert_eq!(opened, [b"first secret".to_vec(), b"second secret".to_vec()]);
    assert_ne!(nonces[0], nonces[1]);
}

#[test]
fn the_file_holds_no_plain_text_of_sealed_blocks_and_no_key() {
    let directory = tempfile::tempdir().unwrap();
    let (mut host, path) = with_file(directory.path());
    write_four_objects(&mut host);
    host.drive.eject();
    let bytes = fs::read(&path).unwrap();
    for secret in [&b"first secret"[..], b"second secret", &KEY] {
        assert!(!bytes.windows(secret.len()).any(|window| window == secret));
    }
    assert!(bytes.windows(11).any(|window| window == b"plain block"));
}

fn key_check(key: &[u8]) -> [u8; 8] {
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, key);
    aws_lc_rs::hmac::sign(&key, b"sg-sim key check v1").as_ref()[..8]
        .try_into()
        .unwrap()
}

fn position_of(bytes: &[u8], needle: &[u8]) -> usize {
    bytes.windows(needle.len()).position(|window| window == needle).unwrap()
}

#[test]
fn a_file_written_from_the_description_alone_is_read() {
    let vector: serde_json::Value = serde_json::from_str(include_str!("../vectors/cartridge-v2.json")).unwrap();
    let text = |name: &str| hex::decode(vector[name].as_str().unwrap()).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("vector.cart");
    let mut bytes = vec![];
    for part in vector["parts"].as_array().unwrap() {
        bytes.resize(usize::try_from(part["at"].as_u64().unwrap()).unwrap(), 0);
        bytes.extend(hex::decode(part["bytes"].as_str().unwrap()).unwrap());
    }
    fs::write(&path, &bytes).unwrap();

    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(&path).unwrap());
    let medium = host.drive.status(None).medium.unwrap();
    assert_eq!(
        (medium.medium_serial.as_str(), medium.barcode.as_deref()),
        ("VECTOR1", Some("VEC001L8"))
    );
    assert_eq!(host.read(13).good(), text("plain_block"));
    assert_eq!(host.read(13).flags(), 0x80);
    let next = host.next_block();
    assert_eq!((next[12], next[14]), (6, 0), "raw-enabled");
    assert_eq!(next[16..], *b"\0\x01\0\x04name\x01\x02\0\x02ak");
    let key: [u8; 32] = text("key").try_into().unwrap();
    host.encrypt_with(&key, &[]);
    assert_eq!(host.next_block()[24..], *b"\x01\x03\0\x02ak");
    assert_eq!(host.read(12).good(), text("sealed_block"));
    assert_eq!(host.read(12).sense_code(), (8, 0, 5), "the next one went with the cut");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage anywhere: an error or a tape that can be read to its end, never a panic, and never a wrong block.
    #[test]
    fn a_damaged_file_is_refused_or_read_without_surprises(
        damage in vec((any::<Index>(), any::<u8>()), 0..8),
        cut in option::of(any::<Index>()),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (mut host, path) = with_file(directory.path());
        write_four_objects(&mut host);
        drop(host);
        let mut bytes = fs::read(&path).unwrap();
        let places = bytes.len();
        let payloads = headers(&bytes)[0].payload_at;
        for (index, value) in damage {
            // Mostly in headers and payloads, which are the smaller part of this file.
            let at = match value % 4 {
                0 => index.index(places),
                1 => payloads + index.index(places - payloads),
                _ => FIRST_TABLE + index.index(400),
            };
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(places));
        }
        fs::write(&path, &bytes).unwrap();
        if let Ok(cartridge) = Cartridge::open(&path) {
            read_to_the_end(cartridge);
        }
    }
}

fn read_to_the_end(cartridge: Cartridge) {
    let mut host = Initiator::with_empty_drive();
    host.load(cartridge);
    host.load_key(0x40, 0x40, [2, 3], &KEY, &[]).good();
    let objects = host.drive.status(None).medium.unwrap().objects;
    let written = [&b"plain block"[..], b"first secret", b"", b"second secret"];
    for object in 0..objects {
        host.locate(u8::try_from(object).unwrap());
        host.next_block();
        let block = host.exchange(&[0x08, 2, 0, 0, 64, 0], &[], 64);
        if block.status == sg_sim::Status::GOOD {
            assert_eq!(block.data, written[usize::try_from(object).unwrap()]);
        }
    }
}
