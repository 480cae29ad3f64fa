//! The inputs to begin with: text files of hexadecimal, one line a command or a page, `#` before a remark.

use std::{fs, path::PathBuf};

/// The lines of each file of a folder below `corpus/`, without remarks.
pub(crate) fn read(folder: &str) -> Vec<Vec<String>> {
    let folder: PathBuf = [env!("CARGO_MANIFEST_DIR"), "tests", "fuzz", "corpus", folder]
        .iter()
        .collect();
    let mut paths: Vec<PathBuf> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let files: Vec<Vec<String>> = paths
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).unwrap();
            let lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
            lines.map(str::to_owned).collect()
        })
        .collect();
    assert!(files.iter().all(|lines: &Vec<String>| !lines.is_empty()) && !files.is_empty());
    files
}
