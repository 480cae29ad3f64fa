//! `tapekey drive list`: what is known of the drives of this host, put together without asking one.
//!
//! What is in a drive is known from the library first, which costs the drive nothing; else from what the drive said last.

use std::time::Duration;

use super::libraries::SeenBay;
use super::surroundings::Surroundings;
use super::{Daemon, DriveUnit};
use crate::controller::inventory::{
    Activity, BayName, DriveList, DriveNodes, InUse, Knowledge, ListedDrive, ListedMedium, Program, Source,
};
use crate::controller::job::JobRecord;
use crate::controller::report::{MediumStatus, Reading};
use crate::discovery::openers::{Opener, Openers};
use crate::discovery::{Device, Kind, Node, statistics};

/// How much newer than a library's word a drive's own must be to count for more: libraries are asked every few seconds.
const OUTDATED_AFTER: Duration = Duration::from_secs(60);

impl Daemon {
    /// The drives of this host, configured or not. Sends no command to a drive.
    pub async fn drive_list(&self) -> DriveList {
        let around = self.surroundings().await;
        let mut listed: Vec<&Device> = Vec::new();
        let mut drives = Vec::new();
        for unit in &self.drives {
            let devices = around.of_unit(unit);
            drives.push(self.configured(unit, &around, &devices));
            listed.extend(devices);
        }
        let is_new = |device: &&Device| device.kind == Kind::Drive && !listed.contains(device);
        let others: Vec<&Device> = around.devices.iter().filter(is_new).collect();
        drives.extend(
            by_serial(&others)
                .iter()
                .map(|devices| self.unconfigured(&around, devices)),
        );
        DriveList {
            at: self.clock.now(),
            drives,
            problems: around.problem.iter().cloned().collect(),
        }
    }

    fn configured(&self, unit: &DriveUnit, around: &Surroundings, devices: &[&Device]) -> ListedDrive {
        let last = unit.state().last_look.clone();
        let identity = last.as_ref().and_then(|last| last.identity.clone());
        let said = identity.map(|identity| (identity.vendor, identity.product, identity.revision));
        let (vendor, product, revision) = said.map_or((None, None, None), |(vendor, product, revision)| {
            (Some(vendor), Some(product), Some(revision))
        });
        let shown = devices.first();
        let serial = unit.serial().or_else(|| shown?.serial.clone());
        let bay = self.bay_of(serial.as_deref());
        ListedDrive {
            name: Some(unit.name.clone()),
            serial,
            vendor: vendor.or_else(|| shown?.vendor.clone()),
            product: product.or_else(|| shown?.product.clone()),
            revision: revision.or_else(|| shown?.revision.clone()),
            simulated: unit.simulated,
            configured_path: (!unit.by_serial).then(|| unit.path.clone()),
            volume: self.volume_in(unit, bay.as_ref()),
            bay: bay.map(|seen| seen.name()),
            nodes: nodes(devices),
            gate: unit.gate_status(),
            in_use: if unit.is_held() {
                InUse::Free
            } else if unit.simulated {
                InUse::Unknown("programs reach a simulated drive past the kernel".into())
            } else {
                in_use(around, devices)
            },
            activity: self.activity_of(devices).map(activity),
        }
    }

    fn unconfigured(&self, around: &Surroundings, devices: &[&Device]) -> ListedDrive {
        let shown = devices.first();
        let serial = shown.and_then(|device| device.serial.clone());
        let bay = self.bay_of(serial.as_deref());
        ListedDrive {
            name: None,
            serial,
            vendor: shown.and_then(|device| device.vendor.clone()),
            product: shown.and_then(|device| device.product.clone()),
            revision: shown.and_then(|device| device.revision.clone()),
            simulated: false,
            configured_path: None,
            nodes: nodes(devices),
            volume: bay.as_ref().map_or_else(
                || Knowledge::Unknown("a drive that is not in the configuration is not asked".into()),
                SeenBay::volume,
            ),
            bay: bay.map(|seen| seen.name()),
            gate: None,
            in_use: in_use(around, devices),
            activity: self.activity_of(devices).map(activity),
        }
    }

    /// What the library says is in the drive, unless it has not answered for long; else what the drive said last, to a look or to a job.
    fn volume_in(&self, unit: &DriveUnit, bay: Option<&SeenBay>) -> Knowledge<ListedMedium> {
        let look = unit.state().last_look.clone();
        let newest = self.jobs.list(Some(&unit.name), 1).into_iter().next();
        let asked_since = |job: &JobRecord| look.as_ref().is_none_or(|look| job.begun > look.at);
        let by_drive = newest
            .filter(asked_since)
            .and_then(of_job)
            .or_else(|| Some(look?.volume()));
        match (bay.map(SeenBay::volume), by_drive) {
            (Some(by_library), Some(by_drive)) if !is_outdated(&by_library, &by_drive) => by_library,
            (_, Some(by_drive)) => by_drive,
            (Some(by_library), None) => by_library,
            (None, None) => Knowledge::Unknown("the drive has not been asked since the daemon started".into()),
        }
    }
}

