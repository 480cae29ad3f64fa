//! `tapekey-kms snapshot`, `restore` and `verify` as real processes: what they print, a kill in the middle, a disk that is full.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kms_support::process::{PROGRAM, ended};
use kms_support::{Home, new_group, rotate};
use tapekey::kad::KeyKind;

fn kms(words: &[&Path]) -> Output {
    ended(Command::new(PROGRAM).args(words).stdin(Stdio::null()))
}

fn says(words: &[&Path]) -> String {
    let ended = kms(words);
    assert!(
        ended.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    String::from_utf8(ended.stdout).unwrap()
}

fn fails(words: &[&Path]) -> String {
    let ended = kms(words);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && told.contains("hint: "),
        "{words:?}: {told}"
    );
    told
}

fn word(text: &str) -> &Path {
    Path::new(text)
}

/// A KMS with one key, and with so many `megabytes` in its store that copying takes its time.
async fn large(megabytes: usize) -> Home {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    running.stop().await;
    // Snapshots are made while quiesced, by whomever, and no seal is on a quiesce.
    let whoever = "x".repeat(1_000_000);
    for number in 0..megabytes {
        home.sql(&format!("INSERT INTO quiesces VALUES ({number}, 0, '{whoever}', '')"));
    }
    home
}

#[tokio::test]
async fn a_local_snapshot_is_made_verified_and_restored_while_the_service_runs() {
    let home = Home::new();
    let disk = home.other_disk();
    let (folder, snapshot) = (home.folder(), disk.path().join("tapekey-1.snapshot"));
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let made = says(&[word("snapshot"), &folder, &snapshot]);
    assert!(made.contains("holds     1 groups, 1 keys\n"), "{made}");
    let status = admin.status().await.unwrap();
    assert_eq!(status.keys_in_no_snapshot, 0, "the service knows of it");
    let beside = fails(&[word("snapshot"), &folder, &folder.join("x")]);
    assert!(beside.contains("--same-filesystem"), "{beside}");
    let json = says(&[
        word("snapshot"),
        word("--json"),
        word("--same-filesystem"),
        &folder,
        &folder.join("x"),
    ]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["counts"], false);

    let whole = "Every record opens, every index agrees, the audit chain is whole.\n";
    let verified = says(&[word("verify"), &folder]);
    assert!(
        verified.contains("store     ") && verified.ends_with(whole),
        "{verified}"
    );
    let key = folder.join("host-master.key");
    let verified = says(&[word("verify"), &snapshot, word("--master-key"), &key]);
    assert!(
        verified.contains("snapshot  ") && verified.ends_with(whole),
        "{verified}"
    );
    let no_key = fails(&[word("verify"), &snapshot]);
    assert!(no_key.contains("--master-key FILE"), "{no_key}");

    let new = disk.path().join("new");
    let restored = says(&[word("restore"), &snapshot, &new, word("--master-key"), &key]);
    assert!(
        restored.contains("Restored 1 groups and 1 keys as of ") && restored.contains("tapekey-kms serve "),
        "{restored}"
    );
    let json: serde_json::Value = serde_json::from_str(&says(&[word("verify"), word("--json"), &new])).unwrap();
    assert_eq!((json["keys"].as_u64(), json["what"].as_str()), (Some(1), Some("store")));
    running.stop().await;

    let restored = rusqlite::Connection::open(new.join("store/kms.sqlite")).unwrap();
    restored.execute("UPDATE keys SET description = 'x'", ()).unwrap();
    let broken = fails(&[word("verify"), &new]);
    assert!(broken.contains(": 1 problems"), "{broken}");
    // The real service keeps what it works on to itself, a snapshot does not need it.
    assert!(running_beside(&home));
}

/// Whether a snapshot can be made while another process holds the store's lock.
fn running_beside(home: &Home) -> bool {
    let lock = std::fs::File::open(home.lock_file()).unwrap();
    lock.lock().unwrap();
    let (folder, path) = (home.folder(), home.folder().join("y"));
    kms(&[word("snapshot"), word("--same-filesystem"), &folder, &path])
        .status
        .success()
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_snapshot_leaves_no_half_one_and_the_store_whole() {
    let home = large(40).await;
    let (folder, disk) = (home.folder(), home.other_disk());
    let key = folder.join("host-master.key");
    let mut killed_before_the_end = 0;
    for moment in 0..12_u64 {
        let snapshot = disk.path().join(format!("{}.snapshot", moment / 4));
        let kills_at = moment * 4_000_000;
        let done = kill_when(&folder, &snapshot, kills_at);
        if snapshot.exists() {
            says(&[word("verify"), &snapshot, word("--master-key"), &key]);
            std::fs::remove_file(&snapshot).unwrap();
        } else {
            assert!(!done, "a snapshot that was reported is there");
            killed_before_the_end += 1;
        }
        says(&[word("verify"), &folder]);
    }
    assert!(
        killed_before_the_end >= 4,
        "only {killed_before_the_end} kills came in time"
    );
    let snapshot = disk.path().join("0.snapshot");
    says(&[word("snapshot"), &folder, &snapshot]);
    says(&[word("verify"), &snapshot, word("--master-key"), &key]);
    let left: Vec<_> = std::fs::read_dir(disk.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .filter(|name| name.to_string_lossy().contains("0.snapshot"))
        .collect();
    assert_eq!(left, ["0.snapshot"], "the next snapshot of that name clears up");
}

fn partial(snapshot: &Path) -> PathBuf {
    let name = snapshot.file_name().unwrap().to_str().unwrap();
    snapshot.with_file_name(format!(".{name}.partial"))
}

/// Kills a snapshot once its file has that many bytes. True if it ended by itself before.
fn kill_when(folder: &Path, snapshot: &Path, bytes: u64) -> bool {
    // What an earlier kill left is as long as it was until it is emptied.
    let _ = std::fs::remove_file(partial(snapshot));
    let mut child = Command::new(PROGRAM)
        .arg("snapshot")
        .args([folder, snapshot])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    loop {
        if let Some(ended) = child.try_wait().unwrap() {
            assert!(ended.success());
            return true;
        }
        if std::fs::metadata(partial(snapshot)).is_ok_and(|found| found.len() >= bytes) {
            child.kill().unwrap();
            return child.wait().unwrap().success();
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_leaves_nothing_behind() {
    let home = large(20).await;
    let (folder, disk) = (home.folder(), home.other_disk());
    let snapshot = disk.path().join("s");
    // The largest file that the process may write plays the disk: no file can grow beyond 2 or 4 MB, as the shell counts.
    let mut limited = Command::new("sh");
    limited
        .args([
            "-c",
            "trap '' XFSZ; ulimit -f 4096; exec \"$@\"",
            "sh",
            PROGRAM,
            "snapshot",
        ])
        .args([&folder, &snapshot]);
    let ended = ended(&mut limited);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{told}");
    assert!(
        told.contains(&format!("copy the store to {}", snapshot.display()))
            && told.contains("hint: no snapshot was made; check free space"),
        "{told}"
    );
    assert_eq!(std::fs::read_dir(disk.path()).unwrap().count(), 0, "nothing is left");
    says(&[word("verify"), &folder]);
    let last = home.audit().pop().unwrap();
    assert!(
        last.action == "create_snapshot" && last.outcome.starts_with("failed: copy the store"),
        "{}",
        last.outcome
    );
    says(&[word("snapshot"), &folder, &snapshot]);
}
