//! Stories about what a drive says of itself: INQUIRY, mode, log, memory, densities, commands.

use crate::initiator::Initiator;
use sg_sim::{Cartridge, MediumSpec, Profile};

#[test]
fn inquiry_names_the_drive_and_its_serial_number() {
    let mut host = Initiator::of(Profile::ibm_lto8().with_serial_number("1013009999").unwrap());
    let standard = host.ask(&[0x12, 0, 0, 0, 96, 0]).good();
    assert_eq!(
        (standard.len(), &standard[8..32]),
        (96, &b"IBM     ULT3580-TD8     "[..])
    );
    assert_eq!(
        host.ask(&[0x12, 1, 0x80, 0, 255, 0]).good(),
        b"\x01\x80\x00\x0A1013009999"
    );
    let pages = host.ask(&[0x12, 1, 0x00, 0, 255, 0]).good();
    assert_eq!(pages[..4], [1, 0, 0, 4]);
    for page in &pages[4..] {
        assert_eq!(host.ask(&[0x12, 1, *page, 0, 255, 0]).good()[1], *page);
    }
    for cdb in [[0x12, 1, 0x81, 0, 255, 0], [0x12, 0, 0x80, 0, 255, 0]] {
        let refused = host.ask(&cdb);
        assert_eq!((refused.sense_code(), refused.field()), ((5, 0x24, 0), Some((true, 2))));
    }
}

#[test]
fn there_is_one_logical_unit() {
    let mut host = Initiator::with_empty_drive();
    let list = host.ask(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]).good();
    assert_eq!(list, [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(
        host.ask(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 15, 0, 0]).field(),
        Some((true, 6))
    );
}

#[test]
fn mode_sense_shows_current_changeable_and_default_values() {
    let mut host = Initiator::with_blank_tape();
    host.exchange(
        &[0x15, 0x10, 0, 0, 12, 0],
        &[0, 0, 0x10, 8, 0x5E, 0, 0, 0, 0, 0, 2, 0],
        0,
    )
    .good();
    let current = host.ask(&[0x1A, 0, 0x0F, 0, 255, 0]).good();
    assert_eq!(
        current[..14],
        [27, 0x88, 0x10, 8, 0x5E, 0, 0, 0, 0, 0, 2, 0, 0x0F, 0x0E]
    );
    assert_eq!(current[14], 0xC0);
    let changeable = host.ask(&[0x5A, 0, 0x4F, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!(
        (changeable[..2].to_vec(), &changeable[7..20]),
        (
            vec![0, 30],
            &[8, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0xFF, 0x0F, 0x0E, 0x80, 0][..]
        )
    );
    let default = host.ask(&[0x1A, 0, 0x8F, 0, 255, 0]).good();
    assert_eq!(default[8..12], [0, 0, 0, 0]);
    assert_eq!(host.ask(&[0x1A, 0, 0xCF, 0, 255, 0]).sense_code(), (5, 0x39, 0));
    let all = host.ask(&[0x5A, 8, 0x3F, 0xFF, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!(all.len(), 8 + 12 + 16 + 16 + 32 + 32);
    let unknown = host.ask(&[0x1A, 0, 0x01, 0, 255, 0]);
    assert_eq!((unknown.sense_code(), unknown.field()), ((5, 0x24, 0), Some((true, 2))));
    let unknown = host.ask(&[0x1A, 0, 0x10, 0x02, 255, 0]);
    assert_eq!(unknown.field(), Some((true, 3)));
}

#[test]
fn mode_select_refuses_what_cannot_be_changed_and_then_changes_nothing() {
    let mut host = Initiator::with_blank_tape();
    let mut list = vec![0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0, 0x0F, 0x0E, 0x40, 0x00];
    list.resize(28, 0);
    (list[19], list[23]) = (1, 1);
    let refused = host.exchange(&[0x15, 0x10, 0, 0, 28, 0], &list, 0);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 15))),
        "DDE"
    );
    assert_eq!(
        host.ask(&[0x1A, 0, 0, 0, 255, 0]).good()[4..],
        [0x5E, 0, 0, 0, 0, 0, 0, 0]
    );
    list[15] = 0x80;
    host.exchange(&[0x15, 0x10, 0, 0, 28, 0], &list, 0).good();
    assert_eq!(
        host.ask(&[0x1A, 0, 0x0F, 0, 255, 0]).good()[10..15],
        [2, 0, 0x0F, 0x0E, 0x40]
    );
    for length in 1..28 {
        let cut = host.exchange(&[0x15, 0x10, 0, 0, length, 0], &list, 0);
        if length != 12 {
            assert_eq!(cut.sense_code().0, 5, "{length}");
        }
    }
    assert_eq!(
        host.exchange(&[0x15, 0x00, 0, 0, 28, 0], &list, 0).field(),
        Some((true, 1)),
        "PF"
    );
    assert_eq!(
        host.exchange(&[0x15, 0x10, 0, 0, 28, 0], &list[..20], 0).sense_code(),
        (0xB, 0x4B, 0)
    );
}

