//! A further administrator. One asks, another approves, and after the waiting time a token can be made for the name, which only its holder
//! may see; so nothing is done by the service itself. The first certificate ends the request, and so does a month without one.

use super::{RequestRefusal, WAIT};
use crate::kms::audit::Actor;
use crate::kms::model::ServiceError;
use crate::kms::store::requests::{self, StoredRequest};
use crate::kms::store::{Session, service_time};
use crate::kms_api::{AdminChange, AdminRequestState, CertificateRecord, ClientName};

/// The request by which a token for administrator `name` may be made and used now.
///
/// # Errors
/// [`RequestRefusal`]: nobody asked, nobody approved it, or its time has not come.
pub(in crate::kms) fn granted(session: &Session<'_>, name: &ClientName) -> Result<StoredRequest, ServiceError> {
    let found = requests::about(session, requests::person(name))?;
    let none = || RequestRefusal::NoFurtherAdmin { name: name.clone() };
    let stored = found.filter(|found| found.record.state.is_open()).ok_or_else(none)?;
    let passed = service_time::passed(session)?;
    if stored.record.state != AdminRequestState::Approved || stored.due > passed {
        return Err(RequestRefusal::NotYet {
            number: stored.record.number,
            name: name.clone(),
            state: stored.record.state,
            days_left: stored.shown_at(passed).seconds_left.unwrap_or(0).div_ceil(24 * 3600),
        }
        .into());
    }
    if requests::has_ended(session, stored.record.number)? {
        return Err(none().into());
    }
    Ok(stored)
}

/// Ends the request with the certificate that it was made for.
pub(in crate::kms) fn end(
    session: &Session<'_>,
    mut stored: StoredRequest,
    (by, issued): (&Actor, &CertificateRecord),
) -> Result<(), ServiceError> {
    let outcome = format!("done: serial number {}", issued.serial);
    Ok(stored.end(session, AdminRequestState::Done, (by, outcome))?)
}

/// The service time at which the service ends a request by itself, whether it carries it out or gives it up.
pub(super) fn ends_at(stored: &StoredRequest) -> i64 {
    let waits_for_a_person = matches!(stored.record.change, AdminChange::AddAdmin { .. })
        && stored.record.state == AdminRequestState::Approved;
    stored.due.saturating_add(if waits_for_a_person { WAIT } else { 0 })
}
