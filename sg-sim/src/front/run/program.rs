//! The command that is to be run: where it is, and whether a preloaded object can reach it at all.

use std::env;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a command would not see the simulator.
#[derive(Debug, Error)]
pub(in crate::front) enum ProgramError {
    /// There is no such command.
    #[error("run {name:?}: there is no such command\nhint: give its path, or look at PATH")]
    NotFound {
        /// The name given.
        name: String,
    },
    /// The program is linked statically.
    #[error(
        "run {path:?}: it is linked statically, so nothing can be preloaded into it\nhint: use a build that is linked with the C library, or reach the drive through the socket or a virtual machine"
    )]
    Static {
        /// The program, or the interpreter of the script.
        path: PathBuf,
    },
    /// The program is for another machine or C library than this one's.
    #[error(
        "run {path:?}: it uses {interpreter:?}, not the C library of this machine (glibc, 64 bits)\nhint: use a build for it"
    )]
    OtherLibrary {
        /// The program.
        path: PathBuf,
        /// Its dynamic linker.
        interpreter: String,
    },
    /// The program changes its user, and the dynamic linker then preloads nothing.
    #[error(
        "run {path:?}: it is set-user-ID or set-group-ID, and nothing is preloaded into such a program\nhint: run a copy of it without that bit"
    )]
    ChangesUser {
        /// The program.
        path: PathBuf,
    },
}

/// Looks at `command` as far as that can be done from outside. What cannot be read is left to exec to complain about.
///
/// # Errors
/// The command is not there, or the shim could not get into it.
pub(super) fn check(command: &OsStr) -> Result<(), ProgramError> {
    let path = find(command).ok_or_else(|| ProgramError::NotFound {
        name: command.to_string_lossy().into_owned(),
    })?;
    inspect(&path, true)
}

fn find(command: &OsStr) -> Option<PathBuf> {
    if command.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(command)).filter(|path| path.is_file());
    }
    let executable = |path: &PathBuf| {
        path.metadata()
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    env::split_paths(&env::var_os("PATH")?)
        .map(|folder| folder.join(command))
        .find(executable)
}

fn inspect(path: &Path, may_be_script: bool) -> Result<(), ProgramError> {
    let Ok(beginning) = read_beginning(path) else {
        return Ok(());
    };
    if let Some(line) = beginning.strip_prefix(b"#!").filter(|_| may_be_script) {
        let line = line.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let interpreter = line
            .trim_ascii()
            .split(u8::is_ascii_whitespace)
            .next()
            .unwrap_or_default();
        return inspect(Path::new(OsStr::from_bytes(interpreter)), false);
    }
    if changes_user(path) {
        return Err(ProgramError::ChangesUser { path: path.to_owned() });
    }
    match interpreter(&beginning) {
        Linkage::NotElf => Ok(()),
        Linkage::Static => Err(ProgramError::Static { path: path.to_owned() }),
        Linkage::Dynamic(name) if name.contains("ld-linux") && !name.ends_with("ld-linux.so.2") => Ok(()),
        Linkage::Dynamic(interpreter) => Err(ProgramError::OtherLibrary {
            path: path.to_owned(),
            interpreter,
        }),
    }
}

fn changes_user(path: &Path) -> bool {
    let Ok(found) = path.metadata() else { return false };
    let other_user = found.mode() & 0o4000 != 0 && found.uid() != nix::unistd::geteuid().as_raw();
    let other_group = found.mode() & 0o2000 != 0 && found.gid() != nix::unistd::getegid().as_raw();
    other_user || other_group
}

/// Enough for the headers of any program, which come first in the file.
const BEGINNING_BYTES: u64 = 16_384;

fn read_beginning(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(BEGINNING_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[derive(Debug, PartialEq, Eq)]
enum Linkage {
    NotElf,
    Static,
    Dynamic(String),
}

/// The dynamic linker that an ELF file asks for (program header PT_INTERP).
fn interpreter(file: &[u8]) -> Linkage {
    const PT_INTERP: u64 = 3;
    let Some([class, order]) = file
        .strip_prefix(b"\x7FELF")
        .and_then(|rest| rest.first_chunk().copied())
    else {
        return Linkage::NotElf;
    };
    let wide = class == 2;
    if order != 1 {
        // Big-endian: not for any machine that the shim is made for; exec will say so.
        return Linkage::NotElf;
    }
    let number = |at: u64, length: usize| little_endian(file, at, length);
    let (table, size, count) = if wide {
        (number(32, 8), number(54, 2), number(56, 2))
    } else {
        (number(28, 4), number(42, 2), number(44, 2))
    };
    let headers = (0..count).map(|index| table.saturating_add(size.saturating_mul(index)));
    let Some(header) = headers.into_iter().find(|header| number(*header, 4) == PT_INTERP) else {
        return Linkage::Static;
    };
    let (offset, length) = if wide {
        (
            number(header.saturating_add(8), 8),
            number(header.saturating_add(32), 8),
        )
    } else {
        (
            number(header.saturating_add(4), 4),
            number(header.saturating_add(16), 4),
        )
    };
    let name = slice(file, offset, usize::try_from(length).unwrap_or(0)).unwrap_or_default();
    Linkage::Dynamic(String::from_utf8_lossy(name.strip_suffix(b"\0").unwrap_or(name)).into_owned())
}

fn slice(file: &[u8], at: u64, length: usize) -> Option<&[u8]> {
    let at = usize::try_from(at).ok()?;
    file.get(at..at.checked_add(length)?)
}

/// An unsigned number of the file; 0 if it is not there.
fn little_endian(file: &[u8], at: u64, length: usize) -> u64 {
    let bytes = slice(file, at, length).unwrap_or_default();
    bytes
        .iter()
        .rev()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_test_program_asks_for_the_dynamic_linker_of_glibc() {
        let path = env::current_exe().unwrap();
        match interpreter(&read_beginning(&path).unwrap()) {
            Linkage::Dynamic(name) => assert!(name.contains("ld-linux"), "{name}"),
            other => panic!("{other:?}"),
        }
        inspect(&path, true).unwrap();
    }

    #[test]
    fn a_program_without_an_interpreter_is_static() {
        let mut file = b"\x7FELF\x02\x01".to_vec();
        file.resize(64, 0);
        assert_eq!(interpreter(&file), Linkage::Static);
        assert_eq!(interpreter(b"#!/bin/sh\n"), Linkage::NotElf);
    }

    #[test]
    fn headers_that_point_nowhere_are_no_fall() {
        let mut file = b"\x7FELF\x02\x01".to_vec();
        file.resize(64, 0xFF);
        for length in 0..file.len() {
            let _ = interpreter(&file[..length]);
        }
        assert_eq!(interpreter(&file), Linkage::Static);
    }

    #[test]
    fn a_command_that_is_nowhere_is_reported() {
        assert!(matches!(
            check(OsStr::new("no-such-command-here")),
            Err(ProgramError::NotFound { .. })
        ));
    }
}
