//! The KMS from outside: an administrator makes keys, a media server gets them, and finds them again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use kms_support::{Home, error, group, new_group, rotate, volume};
use tapekey::kad::{KeyKind, OurKad, derive_volume_key};
use tapekey::kms_api::{CreateKey, ErrorCode, KeyName, KeyState, MoveKey, ServerResult};

const ACTIVATE: MoveKey = MoveKey {
    state: KeyState::Active,
    single_copy: true,
};

#[tokio::test]
async fn a_key_handed_out_is_found_again_by_its_kad_after_rotation_and_restart() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    let november = CreateKey {
        name: Some(KeyName::new("2026-11").unwrap()),
        description: "November".to_owned(),
    };
    let made = admin.create_key(&group("ENCR_daily"), &november).await.unwrap();
    assert_eq!((made.state, made.description.as_str()), (KeyState::Prelive, "November"));
    let moved = admin
        .move_key(&group("ENCR_daily"), &made.name, &ACTIVATE)
        .await
        .unwrap();
    assert!(moved.changed && moved.former.is_none() && moved.key.state == KeyState::Active);

    let backup = media.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap();
    assert_eq!((backup.kad.kind(), backup.kad.key_id()), (KeyKind::Derived, made.id));
    assert_eq!(
        (backup.key_name.as_str(), backup.group.as_str()),
        ("2026-11", "ENCR_daily")
    );
    assert_eq!(
        (backup.server.name.as_str(), backup.server.address),
        ("built-in", format!("https://{}", running.address))
    );
    let other = media.backup_key("ENCR_daily", &volume("A00002L8")).await.unwrap();
    assert!(
        other.key != backup.key && other.kad.nonce() != backup.kad.nonce(),
        "no two volumes share a key"
    );

    let rotated = rotate(&admin, "ENCR_daily").await;
    assert_eq!(rotated.former.unwrap().id, made.id);
    let newer = media.backup_key("ENCR_daily", &volume("A00003L8")).await.unwrap();
    assert_eq!(newer.kad.key_id(), rotated.key.id);
    running.stop().await;

    let running = home.serve().await;
    let media = home.client("media-server-1", running.address);
    // Drives may pad the KAD to its full length.
    let padded = [backup.kad.encode().as_slice(), b"  \0\0"].concat();
    let restored = media.restore_keys(&padded, Some(&volume("A00001L8"))).await.unwrap();
    let [restored_key] = restored.keys.as_slice() else {
        panic!("one key")
    };
    assert!(restored_key.key == backup.key && restored_key.kad == backup.kad);
    assert_eq!(
        (restored_key.state, restored_key.key_name.as_str()),
        (KeyState::Inactive, "2026-11")
    );
    assert_eq!(restored.outcomes[0].result, ServerResult::Keys(1));
    running.stop().await;
}

#[tokio::test]
async fn an_as_is_group_gives_the_same_key_for_every_volume() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_shared", KeyKind::AsIs))
        .await
        .unwrap();
    rotate(&admin, "ENCR_shared").await;
    let first = media.backup_key("ENCR_shared", &volume("A1")).await.unwrap();
    let second = media.backup_key("ENCR_shared", &volume("A2")).await.unwrap();
    assert!(first.key == second.key && first.kad == second.kad && first.kad.kind() == KeyKind::AsIs);
    let restored = media.restore_keys(&first.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == first.key);
    // The same key id, claimed to be of a derived key: what the derivation gives is not handed out.
    let derived = derive_volume_key(&first.key, first.kad.key_id(), [1; 6]);
    let claimed = OurKad::derived(first.kad.key_id(), [1; 6], &derived);
    assert!(
        media
            .restore_keys(&claimed.encode(), None)
            .await
            .unwrap()
            .keys
            .is_empty()
    );
    running.stop().await;
}

#[tokio::test]
async fn a_kad_with_any_bit_altered_names_no_key() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let kad = media
        .backup_key("ENCR_daily", &volume("A00001L8"))
        .await
        .unwrap()
        .kad
        .encode();
    for bit in 0..kad.len() * 8 {
        let mut altered = kad;
        altered[bit / 8] ^= 1 << (bit % 8);
        let answer = media.restore_keys(&altered, None).await.unwrap();
        assert!(answer.keys.is_empty(), "bit {bit}");
        assert!(
            matches!(answer.outcomes[0].result, ServerResult::None(Some(_))),
            "bit {bit}: {:?}",
            answer.outcomes
        );
    }
    running.stop().await;
}

