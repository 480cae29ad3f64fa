//! Who holds which certificate: the list, enrolment by token, renewal, revocation, and for which groups a media server may ask.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

use super::expiry::Expiry;
use super::names::{ClientName, GroupName};
use super::role::Role;

/// Most groups that one media server is bound to by name.
pub const BOUND_GROUPS_MAX: usize = 256;

/// Most characters of a certificate signing request in PEM.
pub const SIGNING_REQUEST_LENGTH_MAX: usize = 8 * 1024;

/// The groups whose keys a media server gets. There are no patterns: a pattern would let in groups that somebody makes later, and a
/// list of who can read what would not show them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Binding {
    /// Every group, also those made later.
    AllGroups,
    /// These and no others.
    Groups(BTreeSet<GroupName>),
}

impl Binding {
    /// Whether keys of `group` may be given.
    #[must_use]
    pub fn admits(&self, group: &GroupName) -> bool {
        match self {
            Self::AllGroups => true,
            Self::Groups(names) => names.contains(group),
        }
    }
}

impl fmt::Display for Binding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AllGroups => formatter.pad("all groups"),
            Self::Groups(names) if names.is_empty() => formatter.pad("no group"),
            Self::Groups(names) => {
                let names: Vec<_> = names.iter().map(GroupName::as_str).collect();
                formatter.pad(&names.join(" "))
            }
        }
    }
}

/// A certificate that the KMS issued.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateRecord {
    /// Its serial number, in hex.
    pub serial: String,
    /// Whose it is.
    pub name: ClientName,
    /// What the holder may ask.
    pub role: Role,
    /// For which groups; for media servers only. It belongs to the name: all its certificates have the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// SHA-256 of the certificate, in hex, as it stands in audit records.
    pub fingerprint: String,
    /// Its first moment.
    #[serde(with = "time::serde::rfc3339")]
    pub not_before: OffsetDateTime,
    /// Its last moment.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// On whose wish: a certificate's subject, or `local`.
    pub issued_by: String,
    /// Why and when it ended before its time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// How near its end is, if it is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

/// The end of a certificate before its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    /// From when on it is refused.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// Why.
    pub why: EndReason,
    /// By whom: a certificate's subject, or `local`.
    pub by: String,
}

/// Why a certificate ended before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Somebody revoked it.
    Revoked,
    /// Its holder used the one that it was renewed to.
    Replaced,
}

impl EndReason {
    /// The reason's name on the wire and in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Revoked => "revoked",
            Self::Replaced => "replaced",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Revoked, Self::Replaced]
            .into_iter()
            .find(|reason| reason.name() == name)
    }
}

/// Some certificates, by name and age.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateList {
    /// The certificates.
    pub certificates: Vec<CertificateRecord>,
    /// What to ask for next; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// Ends certificates of a name, at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeCertificates {
    /// Only the one with this serial number, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
}

/// Other groups for a media server, at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindGroups {
    /// The groups.
    pub binding: Binding,
}

/// A token with which one new host gets one certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateEnrollment {
    /// Whose the certificate will be; nobody may have a valid one of that name.
    pub name: ClientName,
    /// What the holder may ask. For an administrator there must be a request of two others whose time has come.
    pub role: Role,
    /// For which groups; for media servers, and only for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
}

/// The token, which is shown this once, and what it is good for. No `Debug`: it carries the token.
#[derive(Serialize, Deserialize)]
pub struct EnrollmentToken {
    /// The token, as [`super::EnrollToken`] reads it.
    pub token: String,
    /// Until when.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// A token that can still be used, without the token itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentRecord {
    /// Whose the certificate will be.
    pub name: ClientName,
    /// What the holder will be able to ask.
    pub role: Role,
    /// For which groups; for media servers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub binding: Option<Binding>,
    /// Who made the token.
    pub created_by: String,
    /// Until when it is good.
    #[serde(with = "time::serde::rfc3339")]
    pub expires: OffsetDateTime,
}

/// Some tokens, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentList {
    /// The tokens.
    pub enrollments: Vec<EnrollmentRecord>,
    /// What to ask for next; absent at the end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// A new host asks for its certificate. No `Debug`: it carries the token's secret.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enroll {
    /// The token's id, in hex.
    pub id: String,
    /// The token's secret, in hex.
    pub secret: String,
    /// A certificate signing request (PKCS #10, in PEM). Only its public key counts.
    pub signing_request: String,
}

/// The holder of a certificate asks for its successor.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RenewCertificate {
    /// A certificate signing request (PKCS #10, in PEM). Only its public key counts.
    pub signing_request: String,
}

/// A new certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IssuedCertificate {
    /// It, in PEM.
    pub certificate: String,
    /// The root CA that the KMS's own certificates come from, in PEM.
    pub ca: String,
    /// What the KMS keeps of it.
    pub record: CertificateRecord,
}
