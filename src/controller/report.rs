//! What `tapekey status` shows of each drive. What could not be read is `unknown` with its reason; it is never left out as if it were fine.

use serde::{Deserialize, Serialize};

use super::job::{JobKind, JobMessage};
use crate::clock::Timestamp;

/// The state of all drives asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// When it was put together.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// The drives, in the order of the configuration.
    pub drives: Vec<DriveStatus>,
    /// What somebody has to look at in the KMS.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kms_alarms: Vec<JobMessage>,
}

/// The state of one drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How it is reached.
    pub path: String,
    /// Whether it is a simulated drive.
    pub simulated: bool,
    /// Who the drive says it is.
    pub identity: Reading<IdentityStatus>,
    /// What is in it.
    pub medium: Reading<MediumStatus>,
    /// What it does with blocks.
    pub modes: Reading<ModesStatus>,
    /// The job that is running on it.
    pub job: Option<RunningJob>,
    /// The command that the drive has not answered yet.
    pub command: Option<CommandInFlight>,
    /// The job that loaded the key that is in the drive.
    pub loaded_by: Option<u64>,
    /// Whether programs are kept off it; absent if the configuration does not want that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<GateStatus>,
    /// What somebody has to look at since the last load.
    pub alarms: Vec<JobMessage>,
}

/// Whether programs are kept off a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GateStatus {
    /// The kernel shows no tape node of it.
    Absent,
    /// No program can open it.
    Held,
    /// Programs may use it until its volume leaves.
    Free,
    /// It should be held and is not, for this reason.
    Lost(String),
    /// A person let it go.
    Released {
        /// Until then.
        #[serde(with = "time::serde::rfc3339")]
        until: Timestamp,
        /// Why.
        reason: String,
        /// The job that says who.
        job: u64,
    },
}

/// Something that is read from a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reading<T> {
    /// Just read.
    Known(T),
    /// Could not be read, for this reason.
    Unknown(String),
    /// Left alone, for this reason.
    NotAsked(String),
}

/// Who a drive says it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityStatus {
    /// T10 vendor identification.
    pub vendor: String,
    /// Product identification.
    pub product: String,
    /// Product revision level.
    pub revision: String,
    /// Serial number, VPD page 80h.
    pub serial: String,
}

/// What is in a drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MediumStatus {
    /// Nothing.
    Empty,
    /// A cleaning cartridge, which is no volume and never gets a key.
    CleaningCartridge,
    /// A volume that is being loaded.
    BecomingReady,
    /// A volume.
    Volume {
        /// Medium serial number, MAM 0401h.
        serial: Option<String>,
        /// Barcode, MAM 0806h.
        barcode: Option<String>,
        /// Pool written on the medium, MAM 0808h.
        pool: Option<String>,
    },
}

/// What a drive does with blocks, from its Data Encryption Status page.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModesStatus {
    /// Encryption mode: what happens to blocks that are written.
    pub encryption: String,
    /// Decryption mode: what happens to blocks that are read.
    pub decryption: String,
    /// Key instance counter.
    pub key_instance_counter: u32,
    /// Key id, if the KAD in force is ours.
    pub key_id: Option<String>,
    /// The U-KAD in force, in hex.
    pub kad: Option<String>,
}

/// A job that is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunningJob {
    /// Its number.
    pub id: u64,
    /// What was asked.
    pub kind: JobKind,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub begun: Timestamp,
}

/// A command that a drive has not answered yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandInFlight {
    /// What was asked of the drive.
    pub name: String,
    /// Since when.
    #[serde(with = "time::serde::rfc3339")]
    pub since: Timestamp,
    /// How long that is, in whole seconds.
    pub seconds: u64,
    /// Whether that is longer than the command may take: the drive hangs.
    pub overdue: bool,
}

/// What `tapekey doctor` found about one drive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriveExamined {
    /// Its name in the configuration.
    pub name: String,
    /// How it is reached.
    pub path: String,
    /// What was found, in the order in which it was looked at.
    pub findings: Vec<Finding>,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What it is about, in a word or two.
    pub about: String,
    /// How it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do, unless all is well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// How something is. Unknown is never fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// It works, and somebody should know.
    Warning,
    /// It could not be found out.
    Unknown,
    /// It will not work.
    Wrong,
}