#[test]
fn other_nexuses_are_told_of_changed_mode_parameters() {
    let mut host = Initiator::with_blank_tape();
    host.through("host2", |other| {
        other.send(&[0; 6]);
        other.send(&[0; 6]);
        other.send(&[0; 6]).good();
    });
    host.exchange(&[0x15, 0x10, 0, 0, 12, 0], &[0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0], 0)
        .good();
    host.send(&[0; 6]).good();
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x2A, 1))
    });
}

#[test]
fn sense_comes_in_descriptors_when_the_control_page_says_so() {
    let mut host = Initiator::with_blank_tape();
    let mut list = vec![0, 0, 0, 0, 0x0A, 0x0A, 0x04];
    list.resize(16, 0);
    host.exchange(&[0x15, 0x10, 0, 0, 16, 0], &list, 0).good();
    host.write(b"x").good();
    host.rewind();
    let short_block = host.read(3);
    let expected = [
        0x72, 0, 0, 0, 0, 0, 0, 16, 0, 10, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 2, 0, 0x20,
    ];
    assert_eq!(short_block.sense, expected);
}

#[test]
fn log_pages_begin_where_the_initiator_asks() {
    let mut host = Initiator::with_empty_drive();
    assert_eq!(
        host.ask(&[0x4D, 0, 0x40, 0, 0, 0, 0, 1, 0, 0]).good(),
        [0, 0, 0, 4, 0x00, 0x17, 0x2E, 0x31]
    );
    assert_eq!(
        host.ask(&[0x4D, 0, 0x57, 0, 0, 0, 0, 1, 0, 0]).good(),
        [0x17, 0, 0, 5, 0, 0, 3, 1, 0],
        "not valid"
    );
    let spec = MediumSpec {
        medium_serial: "A123".to_owned(),
        barcode: Some("A00123L8".to_owned()),
        ..MediumSpec::default()
    };
    host.load(Cartridge::in_memory(&spec).unwrap());
    let serial = host.ask(&[0x4D, 0, 0x57, 0, 0, 0, 0x40, 1, 0, 0]).good();
    assert_eq!(&serial[4..40], b"\x00\x40\x01\x20A123                            ");
    assert_eq!(&serial[40..52], b"\x00\x42\x01\x20A00123L8");
    let capacity = host.ask(&[0x4D, 0, 0x71, 0, 0, 0, 3, 1, 0, 0]).good();
    assert_eq!(capacity[4..12], [0, 3, 0x60, 4, 0x00, 0xAE, 0x9F, 0x7B]);
    for (cdb, byte) in [
        ([0x4D, 0, 0x57, 0, 0, 0xFF, 0, 1, 0, 0], 5),
        ([0x4D, 0, 0x42, 0, 0, 0, 0, 1, 0, 0], 2),
        ([0x4D, 0, 0x57, 1, 0, 0, 0, 1, 0, 0], 3),
        ([0x4D, 0, 0x17, 0, 0, 0, 0, 1, 0, 0], 2),
    ] {
        let refused = host.ask(&cdb);
        assert_eq!(
            (refused.sense_code(), refused.field()),
            ((5, 0x24, 0), Some((true, byte)))
        );
    }
}

#[test]
fn memory_attributes_are_written_read_and_removed() {
    let mut host = Initiator::with_empty_drive();
    let spec = MediumSpec {
        medium_serial: "A123".to_owned(),
        barcode: Some("A00123L8".to_owned()),
        ..MediumSpec::default()
    };
    host.load(Cartridge::in_memory(&spec).unwrap());
    let read = |host: &mut Initiator, high: u8, low: u8| {
        host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, high, low, 0, 0, 0x40, 0, 0, 0])
            .good()[4..]
            .to_vec()
    };
    assert_eq!(
        &read(&mut host, 4, 1)[..37],
        b"\x04\x01\x81\0\x20A123                            "
    );
    assert_eq!(
        &read(&mut host, 8, 0)[..37],
        b"\x08\x06\x01\0\x20A00123L8                        "
    );
    assert_eq!(
        read(&mut host, 0, 3)[..13],
        [0, 3, 0x80, 0, 8, 0, 0, 0, 0, 0, 0, 0, 1],
        "loaded once"
    );

    let mut list = vec![0, 0, 0, 165, 0x08, 0x08, 2, 0, 160];
    list.resize(169, b'P');
    host.exchange(&[0x8D, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 169, 0, 0], &list, 0)
        .good();
    assert_eq!(read(&mut host, 8, 7), list[4..]);
    let remove = [0, 0, 0, 5, 0x08, 0x08, 2, 0, 0];
    host.exchange(&[0x8D, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0], &remove, 0)
        .good();
    let gone = host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 8, 7, 0, 0, 0x40, 0, 0, 0]);
    assert_eq!((gone.sense_code(), gone.field()), ((5, 0x24, 0), Some((true, 8))));
    let read_only = [0, 0, 0, 6, 0x04, 0x05, 0x80, 0, 1, 0];
    let refused = host.exchange(&[0x8D, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0], &read_only, 0);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 4)))
    );
}

