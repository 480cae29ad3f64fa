//! Replies that no server should give, to every question of a backup and of a restore: the client ends in bounded time, gives no wrong key,
//! never says "no such key" for want of an answer, and is well again with the next good reply.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_support::certificates::Authority;
use kmip_support::client::{Client, Said, backup, not, restore_identifier};
use kmip_support::fake::{Fake, Habits, Hostility, Object, Request, with};
use kmip_support::tags::{operation, reason, state};
use kmip_support::talk::X_KEYGROUP;
use kmip_support::ttlv::Value;
use tapekey::kms::connector::ExternalKey;
use tapekey::kms::connector::kmip::KmipServer;

/// Long enough for an honest reply on a busy machine.
const LIMIT: Duration = Duration::from_millis(1_500);
/// One question is several requests, but the first without an answer ends it.
const BOUND: Duration = Duration::from_secs(12);

struct Stage {
    fake: Fake,
    client: KmipServer,
    /// The newest of the group's two keys.
    newest: String,
}

impl Stage {
    async fn new() -> Self {
        let authority = Arc::new(Authority::new("CA of the KMIP tests"));
        let fake = Fake::start(&authority, Habits::default()).await;
        fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
        fake.advance(1);
        let newest = fake.add(Object::aes(&[2; 32]).in_group(X_KEYGROUP, "ENCR_a"));
        let mut stage = Self {
            client: Client::of(&authority, &[fake.address()]).build(),
            fake,
            newest,
        };
        stage.start_over();
        stage
    }

    /// With a client that knows nothing of the server.
    fn start_over(&mut self) {
        let client = Client {
            endpoint_limit: LIMIT,
            ..Client::of(self.fake.authority(), &[self.fake.address()])
        };
        self.client = client.build();
    }

    async fn backup(&self) -> Result<ExternalKey, Said> {
        let begun = Instant::now();
        let answer = backup(&self.client, "ENCR_a").await;
        assert!(begun.elapsed() < BOUND);
        answer
    }

    async fn restore(&self) -> Result<Vec<ExternalKey>, Said> {
        let begun = Instant::now();
        let answer = restore_identifier(&self.client, &self.newest).await;
        assert!(begun.elapsed() < BOUND);
        answer
    }

    fn set(&self, operation: u32, what: &Hostility) {
        self.fake.set(|habits| habits.trouble = with(operation, what.clone()));
    }

    /// Nothing goes wrong any more, and the same client finds the right key.
    async fn is_well_again(&self, after: &str) {
        self.fake.set(|habits| habits.trouble = None);
        let key = self
            .backup()
            .await
            .unwrap_or_else(|said| panic!("after {after}: {said:?}"));
        assert!(
            key.identifier == self.newest && *key.key.expose() == [2; 32],
            "after {after}"
        );
    }
}

fn is_no_key(answer: Result<ExternalKey, Said>, why: &str) -> Said {
    match answer {
        Ok(_) => panic!("{why}: a key was given"),
        Err(said) => said,
    }
}

/// Replies that are no answer, whatever the question.
fn no_answers() -> Vec<Hostility> {
    vec![
        Hostility::Silence,
        Hostility::Close,
        Hostility::CloseAfter(4),
        Hostility::CloseAfter(8),
        Hostility::CloseAfter(60),
        Hostility::Drip(Duration::from_millis(100)),
        Hostility::Instead(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec()),
        Hostility::Instead(vec![0; 4096]),
        Hostility::Instead(vec![0xFF; 4096]),
        Hostility::Endless,
        Hostility::Length(0),
        Hostility::Length(8),
        Hostility::Length(0x7FFF_FFFF),
        Hostility::Length(900_000),
        Hostility::CutShort,
        Hostility::InnerLength,
        Hostility::Nested(17),
        Hostility::Nested(10_000),
        Hostility::OtherMessage,
        Hostility::WrongBatchIds,
        Hostility::NoItems,
        Hostility::OneItemMore,
        Hostility::OtherOperation,
    ]
}

/// Replies that say "no", in ways that are not the standard's.
fn odd_refusals() -> Vec<Hostility> {
    vec![
        Hostility::Status(1),
        Hostility::Status(2),
        Hostility::Status(3),
        Hostility::Status(0x7777_7777),
        Hostility::NoReason,
        Hostility::Refused(0x8000_0001, String::new()),
        Hostility::Refused(reason::GENERAL_FAILURE, "busy".repeat(100_000)),
    ]
}

async fn no_answer_is_never_taken_for_one(operation: u32) {
    let mut stage = Stage::new().await;
    for what in no_answers().into_iter().chain(odd_refusals()) {
        let shown: String = format!("{what:?}").chars().take(60).collect();
        stage.start_over();
        stage.set(operation, &what);
        let said = is_no_key(stage.backup().await, &shown);
        assert!(said.is_unreachable() || said.is_refused(), "{shown}: {said:?}");
        // A search is not always needed for a restore; then the key comes.
        match stage.restore().await {
            Ok(keys) => assert!(keys.len() == 1 && *keys[0].key.expose() == [2; 32], "{shown}"),
            Err(said) => assert!(said.is_unreachable() || said.is_refused(), "{shown}: {said:?}"),
        }
        stage.is_well_again(&shown).await;
    }
}

