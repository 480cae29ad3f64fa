//! Drives and medium changers as Linux lists them: sysfs for what is there, the kernel's uevent socket for what comes and goes.
//!
//! Nothing here sends a SCSI command or opens a device node, so nothing here can disturb a drive. A device is named by its serial number
//! (VPD page 80h, else the T10 designator of page 83h, both as the kernel read them when it found the device, or else what somebody learnt from it); `sgN` and `nstN` are only where
//! it happens to be now. What sysfs does not say is absent, never guessed.

pub mod closes;
mod device;
mod file;
mod learned;
mod nodes;
pub mod openers;
pub mod statistics;
mod tree;
pub mod uevent;

use std::path::PathBuf;

use thiserror::Error;

pub use device::{Device, Kind, ScsiAddress};
pub use nodes::{DeviceNumber, Node};
pub use tree::Tree;

/// What the kernel knows of its devices could not be learnt.
#[derive(Debug, Error)]
pub enum DiscoveryError {
    /// A folder of sysfs could not be listed.
    #[error("list {}: {source}\nhint: is sysfs mounted, and may the daemon read it?", folder.display())]
    Unlistable {
        /// The folder.
        folder: PathBuf,
        /// What the system answered.
        source: std::io::Error,
    },
    /// There are more devices than anybody has.
    #[error("list {}: more than {limit} entries\nhint: this is no sysfs", folder.display())]
    TooMany {
        /// The folder.
        folder: PathBuf,
        /// Most entries that are looked at.
        limit: usize,
    },
    /// The kernel's uevent socket.
    #[error(
        "listen to the kernel's uevents: {attempt}: {source}\nhint: the unit must allow AF_NETLINK; without it new devices are found only once a minute"
    )]
    Uevents {
        /// What was tried.
        attempt: &'static str,
        /// What the system answered.
        source: std::io::Error,
    },
}
