//! What `tapekey drive list` and `tapekey library show` show: the drives and libraries of this host, where they are and what is in them, without asking a drive
//! anything.
//!
//! Each fact says how it is known. What is not known is said to be, with the reason.

use serde::{Deserialize, Serialize};

use super::report::GateStatus;
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
    /// The bay of a library in which it is, if a library says so.
    pub bay: Option<BayName>,
    /// Where the kernel shows it: nowhere, once, or once for each path to it.
    pub nodes: Vec<DriveNodes>,
    /// What is in it.
    pub volume: Knowledge<ListedMedium>,
    /// Whether programs are kept off it; absent if the configuration does not want that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// Who has it open, beside the daemon.
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

/// A bay of a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BayName {
    /// The library's name.
    pub library: String,
    /// Counted from 0 in the order of the addresses, as backup programs count drives.
    pub number: usize,
    /// Element address.
    pub address: u16,
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
    /// The inventory of the library.
    Library,
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
        /// Whether it is known to be a cleaning cartridge, which never gets a key.
        #[serde(default)]
        cleaning: bool,
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

/// The libraries of this host: those of the configuration first, then the others that the kernel shows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LibraryList {
    /// When it was put together.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// The libraries.
    pub libraries: Vec<ListedLibrary>,
}

/// One library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedLibrary {
    /// Its name in the configuration, or else its serial number.
    pub name: String,
    /// Unit serial number of the changer.
    pub serial: Option<String>,
    /// T10 vendor identification.
    pub vendor: Option<String>,
    /// Product identification.
    pub product: Option<String>,
    /// Product revision level.
    pub revision: Option<String>,
    /// Whether it is a simulated library.
    pub simulated: bool,
    /// How it is reached.
    pub path: String,
    /// When it last said what is where.
    #[serde(with = "time::serde::rfc3339::option")]
    pub inventory_at: Option<Timestamp>,
    /// Why it has not said so since.
    pub problem: Option<String>,
    /// Its places: bays, slots, the door, the robot's hands, each in the order of their addresses.
    pub places: Vec<ListedPlace>,
}

/// A place in a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPlace {
    /// What kind of place.
    pub kind: PlaceKind,
    /// Its number among its kind: bays count from 0, slots and the door from 1, as backup programs count them.
    pub number: usize,
    /// Element address.
    pub address: u16,
    /// What is in it.
    pub volume: Option<ListedVolume>,
    /// What the changer says is wrong with it, as ASC and ASCQ in hex.
    pub exception: Option<String>,
    /// The drive in it, for a bay: its serial number.
    pub drive_serial: Option<String>,
    /// The drive in it, for a bay: its name in the configuration.
    pub drive: Option<String>,
}

/// A cartridge in a library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedVolume {
    /// Its barcode, if the changer could read one.
    pub barcode: Option<String>,
    /// Whether it is a cleaning cartridge: it is never held and never gets a key.
    pub cleaning: bool,
}

/// Kinds of places.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlaceKind {
    /// With a drive.
    Bay,
    /// For cartridges.
    Slot,
    /// At the operator's door.
    ImportExport,
    /// The robot's hand.
    Robot,
}
