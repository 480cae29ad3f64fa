//! What external servers answered, for ten minutes, in memory alone. Only keys that were found are kept: "no such key" is asked again.
//!
//! Bounded in number; a key that is pushed out, or forgotten, is wiped with its last use. Audit records are not spared by it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::kms::connector::{ExternalKey, ExternalServer, GroupName, ServerName, Wanted};

/// How long an answer is believed.
const KEPT_FOR: Duration = Duration::from_secs(600);

/// Most answers; the oldest goes first.
const ANSWERS_MAX: usize = 512;

/// What a server was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Question {
    Backup(GroupName),
    Restore(Wanted),
}

/// The keys of one answer, shared between the cache and those who use them now.
pub(super) type Keys = Arc<Vec<ExternalKey>>;

/// Which emptying an answer came after: one that was asked for before the cache was emptied is not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Generation(u64);

/// The answers.
#[derive(Default)]
pub(super) struct Cache(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    answers: Vec<Entry>,
    generation: u64,
}

struct Entry {
    /// The very one that answered: another one of its name has said nothing yet.
    server: Arc<dyn ExternalServer>,
    question: Question,
    keys: Keys,
    since: Duration,
}

impl Cache {
    /// What `server` answered not long before `now`, a time of a clock that never jumps.
    pub(super) fn look_up(&self, server: &Arc<dyn ExternalServer>, question: &Question, now: Duration) -> Option<Keys> {
        let mut kept = self.lock();
        kept.forget_before(now);
        let mut answers = kept.answers.iter();
        let found = answers.find(|entry| entry.is_of(server, question))?;
        Some(found.keys.clone())
    }

    /// The present generation, to be taken before a server is asked.
    pub(super) fn generation(&self) -> Generation {
        Generation(self.lock().generation)
    }

    /// Keeps an answer, unless the cache was emptied since `generation`.
    pub(super) fn keep(
        &self,
        generation: Generation,
        (server, question): (Arc<dyn ExternalServer>, Question),
        keys: Keys,
        now: Duration,
    ) {
        let mut kept = self.lock();
        if kept.generation != generation.0 {
            return;
        }
        kept.forget_before(now);
        kept.answers.retain(|entry| !entry.is_of(&server, &question));
        if kept.answers.len() == ANSWERS_MAX {
            kept.answers.remove(0);
        }
        kept.answers.push(Entry {
            server,
            question,
            keys,
            since: now,
        });
    }

    /// How many answers are kept.
    pub(super) fn count(&self) -> usize {
        self.lock().answers.len()
    }

    /// Forgets what is too old at `now`.
    pub(super) fn forget_expired(&self, now: Duration) {
        self.lock().forget_before(now);
    }

    /// Forgets what `server` answered, also what it is still being asked for.
    pub(super) fn forget(&self, server: &ServerName) {
        let mut kept = self.lock();
        kept.generation += 1;
        kept.answers.retain(|entry| entry.server.identity().name != *server);
    }

    /// Forgets everything, also what is still being asked for; how many answers that were.
    pub(super) fn clear(&self) -> usize {
        let mut kept = self.lock();
        kept.generation += 1;
        let count = kept.answers.len();
        kept.answers.clear();
        count
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        // Whoever panicked with it left it whole: every change is one call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn is_of(&self, server: &Arc<dyn ExternalServer>, question: &Question) -> bool {
        Arc::ptr_eq(&self.server, server) && self.question == *question
    }
}

impl Kept {
    fn forget_before(&mut self, now: Duration) {
        self.answers.retain(|entry| now.saturating_sub(entry.since) < KEPT_FOR);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::server as served_by;
    use super::*;
    use crate::kad::KeyId;

    fn server() -> Arc<dyn ExternalServer> {
        served_by("offsite", 0)
    }

    fn question(number: u8) -> Question {
        Question::Restore(Wanted::Id(KeyId([number; 16])))
    }

    fn keep(cache: &Cache, server: &Arc<dyn ExternalServer>, number: u8) {
        let keys = Arc::new(Vec::new());
        cache.keep(
            cache.generation(),
            (server.clone(), question(number)),
            keys,
            Duration::ZERO,
        );
    }

    #[test]
    fn an_answer_is_believed_for_ten_minutes_and_then_gone_from_memory() {
        let (cache, server) = (Cache::default(), server());
        let keys = Arc::new(Vec::new());
        let start = Duration::from_secs(1000);
        cache.keep(cache.generation(), (server.clone(), question(1)), keys.clone(), start);
        let almost = start + Duration::from_secs(599);
        assert!(cache.look_up(&server, &question(1), almost).is_some());
        assert!(cache.look_up(&server, &question(2), almost).is_none());
        assert_eq!(Arc::strong_count(&keys), 2);
        cache.forget_expired(start + Duration::from_secs(600));
        assert_eq!(Arc::strong_count(&keys), 1, "nobody holds the key any more");
    }

    #[test]
    fn an_answer_on_its_way_while_the_cache_is_emptied_is_not_kept() {
        let (cache, server) = (Cache::default(), server());
        let before = cache.generation();
        keep(&cache, &server, 1);
        assert_eq!((cache.clear(), cache.clear()), (1, 0));
        let keys = Arc::new(Vec::new());
        cache.keep(before, (server.clone(), question(1)), keys, Duration::ZERO);
        assert!(cache.look_up(&server, &question(1), Duration::ZERO).is_none());
    }

    #[test]
    fn a_server_that_is_another_one_now_has_answered_nothing() {
        let (cache, former) = (Cache::default(), server());
        keep(&cache, &former, 1);
        let before = cache.generation();
        cache.forget(&ServerName::new("other").unwrap());
        assert_eq!(cache.count(), 1);
        cache.forget(&former.identity().name);
        let keys = Arc::new(Vec::new());
        cache.keep(before, (former.clone(), question(2)), keys, Duration::ZERO);
        assert_eq!(cache.count(), 0);

        // Whoever began with the former one asks it once more, after the other has taken its place.
        keep(&cache, &former, 1);
        assert!(cache.look_up(&server(), &question(1), Duration::ZERO).is_none());
        assert!(cache.look_up(&former, &question(1), Duration::ZERO).is_some());
    }

    #[test]
    fn the_oldest_answer_goes_when_there_are_too_many() {
        let (cache, server) = (Cache::default(), server());
        let keep = |number: usize| {
            let question = (server.clone(), group(number));
            cache.keep(cache.generation(), question, Arc::new(Vec::new()), Duration::ZERO);
        };
        (0..=ANSWERS_MAX).for_each(keep);
        assert!(cache.look_up(&server, &group(0), Duration::ZERO).is_none());
        assert!(cache.look_up(&server, &group(1), Duration::ZERO).is_some());
        // The same question again replaces its answer.
        keep(1);
        assert_eq!(cache.clear(), ANSWERS_MAX);
    }

    fn group(number: usize) -> Question {
        Question::Backup(GroupName::new(format!("ENCR_{number}")).unwrap())
    }
}
