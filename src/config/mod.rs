//! The configuration of `tapekeyd`: one TOML file, checked as a whole before anything starts.
//!
//! [`Config`] cannot be built invalid: the only way to one is [`load`], which the daemon and `tapekey config check` both use. Unknown
//! keys, unreadable files, secrets that others can read and values out of range are errors, never warnings, and nothing is clamped.

mod check;
mod files;
mod problem;
mod raw;

use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub use problem::{ConfigError, Problem};

/// Where the configuration is if nobody says otherwise.
pub const DEFAULT_FILE: &str = "/etc/tapekey/tapekeyd.toml";

/// Where the control socket is if nobody says otherwise.
pub const DEFAULT_SOCKET: &str = "/run/tapekey/tapekeyd.sock";

/// Largest file that is read as a configuration, in bytes.
const FILE_LENGTH_MAX: u64 = 1 << 20;

/// A configuration that passed every check.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Config {
    /// Where jobs are kept.
    pub state_directory: PathBuf,
    /// The drives, in the order of the file; names, paths and serial numbers are unique.
    pub drives: Vec<DeviceConfig>,
    /// The libraries that have a name or a timeout of their own, or are simulated; changers that the kernel shows need none.
    pub libraries: Vec<DeviceConfig>,
    /// Where keys come from; without it, only from whoever gives one with `tapekey unlock --key-fd`.
    pub kms: Option<KmsConfig>,
    /// Where commands come from.
    pub control: ControlConfig,
    /// What to do where the operator has a choice.
    pub policy: Policy,
}

/// One drive or library.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeviceConfig {
    /// How commands name it: letters, digits, `.`, `_`, `-`.
    pub name: String,
    /// How to reach it.
    pub path: DevicePath,
    /// The serial number that it must report, if given.
    pub serial: Option<String>,
    /// How long it may take to answer one command.
    pub command_timeout: Duration,
    /// Whether programs are kept off it until it is ready; never of a library or a simulated drive.
    pub hold: bool,
}

/// How to reach a drive or library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DevicePath {
    /// Wherever the kernel shows the drive or changer with this serial number.
    Serial(String),
    /// A node of Linux's sg driver.
    Node(PathBuf),
    /// The socket of a simulated drive or changer. Present only if the file says `allow_simulated_drives = true`.
    Simulator {
        /// The simulator's SCSI socket.
        socket: PathBuf,
        /// The I_T nexus that we name: the one of the programs that write through this "host".
        nexus: String,
    },
}

/// Where keys come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KmsConfig {
    /// `https://host:port` of the nodes of one KMS, asked in this order; at least one.
    pub addresses: Vec<String>,
    /// PEM file of the root certificate that the KMS must descend from.
    pub ca: PathBuf,
    /// PEM file of our own certificate and those between it and the root.
    pub certificate: PathBuf,
    /// PEM file of our certificate's private key.
    pub key: PathBuf,
    /// How long one address may take to answer.
    pub timeout: Duration,
}

/// Where commands come from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ControlConfig {
    /// The Unix socket.
    pub socket: PathBuf,
    /// The group whose members may command the daemon, beside root and the daemon's own user.
    pub group: Option<ControlGroup>,
}

/// A group of this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ControlGroup {
    /// Its name.
    pub name: String,
    /// Its number.
    pub gid: u32,
}

/// What to do where the operator has a choice.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Policy {
    /// Whether a volume begun under a key that is now inactive may be written on with that key.
    pub finish_volumes: bool,
    /// Who shares the key in the drive.
    pub scope: KeyScope,
    plain_blocks: PlainBlocks,
    pools: Vec<(String, PlainBlocks)>,
}

/// Who shares the key that is loaded (SSC-4, SCOPE of the Set Data Encryption page).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyScope {
    /// Every nexus that has no key of its own.
    AllItNexus,
    /// This host's path alone. Only where programs write through the same port as the daemon.
    Local,
}

/// What to do with a volume of an `ENCR_` pool that is plain at its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlainBlocks {
    /// No key: the volume is not for this pool.
    Refuse,
    /// A key with decryption mode MIXED, so that plain blocks stay readable and new ones are encrypted.
    Allow,
}

impl Policy {
    /// What to do with a plain volume of `pool`, or of a pool without a section.
    #[must_use]
    pub fn plain_blocks(&self, pool: Option<&str>) -> PlainBlocks {
        let own = self.pools.iter().find(|(name, _)| pool == Some(name.as_str()));
        own.map_or(self.plain_blocks, |(_, plain_blocks)| *plain_blocks)
    }

    /// The pools that have a section.
    pub fn named_pools(&self) -> impl Iterator<Item = &str> {
        self.pools.iter().map(|(name, _)| name.as_str())
    }
}

/// Reads and checks the configuration in `file`, and the files that it names. The only way to a [`Config`].
///
/// # Errors
/// [`ConfigError`]: unreadable, not TOML of the known keys, or one or more values that cannot be used.
pub fn load(file: &Path) -> Result<Config, ConfigError> {
    let unreadable = |error: &dyn std::fmt::Display| ConfigError::Unreadable {
        file: file.into(),
        reason: error.to_string(),
    };
    let open = std::fs::File::open(file).map_err(|error| unreadable(&error))?;
    let mut text = String::new();
    let read = open
        .take(FILE_LENGTH_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| unreadable(&error))?;
    if u64::try_from(read).is_ok_and(|read| read > FILE_LENGTH_MAX) {
        return Err(unreadable(&format_args!("more than {FILE_LENGTH_MAX} bytes")));
    }
    check::check(file, parse(file, &text)?)
}

fn parse(file: &Path, text: &str) -> Result<raw::RawConfig, ConfigError> {
    toml::from_str(text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or("");
        let line = before.matches('\n').count() + 1;
        ConfigError::Syntax {
            file: file.into(),
            line,
            what: error.message().replace('\n', ", "),
        }
    })
}

#[cfg(test)]
mod tests;
