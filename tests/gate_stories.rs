//! The gate: who can open a drive when, and that no plain block gets past it. The kernel's st is played here, the drive is the simulator's; tests/real-kernel
//! tells the same with Linux's own st.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and no test file needs all of what they share"
)]

#[path = "support/in_process.rs"]
mod in_process;
#[path = "support/in_process_keys.rs"]
mod in_process_keys;
#[path = "support/kernel_tree.rs"]
mod kernel_tree;
#[path = "support/tape_nodes.rs"]
mod tape_nodes;

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use in_process::{Before, Bench, blank};
use in_process_keys::Keys;
use kernel_tree::KernelTree;
use sg_sim::Event;
use tape_nodes::{Nodes, Open};
use tapekey::clock::{Clock, Timestamp};
use tapekey::controller::job::{JobKind, JobRecord, Level, Outcome};
use tapekey::controller::operation::{PlainBlocks, Rules, Wish};
use tapekey::controller::pool::Pool;
use tapekey::controller::report::{DriveStatus, GateStatus};
use tapekey::controller::runtime::libraries::GivenLibrary;
use tapekey::controller::runtime::start::{Given, GivenDrive};
use tapekey::controller::runtime::{CommandError, Daemon};
use tapekey::drive::{Drive, SetScope};
use tapekey::keysource::HeadBook;
use tapekey::library::LibraryError;
use tokio::task::JoinHandle;

/// How long to wait for what is bound to come.
const PATIENCE: Duration = Duration::from_secs(60);

const TIMEOUT: Duration = Duration::from_secs(60);

/// The nexus of this host: of st and of sg.
const HOST: &str = "host1";

/// Serial number of the drive.
const SERIAL: &str = "1013000001";

/// A clock that goes twenty times as fast.
struct Hurry(Instant);

impl Clock for Hurry {
    fn now(&self) -> Timestamp {
        Timestamp::UNIX_EPOCH + self.monotonic()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed() * 20
    }
}

/// A host with one drive that is to be held, and its daemon.
struct House {
    host: KernelTree,
    bench: Bench,
    nodes: Nodes,
    clock: Arc<Hurry>,
    state: tempfile::TempDir,
    daemon: Arc<Daemon>,
    watch: JoinHandle<()>,
    hook: Hook,
}

fn st_opens(bench: &Bench) -> bool {
    let mut path = bench.path(HOST);
    for _ in 0..8 {
        let (status, sense, _) = path.command(&[0; 6], &[], 0);
        if status == 0 || sense.get(2).is_some_and(|key| key & 0x0F != 0x06) {
            return status == 0;
        }
    }
    panic!("the drive does not come to rest")
}

/// What happens before the next command of the daemon to the drive.
type Hook = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

fn given(bench: &Bench, nodes: &Nodes, hook: &Hook) -> GivenDrive {
    let (bench, hook) = (bench.clone(), hook.clone());
    GivenDrive {
        name: "d1".into(),
        path: format!("serial number {SERIAL}"),
        by_serial: true,
        simulated: false,
        rules: Rules {
            expected_serial: Some(SERIAL.into()),
            finish_volumes: true,
            scope: SetScope::AllItNexus,
            plain_blocks: PlainBlocks::default(),
        },
        command_timeout: TIMEOUT,
        opener: Box::new(move || {
            let hook = hook.clone();
            let before: Before = Box::new(move |_, _| {
                let happens = hook.lock().unwrap().take();
                happens.into_iter().for_each(|happens| happens());
                None
            });
            Ok(Drive::new(Box::new(bench.path(HOST).before(before)), TIMEOUT))
        }),
        hold: Some(Arc::new(nodes.clone())),
    }
}

impl House {
    /// A daemon that has not looked around yet.
    fn before_start() -> (KernelTree, Bench, Nodes) {
        let host = KernelTree::debian();
        fs::create_dir(host.path("dev")).unwrap();
        fs::write(host.path("dev/nst0"), "").unwrap();
        // VPD page 80h of a tape drive (SPC-5, "Unit Serial Number VPD page").
        let page = [b"\x01\x80\x00\x0a", SERIAL.as_bytes()].concat();
        fs::write(host.unit("0:0:0:0").join("vpd_pg80"), page).unwrap();
        let bench = Bench::with_blank_volume("VOLUME0001");
        let opened = bench.clone();
        let nodes = Nodes::new(Box::new(move || st_opens(&opened)));
        (host, bench, nodes)
    }

