//! Who has the tape nodes open, as far as the kernel tells: st's own count of users, and the descriptors of processes that we may look at.
//!
//! Nothing is opened to find out: st admits one opener, and the open itself sends the drive commands.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::device::Device;
use super::file;
use super::nodes::DeviceNumber;
use super::tree::Tree;

/// Most processes, and most descriptors of one, that are looked at.
const ENTRIES_MAX: usize = 1 << 20;

/// How often the kernel counts one open of a character device, at most: its driver and its file operations (Linux 6.1).
const USES_OF_AN_OPEN: u64 = 2;

/// A process that has a node of a drive open.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Opener {
    /// Process id.
    pub pid: u32,
    /// Its name, if it can be read.
    pub program: Option<String>,
}

/// Who has a node of a drive open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Openers {
    /// Certainly nobody.
    Nobody,
    /// These processes; never empty.
    These(Vec<Opener>),
    /// Not to be told: somebody has a tape open, and we may not see whose it is.
    Unknown,
}

/// One look at all processes of the host.
#[derive(Debug, Clone, Default)]
pub struct Look {
    by_node: BTreeMap<DeviceNumber, Vec<Opener>>,
    /// Whether the descriptors of every process could be read.
    complete: bool,
    /// Descriptors of tape nodes that were seen.
    seen: u64,
    /// How often st is in use; absent if the kernel does not count (st is built in).
    users_of_st: Option<u64>,
}

impl Tree {
    /// Looks who has tapes open. Reads one small file if nobody has.
    #[must_use]
    pub fn look_at_openers(&self) -> Look {
        let users_of_st = file::number(&self.sysfs.join("module/st/refcnt"));
        let mut look = Look {
            users_of_st,
            complete: true,
            ..Look::default()
        };
        if users_of_st != Some(0) {
            look.at_processes(self);
        }
        look
    }
}

impl Look {
    /// Who has a node of `drive` open.
    #[must_use]
    pub fn openers_of(&self, drive: &Device) -> Openers {
        let numbers = drive.tape.iter().map(|node| node.number);
        let mut these: Vec<Opener> = numbers
            .filter_map(|number| self.by_node.get(&number))
            .flatten()
            .cloned()
            .collect();
        these.sort();
        these.dedup();
        if !these.is_empty() {
            Openers::These(these)
        } else if drive.tape.is_empty() || self.all_are_seen() {
            Openers::Nobody
        } else {
            Openers::Unknown
        }
    }

    /// Whether nobody can have a tape open without being in the look: st is not in use, or every process was looked at and, where st counts
    /// its users, enough are seen. Whoever is counted and not seen may be in a container with nodes of its own, or be hidden from us.
    fn all_are_seen(&self) -> bool {
        match self.users_of_st {
            Some(0) => true,
            Some(users) => self.complete && self.seen.saturating_mul(USES_OF_AN_OPEN) >= users,
            None => self.complete,
        }
    }

    fn at_processes(&mut self, tree: &Tree) {
        let Ok(processes) = fs::read_dir(&tree.procfs) else {
            self.complete = false;
            return;
        };
        for process in processes.flatten().take(ENTRIES_MAX) {
            if let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) {
                self.at_process(pid, &process.path(), &tree.dev);
            }
        }
    }

    fn at_process(&mut self, pid: u32, folder: &Path, dev: &Path) {
        let descriptors = match fs::read_dir(folder.join("fd")) {
            Ok(descriptors) => descriptors,
            // A process that has ended has nothing open.
            Err(_) if !folder.exists() => return,
            Err(_) => {
                self.complete = false;
                return;
            }
        };
        for descriptor in descriptors.flatten().take(ENTRIES_MAX) {
            // The name first: asking what an open file is may wait for a file server, its name never does.
            let open = descriptor.path();
            let is_node = fs::read_link(&open).is_ok_and(|target| target.starts_with(dev));
            let Some(number) = is_node.then(|| character_device(&open)).flatten() else {
                continue;
            };
            let opener = Opener {
                pid,
                program: file::text(&folder.join("comm")),
            };
            self.seen = self.seen.saturating_add(1);
            self.by_node.entry(number).or_default().push(opener);
        }
    }
}

fn character_device(open: &Path) -> Option<DeviceNumber> {
    let metadata = fs::metadata(open).ok()?;
    metadata
        .file_type()
        .is_char_device()
        .then(|| DeviceNumber::of_node(metadata.rdev()))
}
