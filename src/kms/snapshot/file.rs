//! The file of a snapshot: the SQLite database, then a manifest in JSON, then 32 bytes that say how long the manifest is.
//!
//! The manifest stands at the end so that SQLite can write the database where it stays, and read it there. Its digest shows damage; its MAC,
//! under the store's audit key, shows a hand.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::SnapshotError;
use crate::clock::Timestamp;
use crate::kad::KeyId;
use crate::kms::seal::Fields;
use crate::kms::store::millis;
use crate::kms::store::snapshots::CopyFacts;

/// The file's last bytes, after the manifest's length (64 bits, big-endian).
const MAGIC: &[u8; 24] = b"\ntapekey-kms snapshot 1\n";

/// Length and magic.
const FOOTER_LENGTH: u64 = 32;

/// A manifest has about 500 bytes.
const MANIFEST_LENGTH_MAX: u64 = 16 * 1024;

/// What a snapshot says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The snapshot's id, a UUID.
    pub id: String,
    /// When it was made.
    #[serde(with = "time::serde::rfc3339")]
    pub made: Timestamp,
    /// Id of the store, a UUID.
    pub store: String,
    /// Version of its tables.
    pub schema: i32,
    /// Head of its audit chain.
    pub audit_head: String,
    /// Its groups.
    pub groups: u64,
    /// Its keys.
    pub keys: u64,
    /// Length of the database, in bytes.
    pub database_bytes: u64,
    /// SHA-256 of the database, in hex.
    pub database_sha256: String,
    /// HMAC-SHA-256 of all of the above under the store's audit key, in hex.
    pub mac: String,
}

impl Manifest {
    pub(super) fn new(id: KeyId, made: Timestamp, facts: CopyFacts, database: (u64, String)) -> Self {
        Self {
            id: id.to_string(),
            made,
            store: facts.store.to_string(),
            schema: facts.schema,
            audit_head: facts.audit_head,
            groups: facts.groups,
            keys: facts.keys,
            database_bytes: database.0,
            database_sha256: database.1,
            mac: String::new(),
        }
    }

    /// What the MAC covers.
    pub(in crate::kms) fn signed_part(&self) -> Vec<u8> {
        Fields::of("tapekey snapshot manifest v1")
            .text(&self.id)
            .number(millis(self.made))
            .text(&self.store)
            .number(i64::from(self.schema))
            .text(&self.audit_head)
            .bytes(&self.groups.to_be_bytes())
            .bytes(&self.keys.to_be_bytes())
            .bytes(&self.database_bytes.to_be_bytes())
            .text(&self.database_sha256)
            .encode()
    }

    /// Whether the database in the snapshot says the same of itself.
    pub(in crate::kms) fn agrees_with(&self, facts: &CopyFacts) -> bool {
        let of_database = (
            &facts.store.to_string(),
            facts.schema,
            &facts.audit_head,
            facts.groups,
            facts.keys,
        );
        of_database == (&self.store, self.schema, &self.audit_head, self.groups, self.keys)
    }
}

/// SHA-256 of the first `length` bytes of the file at `path`, in hex.
pub(super) fn digest(path: &Path, length: u64) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let copied = copy(&mut File::open(path)?.take(length), |chunk| {
        hasher.update(chunk);
        Ok(())
    })?;
    if copied == length {
        Ok(hex::encode(hasher.finalize()))
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}

/// Hands all that `from` has to `each`, piece by piece.
pub(super) fn copy(from: &mut impl Read, mut each: impl FnMut(&[u8]) -> io::Result<()>) -> io::Result<u64> {
    let mut buffer = vec![0; 256 * 1024];
    let mut total = 0;
    loop {
        let length = from.read(&mut buffer)?;
        let chunk = buffer.get(..length).unwrap_or_default();
        if chunk.is_empty() {
            return Ok(total);
        }
        each(chunk)?;
        total += u64::try_from(length).unwrap_or(0);
    }
}

/// Writes the manifest behind the database.
pub(super) fn append(mut file: &File, manifest: &Manifest) -> io::Result<()> {
    let mut tail = serde_json::to_vec(manifest)?;
    let length = u64::try_from(tail.len()).unwrap_or(u64::MAX);
    tail.extend_from_slice(&length.to_be_bytes());
    tail.extend_from_slice(MAGIC);
    file.seek(SeekFrom::End(0))?;
    file.write_all(&tail)
}

