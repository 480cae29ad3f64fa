//! Passphrases from people: a new one, proposed and typed twice, or one that exists, typed once. In a script both come from a file
//! descriptor.

use std::io;

use thiserror::Error;

use super::{Terminal, read_descriptor};
use crate::entropy::{Entropy, EntropyError};
use crate::passphrase::{PASSPHRASE_LENGTH_MAX, PROPOSED_BITS, PROPOSED_WORDS, Passphrase, PassphraseError};

/// Longest line that may hold a passphrase, with its line end.
const LINE_LENGTH_MAX: usize = PASSPHRASE_LENGTH_MAX + 2;

/// No passphrase was had.
#[derive(Debug, Error)]
pub enum AskError {
    /// There is nobody to ask.
    #[error(
        "ask for the passphrase: there is no terminal: {source}\nhint: run this in a terminal, or use --passphrase-fd"
    )]
    NoTerminal {
        /// What the system answered.
        source: io::Error,
    },
    /// The terminal went away, or the person gave up.
    #[error("ask for the passphrase: {source}\nhint: try again")]
    Terminal {
        /// What happened.
        source: io::Error,
    },
    /// The descriptor gives none.
    #[error("passphrase: {source}")]
    Descriptor {
        /// What happened, with a remedy where there is one.
        source: io::Error,
    },
    /// What was typed or read is none.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// Two different ones.
    #[error("the two passphrases differ; nothing was made\nhint: try again")]
    Differ,
    /// Weaker than the proposal.
    #[error(
        "the passphrase shows {bits} bits at most, a proposal has {PROPOSED_BITS}; nothing was made\nhint: take the proposal, or at least {PROPOSED_WORDS} different words; --weak accepts less and is audited"
    )]
    Weak {
        /// What it shows.
        bits: u32,
    },
    /// Nothing can be proposed.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
}

/// Where a passphrase comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A person at the terminal.
    Terminal,
    /// A file descriptor that this program was started with.
    Descriptor(u32),
}

impl Source {
    /// The descriptor, if one was named.
    #[must_use]
    pub fn descriptor_or_terminal(descriptor: Option<u32>) -> Self {
        descriptor.map_or(Self::Terminal, Self::Descriptor)
    }
}

/// A new passphrase; on the terminal eight words are proposed, and it is typed twice.
///
/// # Errors
/// [`AskError`]; [`AskError::Weak`] unless `weak` accepts that.
pub fn ask_new(from: Source, weak: bool, entropy: &dyn Entropy) -> Result<Passphrase, AskError> {
    let passphrase = match from {
        Source::Terminal => propose_and_ask(entropy)?,
        Source::Descriptor(descriptor) => from_descriptor(descriptor)?,
    };
    if passphrase.is_weak() && !weak {
        return Err(AskError::Weak {
            bits: passphrase.bits(),
        });
    }
    Ok(passphrase)
}

/// A passphrase that exists; `prompt` says which.
///
/// # Errors
/// [`AskError`].
pub fn ask_known(from: Source, prompt: &str) -> Result<Passphrase, AskError> {
    match from {
        Source::Terminal => ask(&open()?, prompt),
        Source::Descriptor(descriptor) => from_descriptor(descriptor),
    }
}

fn open() -> Result<Terminal, AskError> {
    Terminal::open().map_err(|source| AskError::NoTerminal { source })
}

fn ask(terminal: &Terminal, prompt: &str) -> Result<Passphrase, AskError> {
    let typed = terminal.ask_secret(prompt, LINE_LENGTH_MAX);
    Ok(Passphrase::read(&typed.map_err(broken)?)?)
}

fn propose_and_ask(entropy: &dyn Entropy) -> Result<Passphrase, AskError> {
    let terminal = open()?;
    let proposal = Passphrase::propose(entropy)?;
    terminal
        .say(&format!(
            "Proposed passphrase, {PROPOSED_WORDS} words drawn from 2048, {PROPOSED_BITS} bits:\n\n    "
        ))
        .and_then(|()| terminal.say(proposal.expose()))
        .and_then(|()| terminal.say("\n\nWrite it down. Then type it, or one of your own; it is not shown.\n"))
        .map_err(broken)?;
    let (first, second) = (ask(&terminal, "Passphrase: ")?, ask(&terminal, "Once more:  ")?);
    if first == second {
        Ok(first)
    } else {
        Err(AskError::Differ)
    }
}

fn broken(source: io::Error) -> AskError {
    AskError::Terminal { source }
}

fn from_descriptor(descriptor: u32) -> Result<Passphrase, AskError> {
    let bytes = read_descriptor(descriptor, LINE_LENGTH_MAX).map_err(|source| AskError::Descriptor { source })?;
    Ok(Passphrase::read(&bytes)?)
}
