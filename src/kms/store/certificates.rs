//! The certificates that were issued, each with a MAC over all its fields. What is not here is refused, whoever signed it; what ended here
//! is refused from then on, on every node, in the transaction of the request itself.

use std::collections::BTreeSet;

use subtle::ConstantTimeEq;
use time::{Duration, OffsetDateTime};

use super::value::Row;
use super::{Session, StoreError, column, millis, moment};
use crate::kms::audit::{Actor, mac_of};
use crate::kms::model::{CertificateRefusal, HolderRefusal, ServiceError};
use crate::kms::pki::CertificateFacts;
use crate::kms::seal::Fields;
use crate::kms_api::{Binding, CertificateRecord, ClientName, EndReason, Ended, Expiry, GroupName, Role};

/// How long a certificate is still good once its successor is in use: requests under way and other programs of the host need a moment.
const REPLACED_AFTER: Duration = Duration::hours(1);

/// How a binding to all groups is stored; no group can have this name.
const ALL_GROUPS: &str = "*";

/// A certificate to write down.
pub(in crate::kms) struct NewCertificate<'a> {
    pub(in crate::kms) facts: &'a CertificateFacts,
    pub(in crate::kms) name: &'a ClientName,
    pub(in crate::kms) role: Role,
    pub(in crate::kms) binding: Option<Binding>,
    pub(in crate::kms) issued_by: &'a str,
}

/// A certificate as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct Stored {
    pub(in crate::kms) record: CertificateRecord,
    /// Whether its holder has used it: then those before it are replaced.
    pub(in crate::kms) used: bool,
}

impl Stored {
    /// Whether it may be used at `now`.
    ///
    /// # Errors
    /// Why not.
    pub(in crate::kms) fn is_good(&self, now: OffsetDateTime) -> Result<(), CertificateRefusal> {
        match &self.record.ended {
            // Revoked is revoked: the clock of the node that wrote it down may be ahead of this one's, or this one's was set back.
            Some(ended) if ended.why == EndReason::Revoked || now >= ended.at => Err(CertificateRefusal::Ended {
                serial: self.record.serial.clone(),
                at: ended.at,
                why: ended.why,
            }),
            _ if now > self.record.not_after => Err(CertificateRefusal::Expired {
                not_after: self.record.not_after,
            }),
            _ => Ok(()),
        }
    }

    /// Whether it may be used at `now`, and until its own last day: it is not about to end.
    pub(in crate::kms) fn stays(&self, now: OffsetDateTime) -> bool {
        self.record.ended.is_none() && self.is_good(now).is_ok()
    }

    /// Whether revoking it changes anything. One that was replaced can be good still where the clock is behind.
    pub(in crate::kms) fn is_revocable(&self, now: OffsetDateTime) -> bool {
        let is_revoked = self.record.ended.as_ref().map(|ended| ended.why) == Some(EndReason::Revoked);
        !is_revoked && now <= self.record.not_after
    }
}

/// Writes a certificate down; `None` if there is one for the same key already.
pub(in crate::kms) fn insert(
    session: &Session<'_>,
    new: NewCertificate<'_>,
) -> Result<Option<CertificateRecord>, StoreError> {
    // The serial number follows from the public key.
    if first(session, "serial", &new.facts.serial)?.is_some() {
        return Ok(None);
    }
    let record = CertificateRecord {
        serial: new.facts.serial.clone(),
        name: new.name.clone(),
        role: new.role,
        binding: new.binding,
        fingerprint: new.facts.fingerprint.clone(),
        not_before: new.facts.not_before,
        not_after: new.facts.not_after,
        issued_by: new.issued_by.to_owned(),
        ended: None,
        expiry: None,
    };
    let stored = Stored { record, used: false };
    let record = &stored.record;
    session.database.execute(
        "INSERT INTO certificates (fingerprint, serial, name, role, binding, not_before, not_after, issued_by, first_used, mac)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        &[
            record.fingerprint.as_str().into(),
            record.serial.as_str().into(),
            record.name.as_str().into(),
            record.role.name().into(),
            record.binding.as_ref().map(binding_text).into(),
            millis(record.not_before).into(),
            millis(record.not_after).into(),
            record.issued_by.as_str().into(),
            stored.used.into(),
            mac(session, &stored).into(),
        ],
    )?;
    Ok(Some(stored.record))
}

/// The certificate with that fingerprint.
pub(in crate::kms) fn by_fingerprint(session: &Session<'_>, fingerprint: &str) -> Result<Option<Stored>, StoreError> {
    first(session, "fingerprint", fingerprint)
}

