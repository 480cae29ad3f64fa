//! Stories about commands beside reading and writing: VERIFY, FORMAT MEDIUM, timestamps, timeouts, warnings before the end, unbuffered writes.

use crate::initiator::{Initiator, KEY};
use sg_sim::{Cartridge, Event, MediumSpec};

/// MODE SELECT(6) of the device configuration extension page: PEWS in megabytes.
fn set_programmable_early_warning(host: &mut Initiator, megabytes: u8) {
    let mut list = vec![0, 0, 0x10, 0, 0x50, 0x01, 0x00, 0x1C, 0, 0x02, 0, megabytes];
    list.resize(36, 0);
    host.exchange(&[0x15, 0x10, 0, 0, 36, 0], &list, 0).good();
}

#[test]
fn verify_reads_without_giving_anything_out() {
    let mut host = Initiator::with_blank_tape();
    host.write(b"block").good();
    host.encrypt_with(&KEY, &[]);
    host.write(b"secret").good();
    host.filemark();
    host.clear_key();
    host.rewind();
    assert_eq!(host.send(&[0x13, 0, 0, 0, 5, 0]).good(), b"");
    let refused = host.send(&[0x13, 0, 0, 0, 6, 0]);
    assert_eq!((refused.sense_code(), host.position()), ((7, 0x74, 1), 1));
    host.load_key(0x40, 0x40, [0, 3], &KEY, &[]).good();
    let short = host.send(&[0x13, 0, 0, 0, 9, 0]);
    assert_eq!((short.flags(), short.information()), (0x20, Some(3)));
    assert_eq!(host.send(&[0x13, 0, 0, 0, 1, 0]).flags(), 0x80, "a filemark");
    assert_eq!(host.send(&[0x13, 0, 0, 0, 1, 0]).sense_code(), (8, 0, 5));
    let refused = host.send(&[0x13, 2, 0, 0, 1, 0]);
    assert_eq!(refused.field(), Some((true, 1)), "no comparison with data");
    assert_eq!(
        host.send(&[0x13, 1, 0, 0, 1, 0]).field(),
        Some((true, 1)),
        "no block length is set"
    );
}

#[test]
fn format_medium_makes_a_blank_tape_from_the_beginning_alone() {
    let mut host = Initiator::with_blank_tape();
    host.write(b"block").good();
    assert_eq!(host.send(&[0x04, 0, 0, 0, 0, 0]).sense_code(), (5, 0x3B, 0x0C));
    host.rewind();
    for (cdb, byte) in [([0x04, 0, 1, 0, 0, 0], 2), ([0x04, 0, 0, 0, 8, 0], 3)] {
        assert_eq!(host.send(&cdb).field(), Some((true, byte)));
    }
    host.send(&[0x04, 0, 0, 0, 0, 0]).good();
    assert_eq!(host.read(5).sense_code(), (8, 0, 5));
}

#[test]
fn the_clock_is_what_a_host_made_it() {
    let mut host = Initiator::with_empty_drive();
    let report = |host: &mut Initiator| host.ask(&[0xA3, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0]).good();
    assert_eq!(report(&mut host), [0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x29, 0))
    });
    let list = [0, 0, 0, 0, 0x01, 0x98, 0x76, 0x54, 0x32, 0x10, 0, 0];
    let set = [0xA4, 0x0F, 0, 0, 0, 0, 0, 0, 0, 12, 0, 0];
    host.exchange(&set, &list, 0).good();
    assert_eq!(
        report(&mut host),
        [0, 10, 2, 0, 0x01, 0x98, 0x76, 0x54, 0x32, 0x10, 0, 0]
    );
    host.through("host2", |other| {
        assert_eq!(other.send(&[0; 6]).sense_code(), (6, 0x2A, 0x10))
    });
    for at in [0, 1, 2, 3, 10, 11] {
        let mut wrong = list;
        wrong[at] = 1;
        let refused = host.exchange(&set, &wrong, 0);
        assert_eq!(
            (refused.sense_code(), refused.field()),
            ((5, 0x26, 0), Some((false, u16::try_from(at).unwrap())))
        );
    }
    let short = host.exchange(&[0xA4, 0x0F, 0, 0, 0, 0, 0, 0, 0, 11, 0, 0], &list[..11], 0);
    assert_eq!(short.sense_code(), (5, 0x1A, 0));
    host.drive.apply(Event::PowerCycle);
    host.send(&[0; 6]);
    assert_eq!(report(&mut host)[2..10], [0; 8]);
}

