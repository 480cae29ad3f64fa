//! From the KADs of a tape to its key, with a kit or with a passphrase alone, and no service. The rules are those of a restore, but for the
//! states of keys: this is the last way to data, so it gives keys of every state and says which they have.

use thiserror::Error;

use super::Contents;
use crate::kad::{BlockKads, KeyId, KeyKind, OurKad, derive_volume_key, without_padding};
use crate::kms::candidates::ids_in;
use crate::kms_api::{KadMatch, KeyRecord, KeyState};
use crate::passphrase::{Passphrase, PassphraseError};
use crate::secret::DataKey;

/// A key for a drive. No `Debug`: it carries a key.
pub struct Recovered {
    /// What the drive gets: of a derived group the volume's key, never the group's.
    pub key: DataKey,
    /// What the kit says of the group's key.
    pub record: KeyRecord,
    /// How it was found.
    pub found: Found,
}

/// How a key was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Found {
    /// The key check value of our KAD agrees: it is the volume's key.
    Checked,
    /// A KAD of other software names it; only the drive can tell whether it fits.
    Named(KadMatch),
}

/// There is no key.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum RecoverError {
    /// Nothing to look for.
    #[error(
        "the KAD is empty or nothing but padding\nhint: copy it from what tapekey unlock prints; for blocks with an authenticated KAD alone use --a-kad"
    )]
    NoKad,
    /// The kit has no such key.
    #[error(
        "the kit holds no key for the KAD {kad}: {why}\nhint: compare the KAD with what tapekey unlock prints; see what the kit holds with --list; a younger or older kit may hold the key"
    )]
    NoKey {
        /// The U-KAD in hex.
        kad: String,
        /// What was looked for.
        why: String,
    },
    /// The named key is none of those that the KAD names.
    #[error("key {id} is none that the KAD names\nhint: leave --key out to see those it names")]
    NotNamed {
        /// The id.
        id: KeyId,
    },
    /// A passphrase makes keys of ours only.
    #[error(
        "the KAD is not of tapekey's form, so it says nothing of a passphrase\nhint: compare it with what tapekey unlock prints; a tape of other software needs a kit that holds its key"
    )]
    NotOurs,
    /// The key check value says no.
    #[error(
        "the passphrase does not give the key of this tape: the key check value differs\nhint: look at the passphrase (capital letters, spaces, spelling) and the KAD; not every key is made of a passphrase, others need a kit"
    )]
    WrongPassphrase,
    /// No key can be made of the passphrase.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
}

/// The keys that `kads` name in a kit, best first: at most one for a KAD of ours.
///
/// # Errors
/// [`RecoverError`]; never an empty list.
pub fn from_kit(contents: Contents, kads: &BlockKads) -> Result<Vec<Recovered>, RecoverError> {
    if without_padding(&kads.unauthenticated).is_empty() && without_padding(&kads.authenticated).is_empty() {
        return Err(RecoverError::NoKad);
    }
    let mut why =
        "it is not of tapekey's form, and no key of an as-is group has it as its id or was imported with it".to_owned();
    let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
    if let Some(kad) = ours {
        match by_our_kad(&contents, kad) {
            Ok(recovered) => return Ok(vec![recovered]),
            Err(said) => why = said,
        }
    }
    let found = by_foreign_kads(contents, kads);
    if found.is_empty() {
        let kad = hex::encode(&kads.unauthenticated);
        return Err(RecoverError::NoKey { kad, why });
    }
    Ok(found)
}

/// The key of the volume with our KAD `kads`, whose group's key was made of `passphrase`.
///
/// # Errors
/// [`RecoverError`].
pub fn from_passphrase(passphrase: &Passphrase, kads: &BlockKads) -> Result<DataKey, RecoverError> {
    let ours = OurKad::decode(&kads.unauthenticated).filter(|_| kads.authenticated.is_empty());
    let kad = ours.ok_or(RecoverError::NotOurs)?;
    let group_key = passphrase.derive(kad.key_id())?;
    let key = match kad.kind() {
        KeyKind::AsIs => group_key,
        KeyKind::Derived => derive_volume_key(&group_key, kad.key_id(), kad.nonce()),
    };
    kad.verify(&key).map_err(|_| RecoverError::WrongPassphrase)?;
    Ok(key)
}

fn by_our_kad(contents: &Contents, kad: OurKad) -> Result<Recovered, String> {
    let id = kad.key_id();
    let mut keys = contents
        .groups
        .iter()
        .flat_map(|group| group.keys.iter().map(move |key| (group.record.kind, key)));
    let Some((kind, stored)) = keys.find(|(_, key)| key.record.id == id) else {
        return Err(format!("it names key {id}, which is not in the kit"));
    };
    if kind != kad.kind() {
        return Err(format!("it does not fit the kind of group {}", stored.record.group));
    }
    let key = match kind {
        KeyKind::AsIs => DataKey::take(&mut zeroize::Zeroizing::new(*stored.key.expose())),
        KeyKind::Derived => derive_volume_key(&stored.key, id, kad.nonce()),
    };
    kad.verify(&key)
        .map_err(|failed| format!("{failed}; the KAD is altered or mistyped, or another program wrote it"))?;
    Ok(Recovered {
        key,
        record: stored.record.clone(),
        found: Found::Checked,
    })
}