#[test]
fn the_list_of_attributes_is_the_list_of_what_can_be_read() {
    let mut host = Initiator::with_blank_tape();
    let list = host.ask(&[0x8C, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0]).good();
    let identifiers: Vec<_> = list[4..].chunks(2).collect();
    assert!(identifiers.is_sorted());
    for identifier in identifiers {
        let value = host
            .ask(&[
                0x8C,
                0,
                0,
                0,
                0,
                0,
                0,
                0,
                identifier[0],
                identifier[1],
                0,
                0,
                0x40,
                0,
                0,
                0,
            ])
            .good();
        assert_eq!(&value[4..6], identifier);
    }
    assert_eq!(
        host.ask(&[0x8C, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x40, 0, 0, 0]).good(),
        [0, 2, 0, 1]
    );
}

#[test]
fn densities_are_those_of_the_drive_or_of_the_cartridge() {
    let mut host = Initiator::with_blank_tape();
    let all = host.ask(&[0x44, 0, 0, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!(
        (all.len(), all[..2].to_vec(), all[4], all[56]),
        (4 + 104, vec![0, 106], 0x5C, 0x5E)
    );
    let loaded = host.ask(&[0x44, 1, 0, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!((loaded.len(), loaded[4]), (56, 0x5E));
}

#[test]
fn supported_commands_can_be_asked_for_one_by_one() {
    let mut host = Initiator::with_empty_drive();
    let spout = host.ask(&[0xA3, 0x0C, 1, 0xB5, 0, 0, 0, 0, 1, 0, 0, 0]).good();
    assert_eq!(
        spout,
        [0, 3, 0, 12, 0xB5, 0xFF, 0xFF, 0xFF, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0]
    );
    assert_eq!(
        host.ask(&[0xA3, 0x0C, 1, 0x04, 0, 0, 0, 0, 1, 0, 0, 0]).good(),
        [0, 1, 0, 0]
    );
    assert_eq!(
        host.ask(&[0xA3, 0x0C, 2, 0xA3, 0, 0x0C, 0, 0, 1, 0, 0, 0]).good()[..5],
        [0, 3, 0, 12, 0xA3]
    );
    assert_eq!(
        host.ask(&[0xA3, 0x0C, 1, 0xA3, 0, 0, 0, 0, 1, 0, 0, 0]).sense_code(),
        (5, 0x24, 0)
    );
    for (code, service_action) in [(0xA3, 0x0C), (0xB5, 0)] {
        assert_eq!(
            host.ask(&[0xA3, 0x0C, 3, code, 0, service_action, 0, 0, 1, 0, 0, 0])
                .good()[4],
            code
        );
    }
    let all = host.ask(&[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]).good();
    assert_eq!(usize::from(u16::from_be_bytes([all[2], all[3]])) + 4, all.len());
}

#[test]
fn an_empty_drive_says_so_wherever_a_tape_is_needed() {
    let mut host = Initiator::with_empty_drive();
    for cdb in [
        &[0x05, 0, 0, 0, 0, 0][..],
        &[0x1A, 0, 0x3F, 0, 255, 0],
        &[0xA2, 0x20, 0, 0x10, 0, 0, 0, 0, 1, 0, 0, 0],
    ] {
        host.ask(cdb).good();
    }
    for cdb in [
        &[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0][..],
        &[0x2B, 0, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x11, 0, 0, 0, 1, 0],
        &[0x19, 0, 0, 0, 0, 0],
        &[0x44, 1, 0, 0, 0, 0, 0, 1, 0, 0],
        &[0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    ] {
        assert_eq!(host.ask(cdb).sense_code(), (2, 0x3A, 0), "{cdb:02X?}");
    }
}
