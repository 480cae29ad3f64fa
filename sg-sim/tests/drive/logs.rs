//! Stories about what a drive counts and raises: log pages, TapeAlert, and the memory of the cartridge.

use crate::initiator::{Initiator, KEY};
use sg_sim::{Cartridge, Event, MediumSpec};
use std::fs;

/// A log page, cumulative values, from parameter 0.
fn log_page(host: &mut Initiator, page: u8) -> Vec<u8> {
    host.ask(&[0x4D, 0, 0x40 | page, 0, 0, 0, 0, 0x20, 0, 0]).good()
}

/// The value of a log parameter.
fn parameter(host: &mut Initiator, page: u8, code: u16) -> Vec<u8> {
    let page = log_page(host, page);
    assert_eq!(usize::from(u16::from_be_bytes([page[2], page[3]])) + 4, page.len());
    let mut rest = &page[4..];
    while let [high, low, _, length, behind @ ..] = rest {
        let (value, after) = behind.split_at(usize::from(*length));
        if u16::from_be_bytes([*high, *low]) == code {
            return value.to_vec();
        }
        rest = after;
    }
    panic!("no parameter {code:04X}h");
}

fn number(host: &mut Initiator, page: u8, code: u16) -> u64 {
    parameter(host, page, code)
        .iter()
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// Flags of the TapeAlert page, which reading lowers.
fn alerts(host: &mut Initiator) -> Vec<u8> {
    let page = log_page(host, 0x2E);
    (1..=64)
        .filter(|flag| page[4 + (usize::from(*flag) - 1) * 5 + 4] == 1)
        .collect()
}

/// Flags of the TapeAlert Response page, which reading leaves up.
fn alerts_left_up(host: &mut Initiator) -> Vec<u8> {
    let bits = parameter(host, 0x12, 0);
    (1..=64)
        .filter(|flag| bits[usize::from(*flag - 1) / 8] & (0x80 >> ((flag - 1) % 8)) != 0)
        .collect()
}

/// MAM attribute value.
fn attribute(host: &mut Initiator, identifier: u16) -> Vec<u8> {
    let [high, low] = identifier.to_be_bytes();
    let answer = host
        .ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, high, low, 0, 0, 0x40, 0, 0, 0])
        .good();
    assert_eq!(answer[4..6], [high, low]);
    answer[9..9 + usize::from(u16::from_be_bytes([answer[7], answer[8]]))].to_vec()
}

#[test]
fn every_page_of_the_list_can_be_read_with_and_without_a_tape() {
    for mut host in [Initiator::with_empty_drive(), Initiator::with_blank_tape()] {
        let list = log_page(&mut host, 0x00);
        for page in &list[4..] {
            let answer = log_page(&mut host, *page);
            assert_eq!(answer[0], *page);
            assert_eq!(
                usize::from(u16::from_be_bytes([answer[2], answer[3]])) + 4,
                answer.len()
            );
        }
    }
}

#[test]
fn bytes_are_counted_both_ways_and_reset_where_they_can_be() {
    let mut host = Initiator::with_blank_tape();
    host.write(&[1; 1000]).good();
    host.rewind();
    host.read(1000).good();
    for (page, code) in [(0x02, 5), (0x03, 5), (0x0C, 0), (0x0C, 3), (0x1B, 3), (0x1B, 7)] {
        assert_eq!(
            number(&mut host, page, code),
            1000,
            "page {page:02X}h, parameter {code:04X}h"
        );
    }
    host.send(&[0x4C, 0x02, 0x40, 0, 0, 0, 0, 0, 0, 0]).good();
    for (page, code) in [(0x02, 5), (0x03, 5), (0x0C, 0), (0x0C, 3)] {
        assert_eq!(
            number(&mut host, page, code),
            0,
            "page {page:02X}h, parameter {code:04X}h"
        );
    }
    assert_eq!(number(&mut host, 0x17, 0x0001), 1, "the cartridge keeps its own");
}

#[test]
fn a_reset_of_the_log_is_refused_at_the_right_byte() {
    let mut host = Initiator::with_blank_tape();
    for (cdb, byte) in [
        ([0x4C, 0x01, 0x40, 0, 0, 0, 0, 0, 0, 0], 1),
        ([0x4C, 0x02, 0x45, 0, 0, 0, 0, 0, 0, 0], 2),
        ([0x4C, 0x02, 0x40, 1, 0, 0, 0, 0, 0, 0], 3),
        ([0x4C, 0x02, 0x40, 0, 0, 0, 0, 0, 8, 0], 7),
    ] {
        let refused = host.exchange(&cdb, &[0; 8], 0);
        assert_eq!(
            (refused.sense_code(), refused.field()),
            ((5, 0x24, 0), Some((true, byte)))
        );
    }
}

