//! Serial numbers that the kernel does not show, as the devices said them when they were asked, so that every look through sysfs finds them.
//!
//! Each belongs to one appearance of a device: whatever comes after it to the same place is asked anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::device::{Appearance, Device};

/// What devices said, by appearance; nothing of one that was asked and said none.
#[derive(Debug, Clone, Default)]
pub(super) struct Learned(Arc<Mutex<BTreeMap<Appearance, Option<String>>>>);

impl Learned {
    /// Gives serial numbers to those of `devices` that lack one, and forgets those of devices that have gone.
    pub(super) fn complete(&self, devices: &mut [Device]) {
        let mut said = self.said();
        said.retain(|appearance, _| devices.iter().any(|device| device.appearance == *appearance));
        for device in devices.iter_mut().filter(|device| device.serial.is_none()) {
            device.serial = said.get(&device.appearance).cloned().flatten();
        }
    }

    pub(super) fn keep(&self, device: &Device, serial: Option<String>) {
        self.said().insert(device.appearance, serial);
    }

    pub(super) fn holds(&self, device: &Device) -> bool {
        self.said().contains_key(&device.appearance)
    }

    fn said(&self) -> MutexGuard<'_, BTreeMap<Appearance, Option<String>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
