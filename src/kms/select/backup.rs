//! A key for writing a volume: who is asked for it, in which order, and its release.

use std::sync::Arc;
use std::time::Duration;

use super::Selection;
use super::ask::{Asked, in_millis};
use super::cache::{Keys, Question};
use super::restore::named;
use super::servers::Servers;
use crate::kad::KeyKind;
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::connector::{Answer, ExternalKey, ExternalServer};
use crate::kms::metrics::count_release;
use crate::kms::model::{Refusal, ServiceError};
use crate::kms::releases::from_where;
use crate::kms::service::{Kms, check_purpose, existing, for_new_volume};
use crate::kms::store::{Session, StoreError, certificates, groups, key_servers, keys};
use crate::kms_api::{
    BackupKeyAnswer, BackupKeyRequest, GroupName, KeyRecord, KeyServerKind, KeySource, KeyState, Purpose, ServerName,
    ServerOutcome, ServerResult,
};

/// How long all external servers together may take: less than a host waits for the KMS.
const WALK_LIMIT: Duration = Duration::from_secs(8);

/// Who is to give the key.
enum Choice {
    /// An external server, which has given it.
    Outside { source: KeySource, keys: Keys },
    /// The built-in store.
    BuiltIn,
    /// Nobody.
    Stop(Refusal),
}

/// Who gives the key, by the servers of which moment, and what those said that were passed over.
struct Chosen {
    choice: Choice,
    passed: Vec<ServerOutcome>,
    /// The number of changes that the servers were of, if they came out of the store.
    as_of: Option<i64>,
}

/// What follows from one server's answer.
enum Next {
    Take(Choice),
    GoOn(ServerResult),
}

impl Kms {
    /// A key for writing a volume: the group's active key, derived for the volume unless the group is as-is.
    ///
    /// # Errors
    /// [`Refusal`]: a name that does not fit the purpose, no such group, no active key, an external server that cannot be reached or
    /// refuses, servers that change all the time.
    pub async fn backup_key(&self, actor: &Actor, request: BackupKeyRequest) -> Result<BackupKeyAnswer, ServiceError> {
        match self.backup_key_once(actor, &request).await {
            Err(ServiceError::Refused(Refusal::ServersChanged { .. })) => {
                self.take_up_now().await;
                self.backup_key_once(actor, &request).await
            }
            answer => answer,
        }
    }

    async fn backup_key_once(
        &self,
        actor: &Actor,
        request: &BackupKeyRequest,
    ) -> Result<BackupKeyAnswer, ServiceError> {
        let began = self.clock.monotonic();
        let mut event = Event::new(actor, Action::BackupKey);
        event.group = Some(request.group.to_string());
        event.volume = Some(request.volume.to_string());
        event.detail = (request.purpose == Purpose::Disk).then(|| "for disk".to_owned());
        let chosen = match check_purpose(request.purpose, &request.group) {
            Ok(()) => self.selection.for_backup(&request.group).await,
            Err(refusal) => Chosen::stop(refusal),
        };
        let (group, purpose) = (request.group.clone(), request.purpose.name());
        let work = move |session: &Session<'_>, event: &mut Event| {
            // It may have lost the group while the servers were asked.
            certificates::admit_to_group(session, &event.actor, &group)??;
            let Chosen { choice, passed, as_of } = chosen;
            // Another node may have removed the server meanwhile, and counted who has volumes of it.
            if as_of.is_some() && as_of != Some(key_servers::changes(session)?) {
                return Err(Refusal::ServersChanged { group }.into());
            }
            match choice {
                Choice::Outside { source, keys } => from_outside(session, event, (source, &keys, passed), group),
                Choice::BuiltIn => from_built_in(session, event, group, passed),
                Choice::Stop(refusal) => Err(refusal.into()),
            }
        };
        let mut answer = self.store.run(move |session| session.audited(event, work)).await?;
        count_release(&self.releases, purpose, answer.server.kind);
        if answer.server.kind == KeyServerKind::BuiltIn {
            answer.server.took_ms = in_millis(self.clock.monotonic().saturating_sub(began));
        }
        let giver = answer.server.clone();
        answer.outcomes.push(outcome(giver, ServerResult::Keys(1)));
        Ok(answer)
    }
}

