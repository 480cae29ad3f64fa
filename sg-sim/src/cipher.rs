//! The cipher of the data path: AES-256-GCM with a tag of 16 bytes (security algorithm code 00010014h), by aws-lc-rs.
//!
//! This room owns the only key bytes in the program. They have no `Debug`, are never copied out, and are wiped when the key is dropped.

use crate::Randomness;
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey},
    hmac,
};
use zeroize::Zeroizing;

/// Length of a key in bytes.
pub(crate) const KEY_BYTES: usize = 32;
/// Length of a nonce in bytes.
pub(crate) const NONCE_BYTES: usize = 12;
/// Length of a tag in bytes.
pub(crate) const TAG_BYTES: usize = 16;
/// Length of a key check value in bytes.
pub(crate) const KEY_CHECK_BYTES: usize = 8;

const KEY_CHECK_LABEL: &[u8] = b"sg-sim key check v1";

/// Recognises a key without using it: HMAC-SHA-256 (key, "sg-sim key check v1") cut to 8 bytes.
///
/// GCM alone cannot tell a wrong key from damaged data; a drive can, and this is how.
pub(crate) type KeyCheck = [u8; KEY_CHECK_BYTES];

/// The cipher library refused: a length beyond the algorithm, or a tag that does not fit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct CipherError;

/// A key that seals and opens blocks.
pub(crate) struct BlockKey {
    key: LessSafeKey,
    check: KeyCheck,
    nonce_prefix: [u8; 8],
    nonce_counter: Option<u32>,
}

impl BlockKey {
    /// Takes a key into use. None if the cipher library refuses it, which it does for no 32 bytes.
    pub(crate) fn new(bytes: &Zeroizing<[u8; KEY_BYTES]>) -> Option<Self> {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, bytes.as_slice()), KEY_CHECK_LABEL);
        let check = *tag.as_ref().first_chunk()?;
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, bytes.as_slice()).ok()?);
        Some(Self {
            key,
            check,
            nonce_prefix: [0; 8],
            nonce_counter: None,
        })
    }

    /// The key check value.
    pub(crate) const fn check(&self) -> KeyCheck {
        self.check
    }

    /// A nonce that was never used with this key: 8 random bytes, drawn at each load of the key, and a counter.
    pub(crate) fn next_nonce(&mut self, randomness: &mut dyn Randomness) -> [u8; NONCE_BYTES] {
        let counter = self
            .nonce_counter
            .and_then(|counter| counter.checked_add(1))
            .unwrap_or_else(|| {
                randomness.fill(&mut self.nonce_prefix);
                0
            });
        self.nonce_counter = Some(counter);
        let mut nonce = [0; NONCE_BYTES];
        nonce[..8].copy_from_slice(&self.nonce_prefix);
        nonce[8..].copy_from_slice(&counter.to_be_bytes());
        nonce
    }

    /// Seals `plain` into `sealed`, which has the same length, and returns the tag.
    ///
    /// # Errors
    /// The lengths differ, or the block is longer than the algorithm allows.
    pub(crate) fn seal(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        plain: &[u8],
        sealed: &mut [u8],
    ) -> Result<[u8; TAG_BYTES], CipherError> {
        let mut tag = [0; TAG_BYTES];
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_out_of_place_scatter(nonce, Aad::from(aad), plain, sealed, &[], &mut tag)
            .map_err(|_| CipherError)?;
        Ok(tag)
    }

    /// Opens `sealed` into `plain`, which has the same length. On error `plain` holds nothing of the block.
    ///
    /// # Errors
    /// The tag does not fit, or the lengths differ.
    pub(crate) fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        aad: &[u8],
        sealed: &[u8],
        tag: &[u8],
        plain: &mut [u8],
    ) -> Result<(), CipherError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        self.key
            .open_separate_gather(nonce, Aad::from(aad), sealed, tag, plain)
            .map_err(|_| {
                plain.fill(0);
                CipherError
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SeededRandomness;

    fn key(byte: u8) -> BlockKey {
        BlockKey::new(&Zeroizing::new([byte; KEY_BYTES])).unwrap()
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_that_was_touched() {
        let mut key = key(1);
        let nonce = key.next_nonce(&mut SeededRandomness::new(1));
        let (mut sealed, mut plain) = ([0xA5; 5], [0xA5; 5]);
        let tag = key.seal(nonce, b"aad", b"hello", &mut sealed).unwrap();
        key.open(nonce, b"aad", &sealed, &tag, &mut plain).unwrap();
        assert_eq!(&plain, b"hello");
        assert_eq!(key.open(nonce, b"AAD", &sealed, &tag, &mut plain), Err(CipherError));
        assert_eq!(plain, [0; 5]);
        assert_eq!(key.open(nonce, b"aad", &sealed, &tag, &mut [0; 4]), Err(CipherError));
    }

    #[test]
    fn never_repeats_a_nonce_even_when_the_counter_runs_out() {
        let mut key = key(1);
        let mut randomness = SeededRandomness::new(1);
        let first = key.next_nonce(&mut randomness);
        let second = key.next_nonce(&mut randomness);
        assert_eq!(
            (&first[..8], &first[8..], &second[8..]),
            (&second[..8], &[0, 0, 0, 0][..], &[0, 0, 0, 1][..])
        );
        key.nonce_counter = Some(u32::MAX);
        assert_ne!(key.next_nonce(&mut randomness)[..8], first[..8]);
    }

    #[test]
    fn tells_keys_apart_by_their_check_value() {
        assert_eq!(key(1).check(), key(1).check());
        assert_ne!(key(1).check(), key(2).check());
    }
}
