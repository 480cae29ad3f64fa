//! What becomes of one block: the tables of READ by decryption mode and WRITE by encryption mode (SSC-4, "Reading encrypted blocks").

use super::parameters::{DecryptionMode, ParameterSet};
use crate::{
    Quirks,
    cartridge::{AES_256_GCM, ObjectKind, Record},
    sense::Sense,
};

/// Why a block was not given out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refusal {
    /// The block was sealed with another key.
    WrongKey,
    /// Anything else.
    Other(Sense),
}

impl Refusal {
    /// The sense of a READ that ends so.
    pub(crate) const fn sense(self) -> Sense {
        match self {
            Self::WrongKey => INCORRECT_KEY,
            Self::Other(sense) => sense,
        }
    }
}

/// Writes the block into `out`, which has its length, as the set in force allows.
///
/// # Errors
/// DATA PROTECT with the reason; `out` then holds nothing of the block.
pub(crate) fn deliver(
    record: &Record<'_>,
    set: Option<&ParameterSet>,
    quirks: &Quirks,
    out: &mut [u8],
) -> Result<(), Refusal> {
    let mode = set.map_or(DecryptionMode::Disable, |set| set.decryption_mode);
    if record.header.kind() != ObjectKind::Sealed {
        if mode == DecryptionMode::Decrypt {
            return Err(Refusal::Other(PLAIN_WHILE_DECRYPTING));
        }
        out.copy_from_slice(record.payload);
        return Ok(());
    }
    let Some(set) = set.filter(|_| mode != DecryptionMode::Disable) else {
        return Err(Refusal::Other(UNABLE_TO_DECRYPT));
    };
    // No block is ever written in EXTERNAL mode here, so only the check against ENCRYPT can hit.
    if set.ceem == 3 {
        return Err(Refusal::Other(Sense::from_code(quirks.encryption_mode_mismatch)));
    }
    if mode == DecryptionMode::Raw {
        if !record.header.raw_enabled() {
            return Err(Refusal::Other(Sense::from_code(quirks.raw_read_refused)));
        }
        out.copy_from_slice(record.payload);
        return Ok(());
    }
    open(record, set, quirks, out)
}

/// Decrypts a sealed block.
fn open(record: &Record<'_>, set: &ParameterSet, quirks: &Quirks, out: &mut [u8]) -> Result<(), Refusal> {
    let Some(key) = set.key.as_ref().filter(|_| record.header.algorithm() == AES_256_GCM) else {
        return Err(Refusal::Other(UNABLE_TO_DECRYPT));
    };
    if key.check() != record.header.key_check() {
        return Err(Refusal::WrongKey);
    }
    record
        .open(key, out)
        .map_err(|_| Refusal::Other(Sense::from_code(quirks.integrity_failure)))
}

const UNABLE_TO_DECRYPT: Sense = Sense::new(0x7, 0x74, 0x01);
const PLAIN_WHILE_DECRYPTING: Sense = Sense::new(0x7, 0x74, 0x02);
const INCORRECT_KEY: Sense = Sense::new(0x7, 0x74, 0x03);
