//! The service time that has passed, in milliseconds. Its MAC covers the store's id, so that no number can be written in by hand.

use subtle::ConstantTimeEq;

use super::{Session, StoreError, snapshots};
use crate::kms::audit::mac_of;
use crate::kms::seal::Fields;

/// How much has passed.
pub(in crate::kms) fn passed(session: &Session<'_>) -> Result<i64, StoreError> {
    let Some(row) = session
        .database
        .first("SELECT milliseconds, mac FROM service_time", &[])?
    else {
        return Ok(0);
    };
    let (milliseconds, found): (i64, [u8; 32]) = (row.get("milliseconds")?, row.get("mac")?);
    if bool::from(mac(session, milliseconds)?.ct_eq(&found)) {
        Ok(milliseconds)
    } else {
        Err(StoreError::DoesNotOpen {
            what: "the record of service time".to_owned(),
        })
    }
}

/// Lets it be at least `milliseconds`; what it is then. Nodes that share a store all count, but time passes for them once.
pub(in crate::kms) fn reach(session: &Session<'_>, milliseconds: i64) -> Result<i64, StoreError> {
    let now = passed(session)?;
    if milliseconds <= now {
        return Ok(now);
    }
    session.database.execute(
        "INSERT INTO service_time (singleton, milliseconds, mac) VALUES (1, ?1, ?2)
         ON CONFLICT (singleton) DO UPDATE SET milliseconds = excluded.milliseconds, mac = excluded.mac",
        &[milliseconds.into(), mac(session, milliseconds)?.into()],
    )?;
    Ok(milliseconds)
}

fn mac(session: &Session<'_>, milliseconds: i64) -> Result<[u8; 32], StoreError> {
    let fields = Fields::of("tapekey service time v1")
        .bytes(&snapshots::id_of(session.database)?.0)
        .number(milliseconds);
    Ok(mac_of(&session.keyring.audit, &fields.encode()))
}
