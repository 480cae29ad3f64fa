//! Requests of administrators in the store. The MAC of each covers every field, so that neither the wait nor who approved can be edited. One
//! that has ended cannot be put back by an older copy of its row either: the audit log is asked before it is carried out.

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::clock::Timestamp;
use crate::kad::KeyId;
use crate::kms::audit::{Action, Actor, mac_of};
use crate::kms::seal::Fields;
use crate::kms_api::{AdminChange, AdminRequest, AdminRequestState, ClientName, GroupName, KeyName};

/// A request as it is stored.
#[derive(Debug, Clone)]
pub(in crate::kms) struct StoredRequest {
    /// What the world sees; without what is left, which depends on when it is looked at.
    pub(in crate::kms) record: AdminRequest,
    /// Id of the key or the group, or what stands for a person's name.
    pub(in crate::kms) target: KeyId,
    /// The public key of who asked.
    pub(in crate::kms) asked_with: String,
    /// The service time at which it is due, in milliseconds.
    pub(in crate::kms) due: i64,
}

impl StoredRequest {
    /// What the world sees at a service time.
    pub(in crate::kms) fn shown_at(&self, passed: i64) -> AdminRequest {
        let left = u64::try_from(self.due.saturating_sub(passed)).unwrap_or(0) / 1000;
        AdminRequest {
            seconds_left: self.record.state.is_open().then_some(left),
            ..self.record.clone()
        }
    }

    /// Whether `actor` is who asked: a certificate of the same name, or with the same key, is the same person's.
    pub(in crate::kms) fn is_of(&self, actor: &Actor) -> bool {
        self.record.asked_by == actor.subject || self.asked_with == actor.public_key
    }

    /// Ends it.
    pub(in crate::kms) fn end(
        &mut self,
        session: &Session<'_>,
        state: AdminRequestState,
        (by, outcome): (&Actor, String),
    ) -> Result<(), StoreError> {
        self.record.state = state;
        self.record.ended = Some(moment(millis(session.now)));
        self.record.ended_by = Some(by.subject.clone());
        self.record.outcome = Some(outcome);
        update(session, self)
    }
}

/// A new request, which waits for approval until the service time `due`.
pub(in crate::kms) fn insert(
    session: &Session<'_>,
    actor: &Actor,
    (change, reason): (AdminChange, String),
    (target, due): (KeyId, i64),
) -> Result<StoredRequest, StoreError> {
    let numbered = "SELECT coalesce(max(number), 0) + 1 AS number FROM admin_requests";
    let number = column(session.database.first(numbered, &[])?, || "requests".to_owned())?.get("number")?;
    let key_id = matches!(change, AdminChange::DeleteKey { .. }).then_some(target);
    let stored = StoredRequest {
        record: AdminRequest {
            number,
            change,
            key_id,
            reason,
            state: AdminRequestState::Asked,
            asked: moment(millis(session.now)),
            asked_by: actor.subject.clone(),
            approved: None,
            approved_by: None,
            seconds_left: None,
            ended: None,
            ended_by: None,
            outcome: None,
        },
        target,
        asked_with: actor.public_key.clone(),
        due,
    };
    let (change, name, key) = columns(&stored.record.change);
    let record = &stored.record;
    session.database.execute(
        "INSERT INTO admin_requests (number, change, target, name, key_name, reason, state, asked, asked_by, asked_with, due, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        &[
            number.into(),
            change.into(),
            target.into(),
            name.into(),
            key.map(KeyName::as_str).into(),
            record.reason.as_str().into(),
            record.state.name().into(),
            millis(record.asked).into(),
            record.asked_by.as_str().into(),
            stored.asked_with.as_str().into(),
            due.into(),
            mac(session, &stored).into(),
        ],
    )?;
    Ok(stored)
}

/// Stores what approval and end change.
pub(in crate::kms) fn update(session: &Session<'_>, stored: &StoredRequest) -> Result<(), StoreError> {
    let record = &stored.record;
    session.database.execute(
        "UPDATE admin_requests SET state = ?2, approved = ?3, approved_by = ?4, due = ?5, ended = ?6, ended_by = ?7, outcome = ?8, mac = ?9
         WHERE number = ?1",
        &[
            record.number.into(),
            record.state.name().into(),
            record.approved.map(millis).into(),
            record.approved_by.as_deref().into(),
            stored.due.into(),
            record.ended.map(millis).into(),
            record.ended_by.as_deref().into(),
            record.outcome.as_deref().into(),
            mac(session, stored).into(),
        ],
    )?;
    Ok(())
}

/// The request of that number.
pub(in crate::kms) fn by_number(session: &Session<'_>, number: i64) -> Result<Option<StoredRequest>, StoreError> {
    let sql = "SELECT * FROM admin_requests WHERE number = ?1";
    let row = session.database.first(sql, &[number.into()])?;
    row.map(|row| checked(session, &row)).transpose()
}

/// The newest request about that key, group or person: open, if there is an open one.
pub(in crate::kms) fn about(session: &Session<'_>, target: KeyId) -> Result<Option<StoredRequest>, StoreError> {
    let sql = "SELECT * FROM admin_requests WHERE target = ?1 ORDER BY number DESC LIMIT 1";
    let row = session.database.first(sql, &[target.into()])?;
    row.map(|row| checked(session, &row)).transpose()
}

