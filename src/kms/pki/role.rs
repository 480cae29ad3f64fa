//! What a client certificate says about its holder: the role stands in a URI among its subject alternative names.

use std::net::{Ipv4Addr, Ipv6Addr};

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

/// What stands in a certificate besides whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct CertificateFacts {
    /// Its serial number, in hex.
    pub(in crate::kms) serial: String,
    /// SHA-256 of it, in hex.
    pub(in crate::kms) fingerprint: String,
    pub(in crate::kms) not_before: OffsetDateTime,
    pub(in crate::kms) not_after: OffsetDateTime,
    /// The names and addresses of a server.
    pub(in crate::kms) hosts: Vec<String>,
}

/// Reads the facts of a certificate (DER); `None` if it is none.
pub(in crate::kms) fn facts(certificate: &[u8]) -> Option<CertificateFacts> {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    let names = parsed.subject_alternative_name().ok().flatten();
    let names = names.iter().flat_map(|names| &names.value.general_names);
    Some(CertificateFacts {
        serial: hex::encode(parsed.raw_serial()),
        fingerprint: hex::encode(Sha256::digest(certificate)),
        not_before: parsed.validity().not_before.to_datetime(),
        not_after: parsed.validity().not_after.to_datetime(),
        hosts: names.filter_map(host).collect(),
    })
}

fn host(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some((*name).to_owned()),
        GeneralName::IPAddress(bytes) => match *bytes {
            &[a, b, c, d] => Some(Ipv4Addr::new(a, b, c, d).to_string()),
            bytes => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()),
        },
        _ => None,
    }
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
