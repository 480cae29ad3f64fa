//! What sources about real drives disagree on: each switch both ways. More of them are in `quirks`.

use crate::initiator::{Initiator, KEY, OTHER_KEY};
use sg_sim::{EmptyAnswer, EndOfDataAnswer, Event, LibraryManaged, OutsideOwner, SenseCode};

#[test]
fn the_next_block_without_a_volume_may_be_a_page_of_zeros() {
    let mut host = Initiator::with_empty_drive();
    assert_eq!(host.security_page(0x20, 0x21).sense_code(), (2, 0x3A, 0));
    host.drive.quirks().next_block_without_volume = EmptyAnswer::Zeros;
    let mut zeros = vec![0x00, 0x21, 0x00, 0x0C];
    zeros.resize(16, 0);
    assert_eq!(host.next_block(), zeros);
}

#[test]
fn the_end_of_data_may_be_no_block_or_an_error() {
    let mut host = Initiator::with_blank_tape();
    host.write(b"block").good();
    assert_eq!(host.next_block_status(), 1);
    host.drive.quirks().next_block_at_end_of_data = EndOfDataAnswer::NotABlock;
    assert_eq!(host.next_block_status(), 2);
    host.drive.quirks().next_block_at_end_of_data = EndOfDataAnswer::EndOfDataDetected;
    assert_eq!(host.security_page(0x20, 0x21).sense_code(), (8, 0, 5));
    host.rewind();
    assert_eq!(host.next_block_status(), 3);
}

#[test]
fn who_owns_encryption_and_how_it_is_reported_can_be_chosen() {
    let mut host = Initiator::with_blank_tape();
    let seen = |host: &mut Initiator| {
        let capabilities = host.security_page(0x20, 0x10).good()[4];
        (capabilities & 0x03, (host.status_page()[12] >> 4) & 0x07)
    };
    assert_eq!(seen(&mut host), (1, 1));
    host.drive.quirks().library_managed = LibraryManaged::ConfigurationPrevented;
    assert_eq!(seen(&mut host), (2, 3));
    host.drive.quirks().outside_owner = OutsideOwner::Management;
    host.drive.quirks().configuration_prevented_unreported = true;
    assert_eq!(seen(&mut host), (0, 4));
    assert_eq!(host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(), (5, 0x24, 0));
    host.drive.quirks().configuration_prevented = SenseCode::new(5, 0x74, 0x21);
    assert_eq!(
        host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(),
        (5, 0x74, 0x21)
    );
}

#[test]
fn the_authentication_of_a_name_that_is_not_authenticated_is_reported_as_chosen() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, b"\0\0\0\x04name\x01\0\0\x02ak");
    host.write(b"block").good();
    host.rewind();
    for value in [1, 2, 0] {
        host.drive.quirks().u_kad_authenticated = value;
        assert_eq!([host.status_page()[25], host.next_block()[17]], [value; 2]);
        assert_eq!(
            [host.status_page()[33], host.next_block()[25]],
            [2, 3],
            "the A-KAD is not touched"
        );
    }
}

#[test]
fn a_changed_name_may_be_reported_before_the_block_is_given_out() {
    for told in [None, Some(SenseCode::new(7, 0x74, 0x05))] {
        let mut host = Initiator::with_blank_tape();
        for name in [b"\0\0\0\x01a", b"\0\0\0\x01b"] {
            host.encrypt_with(&KEY, name);
            host.write(b"one").good();
            host.write(b"two").good();
        }
        host.rewind();
        host.drive.quirks().key_associated_data_changed = told;
        host.read(3).good();
        host.read(3).good();
        if told.is_some() {
            assert_eq!((host.read(3).sense_code(), host.position()), ((7, 0x74, 5), 2));
        }
        assert_eq!(host.read(3).good(), b"one");
        assert_eq!(host.read(3).good(), b"two");
    }
}

#[test]
fn clearing_on_demount_may_not_go_with_mixed() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x40, 0x44, [2, 3], &KEY, &[]).good();
    host.drive.quirks().refuses_clear_on_demount_with_mixed = true;
    let refused = host.load_key(0x40, 0x44, [2, 3], &KEY, &[]);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 5)))
    );
    host.load_key(0x40, 0x40, [2, 3], &KEY, &[]).good();
    host.load_key(0x40, 0x44, [2, 2], &KEY, &[]).good();
}

#[test]
fn plain_and_encrypted_blocks_may_be_kept_apart() {
    let mut host = Initiator::with_blank_tape();
    let validity = |host: &mut Initiator| host.security_page(0x20, 0x10).good()[25] >> 6;
    host.write(b"label").good();
    host.encrypt_with(&KEY, &[]);
    host.write(b"mixed").good();
    assert_eq!(validity(&mut host), 0);
    host.drive.quirks().mixing_refused = Some(SenseCode::new(7, 0x30, 0x05));
    assert_eq!(validity(&mut host), 1);
    assert_eq!((host.write(b"mixed").sense_code(), host.position()), ((7, 0x30, 5), 2));
    host.rewind();
    assert_eq!(validity(&mut host), 2);
    host.write(b"encrypted from the beginning").good();
    host.clear_key();
    assert_eq!(host.write(b"plain").sense_code(), (7, 0x30, 5));
    host.filemark();
}

