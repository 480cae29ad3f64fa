//! External servers as something that administrators configure in a running KMS. Each change is one audited transaction; requests that come
//! after it use the new servers, those at work go on with the old ones. A private key goes in and never comes out.

mod ask;
mod dates;
mod refusal;
mod settings;
mod take_up;
#[cfg(test)]
mod tests;
mod unusable;

pub(in crate::kms) use dates::ServerCertificateEnd;
pub use refusal::ServerRefusal;
pub(in crate::kms) use take_up::Connections;

use std::sync::Arc;

use self::settings::{added, changed, in_words, settings};
use super::audit::{Action, Actor, Event};
use super::model::{Refusal, ServiceError};
use super::select::SERVERS_MAX;
use super::service::{Kms, existing};
use super::store::held::Held;
use super::store::key_servers::{self, AtName, KeyServer, Unreadable};
use super::store::{Session, StoreError, groups, held};
use crate::clock::Timestamp;
use crate::kms_api::{
    AddServer, BindGroupToServer, ChangeServer, GroupAttribute, GroupName, GroupRecord, HELD_VOLUMES_SHOWN, HeldVolume,
    KeyServerKind, PAGE_RECORDS_MAX, RemoveServer, RemovedServer, ServerList, ServerName, ServerRecord,
};

/// Groups that a refused removal names.
const GROUPS_SHOWN: usize = 20;

impl Kms {
    /// The external servers, in the order in which they are asked.
    ///
    /// # Errors
    /// The store's.
    pub async fn servers(&self) -> Result<ServerList, ServiceError> {
        let stored = self
            .store
            .run(|session| {
                let servers = key_servers::all(session)?.into_iter();
                let with_groups = servers.map(|server| {
                    let groups = match &server {
                        Ok(server) => bound_groups(session, &server.name, PAGE_RECORDS_MAX)?,
                        Err(_) => Vec::new(),
                    };
                    Ok((server, groups))
                });
                with_groups.collect::<Result<Vec<_>, ServiceError>>()
            })
            .await?;
        let mut servers: Vec<_> = stored
            .into_iter()
            .map(|(server, groups)| match server {
                Ok(server) => self.shown(&server, groups),
                Err(unreadable) => shown_unreadable(unreadable),
            })
            .collect();
        servers.sort_by_cached_key(|server| (std::cmp::Reverse(server.priority), server.name.clone()));
        Ok(ServerList { servers })
    }

    /// One external server.
    ///
    /// # Errors
    /// [`ServerRefusal::NoSuchServer`].
    pub async fn server(&self, name: ServerName) -> Result<ServerRecord, ServiceError> {
        let (server, groups) = self
            .store
            .run(move |session| {
                let groups = bound_groups(session, &name, PAGE_RECORDS_MAX)?;
                Ok((existing_server(session, &name)?, groups))
            })
            .await?;
        Ok(self.shown(&server, groups))
    }

