//! What can be wrong with a fault or a script of faults.

use std::{io, path::PathBuf};
use thiserror::Error;

/// Why a script could not be used.
#[derive(Debug, Error)]
pub enum FaultScriptError {
    /// The file cannot be read.
    #[error("read faults from {path:?}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not TOML, or says what no script says.
    #[error("read faults from {path:?}: {source}\nhint: the words are in docs/simulator-faults.md")]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        source: toml::de::Error,
    },
    /// One of its faults can never strike, or contradicts itself.
    #[error("read faults from {path:?}: fault {number}: {source}")]
    Rule {
        /// The file.
        path: PathBuf,
        /// Its place in the script, from 1.
        number: usize,
        /// What is wrong.
        source: FaultRuleError,
    },
}

/// Why a fault can never strike, or contradicts itself.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum FaultRuleError {
    /// A count of zero.
    #[error("{field} is 0\nhint: commands are counted from 1")]
    Zero {
        /// Which count.
        field: &'static str,
    },
    /// A chance outside 0 to 1.
    #[error("the chance is not a number from 0 to 1\nhint: 0.01 is one command in a hundred")]
    Chance,
    /// Both a number of times and always.
    #[error("both times and always\nhint: leave one of them out")]
    TimesAndAlways,
    /// A status that is not what it says.
    #[error(
        "status {status:02X}h\nhint: 08h is BUSY, 18h RESERVATION CONFLICT, 28h TASK SET FULL; sense is a fault of its own"
    )]
    Status {
        /// What was given.
        status: u8,
    },
    /// A medium error somewhere else than at a block that is read or written.
    #[error("a medium error without a block\nhint: say at which block, by its object number from 0")]
    NoBlock,
    /// A unit that is not there.
    #[error(
        "there is no unit {unit}, the last is {last}\nhint: units are numbered from 0, the drives in bay order, then the changer"
    )]
    Unit {
        /// What was given.
        unit: usize,
        /// The last there is.
        last: usize,
    },
    /// A name that is no nexus' name.
    #[error("nexus {name:?}: not a name\nhint: 1 to 64 printable ASCII characters without a space")]
    Nexus {
        /// What was given.
        name: String,
    },
}
