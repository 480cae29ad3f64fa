//! The bytes of a kit: a head that is open, the sealed part that the head is bound to, and a check over both.
//!
//! | bytes | content |
//! |---|---|
//! | 0-2 | `TKK` |
//! | 3 | version, 1 |
//! | 4-15 | Argon2id's memory in KiB, passes, lanes: 32 bits each |
//! | 16-31 | the kit's id, a UUID |
//! | 32-39 | when it was made, in milliseconds since 1970 |
//! | 40-55 | the store's id, a UUID |
//! | 56-63 | how many groups and keys, 32 bits each |
//! | 64-67 | length of the sealed part with its tag |
//! | 68-83 | salt |
//! | 84-95 | nonce |
//! | 96- | the sealed part: AES-256-GCM, bytes 0-83 as additional data |
//! | 8 more | the first bytes of SHA-256 of everything before |
//!
//! Zeros fill it up to whole lines of 30 bytes. Numbers are big-endian.

use sha2::{Digest, Sha256};

use super::content::{CONTENT_LENGTH_MAX, Contents};
use super::lines::LINE_BYTES;
use super::{KitError, lines};
use crate::clock::Timestamp;
use crate::entropy::{Entropy, random_bytes};
use crate::kad::KeyId;
use crate::kms::store::{millis, moment};
use crate::passphrase::{Cost, Passphrase};
use crate::secret::{Sealed, SealingKey};

const MAGIC: [u8; 3] = *b"TKK";

/// The version of everything in this folder.
const VERSION: u8 = 1;

/// Bytes that the seal binds, and that tell how many there are in all.
pub(super) const HEAD_LENGTH: usize = 84;

const NONCE_LENGTH: usize = 12;
const TAG_LENGTH: usize = 16;
const CHECK_LENGTH: usize = 8;

/// Bytes before the sealed part.
const FIRST_LENGTH: usize = HEAD_LENGTH + NONCE_LENGTH;

/// What a kit says of itself without the passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Its id.
    pub id: KeyId,
    /// When it was made, to the millisecond.
    pub made: Timestamp,
    /// The store that it was made of.
    pub store: KeyId,
    /// Groups in it.
    pub groups: u32,
    /// Keys in it.
    pub keys: u32,
    cost: Cost,
    sealed_length: u32,
    salt: [u8; 16],
}

/// A kit that is still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedKit {
    head: Head,
    sealed: Sealed,
}

/// What a new kit is of.
#[derive(Debug, Clone, Copy)]
pub struct KitOf {
    /// The new kit's id.
    pub id: KeyId,
    /// The time.
    pub made: Timestamp,
    /// The store's id.
    pub store: KeyId,
}

impl SealedKit {
    /// Seals `contents` under `passphrase`, with a salt of its own.
    ///
    /// # Errors
    /// [`KitError`]: too long, no memory for Argon2, no randomness.
    pub fn seal(
        contents: &Contents,
        of: KitOf,
        passphrase: &Passphrase,
        entropy: &dyn Entropy,
    ) -> Result<Self, KitError> {
        let content = contents.encode()?;
        let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        let head = Head {
            id: of.id,
            made: moment(millis(of.made)),
            store: of.store,
            groups: number(contents.groups.len()),
            keys: number(contents.keys()),
            cost: Cost::OURS,
            sealed_length: number(content.len() + TAG_LENGTH),
            salt: random_bytes(entropy)?,
        };
        let sealed = head.key(passphrase)?.seal(entropy, &content, &head.encode())?;
        Ok(Self { head, sealed })
    }

    /// What it holds.
    ///
    /// # Errors
    /// [`KitError`]: another passphrase, something altered, no memory.
    pub fn open(&self, passphrase: &Passphrase) -> Result<Contents, KitError> {
        let key = self.head.key(passphrase)?;
        let content = key
            .open(&self.sealed, &self.head.encode())
            .map_err(|_| KitError::DoesNotOpen)?;
        Contents::decode(&content)
    }

