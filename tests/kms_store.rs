//! The store behind the KMS, when somebody else had a hand in it: altered records, other versions, other keys, a second service.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::os::unix::fs::PermissionsExt;

use kms_support::{Home, error, group, import, new_group, rotate, volume};
use tapekey::kad::{KeyKind, OurKad};
use tapekey::kms::audit::AuditError;
use tapekey::kms::init::init;
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::store::walk_audit;
use tapekey::kms_api::{KeyState, MoveKey};

/// Makes two groups with a key each, alters the store with `sql` while no service runs, and returns a KAD of the first group.
async fn altered(home: &Home, sql: &str) -> OurKad {
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    for name in ["ENCR_a", "ENCR_b"] {
        admin.create_group(&new_group(name, KeyKind::Derived)).await.unwrap();
        rotate(&admin, name).await;
    }
    let kad = media.backup_key("ENCR_a", &volume("A1")).await.unwrap().kad;
    running.stop().await;
    let changed = home.sql(sql);
    assert!(changed > 0, "{sql} changed nothing");
    kad
}

#[tokio::test]
async fn a_record_that_was_altered_does_not_open_and_harms_no_other() {
    const A: &str = "(SELECT id FROM key_groups WHERE name = 'ENCR_a')";
    for sql in [
        format!("UPDATE keys SET state = 'inactive' WHERE group_id = {A}"),
        format!("UPDATE keys SET name = 'another' WHERE group_id = {A}"),
        format!("UPDATE keys SET description = 'x' WHERE group_id = {A}"),
        format!("UPDATE keys SET created = created + 1 WHERE group_id = {A}"),
        format!("UPDATE keys SET modified = modified + 1 WHERE group_id = {A}"),
        format!("UPDATE keys SET nonce = zeroblob(12) WHERE group_id = {A}"),
        format!("UPDATE keys SET sealed = (SELECT sealed FROM keys WHERE group_id != {A}) WHERE group_id = {A}"),
        format!("UPDATE keys SET origin = 'imported' WHERE group_id = {A}"),
        "UPDATE key_groups SET kind = 'as_is' WHERE name = 'ENCR_a'".to_owned(),
        "UPDATE key_groups SET description = 'x' WHERE name = 'ENCR_a'".to_owned(),
        "UPDATE key_groups SET modified = 0 WHERE name = 'ENCR_a'".to_owned(),
    ] {
        let home = Home::new();
        let kad = altered(&home, &sql).await;
        let running = home.serve().await;
        let media = home.client("media-server-1", running.address);
        let restore = error(media.restore_keys(&kad.encode(), None).await);
        assert!(
            restore.contains("does not open: the record was altered"),
            "{sql}: {restore}"
        );
        assert!(restore.contains("ENCR_a"), "{sql}: {restore}");
        assert!(media.backup_key("ENCR_b", &volume("A1")).await.is_ok(), "{sql}");
        let last = home.audit().into_iter().rev().nth(1).unwrap();
        assert!(last.outcome.starts_with("failed: "), "{sql}: {}", last.outcome);
        running.stop().await;
    }
}

#[tokio::test]
async fn a_key_that_was_put_into_another_group_does_not_open() {
    let home = Home::new();
    let kad = altered(
        &home,
        "UPDATE keys SET group_id = (SELECT id FROM key_groups WHERE name = 'ENCR_b'), state = 'inactive'",
    )
    .await;
    let running = home.serve().await;
    let restore = error(
        home.client("media-server-1", running.address)
            .restore_keys(&kad.encode(), None)
            .await,
    );
    assert!(restore.contains("does not open"), "{restore}");
    running.stop().await;
}

