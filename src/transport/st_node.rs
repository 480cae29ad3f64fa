//! The tape nodes of Linux's `st` driver: held open, so that no program can open one, and told of a new medium.
//!
//! `st` admits one opener for all nodes of a drive: whoever comes second gets EBUSY, root too. A node that is held this way sends the drive
//! nothing by itself, and SG_IO through the drive's `sg` node goes on. This room never reads or writes a block.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::PathBuf;

use thiserror::Error;

/// A device node and the device that it must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeName {
    /// Where it is, such as `/dev/nst0`.
    pub path: PathBuf,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

/// The nodes of one path to a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TapeNode {
    /// The one that is held: it does not rewind at close.
    pub held: NodeName,
    /// The same device in other modes; st shuts them together with it.
    pub others: Vec<NodeName>,
}

/// Opens tape nodes.
pub trait TapeNodes: Send + Sync {
    /// Opens `node` without waiting for a medium. Blocks for the few commands by which st looks what is in the drive.
    ///
    /// # Errors
    /// [`NodeError`]; [`NodeError::Busy`] if a program has one of the drive's nodes open.
    fn open(&self, node: &TapeNode) -> Result<Box<dyn HeldNode>, NodeError>;
}

/// A tape node that is open: as long as this lives, nobody else can open it.
pub trait HeldNode: Send {
    /// What st knows of the medium. Sends no command to the drive.
    ///
    /// # Errors
    /// [`NodeError::System`], such as when the drive has gone.
    fn medium(&self) -> Result<MediumKnown, NodeError>;

    /// Has the drive load its medium, and st look at it: MTIOCTOP MTLOAD, then MTREW, so that st knows the place. Blocks until the medium
    /// is ready.
    ///
    /// LOAD pulls in a cartridge that was ejected and not yet taken away, and the tape is rewound: only for a drive into which a move was seen.
    ///
    /// # Errors
    /// [`NodeError::System`], such as when there is nothing to load.
    fn load(&self) -> Result<(), NodeError>;
}

/// What st knows of the medium in a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediumKnown {
    /// It has seen one that is ready. Which one it was it does not say.
    Ready,
    /// It has seen none since the node was opened.
    NotReady,
}

/// A tape node did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NodeError {
    /// Somebody else has it open.
    #[error("open {}: a program has it open\nhint: tapekey drive list shows which", path.display())]
    Busy {
        /// The node.
        path: PathBuf,
    },
    /// The name was given to another device.
    #[error("open {}: it is device {found}, not {wanted}\nhint: devices came or went meanwhile; it is tried again", path.display())]
    AnotherDevice {
        /// The node.
        path: PathBuf,
        /// Its numbers.
        found: String,
        /// The numbers that it should have.
        wanted: String,
    },
    /// The system refused.
    #[error("{attempt} {}: {reason}\nhint: {hint}", path.display())]
    System {
        /// What was tried.
        attempt: &'static str,
        /// The node.
        path: PathBuf,
        /// What the system answered.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
}

/// The nodes of the kernel's own `st`.
#[derive(Debug, Clone, Copy, Default)]
pub struct StDriver;

impl TapeNodes for StDriver {
    fn open(&self, node: &TapeNode) -> Result<Box<dyn HeldNode>, NodeError> {
        let held = StNode::open(&node.held)?;
        for name in std::iter::once(&node.held).chain(&node.others) {
            // Programs of the group tape may come as soon as they would be refused by st; a node that is not ours keeps its mode.
            if let Err(error) = widen(name) {
                tracing::warn!(node = %name.path.display(), "let the group open the node: {error}");
            }
        }
        Ok(Box::new(held))
    }
}

/// Mode of a node that only the daemon may open, as the udev rule makes it.
const SHUT: u32 = 0o600;

/// Mode of a node that the group may open.
const WIDENED: u32 = 0o660;

/// Gives a node that is ours and shut to its group.
fn widen(name: &NodeName) -> io::Result<()> {
    let metadata = fs::symlink_metadata(&name.path)?;
    let is_ours = metadata.file_type().is_char_device()
        && metadata.uid() == nix::unistd::geteuid().as_raw()
        && numbers(metadata.rdev()) == (name.major.into(), name.minor.into());
    if is_ours && metadata.mode() & 0o777 == SHUT {
        fs::set_permissions(&name.path, Permissions::from_mode(WIDENED))?;
    }
    Ok(())
}

