//! Where the host master key comes from: a file, a passphrase that a person types, or a systemd credential.
//!
//! A passphrase's salt is the key's id, which stands in the store beside what it seals: store and passphrase are enough, and there is no second
//! file to lose. Its parameters are those of every passphrase here, frozen. Nothing here keeps a passphrase longer than it takes to use it.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use super::config::KmsConfig;
use super::seal::{HostMasterKey, MasterKeyError, Origin};
use super::store::{StoreError, sealed_under};
use crate::entropy::{Entropy, EntropyError, random_bytes};
use crate::kad::KeyId;
use crate::passphrase::PassphraseError;
use crate::terminal::passphrase::{AskError, Source, ask_known, ask_new};

/// Where a host master key comes from, as `kms.toml` and the command line spell it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MasterKeySource {
    /// A file of one line: any other text than the two below.
    File(PathBuf),
    /// A passphrase: `passphrase`.
    Passphrase,
    /// A file of one line that systemd puts into `$CREDENTIALS_DIRECTORY`: `credential:NAME`.
    Credential(String),
}

const PASSPHRASE: &str = "passphrase";
const CREDENTIAL: &str = "credential:";

impl MasterKeySource {
    /// The same with a file's path relative to `folder` completed.
    #[must_use]
    pub fn below(self, folder: &Path) -> Self {
        match self {
            Self::File(path) => Self::File(folder.join(path)),
            other => other,
        }
    }
}

impl FromStr for MasterKeySource {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == PASSPHRASE {
            return Ok(Self::Passphrase);
        }
        let Some(name) = text.strip_prefix(CREDENTIAL) else {
            return match text {
                "" => Err("a host master key comes from a file, passphrase, or credential:NAME".to_owned()),
                path => Ok(Self::File(path.into())),
            };
        };
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        if name.is_empty() || name.starts_with('.') || !name.chars().all(plain) {
            return Err(
                "the name of a credential has letters, digits, `.`, `_` and `-`, and no dot at its beginning"
                    .to_owned(),
            );
        }
        Ok(Self::Credential(name.to_owned()))
    }
}

impl fmt::Display for MasterKeySource {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Passphrase => formatter.write_str(PASSPHRASE),
            Self::Credential(name) => write!(formatter, "{CREDENTIAL}{name}"),
        }
    }
}

impl Serialize for MasterKeySource {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for MasterKeySource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl HostMasterKey {
    /// Where it comes from when it is needed again; `file` if that is a file.
    pub(super) fn source(&self, file: &Path) -> MasterKeySource {
        match self.origin() {
            Origin::File => MasterKeySource::File(file.to_owned()),
            Origin::Passphrase => MasterKeySource::Passphrase,
            Origin::Credential(name) => MasterKeySource::Credential(name.clone()),
        }
    }
}

/// What the program was given to get at a host master key.
#[derive(Debug, Clone)]
pub struct Given {
    /// Where a passphrase comes from.
    pub passphrase: Source,
    /// Where systemd put credentials.
    pub credentials: Option<PathBuf>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            passphrase: Source::Terminal,
            credentials: None,
        }
    }
}

