//! Stories about the tape itself: blocks, filemarks, lengths, positions, ends.

use crate::initiator::{Initiator, KEY};
use sg_sim::{Cartridge, Event, MediumSpec};

/// Three files: blocks of 4 bytes, numbered; objects 0 1 F 3 F F 6.
fn tape_with_three_files() -> Initiator {
    let mut host = Initiator::with_blank_tape();
    host.write(b"blk0").good();
    host.write(b"blk1").good();
    host.filemark();
    host.write(b"blk3").good();
    host.send(&[0x10, 0, 0, 0, 2, 0]).good();
    host.write(b"blk6").good();
    host
}

#[test]
fn a_tape_reads_back_as_it_was_written() {
    let mut host = tape_with_three_files();
    host.rewind();
    assert_eq!(host.read(4).good(), b"blk0");
    assert_eq!(host.read(4).good(), b"blk1");
    let filemark = host.read(4);
    assert_eq!(
        (filemark.sense_code(), filemark.flags(), filemark.information()),
        ((0, 0, 1), 0x80, Some(4))
    );
    assert_eq!(host.read(4).good(), b"blk3");
    host.send(&[0x11, 3, 0, 0, 0, 0]).good();
    assert_eq!(host.position(), 7);
    let end = host.read(4);
    assert_eq!(
        (end.sense_code(), end.information(), host.position()),
        ((8, 0, 5), Some(4), 7)
    );
}

#[test]
fn a_variable_read_of_the_wrong_length_says_by_how_much() {
    let mut host = tape_with_three_files();
    host.rewind();
    let short_block = host.read(10);
    assert_eq!(
        (short_block.sense_code(), short_block.flags(), short_block.information()),
        ((0, 0, 0), 0x20, Some(6))
    );
    assert_eq!((short_block.data, host.position()), (b"blk0".to_vec(), 1));
    let long_block = host.read(3);
    assert_eq!((long_block.flags(), long_block.information()), (0x20, Some(-1)));
    assert_eq!((long_block.data, host.position()), (b"blk".to_vec(), 2));
}

#[test]
fn a_read_that_suppresses_the_length_check_ends_with_good() {
    let mut host = tape_with_three_files();
    host.rewind();
    assert_eq!(host.exchange(&[0x08, 2, 0, 0, 10, 0], &[], 10).good(), b"blk0");
    assert_eq!(host.exchange(&[0x08, 2, 0, 0, 2, 0], &[], 2).good(), b"bl");
}

#[test]
fn an_overlength_block_is_not_suppressed_while_a_block_length_is_set() {
    let mut host = tape_with_three_files();
    set_block_length(&mut host, 4);
    host.rewind();
    let long_block = host.exchange(&[0x08, 2, 0, 0, 2, 0], &[], 2);
    assert_eq!((long_block.flags(), long_block.information()), (0x20, Some(-2)));
    assert_eq!(host.exchange(&[0x08, 2, 0, 0, 10, 0], &[], 10).good(), b"blk1");
}

fn set_block_length(host: &mut Initiator, length: u8) {
    let list = [0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 0, length];
    host.exchange(&[0x15, 0x10, 0, 0, 12, 0], &list, 0).good();
}

#[test]
fn fixed_blocks_are_counted_and_a_stranger_among_them_ends_the_read() {
    let mut host = Initiator::with_blank_tape();
    assert_eq!(
        host.exchange(&[0x0A, 1, 0, 0, 1, 0], b"blk0", 0).sense_code(),
        (5, 0x24, 0)
    );
    set_block_length(&mut host, 4);
    host.exchange(&[0x0A, 1, 0, 0, 3, 0], b"blk0blk1blk2", 0).good();
    host.write(b"odd").good();
    host.exchange(&[0x0A, 1, 0, 0, 1, 0], b"blk4", 0).good();
    host.filemark();
    host.rewind();
    assert_eq!(host.exchange(&[0x08, 1, 0, 0, 2, 0], &[], 8).good(), b"blk0blk1");
    let odd = host.exchange(&[0x08, 1, 0, 0, 3, 0], &[], 12);
    assert_eq!((odd.flags(), odd.information()), (0x20, Some(2)));
    assert_eq!((odd.data, host.position()), (b"blk2".to_vec(), 4));
    let filemark = host.exchange(&[0x08, 1, 0, 0, 3, 0], &[], 12);
    assert_eq!((filemark.flags(), filemark.information()), (0x80, Some(2)));
    assert_eq!((filemark.data, host.position()), (b"blk4".to_vec(), 6));
}

#[test]
fn a_fixed_read_cannot_suppress_the_length_check() {
    let mut host = tape_with_three_files();
    set_block_length(&mut host, 4);
    let refused = host.exchange(&[0x08, 3, 0, 0, 1, 0], &[], 4);
    assert_eq!((refused.sense_code(), refused.field()), ((5, 0x24, 0), Some((true, 1))));
}

