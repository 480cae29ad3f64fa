//! Passphrases that keys are made of, so that passphrase and tape are enough to read it: proposing one, judging one, turning one into a key.
//!
//! The way from passphrase to key is frozen: `tests/vectors/kad-v1.json` pins it (Argon2id, RFC 9106, version 13h). Nothing here asks anybody
//! or prints; no type here shows a passphrase, and every buffer of our own that held one is wiped.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use thiserror::Error;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

use crate::entropy::{Entropy, EntropyError, random_bytes};
use crate::kad::KeyId;
use crate::secret::{DataKey, KEY_LENGTH};

/// Words of a proposal.
pub const PROPOSED_WORDS: u32 = 8;

/// What one word drawn from the list adds, in bits: there are 2^11 words.
const WORD_BITS: u32 = 11;

/// Bits of a proposal. A passphrase that shows fewer is weak.
pub const PROPOSED_BITS: u32 = PROPOSED_WORDS * WORD_BITS;

/// What a character of a word that is no plain word is taken to add, in bits; a random character of base64 has 6, of hex 4.
const CHARACTER_BITS: u32 = 4;

/// Most bytes of a passphrase, so that nobody feeds a file that is none.
pub const PASSPHRASE_LENGTH_MAX: usize = 1024;

/// 2048 short words, made for this program.
const WORDS: &str = include_str!("passphrase/words.txt");

/// What Argon2id is told to spend. Numbers that come out of a file are refused beyond what a machine of today can bear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cost {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Passes over the memory.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl Cost {
    /// What every passphrase is turned into a key with.
    pub const OURS: Self = Self {
        memory_kib: 64 * 1024,
        passes: 3,
        lanes: 1,
    };

    /// Most that is spent: 1 GiB, 64 passes, 16 lanes.
    const MOST: Self = Self {
        memory_kib: 1024 * 1024,
        passes: 64,
        lanes: 16,
    };

    fn is_bearable(self) -> bool {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        memory_kib <= Self::MOST.memory_kib && passes <= Self::MOST.passes && lanes <= Self::MOST.lanes
    }
}

/// A passphrase in the form that is hashed: UTF-8, NFC, without the newline it was typed with. No `Debug`: it is as good as the key.
pub struct Passphrase(Zeroizing<String>);

/// A passphrase cannot be used. No variant holds a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PassphraseError {
    /// Nothing was given.
    #[error("the passphrase is empty\nhint: give at least eight words, or take the proposal")]
    Empty,
    /// More than anybody types.
    #[error(
        "the passphrase has more than {PASSPHRASE_LENGTH_MAX} bytes\nhint: is that the right file? It must hold the passphrase alone"
    )]
    TooLong,
    /// Bytes that are no text.
    #[error(
        "the passphrase is not UTF-8\nhint: store it as UTF-8 text; other encodings would give another key on another machine"
    )]
    NotText,
    /// A character that nobody can type again for sure.
    #[error(
        "the passphrase has a control character in it, such as a tab or a second line\nhint: one line of text, with spaces between words"
    )]
    ControlCharacter,
    /// Argon2 needs its memory.
    #[error("make a key of the passphrase: no {mebibytes} MiB of memory\nhint: free some memory and try again")]
    NoMemory {
        /// How much it needs.
        mebibytes: u32,
    },
    /// Numbers that Argon2 does not take, or that nobody can mean.
    #[error(
        "make a key of the passphrase: {} KiB of memory, {} passes and {} lanes are asked for, which is not possible here\nhint: what asks for it is damaged, or not from this program", cost.memory_kib, cost.passes, cost.lanes
    )]
    Cost {
        /// What was asked for.
        cost: Cost,
    },
}

