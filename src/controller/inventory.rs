//! What `tapekey drive list` shows: the drives of this host, where they are and what is in them, without asking a drive anything.
//!
//! Each fact says how it is known. What is not known is said to be, with the reason.

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// The drives of this host: those of the configuration in its order, then the others that the kernel shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveList {
    /// When it was put together.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// The drives.
    pub drives: Vec<ListedDrive>,
    /// Why drives may be missing from the list.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<String>,
}

/// One drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedDrive {
    /// Its name in the configuration; without one the daemon leaves it alone.
    pub name: Option<String>,
    /// Unit serial number: its identity.
    pub serial: Option<String>,
    /// T10 vendor identification.
    pub vendor: Option<String>,
    /// Product identification.
    pub product: Option<String>,
    /// Product revision level.
    pub revision: Option<String>,
    /// Whether it is a simulated drive.
    pub simulated: bool,
    /// How the configuration reaches it, if not by its serial number.
    pub configured_path: Option<String>,
    /// Where the kernel shows it: nowhere, once, or once for each path to it.
    pub nodes: Vec<DriveNodes>,
    /// What is in it.
    pub volume: Knowledge<ListedMedium>,
    /// Who has it open.
    pub in_use: InUse,
    /// What programs last did with it, by the kernel's counters; absent where it keeps none.
    pub activity: Option<Activity>,
}

/// What programs do with a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activity {
    /// Nothing.
    Idle,
    /// They write blocks.
    Writing,
    /// They read blocks.
    Reading,
    /// They move the tape, write filemarks, or wait for a command to end.
    Positioning,
}

/// The nodes of one path to a drive. They may belong to another drive after the next restart.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveNodes {
    /// Host, channel, target, logical unit.
    pub scsi_address: String,
    /// The sg node, for commands.
    pub generic: Option<String>,
    /// The st node that does not rewind at close, for programs.
    pub tape: Option<String>,
}

/// Something that is known, from where and since when; or not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowledge<T> {
    /// Known.
    Known {
        /// What.
        what: T,
        /// Who said so.
        source: Source,
        /// When.
        #[serde(with = "time::serde::rfc3339")]
        at: Timestamp,
    },
    /// Not known, for this reason.
    Unknown(String),
}

/// Who said what is in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// The drive, when it was last asked.
    Drive,
    /// A job, which read it from the drive.
    Job,
}

/// What is in a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListedMedium {
    /// Nothing.
    Empty,
    /// A volume.
    Volume {
        /// Its barcode.
        barcode: Option<String>,
        /// Its medium serial number.
        serial: Option<String>,
    },
}

/// Who has a drive open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InUse {
    /// Nobody.
    Free,
    /// These programs.
    By(Vec<Program>),
    /// Not known, for this reason.
    Unknown(String),
}

/// A program that has a drive open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Process id.
    pub pid: u32,
    /// Its name.
    pub name: Option<String>,
}
