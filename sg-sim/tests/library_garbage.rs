//! Any bytes as a command: the changer answers as a changer could, never panics, and loses no cartridge. Any bytes as a description or as
//! `library.json`: a library, or an error that says what to do.

mod library_support;

use library_support::{CHANGER, SMALL, Stand, open_in};
use proptest::{collection::vec, prelude::*, sample::select};
use sg_sim::Status;

/// Operation codes of the changer, so that more than garbage gets through.
const CODES: [u8; 15] = [
    0x00, 0x03, 0x07, 0x12, 0x1A, 0x1E, 0x2B, 0x37, 0x4D, 0x5A, 0xA0, 0xA5, 0xA6, 0xB8, 0xE7,
];
/// Element addresses of the small library, a few that are none.
const ADDRESSES: [u16; 12] = [
    0, 1, 0x0A, 0x0B, 0x01F4, 0x01F5, 0x03E8, 0x03E9, 0x03EA, 0x03EB, 0x03EC, 0xFFFF,
];

fn likely_command() -> impl Strategy<Value = Vec<u8>> {
    let move_medium = (vec(select(&ADDRESSES[..]), 3), any::<bool>()).prop_map(|(addresses, exchange)| {
        let kept = if exchange { 3 } else { 2 };
        let mut cdb = vec![if exchange { 0xA6 } else { 0xA5 }, 0, 0, 0];
        for address in addresses.iter().take(kept) {
            cdb.extend_from_slice(&address.to_be_bytes());
        }
        cdb.resize(12, 0);
        cdb
    });
    let element_status = (0_u8..0x20, select(&ADDRESSES[..]), any::<u8>(), 0_u8..4, any::<u16>()).prop_map(
        |(flags, first, count, identity, room)| {
            let ([high, low], [room_high, room_low]) = (first.to_be_bytes(), room.to_be_bytes());
            vec![0xB8, flags, high, low, 0, count, identity, 0, room_high, room_low, 0, 0]
        },
    );
    let known_code = (select(&CODES[..]), vec(any::<u8>(), 0..16)).prop_map(|(code, rest)| [vec![code], rest].concat());
    prop_oneof![move_medium, element_status, known_code, vec(any::<u8>(), 0..40)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn answers_any_bytes_and_loses_no_cartridge(
        commands in vec((likely_command(), vec(any::<u8>(), 0..32), 0_usize..400, 0_usize..4), 1..60),
    ) {
        let stand = Stand::small();
        for (cdb, data_out, room, unit) in &commands {
            let answer = stand.exchange(&stand.nexus, *unit, cdb, data_out, *room);
            prop_assert!(answer.data.len() <= *room);
            prop_assert!(matches!(answer.status, Status::GOOD | Status::CHECK_CONDITION), "{:?}", answer.status);
            prop_assert_eq!(answer.status == Status::CHECK_CONDITION, !answer.sense.is_empty());
            if *unit == CHANGER && !answer.sense.is_empty() {
                prop_assert_eq!((answer.sense.len(), answer.sense[0]), (18, 0x70));
                prop_assert!(matches!(answer.sense[2], 4..=6), "{:02X?}", answer.sense);
            }
        }
        let mut full: Vec<Vec<u8>> = stand.descriptors().into_iter().filter(|one| one[2] & 1 != 0).collect();
        full.sort_by_key(|one| one[12..20].to_vec());
        let barcodes: Vec<&[u8]> = full.iter().map(|one| &one[12..20]).collect();
        prop_assert_eq!(barcodes, [&b"A00001L8"[..], b"A00002L8", b"CLNU01L1"]);
    }

    #[test]
    fn opens_a_damaged_description_or_says_what_to_do(
        damage in vec((any::<prop::sample::Index>(), 0x20_u8..0x7F), 1..4), cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let damaged = damaged(SMALL, "model", &damage, cuts.then_some(cut));
        if let Err(error) = open_in(folder.path(), &damaged) {
            prop_assert!(error.to_string().contains("\nhint: "), "{}", error);
        }
    }

    #[test]
    fn opens_with_a_damaged_state_or_says_what_to_do(
        damage in vec((any::<prop::sample::Index>(), 0x20_u8..0x7F), 1..4), cut in any::<prop::sample::Index>(), cuts in any::<bool>(),
    ) {
        let stand = Stand::small();
        stand.library.open_io().unwrap();
        stand.library.insert("B00001L8", None).unwrap();
        let state = stand.tapes().join("library.json");
        let Stand { library, folder, .. } = stand;
        drop(library);
        let text = std::fs::read_to_string(&state).unwrap();
        let damaged = damaged(&text, "version", &damage, cuts.then_some(cut));
        std::fs::write(&state, &damaged).unwrap();
        if let Err(error) = open_in(folder.path(), SMALL) {
            prop_assert!(error.to_string().contains("\nhint: "), "{}", error);
            prop_assert_eq!(std::fs::read_to_string(&state).unwrap(), damaged);
        }
    }
}

/// `text` with some bytes after `from` replaced, and maybe cut off behind it.
fn damaged(text: &str, from: &str, damage: &[(prop::sample::Index, u8)], cut: Option<prop::sample::Index>) -> String {
    let (before, after) = text.split_at(text.find(from).unwrap_or(0));
    let mut after = after.as_bytes().to_vec();
    for (at, value) in damage {
        let at = at.index(after.len());
        after.splice(at..=at, [*value]);
    }
    after.truncate(cut.map_or(after.len(), |cut| cut.index(after.len())));
    before.to_owned() + &String::from_utf8_lossy(&after)
}
