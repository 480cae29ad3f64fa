//! Which server gives a key. External servers are played by further KMSs with stores of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::sync::Arc;
use std::time::Duration;

use kms_support::outside::{OtherKms, Weather};
use kms_support::{Home, Log, Running, group, import, new_group, rotate, volume};
use tapekey::kad::{BlockKads, KeyId, KeyKind, OurKad};
use tapekey::kms::connector::{ExternalServer, ServerName};
use tapekey::kms::select::SelectionRules;
use tapekey::kms_api::{
    AdminChange, BindGroups, Binding, ClientName, ErrorCode, KadMatch, KeyServerKind, KeyState, NewAdminRequest,
    RESTORED_KEYS_MAX, RenameGroup, ServerResult,
};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError, RestoreAnswer};
use tokio::sync::Barrier;

/// A KMS with servers behind it.
struct Service {
    home: Home,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
}

impl Service {
    async fn start(servers: &[&Arc<OtherKms>], rules: SelectionRules) -> Self {
        let home = Home::new();
        let servers = servers
            .iter()
            .map(|server| Arc::clone(server) as Arc<dyn ExternalServer>)
            .collect();
        let running = home.serve_with(servers, rules).await;
        let admin = home.client("admin-1", running.address);
        let media = home.client("media-server-1", running.address);
        Self {
            home,
            running,
            admin,
            media,
        }
    }

    /// Makes a group with an active key in the built-in store.
    async fn own_group(&self, name: &str, kind: KeyKind) {
        self.admin.create_group(&new_group(name, kind)).await.unwrap();
        rotate(&self.admin, name).await;
    }

    async fn backup(&self, name: &str) -> BackupKey {
        self.media.backup_key(name, &volume("A00001L8")).await.unwrap()
    }

    async fn no_backup(&self, name: &str) -> KmsClientError {
        self.media.backup_key(name, &volume("A00001L8")).await.err().unwrap()
    }

    async fn restore(&self, kad: &[u8]) -> RestoreAnswer {
        self.media.restore_keys(kad, Some(&volume("A00001L8"))).await.unwrap()
    }

    /// Stops the service; action, outcome and detail of all records.
    async fn records(self) -> Vec<(String, String, String)> {
        self.running.stop().await;
        let records = self.home.audit().into_iter();
        records
            .map(|record| (record.action, record.outcome, record.detail.unwrap_or_default()))
            .collect()
    }
}

fn servers<const N: usize>(named: [(&str, i32); N]) -> [Arc<OtherKms>; N] {
    named.map(|(name, priority)| Arc::new(OtherKms::new(name, priority)))
}

fn falling_back() -> SelectionRules {
    SelectionRules {
        fall_back_when_unreachable: true,
        ..SelectionRules::default()
    }
}

fn bound(name: &str, server: &str) -> SelectionRules {
    SelectionRules {
        bound_groups: [(group(name), ServerName::new(server).unwrap())].into(),
        ..falling_back()
    }
}

fn results(answer: &RestoreAnswer) -> Vec<(&str, &ServerResult)> {
    let outcomes = answer.outcomes.iter();
    outcomes
        .map(|outcome| (outcome.server.name.as_str(), &outcome.result))
        .collect()
}

