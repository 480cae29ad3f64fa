//! What is refused of requests that need two administrators.

use thiserror::Error;

use crate::kms_api::{AdminRequestState, ClientName, ErrorCode, GroupName, KeyName, KeyState};

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
    /// One administrator alone cannot make another.
    #[error("a further administrator needs two others and a waiting time, and no open request is for {name}")]
    NoFurtherAdmin {
        /// Who was to become one.
        name: ClientName,
    },
    /// There is a request, and its time has not come.
    #[error("request {number}, to let {name} become an administrator, {}", progress(*state, *days_left))]
    NotYet {
        /// Its number.
        number: i64,
        /// Who is to become one.
        name: ClientName,
        /// How far it is.
        state: AdminRequestState,
        /// Days of service time, until it is due or until nobody can approve it any more.
        days_left: u64,
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
    /// A group whose record says how what an external server's keys wrote is read.
    #[error("keys of an external server were given out for group {group}")]
    ReleasedOutside {
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
            Self::SamePerson { .. } | Self::NoFurtherAdmin { .. } => ErrorCode::SecondAdmin,
            Self::NotYet { .. } => ErrorCode::NotYet,
            Self::GroupNotEmpty { .. } | Self::ReleasedOutside { .. } => ErrorCode::GroupNotEmpty,
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
            Self::NoFurtherAdmin { name } => {
                format!("ask for it: tapekey kms enroll create {name} --role admin --reason TEXT")
            }
            Self::NotYet {
                number,
                state: AdminRequestState::Asked,
                ..
            } => format!("another administrator types: tapekey kms request approve {number}"),
            Self::NotYet { number, .. } => format!("what is left of it: tapekey kms request show {number}"),
            Self::NotDeletable { group, key, .. } => format!(
                "first take it out of use, one step at a time: tapekey kms key retire {group} {key} inactive, deprecated, terminated"
            ),
            Self::GroupNotEmpty { group } => format!(
                "a group that has ever had a key stays, so that its tapes can be told; tapekey kms key list {group}"
            ),
            Self::ReleasedOutside { .. } => {
                "it stays, since what was written under them is read by its name and kind".to_owned()
            }
        }
    }
}

fn progress(state: AdminRequestState, days_left: u64) -> String {
    match state {
        AdminRequestState::Asked => "was not approved yet".to_owned(),
        _ => format!("has {days_left} days of service left to wait"),
    }
}
