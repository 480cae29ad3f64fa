//! The way from a host to its KMS: mutual TLS, several addresses in order, answers checked before they are believed.
//!
//! An address that cannot be reached, or that answers nonsense, is passed over; a definite answer of one KMS is final. No key byte ever
//! reaches an error or a log from here, and buffers that held keys are wiped as far as the libraries hand them over.

mod address;
mod answer;
mod ask;
mod audit;
mod bundle;
mod certificates;
mod enroll;
mod error;
mod files;
pub mod heads;
mod lifecycle;
mod look;
pub mod renewal;
mod requests;
mod servers;
mod signing;
mod tls;

pub use address::{AddressError, KmsAddress};
pub use answer::{BackupKey, CandidateKey, KeyServer, RestoreAnswer, RestoredKey, ServerOutcome};
pub use bundle::{BundleError, NewBundle};
pub use enroll::{EnrollError, Enrolled, enroll};
pub use error::{KmsClientError, NoAnswer, Remedy, Unanswered};
pub use files::SetupError;
pub use look::{NodeLook, OwnCertificateFacts};

use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use reqwest::Method;

use self::ask::Question;
use self::heads::HeadBook;
use crate::clock::{Clock, Timestamp};
use crate::kad::{BlockKads, OurKad};
use crate::kms_api::{
    self, BackupKeyRequest, ClearedCache, CreateGroup, CreateKey, CreatePassphraseKey, CreateSnapshot, GroupList,
    GroupName, GroupRecord, ImportKeys, ImportReport, KeyList, KeyMove, KeyName, KeyRecord, MoveKey, PageQuery,
    Purpose, RestoreKeysRequest, RotateGroup, ServiceStatus, SnapshotList, SnapshotRecord, VolumeName,
};

/// How a host reaches its KMS.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Where it listens; tried in this order.
    pub addresses: Vec<KmsAddress>,
    /// PEM file: the CA that the KMS's certificate must come from.
    pub ca: PathBuf,
    /// PEM file: our certificate.
    pub certificate: PathBuf,
    /// PEM file: our private key; nobody else may read it.
    pub key: PathBuf,
    /// How long one address may take for one answer.
    pub timeout: Duration,
}

impl Own {
    fn of_files(config: &ClientConfig, clock: &Arc<dyn Clock>) -> Result<Self, SetupError> {
        let (tls, certificate) = tls::tls_config(config, clock)?;
        Ok(Self {
            http: tls::http_client(tls, config.timeout)?,
            certificate,
        })
    }
}

impl ClientConfig {
    /// How long an address may take where nobody says otherwise.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// A client of the KMS. Cheap to share behind an `Arc`; connections are kept and used again.
pub struct KmsClient {
    /// Replaced when our certificate is.
    own: RwLock<Own>,
    addresses: Vec<KmsAddress>,
    timeout: Duration,
    heads: Option<Arc<HeadBook>>,
    /// The files; a host that enrolls has none yet.
    config: Option<ClientConfig>,
    clock: Arc<dyn Clock>,
}

/// Connections under one certificate, and that certificate.
#[derive(Clone)]
struct Own {
    http: reqwest::Client,
    certificate: Option<tls::OwnCertificate>,
}

impl KmsClient {
    /// Checks addresses and files and makes a client; nothing is sent yet. Reads files: not for an async task that must not block.
    ///
    /// # Errors
    /// [`SetupError`] names the file and what to do: missing, malformed, readable by others, expired, not valid yet, no pair.
    pub fn new(config: &ClientConfig, clock: &Arc<dyn Clock>) -> Result<Self, SetupError> {
        if config.addresses.is_empty() {
            return Err(SetupError::NoAddress);
        }
        let own = Own::of_files(config, clock)?;
        Ok(Self {
            own: RwLock::new(own),
            addresses: config.addresses.clone(),
            timeout: config.timeout,
            heads: None,
            config: Some(config.clone()),
            clock: clock.clone(),
        })
    }

