//! The token that makes a host a client of the KMS: typed or pasted once, good for an hour and for one certificate.
//!
//! It carries the fingerprint of the KMS's root CA, so that a host knows the right KMS before it says the secret.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// What a token begins with, so that it is known for one wherever it turns up.
const PREFIX: &str = "tapekey-enroll-1.";

const ID_LENGTH: usize = 16;
const SECRET_LENGTH: usize = 32;
const FINGERPRINT_LENGTH: usize = 32;

/// Most bytes of a token as text, with room for a line end.
pub const ENROLL_TOKEN_LENGTH_MAX: usize = 256;

/// A token. No `Debug`: it is a secret.
pub struct EnrollToken {
    /// Which one it is.
    pub id: [u8; ID_LENGTH],
    /// What proves that it was given.
    pub secret: Zeroizing<[u8; SECRET_LENGTH]>,
    /// SHA-256 of the root CA's certificate.
    pub ca: [u8; FINGERPRINT_LENGTH],
}

impl EnrollToken {
    /// Reads a token.
    ///
    /// # Errors
    /// What is wrong, without a word of the text.
    pub fn from_text(text: &str) -> Result<Self, &'static str> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or("it does not begin as one")?;
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map(Zeroizing::new);
        let bytes = bytes.map_err(|_| "it has a character too many, too few or changed")?;
        let read = bytes.split_first_chunk().and_then(|(id, rest)| {
            let (secret, ca) = rest.split_first_chunk()?;
            Some(Self {
                id: *id,
                secret: Zeroizing::new(*secret),
                ca: ca.try_into().ok()?,
            })
        });
        read.ok_or("its length is wrong")
    }

    /// The token as people pass it on.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(Vec::with_capacity(ID_LENGTH + SECRET_LENGTH + FINGERPRINT_LENGTH));
        bytes.extend_from_slice(&self.id);
        bytes.extend_from_slice(&*self.secret);
        bytes.extend_from_slice(&self.ca);
        let mut text = Zeroizing::new(String::with_capacity(ENROLL_TOKEN_LENGTH_MAX));
        text.push_str(PREFIX);
        URL_SAFE_NO_PAD.encode_string(&*bytes, &mut text);
        text
    }

    /// What the KMS keeps instead of the secret.
    #[must_use]
    pub fn digest(id: &[u8], secret: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new();
        digest.update(id);
        digest.update(secret);
        digest.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_a_mistyped_one_is_refused() {
        let token = EnrollToken {
            id: [1; 16],
            secret: Zeroizing::new([2; 32]),
            ca: [3; 32],
        };
        let text = token.to_text();
        let again = EnrollToken::from_text(&format!(" {}\n", *text)).ok().unwrap();
        assert_eq!((again.id, *again.secret, again.ca), ([1; 16], [2; 32], [3; 32]));
        assert!(text.len() <= ENROLL_TOKEN_LENGTH_MAX && text.is_ascii());
        for cut in 0..text.len() {
            assert!(EnrollToken::from_text(&text[..cut]).is_err(), "{cut} characters of it");
        }
        assert!(EnrollToken::from_text(&format!("{}A", *text)).is_err());
    }
}
