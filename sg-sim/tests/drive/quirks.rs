//! Each switch of a drive, as it is by default and turned over.

use crate::initiator::{Initiator, KEY, OTHER_KEY};
use sg_sim::{BlankAnswer, Cartridge, Drive, ItNexus, MediumSpec, Profile, SeededRandomness, SenseCode};

/// A tape with one block sealed under [`KEY`], named, the head before it.
fn tape_with_a_sealed_block() -> Initiator {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, b"\0\0\0\x04name");
    host.write(b"secret").good();
    host.rewind();
    host
}

#[test]
fn a_new_nexus_is_told_of_power_on_and_medium_unless_the_switch_is_off() {
    for told in [true, false] {
        let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(1)));
        drive.quirks().first_seen_unit_attention = told;
        drive
            .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
            .unwrap();
        let nexus = ItNexus::new("host1").unwrap();
        let mut asc = || drive.execute(&nexus, &[0; 6], &[], &mut []).sense.get(12).copied();
        let first = [asc(), asc(), asc()];
        assert_eq!(
            first,
            if told {
                [Some(0x29), Some(0x28), None]
            } else {
                [None; 3]
            }
        );
    }
}

#[test]
fn the_first_block_may_be_unknown_until_the_tape_has_moved() {
    let mut host = tape_with_a_sealed_block();
    let cartridge = host.drive.eject().unwrap();
    host.load(cartridge);
    assert_eq!(host.next_block_status(), 5);
    host.drive.quirks().next_block_unknown_after_load = true;
    assert_eq!(host.next_block_status(), 1);
    host.read(6).good();
    host.rewind();
    assert_eq!(host.next_block_status(), 5);
}

#[test]
fn a_filemark_may_be_unknown() {
    let mut host = Initiator::with_blank_tape();
    host.filemark();
    host.rewind();
    assert_eq!(host.next_block_status(), 2);
    host.drive.quirks().next_block_unknown_at_filemark = true;
    assert_eq!(host.next_block_status(), 1);
}

#[test]
fn a_blank_tape_may_have_no_end_of_data() {
    let mut host = Initiator::with_blank_tape();
    assert_eq!(host.next_block_status(), 1);
    host.drive.quirks().next_block_on_blank = BlankAnswer::EndOfDataNotFound;
    assert_eq!(host.security_page(0x20, 0x21).sense_code(), (8, 0x14, 3));
    host.filemark();
    assert_eq!(host.next_block_status(), 1, "at the end of a tape that is not blank");
}

#[test]
fn an_encrypted_block_may_count_as_supported_while_decryption_is_off() {
    let mut host = tape_with_a_sealed_block();
    host.clear_key();
    assert_eq!(host.next_block_status(), 6);
    host.drive.quirks().next_block_supported_without_key = true;
    assert_eq!(host.next_block_status(), 5);
    host.encrypt_with(&OTHER_KEY, &[]);
    assert_eq!(host.next_block_status(), 6, "a wrong key is a wrong key");
}

#[test]
fn stored_names_may_come_back_padded() {
    for padding in [0x00, 0x20] {
        let mut host = Initiator::with_blank_tape();
        host.drive.quirks().kad_padding = Some(padding);
        host.encrypt_with(&KEY, b"\0\0\0\x04name");
        host.write(b"secret").good();
        host.rewind();
        let mut padded = b"\0\x01\0\x20name".to_vec();
        padded.resize(36, padding);
        assert_eq!(host.next_block()[16..], padded);
        assert_eq!(
            host.status_page()[24..],
            *b"\0\x01\0\x04name",
            "what was given is shown as given"
        );
    }
}

#[test]
fn a_demount_may_drop_every_key() {
    let mut host = Initiator::with_blank_tape();
    host.drive.quirks().demount_drops_every_key = true;
    host.encrypt_with(&KEY, &[]);
    host.drive.eject();
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x12));
    assert_eq!(host.status_page()[5], 0);
}

#[test]
fn a_lock_may_guard_reads() {
    let mut host = tape_with_a_sealed_block();
    host.load_key(0x41, 0x40, [2, 2], &KEY, &[]).good();
    host.through("host2", |other| {
        other.send(&[0; 6]);
        other.send(&[0; 6]);
        other.load_key(0x40, 0x40, [2, 2], &KEY, &[]).good();
    });
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x11));
    host.read(6).good();
    host.rewind();
    host.drive.quirks().lock_guards_reads = true;
    assert_eq!((host.read(6).sense_code(), host.position()), ((7, 0x2A, 0x13), 0));
}

