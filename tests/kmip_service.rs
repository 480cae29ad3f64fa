//! A KMS with KMIP servers behind it, as its media servers see it: priorities, one server down, restarts, volumes read again.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;
mod kms_support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kmip_support::certificates::Authority;
use kmip_support::client::Client;
use kmip_support::fake::{Fake, Habits, Hostility, Object, with};
use kmip_support::in_time;
use kmip_support::pykmip::{Kind, PyKmip};
use kmip_support::tags::{operation, reason, state};
use kmip_support::talk::X_KEYGROUP;
use kms_support::{Home, Log, Running, new_group, rotate, volume};
use tapekey::kad::{KeyId, KeyKind, derive_volume_key};
use tapekey::kms::connector::ExternalServer;
use tapekey::kms::select::SelectionRules;
use tapekey::kms_api::{ErrorCode, KeyServerKind, KeyState, ServerResult};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError, RestoreAnswer};
use tapekey::secret::DataKey;

struct Service {
    home: Home,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
}

impl Service {
    async fn start(servers: Vec<Client>, rules: SelectionRules) -> Self {
        // By the real clock, since certificates of the servers are.
        let home = Home::made_by_the_program();
        home.clock.advance_to_the_real_time();
        let servers = servers.into_iter();
        let servers = servers.map(|server| Arc::new(server.build()) as Arc<dyn ExternalServer>);
        let running = home.serve_with(servers.collect(), rules).await;
        let admin = home.client("admin-1", running.address);
        let media = home.client("media-server-1", running.address);
        Self {
            home,
            running,
            admin,
            media,
        }
    }

    async fn own_group(&self, name: &str, kind: KeyKind) {
        self.admin.create_group(&new_group(name, kind)).await.unwrap();
        rotate(&self.admin, name).await;
    }

    async fn backup(&self, name: &str) -> Result<BackupKey, KmsClientError> {
        in_time("a backup", self.media.backup_key(name, &volume("A00001L8"))).await
    }

    async fn restore(&self, kad: &[u8]) -> RestoreAnswer {
        let volume = volume("A00001L8");
        let asked = self.media.restore_keys(kad, Some(&volume));
        in_time("a restore", asked).await.unwrap()
    }

    /// What servers answered before is remembered no longer.
    fn forget_answers(&self) {
        self.home.clock.advance_seconds(601);
    }

    /// Stops the service; action, outcome and detail of all records, in one text each.
    async fn records(self) -> Vec<String> {
        self.running.stop().await;
        let records = self.home.audit().into_iter();
        records
            .map(|record| {
                format!(
                    "{} {}: {}",
                    record.action,
                    record.outcome,
                    record.detail.unwrap_or_default()
                )
            })
            .collect()
    }
}

fn results(answer: &RestoreAnswer) -> Vec<(&str, &ServerResult)> {
    let outcomes = answer.outcomes.iter();
    outcomes
        .map(|outcome| (outcome.server.name.as_str(), &outcome.result))
        .collect()
}

fn authority() -> Arc<Authority> {
    Arc::new(Authority::new("CA of the KMIP tests"))
}

async fn fake_with_a_key(authority: &Arc<Authority>, identifier: &str, material: u8) -> Fake {
    let fake = Fake::start(authority, Habits::default()).await;
    fake.add(
        Object::aes(&[material; 32])
            .in_group(X_KEYGROUP, "ENCR_daily")
            .identified(identifier),
    );
    fake
}

fn named(fake: &Fake, name: &'static str, priority: i32) -> Client {
    Client {
        name,
        priority,
        endpoint_limit: Duration::from_secs(5),
        ..Client::of(fake.authority(), &[fake.address()])
    }
}

