//! The audit chain: one record for every release of a key, every change and every refusal, each bound to the one before it by a MAC
//! under a sealed key. A record that is missing, altered or moved breaks the chain from there on.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use thiserror::Error;
use time::OffsetDateTime;

use super::seal::Fields;
use super::store::{StoreError, millis, moment};
use crate::kad::KeyId;
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
}

impl Actor {
    /// A person or program on this host, working on the local store.
    #[must_use]
    pub fn local() -> Self {
        Self {
            subject: "local".to_owned(),
            fingerprint: String::new(),
        }
    }
}

/// What was asked. The names stand in records and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// The store was made.
    Initialise,
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
    /// A snapshot of the store.
    CreateSnapshot,
    /// The store came out of a snapshot.
    RestoreStore,
    /// One more quiesce.
    Quiesce,
    /// One quiesce less.
    Unquiesce,
    /// Anything that the asker's role does not allow.
    Request,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::Initialise => "initialise",
            Self::BackupKey => "backup_key",
            Self::RestoreKeys => "restore_keys",
            Self::CreateGroup => "create_group",
            Self::CreateKey => "create_key",
            Self::CreatePassphraseKey => "create_passphrase_key",
            Self::ImportKeys => "import_keys",
            Self::MoveKey => "move_key",
            Self::RotateGroup => "rotate_group",
            Self::CreateSnapshot => "create_snapshot",
            Self::RestoreStore => "restore_store",
            Self::Quiesce => "quiesce",
            Self::Unquiesce => "unquiesce",
            Self::Request => "request",
        }
    }

    /// Whether it makes or changes groups or keys, and so must wait while the service is quiesced.
    pub(super) fn changes_keys(self) -> bool {
        match self {
            Self::CreateGroup
            | Self::CreateKey
            | Self::CreatePassphraseKey
            | Self::ImportKeys
            | Self::MoveKey
            | Self::RotateGroup => true,
            Self::Initialise
            | Self::BackupKey
            | Self::RestoreKeys
            | Self::CreateSnapshot
            | Self::RestoreStore
            | Self::Quiesce
            | Self::Unquiesce
            | Self::Request => false,
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

/// The end of the chain: grows with every record, and a MAC that only this store can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditHead {
    /// Number of the last record; 0 before the first.
    pub sequence: i64,
    mac: AuditMac,
}

impl fmt::Display for AuditHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.sequence, hex::encode(self.mac))
    }
}

/// A record as it is stored and listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditRecord {
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

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
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
        "audit record {sequence} is not as it was written, or records before it are missing\nhint: compare with an older copy of the store; trust nothing from this record on"
    )]
    Broken {
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

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Store(error.into())
    }
}

/// The end of the chain in `connection`.
pub(super) fn head(connection: &Connection, key: &DataKey) -> Result<AuditHead, StoreError> {
    match last(connection)? {
        Some(head) => Ok(head),
        None => start(connection, key),
    }
}

/// What the last record says of itself, if there is one.
pub(super) fn last(connection: &Connection) -> Result<Option<AuditHead>, StoreError> {
    let last = connection
        .prepare_cached("SELECT sequence, mac FROM audit ORDER BY sequence DESC LIMIT 1")?
        .query_row((), |row| {
            Ok(AuditHead {
                sequence: row.get(0)?,
                mac: row.get(1)?,
            })
        })
        .optional()?;
    Ok(last)
}

/// Writes `event` after `head`, which moves on. Durable only with the transaction around it.
pub(super) fn append(
    connection: &Connection,
    key: &DataKey,
    head: &mut AuditHead,
    event: &Event,
    now: OffsetDateTime,
) -> Result<(), StoreError> {
    let mut record = AuditRecord {
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
    connection
        .prepare_cached(
            "INSERT INTO audit (sequence, time, subject, fingerprint, action, group_name, key_id, volume, detail, outcome, mac)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
        )?
        .execute(params![
            record.sequence,
            millis(record.time),
            record.subject,
            record.fingerprint,
            record.action,
            record.group,
            record.key_id,
            record.volume,
            record.detail,
            record.outcome,
            record.mac,
        ])?;
    *head = AuditHead {
        sequence: record.sequence,
        mac: record.mac,
    };
    Ok(())
}

/// Hands every record to `each`, oldest first, checking the chain on the way.
pub(super) fn walk(
    connection: &Connection,
    key: &DataKey,
    mut each: impl FnMut(&AuditRecord) -> std::io::Result<()>,
) -> Result<AuditHead, AuditError> {
    let mut statement = connection.prepare("SELECT * FROM audit ORDER BY sequence")?;
    let mut rows = statement.query(())?;
    let mut head = start(connection, key)?;
    while let Some(row) = rows.next()? {
        let record = AuditRecord::from_row(row)?;
        let fits = record.mac_after(&head.mac, key).ct_eq(&record.mac);
        if record.sequence != head.sequence + 1 || !bool::from(fits) {
            return Err(AuditError::Broken {
                sequence: record.sequence,
            });
        }
        each(&record)?;
        head = AuditHead {
            sequence: record.sequence,
            mac: record.mac,
        };
    }
    Ok(head)
}

/// Where the chain begins: a MAC over the store's own id, so that chains cannot be swapped between stores.
fn start(connection: &Connection, key: &DataKey) -> Result<AuditHead, StoreError> {
    let store_id: [u8; 16] = connection.query_row("SELECT id FROM store", (), |row| row.get(0))?;
    Ok(AuditHead {
        sequence: 0,
        mac: mac_of(key, &Fields::of("tapekey audit chain v1").bytes(&store_id).encode()),
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
