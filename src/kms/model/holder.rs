//! What the KMS refuses about certificates: whose they are, what they are good for, and that one is good no longer.

use thiserror::Error;

use crate::clock::{Timestamp, to_text};
use crate::kms_api::{ClientName, EndReason, ErrorCode, GroupName, Role};

/// What was asked of certificates, or under one, is not done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum HolderRefusal {
    /// A media server asks for another group's key.
    #[error("{holder} is not bound to group {group}")]
    GroupNotBound {
        /// The asker's subject.
        holder: String,
        /// The group.
        group: GroupName,
    },
    /// A binding for a role that has none, or none for a media server.
    #[error("role {role} {}", if *role == Role::MediaServer { "needs groups" } else { "has no groups" })]
    WrongBinding {
        /// The role.
        role: Role,
    },
    /// Somebody has the name.
    #[error("there is a valid certificate of {name} already")]
    NameHeld {
        /// The name.
        name: ClientName,
    },
    /// No certificate of that name, or none that could be ended.
    #[error("there is no valid certificate {}of {name}", serial.as_ref().map(|serial| format!("{serial} ")).unwrap_or_default())]
    NoSuchCertificate {
        /// The name.
        name: ClientName,
        /// The serial number, if one was given.
        serial: Option<String>,
    },
    /// The last administrator would lock everybody out.
    #[error("{name} has the last valid certificate of an administrator")]
    LastAdmin {
        /// The name.
        name: ClientName,
    },
    /// A certificate cannot be made known.
    #[error("the certificate is not admitted: {problem}")]
    NotAdmitted {
        /// Why.
        problem: String,
    },
    /// A certificate for a key that has one.
    #[error("there is a certificate for that key already")]
    KeyInUse,
    /// A certificate signing request that cannot be followed.
    #[error("the certificate signing request {problem}")]
    SigningRequest {
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A token that is none, was used or cancelled, or is too old. Which of them stands in the audit log alone.
    #[error("the enrollment token is not valid")]
    Enrollment,
    /// No token to cancel.
    #[error("there is no open enrollment token for {name}")]
    NoSuchEnrollment {
        /// The name.
        name: ClientName,
    },
}

impl HolderRefusal {
    /// The refusal for programs.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::GroupNotBound { .. } => ErrorCode::GroupNotBound,
            Self::LastAdmin { .. } => ErrorCode::Forbidden,
            Self::NameHeld { .. } => ErrorCode::NameTaken,
            Self::NoSuchCertificate { .. } => ErrorCode::NoSuchCertificate,
            Self::Enrollment => ErrorCode::EnrollmentRefused,
            Self::NoSuchEnrollment { .. } => ErrorCode::NoSuchEnrollment,
            Self::NotAdmitted { .. } | Self::WrongBinding { .. } | Self::KeyInUse | Self::SigningRequest { .. } => {
                ErrorCode::BadRequest
            }
        }
    }

    /// What to do.
    #[must_use]
    pub fn hint(&self) -> String {
        match self {
            Self::GroupNotBound { group, .. } => {
                format!(
                    "if it is to have these keys: tapekey kms certificate bind NAME --group {group} and all its other groups"
                )
            }
            Self::WrongBinding { .. } => {
                "--group (repeatable) or --all-groups for role media-server, neither for any other role".to_owned()
            }
            Self::NameHeld { name } => {
                format!("choose another name, or end it first: tapekey kms certificate revoke {name}")
            }
            Self::NoSuchCertificate { .. } => "list them: tapekey kms certificate list".to_owned(),
            Self::LastAdmin { .. } => "nobody could administer this service any more; it is not done".to_owned(),
            Self::NotAdmitted { .. } => "what is not of this KMS must enroll".to_owned(),
            Self::KeyInUse | Self::SigningRequest { .. } => {
                "make a new one with a new key of the curve P-256".to_owned()
            }
            Self::Enrollment => {
                "a token is good for one hour and one certificate; ask an administrator for a new one".to_owned()
            }
            Self::NoSuchEnrollment { name } => format!(
                "one that was used is a certificate now, tapekey kms certificate revoke {name}; open ones: tapekey kms enroll list"
            ),
        }
    }
}

/// A certificate that TLS takes and the store does not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CertificateRefusal {
    /// It was issued by this service's CA, but is not in its store.
    #[error("the client certificate is not known to this service")]
    Unknown,
    /// It was ended before its time.
    #[error("the client certificate {serial} was {} on {}", why.name(), to_text(*at))]
    Ended {
        /// Its serial number.
        serial: String,
        /// When.
        at: Timestamp,
        /// Why.
        why: EndReason,
    },
    /// Its time is over.
    #[error("the client certificate expired on {}", to_text(*not_after))]
    Expired {
        /// Its last moment.
        not_after: Timestamp,
    },
}

impl CertificateRefusal {
    /// What to do.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Unknown => {
                "after a restore from a snapshot, certificates issued later are unknown: tapekey-kms certificate admit on the KMS's host, or enroll again"
            }
            Self::Ended {
                why: EndReason::Replaced,
                ..
            } => "use the bundle that has its successor",
            Self::Ended { .. } | Self::Expired { .. } => {
                "get a new client certificate from the administrator of the KMS"
            }
        }
    }
}
