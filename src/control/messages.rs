//! The messages of the control socket, pinned by tests: one JSON object a line.
//!
//! Requests refuse fields and commands that they do not know; a client of another version gets an error that says which version is
//! spoken here.

use serde::{Deserialize, Serialize};

pub use crate::controller::inventory;
pub use crate::controller::job;
pub use crate::controller::report;
pub use crate::controller::runtime::HeadReport;

use inventory::{DriveList, LibraryList};
use job::JobRecord;
use report::{DriveExamined, StatusReport};

/// The version of these messages.
pub const VERSION: u32 = 1;

/// Most bytes of a request with its line feed.
pub const REQUEST_LENGTH_MAX: usize = 64 * 1024;

/// Most bytes of a reply with its line feed.
pub const REPLY_LENGTH_MAX: usize = 16 * 1024 * 1024;

/// Most jobs in one reply.
pub const JOBS_MAX: usize = 1000;

/// What a client asks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// [`VERSION`].
    pub version: u32,
    /// Chosen by the client; the reply repeats it.
    pub id: u64,
    /// What to do.
    pub command: Command,
}

/// What can be asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Command {
    /// Makes a drive ready for writing the volume in it. Answered by the job, when it has ended.
    Load {
        /// Name of the drive.
        drive: String,
        /// The volume's pool; without one the volume itself must say.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pool: Option<String>,
        /// The barcode that the volume should have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        barcode: Option<String>,
        /// Only if no job has left a key in the drive, which a program may be using.
        #[serde(default, skip_serializing_if = "is_false")]
        for_program: bool,
    },
    /// Makes a drive ready for reading the volume in it. Answered by the job, when it has ended.
    Unlock {
        /// Name of the drive.
        drive: String,
        /// The key comes through a pipe whose descriptor is handed over beside the request (SCM_RIGHTS), not from the KMS.
        #[serde(default, skip_serializing_if = "is_false")]
        key_by_descriptor: bool,
        /// Only if no job has left a key in the drive, which a program may be using.
        #[serde(default, skip_serializing_if = "is_false")]
        for_program: bool,
    },
    /// Takes the key out of a drive. Answered by the job, when it has ended.
    Clear {
        /// Name of the drive.
        drive: String,
        /// Only if no other job than this one put in the key that is there now, and no program has the drive's tape node open.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        loaded_by: Option<u64>,
    },
    /// Lists which KADs stand where on the tape. It moves the tape. Answered by the job, when it has ended.
    Scan {
        /// Name of the drive.
        drive: String,
    },
    /// Has a running scan end early. Answered at once, by the job as it is then.
    JobCancel {
        /// Its number.
        job: u64,
    },
    /// Asks what the drives do now.
    Status {
        /// Only this drive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drive: Option<String>,
        /// Ask also drives in which a job left a key. Our command may then take a unit attention away from a program that writes.
        #[serde(default, skip_serializing_if = "is_false")]
        look: bool,
    },
    /// Asks which drives there are, and what is known of them without asking one.
    DriveList {},
    /// Keeps programs off a drive. Answered by the job.
    DriveHold {
        /// Name of the drive.
        drive: String,
    },
    /// Lets a drive go for a time, whatever is in it. Answered by the job.
    DriveRelease {
        /// Name of the drive.
        drive: String,
        /// Why.
        reason: String,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// Asks what the libraries last said is where.
    LibraryShow {
        /// Only this library, by its name or serial number.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        library: Option<String>,
    },
    /// Asks whether the drives will work. No key is sent and no tape is moved; a drive that may be in use is left alone.
    Doctor {
        /// Only this drive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drive: Option<String>,
    },
    /// Asks for the newest jobs, newest first.
    JobList {
        /// Only of this drive.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        drive: Option<String>,
        /// At most this many, and never more than [`JOBS_MAX`].
        limit: usize,
    },
    /// Asks for one job.
    JobShow {
        /// Its number.
        job: u64,
    },
    /// Asks what is remembered of the KMS's audit chains.
    KmsHeads {},
    /// Clears an alarm about one of them. Answered as `kms_heads`.
    AcceptKmsHead {
        /// The node whose chain it is, a UUID.
        node: String,
        /// Why it is all right.
        reason: String,
    },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Command {
    /// Whether a descriptor must be handed over beside it.
    #[must_use]
    pub fn needs_descriptor(&self) -> bool {
        matches!(
            self,
            Self::Unlock {
                key_by_descriptor: true,
                ..
            }
        )
    }
}

/// What comes back for a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reply {
    /// [`VERSION`].
    pub version: u32,
    /// That of the request; 0 if it could not be read.
    pub id: u64,
    /// The answer or the error.
    #[serde(flatten)]
    pub body: Body,
}

