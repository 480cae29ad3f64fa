//! The kernel's randomness: the only place where a program of this package asks the machine for some.

use tapekey::entropy::{Entropy, EntropyError};

/// The kernel's randomness, getrandom(2).
pub(crate) struct KernelEntropy;

impl Entropy for KernelEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let wanted = bytes.len();
        getrandom::fill(bytes).map_err(|error| EntropyError {
            wanted,
            reason: error.to_string(),
        })
    }
}
