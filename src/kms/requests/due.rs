//! Once a minute: service time goes on, requests that are due are carried out, and those that soon will be are said.

use std::collections::BTreeSet;
use std::time::Duration;

use super::further_admin::ends_at;
use super::service_time::{Interval, ServiceTime};
use super::{check_target, note, of_number};
use crate::clock::{Clock, Timestamp, to_text};
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::model::ServiceError;
use crate::kms::service::Kms;
use crate::kms::store::requests::{self, StoredRequest};
use crate::kms::store::{Session, groups, keys, quiesces, service_time as stored_time};
use crate::kms_api::{ADMIN_REQUESTS_MAX, AdminChange, AdminRequest, AdminRequestState, ServiceAlarm};

/// Days before the deed at which it is said; what waits for a person is said at its time, too.
const REMINDERS: [u64; 3] = [7, 1, 0];

const DAY: u64 = 24 * 3600;

/// How long a jump of the clock stands in the status.
const JUMP_SHOWN: time::Duration = time::Duration::days(1);

/// What is looked after in one run of the service.
#[derive(Debug, Default)]
pub(in crate::kms) struct RequestsDue {
    time: ServiceTime,
    /// What the store said at the last look.
    passed: Option<i64>,
    reminded: BTreeSet<(i64, u64)>,
}

impl RequestsDue {
    /// Does whatever is due now. Failures are logged and tried again at the next look.
    pub(in crate::kms) async fn look(&mut self, kms: &Kms, clock: &dyn Clock) {
        let interval = self.time.look(clock.now(), clock.monotonic());
        if let Err(error) = self.act(kms, interval).await {
            tracing::error!(%error, "whether a request of administrators is due is unknown");
        }
    }

    async fn act(&mut self, kms: &Kms, interval: Interval) -> Result<(), ServiceError> {
        let passed = match interval {
            Interval::Passed(passed) => passed,
            Interval::Jumped { expected, found } => {
                kms.note_jump(expected, found).await?;
                Duration::ZERO
            }
            Interval::First | Interval::StoodStill => Duration::ZERO,
        };
        let passed = i64::try_from(passed.as_millis()).unwrap_or(0);
        let reached = self.passed.map_or(0, |before| before.saturating_add(passed));
        let now = kms
            .store
            .run(move |session| Ok(stored_time::reach(session, reached)?))
            .await?;
        self.passed = Some(now);
        kms.carry_out_due().await?;
        self.remind(kms).await
    }

    async fn remind(&mut self, kms: &Kms) -> Result<(), ServiceError> {
        let open = kms.store.run(|session| super::shown(session, true)).await?;
        for request in open
            .iter()
            .filter(|request| request.state == AdminRequestState::Approved)
        {
            let left = request.seconds_left.unwrap_or(0);
            let reached = REMINDERS.into_iter().filter(|days| left <= days * DAY);
            let newly: Vec<_> = reached
                .filter(|days| self.reminded.insert((request.number, *days)))
                .collect();
            if !newly.is_empty() {
                tracing::error!(request = request.number, "ALARM: {}", describe(request));
            }
        }
        Ok(())
    }
}

/// What will happen, when, and by whose will.
fn describe(request: &AdminRequest) -> String {
    let days = request.seconds_left.unwrap_or(0).div_ceil(DAY);
    let will = match &request.change {
        AdminChange::AddAdmin { name } if days == 0 => format!("a token for administrator {name} can be made"),
        change => format!("in {days} days of service the KMS will {change}"),
    };
    let approved = request.approved_by.as_deref().unwrap_or("nobody");
    format!(
        "{will}, as {} asked and {approved} approved (request {})",
        request.asked_by, request.number
    )
}

/// What the status says of open requests: alarms about those that are near, and about a clock that jumped.
pub(in crate::kms) fn alarms(open: &[AdminRequest], jump: Option<&ServiceAlarm>, now: Timestamp) -> Vec<ServiceAlarm> {
    let near = |request: &&AdminRequest| {
        let first = REMINDERS.into_iter().max().unwrap_or(0);
        request.state == AdminRequestState::Approved && request.seconds_left.is_some_and(|left| left <= first * DAY)
    };
    let near = open.iter().filter(near).map(|request| ServiceAlarm {
        at: request.approved.unwrap_or(request.asked),
        text: describe(request),
        hint: format!(
            "if that is wrong: tapekey kms request undo {} --reason TEXT",
            request.number
        ),
    });
    let jump = jump.filter(|jump| now - jump.at < JUMP_SHOWN && now >= jump.at - JUMP_SHOWN);
    near.chain(jump.cloned()).collect()
}

