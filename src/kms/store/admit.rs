//! Makes a certificate known again that the issuing CA signed: a restored store does not have those that are newer than its snapshot.

use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use time::OffsetDateTime;

use super::certificates::{self, NewCertificate};
use super::database::Access;
use super::{Session, StoreFile};
use crate::entropy::Entropy;
use crate::kms::audit::{self, Action, Actor, Event};
use crate::kms::model::{HolderRefusal, ServiceError};
use crate::kms::pki::{facts, identify};
use crate::kms_api::{Binding, CertificateRecord, ClientName, Role};

impl StoreFile {
    /// Makes the certificate in `pem` known, audited.
    ///
    /// # Errors
    /// [`HolderRefusal`]: it is none of ours, or known; the groups do not fit its role.
    pub(in crate::kms) fn admit_certificate(
        &self,
        pem: &[u8],
        binding: Option<Binding>,
        (entropy, now): (&dyn Entropy, OffsetDateTime),
    ) -> Result<CertificateRecord, ServiceError> {
        let refused = |problem: String| ServiceError::from(HolderRefusal::NotAdmitted { problem });
        let der =
            CertificateDer::from_pem_slice(pem).map_err(|_| refused("it is not PEM of a certificate".to_owned()))?;
        let ca = self.issuing_ca()?;
        check_issuer(&der, ca.certificate, now).map_err(&refused)?;
        let (identity, facts) = identify(&der)
            .zip(facts(&der))
            .ok_or_else(|| refused("it cannot be read".to_owned()))?;
        let name = identity
            .actor
            .subject
            .strip_prefix("CN=")
            .and_then(|name| ClientName::new(name).ok());
        let (name, role) = name
            .zip(identity.role)
            .ok_or_else(|| refused("it names no client and role".to_owned()))?;
        if binding.is_some() != (role == Role::MediaServer) {
            return Err(HolderRefusal::WrongBinding { role }.into());
        }
        let database = &*self.database;
        database.transaction(Access::Writing, || {
            let mut head = audit::head(database, &self.keyring.audit, self.node)?;
            let mut event = Event::new(&Actor::local(), Action::AdmitCertificate);
            event.detail = Some(format!("{name}, role {role}, serial number {}", facts.serial));
            audit::append(database, &self.keyring.audit, &mut head, &event, now)?;
            let session = Session {
                database,
                keyring: &self.keyring,
                entropy,
                now,
                head: &mut head,
                releases: None,
            };
            let new = NewCertificate {
                facts: &facts,
                name: &name,
                role,
                binding,
                issued_by: "local",
            };
            certificates::insert(&session, new)?.ok_or_else(|| refused("it is known already".to_owned()))
        })
    }
}

/// As TLS would take it: signed by the CA, for a client, valid now.
fn check_issuer(certificate: &CertificateDer<'_>, ca: Vec<u8>, now: OffsetDateTime) -> Result<(), String> {
    let mut authorities = rustls::RootCertStore::empty();
    authorities.add(ca.into()).map_err(|error| error.to_string())?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider).build();
    let verifier = verifier.map_err(|error| error.to_string())?;
    let seconds = u64::try_from(now.unix_timestamp()).unwrap_or(0);
    let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let verified = verifier.verify_client_cert(certificate, &[], now);
    verified
        .map(drop)
        .map_err(|error| format!("it is not of this KMS, or not valid now: {error}"))
}
