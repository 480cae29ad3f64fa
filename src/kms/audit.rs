//! The audit chains, one for each node: one record for every release of a key, every change and every refusal, each bound to the one before
//! it by a MAC under a sealed key. A record that is missing, altered or moved breaks its chain from there on.

pub(super) mod look;
pub(super) mod serve;

use std::collections::VecDeque;

use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::OffsetDateTime;

use super::seal::Fields;
use super::store::database::Database;
use super::store::value::Row;
use super::store::{StoreError, millis, moment, snapshots};
use crate::kad::KeyId;
pub use crate::kms_api::AuditHead;
use crate::secret::DataKey;

/// Bytes of HMAC-SHA-256.
type AuditMac = [u8; 32];

/// Who asked, as the certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    /// The certificate's subject.
    pub subject: String,
    /// SHA-256 of the certificate, in hex.
    pub fingerprint: String,
    /// SHA-256 of its public key, in hex: the same in a renewed certificate over the same key.
    pub public_key: String,
}

impl Actor {
    /// The service itself, which does what is due and says what it notices.
    #[must_use]
    pub fn service() -> Self {
        Self {
            subject: "service".to_owned(),
            fingerprint: String::new(),
            public_key: String::new(),
        }
    }

    /// A person or program on this host, working on the local store.
    #[must_use]
    pub fn local() -> Self {
        Self {
            subject: "local".to_owned(),
            fingerprint: String::new(),
            public_key: String::new(),
        }
    }

    /// The service itself, doing what is due.
    #[must_use]
    pub fn schedule() -> Self {
        Self {
            subject: "schedule".to_owned(),
            fingerprint: String::new(),
            public_key: String::new(),
        }
    }
}

/// What was asked. The names stand in records and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The store was made.
    Initialise,
    /// A node of its own joined the store.
    JoinNode,
    /// A key for writing a volume.
    BackupKey,
    /// The keys that a KAD names.
    RestoreKeys,
    /// A new group.
    CreateGroup,
    /// A new key.
    CreateKey,
    /// A new key made of a passphrase.
    CreatePassphraseKey,
    /// Keys of other software, or a look at what importing them would do.
    ImportKeys,
    /// Another state for a key.
    MoveKey,
    /// A new active key.
    RotateGroup,
    /// Another name for a group.
    RenameGroup,
    /// Another note on a group.
    DescribeGroup,
    /// Another name for a key.
    RenameKey,
    /// Another note on a key.
    DescribeKey,
    /// Another group for a key.
    MoveKeyToGroup,
    /// Another age at which keys of a group are rotated.
    SetRotation,
    /// A key that is to become a group's active one.
    BeginRotation,
    /// The store under another host master key.
    ResealStore,
    /// Another key protection key.
    RotateKeyProtection,
    /// Former key protection keys that seal nothing any more.
    RetireKeyProtection,
    /// A snapshot of the schedule, deleted because there are newer ones.
    DeleteSnapshot,
    /// A snapshot of the store.
    CreateSnapshot,
    /// A recovery kit with all keys.
    CreateKit,
    /// The store came out of a snapshot.
    RestoreStore,
    /// The store was copied to another place.
    CopyStore,
    /// One more quiesce.
    Quiesce,
    /// One quiesce less.
    Unquiesce,
    /// What external servers answered, forgotten.
    ClearCache,
    /// A token for a new host.
    CreateEnrollment,
    /// Tokens that were not used yet, made worthless.
    CancelEnrollments,
    /// A new host's first certificate.
    Enroll,
    /// A successor for the asker's certificate.
    RenewCertificate,
    /// The first use of a renewed certificate, which ends those before it.
    ReplaceCertificates,
    /// The end of certificates before their time.
    RevokeCertificates,
    /// Other groups for a media server.
    BindGroups,
    /// A certificate that the store did not know is known from now on.
    AdmitCertificate,
    /// Anything that the asker's role does not allow.
    Request,
    /// Keys were released for unusually many volumes.
    ReleaseAlarm,
    /// A change that needs a second administrator was asked for.
    MakeRequest,
    /// A second administrator approved it.
    ApproveRequest,
    /// Somebody took it back.
    UndoRequest,
    /// The service carried it out, or found that it cannot.
    CarryOutRequest,
    /// The clock jumped while a request waited.
    ClockJump,
    /// A new external server.
    AddServer,
    /// Other settings for an external server.
    ChangeServer,
    /// An external server is used no more.
    RemoveServer,
    /// A look at an external server.
    CheckServer,
    /// A new key in an external server.
    CreateServerKey,
    /// New keys of a group from one server alone, or from any.
    BindGroupToServer,
}