    /// What it says of itself.
    #[must_use]
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// All bytes, in whole lines.
    pub(super) fn encode(&self) -> Vec<u8> {
        let head = self.head.encode();
        let mut bytes = [head.as_slice(), &self.sealed.nonce, &self.sealed.sealed].concat();
        let check = check_of(&bytes);
        bytes.extend_from_slice(&check);
        bytes.resize(bytes.len().next_multiple_of(LINE_BYTES), 0);
        bytes
    }

    /// Reads all bytes back.
    ///
    /// # Errors
    /// [`KitError`]: a newer version, or not as it was written.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KitError> {
        let (head, nonce, rest) = split_first(bytes)?;
        let head = Head::decode(head)?;
        let length = head.sealed_length();
        let cut = KitError::Malformed {
            problem: "it has another length than its head says",
        };
        let (sealed, rest) = rest.split_at_checked(length).ok_or(cut)?;
        let (check, fill) = rest.split_first_chunk::<CHECK_LENGTH>().ok_or(KitError::Malformed {
            problem: "it has another length than its head says",
        })?;
        let whole_lines = bytes.len().is_multiple_of(LINE_BYTES) && fill.len() < LINE_BYTES;
        if !whole_lines || fill.iter().any(|byte| *byte != 0) {
            return Err(KitError::Malformed {
                problem: "it does not end as one",
            });
        }
        let before = bytes.split_at(FIRST_LENGTH + length).0;
        if check_of(before) != *check {
            return Err(KitError::Malformed {
                problem: "each line fits its check, but not all of them together",
            });
        }
        let sealed = Sealed {
            nonce: *nonce,
            sealed: sealed.to_vec(),
        };
        Ok(Self { head, sealed })
    }
}

type FirstParts<'a> = (&'a [u8; HEAD_LENGTH], &'a [u8; NONCE_LENGTH], &'a [u8]);

fn split_first(bytes: &[u8]) -> Result<FirstParts<'_>, KitError> {
    let parts = bytes.split_first_chunk::<HEAD_LENGTH>().and_then(|(head, rest)| {
        let (nonce, rest) = rest.split_first_chunk::<NONCE_LENGTH>()?;
        Some((head, nonce, rest))
    });
    parts.ok_or(KitError::Malformed {
        problem: "it is shorter than the head of a kit",
    })
}

impl Head {
    /// Four characters that stand in each line of the kit.
    #[must_use]
    pub fn mark(&self) -> String {
        lines::mark(self.id)
    }

    fn key(&self, passphrase: &Passphrase) -> Result<SealingKey, KitError> {
        Ok(SealingKey::new(passphrase.derive_with(&self.salt, self.cost)?))
    }

    fn sealed_length(&self) -> usize {
        usize::try_from(self.sealed_length).unwrap_or(usize::MAX)
    }

    /// How many lines the kit has.
    pub(super) fn lines(&self) -> u32 {
        let bytes = FIRST_LENGTH
            .saturating_add(self.sealed_length())
            .saturating_add(CHECK_LENGTH);
        u32::try_from(bytes.div_ceil(LINE_BYTES)).unwrap_or(u32::MAX)
    }

    fn encode(&self) -> [u8; HEAD_LENGTH] {
        let fields = [
            MAGIC.as_slice(),
            &[VERSION],
            &self.cost.memory_kib.to_be_bytes(),
            &self.cost.passes.to_be_bytes(),
            &self.cost.lanes.to_be_bytes(),
            &self.id.0,
            &millis(self.made).to_be_bytes(),
            &self.store.0,
            &self.groups.to_be_bytes(),
            &self.keys.to_be_bytes(),
            &self.sealed_length.to_be_bytes(),
            &self.salt,
        ];
        let mut head = [0; HEAD_LENGTH];
        head.iter_mut()
            .zip(fields.concat())
            .for_each(|(byte, field)| *byte = field);
        head
    }

    /// Reads the head from the first bytes of a kit.
    ///
    /// # Errors
    /// [`KitError`]: no kit, a newer version, a length beyond all measure.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KitError> {
        let mut rest = bytes;
        let none = |problem| KitError::Malformed { problem };
        if take::<3>(&mut rest) != Some(MAGIC) {
            return Err(none("its first line does not begin as one"));
        }
        match take(&mut rest) {
            Some([VERSION]) => {}
            Some([found]) => return Err(KitError::Newer { found, known: VERSION }),
            None => return Err(none("it is shorter than the head of a kit")),
        }
        let head = fields(&mut rest).ok_or(none("it is shorter than the head of a kit"))?;
        let most = CONTENT_LENGTH_MAX + TAG_LENGTH;
        if (TAG_LENGTH..=most).contains(&head.sealed_length()) {
            Ok(head)
        } else {
            Err(none("the length in its head is impossible"))
        }
    }
}

