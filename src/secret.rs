//! The only owner of plaintext key bytes: every key that can encrypt a block or open a sealed record lives in a type of this file.
//!
//! No type here has `Debug`, `Display`, `Clone` or `Serialize`, so no type that holds one can derive them; bytes are wiped on drop and
//! compared in constant time. Nothing here reads a file, a socket or a clock.

use aes_gcm::aead::{Aead, KeyInit, Payload};
use aes_gcm::{Aes256Gcm, Nonce};
use subtle::ConstantTimeEq;
use thiserror::Error;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, EntropyError, random_bytes};

/// Bytes of an AES-256 key.
pub const KEY_LENGTH: usize = 32;

/// Bytes of an AES-GCM nonce.
const NONCE_LENGTH: usize = 12;

/// A plaintext AES-256 key that encrypts blocks on tape, or from which such keys are derived.
pub struct DataKey(Box<[u8; KEY_LENGTH]>);

impl DataKey {
    /// Takes the key out of `bytes`, which are wiped.
    pub fn take(bytes: &mut [u8; KEY_LENGTH]) -> Self {
        let mut key = Box::new([0; KEY_LENGTH]);
        key.copy_from_slice(bytes);
        bytes.zeroize();
        Self(key)
    }

    /// Draws a new key.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let mut key = Box::new([0; KEY_LENGTH]);
        entropy.fill(key.as_mut_slice())?;
        Ok(Self(key))
    }

    /// Takes the key out of a slice of any length, which is wiped either way.
    ///
    /// # Errors
    /// [`WrongKeyLength`] unless the slice has exactly 32 bytes.
    pub fn take_slice(bytes: &mut [u8]) -> Result<Self, WrongKeyLength> {
        let taken = match <&mut [u8; KEY_LENGTH]>::try_from(&mut *bytes) {
            Ok(key) => Ok(Self::take(key)),
            Err(_) => Err(WrongKeyLength { found: bytes.len() }),
        };
        bytes.zeroize();
        taken
    }

    /// The same key once more, for a key that leaves while the first stays: both are wiped, each in its own time.
    #[must_use]
    pub fn copy_to_release(&self) -> Self {
        Self(self.0.clone())
    }

    /// The key's bytes, for the one call that needs them. Never copy them anywhere that is not wiped.
    #[must_use]
    pub fn expose(&self) -> &[u8; KEY_LENGTH] {
        &self.0
    }
}

impl PartialEq for DataKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(other.0.as_slice()).into()
    }
}

impl Eq for DataKey {}

impl Drop for DataKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// Keeps what this process holds to itself: no core dump, and no debugger of the same user. Every program that holds keys calls it first.
///
/// # Errors
/// What the kernel answers; the program must not go on then.
pub fn keep_in_this_process() -> nix::Result<()> {
    use nix::sys::resource::{Resource, setrlimit};
    setrlimit(Resource::RLIMIT_CORE, 0, 0)?;
    nix::sys::prctl::set_dumpable(false)
}

/// Something offered as a key has the wrong length.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key has {KEY_LENGTH} bytes, this one {found}\nhint: only AES-256 keys are used on tape")]
pub struct WrongKeyLength {
    /// How many bytes were offered.
    pub found: usize,
}

/// A key that seals other secrets at rest: the host master key, or a key protection key under it.
pub struct SealingKey(DataKey);

/// A secret under a [`SealingKey`]: AES-256-GCM, bound to the additional data it was sealed with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The nonce, drawn anew for every sealing.
    pub nonce: [u8; NONCE_LENGTH],
    /// Cipher text and tag.
    pub sealed: Vec<u8>,
}

impl SealingKey {
    /// Uses `key` for sealing.
    #[must_use]
    pub fn new(key: DataKey) -> Self {
        Self(key)
    }

    /// The key itself, to be sealed under another one.
    #[must_use]
    pub fn as_key(&self) -> &DataKey {
        &self.0
    }

    /// Seals `secret`; it opens again only with the same `bound_to`.
    ///
    /// # Errors
    /// As [`Entropy::fill`]; sealing itself cannot fail for secrets that fit in memory.
    pub fn seal(&self, entropy: &dyn Entropy, secret: &[u8], bound_to: &[u8]) -> Result<Sealed, EntropyError> {
        let nonce = random_bytes(entropy)?;
        let payload = Payload {
            msg: secret,
            aad: bound_to,
        };
        let sealed = self
            .cipher()
            .encrypt(&Nonce::from(nonce), payload)
            .map_err(|error| EntropyError {
                wanted: secret.len(),
                reason: format!("the secret is too long to seal: {error}"),
            })?;
        Ok(Sealed { nonce, sealed })
    }

    /// Opens what [`SealingKey::seal`] made. The result is wiped on drop.
    ///
    /// # Errors
    /// [`OpenError`] if anything is not as it was sealed: the key, the bytes, or `bound_to`.
    pub fn open(&self, sealed: &Sealed, bound_to: &[u8]) -> Result<Zeroizing<Vec<u8>>, OpenError> {
        let payload = Payload {
            msg: &sealed.sealed,
            aad: bound_to,
        };
        self.cipher()
            .decrypt(&Nonce::from(sealed.nonce), payload)
            .map(Zeroizing::new)
            .map_err(|_| OpenError)
    }