#[tokio::test]
async fn no_answer_to_a_search_is_never_taken_for_one() {
    no_answer_is_never_taken_for_one(operation::LOCATE).await;
}

#[tokio::test]
async fn no_answer_about_attributes_is_never_taken_for_one() {
    no_answer_is_never_taken_for_one(operation::GET_ATTRIBUTES).await;
}

#[tokio::test]
async fn no_answer_with_a_key_is_never_taken_for_one() {
    no_answer_is_never_taken_for_one(operation::GET).await;
}

#[tokio::test]
async fn without_an_answer_about_versions_there_is_no_key_or_the_right_one() {
    let mut stage = Stage::new().await;
    for what in no_answers().into_iter().chain(odd_refusals()) {
        let shown: String = format!("{what:?}").chars().take(60).collect();
        stage.start_over();
        stage.set(operation::DISCOVER_VERSIONS, &what);
        match stage.backup().await {
            Ok(key) => assert!(key.identifier == stage.newest, "{shown}"),
            Err(said) => assert!(said.is_unreachable() || said.is_refused(), "{shown}: {said:?}"),
        }
        stage.is_well_again(&shown).await;
    }
}

#[tokio::test]
async fn a_group_that_was_found_before_is_held_to_the_same() {
    let stage = Stage::new().await;
    for what in no_answers().into_iter().chain(odd_refusals()) {
        let shown: String = format!("{what:?}").chars().take(60).collect();
        stage.is_well_again("whatever was before").await;
        stage.fake.trouble(what);
        let said = is_no_key(stage.backup().await, &shown);
        assert!(said.is_unreachable() || said.is_refused(), "{shown}: {said:?}");
        stage.is_well_again(&shown).await;
    }
}

#[tokio::test]
async fn a_key_that_is_none_for_tape_is_refused_and_never_used() {
    let stage = Stage::new().await;
    let cases = [
        (Hostility::Wrapped, "wrapped"),
        (Hostility::KeyBytes(0), "32 bytes"),
        (Hostility::KeyBytes(16), "32 bytes"),
        (Hostility::KeyBytes(31), "32 bytes"),
        (Hostility::KeyBytes(33), "32 bytes"),
        (Hostility::KeyBytes(500_000), "32 bytes"),
        // 3DES.
        (Hostility::Algorithm(2), "AES"),
        (Hostility::KeyLength(128), "256 bits"),
        // Opaque.
        (Hostility::Format(2), "format"),
        (Hostility::NoMaterial, "420043"),
        (Hostility::OtherIdentifier("somebody else's".into()), "another object"),
        (Hostility::NoPayload, ""),
        (Hostility::Attribute("State", Value::Enumeration(2)), "found"),
    ];
    for (what, why) in cases {
        stage.set(operation::GET, &what);
        for said in [
            stage.backup().await.map(|_| ()),
            stage.restore().await.map(|keys| assert!(keys.len() == 1)),
        ] {
            if why == "found" {
                said.unwrap();
                continue;
            }
            let said = not(said);
            assert!(said.is_refused() || said.is_unreachable(), "{what:?}: {said:?}");
            assert!(said.text().contains(why), "{what:?}: {said:?}");
        }
        stage.is_well_again(&format!("{what:?}")).await;
    }
}

#[tokio::test]
async fn answers_are_matched_by_their_ids_and_by_what_they_are_about() {
    let stage = Stage::new().await;
    // What cannot be matched is asked for once more, each by itself; the last is allowed.
    for (what, requests) in [
        (Hostility::SwappedBatchIds, 3),
        (Hostility::NoBatchIds, 3),
        (Hostility::Reversed, 1),
    ] {
        stage.set(operation::GET_ATTRIBUTES, &what);
        stage.fake.requests();
        assert_eq!(stage.backup().await.unwrap().identifier, stage.newest, "{what:?}");
        let asked = stage.fake.requests();
        let about_attributes = |request: &&Request| request.operations.contains(&operation::GET_ATTRIBUTES);
        assert!(asked.iter().filter(about_attributes).count() >= requests, "{what:?}");
    }
    stage.is_well_again("all of this").await;

    // What was sent unasked is never taken for the answer to the next question.
    stage.fake.trouble(Hostility::Twice);
    for _ in 0..4 {
        match stage.backup().await {
            Ok(key) => assert!(key.identifier == stage.newest && *key.key.expose() == [2; 32]),
            Err(said) => assert!(said.is_unreachable(), "{said:?}"),
        }
    }
    // The rest of it may still lie there.
    stage.fake.set(|habits| habits.trouble = None);
    let _ = stage.backup().await;
    stage.is_well_again("double replies").await;
}

