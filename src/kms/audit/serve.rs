//! The audit log for those who may read it over the web service.

use super::{heads, look};
use crate::kms::model::ServiceError;
use crate::kms::service::Kms;
use crate::kms::store::{Session, StoreError, snapshots};
use crate::kms_api::{AUDIT_PAGE_RECORDS_MAX, AuditHead, AuditHeads, AuditPage, AuditPageQuery};

/// Snapshots whose heads are told, the newest.
const SNAPSHOTS_MAX: usize = 100;

impl Kms {
    /// The chains that there are, and the heads that snapshots were made with.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_heads(&self) -> Result<AuditHeads, ServiceError> {
        self.store
            .run(|session| {
                Ok(AuditHeads {
                    heads: heads(session.database())?,
                    of_snapshots: of_snapshots(session)?,
                })
            })
            .await
    }

    /// A page of one node's chain, each record checked against the one before it.
    ///
    /// # Errors
    /// The store's.
    pub async fn audit_page(&self, query: AuditPageQuery) -> Result<AuditPage, ServiceError> {
        let after = query.after.unwrap_or(i64::MIN);
        let records = self
            .store
            .run(move |session| {
                Ok(look::checked_page(
                    session.database(),
                    session.audit_key(),
                    query.node,
                    after,
                )?)
            })
            .await?;
        let full = records.len() == AUDIT_PAGE_RECORDS_MAX;
        let next = records.last().filter(|_| full).map(|record| record.sequence);
        Ok(AuditPage { records, next })
    }
}

/// The heads that the newest snapshots were made with.
pub(in crate::kms) fn of_snapshots(session: &Session<'_>) -> Result<Vec<AuditHead>, StoreError> {
    let snapshots = snapshots::newest(session, false, SNAPSHOTS_MAX)?;
    // Several nodes' heads stand in a row; the record has a MAC, so what is no head was none when it was written.
    let texts = snapshots.iter().flat_map(|snapshot| snapshot.audit_head.split(' '));
    Ok(texts.filter_map(|text| text.parse().ok()).collect())
}
