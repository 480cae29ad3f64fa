//! Searches for the newest key of a group that fail, or that find what cannot be looked at: none of it means that there is no key.

use super::model::{Said, enumeration, structure};
use super::*;
use crate::kms::connector::kmip::names::tag;

/// Answers request number `n` of a stage with "failed, for this reason", for each of these; all others as they are.
fn refusing(these: &'static [(usize, u32)]) -> Option<model::Spoil> {
    let mut count = 0;
    Some(Box::new(move |reply| {
        count += 1;
        let reason = these.iter().find(|(n, _)| *n == count).map(|(_, reason)| *reason);
        Said::Reply(reason.map_or(reply, |reason| {
            let failed = [
                enumeration(tag::RESULT_STATUS, 1),
                enumeration(tag::RESULT_REASON, reason),
            ];
            structure(tag::RESPONSE_MESSAGE, &[structure(tag::BATCH_ITEM, &failed)])
        }))
    }))
}

#[tokio::test]
async fn a_server_that_was_seen_to_search_and_fails_for_a_moment_has_not_lost_its_keys() {
    for ignores_custom_filters in [false, true] {
        for reason in [0x100, 0x05, 0x08, 0x07] {
            let mut model = keys([Key::new("a", "ENCR_a")]);
            model.ignores_custom_filters = ignores_custom_filters;
            let stage = Stage::new(model).await;
            found(stage.backup().await);
            stage.model(|model| model.refuses = Some(("x-", reason)));
            for _ in 0..2 {
                let (kind, text) = not_found(stage.backup().await);
                assert!(kind == "refused" && text.contains("Locate: "), "{reason:X}h: {text}");
            }
            stage.model(|model| model.refuses = None);
            found(stage.backup().await);
        }
    }
}

#[tokio::test]
async fn a_server_that_could_not_search_once_is_probed_anew_before_a_key_is_called_missing() {
    let mut model = keys([Key::new("a", "ENCR_a")]);
    model.refuses = CUSTOM;
    let stage = Stage::new(model).await;
    assert_eq!(not_found(stage.backup().await).0, "no such key");
    stage.model(|model| model.refuses = None);
    assert_eq!(found(stage.backup().await).identifier, "a");

    // It ignored the one spelling that was asked for, and now it knows both.
    let other_spelling = |key: &mut Key| key.texts = vec![("x-keyGroup".to_owned(), "ENCR_b".to_owned())];
    let stage = Stage::new(keys([Key::new("a", "ENCR_a"), Key::new("b", "").with(other_spelling)])).await;
    stage.model(|model| model.ignores_custom_filters = true);
    found(stage.backup().await);
    stage.model(|model| model.ignores_custom_filters = false);
    let group = GroupName::new("ENCR_b").unwrap();
    assert_eq!(found(stage.server.key_for_backup(&group).await).identifier, "b");
}

#[tokio::test]
async fn a_denied_probe_does_not_mean_that_the_attribute_is_unknown() {
    // Discover Versions, the probe, a plain search, and the probe once more.
    for reason in [0x0C, 0x03] {
        let mut model = keys([Key::new("a", "ENCR_a")]);
        model.spoil = refusing(match reason {
            0x0C => &[(2, 0x100), (4, 0x0C)],
            _ => &[(2, 0x100), (4, 0x03)],
        });
        let stage = Stage::new(model).await;
        assert_eq!(not_found(stage.backup().await).0, "refused");
        assert_eq!(found(stage.backup().await).identifier, "a");
    }
}

/// Get Attributes on it fails for this reason.
fn unseen(id: &str, reason: u32) -> Key {
    Key::new(id, "ENCR_a").with(|key| key.refused.push((0x0B, reason)))
}

#[tokio::test]
async fn a_key_that_was_found_and_may_not_be_looked_at_is_not_passed_over() {
    for reason in [0x0C, 0x39] {
        // The search is known to filter, so the newer key is of the group.
        let stage = Stage::new(keys([Key::new("a", "ENCR_a"), unseen("b", reason)])).await;
        let (kind, text) = not_found(stage.backup().await);
        assert!(
            kind == "refused" && text.contains("give this client the right"),
            "{text}"
        );

        // It is not, and another key of the group is there; without that one, nobody knows.
        let mut model = keys([Key::new("a", "ENCR_a"), unseen("b", reason)]);
        model.ignores_custom_filters = true;
        let stage = Stage::new(model).await;
        assert_eq!(found(stage.backup().await).identifier, "a");
        stage.model(|model| model.keys.remove(0));
        assert_eq!(not_found(stage.backup().await).0, "refused");
    }
}

