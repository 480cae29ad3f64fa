//! From a KAD to a key.

use super::model::Said;
use super::*;
use crate::kad::{BlockKads, KeyId};

const UUID: &str = "7f3a0c5e-1b2d-4c3e-8f90-0123456789ab";

async fn by_id(stage: &Stage, identifier: &str) -> Answer<Vec<ExternalKey>> {
    let wanted = Wanted::Id(KeyId::from_identifier(identifier));
    stage.server.keys_for_restore(&wanted).await
}

async fn by_kad(stage: &Stage, u_kad: &[u8], a_kad: &[u8]) -> Answer<Vec<ExternalKey>> {
    let wanted = Wanted::ForeignKads(BlockKads {
        unauthenticated: u_kad.to_vec(),
        authenticated: a_kad.to_vec(),
    });
    stage.server.keys_for_restore(&wanted).await
}

fn only(answer: Answer<Vec<ExternalKey>>) -> ExternalKey {
    let mut keys = found(answer);
    assert_eq!(keys.len(), 1);
    keys.pop().unwrap()
}

#[tokio::test]
async fn a_uuid_is_asked_for_directly_and_any_other_identifier_is_found_by_its_hash() {
    let stage = Stage::new(keys([Key::new(UUID, "ENCR_a"), Key::new("17", "ENCR_b")])).await;
    assert!(only(by_id(&stage, UUID).await).key == key_of(UUID));
    stage.model(|model| assert_eq!((model.requests, model.asked.contains(&0x08)), (2, false)));
    let key = only(by_id(&stage, "17").await);
    assert_eq!((key.identifier.as_str(), key.group.as_str()), ("17", "ENCR_b"));
    assert_eq!(not_found(by_id(&stage, "18").await).0, "no such key");
}

#[tokio::test]
async fn a_uuid_that_the_server_spells_its_own_way_is_found() {
    let spelt = UUID.to_uppercase();
    let stage = Stage::new(keys([Key::new(&spelt, "ENCR_a")])).await;
    assert_eq!(only(by_id(&stage, UUID).await).identifier, spelt);
}

#[tokio::test]
async fn states_decide_what_is_given_and_a_compromised_key_is_marked() {
    for (state, get_needs_active, given) in [
        (3, false, Ok((KeyState::Inactive, false))),
        (3, true, Ok((KeyState::Inactive, false))),
        (4, true, Ok((KeyState::Inactive, true))),
        (1, false, Err("is Pre-Active")),
        (5, false, Err("is Destroyed")),
        (77, false, Err("is in unknown state 4Dh")),
    ] {
        let mut model = keys([Key::new(UUID, "ENCR_a").with(|key| key.state = state)]);
        model.get_needs_active = get_needs_active;
        let stage = Stage::new(model).await;
        match given {
            Ok(given) => {
                let key = only(by_id(&stage, UUID).await);
                assert_eq!((key.state, key.compromised), given);
                assert!(key.key == key_of(UUID));
                stage.model(|model| assert_eq!(model.asked.contains(&0x2B), get_needs_active));
            }
            Err(why) => {
                let (kind, text) = not_found(by_id(&stage, UUID).await);
                assert!(kind == "refused" && text.contains(why), "{text}");
            }
        }
    }
}

#[tokio::test]
async fn a_compromised_key_is_refused_where_the_settings_say_so() {
    let model = keys([Key::new(UUID, "ENCR_a").with(|key| key.state = 4)]);
    let stage = Stage::with(model, |settings| settings.allow_compromised_restore = false).await;
    let (kind, text) = not_found(by_id(&stage, UUID).await);
    assert_eq!(kind, "refused");
    assert!(text.contains("is Compromised\nhint: "), "{text}");
}

#[tokio::test]
async fn a_foreign_kad_is_an_identifier_a_name_or_noted_with_the_key() {
    let noted = |id: &str, name: &str, text: &str| {
        let (name, text) = (name.to_owned(), text.to_owned());
        Key::new(id, "ENCR_a").with(|key| key.texts.push((name, text)))
    };
    for ignores_custom_filters in [false, true] {
        let mut model = keys([
            Key::new("tape key 1", "ENCR_a"),
            Key::new(UUID, "ENCR_a"),
            noted("named", "Name", "monthly 2019"),
            noted("hex", "x-kad", "00FF10"),
            noted("text", "x-kad", "backup-7"),
        ]);
        model.ignores_custom_filters = ignores_custom_filters;
        let stage = Stage::new(model).await;
        let uuid = KeyId::from_identifier(UUID).0;
        for (kad, identifier, foreign_kad) in [
            (&b"tape key 1  "[..], "tape key 1", None),
            (&uuid[..], UUID, None),
            (b"monthly 2019\0", "named", Some(&b"monthly 2019"[..])),
            (&[0, 0xFF, 0x10], "hex", Some(&[0, 0xFF, 0x10])),
            (b"backup-7", "text", Some(b"backup-7")),
        ] {
            for answer in [by_kad(&stage, kad, b"").await, by_kad(&stage, b"nothing", kad).await] {
                let key = only(answer);
                assert_eq!(
                    (key.identifier.as_str(), key.foreign_kad.as_deref()),
                    (identifier, foreign_kad)
                );
            }
        }
        assert_eq!(not_found(by_kad(&stage, b"unknown", b"").await).0, "no such key");
    }
}

