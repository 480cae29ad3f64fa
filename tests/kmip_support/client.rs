//! The product's client, made for the servers of these tests, and what it answers in a form that can be compared.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::CertificateDer;
use tapekey::clock::{Clock, Timestamp};
use tapekey::kms::connector::kmip::{Endpoint, GroupAttribute, KmipServer, KmipSettings};
use tapekey::kms::connector::{
    Answer, ExternalKey, ExternalServer, GroupName, KeyServerKind, ServerIdentity, ServerName, Wanted,
};

use super::certificates::{Authority, Identity};
use super::in_time;

/// The machine's clock: certificates and PyKMIP go by that.
struct RealClock(Instant);

impl Clock for RealClock {
    fn now(&self) -> Timestamp {
        Timestamp::now_utc()
    }

    fn monotonic(&self) -> Duration {
        self.0.elapsed()
    }
}

/// How the client is to be made.
pub(crate) struct Client {
    pub(crate) name: &'static str,
    pub(crate) priority: i32,
    pub(crate) enabled_for_backup: bool,
    /// For a whole question, as selection sets it.
    pub(crate) limit: Duration,
    pub(crate) endpoints: Vec<SocketAddr>,
    pub(crate) trust: CertificateDer<'static>,
    pub(crate) certificate: Identity,
    pub(crate) group_attribute: Option<GroupAttribute>,
    pub(crate) allow_compromised_restore: bool,
    pub(crate) endpoint_limit: Duration,
}

impl Client {
    /// With a certificate for `owner`.
    pub(crate) fn of(authority: &Authority, endpoints: &[SocketAddr]) -> Self {
        Self {
            name: "outside",
            priority: 0,
            enabled_for_backup: true,
            limit: Duration::from_secs(20),
            endpoints: endpoints.to_vec(),
            trust: authority.certificate.clone(),
            certificate: authority.client("owner"),
            group_attribute: None,
            allow_compromised_restore: false,
            endpoint_limit: Duration::from_secs(10),
        }
    }

    pub(crate) fn build(self) -> KmipServer {
        let shown: Vec<_> = self.endpoints.iter().map(ToString::to_string).collect();
        let identity = ServerIdentity {
            name: ServerName::new(self.name).unwrap(),
            kind: KeyServerKind::Kmip,
            address: shown.join(", "),
            priority: self.priority,
            enabled_for_backup: self.enabled_for_backup,
            limit: self.limit,
        };
        let endpoint = |address: &SocketAddr| Endpoint::new(&address.ip().to_string(), address.port()).unwrap();
        let settings = KmipSettings {
            endpoints: self.endpoints.iter().map(endpoint).collect(),
            trust: vec![self.trust],
            certificate: vec![self.certificate.certificate],
            private_key: self.certificate.key,
            group_attribute: self.group_attribute,
            allow_compromised_restore: self.allow_compromised_restore,
            endpoint_limit: self.endpoint_limit,
        };
        KmipServer::new(identity, settings, Arc::new(RealClock(Instant::now()))).unwrap()
    }
}

/// What the client answered, without the key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    Found,
    NoSuchKey(String),
    Unreachable(String),
    Refused(String),
}

impl Said {
    pub(crate) fn text(&self) -> &str {
        match self {
            Self::Found => "found",
            Self::NoSuchKey(text) | Self::Unreachable(text) | Self::Refused(text) => text,
        }
    }

    pub(crate) fn is_no_such_key(&self) -> bool {
        matches!(self, Self::NoSuchKey(_))
    }

    pub(crate) fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused(_))
    }
}

/// The key, or what was said instead.
pub(crate) fn got<T>(answer: Answer<T>) -> Result<T, Said> {
    Err(match answer {
        Answer::Found(found) => return Ok(found),
        Answer::NoSuchKey(why) => Said::NoSuchKey(why.unwrap_or_default()),
        Answer::Unreachable(why) => Said::Unreachable(why),
        Answer::Refused(why) => Said::Refused(why),
    })
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::new(name).unwrap()
}

/// The key for a backup.
pub(crate) async fn backup(server: &KmipServer, name: &str) -> Result<ExternalKey, Said> {
    got(in_time("a backup", server.key_for_backup(&group(name))).await)
}

/// The keys for a restore.
pub(crate) async fn restore(server: &KmipServer, wanted: &Wanted) -> Result<Vec<ExternalKey>, Said> {
    got(in_time("a restore", server.keys_for_restore(wanted)).await)
}

/// The keys that a KAD of ours with the id of this identifier may mean.
pub(crate) async fn restore_identifier(server: &KmipServer, identifier: &str) -> Result<Vec<ExternalKey>, Said> {
    let wanted = Wanted::Id(tapekey::kad::KeyId::from_identifier(identifier));
    restore(server, &wanted).await
}

/// What was said where a key was not expected.
#[track_caller]
pub(crate) fn not<T>(answer: Result<T, Said>) -> Said {
    match answer {
        Ok(_) => panic!("a key was given"),
        Err(said) => said,
    }
}
