//! Heads that hosts remember: whether this store has them. One that it does not have was written by a store that went further than this one.

use super::service::Kms;
use crate::kms_api::AuditHead;

impl Kms {
    /// Whether the store has the record with that head; `None` if that cannot be found out now.
    pub(super) async fn has_audit_record(&self, head: AuditHead) -> Option<bool> {
        let looked = self
            .store
            .run({
                let head = head.clone();
                move |session| Ok(super::audit::look::has(session, &head)?)
            })
            .await;
        match looked {
            Ok(true) => Some(true),
            Ok(false) => {
                tracing::error!(
                    remembered = %head,
                    "ALARM: a host remembers an audit record that this store does not have: the store was rolled back or restored, or the host's memory was altered"
                );
                Some(false)
            }
            Err(error) => {
                tracing::error!(%error, "whether the store has a remembered audit record is unknown");
                None
            }
        }
    }
}
