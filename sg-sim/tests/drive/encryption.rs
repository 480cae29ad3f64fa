//! Stories about keys: what a drive says and does from the first SPOUT to the last READ, by literal bytes.

use crate::initiator::{Initiator, KEY, OTHER_KEY};
use sg_sim::{Event, LibraryManaged, SenseCode};

const HELLO: &[u8] = b"\0\0\0\x0CHello world!";

#[test]
fn a_block_written_under_a_key_reads_back_under_that_key_alone() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, HELLO);
    host.write(b"secret data").good();
    host.rewind();
    assert_eq!(host.read(11).good(), b"secret data");

    host.rewind();
    host.clear_key();
    assert_eq!(host.read(11).sense_code(), (7, 0x74, 0x01));
    host.encrypt_with(&OTHER_KEY, &[]);
    let refused = host.read(11);
    assert_eq!(
        (refused.sense_code(), refused.data, host.position()),
        ((7, 0x74, 0x03), vec![], 0)
    );

    host.encrypt_with(&KEY, &[]);
    assert_eq!(host.read(11).good(), b"secret data");
}

#[test]
fn the_status_page_follows_what_was_set() {
    let mut host = Initiator::with_empty_drive();
    let idle = [
        0x00, 0x20, 0x00, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(host.status_page(), idle);

    host.encrypt_with(&KEY, HELLO);
    let mut loaded = vec![
        0x00, 0x20, 0x00, 0x24, 0x42, 2, 2, 1, 0, 0, 0, 1, 0x13, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    loaded.extend_from_slice(b"\0\x01\0\x0CHello world!");
    assert_eq!(host.status_page(), loaded, "RDMD and CEEMS 1 in byte 12");

    host.clear_key();
    let cleared = [
        0x00, 0x20, 0x00, 0x14, 0x40, 0, 0, 0, 0, 0, 0, 2, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    assert_eq!(host.status_page(), cleared);
}

#[test]
fn the_next_block_page_names_the_key_and_never_moves_the_tape() {
    let mut host = Initiator::with_blank_tape();
    assert_eq!(host.next_block_status(), 1, "end of data");
    host.write(b"plain").good();
    host.encrypt_with(&KEY, HELLO);
    host.write(b"secret").good();
    host.filemark();
    host.rewind();

    let plain = [0x00, 0x21, 0x00, 0x0C, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0];
    assert_eq!((host.next_block(), host.position()), (plain.to_vec(), 0));
    host.locate(1);
    let mut fits = vec![0x00, 0x21, 0x00, 0x1C, 0, 0, 0, 0, 0, 0, 0, 1, 5, 1, 1, 0];
    fits.extend_from_slice(b"\0\x01\0\x0CHello world!");
    assert_eq!((host.next_block(), host.position()), (fits, 1));
    host.clear_key();
    assert_eq!(host.next_block_status(), 6, "decryption is off");
    host.encrypt_with(&OTHER_KEY, &[]);
    assert_eq!(
        host.next_block()[12..],
        *b"\x06\x01\x01\0\0\x01\0\x0CHello world!",
        "another key"
    );
    host.locate(2);
    assert_eq!(host.next_block_status(), 2, "a filemark");
}

#[test]
fn the_authenticated_kad_is_vouched_for_only_when_the_key_fits() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, b"\0\0\0\x01u\x01\0\0\x02ak");
    host.write(b"secret").good();
    host.rewind();
    assert_eq!(host.next_block()[16..], *b"\0\x01\0\x01u\x01\x03\0\x02ak");
    host.clear_key();
    assert_eq!(host.next_block()[16..], *b"\0\x01\0\x01u\x01\x02\0\x02ak");
}

#[test]
fn a_mixed_tape_reads_whole_in_mixed_mode_alone() {
    let mut host = Initiator::with_blank_tape();
    host.write(b"label").good();
    host.encrypt_with(&KEY, &[]);
    host.write(b"data").good();
    host.rewind();
    let refused = host.read(5);
    assert_eq!(
        (refused.sense_code(), host.position()),
        ((7, 0x74, 0x02), 0),
        "DECRYPT refuses a plain block"
    );
    host.load_key(0x40, 0x40, [2, 3], &KEY, &[]).good();
    assert_eq!(host.read(5).good(), b"label");
    assert_eq!(host.read(4).good(), b"data");
}

#[test]
fn raw_mode_gives_cipher_text_of_blocks_that_were_marked_for_it() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x40, 0x60, [2, 2], &KEY, &[]).good();
    host.write(b"raw-enabled").good();
    host.load_key(0x40, 0x70, [2, 2], &KEY, &[]).good();
    host.write(b"raw-disabled").good();
    host.rewind();
    let raw = [
        0x00, 0x10, 0x00, 0x10, 0x40, 0x40, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    ];
    host.set_data_encryption(&raw).good();
    let cipher_text = host.read(11).good();
    assert_eq!(cipher_text.len(), 11);
    assert_ne!(cipher_text, b"raw-enabled");
    assert_eq!(host.read(12).sense_code(), (7, 0x74, 0x0A));
    assert_eq!(host.next_block()[14], 1, "RDMDS");
}