#[tokio::test]
async fn the_highest_priority_that_has_a_key_gives_it_and_the_built_in_store_is_last() {
    let [low, high, beside] = servers([("low", -1), ("high", 5), ("beside", -1)]);
    let disabled = Arc::new(OtherKms::new("disabled", 9).not_for_backup());
    disabled.rotate("ENCR_daily").await;
    let service = Service::start(&[&low, &disabled, &high, &beside], SelectionRules::default()).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;

    let own = service.backup("ENCR_daily").await;
    assert_eq!((own.server.name.as_str(), own.server.priority), ("built-in", None));
    assert!(!own.server.fallback, "no such key is no reason for a fallback");

    let in_low = low.rotate("ENCR_daily").await;
    let in_beside = beside.rotate("ENCR_daily").await;
    let tie = service.backup("ENCR_daily").await;
    assert_eq!((tie.server.name.as_str(), tie.kad.key_id()), ("beside", in_beside));

    let in_high = high.rotate("ENCR_daily").await;
    let given = service.backup("ENCR_daily").await;
    assert_eq!(given.kad.key_id(), in_high);
    assert_eq!(
        given.kad.kind(),
        KeyKind::Derived,
        "whatever the other store thinks of the group"
    );
    assert_eq!(
        (given.server.name.as_str(), given.server.kind, given.server.priority),
        ("high", KeyServerKind::Kmip, Some(5))
    );
    assert_eq!(given.server.server_address.as_deref(), Some("high.example.org:5696"));
    assert!(!given.server.cached && !given.server.fallback);
    assert_eq!((low.asked(), disabled.asked()), (1, 0));
    assert_ne!(in_low, in_high);

    let records = service.records().await;
    let last = records.last().unwrap();
    assert_eq!(
        (last.0.as_str(), last.1.as_str(), last.2.as_str()),
        ("backup_key", "done", "from high (KMIP at high.example.org:5696)")
    );
    assert!(records.iter().any(|(_, outcome, detail)| outcome == "done"
        && detail.contains("high (KMIP at high.example.org:5696): no such key: ")
        && detail.contains("; low (KMIP")));
}

#[tokio::test]
async fn a_group_that_only_an_external_server_knows_is_derived_and_its_volumes_are_read_again() {
    let [offsite] = servers([("offsite", 0)]);
    let id = offsite.rotate("ENCR_outside").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let (first, second) = (
        service.backup("ENCR_outside").await,
        service.backup("ENCR_outside").await,
    );
    assert!(first.key != second.key && first.kad.nonce() != second.kad.nonce());
    assert_eq!((first.kad.key_id(), first.group.as_str()), (id, "ENCR_outside"));

    // As drives give it: padded.
    let restored = service.restore(&[&first.kad.encode()[..], b"\0 "].concat()).await;
    assert_eq!(restored.keys.len(), 1);
    assert!(restored.keys[0].key == first.key);
    assert_eq!(restored.keys[0].server.name, "offsite");
    let said = results(&restored);
    assert_eq!(said[0], ("offsite", &ServerResult::Keys(1)));
    assert!(matches!(said[1], ("built-in", ServerResult::None(Some(_)))), "{said:?}");

    offsite.retire("ENCR_outside", KeyState::Inactive).await;
    service.home.clock.advance_seconds(600);
    let restored = service.restore(&first.kad.encode()).await;
    assert_eq!(restored.keys[0].state, KeyState::Inactive);
    assert_eq!(
        service.no_backup("ENCR_outside").await.code(),
        Some(ErrorCode::NoActiveKey)
    );
    let groups = service.admin.groups().await.unwrap();
    let made = groups.iter().find(|one| one.name == group("ENCR_outside")).unwrap();
    assert_eq!(made.kind, KeyKind::Derived);
    assert_eq!(
        made.description,
        "made by the KMS at the first release of an external server's key"
    );

    let records = service.records().await;
    let released: Vec<_> = records
        .iter()
        .filter(|(action, outcome, detail)| {
            action == "restore_keys"
                && outcome == "done"
                && detail.ends_with("; from offsite (KMIP at offsite.example.org:5696)")
        })
        .collect();
    assert_eq!(released.len(), 2, "{records:?}");
    let made = |detail: &str| detail == "from offsite (KMIP at offsite.example.org:5696), group made, derived";
    let first = records
        .iter()
        .filter(|(action, _, detail)| action == "backup_key" && made(detail));
    assert_eq!(first.count(), 1, "{records:?}");
}

#[tokio::test]
async fn a_group_that_is_taken_from_a_media_server_while_servers_are_asked_gives_it_no_key() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_outside").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    service.own_group("ENCR_own", KeyKind::Derived).await;
    service.backup("ENCR_own").await;
    let mut asked = offsite.asked();
    for (group_name, others) in [("ENCR_outside", "ENCR_own"), ("ENCR_own", "ENCR_outside")] {
        let name = ClientName::new("media-server-1").unwrap();
        let bind = async |binding| service.admin.bind_groups(&name, &BindGroups { binding }).await.unwrap();
        bind(Binding::AllGroups).await;
        service.home.clock.advance_seconds(600);
        let answer = Arc::new(Barrier::new(2));
        offsite.set_weather(Weather::Together(answer.clone()));
        let (refused, ()) = tokio::join!(service.no_backup(group_name), async {
            while offsite.asked() == asked {
                tokio::task::yield_now().await;
            }
            bind(Binding::Groups([group(others)].into())).await;
            answer.wait().await;
        });
        assert_eq!(refused.code(), Some(ErrorCode::GroupNotBound), "{refused}");
        asked = offsite.asked();
    }
    let records = service.records().await;
    let refused = records
        .iter()
        .filter(|(action, outcome, _)| action == "backup_key" && outcome.contains("is not bound to group"));
    assert_eq!(refused.count(), 2, "{records:?}");
}

