//! TLS towards the KMS: version 1.3 only, with our certificate, trusting the KMS's own CA and no other, on the clock passed in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::ClientConfig as TlsConfig;
use rustls::pki_types::UnixTime;
use rustls::time_provider::TimeProvider;
use rustls::{RootCertStore, crypto::aws_lc_rs, version};

use super::ClientConfig;
use super::files::{SetupError, read_ca, read_chain, read_key};
use crate::clock::Clock;

/// What TLS needs, from the files that `config` names.
pub(super) fn tls_config(config: &ClientConfig, clock: &Arc<dyn Clock>) -> Result<TlsConfig, SetupError> {
    let failed = |path: &std::path::Path, problem: String| SetupError::Tls {
        path: path.to_owned(),
        problem,
    };
    let mut roots = RootCertStore::empty();
    for certificate in read_ca(&config.ca)? {
        roots
            .add(certificate)
            .map_err(|error| failed(&config.ca, error.to_string()))?;
    }
    let chain = read_chain(&config.certificate, clock.now())?;
    let key = read_key(&config.key)?;
    TlsConfig::builder_with_details(
        Arc::new(aws_lc_rs::default_provider()),
        Arc::new(ClockTime(clock.clone())),
    )
    .with_protocol_versions(&[&version::TLS13])
    .map_err(|error| failed(&config.certificate, error.to_string()))?
    .with_root_certificates(roots)
    .with_client_auth_cert(chain, key)
    .map_err(|error| failed(&config.certificate, error.to_string()))
}

/// The passed-in clock, as rustls asks for it.
struct ClockTime(Arc<dyn Clock>);

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
