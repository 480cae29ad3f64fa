//! External servers as administrators configure them in a running service. The servers are played by further KMSs with stores of their own.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kms_support::connectors::{Connectors, Trust, credentials_of};
use kms_support::outside::{OtherKms, Weather};
use kms_support::{Home, Log, Running, error, group, new_group, read_answer, rotate, volume};
use rustls::pki_types::CertificateDer;
use tapekey::kad::KeyKind;
use tapekey::kms::connector::{ExternalServer, ServerName};
use tapekey::kms_api::{
    AddServer, BindGroupToServer, ChangeServer, CheckServer, CreateServerKey, ErrorCode, Expiry, KeyServerKind,
    RemoveServer, RenameGroup, ServerResult, Verdict,
};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError};

/// A KMS to which servers can be added, and the people who ask it.
struct Service {
    home: Home,
    connectors: Arc<Connectors>,
    trust: Trust,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
}

impl Service {
    async fn start(servers: &[&Arc<OtherKms>]) -> Self {
        let home = Home::new();
        let connectors = Connectors::to(servers);
        let running = home.serve_through(&connectors).await;
        Self {
            trust: Trust::new(&home),
            admin: home.client("admin-1", running.address),
            media: home.client("media-server-1", running.address),
            home,
            connectors,
            running,
        }
    }

    /// The same with these servers added.
    async fn with(servers: &[&Arc<OtherKms>]) -> Self {
        let service = Self::start(servers).await;
        for server in servers {
            let wanted = service.trust.server(server.identity().name.as_str());
            service.admin.add_server(&wanted).await.unwrap();
        }
        service
    }

    async fn restarted(self) -> Self {
        self.running.stop().await;
        let running = self.home.serve_through(&self.connectors).await;
        Self {
            admin: self.home.client("admin-1", running.address),
            media: self.home.client("media-server-1", running.address),
            running,
            ..self
        }
    }

    async fn backup(&self, name: &str) -> BackupKey {
        self.media.backup_key(name, &volume("A00001L8")).await.unwrap()
    }

    async fn no_backup(&self, name: &str) -> KmsClientError {
        self.media.backup_key(name, &volume("A00001L8")).await.err().unwrap()
    }

    /// Makes a group with an active key in the built-in store.
    async fn own_group(&self, name: &str) {
        self.admin
            .create_group(&new_group(name, KeyKind::Derived))
            .await
            .unwrap();
        rotate(&self.admin, name).await;
    }

    async fn bind(&self, name: &str, server: Option<&str>) {
        let server = server.map(named);
        let to = BindGroupToServer { server: server.clone() };
        let bound = self.admin.bind_group_to_server(&group(name), &to).await.unwrap();
        assert_eq!(bound.server, server);
    }

    /// Stops the service; action, outcome and detail of all records that are about servers.
    async fn records(self) -> Vec<(String, String, String)> {
        self.running.stop().await;
        let records = self.home.audit().into_iter();
        let about = records.filter(|record| record.action.contains("server"));
        about
            .map(|record| (record.action, record.outcome, record.detail.unwrap_or_default()))
            .collect()
    }
}

/// Waits, with a bound, until it is so.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    let came = tokio::time::timeout(std::time::Duration::from_secs(20), waiting).await;
    assert!(came.is_ok(), "never: {what}");
}

/// What monitoring reads.
async fn metrics(running: &Running) -> String {
    let mut stream = tokio::net::TcpStream::connect(running.metrics).await.unwrap();
    let request = b"GET /metrics HTTP/1.1\r\nhost: kms\r\nconnection: close\r\n\r\n";
    tokio::io::AsyncWriteExt::write_all(&mut stream, request).await.unwrap();
    read_answer(&mut stream).await
}

fn servers<const N: usize>(names: [&str; N]) -> [Arc<OtherKms>; N] {
    names.map(|name| Arc::new(OtherKms::new(name, 0)))
}

fn named(name: &str) -> ServerName {
    ServerName::new(name).unwrap()
}

fn from(key: &BackupKey) -> &str {
    &key.server.name
}

