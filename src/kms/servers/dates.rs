//! When the certificates between the KMS and its external servers end: the one that it shows, those that it believes, and the one that the
//! server showed last.

use super::settings::certificates;
use crate::clock::Timestamp;
use crate::kms::model::ServiceError;
use crate::kms::pki::identify;
use crate::kms::service::Kms;
use crate::kms::store::key_servers::{self, KeyServer};
use crate::kms_api::{CertificateDates, Expiry, ServerCertificate, ServerCertificateRole, ServerName};

/// The certificate of a role of a server that ends first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::kms) struct ServerCertificateEnd {
    pub(in crate::kms) server: ServerName,
    pub(in crate::kms) role: ServerCertificateRole,
    pub(in crate::kms) not_after: Timestamp,
}

impl Kms {
    /// The certificates of one server.
    pub(super) fn server_certificates(&self, server: &KeyServer) -> Vec<ServerCertificate> {
        let now = self.clock.now();
        let of = |role, pem: &str| -> Vec<ServerCertificate> {
            // What cannot be read was refused when it came, and makes the server unusable, which is said elsewhere.
            let read = certificates(pem).unwrap_or_default();
            let identities = read.iter().filter_map(|der| identify(der));
            identities
                .map(|identity| dated(role, Some(identity.actor.subject), identity.not_after, now))
                .collect()
        };
        let mut all = of(ServerCertificateRole::Client, &server.certificate);
        all.extend(of(ServerCertificateRole::Ca, &server.trust));
        let connected = self.selection.named(&server.name);
        let shown = connected.and_then(|server| server.peer().certificate_not_after);
        all.extend(shown.map(|not_after| dated(ServerCertificateRole::Server, None, not_after, now)));
        all
    }

    /// Of each server and role, the certificate that ends first.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::kms) async fn server_certificate_ends(&self) -> Result<Vec<ServerCertificateEnd>, ServiceError> {
        let servers = self.store.run(|session| Ok(key_servers::all(session)?)).await?;
        let mut ends: Vec<ServerCertificateEnd> = Vec::new();
        for server in servers.into_iter().flatten() {
            for certificate in self.server_certificates(&server) {
                let earlier = ends
                    .iter_mut()
                    .find(|end| end.server == server.name && end.role == certificate.role);
                match earlier {
                    Some(end) => end.not_after = end.not_after.min(certificate.not_after),
                    None => ends.push(ServerCertificateEnd {
                        server: server.name.clone(),
                        role: certificate.role,
                        not_after: certificate.not_after,
                    }),
                }
            }
        }
        Ok(ends)
    }

    /// Those that end soon, for status and alarms.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::kms) async fn server_certificates_ending(&self) -> Result<Vec<CertificateDates>, ServiceError> {
        let now = self.clock.now();
        let ends = self.server_certificate_ends().await?.into_iter();
        let ending = ends.filter_map(|end| {
            Some(CertificateDates {
                what: format!("external server {} ({})", end.server, end.role.name()),
                not_after: end.not_after,
                expiry: Some(Expiry::at(end.not_after, now)?),
            })
        });
        Ok(ending.collect())
    }
}

fn dated(
    role: ServerCertificateRole,
    subject: Option<String>,
    not_after: Timestamp,
    now: Timestamp,
) -> ServerCertificate {
    ServerCertificate {
        role,
        subject,
        not_after,
        expiry: Expiry::at(not_after, now),
    }
}
