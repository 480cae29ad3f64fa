//! Tokens for new hosts: of each its digest, and what it is good for. A MAC covers every field. The secret itself is kept nowhere.

use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use super::certificates::{binding_of, binding_text};
use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::kms::audit::mac_of;
use crate::kms::seal::Fields;
use crate::kms_api::{Binding, ClientName, CreateEnrollment, EnrollmentRecord, Role};

/// How long a token is good.
const VALID: Duration = Duration::hours(1);

/// How long a used or expired token is remembered, so that the audit log can say which one was tried.
const REMEMBERED: Duration = Duration::days(30);

/// Whether a token can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::kms) enum EnrollmentState {
    /// It was not used yet; it may have expired.
    Open,
    /// There is a certificate for it.
    Used,
    /// An administrator made it worthless.
    Cancelled,
}

impl EnrollmentState {
    const ALL: [Self; 3] = [Self::Open, Self::Used, Self::Cancelled];

    fn name(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Used => "used",
            Self::Cancelled => "cancelled",
        }
    }
}

/// A token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Enrollment {
    id: [u8; 16],
    digest: [u8; 32],
    pub(in crate::kms) name: ClientName,
    pub(in crate::kms) role: Role,
    pub(in crate::kms) binding: Option<Binding>,
    pub(in crate::kms) created_by: String,
    pub(in crate::kms) expires: OffsetDateTime,
    pub(in crate::kms) state: EnrollmentState,
}

impl Enrollment {
    /// Whether `digest` is that of the secret, in constant time.
    pub(in crate::kms) fn is_of(&self, digest: &[u8; 32]) -> bool {
        self.digest.ct_eq(digest).into()
    }

    /// Its place in the list of open ones.
    pub(in crate::kms) fn place(&self) -> String {
        format!("{}/{}", self.name, hex::encode(self.id))
    }

    /// What the world sees.
    pub(in crate::kms) fn shown(self) -> EnrollmentRecord {
        EnrollmentRecord {
            name: self.name,
            role: self.role,
            binding: self.binding,
            created_by: self.created_by,
            expires: self.expires,
        }
    }
}

/// Keeps a token; until when it is good.
pub(in crate::kms) fn insert(
    session: &Session<'_>,
    id: [u8; 16],
    digest: [u8; 32],
    wanted: CreateEnrollment,
    created_by: &str,
) -> Result<OffsetDateTime, StoreError> {
    let forget = millis(session.now - REMEMBERED);
    session
        .database
        .execute("DELETE FROM enrollments WHERE expires < ?1", &[forget.into()])?;
    let enrollment = Enrollment {
        id,
        digest,
        name: wanted.name,
        role: wanted.role,
        binding: wanted.binding,
        created_by: created_by.to_owned(),
        expires: moment(millis(session.now + VALID)),
        state: EnrollmentState::Open,
    };
    session.database.execute(
        "INSERT INTO enrollments (id, digest, name, role, binding, created_by, expires, state, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            enrollment.id.into(),
            enrollment.digest.into(),
            enrollment.name.as_str().into(),
            enrollment.role.name().into(),
            enrollment.binding.as_ref().map(binding_text).into(),
            enrollment.created_by.as_str().into(),
            millis(enrollment.expires).into(),
            enrollment.state.name().into(),
            mac(session, &enrollment).into(),
        ],
    )?;
    Ok(enrollment.expires)
}

/// The token with that id.
pub(in crate::kms) fn by_id(session: &Session<'_>, id: &[u8]) -> Result<Option<Enrollment>, StoreError> {
    let row = session
        .database
        .first("SELECT * FROM enrollments WHERE id = ?1", &[id.into()])?;
    row.map(|row| checked(session, &row)).transpose()
}

/// At most `limit` tokens that can be used, by name and id, those after `after`.
pub(in crate::kms) fn open(
    session: &Session<'_>,
    (after_name, after_id): (&str, &[u8]),
    limit: usize,
) -> Result<Vec<Enrollment>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM enrollments WHERE state = 'open' AND expires >= ?1 AND (name > ?2 OR (name = ?2 AND id > ?3))
         ORDER BY name, id LIMIT ?4",
        &[
            millis(session.now).into(),
            after_name.into(),
            after_id.into(),
            limit.into(),
        ],
    )?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// The tokens for `name` that can be used. Each is good for an hour, so there are few.