#[tokio::test]
async fn a_server_that_is_added_gives_the_next_key_also_after_a_restart() {
    let [offsite] = servers(["offsite"]);
    let id = offsite.rotate("ENCR_a").await;
    let service = Service::start(&[&offsite]).await;
    service.own_group("ENCR_a").await;
    assert_eq!(from(&service.backup("ENCR_a").await), "built-in");

    let wanted = AddServer {
        priority: 7,
        ..service.trust.server("offsite")
    };
    let added = service.admin.add_server(&wanted).await.unwrap();
    assert_eq!((added.name.as_str(), added.priority, added.last), ("offsite", 7, None));
    let given = service.backup("ENCR_a").await;
    assert_eq!((from(&given), given.kad.key_id()), ("offsite", id));
    assert_eq!(given.server.server_address.as_deref(), Some("offsite.example.org:5696"));
    assert_eq!(given.server.priority, Some(7));
    assert_eq!(given.server.protocol_version.as_deref(), Some("1.4"));
    assert_eq!(given.server.identifier, None, "it calls the key by its id");

    let listed = service.admin.servers().await.unwrap();
    let said = listed[0].last.as_ref().map(|last| &last.result);
    assert_eq!((listed.len(), said), (1, Some(&ServerResult::Keys(1))));
    let service = service.restarted().await;
    assert_eq!(from(&service.backup("ENCR_a").await), "offsite");
    assert_eq!(
        service.admin.server(&named("offsite")).await.unwrap().modified,
        added.modified
    );

    let records = service.records().await;
    assert_eq!(records.len(), 1);
    assert_eq!(
        records[0].2,
        "offsite: KMIP at offsite.example.org:5696, priority 7, for backups and restores, group attribute auto, limit 5000 ms, compromised keys restore"
    );
}

#[tokio::test]
async fn a_backup_says_what_every_server_answered_that_was_asked_for_it() {
    let [first, second] = servers(["first", "second"]);
    second.rotate("ENCR_a").await;
    second.call_its_key("42");
    let service = Service::with(&[&first, &second]).await;
    let given = service.backup("ENCR_a").await;
    let said: Vec<_> = given
        .outcomes
        .iter()
        .map(|one| (one.server.name.as_str(), &one.result))
        .collect();
    assert!(matches!(said[0], ("first", ServerResult::None(Some(_)))), "{said:?}");
    assert_eq!(said[1], ("second", &ServerResult::Keys(1)));
    assert_eq!(given.server.identifier.as_deref(), Some("42"));

    service.own_group("ENCR_own").await;
    let own = service.backup("ENCR_own").await;
    let asked: Vec<_> = own.outcomes.iter().map(|one| one.server.name.as_str()).collect();
    assert_eq!(asked, ["first", "second", "built-in"]);
    service.running.stop().await;
}

#[tokio::test]
async fn other_settings_count_at_once_and_what_the_server_answered_before_is_forgotten() {
    let [a, b] = servers(["a", "b"]);
    for server in [&a, &b] {
        server.rotate("ENCR_x").await;
    }
    let service = Service::with(&[&a, &b]).await;
    assert_eq!(from(&service.backup("ENCR_x").await), "a");
    assert!(service.backup("ENCR_x").await.server.cached);

    let higher = ChangeServer {
        priority: Some(5),
        ..ChangeServer::default()
    };
    let changed = service.admin.change_server(&named("b"), &higher).await.unwrap();
    assert_eq!((changed.priority, changed.limit_ms), (5, 5000), "the rest stays");
    assert_eq!(from(&service.backup("ENCR_x").await), "b");

    let elsewhere = ChangeServer {
        endpoints: Some(vec!["b2.example.org:5696".parse().unwrap()]),
        enabled_for_backup: Some(false),
        ..ChangeServer::default()
    };
    let refused = service
        .admin
        .change_server(&named("b"), &elsewhere)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::ServerInUse));
    assert!(
        refused
            .to_string()
            .contains("b holds the keys of a volume, and an endpoint of it would be asked no more: A00001L8"),
        "{refused}"
    );
    let elsewhere = ChangeServer {
        despite_volumes: true,
        ..elsewhere
    };
    service.admin.change_server(&named("b"), &elsewhere).await.unwrap();
    let again = service.backup("ENCR_x").await;
    assert!(
        from(&again) == "a" && again.server.cached,
        "a is the same server as before"
    );
    let disabled = service.admin.server(&named("b")).await.unwrap();
    assert!(disabled.last.is_none() && !disabled.enabled_for_backup);

    let unknown = service.admin.change_server(&named("c"), &ChangeServer::default()).await;
    assert_eq!(unknown.err().unwrap().code(), Some(ErrorCode::NoSuchServer));
    let records = service.records().await;
    let changes: Vec<_> = records
        .iter()
        .filter(|(action, ..)| action == "change_server")
        .collect();
    assert_eq!(changes[0].2, "b: priority 5");
    assert!(changes[1].1.starts_with("refused: "), "{changes:?}");
    let accepted = "b: endpoints b2.example.org:5696, for restores only, which holds the keys of A00001L8 (ENCR_x, ";
    assert!(changes[2].2.starts_with(accepted), "{changes:?}");
}

