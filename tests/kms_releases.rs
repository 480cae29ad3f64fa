//! Keys that leave for unusually many volumes: the alarm, what is learnt over a restart, and the hard stop.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::ops::Range;

use kms_support::{Home, Running, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms_api::ErrorCode;
use tapekey::kms_client::{KmsClient, KmsClientError};

async fn with_group(running: &Running, home: &Home) -> (KmsClient, KmsClient) {
    let clients = clients(running, home);
    clients
        .0
        .create_group(&new_group("ENCR_a", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&clients.0, "ENCR_a").await;
    clients
}

fn clients(running: &Running, home: &Home) -> (KmsClient, KmsClient) {
    (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    )
}

async fn take(media: &KmsClient, volumes: Range<u32>) -> Result<(), KmsClientError> {
    for number in volumes {
        media.backup_key("ENCR_a", &volume(&format!("A{number:05}L8"))).await?;
    }
    Ok(())
}

async fn alarms(admin: &KmsClient) -> Vec<String> {
    let status = admin.status().await.unwrap();
    status.security_alarms.into_iter().map(|alarm| alarm.text).collect()
}

#[tokio::test]
async fn more_volumes_than_usual_are_an_alarm_in_status_and_audit_log() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = with_group(&running, &home).await;
    take(&media, 0..20).await.unwrap();
    take(&media, 0..20).await.unwrap();
    assert_eq!(alarms(&admin).await, Vec::<String>::new());
    take(&media, 0..30).await.unwrap();
    assert_eq!(
        alarms(&admin).await,
        [
            "all hosts together took keys for 21 volumes within an hour, where at most 20 are usual",
            "CN=media-server-1 took keys for 21 volumes within an hour, where at most 20 are usual",
        ]
    );
    home.clock.advance_days(1);
    home.clock.advance_days(1);
    assert_eq!(alarms(&admin).await, Vec::<String>::new());
    running.stop().await;
    let written: Vec<_> = home
        .audit()
        .into_iter()
        .filter(|record| record.action == "release_alarm")
        .map(|record| (record.subject, record.detail.unwrap()))
        .collect();
    assert_eq!(written.len(), 2);
    assert_eq!(written[0].0, "service");
    assert!(
        written[1].1.starts_with("CN=media-server-1 took keys for 21"),
        "{written:?}"
    );
}

#[tokio::test]
async fn a_restart_does_not_begin_the_hour_anew() {
    let home = Home::new();
    let running = home.serve().await;
    let (_, media) = with_group(&running, &home).await;
    take(&media, 0..15).await.unwrap();
    running.stop().await;
    let running = home.serve().await;
    let (admin, media) = clients(&running, &home);
    // It is learnt beside the serving: some questions later at the latest.
    for _ in 0..200 {
        take(&media, 15..25).await.unwrap();
        if !alarms(&admin).await.is_empty() {
            break;
        }
    }
    let said = alarms(&admin).await;
    assert!(said.len() == 2 && said[1].contains("CN=media-server-1"), "{said:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_hard_stop_refuses_further_volumes_until_the_hour_is_over() {
    let home = Home::new();
    let file = home.folder().join("kms.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(
        text.contains("[releases]\nalarm_floor = 20\nalarm_factor = 4\n"),
        "{text}"
    );
    let stopping = text.replace("[releases]\n", "[releases]\nstop_releases_above = 5\n");
    std::fs::write(&file, stopping).unwrap();
    let running = home.serve().await;
    let (_, media) = with_group(&running, &home).await;
    take(&media, 0..5).await.unwrap();
    let refused = take(&media, 5..6).await.unwrap_err();
    assert_eq!(refused.code(), Some(ErrorCode::ReleasesStopped));
    assert!(
        refused
            .to_string()
            .contains("keys for 5 volumes were released within this hour"),
        "{refused}"
    );
    take(&media, 0..5).await.unwrap();
    home.clock.advance_days(1);
    take(&media, 5..10).await.unwrap();
    running.stop().await;
    let refusals = home.audit();
    let refusals: Vec<_> = refusals
        .iter()
        .filter(|record| record.outcome.starts_with("refused: keys for 5 volumes"))
        .collect();
    assert_eq!(refusals.len(), 1);
    assert_eq!(refusals[0].volume.as_deref(), Some("A00005L8"));
}
