//! The real `tapekey-kms` process: started, stopped, and killed in the middle of its work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use kms_support::process::{PROGRAM, Process, fails, says, told};
use nix::sys::signal::Signal;
use tapekey::kad::{KeyId, KeyKind, OurKad};
use tapekey::kms_api::{CreateGroup, CreateKey, GroupName, KeyState, MoveKey, Purpose, RotateGroup, VolumeName};
use tapekey::kms_client::KmsClient;
use tapekey::secret::DataKey;
use tokio::sync::Notify;

/// One that says everything that might be wrong, as a machine reads it.
fn serve(folder: &Path) -> Process {
    let mut command = Command::new(PROGRAM);
    command
        .args(["serve", "--log-json"])
        .arg(folder)
        .env("TAPEKEY_LOG", "warn");
    Process::start(command)
}

fn new_kms() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("kms");
    let told = says(&["init", folder.to_str().unwrap(), "--host", "kms1.example.org"]);
    assert!(
        told.contains("root-ca/key.pem off-line") && told.contains("clients/media-server-1"),
        "{told}"
    );
    (temporary, folder)
}

#[tokio::test]
async fn stops_at_sigterm_having_said_one_line() {
    let (_temporary, folder) = new_kms();
    let process = serve(&folder);
    let admin = process.client(&folder, "admin-1");
    assert!(admin.groups().await.unwrap().is_empty());
    let (out, err) = process.stop();
    // Where a user may lock little memory, it says so.
    let complaints = err.lines().filter(|line| !line.contains("lock the memory"));
    assert!(out.is_empty() && complaints.count() == 0, "{out}{err}");
}

#[test]
fn may_leave_no_core() {
    let (_temporary, folder) = new_kms();
    let process = serve(&folder);
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", process.child.id())).unwrap();
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"))
        .unwrap();
    assert_eq!(
        core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(),
        ["0", "0"],
        "{core}"
    );
}

#[test]
fn refuses_to_start_with_an_error_that_says_what_to_do() {
    use std::os::unix::fs::PermissionsExt;
    let (temporary, folder) = new_kms();
    let refused = |folder: &Path, why: &str| {
        let told = fails(&["serve", folder.to_str().unwrap(), "--listen", "127.0.0.1:0"]);
        assert!(told.contains(why), "{why}: {told}");
    };
    refused(temporary.path(), "kms.toml: No such file");
    std::fs::set_permissions(folder.join("host-master.key"), PermissionsExt::from_mode(0o644)).unwrap();
    refused(&folder, "hint: chmod 600");
    std::fs::set_permissions(folder.join("host-master.key"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder.join("server/key.pem"), PermissionsExt::from_mode(0o604)).unwrap();
    refused(&folder, "server/key.pem has mode 0604");
    std::fs::set_permissions(folder.join("server/key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    let running = serve(&folder);
    refused(&folder, "in use by another tapekey-kms");
    drop(running);
    let config = folder.join("kms.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}colour = \"red\"\n")).unwrap();
    refused(&folder, "unknown field `colour`");
    let again = fails(&["init", folder.to_str().unwrap()]);
    assert!(again.contains("is not empty"), "{again}");
    assert_eq!(told(&["frobnicate"]).status.code(), Some(2));
}

/// What was acknowledged before the kill.
#[derive(Default)]
struct Known {
    handed_out: Mutex<Vec<(OurKad, DataKey)>>,
    made: Mutex<Vec<KeyId>>,
    acknowledged: AtomicUsize,
    enough: Notify,
}

impl Known {
    fn acknowledge(&self, enough: usize) {
        if self.acknowledged.fetch_add(1, Ordering::SeqCst) + 1 == enough {
            self.enough.notify_one();
        }
    }
}

async fn work(admin: &KmsClient, media: &KmsClient, known: &Known, enough: usize, over: &AtomicBool) {
    let group = GroupName::new("ENCR_daily").unwrap();
    let volume = VolumeName::new("A00001L8").unwrap();
    while !over.load(Ordering::SeqCst) {
        if let Ok(key) = admin.create_key(&group, &CreateKey::default()).await {
            known.made.lock().unwrap().push(key.id);
            known.acknowledge(enough);
            let _ = admin
                .move_key(
                    &group,
                    &key.name,
                    &MoveKey {
                        state: KeyState::Active,
                        single_copy: true,
                    },
                )
                .await;
        }
        if let Ok(backup) = media.backup_key("ENCR_daily", &volume).await {
            known.handed_out.lock().unwrap().push((backup.kad, backup.key));
            known.acknowledge(enough);
        }
        if let Ok(moved) = admin
            .rotate_group(
                &group,
                &RotateGroup {
                    name: None,
                    single_copy: true,
                },
            )
            .await
        {
            known.made.lock().unwrap().push(moved.key.id);
            known.acknowledge(enough);
        }
    }
}

#[tokio::test]
async fn a_kill_at_any_moment_loses_no_key_that_was_handed_out() {
    let (_temporary, folder) = new_kms();
    let known = Known::default();
    let mut process = serve(&folder);
    let first = CreateGroup {
        name: GroupName::new("ENCR_daily").unwrap(),
        kind: KeyKind::Derived,
        purpose: Purpose::Tape,
        description: String::new(),
    };
    process.client(&folder, "admin-1").create_group(&first).await.unwrap();
    for moment in 1..=10 {
        let (admin, media) = (
            process.client(&folder, "admin-1"),
            process.client(&folder, "media-server-1"),
        );
        known.acknowledged.store(0, Ordering::SeqCst);
        // Odd numbers, so that the kill falls on another step of the loop each time; four at work, so that something is always under way.
        let enough = [7, 9, 11, 13, 17, 19, 23, 29, 31, 37][moment - 1];
        let over = AtomicBool::new(false);
        let killing = async {
            known.enough.notified().await;
            process.signal(Signal::SIGKILL);
            over.store(true, Ordering::SeqCst);
        };
        let one = || work(&admin, &media, &known, enough, &over);
        tokio::join!(killing, one(), one(), one(), one());
        drop(process);

        process = serve(&folder);
        check(&process, &folder, &known).await;
    }
    let audit = says(&["audit", "list", "--json", folder.to_str().unwrap()]);
    let released = audit.matches(r#""action":"backup_key""#).count();
    assert!(
        released >= known.handed_out.lock().unwrap().len(),
        "each release has its record"
    );
}

async fn check(process: &Process, folder: &Path, known: &Known) {
    let media = process.client(folder, "media-server-1");
    let handed_out = std::mem::take(&mut *known.handed_out.lock().unwrap());
    assert!(!handed_out.is_empty());
    for (kad, key) in &handed_out {
        let restored = media.restore_keys(&kad.encode(), None).await.unwrap();
        assert!(
            restored.keys.len() == 1 && restored.keys[0].key == *key,
            "{kad} is lost"
        );
    }
    *known.handed_out.lock().unwrap() = handed_out;
    let keys = process.client(folder, "admin-1").keys(None).await.unwrap();
    let active = keys.iter().filter(|key| key.state == KeyState::Active).count();
    assert!(active <= 1, "{active} active keys");
    for id in known.made.lock().unwrap().iter() {
        assert!(keys.iter().any(|key| key.id == *id), "{id} is lost");
    }
}
