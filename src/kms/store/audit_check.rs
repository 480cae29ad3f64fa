//! The audit chains of a store, from the first record to the last, beside a service that may be working on it.

use super::database::Access;
use super::keyring::Keyring;
use super::{Session, StorePlace, snapshots};
use crate::clock::Timestamp;
use crate::entropy::Entropy;
use crate::kms::audit::{self, AuditError, look, serve};
use crate::kms::seal::HostMasterKey;
use crate::kms_api::{AuditEntry, AuditHead, AuditVerdict, AuditWalk};

/// What the walk goes by.
pub struct AuditCheckWith<'a> {
    /// The host master key.
    pub master: &'a HostMasterKey,
    /// The source of randomness; nothing is drawn.
    pub entropy: &'a dyn Entropy,
    /// The time.
    pub now: Timestamp,
    /// Heads that were seen earlier, besides those that the store's own snapshots were made with.
    pub remembered: Vec<AuditHead>,
}

/// Hands every record of the store at `place` to `each`, one node's after the other's, and says what does not fit.
///
/// # Errors
/// [`AuditError`]: the store's, or those of `each`; never that something does not fit.
pub fn check_audit(
    place: &StorePlace,
    with: AuditCheckWith<'_>,
    each: &mut dyn FnMut(&AuditEntry, u64) -> std::io::Result<()>,
) -> Result<AuditVerdict, AuditError> {
    let database = &*place.look()?;
    let keyring = Keyring::open(database, with.master)?;
    database.transaction(Access::Reading, || {
        let store = snapshots::id_of(database)?;
        let mut head = audit::head(database, &keyring.audit, store)?;
        let session = Session {
            database,
            keyring: &keyring,
            entropy: with.entropy,
            now: with.now,
            head: &mut head,
            releases: None,
        };
        let mut remembered = with.remembered;
        remembered.extend(serve::of_snapshots(&session)?);
        let mut walk = AuditWalk::new(remembered);
        look::every(database, &keyring.audit, |entry| {
            walk.see(entry);
            each(entry, walk.records()).map_err(AuditError::from)
        })?;
        Ok(walk.end())
    })
}