impl Passphrase {
    /// Reads a passphrase as typed or stored: one newline at its end is no part of it, everything else is.
    ///
    /// # Errors
    /// [`PassphraseError`]: empty, too long, not UTF-8, control characters.
    pub fn read(bytes: &[u8]) -> Result<Self, PassphraseError> {
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if bytes.len() > PASSPHRASE_LENGTH_MAX {
            return Err(PassphraseError::TooLong);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| PassphraseError::NotText)?;
        if text.is_empty() {
            return Err(PassphraseError::Empty);
        }
        if text.chars().any(char::is_control) {
            return Err(PassphraseError::ControlCharacter);
        }
        // NFC makes UTF-8 at most three times as long (Unicode Standard Annex 15): reserved whole, so that growing leaves no copy.
        let mut normal = Zeroizing::new(String::with_capacity(text.len() * 3));
        normal.extend(text.nfc());
        Ok(Self(normal))
    }

    /// Draws eight words, each from 2048: 88 bits.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn propose(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        let mut text = Zeroizing::new(String::with_capacity(PASSPHRASE_LENGTH_MAX));
        for _ in 0..PROPOSED_WORDS {
            let drawn = Zeroizing::new(random_bytes::<2>(entropy)?);
            // 2^16 is a multiple of the 2^11 words, so every word is as likely as any other.
            let index = usize::from(u16::from_be_bytes(*drawn)) % words.len();
            if !text.is_empty() {
                text.push(' ');
            }
            text.push_str(words.get(index).copied().unwrap_or_default());
        }
        Ok(Self(text))
    }

    /// The text, to be shown to the one who must write it down.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// A cautious guess of its strength. A word of letters counts as one drawn from the list whatever it is, anything else 4 bits a
    /// character, repetitions not at all. How it was chosen cannot be seen: eight words of a song count 88 bits too.
    #[must_use]
    pub fn bits(&self) -> u32 {
        let mut seen: Vec<&str> = Vec::new();
        let mut bits = 0_u32;
        for word in self.0.split_whitespace() {
            if seen.contains(&word) {
                continue;
            }
            seen.push(word);
            bits = bits.saturating_add(word_bits(word));
        }
        bits
    }

    /// Whether it shows fewer bits than a proposal has.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.bits() < PROPOSED_BITS
    }

    /// The key with that id: Argon2id, 64 MiB, 3 passes, 1 lane, salt the key id. Takes about a second.
    ///
    /// # Errors
    /// [`PassphraseError::NoMemory`].
    pub fn derive(&self, id: KeyId) -> Result<DataKey, PassphraseError> {
        self.derive_with(&id.0, Cost::OURS)
    }

    /// The key that follows with `salt` at that `cost`: Argon2id, version 13h, 32 bytes.
    ///
    /// # Errors
    /// [`PassphraseError::NoMemory`]; [`PassphraseError::Cost`] before anything is spent.
    pub fn derive_with(&self, salt: &[u8; 16], cost: Cost) -> Result<DataKey, PassphraseError> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_LENGTH)).ok();
        let params = params
            .filter(|_| cost.is_bearable())
            .ok_or(PassphraseError::Cost { cost })?;
        let no_memory = PassphraseError::NoMemory {
            mebibytes: cost.memory_kib.div_ceil(1024),
        };
        let mut blocks: Vec<Block> = Vec::new();
        blocks.try_reserve_exact(params.block_count()).map_err(|_| no_memory)?;
        blocks.resize(params.block_count(), Block::default());
        let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
            self.0.as_bytes(),
            salt,
            key.as_mut_slice(),
            blocks.as_mut_slice(),
        );
        blocks.iter_mut().for_each(Zeroize::zeroize);
        // Nothing but memory can be wrong: lengths of salt and key are within what Argon2 takes, and so is the passphrase's.
        hashed.map_err(|_| no_memory)?;
        Ok(DataKey::take(&mut key))
    }
}

impl PartialEq for Passphrase {
    fn eq(&self, other: &Self) -> bool {
        subtle::ConstantTimeEq::ct_eq(self.0.as_bytes(), other.0.as_bytes()).into()
    }
}

