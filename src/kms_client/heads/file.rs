//! The file of remembered heads: read once, replaced as a whole, so that a kill leaves the old one or the new one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::KnownChain;
use super::book::Accepted;

/// Largest file that is read, in bytes.
const LENGTH_MAX: u64 = 1 << 20;

/// What the file says.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    pub(super) chains: Vec<KnownChain>,
    /// What persons accepted, the newest last.
    #[serde(default)]
    pub(super) accepted: Vec<Accepted>,
}

/// The content; that of no file at all is empty.
pub(super) fn read(path: &Path) -> io::Result<Content> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::default()),
        opened => opened?,
    };
    let mut text = Vec::new();
    file.take(LENGTH_MAX).read_to_end(&mut text)?;
    serde_json::from_slice(&text).map_err(io::Error::other)
}

/// Replaces the file and returns once that is durable.
pub(super) fn write(path: &Path, content: &Content) -> io::Result<()> {
    // Two commands of one administrator may run at once.
    let beside = path.with_extension(format!("{}.new", std::process::id()));
    let mut file = File::options()
        .create(true)
        .truncate(true)
        .write(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(&serde_json::to_vec_pretty(content).map_err(io::Error::other)?)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    File::open(folder)?.sync_all()
}
