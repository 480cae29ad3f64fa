//! Names, notes and places of groups and keys over the web service: whatever changes, a volume finds its key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use kms_support::{Home, Running, group, import, new_group, new_snapshot, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms::master_key::Given;
use tapekey::kms::verify::verify;
use tapekey::kms_api::{
    CreateKey, Describe, ErrorCode, KeyName, KeyRecord, KeyState, MoveKey, MoveKeyToGroup, RenameGroup, RenameKey,
};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError};

fn name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

fn note(text: &str) -> Describe {
    Describe {
        description: text.to_owned(),
    }
}

fn into(to: &str, as_name: Option<&str>) -> MoveKeyToGroup {
    MoveKeyToGroup {
        group: group(to),
        name: as_name.map(name),
    }
}

fn refused<T>(result: Result<T, KmsClientError>, code: ErrorCode) -> String {
    let error = result.err().expect("it is refused");
    assert_eq!(error.code(), Some(code), "{error}");
    error.to_string()
}

/// Two derived groups, one as-is; in the first an inactive key with a volume, and an active one.
struct Service {
    home: Home,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
    old: KeyRecord,
    active: KeyRecord,
    written: BackupKey,
}

impl Service {
    async fn start() -> Self {
        let home = Home::new();
        let running = home.serve().await;
        let admin = home.client("admin-1", running.address);
        let media = home.client("media-server-1", running.address);
        for (name, kind) in [
            ("ENCR_daily", KeyKind::Derived),
            ("ENCR_archive", KeyKind::Derived),
            ("ENCR_shared", KeyKind::AsIs),
        ] {
            admin.create_group(&new_group(name, kind)).await.unwrap();
        }
        rotate(&admin, "ENCR_daily").await;
        let written = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
        let rotated = rotate(&admin, "ENCR_daily").await;
        Self {
            old: rotated.former.unwrap(),
            active: rotated.key,
            home,
            running,
            admin,
            media,
            written,
        }
    }

    /// The group and the name of the key that the volume's KAD finds; it is the very key that it was written under.
    async fn found(&self) -> (String, String) {
        let answer = self.media.restore_keys(&self.written.kad.encode(), None).await.unwrap();
        assert!(answer.keys.len() == 1 && answer.keys[0].key == self.written.key);
        (answer.keys[0].group.to_string(), answer.keys[0].key_name.to_string())
    }

    async fn stop_and_verify(self) -> Home {
        self.running.stop().await;
        let (home, mut silent) = (self.home, |_: &str, _, _| {});
        let report = verify(
            &home.folder(),
            (None, &Given::default()),
            (&*home.clock, &*home.entropy),
            &mut silent,
        )
        .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
        home
    }
}

#[tokio::test]
async fn a_renamed_group_keeps_its_keys_and_hosts_ask_for_it_by_the_new_name() {
    let service = Service::start().await;
    let admin = &service.admin;
    let to = |name: &str| RenameGroup { name: group(name) };
    service.home.clock.advance_days(1);
    let renamed = admin
        .rename_group(&group("ENCR_daily"), &to("ENCR_nightly"))
        .await
        .unwrap();
    assert!(renamed.name == group("ENCR_nightly") && renamed.modified > renamed.created);
    assert_eq!(service.found().await.0, "ENCR_nightly");
    assert_eq!(admin.keys(Some(&group("ENCR_nightly"))).await.unwrap().len(), 2);
    let backup = service.media.backup_key("ENCR_nightly", &volume("B1")).await.unwrap();
    assert_eq!(backup.key_name, service.active.name);
    let gone = service.media.backup_key("ENCR_daily", &volume("B1")).await;
    refused(gone, ErrorCode::NoSuchGroup);

    refused(
        admin.rename_group(&group("ENCR_nightly"), &to("ENCR_archive")).await,
        ErrorCode::NameTaken,
    );
    refused(
        admin.rename_group(&group("ENCR_nightly"), &to("plain")).await,
        ErrorCode::NotForTape,
    );
    refused(
        admin.rename_group(&group("ENCR_daily"), &to("ENCR_x")).await,
        ErrorCode::NoSuchGroup,
    );
    let same = admin
        .rename_group(&group("ENCR_nightly"), &to("ENCR_nightly"))
        .await
        .unwrap();
    assert_eq!(same, renamed, "its own name changes nothing");
    let home = service.stop_and_verify().await;
    let said = home
        .audit()
        .into_iter()
        .find(|record| record.action == "rename_group")
        .unwrap();
    assert_eq!(
        (said.group.as_deref(), said.detail.as_deref(), said.outcome.as_str()),
        (Some("ENCR_daily"), Some("to ENCR_nightly"), "done")
    );
}

