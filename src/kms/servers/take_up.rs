//! From the store's records to servers that can be asked: at the start, after each change, and when another node made one.
//!
//! A server that did not change stays the very same, with its connections. One that cannot be made is there all the same, see `unusable.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::settings::{identity, settings};
use super::unusable::Unusable;
use crate::kms::connector::{Connect, ExternalServer, KeyServerKind, ServerIdentity};
use crate::kms::model::ServiceError;
use crate::kms::select::Servers;
use crate::kms::service::Kms;
use crate::kms::store::key_servers::{self, KeyServer, Unreadable};
use crate::kms::store::{Session, StoreError, groups};
use crate::kms_api::{GroupName, PAGE_RECORDS_MAX, SERVER_LIMIT_MS_DEFAULT, ServerName};

/// What makes servers, and those that it made.
pub(in crate::kms) struct Connections {
    connect: Arc<dyn Connect>,
    made: tokio::sync::Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// The number of changes that these are from; absent before the first.
    changes: Option<i64>,
    servers: BTreeMap<ServerName, One>,
}

#[derive(Clone)]
struct One {
    change: i64,
    server: Arc<dyn ExternalServer>,
    failure: Option<String>,
}

impl Connections {
    /// Nothing made yet.
    pub(in crate::kms) fn through(connect: Arc<dyn Connect>) -> Self {
        Self {
            connect,
            made: tokio::sync::Mutex::default(),
        }
    }

    fn make(&self, server: &KeyServer) -> One {
        let identity = identity(server);
        let made = settings(server)
            .map_err(|refusal| refusal.to_string())
            .and_then(|settings| self.connect.connect(identity.clone(), settings));
        match made {
            Ok(made) => One {
                change: server.change,
                server: made,
                failure: None,
            },
            Err(why) => unusable(identity, why, server.change),
        }
    }

    /// Whether a server can be made of these settings, as far as that shows without asking it.
    pub(super) fn try_out(&self, server: &KeyServer) -> Result<(), String> {
        self.make(server).failure.map_or(Ok(()), Err)
    }
}

impl Kms {
    /// Takes up the servers as the store has them now.
    ///
    /// # Errors
    /// The store's: then everything is as before.
    pub(in crate::kms) async fn take_up_servers(&self) -> Result<(), ServiceError> {
        let mut made = self.connections.made.lock().await;
        let stored = self.store.run(|session| stored(session)).await?;
        let mut servers = BTreeMap::new();
        for server in stored.servers {
            let (name, one) = match server {
                Ok(server) => {
                    let kept = made.servers.get(&server.name).filter(|one| one.change == server.change);
                    let one = kept.cloned().unwrap_or_else(|| self.connections.make(&server));
                    (server.name, one)
                }
                Err(unreadable) => unreadable_as_one(unreadable),
            };
            servers.insert(name, one);
        }
        let failures = servers
            .iter()
            .filter_map(|(name, one)| Some((name.clone(), one.failure.clone()?)));
        let all = servers.values().map(|one| one.server.clone()).collect();
        let (bound_groups, stopped) = match stored.bound_groups {
            Ok(bound_groups) => (bound_groups, None),
            Err(error) => (BTreeMap::new(), Some(unknown(&error.into()))),
        };
        let next = Servers::new(all, bound_groups, failures.collect()).of_the_store(stored.changes, stopped);
        self.selection.replace(next);
        *made = Made {
            // What could not be read is looked at again.
            changes: Some(stored.changes).filter(|_| self.selection.stopped().is_none()),
            servers,
        };
        Ok(())
    }

    /// Takes up the servers if somebody changed them since: another node of this KMS, for one.
    ///
    /// # Errors
    /// The store's.
    pub(in crate::kms) async fn follow_servers(&self) -> Result<(), ServiceError> {
        let known = self.connections.made.lock().await.changes;
        let look = |session: &mut Session<'_>| Ok((key_servers::changes(session)?, key_servers::are_none(session)?));
        if known.is_none() && self.selection.stopped().is_none() {
            // Nothing protects the number itself: at the start, what is there counts.
            let (changes, none) = self.store.run(look).await?;
            if none {
                self.connections.made.lock().await.changes = Some(changes);
                self.selection.are_as_of(changes);
                return Ok(());
            }
        } else if known == Some(self.store.run(|session| Ok(key_servers::changes(session)?)).await?) {
            return Ok(());
        }
        self.take_up_servers().await
    }

    /// The same at the start. What cannot be read has backups wait and is no reason to give no keys for restores either.
    pub(in crate::kms) async fn begin_with_servers(&self) {
        if let Err(error) = self.follow_servers().await {
            self.selection.stop_backups(unknown(&error));
        }
    }
}

/// What the store has, as of one moment.
struct Stored {
    changes: i64,
    servers: Vec<Result<KeyServer, Unreadable>>,
    /// Or why one of them, and so which it is, cannot be read.
    bound_groups: Result<BTreeMap<GroupName, ServerName>, StoreError>,
}

fn stored(session: &Session<'_>) -> Result<Stored, ServiceError> {
    Ok(Stored {
        changes: key_servers::changes(session)?,
        servers: key_servers::all(session)?,
        bound_groups: bound_groups(session),
    })
}

fn bound_groups(session: &Session<'_>) -> Result<BTreeMap<GroupName, ServerName>, StoreError> {
    let (mut bound_groups, mut after) = (BTreeMap::new(), String::new());
    loop {
        let page = groups::bound_to_a_server(session, None, &after, PAGE_RECORDS_MAX)?;
        let Some(last) = page.last() else {
            return Ok(bound_groups);
        };
        after = last.name.to_string();
        bound_groups.extend(page.into_iter().filter_map(|group| Some((group.name, group.server?))));
    }
}

/// Why nobody knows where new keys come from, as refusals and the status say it.
fn unknown(error: &ServiceError) -> String {
    let text = error.to_string();
    let why = text.lines().next().unwrap_or_default().to_owned();
    tracing::error!(
        why,
        "ALARM: which external servers there are cannot be read, and backups wait"
    );
    why
}

fn unusable(identity: ServerIdentity, why: String, change: i64) -> One {
    tracing::error!(server = %identity.name, why, "ALARM: an external server cannot be used");
    One {
        change,
        server: Arc::new(Unusable {
            identity,
            why: why.clone(),
        }),
        failure: Some(why),
    }
}

/// Of a record that cannot be read nothing is believed. It may be the server that every backup is to ask: so it is asked, and cannot be.
fn unreadable_as_one(unreadable: Unreadable) -> (ServerName, One) {
    let name = ServerName::new(unreadable.name).unwrap_or_else(|_| ServerName::unreadable());
    let identity = ServerIdentity {
        name: name.clone(),
        kind: KeyServerKind::Kmip,
        address: "an address that cannot be read".to_owned(),
        // Its own rank is one of the things that nobody can believe: no other one is asked before it.
        priority: i32::MAX,
        enabled_for_backup: true,
        limit: Duration::from_millis(SERVER_LIMIT_MS_DEFAULT.into()),
    };
    (name, unusable(identity, unreadable.why, i64::MIN))
}