    fn start((host, bench, nodes): (KernelTree, Bench, Nodes)) -> Self {
        let state = tempfile::tempdir().unwrap();
        let clock = Arc::new(Hurry(Instant::now()));
        let hook = Hook::default();
        let (daemon, watch) = Self::daemon(&host, (&bench, &hook), &nodes, &clock, &state);
        Self {
            host,
            bench,
            nodes,
            clock,
            state,
            daemon,
            watch,
            hook,
        }
    }

    fn daemon(
        host: &KernelTree,
        (bench, hook): (&Bench, &Hook),
        nodes: &Nodes,
        clock: &Arc<Hurry>,
        state: &tempfile::TempDir,
    ) -> (Arc<Daemon>, JoinHandle<()>) {
        let daemon = Daemon::new(Given {
            state_directory: state.path().into(),
            drives: vec![given(bench, nodes, hook)],
            libraries: Vec::new(),
            found_libraries: Box::new(|serial| GivenLibrary {
                name: serial.into(),
                serial: Some(serial.into()),
                path: "nowhere".into(),
                simulated: false,
                command_timeout: TIMEOUT,
                opener: Box::new(|| {
                    Err(LibraryError::Status {
                        attempt: "open",
                        path: "nowhere".into(),
                        status: 8,
                    })
                }),
            }),
            inquirer: Arc::new(|node| panic!("{} was asked", node.path.display())),
            tree: host.tree(),
            clock: clock.clone(),
            keys: Arc::new(Keys::default()),
            heads: Arc::new(HeadBook::open(&state.path().join("heads"), clock.clone())),
        })
        .unwrap();
        let watch = tokio::spawn(daemon.clone().watch());
        (daemon, watch)
    }

    /// The daemon ends, whatever it was doing, and another one starts.
    async fn restart(self) -> Self {
        let Self {
            host,
            bench,
            nodes,
            clock,
            state,
            daemon,
            watch,
            hook,
        } = self;
        watch.abort();
        let _ = watch.await;
        assert_eq!(daemon.settle(PATIENCE).await, 0);
        let gone = Arc::downgrade(&daemon);
        drop(daemon);
        until(|| async { gone.strong_count() == 0 }).await;
        // The keeper's thread ends with the daemon, and the kernel closes its nodes.
        until(|| async { nodes.program(&host.path("dev/nst0")).is_some() }).await;
        let (daemon, watch) = Self::daemon(&host, (&bench, &hook), &nodes, &clock, &state);
        Self {
            host,
            bench,
            nodes,
            clock,
            state,
            daemon,
            watch,
            hook,
        }
    }

    /// A drive that is held.
    async fn held() -> Self {
        let house = Self::start(Self::before_start());
        house.comes_to(&GateStatus::Held).await;
        house
    }

    /// A drive that is free for an encrypted volume.
    async fn free() -> Self {
        let house = Self::held().await;
        let job = house.load().await;
        assert_eq!(
            (job.outcome, house.gate().await),
            (Outcome::KeyLoaded, GateStatus::Free)
        );
        house
    }

    fn node(&self) -> PathBuf {
        self.host.path("dev/nst0")
    }

    fn program(&self) -> Option<Open> {
        self.nodes.program(&self.node())
    }

    /// A program that writes one block and has not closed yet.
    fn writes(&self) -> Open {
        let open = self.program().expect("the drive is free");
        assert_eq!(write(&self.bench), 0);
        open
    }

    async fn status(&self) -> DriveStatus {
        self.daemon.status(None, false).await.unwrap().drives.remove(0)
    }

    async fn gate(&self) -> GateStatus {
        let list = self.daemon.drive_list().await;
        list.drives[0].gate.clone().unwrap()
    }

    async fn comes_to(&self, wanted: &GateStatus) {
        until(|| async { self.gate().await == *wanted }).await;
    }

