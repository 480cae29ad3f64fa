//! Stories of two hosts and one reservation.

use crate::initiator::{Initiator, KEY};
use sg_sim::{Event, ItNexus, Status};

const RESERVE: [u8; 6] = [0x16, 0, 0, 0, 0, 0];
const RELEASE: [u8; 6] = [0x17, 0, 0, 0, 0, 0];
const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// A blank tape, a second nexus that has been told everything, and the first one holding the drive.
fn reserved() -> Initiator {
    let mut host = Initiator::with_blank_tape();
    host.through("host2", |other| {
        other.send(&TEST_UNIT_READY);
        other.send(&TEST_UNIT_READY);
        other.send(&TEST_UNIT_READY).good();
    });
    host.send(&RESERVE).good();
    host
}

#[test]
fn a_reserved_drive_answers_others_only_what_hurts_nobody() {
    let mut host = reserved();
    host.send(&TEST_UNIT_READY).good();
    host.send(&RESERVE).good();
    host.through("host2", |other| {
        for cdb in [
            &TEST_UNIT_READY[..],
            &RESERVE,
            &[0x08, 0, 0, 0, 1, 0],
            &[0x1A, 0, 0x3F, 0, 255, 0],
            &[0x1E, 0, 0, 0, 1, 0],
            &[0xA2, 0x20, 0, 0x20, 0, 0, 0, 0, 1, 0, 0, 0],
            &[0xB5, 0x20, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0],
            &[0xEE; 6],
        ] {
            let answer = other.ask(cdb);
            assert_eq!(
                (answer.status, answer.sense.len()),
                (Status::RESERVATION_CONFLICT, 0),
                "{cdb:02X?}"
            );
        }
        for cdb in [
            &[0x12, 0, 0, 0, 96, 0][..],
            &[0x03, 0, 0, 0, 96, 0],
            &[0xA0, 0, 0, 0, 0, 0, 0, 0, 16, 0, 0, 0],
            &[0x4D, 0, 0x40, 0, 0, 0, 0, 1, 0, 0],
            &[0x1E, 0, 0, 0, 0, 0],
            &RELEASE,
        ] {
            other.ask(cdb).good();
        }
        assert_eq!(
            other.send(&TEST_UNIT_READY).status,
            Status::RESERVATION_CONFLICT,
            "not its own to release"
        );
    });
    host.send(&RELEASE).good();
    host.through("host2", |other| other.send(&TEST_UNIT_READY).good());
}

#[test]
fn a_conflict_leaves_the_unit_attention_where_it_is() {
    let mut host = reserved();
    host.exchange(&[0x15, 0x10, 0, 0, 12, 0], &[0, 0, 0x10, 8, 0, 0, 0, 0, 0, 0, 2, 0], 0)
        .good();
    host.through("host2", |other| {
        assert_eq!(other.send(&TEST_UNIT_READY).status, Status::RESERVATION_CONFLICT);
    });
    host.send(&RELEASE).good();
    host.through("host2", |other| {
        assert_eq!(other.send(&TEST_UNIT_READY).sense_code(), (6, 0x2A, 1))
    });
}

#[test]
fn a_reset_a_power_cycle_and_the_loss_of_the_holder_end_the_reservation() {
    let holder = ItNexus::new("host1").unwrap();
    for event in [Event::Reset, Event::PowerCycle, Event::ItNexusLoss(holder)] {
        let mut host = reserved();
        host.drive.apply(event.clone());
        host.through("host2", |other| {
            other.send(&TEST_UNIT_READY);
            assert_eq!(other.send(&TEST_UNIT_READY).status, Status::GOOD, "{event:?}");
        });
    }
}

#[test]
fn a_key_tied_to_the_reservation_goes_with_it() {
    let mut host = Initiator::with_blank_tape();
    let refused = host.load_key(0x40, 0x41, [2, 2], &KEY, &[]);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 5))),
        "without a reservation"
    );
    host.send(&RESERVE).good();
    let refused = host.load_key(0x40, 0x42, [2, 2], &KEY, &[]);
    assert_eq!(
        refused.sense_code(),
        (5, 0x26, 0),
        "CKORP goes by persistent reservations"
    );
    host.load_key(0x40, 0x41, [2, 2], &KEY, &[]).good();
    host.write(b"secret").good();
    host.send(&RELEASE).good();
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (6, 0x2A, 0x12));
    assert_eq!(host.status_page()[4..12], [0x40, 0, 0, 0, 0, 0, 0, 2]);
}

#[test]
fn a_key_that_is_not_tied_to_it_stays() {
    let mut host = Initiator::with_blank_tape();
    host.send(&RESERVE).good();
    host.encrypt_with(&KEY, &[]);
    host.send(&RELEASE).good();
    assert_eq!(host.status_page()[5], 2);
}
