//! The keys above the records: the key protection keys that seal data keys, and the key of the audit chains. They lie in the store sealed
//! under the host master key, each with its id.
//!
//! There may be several key protection keys: while records are sealed anew, and because another node can have made one. The newest seals;
//! each opens what it sealed.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use time::OffsetDateTime;

use super::database::Database;
use super::value::Row;
use super::{StoreError, column, millis};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::seal::{Fields, HostMasterKey, Origin};
use crate::secret::{DataKey, Sealed, SealingKey};

/// Purpose of the keys that seal records.
pub(super) const KEY_PROTECTION: &str = "key_protection";
const AUDIT: &str = "audit";

/// The opened keys. No `Debug`.
pub(in crate::kms) struct Keyring {
    /// What opens the others; kept for those that another node makes.
    master: HostMasterKey,
    protection: RefCell<Protection>,
    /// MACs audit records.
    pub(in crate::kms) audit: DataKey,
}

/// The key protection keys.
struct Protection {
    current: KeyId,
    keys: BTreeMap<KeyId, Arc<SealingKey>>,
}

impl Keyring {
    /// Draws the first keys and stores them sealed.
    pub(super) fn create(
        database: &dyn Database,
        master: &HostMasterKey,
        entropy: &dyn Entropy,
        now: OffsetDateTime,
    ) -> Result<(), StoreError> {
        for purpose in [KEY_PROTECTION, AUDIT] {
            insert(database, master, purpose, entropy, now)?;
        }
        Ok(())
    }

    /// Opens the stored keys.
    pub(super) fn open(database: &dyn Database, master: &HostMasterKey) -> Result<Self, StoreError> {
        let protection = Protection::read(database, master)?;
        let audit = rows(database, AUDIT)?.into_iter().next();
        let audit = column(audit, || "the audit key".to_owned())?;
        Ok(Self {
            master: master.clone(),
            protection: RefCell::new(protection),
            audit: open_one(&audit, master, AUDIT)?.1,
        })
    }

    /// The key that seals, and its id as it stands beside what it sealed.
    pub(super) fn current(&self) -> Result<(KeyId, Arc<SealingKey>), StoreError> {
        let protection = self.protection.borrow();
        let key = protection.keys.get(&protection.current).cloned();
        Ok((protection.current, column(key, || missing(protection.current))?))
    }

    /// The key that opens what names `id`. One that is not known yet is looked for in the store.
    pub(super) fn named(&self, database: &dyn Database, id: KeyId) -> Result<Arc<SealingKey>, StoreError> {
        if let Some(key) = self.protection.borrow().keys.get(&id) {
            return Ok(key.clone());
        }
        self.read_again(database)?;
        let key = self.protection.borrow().keys.get(&id).cloned();
        column(key, || missing(id))
    }

    /// Learns of a newer key, made by another node; without one this is one look at an index.
    pub(super) fn refresh(&self, database: &dyn Database) -> Result<(), StoreError> {
        let newest = database.first(
            "SELECT id FROM sealing_keys WHERE purpose = ?1 ORDER BY number DESC LIMIT 1",
            &[KEY_PROTECTION.into()],
        )?;
        let newest: KeyId = column(newest, || "the key_protection key".to_owned())?.get("id")?;
        if newest == self.protection.borrow().current {
            return Ok(());
        }
        self.read_again(database)
    }

    /// Reads the key protection keys again, as after a change.
    pub(super) fn read_again(&self, database: &dyn Database) -> Result<(), StoreError> {
        let protection = Protection::read(database, &self.master)?;
        self.protection.replace(protection);
        Ok(())
    }
}

impl Keyring {
    /// Seals the keys in the store under `new` instead of the host master key that they were opened with. This ring goes on with the old
    /// one: whoever opens the store from now on needs the new one.
    pub(super) fn reseal(
        &self,
        database: &dyn Database,
        new: &HostMasterKey,
        entropy: &dyn Entropy,
    ) -> Result<(), StoreError> {
        self.check_master(database)?;
        for purpose in [KEY_PROTECTION, AUDIT] {
            for row in rows(database, purpose)? {
                let (id, key) = open_one(&row, &self.master, purpose)?;
                let bound = bound(id, purpose, row.get("number")?, new.id(), row.get("created")?);
                let sealed = new.key().seal(entropy, key.expose(), &bound)?;
                database.execute(
                    "UPDATE sealing_keys SET sealed_under = ?2, nonce = ?3, sealed = ?4 WHERE id = ?1",
                    &[id.into(), new.id().into(), sealed.nonce.into(), sealed.sealed.into()],
                )?;
            }
        }
        Ok(())
    }

    /// Draws another key protection key. It seals from the next transaction on, so that nothing is sealed under a key that is not stored.
    pub(super) fn renew(
        &self,
        database: &dyn Database,
        entropy: &dyn Entropy,
        now: OffsetDateTime,
    ) -> Result<KeyId, StoreError> {
        self.check_master(database)?;
        insert(database, &self.master, KEY_PROTECTION, entropy, now)
    }

    /// The keys in the store must still be under the host master key that they were opened with.
    fn check_master(&self, database: &dyn Database) -> Result<(), StoreError> {
        if sealed_under(database)? == self.master.id() {
            Ok(())
        } else {
            Err(StoreError::Resealed)
        }
    }

    /// Forgets key protection keys that seal nothing any more, here and in the store. How many there were.
    pub(super) fn retire_former(&self, database: &dyn Database) -> Result<u64, StoreError> {
        self.check_master(database)?;
        let (current, _) = self.current()?;
        // A reference from a record that was overlooked makes the database refuse.
        let retired = database.execute(
            "DELETE FROM sealing_keys WHERE purpose = ?1 AND number < (SELECT number FROM sealing_keys WHERE id = ?2)",
            &[KEY_PROTECTION.into(), current.into()],
        )?;
        self.read_again(database)?;
        Ok(retired)
    }
}