#[test]
fn a_block_that_cannot_be_read_is_counted_and_alarmed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cart");
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::create(&path, &MediumSpec::default()).unwrap());
    host.write(b"a plain block").good();
    host.drive.eject();
    let mut bytes = fs::read(&path).unwrap();
    let payload = bytes.len() - 5;
    bytes[payload] ^= 1;
    fs::write(&path, bytes).unwrap();
    host.load(Cartridge::open(&path).unwrap());
    assert_eq!((host.read(13).sense_code(), host.position()), ((3, 0x11, 0), 0));
    assert_eq!(number(&mut host, 0x03, 6), 1);
    assert_eq!(number(&mut host, 0x14, 0x0F), 1);
    assert_eq!(number(&mut host, 0x17, 0x0D), 1);
    assert_eq!(alerts_left_up(&mut host), [3, 4, 5]);
    assert_eq!(alerts_left_up(&mut host), [3, 4, 5], "looking lowers nothing");
    assert_eq!(attribute(&mut host, 0x0002)[0], 0b0011_1000);
    assert_eq!(alerts(&mut host), [3, 4, 5]);
    assert_eq!(alerts(&mut host), b"", "reading page 2Eh does");
}

#[test]
fn alerts_tell_of_protection_policy_keys_and_removal() {
    let mut host = Initiator::with_blank_tape();
    host.send(&[0x1E, 0, 0, 0, 1, 0]).good();
    assert_eq!(host.send(&[0x1B, 0, 0, 0, 0, 0]).sense_code(), (5, 0x53, 2));
    assert_eq!(alerts(&mut host), [0x0A]);
    let cartridge = host.drive.eject().unwrap();
    assert_eq!(alerts(&mut host), [0x10]);
    host.load(cartridge);

    host.drive.quirks().external_key_required = true;
    assert_eq!(host.write(b"block").sense_code(), (7, 0xEF, 0x10));
    assert_eq!(alerts(&mut host), [0x30]);
    host.drive.quirks().external_key_required = false;

    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.clear_key();
    let mut list = vec![0, 0, 0x10, 0, 0x50, 0x01, 0x00, 0x1C, 0, 0x02, 0, 0, 0x01];
    list.resize(36, 0);
    host.exchange(&[0x15, 0x10, 0, 0, 36, 0], &list, 0).good();
    assert_eq!(host.write(b"plain").sense_code(), (7, 0x74, 0x0B));
    assert_eq!(alerts(&mut host), [0x3D]);
    assert_eq!(host.write(b"plain").sense_code(), (7, 0x74, 0x0B));
    host.send(&[0x4C, 0x02, 0x6E, 0, 0, 0, 0, 0, 0, 0]).good();
    assert_eq!(alerts(&mut host), b"", "LOG SELECT lowers them");
    assert_eq!(host.write(b"plain").sense_code(), (7, 0x74, 0x0B));
    host.drive.apply(Event::PowerCycle);
    host.send(&[0; 6]);
    assert_eq!(alerts(&mut host), b"", "and so does a power cycle");
    let supported = host.ask(&[0x12, 1, 0xB2, 0, 255, 0]).good();
    assert_eq!(supported, [1, 0xB2, 0, 8, 0x3C, 0xC1, 0, 0, 0, 1, 0, 8]);
}

#[test]
fn the_device_status_shows_seat_protection_and_keys() {
    let mut host = Initiator::with_empty_drive();
    // HIU, CMPR, DINIT; RAA.
    assert_eq!(parameter(&mut host, 0x11, 0), [0x51, 0x20, 0, 0]);
    assert_eq!(parameter(&mut host, 0x11, 1), [0x01, 0xF4]);
    host.load(
        Cartridge::in_memory(&MediumSpec {
            write_protected: true,
            ..MediumSpec::default()
        })
        .unwrap(),
    );
    // HIU, MACC, CMPR, WRTP, DINIT; MPRSNT, MSTD, MTHRD, MOUNTED.
    assert_eq!(parameter(&mut host, 0x11, 0), [0x79, 0x17, 0, 0]);
    host.encrypt_with(&KEY, &[]);
    host.send(&[0x1E, 0, 0, 0, 1, 0]).good();
    assert_eq!(parameter(&mut host, 0x11, 0), [0xB9, 0x17, 0, 0x10]);
    host.send(&[0x1E, 0, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 0, 0, 0, 8, 0]).good();
    assert_eq!(
        parameter(&mut host, 0x11, 0)[1],
        0x14,
        "held: present and seated, not threaded"
    );
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    assert_eq!(
        parameter(&mut host, 0x11, 0)[1],
        0x30,
        "in the mouth, where a robot can take it"
    );
}