/// A host master key cannot be had.
#[derive(Debug, Error)]
pub enum UnlockError {
    /// The file cannot be used.
    #[error(transparent)]
    Key(#[from] MasterKeyError),
    /// systemd gave none.
    #[error(
        "credential {name}: systemd passed no credentials to this program\nhint: LoadCredential={name}:PATH in tapekey-kms.service; by hand: systemd-run --pty --property=LoadCredential={name}:PATH tapekey-kms ..."
    )]
    NoCredentials {
        /// Its name.
        name: String,
    },
    /// No passphrase was had.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// No key follows from it.
    #[error(transparent)]
    Passphrase(#[from] PassphraseError),
    /// The store does not say which key it needs.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No randomness for a new one.
    #[error(transparent)]
    Entropy(#[from] EntropyError),
    /// A new one cannot be stored.
    #[error("make host master key {path}: {source}\nhint: name a file in a folder that is there and can be written to", path = path.display())]
    Make {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The host master key of the KMS that `config` describes. While a reseal is at work that is the new or the former one: whichever the store
/// names.
///
/// # Errors
/// [`UnlockError`]. A wrong passphrase shows only when the store is opened with it.
pub fn of_kms(config: &KmsConfig, given: &Given) -> Result<HostMasterKey, UnlockError> {
    of_kms_or_former(config, given).map(|(key, _)| key)
}

/// The same, and whether it is the one that `kms.toml` names as the former.
pub(super) fn of_kms_or_former(config: &KmsConfig, given: &Given) -> Result<(HostMasterKey, bool), UnlockError> {
    let needed = || sealed_under(&config.store);
    let Some(former) = &config.former_master_key else {
        return Ok((of_source(&config.master_key, given, needed)?, false));
    };
    let id = needed()?;
    let sources = [(&config.master_key, false), (former, true)];
    let (mut passphrase, mut failed) = (None, None);
    for (source, is_former) in sources {
        if *source == MasterKeySource::Passphrase {
            // Whether it is this one is known only when all others are not.
            passphrase = Some(is_former);
            continue;
        }
        match of_source(source, given, || Ok(id)) {
            Ok(key) if key.id() == id => return Ok((key, is_former)),
            Ok(key) => failed = failed.or(Some(wrong(id, &key))),
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    match (passphrase, failed) {
        (None, Some(error)) => Err(error),
        (is_former, _) => {
            let key = of_source(&MasterKeySource::Passphrase, given, || Ok(id))?;
            Ok((key, is_former.unwrap_or(false)))
        }
    }
}

fn wrong(sealed_under: KeyId, given: &HostMasterKey) -> UnlockError {
    let given = given.id();
    StoreError::WrongMasterKey { sealed_under, given }.into()
}

/// The host master key from `source`; `needed` says which one a passphrase must give.
///
/// # Errors
/// As [`of_kms`].
pub(super) fn of_source(
    source: &MasterKeySource,
    given: &Given,
    needed: impl FnOnce() -> Result<KeyId, StoreError>,
) -> Result<HostMasterKey, UnlockError> {
    match source {
        MasterKeySource::File(path) => Ok(HostMasterKey::read(path)?),
        MasterKeySource::Credential(name) => credential(name, given),
        MasterKeySource::Passphrase => {
            let id = needed()?;
            let passphrase = ask_known(given.passphrase, &format!("Passphrase of host master key {id}: "))?;
            Ok(HostMasterKey::of_passphrase(&passphrase, id)?)
        }
    }
}

fn credential(name: &str, given: &Given) -> Result<HostMasterKey, UnlockError> {
    let folder = given
        .credentials
        .as_ref()
        .ok_or_else(|| UnlockError::NoCredentials { name: name.to_owned() })?;
    Ok(HostMasterKey::read(&folder.join(name))?.named_credential(name))
}

/// A host master key for a store that gets one: a passphrase is a new one, a file is made unless it is there, a credential is read.
///
/// # Errors
/// [`UnlockError`].
pub(super) fn provide(
    source: &MasterKeySource,
    (given, weak): (&Given, bool),
    entropy: &dyn Entropy,
) -> Result<HostMasterKey, UnlockError> {
    match source {
        MasterKeySource::Credential(name) => credential(name, given),
        MasterKeySource::Passphrase => {
            let passphrase = ask_new(given.passphrase, weak, entropy)?;
            let id = KeyId::from_random(random_bytes(entropy)?);
            Ok(HostMasterKey::of_passphrase(&passphrase, id)?)
        }
        MasterKeySource::File(path) if path.symlink_metadata().is_ok() => Ok(HostMasterKey::read(path)?),
        MasterKeySource::File(path) => {
            let key = HostMasterKey::generate(entropy)?;
            write(path, &key.to_file_text()).map_err(|source| UnlockError::Make {
                path: path.clone(),
                source,
            })?;
            Ok(key)
        }
    }
}

/// Under another name first: a kill leaves no half a key under this one.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let partial = path.with_file_name(format!(".{}.partial", name.to_string_lossy()));
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&partial)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(&partial, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_spelt_one_way_and_names_of_credentials_lead_nowhere_else() {
        for (text, source) in [
            ("passphrase", MasterKeySource::Passphrase),
            ("./passphrase", MasterKeySource::File("./passphrase".into())),
            ("host-master.key", MasterKeySource::File("host-master.key".into())),
            ("credential:a.b-c_1", MasterKeySource::Credential("a.b-c_1".to_owned())),
        ] {
            assert_eq!(text.parse::<MasterKeySource>().unwrap(), source);
            assert_eq!(source.to_string(), text);
        }
        for bad in [
            "",
            "credential:",
            "credential:..",
            "credential:../x",
            "credential:a/b",
            "credential:.a",
            "credential:a b",
        ] {
            assert!(bad.parse::<MasterKeySource>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_credential_is_read_where_systemd_put_it_and_refused_where_others_can_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("master");
        let text = "tapekey-host-master-key-v1:6a0f3c52-7b1e-4c55-9d0a-0a1b2c3d4e5f:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n";
        write(&path, text).unwrap();
        let mut given = Given::default();
        let source = MasterKeySource::Credential("master".to_owned());
        let read =
            |given: &Given| of_source(&source, given, || Err(StoreError::Stopped)).map(|key| key.id().to_string());
        assert!(
            read(&given)
                .unwrap_err()
                .to_string()
                .contains("hint: LoadCredential=master:PATH")
        );
        given.credentials = Some(folder.path().to_owned());
        assert_eq!(read(&given).unwrap(), "6a0f3c52-7b1e-4c55-9d0a-0a1b2c3d4e5f");
        for mode in [0o644, 0o620, 0o604] {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            assert!(
                read(&given).unwrap_err().to_string().contains("hint: chmod 600"),
                "{mode:o}"
            );
        }
        let other = MasterKeySource::Credential("other".to_owned());
        assert!(of_source(&other, &given, || Err(StoreError::Stopped)).is_err());
    }
}
