//! Snapshots, quiesce and status over the web service: what lets a key become active, what can be made of a snapshot, what is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use kms_support::{Home, Log, client, error, group, new_group, new_snapshot, on_postgresql, rotate, volume};
use rusqlite::Connection;
use sha2::{Digest, Sha256};
use tapekey::kad::KeyKind;
use tapekey::kms::master_key::{Given, MasterKeySource};
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::snapshot::restore::{RestoreWith, restore};
use tapekey::kms::verify::verify;
use tapekey::kms_api::{
    CreateKey, CreateSnapshot, ErrorCode, KeyName, KeyRecord, KeyState, MoveKey, RotateGroup, SnapshotRecord,
};
use tapekey::kms_client::{KmsClient, KmsClientError};

const TWO_COPIES: bool = false;

async fn new_key(admin: &KmsClient, name: &str) -> KeyRecord {
    let key = CreateKey {
        name: Some(KeyName::new(name).unwrap()),
        description: String::new(),
    };
    admin.create_key(&group("ENCR_daily"), &key).await.unwrap()
}

async fn set_state(admin: &KmsClient, key: &KeyRecord, state: KeyState) -> Result<(), KmsClientError> {
    let to = MoveKey {
        state,
        single_copy: TWO_COPIES,
    };
    admin.move_key(&group("ENCR_daily"), &key.name, &to).await.map(drop)
}

async fn daily(admin: &KmsClient) {
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
}

fn restored(home: &Home, snapshot: &Path, hosts: &[String]) -> Result<Home, String> {
    let new = Home::empty_beside(home);
    let master = HostMasterKey::read(&home.master_key_file()).unwrap();
    let with = RestoreWith {
        master: &master,
        hosts,
        clock: &*home.clock,
        entropy: &*home.entropy,
        progress: &mut |_, _, _| {},
    };
    match restore(snapshot, &new.folder(), with) {
        Ok(_) => Ok(new),
        Err(error) => {
            let left = std::fs::read_dir(new.folder()).map_or(0, Iterator::count);
            assert_eq!(left, 0, "a refused restore leaves nothing: {error}");
            Err(error.to_string())
        }
    }
}

fn problems(home: &Home, path: &Path) -> Result<Vec<String>, String> {
    let key = home.master_key_file();
    verify(
        path,
        (Some(&MasterKeySource::File(key)), &Given::default()),
        (&*home.clock, &*home.entropy),
        &mut |_, _, _| {},
    )
    .map(|report| report.problems)
    .map_err(|error| error.to_string())
}

#[tokio::test]
async fn a_key_becomes_active_once_a_snapshot_on_another_disk_holds_it() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    daily(&admin).await;
    let first = new_key(&admin, "first").await;

    let refused = set_state(&admin, &first, KeyState::Active).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SingleCopy));
    let text = refused.to_string();
    assert!(
        text.contains("hint: first tapekey kms snapshot create ")
            && text.contains("then tapekey kms key activate ENCR_daily first"),
        "{text}"
    );

    let beside = home.folder().join("beside.snapshot");
    let refused = admin.create_snapshot(&new_snapshot(&beside)).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::Snapshot));
    assert!(refused.to_string().contains("--same-filesystem"), "{refused}");
    assert!(!beside.exists());
    let accepted = CreateSnapshot {
        same_filesystem: true,
        ..new_snapshot(&beside)
    };
    assert!(!admin.create_snapshot(&accepted).await.unwrap().counts);
    set_state(&admin, &first, KeyState::Active).await.unwrap_err();

    let made = admin
        .create_snapshot(&new_snapshot(disk.path().join("1.snapshot")))
        .await
        .unwrap();
    assert_eq!((made.counts, made.groups, made.keys), (true, 1, 1));
    let second = new_key(&admin, "second").await;
    set_state(&admin, &first, KeyState::Active).await.unwrap();
    let younger = set_state(&admin, &second, KeyState::Active).await.unwrap_err();
    assert_eq!(younger.code(), Some(ErrorCode::SingleCopy), "made after the snapshot");
    let rotated = RotateGroup {
        name: None,
        single_copy: TWO_COPIES,
    };
    let rotated = admin.rotate_group(&group("ENCR_daily"), &rotated).await.unwrap_err();
    assert!(
        rotated
            .to_string()
            .contains("or take three steps: tapekey kms key create ENCR_daily")
    );

    home.clock.advance_days(1);
    admin
        .create_snapshot(&new_snapshot(disk.path().join("2.snapshot")))
        .await
        .unwrap();
    set_state(&admin, &second, KeyState::Active).await.unwrap();
    // Changed since, but still the same key: its way back is open.
    set_state(&admin, &first, KeyState::Active).await.unwrap();
    let status = admin.status().await.unwrap();
    assert_eq!((status.keys, status.keys_in_no_snapshot), (2, 0));
    assert_eq!(status.last_snapshot, admin.snapshots().await.unwrap().first().cloned());
    running.stop().await;

    let said: Vec<_> = home
        .audit()
        .into_iter()
        .filter(|record| record.action == "create_snapshot")
        .map(|record| (record.detail.unwrap(), record.outcome))
        .collect();
    assert!(said[0].1.starts_with("refused: "), "{said:?}");
    assert!(
        said[1].0.ends_with(", same file system accepted") && said[1].1.ends_with("counts for no key"),
        "{said:?}"
    );
    assert!(said[3].1.ends_with("with 2 keys"), "{said:?}");
}

