//! What a client certificate says about its holder: the role stands in a URI among its subject alternative names.

use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, GeneralName, X509Certificate};

use crate::kms::audit::Actor;
use crate::kms_api::Role;

/// What a URI of a role begins with.
const ROLE_PREFIX: &str = "tapekey:role:";

/// The URI that stands for `role` in a certificate.
pub(super) fn uri(role: Role) -> String {
    format!("{ROLE_PREFIX}{role}")
}

fn from_uri(uri: &str) -> Option<Role> {
    uri.strip_prefix(ROLE_PREFIX).and_then(Role::from_name)
}

/// The holder of a certificate that TLS has verified.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Who it is.
    pub actor: Actor,
    /// Its role; `None` unless the certificate names exactly one that is known.
    pub role: Option<Role>,
    /// The certificate's last moment: connections may outlive it.
    pub not_after: OffsetDateTime,
}

/// Reads who a certificate is for. Whether it may be believed is for the caller; `None` if it is no certificate.
#[must_use]
pub fn identify(certificate: &[u8]) -> Option<Identity> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    let mut uris = names.filter_map(|name| match name {
        GeneralName::URI(uri) if uri.starts_with(ROLE_PREFIX) => Some(*uri),
        _ => None,
    });
    let role = uris.next().and_then(from_uri).filter(|_| uris.next().is_none());
    Some(Identity {
        actor: Actor {
            subject: parsed.subject().to_string().escape_default().to_string(),
            fingerprint: hex::encode(Sha256::digest(certificate)),
            public_key: hex::encode(Sha256::digest(parsed.public_key().raw)),
        },
        role,
        not_after: parsed.validity().not_after.to_datetime(),
    })
}
