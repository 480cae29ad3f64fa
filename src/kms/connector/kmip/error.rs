//! What can be wrong with a server: with its settings, with the way to it, with its answers. No variant holds a byte of a reply.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::endpoint::Endpoint;
use super::reason::{Failure, Meaning};
use super::reply::Unreadable;
use crate::kms::connector::Answer;

/// The settings of a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KmipError {
    /// There is nowhere to connect to.
    #[error("server {server} has no endpoint\nhint: give at least one HOST:PORT; the usual port is 5696")]
    NoEndpoint {
        /// The server.
        server: String,
    },
    /// A text is no endpoint.
    #[error("\"{shown}\" is no endpoint\nhint: HOST:PORT, an IPv6 address in brackets; the usual port is 5696")]
    BadEndpoint {
        /// The text with everything unprintable escaped, cut if long.
        shown: String,
    },
    /// A text is no group attribute.
    #[error("\"{shown}\" is no group attribute\nhint: one of x-keygroup, object-group, asi")]
    BadGroupAttribute {
        /// The text with everything unprintable escaped, cut if long.
        shown: String,
    },
    /// A certificate to trust is none, or there is none.
    #[error(
        "server {server}: a certificate to trust cannot be used: {problem}\nhint: give the CA of the server's certificate in PEM"
    )]
    Trust {
        /// The server.
        server: String,
        /// What is wrong.
        problem: String,
    },
    /// Our own certificate or its key is none, or they do not fit.
    #[error(
        "server {server}: the client certificate cannot be used: {problem}\nhint: certificate and private key must be a pair, both in PEM"
    )]
    OwnCertificate {
        /// The server.
        server: String,
        /// What is wrong.
        problem: String,
    },
}

/// The way to one endpoint.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(super) enum Lost {
    #[error("{0}")]
    NotConnected(String),
    /// One of the two certificates, or what else TLS needs to agree on.
    #[error("{0}")]
    Certificate(String),
    /// The connection ended before its first reply and without a word of why. Most often that is the certificate too.
    #[error("{0}")]
    Unwelcome(String),
    #[error("no answer in {} ms", .0.as_millis())]
    TimedOut(Duration),
    /// The connection ended; `unanswered` if not one byte of the reply had come.
    #[error("connection broken: {problem}")]
    Broken { problem: String, unanswered: bool },
    #[error("its reply {0}")]
    Unreadable(#[from] Unreadable),
    /// A change was sent, and nothing is known of it.
    #[error("{0}; it is not known whether the change was made\nhint: look on the server before trying again")]
    Uncertain(Box<Lost>),
}

/// There is no answer to a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// No endpoint gave one; what each of them did.
    Unanswered(Vec<(Endpoint, Lost)>),
    Failed(Failure),
    /// There is no such key; in more words.
    NoKey(Option<String>),
    /// There is, but it is not given, or it is not known whether there is.
    Refused(String),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl Trouble {
    /// Whether a reply came that could not be read, or ended early: of a server that mishandles batches it may be the batch.
    pub(super) fn may_be_the_batch(&self) -> bool {
        let is_it = |(_, lost): &(_, Lost)| matches!(lost, Lost::Unreadable(_) | Lost::Broken { .. });
        matches!(self, Self::Unanswered(endpoints) if endpoints.iter().any(is_it))
    }

    /// What selection hears.
    pub(super) fn into_answer<T>(self) -> Answer<T> {
        match self {
            Self::NoKey(why) => Answer::NoSuchKey(why),
            Self::Unanswered(_) => Answer::Unreachable(self.to_string()),
            Self::Failed(ref failure) if failure.meaning() == Meaning::NotFound => {
                Answer::NoSuchKey(Some(self.to_string()))
            }
            Self::Failed(_) | Self::Refused(_) => Answer::Refused(self.to_string()),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unanswered(endpoints) => {
                for (index, (endpoint, lost)) in endpoints.iter().enumerate() {
                    let separator = if index == 0 { "" } else { "; " };
                    write!(formatter, "{separator}{endpoint}: {lost}")?;
                }
                Ok(())
            }
            Self::Failed(failure) => failure.fmt(formatter),
            Self::NoKey(why) => formatter.write_str(why.as_deref().unwrap_or("no such key")),
            Self::Refused(why) => formatter.write_str(why),
        }
    }
}

/// `text` fit for an error: escaped, not too long.
pub(super) fn shown(text: &str) -> String {
    text.escape_default().take(80).collect()
}
