//! What a removal goes by, where something happens between its two looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::MockClock;
use crate::entropy::{Entropy, EntropyError};
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::config::KmsConfig;
use crate::kms::init::{STORE, init_under};
use crate::kms::seal::HostMasterKey;
use crate::kms::service::Kms;
use crate::kms::store::{StoreFile, StorePlace};
use crate::kms_api::{HELD_VOLUMES_SHOWN, HeldVolume, ServerName};

/// Never gives the same bytes again.
#[derive(Default)]
struct Counting(AtomicU64);

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        for chunk in bytes.chunks_mut(8) {
            let number = self.0.fetch_add(1, Ordering::SeqCst).to_le_bytes();
            chunk.copy_from_slice(&number[..chunk.len()]);
        }
        Ok(())
    }
}

async fn release(kms: &Kms, volume: &str) {
    let mut event = Event::new(&Actor::local(), Action::BackupKey);
    event.group = Some("ENCR_a".to_owned());
    event.volume = Some(volume.to_owned());
    event.detail = Some("from offsite (KMIP at offsite.example.org:5696)".to_owned());
    let work = kms.store.run(|session| session.audited(event, |_, _| Ok(())));
    work.await.unwrap();
}

#[tokio::test]
async fn a_key_that_leaves_between_the_look_at_the_records_and_the_removal_is_seen() {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("kms");
    let (mut clock, entropy) = (MockClock::new(), Arc::new(Counting::default()));
    clock
        .expect_now()
        .return_const(time::macros::datetime!(2026-11-24 12:00 UTC));
    clock.expect_monotonic().return_const(Duration::ZERO);
    let clock = Arc::new(clock);
    let master = HostMasterKey::generate(&*entropy).unwrap();
    let place = StorePlace::Folder(STORE.into());
    init_under(place, (&master, None), &folder, &[], (&*clock, &*entropy)).unwrap();
    let file = StoreFile::open(&KmsConfig::read(&folder).unwrap().store, &master).unwrap();
    let kms = Arc::new(Kms::start(file, clock, entropy).unwrap());
    let offsite = ServerName::new("offsite").unwrap();

    release(&kms, "A00001L8").await;
    let held = kms.held_volumes(offsite.clone()).await.unwrap();
    let names = |volumes: &[HeldVolume]| -> Vec<String> {
        let volumes = volumes.iter().filter_map(|held| held.volume.as_ref());
        volumes.map(ToString::to_string).collect()
    };
    assert_eq!(names(&held.volumes), ["A00001L8"]);
    release(&kms, "A00002L8").await;
    let until_now = kms
        .store
        .run(move |session| Ok(held.until_now(session, &offsite, HELD_VOLUMES_SHOWN)?));
    let mut found = names(&until_now.await.unwrap());
    found.sort_unstable();
    assert_eq!(found, ["A00001L8", "A00002L8"]);
}