#[tokio::test]
async fn a_renamed_key_is_found_by_the_kad_of_its_volumes() {
    let service = Service::start().await;
    let (admin, daily) = (&service.admin, group("ENCR_daily"));
    let to = |new: &str| RenameKey { name: name(new) };
    let renamed = admin.rename_key(&daily, &service.old.name, &to("first")).await.unwrap();
    assert!(renamed.id == service.old.id && renamed.state == KeyState::Inactive);
    assert_eq!(service.found().await, ("ENCR_daily".to_owned(), "first".to_owned()));
    let active = admin
        .rename_key(&daily, &service.active.name, &to("second"))
        .await
        .unwrap();
    assert_eq!(active.state, KeyState::Active, "an active key may be renamed");
    let backup = service.media.backup_key("ENCR_daily", &volume("B1")).await.unwrap();
    assert_eq!(backup.key_name, name("second"));
    refused(
        admin.rename_key(&daily, &name("first"), &to("second")).await,
        ErrorCode::NameTaken,
    );
    refused(
        admin.rename_key(&daily, &name("none"), &to("third")).await,
        ErrorCode::NoSuchKey,
    );
    service.stop_and_verify().await;
}

#[tokio::test]
async fn notes_can_be_changed_and_taken_away() {
    let service = Service::start().await;
    let (admin, daily) = (&service.admin, group("ENCR_daily"));
    assert_eq!(
        admin
            .describe_group(&daily, &note("nightly"))
            .await
            .unwrap()
            .description,
        "nightly"
    );
    let key = admin
        .describe_key(&daily, &service.old.name, &note("in the bank"))
        .await
        .unwrap();
    assert_eq!(
        (key.description.as_str(), key.name),
        ("in the bank", service.old.name.clone())
    );
    assert_eq!(admin.describe_group(&daily, &note("")).await.unwrap().description, "");
    service.found().await;
    for bad in ["a\nb".to_owned(), "x".repeat(257)] {
        refused(admin.describe_group(&daily, &note(&bad)).await, ErrorCode::BadRequest);
        refused(
            admin.describe_key(&daily, &service.old.name, &note(&bad)).await,
            ErrorCode::BadRequest,
        );
    }
    let home = service.stop_and_verify().await;
    assert!(
        home.audit()
            .iter()
            .all(|record| record.detail.as_deref().unwrap_or_default().lines().count() <= 1)
    );
}

#[tokio::test]
async fn a_moved_key_keeps_its_id_and_an_active_one_stays() {
    let service = Service::start().await;
    let (admin, daily, archive) = (&service.admin, group("ENCR_daily"), group("ENCR_archive"));
    let old = service.old.name.clone();
    let stays = admin
        .move_key_to_group(&daily, &service.active.name, &into("ENCR_archive", None))
        .await;
    assert!(refused(stays, ErrorCode::WrongState).contains("hint: first make another key active"));
    refused(
        admin.move_key_to_group(&daily, &old, &into("ENCR_shared", None)).await,
        ErrorCode::WrongKind,
    );
    refused(
        admin.move_key_to_group(&daily, &old, &into("ENCR_none", None)).await,
        ErrorCode::NoSuchGroup,
    );
    let taken = CreateKey {
        name: Some(old.clone()),
        description: String::new(),
    };
    admin.create_key(&archive, &taken).await.unwrap();
    let clash = admin.move_key_to_group(&daily, &old, &into("ENCR_archive", None)).await;
    refused(clash, ErrorCode::NameTaken);
    assert_eq!(service.found().await.0, "ENCR_daily", "a refused move changes nothing");

    let moved = admin
        .move_key_to_group(&daily, &old, &into("ENCR_archive", Some("moved")))
        .await
        .unwrap();
    assert_eq!(
        (moved.id, moved.group, moved.state),
        (service.old.id, archive.clone(), KeyState::Inactive)
    );
    assert_eq!(service.found().await, ("ENCR_archive".to_owned(), "moved".to_owned()));
    assert_eq!(admin.keys(Some(&daily)).await.unwrap().len(), 1);
    let to = MoveKey {
        state: KeyState::Active,
        single_copy: true,
    };
    admin.move_key(&archive, &name("moved"), &to).await.unwrap();
    let backup = service.media.backup_key("ENCR_archive", &volume("B1")).await.unwrap();
    assert_eq!(backup.key_name, name("moved"), "it serves its new group");
    let home = service.stop_and_verify().await;
    let said = home
        .audit()
        .into_iter()
        .rfind(|record| record.action == "move_key_to_group")
        .unwrap();
    assert_eq!(said.detail, Some(format!("{old} to ENCR_archive/moved")));
}