#[test]
fn a_check_against_encrypt_mode_stops_every_encrypted_block() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.rewind();
    host.load_key(0x40, 0xC0, [2, 2], &KEY, &[]).good();
    assert_eq!(host.read(6).sense_code(), (7, 0x74, 0x09));
    host.load_key(0x40, 0x80, [2, 2], &KEY, &[]).good();
    assert_eq!(host.read(6).good(), b"secret");
}

#[test]
fn after_ten_wrong_keys_no_further_one_is_taken_until_the_tape_is_unloaded() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.rewind();
    for wrong in 1..=10 {
        host.encrypt_with(&[wrong; 32], &[]);
        assert_eq!(host.read(6).sense_code(), (7, 0x74, 0x03));
        assert_eq!(host.read(6).sense_code(), (7, 0x74, 0x03), "each key counts once");
    }
    assert_eq!(
        host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(),
        (7, 0x26, 0x10)
    );
    assert_eq!(host.status_page()[11], 11, "a refused key changes nothing");
    host.clear_key();
    assert_eq!(
        host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(),
        (7, 0x26, 0x10)
    );

    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 0, 0, 0, 1, 0]).good();
    host.encrypt_with(&KEY, &[]);
    assert_eq!(host.read(6).good(), b"secret");
}

#[test]
fn a_key_that_is_to_be_cleared_on_demount_goes_with_the_cartridge() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x40, 0x44, [2, 2], &KEY, &[]).good();
    let cartridge = host.drive.eject().unwrap();
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x12));
    let status = host.status_page();
    assert_eq!((status[5], status[6], status[11]), (0, 0, 2));
    let refused = host.load_key(0x40, 0x44, [2, 2], &KEY, &[]);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 5))),
        "nothing to be demounted"
    );

    host.encrypt_with(&KEY, &[]);
    host.load(cartridge);
    assert_eq!(host.status_page()[5], 2);
    host.drive.eject();
    assert_eq!(host.status_page()[5], 2, "without CKOD it stays");
}

#[test]
fn two_nexuses_share_a_set_and_are_told_of_each_others_changes() {
    let mut host = Initiator::with_blank_tape();
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x29, 0));
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x28, 0));
        other.status_page();
    });
    host.encrypt_with(&KEY, &[]);
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x2A, 0x11));
        other.send(&[0; 6]).good();
        assert_eq!(
            other.status_page()[4..12],
            [0x02, 2, 2, 1, 0, 0, 0, 1],
            "PUBLIC, uses the shared set"
        );
        other.load_key(0x20, 0x40, [2, 2], &OTHER_KEY, &[]).good();
        assert_eq!(other.status_page()[4..12], [0x21, 2, 2, 1, 0, 0, 0, 2], "its own set");
        other.write(b"other's").good();
    });
    host.send(&[0; 6]).good();
    assert_eq!(host.status_page()[4..12], [0x42, 2, 2, 1, 0, 0, 0, 1]);
    host.rewind();
    assert_eq!(host.read(7).sense_code(), (7, 0x74, 0x03));
    host.clear_key();
    host.through("host2", |other| {
        other.send(&[0; 6]).good();
        assert_eq!(other.status_page()[5], 2, "a LOCAL set is nobody else's business");
        assert_eq!(other.read(7).good(), b"other's");
        let public = [0x00, 0x10, 0x00, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        other.set_data_encryption(&public).good();
        assert_eq!(other.status_page()[4..8], [0, 0, 0, 0]);
    });
}

#[test]
fn a_locked_nexus_writes_only_under_the_parameters_it_locked() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x41, 0x40, [2, 2], &KEY, &[]).good();
    host.write(b"mine").good();
    host.drive.apply(Event::KeySetByAnotherNexus);
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x11));
    let refused = host.write(b"under whose key?");
    assert_eq!((refused.sense_code(), host.position()), ((7, 0x2A, 0x13), 1));
    host.encrypt_with(&KEY, &[]);
    host.write(b"mine again").good();
}

