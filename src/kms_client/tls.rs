//! TLS towards the KMS: version 1.3 only, with our certificate, trusting the KMS's own CA and no other, on the clock passed in.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ClientConfig as TlsConfig;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, crypto::aws_lc_rs, version};

use super::ClientConfig;
use super::bundle::renewed;
use super::files::{SetupError, read_ca, read_certificates, read_chain, read_key};
use crate::clock::{Clock, Timestamp};

/// How long an idle connection is kept. Less than the KMS keeps one, so that no request meets a connection that is just being closed.
const IDLE: Duration = Duration::from_secs(30);

/// Our certificate: itself, its first and its last moment.
pub(super) type OwnCertificate = (CertificateDer<'static>, Timestamp, Timestamp);

/// What TLS needs, from the files that `config` names; and our certificate.
pub(super) fn tls_config(
    config: &ClientConfig,
    clock: &Arc<dyn Clock>,
) -> Result<(TlsConfig, Option<OwnCertificate>), SetupError> {
    let failed = |path: &Path, problem: String| SetupError::Tls {
        path: path.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    for certificate in read_ca(&config.ca)? {
        roots
            .add(certificate)
            .map_err(|error| failed(&config.ca, error.to_string()))?;
    }
    let (pair, (not_before, not_after)) = pair(config, clock.now())?;
    let own = pair.cert.first().map(|leaf| (leaf.clone(), not_before, not_after));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let tls = TlsConfig::builder_with_details(provider, Arc::new(ClockTime(clock.clone())))
        .with_protocol_versions(&[&version::TLS13])
        .map_err(|error| failed(&config.certificate, error.to_string()))?
        .with_root_certificates(roots)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(pair)));
    Ok((tls, own))
}

/// Whether both files can be read and belong together, whatever the time is.
pub(super) fn is_pair(certificate: &Path, key: &Path) -> bool {
    let chain = read_certificates(certificate, "client certificate").ok();
    let read = chain.and_then(|chain| Some((chain, read_key(key).ok()?)));
    read.is_some_and(|(chain, key)| CertifiedKey::from_der(chain, key, &aws_lc_rs::default_provider()).is_ok())
}

/// Certificate and key. If they do not fit because a renewal was killed between the two, the certificate that fits lies beside them.
fn pair(config: &ClientConfig, now: Timestamp) -> Result<(CertifiedKey, (Timestamp, Timestamp)), SetupError> {
    let read = |certificate: &Path| {
        let (chain, dates) = read_chain(certificate, now)?;
        let pair = CertifiedKey::from_der(chain, read_key(&config.key)?, &aws_lc_rs::default_provider());
        let pair = pair.map_err(|error| SetupError::Tls {
            path: certificate.to_owned(),
            problem: error.to_string(),
        })?;
        Ok((pair, dates))
    };
    read(&config.certificate).or_else(|error| {
        let renewed = renewed(&config.certificate);
        if renewed.exists() {
            read(&renewed).map_err(|_: SetupError| error)
        } else {
            Err(error)
        }
    })
}

/// HTTP over that TLS, and nothing else.
pub(super) fn http_client(tls: TlsConfig, timeout: Duration) -> Result<reqwest::Client, SetupError> {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .http1_only()
        .https_only(true)
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(timeout)
        .pool_idle_timeout(IDLE)
        .build()
        .map_err(|error| SetupError::Library(error.to_string()))
}

/// The passed-in clock, as rustls asks for it.
pub(super) struct ClockTime(pub(super) Arc<dyn Clock>);

impl TimeProvider for ClockTime {
    fn current_time(&self) -> Option<UnixTime> {
        let seconds = u64::try_from(self.0.now().unix_timestamp()).ok()?;
        Some(UnixTime::since_unix_epoch(Duration::from_secs(seconds)))
    }
}

impl fmt::Debug for ClockTime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("ClockTime")
    }
}
