//! The details of one job, as they are kept on disk and shown to people. Ids, names and KADs only; never key bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;

/// Everything that is known of one job. Absent is unknown, never "none" or "fine".
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobRecord {
    /// Number of the job, rising from 1 in one state directory.
    pub id: u64,
    /// What was asked.
    pub kind: JobKind,
    /// How it went.
    pub outcome: Outcome,
    /// Who asked: user id of the caller on the control socket.
    pub requested_by: u32,
    /// When it began.
    #[serde(with = "time::serde::rfc3339")]
    pub begun: Timestamp,
    /// When it ended.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub ended: Option<Timestamp>,
    /// The drive.
    pub drive: JobDrive,
    /// The volume.
    #[serde(default)]
    pub volume: JobVolume,
    /// The pool that the caller named, or that the key's group stands for.
    #[serde(default)]
    pub pool: Option<String>,
    /// The key.
    #[serde(default)]
    pub key: Option<JobKey>,
    /// Which server gave the key.
    #[serde(default)]
    pub kms: Option<JobKms>,
    /// What each server answered that the KMS asked for a key, in the order in which they were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<JobServer>,
    /// What the drive said when it was read back.
    #[serde(default)]
    pub in_force: Option<JobInForce>,
    /// What the drive's statistics say of the volume; `None`: not taken.
    #[serde(default)]
    pub proof: Option<JobProof>,
    /// Why it cannot be said that every block of this mount is encrypted; absent while nothing speaks against it.
    #[serde(default)]
    pub not_proven: Option<String>,
    /// The job that loaded the key which this one cleared, or that cleared the key which this one loaded.
    #[serde(default)]
    pub related_job: Option<u64>,
    /// When the key that this job loaded was seen to be in the drive no more.
    #[serde(with = "time::serde::rfc3339::option", default)]
    pub key_gone: Option<Timestamp>,
    /// Ids of the keys that count as wrong since the volume came: tried, and refused by the drive.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_keys: Vec<String>,
    /// What a scan found; in lists of jobs without what stands where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<JobScan>,
    /// For what a person let the drive go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<JobMaintenance>,
    /// What happened, in order.
    #[serde(default)]
    pub messages: Vec<JobMessage>,
}

/// What was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobKind {
    /// A key for writing.
    Load,
    /// The key for reading a volume.
    Unlock,
    /// No key any more.
    Clear,
    /// Which KADs stand where on the tape.
    Scan,
    /// Programs are to be kept off the drive.
    Hold,
    /// The drive is let go without a key, for a time.
    Release,
    /// Whether the drive will work. It keeps others from the drive and leaves no record.
    Doctor,
}

/// How a job went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Not ended yet.
    Running,
    /// The key is in the drive, read back.
    KeyLoaded,
    /// The pool is plain: no key of ours is in the drive.
    Plain,
    /// No key is in the drive, read back.
    Cleared,
    /// What stands on the tape was listed, and the tape is rewound.
    Scanned,
    /// No program can open the drive.
    Held,
    /// Programs can open the drive, whatever is in it.
    Released,
    /// Not done, for a reason that an operator can change. No key was sent.
    Refused,
    /// Begun and not finished; the messages say what the drive holds now.
    Failed,
    /// The daemon ended before the job did.
    Interrupted,
}

impl Outcome {
    /// Whether what was asked has been done.
    #[must_use]
    pub fn is_success(self) -> bool {
        matches!(
            self,
            Self::KeyLoaded | Self::Plain | Self::Cleared | Self::Scanned | Self::Held | Self::Released
        )
    }
}

/// The drive of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobDrive {
    /// Its name in the configuration.
    pub name: String,
    /// Where it was reached.
    pub path: String,
    /// The tape node through which programs on this host write, such as /dev/nst0, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub st_node: Option<String>,
    /// Vendor, product and revision of INQUIRY.
    #[serde(default)]
    pub product: Option<String>,
    /// Serial number, VPD page 80h.
    #[serde(default)]
    pub serial: Option<String>,
}

/// The volume of a job.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobVolume {
    /// Medium serial number, MAM 0401h.
    #[serde(default)]
    pub serial: Option<String>,
    /// Barcode, MAM 0806h, or as the caller said.
    #[serde(default)]
    pub barcode: Option<String>,
    /// Pool written on the medium, MAM 0808h.
    #[serde(default)]
    pub pool_on_medium: Option<String>,
    /// The KAD that stands beside its first block, in hex, whoever wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kad: Option<String>,
    /// The authenticated KAD there, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_kad: Option<String>,
}

impl fmt::Display for JobVolume {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.barcode, &self.serial) {
            (Some(barcode), Some(serial)) => write!(formatter, "{barcode} (medium serial {serial})"),
            (Some(name), None) | (None, Some(name)) => formatter.write_str(name),
            (None, None) => formatter.write_str("a volume without a name"),
        }
    }
}

