//! `kms.toml`: what `tapekey-kms serve DIR` reads. Unknown keys are refused; paths are relative to the file's folder.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The file in the KMS's folder.
pub const FILE: &str = "kms.toml";

/// The configuration of one KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The store's folder.
    pub store: PathBuf,
    /// The host master key.
    pub master_key: PathBuf,
    /// The CA that client certificates must come from.
    pub issuing_ca: PathBuf,
    /// The server's certificate and the issuing CA's.
    pub server_certificate: PathBuf,
    /// The server's private key.
    pub server_key: PathBuf,
    /// For backup, pass over an external server that cannot be reached, as one without such a key: the source of keys then changes
    /// silently while it is away.
    #[serde(default)]
    pub fall_back_when_unreachable: bool,
}

/// The configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// No such file, or not readable.
    #[error("read {path}: {source}\nhint: name the folder that `tapekey-kms init` made", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A wrong key or value.
    #[error("{path}: {problem}\nhint: the file that `tapekey-kms init` wrote is a complete example", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the line.
        problem: String,
    },
}

impl KmsConfig {
    /// What `init` writes.
    #[must_use]
    pub(super) fn initial() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            store: "store".into(),
            master_key: "host-master.key".into(),
            issuing_ca: "issuing-ca.pem".into(),
            server_certificate: "server/certificate.pem".into(),
            server_key: "server/key.pem".into(),
            fall_back_when_unreachable: false,
        }
    }

    /// Reads the configuration in `folder`; its paths come back complete.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the line.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        let config: Self = toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path,
            problem: error.to_string(),
        })?;
        Ok(Self {
            listen: config.listen,
            store: folder.join(config.store),
            master_key: folder.join(config.master_key),
            issuing_ca: folder.join(config.issuing_ca),
            server_certificate: folder.join(config.server_certificate),
            server_key: folder.join(config.server_key),
            fall_back_when_unreachable: config.fall_back_when_unreachable,
        })
    }
}
