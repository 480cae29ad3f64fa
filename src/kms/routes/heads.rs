//! The head of the audit chain on every reply, and whether the store has the head that the asker remembers.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use super::Front;
use crate::kms_api::{AUDIT_HEAD_HEADER, AuditHead, KNOWN, KNOWN_HEAD_HEADER, NOT_KNOWN};

/// Serves the request and adds the headers to whatever it answers.
pub(super) async fn add(State(front): State<Front>, request: Request, next: Next) -> Response {
    let remembered = remembered(request.headers());
    let mut response = next.run(request).await;
    let head = front.kms.audit_head();
    if let Some(remembered) = remembered {
        let known = if remembered == head {
            Some(true)
        } else {
            front.kms.has_audit_record(remembered).await
        };
        if let Some(known) = known {
            let word = HeaderValue::from_static(if known { KNOWN } else { NOT_KNOWN });
            response.headers_mut().insert(KNOWN_HEAD_HEADER, word);
        }
    }
    // Digits, hyphens, colons and hex are always a header.
    if let Ok(head) = HeaderValue::try_from(head.to_string()) {
        response.headers_mut().insert(AUDIT_HEAD_HEADER, head);
    }
    response
}

fn remembered(headers: &HeaderMap) -> Option<AuditHead> {
    headers.get(KNOWN_HEAD_HEADER)?.to_str().ok()?.parse().ok()
}
