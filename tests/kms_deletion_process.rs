//! The real service killed at every step of carrying deletions out, a hundred seeds: a key is whole and waits, or it is gone and the request
//! says so; no other key is touched, and the next start goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says how often each step was hit"
)]

mod kms_support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use kms_support::process::{PROGRAM, Process, drawn, end_of, kill_when, log_length, verified};
use kms_support::{Home, group, new_group, volume};
use rusqlite::{Connection, OpenFlags};
use tapekey::clock::{Clock, Timestamp};
use tapekey::kad::{KeyKind, OurKad};
use tapekey::kms::audit::Actor;
use tapekey::kms::service::Kms;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms_api::{
    AdminChange, BackupKeyRequest, CreateKey, KeyName, KeyState, MoveKey, NewAdminRequest, Purpose, UndoAdminRequest,
};
use tapekey::secret::DataKey;

const SEEDS: u32 = 100;
const GROUP: &str = "ENCR_a";
/// Keys that are due to be deleted.
const DUE: [&str; 3] = ["used", "unused", "old"];
/// Steps of carrying out, as the audit log shows them: one for each key.
const RECORDS: i64 = 3;

/// A month that passes in a moment and ends today.
struct Month(Mutex<(Timestamp, Duration)>);

impl Month {
    fn hour_passes(&self) {
        let mut both = self.0.lock().unwrap();
        both.0 += Duration::from_secs(3600);
        both.1 += Duration::from_secs(3600);
    }
}

impl Clock for Month {
    fn now(&self) -> Timestamp {
        self.0.lock().unwrap().0
    }

    fn monotonic(&self) -> Duration {
        self.0.lock().unwrap().1
    }
}

fn person(name: &str) -> Actor {
    Actor {
        subject: format!("CN={name}"),
        // The service is asked without its web front, so there is no certificate that it could look up.
        fingerprint: String::new(),
        public_key: name.to_owned(),
    }
}

fn key_name(name: &str) -> KeyName {
    KeyName::new(name).unwrap()
}

async fn moved(kms: &Kms, name: &str, states: &[KeyState]) {
    for state in states {
        let to = MoveKey {
            state: *state,
            single_copy: true,
        };
        let moved = kms.move_key(&person("ada"), (group(GROUP), key_name(name)), to).await;
        moved.unwrap();
    }
}

async fn approved(kms: &Kms, name: &str) -> i64 {
    let wanted = NewAdminRequest {
        change: AdminChange::DeleteKey {
            group: group(GROUP),
            key: key_name(name),
        },
        reason: "the tapes were shredded".to_owned(),
    };
    let made = kms.make_request(&person("ada"), wanted).await.unwrap();
    kms.approve_request(&person("bob"), made.number).await.unwrap();
    made.number
}

/// A volume written under the key that is active.
async fn written(kms: &Kms) -> (OurKad, DataKey) {
    let wanted = BackupKeyRequest {
        purpose: Purpose::Tape,
        group: group(GROUP),
        volume: volume("A1"),
    };
    let given = kms.backup_key(&Actor::local(), wanted).await.ok().unwrap();
    (given.kad, given.key)
}

/// A KMS in which three deletions are due, one was undone, and two keys serve.
struct Scene {
    home: Home,
    /// Volumes under keys that stay.
    kept: Vec<(OurKad, DataKey)>,
    /// A volume under a key that is deleted.
    lost: OurKad,
    /// Bytes of the log as it is copied.
    log: u64,
    /// Keeps the log as it is.
    _open: Kms,
}