    /// Opens a sealed data key.
    ///
    /// # Errors
    /// [`OpenError`] as [`SealingKey::open`], also if what was sealed is no key.
    pub fn open_key(&self, sealed: &Sealed, bound_to: &[u8]) -> Result<DataKey, OpenError> {
        let mut key = self.open(sealed, bound_to)?;
        DataKey::take_slice(&mut key).map_err(|_| OpenError)
    }

    fn cipher(&self) -> Aes256Gcm {
        Aes256Gcm::new(self.0.expose().into())
    }
}

/// A sealed secret did not open: wrong sealing key, altered bytes, or altered fields beside them. Which of these cannot be known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a sealed secret did not open: the sealing key is another one, or the record was altered")]
pub struct OpenError;

/// A [`DataKey`] as base64 text, for the one place where it crosses the wire inside TLS. Use with `#[serde(with = "…")]`.
pub mod wire {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use zeroize::Zeroizing;

    use super::DataKey;

    /// Writes the key as base64.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(key: &DataKey, serializer: S) -> Result<S::Ok, S::Error> {
        Zeroizing::new(STANDARD.encode(key.expose())).serialize(serializer)
    }

    /// Reads a key from base64. The error never repeats the text.
    ///
    /// # Errors
    /// Anything but the base64 of exactly 32 bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<DataKey, D::Error> {
        let text =
            Zeroizing::new(String::deserialize(deserializer).map_err(|_| D::Error::custom("a key must be text"))?);
        let mut bytes = Zeroizing::new(
            STANDARD
                .decode(text.as_bytes())
                .map_err(|_| D::Error::custom("a key must be base64"))?,
        );
        DataKey::take_slice(&mut bytes).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting;

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.iter_mut().zip(1..).for_each(|(byte, value)| *byte = value);
            Ok(())
        }
    }

    #[test]
    fn a_process_that_keeps_its_secrets_leaves_no_core_and_cannot_be_looked_into() {
        use nix::sys::resource::{Resource, getrlimit};
        keep_in_this_process().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_CORE), Ok((0, 0)));
        assert_eq!(nix::sys::prctl::get_dumpable(), Ok(false));
    }

    #[test]
    fn taking_a_key_wipes_where_it_came_from() {
        let mut source = [7; KEY_LENGTH];
        let key = DataKey::take(&mut source);
        assert_eq!((key.expose(), source), (&[7; KEY_LENGTH], [0; KEY_LENGTH]));
        let mut too_long = [7; KEY_LENGTH + 1];
        assert_eq!(
            DataKey::take_slice(&mut too_long).err(),
            Some(WrongKeyLength { found: KEY_LENGTH + 1 })
        );
        assert_eq!(too_long, [0; KEY_LENGTH + 1]);
    }

    #[test]
    fn a_sealed_secret_opens_only_under_its_key_with_its_fields() {
        let key = SealingKey::new(DataKey::take(&mut [1; KEY_LENGTH]));
        let other = SealingKey::new(DataKey::take(&mut [2; KEY_LENGTH]));
        let mut sealed = key.seal(&Counting, b"the secret", b"fields").unwrap();
        assert!(!sealed.sealed.windows(10).any(|window| window == b"the secret"));
        assert_eq!(key.open(&sealed, b"fields").unwrap().as_slice(), b"the secret");
        assert_eq!(key.open(&sealed, b"field").err(), Some(OpenError));
        assert_eq!(other.open(&sealed, b"fields").err(), Some(OpenError));
        for byte in 0..sealed.sealed.len() {
            sealed.sealed[byte] ^= 1;
            assert_eq!(
                key.open(&sealed, b"fields").err(),
                Some(OpenError),
                "byte {byte} was altered"
            );
            sealed.sealed[byte] ^= 1;
        }
        assert!(key.open_key(&sealed, b"fields").is_err(), "ten bytes are no key");
    }

    #[test]
    fn the_wire_form_is_base64_and_its_errors_do_not_repeat_the_text() {
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Carrier {
            #[serde(with = "wire")]
            key: DataKey,
        }
        let text = serde_json::to_string(&Carrier {
            key: DataKey::take(&mut [0xFF; KEY_LENGTH]),
        })
        .unwrap();
        assert_eq!(text, r#"{"key":"//////////////////////////////////////////8="}"#);
        assert!(serde_json::from_str::<Carrier>(&text).unwrap().key == DataKey::take(&mut [0xFF; KEY_LENGTH]));
        for bad in [r#"{"key":"c2VjcmV0"}"#, r#"{"key":"c2VjcmV0!"}"#, r#"{"key":5}"#] {
            let error = serde_json::from_str::<Carrier>(bad).err().unwrap().to_string();
            assert!(!error.contains("c2Vj"), "{error}");
        }
    }
}
