//! A client's files: a new bundle for a new host, and a new certificate in the place of an old one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::address::KmsAddress;
use super::enroll::Enrolled;
use super::files::BUNDLE_FILE;

const PUBLIC: u32 = 0o644;
const PRIVATE: u32 = 0o600;

/// Files were not written.
#[derive(Debug, Error)]
pub enum BundleError {
    /// There is something already.
    #[error("{path} is not empty\nhint: name a new folder; a bundle is never written over another", path = path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// A file or folder cannot be written.
    #[error("write {path}: {source}\nhint: this program must be able to write to the folder of its bundle", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// An empty folder for a bundle, known to be writable before a token is used up; gone again when dropped before it is filled.
pub struct NewBundle {
    folder: PathBuf,
    filled: bool,
}

impl NewBundle {
    /// Makes the folder, or takes an empty one.
    ///
    /// # Errors
    /// [`BundleError`].
    pub fn in_empty(folder: &Path) -> Result<Self, BundleError> {
        let failed = |source| BundleError::File {
            path: folder.to_owned(),
            source,
        };
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(failed)?;
        if fs::read_dir(folder).map_err(failed)?.next().is_some() {
            return Err(BundleError::NotEmpty {
                path: folder.to_owned(),
            });
        }
        let bundle = Self {
            folder: folder.to_owned(),
            filled: false,
        };
        let probe = folder.join("probe");
        write_new(&probe, PRIVATE, "")?;
        fs::remove_file(&probe).map_err(failed)?;
        Ok(bundle)
    }

    /// Writes the files, the one that makes it a bundle last; on the disk when this returns.
    ///
    /// # Errors
    /// [`BundleError::File`].
    pub fn fill(mut self, enrolled: &Enrolled, addresses: &[KmsAddress]) -> Result<(), BundleError> {
        #[derive(Serialize)]
        struct Bundle {
            addresses: Vec<String>,
            ca: &'static str,
            certificate: &'static str,
            key: &'static str,
        }
        let bundle = Bundle {
            addresses: addresses.iter().map(ToString::to_string).collect(),
            ca: "ca.pem",
            certificate: "certificate.pem",
            key: "key.pem",
        };
        let text = toml::to_string(&bundle).map_err(|error| BundleError::File {
            path: self.folder.join(BUNDLE_FILE),
            source: io::Error::other(error),
        })?;
        // What was issued must not be lost for want of one file: nothing is taken away again from here on.
        self.filled = true;
        write_new(&self.folder.join("key.pem"), PRIVATE, &enrolled.key_pem)?;
        write_new(
            &self.folder.join("certificate.pem"),
            PUBLIC,
            &enrolled.issued.certificate,
        )?;
        write_new(&self.folder.join("ca.pem"), PUBLIC, &enrolled.issued.ca)?;
        let text = format!(
            "# How this client reaches its KMS; addresses are tried in order. Paths are relative to this file's folder.\n{text}"
        );
        write_new(&self.folder.join(BUNDLE_FILE), PUBLIC, &text)?;
        sync(&self.folder)
    }
}

impl Drop for NewBundle {
    fn drop(&mut self) {
        if !self.filled {
            // It is empty; if it cannot be removed, an empty folder stays.
            let _ = fs::remove_dir(&self.folder);
        }
    }
}

/// Puts a new key and its certificate in the place of the old ones. A kill between the two leaves the new certificate beside the new key, where
/// reading the files finds it.
///
/// # Errors
/// [`BundleError::File`]; the old ones are then still there.
pub(super) fn replace(certificate: &Path, key: &Path, certificate_pem: &str, key_pem: &str) -> Result<(), BundleError> {
    let (new_certificate, new_key) = (renewed(certificate), renewed(key));
    write_over(&new_key, PRIVATE, key_pem)?;
    write_over(&new_certificate, PUBLIC, certificate_pem)?;
    for (new, old) in [(&new_key, key), (&new_certificate, certificate)] {
        fs::rename(new, old).map_err(|source| BundleError::File {
            path: old.to_owned(),
            source,
        })?;
        old.parent().map_or(Ok(()), sync)?;
    }
    Ok(())
}

/// Where a file lies until it takes the place of `path`.
pub(super) fn renewed(path: &Path) -> PathBuf {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    new.into()
}

fn write_new(path: &Path, mode: u32, content: &str) -> Result<(), BundleError> {
    write(OpenOptions::new().create_new(true).mode(mode), path, content)
}

fn write_over(path: &Path, mode: u32, content: &str) -> Result<(), BundleError> {
    write(OpenOptions::new().create(true).truncate(true).mode(mode), path, content)
}

fn write(options: &mut OpenOptions, path: &Path, content: &str) -> Result<(), BundleError> {
    let written = options.write(true).open(path).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        file.sync_all()
    });
    written.map_err(|source| BundleError::File {
        path: path.to_owned(),
        source,
    })
}

fn sync(folder: &Path) -> Result<(), BundleError> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| BundleError::File {
        path: folder.to_owned(),
        source,
    })
}