#[tokio::test]
async fn a_media_server_gets_keys_of_external_servers_for_its_own_groups_alone() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_outside").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let written = service.backup("ENCR_outside").await;
    let binding = Binding::Groups([group("ENCR_daily")].into());
    let name = ClientName::new("media-server-1").unwrap();
    service.admin.bind_groups(&name, &BindGroups { binding }).await.unwrap();
    assert_eq!(
        service.no_backup("ENCR_outside").await.code(),
        Some(ErrorCode::GroupNotBound)
    );
    let restored = service.restore(&written.kad.encode()).await;
    assert!(restored.keys.is_empty());
    let said = results(&restored);
    assert!(
        matches!(said[0], ("offsite", ServerResult::None(Some(why))) if why.contains("is not bound to group ENCR_outside")),
        "{said:?}"
    );
    service.running.stop().await;
}

#[tokio::test]
async fn a_key_whose_identifier_is_no_uuid_is_named_by_a_digest_of_it() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_daily").await;
    offsite.call_its_key("42");
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let given = service.backup("ENCR_daily").await;
    let id = KeyId::from_identifier("42");
    assert_eq!((given.kad.key_id(), given.key_name.to_string()), (id, id.to_string()));
    let restored = service.restore(&given.kad.encode()).await;
    assert!(restored.keys[0].key == given.key);
    service.running.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_stops_a_backup_unless_the_configuration_allows_a_fallback() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.set_weather(Weather::Down);
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;
    let refused = service.no_backup("ENCR_daily").await;
    assert!(
        matches!(refused, KmsClientError::Unreachable { .. }),
        "another node may reach it"
    );
    let text = refused.to_string();
    assert!(
        text.contains("server offsite (KMIP at offsite.example.org:5696) cannot be reached, so that it is unknown whether it has a key: connection refused")
            && text.contains("\nhint: bring the server back; with fall_back_when_unreachable = true"),
        "{text}"
    );
    let records = service.records().await;
    assert!(
        records
            .last()
            .unwrap()
            .1
            .starts_with("refused: group ENCR_daily: server offsite"),
        "{records:?}"
    );

    let [offsite, onsite] = servers([("offsite", 5), ("onsite", 0)]);
    offsite.set_weather(Weather::Down);
    let service = Service::start(&[&offsite, &onsite], falling_back()).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;
    let own = service.backup("ENCR_daily").await;
    assert_eq!((own.server.name.as_str(), own.server.fallback), ("built-in", true));
    onsite.rotate("ENCR_daily").await;
    let other = service.backup("ENCR_daily").await;
    assert_eq!((other.server.name.as_str(), other.server.fallback), ("onsite", true));
    service.running.stop().await;
}

#[tokio::test]
async fn a_server_that_refuses_lies_or_breaks_is_never_passed_over() {
    let [offsite] = servers([("offsite", 0)]);
    let service = Service::start(&[&offsite], falling_back()).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;
    offsite.set_weather(Weather::Refusing);
    let refused = service.no_backup("ENCR_daily").await;
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused));
    assert!(
        refused
            .to_string()
            .contains("refuses: permission denied\nhint: change that at the server"),
        "{refused}"
    );

    offsite.set_weather(Weather::Fine);
    offsite.rotate("ENCR_daily").await;
    offsite.say_its_keys_are_in("ENCR_other");
    let refused = service.no_backup("ENCR_daily").await;
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused));
    assert!(
        refused.to_string().contains("of group ENCR_other, which is active"),
        "{refused}"
    );
    service.running.stop().await;

    let [offsite] = servers([("offsite", 0)]);
    offsite.set_weather(Weather::Broken);
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let broken = service.no_backup("ENCR_daily").await.to_string();
    assert!(broken.contains("its connector failed"), "{broken}");
    service.running.stop().await;
}

