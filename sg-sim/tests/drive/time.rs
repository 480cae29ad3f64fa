//! Stories about the drive's own time: what takes how long, what goes on by itself, and what a host is told meanwhile. Nobody waits.

use crate::initiator::{Initiator, KEY};
use sg_sim::{Cartridge, Event, MediumSpec, Pace};
use std::time::Duration;

const TEST_UNIT_READY: [u8; 6] = [0; 6];

/// A drive whose time goes, with a cartridge that has just come in.
fn loading(pace: Pace) -> Initiator {
    let mut host = Initiator::with_empty_drive();
    host.drive.set_pace(pace);
    host.drive
        .load(Cartridge::in_memory(&MediumSpec::default()).unwrap())
        .unwrap();
    host
}

/// The same, loaded and told so.
fn loaded() -> Initiator {
    let mut host = loading(Pace::Virtual);
    host.drive.let_pass(Duration::from_secs(15));
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    host
}

/// How long a command takes the drive, in milliseconds.
fn takes(host: &mut Initiator, act: impl FnOnce(&mut Initiator)) -> u128 {
    let began = host.drive.elapsed();
    act(host);
    (host.drive.elapsed() - began).as_millis()
}

#[test]
fn a_cartridge_becomes_ready_after_its_time_and_is_announced_then() {
    let mut host = loading(Pace::Real);
    for _ in 0..3 {
        assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 1));
    }
    for cdb in [
        &[0x08, 0, 0, 0, 1, 0][..],
        &[0x01, 0, 0, 0, 0, 0],
        &[0x1B, 0, 0, 0, 1, 0],
        &[0x1B, 0, 0, 0, 0, 0],
        &[0xA2, 0x20, 0, 0x21, 0, 0, 0, 0, 1, 0, 0, 0],
        &[0x8C, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0],
    ] {
        assert_eq!(host.ask(cdb).sense_code(), (2, 0x04, 1), "{cdb:02X?}");
    }
    host.ask(&[0x12, 0, 0, 0, 96, 0]).good();
    host.status_page();
    host.drive.let_pass(Duration::from_millis(14_999));
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 1));
    host.drive.let_pass(Duration::from_millis(1));
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (6, 0x28, 0));
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn in_virtual_time_a_host_that_asks_brings_the_end_nearer() {
    let mut host = loading(Pace::Virtual);
    let mut asked = 0;
    while host.send(&TEST_UNIT_READY).sense_code() == (2, 0x04, 1) {
        asked += 1;
    }
    assert_eq!((asked, host.drive.elapsed()), (15, Duration::from_secs(15)));
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn the_progress_of_a_load_is_told() {
    let mut host = loading(Pace::Real);
    host.drive.let_pass(Duration::from_millis(7_500));
    for sense in [
        host.send(&TEST_UNIT_READY).sense,
        host.ask(&[0x03, 0, 0, 0, 96, 0]).good(),
    ] {
        assert_eq!((sense[2], sense[12], sense[13]), (2, 0x04, 1));
        assert_eq!(sense[15..18], [0x80, 0x80, 0x00], "half of it");
    }
    let status = host.ask(&[0x4D, 0, 0x51, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!((status[9] & 0x80, status[10]), (0x80, 2), "in transition, loading");
}

#[test]
fn an_instant_drive_never_keeps_anybody_waiting() {
    let mut host = Initiator::with_blank_tape();
    host.write(&vec![1; 1 << 20]).good();
    host.rewind();
    host.send(&[0x19, 1, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    assert_eq!(host.drive.elapsed(), Duration::ZERO);
}

#[test]
fn writing_and_reading_stream_at_the_drives_speed() {
    let mut host = loaded();
    let write = takes(&mut host, |host| {
        for _ in 0..9 {
            host.write(&vec![1; 8_000_000]).good();
        }
    });
    assert_eq!(write, 200, "72 MB at 360 MB/s");
    let flush = takes(&mut host, Initiator::filemark);
    assert_eq!(flush, 1_500);
    let buffered = takes(&mut host, |host| drop(host.send(&[0x10, 1, 0, 0, 1, 0]).good()));
    assert_eq!(buffered, 0, "a filemark that stays in the buffer");
    host.rewind();
    let read = takes(&mut host, |host| {
        for _ in 0..9 {
            host.read(8_000_000).good();
        }
    });
    assert_eq!(read, 200);
}

#[test]
fn winding_takes_longer_the_farther_it_goes() {
    let mut host = loaded();
    // A short tape, so that its far end is near: 208 passes of 1 MB.
    host.drive.eject();
    let spec = MediumSpec {
        capacity_bytes: 208_000_000,
        early_warning_bytes: 0,
        ..MediumSpec::default()
    };
    host.drive.load(Cartridge::in_memory(&spec).unwrap()).unwrap();
    host.drive.let_pass(Duration::from_secs(15));
    host.send(&TEST_UNIT_READY);
    for _ in 0..9 {
        host.write(&[1; 100_000]).good();
    }
    let rewind = takes(&mut host, Initiator::rewind);
    let near = takes(&mut host, |host| host.locate(1));
    let far = takes(&mut host, |host| drop(host.send(&[0x11, 3, 0, 0, 0, 0]).good()));
    let nowhere = takes(&mut host, |host| drop(host.send(&[0x11, 3, 0, 0, 0, 0]).good()));
    assert!((50_000..62_600).contains(&rewind), "{rewind}");
    assert!((8_000..9_000).contains(&near), "{near}");
    assert!(near < far && far < rewind, "{near} {far} {rewind}");
    assert_eq!(nowhere, 0);
}

#[test]
fn what_is_not_waited_for_goes_on_by_itself() {
    let mut host = loaded();
    host.write(b"block").good();
    let rewind = takes(&mut host, |host| drop(host.send(&[0x01, 1, 0, 0, 0, 0]).good()));
    assert_eq!(rewind, 0);
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 7));
    let status = host.ask(&[0x4D, 0, 0x51, 0, 0, 0, 0, 1, 0, 0]).good();
    assert_eq!(status[10], 7, "locating");
    let read = takes(&mut host, |host| assert_eq!(host.read(5).good(), b"block"));
    assert!(read > 1_000, "the read waits for the rewind: {read}");
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn an_erase_takes_hours_or_goes_on_by_itself() {
    let mut host = loaded();
    assert_eq!(
        takes(&mut host, |host| drop(host.send(&[0x19, 0, 0, 0, 0, 0]).good())),
        3_000
    );
    let long = takes(&mut host, |host| drop(host.send(&[0x19, 1, 0, 0, 0, 0]).good()));
    assert!((9 * 3_600_000..10 * 3_600_000).contains(&long), "{long}");
    assert_eq!(
        takes(&mut host, |host| drop(host.send(&[0x19, 3, 0, 0, 0, 0]).good())),
        0
    );
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 7));
    host.drive.let_pass(Duration::from_secs(36_000));
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn unloading_and_loading_by_command_take_their_time() {
    let mut host = loaded();
    assert_eq!(
        takes(&mut host, |host| drop(host.send(&[0x1B, 0, 0, 0, 0, 0]).good())),
        20_000
    );
    assert_eq!(
        takes(&mut host, |host| drop(host.send(&[0x1B, 0, 0, 0, 1, 0]).good())),
        15_000
    );
    host.send(&TEST_UNIT_READY).good();
    host.send(&[0x1B, 0, 0, 0, 0, 0]).good();
    host.send(&[0x1B, 1, 0, 0, 1, 0]).good();
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 1));
    host.drive.let_pass(Duration::from_secs(15));
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn after_a_power_cycle_the_tape_is_loaded_again() {
    let mut host = loaded();
    host.encrypt_with(&KEY, &[]);
    host.drive.apply(Event::PowerCycle);
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (6, 0x29, 0));
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x04, 1));
    host.drive.let_pass(Duration::from_secs(15));
    host.send(&TEST_UNIT_READY).good();
}

#[test]
fn a_cartridge_can_be_taken_out_while_it_is_loaded() {
    let mut host = loading(Pace::Virtual);
    assert!(host.drive.eject().is_some());
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
    host.drive.let_pass(Duration::from_secs(60));
    assert_eq!(host.send(&TEST_UNIT_READY).sense_code(), (2, 0x3A, 0));
}

#[test]
fn the_drives_clock_goes_with_its_time() {
    let mut host = loaded();
    let list = [0, 0, 0, 0, 0, 0, 0, 0, 0x03, 0xE8, 0, 0];
    host.exchange(&[0xA4, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0], &list, 0)
        .good();
    host.drive.let_pass(Duration::from_secs(2));
    let report = host.ask(&[0xA3, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0]).good();
    assert_eq!(report[4..10], [0, 0, 0, 0, 0x0B, 0xB8]);
}