impl Action {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Initialise => "initialise",
            Self::JoinNode => "join_node",
            Self::BackupKey => "backup_key",
            Self::RestoreKeys => "restore_keys",
            Self::CreateGroup => "create_group",
            Self::CreateKey => "create_key",
            Self::CreatePassphraseKey => "create_passphrase_key",
            Self::ImportKeys => "import_keys",
            Self::MoveKey => "move_key",
            Self::RotateGroup => "rotate_group",
            Self::RenameGroup => "rename_group",
            Self::DescribeGroup => "describe_group",
            Self::RenameKey => "rename_key",
            Self::DescribeKey => "describe_key",
            Self::MoveKeyToGroup => "move_key_to_group",
            Self::SetRotation => "set_rotation",
            Self::BeginRotation => "begin_rotation",
            Self::ResealStore => "reseal_store",
            Self::RotateKeyProtection => "rotate_key_protection",
            Self::RetireKeyProtection => "retire_key_protection",
            Self::DeleteSnapshot => "delete_snapshot",
            Self::CreateSnapshot => "create_snapshot",
            Self::CreateKit => "create_kit",
            Self::RestoreStore => "restore_store",
            Self::CopyStore => "copy_store",
            Self::Quiesce => "quiesce",
            Self::Unquiesce => "unquiesce",
            Self::ClearCache => "clear_cache",
            Self::CreateEnrollment => "create_enrollment",
            Self::CancelEnrollments => "cancel_enrollments",
            Self::Enroll => "enroll",
            Self::RenewCertificate => "renew_certificate",
            Self::ReplaceCertificates => "replace_certificates",
            Self::RevokeCertificates => "revoke_certificates",
            Self::BindGroups => "bind_groups",
            Self::AdmitCertificate => "admit_certificate",
            Self::Request => "request",
            Self::ReleaseAlarm => "release_alarm",
            Self::MakeRequest => "make_request",
            Self::ApproveRequest => "approve_request",
            Self::UndoRequest => "undo_request",
            Self::CarryOutRequest => "carry_out_request",
            Self::ClockJump => "clock_jump",
            Self::AddServer => "add_server",
            Self::ChangeServer => "change_server",
            Self::RemoveServer => "remove_server",
            Self::CheckServer => "check_server",
            Self::CreateServerKey => "create_server_key",
            Self::BindGroupToServer => "bind_group_to_server",
        }
    }

    /// Whether it makes or changes groups, keys or external servers, or their seals, and so must wait while the service is quiesced.
    pub(super) fn changes_keys(self) -> bool {
        match self {
            Self::CreateGroup
            | Self::CarryOutRequest
            | Self::CreateKey
            | Self::CreatePassphraseKey
            | Self::ImportKeys
            | Self::MoveKey
            | Self::RotateGroup
            | Self::RenameGroup
            | Self::DescribeGroup
            | Self::RenameKey
            | Self::DescribeKey
            | Self::MoveKeyToGroup
            | Self::SetRotation
            | Self::BeginRotation
            | Self::ResealStore
            | Self::RotateKeyProtection
            | Self::RetireKeyProtection
            | Self::AddServer
            | Self::ChangeServer
            | Self::RemoveServer
            | Self::BindGroupToServer => true,
            Self::Initialise
            | Self::JoinNode
            | Self::BackupKey
            | Self::RestoreKeys
            | Self::CreateSnapshot
            | Self::DeleteSnapshot
            | Self::CreateKit
            | Self::RestoreStore
            | Self::CopyStore
            | Self::Quiesce
            | Self::Unquiesce
            | Self::ClearCache
            | Self::CreateEnrollment
            | Self::CancelEnrollments
            | Self::Enroll
            | Self::RenewCertificate
            | Self::ReplaceCertificates
            | Self::RevokeCertificates
            | Self::BindGroups
            | Self::AdmitCertificate
            | Self::Request
            | Self::ReleaseAlarm
            | Self::MakeRequest
            | Self::ApproveRequest
            | Self::UndoRequest
            | Self::ClockJump
            | Self::CheckServer
            // Looked at before the server is asked: what it made is written down in any case.
            | Self::CreateServerKey => false,
        }
    }
}

/// What a record says, before it has its place in the chain.
#[derive(Debug, Clone)]
pub struct Event {
    /// Who asked.
    pub actor: Actor,
    /// For what.
    pub action: Action,
    /// The group, where there is one.
    pub group: Option<String>,
    /// The key, once it is known.
    pub key_id: Option<KeyId>,
    /// The volume, where there is one.
    pub volume: Option<String>,
    /// What else was asked for, such as the new state.
    pub detail: Option<String>,
    /// How it ended, where it was not refused: `done` unless the request learns better.
    pub outcome: String,
}

