//! The files that a host needs to talk to its KMS, checked before the first connection so that an error names the file and not TLS.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde::Deserialize;
use thiserror::Error;
use x509_parser::prelude::{FromDer, X509Certificate};
use zeroize::Zeroizing;

use super::ClientConfig;
use super::address::AddressError;
use crate::clock::{Timestamp, to_text};

/// A client bundle as `tapekey-kms init` writes it: this file beside the certificates, paths relative to it.
pub(super) const BUNDLE_FILE: &str = "client.toml";

/// Permission bits that the file of a private key must not have: anything for others, and writing for the group.
const KEY_MODE_FORBIDDEN: u32 = 0o027;

/// Most bytes of any file read here.
const FILE_LENGTH_MAX: u64 = 1024 * 1024;

/// A host is not set up to talk to its KMS.
#[derive(Debug, Error)]
pub enum SetupError {
    /// A file cannot be read.
    #[error("read {what} {path}: {source}\nhint: {hint}", path = path.display())]
    Unreadable {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
        /// What to do.
        hint: &'static str,
    },
    /// A file does not hold what it should.
    #[error("read {what} {path}: {problem}\nhint: copy the file again from the bundle that tapekey-kms made", path = path.display())]
    Malformed {
        /// What the file should hold.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What it is instead.
        problem: String,
    },
    /// Too many people can read a private key.
    #[error("private key {path} has mode {mode:04o}: others could read or replace it\nhint: chmod 600 {path}", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// A certificate has expired.
    #[error("certificate {path} expired on {}\nhint: get a new client certificate from the administrator of the KMS", to_text(*not_after), path = path.display())]
    Expired {
        /// The file.
        path: PathBuf,
        /// Its last day.
        not_after: Timestamp,
    },
    /// A certificate is not valid yet.
    #[error("certificate {path} is not valid before {}\nhint: check this host's clock", to_text(*not_before), path = path.display())]
    NotYetValid {
        /// The file.
        path: PathBuf,
        /// Its first day.
        not_before: Timestamp,
    },
    /// Certificate, key and CA do not make a TLS client.
    #[error("set up TLS with {path}: {problem}\nhint: certificate and key must be a pair from one bundle", path = path.display())]
    Tls {
        /// The certificate.
        path: PathBuf,
        /// What TLS said.
        problem: String,
    },
    /// The library refused before any file was read.
    #[error("set up TLS: {0}\nhint: this is a fault of tapekey, please report it")]
    Library(String),
    /// No address at all.
    #[error("no KMS address is configured\nhint: name at least one, https://HOST:PORT")]
    NoAddress,
    /// A wrong address.
    #[error(transparent)]
    Address(#[from] AddressError),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bundle {
    addresses: Vec<String>,
    ca: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
}

impl ClientConfig {
    /// Reads the client bundle in `folder`, as `tapekey-kms init` writes it.
    ///
    /// # Errors
    /// [`SetupError`] if there is none, or if it is malformed; the certificates are looked at by [`super::KmsClient::new`].
    pub fn from_bundle(folder: &Path) -> Result<Self, SetupError> {
        let path = folder.join(BUNDLE_FILE);
        let text = read(
            &path,
            "client bundle",
            "name a folder that tapekey-kms init made, such as DIR/clients/admin-1",
        )?;
        let malformed = |problem: String| SetupError::Malformed {
            what: "client bundle",
            path: path.clone(),
            problem,
        };
        let text = std::str::from_utf8(&text).map_err(|error| malformed(error.to_string()))?;
        let bundle: Bundle = toml::from_str(text).map_err(|error| malformed(error.to_string()))?;
        Ok(Self {
            addresses: bundle
                .addresses
                .iter()
                .map(|address| address.parse())
                .collect::<Result<_, _>>()?,
            ca: folder.join(bundle.ca),
            certificate: folder.join(bundle.certificate),
            key: folder.join(bundle.key),
            timeout: Self::TIMEOUT,
        })
    }
}

/// The CA certificates that the KMS's own certificate must come from.
pub(super) fn read_ca(path: &Path) -> Result<Vec<CertificateDer<'static>>, SetupError> {
    read_certificates(path, "CA certificate")
}