#[test]
fn a_drive_with_one_place_for_a_key_drops_the_other_nexus_set() {
    let mut host = Initiator::with_blank_tape();
    host.drive.quirks().single_key_slot = true;
    host.load_key(0x20, 0x40, [2, 2], &KEY, &[]).good();
    host.through("host2", |other| {
        other.send(&[0; 6]);
        other.send(&[0; 6]);
        other.load_key(0x20, 0x40, [2, 2], &OTHER_KEY, &[]).good();
        assert_eq!(other.status_page()[5], 2);
    });
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x11));
    assert_eq!(host.status_page()[4..6], [0x20, 0]);
}

#[test]
fn a_name_without_encryption_may_be_ignored() {
    let mut host = Initiator::with_blank_tape();
    let refused = host.load_key(0x40, 0x40, [0, 2], &KEY, b"\0\0\0\x04name");
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 52)))
    );
    host.drive.quirks().ignores_kad_without_encryption = true;
    host.load_key(0x40, 0x40, [0, 2], &KEY, b"\0\0\0\x04name").good();
    assert_eq!(host.status_page().len(), 24);
}

#[test]
fn the_limit_of_wrong_keys_may_be_another_or_none() {
    for (limit, taken) in [(Some(2), 2), (None, 20)] {
        let mut host = tape_with_a_sealed_block();
        host.drive.quirks().wrong_key_limit = limit;
        for wrong in 1..=taken {
            host.encrypt_with(&[wrong; 32], &[]);
            assert_eq!(
                host.next_block_status(),
                6,
                "a key found wrong by page 0021h counts too"
            );
        }
        let next = host.load_key(0x40, 0x40, [2, 2], &KEY, &[]);
        assert_eq!(next.status == sg_sim::Status::GOOD, limit.is_none());
    }
}

#[test]
fn refusals_that_sources_disagree_on_can_be_chosen() {
    let mut host = tape_with_a_sealed_block();
    host.drive.quirks().raw_read_refused = SenseCode::new(7, 0x74, 0x00);
    host.load_key(0x40, 0x40, [0, 1], &KEY, &[]).good();
    assert_eq!(host.read(6).sense_code(), (7, 0x74, 0x00));

    host.drive.quirks().plain_write_refused = SenseCode::new(7, 0x27, 0x00);
    let mut list = vec![0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x01, 0x00, 0x1C, 0, 0x02, 0, 0, 0x01];
    list.resize(40, 0);
    host.drive.quirks().vcelbre_changeable = false;
    let refused = host.exchange(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 40, 0], &list, 0);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 16)))
    );
    host.drive.quirks().vcelbre_changeable = true;
    host.exchange(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 40, 0], &list, 0).good();
    assert_eq!(host.write(b"plain").sense_code(), (7, 0x27, 0x00));
}

#[test]
fn a_tag_that_does_not_fit_may_be_a_medium_error() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cart");
    let mut host = Initiator::with_empty_drive();
    host.load(Cartridge::create(&path, &MediumSpec::default()).unwrap());
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.drive.eject();
    let mut bytes = std::fs::read(&path).unwrap();
    let payload = bytes.len() - 5;
    bytes[payload] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    host.drive.quirks().integrity_failure = SenseCode::new(3, 0x74, 0x04);
    host.load(Cartridge::open(&path).unwrap());
    assert_eq!(host.read(6).sense_code(), (3, 0x74, 0x04));
}

#[test]
fn a_write_may_need_a_key_from_outside() {
    let mut host = Initiator::with_blank_tape();
    host.drive.quirks().external_key_required = true;
    assert_eq!(host.write(b"data").sense_code(), (7, 0xEF, 0x10));
    host.filemark();
}

#[test]
fn reserved_bits_may_be_ignored() {
    let mut host = Initiator::with_blank_tape();
    let reserved = [0xA2, 0x20, 0, 0x20, 0x80, 0, 0, 0, 0x20, 0, 0, 0];
    assert_eq!(host.ask(&reserved).field(), Some((true, 4)));
    assert_eq!(
        host.load_key(0x40, 0x40, [2, 2], &KEY, b"\0\x08\0\x04name").field(),
        Some((false, 53))
    );
    host.drive.quirks().ignores_reserved_bits = true;
    host.ask(&reserved).good();
    host.load_key(0x40, 0x40, [2, 2], &KEY, b"\0\x08\0\x04name").good();
}

#[test]
fn a_page_may_fill_the_whole_allocation_length() {
    let mut host = Initiator::with_blank_tape();
    host.drive.quirks().fills_allocation_length = true;
    let page = host.ask(&[0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0x01, 0, 0, 0]).good();
    assert_eq!((page.len(), &page[..4]), (256, &[0x00, 0x20, 0x00, 0x14][..]));
    assert!(page[24..].iter().all(|byte| *byte == 0));
}
