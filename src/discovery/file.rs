//! Small files of sysfs and procfs, read with a limit. A device may go while its files are read: then they are absent.

use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Most bytes of one file. The largest ones that are read here are VPD pages, which have at most 64 KiB and in practice some hundred bytes.
const FILE_LENGTH_MAX: u64 = 0x1_0004;

/// What stands in `path`; nothing if it cannot be read.
pub(super) fn bytes(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)
        .ok()?
        .take(FILE_LENGTH_MAX)
        .read_to_end(&mut bytes)
        .ok()?;
    Some(bytes)
}

/// The one line of text in `path`, without the spaces around it; nothing if it cannot be read or has nothing else.
pub(super) fn text(path: &Path) -> Option<String> {
    let bytes = bytes(path)?;
    let text = bytes.trim_ascii();
    (!text.is_empty()).then(|| text.escape_ascii().to_string())
}

/// The number in `path`, in decimal; nothing if it cannot be read or is none.
pub(super) fn number<T: std::str::FromStr>(path: &Path) -> Option<T> {
    text(path)?.parse().ok()
}