#[tokio::test]
async fn the_state_of_a_deprecated_key_cannot_be_set_back_by_hand() {
    let home = Home::new();
    let kad = altered(&home, "UPDATE store SET created = created").await;
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let key = admin.keys(Some(&group("ENCR_a"))).await.unwrap().remove(0);
    for state in [KeyState::Inactive, KeyState::Deprecated] {
        admin
            .move_key(
                &group("ENCR_a"),
                &key.name,
                &MoveKey {
                    state,
                    single_copy: false,
                },
            )
            .await
            .unwrap();
    }
    running.stop().await;
    home.sql("UPDATE keys SET state = 'active'");
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    for error in [
        error(media.backup_key("ENCR_a", &volume("A1")).await),
        error(media.restore_keys(&kad.encode(), None).await),
        error(
            admin
                .move_key(
                    &group("ENCR_a"),
                    &key.name,
                    &MoveKey {
                        state: KeyState::Inactive,
                        single_copy: false,
                    },
                )
                .await,
        ),
    ] {
        assert!(error.contains("does not open"), "{error}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_audit_record_altered_removed_or_moved_breaks_the_chain_there() {
    for (sql, broken) in [
        ("UPDATE audit SET outcome = 'refused' WHERE sequence = 3", 3),
        ("UPDATE audit SET time = time + 1 WHERE sequence = 2", 2),
        ("UPDATE audit SET volume = NULL WHERE sequence = 6", 6),
        ("UPDATE audit SET mac = zeroblob(32) WHERE sequence = 5", 5),
        ("DELETE FROM audit WHERE sequence = 4", 5),
        ("DELETE FROM audit WHERE sequence = 1", 2),
        ("UPDATE audit SET sequence = -sequence WHERE sequence IN (2, 3)", -3),
    ] {
        let home = Home::new();
        altered(&home, sql).await;
        let master = HostMasterKey::read(&home.master_key_file()).unwrap();
        let error = walk_audit(&home.config().store, &master, |_| Ok(())).unwrap_err();
        let AuditError::Broken { sequence, .. } = error else {
            panic!("{error}")
        };
        assert_eq!(sequence, broken, "{sql}");
    }
}

#[tokio::test]
async fn the_kad_of_an_imported_key_cannot_be_changed_by_hand() {
    for sql in [
        "UPDATE keys SET foreign_kad = x'6162' WHERE foreign_kad IS NOT NULL",
        "UPDATE keys SET foreign_kad_unpadded = x'6162' WHERE foreign_kad IS NOT NULL",
        "UPDATE keys SET foreign_kad = x'6162', foreign_kad_unpadded = x'6162' WHERE foreign_kad IS NOT NULL",
    ] {
        let home = Home::new();
        let running = home.serve().await;
        let admin = home.client("admin-1", running.address);
        admin.create_group(&new_group("ENCR_old", KeyKind::AsIs)).await.unwrap();
        admin
            .import_keys(&group("ENCR_old"), &import(&[1], true))
            .await
            .unwrap();
        running.stop().await;
        assert_eq!(home.sql(sql), 1);
        let running = home.serve().await;
        let media = home.client("media-server-1", running.address);
        for kad in [b"ab".as_slice(), b"foreign 1"] {
            match media.restore_keys(kad, None).await {
                Ok(answer) => assert!(answer.candidates.is_empty() && answer.keys.is_empty(), "{sql} {kad:?}"),
                Err(error) => assert!(error.to_string().contains("does not open"), "{error}"),
            }
        }
        running.stop().await;
    }
}

#[tokio::test]
async fn a_host_master_key_that_is_not_the_store_s_is_refused_by_its_id() {
    let (home, other) = (Home::new(), Home::new());
    let path = home.master_key_file();
    let (own, foreign) = (
        std::fs::read_to_string(&path).unwrap(),
        std::fs::read_to_string(other.master_key_file()).unwrap(),
    );
    // Both were drawn from the same seed; another id makes it another key.
    std::fs::write(&path, foreign.replacen(&foreign[27..35], "00000000", 1)).unwrap();
    let wrong = error(home.open_store());
    assert!(
        wrong.contains("this one is 00000000-") && wrong.contains("put the store's own key file back"),
        "{wrong}"
    );
    // The right id over other bytes.
    let mut bytes = own.clone().into_bytes();
    bytes[70] = if bytes[70] == b'A' { b'B' } else { b'A' };
    std::fs::write(&path, bytes).unwrap();
    assert!(
        error(home.open_store()).contains("the key_protection key"),
        "{}",
        error(home.open_store())
    );
    std::fs::write(&path, "rubbish").unwrap();
    assert!(error(home.open_store()).contains("is no host master key"));
    std::fs::write(&path, own).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o604)).unwrap();
    let exposed = error(home.open_store());
    assert!(
        exposed.contains("mode 0604") && exposed.contains("hint: chmod 600"),
        "{exposed}"
    );
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    home.open_store().ok().unwrap();
}

#[tokio::test]
async fn a_second_service_on_one_store_is_refused_until_the_first_has_ended() {
    let home = Home::new();
    let running = home.serve().await;
    let error = error(home.open_store());
    assert!(error.contains("in use by another tapekey-kms"), "{error}");
    running.stop().await;
    home.open_store().ok().unwrap();
}

#[test]
fn nothing_is_ever_made_over_something() {
    let home = Home::new();
    let before = std::fs::read(home.master_key_file()).unwrap();
    let error = error(init(&home.folder(), &[], &*home.clock, &*home.entropy));
    assert!(error.contains("is not empty"), "{error}");
    assert_eq!(std::fs::read(home.master_key_file()).unwrap(), before);
    let file = home.folder().join("kms.toml");
    assert!(
        init(&file, &[], &*home.clock, &*home.entropy).is_err(),
        "a file is no folder"
    );
    let wrong = init(
        &home.folder().join("new"),
        &["kms1:8443".to_owned()],
        &*home.clock,
        &*home.entropy,
    );
    assert!(
        wrong.is_err() && !home.folder().join("new").exists(),
        "a wrong name is seen before anything is made"
    );
}