/// A service that made one key, wrote one volume and a snapshot, and stopped.
struct Written {
    home: Home,
    disk: tempfile::TempDir,
    kad: Vec<u8>,
    record: SnapshotRecord,
}

impl Written {
    async fn new() -> Self {
        let home = Home::new();
        let disk = home.other_disk();
        let running = home.serve().await;
        let (admin, media) = (
            home.client("admin-1", running.address),
            home.client("media-server-1", running.address),
        );
        daily(&admin).await;
        rotate(&admin, "ENCR_daily").await;
        let kad = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap().kad;
        let record = admin
            .create_snapshot(&new_snapshot(disk.path().join("s")))
            .await
            .unwrap();
        running.stop().await;
        Self {
            home,
            disk,
            kad: kad.encode().to_vec(),
            record,
        }
    }

    fn snapshot(&self) -> PathBuf {
        self.disk.path().join("s")
    }
}

#[tokio::test]
async fn a_restored_snapshot_serves_the_keys_to_the_old_clients() {
    let written = Written::new().await;
    assert_eq!(problems(&written.home, &written.snapshot()), Ok(Vec::new()));
    let text = std::fs::read(written.snapshot()).unwrap();
    assert!(!written.home.entropy.is_in(&text), "no key stands open in a snapshot");

    let running = written.home.serve().await;
    let media = written.home.client("media-server-1", running.address);
    let before = media.restore_keys(&written.kad, None).await.unwrap();
    running.stop().await;

    let home = restored(&written.home, &written.snapshot(), &["kms2.example.org".to_owned()]).unwrap();
    assert_eq!(problems(&written.home, &home.folder()), Ok(Vec::new()));
    let running = home.serve().await;
    let address = format!("https://{}", running.address);
    let old = |name: &str| client(&written.home.bundle(name), &[&address], &home.clock);
    let after = old("media-server-1").restore_keys(&written.kad, None).await.unwrap();
    assert!(after.keys.len() == 1 && after.keys[0].key == before.keys[0].key);
    let status = old("admin-1").status().await.unwrap();
    assert_eq!(
        (status.store.len(), status.keys, status.keys_in_no_snapshot),
        (36, 1, 1),
        "it is a new store: old snapshots do not count for it"
    );
    running.stop().await;
    let last = home
        .audit()
        .into_iter()
        .rfind(|record| record.action == "restore_store")
        .unwrap();
    assert_eq!(last.detail, Some(format!("from snapshot {}", written.record.id)));
}