#[test]
fn a_fixed_read_stops_before_a_block_that_it_cannot_decrypt() {
    let mut host = Initiator::with_blank_tape();
    set_block_length(&mut host, 4);
    host.exchange(&[0x0A, 1, 0, 0, 1, 0], b"blk0", 0).good();
    host.encrypt_with(&KEY, &[]);
    host.exchange(&[0x0A, 1, 0, 0, 1, 0], b"blk1", 0).good();
    host.clear_key();
    host.rewind();
    let stopped = host.exchange(&[0x08, 1, 0, 0, 2, 0], &[], 8);
    assert_eq!(
        (stopped.sense_code(), stopped.information()),
        ((7, 0x74, 0x01), Some(1))
    );
    assert_eq!((stopped.data, host.position()), (b"blk0".to_vec(), 1));
}

#[test]
fn zero_blocks_move_nothing() {
    let mut host = tape_with_three_files();
    host.rewind();
    host.exchange(&[0x08, 0, 0, 0, 0, 0], &[], 4).good();
    host.exchange(&[0x0A, 0, 0, 0, 0, 0], &[], 0).good();
    host.send(&[0x10, 0, 0, 0, 0, 0]).good();
    assert_eq!((host.position(), host.read(4).good()), (0, b"blk0".to_vec()));
}

#[test]
fn a_block_longer_than_the_limit_or_than_its_data_is_not_written() {
    let mut host = Initiator::with_blank_tape();
    assert_eq!(host.ask(&[0x05, 0, 0, 0, 0, 0]).good(), [0, 0x80, 0, 0, 0, 1]);
    assert_eq!(host.send(&[0x0A, 0, 0x80, 0, 1, 0]).sense_code(), (5, 0x24, 0));
    assert_eq!(
        host.exchange(&[0x0A, 0, 0, 0, 5, 0], b"four", 0).sense_code(),
        (0xB, 0x4B, 0)
    );
    assert_eq!(host.position(), 0);
}

#[test]
fn overwriting_forgets_all_that_came_behind() {
    let mut host = tape_with_three_files();
    host.locate(1);
    host.write(b"new1").good();
    host.send(&[0x11, 3, 0, 0, 0, 0]).good();
    assert_eq!(host.position(), 2);
    host.rewind();
    assert_eq!(host.read(4).good(), b"blk0");
    assert_eq!(host.read(4).good(), b"new1");
    assert_eq!(host.read(4).sense_code(), (8, 0, 5));
}

#[test]
fn erase_ends_the_tape_at_the_head() {
    let mut host = tape_with_three_files();
    host.locate(3);
    host.send(&[0x19, 0, 0, 0, 0, 0]).good();
    assert_eq!(host.read(4).sense_code(), (8, 0, 5));
    host.rewind();
    host.send(&[0x19, 1, 0, 0, 0, 0]).good();
    assert_eq!((host.read(4).sense_code(), host.position()), ((8, 0, 5), 0));
}

#[test]
fn space_over_blocks_stops_behind_a_filemark_forward_and_before_it_backward() {
    let mut host = tape_with_three_files();
    host.rewind();
    host.send(&[0x11, 0, 0, 0, 1, 0]).good();
    assert_eq!(host.position(), 1);
    let stopped = host.send(&[0x11, 0, 0, 0, 5, 0]);
    assert_eq!(
        (stopped.sense_code(), stopped.flags(), stopped.information()),
        ((0, 0, 1), 0x80, Some(4))
    );
    assert_eq!(host.position(), 3);
    let back = host.send(&[0x11, 0, 0xFF, 0xFF, 0xFE, 0]);
    assert_eq!(
        (back.sense_code(), back.flags(), back.information()),
        ((0, 0, 1), 0x80, Some(2))
    );
    assert_eq!(host.position(), 2);
    host.send(&[0x11, 0, 0xFF, 0xFF, 0xFF, 0]).good();
    assert_eq!(host.position(), 1);
    let beginning = host.send(&[0x11, 0, 0xFF, 0xFF, 0xFC, 0]);
    assert_eq!(
        (beginning.sense_code(), beginning.flags(), beginning.information()),
        ((0, 0, 4), 0x40, Some(3))
    );
    assert_eq!(host.position(), 0);
    host.locate(6);
    let end = host.send(&[0x11, 0, 0, 0, 3, 0]);
    assert_eq!(
        (end.sense_code(), end.information(), host.position()),
        ((8, 0, 5), Some(2), 7)
    );
}

