//! Commands that a well-behaved guest sends.

use super::guest::{Guest, INDIRECT, NEXT, REQUESTS, WRITE, descriptor, drive, header, lun};

const TEST_UNIT_READY: [u8; 6] = [0; 6];
const INQUIRY: [u8; 6] = [0x12, 0, 0, 0, 96, 0];

#[test]
fn an_inquiry_is_answered_with_what_was_not_needed_as_residual() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let answer = guest.command(&INQUIRY, 200);
    assert_eq!((answer.outcome(), answer.status(), answer.residual()), (0, 0, 104));
    assert_eq!(answer.written, 108 + 96);
    assert_eq!(answer.data()[8..16], *b"IBM     ");
    assert_eq!(answer.data()[96..], [0xA5; 104]);
}

#[test]
fn sense_comes_with_the_status() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let answer = guest.command(&TEST_UNIT_READY, 0);
    assert_eq!((answer.outcome(), answer.status(), answer.written), (0, 2, 108));
    assert_eq!(answer.sense_code(), (6, 0x29, 0));
    assert_eq!(guest.command(&TEST_UNIT_READY, 0).sense_code(), (6, 0x28, 0));
    assert_eq!(guest.command(&TEST_UNIT_READY, 0).status(), 0);
}

#[test]
fn a_block_comes_back_as_it_was_written() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    for _ in 0..2 {
        guest.command(&TEST_UNIT_READY, 0);
    }
    let block: Vec<u8> = (0..=255).cycle().take(5000).collect();
    let write = header(lun(0), &[0x0A, 0, 0, 0x13, 0x88, 0]);
    // In three pieces, none of them aligned.
    let answer = guest.exchange(&[&write, &block[..7], &block[7..4100], &block[4100..]], 108);
    assert_eq!((answer.outcome(), answer.status(), answer.residual()), (0, 0, 0));
    assert_eq!(guest.command(&[1, 0, 0, 0, 0, 0], 0).status(), 0);
    let answer = guest.command(&[0x08, 0, 0, 0x13, 0x88, 0], 5000);
    assert_eq!((answer.status(), answer.residual()), (0, 0));
    assert_eq!(answer.data(), block);
}

#[test]
fn a_header_may_share_its_descriptor_with_data() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    for _ in 0..2 {
        guest.command(&TEST_UNIT_READY, 0);
    }
    let mut bytes = header(lun(0), &[0x0A, 0, 0, 0, 4, 0]);
    bytes.extend(*b"tape");
    let (front, back) = bytes.split_at(30);
    assert_eq!(guest.exchange(&[front, back], 108).status(), 0);
    guest.command(&[1, 0, 0, 0, 0, 0], 0);
    assert_eq!(guest.command(&[0x08, 0, 0, 0, 4, 0], 4).data(), b"tape");
}

#[test]
fn data_in_never_gets_past_the_room_that_the_guest_gave() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let answer = guest.command(&INQUIRY, 10);
    assert_eq!((answer.status(), answer.residual(), answer.written), (0, 0, 118));
    assert_eq!(answer.data(), [0x01, 0x80, 0x06, 0x02, 91, 0, 0x10, 0x02, b'I', b'B']);
}

#[test]
fn indirect_descriptors_are_followed() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let (request, answer, table) = (guest.buffer(51), guest.buffer(108 + 96), guest.buffer(32));
    guest.write(request, &header(lun(0), &INQUIRY));
    guest.write(table, &descriptor(request, 51, NEXT, 1));
    guest.write(table + 16, &descriptor(answer, 108 + 96, WRITE, 0));
    let head = guest.descriptor(table, 32, INDIRECT);
    guest.offer(head);
    // The answer must be there before it can be read.
    guest.wait();
    assert_eq!(guest.used(), Some((u32::from(head), 108 + 96)));
    assert_eq!(guest.read::<8>(answer + 108 + 8), *b"IBM     ");
}

#[test]
fn targets_and_logical_units_that_are_not_there_are_bad_targets() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    for lun in [
        lun(1),
        lun(255),
        [1, 0, 0x40, 1, 0, 0, 0, 0],
        [1, 0, 0xC1, 1, 0, 0, 0, 0],
        [0; 8],
    ] {
        let answer = guest.exchange(&[&header(lun, &INQUIRY)], 108 + 96);
        assert_eq!((answer.outcome(), answer.written), (3, 108), "{lun:02X?}");
        assert_eq!(answer.data(), [0xA5; 96]);
    }
}

#[test]
fn report_luns_shows_logical_unit_0_alone() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let answer = guest.command(&[0xA0, 0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0], 16);
    assert_eq!(answer.data(), [0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn more_than_16_mib_of_data_out_is_a_failure_and_reaches_no_unit() {
    let mut guest = Guest::new(&drive(), REQUESTS);
    let request = guest.buffer(51);
    guest.write(request, &header(lun(0), &[0x0A, 0, 0xFF, 0xFF, 0xFF, 0]));
    let head = guest.descriptor(request, 51, NEXT);
    for _ in 0..20 {
        guest.descriptor(0, super::guest::MEMORY_BYTES, NEXT);
    }
    let answer = guest.buffer(108);
    guest.descriptor(answer, 108, WRITE);
    guest.offer(head);
    guest.wait();
    assert_eq!(guest.used(), Some((u32::from(head), 108)));
    assert_eq!(guest.read::<12>(answer)[11], 9);
}
