//! Keys of as-is groups as imports and restores of foreign volumes look for them: by the KAD of other software, and by the key itself.

use super::groups::{self, Group};
use super::keys::{self, Raw, StoredKey};
use super::{Session, StoreError};
use crate::kad::{KeyKind, without_padding};
use crate::kms::model::ServiceError;
use crate::kms_api::{KeyState, PAGE_RECORDS_MAX};
use crate::secret::DataKey;

/// The keys of as-is groups that were imported with `kad`, padding ignored on both sides: usable ones first, of these exact matches, of
/// these the active one and the newest. At most `limit`.
pub(in crate::kms) fn by_kad(session: &Session<'_>, kad: &[u8], limit: usize) -> Result<Vec<StoredKey>, StoreError> {
    let unpadded = without_padding(kad);
    if unpadded.is_empty() {
        // A KAD of nothing but padding is what some drives show where there is none.
        return Ok(Vec::new());
    }
    let rows = session.database.rows(
        "SELECT keys.* FROM keys JOIN key_groups ON key_groups.id = keys.group_id
         WHERE keys.foreign_kad_unpadded = ?1 AND key_groups.kind = 'as_is'
         ORDER BY keys.state IN ('active', 'inactive') DESC, keys.foreign_kad = ?2 DESC, keys.state = 'active' DESC,
                  keys.created DESC, keys.name
         LIMIT ?3",
        &[unpadded.into(), kad.into(), limit.into()],
    )?;
    let mut found = Vec::new();
    for row in rows {
        let stored = Raw::read(&row)?.checked_alone(session)?;
        // The group's kind as its seal says it, not as the table does.
        if stored.kind == KeyKind::AsIs {
            found.push(stored);
        }
    }
    Ok(found)
}

/// For each of `wanted` the key of an as-is group with the same bytes, if there is one. Opens every key of these groups.
pub(in crate::kms) fn holders(
    session: &Session<'_>,
    wanted: &[&DataKey],
) -> Result<Vec<Option<StoredKey>>, StoreError> {
    let mut holders: Vec<Option<StoredKey>> = wanted.iter().map(|_| None).collect();
    let mut after = String::new();
    loop {
        let page = groups::list(session, &after, PAGE_RECORDS_MAX)?;
        let Some(last) = page.last() else { return Ok(holders) };
        after = last.name.to_string();
        for record in page.iter().filter(|record| record.kind == KeyKind::AsIs) {
            if let Some(group) = groups::by_name(session, &record.name)? {
                compare_group(session, &group, wanted, &mut holders)?;
            }
        }
    }
}

fn compare_group(
    session: &Session<'_>,
    group: &Group,
    wanted: &[&DataKey],
    holders: &mut [Option<StoredKey>],
) -> Result<(), StoreError> {
    let mut after = String::new();
    loop {
        let page = keys::page(session, group, &after, PAGE_RECORDS_MAX)?;
        let Some(last) = page.last() else { return Ok(()) };
        after = last.record.name.to_string();
        for stored in page {
            if stored.record.state == KeyState::Deleted {
                continue;
            }
            let key = stored.open(session)?;
            let same = wanted
                .iter()
                .zip(holders.iter_mut())
                .filter(|(wanted, _)| ***wanted == key);
            same.for_each(|(_, holder)| *holder = Some(stored.clone()));
        }
    }
}

/// Does `work` and undoes all that it stored: a preview that takes the same way as the real thing.
pub(in crate::kms) fn without_trace<T>(
    session: &Session<'_>,
    work: impl FnOnce() -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    session.database.batch("SAVEPOINT preview")?;
    let result = work();
    session.database.batch("ROLLBACK TO preview; RELEASE preview")?;
    result
}
