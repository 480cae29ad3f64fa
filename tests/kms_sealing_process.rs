//! Kills in the middle of sealing anew, a hundred seeds of each: whatever the moment, every key opens, and the next run goes on.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::process::{Command, Stdio};

use kms_support::process::{PROGRAM, Process, drawn, ended, verified};
use kms_support::{Home, group, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms_api::CreateKey;

const SEEDS: u32 = 100;

/// A KMS with some keys, one of them handed out for a volume with this KAD.
async fn with_keys(keys: usize) -> (Home, Vec<u8>) {
    let home = Home::made_by_the_program();
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    for _ in 1..keys {
        admin
            .create_key(&group("ENCR_daily"), &CreateKey::default())
            .await
            .unwrap();
    }
    rotate(&admin, "ENCR_daily").await;
    let media = process.client(&home.folder(), "media-server-1");
    let written = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    (home, written.kad.encode().to_vec())
}

#[tokio::test]
async fn a_kill_at_any_step_of_a_reseal_leaves_a_store_that_opens_and_the_next_try_ends_it() {
    let (home, _) = with_keys(3).await;
    let folder = home.folder();
    let config = || std::fs::read_to_string(folder.join("kms.toml")).unwrap();
    let (mut killed, mut between) = (0, 0);
    for seed in 0..SEEDS {
        let key = folder.join(format!("key-{seed}"));
        let (audited, before) = (home.audit_records(), config());
        let mut child = Command::new(PROGRAM)
            .arg("reseal")
            .arg(&folder)
            .arg("--master-key")
            .arg(&key)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // The steps as they can be seen from outside: key made, both keys named, store sealed, one key named.
        let reached = || match seed % 5 {
            0 => true,
            1 => key.exists(),
            2 => config() != before,
            3 => home.audit_records() > audited,
            _ => config() != before && !config().contains("former_master_key"),
        };
        let mut turns = drawn(seed) % 100;
        while child.try_wait().unwrap().is_none() {
            if reached() {
                if turns == 0 {
                    child.kill().unwrap();
                    killed += 1;
                    break;
                }
                // Not right after the step each time: a few turns of this loop later.
                turns -= 1;
            }
            std::thread::yield_now();
        }
        child.wait().unwrap();
        between += u32::from(config().contains("former_master_key"));
        verified(&folder, seed);
        let again = ended(
            Command::new(PROGRAM)
                .arg("reseal")
                .arg(&folder)
                .arg("--master-key")
                .arg(&key),
        );
        assert!(
            again.status.success(),
            "seed {seed}: {}",
            String::from_utf8_lossy(&again.stderr)
        );
        assert!(!config().contains("former_master_key"), "seed {seed}");
        verified(&folder, seed);
        // The former key is in no use.
        let former = if seed == 0 {
            folder.join("host-master.key")
        } else {
            folder.join(format!("key-{}", seed - 1))
        };
        std::fs::remove_file(former).unwrap();
    }
    assert!(
        killed >= 10 && between >= 1,
        "{killed} kills, {between} of them between two steps"
    );
    verified(&folder, SEEDS);
}

fn left_under_former(home: &Home) -> i64 {
    let newest = "SELECT id FROM sealing_keys WHERE purpose = 'key_protection' ORDER BY number DESC LIMIT 1";
    home.number(&format!("SELECT count(*) FROM keys WHERE sealed_under <> ({newest})"))
}

#[tokio::test]
async fn a_kill_at_any_step_of_sealing_anew_loses_no_key_and_the_next_start_goes_on() {
    const KEYS: i64 = 240;
    let (home, kad) = with_keys(usize::try_from(KEYS).unwrap()).await;
    let (mut half, mut finished) = (0, 0);
    for seed in 0..SEEDS {
        let process = Process::serve(&home.folder());
        let admin = process.client(&home.folder(), "admin-1");
        let media = process.client(&home.folder(), "media-server-1");
        let restored = media.restore_keys(&kad, None).await.unwrap();
        assert_eq!(restored.keys.len(), 1, "seed {seed}");
        let rotating = tokio::spawn(async move { admin.rotate_seal().await });
        let until = i64::from(drawn(seed)) % (KEYS + 30);
        // From the request on: the kill may come before the new key is there, and after the old one has gone.
        while !rotating.is_finished() || left_under_former(&home) > until {
            if rotating.is_finished() && left_under_former(&home) == 0 {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(process);
        let _ = rotating.await.unwrap();
        match left_under_former(&home) {
            0 => finished += 1,
            _ => half += 1,
        }
        verified(&home.folder(), seed);
    }
    assert!(
        half >= 5 && finished >= 1,
        "{half} kills in the middle, {finished} at the end"
    );
    // Undisturbed it comes to its end, and what was left of all rounds goes with it.
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    let mut seal = admin.status().await.unwrap().seal.unwrap();
    while seal.former > 0 {
        seal = admin.status().await.unwrap().seal.unwrap();
    }
    assert_eq!(seal.records_left, 0);
    let media = process.client(&home.folder(), "media-server-1");
    assert_eq!(media.restore_keys(&kad, None).await.unwrap().keys.len(), 1);
    verified(&home.folder(), SEEDS);
}
