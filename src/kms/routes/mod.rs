//! The web service, one file per thing that has an address. Every answer is JSON and carries the audit chain's head.

mod audit;
mod backup_key;
mod cache;
mod certificates;
mod declared;
mod groups;
mod heads;
pub(super) mod health;
mod keys;
mod lifecycle;
pub(super) mod observe;
mod openapi;
mod operations;
pub(super) mod problem;
mod reply;
mod requests;
mod restore_keys;
mod servers;
mod supply;

use std::sync::Arc;

use axum::Router;
use axum::http::{Method, Uri};
use axum::middleware;

pub use self::declared::DeclaredRoute;
use self::declared::Routes;
use self::problem::Problem;
use super::config::Limits;
use super::metrics::Metrics;
use super::rate::Rates;
use super::service::Kms;
use crate::clock::Clock;
use crate::kms_api::{
    AUDIT_HEADS_PATH, AUDIT_PATH, BACKUP_KEY_PATH, CERTIFICATES_PATH, CLEAR_CACHE_PATH, ENROLL_PATH, ENROLLMENTS_PATH,
    GROUPS_PATH, KEYS_PATH, OPENAPI_PATH, QUIESCE_PATH, RENEWAL_PATH, REQUESTS_PATH, RESTORE_KEYS_PATH,
    ROTATE_DUE_PATH, SEAL_ROTATE_PATH, SERVERS_PATH, SNAPSHOTS_PATH, STATUS_PATH, UNQUIESCE_PATH,
};

/// What handlers work with.
#[derive(Clone)]
pub(super) struct Front {
    pub(super) kms: Arc<Kms>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) rates: Arc<Rates>,
    /// Of those who come with a token.
    pub(super) attempts: Arc<Rates>,
    pub(super) limits: Limits,
    pub(super) metrics: Arc<Metrics>,
}

/// All addresses. What each may be asked and by whom stands in its handler's last argument.
fn routes() -> Routes {
    let in_group = |more: &str| format!("{GROUPS_PATH}/{{group}}/{more}");
    let of_server = |more: &str| format!("{SERVERS_PATH}/{{server}}/{more}");
    let of_client = |more: &str| format!("{CERTIFICATES_PATH}/{{name}}/{more}");
    Routes::new()
        .post(BACKUP_KEY_PATH, backup_key::create)
        .post(RESTORE_KEYS_PATH, restore_keys::find)
        .get(GROUPS_PATH, groups::list)
        .post(GROUPS_PATH, groups::create)
        .post(&in_group("rotate"), groups::rotate)
        .post(&in_group("keys"), keys::create)
        .post(&in_group("passphrase-keys"), supply::create_passphrase_key)
        .post(&in_group("import"), supply::import)
        .post(&in_group("name"), lifecycle::rename_group)
        .post(&in_group("description"), lifecycle::describe_group)
        .post(&in_group("rotation"), lifecycle::set_rotation)
        .post(ROTATE_DUE_PATH, lifecycle::rotate_due)
        .post(SEAL_ROTATE_PATH, lifecycle::rotate_seal)
        .post(&in_group("keys/{key}/state"), keys::set_state)
        .post(&in_group("keys/{key}/name"), lifecycle::rename_key)
        .post(&in_group("keys/{key}/description"), lifecycle::describe_key)
        .post(&in_group("keys/{key}/group"), lifecycle::move_key_to_group)
        .get(KEYS_PATH, keys::list)
        .get(SNAPSHOTS_PATH, operations::list_snapshots)
        .post(SNAPSHOTS_PATH, operations::create_snapshot)
        .get(STATUS_PATH, operations::status)
        .get(REQUESTS_PATH, requests::list)
        .post(REQUESTS_PATH, requests::make)
        .get(&format!("{REQUESTS_PATH}/{{number}}"), requests::show)
        .post(&format!("{REQUESTS_PATH}/{{number}}/approve"), requests::approve)
        .post(&format!("{REQUESTS_PATH}/{{number}}/undo"), requests::undo)
        .get(AUDIT_PATH, audit::page)
        .get(AUDIT_HEADS_PATH, audit::heads)
        .post(QUIESCE_PATH, operations::quiesce)
        .post(UNQUIESCE_PATH, operations::unquiesce)
        .post(CLEAR_CACHE_PATH, cache::clear)
        .get(SERVERS_PATH, servers::list)
        .post(SERVERS_PATH, servers::add)
        .get(&format!("{SERVERS_PATH}/{{server}}"), servers::show)
        .post(&of_server("settings"), servers::change)
        .post(&of_server("remove"), servers::remove)
        .post(&of_server("check"), servers::check)
        .post(&of_server("keys"), servers::create_key)
        .post(&in_group("server"), servers::bind_group)
        .get(CERTIFICATES_PATH, certificates::list)
        .post(&of_client("revoke"), certificates::revoke)
        .post(&of_client("groups"), certificates::bind_groups)
        .post(RENEWAL_PATH, certificates::renew)
        .get(ENROLLMENTS_PATH, certificates::list_enrollments)
        .post(ENROLLMENTS_PATH, certificates::create_enrollment)
        .post(
            &format!("{ENROLLMENTS_PATH}/{{name}}/cancel"),
            certificates::cancel_enrollments,
        )
        .post(ENROLL_PATH, certificates::enroll)
        .get(OPENAPI_PATH, openapi::read)
}

/// Everything that can be asked, and by whom.
#[must_use]
pub fn declared() -> Vec<DeclaredRoute> {
    routes().declared
}

/// All addresses, at work.
pub(super) fn router(front: Front) -> Router {
    routes()
        .router
        .fallback(no_such_path)
        .method_not_allowed_fallback(wrong_method)
        .layer(middleware::from_fn_with_state(front.clone(), heads::add))
        .layer(middleware::from_fn_with_state(front.clone(), observe::observe))
        .with_state(front)
}

async fn no_such_path(uri: Uri) -> Problem {
    Problem::no_such_path(uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> Problem {
    Problem::wrong_method(&method, uri.path())
}