#[tokio::test]
async fn the_server_of_the_higher_priority_gives_the_key_and_while_it_is_down_the_rules_decide() {
    let authority = authority();
    for fall_back_when_unreachable in [false, true] {
        let mut high = fake_with_a_key(&authority, "in high", 1).await;
        let low = fake_with_a_key(&authority, "in low", 2).await;
        let rules = SelectionRules {
            fall_back_when_unreachable,
            ..SelectionRules::default()
        };
        let servers = vec![named(&low, "low", 0), named(&high, "high", 5)];
        let service = Service::start(servers, rules).await;
        service.own_group("ENCR_daily", KeyKind::Derived).await;

        let given = service.backup("ENCR_daily").await.unwrap();
        assert_eq!(given.kad.key_id(), KeyId::from_identifier("in high"));
        assert_eq!(
            (given.server.name.as_str(), given.server.kind),
            ("high", KeyServerKind::Kmip)
        );
        assert!(!given.server.fallback && low.requests().is_empty());
        let mut material = [1; 32];
        let expected = derive_volume_key(&DataKey::take(&mut material), given.kad.key_id(), given.kad.nonce());
        assert!(given.key == expected);

        high.go_down().await;
        service.forget_answers();
        match service.backup("ENCR_daily").await {
            Ok(other) => {
                assert!(fall_back_when_unreachable && other.server.fallback);
                assert_eq!(other.kad.key_id(), KeyId::from_identifier("in low"));
            }
            Err(refused) => {
                assert!(!fall_back_when_unreachable);
                let text = refused.to_string();
                assert!(
                    text.contains("server high (KMIP at ") && text.contains("cannot be reached"),
                    "{text}"
                );
            }
        }
        let restored = service.restore(&given.kad.encode()).await;
        assert!(restored.keys.is_empty());
        let said = results(&restored);
        assert!(matches!(said[0], ("high", ServerResult::Unreachable(_))), "{said:?}");
        assert!(matches!(said[1], ("low", ServerResult::None(_))), "{said:?}");
        assert!(matches!(said[2], ("built-in", ServerResult::None(_))), "{said:?}");

        high.come_back().await;
        service.forget_answers();
        let again = service.backup("ENCR_daily").await.unwrap();
        assert_eq!(again.kad.key_id(), KeyId::from_identifier("in high"));
        let restored = service.restore(&given.kad.encode()).await;
        assert!(restored.keys.len() == 1 && restored.keys[0].key == given.key);
        service.running.stop().await;
    }
}

#[tokio::test]
async fn a_server_without_such_a_key_is_passed_over_and_one_that_refuses_is_not() {
    let authority = authority();
    let high = Fake::start(&authority, Habits::default()).await;
    let low = fake_with_a_key(&authority, "in low", 2).await;
    let servers = vec![named(&low, "low", 0), named(&high, "high", 5)];
    let service = Service::start(servers, SelectionRules::default()).await;
    let given = service.backup("ENCR_daily").await.unwrap();
    assert_eq!((given.server.name.as_str(), given.server.fallback), ("low", false));
    service.own_group("ENCR_other", KeyKind::Derived).await;
    let own = service.backup("ENCR_other").await.unwrap();
    assert_eq!((own.server.name.as_str(), own.server.fallback), ("built-in", false));

    high.set(|habits| {
        habits.trouble = with(
            operation::LOCATE,
            Hostility::Refused(reason::PERMISSION_DENIED, String::new()),
        );
    });
    service.forget_answers();
    let refused = service.backup("ENCR_other").await.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused), "{refused}");
    assert!(refused.to_string().contains("Permission Denied"), "{refused}");
    service.running.stop().await;
}

#[tokio::test]
async fn a_silent_server_costs_a_restore_its_own_limit_and_no_more() {
    let authority = authority();
    let fake = fake_with_a_key(&authority, "the key", 1).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = Client {
        name: "silent",
        enabled_for_backup: false,
        limit: Duration::from_millis(500),
        ..Client::of(&authority, &[silent.local_addr().unwrap()])
    };
    let service = Service::start(vec![silent, named(&fake, "good", 0)], SelectionRules::default()).await;
    let given = service.backup("ENCR_daily").await.unwrap();
    service.forget_answers();
    let begun = Instant::now();
    let restored = service.restore(&given.kad.encode()).await;
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(restored.keys.len() == 1 && restored.keys[0].key == given.key);
    let said = results(&restored);
    assert!(
        said.iter()
            .any(|(name, result)| *name == "silent" && matches!(result, ServerResult::Unreachable(_))),
        "{said:?}"
    );
    service.running.stop().await;
}

#[tokio::test]
async fn volumes_written_under_keys_of_pykmip_are_read_again_after_it_was_killed_and_started_again() {
    let authority = authority();
    let Some(mut server) = PyKmip::start(Kind::WithCustomAttributes, &authority).await else {
        return;
    };
    let mut owner = server.talk("owner").await;
    let first_key = owner.active_key(X_KEYGROUP, "ENCR_daily", &[1; 32]).await;
    let outside = Client::of(&authority, &[server.address()]);
    let service = Service::start(vec![outside], SelectionRules::default()).await;
    let first = service.backup("ENCR_daily").await.unwrap();
    assert_eq!(first.kad.key_id(), KeyId::from_identifier(&first_key));

    server.kill();
    service.forget_answers();
    let down = service.backup("ENCR_daily").await.err().unwrap();
    assert!(matches!(down, KmsClientError::Unreachable { .. }), "{down}");
    server.start_again().await;

    let mut owner = server.talk("owner").await;
    owner
        .revoke(&first_key, kmip_support::tags::CESSATION_OF_OPERATION)
        .await
        .unwrap();
    let second_key = owner.active_key(X_KEYGROUP, "ENCR_daily", &[2; 32]).await;
    let second = service.backup("ENCR_daily").await.unwrap();
    assert_eq!(second.kad.key_id(), KeyId::from_identifier(&second_key));
    for (written, state) in [(&first, KeyState::Inactive), (&second, KeyState::Active)] {
        let restored = service.restore(&written.kad.encode()).await;
        assert!(restored.keys.len() == 1 && restored.keys[0].key == written.key);
        assert_eq!(restored.keys[0].state, state);
    }
    owner.destroy(&first_key).await.unwrap();
    service.forget_answers();
    let restored = service.restore(&first.kad.encode()).await;
    assert!(restored.keys.is_empty());
    let said = results(&restored);
    assert!(matches!(said[0], ("outside", ServerResult::None(_))), "{said:?}");
    service.running.stop().await;
}

