//! The keys above the records, opened once at start: the key protection key that seals data keys, and the key of the audit chain. Both
//! lie in the store sealed under the host master key, each with its id.

use rusqlite::{Connection, Row, params};
use time::OffsetDateTime;

use super::{StoreError, millis};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::seal::{Fields, HostMasterKey};
use crate::secret::{DataKey, Sealed, SealingKey};

const KEY_PROTECTION: &str = "key_protection";
const AUDIT: &str = "audit";

/// The opened keys. No `Debug`.
pub(in crate::kms) struct Keyring {
    /// Id of the key protection key, as it stands beside every record.
    pub(super) key_protection_id: KeyId,
    /// Seals data keys.
    pub(super) key_protection: SealingKey,
    /// MACs audit records.
    pub(in crate::kms) audit: DataKey,
}

impl Keyring {
    /// Draws new keys and stores them sealed.
    pub(super) fn create(
        connection: &Connection,
        master: &HostMasterKey,
        entropy: &dyn Entropy,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        for purpose in [KEY_PROTECTION, AUDIT] {
            let id = KeyId::from_random(random_bytes(entropy)?);
            let key = DataKey::generate(entropy)?;
            let created = millis(now);
            let sealed = master
                .key()
                .seal(entropy, key.expose(), &bound(id, purpose, master.id(), created))?;
            connection.execute(
                "INSERT INTO sealing_keys (id, purpose, sealed_under, created, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                params![id.0, purpose, master.id().0, created, sealed.nonce, sealed.sealed],
            )?;
        }
        Ok(())
    }

    /// Opens the stored keys.
    pub(super) fn open(connection: &Connection, master: &HostMasterKey) -> Result<Self, StoreError> {
        let (key_protection_id, key_protection) = open_one(connection, master, KEY_PROTECTION)?;
        let (_, audit) = open_one(connection, master, AUDIT)?;
        Ok(Self {
            key_protection_id,
            key_protection: SealingKey::new(key_protection),
            audit,
        })
    }
}

fn open_one(
    connection: &Connection,
    master: &HostMasterKey,
    purpose: &'static str,
) -> Result<(KeyId, DataKey), StoreError> {
    type Found = (KeyId, KeyId, i64, Sealed);
    let read = |row: &Row<'_>| -> rusqlite::Result<Found> {
        let sealed = Sealed {
            nonce: row.get("nonce")?,
            sealed: row.get("sealed")?,
        };
        Ok((
            KeyId(row.get("id")?),
            KeyId(row.get("sealed_under")?),
            row.get("created")?,
            sealed,
        ))
    };
    let (id, sealed_under, created, sealed) =
        connection.query_row("SELECT * FROM sealing_keys WHERE purpose = ?1", [purpose], read)?;
    if sealed_under != master.id() {
        return Err(StoreError::WrongMasterKey {
            sealed_under,
            given: master.id(),
        });
    }
    let key = master
        .key()
        .open_key(&sealed, &bound(id, purpose, sealed_under, created))
        .map_err(|_| StoreError::DoesNotOpen {
            what: format!("the {purpose} key {id}"),
        })?;
    Ok((id, key))
}

fn bound(id: KeyId, purpose: &str, sealed_under: KeyId, created: i64) -> Vec<u8> {
    Fields::of("tapekey sealing key v1")
        .bytes(&id.0)
        .text(purpose)
        .bytes(&sealed_under.0)
        .number(created)
        .encode()
}