fn word_bits(word: &str) -> u32 {
    if word.chars().all(char::is_alphabetic) {
        return WORD_BITS;
    }
    let mut distinct: Vec<char> = word.chars().collect();
    let length = distinct.len();
    distinct.sort_unstable();
    distinct.dedup();
    let counted = length.min(distinct.len() * 2);
    distinct.zeroize();
    u32::try_from(counted)
        .unwrap_or(u32::MAX)
        .saturating_mul(CHARACTER_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Passphrase {
        Passphrase::read(text.as_bytes()).ok().unwrap()
    }

    struct Seeded(std::sync::Mutex<u16>);

    impl Entropy for Seeded {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            let mut next = self.0.lock().unwrap();
            *next = next.wrapping_mul(25_173).wrapping_add(13_849);
            bytes.copy_from_slice(&next.to_be_bytes());
            Ok(())
        }
    }

    #[test]
    fn the_list_has_2048_different_short_words_in_order() {
        let words: Vec<&str> = WORDS.split_whitespace().collect();
        assert_eq!(words.len(), 1 << WORD_BITS);
        assert!(words.windows(2).all(|pair| pair[0] < pair[1]));
        let fine = |word: &&str| (3..=7).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_lowercase());
        assert!(words.iter().all(fine));
    }

    #[test]
    fn a_proposal_has_eight_words_of_the_list_and_is_not_weak_unless_two_are_alike() {
        let seed = Seeded(std::sync::Mutex::new(3));
        for _ in 0..100 {
            let proposal = Passphrase::propose(&seed).unwrap();
            let words: Vec<&str> = proposal.expose().split(' ').collect();
            let list: Vec<&str> = WORDS.split_whitespace().collect();
            assert!(words.len() == 8 && words.iter().all(|word| list.contains(word)));
            let different: std::collections::BTreeSet<&&str> = words.iter().collect();
            assert_eq!(proposal.is_weak(), different.len() < 8, "{words:?}");
            assert!(Passphrase::read(proposal.expose().as_bytes()).ok().unwrap() == proposal);
        }
    }

    #[test]
    fn one_newline_is_taken_off_and_nothing_else() {
        for (typed, kept) in [
            ("a b\n", "a b"),
            ("a b\r\n", "a b"),
            (" a b ", " a b "),
            ("a  b", "a  b"),
        ] {
            assert_eq!(read(typed).expose(), kept);
        }
        for (bad, error) in [
            (b"".as_slice(), PassphraseError::Empty),
            (b"\n", PassphraseError::Empty),
            (b"a\n\n", PassphraseError::ControlCharacter),
            (b"a\tb", PassphraseError::ControlCharacter),
            (b"a\0", PassphraseError::ControlCharacter),
            (b"\xff", PassphraseError::NotText),
            (&[b'x'; PASSPHRASE_LENGTH_MAX + 1], PassphraseError::TooLong),
        ] {
            assert_eq!(Passphrase::read(bad).err(), Some(error), "{bad:?}");
        }
        assert!(Passphrase::read(&[b'x'; PASSPHRASE_LENGTH_MAX]).is_ok());
    }

    #[test]
    fn what_a_file_asks_argon2_to_spend_is_bounded_before_it_is_spent() {
        let passphrase = read("a b c");
        for (memory_kib, passes, lanes) in [
            (u32::MAX, 3, 1),
            (1024 * 1024 + 1, 1, 1),
            (64, u32::MAX, 1),
            (64, 65, 1),
            (1024, 1, 17),
            (0, 1, 1),
            (64, 0, 1),
            (64, 1, 0),
        ] {
            let cost = Cost {
                memory_kib,
                passes,
                lanes,
            };
            let refused = passphrase.derive_with(&[0; 16], cost).err();
            assert_eq!(refused, Some(PassphraseError::Cost { cost }), "{cost:?}");
        }
    }

    #[test]
    fn strength_is_judged_cautiously() {
        for (text, bits) in [
            ("orbit lemon castle river paper quiet falcon seven", 88),
            ("orbit orbit orbit orbit orbit orbit orbit orbit", 11),
            ("Schlüssel für Bänder", 33),
            ("antidisestablishmentarianism", 11),
            ("Password1!", 40),
            ("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa1", 16),
            ("q83vEjRWeJCrze8SNFZ4kA==", 96),
            ("0123456789abcdef0123456789abcdef", 128),
        ] {
            assert_eq!(read(text).bits(), bits, "{text}");
        }
    }
}
