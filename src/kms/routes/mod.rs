//! The web service, one file per thing that has an address. Every answer is JSON and carries the audit chain's head.

mod backup_key;
mod cache;
mod groups;
mod keys;
mod operations;
pub(super) mod problem;
mod reply;
mod restore_keys;
mod supply;

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderValue, Method, Uri};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};

use self::problem::Problem;
use super::service::Kms;
use crate::clock::Clock;
use crate::kms_api::{
    AUDIT_HEAD_HEADER, BACKUP_KEY_PATH, CLEAR_CACHE_PATH, GROUPS_PATH, KEYS_PATH, QUIESCE_PATH, RESTORE_KEYS_PATH,
    SNAPSHOTS_PATH, STATUS_PATH, UNQUIESCE_PATH,
};

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) kms: Arc<Kms>,
    pub(super) clock: Arc<dyn Clock>,
}

/// All addresses. What each may be asked and by whom stands in its handler's argument.
pub(super) fn router(front: Front) -> Router {
    Router::new()
        .route(BACKUP_KEY_PATH, post(backup_key::create))
        .route(RESTORE_KEYS_PATH, post(restore_keys::find))
        .route(GROUPS_PATH, get(groups::list).post(groups::create))
        .route(&format!("{GROUPS_PATH}/{{group}}/rotate"), post(groups::rotate))
        .route(&format!("{GROUPS_PATH}/{{group}}/keys"), post(keys::create))
        .route(
            &format!("{GROUPS_PATH}/{{group}}/passphrase-keys"),
            post(supply::create_passphrase_key),
        )
        .route(&format!("{GROUPS_PATH}/{{group}}/import"), post(supply::import))
        .route(
            &format!("{GROUPS_PATH}/{{group}}/keys/{{key}}/state"),
            post(keys::set_state),
        )
        .route(KEYS_PATH, get(keys::list))
        .route(
            SNAPSHOTS_PATH,
            get(operations::list_snapshots).post(operations::create_snapshot),
        )
        .route(STATUS_PATH, get(operations::status))
        .route(QUIESCE_PATH, post(operations::quiesce))
        .route(UNQUIESCE_PATH, post(operations::unquiesce))
        .route(CLEAR_CACHE_PATH, post(cache::clear))
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::map_response_with_state(front.clone(), with_audit_head))
        .with_state(front)
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::no_such_path(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(&method, uri.path())
}

async fn with_audit_head(State(front): State<Front>, mut response: Response) -> Response {
    // Digits, a colon and hex are always a header.
    if let Ok(head) = HeaderValue::try_from(front.kms.audit_head().to_string()) {
        response.headers_mut().insert(AUDIT_HEAD_HEADER, head);
    }
    response
}