impl Scene {
    async fn new() -> Self {
        let home = Home::made_by_the_program();
        let began = Timestamp::now_utc() - Duration::from_secs(31 * 24 * 3600);
        let clock = Arc::new(Month(Mutex::new((began, Duration::ZERO))));
        let kms = Arc::new(Kms::start(home.open_store().unwrap(), clock.clone(), home.entropy.clone()).unwrap());
        let new = new_group(GROUP, KeyKind::Derived);
        kms.create_group(&person("ada"), new).await.unwrap();
        for name in ["used", "unused", "old", "saved", "former", "active"] {
            let wanted = CreateKey {
                name: Some(key_name(name)),
                description: String::new(),
            };
            kms.create_key(&person("ada"), group(GROUP), wanted).await.unwrap();
        }
        let down = [KeyState::Inactive, KeyState::Deprecated, KeyState::Terminated];
        moved(&kms, "used", &[KeyState::Active]).await;
        let (lost, _) = written(&kms).await;
        moved(&kms, "used", &down).await;
        moved(&kms, "old", &[KeyState::Active]).await;
        moved(&kms, "old", &down).await;
        let mut kept = Vec::new();
        for name in ["former", "active"] {
            moved(&kms, name, &[KeyState::Active]).await;
            kept.push(written(&kms).await);
        }
        for name in DUE {
            approved(&kms, name).await;
        }
        let undo = UndoAdminRequest {
            reason: "a tape turned up".to_owned(),
        };
        let saved = approved(&kms, "saved").await;
        kms.undo_request(&person("olga"), saved, undo).await.unwrap();

        // Nothing is carried out while the service is quiesced, so that all of it is due when the real one starts.
        kms.quiesce(&person("ada")).await.unwrap();
        let mut upkeep = Upkeep::default();
        for _ in 0..=30 * 24 {
            upkeep.look(&kms, &*clock).await;
            clock.hour_passes();
        }
        drop(kms);
        let kms = Arc::new(Kms::start(home.open_store().unwrap(), clock, home.entropy.clone()).unwrap());
        // The log gets longer than the index beside it, so that a limit for files meets the log alone.
        for _ in 0..6 {
            kms.unquiesce(&person("ada")).await.unwrap();
            kms.quiesce(&person("ada")).await.unwrap();
        }
        kms.unquiesce(&person("ada")).await.unwrap();
        let log = log_length(&home.database());
        assert!(log > 40_000, "{log}");
        let kms = Arc::into_inner(kms).unwrap();
        Self {
            home,
            kept,
            lost,
            log,
            _open: kms,
        }
    }

    /// A copy of everything, as a kill at this moment would leave it.
    fn copy(&self) -> Home {
        let copy = Home::empty_beside(&self.home);
        copy_folder(&self.home.folder(), &copy.folder());
        copy
    }
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let copy = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy_folder(&path, &copy);
        } else if !path.to_str().unwrap().ends_with("-shm") {
            std::fs::copy(&path, &copy).unwrap();
        }
    }
}

/// The service; it may be dead before it says that it is ready.
fn start(folder: &Path, limit: Option<u64>) -> Child {
    let mut command = match limit {
        Some(bytes) => {
            let mut limited = Command::new("prlimit");
            limited.args([&format!("--fsize={bytes}:{bytes}"), PROGRAM]);
            limited
        }
        None => Command::new(PROGRAM),
    };
    command.arg("serve").arg(folder).args(["--listen", "127.0.0.1:0"]);
    let quiet = command.stdout(Stdio::null()).stderr(Stdio::null());
    quiet.spawn().unwrap()
}

/// How many of the deletions are carried out; each wholly or not at all.
fn carried_out(home: &Home, seed: u32) -> u32 {
    let connection = Connection::open_with_flags(home.database(), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let sql = "SELECT keys.name, keys.state, length(keys.sealed), admin_requests.state
               FROM keys LEFT JOIN admin_requests ON admin_requests.target = keys.id ORDER BY keys.name";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map((), |row| {
        Ok((
            row.get::<_, String>(0)?,
            (
                row.get::<_, String>(1)?,
                row.get::<_, i64>(2)?,
                row.get::<_, Option<String>>(3)?,
            ),
        ))
    });
    let rows: BTreeMap<String, _> = rows.unwrap().map(Result::unwrap).collect();
    assert_eq!(rows.len(), 6, "seed {seed}");
    let mut done = 0;
    for (name, (state, sealed, request)) in &rows {
        let whole = *sealed > 16;
        match request.as_deref() {
            Some("approved") => assert!(whole && state != "deleted", "seed {seed}: {name} {state} {sealed}"),
            Some("done") => {
                assert!(!whole && state == "deleted", "seed {seed}: {name} {state} {sealed}");
                done += 1;
            }
            Some("undone") => assert!(whole && name == "saved" && state == "prelive", "seed {seed}"),
            None => assert!(whole && ["active", "former"].contains(&name.as_str()), "seed {seed}"),
            Some(other) => panic!("seed {seed}: the request about {name} is {other}"),
        }
    }
    done
}

