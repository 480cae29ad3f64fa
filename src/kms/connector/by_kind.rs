//! Which connector speaks to which kind of server.

use std::sync::Arc;

use super::{Connect, ExternalServer, KeyServerKind, ServerIdentity, Settings};
use crate::clock::Clock;

/// Makes the connectors that this program has.
pub(in crate::kms) struct ByKind {
    pub(in crate::kms) clock: Arc<dyn Clock>,
}

impl Connect for ByKind {
    fn connect(&self, identity: ServerIdentity, settings: Settings) -> Result<Arc<dyn ExternalServer>, String> {
        match identity.kind {
            KeyServerKind::BuiltIn => Err("the KMS's own store is no external server".to_owned()),
            KeyServerKind::Kmip => Err(format!("{} KMIP servers", settings.endpoints.len())),
        }
    }
}