#[tokio::test]
async fn a_silent_server_costs_a_backup_its_own_limit_and_no_more() {
    let silent = Arc::new(OtherKms::new("silent", 1).with_limit(Duration::from_millis(100)));
    silent.set_weather(Weather::Silent);
    let service = Service::start(&[&silent], falling_back()).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;
    let given = service.backup("ENCR_daily").await;
    assert!(given.server.fallback);
    let records = service.records().await;
    assert!(
        records.last().unwrap().2.ends_with("unreachable: no answer in 100 ms"),
        "{records:?}"
    );
}

#[tokio::test]
async fn a_bound_group_asks_only_its_server() {
    let [first, second] = servers([("first", 9), ("second", 0)]);
    first.rotate("ENCR_bound").await;
    let service = Service::start(&[&first, &second], bound("ENCR_bound", "second")).await;
    service.own_group("ENCR_bound", KeyKind::Derived).await;
    let none = service.no_backup("ENCR_bound").await;
    assert_eq!(none.code(), Some(ErrorCode::NoActiveKey));
    assert!(
        none.to_string()
            .contains("group ENCR_bound is bound to server second alone: "),
        "{none}"
    );
    let id = second.rotate("ENCR_bound").await;
    assert_eq!(service.backup("ENCR_bound").await.kad.key_id(), id);
    second.set_weather(Weather::Down);
    service.home.clock.advance_seconds(600);
    let text = service.no_backup("ENCR_bound").await.to_string();
    assert!(
        text.contains("server second (KMIP at second.example.org:5696) cannot be reached"),
        "{text}"
    );
    assert_eq!(first.asked(), 0);
    service.running.stop().await;

    let service = Service::start(&[&first], bound("ENCR_bound", "built-in")).await;
    service.own_group("ENCR_bound", KeyKind::Derived).await;
    assert_eq!(service.backup("ENCR_bound").await.server.name, "built-in");
    let other = service.no_backup("ENCR_other").await.to_string();
    assert!(
        other.contains("there is no group ENCR_other, and no external server gave one (first (KMIP at first.example.org:5696): no such key: "),
        "{other}"
    );
    service.running.stop().await;

    let disabled = Arc::new(OtherKms::new("disabled", 0).not_for_backup());
    let service = Service::start(&[&disabled], bound("ENCR_bound", "disabled")).await;
    let text = service.no_backup("ENCR_bound").await.to_string();
    assert!(
        text.contains("bound to server disabled alone: it is not enabled for backup"),
        "{text}"
    );
    service.running.stop().await;
}

#[tokio::test]
async fn an_answer_is_used_again_for_ten_minutes_and_every_release_of_it_is_audited() {
    let [offsite] = servers([("offsite", 0)]);
    let old = offsite.rotate("ENCR_daily").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let first = service.backup("ENCR_daily").await;
    let new = offsite.rotate("ENCR_daily").await;
    service.home.clock.advance_seconds(599);
    let again = service.backup("ENCR_daily").await;
    assert_eq!(
        (again.kad.key_id(), again.server.cached, again.server.took_ms),
        (old, true, 0)
    );
    assert!(again.key != first.key, "the group's key is kept, not the volume's");
    assert_eq!(offsite.asked(), 1);
    service.home.clock.advance_seconds(1);
    let later = service.backup("ENCR_daily").await;
    assert_eq!((later.kad.key_id(), later.server.cached), (new, false));

    let restored = service.restore(&first.kad.encode()).await;
    assert!(!restored.outcomes[0].server.cached);
    let restored = service.restore(&first.kad.encode()).await;
    assert!(restored.outcomes[0].server.cached && restored.keys[0].server.cached);
    assert_eq!(offsite.asked(), 3);
    // A server that is away does not matter while its answer is remembered; no answer is not remembered.
    offsite.set_weather(Weather::Down);
    assert!(service.backup("ENCR_daily").await.server.cached);
    assert!(matches!(
        service.no_backup("ENCR_none").await,
        KmsClientError::Unreachable { .. }
    ));
    offsite.set_weather(Weather::Fine);
    assert_eq!(
        service.no_backup("ENCR_none").await.code(),
        Some(ErrorCode::NoSuchGroup)
    );

    let records = service.records().await;
    let cached: Vec<_> = records
        .iter()
        .filter(|(_, outcome, detail)| {
            outcome == "done" && detail.ends_with("from offsite (KMIP at offsite.example.org:5696, cached)")
        })
        .map(|(action, ..)| action.as_str())
        .collect();
    assert_eq!(cached, ["backup_key", "restore_keys", "backup_key"]);
}

