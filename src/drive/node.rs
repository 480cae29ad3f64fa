//! The tape node that stands beside a drive's sg node, as Linux's sysfs tells: the one through which programs write.
//!
//! It is opened only to keep programs out while the tape is moved; nothing is read from it or written to it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Where Linux lists its sg nodes.
const SG_NODES: &str = "/sys/class/scsi_generic";

/// The non-rewinding tape node of the drive whose sg node is at `sg_node`, which may be a link to it; `None` if that is not known.
#[must_use]
pub fn st_node_of(sg_node: &str) -> Option<String> {
    beside(Path::new(SG_NODES), Path::new(sg_node))
}

/// Programs could not be kept out.
#[derive(Debug, Error)]
pub enum NodeInUse {
    /// `st` admits one opener, and there is one.
    #[error("a program has {node} open\nhint: end the program that uses the drive, and try again")]
    Open {
        /// The node.
        node: String,
    },
    /// The system refused.
    #[error("open {node}: {source}\nhint: the daemon's user must be able to open the drive's tape node")]
    System {
        /// The node.
        node: String,
        /// What it answered.
        source: io::Error,
    },
}

/// Opens the tape node beside `sg_node`: as long as the file is open, no program can open it. `None` where this host has no such node, as for a
/// simulated drive.
///
/// # Errors
/// [`NodeInUse`] if a program has it open, or the system refuses.
pub fn hold_node_of(sg_node: &str) -> Result<Option<File>, NodeInUse> {
    let Some(node) = st_node_of(sg_node) else {
        return Ok(None);
    };
    // Without waiting for a volume.
    let opened = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(&node);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::ResourceBusy => Err(NodeInUse::Open { node }),
        Err(source) => Err(NodeInUse::System { node, source }),
    }
}

fn beside(sg_nodes: &Path, sg_node: &Path) -> Option<String> {
    let node: PathBuf = fs::canonicalize(sg_node).ok()?;
    let folder = sg_nodes.join(node.file_name()?).join("device/scsi_tape");
    let names = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    // Each mode of the drive has a node of its own, such as nst0a; the one with the plain number is the default.
    let is_plain = |name: &String| {
        let number = name.strip_prefix("nst");
        number.is_some_and(|number| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let name = names.into_iter().find(is_plain)?;
    Some(format!("/dev/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_tape_node_is_found_through_a_link_and_is_the_one_that_does_not_rewind() {
        let folder = tempfile::tempdir().unwrap();
        let (sysfs, dev) = (folder.path().join("sys"), folder.path().join("dev"));
        for node in ["st3", "st3a", "nst3a", "nst3l", "nst3"] {
            fs::create_dir_all(sysfs.join("sg7/device/scsi_tape").join(node)).unwrap();
        }
        fs::create_dir_all(&dev).unwrap();
        fs::write(dev.join("sg7"), "").unwrap();
        symlink(dev.join("sg7"), dev.join("1013000101")).unwrap();
        assert_eq!(beside(&sysfs, &dev.join("1013000101")), Some("/dev/nst3".into()));
        fs::write(dev.join("sg8"), "").unwrap();
        assert_eq!(beside(&sysfs, &dev.join("sg8")), None, "the kernel has no st for it");
        assert_eq!(beside(&sysfs, &dev.join("sg9")), None, "there is no such node");
    }
}
