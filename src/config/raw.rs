//! The configuration file as somebody typed it: names and types, no meaning. Unknown keys are errors.

use std::path::PathBuf;

use serde::Deserialize;

/// The whole file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawConfig {
    pub(super) state_directory: Option<PathBuf>,
    #[serde(default)]
    pub(super) allow_simulated_drives: bool,
    #[serde(default)]
    pub(super) drive: Vec<RawDevice>,
    #[serde(default)]
    pub(super) library: Vec<RawDevice>,
    pub(super) kms: Option<RawKms>,
    #[serde(default)]
    pub(super) control: RawControl,
    #[serde(default)]
    pub(super) policy: RawPolicy,
    #[serde(default)]
    pub(super) pool: Vec<RawPool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDevice {
    pub(super) name: String,
    pub(super) path: Option<PathBuf>,
    pub(super) socket: Option<PathBuf>,
    pub(super) nexus: Option<String>,
    pub(super) serial: Option<String>,
    pub(super) command_timeout_ms: Option<u64>,
    pub(super) hold: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawKms {
    pub(super) addresses: Vec<String>,
    pub(super) ca: PathBuf,
    pub(super) certificate: PathBuf,
    pub(super) key: PathBuf,
    pub(super) timeout_ms: Option<u64>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawControl {
    pub(super) socket: Option<PathBuf>,
    pub(super) group: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPolicy {
    pub(super) finish_volumes: Option<bool>,
    pub(super) scope: Option<RawScope>,
    pub(super) plain_blocks: Option<RawPlainBlocks>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPool {
    pub(super) name: String,
    pub(super) plain_blocks: Option<RawPlainBlocks>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawScope {
    AllItNexus,
    Local,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum RawPlainBlocks {
    Refuse,
    Allow,
}
