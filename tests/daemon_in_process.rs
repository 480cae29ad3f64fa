//! The daemon and the simulated drive in one process, with somebody meddling between two commands of one job.
#![allow(
    unreachable_pub,
    dead_code,
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/in_process.rs"]
mod in_process;
#[path = "support/in_process_keys.rs"]
mod in_process_keys;

use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use in_process::{Before, Bench, blank};
use in_process_keys::{Keys, key};
use sg_sim::Event;
use tapekey::clock::{Clock, Timestamp};
use tapekey::controller::job::{JobRecord, Level, Outcome};
use tapekey::controller::operation::{PlainBlocks, Rules, Wish};
use tapekey::controller::pool::Pool;
use tapekey::controller::report::Reading;
use tapekey::controller::runtime::start::{Given, GivenDrive};
use tapekey::controller::runtime::{CommandError, Daemon};
use tapekey::discovery::Tree;
use tapekey::drive::{Drive, EncryptionMode, SetScope};
use tapekey::kad::KeyId;
use tapekey::keysource::HeadBook;
use tapekey::transport::TransportError;

/// How long to wait for what is bound to come.
const PATIENCE: Duration = Duration::from_secs(60);

const SPOUT: u8 = 0xB5;
const SPIN: u8 = 0xA2;
const STATUS_PAGE: [u8; 2] = [0x00, 0x20];
const HOST: &str = "host1";

/// A clock that a test moves.
#[derive(Default)]
struct HandClock(Mutex<Duration>);

impl Clock for HandClock {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + *self.0.lock().unwrap()
    }

    fn monotonic(&self) -> Duration {
        *self.0.lock().unwrap()
    }
}

struct House {
    daemon: Arc<Daemon>,
    bench: Bench,
    keys: Arc<Keys>,
    clock: Arc<HandClock>,
    state: tempfile::TempDir,
}

impl House {
    /// A daemon with one drive `d1`, in which `meddle` runs before every command.
    fn new(
        command_timeout: Duration,
        meddle: impl FnMut(&[u8], &mut sg_sim::Drive) -> Answer + Send + 'static,
    ) -> Self {
        Self::remembering("", command_timeout, meddle)
    }

    /// The same with a file of remembered heads of the KMS's audit chains, unless it is empty.
    fn remembering(
        heads: &str,
        command_timeout: Duration,
        meddle: impl FnMut(&[u8], &mut sg_sim::Drive) -> Answer + Send + 'static,
    ) -> Self {
        let bench = Bench::with_blank_volume("VOLUME0001");
        let (keys, clock) = (Arc::new(Keys::default()), Arc::new(HandClock::default()));
        let state = tempfile::tempdir().unwrap();
        let (opened, meddle) = (bench.clone(), Arc::new(Mutex::new(meddle)));
        let opener = Box::new(move || {
            let meddle = meddle.clone();
            let before: Before = Box::new(move |cdb, drive| (meddle.lock().unwrap())(cdb, drive).map(Err));
            Ok(Drive::new(Box::new(opened.path(HOST).before(before)), command_timeout))
        });
        let rules = Rules {
            expected_serial: None,
            finish_volumes: true,
            scope: SetScope::AllItNexus,
            plain_blocks: PlainBlocks::default(),
        };
        let drive = GivenDrive {
            name: "d1".into(),
            path: "in-process".into(),
            by_serial: false,
            simulated: true,
            rules,
            command_timeout,
            opener,
            hold: None,
        };
        let path = state.path().join("kms-heads.json");
        if !heads.is_empty() {
            std::fs::write(&path, heads).unwrap();
        }
        let heads = Arc::new(HeadBook::open(&path, clock.clone()));
        let daemon = Daemon::new(Given {
            state_directory: state.path().into(),
            drives: vec![drive],
            libraries: Vec::new(),
            found_libraries: Box::new(|serial| panic!("there is no changer {serial}")),
            inquirer: Arc::new(|node| panic!("{} was asked", node.path.display())),
            tree: Tree::below(state.path()),
            clock: clock.clone(),
            keys: keys.clone(),
            heads,
        });
        Self {
            daemon: daemon.unwrap(),
            bench,
            keys,
            clock,
            state,
        }
    }

