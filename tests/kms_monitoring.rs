//! What monitoring sees of a KMS: health, readiness, metrics, statistics, and the log.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kms_support::connectors::{Connectors, Trust};
use kms_support::outside::{OtherKms, Weather};
use kms_support::{Home, Log, Raw, Running, group, new_group, new_snapshot, passphrase_key, rotate, volume};
use reqwest::Method;
use serde_json::Value;
use tapekey::kad::{KeyKind, OurKad};
use tapekey::kms::connector::ExternalServer;
use tapekey::kms::select::SelectionRules;
use tapekey::kms_api::{CreateKey, KeyState, Readiness, ServerResult};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What the plain listener answers: the status, the header and the body.
async fn plain(address: SocketAddr, request: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{request} HTTP/1.1\r\nhost: kms\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer));
    read.await.expect("an answer").unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

async fn readiness(running: &Running) -> (u16, Readiness) {
    let (status, _, body) = plain(running.metrics, "GET /readyz").await;
    (status, serde_json::from_str(&body).unwrap())
}

async fn metrics(running: &Running) -> String {
    let (status, head, body) = plain(running.metrics, "GET /metrics").await;
    assert_eq!(status, 200);
    assert!(
        head.contains("content-type: application/openmetrics-text; version=1.0.0"),
        "{head}"
    );
    assert!(body.ends_with("# EOF\n"));
    body
}

/// The value of the one line that begins like this.
#[track_caller]
fn value(metrics: &str, sample: &str) -> f64 {
    let mut lines = metrics.lines().filter_map(|line| {
        line.strip_prefix("tapekey_kms_")?
            .strip_prefix(sample)?
            .strip_prefix(' ')
    });
    let (Some(value), None) = (lines.next(), lines.next()) else {
        panic!("not one line for {sample}:\n{metrics}")
    };
    value.parse().unwrap()
}