/// Whether the library has not answered for so long that the drive knows better.
fn is_outdated(by_library: &Knowledge<ListedMedium>, by_drive: &Knowledge<ListedMedium>) -> bool {
    match (by_library, by_drive) {
        (Knowledge::Known { at: library, .. }, Knowledge::Known { at: drive, .. }) => {
            *drive - *library > OUTDATED_AFTER
        }
        _ => false,
    }
}

impl SeenBay {
    fn name(&self) -> BayName {
        BayName {
            library: self.library.clone(),
            number: self.number,
            address: self.bay.place.address,
        }
    }

    fn volume(&self) -> Knowledge<ListedMedium> {
        let what = match &self.bay.place.volume {
            None => ListedMedium::Empty,
            Some(volume) => ListedMedium::Volume {
                barcode: volume.barcode.clone(),
                serial: None,
                cleaning: volume.cleaning,
            },
        };
        Knowledge::Known {
            what,
            source: Source::Library,
            at: self.at,
        }
    }
}

/// What a look at a drive showed.
#[derive(Debug, Clone)]
pub(super) struct LastLook {
    /// When.
    pub(super) at: crate::clock::Timestamp,
    /// Who it said it is.
    pub(super) identity: Option<crate::controller::report::IdentityStatus>,
    /// What it said is in it.
    pub(super) medium: Reading<MediumStatus>,
}

impl LastLook {
    fn volume(self) -> Knowledge<ListedMedium> {
        let what = match self.medium {
            Reading::Known(MediumStatus::Empty) => ListedMedium::Empty,
            Reading::Known(MediumStatus::Volume { serial, barcode, .. }) => ListedMedium::Volume {
                barcode,
                serial,
                cleaning: false,
            },
            Reading::Known(MediumStatus::CleaningCartridge) => ListedMedium::Volume {
                barcode: None,
                serial: None,
                cleaning: true,
            },
            Reading::Known(MediumStatus::BecomingReady) => {
                return Knowledge::Unknown("a volume was becoming ready when the drive was last asked".into());
            }
            Reading::Unknown(why) | Reading::NotAsked(why) => return Knowledge::Unknown(why),
        };
        Knowledge::Known {
            what,
            source: Source::Drive,
            at: self.at,
        }
    }
}

/// The volume that a job saw; nothing if it did not come so far.
fn of_job(job: JobRecord) -> Option<Knowledge<ListedMedium>> {
    let (barcode, serial) = (job.volume.barcode, job.volume.serial);
    (barcode.is_some() || serial.is_some()).then_some(Knowledge::Known {
        what: ListedMedium::Volume {
            barcode,
            serial,
            cleaning: false,
        },
        source: Source::Job,
        at: job.begun,
    })
}

/// Groups the paths to one drive; a drive without a serial number stands alone.
fn by_serial<'a>(devices: &[&'a Device]) -> Vec<Vec<&'a Device>> {
    let mut groups: Vec<Vec<&Device>> = Vec::new();
    for device in devices {
        let same = |group: &&mut Vec<&Device>| {
            device.serial.is_some() && group.first().is_some_and(|first| first.serial == device.serial)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(device),
            None => groups.push(vec![device]),
        }
    }
    groups
}

fn nodes(devices: &[&Device]) -> Vec<DriveNodes> {
    let path = |node: &Node| node.path.display().to_string();
    let of = |device: &&Device| DriveNodes {
        scsi_address: device.address.to_string(),
        generic: device.generic.as_ref().map(path),
        tape: device.no_rewind().map(path),
    };
    devices.iter().map(of).collect()
}

fn activity(activity: statistics::Activity) -> Activity {
    match activity {
        statistics::Activity::Idle => Activity::Idle,
        statistics::Activity::Writing => Activity::Writing,
        statistics::Activity::Reading => Activity::Reading,
        statistics::Activity::Positioning => Activity::Positioning,
    }
}

fn in_use(around: &Surroundings, devices: &[&Device]) -> InUse {
    let program = |opener: Opener| Program {
        pid: opener.pid,
        name: opener.program,
    };
    if devices.is_empty() {
        return InUse::Unknown("the kernel does not show the drive".into());
    }
    match around.openers_of(devices) {
        Openers::Nobody => InUse::Free,
        Openers::These(openers) => InUse::By(openers.into_iter().map(program).collect()),
        Openers::Unknown => {
            InUse::Unknown("a tape of this host is open, and the daemon may not see by whom, or whose".into())
        }
    }
}
