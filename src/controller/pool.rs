//! Pools as the caller names them: encrypted if the name begins with `ENCR_`, plain otherwise, and never a guess in between.

use thiserror::Error;

use crate::keysource::{GroupName, NameError};

/// A pool of volumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pool {
    /// Its volumes are encrypted under the keys of the group of the same name.
    Encrypted(GroupName),
    /// Its volumes are plain.
    Plain(GroupName),
}

/// A text names no pool.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PoolError {
    /// It breaks the rules for names.
    #[error(transparent)]
    Name(#[from] NameError),
    /// It looks like an encrypted pool and is none: a slip here would write plain blocks.
    #[error(
        "pool {name:?} almost has the prefix ENCR_: neither an encrypted pool nor surely a plain one\nhint: write ENCR_ in capitals with a name behind it, or rename the plain pool"
    )]
    AlmostEncrypted {
        /// The name.
        name: String,
    },
}

impl Pool {
    /// Reads the name of a pool.
    ///
    /// # Errors
    /// [`PoolError`] if it is no name, or too much like that of an encrypted pool.
    pub fn parse(text: &str) -> Result<Self, PoolError> {
        let name = GroupName::new(text)?;
        if name.is_for_tape() {
            return Ok(Self::Encrypted(name));
        }
        match text.get(..4) {
            Some(prefix) if prefix.eq_ignore_ascii_case("encr") => {
                Err(PoolError::AlmostEncrypted { name: text.into() })
            }
            _ => Ok(Self::Plain(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_prefix_makes_a_pool_encrypted_and_nothing_near_it_makes_one_plain() {
        assert!(matches!(Pool::parse("ENCR_daily"), Ok(Pool::Encrypted(_))));
        assert!(matches!(Pool::parse("Scratch"), Ok(Pool::Plain(_))));
        for near in ["encr_daily", "ENCR-daily", "Encr_x", "ENCR_", "ENCRdaily"] {
            assert!(
                matches!(Pool::parse(near), Err(PoolError::AlmostEncrypted { .. })),
                "{near}"
            );
        }
        for bad in ["", "a b", "x\n", "é", &"x".repeat(65)] {
            let error = Pool::parse(bad).unwrap_err();
            assert!(matches!(error, PoolError::Name(_)), "{bad:?}");
            assert!(error.to_string().contains("\nhint: "), "{error}");
        }
    }
}
