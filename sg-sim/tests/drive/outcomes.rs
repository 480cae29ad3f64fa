//! What becomes of each kind of block in each mode: the tables of READ by decryption mode and WRITE by encryption mode, cell by cell.

use crate::cartridge_reader::headers;
use crate::initiator::{Answer, Initiator, KEY, OTHER_KEY};
use sg_sim::{Cartridge, MediumSpec};
use std::{fs, path::Path};

/// DECRYPTION MODE.
const MODES: [u8; 4] = [0, 1, 2, 3];

/// What is read, by object number, all of five bytes.
const PLAIN: u8 = 0;
const FITS: u8 = 1;
const FITS_RAW_ENABLED: u8 = 2;
const OTHER: u8 = 3;
const BAD_TAG: u8 = 4;
const UNKNOWN_ALGORITHM: u8 = 5;
const UNKNOWN_ALGORITHM_RAW_ENABLED: u8 = 6;
const FILEMARK: u8 = 7;
const END: u8 = 8;

/// CRC-32C, continued from `crc`.
fn crc32c(crc: u32, bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!crc, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0x82F6_3B78 & (0_u32.wrapping_sub(crc & 1)))
        })
    })
}

/// Gives the record whose header is at `at` another algorithm and a header that is whole again; it has no KADs.
fn set_algorithm(bytes: &mut [u8], at: usize) {
    bytes[at + 61] = 9;
    let seed = u32::from_be_bytes(bytes[124..128].try_into().unwrap());
    let crc = crc32c(seed, &bytes[at..at + 80]);
    bytes[at + 80..at + 84].copy_from_slice(&crc.to_be_bytes());
}

/// A tape with one object of each kind, the head at its beginning.
fn tape_of_every_kind(folder: &Path) -> Initiator {
    let path = folder.join("kinds.cart");
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::create(&path, &MediumSpec::default()).unwrap());
    host.write(b"plain").good();
    let seals = [
        (0x40, &KEY),
        (0x60, &KEY),
        (0x40, &OTHER_KEY),
        (0x40, &KEY),
        (0x40, &KEY),
        (0x60, &KEY),
    ];
    for (control, key) in seals {
        host.load_key(0x40, control, [2, 2], key, &[]).good();
        host.write(b"block").good();
    }
    host.filemark();
    host.clear_key();
    host.drive.eject();
    let mut bytes = fs::read(&path).unwrap();
    let places: Vec<usize> = headers(&bytes).iter().map(|header| header.at).collect();
    bytes[places[usize::from(BAD_TAG)] + 12] ^= 1;
    set_algorithm(&mut bytes, places[usize::from(UNKNOWN_ALGORITHM)]);
    set_algorithm(&mut bytes, places[usize::from(UNKNOWN_ALGORITHM_RAW_ENABLED)]);
    // The tag is under the header's CRC too.
    let seed = u32::from_be_bytes(bytes[124..128].try_into().unwrap());
    let at = places[usize::from(BAD_TAG)];
    let crc = crc32c(seed, &bytes[at..at + 80]);
    bytes[at + 80..at + 84].copy_from_slice(&crc.to_be_bytes());
    fs::write(&path, bytes).unwrap();
    host.load(Cartridge::open(&path).unwrap());
    host
}

fn set_modes(host: &mut Initiator, control: u8, modes: [u8; 2]) {
    if modes == [0, 0] {
        host.clear_key();
    } else {
        host.load_key(0x40, control, modes, &KEY, &[]).good();
    }
}

fn read_object(host: &mut Initiator, object: u8) -> Answer {
    host.locate(object);
    host.read(5)
}

#[test]
fn every_kind_of_block_is_read_as_the_decryption_mode_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = tape_of_every_kind(folder.path());
    let data = None;
    let sense = |ascq| Some((7, 0x74, ascq));
    // By DECRYPTION MODE: DISABLE, RAW, DECRYPT, MIXED.
    let table = [
        (PLAIN, [data, data, sense(2), data]),
        (FITS, [sense(1), sense(0x0A), data, data]),
        (FITS_RAW_ENABLED, [sense(1), data, data, data]),
        (OTHER, [sense(1), sense(0x0A), sense(3), sense(3)]),
        (BAD_TAG, [sense(1), sense(0x0A), sense(4), sense(4)]),
        (UNKNOWN_ALGORITHM, [sense(1), sense(0x0A), sense(1), sense(1)]),
        (UNKNOWN_ALGORITHM_RAW_ENABLED, [sense(1), data, sense(1), sense(1)]),
        (FILEMARK, [Some((0, 0, 1)); 4]),
        (END, [Some((8, 0, 5)); 4]),
    ];
    for (object, row) in table {
        for (mode, expected) in MODES.into_iter().zip(row) {
            set_modes(&mut host, 0x40, [0, mode]);
            let answer = read_object(&mut host, object);
            let place = format!("object {object}, decryption mode {mode}");
            let passed = u32::from(expected == data || object == FILEMARK);
            assert_eq!(host.position(), u32::from(object) + passed, "{place}");
            match expected {
                None => assert_eq!(answer.good().len(), 5, "{place}"),
                Some(code) => {
                    assert_eq!((answer.sense_code(), answer.data.len()), (code, 0), "{place}");
                    assert_eq!(answer.information(), Some(5), "{place}");
                }
            }
        }
    }
}

