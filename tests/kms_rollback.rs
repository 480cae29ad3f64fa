//! A store that was put back to an older state, as those see it who remember the heads of its audit chain.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use kms_support::{Home, Running, error, new_group, new_snapshot, on_postgresql, rotate, volume};
use tapekey::clock::Clock;
use tapekey::kad::KeyKind;
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::snapshot::restore::{RestoreWith, restore};
use tapekey::kms_client::KmsClient;
use tapekey::kms_client::heads::{DoubtKind, HeadBook};

/// Somebody who asks the KMS and remembers its heads in a file.
struct Host<'a> {
    home: &'a Home,
    file: PathBuf,
}

impl<'a> Host<'a> {
    fn new(home: &'a Home, name: &str) -> Self {
        Self {
            home,
            file: home.folder().join(name),
        }
    }

    fn heads(&self) -> Arc<HeadBook> {
        let clock: Arc<dyn Clock> = self.home.clock.clone();
        Arc::new(HeadBook::open(&self.file, clock))
    }

    fn client(&self, running: &Running, heads: &Arc<HeadBook>) -> KmsClient {
        self.home
            .client("media-server-1", running.address)
            .remembering(heads.clone())
    }

    /// Asks for a key, as after a start of its own; the alarms that it then has.
    async fn asks(&self, running: &Running) -> Vec<String> {
        let heads = self.heads();
        self.client(running, &heads)
            .backup_key("ENCR_a", &volume("A00001L8"))
            .await
            .unwrap();
        // Until what was still being written is written, as at the end of a process.
        let alone = async {
            while Arc::strong_count(&heads) > 1 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), alone).await.unwrap();
        heads.alarms().into_iter().map(|alarm| alarm.text).collect()
    }
}

async fn with_group() -> Home {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_a", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_a").await;
    running.stop().await;
    home
}

#[tokio::test]
async fn a_store_that_was_put_back_is_noticed_by_every_host_that_asked_since() {
    let home = with_group().await;
    let kept = home.keep_store();
    let (first, late) = (Host::new(&home, "first.json"), Host::new(&home, "late.json"));
    let running = home.serve().await;
    for _ in 0..3 {
        assert_eq!(first.asks(&running).await, Vec::<String>::new());
    }
    running.stop().await;
    home.put_back(&kept);
    let running = home.serve().await;
    let alarms = first.asks(&running).await;
    assert_eq!(alarms.len(), 1);
    assert!(
        alarms[0].contains("store was rolled back: the audit chain of node"),
        "{}",
        alarms[0]
    );
    assert_eq!(
        first.asks(&running).await,
        alarms,
        "it is the same alarm until somebody accepts it"
    );
    assert_eq!(
        late.asks(&running).await,
        Vec::<String>::new(),
        "who remembers nothing notices nothing"
    );
    let heads = first.heads();
    let node = heads.report().chains[0].head.node;
    heads.accept(node, "uid 0", "the test put it back").await.unwrap();
    assert_eq!(first.asks(&running).await, Vec::<String>::new());
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_was_put_back_is_noticed_even_after_it_has_grown_beyond_what_was_seen() {
    let home = with_group().await;
    let kept = home.keep_store();
    let (host, other) = (Host::new(&home, "host.json"), Host::new(&home, "other.json"));
    let running = home.serve().await;
    assert_eq!(host.asks(&running).await, Vec::<String>::new());
    running.stop().await;
    home.put_back(&kept);
    home.clock.advance_days(1);
    let running = home.serve().await;
    for _ in 0..5 {
        assert_eq!(other.asks(&running).await, Vec::<String>::new());
    }
    let alarms = host.asks(&running).await;
    assert!(alarms[0].contains("has another record"), "{alarms:?}");
    assert_eq!(
        host.heads().report().chains[0].doubt.as_ref().unwrap().kind,
        DoubtKind::Denied
    );
    running.stop().await;
}

#[tokio::test]
async fn restarts_and_many_questions_at_once_are_no_alarm() {
    let home = with_group().await;
    let host = Host::new(&home, "host.json");
    let heads = host.heads();
    for _ in 0..3 {
        let running = home.serve().await;
        let client = host.client(&running, &heads);
        let volume = volume("A00001L8");
        let one = || client.backup_key("ENCR_a", &volume);
        for _ in 0..5 {
            let answers = tokio::join!(one(), one(), one(), one(), one(), one(), one(), one());
            assert!(answers.0.is_ok() && answers.7.is_ok());
        }
        // A refusal carries a head like any other reply.
        assert!(error(client.groups().await).contains("refused"));
        running.stop().await;
    }
    assert_eq!(heads.alarms(), []);
    let reached = heads.report().chains[0].head.sequence;
    assert_eq!(reached, home.audit().last().unwrap().sequence);
}

#[tokio::test]
async fn a_store_made_anew_is_another_store() {
    let (home, other) = (with_group().await, Home::with_seed(2));
    let host = Host::new(&home, "host.json");
    let running = home.serve().await;
    assert_eq!(host.asks(&running).await, Vec::<String>::new());
    running.stop().await;
    let running = other.serve().await;
    let heads = host.heads();
    let client = other.client("admin-1", running.address).remembering(heads.clone());
    client.groups().await.unwrap();
    let alarms = heads.alarms();
    assert!(
        alarms[0]
            .text
            .starts_with("another store than before answers as the KMS"),
        "{alarms:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_restore_from_a_snapshot_is_a_roll_back_until_somebody_accepts_it() {
    let home = with_group().await;
    let disk = home.other_disk();
    let host = Host::new(&home, "host.json");
    let running = home.serve().await;
    let snapshot = disk.path().join("1.snapshot");
    let admin = home.client("admin-1", running.address);
    admin.create_snapshot(&new_snapshot(&snapshot)).await.unwrap();
    for _ in 0..5 {
        assert_eq!(host.asks(&running).await, Vec::<String>::new());
    }
    running.stop().await;
    let restored = Home::empty_beside(&home);
    let master = HostMasterKey::read(&home.master_key_file()).unwrap();
    let with = RestoreWith {
        master: &master,
        hosts: &[],
        clock: &*home.clock,
        entropy: &*home.entropy,
        progress: &mut |_, _, _| {},
    };
    assert!(restore(&snapshot, &restored.folder(), with).is_ok());
    let running = restored.serve().await;
    let alarms = host.asks(&running).await;
    // The file's own chain goes on; where the store was in a database, nobody knows the file's chain.
    let says = if on_postgresql() {
        "another store than before answers"
    } else {
        "was rolled back"
    };
    assert!(alarms[0].contains(says), "{alarms:?}");
    running.stop().await;
}
