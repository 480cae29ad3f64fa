//! Snapshots that the service makes by itself, on a virtual clock: no test waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::PathBuf;

use kms_support::Home;
use kms_support::rotating::{DAILY, Service, snapshots_in};
use tapekey::kms::audit::Actor;
use tapekey::kms::master_key::{Given, MasterKeySource};
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms::verify::verify;
use tapekey::kms_api::CreateSnapshot;
use tapekey::kms_api::KeyState::{Active, Prelive};

#[tokio::test]
async fn snapshots_are_made_on_schedule_and_the_oldest_of_the_schedule_are_deleted() {
    let (mut service, disk) = Service::start("every = \"24h\"\nkeep = 3").await;
    let first = snapshots_in(disk.path());
    assert_eq!(first.len(), 1, "the first one is made at the start");
    let by_hand = disk.path().join("tapekey-2026-01-01T000000Z-12345678.snapshot");
    let wanted = CreateSnapshot {
        path: by_hand.to_str().unwrap().to_owned(),
        same_filesystem: false,
    };
    service.kms.create_snapshot(&Actor::local(), wanted).await.unwrap();
    std::fs::write(disk.path().join("tapekey-notes.txt"), "mine").unwrap();
    service.days(10).await;
    let left = snapshots_in(disk.path());
    assert_eq!(
        left.len(),
        5,
        "three of the schedule, one by hand, and a note: {left:?}"
    );
    assert!(by_hand.exists() && !left.contains(&first[0]));
    let status = service.status().await;
    let schedule = status.schedule.unwrap();
    assert_eq!((schedule.every_seconds, schedule.keep), (Some(86_400), 3));
    assert_eq!(schedule.next.unwrap() - schedule.last.unwrap(), time::Duration::DAY);
    assert_eq!(status.last_snapshot.unwrap().made, schedule.last.unwrap());
    let listed = service.kms.snapshots().await.unwrap().snapshots;
    assert_eq!(listed.len(), 4, "what was deleted is listed no more");
    let deleted = service
        .home
        .audit()
        .iter()
        .filter(|record| record.action == "delete_snapshot")
        .count();
    assert_eq!(deleted, 8);
    for snapshot in listed {
        let key = service.home.master_key_file();
        let path = PathBuf::from(snapshot.path);
        let (clock, entropy) = (&*service.home.clock, &*service.home.entropy);
        let report = verify(
            &path,
            (Some(&MasterKeySource::File(key)), &Given::default()),
            (clock, entropy),
            &mut |_, _, _| {},
        )
        .unwrap();
        assert!(report.problems.is_empty());
    }
}

#[tokio::test]
async fn what_is_not_the_snapshot_any_more_is_left_alone() {
    let (mut service, disk) = Service::start("every = \"24h\"\nkeep = 1").await;
    let first = disk.path().join(&snapshots_in(disk.path())[0]);
    std::fs::write(&first, "somebody else's").unwrap();
    service.days(1).await;
    assert_eq!(std::fs::read_to_string(&first).unwrap(), "somebody else's");
    let second = snapshots_in(disk.path())
        .into_iter()
        .find(|name| !first.ends_with(name))
        .unwrap();
    std::fs::remove_file(disk.path().join(&second)).unwrap();
    service.days(2).await;
    assert_eq!(snapshots_in(disk.path()).len(), 2);
    let outcomes: Vec<_> = service
        .home
        .audit()
        .into_iter()
        .filter(|record| record.action == "delete_snapshot")
        .map(|record| record.outcome)
        .collect();
    assert!(
        outcomes[0].contains("left alone") && outcomes[1].contains("it was gone"),
        "{outcomes:?}"
    );
    assert!(service.status().await.alarms.is_empty());
}

#[tokio::test]
async fn missed_snapshots_are_made_up_once_and_none_is_made_early_after_a_restart() {
    let (mut service, disk) = Service::start("every = \"24h\"").await;
    service.home.clock.advance_hours(10);
    service = service.restart();
    service.look().await;
    assert_eq!(snapshots_in(disk.path()).len(), 1, "the last one is eleven hours old");
    service.home.clock.advance_hours(13);
    service.look().await;
    assert_eq!(snapshots_in(disk.path()).len(), 2);
    // A week without the service.
    service.home.clock.advance_days(7);
    service = service.restart();
    service.look().await;
    service.look().await;
    assert_eq!(snapshots_in(disk.path()).len(), 3);
    service.days(1).await;
    assert_eq!(snapshots_in(disk.path()).len(), 4);
    // The wall clock goes back by a year: intervals go on.
    service.home.clock.jump_days(-365);
    service.days(3).await;
    assert_eq!(snapshots_in(disk.path()).len(), 7);
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_made_is_an_alarm_until_one_can() {
    let (mut service, disk) = Service::start("every = \"24h\"").await;
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    service.days(1).await;
    let alarms = service.status().await.alarms;
    assert!(
        alarms[0].starts_with("the snapshot of 2026-11-25T") && alarms[0].contains("failed: look at"),
        "{alarms:?}"
    );
    std::fs::rename(&away, disk.path()).unwrap();
    service.home.clock.advance_hours(1);
    service.look().await;
    assert!(
        service.status().await.alarms.is_empty(),
        "it tried again long before a day was over"
    );
    assert_eq!(snapshots_in(disk.path()).len(), 2);
}

#[tokio::test]
async fn a_schedule_beside_the_store_makes_no_snapshot_and_activates_no_key() {
    let home = Home::new();
    let path = home.folder().join("kms.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::create_dir(home.folder().join("beside")).unwrap();
    std::fs::write(path, format!("{text}[snapshots]\nfolder = \"beside\"\n")).unwrap();
    let mut service = Service {
        kms: home.kms(),
        home,
        upkeep: Upkeep::default(),
    };
    service.new_group(DAILY).await;
    service.rotate_after(DAILY, 1).await;
    service.look().await;
    service.days(2).await;
    assert!(snapshots_in(&service.home.folder().join("beside")).is_empty());
    assert_eq!(service.states(DAILY).await, [Active, Prelive]);
    let alarms = service.status().await.alarms;
    assert!(
        alarms
            .iter()
            .all(|alarm| alarm.contains("would lie on the file system of the store")),
        "{alarms:?}"
    );
}
