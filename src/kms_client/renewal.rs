//! A client's own certificate, kept good: renewed in the last third of its life, used at once, its files replaced.

use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use thiserror::Error;

use super::KmsClient;
use super::ask::Question;
use super::bundle::{BundleError, Replacement};
use super::error::KmsClientError;
use super::files::SetupError;
use super::signing::{SigningError, new_key};
use crate::clock::to_text;
use crate::kms_api::expiry::is_renewal_due;
use crate::kms_api::{CertificateRecord, Expiry, IssuedCertificate, RENEWAL_PATH, RenewCertificate};

/// How often a program that runs for long looks at its certificate.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// The certificate is the old one still.
#[derive(Debug, Error)]
pub enum RenewError {
    /// No key.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// No KMS answered, or it refused.
    #[error(transparent)]
    Kms(#[from] KmsClientError),
    /// The files cannot be written.
    #[error("the new certificate cannot be kept: {0}")]
    Bundle(#[from] BundleError),
    /// The new files make no client.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The client has no files.
    #[error("this client has no certificate that could be renewed\nhint: this is a fault of tapekey, please report it")]
    NoFiles,
}

impl KmsClient {
    /// A new certificate for a new key, in the place of the old ones with their owner and mode, and in use from now on. Nothing is asked
    /// for that could not be kept.
    ///
    /// # Errors
    /// [`RenewError`]; the old certificate is then still in use.
    pub async fn renew(&self) -> Result<CertificateRecord, RenewError> {
        let config = self.config.clone().ok_or(RenewError::NoFiles)?;
        let (certificate, key) = (config.certificate.clone(), config.key.clone());
        let beside = tokio::task::spawn_blocking(move || Replacement::beside(&certificate, &key));
        let beside = beside.await.map_err(|_| RenewError::NoFiles)??;
        let (key_pem, signing_request) = new_key()?;
        let request = RenewCertificate { signing_request };
        let question = Question::new("renew this client's certificate".to_owned(), Method::POST, RENEWAL_PATH);
        let issued: IssuedCertificate = self.change(question.body(&request)).await?;
        let written =
            tokio::task::spawn_blocking(move || beside.put(&issued.certificate, &key_pem).map(|()| issued.record));
        let record = written.await.map_err(|_| RenewError::NoFiles)??;
        self.read_files_again(&config)?;
        Ok(record)
    }

    /// How near the end of our own certificate is, as a line for people; `None` if it is not near.
    #[must_use]
    pub fn expiry(&self) -> Option<String> {
        let (_, not_after) = self.dates()?;
        let expiry = Expiry::at(not_after, self.clock.now())?;
        Some(format!(
            "the certificate of this client of the KMS {expiry}, on {}",
            to_text(not_after)
        ))
    }

    /// Renews if it is time, and says in the log what came of it.
    async fn look(&self) {
        let Some((not_before, not_after)) = self.dates() else {
            return;
        };
        if is_renewal_due(not_before, not_after, self.clock.now()) {
            match self.renew().await {
                Ok(record) => {
                    tracing::info!(until = %record.not_after.date(), "our certificate for the KMS was renewed")
                }
                Err(error) => {
                    tracing::warn!("our certificate for the KMS was not renewed, next try in an hour: {error}")
                }
            }
        }
        if let Some(expiry) = self.expiry() {
            tracing::error!("ALARM: {expiry}\nhint: tapekey kms certificate renew, or enroll this host again");
        }
    }
}

/// Looks at the certificate of `client` now and every hour, for ever.
pub async fn keep_fresh(client: Arc<KmsClient>) {
    let mut hourly = tokio::time::interval(LOOK_EVERY);
    loop {
        hourly.tick().await;
        client.look().await;
    }
}