#[test]
fn raw_data_is_cipher_text_and_decrypted_data_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = tape_of_every_kind(folder.path());
    set_modes(&mut host, 0x40, [0, 1]);
    assert_ne!(read_object(&mut host, FITS_RAW_ENABLED).good(), b"block");
    assert_eq!(read_object(&mut host, PLAIN).good(), b"plain");
    set_modes(&mut host, 0x40, [0, 2]);
    assert_eq!(read_object(&mut host, FITS_RAW_ENABLED).good(), b"block");
}

#[test]
fn a_check_of_the_encryption_mode_hits_encrypted_blocks_in_every_mode_that_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = tape_of_every_kind(folder.path());
    for mode in [1, 2, 3] {
        set_modes(&mut host, 0xC0, [0, mode]);
        for object in [FITS, FITS_RAW_ENABLED, OTHER] {
            assert_eq!(
                read_object(&mut host, object).sense_code(),
                (7, 0x74, 0x09),
                "mode {mode}"
            );
        }
        // No block was written in EXTERNAL mode, so a check against that mode changes nothing.
        set_modes(&mut host, 0x80, [0, mode]);
        assert_ne!(read_object(&mut host, FITS).sense.get(13), Some(&0x09), "mode {mode}");
    }
}

#[test]
fn the_next_block_is_described_as_the_decryption_mode_says() {
    let folder = tempfile::tempdir().unwrap();
    let mut host = tape_of_every_kind(folder.path());
    let table = [
        (PLAIN, [3; 4]),
        (FITS, [6, 6, 5, 5]),
        (OTHER, [6; 4]),
        (BAD_TAG, [6, 6, 5, 5]),
        (UNKNOWN_ALGORITHM, [4; 4]),
        (FILEMARK, [2; 4]),
        (END, [1; 4]),
    ];
    for (object, row) in table {
        for (mode, expected) in MODES.into_iter().zip(row) {
            set_modes(&mut host, 0x40, [0, mode]);
            host.locate(object);
            assert_eq!(
                host.next_block_status(),
                expected,
                "object {object}, decryption mode {mode}"
            );
            assert_eq!(host.position(), u32::from(object));
        }
    }
}

#[test]
fn every_encryption_mode_writes_as_the_table_says() {
    let mut host = Initiator::with_blank_tape();
    // Both modes DISABLE, then decryption alone: plain. ENCRYPT with any decryption mode: encrypted.
    for modes in [[0, 0], [0, 2], [0, 3], [0, 1], [2, 0], [2, 1], [2, 2], [2, 3]] {
        host.rewind();
        set_modes(&mut host, 0x40, modes);
        host.write(b"block").good();
        host.rewind();
        let status = host.next_block_status();
        assert_eq!(status == 3, modes[0] == 0, "{modes:?}");
    }
}

#[test]
fn a_key_may_change_at_any_block_and_the_old_one_still_reads_what_it_wrote() {
    let mut host = Initiator::with_blank_tape();
    for key in [&KEY, &OTHER_KEY, &KEY] {
        host.encrypt_with(key, &[]);
        host.write(b"block").good();
    }
    host.locate(1);
    assert_eq!(host.read(5).sense_code(), (7, 0x74, 0x03));
    host.encrypt_with(&OTHER_KEY, &[]);
    host.read(5).good();
    assert_eq!(host.read(5).sense_code(), (7, 0x74, 0x03));
}

#[test]
fn a_refused_page_leaves_the_parameters_in_force() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x41, 0x44, [2, 2], &KEY, b"\0\0\0\x04name").good();
    let before = host.status_page();
    for (scope, control, modes) in [
        (0x60, 0x40, [2, 2]),
        (0x40, 0x41, [2, 2]),
        (0x40, 0x42, [2, 2]),
        (0x40, 0x48, [2, 2]),
        (0x40, 0x50, [2, 2]),
        (0x40, 0x80, [2, 0]),
        (0x40, 0x40, [1, 2]),
        (0x40, 0x40, [2, 4]),
    ] {
        let refused = host.load_key(scope, control, modes, &OTHER_KEY, &[]);
        assert_eq!(
            refused.sense_code(),
            (5, 0x26, 0),
            "{scope:02X}h {control:02X}h {modes:?}"
        );
        assert!(refused.field().is_some_and(|(in_cdb, _)| !in_cdb));
        assert_eq!(host.status_page(), before);
    }
    host.write(b"still mine").good();
}

#[test]
fn keys_in_formats_and_pages_that_the_drive_lacks_are_refused() {
    let mut host = Initiator::with_blank_tape();
    // Wrapped with the drive's public key (02h), inside ESP-SCSI (03h), a vendor's reference (01h).
    for format in [1, 2, 3] {
        let mut page = vec![
            0x00, 0x10, 0x00, 0x30, 0x40, 0x40, 2, 2, 1, format, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
        ];
        page.extend_from_slice(&KEY);
        let refused = host.set_data_encryption(&page);
        assert_eq!(
            (refused.sense_code(), refused.field()),
            ((5, 0x26, 0), Some((false, 9)))
        );
    }
    assert_eq!(host.security_page(0x20, 0x11).good(), [0x00, 0x11, 0x00, 0x01, 0x00]);
    let public_key = host.security_page(0x20, 0x31);
    assert_eq!(
        (public_key.sense_code(), public_key.field()),
        ((5, 0x24, 0), Some((true, 2)))
    );
    for page in [0x11, 0x22] {
        let refused = host.exchange(&[0xB5, 0x20, 0, page, 0, 0, 0, 0, 0, 4, 0, 0], &[0, page, 0, 0], 0);
        assert_eq!((refused.sense_code(), refused.field()), ((5, 0x24, 0), Some((true, 2))));
    }
}
