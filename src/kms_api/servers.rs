//! External servers as administrators configure them: where they are, with what the KMS shows who it is, and how they are used.
//!
//! A private key crosses the wire in one direction only. The requests that carry one have no `Debug`, and both ends wipe their buffers.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

use super::endpoint::ServerEndpoint;
use super::expiry::Expiry;
use super::health::LastAnswer;
use super::names::{GroupName, KeyName, ServerName, VolumeName};
use super::{BUILT_IN, KeyServerKind, KeyState};

/// Most endpoints of one server.
pub const ENDPOINTS_MAX: usize = 8;
/// Most bytes of certificates in PEM in one field of a request.
pub const CERTIFICATES_LENGTH_MAX: usize = 24 * 1024;
/// How long one question to a server may take, unless somebody set it.
pub const SERVER_LIMIT_MS_DEFAULT: u32 = 5_000;
/// The longest that it can be set to: less than a host waits for the KMS.
pub const SERVER_LIMIT_MS_MAX: u32 = 8_000;
/// Volumes that a refused removal names.
pub const HELD_VOLUMES_SHOWN: usize = 20;

/// In which attribute of its keys a server keeps the group.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GroupAttribute {
    /// Found out by asking the server.
    #[default]
    Auto,
    /// The custom attribute `x-keygroup`.
    XKeygroup,
    /// Object Group.
    ObjectGroup,
    /// Application Specific Information with the namespace `x-keygroup`.
    Asi,
}

impl GroupAttribute {
    /// Every one.
    pub const ALL: [Self; 4] = [Self::Auto, Self::XKeygroup, Self::ObjectGroup, Self::Asi];

    /// Its name on the wire, in tables and on command lines.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::XKeygroup => "x-keygroup",
            Self::ObjectGroup => "object-group",
            Self::Asi => "asi",
        }
    }

    /// The one of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|attribute| attribute.name() == name)
    }
}

impl fmt::Display for GroupAttribute {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A private key in DER, wiped when dropped. No `Debug`, and no way back out of the KMS.
#[derive(Clone)]
pub struct ServerPrivateKey(Zeroizing<Vec<u8>>);

impl ServerPrivateKey {
    /// Takes over a key: PKCS #8, SEC 1 or PKCS #1.
    #[must_use]
    pub fn of_der(der: Zeroizing<Vec<u8>>) -> Self {
        Self(der)
    }

    /// Its bytes, for TLS and for sealing.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for ServerPrivateKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Zeroizing::new(STANDARD.encode(&*self.0)).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ServerPrivateKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer).map_err(|_| D::Error::custom("a private key must be text"))?;
        let text = Zeroizing::new(text);
        let der = STANDARD.decode(text.as_bytes());
        der.map(|der| Self(Zeroizing::new(der)))
            .map_err(|_| D::Error::custom("a private key must be base64"))
    }
}

/// With what the KMS shows a server who it is. No `Debug`: it carries a private key.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerCredentials {
    /// The client certificate and those of the CAs between it and the server's trust, in PEM.
    pub certificate: String,
    /// Its private key: DER in base64.
    pub private_key: ServerPrivateKey,
}

/// A new external server. No `Debug`: it carries a private key.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AddServer {
    /// What it is to be called.
    pub name: ServerName,
    /// What it speaks; `kmip`.
    pub kind: KeyServerKind,
    /// Where it is reached, in the order in which its endpoints are tried. All of them have the same keys.
    pub endpoints: Vec<ServerEndpoint>,
    /// Its rank for backups, the highest first.
    #[serde(default)]
    pub priority: i32,
    /// Whether new volumes may be written under its keys. Restores ask every server.
    #[serde(default = "yes")]
    pub enabled_for_backup: bool,
    /// Where its keys have their group.
    #[serde(default)]
    pub group_attribute: GroupAttribute,
    /// The CAs that its certificate must come from, in PEM. Nobody else is believed.
    pub trust: String,
    /// With what the KMS shows who it is.
    pub credentials: ServerCredentials,
    /// How long one question may take in milliseconds, all endpoints included.
    #[serde(default = "limit_ms_default")]
    pub limit_ms: u32,
    /// Whether a key that the server calls compromised may still read what was written under it.
    #[serde(default = "yes")]
    pub allow_compromised_restore: bool,
}

/// Other settings for a server; what is absent stays as it is. No `Debug`: it may carry a private key.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeServer {
    /// Other endpoints in place of all of the old ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Vec<ServerEndpoint>>,
    /// Another rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<i32>,
    /// Whether new volumes may be written under its keys.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enabled_for_backup: Option<bool>,
    /// Where its keys have their group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_attribute: Option<GroupAttribute>,
    /// Other CAs in place of all of the old ones, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
    /// Another certificate and key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credentials: Option<ServerCredentials>,
    /// How long one question may take in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_ms: Option<u32>,
    /// Whether a key that the server calls compromised may still read what was written under it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_compromised_restore: Option<bool>,
    /// Accepts that volumes were written under its keys, which other endpoints may not have. Audited.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub despite_volumes: bool,
}

impl ChangeServer {
    /// Whether it changes nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.endpoints.is_none()
            && self.priority.is_none()
            && self.enabled_for_backup.is_none()
            && self.group_attribute.is_none()
            && self.trust.is_none()
            && self.credentials.is_none()
            && self.limit_ms.is_none()
            && self.allow_compromised_restore.is_none()
    }
}