    async fn load(&self) -> JobRecord {
        let pool = Some(Pool::parse("ENCR_a").unwrap());
        self.daemon
            .carry_out("d1", Wish::Load { pool, barcode: None }, 0)
            .await
            .unwrap()
    }

    async fn clear(&self) -> JobRecord {
        self.daemon.carry_out("d1", Wish::Clear, 0).await.unwrap()
    }

    /// Plain and encrypted blocks on the volume in the drive.
    fn blocks(&self) -> (u64, u64) {
        let medium = self.bench.drive().status(None).medium.unwrap();
        (medium.plain_blocks, medium.encrypted_blocks)
    }
}

fn write(bench: &Bench) -> u8 {
    bench.path(HOST).command(&[0x0A, 0, 0, 0, 64, 0], &[0x5A; 64], 0).0
}

async fn until<F: Future<Output = bool>>(mut holds: impl FnMut() -> F) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting)
        .await
        .expect("it never came to that");
}

fn says(job: &JobRecord, words: &str) -> bool {
    job.messages.iter().any(|message| message.text.contains(words))
}

#[tokio::test]
async fn no_program_can_open_a_drive_until_its_key_is_loaded_and_none_after_it_was_cleared() {
    let house = House::held().await;
    assert!(house.program().is_none());
    let job = house.load().await;
    assert!(says(&job, "the drive is let go"), "{job:?}");
    drop(house.writes());
    let job = house.clear().await;
    assert_eq!(job.outcome, Outcome::Cleared);
    assert!(says(&job, "the drive is held"), "{job:?}");
    assert!(house.program().is_none());
    assert_eq!(house.blocks(), (0, 1));
}

#[tokio::test]
async fn a_volume_of_a_plain_pool_lets_the_drive_go_until_it_leaves() {
    let house = House::held().await;
    let pool = Some(Pool::parse("Scratch").unwrap());
    let wish = Wish::Load { pool, barcode: None };
    let job = house.daemon.carry_out("d1", wish, 0).await.unwrap();
    assert_eq!((job.outcome, house.gate().await), (Outcome::Plain, GateStatus::Free));
    let program = house.writes();
    house.bench.drive().eject().unwrap();
    house.bench.drive().load(blank("VOLUME0002")).unwrap();
    drop(program);
    house.comes_to(&GateStatus::Held).await;
}

#[tokio::test]
async fn a_program_may_close_and_open_again_while_its_volume_is_mounted() {
    let house = House::free().await;
    for _ in 0..3 {
        drop(house.writes());
        // Longer than until the look after the close.
        let closed = house.clock.monotonic();
        until(|| async { house.clock.monotonic() > closed + Duration::from_secs(60) }).await;
        assert_eq!(house.gate().await, GateStatus::Free);
    }
    assert_eq!(house.blocks(), (0, 3));
    assert!(house.status().await.alarms.is_empty());
}

#[tokio::test]
async fn a_key_that_was_lost_under_a_program_is_noticed_after_its_close_and_the_drive_is_held() {
    let house = House::free().await;
    let program = house.writes();
    house.bench.drive().apply(Event::KeyDropped);
    drop(program);
    house.comes_to(&GateStatus::Held).await;
    assert!(house.program().is_none());
    assert!(!house.status().await.alarms.is_empty());
    let load = house.daemon.jobs().list(None, 1).remove(0);
    assert!(load.not_proven.is_some(), "{load:?}");
}

#[tokio::test]
async fn a_volume_that_left_closes_the_gate_before_the_next_one_is_written() {
    let house = House::free().await;
    let program = house.writes();
    house.bench.drive().eject().unwrap();
    drop(program);
    house.comes_to(&GateStatus::Held).await;
    house.bench.drive().load(blank("VOLUME0002")).unwrap();
    assert!(house.program().is_none());
    assert!(house.status().await.alarms.is_empty(), "it left as volumes do");
    assert_eq!(house.load().await.outcome, Outcome::KeyLoaded);
    drop(house.writes());
    assert_eq!(house.blocks(), (0, 1));
}