/// The answer or the error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Body {
    /// The command was carried out; a job may still have been refused or have failed.
    Answer(Answer),
    /// The command was not carried out.
    Error(Refusal),
}

/// What a command answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `load`, `unlock`, `clear`, `scan`, `drive_hold`, `drive_release`, `job_show` and `job_cancel`.
    Job(Box<JobRecord>),
    /// To `job_list`.
    Jobs(Vec<JobRecord>),
    /// To `status`.
    Status(StatusReport),
    /// To `drive_list`.
    Drives(DriveList),
    /// To `library_show`.
    Libraries(LibraryList),
    /// To `doctor`.
    Examined(Vec<DriveExamined>),
    /// To `kms_heads` and `accept_kms_head`.
    KmsHeads(HeadReport),
}

/// Why a command was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{error}\nhint: {hint}")]
pub struct Refusal {
    /// Why, for programs.
    pub code: RefusalCode,
    /// Why, for people.
    pub error: String,
    /// What to do.
    pub hint: String,
}

impl Refusal {
    /// A refusal with its reason and its remedy.
    pub fn new(code: RefusalCode, error: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            code,
            error: error.into(),
            hint: hint.into(),
        }
    }
}

/// Why a command was not carried out, for programs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusalCode {
    /// The line is no request.
    BadRequest,
    /// The request is of a version that is not spoken here.
    Version,
    /// The caller may not command this daemon.
    NotPermitted,
    /// No drive has that name.
    NoSuchDrive,
    /// No library has that name.
    NoSuchLibrary,
    /// The configuration does not want that drive to be held.
    NotGated,
    /// No job has that number.
    NoSuchJob,
    /// No alarm is about that audit chain of the KMS.
    NoSuchAlarm,
    /// Another job is running on the drive.
    Busy,
    /// The drive has not answered an earlier command yet.
    DriveHangs,
    /// The key in the drive is that of another job.
    NotItsKey,
    /// Too many clients are connected.
    TooManyClients,
    /// No key came through the descriptor.
    NoKeyCame,
    /// The state directory failed.
    State,
    /// A code that this client does not know.
    #[serde(other)]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_look_like_this_on_the_wire() {
        let golden = [
            (
                Command::Load {
                    drive: "d0".into(),
                    pool: Some("ENCR_daily".into()),
                    barcode: None,
                    for_program: false,
                },
                r#"{"version":1,"id":7,"command":{"load":{"drive":"d0","pool":"ENCR_daily"}}}"#,
            ),
            (
                Command::Unlock {
                    drive: "d0".into(),
                    key_by_descriptor: false,
                    for_program: false,
                },
                r#"{"version":1,"id":7,"command":{"unlock":{"drive":"d0"}}}"#,
            ),
            (
                Command::Unlock {
                    drive: "d0".into(),
                    key_by_descriptor: true,
                    for_program: false,
                },
                r#"{"version":1,"id":7,"command":{"unlock":{"drive":"d0","key_by_descriptor":true}}}"#,
            ),
            (
                Command::Clear {
                    drive: "d0".into(),
                    loaded_by: None,
                },
                r#"{"version":1,"id":7,"command":{"clear":{"drive":"d0"}}}"#,
            ),
            (
                Command::Clear {
                    drive: "d0".into(),
                    loaded_by: Some(3),
                },
                r#"{"version":1,"id":7,"command":{"clear":{"drive":"d0","loaded_by":3}}}"#,
            ),
            (
                Command::Scan { drive: "d0".into() },
                r#"{"version":1,"id":7,"command":{"scan":{"drive":"d0"}}}"#,
            ),
            (
                Command::JobCancel { job: 3 },
                r#"{"version":1,"id":7,"command":{"job_cancel":{"job":3}}}"#,
            ),
            (
                Command::Status {
                    drive: None,
                    look: false,
                },
                r#"{"version":1,"id":7,"command":{"status":{}}}"#,
            ),
            (
                Command::Status {
                    drive: Some("d0".into()),
                    look: true,
                },
                r#"{"version":1,"id":7,"command":{"status":{"drive":"d0","look":true}}}"#,
            ),
        ];
        pinned(&golden);
    }

    #[test]
    fn questions_look_like_this_on_the_wire() {
        let golden = [
            (
                Command::Doctor { drive: None },
                r#"{"version":1,"id":7,"command":{"doctor":{}}}"#,
            ),
            (
                Command::JobList { drive: None, limit: 20 },
                r#"{"version":1,"id":7,"command":{"job_list":{"limit":20}}}"#,
            ),
            (
                Command::DriveList {},
                r#"{"version":1,"id":7,"command":{"drive_list":{}}}"#,
            ),
            (
                Command::DriveHold { drive: "d0".into() },
                r#"{"version":1,"id":7,"command":{"drive_hold":{"drive":"d0"}}}"#,
            ),
            (
                Command::DriveRelease {
                    drive: "d0".into(),
                    reason: "firmware".into(),
                    seconds: 3600,
                },
                r#"{"version":1,"id":7,"command":{"drive_release":{"drive":"d0","reason":"firmware","seconds":3600}}}"#,
            ),
            (
                Command::LibraryShow { library: None },
                r#"{"version":1,"id":7,"command":{"library_show":{}}}"#,
            ),
            (
                Command::LibraryShow {
                    library: Some("main".into()),
                },
                r#"{"version":1,"id":7,"command":{"library_show":{"library":"main"}}}"#,
            ),
            (
                Command::KmsHeads {},
                r#"{"version":1,"id":7,"command":{"kms_heads":{}}}"#,
            ),
            (
                Command::AcceptKmsHead {
                    node: "22222222-2222-2222-2222-222222222222".into(),
                    reason: "restored".into(),
                },
                r#"{"version":1,"id":7,"command":{"accept_kms_head":{"node":"22222222-2222-2222-2222-222222222222","reason":"restored"}}}"#,
            ),
            (
                Command::JobShow { job: 3 },
                r#"{"version":1,"id":7,"command":{"job_show":{"job":3}}}"#,
            ),
        ];
        pinned(&golden);
    }

    #[track_caller]
    fn pinned(golden: &[(Command, &str)]) {
        for (command, text) in golden {
            let request = Request {
                version: VERSION,
                id: 7,
                command: command.clone(),
            };
            assert_eq!(serde_json::to_string(&request).unwrap(), *text);
            assert_eq!(serde_json::from_str::<Request>(text).unwrap(), request);
        }
    }

    #[test]
    fn an_error_looks_like_this_on_the_wire() {
        let refusal = Refusal::new(RefusalCode::Busy, "drive d0 is busy with job 3", "wait for it");
        let reply = Reply {
            version: VERSION,
            id: 7,
            body: Body::Error(refusal),
        };
        let text = r#"{"version":1,"id":7,"error":{"code":"busy","error":"drive d0 is busy with job 3","hint":"wait for it"}}"#;
        assert_eq!(serde_json::to_string(&reply).unwrap(), text);
        assert_eq!(serde_json::from_str::<Reply>(text).unwrap(), reply);
    }

    #[test]
    fn refuses_unknown_commands_and_misspelt_wishes() {
        for bad in [
            r#"{"version":1,"id":1,"command":{"format":{"drive":"d0"}}}"#,
            r#"{"version":1,"id":1,"command":{"load":{"drive":"d0","pol":"ENCR_x"}}}"#,
            r#"{"version":1,"id":1,"command":{"load":{}}}"#,
            r#"{"version":1,"id":1,"commands":{"status":{}}}"#,
            r#"{"version":1,"id":-1,"command":{"status":{}}}"#,
        ] {
            assert!(serde_json::from_str::<Request>(bad).is_err(), "{bad}");
        }
    }
}
