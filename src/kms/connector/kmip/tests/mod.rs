//! The client against a small server of this folder, over real TLS.

mod model;
mod responder;
mod restoring;
mod searching;
mod unruly;

use std::time::Duration;

use model::{CUSTOM, Key, Model};
use responder::{Pki, Responder, Tls};

use super::*;
use crate::clock::Timestamp;
use crate::kms::connector::KeyServerKind;
use crate::kms_api::{KeyState, ServerName, Verdict};
use crate::secret::DataKey;

/// 2026-11-24T12:00:00Z.
const NOW: i64 = 1_795_521_600;

/// A clock that stands still.
struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_timestamp(NOW).unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

/// A responder and a client for it.
struct Stage {
    responder: Responder,
    server: KmipServer,
}

fn identity() -> ServerIdentity {
    ServerIdentity {
        name: ServerName::new("offsite").unwrap(),
        kind: KeyServerKind::Kmip,
        address: "127.0.0.1".to_owned(),
        priority: 0,
        enabled_for_backup: true,
        limit: Duration::from_secs(20),
    }
}

fn settings(pki: &Pki, endpoints: Vec<Endpoint>) -> KmipSettings {
    let (certificate, private_key) = pki.client();
    KmipSettings {
        endpoints,
        trust: vec![pki.root()],
        certificate: vec![certificate],
        private_key,
        group_attribute: None,
        allow_compromised_restore: true,
        endpoint_limit: Duration::from_secs(5),
    }
}

fn tls(pki: &Pki) -> Tls {
    Tls {
        server: pki.server(),
        trust: pki.root(),
        versions: rustls::DEFAULT_VERSIONS,
    }
}

impl Stage {
    async fn with(model: Model, change: impl FnOnce(&mut KmipSettings)) -> Self {
        let pki = Pki::new("ours");
        let responder = Responder::start(tls(&pki), model).await;
        let mut settings = settings(&pki, vec![responder.endpoint.clone()]);
        change(&mut settings);
        let server = KmipServer::new(identity(), settings, Arc::new(Still)).unwrap();
        Self { responder, server }
    }

    async fn new(model: Model) -> Self {
        Self::with(model, |_| {}).await
    }

    async fn backup(&self) -> Answer<ExternalKey> {
        self.server.key_for_backup(&group()).await
    }

    fn model<T>(&self, look: impl FnOnce(&mut Model) -> T) -> T {
        look(&mut self.responder.model.lock().unwrap())
    }
}

fn group() -> GroupName {
    GroupName::new("ENCR_a").unwrap()
}

fn keys(keys: impl IntoIterator<Item = Key>) -> Model {
    Model {
        keys: keys.into_iter().collect(),
        ..Model::default()
    }
}

fn found<T>(answer: Answer<T>) -> T {
    match answer {
        Answer::Found(found) => found,
        Answer::NoSuchKey(why) => panic!("no such key: {why:?}"),
        Answer::Unreachable(why) => panic!("unreachable: {why}"),
        Answer::Refused(why) => panic!("refused: {why}"),
    }
}

/// The kind of an answer without a key, and its text.
fn not_found<T>(answer: Answer<T>) -> (&'static str, String) {
    match answer {
        Answer::Found(_) => panic!("a key"),
        Answer::NoSuchKey(why) => ("no such key", why.unwrap_or_default()),
        Answer::Unreachable(why) => ("unreachable", why),
        Answer::Refused(why) => ("refused", why),
    }
}

fn key_of(id: &str) -> DataKey {
    DataKey::take_slice(&mut Key::new(id, "").bytes).unwrap()
}

#[tokio::test]
async fn the_newest_key_of_the_group_comes_with_its_name_and_version() {
    let newest = Key::new("b", "ENCR_a").with(|key| {
        key.initial = 2000;
        key.texts.push(("Name".to_owned(), "daily-2".to_owned()));
    });
    let stage = Stage::new(keys([
        Key::new("a", "ENCR_a"),
        newest,
        Key::new("c", "ENCR_b").with(|key| key.initial = 3000),
    ]))
    .await;
    let key = found(stage.backup().await);
    assert!(key.key == key_of("b"));
    assert_eq!((key.identifier.as_str(), key.protocol_version.as_str()), ("b", "1.4"));
    assert_eq!(key.name.unwrap().as_str(), "daily-2");
    assert_eq!(
        (key.state, key.compromised, key.group),
        (KeyState::Active, false, group())
    );
    found(stage.backup().await);
    stage.model(|model| assert_eq!(model.connections, 1));
}

#[tokio::test]
async fn a_server_that_ignores_filters_gives_the_right_key_all_the_same() {
    let mut model = keys((0..30).map(|number| Key::new(&format!("other-{number}"), "ENCR_b")));
    model.keys.push(Key::new("mine", "ENCR_a"));
    model.ignores_custom_filters = true;
    let stage = Stage::new(model).await;
    assert_eq!(found(stage.backup().await).identifier, "mine");
    stage.model(|model| model.keys.retain(|key| key.id != "mine"));
    assert_eq!(not_found(stage.backup().await).0, "no such key");
}

#[tokio::test]
async fn without_custom_attributes_the_object_group_is_used_and_an_empty_store_proves_nothing() {
    let mut model = keys([]);
    model.refuses = CUSTOM;
    let stage = Stage::new(model).await;
    assert_eq!(not_found(stage.backup().await).0, "no such key");
    let in_object_group =
        Key::new("a", "").with(|key| key.texts = vec![("Object Group".to_owned(), "ENCR_a".to_owned())]);
    stage.model(|model| model.keys.push(in_object_group));
    assert_eq!(found(stage.backup().await).identifier, "a");
}

