//! Key servers that speak KMIP (OASIS Key Management Interoperability Protocol 1.0 to 1.4, 2.0 and 2.1), as external servers.
//!
//! Strict in what is sent, lenient in what is read: servers differ in everything that is optional, and nothing here assumes one server's
//! habits. What a search finds are candidates and no more: each is held against its own attributes. This connector reads keys and makes new
//! ones when told to; it never changes, revokes or destroys one.

mod attribute;
mod backup;
mod check;
mod connection;
mod create;
mod endpoint;
mod error;
mod group;
mod line;
mod names;
mod operations;
mod question;
mod reason;
mod reply;
mod restore;
mod settings;
mod tls;
pub mod ttlv;
mod version;
mod warm;
mod write;

pub use endpoint::Endpoint;
pub use error::KmipError;
pub use group::GroupAttribute;
pub use names::ProtocolVersion;
pub use settings::KmipSettings;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::CertificateDer;

use self::error::Trouble;
use self::group::Filtering;
use self::line::Lines;
use self::warm::Remembered;
use super::{
    Answer, Asking, Checking, CreatedKey, ExternalKey, ExternalServer, GroupName, KeyName, Peer, ServerIdentity, Wanted,
};
use crate::clock::Clock;

/// A key server that speaks KMIP. What it learns of the server, versions and habits, it keeps for as long as it lives.
pub struct KmipServer(Arc<Inner>);

struct Inner {
    identity: ServerIdentity,
    lines: Lines,
    clock: Arc<dyn Clock>,
    /// As configured; without, it is found out.
    group_attribute: Option<GroupAttribute>,
    allow_compromised_restore: bool,
    /// For the look at their dates.
    trust: Vec<CertificateDer<'static>>,
    certificate: Vec<CertificateDer<'static>>,
    /// The version that was agreed on.
    version: Mutex<Option<ProtocolVersion>>,
    /// What the server was seen to do with a search.
    filtering: Mutex<Option<Filtering>>,
    probes: AtomicU64,
    /// What the key of a group was found by last time.
    remembered: Mutex<BTreeMap<GroupName, Remembered>>,
}

impl KmipServer {
    /// The server `identity`, to be reached with `settings`. Connects when it is first asked.
    ///
    /// # Errors
    /// [`KmipError`]: no endpoint, or certificates that cannot be used.
    pub fn new(identity: ServerIdentity, settings: KmipSettings, clock: Arc<dyn Clock>) -> Result<Self, KmipError> {
        let server = identity.name.to_string();
        if settings.endpoints.is_empty() {
            return Err(KmipError::NoEndpoint { server });
        }
        let pair = (settings.certificate.clone(), settings.private_key);
        let tls = tls::connector(&server, &settings.trust, pair, &clock)?;
        let lines = Lines::new(settings.endpoints, tls, (settings.endpoint_limit, clock.clone()));
        Ok(Self(Arc::new(Inner {
            identity,
            lines,
            clock,
            group_attribute: settings.group_attribute,
            allow_compromised_restore: settings.allow_compromised_restore,
            trust: settings.trust,
            certificate: settings.certificate,
            version: Mutex::new(None),
            filtering: Mutex::new(None),
            probes: AtomicU64::new(0),
            remembered: Mutex::default(),
        })))
    }
}

impl ExternalServer for KmipServer {
    fn identity(&self) -> &ServerIdentity {
        &self.0.identity
    }

    fn key_for_backup(&self, group: &GroupName) -> Asking<ExternalKey> {
        let (inner, group) = (self.0.clone(), group.clone());
        Box::pin(async move { answer(inner.key_for_backup(&group).await) })
    }

    fn keys_for_restore(&self, wanted: &Wanted) -> Asking<Vec<ExternalKey>> {
        let (inner, wanted) = (self.0.clone(), wanted.clone());
        Box::pin(async move {
            answer(match wanted {
                Wanted::Id(id) => inner.keys_by_id(id).await,
                Wanted::ForeignKads(kads) => inner.keys_by_kads(&kads).await,
            })
        })
    }

    fn check(&self, group: Option<&GroupName>) -> Checking {
        let (inner, group) = (self.0.clone(), group.cloned());
        Box::pin(async move { inner.check(group.as_ref()).await })
    }

    /// Sent once: if its answer is lost, the text says that the key may be there.
    fn create_key(&self, group: &GroupName, name: Option<&KeyName>) -> Asking<CreatedKey> {
        let (inner, group, name) = (self.0.clone(), group.clone(), name.cloned());
        Box::pin(async move { answer(inner.create_key(&group, name.as_ref()).await) })
    }

    fn end_idle(&self) {
        self.0.lines.end_idle();
    }

    fn peer(&self) -> Peer {
        // Whoever panicked with it left it whole: every change is one assignment.
        let version = *self.0.version.lock().unwrap_or_else(PoisonError::into_inner);
        Peer {
            protocol_version: version.map(|version| version.to_string()),
            certificate_not_after: self.0.lines.certificate_not_after(),
        }
    }
}

fn answer<T>(asked: Result<T, Trouble>) -> Answer<T> {
    match asked {
        Ok(found) => Answer::Found(found),
        Err(trouble) => trouble.into_answer(),
    }
}

#[cfg(test)]
mod tests;
