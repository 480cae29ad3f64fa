//! A drive's tape node, the one of Linux's `st` through which programs write: opened only to keep them out while the tape is moved or the drive is
//! asked what it can. Nothing is read from it or written to it.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Programs could not be kept out.
#[derive(Debug, Error)]
pub enum NodeInUse {
    /// `st` admits one opener, and there is one.
    #[error("{} is open: {by}\nhint: end the program that uses the drive, and try again", node.display())]
    Open {
        /// The node.
        node: PathBuf,
        /// Who has it.
        by: String,
    },
    /// Who has it open cannot be told.
    #[error(
        "whether a program uses the drive is not known: {why}\nhint: is st loaded, and does the daemon run as its unit says? see tapekey drive list"
    )]
    Unknown {
        /// Why not.
        why: String,
    },
    /// The system refused.
    #[error("open {}: {source}\nhint: the daemon's user must be able to open the drive's tape node", node.display())]
    System {
        /// The node.
        node: PathBuf,
        /// What it answered.
        source: io::Error,
    },
}

/// Opens `node`, without waiting for a volume: as long as the file is open, no program can open it. `None` if somebody has it open already. Blocks for the
/// few commands by which `st` looks what is in the drive.
///
/// # Errors
/// [`NodeInUse::System`].
pub fn hold_node(node: &Path) -> Result<Option<File>, NodeInUse> {
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(node);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Ok(None),
        Err(source) => Err(NodeInUse::System {
            node: node.to_owned(),
            source,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_not_there_says_who_must_be_able_to_open_it() {
        let error = hold_node(Path::new("/nonexistent/nst0")).unwrap_err().to_string();
        assert!(
            error.starts_with("open /nonexistent/nst0: ") && error.contains("\nhint: "),
            "{error}"
        );
    }
}
