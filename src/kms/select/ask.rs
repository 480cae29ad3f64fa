//! One question to one external server: the cache first, then the server itself within its limit, whatever becomes of it.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::timeout;

use super::Selection;
use super::cache::{Keys, Question};
use crate::kms::connector::{Answer, ExternalServer};
use crate::kms_api::KeySource;

/// Most characters that are kept of what a server says.
const SAID_MAX: usize = 200;

/// A server that was asked, and its answer.
pub(in crate::kms) struct Asked {
    /// Who, from where, how long it took.
    pub(in crate::kms) source: KeySource,
    /// What it said, in words fit for one line.
    pub(in crate::kms) answer: Answer<Keys>,
}

impl Selection {
    pub(super) async fn ask(&self, server: &Arc<dyn ExternalServer>, question: Question, limit: Duration) -> Asked {
        let began = self.clock.monotonic();
        let asked = self.look_up_or_ask(server, question, (began, limit)).await;
        let took = self.clock.monotonic().saturating_sub(began);
        self.meter.count(&asked, took, self.clock.now());
        asked
    }

    async fn look_up_or_ask(
        &self,
        server: &Arc<dyn ExternalServer>,
        question: Question,
        (began, limit): (Duration, Duration),
    ) -> Asked {
        let identity = server.identity();
        if let Some(keys) = self.cache.look_up(server, &question, began) {
            return Asked {
                source: source(server, true, Duration::ZERO),
                answer: Answer::Found(keys),
            };
        }
        let generation = self.cache.generation();
        let answer = in_words(within(limit.min(identity.limit), server, &question).await);
        let ended = self.clock.monotonic();
        if let Answer::Found(keys) = &answer {
            self.cache
                .keep(generation, (server.clone(), question), keys.clone(), ended);
        }
        Asked {
            source: source(server, false, ended.saturating_sub(began)),
            answer,
        }
    }
}

fn source(server: &Arc<dyn ExternalServer>, cached: bool, took: Duration) -> KeySource {
    let identity = server.identity();
    KeySource {
        name: identity.name.to_string(),
        kind: identity.kind,
        address: Some(identity.address.clone()),
        priority: Some(identity.priority),
        cached,
        fallback: false,
        took_ms: in_millis(took),
        protocol_version: server.peer().protocol_version,
        identifier: None,
    }
}

/// A time that was taken, as answers say it.
pub(in crate::kms) fn in_millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// The server's answer, in a task of its own: one that panics, or that works without ever waiting, harms nobody else.
async fn within(limit: Duration, server: &Arc<dyn ExternalServer>, question: &Question) -> Answer<Keys> {
    let mut task = JoinSet::new();
    match question {
        Question::Backup(group) => {
            let asking = server.key_for_backup(group);
            task.spawn(async move { shared(asking.await, |key| vec![key]) });
        }
        Question::Restore(wanted) => {
            let asking = server.keys_for_restore(wanted);
            task.spawn(async move { shared(asking.await, |keys| keys) });
        }
    }
    match timeout(limit, task.join_next()).await {
        Ok(Some(Ok(answer))) => answer,
        Ok(_) => Answer::Unreachable("its connector failed; the log says more".to_owned()),
        Err(_) => Answer::Unreachable(format!("no answer in {} ms", limit.as_millis())),
    }
}

fn shared<T>(answer: Answer<T>, keys: impl FnOnce(T) -> Vec<crate::kms::connector::ExternalKey>) -> Answer<Keys> {
    match answer {
        Answer::Found(found) => match keys(found) {
            keys if keys.is_empty() => Answer::NoSuchKey(None),
            keys => Answer::Found(Arc::new(keys)),
        },
        Answer::NoSuchKey(why) => Answer::NoSuchKey(why),
        Answer::Unreachable(why) => Answer::Unreachable(why),
        Answer::Refused(why) => Answer::Refused(why),
    }
}

/// What a server says stands in records and answers: one line, not too long.
pub(in crate::kms) fn in_words<T>(answer: Answer<T>) -> Answer<T> {
    match answer {
        Answer::Found(keys) => Answer::Found(keys),
        Answer::NoSuchKey(why) => Answer::NoSuchKey(why.map(line)),
        Answer::Unreachable(why) => Answer::Unreachable(line(why)),
        Answer::Refused(why) => Answer::Refused(line(why)),
    }
}

/// A text of a server's as one line, not too long.
pub(in crate::kms) fn line(text: String) -> String {
    let plain = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter });
    plain.take(SAID_MAX).collect()
}