#[test]
fn space_over_filemarks_counts_them_in_both_directions() {
    let mut host = tape_with_three_files();
    host.rewind();
    host.send(&[0x11, 1, 0, 0, 2, 0]).good();
    assert_eq!(host.position(), 5);
    host.send(&[0x11, 1, 0xFF, 0xFF, 0xFF, 0]).good();
    assert_eq!(host.position(), 4, "on the near side of the filemark");
    let end = host.send(&[0x91, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0]);
    assert_eq!(
        (end.sense_code(), end.information(), host.position()),
        ((8, 0, 5), Some(3), 7)
    );
    let beginning = host.send(&[
        0x91, 1, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFB, 0, 0, 0, 0,
    ]);
    assert_eq!((beginning.sense_code(), beginning.flags()), ((0, 0, 4), 0x40));
    assert_eq!((beginning.information(), host.position()), (Some(2), 0));
    assert_eq!(host.send(&[0x11, 2, 0, 0, 1, 0]).sense_code(), (5, 0x24, 0));
}

#[test]
fn the_largest_counts_are_answered_too() {
    let mut host = tape_with_three_files();
    for code in 0..2 {
        for count in [[0x7F, 0xFF], [0x80, 0x00]] {
            let cdb = [
                0x91, code, 0, 0, count[0], count[1], 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0, 0, 0, 0,
            ];
            let answer = host.send(&cdb);
            assert_eq!(answer.information(), None, "more than 32 bits");
            host.locate(1);
        }
    }
}

#[test]
fn locate_finds_objects_files_and_the_end() {
    let mut host = tape_with_three_files();
    for (file, object) in [(0, 0), (1, 3), (2, 5), (3, 6)] {
        host.send(&[0x92, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, file, 0, 0, 0, 0])
            .good();
        assert_eq!(host.position(), object);
    }
    let missing = host.send(&[0x92, 0x08, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    assert_eq!((missing.sense_code(), host.position()), ((8, 0, 5), 7));
    host.send(&[0x92, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0])
        .good();
    assert_eq!(host.position(), 3);
    host.send(&[0x92, 0x18, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        .good();
    assert_eq!(host.position(), 7);
    assert_eq!(host.send(&[0x2B, 0, 0, 0, 0, 0, 8, 0, 0, 0]).sense_code(), (8, 0, 5));
    host.send(&[0x2B, 4, 0, 0, 0, 0, 2, 0, 0, 0]).good();
    assert_eq!(host.position(), 2, "BT");
    let partition = host.send(&[0x2B, 2, 0, 0, 0, 0, 0, 0, 1, 0]);
    assert_eq!(
        (partition.sense_code(), partition.field()),
        ((5, 0x24, 0), Some((true, 8)))
    );
}

#[test]
fn every_form_of_the_position_agrees() {
    let mut host = tape_with_three_files();
    host.locate(5);
    let short = host.ask(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]).good();
    assert_eq!(short, [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0]);
    assert_eq!(host.ask(&[0x34, 1, 0, 0, 0, 0, 0, 0, 0, 0]).good(), short);
    let long = host.ask(&[0x34, 6, 0, 0, 0, 0, 0, 0, 0, 0]).good();
    assert_eq!(
        (long.len(), &long[8..24]),
        (32, &[0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 2][..])
    );
    let extended = host.ask(&[0x34, 8, 0, 0, 0, 0, 0, 0, 32, 0]).good();
    assert_eq!(
        (extended.len(), &extended[..4], extended[15]),
        (32, &[0, 0, 0, 0x1C][..], 5)
    );
    host.rewind();
    assert_eq!(
        host.ask(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]).good()[0],
        0x80,
        "beginning of partition"
    );
    let refused = host.ask(&[0x34, 0, 0, 0, 0, 0, 0, 0, 20, 0]);
    assert_eq!((refused.sense_code(), refused.field()), ((5, 0x24, 0), Some((true, 7))));
}

#[test]
fn the_end_of_the_tape_is_announced_and_then_reached() {
    let mut host = Initiator::with_empty_drive();
    let spec = MediumSpec {
        capacity_bytes: 4_000,
        early_warning_bytes: 2_000,
        ..MediumSpec::default()
    };
    host.load(Cartridge::in_memory(&spec).unwrap());
    host.write(&[1; 1000]).good();
    let warning = host.write(&[2; 1000]);
    assert_eq!(
        (warning.sense_code(), warning.flags(), warning.information()),
        ((0, 0, 2), 0x40, Some(0))
    );
    assert_eq!(host.position(), 2, "the block was written");
    assert_eq!(host.write(&[3; 1000]).sense_code(), (0, 0, 2));
    let overflow = host.write(&[4; 1000]);
    assert_eq!(
        (overflow.sense_code(), overflow.flags(), overflow.information()),
        ((0xD, 0, 2), 0x40, Some(1000))
    );
    assert_eq!(host.position(), 3, "the block was not written");
    assert_eq!(
        host.send(&[0x10, 0, 0, 0, 1, 0]).sense_code(),
        (0, 0, 2),
        "a filemark still fits"
    );
    assert_eq!(host.send(&[0x10, 0, 0, 0xFF, 0xFF, 0]).sense_code(), (0xD, 0, 2));
}

#[test]
fn a_protected_cartridge_is_read_only_by_tab_or_by_mode_page() {
    let mut host = Initiator::with_empty_drive();
    host.load(
        Cartridge::in_memory(&MediumSpec {
            write_protected: true,
            ..MediumSpec::default()
        })
        .unwrap(),
    );
    assert_eq!(host.write(b"no").sense_code(), (7, 0x27, 1));
    assert_eq!(host.ask(&[0x1A, 8, 0, 0, 4, 0]).good()[2], 0x90);
    let attribute = host.ask(&[0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 1, 0, 0, 0]).good();
    assert_eq!(attribute[9..17], [0, 0x80, 0, 0, 0, 0, 0, 0]);
    let alerts = host.ask(&[0x4D, 0, 0x6E, 0, 0, 0, 0, 0x20, 0, 0]).good();
    assert_eq!(
        (alerts.len(), &alerts[..4], alerts[4 + 8 * 5 + 4]),
        (324, &[0x2E, 0, 0x01, 0x40][..], 1)
    );
    let alerts = host.ask(&[0x4D, 0, 0x6E, 0, 0, 0, 0, 0x20, 0, 0]).good();
    assert_eq!(alerts[4 + 8 * 5 + 4], 0, "reading lowers the flag");

    let mut host = Initiator::with_blank_tape();
    let mut list = vec![0, 0, 0, 0, 0x10, 0x0E];
    list.resize(20, 0);
    (list[12], list[14], list[18]) = (0x40, 0x1C, 1);
    host.exchange(&[0x15, 0x10, 0, 0, 20, 0], &list, 0).good();
    assert_eq!(host.write(b"no").sense_code(), (7, 0x27, 2));
}

#[test]
fn an_unloaded_tape_is_not_there_until_it_is_loaded_again() {
    let mut host = tape_with_three_files();
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x29, 0));
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x28, 0));
        other.send(&[0x1E, 0, 0, 0, 1, 0]).good();
    });
    assert_eq!(
        host.send(&[0x1B, 0, 0, 0, 0, 0]).sense_code(),
        (5, 0x53, 2),
        "removal is prevented"
    );
    host.through("host2", |other| other.send(&[0x1E, 0, 0, 0, 0, 0]).good());
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    for cdb in [
        [0; 6],
        [0x01, 0, 0, 0, 0, 0],
        [0x08, 0, 0, 0, 1, 0],
        [0x10, 0, 0, 0, 1, 0],
    ] {
        assert_eq!(host.send(&cdb).sense_code(), (2, 0x3A, 0));
    }
    host.send(&[0x1B, 0, 0, 0, 1, 0]).good();
    assert_eq!(host.read(4).good(), b"blk0");
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x28, 0))
    });
    host.send(&[0x1B, 0, 0, 0, 8, 0]).good();
    assert_eq!(host.send(&[0; 6]).sense_code(), (2, 0x04, 2), "held");
    host.drive.eject().unwrap();
    assert_eq!(host.send(&[0x1B, 0, 0, 0, 1, 0]).sense_code(), (2, 0x3A, 0));
}