#[tokio::test]
async fn health_and_readiness_need_no_certificate_and_nothing_else_is_there() {
    let home = Home::new();
    let running = home.serve().await;
    let (status, _, body) = plain(running.metrics, "GET /healthz").await;
    assert_eq!((status, body.as_str()), (200, "ok\n"));
    let (status, ready) = readiness(&running).await;
    assert_eq!((status, ready.ready, ready.problems.len()), (200, true, 0));
    assert_eq!((ready.quiesces, ready.keys_in_no_snapshot), (Some(0), Some(0)));
    assert_eq!(ready.last_commit_age_ms, Some(0));
    let names: Vec<_> = ready.certificates.iter().map(|one| one.certificate.as_str()).collect();
    assert_eq!(names, ["server", "issuing_ca"]);
    let days = ready.certificates[0].days_left;
    assert!(days > 300, "{days}");
    for (request, wanted) in [
        ("GET /v1/groups", 404),
        ("GET /", 404),
        ("POST /metrics", 405),
        ("DELETE /readyz", 405),
    ] {
        assert_eq!(plain(running.metrics, request).await.0, wanted, "{request}");
    }
    let days = i64::from(u16::try_from(days).unwrap());
    home.clock.advance_days(days + 2);
    let (status, ready) = readiness(&running).await;
    assert_eq!(
        status, 200,
        "an old certificate is for an alert, not for the load balancer"
    );
    assert!(ready.certificates[0].days_left < 0, "{ready:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_store_that_takes_no_writes_is_not_ready_until_it_does_again() {
    let home = Home::new();
    let running = home.serve().await;
    assert_eq!(readiness(&running).await.0, 200);
    let refused = home.refuse_writes();
    // What was seen within the last second is told again.
    assert_eq!(readiness(&running).await.0, 200);
    home.clock.advance_seconds(1);
    let (status, ready) = readiness(&running).await;
    assert!(status == 503 && !ready.ready && ready.problems.len() == 1, "{ready:?}");
    assert_eq!(plain(running.metrics, "GET /healthz").await.0, 200);
    refused.end();
    home.clock.advance_seconds(1);
    assert_eq!(readiness(&running).await.0, 200);
    running.stop().await;
}

/// What [`something_of_everything`] leaves behind.
const COUNTED: &[(&str, f64)] = &[
    (r#"build_info{version="0.1.0"}"#, 1.0),
    (
        r#"requests_total{route="/v1/backup-key",method="POST",outcome="ok"}"#,
        3.0,
    ),
    (
        r#"requests_total{route="/v1/backup-key",method="POST",outcome="no_such_group"}"#,
        1.0,
    ),
    (
        r#"requests_total{route="/v1/backup-key",method="POST",outcome="server_unreachable"}"#,
        1.0,
    ),
    (
        r#"requests_total{route="/v1/groups",method="POST",outcome="forbidden"}"#,
        1.0,
    ),
    (
        r#"requests_total{route="/v1/groups",method="other",outcome="wrong_method"}"#,
        1.0,
    ),
    (
        r#"requests_total{route="none",method="GET",outcome="no_such_path"}"#,
        1.0,
    ),
    (
        r#"requests_total{route="/v1/groups/{group}/rotate",method="POST",outcome="ok"}"#,
        2.0,
    ),
    (r#"request_seconds_count{route="/v1/restore-keys"}"#, 1.0),
    (r#"releases_total{purpose="tape",server="built_in"}"#, 1.0),
    (r#"releases_total{purpose="tape",server="external"}"#, 2.0),
    (r#"releases_total{purpose="restore",server="built_in"}"#, 1.0),
    (r#"external_answers_total{server="offsite",outcome="found"}"#, 1.0),
    (r#"external_answers_total{server="offsite",outcome="cached"}"#, 1.0),
    (r#"external_answers_total{server="offsite",outcome="unreachable"}"#, 1.0),
    (r#"external_answer_seconds_count{server="offsite"}"#, 5.0),
    ("external_answers_kept", 1.0),
    (r#"keys{state="active"}"#, 1.0),
    (r#"keys{state="inactive"}"#, 1.0),
    (r#"keys{state="terminated"}"#, 0.0),
    ("keys_in_no_snapshot", 2.0),
    ("quiesces", 0.0),
    ("store_queue", 0.0),
    ("store_commit_failures_total", 0.0),
    ("store_last_commit_age_seconds", 0.0),
    ("survey_failed", 0.0),
];

/// Keys given out and refused, by the built-in store and another server, which then goes away; and requests that are none. The KAD of a volume.
async fn something_of_everything(home: &Home, running: &Running, offsite: &OtherKms) -> OurKad {
    let admin = home.client("admin-1", running.address);
    let media = home.client("media-server-1", running.address);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    rotate(&admin, "ENCR_daily").await;
    let own = media.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap();
    media.restore_keys(&own.kad.encode(), None).await.unwrap();
    offsite.rotate("ENCR_outside").await;
    media.backup_key("ENCR_outside", &volume("A00002L8")).await.unwrap();
    media.backup_key("ENCR_outside", &volume("A00003L8")).await.unwrap();
    media.backup_key("ENCR_none", &volume("A00004L8")).await.err().unwrap();
    media
        .create_group(&new_group("ENCR_x", KeyKind::AsIs))
        .await
        .unwrap_err();
    offsite.set_weather(Weather::Down);
    media.backup_key("ENCR_daily", &volume("A00005L8")).await.err().unwrap();
    let raw = Raw::new(home, "admin-1", running.address);
    raw.send(Method::GET, "/v1/surprise/ENCR_path", "").await;
    raw.send(Method::from_bytes(b"SURPRISE").unwrap(), "/v1/groups", "")
        .await;
    own.kad
}

#[tokio::test]
async fn metrics_count_what_happened_and_name_no_group_key_volume_or_client() {
    let home = Home::new();
    let offsite = Arc::new(OtherKms::new("offsite", 0));
    let server: Arc<dyn ExternalServer> = offsite.clone();
    let running = home.serve_with(vec![server], SelectionRules::default()).await;
    let kad = something_of_everything(&home, &running, &offsite).await;
    let text = metrics(&running).await;
    for (sample, wanted) in COUNTED {
        assert_eq!(value(&text, sample), *wanted, "{sample}:\n{text}");
    }
    assert!(value(&text, "store_commit_seconds_count") >= 10.0);
    let ends = value(&text, r#"certificate_not_after_seconds{certificate="server"}"#);
    assert!(ends > 1_795_521_600.0 + 300.0 * 86_400.0, "{ends}");
    for secret in [
        "ENCR_",
        "A0000",
        "admin-1",
        "CN=",
        "surprise",
        "SURPRISE",
        &kad.key_id().to_string(),
    ] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    let sequence = value(&text, "audit_sequence");
    running.stop().await;
    let last = home.audit().last().unwrap().sequence;
    assert_eq!(sequence, f64::from(u32::try_from(last).unwrap()));
}

#[tokio::test]
async fn numbers_over_the_whole_store_are_looked_up_once_a_minute_at_most() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    assert_eq!(value(&metrics(&running).await, r#"keys{state="prelive"}"#), 0.0);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    admin
        .create_key(&group("ENCR_daily"), &CreateKey::default())
        .await
        .unwrap();
    home.clock.advance_seconds(59);
    assert_eq!(value(&metrics(&running).await, r#"keys{state="prelive"}"#), 0.0);
    home.clock.advance_seconds(1);
    assert_eq!(value(&metrics(&running).await, r#"keys{state="prelive"}"#), 1.0);
    running.stop().await;
}

#[tokio::test]
async fn every_metric_and_label_of_the_alert_rules_exists() {
    let home = Home::new();
    let offsite = Arc::new(OtherKms::new("offsite", 0));
    let running = home.serve_through(&Connectors::to(&[&offsite])).await;
    let wanted = Trust::new(&home).server("offsite");
    let admin = home.client("admin-1", running.address);
    admin.add_server(&wanted).await.unwrap();
    let media = home.client("media-server-1", running.address);
    media.backup_key("ENCR_none", &volume("A1")).await.err().unwrap();
    let text = metrics(&running).await;
    running.stop().await;
    let mut names = BTreeSet::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            "info" => &["_info"],
            "gauge" => &[""],
            other => panic!("{other}"),
        };
        names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    let rules = include_str!("../docs/alerts/tapekey-kms.rules.yml");
    let mut used = BTreeSet::new();
    for part in rules.split("tapekey_kms_").skip(1) {
        let end = part
            .find(|letter: char| !(letter.is_ascii_lowercase() || letter == '_'))
            .unwrap();
        let name = format!("tapekey_kms_{}", &part[..end]);
        assert!(names.contains(&name), "{name} is no metric: {names:?}");
        if let Some(selector) = part[end..].strip_prefix('{') {
            let label = selector.split(['=', '!']).next().unwrap();
            let sample = text.lines().find(|line| line.starts_with(&format!("{name}{{")));
            assert!(
                sample.unwrap().contains(&format!("{label}=\"")),
                "{name} has no label {label}"
            );
        }
        used.insert(name);
    }
    assert!(used.len() >= 10, "{used:?}");
    let count = |word: &str| rules.lines().filter(|line| line.trim_start().starts_with(word)).count();
    let alerts = count("- alert: ");
    assert!(alerts >= 12);
    for word in ["expr: ", "severity: ", "summary: "] {
        assert_eq!(count(word), alerts, "each alert has one {word}");
    }
}

#[tokio::test]
async fn a_status_counts_releases_of_the_day_and_the_week_by_group() {
    let home = Home::new();
    let offsite = Arc::new(OtherKms::new("offsite", 3));
    let server: Arc<dyn ExternalServer> = offsite.clone();
    let running = home.serve_with(vec![server], SelectionRules::default()).await;
    let admin = home.client("admin-1", running.address);
    let media = home.client("media-server-1", running.address);
    for (name, times) in [("ENCR_daily", 3), ("ENCR_weekly", 1)] {
        admin.create_group(&new_group(name, KeyKind::Derived)).await.unwrap();
        rotate(&admin, name).await;
        for _ in 0..times {
            media.backup_key(name, &volume("A1")).await.unwrap();
        }
    }
    media.backup_key("ENCR_none", &volume("A1")).await.err().unwrap();
    home.clock.advance_days(3);
    let again = media.backup_key("ENCR_daily", &volume("A2")).await.unwrap();
    media.restore_keys(&again.kad.encode(), None).await.unwrap();
    // No key, so no release.
    media.restore_keys(&[7; 30], None).await.unwrap();

    let status = admin.status().await.unwrap();
    let numbers = &status.statistics;
    assert_eq!(
        (numbers.releases_day, numbers.releases_week, numbers.complete),
        (2, 6, true)
    );
    assert_eq!((numbers.refusals_day, numbers.refusals_week), (0, 1));
    let groups: Vec<_> = numbers
        .groups
        .iter()
        .map(|group| (group.group.as_str(), group.releases_week))
        .collect();
    assert_eq!(groups, [("ENCR_daily", 5), ("ENCR_weekly", 1)]);
    let active = status
        .keys_by_state
        .iter()
        .find(|count| count.state == KeyState::Active);
    assert_eq!(active.unwrap().keys, 2);
    let server = &status.servers[0];
    assert_eq!(
        (server.name.as_str(), server.priority, server.enabled_for_backup),
        ("offsite", 3, true)
    );
    assert_eq!(server.last.as_ref().unwrap().result, ServerResult::None(None));

    home.clock.advance_days(5);
    let later = admin.status().await.unwrap().statistics;
    assert_eq!(
        (later.releases_day, later.releases_week, later.refusals_week),
        (0, 2, 0)
    );
    running.stop().await;
}

#[tokio::test]
async fn a_key_made_of_a_passphrase_is_no_alarm_though_no_snapshot_holds_it() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    admin
        .create_passphrase_key(&group("ENCR_daily"), &passphrase_key(7))
        .await
        .unwrap();
    let status = admin.status().await.unwrap();
    assert_eq!(
        (status.keys, status.keys_in_no_snapshot, status.examples.len()),
        (1, 0, 0)
    );
    admin
        .create_key(&group("ENCR_daily"), &CreateKey::default())
        .await
        .unwrap();
    assert_eq!(admin.status().await.unwrap().keys_in_no_snapshot, 1);
    admin
        .create_snapshot(&new_snapshot(disk.path().join("s")))
        .await
        .unwrap();
    assert_eq!(admin.status().await.unwrap().keys_in_no_snapshot, 0);
    running.stop().await;
}

#[tokio::test]
async fn each_request_is_one_line_of_the_log_that_its_answer_can_be_found_by() {
    let log = Log::collect_everything();
    // Other stories may write into the same log: their services started in another second, which is in the ids of requests.
    let home = Home::new();
    home.clock.advance_seconds(11);
    let running = home.serve().await;
    let raw = Raw::new(&home, "media-server-1", running.address);
    let request = "GET /v1/groups?after=x HTTP/1.1\r\nhost: kms\r\nconnection: close\r\n\r\n";
    let mut stream = raw.connect().await;
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_string(&mut answer));
    read.await.expect("an answer").unwrap();
    running.stop().await;
    let id = answer
        .lines()
        .find_map(|line| line.strip_prefix("tapekey-request-id: "))
        .unwrap();
    let text = log.text();
    let lines: Vec<_> = text.lines().filter(|line| line.contains(id)).collect();
    let [refusal, request] = lines.as_slice() else {
        panic!("{text}")
    };
    assert!(refusal.contains("a request was refused"), "{refusal}");
    for part in [
        "subject=\"CN=media-server-1\"",
        "method=GET",
        "path=\"/v1/groups\"",
        "status=403",
        "outcome=\"forbidden\"",
        "took_us=",
    ] {
        assert!(request.contains(part), "{part} is not in {request}");
    }
    let problem: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap();
    assert_eq!(problem["code"], "forbidden");
}
