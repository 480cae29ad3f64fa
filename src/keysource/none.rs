//! No source of keys: a host whose configuration names no KMS, such as one that only recovers tapes with keys that people bring.

use super::{FetchedKey, Fetching, FoundKeys, GroupName, KeySource, KeySourceError, VolumeName};
use crate::kad::BlockKads;

/// Refuses whatever is asked.
pub struct NoKms;

impl KeySource for NoKms {
    fn key_for_backup(&self, _: GroupName, _: VolumeName) -> Fetching<FetchedKey> {
        Box::pin(async { Err(KeySourceError::NotConfigured) })
    }

    fn alarm(&self) -> Option<String> {
        None
    }

    fn keys_for_restore(&self, _: BlockKads, _: Option<VolumeName>) -> Fetching<FoundKeys> {
        Box::pin(async { Err(KeySourceError::NotConfigured) })
    }
}
