//! What is refused of requests that need two administrators.

use thiserror::Error;

use crate::kms_api::{AdminRequestState, ErrorCode, GroupName, KeyName, KeyState};

/// The KMS will not do what was asked of a request.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestRefusal {
    /// No such request.
    #[error("there is no request {number}")]
    NoSuchRequest {
        /// The number.
        number: i64,
    },
    /// The request cannot be approved or undone any more.
    #[error("request {number} is {state}")]
    RequestState {
        /// The number.
        number: i64,
        /// How far it is.
        state: AdminRequestState,
    },
    /// There is a request about the same thing.
    #[error("request {number} is about the same and still open")]
    RequestOpen {
        /// Its number.
        number: i64,
    },
    /// Who asked cannot approve as well, under whichever certificate.
    #[error("request {number} was made by {subject}, or with the same key, and needs the approval of somebody else")]
    SamePerson {
        /// The number.
        number: i64,
        /// Who tried.
        subject: String,
    },
    /// The key is or may be in use.
    #[error("key {key} of group {group} is {state}; only prelive and terminated keys can be deleted")]
    NotDeletable {
        /// The group.
        group: GroupName,
        /// The key.
        key: KeyName,
        /// Its state.
        state: KeyState,
    },
    /// A group with keys, or with the records of deleted ones.
    #[error("group {group} has keys, or the records of deleted ones")]
    GroupNotEmpty {
        /// The group.
        group: GroupName,
    },
}

impl RequestRefusal {
    /// The refusal for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NoSuchRequest { .. } => ErrorCode::NoSuchRequest,
            Self::RequestState { .. } | Self::RequestOpen { .. } | Self::NotDeletable { .. } => ErrorCode::WrongState,
            Self::SamePerson { .. } => ErrorCode::SecondAdmin,
            Self::GroupNotEmpty { .. } => ErrorCode::GroupNotEmpty,
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::NoSuchRequest { .. } | Self::RequestState { .. } => {
                "tapekey kms request list --all shows every request".to_owned()
            }
            Self::RequestOpen { number } => format!("tapekey kms request show {number}"),
            Self::SamePerson { number, .. } => {
                format!("another administrator types: tapekey kms request approve {number}")
            }
            Self::NotDeletable { group, key, .. } => format!(
                "first take it out of use, one step at a time: tapekey kms key retire {group} {key} inactive, deprecated, terminated"
            ),
            Self::GroupNotEmpty { group } => format!(
                "a group that has ever had a key stays, so that its tapes can be told; tapekey kms key list {group}"
            ),
        }
    }
}
