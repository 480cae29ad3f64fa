//! A key source that fails, in every way that it can.

use super::*;
use crate::clock::{MockClock, Timestamp};
use crate::controller::job::JobKind;
use crate::controller::operation::{PlainBlocks, Rules};
use crate::controller::record;
use crate::controller::runtime::job::new_record;
use crate::controller::runtime::start::{Given, GivenDrive};
use crate::controller::step::Change;
use crate::discovery::Tree;
use crate::drive::{DriveError, SetScope};
use crate::kad::{KeyId, OurKad};
use crate::keysource::{
    Fetching, FoundKeys, GroupName, HeadBook, KeyFacts, KeyServer, KeyState, MockKeySource, VolumeName,
};
use crate::kms_api::{ErrorCode, KeyServerKind};
use crate::kms_client::{KmsClientError, NoAnswer, Unanswered};

const NAMES: (&str, &str) = ("ENCR_a", "A00001L8");

fn daemon(keys: MockKeySource) -> (tempfile::TempDir, Arc<Daemon>) {
    let directory = tempfile::tempdir().unwrap();
    let mut clock = MockClock::new();
    clock.expect_now().return_const(Timestamp::UNIX_EPOCH);
    clock.expect_monotonic().return_const(Duration::ZERO);
    let rules = Rules {
        expected_serial: None,
        finish_volumes: true,
        scope: SetScope::AllItNexus,
        plain_blocks: PlainBlocks::default(),
    };
    let drive = GivenDrive {
        name: "d1".into(),
        path: "nowhere".into(),
        by_serial: false,
        simulated: false,
        rules,
        command_timeout: Duration::from_secs(1),
        opener: Box::new(|| {
            Err(DriveError::Status {
                attempt: "open",
                path: "nowhere".into(),
                status: 8,
            })
        }),
        hold: None,
    };
    let given = Given {
        state_directory: directory.path().into(),
        drives: vec![drive],
        libraries: Vec::new(),
        found_libraries: Box::new(|serial| panic!("there is no changer {serial}")),
        inquirer: Arc::new(|node| panic!("{} was asked", node.path.display())),
        tree: Tree::below(directory.path()),
        clock: Arc::new(clock),
        keys: Arc::new(keys),
        heads: Arc::new(HeadBook::open(
            &directory.path().join("heads"),
            Arc::new(MockClock::new()),
        )),
    };
    let daemon = Daemon::new(given).unwrap();
    (directory, daemon)
}

fn ready<T: Send + 'static>(answer: Result<T, KeySourceError>) -> Fetching<T> {
    Box::pin(std::future::ready(answer))
}

fn key(byte: u8) -> FetchedKey {
    let drive_key = DataKey::take(&mut [byte; 32]);
    let facts = KeyFacts {
        kad: OurKad::derived(KeyId([byte; 16]), [byte; 6], &drive_key),
        key_name: "first".into(),
        group: GroupName::new(NAMES.0).unwrap(),
        state: KeyState::Active,
        server: KeyServer {
            name: "built-in".into(),
            kind: KeyServerKind::BuiltIn,
            address: "https://kms1:8443".into(),
            server_address: None,
            priority: None,
            cached: false,
            fallback: false,
            took_ms: 3,
            protocol_version: None,
            identifier: None,
        },
        asked: Vec::new(),
    };
    FetchedKey { key: drive_key, facts }
}

async fn new_key(keys: MockKeySource) -> (Event, bool) {
    let (_directory, daemon) = daemon(keys);
    let unit = daemon.drives[0].clone();
    let mut hands = Hands::new(&daemon, &unit, 1, (Wish::Unlock, None));
    let (group, volume) = (GroupName::new(NAMES.0).unwrap(), VolumeName::new(NAMES.1).unwrap());
    let event = hands.perform(Ask::NewKey { group, volume }).await.event;
    (event, hands.key.is_some())
}

fn failing(error: impl Fn() -> KeySourceError + Send + 'static) -> MockKeySource {
    let mut keys = MockKeySource::new();
    keys.expect_key_for_backup()
        .times(1)
        .returning(move |_, _| ready(Err(error())));
    keys
}

