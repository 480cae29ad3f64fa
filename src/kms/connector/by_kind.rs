//! Which connector speaks to which kind of server.

use std::sync::Arc;
use std::time::Duration;

use super::kmip::{Endpoint, GroupAttribute, KmipError, KmipServer, KmipSettings};
use super::{Connect, ExternalServer, KeyServerKind, ServerIdentity, Settings};
use crate::clock::Clock;

/// Makes the connectors that this program has.
pub(in crate::kms) struct ByKind {
    /// For dates of certificates, and for how long a connection was idle.
    pub(in crate::kms) clock: Arc<dyn Clock>,
}

impl Connect for ByKind {
    fn connect(&self, identity: ServerIdentity, settings: Settings) -> Result<Arc<dyn ExternalServer>, String> {
        match identity.kind {
            KeyServerKind::BuiltIn => Err("the KMS's own store is no external server".to_owned()),
            KeyServerKind::Kmip => self.kmip(identity, settings).map_err(|error| one_line(&error)),
        }
    }
}

impl ByKind {
    fn kmip(&self, identity: ServerIdentity, settings: Settings) -> Result<Arc<dyn ExternalServer>, KmipError> {
        let endpoints = settings.endpoints.iter();
        let endpoints: Vec<_> = endpoints
            .map(|endpoint| Endpoint::new(endpoint.host(), endpoint.port()))
            .collect::<Result<_, _>>()?;
        let settings = KmipSettings {
            endpoint_limit: share(identity.limit, endpoints.len()),
            endpoints,
            trust: settings.trust,
            certificate: settings.certificate,
            private_key: settings.private_key,
            group_attribute: GroupAttribute::configured(settings.group_attribute),
            allow_compromised_restore: settings.allow_compromised_restore,
        };
        Ok(Arc::new(KmipServer::new(identity, settings, self.clock.clone())?))
    }
}

/// The time of one endpoint, so that a dead one leaves some for the next.
fn share(limit: Duration, endpoints: usize) -> Duration {
    limit / u32::try_from(endpoints).unwrap_or(u32::MAX).max(1)
}

/// The error without its hint, which is for those who read it elsewhere.
fn one_line(error: &KmipError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
