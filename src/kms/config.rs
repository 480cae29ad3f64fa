//! `kms.toml`: what `tapekey-kms serve DIR` reads. Unknown keys are refused; paths are relative to the file's folder.

use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::schedule::Snapshots;

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
    /// Where to answer health, readiness and metrics to anybody, over HTTP without TLS; nowhere if absent. They name external servers and
    /// count keys: use a loopback address unless the network is trusted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metrics_listen: Option<SocketAddr>,
    /// For backup, pass over an external server that cannot be reached, as one without such a key: the source of keys then changes
    /// silently while it is away.
    #[serde(default)]
    pub fall_back_when_unreachable: bool,
    /// How much one client, or all, may ask.
    #[serde(default)]
    pub limits: Limits,
    /// Snapshots that the service makes by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshots: Option<Snapshots>,
}

/// Bounds that keep one client from taking the service away from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that one certificate may make, in the long run.
    pub requests_per_second: NonZeroU32,
    /// Requests that it may make at once after a pause. A host that mounts a whole library asks for all its volumes at once.
    pub requests_burst: NonZeroU32,
    /// Connections that one certificate may have.
    pub connections_per_certificate: NonZeroU16,
    /// Connections that are served at once.
    pub connections_max: NonZeroU16,
    /// From a connection's first byte to the end of its TLS handshake.
    pub handshake_seconds: NonZeroU16,
    /// From the last answer to the end of the next request's header. Clients of ours keep idle connections for 30 s.
    pub idle_seconds: NonZeroU16,
    /// From a request's header to the end of its body.
    pub body_seconds: NonZeroU16,
    /// From a request's header to its answer.
    pub request_seconds: NonZeroU16,
}

impl Default for Limits {
    fn default() -> Self {
        // Each is one more than it says: so none can be zero.
        Self {
            requests_per_second: NonZeroU32::MIN.saturating_add(99),
            requests_burst: NonZeroU32::MIN.saturating_add(1999),
            connections_per_certificate: NonZeroU16::MIN.saturating_add(63),
            connections_max: NonZeroU16::MIN.saturating_add(1023),
            handshake_seconds: NonZeroU16::MIN.saturating_add(9),
            idle_seconds: NonZeroU16::MIN.saturating_add(59),
            body_seconds: NonZeroU16::MIN.saturating_add(9),
            request_seconds: NonZeroU16::MIN.saturating_add(29),
        }
    }
}

/// A number of seconds as a time.
pub(super) fn seconds(number: NonZeroU16) -> Duration {
    Duration::from_secs(number.get().into())
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
            metrics_listen: None,
            limits: Limits::default(),
            snapshots: None,
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
            metrics_listen: config.metrics_listen,
            limits: config.limits,
            snapshots: config.snapshots.map(|snapshots| Snapshots {
                folder: folder.join(snapshots.folder),
                ..snapshots
            }),
            fall_back_when_unreachable: config.fall_back_when_unreachable,
        })
    }
}