#[tokio::test]
async fn keys_out_of_use_are_refused_with_a_reason_and_come_back_step_by_step() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    let daily = group("ENCR_daily");
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    let key = rotate(&admin, "ENCR_daily").await.key;
    let kad = media
        .backup_key("ENCR_daily", &volume("A00001L8"))
        .await
        .unwrap()
        .kad
        .encode();
    let to = |state| MoveKey {
        state,
        single_copy: true,
    };

    let skipped = admin
        .move_key(&daily, &key.name, &to(KeyState::Deprecated))
        .await
        .unwrap_err();
    assert_eq!(skipped.code(), Some(ErrorCode::WrongState));
    for state in [KeyState::Inactive, KeyState::Deprecated, KeyState::Terminated] {
        admin.move_key(&daily, &key.name, &to(state)).await.unwrap();
        let answer = media.restore_keys(&kad, None).await.unwrap();
        assert_eq!(answer.keys.is_empty(), state != KeyState::Inactive, "{state}");
        if state != KeyState::Inactive {
            let ServerResult::Refused(why) = &answer.outcomes[0].result else {
                panic!("{:?}", answer.outcomes)
            };
            assert!(
                why.contains(&key.name.to_string()) && why.contains(state.name()),
                "{why}"
            );
        }
        let none = error(media.backup_key("ENCR_daily", &volume("A00001L8")).await);
        assert!(none.contains("group ENCR_daily has no active key"), "{none}");
    }
    for state in [KeyState::Deprecated, KeyState::Inactive, KeyState::Active] {
        admin.move_key(&daily, &key.name, &to(state)).await.unwrap();
    }
    let again = admin.move_key(&daily, &key.name, &to(KeyState::Active)).await.unwrap();
    assert!(!again.changed);
    assert_eq!(media.restore_keys(&kad, None).await.unwrap().keys.len(), 1);
    let back = admin
        .move_key(&daily, &key.name, &to(KeyState::Prelive))
        .await
        .unwrap_err();
    assert_eq!(back.code(), Some(ErrorCode::WrongState));
    running.stop().await;
}

#[tokio::test]
async fn listings_longer_than_a_page_come_back_complete_and_in_order() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    // 500 keys make a page: 0, 499 and 502 of them put the page's end into, at and behind a group.
    for (name, keys) in [("ENCR_a", 499), ("ENCR_b", 0), ("ENCR_c", 502)] {
        admin.create_group(&new_group(name, KeyKind::Derived)).await.unwrap();
        for number in 0..keys {
            let key = CreateKey {
                name: Some(KeyName::new(format!("{number:04}")).unwrap()),
                description: String::new(),
            };
            admin.create_key(&group(name), &key).await.unwrap();
        }
    }
    let keys = admin.keys(None).await.unwrap();
    let names: Vec<_> = keys.iter().map(|key| (key.group.clone(), key.name.clone())).collect();
    assert!(names.len() == 1001 && names.is_sorted(), "{} keys", names.len());
    assert_eq!(admin.keys(Some(&group("ENCR_c"))).await.unwrap().len(), 502);
    assert_eq!(admin.keys(Some(&group("ENCR_b"))).await.unwrap().len(), 0);
    assert_eq!(admin.groups().await.unwrap().len(), 3);
    running.stop().await;
}

#[tokio::test]
async fn every_release_change_and_refusal_is_one_record_of_an_unbroken_chain() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    let _ = media.backup_key("ENCR_daily", &volume("A00001L8")).await;
    let key = rotate(&admin, "ENCR_daily").await.key;
    let backup = media.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap();
    media
        .restore_keys(&backup.kad.encode(), Some(&volume("A00001L8")))
        .await
        .unwrap();
    media.restore_keys(b"somebody else's tag", None).await.unwrap();
    let _ = media.groups().await;
    // Listed while the service runs.
    let records = home.audit();
    let said: Vec<_> = records
        .iter()
        .map(|record| (record.action.as_str(), record.outcome.split(':').next().unwrap()))
        .collect();
    let expected = [
        ("initialise", "done"),
        ("create_group", "done"),
        ("backup_key", "refused"),
        ("rotate_group", "done"),
        ("backup_key", "done"),
        ("restore_keys", "done"),
        ("restore_keys", "none"),
        ("request", "refused"),
    ];
    assert_eq!(said, expected);
    let release = &records[4];
    assert_eq!(
        (release.subject.as_str(), release.fingerprint.len()),
        ("CN=media-server-1", 64)
    );
    assert_eq!(release.key_id.as_deref(), Some(key.id.to_string().as_str()));
    assert_eq!(
        (release.group.as_deref(), release.volume.as_deref()),
        (Some("ENCR_daily"), Some("A00001L8"))
    );
    assert!(records[3].detail.as_ref().unwrap().contains("single copy accepted"));
    assert!(
        records[7]
            .outcome
            .contains("has role media-server, this needs role admin or operator or auditor"),
        "{}",
        records[7].outcome
    );
    running.stop().await;
}