impl Kms {
    /// Says that the clock jumped, if a request waits: then the time does not count for it.
    async fn note_jump(&self, expected: Timestamp, found: Timestamp) -> Result<(), ServiceError> {
        let waiting = self
            .store
            .run(|session| Ok(!requests::newest(session, true, 1)?.is_empty()))
            .await?;
        if !waiting {
            return Ok(());
        }
        let text = format!(
            "the clock jumped from {} to {}: that time does not count for requests that wait",
            to_text(expected),
            to_text(found)
        );
        tracing::error!("ALARM: {text}");
        let mut event = Event::new(&Actor::service(), Action::ClockJump);
        event.detail = Some(text.clone());
        self.note_clock_jump(ServiceAlarm {
            at: found,
            text,
            hint: "find out who set the clock; tapekey kms request list shows what waits".to_owned(),
        });
        self.store
            .run(move |session| session.audited(event, |_, _| Ok(())))
            .await
    }

    /// Carries out every request whose time has come, and ends those that nobody approved.
    pub(in crate::kms) async fn carry_out_due(&self) -> Result<(), ServiceError> {
        let due = self
            .store
            .run(|session| {
                // While quiesced nothing changes; it is done afterwards.
                if quiesces::count(session)? > 0 {
                    return Ok(Vec::new());
                }
                let passed = stored_time::passed(session)?;
                let open = requests::newest(session, true, ADMIN_REQUESTS_MAX)?;
                let due = open.iter().filter(|request| ends_at(request) <= passed);
                Ok(due.map(|request| request.record.number).collect::<Vec<_>>())
            })
            .await?;
        for number in due {
            let event = Event::new(&Actor::service(), Action::CarryOutRequest);
            self.store
                .run(move |session| session.audited(event, |session, event| carry_out(session, event, number)))
                .await?;
        }
        Ok(())
    }
}

fn carry_out(session: &Session<'_>, event: &mut Event, number: i64) -> Result<(), ServiceError> {
    let mut stored = of_number(session, number)?;
    note(event, &stored, "");
    let (state, outcome) = match stored.record.state {
        AdminRequestState::Asked => (AdminRequestState::Void, "nobody approved it within 30 days".to_owned()),
        AdminRequestState::Approved if ends_at(&stored) <= stored_time::passed(session)? => deed(session, &stored)?,
        _ => return Ok(()),
    };
    tracing::warn!(request = number, outcome, "a request of administrators has ended");
    event.outcome = match state {
        AdminRequestState::Done => outcome.clone(),
        _ => format!("void: {outcome}"),
    };
    Ok(stored.end(session, state, (&Actor::service(), outcome))?)
}

/// Does it, if everything is still so that it may be done.
fn deed(session: &Session<'_>, stored: &StoredRequest) -> Result<(AdminRequestState, String), ServiceError> {
    if requests::has_ended(session, stored.record.number)? {
        let why = "the audit log says that it ended before: somebody put it back into the store".to_owned();
        return Ok((AdminRequestState::Void, why));
    }
    match check_target(session, stored) {
        Ok(()) => {}
        Err(ServiceError::Refused(refusal)) => return Ok((AdminRequestState::Void, refusal.to_string())),
        Err(error) => return Err(error),
    }
    match &stored.record.change {
        AdminChange::DeleteKey { .. } => {
            if let Some(key) = keys::by_id(session, stored.target)? {
                key.erase(session)?;
            }
        }
        AdminChange::DeleteGroup { .. } => groups::delete(session, stored.target)?,
        AdminChange::AddAdmin { .. } => {
            let why = "nobody enrolled within 30 days of the time".to_owned();
            return Ok((AdminRequestState::Void, why));
        }
    }
    Ok((AdminRequestState::Done, "done".to_owned()))
}
