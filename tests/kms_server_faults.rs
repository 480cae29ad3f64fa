//! External servers where something is wrong: records that were altered, changes that this node has not seen, askers that go away.
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

use kms_support::connectors::{Connectors, Trust};
use kms_support::outside::{OtherKms, Weather};
use kms_support::{Home, Running, error, group, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms::connector::{ExternalServer, ServerName};
use tapekey::kms::select::Selection;
use tapekey::kms::service::Kms;
use tapekey::kms_api::{AddServer, BindGroupToServer, CreateServerKey, ErrorCode, ServerResult};
use tapekey::kms_client::{BackupKey, KmsClient, KmsClientError};
use tokio::sync::Barrier;

/// A KMS that passes over servers which cannot be reached, and the people who ask it.
struct Service {
    home: Home,
    connectors: Arc<Connectors>,
    trust: Trust,
    running: Running,
    admin: KmsClient,
    media: KmsClient,
}

async fn serve(home: &Home, connectors: &Arc<Connectors>) -> Running {
    let kms = Kms::start(home.opened_store(), home.clock.clone(), home.entropy.clone()).unwrap();
    let kms = kms.with_servers(Selection::built_in_only(true, home.clock.clone()));
    let kms = kms.with_connectors(connectors.clone());
    home.serve_kms(Arc::new(kms), || {}).await
}

impl Service {
    /// With these servers added.
    async fn with(servers: &[&Arc<OtherKms>]) -> Self {
        let home = Home::new();
        let connectors = Connectors::to(servers);
        let running = serve(&home, &connectors).await;
        let service = Self {
            trust: Trust::new(&home),
            admin: home.client("admin-1", running.address),
            media: home.client("media-server-1", running.address),
            home,
            connectors,
            running,
        };
        for server in servers {
            let identity = server.identity();
            let wanted = AddServer {
                priority: identity.priority,
                ..service.trust.server(identity.name.as_str())
            };
            service.admin.add_server(&wanted).await.unwrap();
        }
        service
    }

    /// Started again, with the store altered meanwhile.
    async fn restarted_after(self, sql: &str) -> Self {
        self.running.stop().await;
        self.home.sql(sql);
        let running = serve(&self.home, &self.connectors).await;
        Self {
            admin: self.home.client("admin-1", running.address),
            media: self.home.client("media-server-1", running.address),
            running,
            ..self
        }
    }

    async fn own_group(&self, name: &str) {
        let wanted = new_group(name, KeyKind::Derived);
        self.admin.create_group(&wanted).await.unwrap();
        rotate(&self.admin, name).await;
    }

    async fn backup(&self, name: &str) -> BackupKey {
        self.media.backup_key(name, &volume("A00001L8")).await.unwrap()
    }

    async fn no_backup(&self, name: &str) -> KmsClientError {
        self.media.backup_key(name, &volume("A00001L8")).await.err().unwrap()
    }
}

fn servers<const N: usize>(named: [(&str, i32); N]) -> [Arc<OtherKms>; N] {
    named.map(|(name, priority)| Arc::new(OtherKms::new(name, priority)))
}

#[tokio::test]
async fn a_server_that_cannot_be_read_or_used_is_passed_over_by_no_rule_and_comes_before_all_others() {
    let [high, low] = servers([("high", 9), ("low", 1)]);
    high.rotate("ENCR_a").await;
    let service = Service::with(&[&high, &low]).await;
    assert_eq!(service.backup("ENCR_a").await.server.name, "high");
    // Which of the two is asked first, its own record no longer tells.
    let service = service
        .restarted_after("UPDATE key_servers SET priority = 2 WHERE name = 'low'")
        .await;
    let refused = service.no_backup("ENCR_a").await;
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused));
    assert!(
        refused
            .to_string()
            .contains("server low (KMIP at an address that cannot be read) refuses"),
        "{refused}"
    );

    // It is written over, so that it is never away.
    let wanted = AddServer {
        priority: 1,
        ..service.trust.server("low")
    };
    let mended = service.admin.add_server(&wanted).await.unwrap();
    assert_eq!((mended.failure, mended.priority), (None, 1));
    assert_eq!(service.backup("ENCR_a").await.server.name, "high");
    let again = service.admin.add_server(&wanted).await.err().unwrap();
    assert_eq!(again.code(), Some(ErrorCode::NameTaken));
    let reserved = service.admin.add_server(&service.trust.server("unreadable")).await;
    assert_eq!(reserved.err().unwrap().code(), Some(ErrorCode::NameTaken));

    // One of which no connector can be made keeps its rank.
    service.connectors.break_down(Some("nobody knows how"));
    let service = service.restarted_after("").await;
    let refused = service.no_backup("ENCR_a").await;
    assert_eq!(refused.code(), Some(ErrorCode::ServerRefused));
    assert!(refused.to_string().contains("nobody knows how"), "{refused}");
    service.running.stop().await;
    let records = service.home.audit();
    assert!(records.iter().any(|record| {
        record.action == "add_server"
            && record.outcome == "done"
            && record
                .detail
                .as_ref()
                .unwrap()
                .ends_with("; in the place of a record that could not be read")
    }));
}

