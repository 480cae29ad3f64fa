//! Looking into a chain at one place: whether it has a record that somebody remembers, and its records a page at a time.
//!
//! Nothing here checks a chain from its beginning; [`super::walk`] does.

use std::collections::VecDeque;

use subtle::ConstantTimeEq;

use super::{AuditHead, AuditRecord, nodes, start};
use crate::kad::KeyId;
use crate::kms::store::database::Database;
use crate::kms::store::{Session, StoreError, millis};
use crate::kms_api::{AUDIT_PAGE_RECORDS_MAX, AuditEntry, PAGE_RECORDS_MAX};
use crate::secret::DataKey;
use time::OffsetDateTime;

/// Whether the store has the very record that `head` was the head with.
pub(in crate::kms) fn has(session: &Session<'_>, head: &AuditHead) -> Result<bool, StoreError> {
    let database = session.database();
    let mac: [u8; 32] = if head.sequence == 0 {
        start(database, session.audit_key(), head.node)?.mac
    } else {
        let sql = "SELECT mac FROM audit WHERE node = ?1 AND sequence = ?2";
        match database.first(sql, &[head.node.into(), head.sequence.into()])? {
            Some(row) => row.get("mac")?,
            None => return Ok(false),
        }
    };
    Ok(mac.ct_eq(&head.mac).into())
}

/// At most a page of the records of `node` after number `after`, unchecked.
pub(in crate::kms) fn page(
    database: &dyn Database,
    node: KeyId,
    after: i64,
) -> Result<VecDeque<AuditRecord>, StoreError> {
    let rows = database.rows(
        "SELECT * FROM audit WHERE node = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3",
        &[node.into(), after.into(), PAGE_RECORDS_MAX.into()],
    )?;
    rows.iter().map(AuditRecord::from_row).collect()
}

/// The number of a record of this session's chain such that none after it is older than `time`, as far as times in it grow: found by halving.
pub(in crate::kms) fn before(session: &Session<'_>, time: OffsetDateTime) -> Result<i64, StoreError> {
    let (node, mut low, mut high) = (session.head().node, 0, session.head().sequence);
    while low < high {
        let middle = low + (high - low) / 2 + 1;
        let sql = "SELECT time FROM audit WHERE node = ?1 AND sequence = ?2";
        let row = session.database().first(sql, &[node.into(), middle.into()])?;
        let at: i64 = row.map_or(Ok(i64::MIN), |row| row.get("time"))?;
        if at < millis(time) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low)
}

/// A page of records of `node` after number `after`, each with whether it fits what stands before it.
pub(in crate::kms) fn checked_page(
    database: &dyn Database,
    key: &DataKey,
    node: KeyId,
    after: i64,
) -> Result<Vec<AuditEntry>, StoreError> {
    let sql = "SELECT mac FROM audit WHERE node = ?1 AND sequence <= ?2 ORDER BY sequence DESC LIMIT 1";
    let before = database.first(sql, &[node.into(), after.into()])?;
    let mut previous: [u8; 32] = match before {
        Some(row) => row.get("mac")?,
        None => start(database, key, node)?.mac,
    };
    let mut entries = Vec::new();
    for record in page(database, node, after)?.into_iter().take(AUDIT_PAGE_RECORDS_MAX) {
        let fits = record.mac_after(&previous, key).ct_eq(&record.mac).into();
        previous = record.mac;
        entries.push(record.into_entry(fits));
    }
    Ok(entries)
}

/// Hands every record of every chain to `each`, one node after the other, fitting or not. Give it a transaction.
pub(in crate::kms) fn every<E: From<StoreError>>(
    database: &dyn Database,
    key: &DataKey,
    mut each: impl FnMut(&AuditEntry) -> Result<(), E>,
) -> Result<(), E> {
    for node in nodes(database)? {
        let mut after = i64::MIN;
        loop {
            let page = checked_page(database, key, node, after)?;
            let Some(last) = page.last() else { break };
            after = last.sequence;
            page.iter().try_for_each(&mut each)?;
        }
    }
    Ok(())
}

impl AuditRecord {
    fn into_entry(self, fits: bool) -> AuditEntry {
        let head = AuditHead {
            node: self.node,
            sequence: self.sequence,
            mac: self.mac,
        };
        AuditEntry {
            node: self.node,
            sequence: self.sequence,
            time: self.time,
            subject: self.subject,
            fingerprint: self.fingerprint,
            action: self.action,
            group: self.group,
            key_id: self.key_id,
            volume: self.volume,
            detail: self.detail,
            outcome: self.outcome,
            head,
            fits,
        }
    }
}
