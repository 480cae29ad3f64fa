//! Rotation by age and by command, on a virtual clock: no test waits.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::path::PathBuf;

use kms_support::rotating::{DAILY, Service, snapshots_in};
use kms_support::{Home, group, new_group, passphrase_key};
use tapekey::kad::KeyKind;
use tapekey::kms::audit::Actor;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms_api::{
    CreateSnapshot, Describe, ErrorCode, KeyName, KeyState, MoveKey, RenameGroup, RenameKey, RotateAfter, RotateGroup,
    SetRotation,
};

use KeyState::{Active, Inactive, Prelive};

#[tokio::test]
async fn a_key_is_rotated_by_itself_at_its_age_and_not_before() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 90).await;
    service.days(89).await;
    assert_eq!(service.states(DAILY).await, [Active]);
    assert!(snapshots_in(disk.path()).is_empty(), "nothing was due");
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
    let keys = service.keys(DAILY).await;
    assert_eq!(service.serves(DAILY).await, keys[1].name);
    assert_eq!(snapshots_in(disk.path()).len(), 1);
    service.days(89).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active], "its own age counts");
    service.days(2).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Inactive, Active]);
    assert_eq!(service.status().await.keys_in_no_snapshot, 0);
    assert!(service.status().await.alarms.is_empty());

    let by_itself: Vec<_> = service
        .home
        .audit()
        .into_iter()
        .filter(|record| record.subject == "schedule")
        .collect();
    let actions: Vec<_> = by_itself.iter().map(|record| record.action.as_str()).collect();
    assert_eq!(actions, ["begin_rotation", "create_snapshot", "rotate_group"].repeat(2));
    assert!(by_itself.iter().all(|record| record.outcome.starts_with("done")));
    service.verify();
}

#[tokio::test]
async fn an_age_can_be_taken_back_and_must_make_sense() {
    let (mut service, _disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 30).await;
    let never = SetRotation {
        rotate_after: RotateAfter::Never,
    };
    let set = service
        .kms
        .set_rotation(&Actor::local(), group(DAILY), never)
        .await
        .unwrap();
    assert_eq!(set.rotate_after_days, None);
    service.days(40).await;
    assert_eq!(service.states(DAILY).await, [Active]);
    for days in [0, 3651, u32::MAX] {
        let bad = SetRotation {
            rotate_after: RotateAfter::Days(days),
        };
        let refused = service.kms.set_rotation(&Actor::local(), group(DAILY), bad).await;
        assert!(refused.unwrap_err().to_string().contains("1 to 3650 days"));
    }
}

#[tokio::test]
async fn a_new_name_or_note_does_not_make_a_key_younger_and_an_activation_does() {
    let (mut service, _disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 30).await;
    service.days(20).await;
    let (admin, name) = (Actor::local(), service.keys(DAILY).await.remove(0).name);
    let to = RenameKey {
        name: KeyName::new("renamed").unwrap(),
    };
    service
        .kms
        .rename_key(&admin, (group(DAILY), name), to.clone())
        .await
        .unwrap();
    let note = Describe {
        description: "x".to_owned(),
    };
    service
        .kms
        .describe_key(&admin, (group(DAILY), to.name.clone()), note)
        .await
        .unwrap();
    service.days(10).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
    // Back to the old key: it is young again.
    let active = MoveKey {
        state: Active,
        single_copy: true,
    };
    service
        .kms
        .move_key(&admin, (group(DAILY), to.name), active)
        .await
        .unwrap();
    service.days(29).await;
    assert_eq!(service.states(DAILY).await, [Active, Inactive]);
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Inactive, Active]);
}

#[tokio::test]
async fn the_old_key_serves_while_a_snapshot_fails_and_the_next_try_goes_on_with_the_same_new_key() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    let first = service.serves(DAILY).await;
    service.rotate_after(DAILY, 1).await;
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Active, Prelive]);
    assert_eq!(service.serves(DAILY).await, first);
    let waiting = service.keys(DAILY).await.remove(1);
    let status = service.status().await;
    assert_eq!(status.rotations[0].key.as_ref(), Some(&waiting.name));
    assert!(
        status
            .alarms
            .iter()
            .any(|alarm| alarm.contains("the rotation of group ENCR_daily waits: look at ")),
        "{:?}",
        status.alarms
    );
    // Tries are made, and none makes another key.
    service.days(3).await;
    service = service.restart();
    service.days(3).await;
    assert_eq!(service.states(DAILY).await, [Active, Prelive]);
    std::fs::rename(&away, disk.path()).unwrap();
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
    assert_eq!(service.serves(DAILY).await, waiting.name);
    assert!(service.status().await.alarms.is_empty());
    service.verify();
}

#[tokio::test]
async fn failed_tries_come_seldomer() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 1).await;
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    for _ in 0..72 {
        service.home.clock.advance_hours(1);
        service.look().await;
    }
    let tries = service
        .home
        .audit()
        .iter()
        .filter(|record| record.action == "create_snapshot")
        .count();
    assert!((7..=18).contains(&tries), "{tries} tries in two days");
    std::fs::rename(&away, disk.path()).unwrap();
}