#[tokio::test]
async fn a_key_is_not_taken_out_under_a_program() {
    let house = House::free().await;
    let program = house.writes();
    let job = house.clear().await;
    assert_eq!(job.outcome, Outcome::Refused);
    assert!(says(&job, "a program has its tape node open"), "{job:?}");
    assert_eq!(write(&house.bench), 0);
    drop(program);
    assert_eq!(house.clear().await.outcome, Outcome::Cleared);
    assert_eq!(house.blocks(), (0, 2));
}

#[tokio::test]
async fn a_refused_load_leaves_the_drive_as_free_or_as_held_as_it_was() {
    let house = House::free().await;
    drop(house.writes());
    let wish = Wish::Load {
        pool: Some(Pool::parse("Scratch").unwrap()),
        barcode: None,
    };
    let job = house.daemon.carry_out("d1", wish.clone(), 0).await.unwrap();
    assert_eq!((job.outcome, house.gate().await), (Outcome::Refused, GateStatus::Free));
    house.clear().await;
    let job = house.daemon.carry_out("d1", wish, 0).await.unwrap();
    assert_eq!((job.outcome, house.gate().await), (Outcome::Refused, GateStatus::Held));
}

#[tokio::test]
async fn a_drive_is_held_at_start_unless_it_shows_the_key_that_a_job_left() {
    let house = House::free().await;
    drop(house.writes());
    let house = house.restart().await;
    house.comes_to(&GateStatus::Free).await;
    house.bench.drive().apply(Event::KeyDropped);
    let house = house.restart().await;
    house.comes_to(&GateStatus::Held).await;
    assert_eq!(house.blocks(), (0, 1));
}

#[tokio::test]
async fn a_program_that_was_there_first_is_an_alarm_and_the_drive_is_held_when_it_has_gone() {
    let parts = House::before_start();
    let program = parts.2.program(&parts.0.path("dev/nst0")).unwrap();
    let house = House::start(parts);
    until(|| async { matches!(house.gate().await, GateStatus::Lost(_)) }).await;
    let alarms = house.status().await.alarms;
    assert!(alarms[0].text.starts_with("gate lost: "), "{alarms:?}");
    drop(program);
    house.comes_to(&GateStatus::Held).await;
    assert_eq!(house.status().await.alarms.len(), 1, "said once");
}

#[tokio::test]
async fn a_release_is_on_record_and_ends_by_itself_even_over_a_restart() {
    let house = House::held().await;
    let release =
        |reason: &'static str, seconds| house.daemon.release("d1", reason, Duration::from_secs(seconds), 1000);
    assert!(matches!(release(" ", 60).await, Err(CommandError::BadRelease { .. })));
    assert!(matches!(
        release("firmware", 0).await,
        Err(CommandError::BadRelease { .. })
    ));
    let job = release("firmware", 200).await.unwrap();
    assert_eq!(
        (job.kind, job.outcome, job.requested_by),
        (JobKind::Release, Outcome::Released, 1000)
    );
    assert_eq!(job.maintenance.as_ref().unwrap().reason, "firmware");
    let GateStatus::Released { reason, job: by, .. } = house.gate().await else {
        panic!("{:?}", house.gate().await)
    };
    assert_eq!((reason.as_str(), by), ("firmware", job.id));
    drop(house.program().expect("it is free for everybody"));
    let house = house.restart().await;
    assert!(matches!(house.gate().await, GateStatus::Released { .. }));
    house.comes_to(&GateStatus::Held).await;
    assert!(house.program().is_none());
}

