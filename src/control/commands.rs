//! From the messages of the control socket to the controller and back.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use super::messages::{Answer, Command, JOBS_MAX, Refusal, RefusalCode};
use super::server::{Caller, Commands, Executing};
use crate::controller::job::JobGiver;
use crate::controller::operation::Wish;
use crate::controller::pool::Pool;
use crate::controller::runtime::{CommandError, Daemon, HeadBookError, Provided};
use crate::kad::KeyId;
use crate::secret::take_from_pipe;

/// How long a key may take to come through its pipe. The command line hands the pipe over only once something is in it.
const KEY_COMES_WITHIN: Duration = Duration::from_secs(10);

impl Commands for Daemon {
    fn execute(self: Arc<Self>, caller: Caller, command: Command) -> Executing<'static> {
        Box::pin(execute(self, caller, command))
    }
}

async fn execute(daemon: Arc<Daemon>, caller: Caller, command: Command) -> Result<Answer, Refusal> {
    let (drive, wish) = match command {
        Command::Load {
            drive,
            pool,
            barcode,
            for_program,
        } => {
            let wish = load(pool.as_deref(), barcode)?;
            return job_if(&daemon, &drive, wish, no_key_in(for_program), &caller).await;
        }
        Command::Unlock { drive, for_program, .. } => match caller.handed {
            None => return job_if(&daemon, &drive, Wish::Unlock, no_key_in(for_program), &caller).await,
            Some(pipe) => {
                let key = take_from_pipe(pipe, KEY_COMES_WITHIN).await;
                let key = key.map_err(|error| refusal(RefusalCode::NoKeyCame, &error, "try again"))?;
                let by = JobGiver {
                    uid: caller.peer.uid,
                    pid: caller.peer.pid,
                };
                return Ok(Answer::Job(Box::new(daemon.unlock_with(&drive, key, by).await?)));
            }
        },
        Command::Clear { drive, loaded_by } => {
            let provided = loaded_by.map_or(Provided::Nothing, Provided::KeyOf);
            return job_if(&daemon, &drive, Wish::Clear, provided, &caller).await;
        }
        Command::Scan { drive } => (drive, Wish::Scan),
        Command::JobCancel { job } => {
            return Ok(Answer::Job(Box::new(daemon.cancel(job, caller.peer.uid)?)));
        }
        Command::Status { drive, look } => {
            return Ok(Answer::Status(daemon.status(drive.as_deref(), look).await?));
        }
        Command::DriveList {} => return Ok(Answer::Drives(daemon.drive_list().await)),
        Command::DriveHold { .. } | Command::DriveRelease { .. } => {
            return at_gate(&daemon, command, caller.peer.uid).await;
        }
        Command::LibraryShow { library } => {
            return Ok(Answer::Libraries(daemon.library_list(library.as_deref())?));
        }
        Command::Doctor { drive } => {
            return Ok(Answer::Examined(daemon.examine(drive.as_deref()).await?));
        }
        Command::JobList { drive, limit } => {
            let mut jobs = daemon.jobs().list(drive.as_deref(), limit.min(JOBS_MAX));
            // A list of many scans in full would be longer than a reply may be.
            let scans = jobs.iter_mut().filter_map(|job| job.scan.as_mut());
            scans.for_each(|scan| scan.found.clear());
            return Ok(Answer::Jobs(jobs));
        }
        Command::JobShow { job } => return job_show(&daemon, job),
        Command::KmsHeads {} => return Ok(Answer::KmsHeads(daemon.heads().report())),
        Command::AcceptKmsHead { node, reason } => {
            let node = uuid::Uuid::try_parse(&node);
            let node = node.map_err(|error| refusal(RefusalCode::BadRequest, &error, "see tapekey kms head list"))?;
            let by = format!("uid {}", caller.peer.uid);
            return Ok(Answer::KmsHeads(
                daemon.heads().accept(KeyId(node.into_bytes()), &by, &reason).await?,
            ));
        }
    };
    Ok(Answer::Job(Box::new(
        daemon.carry_out(&drive, wish, caller.peer.uid).await?,
    )))
}

