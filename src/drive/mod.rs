//! A drive with a type: who it is, what is in it, and the one way to put a key into it.
//!
//! Everything here blocks until the drive answers or `command_timeout` is over. Nothing here reads data from the tape or decides
//! which key belongs to a volume, and only the walk over its files moves it. What a drive cannot show is never taken for fine: only [`KeyLoaded`], made from the drive's own
//! read-back, says that it encrypts.

mod beginning;
mod command;
mod error;
mod examine;
mod identity;
mod key;
mod node;
mod offer;
mod proof;
mod trial;
mod walk;

use std::time::Duration;

pub use beginning::Beginning;
pub use command::{Attention, Meaning};
pub use error::{DriveError, LoadKeyError, Mismatch, Refusal};
pub use examine::{Examination, MediumFacts};
pub use identity::{DriveIdentity, Readiness, VolumeIdentity};
pub use key::{KeyCleared, KeyInForce, KeyLoaded, KeyParameters};
pub use node::{NodeInUse, hold_node};
pub use offer::{EncryptionOffer, offers_scope};
pub use proof::Proof;
pub use trial::{Fit, Trial};
pub use walk::{Place, Spaced, Standing};

pub use crate::scsi::mode::generation;
pub use crate::scsi::tde::set_data_encryption::{Decryption, SetScope};
pub use crate::scsi::tde::{DecryptionMode, EncryptionMode, Scope};

use crate::scsi::tde::management::ManagementCapabilities;
use crate::transport::Transport;

/// A tape drive at the end of a transport.
pub struct Drive {
    transport: Box<dyn Transport>,
    command_timeout: Duration,
    attentions: Vec<Attention>,
    /// What the drive offers without looking at the volume; read once, and again after anything that may have changed it.
    management: Option<ManagementCapabilities>,
}

impl Drive {
    /// A drive that is given `command_timeout` for each command; 60 seconds suit real ones, which queue behind another host's LOCATE.
    #[must_use]
    pub fn new(transport: Box<dyn Transport>, command_timeout: Duration) -> Self {
        Self {
            transport,
            command_timeout,
            attentions: Vec::new(),
            management: None,
        }
    }

    /// How people name the path to this drive.
    #[must_use]
    pub fn path(&self) -> &str {
        self.transport.name()
    }

    /// The unit attentions and deferred errors that our commands met since this was last asked, oldest first.
    ///
    /// Each was reported to us alone: whoever shares our nexus will not see it again.
    pub fn take_attentions(&mut self) -> Vec<Attention> {
        std::mem::take(&mut self.attentions)
    }
}
