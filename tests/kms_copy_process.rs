//! `tapekey-kms store copy` killed at every step, a hundred seeds: the store it copies stays whole, and what passes for a copy is a whole one.
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
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use kms_support::process::{PROGRAM, drawn, end_of, kill_when, verified};
use kms_support::{Home, group, new_group};
use tapekey::kad::KeyKind;
use tapekey::kms::audit::Actor;
use tapekey::kms_api::{CreateKey, KeyState, MoveKey};

const SEEDS: u32 = 100;
const GROUP: &str = "ENCR_a";
const KEYS: usize = 60;

/// SQLite makes an index of this many bytes beside each log: no limit below it is met by the copy itself.
const INDEX: u64 = 32 * 1024;

/// The KMS whose store is copied, where to, and a KMS that would work on the copy.
struct Scene {
    home: Home,
    copy: PathBuf,
    other: PathBuf,
}

impl Scene {
    async fn new() -> Self {
        let home = Home::made_by_the_program();
        let kms = home.kms();
        let local = Actor::local();
        kms.create_group(&local, new_group(GROUP, KeyKind::Derived))
            .await
            .unwrap();
        let mut name = None;
        for _ in 0..KEYS {
            let made = kms
                .create_key(&local, group(GROUP), CreateKey::default())
                .await
                .unwrap();
            name = Some(made.name);
        }
        let to = MoveKey {
            state: KeyState::Active,
            single_copy: true,
        };
        kms.move_key(&local, (group(GROUP), name.unwrap()), to).await.unwrap();
        drop(kms);
        let folder = home.folder();
        let (copy, other) = (folder.join("copy"), folder.join("other"));
        std::fs::create_dir(&other).unwrap();
        std::fs::copy(home.master_key_file(), other.join("host-master.key")).unwrap();
        let config = std::fs::read_to_string(folder.join("kms.toml")).unwrap();
        let config = config.replace("store = \"store\"", &format!("store = \"{}\"", copy.display()));
        assert!(config.contains(copy.to_str().unwrap()));
        std::fs::write(other.join("kms.toml"), config).unwrap();
        Self { home, copy, other }
    }

    /// The copy, with a limit for every file that it writes.
    fn command(&self, limit: Option<u64>) -> Command {
        let mut command = match limit {
            Some(bytes) => {
                let mut limited = Command::new("prlimit");
                limited.args([&format!("--fsize={bytes}:{bytes}"), PROGRAM]);
                limited
            }
            None => Command::new(PROGRAM),
        };
        command.args(["store", "copy"]).arg(self.home.folder()).arg(&self.copy);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn limited(&self, bytes: u64) -> ExitStatus {
        end_of(&mut self.command(Some(bytes)).spawn().unwrap())
    }

    /// Whether there is something that a service would take for a store.
    fn is_there(&self) -> bool {
        self.copy.join("kms.sqlite").exists()
    }

    fn remove(&self) {
        if self.copy.exists() {
            std::fs::remove_dir_all(&self.copy).unwrap();
        }
    }

    /// How much one file of the copy must be able to hold, within a factor of two.
    fn enough(&self) -> u64 {
        let mut bytes = 2 * INDEX;
        while !self.limited(bytes).success() {
            bytes *= 2;
            self.remove();
        }
        self.remove();
        bytes
    }
}

fn listed(folder: &Path) -> String {
    let ended = Command::new(PROGRAM)
        .arg("verify")
        .arg("--json")
        .arg(folder)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    format!("{} {} {}", report["store"], report["keys"], report["problems"])
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_copy_leaves_the_store_whole_and_no_half_copy_that_passes_for_one() {
    let scene = Scene::new().await;
    let enough = scene.enough();
    assert!(enough > 4 * INDEX, "the copy writes more than the index: {enough}");
    let partial = scene.copy.join("kms.sqlite.partial");
    let log = scene.copy.join("kms.sqlite.partial-wal");
    let mut tally: BTreeMap<(&str, bool), u32> = BTreeMap::new();
    for seed in 0..SEEDS {
        let turns = drawn(seed) % 200;
        let kill = |reached: &dyn Fn() -> bool| kill_when(scene.command(None).spawn().unwrap(), turns, reached);
        let step = match seed % 4 {
            0 | 1 => {
                let bytes = INDEX + u64::from(drawn(seed)) % (enough / 2 - INDEX);
                let ended = scene.limited(bytes);
                assert_eq!(ended.signal(), Some(libc::SIGXFSZ), "seed {seed}: {ended}");
                "writing"
            }
            2 => {
                kill(&|| partial.exists());
                "begun"
            }
            _ => {
                kill(&|| scene.is_there() || std::fs::metadata(&log).is_ok_and(|log| log.len() > enough / 2));
                "ending"
            }
        };
        let whole = scene.is_there();
        *tally.entry((step, whole)).or_default() += 1;
        verified(&scene.home.folder(), seed);
        if whole {
            verified(&scene.other, seed);
        }
        // Every tenth time what is left of the kill is not removed: the next copy begins anew over it.
        if seed % 10 == 9 && !whole {
            assert!(
                end_of(&mut scene.command(None).spawn().unwrap()).success(),
                "seed {seed}"
            );
            assert_eq!(listed(&scene.other), listed(&scene.home.folder()), "seed {seed}");
        }
        scene.remove();
    }
    println!("(step, whole copy) and how often: {tally:?}");
    let count = |step, whole| tally.get(&(step, whole)).copied().unwrap_or(0);
    assert_eq!(count("writing", false), SEEDS / 2, "each cut leaves no copy");
    assert!(count("begun", false) > 0 && count("ending", true) + count("ending", false) == SEEDS / 4);
}