#[test]
fn a_full_drive_gives_a_second_cartridge_back() {
    let mut host = Initiator::with_blank_tape();
    assert!(
        host.drive
            .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
            .is_err()
    );
    host.drive.eject().unwrap();
    let other_format = MediumSpec {
        density: 0x60,
        ..MediumSpec::default()
    };
    let refused = host
        .drive
        .load(Cartridge::in_memory(&other_format).unwrap())
        .unwrap_err();
    assert!(refused.to_string().contains("60h"), "{refused}");
}

#[test]
fn unit_attentions_wait_for_a_command_that_reports_them() {
    let mut host = tape_with_three_files();
    host.drive.apply(Event::Reset);
    host.ask(&[0x12, 0, 0, 0, 36, 0]).good();
    host.ask(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0]).good();
    assert_eq!(
        host.send(&[0xFF; 6]).sense_code(),
        (6, 0x29, 3),
        "even by one that does not exist"
    );
    assert_eq!(host.send(&[0xFF; 6]).sense_code(), (5, 0x20, 0));
    host.drive.apply(Event::Reset);
    let sense = host.ask(&[0x03, 0, 0, 0, 252, 0]).good();
    assert_eq!((sense.len(), sense[2], sense[12], sense[13]), (36, 6, 0x29, 3));
    let sense = host.ask(&[0x03, 1, 0, 0, 252, 0]).good();
    assert_eq!(sense, [0x72, 0, 0, 0, 0, 0, 0, 0]);
}
