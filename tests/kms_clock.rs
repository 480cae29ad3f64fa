//! A wall clock that is set forward and back while the service serves: backups and restores go on, or the reason is said; the store is whole.
//! What jumps do to waiting times and rotations is in `kms_requests.rs` and `kms_rotation.rs`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use kms_support::{Home, Running, group, new_group, rotate, volume};
use tapekey::kad::KeyKind;
use tapekey::kms::master_key::Given;
use tapekey::kms::verify::verify;
use tapekey::kms_api::KeyState;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const DAILY: &str = "ENCR_daily";

#[track_caller]
fn is_whole(home: &Home) {
    let (clock, entropy) = (&*home.clock, &*home.entropy);
    let key = (None, &Given::default());
    let report = verify(&home.folder(), key, (clock, entropy), &mut |_, _, _| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

async fn is_alive(running: &Running) -> bool {
    let mut stream = TcpStream::connect(running.metrics).await.unwrap();
    let request = b"GET /healthz HTTP/1.1\r\nhost: kms\r\nconnection: close\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.starts_with("HTTP/1.1 200 ")
}

#[tokio::test]
async fn a_clock_set_forward_and_back_stops_no_backup_and_loses_no_key() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin.create_group(&new_group(DAILY, KeyKind::Derived)).await.unwrap();
    rotate(&admin, DAILY).await;
    let mut written = Vec::new();
    // Within the two years of the certificates, there and back.
    for days in [0, 300, -300, 700, -1, -699] {
        home.clock.jump_days(days);
        let media = home.client("media-server-1", running.address);
        rotate(&admin, DAILY).await;
        written.push(media.backup_key(DAILY, &volume("A1")).await.unwrap());
        for one in &written {
            let restored = media.restore_keys(&one.kad.encode(), None).await.unwrap();
            assert!(restored.keys.len() == 1 && restored.keys[0].key == one.key, "{days}");
        }
        let keys = admin.keys(Some(&group(DAILY))).await.unwrap();
        let active: Vec<_> = keys.iter().filter(|key| key.state == KeyState::Active).collect();
        assert_eq!(active.len(), 1);
        assert_eq!(active[0].id, written.last().unwrap().kad.key_id(), "{days}");
    }
    running.stop().await;
    is_whole(&home);
}

#[tokio::test]
async fn a_clock_beyond_the_certificates_is_said_and_the_service_serves_again_once_it_is_right() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin.create_group(&new_group(DAILY, KeyKind::Derived)).await.unwrap();
    rotate(&admin, DAILY).await;
    let media = home.client("media-server-1", running.address);
    let written = media.backup_key(DAILY, &volume("A1")).await.unwrap();
    for (days, says) in [(-400, "certificate not valid yet"), (1200, "certificate expired")] {
        let late = home.client("media-server-1", running.address);
        home.clock.jump_days(days);
        let refused = late.backup_key(DAILY, &volume("A2")).await.err().unwrap().to_string();
        assert!(refused.contains(says) && refused.contains("\nhint: "), "{refused}");
        assert!(is_alive(&running).await, "{days}");
        home.clock.jump_days(-days);
        let again = home.client("media-server-1", running.address);
        let restored = again.restore_keys(&written.kad.encode(), None).await.unwrap();
        assert!(restored.keys[0].key == written.key, "{days}");
        again.backup_key(DAILY, &volume("A3")).await.map(drop).unwrap();
    }
    running.stop().await;
    is_whole(&home);
}
