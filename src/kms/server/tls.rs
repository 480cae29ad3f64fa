//! TLS for the service: version 1.3, a client certificate from our issuing CA or no connection, dates by the clock passed in.

use std::fmt;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, RootCertStore, ServerConfig, SignatureScheme, version};
use thiserror::Error;
use zeroize::Zeroizing;

use super::own::OwnCertificate;
use crate::clock::{Clock, Timestamp, to_text};
use crate::kms::config::KmsConfig;
use crate::kms::pki::identify;
use crate::kms::service::Kms;
use crate::kms::tls_time::ClockTime;

/// Permission bits that the server's private key must not have.
const KEY_MODE_FORBIDDEN: u32 = 0o027;

/// The service's certificates cannot be used.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A file is missing or is not what it should be.
    #[error("read {path}: {problem}\nhint: put back the file that `tapekey-kms init` made", path = path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Too many people can read the private key.
    #[error("private key {path} has mode {mode:04o}: others could read or replace it\nhint: chmod 600 {path}", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// No client would talk to us, and there is no new certificate to be had.
    #[error("certificate {path} expired on {}, and no new one could be made: {problem}\nhint: {hint}", to_text(*not_after), path = path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its last moment.
        not_after: Timestamp,
        /// Why there is no new one.
        problem: String,
        /// What to do.
        hint: String,
    },
    /// rustls refused.
    #[error("set up TLS with {path}: {problem}\nhint: certificate and key must be a pair", path = path.display())]
    Setup {
        /// The certificate.
        path: PathBuf,
        /// What it said.
        problem: String,
    },
}

/// What rustls needs.
pub(super) fn server_config(
    config: &KmsConfig,
    own: &Arc<OwnCertificate>,
    kms: &Arc<Kms>,
    clock: &Arc<dyn Clock>,
) -> Result<ServerConfig, TlsError> {
    let path = &config.server_certificate;
    let setup = |problem: String| TlsError::Setup {
        path: path.clone(),
        problem,
    };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut authorities = RootCertStore::empty();
    for certificate in read_certificates(&config.issuing_ca)? {
        authorities.add(certificate).map_err(|error| setup(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider.clone())
        .build()
        .map_err(|error| setup(error.to_string()))?;
    let telling = Telling {
        verifier,
        kms: kms.clone(),
    };
    let mut server = ServerConfig::builder_with_details(provider, Arc::new(ClockTime(clock.clone())))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| setup(error.to_string()))?
        .with_client_cert_verifier(Arc::new(telling))
        .with_cert_resolver(own.clone());
    // A resumed session would skip the look at the client's certificate.
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(rustls::server::NoServerSessionStorage {});
    Ok(server)
}

pub(super) fn read_certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |problem: String| TlsError::File {
        path: path.to_owned(),
        problem,
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| failed(error.to_string()))?;
    if certificates.is_empty() {
        return Err(failed("no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}

pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let failed = |problem: String| TlsError::File {
        path: path.to_owned(),
        problem,
    };
    let mode = fs::metadata(path)
        .map_err(|error| failed(error.to_string()))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & KEY_MODE_FORBIDDEN != 0 {
        return Err(TlsError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    let pem = Zeroizing::new(fs::read(path).map_err(|error| failed(error.to_string()))?);
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| failed(error.to_string()))
}

/// Verifies as webpki does, and says in the log whose certificate was refused and why. Nobody may come without a certificate, except while
/// there is a token with which a new host may come.
struct Telling {
    verifier: Arc<dyn ClientCertVerifier>,
    kms: Arc<Kms>,
}

impl fmt::Debug for Telling {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Telling")
    }
}

impl ClientCertVerifier for Telling {
    fn client_auth_mandatory(&self) -> bool {
        !self.kms.awaits_enrollment()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.verifier.verify_client_cert(end_entity, intermediates, now);
        if let Err(error) = &verified {
            let identity = identify(end_entity);
            let actor = identity.as_ref().map(|identity| &identity.actor);
            let subject = actor.map_or("not readable", |actor| actor.subject.as_str());
            let fingerprint = actor.map_or("", |actor| actor.fingerprint.as_str());
            tracing::warn!(subject, fingerprint, %error, "a client certificate was refused");
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
