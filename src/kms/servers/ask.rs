//! What an administrator has a server do: show how it is, or make a key. Bounded like every question, audited like every change.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::refusal::ServerRefusal;
use crate::kad::KeyId;
use crate::kms::audit::{Action, Actor, Event};
use crate::kms::connector::{Answer, ExternalServer, Verdict};
use crate::kms::model::ServiceError;
use crate::kms::select::{in_words, line};
use crate::kms::service::Kms;
use crate::kms::store::{Session, StoreError, groups, quiesces};
use crate::kms_api::{CheckServer, CreateServerKey, CreatedKey, Finding, GroupName, ServerCheck, ServerName};

/// How long a look may take: less than the web service gives a request.
const CHECK_LIMIT: Duration = Duration::from_secs(20);

/// Findings that are told at most.
const FINDINGS_MAX: usize = 64;

impl Kms {
    /// Looks at a server: certificates, versions, how it searches, and with a group at the key that new volumes would get. Takes up to 20 s.
    ///
    /// # Errors
    /// [`ServerRefusal::NoSuchServer`]. Trouble with the server is a finding.
    pub async fn check_server(
        &self,
        actor: &Actor,
        name: ServerName,
        wanted: CheckServer,
    ) -> Result<ServerCheck, ServiceError> {
        let mut event = Event::new(actor, Action::CheckServer);
        event.group = wanted.group.as_ref().map(ToString::to_string);
        event.detail = Some(name.to_string());
        let found = match self.selection.named(&name) {
            Some(server) => Some(findings(&server, wanted.group.as_ref()).await),
            None => None,
        };
        let work = move |session: &Session<'_>, event: &mut Event| {
            let Some(mut findings) = found else {
                return Err(ServerRefusal::NoSuchServer { name }.into());
            };
            if let Some(group) = &wanted.group {
                findings.extend(elsewhere(session, group, &name)?);
            }
            let failed = count(&findings, Verdict::Failed);
            event.outcome = format!("done: {} findings, {failed} failed", findings.len());
            Ok(ServerCheck { server: name, findings })
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// Has a server make a key in a group, active at once: new volumes are written under it.
    ///
    /// # Errors
    /// [`ServerRefusal`]: no such server, or it made none. Quiesced.
    pub async fn create_server_key(
        self: &Arc<Self>,
        actor: &Actor,
        name: ServerName,
        wanted: CreateServerKey,
    ) -> Result<CreatedKey, ServiceError> {
        let (kms, actor) = (self.clone(), actor.clone());
        // An asker that goes away leaves no active key behind of which no record tells.
        let made = tokio::spawn(async move { kms.make_server_key(&actor, name, wanted).await });
        made.await.map_err(|_| StoreError::Stopped)?
    }

    async fn make_server_key(
        &self,
        actor: &Actor,
        name: ServerName,
        wanted: CreateServerKey,
    ) -> Result<CreatedKey, ServiceError> {
        let mut event = Event::new(actor, Action::CreateServerKey);
        event.group = Some(wanted.group.to_string());
        event.detail = Some(format!("at {name}"));
        let before = self
            .store
            .run(|session| quiesces::admit(session, Action::CreateKey))
            .await;
        let made = match (before, self.selection.named(&name)) {
            (Err(error), _) => Err(error),
            (Ok(()), None) => Err(ServerRefusal::NoSuchServer { name: name.clone() }.into()),
            (Ok(()), Some(server)) => made(&server, &wanted).await.map_err(ServiceError::from),
        };
        // The former key is the newest no longer.
        self.selection.forget(&name);
        let work = move |_: &Session<'_>, event: &mut Event| {
            let made = made?;
            event.key_id = Some(KeyId::from_identifier(&made.identifier));
            event.detail = Some(format!(
                "at {name}, its key {}",
                line(made.identifier.escape_default().to_string())
            ));
            Ok(made)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }
}

/// What a look found, in a task of its own: a connector that panics harms nobody else.
async fn findings(server: &Arc<dyn ExternalServer>, group: Option<&GroupName>) -> Vec<Finding> {
    let mut task = JoinSet::new();
    task.spawn(server.check(group));
    let text = match timeout(CHECK_LIMIT, task.join_next()).await {
        Ok(Some(Ok(findings))) => return findings.into_iter().take(FINDINGS_MAX).map(plain).collect(),
        Ok(_) => "its connector failed; the log says more".to_owned(),
        Err(_) => format!("no end in {} s", CHECK_LIMIT.as_secs()),
    };
    vec![Finding {
        what: "the whole look".to_owned(),
        verdict: Verdict::Failed,
        text,
        remedy: Some("see whether its endpoints can be reached from the KMS's host".to_owned()),
    }]
}

/// What a server says stands in terminals and records.
fn plain(finding: Finding) -> Finding {
    Finding {
        what: line(finding.what),
        text: line(finding.text),
        remedy: finding.remedy.map(line),
        ..finding
    }
}

/// That new keys of the group come from somewhere else, whatever this server has.
fn elsewhere(session: &Session<'_>, group: &GroupName, name: &ServerName) -> Result<Option<Finding>, ServiceError> {
    let bound = groups::by_name(session, group)?.and_then(|group| group.record.server);
    Ok(bound.filter(|server| server != name).map(|server| Finding {
        what: format!("group {group}"),
        verdict: Verdict::Warning,
        text: format!("it is bound to server {server}: no new key of it comes from here"),
        remedy: Some(format!("if it should: tapekey kms group bind {group} --server {name}")),
    }))
}

fn count(findings: &[Finding], verdict: Verdict) -> usize {
    findings.iter().filter(|finding| finding.verdict == verdict).count()
}

async fn made(server: &Arc<dyn ExternalServer>, wanted: &CreateServerKey) -> Result<CreatedKey, ServerRefusal> {
    let identity = server.identity();
    let mut task = JoinSet::new();
    task.spawn(server.create_key(&wanted.group, wanted.name.as_ref()));
    let answer = match timeout(identity.limit, task.join_next()).await {
        Ok(Some(Ok(answer))) => in_words(answer),
        Ok(_) => Answer::Unreachable("its connector failed; the log says more".to_owned()),
        Err(_) => Answer::Unreachable(format!("no answer in {} ms", identity.limit.as_millis())),
    };
    let (said, unreachable) = match answer {
        Answer::Found(key) => return Ok(key),
        Answer::NoSuchKey(why) => (why.unwrap_or_else(|| "it gave none".to_owned()), false),
        Answer::Refused(why) => (why, false),
        Answer::Unreachable(why) => (why, true),
    };
    Err(ServerRefusal::NoKeyMade {
        name: identity.name.clone(),
        group: wanted.group.clone(),
        said,
        unreachable,
    })
}
