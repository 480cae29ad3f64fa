//! vhost-user-scsi: the kernel of a QEMU guest sees the units as SCSI targets of a virtio-scsi adaptor, with its own `sg`, `st` and `ch`.
//!
//! The guest's memory is shared and its requests are read where they lie, so nothing that a guest writes may be believed before it is
//! checked. Frames are in `wire`, a guest's queues in `ring`, one command in `exchange`, its way to a unit in `lane`, the device in `device`, the
//! command `sg-sim serve-vhost` in `program`.
//!
//! Standards: VIRTIO 1.2 ("SCSI Host Device"), the vhost-user protocol of QEMU, SAM-5 (task management).

mod device;
mod exchange;
mod lane;
pub(super) mod program;
mod ring;
mod task_management;
#[cfg(test)]
mod tests;
mod wire;

use std::io;
use std::os::unix::net::UnixListener;
use std::sync::Arc;

use thiserror::Error;
use vhost::vhost_user::{Error as ProtocolError, Listener};
use vhost_user_backend::{Error as DaemonError, VhostUserDaemon};
use vm_memory::{GuestMemoryAtomic, GuestMemoryMmap};

use crate::ItNexus;
use crate::front::machine::Machine;
use device::{Device, Lanes};
use lane::Lane;

/// Why a guest could not be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum VhostError {
    /// The system gives no thread or no descriptor.
    #[error("serve a guest over vhost-user: {0}\nhint: look at the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
    /// The socket takes no connection any more, or the device could not be set up on one.
    #[error("serve a guest over vhost-user: {0}\nhint: start the server again")]
    Device(DaemonError),
}

/// How the connection of one guest ended.
#[derive(Debug, Error)]
#[error(
    "vhost-user connection: {0}\nhint: the guest's machine must share its memory (share=on), and speak vhost-user-scsi"
)]
pub struct Broken(DaemonError);

/// Serves the units of `machine` to one guest after another, as initiator `nexus`: target N is unit N. Comes back only with an error: the system gives no
/// thread, or the listener is broken.
///
/// `ended` hears how each connection ended. What a guest did to the units stays when it goes, as with a host that is switched off.
pub fn serve(
    listener: UnixListener,
    machine: &Arc<Machine>,
    nexus: &ItNexus,
    mut ended: impl FnMut(Result<(), Broken>),
) -> VhostError {
    let lanes = match open_lanes(machine, nexus) {
        Ok(lanes) => Arc::new(lanes),
        Err(error) => return error.into(),
    };
    let mut listener = Listener::from(listener);
    loop {
        match serve_one(&mut listener, &lanes) {
            Ok(end) => ended(end),
            Err(error) => return error,
        }
    }
}

fn open_lanes(machine: &Arc<Machine>, nexus: &ItNexus) -> io::Result<Lanes> {
    (0..machine.kinds().len())
        .map(|unit| Lane::open(Arc::clone(machine), unit, nexus.clone()))
        .collect::<io::Result<Vec<Lane>>>()
        .map(Lanes)
}

fn serve_one(listener: &mut Listener, lanes: &Arc<Lanes>) -> Result<Result<(), Broken>, VhostError> {
    let memory = GuestMemoryAtomic::new(GuestMemoryMmap::new());
    let device = Arc::new(Device::new(memory.clone(), Arc::clone(lanes)));
    let mut daemon = VhostUserDaemon::new("vhost-user".to_owned(), device, memory).map_err(VhostError::Device)?;
    daemon.start(listener).map_err(VhostError::Device)?;
    Ok(match daemon.wait() {
        Ok(()) | Err(DaemonError::HandleRequest(ProtocolError::Disconnected | ProtocolError::PartialMessage)) => Ok(()),
        Err(error) => Err(Broken(error)),
    })
}