/// A certificate with those above it, the own one first.
type Chain = Vec<CertificateDer<'static>>;

/// Our certificate and its chain, valid at `now`; its first and last moment.
pub(super) fn read_chain(path: &Path, now: Timestamp) -> Result<(Chain, (Timestamp, Timestamp)), SetupError> {
    let chain = read_certificates(path, "client certificate")?;
    let malformed = |problem: String| SetupError::Malformed {
        what: "client certificate",
        path: path.to_owned(),
        problem,
    };
    let leaf = chain
        .first()
        .ok_or_else(|| malformed("no certificate in it".to_owned()))?;
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|error| malformed(error.to_string()))?;
    let (not_before, not_after) = (
        leaf.validity().not_before.to_datetime(),
        leaf.validity().not_after.to_datetime(),
    );
    if now > not_after {
        return Err(SetupError::Expired {
            path: path.to_owned(),
            not_after,
        });
    }
    if now < not_before {
        return Err(SetupError::NotYetValid {
            path: path.to_owned(),
            not_before,
        });
    }
    Ok((chain, (not_before, not_after)))
}

/// Our private key, from a file that only its owner (and at most a group) can read.
pub(super) fn read_key(path: &Path) -> Result<PrivateKeyDer<'static>, SetupError> {
    let pem = Zeroizing::new(read(
        path,
        "private key",
        "it lies beside the certificate in the bundle that tapekey-kms made",
    )?);
    let mode = mode_of(path)?;
    if mode & KEY_MODE_FORBIDDEN != 0 {
        return Err(SetupError::Exposed {
            path: path.to_owned(),
            mode,
        });
    }
    PrivateKeyDer::from_pem_slice(&pem).map_err(|error| SetupError::Malformed {
        what: "private key",
        path: path.to_owned(),
        problem: error.to_string(),
    })
}

fn mode_of(path: &Path) -> Result<u32, SetupError> {
    let metadata = fs::metadata(path).map_err(|source| SetupError::Unreadable {
        what: "private key",
        path: path.to_owned(),
        source,
        hint: "check the folder's permissions",
    })?;
    Ok(metadata.permissions().mode() & 0o7777)
}

/// The certificates in a file; at least one.
pub(super) fn read_certificates(path: &Path, what: &'static str) -> Result<Chain, SetupError> {
    let pem = read(path, what, "it lies in the bundle that tapekey-kms made for this host")?;
    let malformed = |problem: String| SetupError::Malformed {
        what,
        path: path.to_owned(),
        problem,
    };
    let certificates = certificates_in(&pem).map_err(malformed)?;
    if certificates.is_empty() {
        return Err(malformed("no PEM certificate in it".to_owned()));
    }
    Ok(certificates)
}

/// The certificates in a PEM text.
pub(super) fn certificates_in(pem: &[u8]) -> Result<Chain, String> {
    let read = CertificateDer::pem_slice_iter(pem).collect::<Result<_, _>>();
    read.map_err(|error| error.to_string())
}

fn read(path: &Path, what: &'static str, hint: &'static str) -> Result<Vec<u8>, SetupError> {
    let unreadable = |source| SetupError::Unreadable {
        what,
        path: path.to_owned(),
        source,
        hint,
    };
    let file = File::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len().min(FILE_LENGTH_MAX);
    // All the room at once: a buffer that grows would leave copies of a private key behind.
    let mut content = Vec::with_capacity(usize::try_from(length).unwrap_or(0) + 1);
    file.take(FILE_LENGTH_MAX)
        .read_to_end(&mut content)
        .map_err(unreadable)?;
    Ok(content)
}
