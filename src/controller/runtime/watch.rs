//! The watch: what comes and goes, and what programs do with the drives, seen without a command to any drive.
//!
//! The kernel's uevents say when to look; a look now and then finds what they did not say. Once a second the counters of st are read. All of
//! it is the kernel's memory, so a drive that hangs delays nothing here. Libraries are asked by threads of their own.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;

use super::gate::ClosesHeard;
use super::surroundings::Surroundings;
use super::{Daemon, DriveUnit};
use crate::discovery::statistics::{Activity, IDLE_AFTER, Statistics};
use crate::discovery::uevent::Uevents;
use crate::discovery::{Device, Kind, Node, ScsiAddress};
use crate::gate::Event;

/// How often the counters are read.
const TICK: Duration = Duration::from_secs(1);

/// How often the watch looks through sysfs although nothing was said.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// How long the kernel takes to make all nodes of a device, once it has said the first word of it.
const NODES_COME_WITHIN: Duration = Duration::from_millis(500);

/// What the watch has seen.
#[derive(Debug, Default)]
pub(super) struct Watched {
    devices: Vec<Device>,
    /// Whether they were looked for yet.
    looked: bool,
    used: BTreeMap<ScsiAddress, Used>,
}

/// How a drive was used last.
#[derive(Debug, Clone, Copy)]
struct Used {
    counters: Statistics,
    activity: Activity,
    /// Monotonic time of the last tick at which something had happened.
    at: Duration,
}

/// What became different between two looks through sysfs. What is there at the first one has not just come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Difference {
    came: Vec<Device>,
    went: Vec<Device>,
    first: bool,
}

impl Watched {
    /// Takes `devices` for what is there now.
    fn replace(&mut self, devices: Vec<Device>) -> Difference {
        let without = |these: &[Device], others: &[Device]| -> Vec<Device> {
            these
                .iter()
                .filter(|device| !others.contains(device))
                .cloned()
                .collect()
        };
        let difference = Difference {
            came: without(&devices, &self.devices),
            went: without(&self.devices, &devices),
            first: !std::mem::replace(&mut self.looked, true),
        };
        self.devices = devices;
        let there = |address: &ScsiAddress| self.devices.iter().any(|device| device.address == *address);
        self.used.retain(|address, _| there(address));
        difference
    }

    /// The device at this address.
    pub(super) fn devices_at(&self, address: ScsiAddress) -> Vec<Device> {
        let there = self.devices.iter().filter(|device| device.address == address);
        there.cloned().collect()
    }

    fn tapes(&self) -> Vec<(ScsiAddress, Node)> {
        let tape = |device: &Device| Some((device.address, device.no_rewind()?.clone()));
        self.devices.iter().filter_map(tape).collect()
    }

    fn count(&mut self, address: ScsiAddress, counters: Statistics, now: Duration) {
        let Some(used) = self.used.get_mut(&address) else {
            // What was done before the first look is not news.
            let idle = Used {
                counters,
                activity: Activity::Idle,
                at: now,
            };
            self.used.insert(address, idle);
            return;
        };
        let activity = counters.since(&used.counters);
        used.counters = counters;
        if activity != Activity::Idle {
            (used.activity, used.at) = (activity, now);
        } else if now.saturating_sub(used.at) >= IDLE_AFTER {
            used.activity = Activity::Idle;
        }
    }
}

impl Daemon {
    /// Watches for ever. It fails at nothing: what it cannot see it says in the log, and tries again.
    pub async fn watch(self: Arc<Self>) {
        let uevents = Uevents::listen().inspect_err(|error| tracing::warn!("{error}")).ok();
        let mut closes = ClosesHeard::begin();
        let mut next_look = Duration::ZERO;
        loop {
            let now = self.clock.monotonic();
            if now >= next_look {
                let looked = self.look_around(&mut closes).await;
                let nothing_to_hold = self.drives.iter().all(|unit| unit.gate.is_none());
                let is_done = looked || nothing_to_hold;
                next_look = now.saturating_add(if is_done { LOOK_EVERY } else { TICK });
                if is_done {
                    self.looked_around.send_replace(true);
                }
            }
            self.count_use().await;
            self.ask_libraries();
            self.mind_gates(&mut closes);
            tokio::select! {
                () = tokio::time::sleep(TICK) => {}
                () = self.look_again.notified() => next_look = Duration::ZERO,
                () = changed(uevents.as_ref()) => {
                    tokio::time::sleep(NODES_COME_WITHIN).await;
                    next_look = Duration::ZERO;
                }
            }
        }
    }

    /// Waits until the watch has looked around once, and drives that are to be held are.
    pub async fn looked_around(&self) {
        // The sender is ours, so it does not go.
        let _ = self.looked_around.subscribe().wait_for(|looked| *looked).await;
    }

    /// What programs last did with a drive; nothing if the kernel does not count.
    pub(super) fn activity_of(&self, devices: &[&Device]) -> Option<Activity> {
        let watched = self.watched();
        let of = |device: &&Device| watched.used.get(&device.address).map(|used| used.activity);
        let mut activities: Vec<Activity> = devices.iter().filter_map(of).collect();
        activities.sort_by_key(|activity| *activity == Activity::Idle);
        activities.into_iter().next()
    }