#[tokio::test]
async fn servers_count_at_a_start_whatever_the_number_of_their_changes_says() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    service.own_group("ENCR_a").await;
    let service = service.restarted_after("UPDATE server_changes SET number = 0").await;
    assert_eq!(service.backup("ENCR_a").await.server.name, "offsite");
    let service = service.restarted_after("DELETE FROM server_changes").await;
    assert_eq!(service.backup("ENCR_a").await.server.name, "offsite");
    service.running.stop().await;
}

#[tokio::test]
async fn a_bound_group_that_cannot_be_read_stops_backups_and_neither_restores_nor_the_start() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    let written = service.backup("ENCR_a").await;
    service.own_group("ENCR_b").await;
    let to = BindGroupToServer {
        server: Some(ServerName::new("offsite").unwrap()),
    };
    service.admin.bind_group_to_server(&group("ENCR_b"), &to).await.unwrap();
    let service = service
        .restarted_after("UPDATE key_groups SET description = 'x' WHERE name = 'ENCR_b'")
        .await;
    let refused = service.no_backup("ENCR_a").await.to_string();
    assert!(
        refused.contains("where its new keys come from is unknown: ") && refused.contains("group ENCR_b"),
        "{refused}"
    );
    let restored = service.media.restore_keys(&written.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == written.key);
    let alarms = service.admin.status().await.unwrap().alarms;
    assert!(
        alarms
            .iter()
            .any(|alarm| alarm.contains("backups wait") && alarm.contains("group ENCR_b")),
        "{alarms:?}"
    );
    let service = service
        .restarted_after("UPDATE key_groups SET description = '' WHERE name = 'ENCR_b'")
        .await;
    assert_eq!(service.backup("ENCR_a").await.server.name, "offsite");
    service.running.stop().await;
}

#[tokio::test]
async fn servers_that_cannot_be_read_at_all_stop_backups_and_neither_restores_nor_the_start() {
    let [offsite] = servers([("offsite", 0)]);
    let service = Service::with(&[&offsite]).await;
    service.own_group("ENCR_a").await;
    let written = service.backup("ENCR_a").await;
    let service = service.restarted_after("ALTER TABLE key_servers RENAME TO lost").await;
    let refused = service.no_backup("ENCR_a").await.to_string();
    assert!(
        refused.contains("where its new keys come from is unknown: "),
        "{refused}"
    );
    let restored = service.media.restore_keys(&written.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == written.key);
    service.running.stop().await;
}