    /// Adds a server, or writes it over one of its name whose record cannot be read; from the next request on it is asked.
    ///
    /// # Errors
    /// [`ServerRefusal`]: name taken, too many, settings that cannot be used.
    pub async fn add_server(&self, actor: &Actor, wanted: AddServer) -> Result<ServerRecord, ServiceError> {
        let mut event = Event::new(actor, Action::AddServer);
        let server = added(wanted, self.clock.now());
        event.detail = Some(in_words(&server));
        let usable = self.check_usable(&server);
        let work = move |session: &Session<'_>, event: &mut Event| {
            let there = key_servers::at_name(session, &server.name)?;
            if server.name.is_reserved() || there == AtName::Readable {
                return Err(ServerRefusal::NameTaken { name: server.name }.into());
            }
            if there == AtName::Unreadable {
                // What groups are bound to must not go away meanwhile, as it would if it were removed first.
                event.detail = Some(format!(
                    "{}; in the place of a record that could not be read",
                    in_words(&server)
                ));
            } else if key_servers::count(session)? >= u64::try_from(SERVERS_MAX).unwrap_or(u64::MAX) {
                return Err(ServerRefusal::TooMany.into());
            }
            usable?;
            Ok(key_servers::put(session, &server)?)
        };
        let stored = self.store.run(move |session| session.audited(event, work)).await?;
        self.take_up_now().await;
        Ok(self.shown(&stored, Vec::new()))
    }

    /// Gives a server other settings, also another certificate and key; from the next request on they count.
    ///
    /// # Errors
    /// [`ServerRefusal`]: no such server, settings that cannot be used, volumes were written under its keys and an endpoint would be asked no
    /// more.
    pub async fn change_server(
        self: &Arc<Self>,
        actor: &Actor,
        name: ServerName,
        wanted: ChangeServer,
    ) -> Result<ServerRecord, ServiceError> {
        let mut event = Event::new(actor, Action::ChangeServer);
        event.detail = Some(name.to_string());
        let connections = self.connections.clone();
        let held = match wanted.endpoints {
            Some(_) => self.held_volumes(name.clone()).await?,
            None => Held::default(),
        };
        let work = move |session: &Session<'_>, event: &mut Event| {
            let (former, despite_volumes) = (existing_server(session, &name)?, wanted.despite_volumes);
            let (server, what) = changed(former.clone(), wanted);
            event.detail = Some(format!("{name}: {}", what.join(", ")));
            usable(&connections, &server)?;
            // Whether another address is another store, nobody can see from here.
            if former
                .endpoints
                .iter()
                .any(|endpoint| !server.endpoints.contains(endpoint))
            {
                let volumes = held.until_now(session, &name, HELD_VOLUMES_SHOWN)?;
                if !volumes.is_empty() && !despite_volumes {
                    return Err(ServerRefusal::MovesAway { name, volumes }.into());
                }
                note_held(event, &volumes);
            }
            let groups = bound_groups(session, &name, PAGE_RECORDS_MAX)?;
            Ok((key_servers::put(session, &server)?, groups))
        };
        let (stored, groups) = self.store.run(move |session| session.audited(event, work)).await?;
        self.take_up_now().await;
        Ok(self.shown(&stored, groups))
    }

    /// Takes a server out of the configuration, with the credentials for it.
    ///
    /// # Errors
    /// [`ServerRefusal`]: no such server, groups are bound to it, volumes were written under its keys.
    pub async fn remove_server(
        self: &Arc<Self>,
        actor: &Actor,
        name: ServerName,
        wanted: RemoveServer,
    ) -> Result<RemovedServer, ServiceError> {
        let held = self.held_volumes(name.clone()).await?;
        let mut event = Event::new(actor, Action::RemoveServer);
        event.detail = Some(name.to_string());
        let work = move |session: &Session<'_>, event: &mut Event| {
            let groups = bound_groups(session, &name, GROUPS_SHOWN)?;
            if !groups.is_empty() {
                return Err(ServerRefusal::GroupsBound { name, groups }.into());
            }
            let volumes = held.until_now(session, &name, HELD_VOLUMES_SHOWN)?;
            if !volumes.is_empty() && !wanted.despite_volumes {
                return Err(ServerRefusal::HoldsKeys { name, volumes }.into());
            }
            if !key_servers::delete(session, &name)? {
                return Err(ServerRefusal::NoSuchServer { name }.into());
            }
            key_servers::note_change(session)?;
            note_held(event, &volumes);
            Ok(RemovedServer { name, volumes })
        };
        let removed = self.store.run(move |session| session.audited(event, work)).await?;
        self.take_up_now().await;
        Ok(removed)
    }

    /// Has a group's new keys come from one server alone, or again from any. What was written is restored from all servers as before.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or server.
    pub async fn bind_group_to_server(
        &self,
        actor: &Actor,
        group: GroupName,
        to: BindGroupToServer,
    ) -> Result<GroupRecord, ServiceError> {
        let mut event = Event::new(actor, Action::BindGroupToServer);
        event.group = Some(group.to_string());
        event.detail = Some(
            to.server
                .as_ref()
                .map_or_else(|| "to any".to_owned(), |server| format!("to {server}")),
        );
        let work = move |session: &Session<'_>, _: &mut Event| {
            let found = existing(session, &group)?;
            if let Some(server) = to.server.as_ref().filter(|server| !server.is_built_in()) {
                existing_server(session, server)?;
            }
            let bound = GroupRecord {
                server: to.server,
                ..found.record.clone()
            };
            Ok(found.changed(session, bound)?.record)
        };
        let bound = self.store.run(move |session| session.audited(event, work)).await?;
        self.take_up_now().await;
        Ok(bound)
    }

    /// What was just changed counts from the next request on. If the store cannot be read again, it counts within seconds: see `follow_servers`.
    pub(in crate::kms) async fn take_up_now(&self) {
        if let Err(error) = self.follow_servers().await {
            tracing::error!(%error, "a change of external servers was stored and could not be taken up yet");
        }
    }

    fn check_usable(&self, server: &KeyServer) -> Result<(), ServerRefusal> {
        usable(&self.connections, server)
    }

    async fn held_volumes(self: &Arc<Self>, name: ServerName) -> Result<Held, ServiceError> {
        let kms = self.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let looking = kms.store.look()?;
            held::volumes_of(&*looking, &name, HELD_VOLUMES_SHOWN)
        });
        Ok(looked.await.map_err(|_| StoreError::Stopped)??)
    }

    fn shown(&self, server: &KeyServer, groups: Vec<GroupName>) -> ServerRecord {
        ServerRecord {
            name: server.name.clone(),
            kind: server.kind,
            endpoints: server.endpoints.clone(),
            priority: server.priority,
            enabled_for_backup: server.enabled_for_backup,
            group_attribute: server.group_attribute,
            limit_ms: server.limit_ms,
            allow_compromised_restore: server.allow_compromised_restore,
            certificates: self.server_certificates(server),
            groups,
            created: server.created,
            modified: server.modified,
            failure: self.selection.failure(&server.name),
            last: self.selection.meter().last(server.name.as_str()),
        }
    }
}

