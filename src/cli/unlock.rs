//! `tapekey unlock`: the key for reading.

use clap::Args;

use super::daemon::DaemonAt;
use super::output::{Failure, Output};
use crate::control::messages::Command;

/// Load the key that the volume in a drive is encrypted under, to read it
///
/// The key is found by what stands beside the first block, so the tape must be rewound. For a volume that other software encrypted, imported keys
/// with its KAD are tried on the drive, which decides; at most eight wrong ones until the volume is unloaded.
#[derive(Debug, Args)]
pub(super) struct UnlockArgs {
    /// The drive's name in the daemon's configuration
    drive: String,
}

pub(super) fn run(arguments: UnlockArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    daemon.job(Command::Unlock { drive: arguments.drive }, output)
}
