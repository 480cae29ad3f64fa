//! The service's own certificate: read from its files, and made anew by the service itself when a third of its life is left, with the issuing
//! CA's key out of the store. New connections get the new one at once; open ones are not touched.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::tls::{TlsError, read_certificates, read_key};
use crate::clock::Clock;
use crate::kms::config::KmsConfig;
use crate::kms::init::{PRIVATE, PUBLIC};
use crate::kms::pki::{CertificateFacts, facts};
use crate::kms::service::Kms;
use crate::kms_api::expiry::is_renewal_due;

/// The certificate in use, and where it lies.
pub(super) struct OwnCertificate {
    certificate: PathBuf,
    key: PathBuf,
    clock: Arc<dyn Clock>,
    in_use: RwLock<Arc<CertifiedKey>>,
}

impl OwnCertificate {
    /// Reads the files; makes a new certificate if the old one is due, has expired, or does not fit its key, as after a kill between the two.
    ///
    /// # Errors
    /// [`TlsError`]: files; or the certificate cannot serve and there is no new one.
    pub(super) async fn ready(
        config: &KmsConfig,
        kms: &Arc<Kms>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Arc<Self>, TlsError> {
        let (certificate, key) = (config.server_certificate.clone(), config.server_key.clone());
        let chain = read_certificates(&certificate)?;
        let setup = |problem: String| TlsError::Setup {
            path: certificate.clone(),
            problem,
        };
        let old = chain
            .first()
            .and_then(|leaf| facts(leaf))
            .ok_or(setup("it cannot be read".to_owned()))?;
        let read = read_key(&key)?;
        let pair = CertifiedKey::from_der(chain, read, &aws_lc_rs::default_provider());
        let now = clock.now();
        let is_due = pair.is_err() || is_renewal_due(old.not_before, old.not_after, now);
        let renewed = match is_due {
            true => Some(renew(kms, &old, &certificate, &key).await),
            false => None,
        };
        let in_use = match (renewed, pair) {
            (Some(Ok(renewed)), _) => renewed,
            (Some(Err(error)), Ok(_)) if now > old.not_after => {
                let text = error.to_string();
                let (problem, hint) = text.split_once("\nhint: ").unwrap_or((&text, "look into the log"));
                return Err(TlsError::Expired {
                    path: certificate,
                    not_after: old.not_after,
                    problem: problem.to_owned(),
                    hint: hint.to_owned(),
                });
            }
            (Some(Err(error)), Ok(pair)) => {
                tracing::error!(%error, "the server's certificate could not be renewed yet");
                pair
            }
            (None, Ok(pair)) => pair,
            (_, Err(error)) => return Err(setup(error.to_string())),
        };
        kms.note_own_certificate(&in_use);
        Ok(Arc::new(Self {
            certificate,
            key,
            clock: clock.clone(),
            in_use: RwLock::new(Arc::new(in_use)),
        }))
    }

    /// Makes a new certificate if it is time, and uses it. If that fails, the old one stays in use and the log says why.
    pub(super) async fn renew_if_due(&self, kms: &Arc<Kms>) {
        let Some(old) = self.now_in_use().cert.first().and_then(|leaf| facts(leaf)) else {
            return;
        };
        if !is_renewal_due(old.not_before, old.not_after, self.clock.now()) {
            return;
        }
        match renew(kms, &old, &self.certificate, &self.key).await {
            Ok(renewed) => {
                kms.note_own_certificate(&renewed);
                // A thread that panicked with the lock has changed nothing.
                *self.in_use.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(renewed);
            }
            Err(error) => tracing::error!(%error, "ALARM: the server's certificate could not be renewed"),
        }
    }

    fn now_in_use(&self) -> Arc<CertifiedKey> {
        self.in_use.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl ResolvesServerCert for OwnCertificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.now_in_use())
    }
}

impl fmt::Debug for OwnCertificate {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("OwnCertificate")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

async fn renew(kms: &Kms, old: &CertificateFacts, certificate: &Path, key: &Path) -> Result<CertifiedKey, Failed> {
    let made = kms.issue_own(old.hosts.clone()).await?;
    let (certificate, key) = (certificate.to_owned(), key.to_owned());
    let renewed = tokio::task::spawn_blocking(move || {
        // The key first: the old certificate beside a new key is seen at the next start, and mended.
        replace(&key, PRIVATE, made.key_pem.as_bytes())?;
        replace(&certificate, PUBLIC, made.chain_pem.as_bytes())?;
        let pair = CertifiedKey::from_der(
            read_certificates(&certificate)?,
            read_key(&key)?,
            &aws_lc_rs::default_provider(),
        )?;
        Ok::<_, Failed>(pair)
    });
    let renewed = renewed.await??;
    tracing::info!("the server has a new certificate");
    Ok(renewed)
}

/// Puts a new file in the place of an old one: it is there as a whole, or the old one is.
fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), Failed> {
    let failed = |source: io::Error| {
        let (path, hint) = (
            path.display(),
            "hint: the service must be able to write to the folder of its certificate",
        );
        Failed::from(format!("write {path}: {source}\n{hint}"))
    };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(mode)
            .open(&new)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        path.parent()
            .map_or(Ok(()), |folder| fs::File::open(folder)?.sync_all())
    })();
    written.map_err(failed)
}