/// That somebody accepted what becomes of these volumes.
fn note_held(event: &mut Event, volumes: &[HeldVolume]) {
    if !volumes.is_empty() {
        let shown: Vec<_> = volumes.iter().map(ToString::to_string).collect();
        let detail = event.detail.take().unwrap_or_default();
        event.detail = Some(format!("{detail}, which holds the keys of {}", shown.join(", ")));
    }
}

fn existing_server(session: &Session<'_>, name: &ServerName) -> Result<KeyServer, ServiceError> {
    let server = key_servers::by_name(session, name)?;
    Ok(server.ok_or_else(|| ServerRefusal::NoSuchServer { name: name.clone() })?)
}

fn usable(connections: &Connections, server: &KeyServer) -> Result<(), ServerRefusal> {
    settings(server)?;
    connections.try_out(server).map_err(|problem| ServerRefusal::Settings {
        name: server.name.clone(),
        problem,
    })
}

fn bound_groups(session: &Session<'_>, name: &ServerName, limit: usize) -> Result<Vec<GroupName>, ServiceError> {
    let bound = groups::bound_to_a_server(session, Some(name), "", limit)?;
    Ok(bound.into_iter().map(|group| group.name).collect())
}

/// Nothing in the record can be believed; that it is there has to be seen all the same.
fn shown_unreadable(unreadable: Unreadable) -> ServerRecord {
    ServerRecord {
        name: ServerName::new(unreadable.name).unwrap_or_else(|_| ServerName::unreadable()),
        kind: KeyServerKind::Kmip,
        endpoints: Vec::new(),
        priority: 0,
        enabled_for_backup: true,
        group_attribute: GroupAttribute::Auto,
        limit_ms: 0,
        allow_compromised_restore: false,
        certificates: Vec::new(),
        groups: Vec::new(),
        created: Timestamp::UNIX_EPOCH,
        modified: Timestamp::UNIX_EPOCH,
        failure: Some(unreadable.why),
        last: None,
    }
}

impl From<ServerRefusal> for ServiceError {
    fn from(refusal: ServerRefusal) -> Self {
        Self::Refused(Refusal::Server(refusal))
    }
}
