//! A host's sysfs as the kernel showed it once, built anew in a temporary folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tapekey::discovery::Tree;
use tempfile::TempDir;

/// The root folder of such a host.
pub(crate) struct KernelTree {
    folder: TempDir,
    vector: Value,
}

impl KernelTree {
    /// Two drives, `1013000301` and `1013000302`, and a changer.
    pub(crate) fn debian() -> Self {
        let tree = Self {
            folder: TempDir::with_prefix("tk").unwrap(),
            vector: serde_json::from_str(include_str!("../vectors/sysfs/debian-6.1.json")).unwrap(),
        };
        for (path, text) in entries(&tree.vector["files"]) {
            tree.write(path, text.as_bytes());
        }
        for (path, bytes) in entries(&tree.vector["binary"]) {
            tree.write(path, &hex::decode(bytes).unwrap());
        }
        for (path, target) in entries(&tree.vector["links"]) {
            let path = tree.path(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            symlink(target, path).unwrap();
        }
        fs::create_dir(tree.path("proc")).unwrap();
        tree
    }

    /// The tree.
    pub(crate) fn tree(&self) -> Tree {
        Tree::below(self.folder.path())
    }

    /// A path below its root.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    /// The kernel writes `bytes` to the file `path`.
    pub(crate) fn write(&self, path: &str, bytes: &[u8]) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// What the kernel was seen to change when this happened.
    pub(crate) fn after(&self, event: &str) {
        let changes = entries(&self.vector["changes"][event]);
        assert!(!changes.is_empty(), "{event}");
        for (path, text) in changes {
            self.write(path, text.as_bytes());
        }
    }

    /// The folder of a logical unit, such as `0:0:1:0`.
    pub(crate) fn unit(&self, address: &str) -> PathBuf {
        let (target, _) = address.rsplit_once(':').unwrap();
        self.path(&format!(
            "sys/devices/pci0000:00/0000:00:02.0/virtio0/host0/target{target}/{address}"
        ))
    }

    /// A device goes: its class links lead nowhere for a moment, as they do while the kernel takes it away.
    pub(crate) fn unplug(&self, address: &str) {
        fs::remove_dir_all(self.unit(address)).unwrap();
    }

    /// The process `pid` runs `program` and has these files open.
    pub(crate) fn process(&self, pid: u32, program: &str, open: &[&Path]) {
        self.write(&format!("proc/{pid}/comm"), format!("{program}\n").as_bytes());
        let descriptors = self.path(&format!("proc/{pid}/fd"));
        fs::create_dir(&descriptors).unwrap();
        for (number, target) in open.iter().enumerate() {
            symlink(target, descriptors.join(number.to_string())).unwrap();
        }
    }
}

fn entries(object: &Value) -> Vec<(&String, &str)> {
    let entries = object.as_object().into_iter().flatten();
    entries.map(|(path, value)| (path, value.as_str().unwrap())).collect()
}