#[test]
fn a_lock_trips_after_a_demount_unless_the_drive_is_of_the_other_kind() {
    for trips in [true, false] {
        let mut host = Initiator::with_blank_tape();
        host.drive.quirks().demount_trips_lock = trips;
        host.load_key(0x41, 0x44, [2, 2], &KEY, &[]).good();
        let cartridge = host.drive.eject().unwrap();
        assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x12));
        host.load(cartridge);
        let answer = host.write(b"after");
        if trips {
            assert_eq!(answer.sense_code(), (7, 0x2A, 0x13));
        } else {
            answer.good();
        }
    }
}

#[test]
fn a_key_that_the_drive_drops_is_missed_at_once() {
    let mut host = Initiator::with_blank_tape();
    host.encrypt_with(&KEY, &[]);
    host.drive.apply(Event::KeyDropped);
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x12));
    assert_eq!(host.status_page()[4..12], [0x40, 0, 0, 0, 0, 0, 0, 2]);
    host.drive.apply(Event::KeyDropped);
    host.send(&[0; 6]).good();
}

#[test]
fn a_reset_and_a_power_cycle_leave_no_key() {
    for (event, told) in [(Event::Reset, (6, 0x29, 0x03)), (Event::PowerCycle, (6, 0x29, 0x00))] {
        let mut host = Initiator::with_blank_tape();
        host.encrypt_with(&KEY, &[]);
        host.write(b"secret").good();
        host.drive.apply(event);
        assert_eq!(host.send(&[0; 6]).sense_code(), told);
        host.send(&[0; 6]).good();
        assert_eq!(host.status_page()[4..12], [0; 8]);
        assert_eq!(host.position(), 0);
        assert_eq!(host.read(6).sense_code(), (7, 0x74, 0x01));
    }
}

#[test]
fn a_lost_nexus_takes_its_own_set_with_it_and_no_other() {
    let mut host = Initiator::with_blank_tape();
    host.load_key(0x20, 0x40, [2, 2], &KEY, &[]).good();
    let nexus = host.nexus.clone();
    host.drive.apply(Event::ItNexusLoss(nexus));
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x29, 0x07));
    assert_eq!(host.status_page()[4..7], [0, 0, 0]);
}

#[test]
fn a_library_that_owns_encryption_hides_it_or_says_so() {
    let mut host = Initiator::with_blank_tape();
    assert_eq!(
        host.security_page(0x00, 0x00).good(),
        [0, 0, 0, 0, 0, 0, 0, 2, 0x00, 0x20]
    );
    host.encrypt_with(&KEY, &[]);

    host.drive.quirks().library_managed = LibraryManaged::ProtocolHidden;
    assert_eq!(host.send(&[0; 6]).sense_code(), (6, 0x2A, 0x12), "the key is gone");
    assert_eq!(host.security_page(0x00, 0x00).good(), [0, 0, 0, 0, 0, 0, 0, 1, 0x00]);
    let refused = host.security_page(0x20, 0x20);
    assert_eq!((refused.sense_code(), refused.field()), ((5, 0x24, 0), Some((true, 1))));
    assert_eq!(host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(), (5, 0x24, 0));

    host.drive.quirks().library_managed = LibraryManaged::ConfigurationPrevented;
    assert_eq!(host.security_page(0x00, 0x00).good().len(), 10);
    assert_eq!(host.security_page(0x20, 0x10).good()[4], 0x02, "CFG_P 2");
    assert_eq!(host.status_page()[12], 0x30, "PARAMETERS CONTROL 3");
    assert_eq!(host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(), (5, 0x24, 0));

    host.drive.quirks().library_managed = LibraryManaged::Off;
    host.encrypt_with(&KEY, &[]);
}

#[test]
fn a_drive_told_to_refuse_keys_does_so_with_the_sense_it_was_given() {
    let mut host = Initiator::with_blank_tape();
    host.drive.quirks().refuse_security_protocol_out = Some(SenseCode::new(5, 0x74, 0x21));
    assert_eq!(
        host.load_key(0x40, 0x40, [2, 2], &KEY, &[]).sense_code(),
        (5, 0x74, 0x21)
    );
    assert_eq!(host.status_page()[4..12], [0; 8]);
}

