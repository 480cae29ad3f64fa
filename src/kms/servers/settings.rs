//! What administrators give for an external server, looked at before it is kept: certificates that can be read, a key that belongs to its
//! certificate, endpoints, limits.

use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::refusal::ServerRefusal;
use crate::kms::connector::{ServerIdentity, Settings};
use crate::kms::pki::facts;
use crate::kms::store::key_servers::KeyServer;
use crate::kms_api::{
    AddServer, CERTIFICATES_LENGTH_MAX, ChangeServer, ENDPOINTS_MAX, KeyServerKind, SERVER_LIMIT_MS_MAX,
    ServerCredentials,
};

/// The least time for one question in milliseconds: below, nothing but the own host could answer.
const LIMIT_MS_MIN: u32 = 100;

/// A new server with nothing looked at yet; the store gives it its times.
pub(super) fn added(wanted: AddServer, now: time::OffsetDateTime) -> KeyServer {
    let ServerCredentials {
        certificate,
        private_key,
    } = wanted.credentials;
    KeyServer {
        name: wanted.name,
        kind: wanted.kind,
        endpoints: wanted.endpoints,
        priority: wanted.priority,
        enabled_for_backup: wanted.enabled_for_backup,
        group_attribute: wanted.group_attribute,
        trust: wanted.trust,
        certificate,
        private_key,
        limit_ms: wanted.limit_ms,
        allow_compromised_restore: wanted.allow_compromised_restore,
        created: now,
        modified: now,
        change: 0,
    }
}

/// The same server with what `wanted` says, and which settings those are.
pub(super) fn changed(server: KeyServer, wanted: ChangeServer) -> (KeyServer, Vec<String>) {
    let (mut changed, mut what) = (server, Vec::new());
    if let Some(endpoints) = wanted.endpoints {
        what.push(format!("endpoints {}", endpoints_in_words(&endpoints)));
        changed.endpoints = endpoints;
    }
    if let Some(priority) = wanted.priority {
        what.push(format!("priority {priority}"));
        changed.priority = priority;
    }
    if let Some(enabled) = wanted.enabled_for_backup {
        what.push(use_in_words(enabled).to_owned());
        changed.enabled_for_backup = enabled;
    }
    if let Some(attribute) = wanted.group_attribute {
        what.push(format!("group attribute {attribute}"));
        changed.group_attribute = attribute;
    }
    if let Some(trust) = wanted.trust {
        what.push("other CAs".to_owned());
        changed.trust = trust;
    }
    if let Some(credentials) = wanted.credentials {
        what.push("another client certificate".to_owned());
        changed.certificate = credentials.certificate;
        changed.private_key = credentials.private_key;
    }
    if let Some(limit_ms) = wanted.limit_ms {
        what.push(format!("limit {limit_ms} ms"));
        changed.limit_ms = limit_ms;
    }
    if let Some(allowed) = wanted.allow_compromised_restore {
        what.push(compromised_in_words(allowed).to_owned());
        changed.allow_compromised_restore = allowed;
    }
    (changed, what)
}

/// A server's settings as an audit record has them.
pub(super) fn in_words(server: &KeyServer) -> String {
    format!(
        "{}: {} at {}, priority {}, {}, group attribute {}, limit {} ms, {}",
        server.name,
        server.kind,
        endpoints_in_words(&server.endpoints),
        server.priority,
        use_in_words(server.enabled_for_backup),
        server.group_attribute,
        server.limit_ms,
        compromised_in_words(server.allow_compromised_restore)
    )
}

fn use_in_words(enabled_for_backup: bool) -> &'static str {
    match enabled_for_backup {
        true => "for backups and restores",
        false => "for restores only",
    }
}

fn compromised_in_words(allowed: bool) -> &'static str {
    match allowed {
        true => "compromised keys restore",
        false => "compromised keys do not restore",
    }
}

pub(super) fn endpoints_in_words(endpoints: &[crate::kms_api::ServerEndpoint]) -> String {
    let endpoints: Vec<_> = endpoints.iter().map(ToString::to_string).collect();
    endpoints.join(" ")
}

/// Who a server is to selection.
pub(super) fn identity(server: &KeyServer) -> ServerIdentity {
    ServerIdentity {
        name: server.name.clone(),
        kind: server.kind,
        address: endpoints_in_words(&server.endpoints),
        priority: server.priority,
        enabled_for_backup: server.enabled_for_backup,
        limit: Duration::from_millis(server.limit_ms.into()),
    }
}

/// How it is talked to.
///
/// # Errors
/// [`ServerRefusal::Settings`]: what cannot be used.
pub(super) fn settings(server: &KeyServer) -> Result<Settings, ServerRefusal> {
    let refused = |problem: String| ServerRefusal::Settings {
        name: server.name.clone(),
        problem,
    };
    check_numbers(server).map_err(refused)?;
    let trust = certificates(&server.trust).map_err(|problem| refused(format!("the CA certificates: {problem}")))?;
    let certificate =
        certificates(&server.certificate).map_err(|problem| refused(format!("the client certificate: {problem}")))?;
    let private_key = PrivateKeyDer::try_from(server.private_key.expose())
        .map_err(|_| refused("the private key is none: PKCS #8, SEC 1 or PKCS #1 is wanted".to_owned()))?
        .clone_key();
    let provider = aws_lc_rs::default_provider();
    CertifiedKey::from_der(certificate.clone(), private_key.clone_key(), &provider)
        .map_err(|error| refused(format!("client certificate and private key: {error}")))?;
    Ok(Settings {
        endpoints: server.endpoints.clone(),
        trust,
        certificate,
        private_key,
        group_attribute: server.group_attribute,
        allow_compromised_restore: server.allow_compromised_restore,
    })
}

fn check_numbers(server: &KeyServer) -> Result<(), String> {
    if server.kind != KeyServerKind::Kmip {
        return Err(format!("a server of kind {} cannot be added", server.kind));
    }
    if !(1..=ENDPOINTS_MAX).contains(&server.endpoints.len()) {
        return Err(format!(
            "a server has 1 to {ENDPOINTS_MAX} endpoints, this one {}",
            server.endpoints.len()
        ));
    }
    if !(LIMIT_MS_MIN..=SERVER_LIMIT_MS_MAX).contains(&server.limit_ms) {
        return Err(format!(
            "a question may take {LIMIT_MS_MIN} to {SERVER_LIMIT_MS_MAX} ms, not {}",
            server.limit_ms
        ));
    }
    Ok(())
}

/// The certificates in `pem`, one at least, each of which can be read.
pub(super) fn certificates(pem: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    if pem.len() > CERTIFICATES_LENGTH_MAX {
        return Err(format!("{} bytes, {CERTIFICATES_LENGTH_MAX} may be", pem.len()));
    }
    let read: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    let read = read.map_err(|error| format!("not PEM: {error}"))?;
    match read.iter().position(|der| facts(der).is_none()) {
        _ if read.is_empty() => Err("there is none in it".to_owned()),
        Some(index) => Err(format!("number {} cannot be read", index + 1)),
        None => Ok(read),
    }
}