#[tokio::test]
async fn another_certificate_is_used_without_a_restart_and_no_private_key_ever_comes_out() {
    let log = Log::default();
    let _collecting = log.collect();
    let [offsite] = servers(["offsite"]);
    let service = Service::start(&[&offsite]).await;
    let (first, second) = (service.trust.leaf(), service.trust.leaf());
    let wanted = AddServer {
        credentials: credentials_of(&first),
        ..service.trust.server("offsite")
    };
    let mut shown = vec![serde_json::to_string(&service.admin.add_server(&wanted).await.unwrap()).unwrap()];
    let renewed = ChangeServer {
        credentials: Some(credentials_of(&second)),
        ..ChangeServer::default()
    };
    let changed = service.admin.change_server(&named("offsite"), &renewed).await.unwrap();
    shown.push(serde_json::to_string(&changed).unwrap());
    shown.push(serde_json::to_string(&service.admin.servers().await.unwrap()).unwrap());
    let given = service.connectors.certificates_for("offsite");
    let wanted: Vec<_> = [&first, &second]
        .map(|leaf| CertificateDer::from(leaf.certificate_der.clone()))
        .into();
    assert!(wanted.iter().all(|certificate| given.contains(certificate)));
    assert_eq!(given.last(), wanted.last());

    let home = &service.home;
    let keys = [&first, &second].map(|leaf| credentials_of(leaf).private_key);
    let stored = home.select("SELECT sealed FROM key_servers");
    assert!(stored.starts_with("\\x"), "in hex");
    service.running.stop().await;
    for key in keys {
        // The last bytes of a key of P-256 are its public half; the secret stands before.
        let secret = &key.expose()[36..68];
        let spellings = [hex::encode(secret), STANDARD.encode(key.expose())];
        for spelling in spellings {
            assert!(!shown.iter().any(|text| text.contains(&spelling)));
            assert!(!log.text().contains(&spelling) && !stored.contains(&spelling));
            assert!(!format!("{:?}", home.audit()).contains(&spelling));
        }
    }
}

#[tokio::test]
async fn settings_that_cannot_be_used_are_refused_and_change_nothing() {
    let [offsite] = servers(["offsite"]);
    let service = Service::start(&[&offsite]).await;
    let other = Trust::new(&service.home);
    type Spoil = fn(&mut AddServer, &Trust);
    let bad: [(Spoil, &str); 10] = [
        (|wanted, _| wanted.endpoints.clear(), "1 to 8 endpoints"),
        (|wanted, _| wanted.limit_ms = 8001, "100 to 8000 ms, not 8001"),
        (|wanted, _| wanted.limit_ms = 0, "100 to 8000 ms"),
        (|wanted, _| wanted.kind = KeyServerKind::BuiltIn, "kind built-in"),
        (|wanted, _| wanted.trust.clear(), "the CA certificates: there is none"),
        (
            |wanted, _| wanted.credentials.certificate = "x".repeat(24_577),
            "24576 may be",
        ),
        (
            |wanted, _| {
                wanted.credentials.certificate =
                    "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n".to_owned()
            },
            "the client certificate: number 1 cannot be read",
        ),
        (
            |wanted, other| wanted.credentials.private_key = other.credentials().private_key,
            "client certificate and private key: ",
        ),
        (|wanted, _| wanted.name = ServerName::new("built-in").unwrap(), "taken"),
        (|wanted, _| wanted.name = ServerName::new("any").unwrap(), "taken"),
    ];
    for (spoil, expected) in bad {
        let mut wanted = service.trust.server("offsite");
        spoil(&mut wanted, &other);
        let refused = error(service.admin.add_server(&wanted).await);
        assert!(refused.contains(expected) && refused.contains("hint: "), "{refused}");
    }
    assert!(service.admin.servers().await.unwrap().is_empty());

    service
        .admin
        .add_server(&service.trust.server("offsite"))
        .await
        .unwrap();
    let again = service.admin.add_server(&service.trust.server("offsite")).await;
    assert_eq!(again.err().unwrap().code(), Some(ErrorCode::NameTaken));
    let mismatched = ChangeServer {
        trust: Some("nothing".to_owned()),
        priority: Some(9),
        ..ChangeServer::default()
    };
    assert!(
        service
            .admin
            .change_server(&named("offsite"), &mismatched)
            .await
            .is_err()
    );
    assert_eq!(service.admin.server(&named("offsite")).await.unwrap().priority, 0);
    service.running.stop().await;
}