#[tokio::test]
async fn versions_are_tried_downwards_and_2_x_has_vendor_attributes() {
    for (versions, spoken) in [
        (vec![(1, 2), (1, 1)], "1.2"),
        (vec![(2, 0)], "2.0"),
        (vec![(2, 1), (1, 4)], "1.4"),
    ] {
        let mut model = keys([Key::new("a", "ENCR_a"), Key::new("b", "ENCR_b")]);
        model.versions = versions;
        let stage = Stage::new(model).await;
        let key = found(stage.backup().await);
        assert_eq!((key.identifier.as_str(), key.protocol_version.as_str()), ("a", spoken));
    }
}

#[tokio::test]
async fn a_server_that_speaks_another_version_than_before_is_asked_in_that_one() {
    let mut model = keys([Key::new("a", "ENCR_a")]);
    model.versions = vec![(1, 4)];
    let stage = Stage::new(model).await;
    found(stage.backup().await);
    for (version, spoken) in [((1, 2), "1.2"), ((2, 1), "2.1")] {
        stage.model(|model| model.versions = vec![version]);
        assert_eq!(found(stage.backup().await).protocol_version, spoken);
    }
}

#[tokio::test]
async fn a_thousand_keys_take_a_bounded_number_of_requests() {
    let many = || (0..1000).map(|number| Key::new(&format!("{number:04}"), "ENCR_a").with(|key| key.initial += number));
    let caps = [(None, false), (Some((300, true)), false), (Some((300, false)), true)];
    for ((cap, refused), uncounted) in caps.into_iter().flat_map(|cap| [(cap, false), (cap, true)]) {
        let mut model = keys(many().collect::<Vec<_>>().into_iter().rev().map(|key| key.with(|_| {})));
        model.keys.reverse();
        (model.cap, model.uncounted) = (cap, uncounted);
        let stage = Stage::new(model).await;
        let newest = found(stage.backup().await).identifier;
        assert_eq!(newest, if refused { "0299" } else { "0999" });
        stage.model(|model| assert!(model.requests <= 20, "{}", model.requests));
    }
}

#[tokio::test]
async fn a_group_that_was_asked_for_before_costs_one_request_and_every_change_is_seen() {
    let stage = Stage::new(keys([Key::new("a", "ENCR_a"), Key::new("b", "ENCR_a")])).await;
    found(stage.backup().await);
    let requests = |count: usize| stage.model(|model| assert_eq!(std::mem::take(&mut model.requests), count));
    stage.model(|model| model.requests = 0);
    assert_eq!(found(stage.backup().await).identifier, "b");
    requests(1);
    let newer = Key::new("c", "ENCR_a").with(|key| key.initial = 5000);
    stage.model(|model| model.keys.push(newer));
    assert_eq!(found(stage.backup().await).identifier, "c");
    requests(4);
    stage.model(|model| model.keys[2].state = 3);
    assert_eq!(found(stage.backup().await).identifier, "b");
    requests(4);
    // Found by the search as before, but its attributes are others now.
    stage.model(|model| model.keys[0].initial = 9000);
    assert_eq!(found(stage.backup().await).identifier, "a");
    requests(4);
    stage.model(|model| model.keys.clear());
    assert_eq!(not_found(stage.backup().await).0, "no such key");
}

#[tokio::test]
async fn a_new_key_is_made_active_in_the_group_with_whatever_attribute_the_server_takes() {
    for refuses_custom in [false, true] {
        let mut model = keys([]);
        model.refuses = CUSTOM.filter(|_| refuses_custom);
        let stage = Stage::new(model).await;
        let name = KeyName::new("first").unwrap();
        let made = found(stage.server.create_key(&group(), Some(&name)).await);
        let attribute = if refuses_custom {
            GroupAttribute::ApplicationSpecificInformation
        } else {
            GroupAttribute::XKeygroup
        };
        assert_eq!((made.group_attribute, made.state), (attribute.into(), KeyState::Active));
        let key = found(stage.backup().await);
        assert_eq!((key.identifier, key.name), (made.identifier, Some(name)));
    }
}

#[tokio::test]
async fn a_check_says_how_each_thing_is() {
    let stage = Stage::new(keys([Key::new("a", "ENCR_a")])).await;
    let findings = stage.server.check(Some(&group())).await;
    let whats: Vec<_> = findings.iter().map(|finding| finding.what.as_str()).collect();
    for what in [
        "trusted CA",
        "client certificate",
        "server certificate",
        "protocol version",
        "search by x-keygroup",
        "newest key of ENCR_a",
        "key a",
    ] {
        let finding = findings.iter().find(|finding| finding.what == what);
        let finding = finding.unwrap_or_else(|| panic!("no finding for {what} among {whats:?}"));
        assert_eq!((finding.verdict, &finding.remedy), (Verdict::Ok, &None), "{finding:?}");
    }
    stage.model(|model| model.keys.clear());
    let findings = stage.server.check(Some(&group())).await;
    let of = |what: &str| findings.iter().find(|finding| finding.what == what).unwrap();
    assert_eq!(of("search by x-keygroup").verdict, Verdict::Unproven);
    assert_eq!(of("newest key of ENCR_a").verdict, Verdict::Failed);
    assert!(
        findings
            .iter()
            .all(|finding| (finding.verdict == Verdict::Ok) == finding.remedy.is_none()),
        "{findings:?}"
    );
}