/// Reads the manifest and checks what can be checked without a key: lengths and the digest.
pub(in crate::kms) fn open(path: &Path) -> Result<Manifest, SnapshotError> {
    let manifest = read_manifest(path)?;
    let found = digest(path, manifest.database_bytes).map_err(SnapshotError::file("read", path))?;
    if found == manifest.database_sha256 {
        Ok(manifest)
    } else {
        Err(SnapshotError::Altered {
            path: path.to_owned(),
            problem: format!(
                "the SHA-256 of its database is {found}, its manifest says {}",
                manifest.database_sha256.escape_default()
            ),
        })
    }
}

/// The id that the snapshot at `path` gives itself, whatever else it is.
pub(super) fn id_of(path: &Path) -> Result<String, SnapshotError> {
    Ok(read_manifest(path)?.id)
}

fn read_manifest(path: &Path) -> Result<Manifest, SnapshotError> {
    let none = |problem| SnapshotError::NotASnapshot {
        path: path.to_owned(),
        problem,
    };
    let failed = SnapshotError::file("read", path);
    let mut file = File::open(path).map_err(&failed)?;
    let length = file.metadata().map_err(&failed)?.len();
    let footer_at = length
        .checked_sub(FOOTER_LENGTH)
        .ok_or_else(|| none("it is too short"))?;
    let mut footer = [0; 32];
    file.seek(SeekFrom::Start(footer_at)).map_err(&failed)?;
    file.read_exact(&mut footer).map_err(&failed)?;
    let (manifest_length, magic) = footer.split_at(8);
    if magic != MAGIC {
        return Err(none("it does not end as one"));
    }
    let manifest_length = manifest_length.try_into().map_or(u64::MAX, u64::from_be_bytes);
    let manifest_at = footer_at.checked_sub(manifest_length);
    let manifest_at = manifest_at
        .filter(|_| manifest_length <= MANIFEST_LENGTH_MAX)
        .ok_or_else(|| none("its manifest has an impossible length"))?;
    file.seek(SeekFrom::Start(manifest_at)).map_err(&failed)?;
    let mut text = Vec::new();
    file.take(manifest_length).read_to_end(&mut text).map_err(&failed)?;
    let manifest: Manifest = serde_json::from_slice(&text).map_err(|_| none("its manifest is malformed"))?;
    if manifest.database_bytes == manifest_at {
        Ok(manifest)
    } else {
        Err(none("its database is longer or shorter than its manifest says"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest() -> Manifest {
        let facts = CopyFacts {
            store: KeyId([1; 16]),
            schema: 2,
            audit_head: "7:00".to_owned(),
            groups: 1,
            keys: 2,
        };
        let mut manifest = Manifest::new(KeyId([2; 16]), Timestamp::UNIX_EPOCH, facts, (5, String::new()));
        manifest.database_sha256 = hex::encode(Sha256::digest(b"bytes"));
        manifest
    }

    fn written() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("snapshot");
        std::fs::write(&path, b"bytes").unwrap();
        append(&File::options().write(true).open(&path).unwrap(), &manifest()).unwrap();
        (folder, path)
    }

    #[test]
    fn reads_back_what_was_written_and_nothing_that_is_cut_or_longer() {
        let (_folder, path) = written();
        assert_eq!(open(&path).unwrap(), manifest());
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(open(&path).is_err(), "{length} bytes");
        }
        std::fs::write(&path, [whole.as_slice(), b"\0"].concat()).unwrap();
        assert!(open(&path).is_err());
        std::fs::write(&path, [b"x", whole.as_slice()].concat()).unwrap();
        assert!(open(&path).is_err());
    }

    #[test]
    fn a_bit_altered_anywhere_is_seen_or_is_of_the_signed_part() {
        let (_folder, path) = written();
        let (whole, signed) = (std::fs::read(&path).unwrap(), manifest().signed_part());
        for bit in 0..whole.len() * 8 {
            let mut altered = whole.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &altered).unwrap();
            if let Ok(read) = open(&path) {
                // Another spelling of the same time is harmless.
                assert!(read.signed_part() != signed || read == manifest(), "bit {bit}");
            }
        }
    }
}