fn numbers(device: u64) -> (u64, u64) {
    (nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

/// An open node of st.
struct StNode {
    file: File,
    path: PathBuf,
}

impl StNode {
    fn open(name: &NodeName) -> Result<Self, NodeError> {
        let path = name.path.clone();
        let failed = |error: io::Error| match error.raw_os_error() {
            Some(libc::EBUSY) => NodeError::Busy { path: path.clone() },
            _ => NodeError::System {
                attempt: "open",
                path: path.clone(),
                reason: error.to_string(),
                hint: "the daemon's user needs read access to the tape node (udev rule), and the module st must be loaded",
            },
        };
        // Descriptors of the standard library are closed in programs that we might start (O_CLOEXEC).
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&name.path)
            .map_err(failed)?;
        let found = numbers(file.metadata().map_err(failed)?.rdev());
        if found != (name.major.into(), name.minor.into()) {
            return Err(NodeError::AnotherDevice {
                path,
                found: format!("{}:{}", found.0, found.1),
                wanted: format!("{}:{}", name.major, name.minor),
            });
        }
        Ok(Self { file, path })
    }

    fn failed(&self, attempt: &'static str, errno: nix::errno::Errno) -> NodeError {
        NodeError::System {
            attempt,
            path: self.path.clone(),
            reason: errno.desc().to_owned(),
            hint: "look at the drive, and at the kernel's log",
        }
    }
}

impl HeldNode for StNode {
    fn medium(&self) -> Result<MediumKnown, NodeError> {
        let mut state = MtGet::default();
        #[expect(unsafe_code, reason = "MTIOCGET is an ioctl that takes a pointer")]
        // SAFETY: the kernel writes one `struct mtget` through the pointer.
        // - `MtGet` is a `repr(C)` copy of that struct, and the request number carries its size, so another size is refused.
        // - It is borrowed mutably for the call, which is synchronous: no pointer outlives it.
        let asked = unsafe { ioctl::mtiocget(self.file.as_raw_fd(), &raw mut state) };
        asked.map_err(|errno| self.failed("ask the state of", errno))?;
        Ok(if state.mt_gstat & GMT_ONLINE == 0 {
            MediumKnown::NotReady
        } else {
            MediumKnown::Ready
        })
    }

    fn load(&self) -> Result<(), NodeError> {
        // The drive says by a unit attention that the medium is another one, and st fails the command that meets it.
        let loaded = self.operate(MTLOAD).or_else(|_| self.operate(MTLOAD));
        // st counts files from where it has seen the beginning.
        let rewound = loaded.and_then(|()| self.operate(MTREW));
        rewound.map_err(|errno| self.failed("load the medium of", errno))
    }
}

impl StNode {
    fn operate(&self, mt_op: libc::c_short) -> nix::Result<()> {
        let operation = MtOp { mt_op, mt_count: 1 };
        #[expect(unsafe_code, reason = "MTIOCTOP is an ioctl that takes a pointer")]
        // SAFETY: the kernel reads one `struct mtop` through the pointer and writes nothing.
        // - `MtOp` is a `repr(C)` copy of that struct, and the request number carries its size, so another size is refused.
        // - It lives until the call returns, and the call is synchronous.
        let done = unsafe { ioctl::mtioctop(self.file.as_raw_fd(), &raw const operation) };
        done.map(drop)
    }
}

/// `struct mtop` of `<sys/mtio.h>`.
#[repr(C)]
struct MtOp {
    mt_op: libc::c_short,
    mt_count: libc::c_int,
}

/// `struct mtget` of `<sys/mtio.h>`.
#[repr(C)]
#[derive(Default)]
struct MtGet {
    mt_type: libc::c_long,
    mt_resid: libc::c_long,
    mt_dsreg: libc::c_long,
    mt_gstat: libc::c_long,
    mt_erreg: libc::c_long,
    mt_fileno: libc::c_int,
    mt_blkno: libc::c_int,
}

/// The requests of `<sys/mtio.h>`.
mod ioctl {
    use super::{MtGet, MtOp};

    nix::ioctl_write_ptr!(mtioctop, b'm', 1, MtOp);
    nix::ioctl_read!(mtiocget, b'm', 2, MtGet);
}

/// Load, and look at what was loaded.
const MTLOAD: libc::c_short = 30;

/// Rewind.
const MTREW: libc::c_short = 6;

/// `GMT_ONLINE`: a medium is ready.
const GMT_ONLINE: libc::c_long = 0x0100_0000;

#[cfg(test)]
mod tests {
    use super::*;

    fn null(major: u32, minor: u32) -> NodeName {
        NodeName {
            path: "/dev/null".into(),
            major,
            minor,
        }
    }

    #[test]
    fn the_structures_have_the_kernels_sizes_on_64_bit_machines() {
        if size_of::<usize>() == 8 {
            assert_eq!((size_of::<MtOp>(), size_of::<MtGet>()), (8, 48));
        }
    }

    #[test]
    fn a_node_that_was_given_to_another_device_is_not_held() {
        assert!(StNode::open(&null(1, 3)).is_ok());
        let error = StNode::open(&null(9, 128)).err().unwrap().to_string();
        assert!(error.contains("it is device 1:3, not 9:128\nhint: "), "{error}");
    }

    #[test]
    fn a_node_that_is_not_there_and_one_that_is_no_tape_are_named() {
        let nowhere = NodeName {
            path: "/dev/none/nst0".into(),
            ..null(9, 128)
        };
        let error = StNode::open(&nowhere).err().unwrap().to_string();
        assert!(error.starts_with("open /dev/none/nst0: "), "{error}");
        let null = StNode::open(&null(1, 3)).unwrap();
        for error in [null.medium().err().unwrap(), null.load().err().unwrap()] {
            assert!(error.to_string().contains("/dev/null: "), "{error}");
        }
    }

    #[test]
    fn a_node_of_somebody_else_or_of_another_mode_keeps_its_mode() {
        let before = fs::metadata("/dev/null").unwrap().mode();
        widen(&null(1, 3)).unwrap();
        assert_eq!(fs::metadata("/dev/null").unwrap().mode(), before);
        let file = tempfile::NamedTempFile::new().unwrap();
        let name = NodeName {
            path: file.path().into(),
            ..null(0, 0)
        };
        fs::set_permissions(file.path(), Permissions::from_mode(SHUT)).unwrap();
        widen(&name).unwrap();
        assert_eq!(fs::metadata(file.path()).unwrap().mode() & 0o777, SHUT, "no device");
    }
}
