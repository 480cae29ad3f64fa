//! The real service killed at every step of creating, activating, importing and deleting keys, a hundred seeds each: no key that was ever
//! handed out is lost, and whatever was under way was done or not done, never half.
//!
//! What can be seen of a change from outside: the request is on its way; its transaction is being written into the log, byte by byte; it is
//! in the log and nobody was told; it was told. A seed says which of these and where in it; every failure shows it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says how often each step was hit"
)]

mod kms_support;
mod support;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt;

use kms_support::process::{Process, drawn, empty_log, log_length, verified};
use kms_support::{Home, group, import, new_group, rotate, volume};
use support::gate::Verdict;
use support::kms_wire::{Hold, KmsWire};
use tapekey::kad::{KeyId, KeyKind, OurKad};
use tapekey::kms_api::{
    AdminChange, AdminRequestState, CreateKey, KeyName, KeyRecord, KeyState, MoveKey, NewAdminRequest,
};
use tapekey::kms_client::KmsClient;
use tapekey::secret::DataKey;

const SEEDS: u32 = 100;
const DAILY: &str = "ENCR_daily";
const OLD: &str = "ENCR_old";

/// Where the kill comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Some turns of this test after the request was let through: before the change, within it or after it.
    UnderWay,
    /// The kernel kills it at one byte of what the change writes.
    Writing,
    /// The change is on the disk, the answer has not left this machine.
    Unheard,
    /// The answer has come.
    Heard,
}

impl Step {
    fn of(seed: u32) -> Self {
        [Self::UnderWay, Self::Writing, Self::Unheard, Self::Heard][usize::try_from(seed % 4).unwrap()]
    }
}

/// What is known after a kill.
#[derive(Debug, Clone, Copy)]
struct Outcome {
    seed: u32,
    /// Whether the change is in the store.
    done: bool,
}

/// One kind of change, again and again.
trait Story {
    /// What must be there before the change.
    async fn prepare(&mut self, admin: &KmsClient, seed: u32);
    /// The change; whether its answer came.
    fn ask(&self, clients: Clients) -> impl Future<Output = bool> + Send + 'static;
    /// Whether everything is as it must be after a kill and a new start.
    async fn look(&mut self, clients: &Clients, after: Outcome);
}

/// One client for each role, over the same way.
struct Clients {
    admin: KmsClient,
    second: KmsClient,
    media: KmsClient,
}

impl Clients {
    fn of(home: &Home, address: &str) -> Self {
        let client = |name| Process::client_by(&[address], &home.folder(), name);
        Self {
            admin: client("admin-1"),
            second: client("admin-2"),
            media: client("media-server-1"),
        }
    }
}

/// Everything that was handed out, and whether the service still gives it.
#[derive(Default)]
struct HandedOut(Vec<(OurKad, DataKey)>);

impl HandedOut {
    async fn one_more(&mut self, media: &KmsClient) {
        let given = media.backup_key(DAILY, &volume("A1")).await.unwrap();
        self.0.push((given.kad, given.key));
    }

    async fn is_found_again(&self, media: &KmsClient, newest: usize, seed: u32) {
        for (kad, key) in self.0.iter().rev().take(newest) {
            let restored = media.restore_keys(&kad.encode(), None).await.unwrap();
            assert!(restored.keys.len() == 1 && restored.keys[0].key == *key, "seed {seed}");
        }
    }
}

/// How often each step ended with the change done, and not done.
#[derive(Debug, Default)]
struct Tally(BTreeMap<(Step, bool), u32>);

impl Tally {
    fn count(&self, step: Step, done: bool) -> u32 {
        self.0.get(&(step, done)).copied().unwrap_or(0)
    }
}

