//! `tapekey clear`: no key any more.

use clap::Args;

use super::daemon::DaemonAt;
use super::output::{Failure, Output};
use crate::control::messages::Command;

/// Take the key out of a drive, after the proof of what is on the volume
///
/// It does not ask whether a program is writing, and what is written after it is plain: end the program first.
#[derive(Debug, Args)]
pub(super) struct ClearArgs {
    /// The drive's name in the daemon's configuration
    drive: String,
}

pub(super) fn run(arguments: ClearArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let command = Command::Clear {
        drive: arguments.drive,
        loaded_by: None,
    };
    daemon.job(command, output)
}