#[tokio::test]
async fn a_key_that_became_active_after_the_snapshot_is_found_again_in_the_restored_store() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    daily(&admin).await;
    let key = new_key(&admin, "2026-12").await;
    let path = disk.path().join("s");
    admin.create_snapshot(&new_snapshot(&path)).await.unwrap();
    set_state(&admin, &key, KeyState::Active).await.unwrap();
    let backup = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    running.stop().await;

    let new = restored(&home, &path, &[]).unwrap();
    let running = new.serve().await;
    let address = format!("https://{}", running.address);
    let old = |name: &str| client(&home.bundle(name), &[&address], &new.clock);
    let (admin, media) = (old("admin-1"), old("media-server-1"));
    let found = media.restore_keys(&backup.kad.encode(), None).await.unwrap();
    assert!(found.keys.len() == 1 && found.keys[0].key == backup.key);
    assert_eq!(admin.keys(None).await.unwrap()[0].state, KeyState::Inactive);
    let refused = set_state(&admin, &key, KeyState::Active).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::SingleCopy), "until the next snapshot");
    running.stop().await;
    let last = new.audit();
    let moved = last
        .iter()
        .rfind(|record| record.action == "move_key" && record.subject == "local");
    assert_eq!(moved.unwrap().key_id, Some(key.id.to_string()));
}

#[tokio::test]
async fn a_snapshot_that_was_tampered_with_is_refused() {
    let written = Written::new().await;
    let whole = std::fs::read(written.snapshot()).unwrap();
    let length = usize::try_from(written.record.bytes).unwrap();
    let tampered = written.disk.path().join("t");
    let refused = |says: &str| {
        let verified = match problems(&written.home, &tampered) {
            Ok(problems) => problems.join("\n"),
            Err(error) => error,
        };
        assert!(verified.contains(says), "{says}: {verified}");
        let error = restored(&written.home, &tampered, &[]).err().expect(says);
        assert!(error.contains(says) && error.contains("hint: "), "{says}: {error}");
    };
    for at in [100, length / 2, length - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        std::fs::write(&tampered, bytes).unwrap();
        refused("was altered or damaged");
    }
    std::fs::write(&tampered, &whole[..whole.len() - 1]).unwrap();
    refused("does not end as one");

    for (sql, says) in [
        ("UPDATE keys SET state = 'inactive'", "does not open"),
        ("DELETE FROM keys", "the manifest is of another store"),
        ("UPDATE store SET id = zeroblob(16)", "the manifest is of another store"),
        (
            "UPDATE audit SET volume = 'B2' WHERE volume IS NOT NULL",
            "audit record 4",
        ),
        (
            "PRAGMA foreign_keys = OFF; UPDATE keys SET group_id = randomblob(16)",
            "refers to a record of key_groups",
        ),
        ("PRAGMA user_version = 8", "this program knows 7"),
        (
            "UPDATE store SET created = created",
            "the manifest is not as this store wrote it",
        ),
    ] {
        forge(&tampered, &whole, length, sql);
        refused(says);
    }
}

/// What somebody can make who knows the format: the digest fits, but not the seals and MACs. The manifest claims another day.
fn forge(path: &Path, whole: &[u8], length: usize, sql: &str) {
    std::fs::write(path, &whole[..length]).unwrap();
    Connection::open(path).unwrap().execute_batch(sql).unwrap();
    let database = std::fs::read(path).unwrap();
    let (manifest, footer) = whole[length..].split_at(whole.len() - length - 32);
    let mut manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
    manifest["database_sha256"] = hex::encode(Sha256::digest(&database)).into();
    manifest["database_bytes"] = database.len().into();
    manifest["made"] = "2026-11-25T12:00:00Z".into();
    let manifest = serde_json::to_vec(&manifest).unwrap();
    let manifest_length = u64::try_from(manifest.len()).unwrap().to_be_bytes();
    let parts = [&database, &manifest, manifest_length.as_slice(), &footer[8..]];
    std::fs::write(path, parts.concat()).unwrap();
}

