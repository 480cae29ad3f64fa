//! The backup itself: PATH as a tar stream onto the tape, and the same stream back, compared with the files it came from.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::Path;

use crate::tape::{BlockReader, BlockWriter, Tape};

/// What a backup or a restore moved.
pub(crate) struct Amount {
    /// Regular files.
    pub(crate) files: u64,
    /// Bytes of their contents.
    pub(crate) bytes: u64,
}

/// Writes `path`, a file or a folder, and a filemark. Returns how many blocks that took.
pub(crate) fn write(tape: &mut Tape, path: &Path) -> Result<u64, Box<dyn Error>> {
    let mut archive = tar::Builder::new(BlockWriter::new(tape));
    archive.follow_symlinks(false);
    if path.is_dir() {
        archive.append_dir_all(NAME, path)?;
    } else {
        archive.append_path_with_name(path, NAME)?;
    }
    Ok(archive.into_inner()?.finish()?)
}

/// Reads the stream back and compares every byte of every file with `path`.
pub(crate) fn compare(tape: &mut Tape, path: &Path) -> Result<Amount, Box<dyn Error>> {
    let mut amount = Amount { files: 0, bytes: 0 };
    let mut archive = tar::Archive::new(BlockReader::new(tape));
    for entry in archive.entries()? {
        let mut entry = entry?;
        let name = entry.path()?.strip_prefix(NAME)?.to_owned();
        let original = if name.as_os_str().is_empty() {
            path.to_owned()
        } else {
            path.join(name)
        };
        match entry.header().entry_type() {
            tar::EntryType::Regular => {
                amount.bytes += same_bytes(&mut entry, &original)?;
                amount.files += 1;
            }
            tar::EntryType::Symlink if entry.link_name()?.as_deref() != Some(&fs::read_link(&original)?) => {
                return Err(format!("{}: the link points elsewhere on the tape", original.display()).into());
            }
            _ => {}
        }
    }
    Ok(amount)
}

/// Compares a stream with a file to the end of both.
fn same_bytes(stream: &mut impl Read, original: &Path) -> Result<u64, Box<dyn Error>> {
    let mut file = BufReader::with_capacity(CHUNK, File::open(original)?);
    let (mut restored, mut wanted) = (vec![0; CHUNK], vec![0; CHUNK]);
    let mut compared: u64 = 0;
    loop {
        let count = stream.read(&mut restored)?;
        let restored = restored.get(..count).unwrap_or_default();
        let wanted = wanted.get_mut(..count).unwrap_or_default();
        let same_length = file.read_exact(wanted).is_ok();
        if !same_length || restored != wanted {
            return Err(format!("{}: differs from the tape after byte {compared}", original.display()).into());
        }
        compared += u64::try_from(count)?;
        if count == 0 {
            let more = file.read(&mut [0])?;
            return if more == 0 {
                Ok(compared)
            } else {
                Err(format!("{}: longer than on the tape", original.display()).into())
            };
        }
    }
}

/// What the stream calls PATH.
const NAME: &str = "backup";

const CHUNK: usize = 128 * 1024;
