//! A client's files: a new bundle for a new host, and a new certificate in the place of an old one.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use serde::Serialize;
use thiserror::Error;

use super::address::KmsAddress;
use super::enroll::Enrolled;
use super::files::BUNDLE_FILE;
use super::tls::is_pair;

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
    #[error("write {path}: {source}\nhint: be the user whose bundle it is, or root; the folder must be writable", path = path.display())]
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

/// New files beside those of a bundle that is in use, with the owner and mode of the old ones; gone again when dropped before they took
/// their place.
///
/// A kill at any moment leaves a pair: the old one, the new one, or the new certificate beside the new key, where reading the files finds it.
pub(super) struct Replacement {
    certificate: PathBuf,
    key: PathBuf,
    files: Option<(File, File)>,
}

impl Replacement {
    /// Makes the files, still empty: what cannot be kept need not be asked for. Ends a replacement first that was cut short.
    ///
    /// # Errors
    /// [`BundleError`]; the old files are then as they were.
    pub(super) fn beside(certificate: &Path, key: &Path) -> Result<Self, BundleError> {
        let new_certificate = renewed(certificate);
        if is_pair(&new_certificate, key) {
            move_to(&new_certificate, certificate)?;
        }
        let new_key = beside(key, PRIVATE)?;
        let mut replacement = Self {
            certificate: certificate.to_owned(),
            key: key.to_owned(),
            files: None,
        };
        replacement.files = Some((beside(certificate, PUBLIC)?, new_key));
        Ok(replacement)
    }

    /// Fills them and puts them in the place of the old ones.
    ///
    /// # Errors
    /// [`BundleError::File`]; a pair is then still there.
    pub(super) fn put(mut self, certificate_pem: &str, key_pem: &str) -> Result<(), BundleError> {
        let Some((certificate_file, key_file)) = self.files.take() else {
            return Ok(());
        };
        let (new_certificate, new_key) = (renewed(&self.certificate), renewed(&self.key));
        fill(key_file, &new_key, key_pem)?;
        fill(certificate_file, &new_certificate, certificate_pem)?;
        move_to(&new_key, &self.key)?;
        move_to(&new_certificate, &self.certificate)
    }
}

impl Drop for Replacement {
    fn drop(&mut self) {
        if self.files.is_some() {
            // They are empty, and in nobody's way if they stay.
            let _ = fs::remove_file(renewed(&self.key));
            let _ = fs::remove_file(renewed(&self.certificate));
        }
    }
}

/// An empty file beside `path` that whoever can read that one can read too. Never through a link that somebody put there.
fn beside(path: &Path, mode: u32) -> Result<File, BundleError> {
    let new = renewed(path);
    let made = (|| {
        let old = fs::metadata(path)?;
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(Permissions::from_mode(old.mode() & 0o777))?;
        Ok(file)
    })();
    made.map_err(|source| BundleError::File { path: new, source })
}

fn move_to(new: &Path, old: &Path) -> Result<(), BundleError> {
    fs::rename(new, old).map_err(|source| BundleError::File {
        path: old.to_owned(),
        source,
    })?;
    old.parent().map_or(Ok(()), sync)
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

fn write(options: &mut OpenOptions, path: &Path, content: &str) -> Result<(), BundleError> {
    let opened = options.write(true).open(path).map_err(|source| BundleError::File {
        path: path.to_owned(),
        source,
    });
    fill(opened?, path, content)
}

fn fill(mut file: File, path: &Path, content: &str) -> Result<(), BundleError> {
    let written = file.write_all(content.as_bytes()).and_then(|()| file.sync_all());
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

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    /// A key, and a certificate of it; both in PEM.
    fn pair() -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::default().self_signed(&key).unwrap();
        (certificate.pem(), key.serialize_pem())
    }

    #[test]
    fn whatever_cuts_a_replacement_short_a_pair_is_left_and_the_next_one_ends_well() {
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate.pem"), folder.path().join("key.pem"));
        let beside = renewed(&certificate);
        let (old, first, second) = (pair(), pair(), pair());
        write_new(&certificate, PUBLIC, &old.0).unwrap();
        write_new(&key, PRIVATE, &old.1).unwrap();

        // Killed before anything is in place: nothing is done when the memory of it goes.
        std::mem::forget(Replacement::beside(&certificate, &key).unwrap());
        assert!(is_pair(&certificate, &key));
        // The second of the two cannot be moved: a folder is in its way.
        let replacement = Replacement::beside(&certificate, &key).unwrap();
        fs::remove_file(&certificate).unwrap();
        fs::create_dir_all(certificate.join("in the way")).unwrap();
        let failed = replacement.put(&first.0, &first.1).unwrap_err();
        assert!(failed.to_string().contains("certificate.pem: "), "{failed}");
        fs::remove_dir_all(&certificate).unwrap();
        write_new(&certificate, PUBLIC, &old.0).unwrap();
        assert!(!is_pair(&certificate, &key) && is_pair(&beside, &key));
        // Killed again, on top of that.
        std::mem::forget(Replacement::beside(&certificate, &key).unwrap());
        assert!(is_pair(&certificate, &key));
        assert_eq!(fs::read_to_string(&certificate).unwrap(), first.0);

        drop(Replacement::beside(&certificate, &key).unwrap());
        assert!(!beside.exists() && !renewed(&key).exists() && is_pair(&certificate, &key));
        let replacement = Replacement::beside(&certificate, &key).unwrap();
        replacement.put(&second.0, &second.1).unwrap();
        assert_eq!(fs::read_to_string(&certificate).unwrap(), second.0);
        assert_eq!(fs::read_to_string(&key).unwrap(), second.1);
        assert!(is_pair(&certificate, &key) && !beside.exists() && !renewed(&key).exists());
    }

    #[test]
    fn a_link_where_a_new_file_goes_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let (certificate, key, other) = (path("certificate.pem"), path("key.pem"), path("other"));
        let old = pair();
        write_new(&certificate, PUBLIC, &old.0).unwrap();
        write_new(&key, PRIVATE, &old.1).unwrap();
        write_new(&other, PRIVATE, "precious").unwrap();
        std::os::unix::fs::symlink(&other, renewed(&key)).unwrap();
        let new = pair();
        Replacement::beside(&certificate, &key)
            .unwrap()
            .put(&new.0, &new.1)
            .unwrap();
        assert_eq!(fs::read_to_string(&other).unwrap(), "precious");
        assert!(is_pair(&certificate, &key) && !key.is_symlink());
    }
}
