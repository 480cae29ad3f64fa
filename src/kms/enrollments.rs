//! How new hosts and people come in: tokens, made, listed, cancelled and used. Each step is one audited transaction.
//!
//! A token is shown to whoever makes it, once. Nothing here can show it again: the store has its digest alone.

use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::audit::{Action, Actor, Event};
use super::certificates::{Holder, check_binding, check_name_is_free, issue};
use super::model::{HolderRefusal, ServiceError};
use super::requests::further_admin;
use super::service::{Kms, cursor};
use super::store::enrollments::{self, Enrollment, EnrollmentState};
use super::store::{Session, authority, millis, moment};
use crate::entropy::random_bytes;
use crate::kms_api::{
    ClientName, CreateEnrollment, Enroll, EnrollToken, EnrollmentList, EnrollmentToken, IssuedCertificate,
    PAGE_RECORDS_MAX, Role,
};

impl Kms {
    /// A token for a new host.
    ///
    /// # Errors
    /// [`HolderRefusal`]: the name is held, the binding does not fit the role. For role admin
    /// [`RequestRefusal`](super::requests::RequestRefusal): two administrators and the waiting time come first.
    pub async fn create_enrollment(
        &self,
        actor: &Actor,
        wanted: CreateEnrollment,
    ) -> Result<EnrollmentToken, ServiceError> {
        let mut event = Event::new(actor, Action::CreateEnrollment);
        let groups = wanted
            .binding
            .as_ref()
            .map_or_else(String::new, |binding| format!(", {binding}"));
        event.detail = Some(format!("{}, role {}{groups}", wanted.name, wanted.role));
        let by = actor.subject.clone();
        let work = move |session: &Session<'_>, _: &mut Event| {
            check_binding(wanted.role, wanted.binding.as_ref())?;
            check_name_is_free(session, &wanted.name)?;
            if wanted.role == Role::Admin {
                further_admin::granted(session, &wanted.name)?;
            }
            let ca = authority::of_session(session)?;
            let token = EnrollToken {
                id: random_bytes(session.entropy)?,
                secret: Zeroizing::new(random_bytes(session.entropy)?),
                ca: EnrollToken::digest(&[], &ca.root),
            };
            let digest = EnrollToken::digest(&token.id, &*token.secret);
            let expires = enrollments::insert(session, token.id, digest, wanted, &by)?;
            Ok(EnrollmentToken {
                token: token.to_text().to_string(),
                expires,
            })
        };
        let token = self.store.run(move |session| session.audited(event, work)).await?;
        self.enrollment_until
            .fetch_max(millis(token.expires), Ordering::Relaxed);
        Ok(token)
    }

    /// A page of the tokens that can still be used; `after` is `NAME/ID`.
    ///
    /// # Errors
    /// The store's.
    pub async fn enrollments(&self, after: Option<String>) -> Result<EnrollmentList, ServiceError> {
        let after = cursor(after.as_deref()).to_owned();
        let listed = move |session: &mut Session<'_>| {
            let (name, id) = after.split_once('/').unwrap_or((&after, ""));
            let id = hex::decode(id).unwrap_or_default();
            Ok(enrollments::open(session, (name, &id), PAGE_RECORDS_MAX)?)
        };
        let open = self.store.run(listed).await?;
        let full = open.len() == PAGE_RECORDS_MAX;
        let next = open.last().filter(|_| full).map(Enrollment::place);
        let enrollments = open.into_iter().map(Enrollment::shown).collect();
        Ok(EnrollmentList { enrollments, next })
    }

    /// Cancels every token for `name` that can still be used.
    ///
    /// # Errors
    /// [`HolderRefusal::NoSuchEnrollment`].
    pub async fn cancel_enrollments(&self, actor: &Actor, name: ClientName) -> Result<EnrollmentList, ServiceError> {
        let mut event = Event::new(actor, Action::CancelEnrollments);
        event.detail = Some(format!("for {name}"));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let open = enrollments::open_for(session, &name)?;
            if open.is_empty() {
                return Err(HolderRefusal::NoSuchEnrollment { name }.into());
            }
            event.detail = Some(format!("for {name}, {} of them", open.len()));
            for enrollment in &open {
                enrollments::end(session, enrollment, EnrollmentState::Cancelled)?;
            }
            Ok(open)
        };
        let cancelled = self.store.run(move |session| session.audited(event, work)).await?;
        self.look_for_enrollments().await?;
        Ok(EnrollmentList {
            enrollments: cancelled.into_iter().map(Enrollment::shown).collect(),
            next: None,
        })
    }

    /// A new host's first certificate. Why a token is refused stands in the audit log alone.
    ///
    /// # Errors
    /// [`HolderRefusal`]: the token, the request, or its key.
    pub async fn enroll(&self, actor: &Actor, wanted: Enroll) -> Result<IssuedCertificate, ServiceError> {
        let event = Event::new(actor, Action::Enroll);
        let work = move |session: &Session<'_>, event: &mut Event| {
            let enrollment = presented(session, event, &wanted)?;
            check_name_is_free(session, &enrollment.name)?;
            let request = match enrollment.role {
                Role::Admin => Some(still_granted(session, event, &enrollment.name)?),
                Role::Operator | Role::Auditor | Role::MediaServer => None,
            };
            enrollments::end(session, &enrollment, EnrollmentState::Used)?;
            let by = &enrollment.created_by;
            event.detail = Some(match &request {
                Some(request) => format!("request {}: with a token of {by}", request.record.number),
                None => format!("with a token of {by}"),
            });
            let holder = Holder {
                name: enrollment.name,
                role: enrollment.role,
                binding: enrollment.binding,
                issued_by: enrollment.created_by,
            };
            let issued = issue(session, event, holder, &wanted.signing_request)?;
            if let Some(request) = request {
                further_admin::end(session, request, (&event.actor, &issued.record))?;
            }
            Ok(issued)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Reads until when somebody without a certificate may come: other nodes make tokens too.
    ///
    /// # Errors
    /// The store's.
    pub(super) async fn look_for_enrollments(&self) -> Result<(), ServiceError> {
        let until = self.store.run(|session| Ok(enrollments::open_until(session)?)).await?;
        self.enrollment_until.store(until.map_or(0, millis), Ordering::Relaxed);
        Ok(())
    }

    /// Whether anybody at all may come without a certificate now.
    pub(super) fn awaits_enrollment(&self) -> bool {
        self.clock.now() <= moment(self.enrollment_until.load(Ordering::Relaxed))
    }
}

