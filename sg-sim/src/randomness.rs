//! Random numbers, passed in so that a run can be repeated from its seed.
//!
//! This room must never ask the operating system for randomness: programs pass in a source that does.

use aws_lc_rs::digest::{SHA256, digest};

/// A source of random bytes: nonces, page 0030h, the key of a stranger.
pub trait Randomness {
    /// Fills `out` with random bytes.
    ///
    /// Nonces are drawn from here, so outside tests the bytes must be unpredictable and never repeat.
    fn fill(&mut self, out: &mut [u8]);
}

/// Bytes that follow from a seed: SHA-256 of seed and a counter. For tests and replays, never for data of any worth.
#[derive(Clone, Debug)]
pub struct SeededRandomness {
    seed: u64,
    counter: u64,
}

impl SeededRandomness {
    /// The sequence that belongs to `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, counter: 0 }
    }
}

impl Randomness for SeededRandomness {
    fn fill(&mut self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let mut input = [0; 16];
            input[..8].copy_from_slice(&self.seed.to_be_bytes());
            input[8..].copy_from_slice(&self.counter.to_be_bytes());
            self.counter = self.counter.wrapping_add(1);
            for (byte, random) in chunk.iter_mut().zip(digest(&SHA256, &input).as_ref()) {
                *byte = *random;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_with_the_same_seed_and_only_then() {
        let draw = |seed| {
            let mut bytes = [0xA5; 40];
            SeededRandomness::new(seed).fill(&mut bytes);
            bytes
        };
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
        assert_ne!(draw(1)[..8], draw(1)[32..]);
    }
}
