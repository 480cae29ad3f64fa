//! Which server gives a key: the external servers by priority, the built-in store last; for a restore all of them at once.
//!
//! "No such key" goes on to the next server; "unreachable" never does by itself, since a silent change of the source of keys is worse than
//! a backup that waits. Time limits, the cache and the order are decided here, for every kind of server alike.

mod ask;
mod backup;
mod cache;
mod meter;
mod restore;
mod servers;

pub(in crate::kms) use ask::{Asked, in_millis, in_words, line};
pub(in crate::kms) use backup::note_restore;
pub(in crate::kms) use meter::{Meter, ServerLabels};
pub(in crate::kms) use restore::{Released, Vetted};
pub(in crate::kms) use servers::Servers;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use thiserror::Error;

use self::cache::Cache;
use super::audit::{Action, Actor, Event};
use super::connector::ExternalServer;
use super::model::ServiceError;
use super::service::Kms;
use crate::clock::Clock;
use crate::kms_api::{BUILT_IN, ClearedCache, ExternalServerStatus, GroupName, ServerName};

/// Most external servers: bounds what one restore sets off.
pub const SERVERS_MAX: usize = 32;

/// How the servers are to be used, besides what each of them says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SelectionRules {
    /// For backup, whether a server that cannot be reached is passed over, as one without such a key is.
    pub fall_back_when_unreachable: bool,
    /// Groups whose keys come from one server alone; `built-in` is the KMS's own store.
    pub bound_groups: BTreeMap<GroupName, ServerName>,
}

/// The servers behind the KMS cannot be told apart, or a group is bound to none of them.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectionError {
    /// Two servers of one name, or one that is called as the KMS's own store is.
    #[error(
        "the name {name} of an external server is taken\nhint: give it another name; built-in is the KMS's own store"
    )]
    NameTaken {
        /// The name.
        name: ServerName,
    },
    /// A group is bound to nothing.
    #[error(
        "group {group} is bound to server {server}, which is not configured\nhint: configure it, or bind the group to another one"
    )]
    BoundToUnknown {
        /// The group.
        group: GroupName,
        /// The name.
        server: ServerName,
    },
    /// Too many servers.
    #[error(
        "{found} external servers are configured, {SERVERS_MAX} may be\nhint: endpoints of one store are one server"
    )]
    TooMany {
        /// How many.
        found: usize,
    },
}

/// The servers behind the KMS.
pub struct Selection {
    /// Others take their place while requests are served; each request goes on with those that it began with.
    servers: RwLock<Arc<Servers>>,
    fall_back_when_unreachable: bool,
    cache: Cache,
    meter: Meter,
    clock: Arc<dyn Clock>,
}

