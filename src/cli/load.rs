//! `tapekey load`: the key for writing.

use clap::Args;

use super::daemon::DaemonAt;
use super::output::{Failure, Output};
use crate::control::messages::Command;

/// Load the key for writing the volume in a drive
///
/// What stands on the tape decides: a volume of ours gets its very own key again, a blank one a new key of the pool's key group. A plain or foreign
/// volume gets none. A pool without the prefix ENCR_ is plain: a key of ours that is still in the drive is taken out.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The drive's name in the daemon's configuration
    drive: String,
    /// The volume's pool; needed for a blank volume
    #[arg(long, value_name = "NAME")]
    pool: Option<String>,
    /// The barcode that the volume must have
    #[arg(long, value_name = "BARCODE")]
    barcode: Option<String>,
}

pub(super) fn run(arguments: LoadArgs, daemon: &DaemonAt, output: &mut Output<'_>) -> Result<(), Failure> {
    let LoadArgs { drive, pool, barcode } = arguments;
    daemon.job(
        Command::Load {
            drive,
            pool,
            barcode,
            for_program: false,
        },
        output,
    )
}