#[tokio::test]
async fn many_groups_that_are_due_share_one_snapshot() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    let names: Vec<_> = (0..12).map(|number| format!("ENCR_{number}")).collect();
    for name in &names {
        service.new_group(name).await;
        service.rotate_after(name, 7).await;
    }
    service.days(7).await;
    for name in &names {
        assert_eq!(service.states(name).await, [Inactive, Active]);
    }
    assert_eq!(service.states(DAILY).await, [Active]);
    assert_eq!(snapshots_in(disk.path()).len(), 1);
}

#[tokio::test]
async fn without_a_place_for_snapshots_no_key_is_made_and_the_status_says_so() {
    let home = Home::new();
    let mut service = Service {
        kms: home.kms(),
        home,
        upkeep: Upkeep::default(),
    };
    service.new_group(DAILY).await;
    service.rotate_after(DAILY, 1).await;
    service.look().await;
    service.days(2).await;
    assert_eq!(service.states(DAILY).await, [Active]);
    let status = service.status().await;
    assert!(
        status.alarms[0].contains("kms.toml has no [snapshots] folder"),
        "{:?}",
        status.alarms
    );
    let report = service.kms.rotate_due(&Actor::local()).await.unwrap();
    assert!(report.rotated.is_empty() && report.waiting.len() == 1);
}

#[tokio::test]
async fn a_key_of_a_passphrase_is_not_replaced_by_a_random_one_unasked() {
    let (mut service, _disk) = Service::start("every = \"never\"").await;
    let (admin, key) = (Actor::local(), passphrase_key(3));
    let made = service
        .kms
        .create_passphrase_key(&admin, group(DAILY), key)
        .await
        .unwrap();
    let active = MoveKey {
        state: Active,
        single_copy: false,
    };
    service
        .kms
        .move_key(&admin, (group(DAILY), made.name), active)
        .await
        .unwrap();
    service.rotate_after(DAILY, 1).await;
    service.days(2).await;
    let states = service.states(DAILY).await;
    assert_eq!(states.iter().filter(|state| **state == Active).count(), 1);
    assert_eq!(states.len(), 2);
    let status = service.status().await;
    assert!(
        status.alarms[0].contains("tapekey kms key create ENCR_daily --passphrase"),
        "{:?}",
        status.alarms
    );
    service.rotate(DAILY, None, false).await.unwrap();
    assert_eq!(service.keys(DAILY).await.len(), 3, "asked for, it is done");
}

#[tokio::test]
async fn a_clock_that_jumps_rotates_nothing_until_it_runs_straight_and_then_once() {
    let (mut service, _disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 90).await;
    service.days(1).await;
    // Forth and back and forth, a look after each.
    for days in [400, -400, 800, -800, 400] {
        service.home.clock.jump_days(days);
        service.look().await;
        assert_eq!(service.states(DAILY).await, [Active], "{days}");
        assert!(service.status().await.alarms[0].contains("the clock jumped"));
    }
    service.home.clock.advance_hours(1);
    service.look().await;
    assert_eq!(
        service.states(DAILY).await,
        [Inactive, Active],
        "an hour later it counts"
    );
    service.days(80).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
    // Set right again: the active key is from the future, and of no age.
    service.home.clock.jump_days(-400);
    service.days(200).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
    let alarms = service.status().await.alarms;
    assert!(
        alarms[0].contains("which is yet to come: is the clock right?"),
        "{alarms:?}"
    );
    service.rotate(DAILY, None, false).await.unwrap();
    assert!(service.status().await.alarms.is_empty());
    service.days(90).await;
    let states = service.states(DAILY).await;
    let active = states.iter().filter(|state| **state == Active).count();
    assert_eq!((states.len(), active), (4, 1), "and goes on from there");
}

#[tokio::test]
async fn nothing_is_rotated_while_quiesced_and_snapshots_are_made() {
    let (mut service, disk) = Service::start("every = \"24h\"").await;
    service.rotate_after(DAILY, 1).await;
    service.kms.quiesce(&Actor::local()).await.unwrap();
    let before = service
        .home
        .audit()
        .iter()
        .filter(|record| record.outcome.starts_with("refused"))
        .count();
    service.days(3).await;
    assert_eq!(service.states(DAILY).await, [Active]);
    assert!(snapshots_in(disk.path()).len() >= 3);
    let after = service
        .home
        .audit()
        .iter()
        .filter(|record| record.outcome.starts_with("refused"))
        .count();
    assert_eq!(before, after, "nothing is tried that would be refused");
    service.kms.unquiesce(&Actor::local()).await.unwrap();
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Inactive, Active]);
}