#[tokio::test]
async fn an_administrator_empties_the_cache_at_once() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_daily").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let first = service.backup("ENCR_daily").await;
    service.restore(&first.kad.encode()).await;
    let new = offsite.rotate("ENCR_daily").await;
    assert_eq!(service.admin.clear_cache().await.unwrap().answers, 2);
    assert_eq!(service.backup("ENCR_daily").await.kad.key_id(), new);
    let refused = service.media.clear_cache().await.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::Forbidden));
    let records = service.records().await;
    assert!(
        records
            .iter()
            .any(|(action, outcome, _)| action == "clear_cache" && outcome == "done: 2 answers forgotten")
    );
}

#[tokio::test]
async fn a_restore_asks_all_servers_at_once_and_a_dead_one_delays_nothing_beyond_its_limit() {
    let [first, second] = servers([("first", 1), ("second", 0)]);
    let second = Arc::new(Arc::into_inner(second).unwrap().not_for_backup());
    let silent = Arc::new(OtherKms::new("silent", 7).with_limit(Duration::from_millis(100)));
    first.rotate("ENCR_daily").await;
    let service = Service::start(&[&first, &second, &silent], SelectionRules::default()).await;
    silent.set_weather(Weather::Fine);
    let given = service.backup("ENCR_daily").await;
    service.admin.clear_cache().await.unwrap();

    // Neither of the two answers before both were asked.
    let together = Arc::new(Barrier::new(2));
    first.set_weather(Weather::Together(together.clone()));
    second.set_weather(Weather::Together(together));
    silent.set_weather(Weather::Silent);
    let restored = service.restore(&given.kad.encode()).await;
    assert!(restored.keys[0].key == given.key);
    let said = results(&restored);
    assert_eq!(
        said[0],
        ("silent", &ServerResult::Unreachable("no answer in 100 ms".to_owned()))
    );
    assert_eq!(said[1], ("first", &ServerResult::Keys(1)));
    assert_eq!(said[2], ("second", &ServerResult::None(None)));
    assert_eq!((said[3].0, said.len()), ("built-in", 4));
    assert_eq!(restored.outcomes[0].server.priority, Some(7));

    for weather in [Weather::Down, Weather::Refusing, Weather::Broken] {
        silent.set_weather(weather);
        first.set_weather(Weather::Fine);
        second.set_weather(Weather::Fine);
        let restored = service.restore(&given.kad.encode()).await;
        assert!(restored.keys[0].key == given.key);
        let result = &restored.outcomes[0].result;
        assert!(
            matches!(result, ServerResult::Unreachable(_) | ServerResult::Refused(_)),
            "{result:?}"
        );
    }
    let records = service.records().await;
    let all = "; silent could not be asked: no answer in 100 ms; first has 1; second has none";
    assert!(
        records
            .iter()
            .any(|(_, outcome, detail)| outcome.starts_with("none: ") && detail.ends_with(all)),
        "{records:?}"
    );
}

#[tokio::test]
async fn a_key_whose_check_value_does_not_agree_never_leaves() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_daily").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let given = service.backup("ENCR_daily").await;
    for byte in [3, 20, 29] {
        let mut altered = given.kad.encode();
        altered[byte] ^= 1;
        let answer = service.restore(&altered).await;
        assert!(answer.keys.is_empty() && answer.candidates.is_empty(), "byte {byte}");
    }
    let mut altered = given.kad.encode();
    altered[29] ^= 1;
    let said = service.restore(&altered).await;
    assert!(matches!(
        &said.outcomes[0].result,
        ServerResult::None(Some(why)) if why.contains("of group ENCR_daily")
    ));
    service.running.stop().await;
}

