//! The audit log over the web service, a page at a time, so that it may be of any length.

use reqwest::Method;

use super::ask::Question;
use super::{KmsClient, KmsClientError, answer};
use crate::kad::KeyId;
use crate::kms_api::{self, AuditHeads, AuditPage};

impl KmsClient {
    /// The audit chains that there are, and the heads that snapshots were made with.
    ///
    /// # Errors
    /// `Refused` if our role may not read the audit log.
    pub async fn audit_heads(&self) -> Result<AuditHeads, KmsClientError> {
        let question = Question::new(
            "ask for the heads of the audit log".to_owned(),
            Method::GET,
            kms_api::AUDIT_HEADS_PATH,
        );
        Ok(self.ask(&question, |_| Ok(())).await?.0)
    }

    /// A page of the chain of `node`: the records after number `after`, or the first ones.
    ///
    /// # Errors
    /// `Refused` if our role may not read the audit log.
    pub async fn audit_page(&self, node: KeyId, after: Option<i64>) -> Result<AuditPage, KmsClientError> {
        let parameters = [
            ("node", Some(node.to_string())),
            ("after", after.map(|after| after.to_string())),
        ];
        let question = Question::new("read the audit log".to_owned(), Method::GET, kms_api::AUDIT_PATH)
            .parameters(parameters.into_iter().filter_map(|(name, value)| Some((name, value?))));
        let check = |page: &AuditPage| {
            let advances = page.next.is_none_or(|next| after.is_none_or(|after| next > after));
            if advances {
                answer::check_page(&page.records, &page.next.map(|next| next.to_string()))
            } else {
                Err("a page that does not lead on".to_owned())
            }
        };
        Ok(self.ask(&question, check).await?.0)
    }
}
