//! How records are bound to what they are sealed with, and the host master key at the top.
//!
//! A record's other fields go into its seal as additional data, in one unambiguous encoding: a state, a name or a kind changed behind the
//! KMS's back makes the record refuse to open. Nothing here touches the store.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::entropy::{Entropy, EntropyError, random_bytes};
use crate::kad::KeyId;
use crate::passphrase::{Passphrase, PassphraseError};
use crate::secret::{DataKey, SealingKey};

/// Fields in a row, each with its length before it, so that no two different rows read alike.
pub(super) struct Fields(Vec<u8>);

impl Fields {
    /// Begins with what the fields are of: a row of one kind can never pass for one of another.
    pub(super) fn of(kind: &str) -> Self {
        Self(Vec::new()).bytes(kind.as_bytes())
    }

    pub(super) fn bytes(mut self, field: &[u8]) -> Self {
        // No field comes near 2^64 bytes, the conversion cannot fail on any machine that Linux runs on.
        let length = u64::try_from(field.len()).unwrap_or(u64::MAX);
        self.0.push(1);
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    pub(super) fn text(self, field: &str) -> Self {
        self.bytes(field.as_bytes())
    }

    pub(super) fn number(self, field: i64) -> Self {
        self.bytes(&field.to_be_bytes())
    }

    pub(super) fn optional(mut self, field: Option<&[u8]>) -> Self {
        match field {
            Some(field) => self.bytes(field),
            None => {
                self.0.push(0);
                self
            }
        }
    }

    pub(super) fn encode(self) -> Vec<u8> {
        self.0
    }
}

/// The key that everything in the store is sealed under in the end; it lives outside the store. Clones share the one copy of its bytes.
#[derive(Clone)]
pub struct HostMasterKey {
    id: KeyId,
    key: Arc<SealingKey>,
    origin: Origin,
}

/// Where a host master key is when this program does not run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// In a file.
    File,
    /// In somebody's mind: it follows from a passphrase, and may be another one than its id says.
    Passphrase,
    /// With systemd, under this name.
    Credential(String),
}

/// First field of the file, so that no other secret passes for a host master key.
const MAGIC: &str = "tapekey-host-master-key-v1";

/// Permission bits that the file must not have: anything for others, writing for the group.
const MODE_FORBIDDEN: u32 = 0o027;

/// The file is one line of about a hundred bytes.
const FILE_LENGTH_MAX: u64 = 4096;

/// The host master key cannot be used.
#[derive(Debug, Error)]
pub enum MasterKeyError {
    /// The file cannot be read.
    #[error("read host master key {path}: {source}\nhint: put it back from the copy made after `tapekey-kms init`; without it the store cannot be opened", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Too many people can read it.
    #[error("host master key {path} has mode {mode:04o}: others could read or replace it\nhint: chmod 600 {path}", path = path.display())]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The file is none.
    #[error("{path} is no host master key: {problem}\nhint: put it back from the copy made after `tapekey-kms init`", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, without a word of the content.
        problem: &'static str,
    },
}

impl HostMasterKey {
    /// Draws a new one.
    ///
    /// # Errors
    /// As [`Entropy::fill`].
    pub fn generate(entropy: &dyn Entropy) -> Result<Self, EntropyError> {
        let id = KeyId::from_random(random_bytes(entropy)?);
        Ok(Self {
            id,
            key: Arc::new(SealingKey::new(DataKey::generate(entropy)?)),
            origin: Origin::File,
        })
    }

    /// The one with that id that follows from `passphrase`: Argon2id with the id as salt, as for keys of passphrases. Any passphrase gives a
    /// key; whether it is the right one shows when the store opens or not. Takes about a second.
    ///
    /// # Errors
    /// [`PassphraseError`]: no memory.
    pub fn of_passphrase(passphrase: &Passphrase, id: KeyId) -> Result<Self, PassphraseError> {
        Ok(Self {
            id,
            key: Arc::new(SealingKey::new(passphrase.derive(id)?)),
            origin: Origin::Passphrase,
        })
    }

    /// The same, noted as the credential of that name.
    pub(super) fn named_credential(self, name: &str) -> Self {
        Self {
            origin: Origin::Credential(name.to_owned()),
            ..self
        }
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Reads the file that [`HostMasterKey::to_file_text`] describes.
    ///
    /// # Errors
    /// [`MasterKeyError`]: missing, readable by others, malformed.
    pub fn read(path: &Path) -> Result<Self, MasterKeyError> {
        let unreadable = |source| MasterKeyError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(unreadable)?;
        let mode = file.metadata().map_err(unreadable)?.permissions().mode() & 0o7777;
        if mode & MODE_FORBIDDEN != 0 {
            return Err(MasterKeyError::Exposed {
                path: path.to_owned(),
                mode,
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(FILE_LENGTH_MAX).unwrap_or(0) + 1));
        file.take(FILE_LENGTH_MAX)
            .read_to_string(&mut text)
            .map_err(unreadable)?;
        Self::from_file_text(&text).map_err(|problem| MasterKeyError::Malformed {
            path: path.to_owned(),
            problem,
        })
    }

    /// The file's one line: magic, id, key in base64.
    pub(super) fn to_file_text(&self) -> Zeroizing<String> {
        let key = Zeroizing::new(STANDARD.encode(self.key.as_key().expose()));
        Zeroizing::new(format!("{MAGIC}:{}:{}\n", self.id, *key))
    }

    fn from_file_text(text: &str) -> Result<Self, &'static str> {
        let mut fields = text.trim_end().splitn(3, ':');
        if fields.next() != Some(MAGIC) {
            return Err("it does not begin as one");
        }
        let id = fields
            .next()
            .and_then(|id| Uuid::try_parse(id).ok())
            .ok_or("its id is no UUID")?;
        let bytes = fields
            .next()
            .and_then(|key| STANDARD.decode(key).ok())
            .ok_or("its key is no base64")?;
        let key = DataKey::take_slice(&mut Zeroizing::new(bytes)).map_err(|_| "its key has not 32 bytes")?;
        Ok(Self {
            id: KeyId(id.into_bytes()),
            key: Arc::new(SealingKey::new(key)),
            origin: Origin::File,
        })
    }

    /// Its id, as it stands in the store beside what it seals.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn key(&self) -> &SealingKey {
        &self.key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_differ_never_encode_alike() {
        let rows = [
            Fields::of("a").text("bc").encode(),
            Fields::of("ab").text("c").encode(),
            Fields::of("a").text("b").text("c").encode(),
            Fields::of("a").optional(None).text("bc").encode(),
            Fields::of("a").optional(Some(b"")).text("bc").encode(),
            Fields::of("a").text("bc").optional(None).encode(),
        ];
        for (index, row) in rows.iter().enumerate() {
            assert!(rows.iter().skip(index + 1).all(|other| other != row), "row {index}");
        }
    }

    #[test]
    fn a_master_key_reads_back_and_anything_else_is_refused_without_repeating_it() {
        let key = HostMasterKey {
            id: KeyId([7; 16]),
            key: Arc::new(SealingKey::new(DataKey::take(&mut [9; 32]))),
            origin: Origin::File,
        };
        let text = key.to_file_text();
        let again = HostMasterKey::from_file_text(&text).ok().unwrap();
        assert!(again.id == key.id && again.key.as_key() == key.key.as_key());
        for cut in 0..text.len() - 1 {
            assert!(
                HostMasterKey::from_file_text(&text[..cut]).is_err(),
                "{cut} bytes of the file"
            );
        }
        assert!(HostMasterKey::from_file_text(&format!("{}AAAA\n", text.trim_end())).is_err());
    }
}