#[tokio::test]
async fn a_kill_at_any_step_of_carrying_deletions_out_leaves_each_key_whole_or_gone_and_the_next_start_goes_on() {
    let scene = Scene::new().await;
    let before = scene.home.audit_records();
    let all_done = |home: &Home| home.audit_records() >= before + RECORDS;
    // Undisturbed: how much it writes.
    let whole = scene.copy();
    assert_eq!(carried_out(&whole, SEEDS), 0);
    let mut span = 0;
    let process = Process::serve(&whole.folder());
    while !all_done(&whole) {
        std::thread::yield_now();
    }
    span += log_length(&whole.database()) - scene.log;
    drop(process);
    assert_eq!(carried_out(&whole, SEEDS), 3);

    let mut tally: BTreeMap<(&str, u32), u32> = BTreeMap::new();
    for seed in 0..SEEDS {
        let home = scene.copy();
        let step = match seed % 4 {
            0 | 1 => {
                // At a byte of what it writes.
                let mut child = start(&home.folder(), Some(scene.log + u64::from(drawn(seed)) % span));
                let ended = end_of(&mut child);
                assert_eq!(ended.signal(), Some(libc::SIGXFSZ), "seed {seed}: {ended}");
                "writing"
            }
            2 => {
                let until = before + i64::from(drawn(seed) % 3) + 1;
                let reached = || home.audit_records() >= until;
                kill_when(start(&home.folder(), None), drawn(seed) % 50, reached);
                "done with some"
            }
            _ => {
                let reached = || home.database().with_extension("sqlite-shm").exists();
                kill_when(start(&home.folder(), None), drawn(seed) % 3000, reached);
                "starting"
            }
        };
        let done = carried_out(&home, seed);
        *tally.entry((step, done)).or_default() += 1;
        verified(&home.folder(), seed);
        // Every tenth is followed to its end.
        if seed % 10 == 9 {
            goes_on(&scene, &home, seed).await;
        }
    }
    println!("(step, deletions done) and how often: {tally:?}");
    for done in 0..=2 {
        let torn = tally.get(&("writing", done)).copied().unwrap_or(0);
        assert!(torn > 0, "no cut in the log with {done} done: {tally:?}");
    }
    assert!(
        tally.keys().any(|(step, done)| *step == "done with some" && *done > 0),
        "{tally:?}"
    );
}

/// The next start carries out what is left; what was handed out under other keys is found again.
async fn goes_on(scene: &Scene, home: &Home, seed: u32) {
    let process = Process::serve(&home.folder());
    while carried_out(home, seed) < 3 {
        tokio::task::yield_now().await;
    }
    let media = process.client(&home.folder(), "media-server-1");
    for (kad, key) in &scene.kept {
        let restored = media.restore_keys(&kad.encode(), None).await.unwrap();
        assert!(restored.keys.len() == 1 && restored.keys[0].key == *key, "seed {seed}");
    }
    let lost = media.restore_keys(&scene.lost.encode(), None).await.unwrap();
    assert!(lost.keys.is_empty(), "seed {seed}");
    let told = format!("{:?}", lost.outcomes);
    assert!(told.contains("by CN=ada and CN=bob"), "seed {seed}: {told}");
    drop(process);
    verified(&home.folder(), seed);
}
