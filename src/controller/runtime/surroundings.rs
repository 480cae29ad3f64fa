//! What the kernel shows of this host's drives, paired with the drives of the configuration. Costs no drive anything.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::{Daemon, DriveUnit};
use crate::discovery::openers::{Look, Openers};
use crate::discovery::{Device, Kind, Tree};

/// How long to wait for sysfs and procfs: memory of the kernel, but a driver may hold a lock.
const SCAN_MAX: Duration = Duration::from_secs(5);

/// Most looks at one time.
const SCANS_MAX: usize = 8;

/// What there is around the daemon.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    /// Drives and changers.
    pub(super) devices: Vec<Device>,
    /// Who has drives open; not looked at if drives could not be.
    openers: Option<Look>,
    /// Why there may be more.
    pub(super) problem: Option<String>,
}

impl Surroundings {
    /// These devices and no more.
    pub(super) fn showing(devices: Vec<Device>) -> Self {
        Self {
            devices,
            ..Self::default()
        }
    }

    fn unknown(problem: String) -> Self {
        Self {
            problem: Some(problem),
            ..Self::default()
        }
    }

    fn scan(tree: &Tree) -> Self {
        match tree.scan() {
            Err(error) => Self::unknown(error.to_string()),
            Ok(devices) => Self {
                devices,
                openers: Some(tree.look_at_openers()),
                problem: None,
            },
        }
    }

    /// The devices that are the drive `unit`: by serial number, or else by the node that the configuration names.
    pub(super) fn of_unit(&self, unit: &DriveUnit) -> Vec<&Device> {
        if unit.simulated {
            return Vec::new();
        }
        let drives = self.devices.iter().filter(|device| device.kind == Kind::Drive);
        let serial = unit.serial();
        let is_it = |device: &&Device| match (&serial, &device.serial) {
            (Some(wanted), Some(found)) => wanted == found,
            _ => is_at(device, unit),
        };
        drives.filter(is_it).collect()
    }

    /// Who has one of `devices` open, beside ourselves.
    pub(super) fn openers_of(&self, devices: &[&Device]) -> Openers {
        let Some(look) = &self.openers else {
            return Openers::Unknown;
        };
        let own = std::process::id();
        let mut these = Vec::new();
        let mut somebody_is_hidden = false;
        for device in devices {
            match look.openers_of(device) {
                Openers::Nobody => {}
                Openers::These(openers) => these.extend(openers.into_iter().filter(|opener| opener.pid != own)),
                Openers::Unknown => somebody_is_hidden = true,
            }
        }
        match (these.is_empty(), somebody_is_hidden) {
            (false, _) => Openers::These(these),
            (true, true) => Openers::Unknown,
            (true, false) => Openers::Nobody,
        }
    }
}

/// Whether the configuration's path leads to the device's sg node now.
fn is_at(device: &Device, unit: &DriveUnit) -> bool {
    let node = device.generic.as_ref().map(|node| &node.path);
    std::fs::canonicalize(&unit.path).is_ok_and(|path| Some(&path) == node)
}

/// Reads what the kernel lists, beside the tasks that must not wait for it, and never many times at once.
pub(super) struct Scans(Arc<Semaphore>);

impl Default for Scans {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(SCANS_MAX)))
    }
}

impl Scans {
    /// What `scan` finds, or why it is not known. Does not outlast [`SCAN_MAX`]; a scan that does is left alone and counts until it ends.
    pub(super) async fn run<T: Send + 'static>(&self, scan: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let place = self.0.clone().try_acquire_owned();
        let place = place.map_err(|_| format!("{SCANS_MAX} earlier looks at the kernel's lists have not come back"))?;
        let scan = tokio::task::spawn_blocking(move || {
            let found = scan();
            drop(place);
            found
        });
        match tokio::time::timeout(SCAN_MAX, scan).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(bug)) => Err(bug.to_string()),
            Err(_) => Err(format!("the kernel gave no answer in {} s", SCAN_MAX.as_secs())),
        }
    }
}

impl Daemon {
    /// What there is around the daemon now.
    pub(super) async fn surroundings(&self) -> Surroundings {
        let tree = self.tree.clone();
        let found = self.scans.run(move || Surroundings::scan(&tree)).await;
        found.unwrap_or_else(|problem| Surroundings::unknown(format!("look for drives: {problem}")))
    }
}
