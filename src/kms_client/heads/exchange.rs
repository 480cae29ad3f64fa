//! One question and its answer, as far as heads go: what is known goes out with the question, what comes back is taken note of.

use std::sync::Arc;

use reqwest::header::HeaderMap;

use super::{HeadBook, KnownChain, Said, WhenAsked};
use crate::kms_api::{AUDIT_HEAD_HEADER, AuditHead, KNOWN, KNOWN_HEAD_HEADER, NOT_KNOWN};

/// One question to one address.
pub(in crate::kms_client) struct Exchange<'a> {
    book: &'a Arc<HeadBook>,
    asked: WhenAsked,
    sent: Option<AuditHead>,
    address: String,
}

impl<'a> Exchange<'a> {
    /// A question that goes out to `address` now.
    pub(in crate::kms_client) fn begin(book: &'a Arc<HeadBook>, address: String) -> Self {
        let asked = book.when_asked();
        // Behind one address there may be several nodes; they can all look into each other's chains.
        let trusted = asked.0.iter().filter(|known| known.doubt.is_none());
        let best = trusted.max_by_key(|known: &&KnownChain| (known.address == address, known.seen));
        let sent = best.map(|known| known.head.clone());
        Self {
            book,
            asked,
            sent,
            address,
        }
    }

    /// The value of [`KNOWN_HEAD_HEADER`] to send.
    pub(in crate::kms_client) fn known_head(&self) -> Option<String> {
        self.sent.as_ref().map(ToString::to_string)
    }

    /// Takes note of what the answer says of heads.
    pub(in crate::kms_client) async fn hear(&self, headers: &HeaderMap) {
        let Some(value) = headers.get(AUDIT_HEAD_HEADER) else {
            // Refusals that the KMS's routes never saw have none.
            return;
        };
        let found: AuditHead = match value.to_str().map_err(|error| error.to_string()).and_then(|text| {
            text.parse()
                .map_err(|error: crate::kms_api::AuditHeadError| error.to_string())
        }) {
            Ok(found) => found,
            Err(error) => {
                tracing::error!(
                    address = self.address,
                    error,
                    "the head of the KMS's audit chain cannot be read"
                );
                return;
            }
        };
        let said = match (&self.sent, headers.get(KNOWN_HEAD_HEADER)) {
            (Some(sent), Some(said)) if said == NOT_KNOWN => Said::NotKnown(sent),
            (Some(_), Some(said)) if said == KNOWN => Said::Known,
            _ => Said::Nothing,
        };
        self.book.see((&self.asked, said), found, &self.address).await;
    }
}
