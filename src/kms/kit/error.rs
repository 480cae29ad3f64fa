//! What can go wrong with a recovery kit. Nothing here repeats a passphrase or a byte of a key.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::lines::Problems;
use crate::entropy::EntropyError;
use crate::passphrase::PassphraseError;

/// A kit was not made, or cannot be read.
#[derive(Debug, Error)]
pub enum KitError {
    /// The disk said no.
    #[error("{attempt} {path}: {source}\nhint: check the name, that it may be read and written here, and free space", path = path.display())]
    File {
        /// What was tried.
        attempt: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no line of a kit in what was given.
    #[error(
        "there is no line of a recovery kit in it{}\nhint: lines of a kit look like \"K7QX 0001  ABCD EFGH …\"; give all pages, also those with nothing but such lines",
        shown(problems)
    )]
    NoLines {
        /// What looks like one.
        problems: Problems,
    },
    /// Lines are wrong or missing.
    #[error(
        "the recovery kit is not complete:{}\nhint: compare these lines with the paper and give all lines again; their order does not matter",
        shown(problems)
    )]
    Lines {
        /// Which, and what is wrong with each.
        problems: Problems,
    },
    /// From a newer program.
    #[error(
        "this recovery kit has version {found}, this program knows up to {known}\nhint: use the tapekey-kms that made it, or a newer one; the kit's own first pages say how to open it without"
    )]
    Newer {
        /// Its version.
        found: u8,
        /// Ours.
        known: u8,
    },
    /// Every line fits its check and yet it is none of ours.
    #[error("this is no recovery kit: {problem}\nhint: take another copy of the kit")]
    Malformed {
        /// What is wrong.
        problem: &'static str,
    },
    /// The passphrase cannot be one, or no key can be made of it.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The seal does not open.
    #[error(
        "the recovery kit does not open: the passphrase is another one, or the kit was altered\nhint: every line fits its check, so look at the passphrase first: capital letters, spaces, spelling"
    )]
    DoesNotOpen,
    /// More than a kit can hold.
    #[error(
        "a recovery kit holds at most {most} bytes of keys, these have {found}\nhint: keep snapshots of a store of this size, apart from the host master key"
    )]
    TooLong {
        /// How long they are.
        found: usize,
        /// The limit.
        most: usize,
    },
    /// No randomness.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

impl KitError {
    /// For `map_err`: `attempt` on `path` failed.
    pub(super) fn file(attempt: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            attempt,
            path: path.clone(),
            source,
        }
    }
}

fn shown(problems: &Problems) -> String {
    problems.0.iter().map(|problem| format!("\n  {problem}")).collect()
}