/// All certificates of a name, the newest first. A name has few: a new one comes with a renewal.
pub(in crate::kms) fn of_name(session: &Session<'_>, name: &ClientName) -> Result<Vec<Stored>, StoreError> {
    let sql = "SELECT * FROM certificates WHERE name = ?1 ORDER BY not_before DESC, serial";
    let rows = session.database.rows(sql, &[name.as_str().into()])?;
    rows.iter().map(|row| checked(session, row)).collect()
}

/// Who has or had a certificate of `role`.
pub(in crate::kms) fn names_of_role(session: &Session<'_>, role: Role) -> Result<Vec<ClientName>, StoreError> {
    let sql = "SELECT DISTINCT name FROM certificates WHERE role = ?1 ORDER BY name";
    let rows = session.database.rows(sql, &[role.name().into()])?;
    let names = rows
        .iter()
        .map(|row| Ok(ClientName::new(row.get::<String>("name")?).ok()));
    Ok(names
        .collect::<Result<Vec<_>, StoreError>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// At most `limit` certificates after `after`, by name and serial number; with how near their end is.
pub(in crate::kms) fn list(
    session: &Session<'_>,
    (after_name, after_serial): (&str, &str),
    limit: usize,
) -> Result<Vec<CertificateRecord>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM certificates WHERE name > ?1 OR (name = ?1 AND serial > ?2) ORDER BY name, serial LIMIT ?3",
        &[after_name.into(), after_serial.into(), limit.into()],
    )?;
    rows.iter()
        .map(|row| Ok(shown(session, checked(session, row)?)))
        .collect()
}

/// Those that end within 30 days, or have ended by themselves, and that nothing replaced; the soonest first.
pub(in crate::kms) fn expiring(session: &Session<'_>, limit: usize) -> Result<Vec<CertificateRecord>, StoreError> {
    let rows = session.database.rows(
        "SELECT * FROM certificates WHERE not_after <= ?1 AND ended IS NULL AND NOT EXISTS
         (SELECT 1 FROM certificates AS later WHERE later.name = certificates.name AND later.not_after > certificates.not_after)
         ORDER BY not_after, name LIMIT ?2",
        &[millis(session.now + Duration::days(30)).into(), limit.into()],
    )?;
    rows.iter()
        .map(|row| Ok(shown(session, checked(session, row)?)))
        .collect()
}

fn shown(session: &Session<'_>, stored: Stored) -> CertificateRecord {
    let expiry = Expiry::at(stored.record.not_after, session.now).filter(|_| stored.record.ended.is_none());
    CertificateRecord {
        expiry,
        ..stored.record
    }
}

/// Refuses whoever's certificate is unknown or no longer good. People on the service's own host have none.
pub(in crate::kms) fn admit(session: &Session<'_>, actor: &Actor) -> Result<(), ServiceError> {
    if actor.fingerprint.is_empty() {
        return Ok(());
    }
    let stored = by_fingerprint(session, &actor.fingerprint)?.ok_or(CertificateRefusal::Unknown);
    Ok(stored?.is_good(session.now)?)
}

/// Whether a media server is bound to `group`; the inner error says why not. Whoever works on the service's own host may have any.
pub(in crate::kms) fn admit_to_group(
    session: &Session<'_>,
    actor: &Actor,
    group: &GroupName,
) -> Result<Result<(), HolderRefusal>, StoreError> {
    if *actor == Actor::local() {
        return Ok(Ok(()));
    }
    let stored = by_fingerprint(session, &actor.fingerprint)?;
    Ok(check_bound(
        stored.and_then(|stored| stored.record.binding).as_ref(),
        actor,
        group,
    ))
}

/// The same for a binding that is at hand.
pub(in crate::kms) fn check_bound(
    binding: Option<&Binding>,
    actor: &Actor,
    group: &GroupName,
) -> Result<(), HolderRefusal> {
    if binding.is_some_and(|binding| binding.admits(group)) {
        Ok(())
    } else {
        let (holder, group) = (actor.subject.clone(), group.clone());
        Err(HolderRefusal::GroupNotBound { holder, group })
    }
}

/// Writes down that a certificate is in use; those of the name that are older end soon.
pub(in crate::kms) fn note_use(session: &Session<'_>, stored: &Stored) -> Result<(), StoreError> {
    let used = Stored {
        used: true,
        ..stored.clone()
    };
    update(session, &used)?;
    let at = session.now + REPLACED_AFTER;
    for older in of_name(session, &stored.record.name)? {
        if older.record.ended.is_none() && older.record.not_before < stored.record.not_before {
            end(
                session,
                older,
                (EndReason::Replaced, at, &format!("CN={}", stored.record.name)),
            )?;
        }
    }
    Ok(())
}

/// Ends a certificate.
pub(in crate::kms) fn end(
    session: &Session<'_>,
    mut stored: Stored,
    (why, at, by): (EndReason, OffsetDateTime, &str),
) -> Result<CertificateRecord, StoreError> {
    let by = by.to_owned();
    stored.record.ended = Some(Ended {
        at: moment(millis(at)),
        why,
        by,
    });
    update(session, &stored)?;
    Ok(stored.record)
}

