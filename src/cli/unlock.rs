//! `tapekey unlock`: the key for reading, from the KMS or through a pipe. No byte of a key is read here.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::daemon::DaemonAt;
use super::output::{Exit, Failure, Output};
use super::{job_failure, scan};
use crate::config::DEFAULT_SOCKET;
use crate::control::messages::Command;
use crate::control::messages::job::JobRecord;

/// How long to wait for something to come through the pipe: somebody may be typing a whole kit at its other end.
const TYPING_HOURS_MAX: u16 = 12;

/// Load the key that the volume in a drive is encrypted under, to read it
///
/// The key is found by what stands beside the first block, so the tape must be rewound. For a volume that other software encrypted, imported keys
/// with its KAD are tried on the drive, which decides; at most eight wrong ones until the volume is unloaded.
#[derive(Debug, Args)]
pub(super) struct UnlockArgs {
    /// The drive's name in the daemon's configuration
    drive: String,
    /// Do not ask the KMS: take the key out of the pipe at this file descriptor, as tapekey-kms recover gives it
    #[arg(long, value_name = "N")]
    key_fd: Option<u32>,
    /// Load no key: walk over the whole tape and list which KADs stand where. It moves the tape, which is rewound at the end
    #[arg(long, conflicts_with = "key_fd")]
    scan: bool,
}

pub(super) async fn run(arguments: UnlockArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let UnlockArgs { drive, key_fd, scan } = arguments;
    if scan {
        return scan::run(drive, daemon, output).await;
    }
    let pipe = key_fd.map(open).transpose()?;
    if let Some(pipe) = &pipe {
        wait_for_key(pipe)?;
    }
    let command = Command::Unlock {
        drive,
        key_by_descriptor: pipe.is_some(),
        for_program: false,
    };
    let job = daemon.printed_job(command, pipe.as_ref().map(AsFd::as_fd), output)?;
    job_failure(&job).map_err(|failure| with_way_out(failure, &job, daemon))
}

fn open(descriptor: u32) -> Result<File, Failure> {
    let refused = |why: &dyn std::fmt::Display| {
        let text = format!(
            "take the key from file descriptor {descriptor}: {why}\nhint: tapekey-kms recover … --key-fd 1 | tapekey unlock DRIVE --key-fd 0"
        );
        Failure::new(Exit::Usage, text)
    };
    // Before it is opened: a file or terminal at that place might do something.
    let path = format!("/dev/fd/{descriptor}");
    let found = std::fs::metadata(&path).map_err(|error| refused(&error))?;
    if !found.file_type().is_fifo() {
        return Err(refused(&"it is no pipe"));
    }
    File::open(path).map_err(|error| refused(&error))
}

/// The daemon waits for a key only a moment, a person at the other end of the pipe may take long.
fn wait_for_key(pipe: &File) -> Result<(), Failure> {
    let failed =
        |text: &dyn std::fmt::Display| Failure::new(Exit::Failed, format_args!("take the key from the pipe: {text}"));
    let mut waiting = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let limit_ms = i32::from(TYPING_HOURS_MAX).saturating_mul(3_600_000);
    let limit = PollTimeout::try_from(limit_ms).unwrap_or(PollTimeout::MAX);
    let ready = poll(&mut waiting, limit).map_err(|error| failed(&error))?;
    if ready == 0 {
        return Err(failed(&format_args!(
            "nothing came in {TYPING_HOURS_MAX} hours\nhint: start both programs again"
        )));
    }
    let [came] = waiting;
    if came.revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
        Ok(())
    } else {
        Err(failed(
            &"the program at its other end gave none and ended\nhint: see what it says; the drive was not asked for anything",
        ))
    }
}

/// Where no key was found and the tape says which one it needs: the command that brings it from a kit.
fn with_way_out(failure: Failure, job: &JobRecord, daemon: &DaemonAt) -> Failure {
    let volume = &job.volume;
    if job.key.is_some() || (volume.kad.is_none() && volume.a_kad.is_none()) {
        return failure;
    }
    let option =
        |name: &str, kad: &Option<String>| kad.as_ref().map(|kad| format!(" {name} {kad}")).unwrap_or_default();
    let socket = match daemon.0.to_str() {
        Some(DEFAULT_SOCKET) | None => String::new(),
        Some(socket) => format!(" --socket {socket}"),
    };
    let text = format!(
        "{}\nhint: with a recovery kit: tapekey-kms recover --kit kit.txt{}{} --key-fd 1 | tapekey{socket} unlock {} --key-fd 0",
        failure.text,
        option("--kad", &volume.kad),
        option("--a-kad", &volume.a_kad),
        job.drive.name,
    );
    Failure::new(failure.exit, text)
}