#[test]
fn loads_and_power_cycles_are_counted() {
    let mut host = Initiator::with_blank_tape();
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 0, 0, 0, 1, 0]).good();
    assert_eq!((number(&mut host, 0x14, 0), number(&mut host, 0x14, 0x0D)), (2, 2));
    host.send(&[0x4C, 0x02, 0x54, 0, 0, 0, 0, 0, 0, 0]).good();
    assert_eq!((number(&mut host, 0x14, 0), number(&mut host, 0x14, 0x0D)), (2, 0));
    host.drive.apply(Event::PowerCycle);
    host.send(&[0; 6]);
    assert_eq!(number(&mut host, 0x14, 0x0C), 1);
    assert_eq!(parameter(&mut host, 0x14, 0x41), *b"1013000001");
}

#[test]
fn the_sequential_access_page_knows_where_the_tape_stands() {
    let mut host = Initiator::with_empty_drive();
    assert_eq!(parameter(&mut host, 0x0C, 4), [0xFF; 4]);
    let spec = MediumSpec {
        capacity_bytes: 100_000_000,
        early_warning_bytes: 10_000_000,
        ..MediumSpec::default()
    };
    host.load(Cartridge::in_memory(&spec).unwrap());
    for _ in 0..3 {
        host.write(&vec![1; 2_000_000]).good();
    }
    host.locate(1);
    let pages = [4, 5, 6, 7].map(|code| number(&mut host, 0x0C, code));
    assert_eq!(pages, [6, 90, 10, 2]);
}

#[test]
fn the_cartridge_remembers_its_last_four_drives_and_that_it_was_changed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cart");
    drop(Cartridge::create(&path, &MediumSpec::default()).unwrap());
    for (drive, serial) in ["1013000001", "1013000002", "1013000003"].iter().enumerate() {
        let mut host = Initiator::of(sg_sim::Profile::ibm_lto8().with_serial_number(serial).unwrap());
        host.load(Cartridge::open(&path).unwrap());
        let reference = u32::try_from(drive).unwrap();
        assert_eq!(attribute(&mut host, 0x0009), reference.to_be_bytes(), "not written yet");
        host.write(b"block").good();
        host.write(b"block").good();
        assert_eq!(
            attribute(&mut host, 0x0009),
            (reference + 1).to_be_bytes(),
            "once a load"
        );
        host.drive.eject();
    }
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::open(&path).unwrap());
    for (identifier, serial) in (0x020A..).zip(["1013000001", "1013000003", "1013000002", "1013000001"]) {
        assert_eq!(
            attribute(&mut host, identifier),
            format!("IBM     {serial:<32}").into_bytes()
        );
    }
}

#[test]
fn the_memory_is_reached_while_the_tape_is_held() {
    let mut host = Initiator::with_blank_tape();
    host.send(&[0x1B, 0, 0, 0, 8, 0]).good();
    assert_eq!(host.send(&[0; 6]).sense_code(), (2, 0x04, 2));
    assert_eq!(attribute(&mut host, 0x0405), [0x5E]);
    let lock = [0, 0, 0, 6, 0x16, 0x23, 0, 0, 1, 1];
    host.exchange(&[0x8D, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0], &lock, 0)
        .good();
    assert_eq!(attribute(&mut host, 0x1623), [1]);
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    assert_eq!(
        host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 4, 5, 0, 0, 1, 0, 0, 0])
            .sense_code(),
        (2, 0x3A, 0)
    );
}

#[test]
fn bytes_of_this_load_are_in_the_memory_too() {
    let mut host = Initiator::with_blank_tape();
    host.write(&vec![1; 3 << 20]).good();
    host.rewind();
    host.read(3 << 20).good();
    let megabytes =
        |host: &mut Initiator| [0x0220, 0x0221, 0x0222, 0x0223].map(|identifier| attribute(host, identifier)[7]);
    assert_eq!(megabytes(&mut host), [3, 3, 3, 3]);
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 0, 0, 0, 1, 0]).good();
    assert_eq!(megabytes(&mut host), [3, 3, 0, 0]);
}