impl Selection {
    /// Who is to give the key, and what those said that were passed over.
    async fn for_backup(&self, group: &GroupName) -> Chosen {
        let servers = self.now();
        let (choice, passed) = match &servers.stopped {
            Some(why) => (Choice::Stop(servers_unknown(group, why)), Vec::new()),
            None => self.walk(&servers, group).await,
        };
        let as_of = servers.as_of;
        Chosen { choice, passed, as_of }
    }

    async fn walk(&self, servers: &Servers, group: &GroupName) -> (Choice, Vec<ServerOutcome>) {
        let bound = servers.bound_groups.get(group);
        let mut passed = Vec::new();
        if bound.is_some_and(ServerName::is_built_in) {
            return (Choice::BuiltIn, passed);
        }
        let begun = self.clock.monotonic();
        let enabled = servers
            .by_rank
            .iter()
            .filter(|server| server.identity().enabled_for_backup);
        for server in enabled.filter(|server| bound.is_none_or(|name| server.identity().name == *name)) {
            let left = WALK_LIMIT.saturating_sub(self.clock.monotonic().saturating_sub(begun));
            let mut asked = self.ask(server, Question::Backup(group.clone()), left).await;
            asked.source.fallback = is_fallback(&passed);
            let source = asked.source.clone();
            match self.next(server, asked, group, bound.is_some()) {
                Next::Take(choice) => return (choice, passed),
                Next::GoOn(result) => passed.push(outcome(source, result)),
            }
        }
        let choice = match bound {
            Some(server) => Choice::Stop(Refusal::BoundServer {
                group: group.clone(),
                server: server.clone(),
                said: passed
                    .last()
                    .map_or_else(|| not_asked(servers, server).to_owned(), said),
            }),
            None => Choice::BuiltIn,
        };
        (choice, passed)
    }

    fn next(&self, server: &Arc<dyn ExternalServer>, asked: Asked, group: &GroupName, is_bound: bool) -> Next {
        let (group, server) = (group.clone(), server.identity().to_string());
        match asked.answer {
            Answer::Found(keys) => Next::Take(match keys.first().map(|key| check(key, &group)) {
                Some(Ok(())) => Choice::Outside {
                    source: asked.source,
                    keys,
                },
                Some(Err(why)) => Choice::Stop(Refusal::ServerRefused { group, server, why }),
                None => Choice::Stop(Refusal::ServerRefused {
                    group,
                    server,
                    why: "its answer is empty".to_owned(),
                }),
            }),
            Answer::NoSuchKey(why) => Next::GoOn(ServerResult::None(why)),
            Answer::Unreachable(why) if self.fall_back_when_unreachable && !is_bound => {
                tracing::warn!(%group, server, why, "ALARM: a server cannot be reached and is passed over, as the configuration allows");
                Next::GoOn(ServerResult::Unreachable(why))
            }
            Answer::Unreachable(why) => Next::Take(Choice::Stop(Refusal::ServerUnreachable { group, server, why })),
            Answer::Refused(why) => Next::Take(Choice::Stop(Refusal::ServerRefused { group, server, why })),
        }
    }
}

impl Chosen {
    fn stop(refusal: Refusal) -> Self {
        Self {
            choice: Choice::Stop(refusal),
            passed: Vec::new(),
            as_of: None,
        }
    }
}

/// Why a group's server was not asked. A KMS that was made from a kit knows whose keys a group gets, and not the server.
fn not_asked(servers: &Servers, name: &ServerName) -> &'static str {
    let mut all = servers.by_rank.iter();
    match all.any(|server| server.identity().name == *name) {
        true => "it is not enabled for backup",
        false => "there is no external server of that name",
    }
}

fn servers_unknown(group: &GroupName, why: &str) -> Refusal {
    let (group, why) = (group.clone(), why.to_owned());
    Refusal::ServersUnknown { group, why }
}

fn outcome(server: KeySource, result: ServerResult) -> ServerOutcome {
    ServerOutcome { server, result }
}

fn is_fallback(passed: &[ServerOutcome]) -> bool {
    passed
        .iter()
        .any(|one| matches!(one.result, ServerResult::Unreachable(_)))
}