    /// The same client, which from now on tells `heads` what every answer says of the KMS's audit chain.
    #[must_use]
    pub fn remembering(mut self, heads: Arc<HeadBook>) -> Self {
        self.heads = Some(heads);
        self
    }

    /// A client without files.
    fn of(http: reqwest::Client, addresses: Vec<KmsAddress>, clock: &Arc<dyn Clock>) -> Self {
        Self {
            own: RwLock::new(Own {
                http,
                certificate: None,
            }),
            addresses,
            timeout: ClientConfig::TIMEOUT,
            heads: None,
            config: None,
            clock: clock.clone(),
        }
    }

    /// Connections from now on are under the certificate in the files; those at work end by themselves.
    fn read_files_again(&self, config: &ClientConfig) -> Result<(), SetupError> {
        let own = Own::of_files(config, &self.clock)?;
        // A thread that panicked with the lock has changed nothing.
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = own;
        Ok(())
    }

    /// Goes on under the certificate in the files if that is another one by now: whoever renews it by hand does not tell us.
    async fn takes_up_other_files(&self) -> bool {
        let Some(config) = self.config.clone() else {
            return false;
        };
        let clock = self.clock.clone();
        let read = tokio::task::spawn_blocking(move || Own::of_files(&config, &clock));
        let Ok(Ok(found)) = read.await else {
            return false;
        };
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let is_other = found.certificate != own.certificate;
        if is_other {
            *own = found;
        }
        is_other
    }

    fn own(&self) -> Own {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// First and last moment of our certificate.
    fn dates(&self) -> Option<(Timestamp, Timestamp)> {
        let (_, not_before, not_after) = self.own().certificate?;
        Some((not_before, not_after))
    }

    /// A key for writing `volume` of the pool `group`, and the KAD to write beside its blocks. Its key check value has been checked.
    ///
    /// # Errors
    /// `Refused` for a group without `ENCR_`, without an active key, unknown, or not allowed to us; `Unreachable`, also if the KMS
    /// cannot reach the server that may have the key.
    pub async fn backup_key(&self, group: &str, volume: &VolumeName) -> Result<BackupKey, KmsClientError> {
        self.key_for(Purpose::Tape, group, volume).await
    }

    /// The same for a volume of a disk pool, whose name the group has; `volume` is whatever the caller calls it. The KAD must be kept
    /// with the volume: it is what finds the key again.
    ///
    /// # Errors
    /// `Refused` for a group with `ENCR_`, and as [`KmsClient::backup_key`].
    pub async fn disk_backup_key(&self, group: &str, volume: &VolumeName) -> Result<BackupKey, KmsClientError> {
        self.key_for(Purpose::Disk, group, volume).await
    }

    async fn key_for(&self, purpose: Purpose, group: &str, volume: &VolumeName) -> Result<BackupKey, KmsClientError> {
        let attempt = format!("ask for a key of group {group} for volume {volume}");
        let group = GroupName::new(group).map_err(|error| self.misnamed(&attempt, &error))?;
        let request = BackupKeyRequest {
            purpose,
            group: group.clone(),
            volume: volume.clone(),
        };
        let question = Question::new(attempt, Method::POST, kms_api::BACKUP_KEY_PATH).body(&request);
        let (key, address) = self
            .ask(&question, |found| answer::check_backup_key(found, &group))
            .await?;
        Ok(BackupKey::new(key, address))
    }

    /// The keys that the KAD of a block names; for a KAD of ours at most one, checked here as well. No key is not an error: the
    /// outcomes say what each server behind the KMS answered.
    ///
    /// # Errors
    /// `Unreachable`, or `Refused` if this host may not ask at all.
    pub async fn restore_keys(
        &self,
        u_kad: &[u8],
        volume: Option<&VolumeName>,
    ) -> Result<RestoreAnswer, KmsClientError> {
        let kads = BlockKads {
            unauthenticated: u_kad.to_vec(),
            authenticated: Vec::new(),
        };
        self.restore_keys_of(&kads, volume).await
    }

    /// The same with both KADs of a block, as the drive gives them. KADs of other software name candidates: only the drive can tell
    /// which one fits.
    ///
    /// # Errors
    /// As [`KmsClient::restore_keys`].
    pub async fn restore_keys_of(
        &self,
        kads: &BlockKads,
        volume: Option<&VolumeName>,
    ) -> Result<RestoreAnswer, KmsClientError> {
        let request = RestoreKeysRequest {
            kad: kads.unauthenticated.clone(),
            a_kad: kads.authenticated.clone(),
            volume: volume.cloned(),
        };
        let attempt = format!("ask for the key of KAD {}", hex::encode(&kads.unauthenticated));
        let question = Question::new(attempt, Method::POST, kms_api::RESTORE_KEYS_PATH).body(&request);
        let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
        let (keys, address) = self
            .ask(&question, |found| answer::check_restored_keys(found, ours))
            .await?;
        Ok(RestoreAnswer::new(keys, address))
    }

    /// Makes a key group.
    ///
    /// # Errors
    /// `Refused` if the name is taken, has no `ENCR_`, or our role does not allow it.
    pub async fn create_group(&self, group: &CreateGroup) -> Result<GroupRecord, KmsClientError> {
        let attempt = format!("create group {}", group.name);
        self.change(Question::new(attempt, Method::POST, kms_api::GROUPS_PATH).body(group))
            .await
    }

    /// All key groups, by name.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn groups(&self) -> Result<Vec<GroupRecord>, KmsClientError> {
        let (mut groups, mut after) = (Vec::new(), None);
        loop {
            let query = PageQuery { group: None, after };
            let question = Question::new("list groups".to_owned(), Method::GET, kms_api::GROUPS_PATH).query(query);
            let (page, _): (GroupList, _) = self
                .ask(&question, |page: &GroupList| {
                    answer::check_page(&page.groups, &page.next)
                })
                .await?;
            groups.extend(page.groups);
            after = page.next;
            if after.is_none() {
                return Ok(groups);
            }
        }
    }