#[tokio::test]
async fn a_person_may_end_a_release_and_take_a_free_drive_back() {
    let house = House::free().await;
    let time = Duration::from_secs(24 * 60 * 60);
    house.daemon.release("d1", "firmware", time, 0).await.unwrap();
    let program = house.program().unwrap();
    let refused = house.daemon.hold("d1", 0).await.unwrap();
    assert_eq!(refused.outcome, Outcome::Refused);
    assert!(matches!(house.gate().await, GateStatus::Released { .. }));
    drop(program);
    let held = house.daemon.hold("d1", 0).await.unwrap();
    assert_eq!((held.outcome, house.gate().await), (Outcome::Held, GateStatus::Held));
    assert_eq!(house.load().await.outcome, Outcome::KeyLoaded);
    assert_eq!(house.gate().await, GateStatus::Free);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_program_that_tries_to_open_all_the_time_writes_no_plain_block() {
    let house = House::held().await;
    let ends = Arc::new(AtomicBool::new(false));
    let program = std::thread::spawn({
        let (nodes, node, bench, ends) = (house.nodes.clone(), house.node(), house.bench.clone(), ends.clone());
        move || {
            let mut opened = 0;
            while !ends.load(Ordering::SeqCst) {
                if let Some(open) = nodes.program(&node) {
                    write(&bench);
                    drop(open);
                    opened += 1;
                }
                std::thread::yield_now();
            }
            opened
        }
    });
    let mut volumes = Vec::new();
    for round in 1..=6 {
        assert_eq!(house.load().await.outcome, Outcome::KeyLoaded, "round {round}");
        until(|| async { house.blocks().1 > 0 }).await;
        until(|| async { house.clear().await.outcome == Outcome::Cleared }).await;
        volumes.push(house.blocks());
        let next = blank(&format!("VOLUME10{round:02}"));
        let mut drive = house.bench.drive();
        drive.eject().unwrap();
        drive.load(next).unwrap();
    }
    ends.store(true, Ordering::SeqCst);
    assert!(program.join().unwrap() >= 6);
    volumes.push(house.blocks());
    assert!(volumes.iter().all(|(plain, _)| *plain == 0), "{volumes:?}");
}

#[tokio::test]
async fn a_refused_load_for_a_key_ends_what_a_plain_volume_was_let_go_for() {
    let house = House::held().await;
    let wish = Wish::Load {
        pool: Some(Pool::parse("Scratch").unwrap()),
        barcode: None,
    };
    house.daemon.carry_out("d1", wish, 0).await.unwrap();
    drop(house.writes());
    assert_eq!(house.bench.path(HOST).command(&[1, 0, 0, 0, 0, 0], &[], 0).0, 0);
    let job = house.load().await;
    assert_eq!(
        (job.outcome, house.gate().await),
        (Outcome::Refused, GateStatus::Held),
        "{job:?}"
    );
}

#[tokio::test]
async fn no_job_takes_a_key_out_under_a_program() {
    let house = House::free().await;
    let program = house.program().unwrap();
    let wish = Wish::Load {
        pool: Some(Pool::parse("Scratch").unwrap()),
        barcode: None,
    };
    let job = house.daemon.carry_out("d1", wish, 0).await.unwrap();
    assert_eq!(job.outcome, Outcome::Failed, "{job:?}");
    assert!(says(&job, "the key was left in the drive"), "{job:?}");
    assert_eq!(write(&house.bench), 0);
    drop(program);
    assert_eq!(house.blocks(), (0, 1));
}

#[tokio::test]
async fn a_job_that_ends_by_an_error_leaves_the_gate_at_work() {
    let house = House::start(House::before_start());
    house.comes_to(&GateStatus::Held).await;
    let jobs = house.state.path().join("jobs");
    let away = house.state.path().join("away");
    let meddle = (jobs.clone(), away.clone());
    *house.hook.lock().unwrap() = Some(Box::new(move || fs::rename(&meddle.0, &meddle.1).unwrap()));
    let pool = Some(Pool::parse("ENCR_a").unwrap());
    let failed = house
        .daemon
        .carry_out("d1", Wish::Load { pool, barcode: None }, 0)
        .await;
    assert!(matches!(failed, Err(CommandError::Jobs(_))));
    fs::rename(&away, &jobs).unwrap();
    house
        .daemon
        .release("d1", "firmware", Duration::from_secs(20), 0)
        .await
        .unwrap();
    house.comes_to(&GateStatus::Held).await;
}

#[tokio::test]
async fn messages_of_a_release_are_no_alarms() {
    let house = House::held().await;
    let job = house
        .daemon
        .release("d1", "firmware", Duration::from_secs(600), 0)
        .await
        .unwrap();
    assert!(
        job.messages.iter().all(|message| message.level == Level::Note),
        "{job:?}"
    );
}