    /// Looks through sysfs, says what came and went, and draws the conclusions. Whether it could look.
    async fn look_around(self: &Arc<Self>, closes: &mut ClosesHeard) -> bool {
        let around = self.surroundings().await;
        if let Some(problem) = &around.problem {
            tracing::warn!("{problem}");
            return false;
        }
        self.adopt(&around.devices);
        self.ask_for_serials(&around);
        let difference = self.watched().replace(around.devices.clone());
        for device in &difference.went {
            tracing::info!(address = %device.address, "{} has gone", in_words(device));
        }
        for device in &difference.came {
            tracing::info!(address = %device.address, "{} is there", in_words(device));
        }
        let gated = self.drives.iter().filter(|unit| unit.gate.is_some());
        let gated: Vec<Device> = gated.flat_map(|unit| around.of_unit(unit)).cloned().collect();
        if closes.follow(&gated) {
            self.forget_own_closes();
        }
        let mut begun = Vec::new();
        for unit in &self.drives {
            begun.extend(self.mind(unit, &around, &difference).await);
        }
        if difference.first {
            for held in begun {
                // A bug in one must not keep the others from being held.
                let _ = held.await;
            }
        }
        true
    }

    /// What it means for a drive of ours that devices came or went. What it began and did not wait for.
    async fn mind(
        self: &Arc<Self>,
        unit: &Arc<DriveUnit>,
        around: &Surroundings,
        difference: &Difference,
    ) -> Option<JoinHandle<()>> {
        let part = |devices: &[Device]| {
            let part = Surroundings::showing(devices.to_vec());
            !part.of_unit(unit).is_empty()
        };
        let is_there = !around.of_unit(unit).is_empty();
        if part(&difference.went) && !is_there {
            let mount = unit.state().mount.clone();
            if let Some(mount) = mount {
                let what = format!(
                    "the kernel has lost the drive while the key of job {} was in it",
                    mount.job
                );
                let hint = "look at its power and cabling; when it is back, see tapekey status, and load again";
                self.raise(unit, &mount, vec![what.clone()], &what, hint).await;
            }
            Some(self.tell_gate(unit, vec![Event::Went]))
        } else if part(&difference.came) {
            let (daemon, unit) = (self.clone(), unit.clone());
            let looks = unit.by_serial && !difference.first;
            Some(tokio::spawn(async move {
                daemon.at_gate(&unit, Event::Came).await;
                if looks {
                    daemon.look_at(vec![unit], false).await;
                }
            }))
        } else {
            None
        }
    }

    async fn count_use(&self) {
        let tapes = self.watched().tapes();
        let tree = self.tree.clone();
        let counters = self.scans.run(move || {
            let of = |(address, node): (ScsiAddress, Node)| Some((address, tree.statistics(&node)?));
            tapes.into_iter().filter_map(of).collect::<Vec<_>>()
        });
        let counted = match counters.await {
            Ok(counted) => counted,
            Err(problem) => return tracing::warn!("read what programs do with the drives: {problem}"),
        };
        let now = self.clock.monotonic();
        let mut watched = self.watched();
        for (address, counters) in counted {
            watched.count(address, counters, now);
        }
    }
}

/// Waits for the kernel to say that tapes changed; for ever if nobody listens to it.
async fn changed(uevents: Option<&Uevents>) {
    if let Some(uevents) = uevents {
        match uevents.tapes_changed().await {
            Ok(()) => return,
            Err(error) => tracing::warn!("{error}"),
        }
    }
    std::future::pending().await
}

fn in_words(device: &Device) -> String {
    let kind = match device.kind {
        Kind::Drive => "drive",
        Kind::Changer => "changer",
    };
    let nodes = [device.generic.as_ref(), device.no_rewind()];
    let nodes: Vec<String> = nodes
        .into_iter()
        .flatten()
        .map(|node| node.path.display().to_string())
        .collect();
    let serial = device.serial.as_deref().unwrap_or("unknown");
    format!("the {kind} with serial number {serial} ({})", nodes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: u8) -> ScsiAddress {
        let folder = tempfile::tempdir().unwrap();
        device(folder.path(), number).address
    }

    fn device(root: &std::path::Path, number: u8) -> Device {
        let unit = root.join(format!("sys/devices/0:0:{number}:0"));
        std::fs::create_dir_all(&unit).unwrap();
        std::fs::write(unit.join("type"), "1\n").unwrap();
        let class = root.join(format!("sys/class/scsi_generic/sg{number}"));
        std::fs::create_dir_all(&class).unwrap();
        std::os::unix::fs::symlink(&unit, class.join("device")).unwrap();
        crate::discovery::Tree::below(root).scan().unwrap().remove(0)
    }

    #[test]
    fn what_came_and_what_went_is_told_apart_from_what_stayed() {
        let [one, two] = [0, 1].map(|number| device(tempfile::tempdir().unwrap().path(), number));
        let mut watched = Watched::default();
        let first = watched.replace(vec![one.clone()]);
        assert!(first.first && first.came == [one.clone()]);
        let second = watched.replace(vec![one.clone(), two.clone()]);
        assert_eq!(
            second,
            Difference {
                came: vec![two.clone()],
                went: Vec::new(),
                first: false,
            }
        );
        assert_eq!(watched.replace(vec![two]).went, vec![one]);
    }

    #[test]
    fn a_drive_is_idle_only_after_a_pause_and_its_history_before_the_watch_is_no_use() {
        let mut watched = Watched::default();
        let place = address(0);
        let written = |writes| Statistics {
            writes,
            ..Statistics::default()
        };
        let mut after = |writes, seconds| {
            watched.count(place, written(writes), Duration::from_secs(seconds));
            watched.used.get(&place).unwrap().activity
        };
        assert_eq!(after(500, 0), Activity::Idle);
        assert_eq!(after(501, 1), Activity::Writing);
        assert_eq!(after(501, 2), Activity::Writing, "it fills its buffer");
        assert_eq!(after(501, 1 + IDLE_AFTER.as_secs()), Activity::Idle);
    }
}
