//! The real service killed in the middle of a rotation: the old key or the new one is active, never both, never none, and the next try goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use kms_support::process::{Process, verified};
use kms_support::{Home, group, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms_api::{KeyState, RotateGroup};

const DAILY: &str = "ENCR_daily";

#[tokio::test]
async fn a_kill_at_any_step_of_a_rotation_leaves_one_active_key_and_at_most_one_that_waits() {
    const SEEDS: u32 = 100;
    let home = Home::made_by_the_program();
    let _disk = home.schedule("every = \"never\"");
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    admin.create_group(&new_group(DAILY, KeyKind::Derived)).await.unwrap();
    rotate(&admin, DAILY).await;
    drop(process);
    let (mut waited, mut rotated) = (0, 0);
    for seed in 0..SEEDS {
        let process = Process::serve(&home.folder());
        let admin = process.client(&home.folder(), "admin-1");
        let media = process.client(&home.folder(), "media-server-1");
        let written = media.backup_key(DAILY, &volume("A1")).await.unwrap();
        let before = home.audit_records();
        // Three records: begun, snapshot made, rotated. The kill comes right after one of them, or when all is done.
        let kill_after = before + 1 + i64::from(seed % 3);
        let rotating = tokio::spawn(async move { admin.rotate_group(&group(DAILY), &RotateGroup::default()).await });
        while home.audit_records() < kill_after && !rotating.is_finished() {
            tokio::task::yield_now().await;
        }
        drop(process);
        let acknowledged = rotating.await.unwrap().ok();

        let process = Process::serve(&home.folder());
        let admin = process.client(&home.folder(), "admin-1");
        let media = process.client(&home.folder(), "media-server-1");
        let keys = admin.keys(None).await.unwrap();
        let count = |state| keys.iter().filter(|key| key.state == state).count();
        assert_eq!(count(KeyState::Active), 1, "seed {seed}");
        assert!(count(KeyState::Prelive) <= 1, "seed {seed}");
        waited += count(KeyState::Prelive);
        if let Some(moved) = acknowledged {
            assert!(
                keys.iter()
                    .any(|key| key.id == moved.key.id && key.state == KeyState::Active)
            );
        }
        let restored = media.restore_keys(&written.kad.encode(), None).await.unwrap();
        assert!(
            restored.keys.len() == 1 && restored.keys[0].key == written.key,
            "seed {seed}"
        );
        let report = admin.rotate_due().await.unwrap();
        assert_eq!(
            (report.rotated.len(), report.waiting.len()),
            (count(KeyState::Prelive), 0)
        );
        rotated += report.rotated.len();
        let keys = admin.keys(None).await.unwrap();
        assert!(keys.iter().all(|key| key.state != KeyState::Prelive), "seed {seed}");
        drop(process);
    }
    assert!(waited > 0 && waited == rotated, "no kill came in time");
    verified(&home.folder(), SEEDS);
}