#[tokio::test]
async fn a_server_that_cannot_be_used_is_shown_and_stops_backups_instead_of_being_passed_over() {
    let [offsite] = servers(["offsite"]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    service.own_group("ENCR_a").await;
    let written = service.backup("ENCR_a").await;
    service.connectors.break_down(Some("its certificate is of tomorrow"));
    let service = service.restarted().await;

    let text = service.no_backup("ENCR_a").await.to_string();
    assert!(
        text.contains("cannot be used as it is configured: its certificate is of tomorrow"),
        "{text}"
    );
    let restored = service.media.restore_keys(&written.kad.encode(), None).await.unwrap();
    assert!(matches!(restored.outcomes[0].result, ServerResult::Unreachable(_)));
    let shown = service.admin.server(&named("offsite")).await.unwrap();
    assert_eq!(shown.failure.as_deref(), Some("its certificate is of tomorrow"));
    let status = service.admin.status().await.unwrap();
    assert!(status.servers[0].failure.is_some());
    assert!(
        status
            .alarms
            .iter()
            .any(|alarm| alarm.contains("external server offsite cannot be used")),
        "{:?}",
        status.alarms
    );
    let check = service
        .admin
        .check_server(&named("offsite"), &CheckServer::default())
        .await
        .unwrap();
    assert_eq!(check.findings[0].verdict, Verdict::Failed);
    let metrics = metrics(&service.running).await;
    assert!(
        metrics.contains("tapekey_kms_external_unusable{server=\"offsite\"} 1"),
        "{metrics}"
    );

    service.connectors.break_down(None);
    let change = ChangeServer {
        priority: Some(1),
        ..ChangeServer::default()
    };
    let mended = service.admin.change_server(&named("offsite"), &change).await.unwrap();
    assert_eq!(mended.failure, None);
    assert_eq!(from(&service.backup("ENCR_a").await), "offsite");
    service.running.stop().await;
}

#[tokio::test]
async fn a_record_that_was_altered_makes_its_server_unusable_and_can_be_removed() {
    for sql in [
        "UPDATE key_servers SET endpoints = 'evil.example.org:5696'",
        "UPDATE key_servers SET trust = 'x'",
        "UPDATE key_servers SET priority = 5",
        "UPDATE key_servers SET enabled_for_backup = 0",
        "UPDATE key_servers SET change = change + 1",
        "UPDATE key_servers SET kind = 'evil'",
    ] {
        let [offsite] = servers(["offsite"]);
        let service = Service::with(&[&offsite]).await;
        service.own_group("ENCR_a").await;
        assert_eq!(service.home.sql(sql), 1, "{sql}");
        let service = service.restarted().await;
        let shown = service.admin.servers().await.unwrap();
        let failure = shown[0].failure.as_deref().unwrap();
        assert!(failure.contains("external server offsite"), "{sql}: {failure}");
        let refused = service.no_backup("ENCR_a").await.to_string();
        assert!(
            refused.contains("cannot be used as it is configured"),
            "{sql}: {refused}"
        );
        let removed = service
            .admin
            .remove_server(&named("offsite"), &RemoveServer::default())
            .await;
        assert_eq!(removed.unwrap().name, named("offsite"));
        assert_eq!(from(&service.backup("ENCR_a").await), "built-in");
        service.running.stop().await;
    }
}

#[tokio::test]
async fn a_server_is_not_removed_while_volumes_are_known_that_need_it_unless_somebody_accepts_that() {
    let [offsite, empty] = servers(["offsite", "empty"]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite, &empty]).await;
    for number in 0..25 {
        let name = volume(&format!("A{number:05}L8"));
        service.media.backup_key("ENCR_a", &name).await.unwrap();
        service.home.clock.advance_seconds(1);
    }
    service.media.backup_key("ENCR_a", &volume("A00003L8")).await.unwrap();
    let removed = service
        .admin
        .remove_server(&named("empty"), &RemoveServer::default())
        .await;
    assert_eq!(removed.unwrap().volumes, []);

    let refused = service
        .admin
        .remove_server(&named("offsite"), &RemoveServer::default())
        .await;
    let refused = refused.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::ServerInUse));
    let text = refused.to_string();
    assert!(
        text.contains("20 volumes or more: A00003L8 (ENCR_a, 2026-11-24), A00024L8 "),
        "{text}"
    );
    assert_eq!(text.matches("A00003L8").count(), 1, "{text}");
    assert!(
        text.contains("--restore-only") && text.contains("--despite-volumes"),
        "{text}"
    );
    assert_eq!(from(&service.backup("ENCR_a").await), "offsite");

    let accepted = RemoveServer { despite_volumes: true };
    let removed = service.admin.remove_server(&named("offsite"), &accepted).await.unwrap();
    assert_eq!(removed.volumes.len(), 20);
    assert_eq!(service.no_backup("ENCR_a").await.code(), Some(ErrorCode::NoActiveKey));
    let again = service.admin.remove_server(&named("offsite"), &accepted).await;
    assert_eq!(again.err().unwrap().code(), Some(ErrorCode::NoSuchServer));

    let records = service.records().await;
    let of_removal: Vec<_> = records
        .iter()
        .filter(|(action, ..)| action == "remove_server")
        .collect();
    assert!(
        of_removal[1].1.starts_with("refused: server offsite holds the keys of"),
        "{of_removal:?}"
    );
    assert_eq!(of_removal[2].1, "done");
    assert!(
        of_removal[2]
            .2
            .starts_with("offsite, which holds the keys of A00001L8 (ENCR_a"),
        "{of_removal:?}"
    );
}