#[test]
fn a_volume_that_requires_encryption_takes_no_plain_block_after_an_encrypted_one() {
    let mut host = Initiator::with_blank_tape();
    let mut list = vec![0, 0, 0, 0, 0, 0, 0, 0, 0x50, 0x01, 0x00, 0x1C, 0, 0x02, 0, 0, 0x01];
    list.resize(40, 0);
    host.exchange(&[0x55, 0x10, 0, 0, 0, 0, 0, 0, 40, 0], &list, 0).good();
    host.write(b"plain on a plain volume").good();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.clear_key();
    assert_eq!(
        (host.write(b"plain").sense_code(), host.position()),
        ((7, 0x74, 0x0B), 2)
    );
    host.filemark();
}

#[test]
fn log_page_and_memory_tell_where_encryption_begins_and_ends() {
    let mut host = Initiator::with_blank_tape();
    let partition_record = |host: &mut Initiator, code: [u8; 2]| {
        let page = host.ask(&[0x4D, 0, 0x57, 0, 0, code[0], code[1], 0x20, 0, 0]).good();
        page[4..18].to_vec()
    };
    let attribute = |host: &mut Initiator, low: u8| {
        let reply = host
            .ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 0x02, low, 0, 0, 0x20, 0, 0, 0])
            .good();
        reply[4..17].to_vec()
    };
    let none = [0x09, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
    assert_eq!(partition_record(&mut host, [2, 0])[4..], none);
    host.filemark();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    assert_eq!(
        partition_record(&mut host, [2, 0]),
        [2, 0, 3, 10, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 1]
    );
    assert_eq!(partition_record(&mut host, [2, 1])[4..], none);
    assert_eq!(
        attribute(&mut host, 0x24),
        [0x02, 0x24, 0x80, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1]
    );
    host.clear_key();
    host.write(b"plain").good();
    assert_eq!(partition_record(&mut host, [2, 1])[8..], [0, 0, 0, 0, 0, 2]);
    assert_eq!(
        attribute(&mut host, 0x25),
        [0x02, 0x25, 0x80, 0, 8, 0, 0, 0, 0, 0, 0, 0, 2]
    );
}

#[test]
fn the_fixed_pages_have_the_bytes_of_the_reference() {
    let mut host = Initiator::with_empty_drive();
    assert_eq!(host.security_page(0x00, 0x01).good(), [0, 0, 0, 0]);
    let pages = [
        0x00, 0x00, 0x00, 0x10, 0, 0, 0, 1, 0, 0x10, 0, 0x11, 0, 0x12, 0, 0x20, 0, 0x21, 0, 0x30,
    ];
    assert_eq!(host.security_page(0x20, 0x00).good(), pages);
    assert_eq!(
        host.security_page(0x20, 0x01).good(),
        [0x00, 0x01, 0x00, 0x02, 0x00, 0x10]
    );
    assert_eq!(host.security_page(0x20, 0x11).good(), [0x00, 0x11, 0x00, 0x01, 0x00]);
    assert_eq!(
        host.security_page(0x20, 0x12).good(),
        [0x00, 0x12, 0x00, 0x0C, 1, 7, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0]
    );
    let capabilities = host.security_page(0x20, 0x10).good();
    let mut expected = vec![0x00, 0x10, 0x00, 0x28, 0x01];
    expected.resize(20, 0);
    expected.extend_from_slice(&[
        1, 0, 0, 0x14, 0x3A, 0x10, 0, 32, 0, 12, 0, 32, 0x09, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0x14,
    ]);
    assert_eq!(capabilities, expected);
    let random = [
        host.security_page(0x20, 0x30).good(),
        host.security_page(0x20, 0x30).good(),
    ];
    assert_eq!((random[0].len(), &random[0][..4]), (36, &[0x00, 0x30, 0x00, 0x20][..]));
    assert_ne!(random[0], random[1]);
}

#[test]
fn pages_that_are_not_there_are_refused_at_the_right_byte() {
    let mut host = Initiator::with_empty_drive();
    for (protocol, page, byte) in [(0x21, 0x00, 1), (0x00, 0x02, 2), (0x20, 0x22, 2), (0x20, 0x31, 2)] {
        let refused = host.security_page(protocol, page);
        assert_eq!(
            (refused.sense_code(), refused.field()),
            ((5, 0x24, 0), Some((true, byte))),
            "{protocol} {page}"
        );
    }
    assert_eq!(host.security_page(0x20, 0x21).sense_code(), (2, 0x3A, 0));
}

#[test]
fn a_short_allocation_length_cuts_the_page_and_not_its_length_field() {
    let mut host = Initiator::with_empty_drive();
    let cut = host.ask(&[0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0, 6, 0, 0]).good();
    assert_eq!(cut, [0x00, 0x20, 0x00, 0x14, 0x00, 0x00]);
    assert!(
        host.ask(&[0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0])
            .good()
            .is_empty()
    );
}