/// What a server said that was passed over.
fn said(passed: &ServerOutcome) -> String {
    let KeySource {
        name, kind, address, ..
    } = &passed.server;
    let result = match &passed.result {
        ServerResult::None(None) => "no such key".to_owned(),
        ServerResult::None(Some(why)) => format!("no such key: {why}"),
        ServerResult::Unreachable(why) => format!("unreachable: {why}"),
        other => other.to_string(),
    };
    format!(
        "{name} ({kind} at {}): {result}",
        address.as_deref().unwrap_or("no address")
    )
}

/// A server's word is not enough for which key it gave.
fn check(key: &ExternalKey, group: &GroupName) -> Result<(), String> {
    let (name, found, state) = (key.shown_name(), &key.group, key.state);
    if found != group || state != KeyState::Active {
        return Err(format!("it gave key {name} of group {found}, which is {state}"));
    }
    Ok(())
}

fn from_outside(
    session: &Session<'_>,
    event: &mut Event,
    (source, keys, passed): (KeySource, &Keys, Vec<ServerOutcome>),
    group: GroupName,
) -> Result<BackupKeyAnswer, ServiceError> {
    let key = keys
        .first()
        .ok_or_else(|| Refusal::NoActiveKey { group: group.clone() })?;
    let id = key.id();
    event.key_id = Some(id);
    let source = named(&source, key);
    add_detail(event, &from_where(&source));
    let kind = note_release(session, event, &group)?;
    let (drive_key, kad) = for_new_volume(session, kind, id, &key.key)?;
    Ok(BackupKeyAnswer {
        key: drive_key,
        kad,
        key_name: key.shown_name(),
        group,
        server: source,
        outcomes: passed,
    })
}

fn from_built_in(
    session: &Session<'_>,
    event: &mut Event,
    group: GroupName,
    passed: Vec<ServerOutcome>,
) -> Result<BackupKeyAnswer, ServiceError> {
    let asked: Vec<String> = passed.iter().map(said).collect();
    let asked = asked.join("; ");
    if !asked.is_empty() {
        add_detail(event, &asked);
    }
    let anywhere = |own: Refusal| match asked.is_empty() {
        true => own,
        false => Refusal::NoKeyAnywhere {
            own: Box::new(own),
            asked: asked.clone(),
        },
    };
    let found = existing(session, &group).map_err(|error| match error {
        ServiceError::Refused(own) => anywhere(own).into(),
        other => other,
    })?;
    let stored = keys::active(session, &found)?;
    let stored = stored.ok_or_else(|| anywhere(Refusal::NoActiveKey { group }))?;
    event.key_id = Some(stored.record.id);
    let (key, kad) = for_new_volume(session, stored.kind, stored.record.id, &stored.open(session)?)?;
    let KeyRecord { name, group, .. } = stored.record;
    Ok(BackupKeyAnswer {
        key,
        kad,
        key_name: name,
        group,
        server: KeySource {
            fallback: is_fallback(&passed),
            ..KeySource::built_in()
        },
        outcomes: passed,
    })
}

/// Notes in the transaction of a release that a key of an external server leaves under that group's name. A group that nobody made is made,
/// derived: nobody can then say of it that the server's key itself may leave.
fn note_release(session: &Session<'_>, event: &mut Event, group: &GroupName) -> Result<KeyKind, ServiceError> {
    let (kind, made) = groups::note_release_from_outside(session, group)?;
    if made {
        add_detail(event, "group made, derived");
    }
    Ok(kind)
}

/// The same for what was written before. A record that cannot be read is there all the same: nobody can make the group anew, rename or
/// delete it, so that it keeps no volume from being read.
pub(in crate::kms) fn note_restore(
    session: &Session<'_>,
    event: &mut Event,
    group: &GroupName,
) -> Result<(), ServiceError> {
    match note_release(session, event, group) {
        Err(ServiceError::Store(StoreError::DoesNotOpen { what })) => {
            add_detail(event, &format!("the record of {what} does not open"));
            Ok(())
        }
        noted => noted.map(drop),
    }
}

fn add_detail(event: &mut Event, more: &str) {
    event.detail = Some(match event.detail.take() {
        Some(detail) => format!("{detail}, {more}"),
        None => more.to_owned(),
    });
}
