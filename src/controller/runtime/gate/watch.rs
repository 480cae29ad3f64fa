//! What the watch hears, for the gates: drives that come and go, moves of a library, closes, and time that passes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::is_own;
use crate::controller::runtime::libraries::Move;
use crate::controller::runtime::surroundings::Surroundings;
use crate::controller::runtime::{Daemon, DriveUnit};
use crate::discovery::Device;
use crate::discovery::closes::{Close, Closes};
use crate::gate::{Event, State};
use crate::library::Volume;

/// The closes of tape nodes, as far as the system lets us hear them.
pub(in crate::controller::runtime) struct ClosesHeard {
    closes: Option<Closes>,
    /// Whether it was said that some are not heard.
    told: bool,
}

impl ClosesHeard {
    pub(in crate::controller::runtime) fn begin() -> Self {
        let closes = Closes::listen();
        let closes = closes.inspect_err(|error| {
            tracing::warn!("listen to closes of tape nodes: {error}; a volume that leaves is noticed by the library and by jobs alone");
        });
        Self {
            closes: closes.ok(),
            told: false,
        }
    }

    /// Listens to the nodes of these devices. Whether to others than before.
    pub(in crate::controller::runtime) fn follow(&mut self, devices: &[Device]) -> bool {
        let Some(closes) = &mut self.closes else { return false };
        let (changed, refused) = closes.follow(devices);
        if let Some((node, error)) = refused.first()
            && !std::mem::replace(&mut self.told, true)
        {
            tracing::warn!(node = %node.display(), "listen to closes of a tape node: {error}; the daemon's user needs read access to it");
        }
        changed
    }

    fn take(&mut self) -> Vec<Close> {
        let Some(closes) = &self.closes else { return Vec::new() };
        closes.take().unwrap_or_else(|error| {
            tracing::warn!("hear closes of tape nodes: {error}");
            self.closes = None;
            Vec::new()
        })
    }
}

impl Daemon {
    /// Tells the gates what was closed by programs and that time has passed. Waits for none.
    pub(in crate::controller::runtime) fn mind_gates(self: &Arc<Self>, heard: &mut ClosesHeard) {
        for close in heard.take() {
            for unit in self.drives.iter().filter(|unit| self.concerns(unit, close)) {
                self.tell_gate(unit, vec![Event::Closed]);
            }
        }
        let now = self.clock.monotonic();
        for unit in &self.drives {
            let is_due = |gate: &super::GateUnit| gate.gate().is_due(now) && gate.turn.try_lock().is_ok();
            if unit.gate.as_ref().is_some_and(is_due) {
                self.tell_gate(unit, vec![Event::Tick]);
            }
        }
    }

    /// Closes that were not heard, since nobody listened, are none of a program's.
    pub(in crate::controller::runtime) fn forget_own_closes(&self) {
        for gate in self.drives.iter().filter_map(|unit| unit.gate.as_ref()) {
            gate.own_closes.store(0, Ordering::SeqCst);
        }
    }

    /// Whether a close is one by a program of a node of this drive.
    fn concerns(&self, unit: &DriveUnit, close: Close) -> bool {
        let Some(gate) = &unit.gate else { return false };
        match close {
            Close::Perhaps => {
                gate.own_closes.store(0, Ordering::SeqCst);
                true
            }
            Close::Of { drive, like_ours } => {
                let of_drive = self.watched().devices_at(drive);
                let is_it = !Surroundings::showing(of_drive).of_unit(unit).is_empty();
                is_it && !(like_ours && is_own(gate))
            }
        }
    }

    /// Tells a gate, in this order, without waiting for it.
    pub(in crate::controller::runtime) fn tell_gate(
        self: &Arc<Self>,
        unit: &Arc<DriveUnit>,
        events: Vec<Event>,
    ) -> tokio::task::JoinHandle<()> {
        let (daemon, unit) = (self.clone(), unit.clone());
        tokio::spawn(async move {
            for event in events {
                daemon.at_gate(&unit, event).await;
            }
        })
    }

    /// A volume was moved into the drive or out of it, or another is in it than before.
    pub(in crate::controller::runtime) async fn gate_hears_of_move(&self, unit: &DriveUnit, moved: &Move) {
        if self.is_old_news(unit, moved) {
            return;
        }
        let barcode = |volume: &Option<Volume>| volume.as_ref().and_then(|volume| volume.barcode.clone());
        // A library that only learnt a barcode, or forgot it, shows the same cartridge: nothing was put in.
        let renamed = moved.before.is_some() && (barcode(&moved.before).is_none() || barcode(&moved.now).is_none());
        let into = moved.now.as_ref().is_some_and(|volume| !volume.cleaning) && !renamed;
        self.at_gate(unit, Event::Moved { into }).await;
    }

    /// Whether the drive was let go for the very volume that the library now shows.
    fn is_old_news(&self, unit: &DriveUnit, moved: &Move) -> bool {
        let job = unit.state().mount.as_ref().map(|mount| mount.job);
        let loaded = job.and_then(|job| self.jobs.show(job)?.volume.barcode);
        let free = unit.gate.as_ref().is_some_and(|gate| gate.state() == State::Free);
        let now = moved.now.as_ref().and_then(|volume| volume.barcode.clone());
        free && loaded.is_some() && loaded == now
    }
}
