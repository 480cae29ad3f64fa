//! `kms.toml`: what `tapekey-kms serve DIR` reads. Unknown keys are refused; paths are relative to the file's folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::num::{NonZeroU16, NonZeroU32};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::master_key::MasterKeySource;
use super::releases::ReleaseLimits;
use super::schedule::Snapshots;
use super::store::StorePlace;

/// The file in the KMS's folder.
pub const FILE: &str = "kms.toml";

/// Where `init` and `restore` put a host master key that lies in a file.
pub(super) const MASTER_KEY_FILE: &str = "host-master.key";

/// The configuration of one KMS.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KmsConfig {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Where the store is: a folder for SQLite, or a table `[store.postgresql]`.
    pub store: StorePlace,
    /// Where the host master key comes from.
    pub master_key: MasterKeySource,
    /// Where the former one comes from, while `tapekey-kms reseal` is at work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub former_master_key: Option<MasterKeySource>,
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
    /// How many releases of keys are unusual.
    #[serde(default)]
    pub releases: ReleaseLimits,
}

/// Bounds that keep one client from taking the service away from the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Requests that one client may make, in the long run, whichever of its certificates it shows.
    pub requests_per_second: NonZeroU32,
    /// Requests that it may make at once after a pause. A host that mounts a whole library asks for all its volumes at once.
    pub requests_burst: NonZeroU32,
    /// Connections that one client may have, under all its certificates together.
    pub connections_per_client: NonZeroU16,
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
            connections_per_client: NonZeroU16::MIN.saturating_add(63),
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
        source: io::Error,
    },
    /// It cannot be replaced.
    #[error("write {path}: {source}\nhint: check the folder's permissions and free space; the file is as it was", path = path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
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
    /// What `init` writes for a store at `store`.
    #[must_use]
    pub(super) fn initial(store: StorePlace) -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8443)),
            store,
            master_key: MasterKeySource::File(MASTER_KEY_FILE.into()),
            former_master_key: None,
            issuing_ca: "issuing-ca.pem".into(),
            server_certificate: "server/certificate.pem".into(),
            server_key: "server/key.pem".into(),
            metrics_listen: None,
            limits: Limits::default(),
            snapshots: None,
            fall_back_when_unreachable: false,
            releases: ReleaseLimits::default(),
        }
    }

    /// Reads the configuration in `folder`; its paths come back complete.
    ///
    /// # Errors
    /// [`ConfigError`] names the file and the line.
    pub fn read(folder: &Path) -> Result<Self, ConfigError> {
        Ok(Self::as_written(folder)?.below(folder))
    }

    /// The same with its paths as they stand in the file.
    pub(super) fn as_written(folder: &Path) -> Result<Self, ConfigError> {
        let path = folder.join(FILE);
        let text = fs::read_to_string(&path).map_err(|source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        })?;
        toml::from_str(&text).map_err(|error| ConfigError::Malformed {
            path,
            problem: error.to_string(),
        })
    }

    /// The same with its paths completed.
    pub(super) fn below(self, folder: &Path) -> Self {
        let config = self;
        Self {
            listen: config.listen,
            store: config.store.within(folder),
            master_key: config.master_key.below(folder),
            former_master_key: config.former_master_key.map(|former| former.below(folder)),
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
            releases: config.releases,
        }
    }

    /// Names another host master key in the file, in one step: a kill leaves the file as it was or as it is to be. Everything else in it stays,
    /// comments too.
    ///
    /// # Errors
    /// [`ConfigError`]: the file is not as `init` writes it, or cannot be written.
    pub(super) fn name_master_key(
        folder: &Path,
        new: &MasterKeySource,
        former: Option<&MasterKeySource>,
    ) -> Result<(), ConfigError> {
        let path = folder.join(FILE);
        let unreadable = |source| ConfigError::Unreadable {
            path: path.clone(),
            source,
        };
        let malformed = |problem: String| ConfigError::Malformed {
            path: path.clone(),
            problem,
        };
        let text = fs::read_to_string(&path).map_err(unreadable)?;
        let text = with_master_key(&text, new, former).map_err(malformed)?;
        replace(&path, &text).map_err(|source| ConfigError::Unwritable {
            path: path.clone(),
            source,
        })
    }
}

/// The same text with other master keys.
fn with_master_key(text: &str, new: &MasterKeySource, former: Option<&MasterKeySource>) -> Result<String, String> {
    let quoted = |source: &MasterKeySource| toml::Value::String(source.to_string()).to_string();
    let key_of = |line: &str| line.split_once('=').map(|(key, _)| key.trim().to_owned());
    let (mut lines, mut at_top) = (Vec::new(), true);
    for line in text.lines() {
        at_top &= !line.trim_start().starts_with('[');
        match key_of(line).filter(|_| at_top).as_deref() {
            Some("former_master_key") => {}
            Some("master_key") => {
                lines.push(format!("master_key = {}", quoted(new)));
                lines.extend(former.map(|former| format!("former_master_key = {}", quoted(former))));
            }
            _ => lines.push(line.to_owned()),
        }
    }
    let text = lines.join("\n") + "\n";
    let config: KmsConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
    if (&config.master_key, config.former_master_key.as_ref()) == (new, former) {
        Ok(text)
    } else {
        Err("master_key does not stand on a line of its own".to_owned())
    }
}

fn replace(path: &Path, text: &str) -> io::Result<()> {
    let partial = path.with_file_name(format!(".{FILE}.partial"));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o644)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_master_key_leaves_everything_else_in_the_file_as_it_was() {
        let initial = toml::to_string(&KmsConfig::initial(StorePlace::Folder("store".into()))).unwrap();
        let text = format!("# mine\n{initial}# the end\n[snapshots]\nfolder = \"/mnt/disk\"\n");
        let (old, new) = (
            MasterKeySource::File("host-master.key".into()),
            MasterKeySource::Passphrase,
        );
        let during = with_master_key(&text, &new, Some(&old)).unwrap();
        assert!(during.contains("master_key = \"passphrase\"\nformer_master_key = \"host-master.key\"\n"));
        assert!(during.starts_with("# mine\n") && during.contains("# the end\n[snapshots]\n"));
        let after = with_master_key(&during, &new, None).unwrap();
        assert_eq!(
            after,
            text.replace("master_key = \"host-master.key\"", "master_key = \"passphrase\"")
        );
        let odd = MasterKeySource::File("a \"b\" \\ c".into());
        assert_eq!(
            with_master_key(&after, &odd, None).and_then(|odd| with_master_key(&odd, &old, None)),
            Ok(text)
        );
    }

    #[test]
    fn a_file_in_which_the_master_key_cannot_be_found_is_left_as_it_is() {
        let text = toml::to_string(&KmsConfig::initial(StorePlace::Folder("store".into())))
            .unwrap()
            .replace("master_key", "\"master_key\"");
        assert!(toml::from_str::<KmsConfig>(&text).is_ok());
        assert!(with_master_key(&text, &MasterKeySource::Passphrase, None).is_err());
    }
}