pub(in crate::kms) fn open_for(session: &Session<'_>, name: &ClientName) -> Result<Vec<Enrollment>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM enrollments WHERE state = 'open' AND expires >= ?1 AND name = ?2 ORDER BY id",
        &[millis(session.now).into(), name.as_str().into()],
    )?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// The tokens for `name` that were neither used nor cancelled. Expired ones too: they are good still where the clock is behind.
pub(in crate::kms) fn unused_for(session: &Session<'_>, name: &ClientName) -> Result<Vec<Enrollment>, StoreError> {
    unused(session, "name", name.as_str())
}

/// The same of those that `maker` made.
pub(in crate::kms) fn unused_by(session: &Session<'_>, maker: &str) -> Result<Vec<Enrollment>, StoreError> {
    unused(session, "created_by", maker)
}

fn unused(session: &Session<'_>, by: &str, value: &str) -> Result<Vec<Enrollment>, StoreError> {
    let sql = format!("SELECT * FROM enrollments WHERE state = 'open' AND {by} = ?1 ORDER BY id");
    let rows = session.database.rows(&sql, &[value.into()])?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// Writes down that a token cannot be used any more.
pub(in crate::kms) fn end(
    session: &Session<'_>,
    enrollment: &Enrollment,
    state: EnrollmentState,
) -> Result<(), StoreError> {
    let ended = Enrollment {
        state,
        ..enrollment.clone()
    };
    session.database.execute(
        "UPDATE enrollments SET state = ?2, mac = ?3 WHERE id = ?1",
        &[ended.id.into(), state.name().into(), mac(session, &ended).into()],
    )?;
    Ok(())
}

/// Until when somebody without a certificate may come with a token, if there is one to come with.
pub(in crate::kms) fn open_until(session: &Session<'_>) -> Result<Option<OffsetDateTime>, StoreError> {
    let sql = "SELECT expires FROM enrollments WHERE state = 'open' ORDER BY expires DESC LIMIT 1";
    let row = session.database.first(sql, &[])?;
    row.map(|row| Ok(moment(row.get("expires")?))).transpose()
}

/// Looks at every token.
pub(super) fn check_all(session: &Session<'_>) -> Result<(), StoreError> {
    let rows = session.database.rows("SELECT * FROM enrollments", &[])?;
    rows.iter().try_for_each(|row| checked(session, row).map(drop))
}

fn checked(session: &Session<'_>, row: &Row) -> Result<Enrollment, StoreError> {
    let what = || "the record of an enrollment token".to_owned();
    let enrollment = column(read(row)?, what)?;
    if bool::from(mac(session, &enrollment).ct_eq(&row.get::<[u8; 32]>("mac")?)) {
        Ok(enrollment)
    } else {
        Err(StoreError::DoesNotOpen { what: what() })
    }
}

/// `None` where a column makes no sense.
fn read(row: &Row) -> Result<Option<Enrollment>, StoreError> {
    let (name, role, state): (String, String, String) = (row.get("name")?, row.get("role")?, row.get("state")?);
    let state = EnrollmentState::ALL.into_iter().find(|known| known.name() == state);
    let (Ok(name), Some(role), Some(state)) = (ClientName::new(name), Role::from_name(&role), state) else {
        return Ok(None);
    };
    let binding: Option<String> = row.get("binding")?;
    Ok(Some(Enrollment {
        id: row.get("id")?,
        digest: row.get("digest")?,
        name,
        role,
        binding: binding.map(|text| binding_of(&text)),
        created_by: row.get("created_by")?,
        expires: moment(row.get("expires")?),
        state,
    }))
}

fn mac(session: &Session<'_>, enrollment: &Enrollment) -> [u8; 32] {
    let binding = enrollment.binding.as_ref().map(binding_text);
    let fields = Fields::of("tapekey enrollment record v1")
        .bytes(&enrollment.id)
        .bytes(&enrollment.digest)
        .text(enrollment.name.as_str())
        .text(enrollment.role.name())
        .optional(binding.as_ref().map(String::as_bytes))
        .text(&enrollment.created_by)
        .number(millis(enrollment.expires))
        .text(enrollment.state.name());
    mac_of(&session.keyring.audit, &fields.encode())
}