fn yes() -> bool {
    true
}

fn limit_ms_default() -> u32 {
    SERVER_LIMIT_MS_DEFAULT
}

/// Takes a server out of the configuration. Its keys stay where they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemoveServer {
    /// Accepts that volumes were written under its keys, which nobody can read from then on. Audited.
    #[serde(default)]
    pub despite_volumes: bool,
}

/// A look at a server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckServer {
    /// A group whose newest key is fetched and looked at; it goes nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
}

/// A new key in an external server, active at once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CreateServerKey {
    /// Its group.
    pub group: GroupName,
    /// Its name; without one the server decides.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
}

/// From which servers a group's new keys come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BindGroupToServer {
    /// The one server; `built-in` is the KMS's own store. Absent: any, by rank.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<ServerName>,
}

/// An external server as it is configured, without its private key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerRecord {
    /// Its name.
    pub name: ServerName,
    /// What it speaks.
    pub kind: KeyServerKind,
    /// Where it is reached.
    pub endpoints: Vec<ServerEndpoint>,
    /// Its rank for backups.
    pub priority: i32,
    /// Whether new volumes may be written under its keys.
    pub enabled_for_backup: bool,
    /// Where its keys have their group.
    pub group_attribute: GroupAttribute,
    /// How long one question may take in milliseconds.
    pub limit_ms: u32,
    /// Whether a key that the server calls compromised may still read what was written under it.
    pub allow_compromised_restore: bool,
    /// The certificates of both sides, as far as they are known.
    pub certificates: Vec<ServerCertificate>,
    /// Groups whose new keys come from it alone.
    pub groups: Vec<GroupName>,
    /// When it was added.
    #[serde(with = "time::serde::rfc3339")]
    pub created: OffsetDateTime,
    /// When it was last changed.
    #[serde(with = "time::serde::rfc3339")]
    pub modified: OffsetDateTime,
    /// Why this node of the KMS cannot use it; absent if it can.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// What it said last to this node; absent if it was not asked since the start or since it was changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<LastAnswer>,
}

/// A certificate that is needed to talk to a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCertificate {
    /// What it is for.
    pub role: ServerCertificateRole,
    /// Whose it is; absent for what a server showed, of which only the end is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Its last moment.
    #[serde(with = "time::serde::rfc3339")]
    pub not_after: OffsetDateTime,
    /// How near that is, if it is near.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expiry: Option<Expiry>,
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerCertificateRole {
    /// The KMS shows it to the server.
    Client,
    /// The server's own must come from it.
    Ca,
    /// The server showed it last.
    Server,
}

impl ServerCertificateRole {
    /// Its name in tables and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Ca => "ca",
            Self::Server => "server",
        }
    }
}

/// The external servers, in the order in which they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerList {
    /// The servers.
    pub servers: Vec<ServerRecord>,
}

/// A server that was taken out of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RemovedServer {
    /// Its name.
    pub name: ServerName,
    /// Volumes written under its keys, the newest first, some of them; with none nobody misses it.
    pub volumes: Vec<HeldVolume>,
}

/// A volume that was written, or read, under a key of an external server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldVolume {
    /// The volume, as its host called it; absent where a key was asked for by a KAD alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<VolumeName>,
    /// The key's group.
    pub group: String,
    /// When the key was given out.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
}

impl fmt::Display for HeldVolume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let volume = self
            .volume
            .as_ref()
            .map_or("a volume without a name", VolumeName::as_str);
        write!(formatter, "{volume} ({}, {})", self.group, self.at.date())
    }
}

/// What a look at a server came to, one line for each finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerCheck {
    /// The server.
    pub server: ServerName,
    /// The findings, in the order in which they were made.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What was looked at, in a word or two.
    pub what: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was seen.
    pub text: String,
    /// What to do, where it is not well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should look at it.
    Warning,
    /// It does not work.
    Failed,
    /// It could not be seen either way.
    Unproven,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "FAILED",
            Self::Unproven => "unproven",
        })
    }
}

/// A key that was made in an external server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedKey {
    /// What the server calls it.
    pub identifier: String,
    /// Its group.
    pub group: GroupName,
    /// Its name, if it has one that is a name here too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<KeyName>,
    /// Its state.
    pub state: KeyState,
    /// In which of its attributes the group stands.
    pub group_attribute: GroupAttribute,
}

/// What stands for no server in particular where one is named.
pub const ANY_SERVER: &str = "any";

impl ServerName {
    /// Whether it means something of its own, so that no external server may have it.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.is_built_in() || self.as_str() == ANY_SERVER || *self == Self::unreadable()
    }

    /// The KMS's own store.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.as_str() == BUILT_IN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attribute_has_one_name_everywhere() {
        for attribute in GroupAttribute::ALL {
            assert_eq!(GroupAttribute::from_name(attribute.name()), Some(attribute));
            assert_eq!(serde_json::to_value(attribute).unwrap(), attribute.name());
        }
    }

    #[test]
    fn a_private_key_that_cannot_be_read_is_not_repeated() {
        let error = serde_json::from_str::<ServerPrivateKey>("\"c2VjcmV0!\"").err().unwrap();
        assert!(!error.to_string().contains("c2VjcmV0"), "{error}");
    }
}
