//! Snapshots that the service makes by itself, in a folder of its own, and which of them are kept.
//!
//! What is deleted was written here: the store has a record of it, its name has the id of that record, and the file says the same of itself. A
//! snapshot that a key counts on, and the newest one that counts, are never deleted.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::{SnapshotError, Target, file};
use crate::clock::Timestamp;
use crate::kad::KeyId;
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::model::ServiceError;
use crate::kms::schedule::Snapshots;
use crate::kms::service::Kms;
use crate::kms::store::{StoreError, quiesces, snapshots};
use crate::kms_api::SnapshotRecord;

impl Snapshots {
    /// The path of a snapshot of that id and time.
    pub(super) fn path(&self, id: KeyId, made: Timestamp) -> String {
        self.folder.join(name(&id.to_string(), made)).display().to_string()
    }

    /// Whether the schedule made that snapshot: its id stands in its name, and was drawn before there was a file.
    pub(in crate::kms) fn made(&self, record: &SnapshotRecord) -> bool {
        Path::new(&record.path) == self.folder.join(name(&record.id, record.made))
    }
}

/// Names sort by date; the id keeps two of one second apart.
fn name(id: &str, made: Timestamp) -> String {
    let short = id.get(..8).unwrap_or(id);
    let (date, time) = (made.date(), made.time());
    format!(
        "tapekey-{date}T{:02}{:02}{:02}Z-{short}.snapshot",
        time.hour(),
        time.minute(),
        time.second()
    )
}

impl Kms {
    /// Makes a snapshot in the folder of the schedule, and deletes those that are beyond its number. Goes on to its end also if the asker
    /// goes away.
    ///
    /// # Errors
    /// As [`Kms::create_snapshot`]. What goes wrong with deleting is an alarm, since the snapshot itself was made.
    pub(in crate::kms) async fn snapshot_to_schedule(
        self: &Arc<Self>,
        actor: &Actor,
    ) -> Result<Option<SnapshotRecord>, ServiceError> {
        let Some(place) = self.snapshots.clone() else {
            return Ok(None);
        };
        let (kms, actor) = (self.clone(), actor.clone());
        let work = move || {
            let made = kms.make_snapshot(&actor, &Target::Schedule(place.clone()));
            let pruned = match &made {
                Ok(_) => kms.prune(&place),
                Err(_) => Ok(()),
            };
            let now = kms.store.run_and_wait(|session| Ok(session.now))?;
            let failed = made.as_ref().err().map(|_| ());
            match (failed, &pruned) {
                (None, Err(_)) => kms.note_snapshot(now, &pruned),
                _ => kms.note_snapshot(now, &made),
            }
            made.map(Some)
        };
        tokio::task::spawn_blocking(work)
            .await
            .map_err(|_| StoreError::Stopped)?
    }

    /// Deletes what is beyond the number of snapshots that are kept. While the service is quiesced, nothing.
    fn prune(&self, place: &Snapshots) -> Result<(), ServiceError> {
        let look = |session: &mut crate::kms::store::Session<'_>| {
            Ok((
                quiesces::count(session)?,
                snapshots::newest(session, false, usize::MAX)?,
            ))
        };
        let (quiesces, records) = self.store.run_and_wait(look)?;
        if quiesces > 0 {
            return Ok(());
        }
        let newest = records
            .iter()
            .find(|record| record.counts)
            .map(|record| record.id.clone());
        let keep = usize::try_from(place.keep.get()).unwrap_or(usize::MAX);
        let beyond = records.into_iter().filter(|record| place.made(record)).skip(keep);
        for record in beyond.filter(|record| Some(&record.id) != newest.as_ref()) {
            self.delete_snapshot(&record)?;
        }
        Ok(())
    }

    /// The file first: a kill in between leaves a record without a file, which the next look takes away.
    fn delete_snapshot(&self, record: &SnapshotRecord) -> Result<(), ServiceError> {
        let id = record.id.clone();
        if self
            .store
            .run_and_wait(move |session| Ok(snapshots::keys_counting_on(session, &id)?))?
            > 0
        {
            return Ok(());
        }
        let path = Path::new(&record.path);
        let outcome = match file::id_of(path) {
            Ok(id) if id == record.id => {
                fs::remove_file(path).map_err(SnapshotError::file("delete", path))?;
                "done"
            }
            Err(SnapshotError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => "done: it was gone",
            Err(error @ SnapshotError::File { .. }) => return Err(error.into()),
            Ok(_) | Err(_) => "done: forgotten, since the file is another one by now and was left alone",
        };
        let mut event = Event::new(&Actor::schedule(), Action::DeleteSnapshot);
        event.detail = Some(format!("{} {}", record.id, record.path));
        event.outcome = outcome.to_owned();
        let id = record.id.clone();
        self.store
            .run_and_wait(move |session| session.audited(event, |session, _| Ok(snapshots::delete(session, &id)?)))?;
        tracing::info!(
            id = record.id,
            path = record.path,
            outcome,
            "an old snapshot was deleted"
        );
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms_api::SnapshotForm;

    #[test]
    fn a_name_has_date_and_id_and_no_other_snapshot_has_it() {
        let place: Snapshots = toml::from_str("folder = \"/mnt/disk\"").unwrap();
        let made = Timestamp::from_unix_timestamp(1_795_521_600).unwrap();
        let record = SnapshotRecord {
            id: KeyId([0xAB; 16]).to_string(),
            made,
            form: SnapshotForm::Snapshot,
            path: place.path(KeyId([0xAB; 16]), made),
            file_system: "0:1".to_owned(),
            counts: true,
            audit_head: String::new(),
            groups: 0,
            keys: 0,
            bytes: 0,
            sha256: String::new(),
        };
        assert_eq!(record.path, "/mnt/disk/tapekey-2026-11-24T120000Z-abababab.snapshot");
        assert!(place.made(&record));
        for path in [
            "/mnt/disk/1.snapshot",
            "/mnt/other/tapekey-2026-11-24T120000Z-abababab.snapshot",
            "/",
        ] {
            let by_hand = SnapshotRecord {
                path: path.to_owned(),
                ..record.clone()
            };
            assert!(!place.made(&by_hand), "{path}");
        }
        let other = SnapshotRecord {
            id: KeyId([1; 16]).to_string(),
            ..record
        };
        assert!(!place.made(&other), "somebody copied the name");
    }
}
