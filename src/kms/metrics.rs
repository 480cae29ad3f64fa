//! What a monitoring system reads of the service, as OpenMetrics text: counters of this process, and numbers over the store.
//!
//! Labels have few values: routes as they are written in the router, codes of refusals, states, names of configured servers. Never a group, a
//! key, a volume or a subject, and nothing that a client chooses.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use axum::http::Method;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::health::Survey;
use super::routes::declared;
use super::select::ServerLabels;
use super::service::Kms;
use crate::kms_api::KeyServerKind;

/// What [`Metrics::text`] is, for the answer's header.
pub(super) const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How a request ended whose answer nobody waited for: a time limit, or a client that went away.
pub(super) const ABANDONED: &str = "abandoned";

/// What was asked and how it ended.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    route: String,
    method: &'static str,
    outcome: String,
}

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabels {
    route: String,
}

/// What a key was given out for, and by what kind of server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ReleaseLabels {
    /// `tape`, `disk` or `restore`.
    purpose: &'static str,
    /// `built_in` or `external`.
    server: &'static str,
}

/// Counts keys that were given out.
pub(super) type Releases = Family<ReleaseLabels, Counter>;

/// Counts a key of a server of that kind, given out for `purpose`.
pub(super) fn count_release(releases: &Releases, purpose: &'static str, kind: KeyServerKind) {
    let server = match kind {
        KeyServerKind::BuiltIn => "built_in",
        KeyServerKind::Kmip => "external",
    };
    releases.get_or_create(&ReleaseLabels { purpose, server }).inc();
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CertificateLabels {
    certificate: &'static str,
}

/// A certificate between the service and an external server: `client`, `ca` or `server`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ServerCertificateLabels {
    server: String,
    certificate: &'static str,
}

/// All metrics of one service.
pub(super) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Counter>,
    request_seconds: Family<RouteLabels, Histogram>,
    looked: Looked,
}

/// Numbers that are looked up when somebody asks for the metrics.
#[derive(Default)]
struct Looked {
    queue: Gauge,
    commit_age: Gauge<f64, AtomicU64>,
    audit_sequence: Gauge,
    cached_answers: Gauge,
    survey_failed: Gauge,
    keys: Family<StateLabels, Gauge>,
    uncovered: Gauge,
    quiesces: Gauge,
    certificate_ends: Family<CertificateLabels, Gauge>,
    server_certificate_ends: Family<ServerCertificateLabels, Gauge>,
    server_unusable: Family<ServerLabels, Gauge>,
}

impl Metrics {
    /// The metrics of `kms`.
    pub(super) fn of(kms: &Kms) -> Self {
        let mut registry = Registry::with_prefix("tapekey_kms");
        let requests = Family::<RequestLabels, Counter>::default();
        let request_seconds = Family::<RouteLabels, Histogram>::new_with_constructor(|| {
            Histogram::new(exponential_buckets(0.000_5, 2.0, 16))
        });
        let build = Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "This program", build);
        registry.register(
            "requests",
            "Requests by route, method and outcome: ok, the code of the refusal, or abandoned",
            requests.clone(),
        );
        registry.register_with_unit(
            "request",
            "From a request's header to its answer",
            Unit::Seconds,
            request_seconds.clone(),
        );
        registry.register("releases", "Keys given out", kms.releases.clone());
        register_store(&mut registry, kms);
        register_servers(&mut registry, kms);
        let looked = Looked::default();
        looked.register(&mut registry);
        let metrics = Self {
            registry,
            requests,
            request_seconds,
            looked,
        };
        metrics.begin_with_zero(kms);
        metrics
    }

    /// Makes what alerts look at there from the start: a rate can only be seen from a first zero on.
    fn begin_with_zero(&self, kms: &Kms) {
        for route in declared() {
            let labels = RequestLabels {
                method: method_label(&route.method),
                route: route.path,
                outcome: ABANDONED.to_owned(),
            };
            self.requests.get_or_create(&labels).inc_by(0);
        }
        for purpose in ["tape", "disk", "restore"] {
            for server in ["built_in", "external"] {
                kms.releases.get_or_create(&ReleaseLabels { purpose, server }).inc_by(0);
            }
        }
    }

    /// Counts a request to `route` that took `took`.
    pub(super) fn count_request(&self, route: &str, method: &'static str, outcome: &str, took: Duration) {
        let labels = RequestLabels {
            route: route.to_owned(),
            method,
            outcome: outcome.to_owned(),
        };
        self.requests.get_or_create(&labels).inc();
        let labels = RouteLabels {
            route: route.to_owned(),
        };
        self.request_seconds.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// All of them at `now`, a time of the clock that never jumps. `survey` is absent if the store could not be looked over: then the
    /// numbers over it stay as they were and `survey_failed` says so.
    pub(super) fn text(
        &self,
        kms: &Kms,
        now: Duration,
        survey: Option<&Arc<Survey>>,
    ) -> Result<String, std::fmt::Error> {
        self.looked.look(kms, now);
        self.looked.survey_failed.set(i64::from(survey.is_none()));
        if let Some(survey) = survey {
            self.looked.take(survey);
        }
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

/// A client may send any word as a method.
pub(super) fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        _ => "other",
    }
}