fn fields(rest: &mut &[u8]) -> Option<Head> {
    let cost = Cost {
        memory_kib: take(rest).map(u32::from_be_bytes)?,
        passes: take(rest).map(u32::from_be_bytes)?,
        lanes: take(rest).map(u32::from_be_bytes)?,
    };
    Some(Head {
        cost,
        id: KeyId(take(rest)?),
        made: take(rest).map(i64::from_be_bytes).map(moment)?,
        store: KeyId(take(rest)?),
        groups: take(rest).map(u32::from_be_bytes)?,
        keys: take(rest).map(u32::from_be_bytes)?,
        sealed_length: take(rest).map(u32::from_be_bytes)?,
        salt: take(rest)?,
    })
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk::<N>()?;
    *rest = after;
    Some(*taken)
}

fn check_of(bytes: &[u8]) -> [u8; CHECK_LENGTH] {
    let mut check = [0; CHECK_LENGTH];
    let digest = Sha256::digest(bytes);
    check.iter_mut().zip(digest).for_each(|(byte, digest)| *byte = digest);
    check
}

#[cfg(test)]
mod tests {
    use super::super::tests::{contents, passphrase, sealed};
    use super::*;
    use crate::passphrase::PassphraseError;

    #[test]
    fn what_was_sealed_opens_with_the_passphrase_and_with_no_other() {
        let kit = SealedKit::decode(&sealed().encode()).unwrap();
        assert_eq!(kit, sealed());
        let opened = kit.open(&passphrase()).ok().unwrap();
        assert!(opened.encode().unwrap() == contents().encode().unwrap());
        let other = Passphrase::read(b"orbit lemon castle river paper quiet falcon eight")
            .ok()
            .unwrap();
        assert!(matches!(kit.open(&other), Err(KitError::DoesNotOpen)));
    }

    #[test]
    fn a_head_that_was_changed_does_not_open_whatever_was_changed() {
        let kit = sealed();
        let changes: [fn(&mut Head); 6] = [
            |head| head.id.0[15] ^= 1,
            |head| head.made += std::time::Duration::from_millis(1),
            |head| head.store.0[0] ^= 1,
            |head| head.groups += 1,
            |head| head.keys -= 1,
            |head| head.salt[3] ^= 1,
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let mut changed = kit.clone();
            change(&mut changed.head);
            let read = SealedKit::decode(&changed.encode()).unwrap();
            assert!(
                matches!(read.open(&passphrase()), Err(KitError::DoesNotOpen)),
                "{number}"
            );
        }
    }

    #[test]
    fn a_head_that_asks_for_a_terabyte_is_refused_before_anything_is_spent() {
        let mut kit = sealed();
        kit.head.cost.memory_kib = 1 << 30;
        let read = SealedKit::decode(&kit.encode()).unwrap();
        let refused = read.open(&passphrase());
        assert!(matches!(
            refused,
            Err(KitError::Passphrase(PassphraseError::Cost { .. }))
        ));
        kit.head.sealed_length = u32::MAX;
        assert!(matches!(
            SealedKit::decode(&kit.encode()),
            Err(KitError::Malformed { .. })
        ));
    }

    #[test]
    fn no_cut_and_no_bit_is_missed() {
        let bytes = sealed().encode();
        for length in 0..bytes.len() {
            assert!(SealedKit::decode(&bytes[..length]).is_err(), "{length} bytes");
        }
        assert!(SealedKit::decode(&[bytes.as_slice(), &[0; LINE_BYTES]].concat()).is_err());
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            assert!(SealedKit::decode(&altered).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_newer_version_is_named() {
        let mut bytes = sealed().encode();
        bytes[3] = 2;
        assert!(matches!(
            SealedKit::decode(&bytes),
            Err(KitError::Newer { found: 2, known: 1 })
        ));
    }
}
