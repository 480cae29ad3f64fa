//! The words between the state machine and the runtime: what it asks, what it hears, what it wants recorded.
//!
//! None of them can carry a key. A loaded key is a [`Receipt`], which only the drive's own [`KeyLoaded`] makes.

use std::time::Duration;

use crate::controller::job::{JobGiver, Level, Outcome};
use crate::drive::{
    Beginning, DriveError, DriveIdentity, Fit, KeyInForce, KeyLoaded, KeyParameters, LoadKeyError, Place, Proof,
    Readiness, Refusal, Spaced, VolumeIdentity,
};
use crate::kad::{BlockKads, KeyId, OurKad};
use crate::keysource::{CandidateFacts, GroupName, KeyFacts, ServerOutcome, VolumeName};

/// What to do next, and what to record before it.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// What became known, in order.
    pub changes: Vec<Change>,
    /// The one thing to do.
    pub next: Next,
}

/// The one thing to do.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Ask this, and come back with the event.
    Ask(Ask),
    /// Nothing more: this is how it ended.
    End(Outcome),
}

/// One question to the drive, the key source, the job records or the clock.
#[derive(Debug, Clone, PartialEq)]
pub enum Ask {
    /// Who the drive is.
    Identify,
    /// Whether it is ready.
    Readiness,
    /// Nothing for this long.
    Pause(Duration),
    /// Which volume is in it.
    Volume,
    /// Whether it takes a key for this volume.
    Offer,
    /// What stands at the beginning of the volume.
    Beginning,
    /// What is in force.
    InForce,
    /// What its statistics say of the volume.
    Proof,
    /// Under which KAD we last loaded a key for this volume.
    KadOf(VolumeIdentity),
    /// For which volume (medium serial) we last loaded a key with this KAD.
    VolumeOf(OurKad),
    /// A key of the group for a volume that holds none yet.
    NewKey {
        /// The group.
        group: GroupName,
        /// The volume.
        volume: VolumeName,
    },
    /// The keys that the KADs of the volume name.
    KeysOf {
        /// The KADs.
        kads: BlockKads,
        /// The volume, if it has a name.
        volume: Option<VolumeName>,
    },
    /// Whether the key that somebody gave is that of the KADs, as far as their check value can tell.
    CheckGiven {
        /// The KADs.
        kads: BlockKads,
    },
    /// Put the key that came last into the drive. The record is durable before that.
    LoadKey(KeyParameters),
    /// Put a candidate that came last into the drive and see whether it fits. The record is durable before that.
    TryKey {
        /// Which one, from 0.
        candidate: usize,
        /// Everything about it but the key.
        parameters: KeyParameters,
    },
    /// Take the key out of the drive.
    ClearKey,
    /// Keep programs from opening the drive, until the job has ended.
    HoldNode,
    /// Move the tape to its beginning.
    Rewind,
    /// What stands where the tape is. Not asked any more once the job was cancelled.
    LookHere,
    /// Move the tape behind the next filemark. Not done any more once the job was cancelled.
    NextFile,
}

/// What an [`Ask`] came back with.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// To [`Ask::Identify`].
    Identity(DriveIdentity),
    /// To [`Ask::Readiness`].
    Readiness(Readiness),
    /// To [`Ask::Pause`].
    Paused,
    /// To [`Ask::Volume`].
    Volume(VolumeIdentity),
    /// To [`Ask::Offer`]: everything needed is offered.
    Offered,
    /// To [`Ask::Beginning`].
    Beginning(Beginning),
    /// To [`Ask::InForce`].
    InForce(KeyInForce),
    /// To [`Ask::Proof`].
    Proof(Proof),
    /// To [`Ask::KadOf`].
    KadOf(Option<OurKad>),
    /// To [`Ask::VolumeOf`].
    VolumeOf(Option<String>),
    /// To [`Ask::NewKey`].
    NewKey(KeyFacts),
    /// To [`Ask::KeysOf`].
    KeysOf {
        /// The keys, best first.
        keys: Vec<KeyFacts>,
        /// Keys that may fit, best first.
        candidates: Vec<CandidateFacts>,
        /// Those that the drive has refused while this volume was mounted.
        wrong: Vec<KeyId>,
        /// What each server said.
        outcomes: Vec<ServerOutcome>,
    },
    /// To [`Ask::CheckGiven`]: it fits this KAD of ours.
    GivenFits(OurKad),
    /// To [`Ask::CheckGiven`]: only the drive can tell.
    GivenUnchecked {
        /// What stands for it among the keys that were wrong.
        id: KeyId,
        /// Those that the drive has refused while this volume was mounted.
        wrong: Vec<KeyId>,
    },
    /// To [`Ask::LoadKey`].
    Loaded(Receipt),
    /// To [`Ask::TryKey`]: the key is in the drive.
    Tried {
        /// By the drive's own read-back.
        receipt: Receipt,
        /// Whether it fits.
        fit: Fit,
    },
    /// To [`Ask::ClearKey`]; `already`: there was none.
    Cleared {
        /// Whether nothing had to be sent.
        already: bool,
    },
    /// To [`Ask::HoldNode`].
    Held,
    /// To [`Ask::Rewind`].
    Rewound,
    /// To [`Ask::LookHere`].
    Place(Place),
    /// To [`Ask::NextFile`].
    Spaced(Spaced),
    /// To [`Ask::LookHere`] and [`Ask::NextFile`]: it was not asked, for this reason.
    Cancelled(String),
    /// To any: it did not work.
    Failed(Failure),
}

