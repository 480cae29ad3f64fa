//! The command line of the daemon, here so that its pages are made from the same flags that it reads.

use std::path::PathBuf;

use clap::Parser;

use crate::config::DEFAULT_FILE;

/// Loads keys into the tape drives of this host and clears them, on command.
///
/// It logs to standard error, or to the journal where systemd started it. The environment variable TAPEKEY_LOG chooses what, as in TAPEKEY_LOG=debug.
/// SIGTERM ends it once running jobs have ended; drives are left as they are, since programs may be using them.
#[derive(Debug, Parser)]
#[command(name = "tapekeyd", version)]
pub struct DaemonArguments {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = DEFAULT_FILE)]
    pub config: PathBuf,
    /// Log as JSON, one object a line
    #[arg(long)]
    pub log_json: bool,
}
