//! Drives whose serial number the kernel does not show are asked for it, once each, while no program has them open.
//!
//! INQUIRY takes no unit attention from anybody, waits for no tape, and is answered by a drive without one.

use std::sync::Arc;

use super::Daemon;
use super::surroundings::Surroundings;
use crate::discovery::openers::Openers;
use crate::discovery::{Device, Kind, Node};
use crate::drive::DriveError;

/// Asks the drive at an sg node for its unit serial number. It may block.
pub type Inquirer = Arc<dyn Fn(&Node) -> Result<String, DriveError> + Send + Sync>;

impl Daemon {
    /// Begins to ask the drives that lack a serial number. Waits for none.
    pub(super) fn ask_for_serials(self: &Arc<Self>, around: &Surroundings) {
        let is_free = |device: &&Device| around.openers_of(&[*device]) == Openers::Nobody;
        let drives = around.devices.iter().filter(|device| device.kind == Kind::Drive);
        let lacking = drives
            .filter(|device| self.tree.may_learn_serial(device))
            .filter(is_free);
        let asked: Vec<(Device, Node)> = lacking
            .filter_map(|device| Some((device.clone(), device.generic.clone()?)))
            .collect();
        for (device, _) in &asked {
            // Said now, so that the next look does not ask as well while the drive is still thinking.
            self.tree.learn_serial(device, None);
        }
        if !asked.is_empty() {
            let daemon = self.clone();
            tokio::spawn(async move {
                for (device, node) in asked {
                    daemon.ask_for_serial(&device, node).await;
                }
            });
        }
    }

    async fn ask_for_serial(&self, device: &Device, node: Node) {
        let (inquirer, path) = (self.inquirer.clone(), node.path.clone());
        let answer = self.scans.run(move || inquirer(&node)).await;
        let problem = match answer {
            Ok(Ok(serial)) if !serial.is_empty() => {
                tracing::info!(address = %device.address, serial, "the drive said its serial number, which the kernel does not show");
                self.tree.learn_serial(device, Some(serial));
                return self.look_again.notify_one();
            }
            Ok(Ok(_)) => "it has none".into(),
            Ok(Err(error)) => error.to_string().replace('\n', " "),
            Err(problem) => problem,
        };
        tracing::warn!(
            node = %path.display(),
            "the drive's serial number is unknown: the kernel does not show it, and when asked: {problem}; name the drive by its path"
        );
    }
}