impl Selection {
    /// The external servers, to be used by `rules`. The clock measures how long they take and how old their answers are.
    ///
    /// # Errors
    /// [`SelectionError`]: names, bound groups, number.
    pub fn new(
        servers: Vec<Arc<dyn ExternalServer>>,
        rules: SelectionRules,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SelectionError> {
        if servers.len() > SERVERS_MAX {
            return Err(SelectionError::TooMany { found: servers.len() });
        }
        let mut names = BTreeSet::from([BUILT_IN.to_owned()]);
        for server in &servers {
            let name = &server.identity().name;
            if !names.insert(name.to_string()) {
                return Err(SelectionError::NameTaken { name: name.clone() });
            }
        }
        if let Some((group, server)) = rules
            .bound_groups
            .iter()
            .find(|(_, server)| !names.contains(server.as_str()))
        {
            return Err(SelectionError::BoundToUnknown {
                group: group.clone(),
                server: server.clone(),
            });
        }
        let selection = Self::built_in_only(rules.fall_back_when_unreachable, clock);
        selection.replace(Servers::new(servers, rules.bound_groups, BTreeMap::new()));
        Ok(selection)
    }

    /// The built-in store alone.
    #[must_use]
    pub fn built_in_only(fall_back_when_unreachable: bool, clock: Arc<dyn Clock>) -> Self {
        Self {
            servers: RwLock::default(),
            fall_back_when_unreachable,
            cache: Cache::default(),
            meter: Meter::new(),
            clock,
        }
    }

    /// What was counted.
    pub(in crate::kms) fn meter(&self) -> &Meter {
        &self.meter
    }

    /// How many answers are kept.
    pub(in crate::kms) fn cached(&self) -> usize {
        self.cache.count()
    }

    /// The external servers in the order in which they are asked, and what each of them said last.
    pub(in crate::kms) fn servers(&self) -> Vec<ExternalServerStatus> {
        let status = |server: &Arc<dyn ExternalServer>| {
            let identity = server.identity();
            ExternalServerStatus {
                name: identity.name.clone(),
                kind: identity.kind,
                address: identity.address.clone(),
                priority: identity.priority,
                enabled_for_backup: identity.enabled_for_backup,
                failure: self.failure(&identity.name),
                last: self.meter.last(identity.name.as_str()),
            }
        };
        self.now().by_rank.iter().map(status).collect()
    }

    /// Wipes answers that are too old from memory, and ends idle connections, in whose buffers keys may be. Due every minute or so.
    pub(in crate::kms) fn forget_expired(&self) {
        self.cache.forget_expired(self.clock.monotonic());
        self.now().by_rank.iter().for_each(|server| server.end_idle());
    }
}

impl Kms {
    /// Forgets what external servers answered; the next requests ask them again.
    ///
    /// # Errors
    /// The store's: then the cache may be empty or not.
    pub async fn clear_cache(&self, actor: &Actor) -> Result<ClearedCache, ServiceError> {
        let mut event = Event::new(actor, Action::ClearCache);
        let answers = u64::try_from(self.selection.cache.clear()).unwrap_or(u64::MAX);
        event.outcome = format!("done: {answers} answers forgotten");
        self.store
            .run(move |session| session.audited(event, |_, _| Ok(())))
            .await?;
        Ok(ClearedCache { answers })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;
    use crate::clock::MockClock;
    use crate::kms::connector::{
        Answer, Asking, Checking, CreatedKey, ExternalKey, KeyName, KeyServerKind, Peer, ServerIdentity, Wanted,
    };

    /// A server that has nothing, and how often its idle connections were to be ended.
    struct Empty(ServerIdentity, AtomicUsize);

    impl ExternalServer for Empty {
        fn identity(&self) -> &ServerIdentity {
            &self.0
        }

        fn key_for_backup(&self, _: &GroupName) -> Asking<ExternalKey> {
            Box::pin(async { Answer::NoSuchKey(None) })
        }

        fn keys_for_restore(&self, _: &Wanted) -> Asking<Vec<ExternalKey>> {
            Box::pin(async { Answer::NoSuchKey(None) })
        }

        fn check(&self, _: Option<&GroupName>) -> Checking {
            Box::pin(async { Vec::new() })
        }

        fn create_key(&self, _: &GroupName, _: Option<&KeyName>) -> Asking<CreatedKey> {
            Box::pin(async { Answer::NoSuchKey(None) })
        }

        fn end_idle(&self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }

        fn peer(&self) -> Peer {
            Peer::default()
        }
    }

    fn empty(name: &str, priority: i32) -> Arc<Empty> {
        let identity = ServerIdentity {
            name: ServerName::new(name).unwrap(),
            kind: KeyServerKind::Kmip,
            address: format!("{name}:5696"),
            priority,
            enabled_for_backup: true,
            limit: Duration::from_secs(1),
        };
        Arc::new(Empty(identity, AtomicUsize::default()))
    }

    pub(super) fn server(name: &str, priority: i32) -> Arc<dyn ExternalServer> {
        empty(name, priority)
    }

    fn select(servers: Vec<Arc<dyn ExternalServer>>, bound_to: Option<&str>) -> Result<Selection, SelectionError> {
        let bound = bound_to.map(|name| (GroupName::new("ENCR_a").unwrap(), ServerName::new(name).unwrap()));
        let rules = SelectionRules {
            bound_groups: bound.into_iter().collect(),
            ..SelectionRules::default()
        };
        let mut clock = MockClock::new();
        clock.expect_monotonic().return_const(Duration::ZERO);
        Selection::new(servers, rules, Arc::new(clock))
    }

    #[test]
    fn the_look_of_each_minute_ends_the_idle_connections_of_every_server() {
        let servers = [empty("a", 0), empty("b", 1)];
        let all = servers.iter().map(|server| server.clone() as Arc<dyn ExternalServer>);
        select(all.collect(), None).ok().unwrap().forget_expired();
        for server in servers {
            assert_eq!(server.1.load(Ordering::Relaxed), 1);
        }
    }

    #[test]
    fn the_highest_priority_is_first_and_ties_go_by_name() {
        let servers = vec![server("b", 0), server("c", 7), server("a", 0), server("d", -3)];
        let selection = select(servers, None).ok().unwrap();
        let order: Vec<_> = selection
            .servers()
            .iter()
            .map(|server| server.name.to_string())
            .collect();
        assert_eq!(order, ["c", "a", "b", "d"]);
    }

    #[test]
    fn servers_that_cannot_be_told_apart_and_groups_bound_to_nothing_are_refused() {
        let twice = select(vec![server("a", 0), server("a", 1)], None).err().unwrap();
        assert!(
            twice
                .to_string()
                .contains("the name a of an external server is taken\nhint: ")
        );
        let own = select(vec![server("built-in", 0)], None).err().unwrap();
        assert!(matches!(own, SelectionError::NameTaken { .. }));
        let unknown = select(vec![server("a", 0)], Some("b")).err().unwrap();
        assert!(
            unknown.to_string().contains("group ENCR_a is bound to server b"),
            "{unknown}"
        );
        assert!(select(vec![server("a", 0)], Some("built-in")).is_ok());
        let many = (0..33).map(|number| server(&format!("s{number}"), 0)).collect();
        assert!(matches!(
            select(many, None).err().unwrap(),
            SelectionError::TooMany { found: 33 }
        ));
    }
}