#[tokio::test]
async fn a_snapshot_opens_under_its_own_host_master_key_only_and_other_files_are_none() {
    let written = Written::new().await;
    let other = Home::new();
    let path = written.home.master_key_file();
    let own = std::fs::read_to_string(&path).unwrap();
    let foreign = own.replacen(&own[27..35], "00000000", 1);
    std::fs::write(&path, foreign).unwrap();
    let error = restored(&written.home, &written.snapshot(), &[]).err().unwrap();
    assert!(error.contains("sealed under host master key"), "{error}");
    std::fs::write(&path, own).unwrap();
    let error = problems(&other, &written.home.master_key_file()).unwrap_err();
    assert!(error.contains("is no snapshot of tapekey-kms"), "{error}");
}

#[tokio::test]
async fn a_snapshot_and_a_restore_never_replace_anything() {
    let written = Written::new().await;
    let before = std::fs::read(written.snapshot()).unwrap();
    let running = written.home.serve().await;
    let admin = written.home.client("admin-1", running.address);
    let refused = admin.create_snapshot(&new_snapshot(written.snapshot())).await;
    assert!(error(refused).contains("there is something at "));
    // Another process is at it.
    let partial = std::fs::File::create(written.disk.path().join(".u.partial")).unwrap();
    partial.lock().unwrap();
    let busy = admin
        .create_snapshot(&new_snapshot(written.disk.path().join("u")))
        .await;
    assert!(error(busy).contains("is being made already"));
    assert!(!written.disk.path().join("u").exists() && written.disk.path().join(".u.partial").exists());
    running.stop().await;
    assert_eq!(std::fs::read(written.snapshot()).unwrap(), before);
    let master = HostMasterKey::read(&written.home.master_key_file()).unwrap();
    let with = RestoreWith {
        master: &master,
        hosts: &[],
        clock: &*written.home.clock,
        entropy: &*written.home.entropy,
        progress: &mut |_, _, _| {},
    };
    let over = error(restore(&written.snapshot(), &written.home.folder(), with));
    assert!(over.contains("is not empty"), "{over}");
    written.home.open_store().ok().unwrap();
}

#[tokio::test]
async fn verify_names_what_was_altered_in_a_store_and_nothing_else() {
    for (sql, says) in [
        ("UPDATE store SET created = created", None),
        ("UPDATE keys SET description = 'x'", Some("key ")),
        (
            "UPDATE key_groups SET kind = 'as_is'",
            Some("group ENCR_daily does not open"),
        ),
        (
            "UPDATE certificate_authorities SET sealed = zeroblob(200)",
            Some("private key"),
        ),
        ("DELETE FROM audit WHERE sequence = 2", Some("audit record 3 ")),
        ("UPDATE snapshots SET counts = 0", Some("the record of snapshot")),
        (
            "DROP INDEX one_active_key; CREATE TEMP TABLE twin AS SELECT * FROM keys; UPDATE twin SET id = randomblob(16), name = 'twin'; INSERT INTO keys SELECT * FROM twin",
            Some("does not open"),
        ),
        (
            "PRAGMA foreign_keys = OFF; DELETE FROM key_groups",
            Some("refers to a record of key_groups"),
        ),
    ] {
        // PostgreSQL holds on to its references itself.
        if on_postgresql() && sql.starts_with("PRAGMA") {
            continue;
        }
        let written = Written::new().await;
        written.home.sql(sql);
        let found = problems(&written.home, &written.home.folder()).unwrap();
        match says {
            None => assert!(found.is_empty(), "{sql}: {found:?}"),
            Some(says) => assert!(found.len() == 1 && found[0].contains(says), "{sql}: {found:?}"),
        }
    }
}

