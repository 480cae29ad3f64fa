//! What can go wrong with a drive, who must act, and the answer of the drive itself.

use thiserror::Error;

use crate::scsi::reader::DecodeError;
use crate::scsi::sense::{Sense, SenseKey};
use crate::transport::TransportError;

/// A command to a drive did not do what it should.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DriveError {
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
        /// The path to the drive.
        path: String,
        /// What the drive said.
        sense: Sense,
    },
    /// A status that is neither GOOD nor CHECK CONDITION, or CHECK CONDITION without sense.
    #[error(
        "{attempt} on {path}: SCSI status {status:02X}h without sense\nhint: the drive is busy or in use by another host; try again"
    )]
    Status {
        /// What was tried.
        attempt: &'static str,
        /// The path to the drive.
        path: String,
        /// The status.
        status: u8,
    },
    /// The answer is not what it should be.
    #[error(
        "{attempt} on {path}: the answer cannot be read: {source}\nhint: this drive does not speak as the standard says; please report it with its model and firmware"
    )]
    Answer {
        /// What was tried.
        attempt: &'static str,
        /// The path to the drive.
        path: String,
        /// What is wrong with it.
        #[source]
        source: DecodeError,
    },
    /// Unit attentions kept coming.
    #[error(
        "{attempt} on {path}: one unit attention after another, the last one {last}\nhint: something resets this drive again and again; look at cabling and other hosts"
    )]
    Unsettled {
        /// What was tried.
        attempt: &'static str,
        /// The path to the drive.
        path: String,
        /// The last one.
        last: Sense,
    },
    /// The drive does not take keys from us.
    #[error("{path}: {refusal}")]
    Refused {
        /// The path to the drive.
        path: String,
        /// Which check failed.
        refusal: Refusal,
    },
    /// After DISABLE the drive still reports a key.
    #[error(
        "clear the key on {path}: the drive still reports modes {modes}\nhint: another host may have set a key again; unload the volume and look at `tapekey status`"
    )]
    NotCleared {
        /// The path to the drive.
        path: String,
        /// Modes as read back.
        modes: String,
    },
}

impl DriveError {
    /// The sense data, if the drive sent any.
    #[must_use]
    pub fn sense(&self) -> Option<&Sense> {
        match self {
            Self::CheckCondition { sense, .. } | Self::Unsettled { last: sense, .. } => Some(sense),
            _ => None,
        }
    }

    /// Whether the way to the drive is gone, so that it must be opened anew.
    #[must_use]
    pub fn is_path_lost(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                source: TransportError::Path { .. },
                ..
            }
        )
    }

    /// Whether the drive left us without an answer, so that nothing is known about the command.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(
            self,
            Self::Transport {
                source: TransportError::Timeout { .. },
                ..
            }
        )
    }
}

/// Why a drive takes no key from the host: which of the checks failed, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The device is none.
    #[error(
        "not a tape drive: peripheral device type {device_type:02X}h\nhint: name the sg node of the drive, not the one of the changer or of a disk"
    )]
    NotATapeDrive {
        /// PERIPHERAL DEVICE TYPE.
        device_type: u8,
    },
    /// The device is another drive.
    #[error(
        "this is the drive with serial number {found}, not {expected}\nhint: nodes were given to other drives meanwhile; try again, and see tapekey drive list"
    )]
    AnotherDrive {
        /// The serial number of the drive that was wanted.
        expected: String,
        /// The one that it says.
        found: String,
    },
    /// SECURITY PROTOCOL IN is unknown.
    #[error(
        "no security protocols: the drive does not know SECURITY PROTOCOL IN\nhint: drives before LTO-4, and some old firmware, cannot encrypt"
    )]
    NoSecurityProtocols,
    /// Protocol 20h is not offered.
    #[error(
        "protocol 20h is not offered: the host may not set keys\nhint: the library or another method manages encryption; switch the drive to application-managed encryption in the library"
    )]
    LibraryManaged,
    /// A page that we need is not among the supported ones.
    #[error("page {page:04X}h of protocol 20h is not offered\nhint: update the drive's firmware")]
    PageMissing {
        /// The page.
        page: u16,
    },
    /// CFG_P says that the host may not.
    #[error(
        "the drive is configured to take no parameters from a host (CFG_P 2)\nhint: the library or a management interface owns the keys; switch the drive to application-managed encryption there"
    )]
    ConfigurationPrevented,
    /// PARAMETERS CONTROL says that somebody else owns the parameters.
    #[error(
        "encryption parameters are controlled by {owner}\nhint: switch the drive to application-managed encryption there"
    )]
    ControlledElsewhere {
        /// Who.
        owner: &'static str,
    },
    /// Keys as plain text are not taken.
    #[error(
        "the drive takes no plain-text keys (key formats {formats:02X?})\nhint: the drive wants wrapped keys, which tapekey does not send"
    )]
    NoPlainTextKeys {
        /// The formats that it takes.
        formats: Vec<u8>,
    },
    /// No algorithm that LTO uses.
    #[error("the drive offers no AES-256-GCM in hardware")]
    NoAlgorithm,
    /// The algorithm is there, but not for this volume.
    #[error(
        "the volume in the drive cannot be encrypted by it\nhint: the medium is of an old generation (before LTO-4, or too old for this drive to write)"
    )]
    NotForThisVolume,
    /// The KAD would not fit.
    #[error("the drive stores at most {offered} bytes of U-KAD, {wanted} are needed")]
    KadTooLong {
        /// What the drive stores.
        offered: u16,
        /// What we need.
        wanted: usize,
    },
    /// The scope that the configuration asks for is not offered.
    #[error(
        "the drive does not offer the scope that is configured\nhint: set `scope` to the other value in the daemon's configuration"
    )]
    ScopeMissing,
}

