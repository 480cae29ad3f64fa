//! How every verb that opens the store is told where the host master key's passphrase comes from.

use std::path::PathBuf;

use clap::Args;

use crate::kms::master_key::Given;
use crate::terminal::passphrase::Source;

/// Where systemd puts credentials (systemd.exec(5), "CREDENTIALS").
const CREDENTIALS_VARIABLE: &str = "CREDENTIALS_DIRECTORY";

/// What is said of the host master key.
#[derive(Debug, Args)]
pub(super) struct MasterKeyArguments {
    /// Read the host master key's passphrase from this file descriptor instead of the terminal
    #[arg(long, value_name = "N")]
    passphrase_fd: Option<u32>,
}

impl MasterKeyArguments {
    pub(super) fn given(&self) -> Given {
        given(self.passphrase_fd)
    }
}

/// A passphrase from `descriptor`, or from the terminal; credentials from systemd.
pub(super) fn given(descriptor: Option<u32>) -> Given {
    Given {
        passphrase: Source::descriptor_or_terminal(descriptor),
        credentials: std::env::var_os(CREDENTIALS_VARIABLE).map(PathBuf::from),
    }
}