#[tokio::test]
async fn while_quiesced_keys_are_given_out_and_nothing_is_changed_over_a_restart_too() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let (admin, other) = (
        home.client("admin-1", running.address),
        home.client("admin-2", running.address),
    );
    daily(&admin).await;
    let key = rotate(&admin, "ENCR_daily").await.key;
    admin.quiesce().await.unwrap();
    assert_eq!(other.quiesce().await.unwrap().quiesces, 2);
    running.stop().await;

    let running = home.serve().await;
    let (admin, other, media) = (
        home.client("admin-1", running.address),
        home.client("admin-2", running.address),
        home.client("media-server-1", running.address),
    );
    let (daily, active) = (
        group("ENCR_daily"),
        RotateGroup {
            name: None,
            single_copy: true,
        },
    );
    let refused = [
        admin
            .create_group(&new_group("ENCR_other", KeyKind::Derived))
            .await
            .unwrap_err(),
        admin.create_key(&daily, &CreateKey::default()).await.unwrap_err(),
        admin.rotate_group(&daily, &active).await.unwrap_err(),
        set_state(&admin, &key, KeyState::Inactive).await.unwrap_err(),
    ];
    for refused in refused {
        assert_eq!(refused.code(), Some(ErrorCode::Quiesced));
        let text = refused.to_string();
        assert!(
            text.contains("2 outstanding, the oldest by CN=admin-1") && text.contains("tapekey kms unquiesce"),
            "{text}"
        );
    }
    let kad = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap().kad;
    assert_eq!(media.restore_keys(&kad.encode(), None).await.unwrap().keys.len(), 1);
    let path = disk.path().join("s");
    admin.create_snapshot(&new_snapshot(&path)).await.unwrap();

    let status = other.unquiesce().await.unwrap();
    assert_eq!(status.quiesced_by.len(), 1);
    assert_eq!(
        status.quiesced_by[0].subject, "CN=admin-1",
        "each takes back its own first"
    );
    admin.create_key(&daily, &CreateKey::default()).await.unwrap_err();
    assert_eq!(other.unquiesce().await.unwrap().quiesces, 0);
    admin.create_key(&daily, &CreateKey::default()).await.unwrap();
    let none = admin.unquiesce().await.unwrap_err();
    assert_eq!(none.code(), Some(ErrorCode::NotQuiesced));
    running.stop().await;

    let home = restored(&home, &path, &[]).unwrap();
    home.open_store().ok().unwrap();
    let connection = Connection::open(home.database()).unwrap();
    let left: i64 = connection
        .query_row("SELECT count(*) FROM quiesces", (), |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0, "a restored store is not quiesced");
}

#[tokio::test]
async fn keys_in_no_snapshot_are_an_alarm_at_the_start_until_a_snapshot_holds_them() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    daily(&admin).await;
    new_key(&admin, "a").await;
    let status = admin.status().await.unwrap();
    assert_eq!(
        (status.keys_in_no_snapshot, status.examples.as_slice()),
        (1, ["ENCR_daily/a".to_owned()].as_slice())
    );
    running.stop().await;

    let log = Log::default();
    let _collecting = log.collect();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let alarm = async {
        while !log.text().contains("ALARM") {
            admin.status().await.unwrap();
        }
    };
    tokio::time::timeout(Duration::from_secs(20), alarm)
        .await
        .expect("the alarm");
    assert!(log.text().contains("ENCR_daily/a"), "{}", log.text());
    admin
        .create_snapshot(&new_snapshot(disk.path().join("s")))
        .await
        .unwrap();
    assert_eq!(admin.status().await.unwrap().keys_in_no_snapshot, 0);
    running.stop().await;
}

#[tokio::test]
async fn more_keys_than_one_transaction_takes_are_all_written_down() {
    let home = Home::new();
    home.limit("requests_burst", 3_000);
    let disk = home.other_disk();
    home.limit("requests_burst", 10_000);
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    daily(&admin).await;
    for number in 0..2_050 {
        new_key(&admin, &number.to_string()).await;
        // So many in no time would be refused.
        home.clock.advance_seconds(1);
    }
    admin
        .create_snapshot(&new_snapshot(disk.path().join("s")))
        .await
        .unwrap();
    let status = admin.status().await.unwrap();
    assert_eq!((status.keys, status.keys_in_no_snapshot), (2050, 0));
    running.stop().await;
}