#[tokio::test]
async fn a_server_that_shows_not_all_its_keys_does_not_prove_that_a_key_is_missing() {
    let mut model = keys((0..200).map(|number| Key::new(&number.to_string(), "ENCR_a")));
    model.cap = Some((100, false));
    let stage = Stage::new(model).await;
    assert_eq!(only(by_id(&stage, "99").await).identifier, "99");
    let (kind, text) = not_found(by_id(&stage, "100").await);
    assert_eq!(kind, "refused");
    assert!(text.contains("none of the 100 keys that the server shows"), "{text}");
}

#[tokio::test]
async fn a_key_without_a_group_or_with_other_bytes_is_refused() {
    for (change, why) in [
        ((|key: &mut Key| key.texts.clear()) as fn(&mut Key), "is in no group"),
        (|key| key.bytes.truncate(16), "has not 32 bytes"),
    ] {
        let stage = Stage::new(keys([Key::new(UUID, "ENCR_a").with(change)])).await;
        let (kind, text) = not_found(by_id(&stage, UUID).await);
        assert!(kind == "refused" && text.contains(why), "{text}");
    }
}

#[tokio::test]
async fn a_server_that_fails_at_everything_has_not_said_that_a_key_is_missing() {
    // Result Reasons of Get Attributes and Get, and of every search.
    for (looking, searching) in [
        (0x100, 0x100),
        (0x02, 0x100),
        (0x0B, 0x100),
        (0x05, 0x05),
        (0x37, 0x100),
        (0x37, 0x05),
        (0x100, 0),
    ] {
        let fails = |key: &mut Key| key.refused = vec![(0x0B, looking), (0x0A, looking)];
        let mut model = keys([Key::new("tape", "ENCR_a").with(fails)]);
        model.refuses = Some(("", searching)).filter(|_| searching != 0);
        let stage = Stage::new(model).await;
        let (kind, text) = not_found(by_kad(&stage, b"tape", b"").await);
        assert_eq!(kind, "refused", "{looking:X}h, {searching:X}h: {text}");
    }
}

#[tokio::test]
async fn a_search_by_name_that_fails_is_no_proof_and_one_by_an_unknown_attribute_is() {
    let mut model = keys([Key::new(UUID, "ENCR_a")]);
    model.refuses = CUSTOM;
    let stage = Stage::new(model).await;
    assert_eq!(not_found(by_kad(&stage, b"unknown", b"").await).0, "no such key");
    for reason in [0x100, 0x05, 0x08] {
        stage.model(|model| model.refuses = Some(("Name", reason)));
        assert_eq!(not_found(by_kad(&stage, b"unknown", b"").await).0, "refused");
    }
}

#[tokio::test]
async fn a_key_that_was_found_is_given_whatever_fails_after_it() {
    let of_name = |key: &mut Key| key.texts.push(("Name".to_owned(), "tape".to_owned()));
    let model = || keys([Key::new("tape", "ENCR_a"), Key::new("b", "ENCR_a").with(of_name)]);
    for refuses in [("Name", 0x0C), ("x-", 0x0C), ("", 0x03), ("", 0x100)] {
        let mut model = model();
        model.refuses = Some(refuses);
        let stage = Stage::new(model).await;
        let found = found(by_kad(&stage, b"tape", b"").await);
        assert_eq!(found[0].identifier, "tape", "{refuses:?}");
        assert_eq!(
            found.len(),
            if refuses.0 == "x-" { 2 } else { 1 },
            "the next search was made"
        );
    }
    // Nobody answers any more after Discover Versions and the look at the identifier.
    let mut model = model();
    model.spoil = unruly::from_the(3, |_| Said::HangUp);
    let stage = Stage::new(model).await;
    assert_eq!(only(by_kad(&stage, b"tape", b"").await).identifier, "tape");
}

#[tokio::test]
async fn a_server_that_hangs_up_on_export_is_told_by_why_it_does_not_give_the_key() {
    let mut model = keys([Key::new(UUID, "ENCR_a").with(|key| key.state = 3)]);
    model.get_needs_active = true;
    // Discover Versions and the look at the identifier come first.
    model.spoil = unruly::from_the(3, |_| Said::HangUp);
    let stage = Stage::new(model).await;
    let (kind, text) = not_found(by_id(&stage, UUID).await);
    assert!(
        kind == "refused" && text.contains("Wrong Key Lifecycle State"),
        "{text}"
    );
}