#[tokio::test]
async fn a_volume_that_was_only_read_from_a_server_keeps_it_too() {
    let [offsite] = servers(["offsite"]);
    offsite.rotate("ENCR_a").await;
    let other = Service::with(&[&offsite]).await;
    let written = other.backup("ENCR_a").await;
    other.running.stop().await;
    let service = Service::with(&[&offsite]).await;
    let read = service.media.restore_keys(&written.kad.encode(), None).await.unwrap();
    assert_eq!(read.keys.len(), 1);
    let refused = error(
        service
            .admin
            .remove_server(&named("offsite"), &RemoveServer::default())
            .await,
    );
    assert!(
        refused.contains("a volume: a volume without a name (ENCR_a, "),
        "{refused}"
    );
    service.running.stop().await;
}

#[tokio::test]
async fn a_group_gets_new_keys_from_the_server_that_it_is_bound_to_and_old_ones_from_all() {
    let [a, b] = servers(["a", "b"]);
    for server in [&a, &b] {
        server.rotate("ENCR_x").await;
    }
    let service = Service::with(&[&a, &b]).await;
    let unknown = BindGroupToServer {
        server: Some(named("a")),
    };
    let no_group = service.admin.bind_group_to_server(&group("ENCR_x"), &unknown).await;
    assert_eq!(no_group.err().unwrap().code(), Some(ErrorCode::NoSuchGroup));
    service.own_group("ENCR_x").await;
    service.own_group("ENCR_z").await;
    let no_server = BindGroupToServer {
        server: Some(named("c")),
    };
    let no_server = service.admin.bind_group_to_server(&group("ENCR_x"), &no_server).await;
    assert_eq!(no_server.err().unwrap().code(), Some(ErrorCode::NoSuchServer));

    let mut written = Vec::new();
    for (bound_to, expected) in [
        (None, "a"),
        (Some("b"), "b"),
        (Some("built-in"), "built-in"),
        (Some("a"), "a"),
    ] {
        service.bind("ENCR_x", bound_to).await;
        let given = service.backup("ENCR_x").await;
        assert_eq!(from(&given), expected);
        written.push(given);
    }
    for key in &written {
        let restored = service.media.restore_keys(&key.kad.encode(), None).await.unwrap();
        assert!(restored.keys[0].key == key.key, "{} still serves it", from(key));
    }
    assert_eq!(
        service.admin.server(&named("a")).await.unwrap().groups,
        [group("ENCR_x")]
    );
    let refused = error(service.admin.remove_server(&named("a"), &RemoveServer::default()).await);
    assert!(refused.contains("a group is bound to server a: ENCR_x"), "{refused}");

    b.rotate("ENCR_y").await;
    let to = RenameGroup { name: group("ENCR_y") };
    service.bind("ENCR_z", Some("b")).await;
    service.admin.rename_group(&group("ENCR_z"), &to).await.unwrap();
    a.rotate("ENCR_y").await;
    a.rotate("ENCR_z").await;
    assert_eq!(
        from(&service.backup("ENCR_y").await),
        "b",
        "the binding stays with the group"
    );
    assert_eq!(from(&service.backup("ENCR_z").await), "a", "and not with the name");
    let service = service.restarted().await;
    assert_eq!(from(&service.backup("ENCR_y").await), "b");
    let records = service.records().await;
    let bound: Vec<_> = records
        .iter()
        .filter(|(action, outcome, _)| action == "bind_group_to_server" && outcome == "done")
        .map(|(.., detail)| detail.as_str())
        .collect();
    assert_eq!(bound, ["to any", "to b", "to built-in", "to a", "to b"]);
}

