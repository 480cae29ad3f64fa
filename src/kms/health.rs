//! Whether this node can serve, and numbers over the store for monitoring. Whoever asks often gets what was seen a moment before: nobody
//! can load the disk with questions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::sync::Mutex;
use tokio::time::timeout;

use super::config::KmsConfig;
use super::model::ServiceError;
use super::pki::identify;
use super::servers::ServerCertificateEnd;
use super::service::Kms;
use super::store::{StoreError, quiesces, snapshots, statistics};
use crate::clock::{Clock, Timestamp};
use crate::kms_api::{CertificateLife, Readiness, StateCount};

/// How long one look at the store's two transactions is good for.
const PROBE_GOOD_FOR: Duration = Duration::from_secs(1);

/// How long numbers over the whole store are good for: counting reads every key's row.
const SURVEY_GOOD_FOR: Duration = Duration::from_secs(60);

/// How long the store may take for one of the two transactions.
const STORE_LIMIT: Duration = Duration::from_secs(5);

/// Numbers over the whole store, and until when the certificates are good.
pub(super) struct Survey {
    pub(super) keys_by_state: Vec<StateCount>,
    pub(super) uncovered: u64,
    pub(super) quiesces: u64,
    pub(super) certificates: Vec<(&'static str, Timestamp)>,
    pub(super) server_certificates: Vec<ServerCertificateEnd>,
}

/// Something seen, and when by the clock that never jumps.
type Seen<T> = Mutex<Option<(Duration, T)>>;

/// Looks at one service.
pub(super) struct Health {
    kms: Arc<Kms>,
    clock: Arc<dyn Clock>,
    certificates: [(&'static str, PathBuf); 2],
    probe: Seen<Option<String>>,
    survey: Seen<Result<Arc<Survey>, String>>,
}

impl Health {
    /// For the service `kms`, whose certificates `config` names.
    pub(super) fn new(kms: Arc<Kms>, clock: Arc<dyn Clock>, config: &KmsConfig) -> Self {
        Self {
            kms,
            clock,
            certificates: [
                ("server", config.server_certificate.clone()),
                ("issuing_ca", config.issuing_ca.clone()),
            ],
            probe: Mutex::default(),
            survey: Mutex::default(),
        }
    }

    /// Whether this node can serve.
    pub(super) async fn readiness(&self) -> Readiness {
        let trouble = self.probe().await;
        let survey = self.survey().await;
        let age = self.kms.store.meter().since_last(self.clock.monotonic());
        let mut readiness = Readiness {
            ready: trouble.is_none(),
            problems: trouble.into_iter().collect(),
            last_commit_age_ms: age.map(|age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
            quiesces: None,
            keys_in_no_snapshot: None,
            certificates: Vec::new(),
            servers: self.kms.selection.servers(),
        };
        match survey {
            Ok(survey) => {
                readiness.quiesces = Some(survey.quiesces);
                readiness.keys_in_no_snapshot = Some(survey.uncovered);
                let now = self.clock.now();
                let life = |(certificate, not_after): &(&str, Timestamp)| CertificateLife {
                    certificate: (*certificate).to_owned(),
                    not_after: *not_after,
                    days_left: (*not_after - now).whole_days(),
                };
                readiness.certificates = survey.certificates.iter().map(life).collect();
            }
            Err(problem) => readiness.problems.push(problem),
        }
        readiness
    }

    /// Numbers over the store, at most a minute old; or why there are none.
    pub(super) async fn survey(&self) -> Result<Arc<Survey>, String> {
        let mut seen = self.survey.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, survey)) = &*seen
            && now.saturating_sub(*at) < SURVEY_GOOD_FOR
        {
            return survey.clone();
        }
        let looked = self.look_over().await.map(Arc::new).map_err(|error| first_line(&error));
        *seen = Some((now, looked.clone()));
        looked
    }

    /// What is wrong with the store, if anything is: it reads, and it writes to the disk.
    async fn probe(&self) -> Option<String> {
        let mut seen = self.probe.lock().await;
        let now = self.clock.monotonic();
        if let Some((at, trouble)) = &*seen
            && now.saturating_sub(*at) < PROBE_GOOD_FOR
        {
            return trouble.clone();
        }
        let trouble = match timeout(STORE_LIMIT, self.kms.touch_store()).await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(first_line(&error)),
            Err(_) => Some(format!("the store did not answer in {} s", STORE_LIMIT.as_secs())),
        };
        *seen = Some((now, trouble.clone()));
        trouble
    }

    async fn look_over(&self) -> Result<Survey, ServiceError> {
        let kms = self.kms.clone();
        let looked = tokio::task::spawn_blocking(move || {
            Ok::<_, StoreError>((
                statistics::keys_by_state(&*kms.store.look()?)?,
                snapshots::uncovered(kms.store.place(), 0)?.uncovered,
            ))
        });
        let (keys_by_state, uncovered) = looked.await.map_err(|_| StoreError::Stopped)??;
        let counted = self.kms.store.run(|session| Ok(quiesces::count(session)?));
        let certificates = self.certificates.iter();
        let server_certificates = self.kms.server_certificate_ends();
        Ok(Survey {
            keys_by_state,
            uncovered,
            quiesces: timeout(STORE_LIMIT, counted).await.map_err(|_| StoreError::Stopped)??,
            // A file that cannot be read is absent here; the service itself complains about it when it loads it.
            certificates: certificates
                .filter_map(|(name, path)| Some((*name, first_to_end(path)?)))
                .collect(),
            server_certificates: timeout(STORE_LIMIT, server_certificates)
                .await
                .map_err(|_| StoreError::Stopped)??,
        })
    }
}

impl Kms {
    /// Reads from the store and writes to it, without changing anything.
    async fn touch_store(&self) -> Result<(), ServiceError> {
        self.store.run(|session| Ok(snapshots::touch(session)?)).await
    }
}

/// When the first certificate of the file ends.
fn first_to_end(path: &std::path::Path) -> Option<Timestamp> {
    let certificates = CertificateDer::pem_file_iter(path).ok()?;
    let ends = certificates.filter_map(|certificate| Some(identify(&certificate.ok()?)?.not_after));
    ends.min()
}

fn first_line(error: &ServiceError) -> String {
    error.to_string().lines().next().unwrap_or_default().to_owned()
}