    /// Makes a key, prelive.
    ///
    /// # Errors
    /// `Refused` if there is no such group, the name is taken, or our role does not allow it.
    pub async fn create_key(&self, group: &GroupName, key: &CreateKey) -> Result<KeyRecord, KmsClientError> {
        let attempt = format!("create a key in group {group}");
        let names = vec![group.as_str(), "keys"];
        self.change(
            Question::new(attempt, Method::POST, kms_api::GROUPS_PATH)
                .names(names)
                .body(key),
        )
        .await
    }

    /// Keeps a key that was made of a passphrase here, prelive.
    ///
    /// # Errors
    /// `Refused` as [`KmsClient::create_key`], and if there is a key with that id already.
    pub async fn create_passphrase_key(
        &self,
        group: &GroupName,
        key: &CreatePassphraseKey,
    ) -> Result<KeyRecord, KmsClientError> {
        let attempt = format!("create a passphrase key in group {group}");
        let names = vec![group.as_str(), "passphrase-keys"];
        self.change(
            Question::new(attempt, Method::POST, kms_api::GROUPS_PATH)
                .names(names)
                .body(key),
        )
        .await
    }

    /// Imports keys of other software, all that are new or none; or says what that would do.
    ///
    /// # Errors
    /// `Refused` if there is no such group, it derives keys, a name is taken, or our role does not allow it.
    pub async fn import_keys(&self, group: &GroupName, keys: &ImportKeys) -> Result<ImportReport, KmsClientError> {
        let attempt = format!("import keys into group {group}");
        let names = vec![group.as_str(), "import"];
        self.change(
            Question::new(attempt, Method::POST, kms_api::GROUPS_PATH)
                .names(names)
                .body(keys),
        )
        .await
    }