#[tokio::test]
async fn certificates_that_end_soon_are_in_the_status_the_list_the_metrics_and_the_log() {
    let log = Log::default();
    let _collecting = log.collect();
    let [offsite] = servers(["offsite"]);
    let service = Service::with(&[&offsite]).await;
    let ending = async |service: &Service| -> Vec<(String, Option<Expiry>)> {
        let status = service.admin.status().await.unwrap();
        let about = status
            .certificates
            .into_iter()
            .filter(|one| one.what.contains("offsite"));
        about.map(|one| (one.what, one.expiry)).collect()
    };
    assert_eq!(ending(&service).await, []);
    let now = tapekey::clock::Clock::now(&*service.home.clock);
    offsite.show_a_certificate_until(now + time::Duration::days(7));
    let shown = [("external server offsite (server)".to_owned(), Some(Expiry::InSevenDays))];
    assert_eq!(ending(&service).await, shown);
    let record = service.admin.server(&named("offsite")).await.unwrap();
    let near: Vec<_> = record.certificates.iter().map(|one| one.expiry).collect();
    assert_eq!(near, [None, None, Some(Expiry::InSevenDays)]);
    let metrics = metrics(&service.running).await;
    let end = (now + time::Duration::days(7)).unix_timestamp();
    let line = format!(
        "tapekey_kms_external_certificate_not_after_seconds{{server=\"offsite\",certificate=\"server\"}} {end}"
    );
    assert!(metrics.contains(&line), "{metrics}");
    let service = service.restarted().await;
    let alarm = "ALARM: the certificate of external server offsite (server) expires in 7 days";
    until(alarm, async || log.text().contains(alarm)).await;
    service.running.stop().await;
}