fn job_show(daemon: &Daemon, job: u64) -> Result<Answer, Refusal> {
    let found = daemon.jobs().show(job).map(|record| Answer::Job(Box::new(record)));
    found.ok_or_else(|| {
        let text = format!("there is no job {job}");
        refusal(RefusalCode::NoSuchJob, &text, "see tapekey job list")
    })
}

/// What a person wants of a drive's gate.
async fn at_gate(daemon: &Arc<Daemon>, command: Command, uid: u32) -> Result<Answer, Refusal> {
    let job = match command {
        Command::DriveHold { drive } => daemon.hold(&drive, uid).await?,
        Command::DriveRelease { drive, reason, seconds } => {
            daemon
                .release(&drive, &reason, Duration::from_secs(seconds), uid)
                .await?
        }
        _ => {
            return Err(Refusal::new(
                RefusalCode::BadRequest,
                "this is no command for a gate",
                "see tapekey drive --help",
            ));
        }
    };
    Ok(Answer::Job(Box::new(job)))
}

async fn job_if(
    daemon: &Arc<Daemon>,
    drive: &str,
    wish: Wish,
    provided: Provided,
    caller: &Caller,
) -> Result<Answer, Refusal> {
    let job = daemon.carry_out_if(drive, wish, provided, caller.peer.uid).await?;
    Ok(Answer::Job(Box::new(job)))
}

/// A program that runs under a key of its own must not get somebody else's taken away.
fn no_key_in(for_program: bool) -> Provided {
    if for_program {
        Provided::NoKeyIn
    } else {
        Provided::Nothing
    }
}

fn load(pool: Option<&str>, barcode: Option<String>) -> Result<Wish, Refusal> {
    let bad = |error: &dyn Display| refusal(RefusalCode::BadRequest, error, "see tapekey load --help");
    let pool = pool.map(Pool::parse).transpose().map_err(|error| bad(&error))?;
    let barcode = barcode
        .map(TryInto::try_into)
        .transpose()
        .map_err(|error| bad(&error))?;
    Ok(Wish::Load { pool, barcode })
}

impl From<CommandError> for Refusal {
    fn from(error: CommandError) -> Self {
        let code = match &error {
            CommandError::NoSuchDrive { .. } => RefusalCode::NoSuchDrive,
            CommandError::NoSuchLibrary { .. } => RefusalCode::NoSuchLibrary,
            CommandError::NotGated { .. } => RefusalCode::NotGated,
            CommandError::BadRelease { .. } => RefusalCode::BadRequest,
            CommandError::Busy { .. } => RefusalCode::Busy,
            CommandError::NotItsKey { .. } => RefusalCode::NotItsKey,
            CommandError::NodeInUse { .. } | CommandError::MayBeInUse { .. } => RefusalCode::Busy,
            CommandError::CannotCancel { .. } => RefusalCode::NoSuchJob,
            CommandError::DriveHangs { .. } => RefusalCode::DriveHangs,
            CommandError::Jobs(_) | CommandError::Bug => RefusalCode::State,
        };
        refusal(code, &error, "see the daemon's log")
    }
}

impl From<HeadBookError> for Refusal {
    fn from(error: HeadBookError) -> Self {
        let code = match &error {
            HeadBookError::NoAlarm { .. } => RefusalCode::NoSuchAlarm,
            HeadBookError::Reason => RefusalCode::BadRequest,
            HeadBookError::Unwritable { .. } => RefusalCode::State,
        };
        refusal(code, &error, "see the daemon's log")
    }
}

/// A refusal out of an error that says in its last line what to do, or else `otherwise`.
fn refusal(code: RefusalCode, error: &dyn Display, otherwise: &str) -> Refusal {
    let text = error.to_string();
    let (what, hint) = text.rsplit_once("\nhint: ").unwrap_or((&text, otherwise));
    Refusal::new(code, what, hint)
}
