//! What needs two administrators and a waiting time. One asks, another approves, and after thirty days of service time the service carries it
//! out by itself, or a further administrator can enroll; until then anybody who operates the KMS takes it back. Each step is one audited
//! transaction.
//!
//! Nothing here deletes on a command: only [`Kms::carry_out_due`] does, and it looks at everything again before.

mod due;
pub(in crate::kms) mod further_admin;
mod refusal;
mod service_time;

pub(in crate::kms) use due::{RequestsDue, alarms};
pub use refusal::RequestRefusal;

use super::audit::{Action, Actor, Event};
use super::certificates::check_name_is_free;
use super::model::{Refusal, ServiceError, check_description};
use super::service::{Kms, existing};
use super::store::requests::{self, StoredRequest};
use super::store::{Session, groups, keys, service_time as stored_time};
use crate::kad::KeyId;
use crate::kms_api::{
    ADMIN_REQUESTS_MAX, AdminChange, AdminRequest, AdminRequestList, AdminRequestState, KeyState, NewAdminRequest,
    UndoAdminRequest,
};

/// From approval to the deed, and from the asking to the last moment to approve: thirty days of service time, in milliseconds.
const WAIT: i64 = 30 * 24 * 3600 * 1000;

impl Kms {
    /// Asks for a change that needs a second administrator.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or key, a state that forbids it, a name that is held, a request about it is open, no reason.
    pub async fn make_request(&self, actor: &Actor, wanted: NewAdminRequest) -> Result<AdminRequest, ServiceError> {
        let mut event = Event::new(actor, Action::MakeRequest);
        event.detail = Some(format!("{}: {}", wanted.change, wanted.reason));
        let actor = actor.clone();
        let work = move |session: &Session<'_>, event: &mut Event| {
            check_reason(&wanted.reason)?;
            let target = target(session, &wanted.change)?;
            if let Some(open) = requests::about(session, target)?.filter(|request| request.record.state.is_open()) {
                let number = open.record.number;
                return Err(RequestRefusal::RequestOpen { number }.into());
            }
            let passed = stored_time::passed(session)?;
            let due = passed.saturating_add(WAIT);
            let stored = requests::insert(session, &actor, (wanted.change, wanted.reason), (target, due))?;
            note(event, &stored, "");
            Ok(stored.shown_at(passed))
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Approves a request of somebody else; from now on it waits for its time.
    ///
    /// # Errors
    /// [`Refusal`]: no such request, not open, of the same person, or what it is about has changed.
    pub async fn approve_request(&self, actor: &Actor, number: i64) -> Result<AdminRequest, ServiceError> {
        let event = Event::new(actor, Action::ApproveRequest);
        let actor = actor.clone();
        let work = move |session: &Session<'_>, event: &mut Event| {
            let mut stored = of_number(session, number)?;
            note(event, &stored, "");
            if stored.record.state != AdminRequestState::Asked {
                return Err(wrong_state(&stored));
            }
            if stored.is_of(&actor) {
                let subject = actor.subject.clone();
                return Err(RequestRefusal::SamePerson { number, subject }.into());
            }
            check_target(session, &stored)?;
            let passed = stored_time::passed(session)?;
            stored.record.state = AdminRequestState::Approved;
            stored.record.approved = Some(session.now);
            stored.record.approved_by = Some(actor.subject.clone());
            stored.due = passed.saturating_add(WAIT);
            requests::update(session, &stored)?;
            Ok(of_number(session, number)?.shown_at(passed))
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Takes a request back, whoever made it.
    ///
    /// # Errors
    /// [`Refusal`]: no such request, not open, no reason.
    pub async fn undo_request(
        &self,
        actor: &Actor,
        number: i64,
        wanted: UndoAdminRequest,
    ) -> Result<AdminRequest, ServiceError> {
        let event = Event::new(actor, Action::UndoRequest);
        let actor = actor.clone();
        let work = move |session: &Session<'_>, event: &mut Event| {
            let mut stored = of_number(session, number)?;
            note(event, &stored, &wanted.reason);
            check_reason(&wanted.reason)?;
            if !stored.record.state.is_open() {
                return Err(wrong_state(&stored));
            }
            stored.end(session, AdminRequestState::Undone, (&actor, wanted.reason))?;
            Ok(stored.shown_at(0))
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// The newest requests, newest first.
    ///
    /// # Errors
    /// The store's.
    pub async fn requests(&self) -> Result<AdminRequestList, ServiceError> {
        self.store
            .run(|session| {
                Ok(AdminRequestList {
                    requests: shown(session, false)?,
                })
            })
            .await
    }

    /// One request.
    ///
    /// # Errors
    /// [`RequestRefusal::NoSuchRequest`].
    pub async fn request(&self, number: i64) -> Result<AdminRequest, ServiceError> {
        self.store
            .run(move |session| {
                let passed = stored_time::passed(session)?;
                Ok(of_number(session, number)?.shown_at(passed))
            })
            .await
    }
}

/// The newest requests as they are now.
pub(in crate::kms) fn shown(session: &Session<'_>, open: bool) -> Result<Vec<AdminRequest>, ServiceError> {
    let passed = stored_time::passed(session)?;
    let stored = requests::newest(session, open, ADMIN_REQUESTS_MAX)?;
    Ok(stored.iter().map(|request| request.shown_at(passed)).collect())
}

fn of_number(session: &Session<'_>, number: i64) -> Result<StoredRequest, ServiceError> {
    let found = requests::by_number(session, number)?;
    Ok(found.ok_or(RequestRefusal::NoSuchRequest { number })?)
}

fn wrong_state(stored: &StoredRequest) -> ServiceError {
    RequestRefusal::RequestState {
        number: stored.record.number,
        state: stored.record.state,
    }
    .into()
}

/// What every record about a request begins with: the number, by which it is found again.
fn note(event: &mut Event, stored: &StoredRequest, more: &str) {
    let record = &stored.record;
    let more = if more.is_empty() { &record.reason } else { more };
    event.detail = Some(format!("request {}: {}: {more}", record.number, record.change));
    event.key_id = record.key_id;
}

fn check_reason(reason: &str) -> Result<(), Refusal> {
    if reason.trim().is_empty() {
        return Err(Refusal::Description);
    }
    check_description(reason)
}

/// The id of what `change` is about, if it may be done now.
fn target(session: &Session<'_>, change: &AdminChange) -> Result<KeyId, ServiceError> {
    match change {
        AdminChange::DeleteKey { group, key } => {
            let found = existing(session, group)?;
            let stored = keys::by_name(session, &found, key)?;
            let stored = stored.ok_or_else(|| Refusal::NoSuchKey {
                group: group.clone(),
                key: key.clone(),
            })?;
            check_deletable(&stored)?;
            Ok(stored.record.id)
        }
        AdminChange::DeleteGroup { group } => {
            let found = existing(session, group)?;
            check_empty(session, &found)?;
            Ok(groups::id_of(&found))
        }
        AdminChange::AddAdmin { name } => {
            check_name_is_free(session, name)?;
            Ok(requests::person(name))
        }
    }
}

/// The same, by the id of what the request is about, whatever it is called by now.
fn check_target(session: &Session<'_>, stored: &StoredRequest) -> Result<(), ServiceError> {
    match &stored.record.change {
        AdminChange::DeleteKey { group, key } => {
            let found = keys::by_id(session, stored.target)?;
            let found = found.ok_or_else(|| Refusal::NoSuchKey {
                group: group.clone(),
                key: key.clone(),
            })?;
            Ok(check_deletable(&found)?)
        }
        AdminChange::DeleteGroup { group } => {
            let found = groups::by_id(session, stored.target)?;
            let found = found.ok_or_else(|| Refusal::NoSuchGroup { group: group.clone() })?;
            check_empty(session, &found)
        }
        AdminChange::AddAdmin { name } => check_name_is_free(session, name),
    }
}

fn check_deletable(stored: &keys::StoredKey) -> Result<(), RequestRefusal> {
    match stored.record.state {
        KeyState::Prelive | KeyState::Terminated => Ok(()),
        state => Err(RequestRefusal::NotDeletable {
            group: stored.record.group.clone(),
            key: stored.record.name.clone(),
            state,
        }),
    }
}

fn check_empty(session: &Session<'_>, group: &groups::Group) -> Result<(), ServiceError> {
    if group.released_outside {
        let group = group.record.name.clone();
        return Err(RequestRefusal::ReleasedOutside { group }.into());
    }
    if keys::list(session, group, "", 1)?.is_empty() {
        return Ok(());
    }
    let group = group.record.name.clone();
    Err(RequestRefusal::GroupNotEmpty { group }.into())
}
