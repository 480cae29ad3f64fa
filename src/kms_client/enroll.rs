//! How a new host becomes a client: it knows the KMS by the fingerprint in its token, makes its own key, and gets a certificate for it.
//!
//! The token's secret is sent only inside TLS to a KMS whose certificate comes from the root CA of that fingerprint.

use std::fmt;
use std::sync::Arc;

use reqwest::Method;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme, version};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::Zeroizing;

use super::address::KmsAddress;
use super::ask::Question;
use super::error::KmsClientError;
use super::files::{SetupError, certificates_in};
use super::signing::{SigningError, new_key};
use super::tls::{ClockTime, http_client};
use super::{ClientConfig, KmsClient};
use crate::clock::Clock;
use crate::kms_api::{ENROLL_PATH, Enroll, EnrollToken, IssuedCertificate};

/// What a new client has. No `Debug`: it holds the private key.
pub struct Enrolled {
    /// Its certificate, and the KMS's root CA.
    pub issued: IssuedCertificate,
    /// Its private key, in PEM.
    pub key_pem: Zeroizing<String>,
}

/// A host did not become a client.
#[derive(Debug, Error)]
pub enum EnrollError {
    /// No key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// TLS cannot be set up.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// No KMS answered, or it refused.
    #[error(transparent)]
    Kms(#[from] KmsClientError),
}

/// Gets a certificate for a new key from the first address that answers. The token is then used up.
///
/// # Errors
/// [`EnrollError`]; unless a KMS may have answered, the token is as good as before.
pub async fn enroll(
    addresses: Vec<KmsAddress>,
    token: &EnrollToken,
    clock: &Arc<dyn Clock>,
) -> Result<Enrolled, EnrollError> {
    let (key_pem, signing_request) = new_key()?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let pinned = Pinned {
        ca: token.ca,
        provider: provider.clone(),
    };
    let tls = rustls::ClientConfig::builder_with_details(provider, Arc::new(ClockTime(clock.clone())))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| SetupError::Library(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(pinned))
        .with_no_client_auth();
    let client = KmsClient::of(http_client(tls, ClientConfig::TIMEOUT)?, addresses, clock);
    let request = Enroll {
        id: hex::encode(token.id),
        secret: hex::encode(token.secret.as_slice()),
        signing_request,
    };
    let mut question = Question::new("enroll this host".to_owned(), Method::POST, ENROLL_PATH).body(&request);
    question.repeatable = false;
    let fits = |issued: &IssuedCertificate| is_of(&issued.ca, &token.ca);
    let (issued, _) = client.ask(&question, fits).await?;
    Ok(Enrolled { issued, key_pem })
}

/// The root CA that the KMS sends must be the one of the token: our bundle will trust it.
fn is_of(ca_pem: &str, fingerprint: &[u8; 32]) -> Result<(), String> {
    let certificates = certificates_in(ca_pem.as_bytes());
    match certificates.as_deref() {
        Ok([ca]) if bool::from(Sha256::digest(ca).as_slice().ct_eq(fingerprint)) => Ok(()),
        _ => Err("it names another root CA than the token".to_owned()),
    }
}

/// Believes a KMS whose chain comes from the root CA with one fingerprint, and shows it.
struct Pinned {
    ca: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Pinned")
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let is_pinned =
            |certificate: &&CertificateDer<'_>| bool::from(Sha256::digest(certificate).as_slice().ct_eq(&self.ca));
        let root = intermediates
            .iter()
            .find(is_pinned)
            .ok_or(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), self.provider.clone())
            .build()
            .map_err(|error| rustls::Error::General(error.to_string()))?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        rustls::crypto::verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