/// Plays `story` with every seed in one home, and holds the promises that all stories share.
async fn play(name: &str, home: &Home, story: &mut impl Story) {
    let (mut tally, mut handed_out) = (Tally::default(), HandedOut::default());
    let span = span(home, story).await;
    let mut process = Process::serve(&home.folder());
    for seed in 0..SEEDS {
        let direct = Clients::of(home, process.address());
        story.prepare(&direct.admin, seed).await;
        handed_out.one_more(&direct.media).await;
        let before = home.audit_records();
        let heard = kill_at(Step::of(seed), process, home, story, (seed, span)).await;
        let done = home.audit_records() > before;
        assert!(done || !heard, "seed {seed}: what was answered is gone");
        *tally.0.entry((Step::of(seed), done)).or_default() += 1;
        verified(&home.folder(), seed);

        process = Process::serve(&home.folder());
        let direct = Clients::of(home, process.address());
        handed_out.is_found_again(&direct.media, 1, seed).await;
        story.look(&direct, Outcome { seed, done }).await;
    }
    let media = process.client(&home.folder(), "media-server-1");
    handed_out.is_found_again(&media, usize::MAX, SEEDS).await;
    println!("{name}: (step, done) and how often: {:?}", tally.0);
    let quarter = SEEDS / 4;
    assert!(tally.count(Step::UnderWay, false) > 0, "no kill came before the change");
    assert!(
        tally.count(Step::Writing, false) >= quarter * 3 / 4,
        "too few cuts in the log"
    );
    assert_eq!(tally.count(Step::Unheard, true), quarter);
    assert_eq!(tally.count(Step::Heard, true), quarter);
}

/// How many bytes the change writes at least, whichever of a story's changes it is.
async fn span(home: &Home, story: &mut impl Story) -> u64 {
    let process = Process::serve(&home.folder());
    let direct = Clients::of(home, process.address());
    let mut least = u64::MAX;
    for seed in [SEEDS, SEEDS + 4] {
        story.prepare(&direct.admin, seed).await;
        empty_log(&home.database());
        assert!(story.ask(Clients::of(home, process.address())).await);
        least = least.min(log_length(&home.database()));
        story.look(&direct, Outcome { seed, done: true }).await;
    }
    least
}

/// Has the change made and kills the service at `step`. Whether the answer came.
async fn kill_at(step: Step, process: Process, home: &Home, story: &impl Story, (seed, span): (u32, u64)) -> bool {
    let wire = KmsWire::lay(process.address());
    let through = Clients::of(home, wire.address());
    match step {
        Step::UnderWay => {
            wire.stop_at(Hold::Request);
            let asked = tokio::spawn(story.ask(through));
            wire.gate().wait();
            wire.gate().decide(Verdict::GoOn);
            // From at once to far too late, and each time in between as often.
            for _ in 1..1_u32 << (drawn(seed) % 12) {
                std::thread::yield_now();
            }
            drop(process);
            asked.await.unwrap()
        }
        Step::Writing => {
            empty_log(&home.database());
            process.limit_files_to(u64::from(drawn(seed)) % span);
            let heard = story.ask(through).await;
            if !heard {
                let ended = process.end();
                assert_eq!(ended.signal(), Some(libc::SIGXFSZ), "seed {seed}: {ended}");
            }
            heard
        }
        Step::Unheard => {
            let before = home.audit_records();
            wire.stop_at(Hold::Answer);
            let asked = tokio::spawn(story.ask(through));
            wire.gate().wait();
            support::programs::until(|| home.audit_records() > before);
            drop(process);
            wire.gate().decide(Verdict::Cut);
            let heard = asked.await.unwrap();
            assert!(!heard, "seed {seed}");
            heard
        }
        Step::Heard => {
            let heard = story.ask(through).await;
            drop(process);
            assert!(heard, "seed {seed}");
            heard
        }
    }
}

/// A KMS with a group for backups and its key, and one for keys of other software.
async fn home() -> Home {
    let home = Home::made_by_the_program();
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    admin.create_group(&new_group(DAILY, KeyKind::Derived)).await.unwrap();
    admin.create_group(&new_group(OLD, KeyKind::AsIs)).await.unwrap();
    rotate(&admin, DAILY).await;
    home
}