impl Protection {
    fn read(database: &dyn Database, master: &HostMasterKey) -> Result<Self, StoreError> {
        let mut current = None;
        let mut keys = BTreeMap::new();
        for row in rows(database, KEY_PROTECTION)? {
            let (id, key) = open_one(&row, master, KEY_PROTECTION)?;
            current = current.or(Some(id));
            keys.insert(id, Arc::new(SealingKey::new(key)));
        }
        Ok(Self {
            current: column(current, || "the key_protection key".to_owned())?,
            keys,
        })
    }
}

fn missing(id: KeyId) -> String {
    format!("a record under key_protection key {id}, which is not in the store,")
}

/// Draws a key and stores it sealed; it is in use from then on.
pub(super) fn insert(
    database: &dyn Database,
    master: &HostMasterKey,
    purpose: &str,
    entropy: &dyn Entropy,
    now: OffsetDateTime,
) -> Result<KeyId, StoreError> {
    let id = KeyId::from_random(random_bytes(entropy)?);
    let key = DataKey::generate(entropy)?;
    let created = millis(now);
    let newest = rows(database, purpose)?.into_iter().next();
    let number = newest.map_or(Ok(0), |row| row.get::<i64>("number"))? + 1;
    let bound = bound(id, purpose, number, master.id(), created);
    let sealed = master.key().seal(entropy, key.expose(), &bound)?;
    database.execute(
        "INSERT INTO sealing_keys (id, purpose, number, sealed_under, created, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        &[
            id.into(),
            purpose.into(),
            number.into(),
            master.id().into(),
            created.into(),
            sealed.nonce.into(),
            sealed.sealed.into(),
        ],
    )?;
    Ok(id)
}

/// The newest first.
fn rows(database: &dyn Database, purpose: &str) -> Result<Vec<Row>, StoreError> {
    database.rows(
        "SELECT * FROM sealing_keys WHERE purpose = ?1 ORDER BY number DESC",
        &[purpose.into()],
    )
}

fn open_one(row: &Row, master: &HostMasterKey, purpose: &str) -> Result<(KeyId, DataKey), StoreError> {
    let (id, sealed_under): (KeyId, KeyId) = (row.get("id")?, row.get("sealed_under")?);
    if sealed_under != master.id() {
        return Err(StoreError::WrongMasterKey {
            sealed_under,
            given: master.id(),
        });
    }
    let bound = bound(id, purpose, row.get("number")?, sealed_under, row.get("created")?);
    let key = master
        .key()
        .open_key(&seal(row)?, &bound)
        .map_err(|_| does_not_open(master, purpose, id))?;
    Ok((id, key))
}

fn does_not_open(master: &HostMasterKey, purpose: &str, id: KeyId) -> StoreError {
    if *master.origin() == Origin::Passphrase {
        return StoreError::WrongPassphrase { id: master.id() };
    }
    StoreError::DoesNotOpen {
        what: format!("the {purpose} key {id}"),
    }
}

/// The host master key that the keys here are sealed under.
pub(super) fn sealed_under(database: &dyn Database) -> Result<KeyId, StoreError> {
    let newest = rows(database, KEY_PROTECTION)?.into_iter().next();
    column(newest, || "the key_protection key".to_owned())?.get("sealed_under")
}

/// The seal in a row.
pub(super) fn seal(row: &Row) -> Result<Sealed, StoreError> {
    Ok(Sealed {
        nonce: row.get("nonce")?,
        sealed: row.get("sealed")?,
    })
}

fn bound(id: KeyId, purpose: &str, number: i64, sealed_under: KeyId, created: i64) -> Vec<u8> {
    Fields::of("tapekey sealing key v1")
        .bytes(&id.0)
        .text(purpose)
        .number(number)
        .bytes(&sealed_under.0)
        .number(created)
        .encode()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU8, Ordering};

    use super::super::sqlite::Sqlite;
    use super::*;
    use crate::entropy::EntropyError;

    struct Counting(AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.fill(self.0.fetch_add(1, Ordering::Relaxed));
            Ok(())
        }
    }

    #[test]
    fn a_newer_key_of_another_node_seals_from_then_on_and_the_older_one_still_opens() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (database, entropy, now) = (
            Sqlite::create(file.path()).unwrap(),
            Counting(AtomicU8::new(1)),
            OffsetDateTime::UNIX_EPOCH,
        );
        let master = HostMasterKey::generate(&entropy).unwrap();
        Keyring::create(&database, &master, &entropy, now).unwrap();
        let keyring = Keyring::open(&database, &master).unwrap();
        let (older, key) = keyring.current().unwrap();
        let sealed = key.seal(&entropy, b"secret", b"").unwrap();

        // The clock of the other node is the same or behind: the number decides.
        let newer = insert(&database, &master, KEY_PROTECTION, &entropy, now).unwrap();
        assert!(keyring.named(&database, newer).is_ok(), "looked for in the store");
        keyring.refresh(&database).unwrap();
        assert_eq!(keyring.current().unwrap().0, newer);
        let key = keyring.named(&database, older).unwrap();
        assert_eq!(key.open(&sealed, b"").unwrap().as_slice(), b"secret");
        let gone = keyring.named(&database, KeyId([0xEE; 16])).err().unwrap().to_string();
        assert!(gone.contains("eeeeeeee") && gone.contains("not in the store"), "{gone}");
    }
}