    async fn load(&self) -> JobRecord {
        self.daemon.carry_out("d1", load(), 0).await.unwrap()
    }

    /// The mode in force, by the drive itself.
    fn encryption(&self) -> EncryptionMode {
        Drive::new(Box::new(self.bench.path("host2")), Duration::from_secs(60))
            .read_back()
            .unwrap()
            .encryption_mode
    }
}

fn load() -> Wish {
    Wish::Load {
        pool: Some(Pool::parse("ENCR_a").unwrap()),
        barcode: None,
    }
}

type Answer = Option<TransportError>;

fn is_status(cdb: &[u8]) -> bool {
    cdb[0] == SPIN && cdb[2..4] == STATUS_PAGE
}

fn said(job: &JobRecord, level: Level) -> String {
    let messages = job.messages.iter().filter(|message| message.level == level);
    messages
        .map(|message| message.text.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// Runs `event` on the first `times` looks at the status page that follow a SPOUT.
fn between_load_and_read_back(times: usize, event: Event) -> impl FnMut(&[u8], &mut sg_sim::Drive) -> Answer {
    let (mut sent, mut left) = (false, times);
    move |cdb, drive| {
        if cdb[0] == SPOUT {
            sent = true;
        } else if sent && is_status(cdb) && left > 0 {
            left -= 1;
            sent = false;
            drive.apply(event.clone());
        }
        None
    }
}

#[tokio::test]
async fn a_key_replaced_before_it_was_read_back_is_loaded_once_more_and_the_job_is_not_proven() {
    let house = House::new(
        Duration::from_secs(60),
        between_load_and_read_back(1, Event::KeySetByAnotherNexus),
    );
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::KeyLoaded, "{job:#?}");
    assert!(
        job.not_proven
            .as_ref()
            .unwrap()
            .contains("the key changed while it was loaded")
    );
    assert!(!said(&job, Level::Alarm).is_empty());
    assert_eq!(house.daemon.status(None, true).await.unwrap().drives[0].alarms.len(), 1);
    assert_eq!(job.in_force.unwrap().key_instance_counter, 3, "ours, theirs, ours");
    assert_eq!(house.keys.asked.lock().unwrap().len(), 1, "the same key");
}

#[tokio::test]
async fn a_key_replaced_twice_ends_in_a_drive_without_a_key() {
    for event in [Event::KeySetByAnotherNexus, Event::KeyDropped, Event::Reset] {
        let house = House::new(Duration::from_secs(60), between_load_and_read_back(2, event.clone()));
        let job = house.load().await;
        assert_eq!(job.outcome, Outcome::Failed, "{event:?}: {job:#?}");
        assert!(job.in_force.is_none() && said(&job, Level::Error).contains("load key"));
        assert_eq!(house.encryption(), EncryptionMode::Disable, "{event:?}");
    }
}

#[tokio::test]
async fn a_read_back_that_gets_lost_counts_as_not_encrypted_and_the_key_is_cleared() {
    let (mut sent, mut lost) = (false, false);
    let house = House::new(Duration::from_secs(60), move |cdb, _| {
        sent |= cdb[0] == SPOUT;
        if lost || !sent || !is_status(cdb) {
            return None;
        }
        lost = true;
        Some(TransportError::Timeout {
            path: "in-process".into(),
            timeout_ms: 60_000,
        })
    });
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::Failed, "{job:#?}");
    assert!(said(&job, Level::Error).contains("cannot read back"));
    assert!(said(&job, Level::Note).contains("holds no key now"));
    assert_eq!(house.encryption(), EncryptionMode::Disable);
    assert_eq!(house.load().await.outcome, Outcome::KeyLoaded, "and later it works");
}