#[tokio::test]
async fn a_key_that_its_server_marks_as_compromised_is_given_and_its_audit_record_says_so() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_outside").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let written = service.backup("ENCR_outside").await;
    offsite.mark_its_keys_as_compromised();
    assert_eq!(service.restore(&written.kad.encode()).await.keys.len(), 1);
    let records = service.records().await;
    let says_so = |(action, outcome, detail): &(String, String, String)| {
        action == "restore_keys" && outcome == "done" && detail.ends_with(", marked as compromised there")
    };
    assert_eq!(
        records.iter().filter(|record| says_so(record)).count(),
        1,
        "{records:?}"
    );
}

#[tokio::test]
async fn a_group_key_of_an_external_server_leaves_only_if_its_group_was_made_as_is_before_its_first_use() {
    let [offsite] = servers([("offsite", 0)]);
    let id = offsite.rotate("ENCR_shared").await;
    offsite.import("ENCR_old", &[7]).await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;

    // By its id, and by the KAD noted with it.
    let spelled = id.to_string();
    let kads = [id.0.as_slice(), spelled.as_bytes(), b"foreign 7"];
    for kad in kads {
        let answer = service.restore(kad).await;
        assert!(answer.keys.is_empty() && answer.candidates.is_empty());
        let result = &answer.outcomes[0].result;
        assert!(
            matches!(result, ServerResult::Refused(why) if why.contains("which is no as-is group of this KMS")),
            "{result:?}"
        );
    }
    for name in ["ENCR_shared", "ENCR_old"] {
        let wanted = new_group(name, KeyKind::AsIs);
        service.admin.create_group(&wanted).await.unwrap();
    }
    let as_is = service.backup("ENCR_shared").await;
    assert_eq!(as_is.kad, OurKad::as_is(id, &as_is.key));
    assert!(service.restore(&as_is.kad.encode()).await.keys[0].key == as_is.key);
    for (kad, matched) in kads
        .into_iter()
        .zip([KadMatch::KeyId, KadMatch::KeyId, KadMatch::Exact])
        .chain([(b"foreign 7 \0".as_slice(), KadMatch::ButForPadding)])
    {
        let answer = service.restore(kad).await;
        assert_eq!((answer.candidates.len(), answer.candidates[0].matched), (1, matched));
        assert_eq!(answer.candidates[0].server.name, "offsite");
    }
    // Under another name, what was written would be found no more.
    for name in ["ENCR_shared", "ENCR_old"] {
        let to = RenameGroup {
            name: group("ENCR_other"),
        };
        let refused = service.admin.rename_group(&group(name), &to).await.err().unwrap();
        assert_eq!(refused.code(), Some(ErrorCode::GroupNotEmpty), "{refused}");
    }
    service.running.stop().await;
}