#[test]
fn the_refusal_of_keys_after_too_many_wrong_ones_can_be_chosen() {
    for code in [SenseCode::new(7, 0x26, 0x10), SenseCode::new(5, 0x26, 0x10)] {
        let mut host = Initiator::with_blank_tape();
        host.encrypt_with(&KEY, &[]);
        host.write(b"secret").good();
        host.rewind();
        host.drive.quirks().wrong_key_limit = Some(1);
        host.drive.quirks().wrong_key_limit_reached = code;
        host.encrypt_with(&OTHER_KEY, &[]);
        assert_eq!(host.read(6).sense_code(), (7, 0x74, 3));
        let refused = host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code();
        assert_eq!(refused, (code.key, code.asc, code.ascq));
    }
}

#[test]
fn a_refused_block_may_be_passed() {
    for passes in [false, true] {
        let mut host = Initiator::with_blank_tape();
        host.encrypt_with(&KEY, &[]);
        host.write(b"secret").good();
        host.clear_key();
        host.rewind();
        host.drive.quirks().passes_refused_blocks = passes;
        assert_eq!(host.read(6).sense_code(), (7, 0x74, 1));
        assert_eq!(host.position(), u32::from(passes));
    }
}

#[test]
fn the_sense_of_a_block_written_in_the_other_mode_can_be_chosen() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.rewind();
    host.load_key(0x40, 0xC0, [2, 2], &KEY, &[]).good();
    host.drive.quirks().encryption_mode_mismatch = SenseCode::new(7, 0x74, 0x00);
    assert_eq!(host.read(6).sense_code(), (7, 0x74, 0));
}

#[test]
fn a_nexus_that_never_used_the_protocol_may_be_told_of_changes() {
    for everyone in [false, true] {
        let mut host = Initiator::with_blank_tape();
        host.drive.quirks().every_nexus_is_registered = everyone;
        host.through("host2", |other| {
            other.send(&[0; 6]);
            other.send(&[0; 6]);
        });
        host.encrypt_with(&KEY, &[]);
        host.through("host2", |other| {
            let told = other.send(&[0; 6]);
            assert_eq!(told.sense.get(12), everyone.then_some(&0x2A));
        });
    }
}

#[test]
fn a_reset_may_leave_the_key_and_never_the_lock() {
    for keeps in [false, true] {
        for scope in [0x21, 0x41] {
            let mut host = Initiator::with_blank_tape();
            host.drive.quirks().reset_keeps_keys = keeps;
            host.load_key(scope, 0x40, [2, 2], &KEY, &[]).good();
            host.drive.apply(Event::Reset);
            assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x29, 3));
            assert_eq!(host.status_page()[5], if keeps { 2 } else { 0 });
            host.drive.apply(Event::KeySetByAnotherNexus);
            host.send(&[0; 6]);
            host.write(b"not locked any more").good();
        }
    }
}

#[test]
fn a_reset_is_told_as_the_drive_is_set_up() {
    let mut host = Initiator::with_blank_tape();
    for told in [(6, 0x29, 3), (6, 0x29, 2), (6, 0x29, 0)] {
        host.drive.quirks().reset_unit_attention = SenseCode::new(told.0, told.1, told.2);
        host.drive.apply(Event::Reset);
        assert_eq!(host.send(&[0; 6]).sense_code(), told);
        host.send(&[0; 6]).good();
    }
}

#[test]
fn a_lost_nexus_may_keep_its_own_set() {
    for keeps in [false, true] {
        let mut host = Initiator::with_blank_tape();
        host.drive.quirks().nexus_loss_keeps_keys = keeps;
        host.load_key(0x20, 0x40, [2, 2], &KEY, &[]).good();
        let nexus = host.nexus.clone();
        host.drive.apply(Event::ItNexusLoss(nexus));
        assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x29, 7));
        assert_eq!(host.status_page()[4..6], if keeps { [0x21, 2] } else { [0, 0] });
    }
}

#[test]
fn partition_records_come_in_two_widths() {
    let mut host = Initiator::with_blank_tape();
    host.write(b"plain").good();
    let first = |host: &mut Initiator| host.ask(&[0x4D, 0, 0x57, 0, 0, 2, 0, 1, 0, 0]).good()[4..20].to_vec();
    assert_eq!(
        first(&mut host)[..14],
        [2, 0, 3, 10, 9, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    );
    host.drive.quirks().wide_partition_records = true;
    assert_eq!(
        first(&mut host),
        [2, 0, 3, 12, 11, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]
    );
}