#[tokio::test]
async fn a_volume_changed_under_the_job_gets_a_key_of_its_own() {
    let mut changed = false;
    let house = House::new(Duration::from_secs(60), move |cdb, drive| {
        if cdb[0] == SPOUT && !changed {
            changed = true;
            drive.eject().unwrap();
            drive.load(blank("VOLUME0002")).unwrap();
        }
        None
    });
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::KeyLoaded, "{job:#?}");
    assert_eq!(job.volume.serial.as_deref(), Some("VOLUME0002"));
    assert_eq!(*house.keys.asked.lock().unwrap(), ["VOLUME0001", "VOLUME0002"]);
    assert_eq!(job.key.unwrap().kad, key(2).facts.kad.to_string());
}

/// Blocks the first SPOUT until the test says so.
fn blocked_until(release: Receiver<()>) -> impl FnMut(&[u8], &mut sg_sim::Drive) -> Answer {
    let mut release = Some(release);
    move |cdb, _| {
        if cdb[0] == SPOUT
            && let Some(release) = release.take()
        {
            release.recv().unwrap();
        }
        None
    }
}

#[tokio::test]
async fn a_key_that_goes_in_after_its_job_was_given_up_comes_out_again() {
    let (release, blocked) = channel();
    // Four commands' time in all, then the job is given up.
    let house = House::new(Duration::from_millis(50), blocked_until(blocked));
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::Failed, "{job:#?}");
    assert!(said(&job, Level::Alarm).contains("a key may still be in the drive"));

    *house.clock.0.lock().unwrap() = Duration::from_secs(90);
    let status = house.daemon.status(None, true).await.unwrap();
    let command = status.drives[0].command.clone().unwrap();
    assert_eq!(
        (command.name.as_str(), command.seconds, command.overdue),
        ("load the key", 90, true)
    );
    assert!(matches!(&status.drives[0].modes, Reading::Unknown(why) if why.contains("hangs")));
    assert!(matches!(
        house.daemon.carry_out("d1", load(), 0).await,
        Err(CommandError::DriveHangs { .. })
    ));

    release.send(()).unwrap();
    // The drive's thread does one thing after another: once this has an answer, the late key is gone.
    let asking = async {
        loop {
            let status = house.daemon.status(None, true).await.unwrap();
            if let Reading::Known(modes) = &status.drives[0].modes {
                break modes.clone();
            }
        }
    };
    let status = tokio::time::timeout(PATIENCE, asking).await.unwrap();
    assert_eq!(status.encryption, "DISABLE");
    assert_eq!(house.load().await.outcome, Outcome::KeyLoaded);
}

#[tokio::test]
async fn which_key_goes_where_is_on_disk_before_the_drive_gets_it() {
    let place = Arc::new(Mutex::new(std::path::PathBuf::new()));
    let on_disk = Arc::new(Mutex::new(String::new()));
    let (looked_at, found) = (place.clone(), on_disk.clone());
    let house = House::new(Duration::from_secs(60), move |cdb, _| {
        if cdb[0] == SPOUT {
            *found.lock().unwrap() = std::fs::read_to_string(&*looked_at.lock().unwrap()).unwrap();
        }
        None
    });
    *place.lock().unwrap() = house.state.path().join("jobs/0000000001.json");
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::KeyLoaded);
    let on_disk: JobRecord = serde_json::from_str(&on_disk.lock().unwrap()).unwrap();
    assert_eq!(
        (on_disk.outcome, on_disk.key, on_disk.volume),
        (Outcome::Running, job.key, job.volume)
    );
}

#[tokio::test]
async fn a_second_caller_is_told_which_job_keeps_the_drive() {
    let (release, blocked) = channel();
    let house = House::new(Duration::from_secs(60), blocked_until(blocked));
    let daemon = house.daemon.clone();
    let first = tokio::spawn(async move { daemon.carry_out("d1", load(), 0).await.unwrap() });
    let running = async { while house.daemon.status(None, true).await.unwrap().drives[0].job.is_none() {} };
    tokio::time::timeout(PATIENCE, running).await.unwrap();
    let busy = house.daemon.carry_out("d1", Wish::Clear, 0).await.unwrap_err();
    assert!(matches!(&busy, CommandError::Busy { job, .. } if *job > 0), "{busy}");
    assert_eq!(house.daemon.settle(Duration::ZERO).await, 1);
    release.send(()).unwrap();
    assert_eq!(first.await.unwrap().outcome, Outcome::KeyLoaded);
    assert_eq!(house.daemon.settle(Duration::from_secs(60)).await, 0);
}