#[tokio::test]
async fn whatever_becomes_of_its_group_a_key_that_volume_keys_were_derived_of_never_leaves() {
    let [offsite] = servers([("offsite", 0)]);
    let id = offsite.rotate("ENCR_shared").await;
    let elsewhere = Service::start(&[&offsite], SelectionRules::default()).await;
    let written = elsewhere.backup("ENCR_shared").await;
    elsewhere.running.stop().await;
    // What is read counts as much as what is written.
    for reads_only in [false, true] {
        let service = Service::start(&[&offsite], SelectionRules::default()).await;
        let operator = service.home.client("operator-1", service.running.address);
        let derived = match reads_only {
            true => written.kad,
            false => service.backup("ENCR_shared").await.kad,
        };
        assert_eq!(service.restore(&derived.encode()).await.keys.len(), 1);

        let shared = group("ENCR_shared");
        let made = operator.create_group(&new_group("ENCR_shared", KeyKind::AsIs)).await;
        assert_eq!(made.err().unwrap().code(), Some(ErrorCode::NameTaken));
        operator
            .create_group(&new_group("ENCR_as_is", KeyKind::AsIs))
            .await
            .unwrap();
        let onto = RenameGroup { name: shared.clone() };
        let renamed = operator.rename_group(&group("ENCR_as_is"), &onto).await;
        assert_eq!(renamed.err().unwrap().code(), Some(ErrorCode::NameTaken));
        let away = RenameGroup {
            name: group("ENCR_away"),
        };
        let renamed = operator.rename_group(&shared, &away).await.err().unwrap();
        assert_eq!(renamed.code(), Some(ErrorCode::GroupNotEmpty));
        assert!(
            renamed.to_string().contains("which keeps its name\nhint: "),
            "{renamed}"
        );
        let deletion = NewAdminRequest {
            change: AdminChange::DeleteGroup { group: shared },
            reason: "to make it anew".to_owned(),
        };
        let deleted = service.admin.make_request(&deletion).await.err().unwrap();
        assert_eq!(deleted.code(), Some(ErrorCode::GroupNotEmpty));

        let claimed = OurKad::as_is(id, &written.key).encode();
        for kad in [id.0.as_slice(), id.to_string().as_bytes(), &claimed] {
            let answer = service.restore(kad).await;
            assert!(answer.keys.is_empty() && answer.candidates.is_empty());
            let result = &answer.outcomes[0].result;
            assert!(matches!(result, ServerResult::Refused(_)), "{result:?}");
        }
        let again = service.backup("ENCR_shared").await;
        assert_eq!(again.kad.kind(), KeyKind::Derived);
        service.running.stop().await;
        // Nor does it help to take the mark away, or to alter the kind, behind the service's back.
        for sql in [
            "UPDATE key_groups SET released_outside = 0 WHERE name = 'ENCR_shared'",
            "UPDATE key_groups SET kind = 'as_is' WHERE name = 'ENCR_shared'",
        ] {
            assert_eq!(service.home.sql(sql), 1);
            let servers = vec![Arc::clone(&offsite) as Arc<dyn ExternalServer>];
            let running = service.home.serve_with(servers, SelectionRules::default()).await;
            let operator = service.home.client("operator-1", running.address);
            assert!(operator.rename_group(&group("ENCR_shared"), &away).await.is_err());
            let media = service.home.client("media-server-1", running.address);
            assert!(media.backup_key("ENCR_shared", &volume("A2")).await.is_err());
            assert!(media.restore_keys(&id.0, None).await.unwrap().candidates.is_empty());
            running.stop().await;
        }
    }
}

#[tokio::test]
async fn candidates_of_all_servers_are_at_most_eight_best_first_and_each_key_only_once() {
    let [first, second] = servers([("first", 1), ("second", 0)]);
    let service = Service::start(&[&first, &second], SelectionRules::default()).await;
    let admin = &service.admin;
    admin.create_group(&new_group("ENCR_old", KeyKind::AsIs)).await.unwrap();
    let same_kad = |bytes: &[u8]| {
        let mut wanted = import(bytes, true);
        wanted
            .keys
            .iter_mut()
            .for_each(|key| key.foreign_kad = Some(b"foreign 1".to_vec()));
        wanted
    };
    admin
        .import_keys(&group("ENCR_old"), &same_kad(&[1, 2, 3, 4, 5, 6, 7]))
        .await
        .unwrap();
    // The first has one of these keys, with the same KAD; the second has another one.
    first.import("ENCR_old", &[1]).await;
    let kads = BlockKads {
        unauthenticated: b"foreign 1".to_vec(),
        authenticated: b"foreign 9".to_vec(),
    };
    second.import("ENCR_old", &[9]).await;
    let answer = service.media.restore_keys_of(&kads, None).await.unwrap();
    let mut bytes: Vec<u8> = answer.candidates.iter().map(|one| one.key.expose()[0]).collect();
    let from: Vec<_> = answer.candidates.iter().map(|one| one.server.name.as_str()).collect();
    assert_eq!(from, [["built-in"; 7].as_slice(), &["second"]].concat());
    bytes.sort_unstable();
    assert_eq!(bytes, [1, 2, 3, 4, 5, 6, 7, 9]);
    assert_eq!(results(&answer)[0], ("first", &ServerResult::Keys(1)));

    // A better match of another server comes before the KMS's own, and the ninth falls away.
    admin
        .import_keys(&group("ENCR_old"), &same_kad(&[10, 11]))
        .await
        .unwrap();
    let padded = BlockKads {
        unauthenticated: b"foreign 1 ".to_vec(),
        ..kads
    };
    let answer = service.media.restore_keys_of(&padded, None).await.unwrap();
    assert_eq!(answer.candidates.len(), RESTORED_KEYS_MAX);
    assert_eq!(answer.candidates[0].server.name, "second");
    let records = service.records().await;
    let last: Vec<_> = records
        .iter()
        .rev()
        .take(2)
        .map(|(_, outcome, _)| outcome.as_str())
        .collect();
    assert!(
        last[0] == "done" && last[1].starts_with("done: 7 candidates, more match; "),
        "{last:?}"
    );
}

