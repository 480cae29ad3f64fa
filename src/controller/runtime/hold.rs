//! Keeps programs from opening a drive for a while, and says by which node they would.

use std::fs::File;
use std::path::PathBuf;

use super::surroundings::Surroundings;
use super::{Daemon, DriveUnit};
use crate::discovery::openers::Openers;
use crate::drive::{NodeInUse, hold_node};

/// What to do where a drive has no tape node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Refuse: the tape must not be moved under a program that nobody can see.
    ANode,
    /// Go on: there is nothing that a program could open.
    IfThereIsANode,
}

impl Daemon {
    /// The tape node of a drive, where this host has one.
    pub(super) async fn st_node(&self, unit: &DriveUnit) -> Option<String> {
        if unit.simulated {
            return None;
        }
        let tree = self.tree.clone();
        let devices = self.scans.run(move || tree.scan()).await.ok()?.ok()?;
        let around = Surroundings::showing(devices);
        let node = around.of_unit(unit).into_iter().find_map(|device| device.no_rewind())?;
        Some(node.path.display().to_string())
    }

    /// Opens the tape nodes of a drive, one for each way to it: as long as the files are open, no program can open them. Empty where this host has none, as for
    /// a simulated drive, and where we hold them already.
    pub(super) async fn keep_out(&self, unit: &DriveUnit, wanted: Hold) -> Result<Vec<File>, NodeInUse> {
        if unit.simulated || unit.is_held() {
            return Ok(Vec::new());
        }
        let around = self.surroundings().await;
        let unknown = |why: String| NodeInUse::Unknown { why };
        if let Some(problem) = &around.problem {
            return Err(unknown(problem.clone()));
        }
        let devices = around.of_unit(unit);
        let nodes = devices.iter().filter_map(|device| device.no_rewind());
        let nodes: Vec<PathBuf> = nodes.map(|node| node.path.clone()).collect();
        if let (Some(by), Some(node)) = (self.program_in(unit, &around), nodes.first()) {
            let node = node.clone();
            return Err(NodeInUse::Open { node, by });
        }
        let openers = around.openers_of(&devices);
        if wanted == Hold::ANode && nodes.is_empty() {
            return Err(unknown("the kernel shows no tape node of this drive".into()));
        }
        if wanted == Hold::ANode && openers == Openers::Unknown {
            return Err(unknown(
                "a program that the daemon cannot see has a tape node open".into(),
            ));
        }
        // Where nobody else has it open, whoever keeps us out is ourselves.
        let is_ours = openers == Openers::Nobody;
        let held = tokio::task::spawn_blocking(move || hold_all(nodes, is_ours)).await;
        held.unwrap_or_else(|error| {
            Err(NodeInUse::System {
                node: PathBuf::from(&unit.path),
                source: std::io::Error::other(error),
            })
        })
    }
}

fn hold_all(nodes: Vec<PathBuf>, is_ours: bool) -> Result<Vec<File>, NodeInUse> {
    let mut held = Vec::new();
    for node in nodes {
        match hold_node(&node)? {
            Some(file) => held.push(file),
            None if is_ours => {}
            None => {
                let by = "a program that the daemon cannot see".to_owned();
                return Err(NodeInUse::Open { node, by });
            }
        }
    }
    Ok(held)
}
