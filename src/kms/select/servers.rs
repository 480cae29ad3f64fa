//! The servers of one moment, and how others take their place while requests are served.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::Selection;
use crate::kms::connector::ExternalServer;
use crate::kms_api::{GroupName, ServerName};

/// The servers of one moment.
#[derive(Clone, Default)]
pub(in crate::kms) struct Servers {
    /// In the order in which they are asked.
    pub(super) by_rank: Vec<Arc<dyn ExternalServer>>,
    /// Groups whose keys come from one server alone.
    pub(super) bound_groups: BTreeMap<GroupName, ServerName>,
    /// Why servers among them cannot be used.
    failures: BTreeMap<ServerName, String>,
    /// The number of changes in the store that they are of; absent if they did not come out of it.
    pub(super) as_of: Option<i64>,
    /// Why nobody knows where new keys come from. Restores ask those that are known.
    pub(super) stopped: Option<String>,
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
            as_of: None,
            stopped: None,
        }
    }

    /// The same as the store had them when its changes were `as_of`; `stopped`: why backups cannot go by them.
    pub(in crate::kms) fn of_the_store(self, as_of: i64, stopped: Option<String>) -> Self {
        Self {
            as_of: Some(as_of),
            stopped,
            ..self
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

    /// The present servers are those of the store when its changes were `as_of`.
    pub(in crate::kms) fn are_as_of(&self, as_of: i64) {
        self.alter(|servers| servers.as_of = Some(as_of));
    }

    /// Has backups wait, since nobody knows where new keys come from.
    pub(in crate::kms) fn stop_backups(&self, why: String) {
        self.alter(|servers| servers.stopped = Some(why));
    }

    /// Why backups wait, if they do.
    pub(in crate::kms) fn stopped(&self) -> Option<String> {
        self.now().stopped.clone()
    }

    fn alter(&self, change: impl FnOnce(&mut Servers)) {
        let mut present = self.servers.write().unwrap_or_else(PoisonError::into_inner);
        let mut altered = Servers::clone(&present);
        change(&mut altered);
        *present = Arc::new(altered);
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
