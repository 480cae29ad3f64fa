//! Checks of files and directories that the configuration names: they must be there, and secrets must be kept from others.

use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use super::problem::Problems;

/// Permission bits that a secret file must not have: any for others, and more than reading for the group.
const FORBIDDEN_FOR_SECRETS: u32 = 0o037;

/// Longest path that fits into the address of a Unix socket (`sockaddr_un`, with its closing zero).
const SOCKET_PATH_LENGTH_MAX: usize = 107;

/// Requires an absolute path. Answers whether it is one.
pub(super) fn absolute(problems: &mut Problems, key: &str, path: &Path) -> bool {
    let absolute = path.is_absolute();
    if !absolute {
        let what = format!("{} is not an absolute path", path.display());
        problems.add(key, what, "write the whole path, beginning with /");
    }
    absolute
}

/// Requires a path that a Unix socket can have.
pub(super) fn socket(problems: &mut Problems, key: &str, path: &Path) {
    let length = path.as_os_str().len();
    if absolute(problems, key, path) && length > SOCKET_PATH_LENGTH_MAX {
        let what = format!("the path has {length} bytes, a socket's can have {SOCKET_PATH_LENGTH_MAX}");
        problems.add(key, what, "choose a shorter path");
    }
}

/// Requires a file that can be read.
pub(super) fn readable(problems: &mut Problems, key: &str, path: &Path) {
    if absolute(problems, key, path) {
        regular_file(problems, key, path);
    }
}

/// Requires a file that can be read, by few: mode 0640 or stricter, and of an owner who is root or ourselves.
pub(super) fn secret(problems: &mut Problems, key: &str, path: &Path) {
    if !absolute(problems, key, path) {
        return;
    }
    let Some(metadata) = regular_file(problems, key, path) else {
        return;
    };
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & FORBIDDEN_FOR_SECRETS != 0 {
        let what = format!(
            "{} has mode {mode:04o}, so others can read or change this secret",
            path.display()
        );
        problems.add(
            key,
            what,
            format!(
                "chmod 0600 {}; if it was exposed, replace the certificate",
                path.display()
            ),
        );
    }
    let own = nix::unistd::geteuid().as_raw();
    if metadata.uid() != 0 && metadata.uid() != own {
        let what = format!(
            "{} belongs to user {}, neither root nor ourselves ({own})",
            path.display(),
            metadata.uid()
        );
        problems.add(
            key,
            what,
            format!("chown the file to the daemon's user: {}", path.display()),
        );
    }
}

/// Requires a directory that nobody else can write to, or one that can be made.
pub(super) fn private_directory(problems: &mut Problems, key: &str, path: &Path) {
    if !absolute(problems, key, path) {
        return;
    }
    let hint = format!("create it: install -d -m 0700 {}", path.display());
    let parent_is_there = path.parent().is_some_and(Path::is_dir);
    match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound && parent_is_there => {}
        Err(error) => problems.add(key, format!("{}: {error}", path.display()), hint),
        Ok(metadata) if !metadata.is_dir() => problems.add(key, format!("{} is no directory", path.display()), hint),
        Ok(metadata) if metadata.permissions().mode() & 0o022 != 0 => {
            let mode = metadata.permissions().mode() & 0o7777;
            let what = format!(
                "{} has mode {mode:04o}, so others can change what we remember",
                path.display()
            );
            problems.add(key, what, format!("chmod go-w {}", path.display()));
        }
        Ok(_) => {}
    }
}

fn regular_file(problems: &mut Problems, key: &str, path: &Path) -> Option<Metadata> {
    // Metadata first: opening a FIFO would wait for a writer.
    let found = fs::metadata(path).and_then(|metadata| {
        if metadata.is_file() {
            File::open(path)?;
        }
        Ok(metadata)
    });
    match found {
        Ok(metadata) if metadata.is_file() => Some(metadata),
        Ok(_) => {
            problems.add(key, format!("{} is no regular file", path.display()), "name a file");
            None
        }
        Err(error) => {
            let hint = "tapekey-kms init makes these files; let the daemon's user read them";
            problems.add(key, format!("{}: {error}", path.display()), hint);
            None
        }
    }
}
