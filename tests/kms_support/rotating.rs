//! A service with a group whose key is rotated and snapshots of its own, looked after when the test says so: no test waits.

use std::path::Path;
use std::sync::Arc;

use tapekey::kad::KeyKind;
use tapekey::kms::audit::Actor;
use tapekey::kms::master_key::Given;
use tapekey::kms::service::Kms;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms::verify::verify;
use tapekey::kms_api::{
    BackupKeyRequest, KeyMove, KeyName, KeyRecord, KeyState, PageQuery, Purpose, RotateAfter, RotateGroup,
    ServiceStatus, SetRotation,
};

use super::{Home, group, new_group, volume};

pub(crate) const DAILY: &str = "ENCR_daily";

/// A service with a group whose first key is active, and that is looked after when the test says so.
pub(crate) struct Service {
    pub(crate) home: Home,
    pub(crate) kms: Arc<Kms>,
    pub(crate) upkeep: Upkeep,
}

impl Service {
    /// `lines`: of `[snapshots]` in kms.toml.
    pub(crate) async fn start(lines: &str) -> (Self, tempfile::TempDir) {
        let home = Home::new();
        let disk = home.schedule(lines);
        let mut service = Self {
            kms: home.kms(),
            home,
            upkeep: Upkeep::default(),
        };
        service.new_group(DAILY).await;
        // The clock is trusted from the second look on.
        service.look().await;
        service.home.clock.advance_hours(1);
        (service, disk)
    }

    pub(crate) async fn new_group(&self, name: &str) {
        let admin = Actor::local();
        self.kms
            .create_group(&admin, new_group(name, KeyKind::Derived))
            .await
            .unwrap();
        self.rotate(name, None, true).await.unwrap();
    }

    pub(crate) async fn rotate(&self, name: &str, key: Option<&str>, single_copy: bool) -> Result<KeyMove, String> {
        let wanted = RotateGroup {
            name: key.map(|key| KeyName::new(key).unwrap()),
            single_copy,
        };
        let rotated = self.kms.rotate_group(&Actor::local(), group(name), wanted).await;
        rotated.map_err(|error| error.to_string())
    }

    pub(crate) async fn rotate_after(&self, name: &str, days: u32) {
        let to = SetRotation {
            rotate_after: RotateAfter::Days(days),
        };
        self.kms.set_rotation(&Actor::local(), group(name), to).await.unwrap();
    }

    pub(crate) async fn look(&mut self) {
        self.upkeep.look(&self.kms, &*self.home.clock).await;
    }

    /// One look a day, at most so many.
    pub(crate) async fn days(&mut self, days: i64) {
        for _ in 0..days {
            self.home.clock.advance_days(1);
            self.look().await;
        }
    }

    /// The service ends, as by a kill, and another one begins.
    pub(crate) fn restart(self) -> Self {
        drop(Arc::into_inner(self.kms).expect("nobody works with it any more"));
        Self {
            kms: self.home.kms(),
            home: self.home,
            upkeep: Upkeep::default(),
        }
    }

    pub(crate) async fn keys(&self, name: &str) -> Vec<KeyRecord> {
        let query = PageQuery {
            group: Some(group(name)),
            after: None,
        };
        let mut keys = self.kms.keys(query).await.unwrap().keys;
        keys.sort_by_key(|key| (key.created, key.name.to_string()));
        keys
    }

    pub(crate) async fn states(&self, name: &str) -> Vec<KeyState> {
        self.keys(name).await.iter().map(|key| key.state).collect()
    }

    pub(crate) async fn status(&self) -> ServiceStatus {
        self.kms.status().await.unwrap()
    }

    /// The key that a volume would be written under now.
    pub(crate) async fn serves(&self, name: &str) -> KeyName {
        let request = BackupKeyRequest {
            purpose: Purpose::Tape,
            group: group(name),
            volume: volume("A1"),
        };
        self.kms.backup_key(&Actor::local(), request).await.unwrap().key_name
    }

    pub(crate) fn verify(&self) {
        let (clock, entropy) = (&*self.home.clock, &*self.home.entropy);
        let report = verify(
            &self.home.folder(),
            (None, &Given::default()),
            (clock, entropy),
            &mut |_, _, _| {},
        )
        .unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }
}

pub(crate) fn snapshots_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
