//! What can go wrong with a changer, and its own answer.

use thiserror::Error;

use crate::scsi::reader::DecodeError;
use crate::scsi::sense::{Sense, SenseKey};
use crate::transport::TransportError;

/// A command to a changer did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LibraryError {
    /// No SCSI answer.
    #[error("{attempt}: {source}")]
    Transport {
        /// What was tried.
        attempt: &'static str,
        /// What the path said.
        #[source]
        source: TransportError,
    },
    /// CHECK CONDITION.
    #[error("{attempt} on {path}: {sense}")]
    CheckCondition {
        /// What was tried.
        attempt: &'static str,
        /// The path to the changer.
        path: String,
        /// What it said.
        sense: Sense,
    },
    /// A status that is neither GOOD nor CHECK CONDITION, or CHECK CONDITION without sense.
    #[error(
        "{attempt} on {path}: SCSI status {status:02X}h without sense\nhint: the changer is busy; it is asked again"
    )]
    Status {
        /// What was tried.
        attempt: &'static str,
        /// The path to the changer.
        path: String,
        /// The status.
        status: u8,
    },
    /// The answer is not what it should be.
    #[error(
        "{attempt} on {path}: the answer cannot be read: {source}\nhint: this changer does not speak as the standard says; please report it with its model and firmware"
    )]
    Answer {
        /// What was tried.
        attempt: &'static str,
        /// The path to the changer.
        path: String,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Unit attentions kept coming.
    #[error(
        "{attempt} on {path}: one unit attention after another, the last one {last}\nhint: look at cabling and other hosts"
    )]
    Unsettled {
        /// What was tried.
        attempt: &'static str,
        /// The path to the changer.
        path: String,
        /// The last one.
        last: Sense,
    },
    /// The device is none.
    #[error(
        "{path}: not a medium changer: peripheral device type {device_type:02X}h\nhint: name the changer's own node or socket"
    )]
    NotAChanger {
        /// The path to the device.
        path: String,
        /// PERIPHERAL DEVICE TYPE.
        device_type: u8,
    },
    /// The device is another changer.
    #[error(
        "{path}: this is the changer with serial number {found}, not {expected}\nhint: nodes were given to other devices meanwhile; it is looked for again"
    )]
    AnotherChanger {
        /// The path to the device.
        path: String,
        /// The serial number that was wanted.
        expected: String,
        /// The one that it says.
        found: String,
    },
    /// The changer says that there are more elements, and does not send them.
    #[error(
        "READ ELEMENT STATUS on {path}: {available} elements from {from:04X}h on are announced, and none of them is sent\nhint: this changer does not speak as the standard says; please report it with its model and firmware"
    )]
    Withheld {
        /// The path to the changer.
        path: String,
        /// How many are announced.
        available: u16,
        /// From which element address on.
        from: u16,
    },
}

impl LibraryError {
    /// Whether the way to the changer is gone or leads elsewhere, so that it must be opened anew.
    #[must_use]
    pub fn is_path_lost(&self) -> bool {
        matches!(
            self,
            Self::AnotherChanger { .. }
                | Self::Transport {
                    source: TransportError::Path { .. },
                    ..
                }
        )
    }

    /// Whether the changer refuses the question as such, so that another form of it may be taken: INVALID FIELD IN CDB.
    pub(super) fn is_refusal_of_form(&self) -> bool {
        self.is_illegal_request(0x24)
    }

    /// Whether the changer has no element of the kind asked for: INVALID ELEMENT ADDRESS.
    pub(super) fn is_no_such_element(&self) -> bool {
        self.is_illegal_request(0x21)
    }

    fn is_illegal_request(&self, asc: u8) -> bool {
        let Self::CheckCondition { sense, .. } = self else {
            return false;
        };
        sense.key == SenseKey::IllegalRequest && sense.additional.asc == asc
    }
}