#[tokio::test]
async fn a_foreign_kad_finds_a_key_outside_only_in_a_group_that_is_as_is_here() {
    let authority = authority();
    let fake = Fake::start(&authority, Habits::default()).await;
    let key = Object::aes(&[1; 32])
        .in_group(X_KEYGROUP, "ENCR_foreign")
        .named("tape 7");
    fake.add(key);
    let service = Service::start(vec![named(&fake, "outside", 0)], SelectionRules::default()).await;
    let restored = service.restore(b"tape 7").await;
    assert!(
        restored.candidates.is_empty() && restored.keys.is_empty(),
        "a derived group's key never leaves"
    );
    service
        .admin
        .create_group(&new_group("ENCR_foreign", KeyKind::AsIs))
        .await
        .unwrap();
    service.forget_answers();
    let restored = service.restore(b"tape 7  \0").await;
    assert_eq!(restored.candidates.len(), 1);
    assert!(*restored.candidates[0].key.expose() == [1; 32]);
    service.running.stop().await;
}

#[tokio::test]
async fn a_compromised_key_is_given_only_where_that_is_allowed_and_every_time_it_is_audited() {
    let authority = authority();
    for allow_compromised_restore in [false, true] {
        let fake = fake_with_a_key(&authority, "the key", 1).await;
        let server = Client {
            allow_compromised_restore,
            ..named(&fake, "outside", 0)
        };
        let service = Service::start(vec![server], SelectionRules::default()).await;
        let written = service.backup("ENCR_daily").await.unwrap();
        fake.change("the key", |key| key.state = state::COMPROMISED);
        service.forget_answers();
        assert!(service.backup("ENCR_daily").await.is_err());
        let restored = service.restore(&written.kad.encode()).await;
        assert_eq!(restored.keys.len(), usize::from(allow_compromised_restore));
        // The second answer may come from the cache, and says the same.
        service.restore(&written.kad.encode()).await;
        let records = service.records().await;
        let marked = records
            .iter()
            .filter(|record| record.contains("compromised there"))
            .count();
        assert_eq!(marked, if allow_compromised_restore { 2 } else { 0 }, "{records:#?}");
    }
}

#[tokio::test]
async fn key_bytes_of_a_server_are_in_no_log_and_no_record_whatever_goes_wrong() {
    let log = Log::default();
    let _collecting = log.collect();
    let authority = authority();
    let material: [u8; 32] = std::array::from_fn(|index| 0x80 | u8::try_from(index * 3).unwrap());
    let fake = Fake::start(&authority, Habits::default()).await;
    fake.add(Object::aes(&material).in_group(X_KEYGROUP, "ENCR_daily"));
    let service = Service::start(vec![named(&fake, "outside", 0)], SelectionRules::default()).await;
    let written = service.backup("ENCR_daily").await.unwrap();
    for what in [
        Hostility::Wrapped,
        Hostility::OtherIdentifier("other".into()),
        Hostility::WrongBatchIds,
        Hostility::OneItemMore,
        Hostility::Status(2),
        Hostility::CutShort,
        Hostility::OtherOperation,
    ] {
        fake.set(|habits| habits.trouble = with(operation::GET, what));
        service.forget_answers();
        assert!(service.backup("ENCR_daily").await.is_err());
        assert!(service.restore(&written.kad.encode()).await.keys.is_empty());
    }
    let records = service.records().await;
    let everything = [log.text(), records.join("\n")].concat();
    assert!(everything.contains("outside"));
    for spelling in [
        hex::encode(material),
        hex::encode_upper(material),
        STANDARD.encode(material),
    ] {
        assert!(!everything.contains(&spelling));
    }
    let raw = everything
        .as_bytes()
        .windows(8)
        .any(|window| material.windows(8).any(|part| part == window));
    assert!(!raw, "raw bytes");
}
