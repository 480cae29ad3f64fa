//! Randomness, as it is passed in: keys, nonces and identifiers are drawn from here and from nowhere else, so that a run can be
//! replayed from a seed.
//!
//! Only the programs in `src/bin/` make the real source.

use thiserror::Error;

/// A source of bytes that nobody can guess.
pub trait Entropy: Send + Sync {
    /// Fills all of `bytes`.
    ///
    /// # Errors
    /// [`EntropyError`] when the source gives nothing; `bytes` must then not be used.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The source of randomness failed. Nothing that needs a secret may go on.
#[derive(Debug, Error)]
#[error(
    "draw {wanted} random bytes: {reason}\nhint: the kernel's random source must work before keys can be made; see getrandom(2)"
)]
pub struct EntropyError {
    /// How many bytes were asked for.
    pub wanted: usize,
    /// What the source answered.
    pub reason: String,
}

/// Draws an array of `N` random bytes.
///
/// # Errors
/// As [`Entropy::fill`].
pub fn random_bytes<const N: usize>(entropy: &dyn Entropy) -> Result<[u8; N], EntropyError> {
    let mut bytes = [0; N];
    entropy.fill(&mut bytes)?;
    Ok(bytes)
}
