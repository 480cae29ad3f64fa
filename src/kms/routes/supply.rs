//! `/v1/groups/{group}/passphrase-keys` and `/v1/groups/{group}/import`: the requests that carry keys. For administrators alone:
//! whoever sends a key knows it.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Permitted, SecretJson};
use crate::kms_api::{CreatePassphraseKey, GroupName, ImportKeys, ImportReport, KeyRecord};

/// `POST`: a key made of a passphrase, prelive.
pub(super) async fn create_passphrase_key(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, SecretJson<CreatePassphraseKey>>,
) -> Outcome<KeyRecord> {
    let (actor, group) = (&request.actor, request.names);
    reply(front.kms.create_passphrase_key(actor, group, request.payload.0).await)
}

/// `POST`: keys of other software, or what importing them would do.
pub(super) async fn import(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, SecretJson<ImportKeys>>,
) -> Outcome<ImportReport> {
    let (actor, group) = (&request.actor, request.names);
    reply(front.kms.import_keys(actor, group, request.payload.0).await)
}
