//! How drives are really reached: the transports that only a program may make.

use tapekey::config::{DriveConfig, DrivePath};
use tapekey::controller::runtime::lane::Opener;
use tapekey::discovery::{Node, Tree};
use tapekey::drive::{Drive, DriveError};
use tapekey::transport::sg_io::SgNode;
use tapekey::transport::sim::SimSocket;
use tapekey::transport::{Transport, TransportError};

/// Opens `drive` whenever it is needed.
pub(crate) fn opener(drive: &DriveConfig, tree: &Tree) -> Opener {
    let (path, timeout, tree) = (drive.path.clone(), drive.command_timeout, tree.clone());
    Box::new(move || {
        let lost = |source| DriveError::Transport {
            attempt: "open the drive",
            source,
        };
        let mut drive = Drive::new(transport(&path, &tree, timeout).map_err(lost)?, timeout);
        if let DrivePath::Serial(serial) = &path {
            drive.confirm_serial(serial)?;
        }
        Ok(drive)
    })
}

fn transport(
    path: &DrivePath,
    tree: &Tree,
    timeout: std::time::Duration,
) -> Result<Box<dyn Transport>, TransportError> {
    Ok(match path {
        DrivePath::Serial(serial) => {
            let node = node_of(tree, serial)?;
            Box::new(SgNode::open_device(&node.path, node.number.major, node.number.minor)?)
        }
        DrivePath::Node(path) => Box::new(SgNode::open(path)?),
        DrivePath::Simulator { socket, nexus } => Box::new(SimSocket::connect(socket, nexus, timeout)?),
    })
}

/// The sg node of the drive with this serial number; of several paths to it the first one.
fn node_of(tree: &Tree, serial: &str) -> Result<Node, TransportError> {
    let lost = |reason: String, hint| TransportError::Path {
        path: format!("serial number {serial}"),
        attempt: "find the drive",
        reason,
        hint,
    };
    let drives = tree.drives_with_serial(serial);
    let drives = drives.map_err(|error| lost(error.to_string(), "see tapekey drive list"))?;
    let found = !drives.is_empty();
    drives.into_iter().find_map(|drive| drive.generic).ok_or_else(|| {
        if found {
            lost("it has no sg node".into(), "load the module sg")
        } else {
            lost(
                "the kernel shows no such drive".into(),
                "tapekey drive list shows which there are; look at its power and cabling",
            )
        }
    })
}
