//! `/v1/servers` and `/v1/groups/{group}/server`: external servers, and which of them groups get their new keys from.

use axum::extract::State;

use super::Front;
use super::reply::{Outcome, reply};
use crate::kms::auth::{Admin, Json, Nothing, Operator, Permitted, SecretJson, Viewer};
use crate::kms_api::{
    AddServer, BindGroupToServer, ChangeServer, CheckServer, CreateServerKey, CreatedKey, GroupName, GroupRecord,
    RemoveServer, RemovedServer, ServerCheck, ServerList, ServerName, ServerRecord,
};

/// `GET`: all servers.
pub(super) async fn list(State(front): State<Front>, _request: Permitted<Viewer, (), Nothing>) -> Outcome<ServerList> {
    reply(front.kms.servers().await)
}

/// `GET`: one server.
pub(super) async fn show(
    State(front): State<Front>,
    request: Permitted<Viewer, ServerName, Nothing>,
) -> Outcome<ServerRecord> {
    reply(front.kms.server(request.names).await)
}

/// `POST`: a new server.
pub(super) async fn add(
    State(front): State<Front>,
    request: Permitted<Admin, (), SecretJson<AddServer>>,
) -> Outcome<ServerRecord> {
    reply(front.kms.add_server(&request.actor, request.payload.0).await)
}

/// `POST`: other settings.
pub(super) async fn change(
    State(front): State<Front>,
    request: Permitted<Admin, ServerName, SecretJson<ChangeServer>>,
) -> Outcome<ServerRecord> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.change_server(actor, name, request.payload.0).await)
}

/// `POST`: the server is used no more.
pub(super) async fn remove(
    State(front): State<Front>,
    request: Permitted<Admin, ServerName, Json<RemoveServer>>,
) -> Outcome<RemovedServer> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.remove_server(actor, name, request.payload.0).await)
}

/// `POST`: how the server is.
pub(super) async fn check(
    State(front): State<Front>,
    request: Permitted<Operator, ServerName, Json<CheckServer>>,
) -> Outcome<ServerCheck> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.check_server(actor, name, request.payload.0).await)
}

/// `POST`: a new key in the server, active at once.
pub(super) async fn create_key(
    State(front): State<Front>,
    request: Permitted<Operator, ServerName, Json<CreateServerKey>>,
) -> Outcome<CreatedKey> {
    let (actor, name) = (&request.actor, request.names);
    reply(front.kms.create_server_key(actor, name, request.payload.0).await)
}

/// `POST`: where a group's new keys come from.
pub(super) async fn bind_group(
    State(front): State<Front>,
    request: Permitted<Admin, GroupName, Json<BindGroupToServer>>,
) -> Outcome<GroupRecord> {
    let (actor, group) = (&request.actor, request.names);
    reply(front.kms.bind_group_to_server(actor, group, request.payload.0).await)
}
