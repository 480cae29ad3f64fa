//! The key that a job will probably ask for, asked for while the volume is becoming ready: the KMS's time then passes beside the drive's.
//!
//! It is a guess from names and decides nothing. The operation asks by what it reads from the drive once that is ready; an answer that came ahead
//! counts only if the question is the very same. Any other is dropped, and its key wiped.

use tokio::task::JoinHandle;

use super::Hands;
use crate::controller::operation::Wish;
use crate::controller::pool::Pool;
use crate::kad::BlockKads;
use crate::keysource::{FetchedKey, Fetching, FoundKeys, GroupName, KeySourceError, VolumeName};

/// A question that was asked ahead, and its answer once it comes. No `Debug`: it carries keys.
pub(super) enum Ahead {
    /// For a volume that is taken for blank.
    New {
        group: GroupName,
        volume: VolumeName,
        answer: Coming<FetchedKey>,
    },
    /// For a volume of which a job knows the KAD.
    Known {
        kads: BlockKads,
        volume: Option<VolumeName>,
        answer: Coming<FoundKeys>,
    },
}

/// An answer on its way. Nobody waits for it after it is dropped.
pub(super) struct Coming<T>(JoinHandle<Result<T, KeySourceError>>);

impl<T: Send + 'static> Coming<T> {
    fn begin(asked: Fetching<T>) -> Self {
        Self(tokio::spawn(asked))
    }

    /// The answer. Of a failure nothing is told: whoever needs the answer asks again, and hears the reason of then.
    async fn come(mut self) -> Option<T> {
        (&mut self.0).await.ok()?.ok()
    }
}

impl<T> Drop for Coming<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Hands<'_> {
    /// Asks for the key that the volume will probably need, unless that was done or nothing can be guessed yet.
    pub(super) fn ask_ahead(&mut self) {
        if self.ahead.is_none() {
            self.ahead = self.guess();
        }
    }

    /// Whether a key was asked for ahead and not needed; it is wiped now.
    pub(in super::super) fn forget_ahead(&mut self) -> bool {
        self.ahead.take().is_some()
    }

    pub(super) async fn new_key(&mut self, group: GroupName, volume: VolumeName) -> Result<FetchedKey, KeySourceError> {
        let is_it = |ahead: &mut Ahead| matches!(ahead, Ahead::New { group: of, volume: asked, .. } if *of == group && *asked == volume);
        if let Some(Ahead::New { answer, .. }) = self.ahead.take_if(is_it)
            && let Some(fetched) = answer.come().await
        {
            return Ok(fetched);
        }
        self.daemon.keys.key_for_backup(group, volume).await
    }

    pub(super) async fn known_keys(
        &mut self,
        kads: BlockKads,
        volume: Option<VolumeName>,
    ) -> Result<FoundKeys, KeySourceError> {
        let is_it = |ahead: &mut Ahead| matches!(ahead, Ahead::Known { kads: of, volume: asked, .. } if *of == kads && *asked == volume);
        if let Some(Ahead::Known { answer, .. }) = self.ahead.take_if(is_it)
            && let Some(found) = answer.come().await
        {
            return Ok(found);
        }
        self.daemon.keys.keys_for_restore(kads, volume).await
    }

    /// A volume that a job knows needs its own key again; one that no job knows may be blank, if the caller names it and its pool.
    fn guess(&self) -> Option<Ahead> {
        let (pool, by_caller) = match &self.wish {
            Wish::Load {
                pool: Some(Pool::Plain(_)),
                ..
            }
            | Wish::UnlockWith(_)
            | Wish::Clear
            | Wish::Scan => return None,
            Wish::Load { pool, barcode } => (pool.as_ref(), barcode.clone()),
            Wish::Unlock => (None, None),
        };
        let keys = &self.daemon.keys;
        let volume = by_caller.clone().or_else(|| self.barcode_in_library())?;
        if let Some(kad) = self.daemon.jobs.kad_of_barcode(volume.as_str()) {
            let (kads, volume) = (BlockKads::from(kad), Some(volume));
            let answer = Coming::begin(keys.keys_for_restore(kads.clone(), volume.clone()));
            return Some(Ahead::Known { kads, volume, answer });
        }
        match (pool, by_caller) {
            (Some(Pool::Encrypted(group)), Some(volume)) => Some(Ahead::New {
                group: group.clone(),
                volume: volume.clone(),
                answer: Coming::begin(keys.key_for_backup(group.clone(), volume)),
            }),
            _ => None,
        }
    }

    /// The barcode that a library has seen in the drive since the job began.
    fn barcode_in_library(&self) -> Option<VolumeName> {
        VolumeName::new(self.seen_in_library()?.barcode?).ok()
    }
}