#[test]
fn supported_commands_come_with_timeouts_on_demand() {
    let mut host = Initiator::with_empty_drive();
    let all = host.ask(&[0xA3, 0x0C, 0x80, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]).good();
    assert_eq!(usize::from(u16::from_be_bytes([all[2], all[3]])) + 4, all.len());
    let mut operation_codes: Vec<u8> = all[4..].chunks(20).map(|descriptor| descriptor[0]).collect();
    assert!(operation_codes.is_sorted());
    operation_codes.dedup();
    for code in operation_codes {
        let one = host.ask(&[
            0xA3,
            0x0C,
            0x83,
            code,
            0,
            if code >= 0xA3 && code != 0xB5 { 0x0F } else { 0 },
            0,
            0,
            1,
            0,
            0,
            0,
        ]);
        let one = one.good();
        assert_eq!((one[1], one[4]), (0x83, code));
        let usage = usize::from(u16::from_be_bytes([one[2], one[3]]));
        assert_eq!((one.len(), &one[4 + usage..6 + usage]), (4 + usage + 12, &[0, 10][..]));
    }
}

#[test]
fn a_bit_that_the_usage_data_leaves_out_is_refused_and_one_that_it_shows_is_not() {
    let mut host = Initiator::with_blank_tape();
    let all = host.ask(&[0xA3, 0x0C, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF, 0, 0]).good();
    for descriptor in all[4..].chunks(8) {
        let (code, has_action, action) = (descriptor[0], descriptor[5] & 1 != 0, descriptor[3]);
        let option = if has_action { 2 } else { 1 };
        let one = host
            .ask(&[0xA3, 0x0C, option, code, 0, action, 0, 0, 1, 0, 0, 0])
            .good();
        for (at, mask) in one[4..].iter().enumerate().skip(1) {
            for bit in (0..8).filter(|bit| mask & (1 << bit) == 0) {
                let mut cdb = vec![0; one.len() - 4];
                (cdb[0], cdb[1]) = (code, if has_action { action } else { 0 });
                cdb[at] |= 1 << bit;
                if at == 1 && has_action && bit < 5 {
                    continue;
                }
                let refused = host.exchange(&cdb, &[], 64);
                assert_eq!(
                    (refused.sense_code(), refused.field()),
                    ((5, 0x24, 0), Some((true, u16::try_from(at).unwrap()))),
                    "{code:02X}h, byte {at}, bit {bit}"
                );
            }
        }
    }
}

#[test]
fn a_programmable_warning_comes_once_before_the_early_one() {
    let mut host = Initiator::with_empty_drive();
    let spec = MediumSpec {
        capacity_bytes: 10_000_000,
        early_warning_bytes: 2_000_000,
        ..MediumSpec::default()
    };
    host.load(Cartridge::in_memory(&spec).unwrap());
    set_programmable_early_warning(&mut host, 3);
    let block = vec![1; 1_000_000];
    let before = [(); 4].map(|()| host.write(&block).good().len());
    assert_eq!(before, [0; 4]);
    let short_form = |host: &mut Initiator| host.ask(&[0x34, 0, 0, 0, 0, 0, 0, 0, 0, 0]).good()[0];
    assert_eq!(short_form(&mut host), 0);
    assert_eq!(host.write(&block).sense_code(), (0, 0, 7));
    assert_eq!(short_form(&mut host), 0x01, "BPEW");
    host.write(&block).good();
    host.write(&block).good();
    assert_eq!(host.write(&block).sense_code(), (0, 0, 2));
    assert_eq!(short_form(&mut host), 0x41, "EOP and BPEW");
    host.rewind();
    assert_eq!(short_form(&mut host), 0x80);
}

#[test]
fn writes_are_unbuffered_when_the_mode_says_so() {
    let mut host = Initiator::with_blank_tape();
    let buffered = |host: &mut Initiator| host.ask(&[0x1A, 8, 0, 0, 4, 0]).good()[2] & 0x70;
    assert_eq!(buffered(&mut host), 0x10);
    host.exchange(&[0x15, 0x10, 0, 0, 4, 0], &[0, 0, 0x00, 0], 0).good();
    assert_eq!(buffered(&mut host), 0x00);
    host.write(b"block").good();
    let refused = host.exchange(&[0x15, 0x10, 0, 0, 4, 0], &[0, 0, 0x20, 0], 0);
    assert_eq!(
        (refused.sense_code(), refused.field()),
        ((5, 0x26, 0), Some((false, 2)))
    );
}

#[test]
fn the_pages_about_encryption_follow_who_owns_it() {
    let mut host = Initiator::with_blank_tape();
    let page = |host: &mut Initiator| host.ask(&[0x1A, 8, 0x30, 0x20, 255, 0]);
    assert_eq!(page(&mut host).good()[4..], [0x70, 0x20, 0, 7, 0, 3, 1, 1, 0, 0, 0]);
    host.drive.quirks().library_managed = sg_sim::LibraryManaged::ProtocolHidden;
    assert_eq!(page(&mut host).sense_code(), (5, 0x24, 0));
    let partition = host.ask(&[0x1A, 8, 0x11, 0, 255, 0]).good();
    assert_eq!(partition[4..], [0x11, 8, 0, 0, 0x1C, 3, 9, 0, 0x2E, 0xE0]);
}
