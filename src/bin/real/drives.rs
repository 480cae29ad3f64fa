//! How drives and libraries are really reached: the transports that only a program may make.

use std::sync::Arc;
use std::time::Duration;

use tapekey::config::{DeviceConfig, DevicePath};
use tapekey::controller::runtime::lane::Opener;
use tapekey::controller::runtime::libraries::GivenLibrary;
use tapekey::discovery::{Kind, Node, Tree};
use tapekey::drive::{Drive, DriveError};
use tapekey::library::{Changer, LibraryError};
use tapekey::transport::sg_io::SgNode;
use tapekey::transport::sim::SimSocket;
use tapekey::transport::st_node::{StDriver, TapeNodes};
use tapekey::transport::{Transport, TransportError};

/// Opens `drive` whenever it is needed.
pub(crate) fn opener(drive: &DeviceConfig, tree: &Tree) -> Opener {
    let (path, timeout, tree) = (drive.path.clone(), drive.command_timeout, tree.clone());
    Box::new(move || {
        let lost = |source| DriveError::Transport {
            attempt: "open the drive",
            source,
        };
        let mut drive = Drive::new(transport(&path, &tree, Kind::Drive, timeout).map_err(lost)?, timeout);
        if let DevicePath::Serial(serial) = &path {
            drive.confirm_serial(serial)?;
        }
        Ok(drive)
    })
}

/// How long a drive may take to say its serial number, which waits for no tape.
const INQUIRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Asks the drive at `node` for its serial number.
pub(crate) fn unit_serial_number(node: &Node) -> Result<String, DriveError> {
    let opened = SgNode::open_device(&node.path, node.number.major, node.number.minor);
    let node = opened.map_err(|source| DriveError::Transport {
        attempt: "open the drive",
        source,
    })?;
    Drive::new(Box::new(node), INQUIRY_TIMEOUT).unit_serial_number()
}

/// The tape nodes of the kernel's own driver.
pub(crate) fn tape_nodes() -> Arc<dyn TapeNodes> {
    Arc::new(StDriver)
}

/// Opens the library `changer` whenever it is needed.
pub(crate) fn changer_opener(changer: &DeviceConfig, tree: &Tree) -> Opener<Changer> {
    reach_changer(changer.path.clone(), tree.clone(), changer.command_timeout)
}

/// What is asked of a changer that the kernel shows and the configuration does not name.
pub(crate) fn found_library(serial: &str, tree: &Tree) -> GivenLibrary {
    GivenLibrary {
        name: serial.to_owned(),
        serial: Some(serial.to_owned()),
        path: format!("serial number {serial}"),
        simulated: false,
        command_timeout: FOUND_TIMEOUT,
        opener: reach_changer(DevicePath::Serial(serial.to_owned()), tree.clone(), FOUND_TIMEOUT),
    }
}

/// How long a changer may take for one command: it may have to wait for its robot.
const FOUND_TIMEOUT: Duration = Duration::from_secs(60);

fn reach_changer(path: DevicePath, tree: Tree, timeout: Duration) -> Opener<Changer> {
    Box::new(move || {
        let lost = |source| LibraryError::Transport {
            attempt: "open the changer",
            source,
        };
        let mut changer = Changer::new(transport(&path, &tree, Kind::Changer, timeout).map_err(lost)?, timeout);
        if let DevicePath::Serial(serial) = &path {
            changer.confirm_serial(serial)?;
        }
        Ok(changer)
    })
}

fn transport(
    path: &DevicePath,
    tree: &Tree,
    kind: Kind,
    timeout: Duration,
) -> Result<Box<dyn Transport>, TransportError> {
    Ok(match path {
        DevicePath::Serial(serial) => {
            let node = node_of(tree, kind, serial)?;
            Box::new(SgNode::open_device(&node.path, node.number.major, node.number.minor)?)
        }
        DevicePath::Node(path) => Box::new(SgNode::open(path)?),
        DevicePath::Simulator { socket, nexus } => Box::new(SimSocket::connect(socket, nexus, timeout)?),
    })
}

/// The sg node of the drive or changer with this serial number; of several paths to it the first one.
fn node_of(tree: &Tree, kind: Kind, serial: &str) -> Result<Node, TransportError> {
    let lost = |reason: String, hint| TransportError::Path {
        path: format!("serial number {serial}"),
        attempt: "find the device",
        reason,
        hint,
    };
    let devices = tree.with_serial(kind, serial);
    let devices = devices.map_err(|error| lost(error.to_string(), "see tapekey drive list"))?;
    let found = !devices.is_empty();
    devices.into_iter().find_map(|device| device.generic).ok_or_else(|| {
        if found {
            lost("it has no sg node".into(), "load the module sg")
        } else {
            lost(
                "the kernel shows no such device".into(),
                "tapekey drive list shows which there are; look at its power and cabling",
            )
        }
    })
}
