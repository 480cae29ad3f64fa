//! Where the cartridges are, kept in `library.json` beside their files, so that they stay where they are when the simulator ends.
//!
//! The file is replaced as a whole: a kill at any moment leaves the old one or the new one, and each cartridge in exactly one place.

use super::{LibraryError, Place, tape::Tape};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// What moves with a cartridge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Custody {
    /// Where it is; None if an operator took it out.
    pub(super) at: Option<Place>,
    /// The slot that it was last moved from (SVALID).
    pub(super) source: Option<Place>,
    /// An operator put it where it is (IMPEXP).
    pub(super) by_operator: bool,
    /// How often a cleaning cartridge was put into a drive.
    pub(super) uses: u64,
    /// A cartridge that the description does not name: what it is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(super) inserted: Option<Tape>,
}

/// All cartridges, by barcode.
pub(super) type Custodies = BTreeMap<String, Custody>;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Content {
    version: u32,
    cartridges: Custodies,
}

/// The folder, held against other libraries, and its `library.json`.
pub(super) struct StateFile {
    folder: PathBuf,
    lock: File,
}

impl StateFile {
    /// Makes the folder unless it is there, and holds it.
    ///
    /// # Errors
    /// It cannot be made, or another library runs on it.
    pub(super) fn hold(folder: &Path) -> Result<Self, LibraryError> {
        let failed = |attempt, source| LibraryError::Io {
            attempt,
            path: folder.to_owned(),
            source,
        };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(|source| failed("make library folder", source))?;
        let lock = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(folder.join("library.lock"))
            .map_err(|source| failed("write into library folder", source))?;
        lock.try_lock().map_err(|error| match error {
            TryLockError::WouldBlock => LibraryError::InUse {
                path: folder.to_owned(),
            },
            TryLockError::Error(source) => failed("lock library folder", source),
        })?;
        Ok(Self {
            folder: folder.to_owned(),
            lock,
        })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What was written last; nothing in a new folder.
    ///
    /// # Errors
    /// The file cannot be read, or is not what this program writes.
    pub(super) fn read(&self) -> Result<Custodies, LibraryError> {
        let path = self.path();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(Custodies::new()),
            Err(source) => {
                return Err(LibraryError::Io {
                    attempt: "read library state",
                    path,
                    source,
                });
            }
        };
        decode(&text).map_err(|reason| LibraryError::State { path, reason })
    }

    /// Replaces the file; returns once it is on the disk.
    ///
    /// # Errors
    /// It could not be written. The old one stands.
    pub(super) fn write(&self, cartridges: Custodies) -> io::Result<()> {
        let content = Content {
            version: VERSION,
            cartridges,
        };
        let mut text = serde_json::to_vec_pretty(&content)?;
        text.push(b'\n');
        let new = self.folder.join("library.json.new");
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, self.path())?;
        File::open(&self.folder)?.sync_all()
    }

    fn path(&self) -> PathBuf {
        self.folder.join("library.json")
    }
}

impl Drop for StateFile {
    /// A process that is being started just now still has the file open until it runs its program; without this it would hold the lock too.
    fn drop(&mut self) {
        // The lock goes with the file in any case, only later.
        let _ = self.lock.unlock();
    }
}

fn decode(text: &str) -> Result<Custodies, String> {
    #[derive(Deserialize)]
    struct Version {
        version: u32,
    }
    // The version comes first: a newer file may well have keys that this program does not know.
    let Version { version } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if version != VERSION {
        return Err(format!(
            "version {version}, and this program knows only version {VERSION}"
        ));
    }
    let content: Content = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let mut places = BTreeMap::new();
    for (barcode, custody) in &content.cartridges {
        if let Some(tape) = &custody.inserted
            && (tape.barcode != *barcode || tape.check().is_err())
        {
            return Err(format!("{barcode} was inserted as what no cartridge is"));
        }
        let other = custody.at.and_then(|place| places.insert(place, barcode));
        if let (Some(place), Some(other)) = (custody.at, other) {
            return Err(format!("{other} and {barcode} are both in {place}"));
        }
    }
    Ok(content.cartridges)
}

/// Version of the format.
const VERSION: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_back_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let state = StateFile::hold(folder.path()).unwrap();
        assert_eq!(state.read().unwrap(), Custodies::new());
        let custody = Custody {
            at: Some(Place::Drive(0)),
            source: Some(Place::Slot(3)),
            uses: 2,
            inserted: Some(Tape::data("A00001L8")),
            ..Custody::default()
        };
        let custodies = Custodies::from([("A00001L8".to_owned(), custody)]);
        state.write(custodies.clone()).unwrap();
        assert_eq!(state.read().unwrap(), custodies);
    }

    #[test]
    fn refuses_files_of_others_and_of_newer_programs() {
        let twice = r#"{"version":1,"cartridges":{
            "A":{"at":"slot 1","source":null,"by-operator":false,"uses":0},
            "B":{"at":"slot 1","source":null,"by-operator":false,"uses":0}}}"#;
        let elsewhere = r#"{"version":1,"cartridges":{
            "../A":{"at":"slot 1","source":null,"by-operator":true,"uses":0,"inserted":{"barcode":"../A"}}}}"#;
        for (text, told) in [
            (elsewhere, "../A was inserted"),
            ("", "EOF"),
            ("{}", "version"),
            ("{\"version\":2,\"robots\":[]}", "version 2"),
            ("{\"version\":1,\"cartridges\":{},\"more\":1}", "more"),
            (twice, "both in slot 1"),
        ] {
            let reason = decode(text).unwrap_err();
            assert!(reason.contains(told), "{text}: {reason}");
        }
    }

    #[test]
    fn holds_its_folder_alone() {
        let folder = tempfile::tempdir().unwrap();
        let first = StateFile::hold(folder.path()).unwrap();
        assert!(matches!(
            StateFile::hold(folder.path()),
            Err(LibraryError::InUse { .. })
        ));
        drop(first);
        assert!(StateFile::hold(folder.path()).is_ok());
    }
}