#[tokio::test]
async fn a_kms_that_is_down_refuses_or_talks_nonsense_gives_no_key_and_a_reason() {
    let unreachable = |why: NoAnswer| KmsClientError::Unreachable {
        attempt: "ask for a key".into(),
        asked: vec![Unanswered {
            address: "https://kms1:8443".parse().unwrap(),
            why,
        }],
    };
    let refused = KmsClientError::Refused {
        attempt: "ask for a key".into(),
        address: "https://kms1:8443".parse().unwrap(),
        status: reqwest::StatusCode::NOT_FOUND,
        code: ErrorCode::NoActiveKey,
        error: "group ENCR_a has no active key".into(),
        hint: "activate one".into(),
        earlier: Vec::new(),
    };
    for (error, reason) in [
        (unreachable(NoAnswer::NotConnected("refused".into())), "no connection"),
        (
            unreachable(NoAnswer::Garbage("<html>".into())),
            "not an answer of a tapekey KMS",
        ),
        (refused, "no active key"),
    ] {
        let (event, has_key) = new_key(failing(move || error.clone().into())).await;
        let Event::Failed(failure) = event else {
            panic!("{event:?}")
        };
        assert!(failure.text.contains(reason) && failure.hint.is_some(), "{failure:?}");
        assert_eq!((failure.kind, has_key), (FailureKind::Unchanged, false));
    }
    let (event, _) = new_key(failing(|| KeySourceError::TimedOut { seconds: 15 })).await;
    assert!(
        matches!(&event, Event::Failed(failure) if failure.text.contains("no answer in 15 s")),
        "{event:?}"
    );
}

#[tokio::test]
async fn only_the_facts_of_a_key_reach_the_state_machine_and_only_the_best_key_is_kept() {
    let mut keys = MockKeySource::new();
    keys.expect_key_for_backup().returning(|_, _| ready(Ok(key(1))));
    let (event, has_key) = new_key(keys).await;
    assert!(has_key && event == Event::NewKey(key(1).facts));

    let mut keys = MockKeySource::new();
    keys.expect_keys_for_restore()
        .withf(|kads, _| *kads == key(1).facts.kad.into())
        .returning(|_, _| {
            ready(Ok(FoundKeys {
                keys: vec![key(1), key(2)],
                candidates: Vec::new(),
                outcomes: Vec::new(),
            }))
        });
    let (_directory, daemon) = daemon(keys);
    let unit = daemon.drives[0].clone();
    let mut hands = Hands::new(&daemon, &unit, 1, (Wish::Unlock, None));
    let event = hands
        .perform(Ask::KeysOf {
            kads: key(1).facts.kad.into(),
            volume: None,
        })
        .await
        .event;
    assert!(
        event
            == Event::KeysOf {
                keys: vec![key(1).facts],
                candidates: Vec::new(),
                wrong: Vec::new(),
                outcomes: Vec::new()
            }
    );
    assert!(hands.key.is_some_and(|kept| *kept == key(1).key));
}

#[tokio::test]
async fn a_known_key_that_was_asked_for_ahead_counts_only_for_the_very_same_question() {
    let mut keys = MockKeySource::new();
    let found = || FoundKeys {
        keys: vec![key(1)],
        candidates: Vec::new(),
        outcomes: Vec::new(),
    };
    keys.expect_keys_for_restore()
        .times(2)
        .returning(move |_, _| ready(Ok(found())));
    let (_directory, daemon) = daemon(keys);
    let mut job = new_record(&daemon, &daemon.drives[0], 1, JobKind::Load, 0);
    let volume = VolumeName::new(NAMES.1).unwrap();
    job.volume.barcode = Some(NAMES.1.into());
    record::apply(
        &mut job,
        Change::Key {
            facts: key(1).facts,
            new: true,
        },
        Timestamp::UNIX_EPOCH,
    );
    daemon.jobs.begin(job).await.unwrap();
    let unit = daemon.drives[0].clone();
    let wish = Wish::Load {
        pool: None,
        barcode: Some(volume.clone()),
    };
    let mut hands = Hands::new(&daemon, &unit, 2, (wish, None));
    hands.ask_ahead();
    for (asked_volume, unused) in [(None, true), (Some(volume), false)] {
        let ask = Ask::KeysOf {
            kads: key(1).facts.kad.into(),
            volume: asked_volume,
        };
        assert!(matches!(hands.perform(ask).await.event, Event::KeysOf { keys, .. } if keys == [key(1).facts]));
        assert_eq!(hands.ahead.is_some(), unused);
    }
}

#[tokio::test]
async fn a_drive_that_cannot_be_opened_is_a_failure_with_a_remedy() {
    let (_directory, daemon) = daemon(MockKeySource::new());
    let unit = daemon.drives[0].clone();
    let event = Hands::new(&daemon, &unit, 1, (Wish::Unlock, None))
        .perform(Ask::Identify)
        .await
        .event;
    assert!(
        matches!(&event, Event::Failed(failure) if failure.hint.is_some()),
        "{event:?}"
    );
}