#[tokio::test]
async fn a_key_that_a_snapshot_holds_is_still_held_after_it_moved() {
    let service = Service::start().await;
    let disk = service.home.other_disk();
    let (admin, daily) = (&service.admin, group("ENCR_daily"));
    admin
        .create_snapshot(&new_snapshot(disk.path().join("s")))
        .await
        .unwrap();
    admin
        .move_key_to_group(&daily, &service.old.name, &into("ENCR_archive", Some("moved")))
        .await
        .unwrap();
    admin
        .describe_key(&group("ENCR_archive"), &name("moved"), &note("x"))
        .await
        .unwrap();
    assert_eq!(admin.status().await.unwrap().keys_in_no_snapshot, 0);
    let to = MoveKey {
        state: KeyState::Active,
        single_copy: false,
    };
    admin
        .move_key(&group("ENCR_archive"), &name("moved"), &to)
        .await
        .unwrap();
    service.stop_and_verify().await;
}

#[tokio::test]
async fn an_imported_key_is_found_by_its_kad_in_the_group_that_it_moved_to() {
    let service = Service::start().await;
    let admin = &service.admin;
    admin
        .create_group(&new_group("ENCR_other", KeyKind::AsIs))
        .await
        .unwrap();
    admin
        .import_keys(&group("ENCR_shared"), &import(&[5], true))
        .await
        .unwrap();
    let key = admin.keys(Some(&group("ENCR_shared"))).await.unwrap().remove(0);
    admin
        .move_key_to_group(&group("ENCR_shared"), &key.name, &into("ENCR_other", None))
        .await
        .unwrap();
    let answer = service.media.restore_keys(b"foreign 5", None).await.unwrap();
    assert!(answer.candidates.len() == 1 && answer.candidates[0].group == group("ENCR_other"));
    service.stop_and_verify().await;
}

#[tokio::test]
async fn names_notes_and_places_changed_behind_the_service_s_back_are_noticed() {
    for sql in [
        "UPDATE keys SET name = 'other' WHERE name = 'moved'",
        "UPDATE keys SET group_id = (SELECT id FROM key_groups WHERE name = 'ENCR_daily') WHERE name = 'moved'",
        "UPDATE key_groups SET description = '' WHERE description != ''",
        "UPDATE key_groups SET name = 'ENCR_weekly' WHERE name = 'ENCR_daily'",
    ] {
        let service = Service::start().await;
        let (admin, daily) = (&service.admin, group("ENCR_daily"));
        admin
            .move_key_to_group(&daily, &service.old.name, &into("ENCR_archive", Some("moved")))
            .await
            .unwrap();
        admin.describe_group(&daily, &note("nightly")).await.unwrap();
        let home = service.stop_and_verify().await;
        assert_eq!(home.sql(sql), 1, "{sql}");
        let mut silent = |_: &str, _, _| {};
        let report = verify(
            &home.folder(),
            (None, &Given::default()),
            (&*home.clock, &*home.entropy),
            &mut silent,
        )
        .unwrap();
        assert_eq!(report.problems.len(), 1, "{sql}: {:?}", report.problems);
    }
}

#[tokio::test]
async fn nothing_is_renamed_described_or_moved_while_quiesced_or_by_a_host() {
    let service = Service::start().await;
    let daily = group("ENCR_daily");
    service.admin.quiesce().await.unwrap();
    for (client, code) in [
        (&service.admin, ErrorCode::Quiesced),
        (&service.media, ErrorCode::Forbidden),
    ] {
        let key = &service.old.name;
        refused(
            client
                .rename_group(&daily, &RenameGroup { name: group("ENCR_x") })
                .await,
            code,
        );
        refused(client.describe_group(&daily, &note("x")).await, code);
        refused(
            client.rename_key(&daily, key, &RenameKey { name: name("x") }).await,
            code,
        );
        refused(client.describe_key(&daily, key, &note("x")).await, code);
        refused(
            client.move_key_to_group(&daily, key, &into("ENCR_archive", None)).await,
            code,
        );
    }
    assert_eq!(
        service.found().await,
        ("ENCR_daily".to_owned(), service.old.name.to_string())
    );
    service.stop_and_verify().await;
}
