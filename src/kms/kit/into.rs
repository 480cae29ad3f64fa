//! A whole new KMS from a kit: new CAs, certificates, host master key and store, and in it the groups and keys of the kit as they were.
//!
//! The issuing CA of the lost service is in no kit, so every client needs a new bundle. What was prelive becomes inactive: it may have been
//! used after the kit was made. External servers are in no kit either: groups stay bound to theirs by name, and get no new key before somebody
//! adds them again or says otherwise.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use thiserror::Error;

use super::{Contents, Head};
use crate::clock::Clock;
use crate::entropy::Entropy;
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::config::{ConfigError, KmsConfig};
use crate::kms::init::{InitError, Made, STORE, init_under};
use crate::kms::model::ServiceError;
use crate::kms::seal::HostMasterKey;
use crate::kms::service::Kms;
use crate::kms::store::{Session, StoreError, StoreFile, StorePlace, groups, keys};
use crate::kms_api::KeyState;

/// No KMS was made of the kit.
#[derive(Debug, Error)]
pub enum IntoError {
    /// The folder, a certificate or the empty store cannot be made.
    #[error(transparent)]
    Init(#[from] InitError),
    /// What was just made cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Groups and keys were not taken in.
    #[error("take the kit's keys into the new store: {0}")]
    Keys(#[from] ServiceError),
}

/// Makes a KMS in the empty `folder`, reachable under `hosts`, with everything of the kit. Returns what it made.
///
/// # Errors
/// [`IntoError`]; the folder is then as empty as it was.
pub async fn make_kms(
    (head, contents): (&Head, Contents),
    folder: &Path,
    hosts: &[String],
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<Vec<Made>, IntoError> {
    let master = HostMasterKey::generate(&*entropy).map_err(InitError::from)?;
    let store = StorePlace::Folder(STORE.into());
    let made = init_under(store, (&master, None), folder, hosts, (&*clock, &*entropy))?;
    match fill(folder, &master, (head, contents), clock, entropy).await {
        Ok(()) => Ok(made),
        Err(error) => {
            // `init` made everything in it just now. What cannot be removed is named by the next try.
            for one in fs::read_dir(folder).into_iter().flatten().flatten() {
                let path = one.path();
                let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
            }
            Err(error)
        }
    }
}

async fn fill(
    folder: &Path,
    master: &HostMasterKey,
    (head, contents): (&Head, Contents),
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
) -> Result<(), IntoError> {
    let config = KmsConfig::read(folder)?;
    let kms = Kms::start(StoreFile::open(&config.store, master)?, clock, entropy)?;
    let mut event = Event::new(&Actor::local(), Action::RestoreStore);
    event.detail = Some(format!("from kit {}", head.id));
    let work = move |session: &Session<'_>, event: &mut Event| take_in(session, contents, event);
    Ok(kms.store.run(move |session| session.audited(event, work)).await?)
}

fn take_in(session: &Session<'_>, contents: Contents, event: &mut Event) -> Result<(), ServiceError> {
    let (mut count, mut retired, mut bound) = (0_usize, 0_usize, 0_usize);
    let groups = contents.groups.len();
    for group in contents.groups {
        bound += usize::from(group.record.server.is_some());
        let kept = groups::insert_as_it_was(session, group.record, group.released_outside)?;
        for mut key in group.keys {
            count += 1;
            if key.record.state == KeyState::Prelive {
                key.record.state = KeyState::Inactive;
                retired += 1;
            }
            keys::insert_as_it_was(session, &kept, key.record, &key.key)?;
        }
    }
    event.outcome = format!(
        "done: {groups} groups, {count} keys; {retired} prelive ones are inactive now; {bound} groups stay bound to a server"
    );
    Ok(())
}
