//! The issuing CA in the store: its private key sealed, bound to its certificate and to that of the root CA.

use super::database::Database;
use super::keyring::{Keyring, seal};
use super::value::Row;
use super::{Session, StoreError, column};
use crate::entropy::Entropy;
use crate::kad::KeyId;
use crate::kms::pki::IssuingCa;
use crate::kms::seal::Fields;

/// The issuing CA, opened.
pub(super) fn issuing_ca(database: &dyn Database, keyring: &Keyring) -> Result<IssuingCa, StoreError> {
    let row = database.first("SELECT * FROM certificate_authorities", &[])?;
    open(database, keyring, &column(row, what)?)
}

/// The issuing CA, for one request.
pub(in crate::kms) fn of_session(session: &Session<'_>) -> Result<IssuingCa, StoreError> {
    issuing_ca(session.database, session.keyring)
}

/// Keeps a CA.
pub(super) fn insert(
    database: &dyn Database,
    keyring: &Keyring,
    ca: &IssuingCa,
    entropy: &dyn Entropy,
) -> Result<(), StoreError> {
    let (under, key) = keyring.current()?;
    let sealed = key.seal(entropy, &ca.key, &bound_to(&ca.certificate, &ca.root, under))?;
    database.execute(
        "INSERT INTO certificate_authorities (certificate, root, sealed_under, nonce, sealed) VALUES (?1, ?2, ?3, ?4, ?5)",
        &[
            ca.certificate.as_slice().into(),
            ca.root.as_slice().into(),
            under.into(),
            sealed.nonce.into(),
            sealed.sealed.into(),
        ],
    )?;
    Ok(())
}

/// Seals the private key of each CA anew, unless it is sealed under the newest key already.
pub(super) fn reseal(session: &Session<'_>) -> Result<(), StoreError> {
    let (under, key) = session.keyring.current()?;
    let sql = "SELECT * FROM certificate_authorities WHERE sealed_under <> ?1";
    for row in session.database.rows(sql, &[under.into()])? {
        let ca = open(session.database, session.keyring, &row)?;
        let sealed = key.seal(session.entropy, &ca.key, &bound_to(&ca.certificate, &ca.root, under))?;
        session.database.execute(
            "UPDATE certificate_authorities SET sealed_under = ?2, nonce = ?3, sealed = ?4 WHERE certificate = ?1",
            &[
                ca.certificate.into(),
                under.into(),
                sealed.nonce.into(),
                sealed.sealed.into(),
            ],
        )?;
    }
    Ok(())
}

/// What is wrong with each CA.
pub(super) fn check_all(session: &Session<'_>) -> Result<Vec<StoreError>, StoreError> {
    let rows = session.database.rows("SELECT * FROM certificate_authorities", &[])?;
    let opened = rows.iter().map(|row| open(session.database, session.keyring, row));
    Ok(opened.filter_map(Result::err).collect())
}

fn open(database: &dyn Database, keyring: &Keyring, row: &Row) -> Result<IssuingCa, StoreError> {
    let under = row.get("sealed_under")?;
    let (certificate, root): (Vec<u8>, Vec<u8>) = (row.get("certificate")?, row.get("root")?);
    let key = keyring.named(database, under)?;
    let opened = key.open(&seal(row)?, &bound_to(&certificate, &root, under));
    let key = opened.map_err(|_| StoreError::DoesNotOpen { what: what() })?;
    Ok(IssuingCa { certificate, root, key })
}

fn what() -> String {
    "the issuing CA's private key".to_owned()
}

fn bound_to(certificate: &[u8], root: &[u8], sealed_under: KeyId) -> Vec<u8> {
    Fields::of("tapekey issuing ca v1")
        .bytes(certificate)
        .bytes(root)
        .bytes(&sealed_under.0)
        .encode()
}
