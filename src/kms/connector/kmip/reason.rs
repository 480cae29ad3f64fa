//! Why a server did not do what it was asked: the Result Reason (KMIP specification, "Result Reason"), kept as its number, and what follows
//! from it here. Servers differ in which reason they give for what.

use std::fmt;

use super::names::Operation;

/// Most characters that are kept of a server's own words.
const MESSAGE_MAX: usize = 60;

/// The number of a reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ResultReason(pub(super) u32);

/// What a reason means for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning {
    /// There is no such object, or no longer.
    NotFound,
    /// Not in the object's present state.
    State,
    /// Not for us.
    Denied,
    /// It does not know who we are.
    Authentication,
    /// It does not speak that version.
    Version,
    /// It does not do that, or does not know the field.
    Unsupported,
    /// Anything else.
    Other,
}

impl ResultReason {
    /// A server that fails without a reason.
    pub(super) const GENERAL_FAILURE: Self = Self(0x100);
    /// The operation itself is unknown, whatever it is asked about.
    pub(super) const OPERATION_NOT_SUPPORTED: Self = Self(0x05);

    pub(super) fn meaning(self) -> Meaning {
        match self.0 {
            0x01 | 0x36 | 0x37 => Meaning::NotFound,
            0x0B | 0x43 => Meaning::State,
            0x0C | 0x39 => Meaning::Denied,
            0x03 => Meaning::Authentication,
            0x04 | 0x3F => Meaning::Version,
            0x05 | 0x07 | 0x08 | 0x1F | 0x2C => Meaning::Unsupported,
            _ => Meaning::Other,
        }
    }

    fn name(self) -> &'static str {
        match self.0 {
            0x01 => "Item Not Found",
            0x02 => "Response Too Large",
            0x03 => "Authentication Not Successful",
            0x04 => "Invalid Message",
            0x05 => "Operation Not Supported",
            0x06 => "Missing Data",
            0x07 => "Invalid Field",
            0x08 => "Feature Not Supported",
            0x0A => "Cryptographic Failure",
            0x0B => "Illegal Operation",
            0x0C => "Permission Denied",
            0x0D => "Object Archived",
            0x1F => "Unsupported Attribute",
            0x2C => "Invalid Attribute",
            0x36 => "Object Destroyed",
            0x37 => "Object Not Found",
            0x39 => "Not Authorised",
            0x3F => "Unsupported Protocol Version",
            0x43 => "Wrong Key Lifecycle State",
            0x100 => "General Failure",
            _ => "reason",
        }
    }
}

impl fmt::Display for ResultReason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({:02X}h)", self.name(), self.0)
    }
}

/// A server's "no" to one item of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) operation: Operation,
    pub(super) reason: ResultReason,
    /// The server's own words, fit for one line.
    pub(super) message: String,
}

impl Failure {
    pub(super) fn new(operation: Operation, reason: ResultReason, message: &str) -> Self {
        let plain = message
            .chars()
            .map(|letter| if is_printable(letter) { letter } else { ' ' });
        Self {
            operation,
            reason,
            message: plain.take(MESSAGE_MAX).collect(),
        }
    }

    pub(super) fn meaning(&self) -> Meaning {
        self.reason.meaning()
    }

    /// Whether the reason may be the key's state. 0Ch is said for that too.
    pub(super) fn may_be_for_its_state(&self) -> bool {
        self.meaning() == Meaning::State || self.reason == ResultReason(0x0C)
    }

    /// What an operator can do about it.
    fn hint(&self) -> Option<&'static str> {
        match self.meaning() {
            Meaning::Authentication => {
                Some("the server must know the client certificate, and it must be for client authentication")
            }
            Meaning::Denied => Some("give this client the right on the server"),
            Meaning::NotFound | Meaning::State | Meaning::Version | Meaning::Unsupported | Meaning::Other => None,
        }
    }
}

/// Neither a control character nor one that turns the direction of a line or hides others.
fn is_printable(letter: char) -> bool {
    matches!(letter, '"' | '\'' | '\\') || letter.escape_debug().len() == 1
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.operation, self.reason)?;
        if !self.message.is_empty() {
            write!(formatter, ": {}", self.message)?;
        }
        match self.hint() {
            Some(hint) => write!(formatter, "\nhint: {hint}"),
            None => Ok(()),
        }
    }
}
