//! The daemon as subcommands ask it.

use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

use super::output::{Exit, Failure, Output};
use super::{job_failure, show};
use crate::control::client::{ClientError, ask, ask_with};
use crate::control::messages::job::JobRecord;
use crate::control::messages::{Answer, Command, RefusalCode};

/// How long a job may take: a volume becomes ready within ten minutes, and no drive or KMS is waited for without limit.
pub(super) const JOB_MAX: Duration = Duration::from_secs(3600);

/// How long an answer without a job may take.
const ANSWER_MAX: Duration = Duration::from_secs(60);

/// The daemon behind this socket.
pub(super) struct DaemonAt(pub(super) PathBuf);

impl DaemonAt {
    /// Asks for something that needs no job.
    pub(super) fn ask(&self, command: Command) -> Result<Answer, Failure> {
        ask(&self.0, command, ANSWER_MAX).map_err(client_failure)
    }

    /// Has a job done, prints it, and fails if it was refused or failed.
    pub(super) fn job(&self, command: Command, output: &mut Output<'_>) -> Result<(), Failure> {
        let job = self.printed_job(command, None, output)?;
        job_failure(&job)
    }

    /// Has a job done, handing `descriptor` over with it, and prints it however it ended.
    pub(super) fn printed_job(
        &self,
        command: Command,
        descriptor: Option<BorrowedFd<'_>>,
        output: &mut Output<'_>,
    ) -> Result<Box<JobRecord>, Failure> {
        match ask_with(&self.0, command, descriptor, JOB_MAX).map_err(client_failure)? {
            Answer::Job(job) => {
                output.answer(&job, |job| show::job(job))?;
                Ok(job)
            }
            other => Err(unexpected(&other)),
        }
    }
}

/// An answer to another question than the one asked.
pub(super) fn unexpected(answer: &Answer) -> Failure {
    let what = match answer {
        Answer::Job(_) => "a job",
        Answer::Jobs(_) => "jobs",
        Answer::Status(_) => "a status",
        Answer::Drives(_) => "drives",
        Answer::Libraries(_) => "libraries",
        Answer::Examined(_) => "an examination",
        Answer::KmsHeads(_) => "heads of audit chains",
    };
    Failure::new(
        Exit::Failed,
        format_args!(
            "the daemon answered with {what}, which was not asked for\nhint: use the tapekey of the daemon's version"
        ),
    )
}

/// What the command line makes of it that the daemon did not do what was asked.
pub(super) fn client_failure(error: ClientError) -> Failure {
    let exit = match &error {
        ClientError::Unreachable { .. } | ClientError::NoAnswer { .. } | ClientError::NotAReply { .. } => {
            Exit::Unreachable
        }
        ClientError::Refused(refusal) => match refusal.code {
            RefusalCode::Busy => Exit::Busy,
            RefusalCode::BadRequest
            | RefusalCode::NoSuchDrive
            | RefusalCode::NoSuchLibrary
            | RefusalCode::NotGated
            | RefusalCode::NoSuchJob
            | RefusalCode::NoSuchAlarm => Exit::Usage,
            _ => Exit::Failed,
        },
    };
    Failure::new(exit, error)
}