impl Event {
    /// An event with nothing but its actor and action.
    #[must_use]
    pub fn new(actor: &Actor, action: Action) -> Self {
        Self {
            actor: actor.clone(),
            action,
            group: None,
            key_id: None,
            volume: None,
            detail: None,
            outcome: "done".to_owned(),
        }
    }
}

/// A record as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
    /// The node whose chain it is in.
    #[serde(serialize_with = "crate::kms_api::text::key_id::serialize")]
    pub node: KeyId,
    /// Its place in the chain, from 1.
    pub sequence: i64,
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub time: OffsetDateTime,
    /// Who: the certificate's subject.
    pub subject: String,
    /// Which certificate.
    pub fingerprint: String,
    /// What was asked.
    pub action: String,
    /// The group.
    pub group: Option<String>,
    /// The key, as a UUID.
    pub key_id: Option<String>,
    /// The volume.
    pub volume: Option<String>,
    /// What else was asked for.
    pub detail: Option<String>,
    /// `done`, or why not.
    pub outcome: String,
    #[serde(skip)]
    mac: AuditMac,
}

impl AuditRecord {
    fn mac_after(&self, previous: &AuditMac, key: &DataKey) -> AuditMac {
        let optional = |field: &Option<String>| field.as_ref().map(|text| text.as_bytes().to_vec());
        let fields = Fields::of("tapekey audit record v1")
            .bytes(previous)
            .number(self.sequence)
            .number(millis(self.time))
            .text(&self.subject)
            .text(&self.fingerprint)
            .text(&self.action)
            .optional(optional(&self.group).as_deref())
            .optional(optional(&self.key_id).as_deref())
            .optional(optional(&self.volume).as_deref())
            .optional(optional(&self.detail).as_deref())
            .text(&self.outcome);
        mac_of(key, &fields.encode())
    }

    fn from_row(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            node: row.get("node")?,
            sequence: row.get("sequence")?,
            time: moment(row.get("time")?),
            subject: row.get("subject")?,
            fingerprint: row.get("fingerprint")?,
            action: row.get("action")?,
            group: row.get("group_name")?,
            key_id: row.get("key_id")?,
            volume: row.get("volume")?,
            detail: row.get("detail")?,
            outcome: row.get("outcome")?,
            mac: row.get("mac")?,
        })
    }
}

/// The chain could not be read to its end.
#[derive(Debug, Error)]
pub enum AuditError {
    /// A record does not fit the one before it.
    #[error(
        "audit record {sequence} of node {node} is not as it was written, or records before it are missing\nhint: compare with an older copy of the store; trust nothing from this record on"
    )]
    Broken {
        /// Whose chain.
        node: KeyId,
        /// The first record that does not fit.
        sequence: i64,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records could not be handed on.
    #[error("write the audit records: {0}\nhint: nothing is lost in the store, list them again")]
    Output(#[from] std::io::Error),
}

/// The end of the chain of `node`.
pub(super) fn head(database: &dyn Database, key: &DataKey, node: KeyId) -> Result<AuditHead, StoreError> {
    match last(database, node)? {
        Some(head) => Ok(head),
        None => start(database, key, node),
    }
}

/// What the last record of every chain says of itself, ordered by node.
pub(super) fn heads(database: &dyn Database) -> Result<Vec<AuditHead>, StoreError> {
    let mut heads = Vec::new();
    for node in nodes(database)? {
        heads.extend(last(database, node)?);
    }
    Ok(heads)
}

fn last(database: &dyn Database, node: KeyId) -> Result<Option<AuditHead>, StoreError> {
    let sql = "SELECT sequence, mac FROM audit WHERE node = ?1 ORDER BY sequence DESC LIMIT 1";
    let row = database.first(sql, &[node.into()])?;
    let read = |row: Row| {
        Ok(AuditHead {
            node,
            sequence: row.get("sequence")?,
            mac: row.get("mac")?,
        })
    };
    row.map(read).transpose()
}

/// The nodes that have a chain. One look at the index for each of them.
fn nodes(database: &dyn Database) -> Result<Vec<KeyId>, StoreError> {
    let (mut nodes, mut after) = (Vec::new(), Vec::new());
    let sql = "SELECT node FROM audit WHERE node > ?1 ORDER BY node LIMIT 1";
    while let Some(row) = database.first(sql, &[after.into()])? {
        nodes.push(row.get("node")?);
        after = row.get("node")?;
    }
    Ok(nodes)
}

/// Writes `event` after `head`, which moves on. Durable only with the transaction around it.
pub(super) fn append(
    database: &dyn Database,
    key: &DataKey,
    head: &mut AuditHead,
    event: &Event,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut record = AuditRecord {
        node: head.node,
        sequence: head.sequence + 1,
        time: moment(millis(now)),
        subject: event.actor.subject.clone(),
        fingerprint: event.actor.fingerprint.clone(),
        action: event.action.name().to_owned(),
        group: event.group.clone(),
        key_id: event.key_id.map(|id| id.to_string()),
        volume: event.volume.clone(),
        detail: event.detail.clone(),
        outcome: event.outcome.clone(),
        mac: [0; 32],
    };
    record.mac = record.mac_after(&head.mac, key);
    head.sequence = record.sequence;
    head.mac = record.mac;
    database.execute(
        "INSERT INTO audit (node, sequence, time, subject, fingerprint, action, group_name, key_id, volume, detail, outcome, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &[
            record.node.into(),
            record.sequence.into(),
            millis(record.time).into(),
            record.subject.into(),
            record.fingerprint.into(),
            record.action.into(),
            record.group.into(),
            record.key_id.into(),
            record.volume.into(),
            record.detail.into(),
            record.outcome.into(),
            record.mac.into(),
        ],
    )?;
    Ok(())
}