/// The token that is shown, if it can be used; if not, the event says why.
fn presented(session: &Session<'_>, event: &mut Event, wanted: &Enroll) -> Result<Enrollment, ServiceError> {
    let id = hex::decode(&wanted.id).ok();
    let enrollment = id.map(|id| enrollments::by_id(session, &id)).transpose()?.flatten();
    let secret = Zeroizing::new(hex::decode(&wanted.secret).unwrap_or_default());
    let Some(enrollment) = enrollment else {
        event.detail = Some("a token that does not exist".to_owned());
        return Err(HolderRefusal::Enrollment.into());
    };
    let digest = EnrollToken::digest(&hex::decode(&wanted.id).unwrap_or_default(), &secret);
    let problem = match enrollment.state {
        _ if !enrollment.is_of(&digest) => "a wrong secret",
        EnrollmentState::Used => "a token that was used",
        EnrollmentState::Cancelled => "a token that was cancelled",
        EnrollmentState::Open if session.now > enrollment.expires => "an expired token",
        EnrollmentState::Open => return Ok(enrollment),
    };
    event.detail = Some(format!("{problem}, for {}", enrollment.name));
    Err(HolderRefusal::Enrollment.into())
}

/// The request behind an administrator's token: it may have been undone since the token was made.
fn still_granted(
    session: &Session<'_>,
    event: &mut Event,
    name: &ClientName,
) -> Result<super::store::requests::StoredRequest, ServiceError> {
    further_admin::granted(session, name).map_err(|error| match error {
        ServiceError::Refused(refusal) => {
            event.detail = Some(format!("a token for administrator {name}: {refusal}"));
            HolderRefusal::Enrollment.into()
        }
        error => error,
    })
}