#[tokio::test]
async fn keys_that_are_all_gone_since_the_search_are_asked_for_again_and_not_called_missing() {
    let stage = Stage::new(keys([unseen("a", 0x37), unseen("b", 0x01)])).await;
    let (kind, text) = not_found(stage.backup().await);
    assert!(kind == "refused" && text.ends_with("hint: try again"), "{text}");
}

#[tokio::test]
async fn an_answer_that_is_cut_without_a_word_is_read_to_its_end_at_whatever_number() {
    for cut_at in [1, 7, 33] {
        let key = |number: i64| Key::new(&format!("{number:02}"), "ENCR_a").with(|key| key.initial += number);
        let mut model = keys((0..40).map(key));
        (model.cap, model.uncounted) = (Some((cut_at, true)), true);
        let stage = Stage::new(model).await;
        assert_eq!(found(stage.backup().await).identifier, "39", "cut at {cut_at}");
        let wanted = Wanted::Id(crate::kad::KeyId::from_identifier("38"));
        assert_eq!(found(stage.server.keys_for_restore(&wanted).await)[0].identifier, "38");

        // As many as it shows at once; then one more, behind what was found before.
        stage.model(|model| model.keys.truncate(cut_at));
        found(stage.backup().await);
        stage.model(|model| model.requests = 0);
        found(stage.backup().await);
        stage.model(|model| assert_eq!(model.requests, 1));
        stage.model(|model| model.keys.push(key(70)));
        assert_eq!(found(stage.backup().await).identifier, "70", "cut at {cut_at}");
    }
}

#[tokio::test]
async fn a_server_without_pages_is_taken_at_its_word_where_that_may_be_true() {
    let mut model = keys((0..7).map(|number| Key::new(&number.to_string(), "ENCR_b")));
    (model.cap, model.uncounted, model.ignores_custom_filters) = (Some((100, false)), true, true);
    let stage = Stage::new(model).await;
    assert_eq!(not_found(stage.backup().await).0, "no such key");
}

#[tokio::test]
async fn an_attribute_under_another_vendor_is_not_searched_for_and_found_all_the_same() {
    let mut model = keys([Key::new("a", "ENCR_a"), Key::new("b", "ENCR_b")]);
    (model.versions, model.has_another_vendor) = (vec![(2, 1)], true);
    let stage = Stage::new(model).await;
    assert_eq!(found(stage.backup().await).identifier, "a");
    stage.model(|model| model.keys.remove(0));
    assert_eq!(not_found(stage.backup().await).0, "no such key");
}

#[tokio::test]
async fn a_message_with_vendor_attributes_that_is_called_invalid_leads_to_other_searches() {
    let in_object_group = |key: &mut Key| key.texts = vec![("Object Group".to_owned(), "ENCR_a".to_owned())];
    let mut model = keys([Key::new("a", "").with(in_object_group)]);
    (model.versions, model.refuses) = (vec![(2, 0)], Some(("x-", 0x04)));
    let stage = Stage::new(model).await;
    assert_eq!(found(stage.backup().await).identifier, "a");
}

#[tokio::test]
async fn a_key_in_several_groups_for_tape_writes_nothing() {
    let also_in = |group: &str| {
        let group = group.to_owned();
        Key::new("b", "ENCR_a").with(|key| key.texts.push(("x-keygroup".to_owned(), group)))
    };
    let stage = Stage::new(keys([Key::new("a", "ENCR_a"), also_in("other")])).await;
    assert_eq!(found(stage.backup().await).identifier, "b");
    // What was found before is looked at anew.
    stage.model(|model| model.keys[1] = also_in("ENCR_b"));
    for group in ["ENCR_a", "ENCR_b"] {
        let asked = stage.server.key_for_backup(&GroupName::new(group).unwrap());
        let (kind, text) = not_found(asked.await);
        assert!(kind == "refused" && text.contains("(ENCR_a, ENCR_b)"), "{text}");
    }
}