#[tokio::test]
async fn of_keys_that_fit_the_active_one_is_best_and_the_same_key_is_given_once() {
    let [offsite] = servers([("offsite", 0)]);
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    service.own_group("ENCR_old", KeyKind::AsIs).await;
    let own = service.backup("ENCR_old").await;
    // The same key in both stores, as after a migration: it is inactive there.
    offsite
        .adopt("ENCR_old", own.kad.key_id(), own.key.copy_to_release())
        .await;
    let answer = service.restore(&own.kad.encode()).await;
    assert_eq!(results(&answer)[0], ("offsite", &ServerResult::Keys(1)));
    assert_eq!(answer.keys.len(), 1);
    assert_eq!(
        (answer.keys[0].server.name.as_str(), answer.keys[0].state),
        ("built-in", KeyState::Active)
    );

    rotate(&service.admin, "ENCR_old").await;
    offsite.activate_all("ENCR_old").await;
    service.admin.clear_cache().await.unwrap();
    let answer = service.restore(&own.kad.encode()).await;
    assert_eq!(answer.keys.len(), 1);
    assert_eq!(
        (answer.keys[0].server.name.as_str(), answer.keys[0].state),
        ("offsite", KeyState::Active)
    );
    service.running.stop().await;
}

#[tokio::test]
async fn a_disk_pool_gets_keys_by_its_own_name_and_neither_purpose_gets_the_others() {
    let [offsite] = servers([("offsite", 0)]);
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    service.own_group("disk_pool_7", KeyKind::Derived).await;
    service.own_group("ENCR_daily", KeyKind::Derived).await;
    let image = volume("images/0001");
    let own = service.media.disk_backup_key("disk_pool_7", &image).await.unwrap();
    assert_eq!(
        (own.kad.kind(), own.server.name.as_str()),
        (KeyKind::Derived, "built-in")
    );
    assert!(service.restore(&own.kad.encode()).await.keys[0].key == own.key);
    let id = offsite.rotate("disk_pool_7").await;
    let outside = service.media.disk_backup_key("disk_pool_7", &image).await.unwrap();
    assert_eq!(outside.kad.key_id(), id);

    let asked = offsite.asked();
    assert_eq!(
        service.no_backup("disk_pool_7").await.code(),
        Some(ErrorCode::NotForTape)
    );
    let refused = service.media.disk_backup_key("ENCR_daily", &image).await.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::NotForDisk));
    assert_eq!(offsite.asked(), asked, "a refused request reaches no other server");
    let mut wrong = new_group("forgotten", KeyKind::Derived);
    wrong.purpose = tapekey::kms_api::Purpose::Tape;
    let refused = service.admin.create_group(&wrong).await.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::NotForTape));
    let records = service.records().await;
    let for_disk = records
        .iter()
        .filter(|(action, _, detail)| action == "backup_key" && detail.starts_with("for disk"));
    assert_eq!(for_disk.count(), 3);
}

#[tokio::test]
async fn no_key_of_an_external_server_is_in_the_log_the_store_or_an_audit_record() {
    let [offsite] = servers([("offsite", 0)]);
    let log = Log::collect_everything();
    offsite.rotate("ENCR_daily").await;
    let service = Service::start(&[&offsite], SelectionRules::default()).await;
    let given = service.backup("ENCR_daily").await;
    service.restore(&given.kad.encode()).await;
    service.restore(b"nobody's").await;
    service.running.stop().await;
    let records = serde_json::to_vec(&service.home.audit()).unwrap();
    let store = service.home.store_bytes();
    for text in [log.text().into_bytes(), records, store] {
        assert!(!text.is_empty() && !offsite.home.entropy.is_in(&text));
    }
}
