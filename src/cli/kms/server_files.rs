//! The files with which the KMS shows an external server who it is, and by which it knows the server. They are read here and sent to the KMS,
//! which keeps the private key sealed; none of their content is ever an argument.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use clap::Args;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject;
use zeroize::{Zeroize, Zeroizing};

use crate::cli::output::{Exit, Failure};
use crate::kms_api::{CERTIFICATES_LENGTH_MAX, ServerCredentials, ServerPrivateKey};

/// Permission bits that the file of a private key must not have: anything for others, and writing for the group.
const KEY_MODE_FORBIDDEN: u32 = 0o027;

/// What a folder of all three files calls them, as a client bundle of our own does.
const BUNDLED: [&str; 3] = ["ca.pem", "certificate.pem", "key.pem"];

/// The files, each by its name or all in one folder.
#[derive(Debug, Args)]
pub(super) struct ServerFiles {
    /// Folder with ca.pem, certificate.pem and key.pem, instead of the three below
    #[arg(long, value_name = "DIR", conflicts_with_all = ["ca", "certificate", "private_key"])]
    bundle: Option<PathBuf>,
    /// The CAs that the server's certificate comes from, in PEM
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The certificate that the KMS shows the server, with those of the CAs above it if the server needs them, in PEM
    #[arg(long, value_name = "FILE", requires = "private_key")]
    certificate: Option<PathBuf>,
    /// The private key to that certificate, in PEM without a passphrase
    #[arg(long, value_name = "FILE", requires = "certificate")]
    private_key: Option<PathBuf>,
}

/// What the files held, as far as any were named. No `Debug`: there may be a private key.
pub(super) struct Given {
    pub(super) trust: Option<String>,
    pub(super) credentials: Option<ServerCredentials>,
}

impl ServerFiles {
    /// Reads what was named.
    pub(super) fn read(self) -> Result<Given, Failure> {
        let [ca, certificate, private_key] = match self.bundle {
            Some(folder) => BUNDLED.map(|name| Some(folder.join(name))),
            None => [self.ca, self.certificate, self.private_key],
        };
        let trust = ca.map(|path| read_certificates(&path)).transpose()?;
        let credentials = certificate.zip(private_key).map(|(certificate, private_key)| {
            Ok(ServerCredentials {
                certificate: read_certificates(&certificate)?,
                private_key: read_private_key(&private_key)?,
            })
        });
        Ok(Given {
            trust,
            credentials: credentials.transpose()?,
        })
    }
}

impl Given {
    /// All of them, for a server that has none yet.
    pub(super) fn all(self) -> Result<(String, ServerCredentials), Failure> {
        self.trust.zip(self.credentials).ok_or_else(|| {
            Failure::new(
                Exit::Usage,
                "a new server needs three files\nhint: --ca FILE --certificate FILE --private-key FILE, or --bundle DIR with ca.pem, certificate.pem and key.pem",
            )
        })
    }
}

fn read_certificates(path: &Path) -> Result<String, Failure> {
    let text = read(path)?;
    match std::str::from_utf8(&text) {
        Ok(text) if text.contains("PRIVATE KEY") => {
            Err(unusable(path, "it has a private key in it; give certificates alone"))
        }
        Ok(text) => Ok(text.to_owned()),
        Err(_) => Err(unusable(path, "it is not PEM")),
    }
}

fn read_private_key(path: &Path) -> Result<ServerPrivateKey, Failure> {
    let mode = std::fs::metadata(path)
        .map_err(|error| unusable(path, error))?
        .permissions()
        .mode()
        & 0o7777;
    if mode & KEY_MODE_FORBIDDEN != 0 {
        let (path, why) = (path.display(), "others could read or replace it");
        return Err(Failure::new(
            Exit::Usage,
            format_args!("private key {path} has mode {mode:04o}: {why}\nhint: chmod 600 {path}"),
        ));
    }
    let text = read(path)?;
    let mut key = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| unusable(path, "it is no private key in PEM, or one under a passphrase"))?;
    let der = Zeroizing::new(key.secret_der().to_vec());
    key.zeroize();
    Ok(ServerPrivateKey::of_der(der))
}

/// The whole file, never more than a request takes, wiped when dropped.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let length_max = u64::try_from(CERTIFICATES_LENGTH_MAX).unwrap_or(u64::MAX);
    // Room for all of it, so that the buffer never grows and leaves a copy behind.
    let mut text = Zeroizing::new(Vec::with_capacity(CERTIFICATES_LENGTH_MAX + 1));
    let file = File::open(path).map_err(|error| unusable(path, error))?;
    file.take(length_max + 1)
        .read_to_end(&mut text)
        .map_err(|error| unusable(path, error))?;
    match text.len() > CERTIFICATES_LENGTH_MAX {
        true => Err(unusable(
            path,
            format_args!("it is longer than {CERTIFICATES_LENGTH_MAX} bytes"),
        )),
        false => Ok(text),
    }
}

fn unusable(path: &Path, why: impl std::fmt::Display) -> Failure {
    Failure::new(
        Exit::Usage,
        format_args!("read {}: {why}\nhint: name another file", path.display()),
    )
}
