//! The search that proves cipher text: short pieces of the files, drawn at random, must not be anywhere in the cartridge file.

use std::collections::{HashMap, HashSet};
use std::error::Error;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Bytes of a window.
pub(crate) const WINDOW_LENGTH: usize = 32;

type Window = [u8; WINDOW_LENGTH];

/// Pseudo-random numbers from a seed that is printed, so that a failing search can be repeated.
pub(crate) struct Random(u64);

impl Random {
    /// Numbers that follow from `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// A number below `limit`.
    fn below(&mut self, limit: u64) -> u64 {
        // xorshift64*: good enough to choose places, and the same on every machine.
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) % limit.max(1)
    }
}

/// Draws `count` windows from the files below `path`, larger files more often.
///
/// A window of one repeated byte is drawn again: it says nothing, since gaps in any file look like it.
pub(crate) fn draw(path: &Path, count: usize, random: &mut Random) -> Result<Vec<Window>, Box<dyn Error>> {
    let mut files = Vec::new();
    collect(path, &mut files)?;
    let total: u64 = files.iter().map(|(_, length)| length).sum();
    let mut windows = Vec::new();
    for _ in 0..count * 100 {
        if windows.len() == count || total == 0 {
            break;
        }
        let mut place = random.below(total);
        let chosen = files.iter().find(|(_, length)| {
            let here = place < *length;
            place -= if here { 0 } else { *length };
            here
        });
        if let Some((file, length)) = chosen {
            let window = read_window(file, place.min(length - WINDOW_LENGTH as u64))?;
            if window.iter().any(|byte| *byte != window[0]) {
                windows.push(window);
            }
        }
    }
    if windows.len() < count {
        return Err(format!(
            "{} has too little content to draw {count} windows from\nhint: back up a folder with more files",
            path.display()
        )
        .into());
    }
    Ok(windows)
}

/// Regular files of at least one window below `path`, without following links.
fn collect(path: &Path, files: &mut Vec<(PathBuf, u64)>) -> Result<(), Box<dyn Error>> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_dir() {
        for entry in fs::read_dir(path)? {
            collect(&entry?.path(), files)?;
        }
    } else if metadata.is_file() && metadata.len() >= WINDOW_LENGTH as u64 {
        files.push((path.to_owned(), metadata.len()));
    }
    Ok(())
}

fn read_window(file: &Path, offset: u64) -> Result<Window, Box<dyn Error>> {
    let mut file = File::open(file)?;
    file.seek(SeekFrom::Start(offset))?;
    let mut window = [0; WINDOW_LENGTH];
    file.read_exact(&mut window)?;
    Ok(window)
}

/// How many of `windows` occur anywhere in `file`.
pub(crate) fn count_found(windows: &[Window], file: &Path) -> Result<usize, Box<dyn Error>> {
    let mut by_start: HashMap<[u8; 4], Vec<&Window>> = HashMap::new();
    let mut may_start = vec![false; 0x1_0000];
    for window in windows {
        let [a, b, c, d, ..] = *window;
        by_start.entry([a, b, c, d]).or_default().push(window);
        may_start[usize::from(u16::from_be_bytes([a, b]))] = true;
    }
    let mut found: HashSet<&Window> = HashSet::new();
    let mut file = File::open(file)?;
    // The end of each piece is kept in front of the next one, so that no window is cut in two.
    let mut piece = Vec::with_capacity(PIECE + WINDOW_LENGTH);
    loop {
        let kept = piece.len().min(WINDOW_LENGTH - 1);
        piece.drain(..piece.len() - kept);
        if (&mut file).take(PIECE as u64).read_to_end(&mut piece)? == 0 {
            return Ok(found.len());
        }
        for place in piece.windows(WINDOW_LENGTH) {
            let [a, b, c, d, ..] = *place else { continue };
            if may_start[usize::from(u16::from_be_bytes([a, b]))] {
                let candidates = by_start.get(&[a, b, c, d]).into_iter().flatten();
                found.extend(candidates.filter(|window| window.as_slice() == place));
            }
        }
    }
}

/// Shows that the search can find at all: windows taken from `file` itself must all be found in it.
pub(crate) fn search_works(file: &Path, random: &mut Random) -> Result<bool, Box<dyn Error>> {
    let windows = draw(file, 20, random)?;
    let different: HashSet<_> = windows.iter().collect();
    Ok(count_found(&windows, file)? == different.len())
}

/// Bytes searched at a time.
const PIECE: usize = 8 * 1024 * 1024;
