//! `tapekey config`: the daemon's configuration, checked by the same function that the daemon uses.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use serde::Serialize;

use super::output::{Exit, Failure, Output};
use crate::clock::Clock;
use crate::config::{Config, ConfigError, DEFAULT_FILE, KmsConfig, load};
use crate::kms_client::{AddressError, ClientConfig, KmsClient, SetupError};

/// Check configuration files
#[derive(Debug, Subcommand)]
pub(super) enum ConfigVerb {
    /// Check the configuration of tapekeyd, and the files that it names
    Check {
        /// The file
        #[arg(value_name = "FILE", default_value = DEFAULT_FILE)]
        file: PathBuf,
    },
}

/// The daemon could not start with this configuration.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// An address of the KMS.
    #[error("{}: kms.addresses: {error}", file.display())]
    Address {
        /// The configuration.
        file: PathBuf,
        /// What is wrong with it.
        error: AddressError,
    },
    /// A certificate or key.
    #[error("{}: kms: {error}", file.display())]
    Certificate {
        /// The configuration.
        file: PathBuf,
        /// What is wrong with it.
        error: SetupError,
    },
}

/// Reads and checks everything that the daemon needs to start: the file, the files that it names, certificates and their dates.
/// Nothing is sent. Without a KMS in the file there is no client.
///
/// # Errors
/// [`CheckError`] names file, key and remedy.
pub fn check(file: &Path, clock: &Arc<dyn Clock>) -> Result<(Config, Option<KmsClient>), CheckError> {
    let config = load(file)?;
    let client = config.kms.as_ref().map(|kms| client(file, kms, clock)).transpose()?;
    Ok((config, client))
}

fn client(file: &Path, kms: &KmsConfig, clock: &Arc<dyn Clock>) -> Result<KmsClient, CheckError> {
    let addresses = kms
        .addresses
        .iter()
        .map(|address| address.parse())
        .collect::<Result<_, _>>();
    let client = ClientConfig {
        addresses: addresses.map_err(|error| CheckError::Address {
            file: file.into(),
            error,
        })?,
        ca: kms.ca.clone(),
        certificate: kms.certificate.clone(),
        key: kms.key.clone(),
        timeout: kms.timeout,
    };
    KmsClient::new(&client, clock).map_err(|error| CheckError::Certificate {
        file: file.into(),
        error,
    })
}

#[derive(Serialize)]
struct Checked {
    file: PathBuf,
    drives: Vec<String>,
    kms_addresses: Vec<String>,
    socket: PathBuf,
}

pub(super) fn run(verb: ConfigVerb, clock: &Arc<dyn Clock>, output: &mut Output<'_>) -> Result<(), Failure> {
    let ConfigVerb::Check { file } = verb;
    let (config, _) = check(&file, clock).map_err(|error| Failure::new(Exit::Usage, error))?;
    let checked = Checked {
        drives: config.drives.into_iter().map(|drive| drive.name).collect(),
        kms_addresses: config.kms.map(|kms| kms.addresses).unwrap_or_default(),
        socket: config.control.socket,
        file,
    };
    output.answer(&checked, |checked| {
        let (file, drives) = (checked.file.display(), checked.drives.join(", "));
        let kms = match checked.kms_addresses.as_slice() {
            [] => "none; keys come from tapekey unlock --key-fd alone".to_owned(),
            addresses => addresses.join(", "),
        };
        format!("{file}: good; drives: {drives}; KMS: {kms}")
    })
}
