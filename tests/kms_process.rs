//! The real `tapekey-kms` process: started, stopped, and killed in the middle of its work.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tapekey::clock::{Clock, Timestamp};
use tapekey::kad::{KeyId, KeyKind, OurKad};
use tapekey::kms_api::{CreateGroup, CreateKey, GroupName, KeyState, MoveKey, Purpose, RotateGroup, VolumeName};
use tapekey::kms_client::{ClientConfig, KmsClient};
use tapekey::secret::DataKey;
use tokio::sync::Notify;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tapekey-kms");

/// The certificates are made by the real program, so they are dated by the real clock.
struct WallClock;

impl Clock for WallClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Process {
    child: Child,
    address: String,
}

impl Process {
    fn serve(folder: &Path) -> Self {
        let mut child = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0", "--log-json"])
            .arg(folder)
            .env("TAPEKEY_LOG", "warn")
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut ready)
            .unwrap();
        let address = ready
            .trim_end()
            .strip_prefix("tapekey-kms: ready on ")
            .map(str::to_owned);
        let address = address.unwrap_or_else(|| panic!("not ready: {ready:?} {}", rest(child.stderr.take())));
        Self { child, address }
    }

    fn client(&self, folder: &Path, name: &str) -> KmsClient {
        let mut config = ClientConfig::from_bundle(&folder.join("clients").join(name)).unwrap();
        config.addresses = vec![self.address.parse().unwrap()];
        let clock: Arc<dyn Clock> = Arc::new(WallClock);
        KmsClient::new(&config, &clock).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.child.id().try_into().unwrap()), signal).unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Also when the test failed: no process outlives it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn rest(pipe: Option<impl Read>) -> String {
    let mut text = String::new();
    pipe.unwrap().read_to_string(&mut text).unwrap();
    text
}

fn new_kms() -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("kms");
    let made = Command::new(PROGRAM)
        .args(["init", "--host", "kms1.example.org"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let told = String::from_utf8(made.stdout).unwrap();
    assert!(
        told.contains("root-ca/key.pem off-line") && told.contains("clients/media-server-1"),
        "{told}"
    );
    (temporary, folder)
}

#[tokio::test]
async fn stops_at_sigterm_having_said_one_line() {
    let (_temporary, folder) = new_kms();
    let mut process = Process::serve(&folder);
    let admin = process.client(&folder, "admin-1");
    assert!(admin.groups().await.unwrap().is_empty());
    process.signal(Signal::SIGTERM);
    let (out, err) = (rest(process.child.stdout.take()), rest(process.child.stderr.take()));
    assert!(
        process.child.wait().unwrap().success() && out.is_empty() && err.is_empty(),
        "{out}{err}"
    );
}

#[test]
fn may_leave_no_core() {
    let (_temporary, folder) = new_kms();
    let process = Process::serve(&folder);
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
    let fails = |folder: &Path, says: &str| {
        let ended = Command::new(PROGRAM)
            .args(["serve", "--listen", "127.0.0.1:0"])
            .arg(folder)
            .output()
            .unwrap();
        let told = String::from_utf8(ended.stderr).unwrap();
        assert!(
            ended.status.code() == Some(1) && told.contains(says) && told.contains("hint: "),
            "{says}: {told}"
        );
    };
    fails(temporary.path(), "kms.toml: No such file");
    std::fs::set_permissions(folder.join("host-master.key"), PermissionsExt::from_mode(0o644)).unwrap();
    fails(&folder, "hint: chmod 600");
    std::fs::set_permissions(folder.join("host-master.key"), PermissionsExt::from_mode(0o600)).unwrap();
    std::fs::set_permissions(folder.join("server/key.pem"), PermissionsExt::from_mode(0o604)).unwrap();
    fails(&folder, "server/key.pem has mode 0604");
    std::fs::set_permissions(folder.join("server/key.pem"), PermissionsExt::from_mode(0o600)).unwrap();
    let running = Process::serve(&folder);
    fails(&folder, "in use by another tapekey-kms");
    drop(running);
    let config = folder.join("kms.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("{text}colour = \"red\"\n")).unwrap();
    fails(&folder, "unknown field `colour`");
    let again = Command::new(PROGRAM).arg("init").arg(&folder).output().unwrap();
    assert!(again.status.code() == Some(1) && String::from_utf8(again.stderr).unwrap().contains("is not empty"));
    assert_eq!(
        Command::new(PROGRAM).arg("frobnicate").output().unwrap().status.code(),
        Some(2)
    );
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
    let mut process = Process::serve(&folder);
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

        process = Process::serve(&folder);
        check(&process, &folder, &known).await;
    }
    let audit = Command::new(PROGRAM)
        .args(["audit", "list", "--json"])
        .arg(&folder)
        .output()
        .unwrap();
    assert!(audit.status.success(), "{}", String::from_utf8_lossy(&audit.stderr));
    let released = String::from_utf8(audit.stdout)
        .unwrap()
        .matches(r#""action":"backup_key""#)
        .count();
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