#[tokio::test]
async fn after_a_plain_load_nobody_misses_the_key() {
    let house = House::new(Duration::from_secs(60), |_, _| None);
    house.load().await;
    let plain = Wish::Load {
        pool: Some(Pool::parse("Scratch").unwrap()),
        barcode: None,
    };
    assert_eq!(
        house.daemon.carry_out("d1", plain, 0).await.unwrap().outcome,
        Outcome::Plain
    );
    assert!(
        house.daemon.status(None, true).await.unwrap().drives[0]
            .alarms
            .is_empty()
    );
    assert!(house.daemon.jobs().show(1).unwrap().key_gone.is_some());
}

#[tokio::test]
async fn a_volume_that_leaves_without_a_clear_is_noted_once_and_is_no_alarm() {
    let house = House::new(Duration::from_secs(60), |_, _| None);
    house.load().await;
    house.bench.drive().eject().unwrap();
    for _ in 0..2 {
        let status = house.daemon.status(None, true).await.unwrap();
        assert!(
            status.drives[0].alarms.is_empty() && status.drives[0].loaded_by.is_none(),
            "{status:#?}"
        );
    }
    let job = house.daemon.jobs().show(1).unwrap();
    assert_eq!(
        said(&job, Level::Note)
            .matches("left the drive without tapekey clear")
            .count(),
        1
    );
    assert!(job.key_gone.is_some() && job.proof.is_none());
}

/// As the file is left by a daemon that saw the KMS's store go back from record 9 to record 7.
const ROLLED_BACK: &str = r#"{"chains": [{
    "head": "11111111-1111-1111-1111-111111111111:9:0909090909090909090909090909090909090909090909090909090909090909",
    "seen": "2026-11-24T12:00:00Z",
    "address": "https://kms1:8443",
    "doubt": {
        "kind": "shorter",
        "since": "2026-11-24T13:00:00Z",
        "first": "11111111-1111-1111-1111-111111111111:7:0707070707070707070707070707070707070707070707070707070707070707",
        "last": "11111111-1111-1111-1111-111111111111:8:0808080808080808080808080808080808080808080808080808080808080808",
        "address": "https://kms1:8443"
    }
}]}"#;

#[tokio::test]
async fn a_store_that_was_rolled_back_stands_in_status_and_in_every_job_until_it_is_accepted() {
    let house = House::remembering(ROLLED_BACK, Duration::from_secs(60), |_, _| None);
    let job = house.load().await;
    assert_eq!(job.outcome, Outcome::KeyLoaded, "a backup is not kept waiting for it");
    let alarm = job
        .messages
        .iter()
        .find(|message| message.level == Level::Alarm)
        .unwrap();
    assert!(
        alarm.text.contains("store was rolled back") && alarm.text.contains("record 7"),
        "{}",
        alarm.text
    );
    let status = house.daemon.status(None, false).await.unwrap();
    assert_eq!(status.kms_alarms, std::slice::from_ref(alarm));
    assert_eq!(status.drives[0].alarms, [], "the drive has nothing to do with it");
    house
        .daemon
        .heads()
        .accept(KeyId([0x11; 16]), "uid 0", "restored on Monday")
        .await
        .unwrap();
    let status = house.daemon.status(None, false).await.unwrap();
    assert_eq!(status.kms_alarms, []);
    let remembered = house.daemon.heads().report();
    assert_eq!(remembered.chains[0].head.sequence, 8);
    assert_eq!(remembered.accepted[0].reason, "restored on Monday");
}
