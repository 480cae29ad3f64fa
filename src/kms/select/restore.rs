//! What external servers have for a KAD: all of them asked at once, every key checked here before it may leave, the rest forgotten.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::Selection;
use super::ask::Asked;
use super::cache::{Keys, Question};
use crate::kad::{BlockKads, KeyId, KeyKind, OurKad, derive_volume_key};
use crate::kms::audit::{Actor, Event};
use crate::kms::candidates::match_of;
use crate::kms::connector::{Answer, ExternalKey, Wanted};
use crate::kms::model::ServiceError;
use crate::kms::releases::{from_where, shown_identifier};
use crate::kms::store::{Session, certificates, groups};
use crate::kms_api::{CandidateKeyAnswer, GroupName, KeySource, RestoredKeyAnswer, ServerOutcome, ServerResult};
use crate::secret::DataKey;

/// Most keys of one answer that are looked at.
const LOOKED_AT_MAX: usize = 64;

/// What the external servers said to one restore, in the order of their rank.
pub(in crate::kms) struct Outside(Vec<Asked>);

/// The keys of external servers that may leave, and what each server said.
pub(in crate::kms) struct Vetted {
    /// Keys whose check value agrees with the KAD of ours.
    pub(in crate::kms) keys: Vec<RestoredKeyAnswer>,
    /// Keys of as-is groups that a KAD of other software names.
    pub(in crate::kms) candidates: Vec<CandidateKeyAnswer>,
    /// One for each server.
    pub(in crate::kms) outcomes: Vec<ServerOutcome>,
    /// Which of the keys are marked as compromised, and on which server.
    compromised: Vec<(KeyId, String)>,
}

/// A key of an external server that leaves; each has an audit record of its own.
pub(in crate::kms) struct Released {
    id: KeyId,
    pub(in crate::kms) group: GroupName,
    from: String,
}

impl Released {
    /// A key of `group` that came from `source`.
    pub(in crate::kms) fn new(id: KeyId, group: &GroupName, (source, compromised): (&KeySource, bool)) -> Self {
        let mark = if compromised {
            ", marked as compromised there"
        } else {
            ""
        };
        Self {
            id,
            group: group.clone(),
            from: format!("{}{mark}", from_where(source)),
        }
    }

    /// Its record; `request` is what was asked.
    pub(in crate::kms) fn event(&self, request: &Event) -> Event {
        let asked = request.detail.as_deref().unwrap_or_default();
        Event {
            group: Some(self.group.to_string()),
            key_id: Some(self.id),
            detail: Some(format!("{asked}; {}", self.from)),
            ..request.clone()
        }
    }
}

impl Selection {
    /// Asks every external server, also those that are not enabled for backup. Takes as long as the slowest one may.
    pub(in crate::kms) async fn for_restore(self: &Arc<Self>, wanted: &Wanted) -> Outside {
        let mut tasks = JoinSet::new();
        for (rank, server) in self.all().into_iter().enumerate() {
            let (selection, question) = (self.clone(), Question::Restore(wanted.clone()));
            tasks.spawn(async move { (rank, selection.ask(&server, question, Duration::MAX).await) });
        }
        let mut asked = Vec::new();
        while let Some(ended) = tasks.join_next().await {
            // `ask` itself does not panic: what may, it runs in a task of its own.
            asked.extend(ended.ok());
        }
        asked.sort_by_key(|(rank, _)| *rank);
        Outside(asked.into_iter().map(|(_, asked)| asked).collect())
    }
}

impl Outside {
    /// Looks at every key that came: for a KAD of ours, whether its check value agrees; for any other, whether its group is as-is. What goes
    /// wrong with one key is what its server came to.
    pub(in crate::kms) fn vet(
        self,
        session: &Session<'_>,
        (kads, actor): (&BlockKads, &Actor),
        ours: Option<OurKad>,
    ) -> Vetted {
        let mut vetted = Vetted {
            keys: Vec::new(),
            candidates: Vec::new(),
            outcomes: Vec::new(),
            compromised: Vec::new(),
        };
        for Asked { source, answer } in self.0 {
            let result = match answer {
                Answer::Found(keys) => match ours {
                    Some(kad) => vetted.add_ours(session, (kad, actor), (&source, &keys)),
                    None => vetted.add_candidates(session, (kads, actor), (&source, &keys)),
                },
                Answer::NoSuchKey(why) => ServerResult::None(why),
                Answer::Unreachable(why) => ServerResult::Unreachable(why),
                Answer::Refused(why) => ServerResult::Refused(why),
            };
            vetted.outcomes.push(ServerOutcome { server: source, result });
        }
        vetted
    }
}

impl Vetted {
    /// Whether the key that `source` gave is marked as compromised there.
    pub(in crate::kms) fn is_compromised(&self, id: KeyId, source: &KeySource) -> bool {
        let mut marked = self.compromised.iter();
        marked.any(|(marked, server)| *marked == id && *server == source.name)
    }

    fn note(&mut self, key: &ExternalKey, source: &KeySource) {
        if key.compromised {
            self.compromised.push((key.id(), source.name.clone()));
        }
    }