/// A key is in the drive, by the drive's own read-back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    in_force: KeyInForce,
    notes: Vec<String>,
}

impl From<&KeyLoaded> for Receipt {
    fn from(loaded: &KeyLoaded) -> Self {
        let mut notes = loaded.notes().to_vec();
        if !loaded.clear_key_on_demount() {
            notes.push("the drive is not told to forget the key when the volume leaves: clear it".into());
        }
        Self {
            in_force: loaded.in_force().clone(),
            notes,
        }
    }
}

impl Receipt {
    /// What the drive reported.
    #[must_use]
    pub fn in_force(&self) -> &KeyInForce {
        &self.in_force
    }

    /// What an operator should know.
    #[must_use]
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    #[cfg(test)]
    pub(crate) fn for_test(in_force: KeyInForce, notes: &[&str]) -> Self {
        Self {
            in_force,
            notes: notes.iter().map(ToString::to_string).collect(),
        }
    }
}

/// Why an [`Ask`] did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What was tried and what came back.
    pub text: String,
    /// What to do.
    pub hint: Option<String>,
    /// What it means for the drive.
    pub kind: FailureKind,
}

/// What a failure means for the drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// The drive is as it was.
    Unchanged,
    /// The drive is as it was, and takes no keys from this host or for this volume.
    NoEncryption,
    /// No key was sent, because the volume changed or the drive was reset just then.
    VolumeChanged,
    /// A key was sent, but the drive reports something else: somebody interferes.
    Disputed,
    /// A key was sent; whether it is in the drive is unknown.
    Uncertain,
}

impl Failure {
    /// A failure that says of itself what to do in a last line `hint: …`.
    pub fn new(kind: FailureKind, error: impl std::fmt::Display) -> Self {
        let whole = error.to_string();
        let (text, hint) = match whole.rsplit_once("\nhint: ") {
            Some((text, hint)) => (text.to_owned(), Some(hint.to_owned())),
            None => (whole, None),
        };
        Self { text, hint, kind }
    }

    fn or_hint(self, hint: &str) -> Self {
        Self {
            hint: self.hint.or_else(|| Some(hint.to_owned())),
            ..self
        }
    }
}

/// What to do about an answer of a drive that stands for itself.
const DRIVE_HINT: &str =
    "look the drive's answer up in its manual and at its display; tapekey status shows what it holds now";

/// What to do when the drive takes no more keys.
const LIMIT_HINT: &str =
    "the drive saw too many wrong keys and takes none until the volume is unloaded: unload it and load it again";

impl From<DriveError> for Failure {
    fn from(error: DriveError) -> Self {
        let kind = match &error {
            DriveError::Refused { refusal, .. } if *refusal != Refusal::ScopeMissing => FailureKind::NoEncryption,
            _ => FailureKind::Unchanged,
        };
        Self::new(kind, error).or_hint(DRIVE_HINT)
    }
}

impl From<LoadKeyError> for Failure {
    fn from(error: LoadKeyError) -> Self {
        let kind = match &error {
            LoadKeyError::NotSent(DriveError::Refused { .. }) => FailureKind::NoEncryption,
            LoadKeyError::NotSent(_) => FailureKind::Unchanged,
            LoadKeyError::AnotherVolume { .. } | LoadKeyError::Interrupted { .. } => FailureKind::VolumeChanged,
            LoadKeyError::ReadBackMismatch { .. } => FailureKind::Disputed,
            LoadKeyError::Refused(_) | LoadKeyError::NoReadBack(_) => FailureKind::Uncertain,
        };
        let hint = if error.is_wrong_key_limit() {
            LIMIT_HINT
        } else {
            DRIVE_HINT
        };
        Self::new(kind, error).or_hint(hint)
    }
}

/// Something for the job's record.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// Who the drive is.
    Drive(DriveIdentity),
    /// Which volume is in it.
    Volume(VolumeIdentity),
    /// The barcode that the caller gave for a volume whose memory has none.
    Barcode(String),
    /// The pool.
    Pool(String),
    /// The key.
    Key {
        /// What is known of it.
        facts: KeyFacts,
        /// Whether it is a new one.
        new: bool,
    },
    /// The key of other software's that fits the volume.
    Candidate {
        /// What is known of it.
        facts: CandidateFacts,
        /// The KADs on the tape.
        kads: BlockKads,
    },
    /// What each server said that was asked for a key by the KAD on the tape.
    Asked(Vec<ServerOutcome>),
    /// The KADs beside the volume's first block.
    FirstBlock(BlockKads),
    /// The key that somebody gave through a descriptor.
    GivenKey {
        /// The KADs on the tape.
        kads: BlockKads,
        /// Who gave it.
        by: JobGiver,
    },
    /// The keys that count as wrong while this volume is mounted.
    WrongKeys(Vec<KeyId>),
    /// What a file of the tape begins with.
    File(Place),
    /// All files were looked at.
    AllFiles,
    /// What the drive reported.
    InForce(KeyInForce),
    /// What its statistics say.
    Proof(Proof),
    /// Why it cannot be said that every block is encrypted.
    NotProven(String),
    /// Something that happened.
    Message {
        /// How much it matters.
        level: Level,
        /// What.
        text: String,
        /// What to do.
        hint: Option<String>,
    },
}
