//! Outstanding quiesces. They lie in the store, so that a restart in the middle of a backup of its files does not let changes in.

use super::value::Row;
use super::{Session, StoreError, millis, moment};
use crate::kms::audit::{Action, Actor};
use crate::kms::model::{Refusal, ServiceError};
use crate::kms_api::QuiesceRecord;

/// Refuses an action that changes groups or keys while there is a quiesce.
pub(in crate::kms) fn admit(session: &Session<'_>, action: Action) -> Result<(), ServiceError> {
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
    session.database.execute(
        "INSERT INTO quiesces (sequence, since, subject, fingerprint) SELECT coalesce(max(sequence), 0) + 1, ?1, ?2, ?3 FROM quiesces",
        &[
            millis(session.now).into(),
            actor.subject.as_str().into(),
            actor.fingerprint.as_str().into(),
        ],
    )?;
    Ok(())
}

/// One less: the newest of `actor`, or else the newest of anybody. False if there was none.
pub(in crate::kms) fn take_back(session: &Session<'_>, actor: &Actor) -> Result<bool, StoreError> {
    let newest = session.database.first(
        "SELECT sequence FROM quiesces ORDER BY subject = ?1 DESC, sequence DESC LIMIT 1",
        &[actor.subject.as_str().into()],
    )?;
    let Some(newest) = newest else { return Ok(false) };
    let sequence: i64 = newest.get("sequence")?;
    let sql = "DELETE FROM quiesces WHERE sequence = ?1";
    Ok(session.database.execute(sql, &[sequence.into()])? == 1)
}

/// How many are outstanding.
pub(in crate::kms) fn count(session: &Session<'_>) -> Result<u64, StoreError> {
    session.database.count("SELECT count(*) AS number FROM quiesces")
}

/// At most `limit` of them, the oldest first.
pub(in crate::kms) fn oldest(session: &Session<'_>, limit: usize) -> Result<Vec<QuiesceRecord>, StoreError> {
    let sql = "SELECT since, subject FROM quiesces ORDER BY sequence LIMIT ?1";
    let rows = session.database.rows(sql, &[limit.into()])?;
    let read = |row: &Row| {
        Ok(QuiesceRecord {
            since: moment(row.get("since")?),
            subject: row.get("subject")?,
        })
    };
    rows.iter().map(read).collect()
}
