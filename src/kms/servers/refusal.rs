//! What is refused of external servers.

use thiserror::Error;

use crate::kms::select::SERVERS_MAX;
use crate::kms_api::{ErrorCode, GroupName, HELD_VOLUMES_SHOWN, HeldVolume, ServerName};

/// The KMS will not do what was asked of an external server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServerRefusal {
    /// No such server.
    #[error("there is no external server {name}")]
    NoSuchServer {
        /// The name.
        name: ServerName,
    },
    /// The name is taken.
    #[error("the name {name} of an external server is taken")]
    NameTaken {
        /// The name.
        name: ServerName,
    },
    /// Too many servers.
    #[error("there are {SERVERS_MAX} external servers already")]
    TooMany,
    /// Settings that no server can have, or that do not fit each other.
    #[error("external server {name}: {problem}")]
    Settings {
        /// The server.
        name: ServerName,
        /// What is wrong.
        problem: String,
    },
    /// Nobody could read those volumes any more.
    #[error("server {name} holds the keys of {}: {}", how_many(volumes), shown(volumes))]
    HoldsKeys {
        /// The server.
        name: ServerName,
        /// Volumes written under its keys, some of them.
        volumes: Vec<HeldVolume>,
    },
    /// Other endpoints may be another store, which has not these keys.
    #[error(
        "server {name} holds the keys of {}, and an endpoint of it would be asked no more: {}",
        how_many(volumes),
        shown(volumes)
    )]
    MovesAway {
        /// The server.
        name: ServerName,
        /// Volumes written under its keys, some of them.
        volumes: Vec<HeldVolume>,
    },
    /// These groups would get no new key from anywhere.
    #[error("{} bound to server {name}: {}", if groups.len() == 1 { "a group is" } else { "groups are" }, names(groups))]
    GroupsBound {
        /// The server.
        name: ServerName,
        /// The groups.
        groups: Vec<GroupName>,
    },
    /// The server was asked to make a key and did not.
    #[error("server {name} made no key in group {group}: {said}")]
    NoKeyMade {
        /// The server.
        name: ServerName,
        /// The group.
        group: GroupName,
        /// What it said.
        said: String,
        /// Whether it may have made one all the same.
        unreachable: bool,
    },
}

impl ServerRefusal {
    /// The refusal for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchServer { .. } => ErrorCode::NoSuchServer,
            Self::NameTaken { .. } => ErrorCode::NameTaken,
            Self::TooMany | Self::Settings { .. } => ErrorCode::BadRequest,
            Self::HoldsKeys { .. } | Self::MovesAway { .. } | Self::GroupsBound { .. } => ErrorCode::ServerInUse,
            Self::NoKeyMade { unreachable: true, .. } => ErrorCode::ServerUnreachable,
            Self::NoKeyMade { .. } => ErrorCode::ServerRefused,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSuchServer { .. } => "list them: tapekey kms server list".to_owned(),
            Self::NameTaken { .. } => {
                "give it another name, or change the one that is there: tapekey kms server set; built-in, any and unreadable are taken by the KMS itself".to_owned()
            }
            Self::TooMany => "endpoints of one store are one server: tapekey kms server set NAME --endpoint HOST:PORT …".to_owned(),
            Self::Settings { .. } => "nothing was changed; mend that and ask again".to_owned(),
            Self::HoldsKeys { name, .. } => format!(
                "to write no more volumes under its keys and go on reading these: tapekey kms server set {name} --restore-only; --despite-volumes (despite_volumes: true) removes it all the same and is audited: these volumes cannot be read until it is added again"
            ),
            Self::MovesAway { .. } => {
                "if the same store, or a copy with all of its keys, is behind the new endpoints: --despite-volumes (despite_volumes: true), which is audited; if another one is, add it under a name of its own".to_owned()
            }
            Self::GroupsBound { .. } => {
                "bind them to another one first: tapekey kms group bind GROUP --server SERVER, built-in or any".to_owned()
            }
            Self::NoKeyMade { name, unreachable: true, .. } => format!(
                "it may have made one all the same; tapekey kms server check {name} says what is wrong"
            ),
            Self::NoKeyMade { name, .. } => format!("change that at the server; tapekey kms server check {name} says more"),
        }
    }
}

fn how_many(volumes: &[HeldVolume]) -> String {
    match volumes.len() {
        1 => "a volume".to_owned(),
        HELD_VOLUMES_SHOWN.. => format!("{HELD_VOLUMES_SHOWN} volumes or more"),
        count => format!("{count} volumes"),
    }
}

fn shown(volumes: &[HeldVolume]) -> String {
    let volumes: Vec<_> = volumes.iter().map(ToString::to_string).collect();
    volumes.join(", ")
}

fn names(groups: &[GroupName]) -> String {
    let groups: Vec<_> = groups.iter().map(GroupName::as_str).collect();
    groups.join(" ")
}
