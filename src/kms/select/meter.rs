//! What external servers answered lately, counted and remembered: for metrics, readiness and status. No key, no group.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};

use super::Asked;
use crate::clock::Timestamp;
use crate::kms::connector::Answer;
use crate::kms_api::{LastAnswer, ServerResult};

/// Which server, and what it said. Servers come from the configuration, so there are few.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::kms) struct AnswerLabels {
    server: String,
    outcome: &'static str,
}

const OUTCOMES: [&str; 5] = ["cached", "found", "no_such_key", "unreachable", "refused"];

/// Which server.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(in crate::kms) struct ServerLabels {
    pub(in crate::kms) server: String,
}

/// Counts answers.
pub(in crate::kms) struct Meter {
    pub(in crate::kms) answers: Family<AnswerLabels, Counter>,
    pub(in crate::kms) seconds: Family<ServerLabels, Histogram>,
    last: Mutex<BTreeMap<String, LastAnswer>>,
}

impl Meter {
    /// Nothing counted yet.
    pub(super) fn new() -> Self {
        Self {
            answers: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.001, 2.0, 14))),
            last: Mutex::default(),
        }
    }

    /// Has the counters of a server there before it is asked: a rate can only be seen from a first zero on.
    pub(super) fn begin_with(&self, server: &str) {
        for outcome in OUTCOMES {
            let labels = AnswerLabels {
                server: server.to_owned(),
                outcome,
            };
            self.answers.get_or_create(&labels).inc_by(0);
        }
    }

    /// Forgets what a server said last, since it is another one now or gone. What was counted stays.
    pub(super) fn forget_last(&self, server: &str) {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).remove(server);
    }

    /// Counts one answer, which took `took` and came at `at`.
    pub(super) fn count(&self, asked: &Asked, took: Duration, at: Timestamp) {
        let server = asked.source.name.clone();
        let (outcome, result) = match &asked.answer {
            _ if asked.source.cached => ("cached", None),
            Answer::Found(keys) => ("found", Some(ServerResult::Keys(keys.len()))),
            Answer::NoSuchKey(why) => ("no_such_key", Some(ServerResult::None(why.clone()))),
            Answer::Unreachable(why) => ("unreachable", Some(ServerResult::Unreachable(why.clone()))),
            Answer::Refused(why) => ("refused", Some(ServerResult::Refused(why.clone()))),
        };
        let labels = AnswerLabels {
            server: server.clone(),
            outcome,
        };
        self.answers.get_or_create(&labels).inc();
        if let Some(result) = result {
            let labels = ServerLabels { server: server.clone() };
            self.seconds.get_or_create(&labels).observe(took.as_secs_f64());
            let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.insert(server, LastAnswer { at, result });
        }
    }

    /// What the server said last.
    pub(in crate::kms) fn last(&self, server: &str) -> Option<LastAnswer> {
        self.last
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(server)
            .cloned()
    }
}