fn key_name(seed: u32) -> KeyName {
    KeyName::new(format!("seed-{seed}")).unwrap()
}

async fn new_key(admin: &KmsClient, seed: u32) -> KeyRecord {
    let wanted = CreateKey {
        name: Some(key_name(seed)),
        description: String::new(),
    };
    admin.create_key(&group(DAILY), &wanted).await.unwrap()
}

async fn keys_by_name(admin: &KmsClient, of: &str) -> BTreeMap<KeyName, KeyRecord> {
    let keys = admin.keys(Some(&group(of))).await.unwrap();
    keys.into_iter().map(|key| (key.name.clone(), key)).collect()
}

/// Creating: the keys that must be there.
#[derive(Default)]
struct Creating {
    seed: u32,
    there: Vec<KeyName>,
}

impl Story for Creating {
    async fn prepare(&mut self, _: &KmsClient, seed: u32) {
        self.seed = seed;
    }

    fn ask(&self, clients: Clients) -> impl Future<Output = bool> + Send + 'static {
        let wanted = CreateKey {
            name: Some(key_name(self.seed)),
            description: "made while a kill was on its way".to_owned(),
        };
        async move { clients.admin.create_key(&group(DAILY), &wanted).await.is_ok() }
    }

    async fn look(&mut self, clients: &Clients, Outcome { seed, done }: Outcome) {
        if done {
            self.there.push(key_name(seed));
        }
        let mut keys = keys_by_name(&clients.admin, DAILY).await;
        for name in &self.there {
            let key = keys
                .remove(name)
                .unwrap_or_else(|| panic!("seed {seed}: key {name} is gone"));
            assert_eq!(key.state, KeyState::Prelive, "seed {seed}");
        }
        // What is left is the key that volumes are written under.
        assert_eq!(keys.len(), 1, "seed {seed}: {keys:?}");
    }
}

/// Activating: the key that must be the active one.
#[derive(Default)]
struct Activating {
    seed: u32,
    active: Option<KeyId>,
    next: Option<KeyId>,
}

impl Story for Activating {
    async fn prepare(&mut self, admin: &KmsClient, seed: u32) {
        let keys = keys_by_name(admin, DAILY).await;
        let active = keys.values().find(|key| key.state == KeyState::Active).unwrap().id;
        assert!(self.active.is_none_or(|known| known == active), "seed {seed}");
        self.active = Some(active);
        self.seed = seed;
        self.next = Some(new_key(admin, seed).await.id);
    }

    fn ask(&self, clients: Clients) -> impl Future<Output = bool> + Send + 'static {
        let name = key_name(self.seed);
        let to = MoveKey {
            state: KeyState::Active,
            single_copy: true,
        };
        async move { clients.admin.move_key(&group(DAILY), &name, &to).await.is_ok() }
    }

    async fn look(&mut self, clients: &Clients, Outcome { seed, done }: Outcome) {
        let keys = keys_by_name(&clients.admin, DAILY).await;
        let state = |id| keys.values().find(|key| Some(key.id) == id).unwrap().state;
        let states = (state(self.active), state(self.next));
        if done {
            assert_eq!(states, (KeyState::Inactive, KeyState::Active), "seed {seed}");
            self.active = self.next;
        } else {
            assert_eq!(states, (KeyState::Active, KeyState::Prelive), "seed {seed}");
        }
        let active = keys.values().filter(|key| key.state == KeyState::Active).count();
        assert_eq!(active, 1, "seed {seed}");
    }
}

/// Importing two keys at once: the bytes of those that must be there.
#[derive(Default)]
struct Importing {
    now: [u8; 2],
    there: Vec<u8>,
}