    /// The keys of `group`, or of all groups, by group and name.
    ///
    /// # Errors
    /// `Refused` if there is no such group, or our role does not allow it.
    pub async fn keys(&self, group: Option<&GroupName>) -> Result<Vec<KeyRecord>, KmsClientError> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let query = PageQuery {
                group: group.cloned(),
                after,
            };
            let question = Question::new("list keys".to_owned(), Method::GET, kms_api::KEYS_PATH).query(query);
            let (page, _): (KeyList, _) = self
                .ask(&question, |page: &KeyList| answer::check_page(&page.keys, &page.next))
                .await?;
            keys.extend(page.keys);
            after = page.next;
            if after.is_none() {
                return Ok(keys);
            }
        }
    }

    /// Gives a key another state, one step away.
    ///
    /// # Errors
    /// `Refused` if the key cannot go there, or becomes active with one copy only and `single_copy` is not set.
    pub async fn move_key(&self, group: &GroupName, key: &KeyName, to: &MoveKey) -> Result<KeyMove, KmsClientError> {
        let attempt = format!("make key {key} of group {group} {}", to.state);
        let names = vec![group.as_str(), "keys", key.as_str(), "state"];
        self.change(
            Question::new(attempt, Method::POST, kms_api::GROUPS_PATH)
                .names(names)
                .body(to),
        )
        .await
    }

    /// Makes a key and makes it the group's active one, in one step.
    ///
    /// # Errors
    /// `Refused` as [`KmsClient::create_key`] and [`KmsClient::move_key`].
    pub async fn rotate_group(&self, group: &GroupName, rotate: &RotateGroup) -> Result<KeyMove, KmsClientError> {
        let attempt = format!("rotate group {group}");
        let names = vec![group.as_str(), "rotate"];
        self.change(
            Question::new(attempt, Method::POST, kms_api::GROUPS_PATH)
                .names(names)
                .body(rotate),
        )
        .await
    }

    /// Makes a snapshot of the store, in a file on the KMS's host.
    ///
    /// # Errors
    /// `Refused` if there is something at the path, it is on the store's file system, it cannot be written, or our role does not allow it.
    pub async fn create_snapshot(&self, wanted: &CreateSnapshot) -> Result<SnapshotRecord, KmsClientError> {
        let attempt = format!("make snapshot {}", error::printable(&wanted.path));
        self.change(Question::new(attempt, Method::POST, kms_api::SNAPSHOTS_PATH).body(wanted))
            .await
    }

    /// The newest snapshots, newest first.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn snapshots(&self) -> Result<Vec<SnapshotRecord>, KmsClientError> {
        let question = Question::new("list snapshots".to_owned(), Method::GET, kms_api::SNAPSHOTS_PATH);
        let (list, _): (SnapshotList, _) = self.ask(&question, |_| Ok(())).await?;
        Ok(list.snapshots)
    }

    /// How the service as a whole is.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn status(&self) -> Result<ServiceStatus, KmsClientError> {
        let question = Question::new("ask how the KMS is".to_owned(), Method::GET, kms_api::STATUS_PATH);
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }

    /// Makes the KMS forget what external servers answered.
    ///
    /// # Errors
    /// `Refused` if our role is not admin.
    pub async fn clear_cache(&self) -> Result<ClearedCache, KmsClientError> {
        let attempt = "clear the cache of external servers' answers".to_owned();
        self.change(Question::new(attempt, Method::POST, kms_api::CLEAR_CACHE_PATH))
            .await
    }

    /// Forbids changes of groups and keys, once more than before.
    ///
    /// # Errors
    /// `Refused` if our role does not allow it.
    pub async fn quiesce(&self) -> Result<ServiceStatus, KmsClientError> {
        self.change(Question::new("quiesce".to_owned(), Method::POST, kms_api::QUIESCE_PATH))
            .await
    }

    /// Takes one quiesce back; changes are allowed again with the last one.
    ///
    /// # Errors
    /// `Refused` if there is none, or our role does not allow it.
    pub async fn unquiesce(&self) -> Result<ServiceStatus, KmsClientError> {
        self.change(Question::new(
            "unquiesce".to_owned(),
            Method::POST,
            kms_api::UNQUIESCE_PATH,
        ))
        .await
    }
}
