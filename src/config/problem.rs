//! What can be wrong with a configuration, said with the file, the key and the remedy.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

/// The configuration cannot be used. Nothing was started or changed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file itself could not be read.
    #[error("read configuration {}: {reason}\nhint: check the name of the file, and let the daemon's user read it", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system answered.
        reason: String,
    },
    /// The file is not TOML of the known keys and types.
    #[error("{}, line {line}: {what}\nhint: docs/tapekeyd.toml shows every key with its meaning", file.display())]
    Syntax {
        /// The file.
        file: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What was expected and found.
        what: String,
    },
    /// The values do not make sense, each for its own reason.
    #[error("{}", list(file, problems))]
    Invalid {
        /// The file.
        file: PathBuf,
        /// Every problem found, in the order of the file's sections; never empty.
        problems: Vec<Problem>,
    },
}

/// One value that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The key, as `drive "d0": serial` or `kms.timeout_ms`.
    pub key: String,
    /// What is wrong with it.
    pub what: String,
    /// What to do.
    pub hint: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}\nhint: {}", self.key, self.what, self.hint)
    }
}

fn list(file: &std::path::Path, problems: &[Problem]) -> String {
    let lines = problems.iter().map(|problem| format!("{}: {problem}", file.display()));
    lines.collect::<Vec<_>>().join("\n")
}

/// The problems found so far; checking goes on after the first, so that one run tells all.
#[derive(Default)]
pub(super) struct Problems(Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, key: impl Into<String>, what: impl Into<String>, hint: impl Into<String>) {
        let problem = Problem {
            key: key.into(),
            what: what.into(),
            hint: hint.into(),
        };
        self.0.push(problem);
    }

    /// The configuration, unless a problem was found.
    pub(super) fn none_or<T>(self, file: PathBuf, checked: T) -> Result<T, ConfigError> {
        if self.0.is_empty() {
            Ok(checked)
        } else {
            Err(ConfigError::Invalid { file, problems: self.0 })
        }
    }
}