/// At most `limit` requests, newest first; `open` leaves out those that have ended.
pub(in crate::kms) fn newest(
    session: &Session<'_>,
    open: bool,
    limit: usize,
) -> Result<Vec<StoredRequest>, StoreError> {
    let sql = if open {
        "SELECT * FROM admin_requests WHERE state IN ('asked', 'approved') ORDER BY number DESC LIMIT ?1"
    } else {
        "SELECT * FROM admin_requests ORDER BY number DESC LIMIT ?1"
    };
    let rows = session.database.rows(sql, &[limit.into()])?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// Whether the audit log, of whichever node, says that the request was taken back, or that a further administrator enrolled by it.
pub(in crate::kms) fn has_ended(session: &Session<'_>, number: i64) -> Result<bool, StoreError> {
    let sql = "SELECT sequence FROM audit WHERE action IN (?1, ?2) AND detail LIKE ?3 AND outcome = 'done' LIMIT 1";
    let detail = format!("request {number}: %");
    let found = session.database.first(
        sql,
        &[
            Action::UndoRequest.name().into(),
            Action::Enroll.name().into(),
            detail.into(),
        ],
    )?;
    Ok(found.is_some())
}

/// What stands for a person in the place of an id: no id is drawn that way.
pub(in crate::kms) fn person(name: &ClientName) -> KeyId {
    let digest = Sha256::digest(format!("tapekey person {name}"));
    let mut id = [0; 16];
    id.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    KeyId(id)
}

const DELETE_KEY: &str = "delete_key";
const DELETE_GROUP: &str = "delete_group";
const ADD_ADMIN: &str = "add_admin";

/// What is asked for as it is stored: what, of which group or for whom, and the key.
fn columns(change: &AdminChange) -> (&'static str, &str, Option<&KeyName>) {
    match change {
        AdminChange::DeleteKey { group, key } => (DELETE_KEY, group.as_str(), Some(key)),
        AdminChange::DeleteGroup { group } => (DELETE_GROUP, group.as_str(), None),
        AdminChange::AddAdmin { name } => (ADD_ADMIN, name.as_str(), None),
    }
}

/// `None` if it makes no sense.
fn change_of(change: &str, name: String, key: Option<String>) -> Option<AdminChange> {
    match (change, key) {
        (DELETE_KEY, Some(key)) => Some(AdminChange::DeleteKey {
            group: GroupName::new(name).ok()?,
            key: KeyName::new(key).ok()?,
        }),
        (DELETE_GROUP, None) => Some(AdminChange::DeleteGroup {
            group: GroupName::new(name).ok()?,
        }),
        (ADD_ADMIN, None) => Some(AdminChange::AddAdmin {
            name: ClientName::new(name).ok()?,
        }),
        _ => None,
    }
}

fn checked(session: &Session<'_>, row: &Row) -> Result<StoredRequest, StoreError> {
    let number: i64 = row.get("number")?;
    let what = || format!("request {number}");
    let stored = column(read(row)?, what)?;
    let found: [u8; 32] = row.get("mac")?;
    if bool::from(mac(session, &stored).ct_eq(&found)) {
        Ok(stored)
    } else {
        Err(StoreError::DoesNotOpen { what: what() })
    }
}

/// `None` if a text makes no sense.
fn read(row: &Row) -> Result<Option<StoredRequest>, StoreError> {
    let (change, state): (String, String) = (row.get("change")?, row.get("state")?);
    let change = change_of(&change, row.get("name")?, row.get("key_name")?);
    let (Some(change), Some(state)) = (change, AdminRequestState::from_name(&state)) else {
        return Ok(None);
    };
    let target = row.get("target")?;
    let key_id = matches!(change, AdminChange::DeleteKey { .. }).then_some(target);
    let time = |name| -> Result<Option<Timestamp>, StoreError> { Ok(row.get::<Option<i64>>(name)?.map(moment)) };
    Ok(Some(StoredRequest {
        record: AdminRequest {
            number: row.get("number")?,
            change,
            key_id,
            reason: row.get("reason")?,
            state,
            asked: moment(row.get("asked")?),
            asked_by: row.get("asked_by")?,
            approved: time("approved")?,
            approved_by: row.get("approved_by")?,
            seconds_left: None,
            ended: time("ended")?,
            ended_by: row.get("ended_by")?,
            outcome: row.get("outcome")?,
        },
        target,
        asked_with: row.get("asked_with")?,
        due: row.get("due")?,
    }))
}

fn mac(session: &Session<'_>, stored: &StoredRequest) -> [u8; 32] {
    let record = &stored.record;
    let (change, name, key) = columns(&record.change);
    let time = |time: Option<Timestamp>| time.map(|time| millis(time).to_be_bytes());
    let text = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let fields = Fields::of("tapekey admin request v1")
        .number(record.number)
        .text(change)
        .bytes(&stored.target.0)
        .text(name)
        .optional(key.map(|key| key.as_str().as_bytes()))
        .text(&record.reason)
        .text(record.state.name())
        .number(millis(record.asked))
        .text(&record.asked_by)
        .text(&stored.asked_with)
        .optional(time(record.approved).as_ref().map(<[u8; 8]>::as_slice))
        .optional(text(&record.approved_by).as_deref())
        .number(stored.due)
        .optional(time(record.ended).as_ref().map(<[u8; 8]>::as_slice))
        .optional(text(&record.ended_by).as_deref())
        .optional(text(&record.outcome).as_deref());
    mac_of(&session.keyring.audit, &fields.encode())
}
