//! Sealing anew: the sealing keys under another host master key, and records under another key protection key, some at a time. What a record
//! says does not change, not even when it was last changed.
//!
//! Each table with a column `sealed_under` must be here. One that is not keeps the former key protection key in the store: the database refuses
//! to delete what is referred to.

use super::authority;
use super::groups;
use super::key_servers;
use super::keys;
use super::{Session, StoreError, keyring};
use crate::kad::KeyId;
use crate::kms::seal::HostMasterKey;

/// The tables whose records are sealed under a key protection key.
const SEALED: [&str; 4] = ["key_groups", "keys", "certificate_authorities", "key_servers"];

/// Where a walk over all records is. Each holds the place after which it goes on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::kms) enum Walk {
    /// It begins: the issuing CA and the external servers, of which there are few.
    #[default]
    Authorities,
    Groups(Vec<u8>),
    Keys(Vec<u8>),
    End,
}

/// How far records are sealed under the newest key protection key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Progress {
    pub(in crate::kms) current: KeyId,
    pub(in crate::kms) former: u64,
    pub(in crate::kms) records_left: u64,
}

/// Seals the sealing keys under `new`.
pub(in crate::kms) fn under_master_key(session: &Session<'_>, new: &HostMasterKey) -> Result<KeyId, StoreError> {
    let former = keyring::sealed_under(session.database)?;
    session.keyring.reseal(session.database, new, session.entropy)?;
    Ok(former)
}

/// Draws another key protection key, for whatever is sealed from the next transaction on.
pub(in crate::kms) fn renew_key_protection(session: &Session<'_>) -> Result<KeyId, StoreError> {
    session.keyring.renew(session.database, session.entropy, session.now)
}

/// Forgets the former key protection keys. How many there were.
///
/// # Errors
/// Also while a record is sealed under one of them.
pub(in crate::kms) fn retire_former(session: &Session<'_>) -> Result<u64, StoreError> {
    session.keyring.retire_former(session.database)
}

/// How far it is. Without former keys nothing is counted.
pub(in crate::kms) fn progress(session: &Session<'_>) -> Result<Progress, StoreError> {
    let (current, _) = session.keyring.current()?;
    let keys = session
        .database
        .count("SELECT count(*) AS number FROM sealing_keys WHERE purpose = 'key_protection'")?;
    let former = keys.saturating_sub(1);
    let mut records_left = 0;
    for table in SEALED {
        if former == 0 {
            break;
        }
        let sql = format!("SELECT count(*) AS number FROM {table} WHERE sealed_under <> ?1");
        let left = session.database.first(&sql, &[current.into()])?;
        records_left += left.map_or(Ok(0), |row| row.get::<u64>("number"))?;
    }
    Ok(Progress {
        current,
        former,
        records_left,
    })
}

/// Seals at most `limit` records anew and says where the walk is then. What does not open is left as it is and named in `failed`.
pub(in crate::kms) fn step(
    session: &Session<'_>,
    walk: Walk,
    limit: usize,
    failed: &mut Vec<String>,
) -> Result<Walk, StoreError> {
    let (current, _) = session.keyring.current()?;
    let page = |table: &str, after: &[u8]| -> Result<Vec<KeyId>, StoreError> {
        let sql = format!("SELECT id FROM {table} WHERE id > ?1 AND sealed_under <> ?2 ORDER BY id LIMIT ?3");
        let rows = session
            .database
            .rows(&sql, &[after.into(), current.into(), limit.into()])?;
        rows.iter().map(|row| row.get("id")).collect()
    };
    match walk {
        Walk::Authorities => {
            note(authority::reseal(session), failed)?;
            for name in key_servers::names(session)? {
                note(key_servers::reseal(session, &name), failed)?;
            }
            Ok(Walk::Groups(Vec::new()))
        }
        Walk::Groups(after) => {
            let ids = page("key_groups", &after)?;
            for id in &ids {
                note(groups::reseal(session, *id), failed)?;
            }
            Ok(ids
                .last()
                .map_or(Walk::Keys(Vec::new()), |last| Walk::Groups(last.0.to_vec())))
        }
        Walk::Keys(after) => {
            let ids = page("keys", &after)?;
            for id in &ids {
                note(keys::reseal(session, *id), failed)?;
            }
            Ok(ids.last().map_or(Walk::End, |last| Walk::Keys(last.0.to_vec())))
        }
        Walk::End => Ok(Walk::End),
    }
}

fn note(resealed: Result<(), StoreError>, failed: &mut Vec<String>) -> Result<(), StoreError> {
    match resealed {
        Err(StoreError::DoesNotOpen { what }) => failed.push(what),
        other => other?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kms::store::schema::TABLES;

    #[test]
    fn every_table_that_refers_to_a_sealing_key_is_sealed_anew() {
        let tables = TABLES.split("CREATE TABLE ").skip(1);
        let sealed: Vec<_> = tables
            .filter(|table| table.contains("REFERENCES sealing_keys"))
            .filter_map(|table| table.split_whitespace().next())
            .collect();
        assert_eq!(sealed, SEALED);
    }
}