#[tokio::test]
async fn a_group_whose_record_cannot_be_read_keeps_back_what_goes_by_its_kind_alone() {
    let [offsite, onsite] = servers([("offsite", 1), ("onsite", 0)]);
    offsite.import("ENCR_old", &[7]).await;
    onsite.import("ENCR_fine", &[9]).await;
    let service = Service::with(&[&offsite, &onsite]).await;
    for name in ["ENCR_old", "ENCR_fine"] {
        let wanted = new_group(name, KeyKind::AsIs);
        service.admin.create_group(&wanted).await.unwrap();
    }
    let service = service
        .restarted_after("UPDATE key_groups SET kind = 'derived' WHERE name = 'ENCR_old'")
        .await;
    let kads = tapekey::kad::BlockKads {
        unauthenticated: b"foreign 7".to_vec(),
        authenticated: b"foreign 9".to_vec(),
    };
    let found = service.media.restore_keys_of(&kads, None).await.unwrap();
    assert!(
        matches!(&found.outcomes[0].result, ServerResult::Refused(why) if why.contains("group ENCR_old")),
        "{:?}",
        found.outcomes
    );
    assert_eq!(found.outcomes[1].result, ServerResult::Keys(1));
    assert_eq!(found.candidates.len(), 1);
    service.running.stop().await;
}

#[tokio::test]
async fn a_volume_of_a_group_whose_record_was_altered_is_read_all_the_same() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    let written = service.backup("ENCR_a").await;
    let service = service.restarted_after("UPDATE key_groups SET description = 'x'").await;
    let restored = service.media.restore_keys(&written.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == written.key);
    assert!(error(service.media.backup_key("ENCR_a", &volume("A2")).await).contains("ENCR_a"));
    service.running.stop().await;
}

#[tokio::test]
async fn what_another_node_changed_counts_for_the_next_volume() {
    let [offsite] = servers([("offsite", 0)]);
    offsite.rotate("ENCR_a").await;
    let service = Service::with(&[&offsite]).await;
    service.own_group("ENCR_a").await;
    assert_eq!(service.backup("ENCR_a").await.server.name, "offsite");
    // As another node removes it.
    service
        .home
        .sql("BEGIN; DELETE FROM key_servers; UPDATE server_changes SET number = number + 1; COMMIT");
    let next = service.backup("ENCR_a").await;
    assert_eq!((next.server.name.as_str(), next.server.cached), ("built-in", false));
    service.running.stop().await;
    let records = service.home.audit();
    let refused: Vec<_> = records
        .iter()
        .filter(|record| record.outcome.contains("were changed while they were asked"))
        .collect();
    assert!(refused.len() <= 1, "asked once more, no oftener");
}

#[tokio::test]
async fn a_key_that_a_server_makes_is_written_down_also_if_the_asker_goes_away() {
    let [offsite] = servers([("offsite", 0)]);
    let service = Service::with(&[&offsite]).await;
    let together = Arc::new(Barrier::new(2));
    offsite.set_weather(Weather::Together(together.clone()));
    let operator = service.home.client("operator-1", service.running.address);
    let wanted = CreateServerKey {
        group: group("ENCR_a"),
        name: None,
    };
    let asking = tokio::spawn(async move {
        let offsite = ServerName::new("offsite").unwrap();
        operator.create_server_key(&offsite, &wanted).await
    });
    let bounded = Duration::from_secs(20);
    let asked = async {
        while offsite.asked() == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(bounded, asked).await.unwrap();
    asking.abort();
    assert!(asking.await.unwrap_err().is_cancelled());
    // The service has seen the end of that connection when it has served two others.
    for _ in 0..2 {
        service
            .home
            .client("admin-1", service.running.address)
            .status()
            .await
            .unwrap();
    }
    tokio::time::timeout(bounded, together.wait()).await.unwrap();
    let done = "SELECT count(*) FROM audit WHERE action = 'create_server_key' AND outcome = 'done'";
    let written = async {
        while service.home.number(done) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(bounded, written).await.unwrap();
    service.running.stop().await;
}
