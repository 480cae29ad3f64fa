//! sysfs as a tree that can be looked through again and again.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::DiscoveryError;
use super::device::{Device, Kind};
use super::learned::Learned;

/// The classes whose devices belong to drives and changers. A drive may be known to one driver and not to another.
const CLASSES: [&str; 3] = ["scsi_generic", "scsi_tape", "scsi_changer"];

/// Most entries of a class: st alone has eight for each drive.
const ENTRIES_MAX: usize = 65_536;

/// Where sysfs, procfs and the device nodes are: below `/`, except in tests and odd containers.
///
/// Clones know what any of them has learnt.
#[derive(Debug, Clone)]
pub struct Tree {
    /// Where sysfs is mounted.
    pub sysfs: PathBuf,
    /// Where procfs is mounted.
    pub procfs: PathBuf,
    /// Where device nodes are.
    pub dev: PathBuf,
    learned: Learned,
}

impl Tree {
    /// The tree of a host whose root folder is `root`.
    #[must_use]
    pub fn below(root: &Path) -> Self {
        Self {
            sysfs: root.join("sys"),
            procfs: root.join("proc"),
            dev: root.join("dev"),
            learned: Learned::default(),
        }
    }

    /// Every drive and changer that there is now, by SCSI address. Reads some small files for each; sends nothing to a device.
    ///
    /// A class that the kernel does not have (its driver is not loaded) has no devices. A device that goes meanwhile is left out.
    ///
    /// # Errors
    /// [`DiscoveryError`] if a class cannot be listed.
    pub fn scan(&self) -> Result<Vec<Device>, DiscoveryError> {
        let mut units = BTreeSet::new();
        for class in CLASSES {
            self.units_of(class, &mut units)?;
        }
        let read = |folder: &PathBuf| Device::read(folder, &self.dev);
        let mut devices: Vec<Device> = units.iter().filter_map(read).collect();
        devices.sort_by_key(|device| device.address);
        self.learned.complete(&mut devices);
        Ok(devices)
    }

    /// Whether nobody knows the device's serial number, and nobody has asked the device for it.
    #[must_use]
    pub fn may_learn_serial(&self, device: &Device) -> bool {
        device.serial.is_none() && !self.learned.holds(device)
    }

    /// Has later looks find what the device said when it was asked for its serial number, until it goes; `None`: nothing yet, or nothing at all.
    pub fn learn_serial(&self, device: &Device, serial: Option<String>) {
        self.learned.keep(device, serial);
    }

    /// The drives or changers with this serial number. More than one is the same device reached by several paths.
    ///
    /// # Errors
    /// As [`Tree::scan`].
    pub fn with_serial(&self, kind: Kind, serial: &str) -> Result<Vec<Device>, DiscoveryError> {
        let mut devices = self.scan()?;
        devices.retain(|device| device.kind == kind && device.serial.as_deref() == Some(serial));
        Ok(devices)
    }

    /// The folders of the logical units that have a device of `class`.
    fn units_of(&self, class: &str, units: &mut BTreeSet<PathBuf>) -> Result<(), DiscoveryError> {
        let folder = self.sysfs.join("class").join(class);
        let unlistable = |source| DiscoveryError::Unlistable {
            folder: folder.clone(),
            source,
        };
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            // Without sysfs at all nothing is known; without the class there is nothing.
            Err(error) if error.kind() == ErrorKind::NotFound && self.sysfs.is_dir() => return Ok(()),
            Err(error) => return Err(unlistable(error)),
        };
        for (count, entry) in entries.enumerate() {
            if count == ENTRIES_MAX {
                return Err(DiscoveryError::TooMany {
                    folder: folder.clone(),
                    limit: ENTRIES_MAX,
                });
            }
            // A link that leads nowhere is a device that has just gone.
            let unit = entry.map_err(unlistable)?.path().join("device").canonicalize();
            units.extend(unit);
        }
        Ok(())
    }
}