impl Story for Importing {
    async fn prepare(&mut self, _: &KmsClient, seed: u32) {
        let first = u8::try_from(2 * seed + 1).unwrap();
        self.now = [first, first + 1];
    }

    fn ask(&self, clients: Clients) -> impl Future<Output = bool> + Send + 'static {
        let keys = import(&self.now, true);
        async move { clients.admin.import_keys(&group(OLD), &keys).await.is_ok() }
    }

    async fn look(&mut self, clients: &Clients, Outcome { seed, done }: Outcome) {
        for byte in self.now {
            let kad = format!("foreign {byte}");
            let found = clients
                .media
                .restore_keys(kad.as_bytes(), None)
                .await
                .unwrap()
                .candidates;
            assert_eq!(found.len(), usize::from(done), "seed {seed}: both or none");
            assert!(
                found.iter().all(|one| one.key == DataKey::take(&mut [byte; 32])),
                "seed {seed}"
            );
        }
        if done {
            self.there.extend(self.now);
        }
        let keys = keys_by_name(&clients.admin, OLD).await;
        assert_eq!(keys.len(), self.there.len(), "seed {seed}");
    }
}

/// Deletion up to its waiting time: an even seed asks, an odd one approves.
#[derive(Default)]
struct Deleting {
    seed: u32,
    /// The request to approve.
    asked: Option<i64>,
    /// Requests that must be there.
    there: usize,
}

impl Deleting {
    fn request(&self) -> NewAdminRequest {
        let change = AdminChange::DeleteKey {
            group: group(DAILY),
            key: key_name(self.seed),
        };
        let reason = "its tapes were shredded".to_owned();
        NewAdminRequest { change, reason }
    }

    /// Each step is met by both: the steps go round every four seeds, this every eight.
    fn approves(&self) -> bool {
        self.seed / 4 % 2 == 1
    }
}

impl Story for Deleting {
    async fn prepare(&mut self, admin: &KmsClient, seed: u32) {
        self.seed = seed;
        new_key(admin, seed).await;
        self.asked = None;
        if self.approves() {
            self.asked = Some(admin.make_request(&self.request()).await.unwrap().number);
            self.there += 1;
        }
    }

    fn ask(&self, clients: Clients) -> impl Future<Output = bool> + Send + 'static {
        let (asked, request) = (self.asked, self.request());
        async move {
            match asked {
                Some(number) => clients.second.approve_request(number).await.is_ok(),
                None => clients.admin.make_request(&request).await.is_ok(),
            }
        }
    }

    async fn look(&mut self, clients: &Clients, Outcome { seed, done }: Outcome) {
        let requests = clients.admin.requests().await.unwrap();
        if self.asked.is_none() && done {
            self.there += 1;
        }
        assert_eq!(requests.len(), self.there, "seed {seed}");
        let about = requests.iter().find(|one| one.change == self.request().change);
        let wanted = match (self.asked.is_some(), done) {
            (true, true) => Some(AdminRequestState::Approved),
            (true, false) | (false, true) => Some(AdminRequestState::Asked),
            (false, false) => None,
        };
        assert_eq!(about.map(|one| one.state), wanted, "seed {seed}");
        let keys = keys_by_name(&clients.admin, DAILY).await;
        assert_eq!(
            keys[&key_name(seed)].state,
            KeyState::Prelive,
            "seed {seed}: nothing is deleted yet"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_creating_a_key_leaves_it_whole_or_not_at_all() {
    play("create", &home().await, &mut Creating::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_an_activation_leaves_one_active_key_and_the_former_one_restores() {
    play("activate", &home().await, &mut Activating::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_step_of_an_import_leaves_all_of_its_keys_or_none() {
    play("import", &home().await, &mut Importing::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_a_deletion_is_asked_for_or_approved_leaves_the_request_as_it_was_or_as_wanted() {
    play("ask and approve a deletion", &home().await, &mut Deleting::default()).await;
}
