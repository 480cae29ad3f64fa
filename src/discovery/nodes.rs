//! Device nodes: where a device can be opened now, and by which number the kernel knows it.

use std::ffi::OsStr;
use std::fmt;
use std::path::{Path, PathBuf};

use super::file;

/// Major and minor number of a character device, as sysfs prints them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DeviceNumber {
    /// Which driver: 21 is sg, 9 is st, 86 is ch.
    pub major: u32,
    /// Which of its devices, and for st in which mode.
    pub minor: u32,
}

impl DeviceNumber {
    /// The number in the form that `stat` gives it.
    #[must_use]
    pub fn of_node(device: u64) -> Self {
        let number = |half: u64| u32::try_from(half).unwrap_or(u32::MAX);
        Self {
            major: number(nix::sys::stat::major(device)),
            minor: number(nix::sys::stat::minor(device)),
        }
    }

    /// Reads the form `21:3`.
    fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once(':')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// A device node, valid until the device goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it is, such as `/dev/sg3`.
    pub path: PathBuf,
    /// Which device it must be when it is opened: a name may have been given to another device meanwhile.
    pub number: DeviceNumber,
}

impl Node {
    /// The node of the class device at `entry`, below the folder `dev`. Its name is the one that the kernel gave it (DEVNAME).
    pub(super) fn of(entry: &Path, dev: &Path) -> Option<Self> {
        let uevent = file::text(&entry.join("uevent")).unwrap_or_default();
        // Escaped, so that the whole file is one line of text.
        let named = uevent.split("\\n").find_map(|line| line.strip_prefix("DEVNAME="));
        let name = named.or_else(|| entry.file_name().and_then(OsStr::to_str))?;
        let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
        name.split('/').all(plain).then_some(())?;
        Some(Self {
            path: dev.join(name),
            number: DeviceNumber::parse(&file::text(&entry.join("dev"))?)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn class_device(dev: &str, uevent: &str) -> Option<Node> {
        let folder = tempfile::tempdir().unwrap();
        let entry = folder.path().join("sg3");
        fs::create_dir(&entry).unwrap();
        fs::write(entry.join("dev"), dev).unwrap();
        fs::write(entry.join("uevent"), uevent).unwrap();
        Node::of(&entry, Path::new("/dev"))
    }

    #[test]
    fn a_node_is_named_by_the_kernel_or_else_as_its_class_device() {
        let node = class_device("21:3\n", "MAJOR=21\nMINOR=3\nDEVNAME=tapes/sg3\n").unwrap();
        assert_eq!(node.path, Path::new("/dev/tapes/sg3"));
        assert_eq!(node.number, DeviceNumber { major: 21, minor: 3 });
        assert_eq!(class_device("21:3\n", "").unwrap().path, Path::new("/dev/sg3"));
    }

    #[test]
    fn a_name_that_leaves_the_folder_of_nodes_and_a_number_that_is_none_are_no_node() {
        for name in ["../etc/passwd", "/etc/passwd", "a//b", "."] {
            assert_eq!(class_device("21:3", &format!("DEVNAME={name}\n")), None, "{name}");
        }
        for number in ["", "21", "21:", ":3", "21:x", "-1:3", "99999999999:0"] {
            assert_eq!(class_device(number, "DEVNAME=sg3\n"), None, "{number:?}");
        }
    }
}
