//! Disks under an SQLite store that are full, read-only, or give back what was never written: a clear error, and the store as it was.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;
use std::process::Command;

use kms_support::process::{PROGRAM, Process, ended, says};
use kms_support::{Home, group, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms::master_key::Given;
use tapekey::kms::service::Kms;
use tapekey::kms::verify::verify;
use tapekey::kms_api::RotateGroup;
use tapekey::kms_client::KmsClient;

/// SQLite's page.
const PAGE: usize = 4096;

/// Nobody's user id.
const NOBODY: u32 = 65_534;

async fn daily(admin: &KmsClient) {
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    let rotate = RotateGroup {
        name: None,
        single_copy: true,
    };
    admin.rotate_group(&group("ENCR_daily"), &rotate).await.unwrap();
}

#[tokio::test]
async fn while_the_disk_is_full_no_key_is_given_and_the_service_goes_on_when_there_is_room_again() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("kms");
    says(&["init", folder.to_str().unwrap()]);
    // The largest file that the process may write plays the disk.
    let mut limited = Command::new("sh");
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -S -f 1024; exec \"$@\"",
            "sh",
            PROGRAM,
            "serve",
        ])
        .arg(&folder);
    let process = Process::start(limited);
    let client = |name: &str| process.client(&folder, name);
    let media = client("media-server-1");
    daily(&client("admin-1")).await;
    let mut given = Vec::new();
    let refused = loop {
        match media.backup_key("ENCR_daily", &volume("A00001L8")).await {
            Ok(key) => given.push(key),
            Err(error) => break error.to_string(),
        }
        assert!(given.len() < 10_000, "the disk is never full");
    };
    assert!(
        refused.contains("nothing was changed and no key was given, since it could not be made durable")
            && refused.contains("hint: "),
        "{refused}"
    );
    assert!(
        media.backup_key("ENCR_daily", &volume("A00001L8")).await.is_err(),
        "still full"
    );

    let pid = process.child.id().to_string();
    let raised = Command::new("prlimit")
        .args(["--pid", &pid, "--fsize=unlimited"])
        .status()
        .unwrap();
    assert!(raised.success());
    given.push(media.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap());
    for backup in &given {
        let found = media.restore_keys(&backup.kad.encode(), None).await.unwrap();
        assert!(found.keys.len() == 1 && found.keys[0].key == backup.key);
    }
    assert!(says(&["verify", folder.to_str().unwrap()]).contains("Every record opens"));
}

#[test]
fn a_store_that_cannot_be_written_is_not_served_and_stays_as_it_is() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("kms");
    says(&["init", folder.to_str().unwrap()]);
    let (store, database) = (folder.join("store"), folder.join("store/kms.sqlite"));
    let mode = |path: &Path, mode| fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    let mut serve = Command::new(PROGRAM);
    if nix::unistd::geteuid().is_root() {
        // Root may write everywhere.
        serve = Command::new("setpriv");
        serve.args([&format!("--reuid={NOBODY}"), "--clear-groups", "--", PROGRAM]);
        for path in ["host-master.key", "server/key.pem", "store/lock"] {
            chown(folder.join(path), Some(NOBODY), None).unwrap();
        }
        for path in [temporary.path(), &folder, &folder.join("server")] {
            mode(path, 0o755);
        }
    }
    mode(&database, 0o444);
    mode(&store, 0o555);
    let before = fs::read(&database).unwrap();
    let ended = ended(serve.args(["serve", "--listen", "127.0.0.1:0"]).arg(&folder));
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(
        told.contains("store: ") && told.contains("not mounted read-only"),
        "{told}"
    );
    mode(&store, 0o755);
    assert_eq!(fs::read(&database).unwrap(), before);
}

/// Every page in turn is overwritten. Whatever the service then says, it is never a wrong key, and never the end of the service; and
/// `verify` sees it.
#[tokio::test]
async fn a_page_that_the_disk_ruined_is_an_error_and_never_a_wrong_key() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    let mut given = Vec::new();
    for name in ["ENCR_a", "ENCR_b"] {
        admin.create_group(&new_group(name, KeyKind::Derived)).await.unwrap();
        rotate(&admin, name).await;
        given.push(media.backup_key(name, &volume("A1")).await.unwrap());
    }
    running.stop().await;
    let whole = fs::read(home.database()).unwrap();
    assert!(whole.len().is_multiple_of(PAGE));
    let mut seen = 0;
    for page in 0..whole.len() / PAGE {
        let mut ruined = whole.clone();
        ruined[page * PAGE..(page + 1) * PAGE].fill(0xA5);
        for file in fs::read_dir(home.folder().join("store")).unwrap() {
            fs::remove_file(file.unwrap().path()).unwrap();
        }
        fs::write(home.database(), ruined).unwrap();
        let looked = verify(
            &home.folder(),
            (None, &Given::default()),
            (&*home.clock, &*home.entropy),
            &mut |_, _, _| {},
        );
        let found = looked.map_or_else(|error| vec![error.to_string()], |report| report.problems);
        assert!(!found.is_empty(), "page {page}: verify sees nothing");
        let started = home.open_store().and_then(|file| {
            let kms = Kms::start(file, home.clock.clone(), home.entropy.clone());
            kms.map_err(|error| error.to_string())
        });
        match started {
            Err(error) => assert!(error.contains("hint: "), "page {page}: {error}"),
            Ok(kms) => {
                drop(kms);
                seen += 1;
                ask_of_a_ruined_store(&home, &given, page).await;
            }
        }
    }
    assert!(seen > 0, "some pages are met only later");
}

async fn ask_of_a_ruined_store(home: &Home, given: &[tapekey::kms_client::BackupKey], page: usize) {
    let running = home.serve().await;
    let media = home.client("media-server-1", running.address);
    for (name, backup) in ["ENCR_a", "ENCR_b"].into_iter().zip(given) {
        match media.restore_keys(&backup.kad.encode(), None).await {
            Ok(found) => assert!(
                found.keys.iter().all(|restored| restored.key == backup.key),
                "page {page}"
            ),
            Err(error) => assert!(error.to_string().contains("hint: "), "page {page}: {error}"),
        }
        if let Err(error) = media.backup_key(name, &volume("A1")).await {
            assert!(error.to_string().contains("hint: "), "page {page}: {error}");
        }
    }
    running.stop().await;
}