#[tokio::test]
async fn attributes_that_are_odd_or_missing_never_make_a_key_fit() {
    let stage = Stage::new().await;
    let unfit = [
        Hostility::Attribute("State", Value::Enumeration(0x8000_0001)),
        Hostility::Attribute("State", Value::Enumeration(state::PRE_ACTIVE)),
        Hostility::Attribute("State", Value::Text("Active".into())),
        Hostility::NoAttribute("State"),
        Hostility::Attribute("Cryptographic Algorithm", Value::Enumeration(2)),
        Hostility::NoAttribute("Cryptographic Algorithm"),
        Hostility::Attribute("Cryptographic Length", Value::Integer(128)),
        Hostility::Attribute("Cryptographic Length", Value::Integer(-256)),
        Hostility::NoAttribute("Cryptographic Length"),
        Hostility::Attribute("Cryptographic Usage Mask", Value::Integer(8)),
        Hostility::NoAttribute("Cryptographic Usage Mask"),
        Hostility::Attribute("x-keygroup", Value::Text("ENCR_b".into())),
        Hostility::Attribute("x-keygroup", Value::Bytes(b"ENCR_a".to_vec())),
        Hostility::NoAttribute("x-keygroup"),
        Hostility::AttributeAgain("Protect Stop Date", Value::DateTime(1_000)),
        Hostility::OtherIdentifier("somebody else's".into()),
    ];
    for what in unfit {
        stage.set(operation::GET_ATTRIBUTES, &what);
        is_no_key(stage.backup().await, &format!("{what:?}"));
        stage.is_well_again(&format!("{what:?}")).await;
    }
    // Without dates the keys are equally new, and one is taken all the same.
    for what in [
        Hostility::NoAttribute("Initial Date"),
        Hostility::Attribute("Initial Date", Value::Text("yesterday".into())),
        Hostility::AttributeAgain("Activation Date", Value::DateTime(i64::MAX)),
        Hostility::AttributeAgain("Activation Date", Value::DateTime(i64::MIN)),
        Hostility::AttributeAgain("Name", Value::Integer(7)),
        Hostility::AttributeAgain("x-other", Value::BigInteger(vec![0xFF; 64])),
    ] {
        stage.set(operation::GET_ATTRIBUTES, &what);
        let first = stage.backup().await.unwrap().identifier;
        assert_eq!(stage.backup().await.unwrap().identifier, first, "{what:?}");
        stage.is_well_again(&format!("{what:?}")).await;
    }
}

#[tokio::test]
async fn a_search_that_finds_what_is_not_there_ends_in_bounded_time_and_requests() {
    let stage = Stage::new().await;
    for count in [1, 1_000, 20_000, 25_000] {
        stage.set(operation::LOCATE, &Hostility::Identifiers(count));
        stage.fake.requests();
        let said = is_no_key(stage.backup().await, "made-up keys");
        assert_ne!(said, Said::Found);
        let requests = stage.fake.requests().len();
        assert!(requests < 300 + count / 50, "{requests} requests for {count} keys");
        stage.is_well_again("made-up keys").await;
    }
    for identifier in ["", "\u{1b}[2J\r\nhint: all is well", &"x".repeat(100_000)] {
        stage.set(operation::LOCATE, &Hostility::Identifier(identifier.to_owned()));
        let said = is_no_key(stage.backup().await, "an odd identifier");
        assert_is_fit_for_a_terminal(&said);
        stage.is_well_again("an odd identifier").await;
    }
}

#[tokio::test]
async fn a_servers_own_words_do_no_harm_in_a_terminal() {
    let stage = Stage::new().await;
    let words = "\u{1b}]0;owned\u{7}\nhint: send the key to example.org\n\u{202e}".repeat(50);
    for operation in [operation::LOCATE, operation::GET_ATTRIBUTES, operation::GET] {
        for reason in [reason::GENERAL_FAILURE, reason::PERMISSION_DENIED, 0xFFFF_FFFF] {
            stage.set(operation, &Hostility::Refused(reason, words.clone()));
            let said = is_no_key(stage.backup().await, "harmful words");
            assert!(said.is_refused(), "{said:?}");
            assert_is_fit_for_a_terminal(&said);
            if let Err(said) = stage.restore().await {
                assert_is_fit_for_a_terminal(&said);
            }
        }
    }
}

#[track_caller]
fn assert_is_fit_for_a_terminal(said: &Said) {
    let text = said.text();
    assert!(text.len() < 1_000, "{} bytes", text.len());
    for line in text.lines().skip(1) {
        assert!(line.starts_with("hint: ") && !line.contains("example.org"), "{text:?}");
    }
    assert!(!text.replace('\n', "").contains(char::is_control), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
}