/// Gives a certificate another binding.
pub(in crate::kms) fn bind(
    session: &Session<'_>,
    mut stored: Stored,
    binding: Binding,
) -> Result<CertificateRecord, StoreError> {
    stored.record.binding = Some(binding);
    update(session, &stored)?;
    Ok(shown(session, stored))
}

fn update(session: &Session<'_>, stored: &Stored) -> Result<(), StoreError> {
    let (record, ended) = (&stored.record, stored.record.ended.as_ref());
    session.database.execute(
        "UPDATE certificates SET binding = ?2, first_used = ?3, ended = ?4, ended_why = ?5, ended_by = ?6, mac = ?7 WHERE fingerprint = ?1",
        &[
            record.fingerprint.as_str().into(),
            record.binding.as_ref().map(binding_text).into(),
            stored.used.into(),
            ended.map(|ended| millis(ended.at)).into(),
            ended.map(|ended| ended.why.name()).into(),
            ended.map(|ended| ended.by.as_str()).into(),
            mac(session, stored).into(),
        ],
    )?;
    Ok(())
}

fn first(session: &Session<'_>, by: &str, value: &str) -> Result<Option<Stored>, StoreError> {
    let sql = format!("SELECT * FROM certificates WHERE {by} = ?1");
    let row = session.database.first(&sql, &[value.into()])?;
    row.map(|row| checked(session, &row)).transpose()
}

fn checked(session: &Session<'_>, row: &Row) -> Result<Stored, StoreError> {
    let what = || "the record of a certificate".to_owned();
    let stored = column(read(row)?, what)?;
    if bool::from(mac(session, &stored).ct_eq(&row.get::<[u8; 32]>("mac")?)) {
        Ok(stored)
    } else {
        Err(StoreError::DoesNotOpen {
            what: format!(
                "the record of certificate {} of {}",
                stored.record.serial, stored.record.name
            ),
        })
    }
}

/// `None` where a column makes no sense.
fn read(row: &Row) -> Result<Option<Stored>, StoreError> {
    let (name, role): (String, String) = (row.get("name")?, row.get("role")?);
    let (Ok(name), Some(role)) = (ClientName::new(name), Role::from_name(&role)) else {
        return Ok(None);
    };
    let at: Option<i64> = row.get("ended")?;
    let (why, by): (Option<String>, Option<String>) = (row.get("ended_why")?, row.get("ended_by")?);
    let why = why.as_deref().and_then(EndReason::from_name);
    let binding: Option<String> = row.get("binding")?;
    let record = CertificateRecord {
        serial: row.get("serial")?,
        name,
        role,
        binding: binding.map(|text| binding_of(&text)),
        fingerprint: row.get("fingerprint")?,
        not_before: moment(row.get("not_before")?),
        not_after: moment(row.get("not_after")?),
        issued_by: row.get("issued_by")?,
        ended: at.zip(why).zip(by).map(|((at, why), by)| Ended {
            at: moment(at),
            why,
            by,
        }),
        expiry: None,
    };
    let used = row.get("first_used")?;
    Ok(Some(Stored { record, used }))
}

/// A binding as one text: names have no spaces.
pub(super) fn binding_text(binding: &Binding) -> String {
    match binding {
        Binding::AllGroups => ALL_GROUPS.to_owned(),
        Binding::Groups(names) => names.iter().map(GroupName::as_str).collect::<Vec<_>>().join(" "),
    }
}

/// The binding of a text; what is no name is left out, which the MAC then notices.
pub(super) fn binding_of(text: &str) -> Binding {
    if text == ALL_GROUPS {
        return Binding::AllGroups;
    }
    let names: BTreeSet<_> = text.split(' ').filter_map(|name| GroupName::new(name).ok()).collect();
    Binding::Groups(names)
}

fn mac(session: &Session<'_>, stored: &Stored) -> [u8; 32] {
    let (record, ended) = (&stored.record, stored.record.ended.as_ref());
    let binding = record.binding.as_ref().map(binding_text);
    let fields = Fields::of("tapekey certificate record v1")
        .text(&record.fingerprint)
        .text(&record.serial)
        .text(record.name.as_str())
        .text(record.role.name())
        .optional(binding.as_ref().map(String::as_bytes))
        .number(millis(record.not_before))
        .number(millis(record.not_after))
        .text(&record.issued_by)
        .number(i64::from(stored.used))
        .number(ended.map_or(i64::MAX, |ended| millis(ended.at)))
        .optional(ended.map(|ended| ended.why.name().as_bytes()))
        .optional(ended.map(|ended| ended.by.as_bytes()));
    mac_of(&session.keyring.audit, &fields.encode())
}
