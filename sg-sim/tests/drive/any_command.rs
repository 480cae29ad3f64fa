//! Any command of any length with any data: an answer that a drive could give.

use proptest::{collection::vec, prelude::*, sample::select};
use sg_sim::{Cartridge, Drive, Event, ItNexus, LibraryManaged, MediumSpec, Profile, SeededRandomness, Status};

/// Operation codes of the drive; random bytes would seldom find them.
const CODES: [u8; 29] = [
    0x00, 0x01, 0x03, 0x05, 0x08, 0x0A, 0x10, 0x11, 0x12, 0x15, 0x19, 0x1A, 0x1B, 0x1E, 0x2B, 0x34, 0x44, 0x4D, 0x55,
    0x5A, 0x80, 0x8C, 0x8D, 0x91, 0x92, 0xA0, 0xA2, 0xA3, 0xB5,
];

fn any_cdb() -> impl Strategy<Value = Vec<u8>> {
    let small = select(vec![0, 0, 0, 0, 1, 2, 3, 8, 0x10, 0x20, 0x21, 0x40, 0x57, 0xFF]);
    prop_oneof![
        vec(any::<u8>(), 0..40),
        (select(CODES.to_vec()), vec(small, 15)).prop_map(|(code, rest)| {
            let length = match code >> 5 {
                0 => 6,
                1 | 2 => 10,
                4 => 16,
                _ => 12,
            };
            std::iter::once(code).chain(rest).take(length).collect()
        }),
    ]
}

/// Set Data Encryption pages that are nearly right.
fn any_page() -> impl Strategy<Value = Vec<u8>> {
    let page = (vec(any::<u8>(), 0..80), 0..70_usize, any::<u8>()).prop_map(|(tail, at, value)| {
        let mut page = vec![
            0x00, 0x10, 0x00, 0x30, 0x40, 0x40, 2, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x20,
        ];
        page.resize(52, 7);
        page.extend(tail);
        page[3] = u8::try_from(page.len() - 4).unwrap();
        if let Some(byte) = page.get_mut(at) {
            *byte = value;
        }
        page
    });
    prop_oneof![page, vec(any::<u8>(), 0..300)]
}

#[derive(Debug, Clone)]
enum Step {
    Send {
        nexus: u8,
        cdb: Vec<u8>,
        data_out: Vec<u8>,
        room: usize,
    },
    SetKey {
        nexus: u8,
        page: Vec<u8>,
    },
    Apply(Event),
    Eject,
    Load,
    Library(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let send = (0..3_u8, any_cdb(), vec(any::<u8>(), 0..600), 0..600_usize).prop_map(|(nexus, cdb, data_out, room)| {
        Step::Send {
            nexus,
            cdb,
            data_out,
            room,
        }
    });
    let set_key = (0..3_u8, any_page()).prop_map(|(nexus, page)| Step::SetKey { nexus, page });
    let events = vec![
        Event::KeyDropped,
        Event::Reset,
        Event::KeySetByAnotherNexus,
        Event::PowerCycle,
    ];
    prop_oneof![
        20 => send,
        6 => set_key,
        1 => select(events).prop_map(Step::Apply),
        1 => Just(Step::Eject),
        2 => Just(Step::Load),
        1 => any::<bool>().prop_map(Step::Library),
    ]
}

fn send(drive: &mut Drive, nexus: u8, cdb: &[u8], data_out: &[u8], room: usize) {
    let mut data_in = vec![0xA5; room];
    let nexus = ItNexus::new(&format!("host{nexus}")).unwrap();
    let reply = drive.execute(&nexus, cdb, data_out, &mut data_in);
    assert!(reply.data_in <= room);
    match reply.status {
        Status::GOOD => assert!(reply.sense.is_empty()),
        Status::CHECK_CONDITION => assert_well_formed(&reply.sense),
        other => panic!("status {other:?}"),
    }
}

fn assert_well_formed(sense: &[u8]) {
    assert!((8..=252).contains(&sense.len()));
    assert_eq!(usize::from(sense[7]) + 8, sense.len());
    match sense[0] {
        0x70 | 0xF0 => assert!(sense.len() >= 18),
        0x72 => {
            let mut descriptors = &sense[8..];
            while let [_, length, rest @ ..] = descriptors {
                descriptors = &rest[usize::from(*length)..];
            }
            assert!(descriptors.is_empty());
        }
        other => panic!("response code {other:02X}h"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_commands_and_events_is_answered_well_formed(steps in vec(any_step(), 1..60)) {
        let spec = MediumSpec { capacity_bytes: 20_000, early_warning_bytes: 5_000, ..MediumSpec::default() };
        let mut drive = Drive::new(Profile::ibm_lto8(), Box::new(SeededRandomness::new(7)));
        drive.load(Cartridge::in_memory(&spec).unwrap()).unwrap();
        let mut shelf = None;
        for step in steps {
            match step {
                Step::Send { nexus, cdb, data_out, room } => send(&mut drive, nexus, &cdb, &data_out, room),
                Step::SetKey { nexus, page } => {
                    let length = u32::try_from(page.len()).unwrap().to_be_bytes();
                    let cdb = [0xB5, 0x20, 0, 0x10, 0, 0, length[0], length[1], length[2], length[3], 0, 0];
                    send(&mut drive, nexus, &cdb, &page, 0);
                }
                Step::Apply(event) => drive.apply(event),
                Step::Eject => shelf = drive.eject().or(shelf),
                Step::Load => {
                    if let Some(cartridge) = shelf.take() {
                        drive.load(cartridge).unwrap();
                    }
                }
                Step::Library(managed) => {
                    drive.quirks().library_managed =
                        if managed { LibraryManaged::ConfigurationPrevented } else { LibraryManaged::Off };
                }
            }
        }
    }
}