/// Keys of as-is groups alone: a group key that others are derived of is never one of these.
fn by_foreign_kads(contents: Contents, kads: &BlockKads) -> Vec<Recovered> {
    let as_is = contents
        .groups
        .into_iter()
        .filter(|group| group.record.kind == KeyKind::AsIs);
    let mut found: Vec<Recovered> = as_is
        .flat_map(|group| group.keys)
        .filter_map(|key| {
            let how = [&kads.unauthenticated, &kads.authenticated]
                .into_iter()
                .filter_map(|kad| named_by(&key.record, kad));
            let how = how.min()?;
            Some(Recovered {
                key: key.key,
                record: key.record,
                found: Found::Named(how),
            })
        })
        .collect();
    found.sort_by_key(|one| {
        let unusable = !one.record.state.serves_restore();
        let not_active = one.record.state != KeyState::Active;
        (unusable, one.found, not_active, std::cmp::Reverse(one.record.created))
    });
    found
}

fn named_by(record: &KeyRecord, kad: &[u8]) -> Option<KadMatch> {
    let unpadded = without_padding(kad);
    if unpadded.is_empty() {
        return None;
    }
    match record.foreign_kad.as_deref() {
        Some(own) if own == kad => Some(KadMatch::Exact),
        _ if ids_in(kad).contains(&record.id) => Some(KadMatch::KeyId),
        Some(own) if without_padding(own) == unpadded => Some(KadMatch::ButForPadding),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, passphrase};
    use super::*;

    fn unauthenticated(kad: &[u8]) -> BlockKads {
        BlockKads {
            unauthenticated: kad.to_vec(),
            authenticated: Vec::new(),
        }
    }

    fn names(kads: &BlockKads) -> Vec<String> {
        let found = from_kit(contents(), kads).ok().unwrap();
        found.iter().map(|one| one.record.name.to_string()).collect()
    }

    fn error(kads: &BlockKads) -> RecoverError {
        from_kit(contents(), kads).err().unwrap()
    }

    #[test]
    fn our_kad_gives_the_volume_s_key_and_not_the_group_s() {
        let (id, nonce) = (KeyId([1; 16]), [9; 6]);
        let group_key = DataKey::take(&mut [1; 32]);
        let volume_key = derive_volume_key(&group_key, id, nonce);
        let kad = OurKad::derived(id, nonce, &volume_key);
        let padded = [kad.encode().as_slice(), b"\0\0"].concat();
        for written in [kad.encode().to_vec(), padded] {
            let found = from_kit(contents(), &unauthenticated(&written)).ok().unwrap();
            assert!(found.len() == 1 && found[0].key == volume_key && found[0].found == Found::Checked);
        }
        let as_is = OurKad::as_is(KeyId([4; 16]), &DataKey::take(&mut [4; 32]));
        let found = from_kit(contents(), &unauthenticated(&as_is.encode())).ok().unwrap();
        assert!(found[0].key == DataKey::take(&mut [4; 32]));
    }

    #[test]
    fn a_kad_of_ours_with_any_bit_altered_gives_no_key() {
        let (id, nonce) = (KeyId([1; 16]), [9; 6]);
        let kad = OurKad::derived(id, nonce, &derive_volume_key(&DataKey::take(&mut [1; 32]), id, nonce)).encode();
        for bit in 0..kad.len() * 8 {
            let mut altered = kad;
            altered[bit / 8] ^= 1 << (bit % 8);
            let refused = error(&unauthenticated(&altered));
            assert!(matches!(refused, RecoverError::NoKey { .. }), "bit {bit}: {refused}");
        }
        let mut with_a_kad = unauthenticated(&kad);
        with_a_kad.authenticated = b"x".to_vec();
        assert!(matches!(error(&with_a_kad), RecoverError::NoKey { .. }));
    }

    #[test]
    fn a_derived_group_s_key_is_given_for_no_other_kad_of_any_form() {
        for id in [[1; 16], [2; 16]] {
            let hyphenated = KeyId(id).to_string();
            let compact = hex::encode(id);
            for kad in [id.as_slice(), hyphenated.as_bytes(), compact.as_bytes()] {
                assert!(matches!(error(&unauthenticated(kad)), RecoverError::NoKey { .. }));
            }
            let as_is = OurKad::as_is(KeyId(id), &DataKey::take(&mut [id[0]; 32]));
            assert!(matches!(
                error(&unauthenticated(&as_is.encode())),
                RecoverError::NoKey { .. }
            ));
        }
    }

    #[test]
    fn foreign_kads_name_as_is_keys_usable_and_exact_ones_first() {
        assert_eq!(names(&unauthenticated(b"label")), ["exact", "padded", "gone"]);
        assert_eq!(names(&unauthenticated(b"label  ")), ["padded", "exact", "gone"]);
        assert_eq!(names(&unauthenticated(&[6; 16])), ["other"]);
        let authenticated = BlockKads {
            unauthenticated: b"   ".to_vec(),
            authenticated: b"another".to_vec(),
        };
        assert_eq!(names(&authenticated), ["other"]);
        assert_eq!(error(&unauthenticated(b" \0")), RecoverError::NoKad);
    }

    #[test]
    fn a_passphrase_and_a_kad_are_enough_and_a_wrong_one_is_said_to_be() {
        let id = KeyId([0x42; 16]);
        let key = derive_volume_key(&passphrase().derive(id).ok().unwrap(), id, [3; 6]);
        let kads = unauthenticated(&OurKad::derived(id, [3; 6], &key).encode());
        assert!(from_passphrase(&passphrase(), &kads).ok().unwrap() == key);
        let other = Passphrase::read(b"Orbit lemon castle river paper quiet falcon seven")
            .ok()
            .unwrap();
        assert_eq!(
            from_passphrase(&other, &kads).err(),
            Some(RecoverError::WrongPassphrase)
        );
        let foreign = from_passphrase(&passphrase(), &unauthenticated(b"label"));
        assert_eq!(foreign.err(), Some(RecoverError::NotOurs));
    }
}