/// Hands every record to `each`, oldest first, checking the chains on the way. Give it a transaction, so that nothing moves meanwhile.
/// Returns the heads of all chains.
pub(super) fn walk(
    database: &dyn Database,
    key: &DataKey,
    mut each: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<Vec<AuditHead>, AuditError> {
    let mut chains = Vec::new();
    for node in nodes(database)? {
        let mut chain = Chain {
            head: start(database, key, node)?,
            page: VecDeque::new(),
            read_to: i64::MIN,
        };
        chain.fill(database)?;
        chains.push(chain);
    }
    loop {
        let next = chains.iter_mut().filter(|chain| !chain.page.is_empty());
        let Some(chain) = next.min_by_key(|chain| chain.page.front().map(|record| record.time)) else {
            return Ok(chains.into_iter().map(|chain| chain.head).collect());
        };
        if let Some(record) = chain.next(key)? {
            each(&record)?;
        }
        chain.fill(database)?;
    }
}

/// One node's chain as it is walked.
struct Chain {
    head: AuditHead,
    page: VecDeque<AuditRecord>,
    read_to: i64,
}

impl Chain {
    fn fill(&mut self, database: &dyn Database) -> Result<(), StoreError> {
        if !self.page.is_empty() {
            return Ok(());
        }
        self.page = look::page(database, self.head.node, self.read_to)?;
        self.read_to = self.page.back().map_or(self.read_to, |record| record.sequence);
        Ok(())
    }

    fn next(&mut self, key: &DataKey) -> Result<Option<AuditRecord>, AuditError> {
        let Some(record) = self.page.pop_front() else {
            return Ok(None);
        };
        let fits = record.mac_after(&self.head.mac, key).ct_eq(&record.mac);
        if record.sequence != self.head.sequence + 1 || !bool::from(fits) {
            return Err(AuditError::Broken {
                node: record.node,
                sequence: record.sequence,
            });
        }
        self.head.sequence = record.sequence;
        self.head.mac = record.mac;
        Ok(Some(record))
    }
}

/// Where a chain begins: a MAC over the ids of store and node, so that chains cannot be swapped between stores or nodes.
fn start(database: &dyn Database, key: &DataKey, node: KeyId) -> Result<AuditHead, StoreError> {
    let store = snapshots::id_of(database)?;
    let fields = Fields::of("tapekey audit chain v1").bytes(&store.0).bytes(&node.0);
    Ok(AuditHead {
        node,
        sequence: 0,
        mac: mac_of(key, &fields.encode()),
    })
}

/// HMAC-SHA-256 of `message`.
pub(super) fn mac_of(key: &DataKey, message: &[u8]) -> AuditMac {
    // HMAC takes a key shorter than SHA-256's block padded with zeros to that block.
    let mut padded_key = zeroize::Zeroizing::new([0; 64]);
    padded_key
        .iter_mut()
        .zip(key.expose())
        .for_each(|(padded, byte)| *padded = *byte);
    let mut mac = Hmac::<Sha256>::new((&*padded_key).into());
    mac.update(message);
    mac.finalize().into_bytes().into()
}
