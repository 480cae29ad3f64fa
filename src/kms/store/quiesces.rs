//! Outstanding quiesces. They lie in the store, so that a restart in the middle of a backup of its files does not let changes in.

use rusqlite::{OptionalExtension, params};

use super::{Session, StoreError, millis, moment};
use crate::kms::audit::{Action, Actor};
use crate::kms::model::{Refusal, ServiceError};
use crate::kms_api::QuiesceRecord;

/// Refuses an action that changes groups or keys while there is a quiesce.
pub(super) fn admit(session: &Session<'_>, action: Action) -> Result<(), ServiceError> {
    if !action.changes_keys() {
        return Ok(());
    }
    match oldest(session, 1)?.pop() {
        Some(QuiesceRecord { since, subject }) => Err(Refusal::Quiesced {
            count: count(session)?,
            since,
            subject,
        }
        .into()),
        None => Ok(()),
    }
}

/// One more.
pub(in crate::kms) fn add(session: &Session<'_>, actor: &Actor) -> Result<(), StoreError> {
    session
        .connection
        .prepare_cached("INSERT INTO quiesces (since, subject, fingerprint) VALUES (?1, ?2, ?3)")?
        .execute(params![millis(session.now), actor.subject, actor.fingerprint])?;
    Ok(())
}

/// One less: the newest of `actor`, or else the newest of anybody. False if there was none.
pub(in crate::kms) fn take_back(session: &Session<'_>, actor: &Actor) -> Result<bool, StoreError> {
    let newest: Option<i64> = session
        .connection
        .prepare_cached("SELECT sequence FROM quiesces ORDER BY subject = ?1 DESC, sequence DESC LIMIT 1")?
        .query_row([&actor.subject], |row| row.get(0))
        .optional()?;
    let taken = session
        .connection
        .prepare_cached("DELETE FROM quiesces WHERE sequence = ?1")?
        .execute([newest])?;
    Ok(taken == 1)
}

/// How many are outstanding.
pub(in crate::kms) fn count(session: &Session<'_>) -> Result<u64, StoreError> {
    let count: i64 = session
        .connection
        .prepare_cached("SELECT count(*) FROM quiesces")?
        .query_row((), |row| row.get(0))?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// At most `limit` of them, the oldest first.
pub(in crate::kms) fn oldest(session: &Session<'_>, limit: usize) -> Result<Vec<QuiesceRecord>, StoreError> {
    let mut statement = session
        .connection
        .prepare_cached("SELECT since, subject FROM quiesces ORDER BY sequence LIMIT ?1")?;
    let rows = statement.query_map([i64::try_from(limit).unwrap_or(i64::MAX)], |row| {
        Ok(QuiesceRecord {
            since: moment(row.get(0)?),
            subject: row.get(1)?,
        })
    })?;
    Ok(rows.collect::<Result<_, _>>()?)
}
