//! What can go wrong between a host and its KMS, told so that an operator knows where to look.

use std::fmt;

use reqwest::StatusCode;
use thiserror::Error;

use super::address::KmsAddress;
use crate::kms_api::ErrorCode;

/// What can be done about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// The same request may succeed later without anybody doing anything.
    Retry,
    /// A person has to change something first.
    AskOperator,
}

/// What one address did instead of serving the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unanswered {
    /// The address.
    pub address: KmsAddress,
    /// What happened.
    pub why: NoAnswer,
}

/// Why an address counts as unreachable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// No connection.
    #[error("no connection: {0}")]
    NotConnected(String),
    /// TLS refused the KMS, or the KMS refused our certificate.
    #[error("TLS: {0}")]
    Tls(String),
    /// Nothing came in time.
    #[error("no answer in {timeout_ms} ms")]
    TimedOut {
        /// How long was waited.
        timeout_ms: u128,
    },
    /// The connection broke, or what came is not HTTP.
    #[error("broken answer: {0}")]
    Broken(String),
    /// HTTP, but not what a KMS says.
    #[error("not an answer of a tapekey KMS: {0}")]
    Garbage(String),
    /// The KMS has no connection left for us. Nothing was done.
    #[error("the KMS is busy: {0}")]
    Busy(String),
    /// The KMS says that it cannot serve at present.
    #[error("the KMS failed ({status}): {error}")]
    Failed {
        /// The HTTP status, 5xx.
        status: StatusCode,
        /// The KMS's words.
        error: String,
        /// What to do, in the KMS's words.
        hint: String,
    },
}

/// A request to the KMS was not served. `attempt` says what was wanted; `Display` names every address asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KmsClientError {
    /// No address gave an answer that counts.
    #[error("{attempt}: no KMS answered{}\nhint: {}", Listed(asked), unreachable_hint(asked))]
    Unreachable {
        /// What was wanted.
        attempt: String,
        /// Every address, in the order asked.
        asked: Vec<Unanswered>,
    },
    /// A KMS answered no, and another one would not be asked for a better answer.
    #[error("{attempt}: {address} refused ({status}): {error}{}\nhint: {hint}", Listed(earlier))]
    Refused {
        /// What was wanted.
        attempt: String,
        /// Who refused.
        address: KmsAddress,
        /// The HTTP status, 4xx.
        status: StatusCode,
        /// Why, for programs.
        code: ErrorCode,
        /// Why, in the KMS's words.
        error: String,
        /// What to do, in the KMS's words.
        hint: String,
        /// The addresses asked before it.
        earlier: Vec<Unanswered>,
    },
    /// A change was sent and no answer came: it may have been made or not. Other addresses were not asked, so that it is not made twice.
    #[error(
        "{attempt}: {address} may or may not have done it: {why}{}\nhint: look with `tapekey kms status`, `key list` or `snapshot list` before trying again",
        Listed(earlier)
    )]
    Uncertain {
        /// What was wanted.
        attempt: String,
        /// Who was asked last.
        address: KmsAddress,
        /// What happened.
        why: NoAnswer,
        /// The addresses asked before it.
        earlier: Vec<Unanswered>,
    },
}

impl KmsClientError {
    /// What can be done.
    #[must_use]
    pub fn remedy(&self) -> Remedy {
        match self {
            Self::Unreachable { asked, .. } if !asked.iter().any(|one| matches!(one.why, NoAnswer::Tls(_))) => {
                Remedy::Retry
            }
            Self::Refused {
                code: ErrorCode::TooMany | ErrorCode::SlowBody,
                ..
            } => Remedy::Retry,
            Self::Unreachable { .. } | Self::Refused { .. } | Self::Uncertain { .. } => Remedy::AskOperator,
        }
    }

    /// Why a KMS refused, if one did.
    #[must_use]
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused { code, .. } => Some(*code),
            Self::Unreachable { .. } | Self::Uncertain { .. } => None,
        }
    }
}

struct Listed<'a>(&'a [Unanswered]);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .try_for_each(|one| write!(formatter, "\n  {}: {}", one.address, one.why))
    }
}

fn unreachable_hint(asked: &[Unanswered]) -> &str {
    let mut hints = asked.iter().filter_map(|one| match &one.why {
        NoAnswer::Failed { hint, .. } if !hint.is_empty() => Some(hint),
        _ => None,
    });
    if let Some(hint) = hints.next_back() {
        // A KMS that answers knows more than can be told from here.
        hint
    } else if asked.iter().any(|one| matches!(one.why, NoAnswer::Tls(_))) {
        "check the CA and the client certificate on this host, their dates, and that the address is in the KMS's certificate"
    } else if asked
        .iter()
        .any(|one| matches!(one.why, NoAnswer::Garbage(_) | NoAnswer::Broken(_)))
    {
        "check that the addresses are those of tapekey-kms and not of another service"
    } else if asked.iter().any(|one| matches!(one.why, NoAnswer::Failed { .. })) {
        "look into the log of tapekey-kms"
    } else if asked.iter().any(|one| matches!(one.why, NoAnswer::Busy(_))) {
        "ask again; if it stays so, see what holds its connections, or raise connections_max in kms.toml"
    } else {
        "check that tapekey-kms runs and that this host can reach it"
    }
}

/// Text of unknown origin, fit for one line of a log: cut and escaped.
pub(super) fn printable(text: &str) -> String {
    const SHOWN_MAX: usize = 300;
    let escaped = text.chars().flat_map(|character| {
        let keep = !character.is_control();
        keep.then_some(character)
            .into_iter()
            .chain((!keep).then(|| character.escape_default()).into_iter().flatten())
    });
    escaped.take(SHOWN_MAX).collect()
}