/// The key of a job, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobKey {
    /// Key group; unknown of a key that somebody gave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Id of the group's key, as in the KAD.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Name of the group's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `active` or `inactive`, as the KMS said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// The KAD that stands beside each block, in hex; empty if other software wrote an authenticated one alone.
    pub kad: String,
    /// The authenticated KAD, in hex; blocks of ours have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_kad: Option<String>,
    /// Whether this job asked for a new key, or took the one that the volume is encrypted under.
    pub new: bool,
    /// Who gave the key through a descriptor; absent if it came from the KMS.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub given_by: Option<JobGiver>,
}

/// The process that gave a key through a descriptor, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobGiver {
    /// Its effective user.
    pub uid: u32,
    /// Its process id.
    pub pid: i32,
}

/// Which server gave the key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobKms {
    /// Name of the server behind the KMS.
    pub name: String,
    /// What kind of server that is.
    pub kind: String,
    /// Address of the KMS node that answered.
    pub address: String,
    /// Where that node reaches the server; its own store has no address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_address: Option<String>,
    /// Rank among external servers; the built-in store has none.
    pub priority: Option<i32>,
    /// From the KMS's memory rather than the server.
    pub cached: bool,
    /// Asked only because another server could not be reached.
    pub fallback: bool,
    /// How long the server took to answer, in milliseconds.
    #[serde(default)]
    pub took_ms: u64,
    /// Version of its protocol; the built-in store speaks none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol_version: Option<String>,
    /// What the server calls the key, where it does not call it by its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identifier: Option<String>,
}

/// What one server behind the KMS answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobServer {
    /// The server.
    pub server: JobKms,
    /// Its answer: how many keys, none, unreachable or refused, with the reason.
    pub result: String,
}

/// What the drive said when its Data Encryption Status page was read back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobInForce {
    /// Encryption mode.
    pub encryption: String,
    /// Decryption mode.
    pub decryption: String,
    /// Scope of the key.
    pub scope: String,
    /// Key instance counter.
    pub key_instance_counter: u32,
}

/// What the drive's statistics say of the volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobProof {
    /// `all encrypted`, `plain before object n`, `mixed`, `plain` or `unknown`, with the reason.
    pub verdict: String,
    /// When it was taken.
    #[serde(with = "time::serde::rfc3339")]
    pub taken: Timestamp,
}

/// What a scan found on a tape.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobScan {
    /// How many files were looked at.
    pub files: u64,
    /// The first object of the last of them.
    #[serde(default)]
    pub object: Option<u64>,
    /// Whether the end of the data was reached.
    pub complete: bool,
    /// What stands where, in the order of the tape. Files that begin alike are one entry.
    pub found: Vec<JobFound>,
    /// Whether there was more than is kept.
    #[serde(default)]
    pub cut_off: bool,
}

/// Files in a row that begin alike.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFound {
    /// The first of them, counted from 0.
    pub first_file: u64,
    /// The last of them.
    pub last_file: u64,
    /// The first object of the first of them, if the drive told.
    pub first_object: Option<u64>,
    /// What they begin with.
    pub begins_with: BeginsWith,
    /// Id of our key, if the KAD is ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The U-KAD, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kad: Option<String>,
    /// The A-KAD, in hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub a_kad: Option<String>,
}

/// What a file begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BeginsWith {
    /// A block with a KAD of ours, in form.
    OurKad,
    /// An encrypted block with another KAD, or none.
    ForeignKad,
    /// An encrypted block of an algorithm that the drive does not have.
    OtherAlgorithm,
    /// A plain block.
    Plain,
    /// Nothing: the next filemark follows.
    Filemark,
    /// The drive does not tell.
    NotTold,
}

/// For what a person let a drive go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMaintenance {
    /// Why, as that person said.
    pub reason: String,
    /// When it is to be held again.
    #[serde(with = "time::serde::rfc3339")]
    pub until: Timestamp,
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobMessage {
    /// When.
    #[serde(with = "time::serde::rfc3339")]
    pub at: Timestamp,
    /// How much it matters.
    pub level: Level,
    /// What.
    pub text: String,
    /// What to do, if anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How much a message matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Good to know.
    Note,
    /// Why the job was refused or failed.
    Error,
    /// Somebody has to look at it.
    Alarm,
}

macro_rules! words {
    ($($type:ident { $($variant:ident => $word:literal),+ $(,)? })+) => {$(
        impl fmt::Display for $type {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(match self { $(Self::$variant => $word),+ })
            }
        }
    )+};
}

words! {
    JobKind {
        Load => "load",
        Unlock => "unlock",
        Clear => "clear",
        Scan => "scan",
        Hold => "hold",
        Release => "release",
        Doctor => "doctor",
    }
    Outcome {
        Running => "running",
        KeyLoaded => "key loaded",
        Plain => "plain",
        Cleared => "cleared",
        Scanned => "scanned",
        Held => "held",
        Released => "released",
        Refused => "refused",
        Failed => "failed",
        Interrupted => "interrupted",
    }
    BeginsWith {
        OurKad => "encrypted by tapekey",
        ForeignKad => "encrypted by other software",
        OtherAlgorithm => "encrypted, unknown algorithm",
        Plain => "plain",
        Filemark => "nothing",
        NotTold => "not told by the drive",
    }
    Level { Note => "note", Error => "error", Alarm => "ALARM" }
}
