//! The kernel's uevent socket: it says when a device comes or goes, before anybody could look.
//!
//! Messages are taken from the kernel alone; another process that sends one is not listened to. What is said is only ever a reason to look through
//! sysfs again: nothing is taken from a message but the fact that tapes changed.

use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recvfrom, socket};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::DiscoveryError;

/// The multicast group in which the kernel itself speaks; udev's own is another.
const KERNEL_GROUP: u32 = 1;

/// Largest message: the kernel's buffer has 2 KiB for the environment, and the path before it.
const MESSAGE_LENGTH_MAX: usize = 8 * 1024;

/// Messages read in one go, so that a storm of them keeps nobody from the rest of the watch.
const MESSAGES_MAX: usize = 1024;

/// An open uevent socket.
pub struct Uevents {
    socket: AsyncFd<OwnedFd>,
}

impl Uevents {
    /// Begins to listen. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`DiscoveryError::Uevents`], such as in a container or unit that does not allow netlink.
    pub fn listen() -> Result<Self, DiscoveryError> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let kernel = SockProtocol::NetlinkKObjectUEvent;
        let socket = socket(AddressFamily::Netlink, SockType::Datagram, flags, kernel);
        let socket = socket.map_err(|errno| failed("socket", errno))?;
        bind(socket.as_raw_fd(), &NetlinkAddr::new(0, KERNEL_GROUP)).map_err(|errno| failed("bind", errno))?;
        #[expect(
            deprecated,
            reason = "its successor is unsafe, since a type may lie about its descriptor; OwnedFd does not"
        )]
        let watched = AsyncFd::with_interest(socket, Interest::READABLE);
        Ok(Self {
            socket: watched.map_err(|error| failed("epoll", error))?,
        })
    }

    /// Waits until the kernel says that a drive or changer, or one of its nodes, came or went, or until it said more than the socket could
    /// hold, which may have been that.
    ///
    /// # Errors
    /// [`DiscoveryError::Uevents`] if the socket fails.
    pub async fn tapes_changed(&self) -> Result<(), DiscoveryError> {
        loop {
            let ready = self.socket.readable().await;
            let mut ready = ready.map_err(|error| failed("wait", error))?;
            for _ in 0..MESSAGES_MAX {
                match self.next() {
                    Ok(true) | Err(Errno::ENOBUFS) => return Ok(()),
                    Ok(false) | Err(Errno::EINTR) => {}
                    Err(Errno::EAGAIN) => {
                        ready.clear_ready();
                        break;
                    }
                    Err(errno) => return Err(failed("receive", errno)),
                }
            }
        }
    }

    /// Whether the next message is about tapes.
    fn next(&self) -> Result<bool, Errno> {
        let mut message = [0; MESSAGE_LENGTH_MAX];
        let (length, sender) = recvfrom::<NetlinkAddr>(self.socket.get_ref().as_raw_fd(), &mut message)?;
        let from_kernel = sender.is_some_and(|sender| sender.pid() == 0);
        Ok(from_kernel && concerns_tapes(message.get(..length).unwrap_or_default()))
    }
}

fn failed(attempt: &'static str, source: impl Into<std::io::Error>) -> DiscoveryError {
    let source = source.into();
    DiscoveryError::Uevents { attempt, source }
}

/// Whether a message says that a device of our classes, or a logical unit, came, went or changed its driver.
///
/// A message is `ACTION@PATH`, then `NAME=VALUE` each closed by a zero (Linux, `lib/kobject_uevent.c`).
fn concerns_tapes(message: &[u8]) -> bool {
    let fields = message.split(|byte| *byte == 0);
    let subsystem = fields.filter_map(|field| field.strip_prefix(b"SUBSYSTEM=")).next();
    matches!(
        subsystem,
        Some(b"scsi" | b"scsi_generic" | b"scsi_tape" | b"scsi_changer")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.1 sends it when it makes an sg node, and when it takes a logical unit away; the fields were seen in the guest of
    /// tests/real-kernel.
    const SG_ADDED: &[u8] = b"add@/devices/pci0000:00/0000:00:02.0/virtio0/host0/target0:0:0/0:0:0:0/scsi_generic/sg0\0ACTION=add\0\
        DEVPATH=/devices/pci0000:00/0000:00:02.0/virtio0/host0/target0:0:0/0:0:0:0/scsi_generic/sg0\0SUBSYSTEM=scsi_generic\0\
        MAJOR=21\0MINOR=0\0DEVNAME=sg0\0SEQNUM=737\0";

    fn about(subsystem: &str) -> Vec<u8> {
        format!("remove@/devices/x\0ACTION=remove\0DEVPATH=/devices/x\0SUBSYSTEM={subsystem}\0SEQNUM=9\0").into_bytes()
    }

    #[test]
    fn only_what_is_said_of_scsi_devices_is_a_reason_to_look() {
        assert!(concerns_tapes(SG_ADDED));
        for subsystem in ["scsi", "scsi_generic", "scsi_tape", "scsi_changer"] {
            assert!(concerns_tapes(&about(subsystem)), "{subsystem}");
        }
        for other in ["block", "bsg", "scsi_disk", "scsi_tape2", "net", ""] {
            assert!(!concerns_tapes(&about(other)), "{other}");
        }
    }

    #[test]
    fn nonsense_is_no_reason_and_no_panic() {
        let from_udev = [b"libudev\0".as_slice(), &[0xFE, 0xED, 0xCA, 0xFE]].concat();
        for nonsense in [b"".as_slice(), b"\0\0\0", &from_udev, &[0xFF; 300], &SG_ADDED[..90]] {
            assert!(!concerns_tapes(nonsense), "{nonsense:?}");
        }
    }

    #[tokio::test]
    async fn a_message_of_another_process_is_not_listened_to() {
        use nix::sys::socket::sendto;
        let Ok(ours) = Uevents::listen() else {
            // Where netlink is not allowed there is nothing to test, and the daemon says so itself.
            return;
        };
        let address = nix::sys::socket::getsockname::<NetlinkAddr>(ours.socket.get_ref().as_raw_fd()).unwrap();
        let flags = SockFlag::SOCK_CLOEXEC;
        let kernel = SockProtocol::NetlinkKObjectUEvent;
        let theirs = socket(AddressFamily::Netlink, SockType::Datagram, flags, kernel).unwrap();
        bind(theirs.as_raw_fd(), &NetlinkAddr::new(0, 0)).unwrap();
        let to = NetlinkAddr::new(address.pid(), 0);
        let sent = sendto(theirs.as_raw_fd(), SG_ADDED, &to, nix::sys::socket::MsgFlags::empty());
        assert_eq!(sent, Ok(SG_ADDED.len()));
        assert_eq!(ours.next(), Ok(false));
    }
}
