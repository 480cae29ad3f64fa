//! Tokens for new hosts: of each its digest, and what it is good for. A MAC covers every field. The secret itself is kept nowhere.

use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use super::certificates::{binding_of, binding_text};
use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::kms::audit::mac_of;
use crate::kms::seal::Fields;
use crate::kms_api::{Binding, ClientName, CreateEnrollment, Role};

/// How long a token is good.
const VALID: Duration = Duration::hours(1);

/// How long a used or expired token is remembered, so that the audit log can say which one was tried.
const REMEMBERED: Duration = Duration::days(30);

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
    pub(in crate::kms) used: bool,
}

impl Enrollment {
    /// Whether `digest` is that of the secret, in constant time.
    pub(in crate::kms) fn is_of(&self, digest: &[u8; 32]) -> bool {
        self.digest.ct_eq(digest).into()
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
        used: false,
    };
    session.database.execute(
        "INSERT INTO enrollments (id, digest, name, role, binding, created_by, expires, used, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        &[
            enrollment.id.into(),
            enrollment.digest.into(),
            enrollment.name.as_str().into(),
            enrollment.role.name().into(),
            enrollment.binding.as_ref().map(binding_text).into(),
            enrollment.created_by.as_str().into(),
            millis(enrollment.expires).into(),
            enrollment.used.into(),
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

/// Uses a token up.
pub(in crate::kms) fn use_up(session: &Session<'_>, enrollment: &Enrollment) -> Result<(), StoreError> {
    let used = Enrollment {
        used: true,
        ..enrollment.clone()
    };
    session.database.execute(
        "UPDATE enrollments SET used = 1, mac = ?2 WHERE id = ?1",
        &[used.id.into(), mac(session, &used).into()],
    )?;
    Ok(())
}

/// Until when somebody without a certificate may come with a token, if there is one to come with.
pub(in crate::kms) fn open_until(session: &Session<'_>) -> Result<Option<OffsetDateTime>, StoreError> {
    let sql = "SELECT expires FROM enrollments WHERE used = 0 ORDER BY expires DESC LIMIT 1";
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
    let (name, role): (String, String) = (row.get("name")?, row.get("role")?);
    let (Ok(name), Some(role)) = (ClientName::new(name), Role::from_name(&role)) else {
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
        used: row.get("used")?,
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
        .number(i64::from(enrollment.used));
    mac_of(&session.keyring.audit, &fields.encode())
}