    fn add_ours(
        &mut self,
        session: &Session<'_>,
        (kad, actor): (OurKad, &Actor),
        (source, keys): (&KeySource, &Keys),
    ) -> ServerResult {
        let (before, mut why) = (self.keys.len(), None);
        for key in keys.iter().take(LOOKED_AT_MAX) {
            match fitting(session, (kad, actor), key).unwrap_or_else(|error| failed(key, &error)) {
                Ok(drive_key) => {
                    self.note(key, source);
                    self.keys.push(RestoredKeyAnswer {
                        key: drive_key,
                        kad,
                        key_name: key.shown_name(),
                        group: key.group.clone(),
                        state: key.state,
                        server: named(source, key),
                    });
                }
                Err(problem) => why = worse(why, problem),
            }
        }
        result(self.keys.len() - before, why)
    }

    fn add_candidates(
        &mut self,
        session: &Session<'_>,
        (kads, actor): (&BlockKads, &Actor),
        (source, keys): (&KeySource, &Keys),
    ) -> ServerResult {
        let (before, mut why) = (self.candidates.len(), None);
        for key in keys.iter().take(LOOKED_AT_MAX) {
            let found = candidate(session, (kads, actor), key, source);
            match found.unwrap_or_else(|error| failed(key, &error)) {
                Ok(candidate) => {
                    self.note(key, source);
                    self.candidates.push(candidate);
                }
                Err(problem) => why = worse(why, problem),
            }
        }
        result(self.candidates.len() - before, why)
    }
}

fn result(count: usize, why_not: Option<ServerResult>) -> ServerResult {
    match count {
        0 => why_not.unwrap_or(ServerResult::None(None)),
        count => ServerResult::Keys(count),
    }
}

/// Of what keeps keys back, what is told: a key that is there and may not leave, before one that is not it.
fn worse(known: Option<ServerResult>, problem: ServerResult) -> Option<ServerResult> {
    Some(
        known
            .filter(|known| matches!(known, ServerResult::Refused(_)))
            .unwrap_or(problem),
    )
}

fn none(why: String) -> ServerResult {
    ServerResult::None(Some(why))
}

/// Whether a key fits could not be found out.
fn failed<T>(key: &ExternalKey, error: &ServiceError) -> Result<T, ServerResult> {
    let (name, group, text) = (key.shown_name(), &key.group, error.to_string());
    tracing::error!(key = %name, %group, text, "a key of an external server could not be looked at");
    let why = text.lines().next().unwrap_or_default();
    Err(ServerResult::Refused(format!("key {name} of group {group}: {why}")))
}

/// How keys on drives follow from the keys of `group`: as the built-in store says, if it knows the group; else derived, so that no key of
/// an external server ever leaves as it is without an administrator's word.
fn kind_of(session: &Session<'_>, group: &GroupName) -> Result<KeyKind, ServiceError> {
    let known = groups::by_name(session, group)?;
    Ok(known.map_or(KeyKind::Derived, |group| group.record.kind))
}

/// The key on the drive that `kad` names, if it follows from `key`; else why not.
fn fitting(
    session: &Session<'_>,
    (kad, actor): (OurKad, &Actor),
    key: &ExternalKey,
) -> Result<Result<DataKey, ServerResult>, ServiceError> {
    let (name, group) = (key.shown_name(), &key.group);
    if key.id() != kad.key_id() {
        return Ok(Err(none(format!("key {name} has another id"))));
    }
    if let Err(refusal) = certificates::admit_to_group(session, actor, group)? {
        return Ok(Err(none(refusal.to_string())));
    }
    if !key.state.serves_restore() {
        return Ok(Err(none(format!("key {name} of group {group} is {}", key.state))));
    }
    // Derived keys may be older than the group's record here, which makes it as-is.
    if kad.kind() == KeyKind::AsIs && kind_of(session, group)? != KeyKind::AsIs {
        let why = format!("the KAD does not fit the kind of group {group}");
        return Ok(Err(ServerResult::Refused(why)));
    }
    let drive_key = match kad.kind() {
        KeyKind::AsIs => key.key.copy_to_release(),
        KeyKind::Derived => derive_volume_key(&key.key, key.id(), kad.nonce()),
    };
    Ok(match kad.verify(&drive_key) {
        Ok(()) => Ok(drive_key),
        Err(failed) => Err(none(format!("key {name} of group {group}: {failed}"))),
    })
}

fn candidate(
    session: &Session<'_>,
    (kads, actor): (&BlockKads, &Actor),
    key: &ExternalKey,
    source: &KeySource,
) -> Result<Result<CandidateKeyAnswer, ServerResult>, ServiceError> {
    let (name, group) = (key.shown_name(), &key.group);
    let Some(matched) = match_of(kads, key.id(), key.foreign_kad.as_deref()) else {
        return Ok(Err(none(format!("key {name} does not match the KAD"))));
    };
    if let Err(refusal) = certificates::admit_to_group(session, actor, group)? {
        return Ok(Err(none(refusal.to_string())));
    }
    if kind_of(session, group)? != KeyKind::AsIs {
        let why = format!("key {name} is of group {group}, which is no as-is group of this KMS");
        return Ok(Err(ServerResult::Refused(why)));
    }
    if !key.state.serves_restore() {
        return Ok(Err(none(format!("key {name} of group {group} is {}", key.state))));
    }
    Ok(Ok(CandidateKeyAnswer {
        key: key.key.copy_to_release(),
        id: key.id(),
        key_name: name,
        group: group.clone(),
        state: key.state,
        matched,
        server: named(source, key),
    }))
}

/// The source of `key` itself, with what it calls it.
pub(super) fn named(source: &KeySource, key: &ExternalKey) -> KeySource {
    KeySource {
        identifier: shown_identifier(&key.identifier, key.id()),
        protocol_version: Some(key.protocol_version.clone()),
        ..source.clone()
    }
}