#[tokio::test]
async fn a_key_is_made_in_a_server_and_serves_the_next_volume_whatever_was_kept() {
    let [offsite] = servers(["offsite"]);
    let former = offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    assert_eq!(service.backup("ENCR_a").await.kad.key_id(), former);
    let wanted = CreateServerKey {
        group: group("ENCR_a"),
        name: None,
    };
    let operator = service.home.client("operator-1", service.running.address);
    let made = operator.create_server_key(&named("offsite"), &wanted).await.unwrap();
    let given = service.backup("ENCR_a").await;
    assert_eq!(given.kad.key_id().to_string(), made.identifier);
    assert!(!given.server.cached);

    let nowhere = operator.create_server_key(&named("onsite"), &wanted).await;
    assert_eq!(nowhere.err().unwrap().code(), Some(ErrorCode::NoSuchServer));
    offsite.set_weather(Weather::Down);
    let down = error(operator.create_server_key(&named("offsite"), &wanted).await);
    assert!(
        down.contains("made no key in group ENCR_a: connection refused"),
        "{down}"
    );
    offsite.set_weather(Weather::Refusing);
    let refused = operator
        .create_server_key(&named("offsite"), &wanted)
        .await
        .err()
        .unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused));
    offsite.set_weather(Weather::Fine);
    operator.quiesce().await.unwrap();
    let asked = offsite.asked();
    let quiesced = operator
        .create_server_key(&named("offsite"), &wanted)
        .await
        .err()
        .unwrap();
    assert_eq!((quiesced.code(), offsite.asked()), (Some(ErrorCode::Quiesced), asked));

    let records = service.records().await;
    let created: Vec<_> = records
        .iter()
        .filter(|(action, ..)| action == "create_server_key")
        .collect();
    assert_eq!((created.len(), created[0].1.as_str()), (5, "done"));
    assert!(created[0].2.starts_with("at offsite, its key "), "{created:?}");
    assert!(
        created[1..]
            .iter()
            .all(|(_, outcome, _)| outcome.starts_with("refused: "))
    );
}

#[tokio::test]
async fn a_check_tells_each_finding_and_is_audited() {
    let [offsite, other] = servers(["offsite", "other"]);
    let service = Service::with(&[&offsite, &other]).await;
    let operator = service.home.client("operator-1", service.running.address);
    let wanted = CheckServer {
        group: Some(group("ENCR_a")),
    };
    let check = async |name: &str| {
        let found = operator.check_server(&named(name), &wanted).await.unwrap().findings;
        found
            .into_iter()
            .map(|finding| (finding.verdict, finding.text))
            .collect::<Vec<_>>()
    };
    let fine = (Verdict::Ok, "looked at with ENCR_a".to_owned());
    assert_eq!(check("offsite").await, std::slice::from_ref(&fine));
    offsite.set_weather(Weather::Down);
    assert_eq!(
        check("offsite").await,
        [(Verdict::Failed, "connection refused".to_owned())]
    );
    offsite.set_weather(Weather::Broken);
    let broken = check("offsite").await;
    assert!(broken[0].0 == Verdict::Failed && broken[0].1.contains("its connector failed"));
    offsite.set_weather(Weather::Fine);
    service.own_group("ENCR_a").await;
    service.bind("ENCR_a", Some("other")).await;
    let bound = check("offsite").await;
    assert_eq!((bound.len(), &bound[0], bound[1].0), (2, &fine, Verdict::Warning));
    assert!(bound[1].1.contains("bound to server other"));
    assert_eq!(check("other").await.len(), 1);
    let unknown = operator.check_server(&named("nobody"), &wanted).await;
    assert_eq!(unknown.err().unwrap().code(), Some(ErrorCode::NoSuchServer));

    let records = service.records().await;
    let checks: Vec<_> = records.iter().filter(|(action, ..)| action == "check_server").collect();
    assert_eq!((checks.len(), checks[1].1.as_str()), (6, "done: 1 findings, 1 failed"));
}

#[tokio::test]
async fn servers_are_sealed_anew_with_everything_else() {
    let [offsite] = servers(["offsite"]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    let before = service.admin.server(&named("offsite")).await.unwrap();
    let seal = service.admin.rotate_seal().await.unwrap();
    assert!(seal.former == 1 && seal.records_left > 0, "{seal:?}");
    // The service was woken to do it.
    until("sealed anew", async || {
        service.admin.status().await.unwrap().seal.unwrap().former == 0
    })
    .await;
    let service = service.restarted().await;
    assert_eq!(from(&service.backup("ENCR_a").await), "offsite");
    let after = service.admin.server(&named("offsite")).await.unwrap();
    assert_eq!((after.failure.as_ref(), after.modified), (None, before.modified));
    service.running.stop().await;
}