fn register_store(registry: &mut Registry, kms: &Kms) {
    let meter = kms.store.meter();
    registry.register_with_unit(
        "store_commit",
        "Time until a commit of the store was durable",
        Unit::Seconds,
        meter.seconds.clone(),
    );
    registry.register(
        "store_commit_failures",
        "Transactions of the store that could not be begun or committed",
        meter.failures.clone(),
    );
}

fn register_servers(registry: &mut Registry, kms: &Kms) {
    let meter = kms.selection.meter();
    registry.register(
        "external_answers",
        "Answers of external servers: found, no_such_key, unreachable, refused, or cached where none was asked",
        meter.answers.clone(),
    );
    registry.register_with_unit(
        "external_answer",
        "Time that external servers took to answer",
        Unit::Seconds,
        meter.seconds.clone(),
    );
}

impl Looked {
    fn register(&self, registry: &mut Registry) {
        registry.register("store_queue", "Requests that wait for the store", self.queue.clone());
        registry.register_with_unit(
            "store_last_commit_age",
            "Time since the store's last commit; absent numbers are -1",
            Unit::Seconds,
            self.commit_age.clone(),
        );
        registry.register(
            "audit_sequence",
            "Number of the last audit record of this node",
            self.audit_sequence.clone(),
        );
        registry.register(
            "external_answers_kept",
            "Answers of external servers in memory",
            self.cached_answers.clone(),
        );
        registry.register("keys", "Keys in the store by state", self.keys.clone());
        registry.register(
            "keys_in_no_snapshot",
            "Keys that are lost if the store's disk dies",
            self.uncovered.clone(),
        );
        registry.register("quiesces", "Outstanding quiesces", self.quiesces.clone());
        registry.register_with_unit(
            "certificate_not_after",
            "Last moment of the service's certificates, since 1970",
            Unit::Seconds,
            self.certificate_ends.clone(),
        );
        registry.register_with_unit(
            "external_certificate_not_after",
            "Last moment of the certificates between the service and external servers, since 1970",
            Unit::Seconds,
            self.server_certificate_ends.clone(),
        );
        registry.register(
            "external_unusable",
            "1 for each external server that cannot be used as it is configured",
            self.server_unusable.clone(),
        );
        registry.register(
            "survey_failed",
            "1 if the store could not be looked over: keys, quiesces and certificates are then of an earlier time",
            self.survey_failed.clone(),
        );
    }

    fn look(&self, kms: &Kms, now: Duration) {
        self.queue.set(number(kms.store.queued()));
        let age = kms.store.meter().since_last(now);
        self.commit_age.set(age.map_or(-1.0, |age| age.as_secs_f64()));
        self.audit_sequence.set(kms.audit_head().sequence);
        self.cached_answers.set(number(kms.selection.cached()));
        self.server_unusable.clear();
        for server in kms.selection.servers() {
            let labels = ServerLabels {
                server: server.name.to_string(),
            };
            let unusable = i64::from(server.failure.is_some());
            self.server_unusable.get_or_create(&labels).set(unusable);
        }
    }

    fn take(&self, survey: &Survey) {
        for count in &survey.keys_by_state {
            let labels = StateLabels {
                state: count.state.name(),
            };
            self.keys.get_or_create(&labels).set(number(count.keys));
        }
        self.uncovered.set(number(survey.uncovered));
        self.quiesces.set(number(survey.quiesces));
        for (certificate, not_after) in &survey.certificates {
            self.certificate_ends
                .get_or_create(&CertificateLabels { certificate })
                .set(not_after.unix_timestamp());
        }
        self.server_certificate_ends.clear();
        for end in &survey.server_certificates {
            let labels = ServerCertificateLabels {
                server: end.server.to_string(),
                certificate: end.role.name(),
            };
            let ends = self.server_certificate_ends.get_or_create(&labels);
            ends.set(end.not_after.unix_timestamp());
        }
    }
}

fn number(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}
