//! A kit for the tests of this folder.

use super::*;
use crate::clock::Timestamp;
use crate::entropy::{Entropy, EntropyError};
use crate::kad::{KeyId, KeyKind};
use crate::kms_api::{Cipher, GroupName, GroupRecord, KeyName, KeyOrigin, KeyRecord, KeyState, ServerName};
use crate::passphrase::Passphrase;
use crate::secret::DataKey;

/// Bytes that count up.
pub(super) struct Counting;

impl Entropy for Counting {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        bytes.iter_mut().zip(1..).for_each(|(byte, value)| *byte = value);
        Ok(())
    }
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_timestamp(seconds).unwrap()
}

fn key(group: &str, name: &str, number: u8, state: KeyState, foreign_kad: Option<&[u8]>) -> KitKey {
    let record = KeyRecord {
        id: KeyId([number; 16]),
        name: KeyName::new(name).unwrap(),
        group: GroupName::new(group).unwrap(),
        state,
        description: "für später".to_owned(),
        origin: foreign_kad.map_or(KeyOrigin::Random, |_| KeyOrigin::Imported),
        foreign_kad: foreign_kad.map(<[u8]>::to_vec),
        created: at(i64::from(number)),
        modified: at(i64::from(number) + 1),
        activated: (state != KeyState::Prelive).then(|| at(i64::from(number) + 2)),
    };
    KitKey {
        record,
        key: DataKey::take(&mut [number; 32]),
    }
}

fn group(name: &str, kind: KeyKind, keys: Vec<KitKey>) -> KitGroup {
    let record = GroupRecord {
        name: GroupName::new(name).unwrap(),
        kind,
        cipher: Cipher::Aes256Gcm,
        description: String::new(),
        rotate_after_days: (kind == KeyKind::Derived).then_some(90),
        server: (kind == KeyKind::Derived).then(|| ServerName::new("offsite").unwrap()),
        created: at(1),
        modified: at(2),
    };
    KitGroup {
        record,
        released_outside: kind == KeyKind::Derived,
        keys,
    }
}

/// A derived group with two keys, an as-is group with four of other software, an empty one.
pub(super) fn contents() -> Contents {
    let old = "ENCR_old";
    Contents {
        groups: vec![
            group(
                "ENCR_daily",
                KeyKind::Derived,
                vec![
                    key("ENCR_daily", "2026-01", 1, KeyState::Inactive, None),
                    key("ENCR_daily", "2026-02", 2, KeyState::Active, None),
                ],
            ),
            group(
                old,
                KeyKind::AsIs,
                vec![
                    key(old, "padded", 3, KeyState::Active, Some(b"label  ")),
                    key(old, "exact", 4, KeyState::Inactive, Some(b"label")),
                    key(old, "gone", 5, KeyState::Terminated, Some(b"label")),
                    key(old, "other", 6, KeyState::Inactive, Some(b"another")),
                ],
            ),
            group("empty", KeyKind::AsIs, Vec::new()),
        ],
    }
}

/// The passphrase of [`sealed`].
pub(super) fn passphrase() -> Passphrase {
    Passphrase::read(b"orbit lemon castle river paper quiet falcon seven")
        .ok()
        .unwrap()
}

/// [`contents`] under [`passphrase`].
pub(super) fn sealed() -> SealedKit {
    static SEALED: std::sync::OnceLock<SealedKit> = std::sync::OnceLock::new();
    let seal = || {
        let of = KitOf {
            id: KeyId([0xA5; 16]),
            made: at(1_795_521_600),
            store: KeyId([7; 16]),
        };
        SealedKit::seal(&contents(), of, &passphrase(), &Counting).unwrap()
    };
    SEALED.get_or_init(seal).clone()
}