#[tokio::test]
async fn a_rotation_by_command_takes_the_three_steps_at_once() {
    let (service, disk) = Service::start("every = \"never\"").await;
    let moved = service.rotate(DAILY, Some("second"), false).await.unwrap();
    assert_eq!((moved.key.name.as_str(), moved.key.state), ("second", Active));
    assert_eq!(moved.former.unwrap().state, Inactive);
    assert_eq!(snapshots_in(disk.path()).len(), 1);
    let taken = service.rotate(DAILY, Some("second"), false).await.unwrap_err();
    assert!(taken.contains("there is a key second"), "{taken}");

    // Its snapshot fails; another name is then another wish.
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    service.rotate(DAILY, Some("third"), false).await.unwrap_err();
    assert_eq!(service.serves(DAILY).await.as_str(), "second");
    std::fs::rename(&away, disk.path()).unwrap();
    let other = service.rotate(DAILY, Some("fourth"), false).await.unwrap_err();
    assert!(other.contains("key third waits to become active"), "{other}");
    let moved = service.rotate(DAILY, None, false).await.unwrap();
    assert_eq!(moved.key.name.as_str(), "third");
    assert_eq!(service.keys(DAILY).await.len(), 3);
    service.verify();
}

#[tokio::test]
async fn a_waiting_key_that_went_another_way_is_not_waited_for() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    service.new_group("ENCR_other").await;
    service.rotate_after(DAILY, 1).await;
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    service.days(1).await;
    let waiting = service.keys(DAILY).await.remove(1);
    let admin = Actor::local();
    // The group is renamed meanwhile: the rotation goes with it.
    let to = RenameGroup {
        name: group("ENCR_nightly"),
    };
    service.kms.rename_group(&admin, group(DAILY), to).await.unwrap();
    assert_eq!(service.status().await.rotations[0].group, group("ENCR_nightly"));
    // Somebody activates the waiting key by hand.
    let active = MoveKey {
        state: Active,
        single_copy: true,
    };
    service
        .kms
        .move_key(&admin, (group("ENCR_nightly"), waiting.name), active)
        .await
        .unwrap();
    assert!(service.status().await.rotations.is_empty());
    std::fs::rename(&away, disk.path()).unwrap();
    service.look().await;
    assert_eq!(service.states("ENCR_nightly").await, [Inactive, Active]);
    service.days(1).await;
    assert_eq!(service.states("ENCR_nightly").await, [Inactive, Inactive, Active]);
}

#[tokio::test]
async fn a_rotation_that_a_restored_store_had_begun_starts_anew() {
    let (mut service, disk) = Service::start("every = \"never\"").await;
    service.rotate_after(DAILY, 1).await;
    let away = PathBuf::from(format!("{}.away", disk.path().display()));
    std::fs::rename(disk.path(), &away).unwrap();
    service.days(1).await;
    assert_eq!(service.states(DAILY).await, [Active, Prelive]);
    std::fs::rename(&away, disk.path()).unwrap();
    let path = disk.path().join("by-hand");
    let wanted = CreateSnapshot {
        path: path.to_str().unwrap().to_owned(),
        same_filesystem: false,
    };
    service.kms.create_snapshot(&Actor::local(), wanted).await.unwrap();

    let new = Home::empty_beside(&service.home);
    let master = tapekey::kms::seal::HostMasterKey::read(&service.home.master_key_file()).unwrap();
    let with = tapekey::kms::snapshot::restore::RestoreWith {
        master: &master,
        hosts: &[],
        clock: &*service.home.clock,
        entropy: &*service.home.entropy,
        progress: &mut |_, _, _| {},
    };
    tapekey::kms::snapshot::restore::restore(&path, &new.folder(), with).unwrap();
    let new_disk = new.schedule("every = \"never\"");
    let mut restored = Service {
        kms: new.kms(),
        home: new,
        upkeep: Upkeep::default(),
    };
    restored.look().await;
    restored.days(1).await;
    assert_eq!(restored.states(DAILY).await, [Inactive, Inactive, Active]);
    assert_eq!(snapshots_in(new_disk.path()).len(), 1);
}

#[tokio::test]
async fn rotations_over_the_web_service_and_their_refusals() {
    let home = Home::new();
    let disk = home.schedule("every = \"never\"");
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let media = home.client("media-server-1", running.address);
    admin.create_group(&new_group(DAILY, KeyKind::Derived)).await.unwrap();
    let steps = RotateGroup::default();
    let first = admin.rotate_group(&group(DAILY), &steps).await.unwrap();
    assert_eq!((first.key.state, snapshots_in(disk.path()).len()), (Active, 1));
    let to = SetRotation {
        rotate_after: RotateAfter::Days(7),
    };
    assert_eq!(
        admin.set_rotation(&group(DAILY), &to).await.unwrap().rotate_after_days,
        Some(7)
    );
    assert_eq!(admin.rotate_due().await.unwrap().rotated, []);
    home.clock.advance_days(8);
    let report = admin.rotate_due().await.unwrap();
    assert!(report.rotated[0].former.as_ref().unwrap().id == first.key.id && report.waiting.is_empty());
    for refused in [
        media.set_rotation(&group(DAILY), &to).await.err(),
        media.rotate_due().await.err(),
    ] {
        assert_eq!(refused.unwrap().code(), Some(ErrorCode::Forbidden));
    }
    running.stop().await;
}