/// A key did not get into the drive, or nobody can show that it did.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LoadKeyError {
    /// A check before the key was sent failed; the drive is as it was.
    #[error("load key: {0}")]
    NotSent(#[source] DriveError),
    /// The volume is not the one that the key is for.
    #[error(
        "load key on {path}: the volume is {found}, the key is for {expected}; no key was sent\nhint: the cartridge was changed meanwhile; start again"
    )]
    AnotherVolume {
        /// The path to the drive.
        path: String,
        /// Who is in the drive.
        found: String,
        /// Whose key it is.
        expected: String,
    },
    /// The medium may have changed, or the drive was reset, just when the key was sent; it was not taken.
    #[error(
        "load key on {path}: {sense}; the drive did not take the key\nhint: start again with what is in the drive now"
    )]
    Interrupted {
        /// The path to the drive.
        path: String,
        /// The unit attention.
        sense: Sense,
    },
    /// The drive refused the key or its answer got lost. Whether it holds the key is unknown until it is cleared.
    #[error("load key: {0}")]
    Refused(#[source] DriveError),
    /// The drive said GOOD, but the read-back failed.
    #[error(
        "load key: cannot read back what the drive does: {0}\nhint: what cannot be read back counts as not encrypted; do not write"
    )]
    NoReadBack(#[source] DriveError),
    /// The drive said GOOD, but reports something else.
    #[error(
        "load key on {path}: the drive reports {mismatch}\nhint: do not write; another host may be setting keys on this drive"
    )]
    ReadBackMismatch {
        /// The path to the drive.
        path: String,
        /// What differs.
        mismatch: Mismatch,
    },
}

impl LoadKeyError {
    /// Whether the drive takes no more keys because too many were wrong: 07h/26h/10h, until unload or power cycle.
    #[must_use]
    pub fn is_wrong_key_limit(&self) -> bool {
        match self {
            Self::Refused(error) => error
                .sense()
                .is_some_and(|sense| sense.is(SenseKey::DataProtect, 0x26, 0x10)),
            _ => false,
        }
    }

    /// Whether the drive may hold a key because of this attempt, so that it must be cleared.
    #[must_use]
    pub fn may_have_loaded(&self) -> bool {
        match self {
            Self::NotSent(_) | Self::AnotherVolume { .. } | Self::Interrupted { .. } => false,
            Self::Refused(_) | Self::NoReadBack(_) | Self::ReadBackMismatch { .. } => true,
        }
    }
}

/// What a read-back shows that it should not.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// Modes, algorithm or scope.
    #[error("{field} {found} instead of {expected}")]
    Field {
        /// The field's name.
        field: &'static str,
        /// As read.
        found: String,
        /// As sent.
        expected: String,
    },
    /// The counter did not move.
    #[error("key instance counter {0} as before, so nothing was set")]
    CounterStoodStill(u32),
    /// A unit attention came between the SPOUT and its read-back.
    #[error("that something happened before the read-back: {0}")]
    Attention(Sense),
}
