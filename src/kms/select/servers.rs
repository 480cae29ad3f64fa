//! The servers of one moment, and how others take their place while requests are served.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::Selection;
use crate::kms::connector::ExternalServer;
use crate::kms_api::{GroupName, ServerName};

/// The servers of one moment.
#[derive(Default)]
pub(in crate::kms) struct Servers {
    /// In the order in which they are asked.
    pub(super) by_rank: Vec<Arc<dyn ExternalServer>>,
    /// Groups whose keys come from one server alone.
    pub(super) bound_groups: BTreeMap<GroupName, ServerName>,
    /// Why servers among them cannot be used.
    failures: BTreeMap<ServerName, String>,
}

impl Servers {
    /// These servers, ranked.
    pub(in crate::kms) fn new(
        mut servers: Vec<Arc<dyn ExternalServer>>,
        bound_groups: BTreeMap<GroupName, ServerName>,
        failures: BTreeMap<ServerName, String>,
    ) -> Self {
        servers.sort_by_cached_key(|server| {
            let identity = server.identity();
            (Reverse(identity.priority), identity.name.clone())
        });
        Self {
            by_rank: servers,
            bound_groups,
            failures,
        }
    }
}

impl Selection {
    /// The servers of this moment.
    pub(super) fn now(&self) -> Arc<Servers> {
        // Whoever panicked with it left it whole: every change is one assignment.
        self.servers.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts `servers` in the place of the present ones. What was kept of those that are no longer the very same is forgotten.
    pub(in crate::kms) fn replace(&self, servers: Servers) {
        let next = Arc::new(servers);
        let mut present = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        let former = std::mem::replace(&mut *present, next.clone());
        drop(present);
        let is_kept = |server: &Arc<dyn ExternalServer>| next.by_rank.iter().any(|other| Arc::ptr_eq(server, other));
        for server in former.by_rank.iter().filter(|server| !is_kept(server)) {
            self.cache.forget(&server.identity().name);
            self.meter.forget_last(server.identity().name.as_str());
        }
        for server in &next.by_rank {
            self.meter.begin_with(server.identity().name.as_str());
        }
    }

    /// The server of that name.
    pub(in crate::kms) fn named(&self, name: &ServerName) -> Option<Arc<dyn ExternalServer>> {
        let servers = self.now();
        let mut all = servers.by_rank.iter();
        all.find(|server| server.identity().name == *name).cloned()
    }

    /// Why the server of that name cannot be used, if it cannot.
    pub(in crate::kms) fn failure(&self, name: &ServerName) -> Option<String> {
        self.now().failures.get(name).cloned()
    }

    /// Forgets what a server answered, since it was made to change its answer.
    pub(in crate::kms) fn forget(&self, name: &ServerName) {
        self.cache.forget(name);
    }

    /// All of them, in the order in which they are asked.
    pub(in crate::kms) fn all(&self) -> Vec<Arc<dyn ExternalServer>> {
        self.now().by_rank.clone()
    }
}
