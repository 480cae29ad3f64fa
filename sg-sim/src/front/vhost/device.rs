//! The virtio-scsi device of one connection: takes chains from the guest's queues and sends each to the unit that it is for.
//!
//! Target N, LUN 0 is unit N; nothing else exists. The device itself answers no SCSI command.

use std::io;
use std::sync::Arc;

use vhost::vhost_user::message::{VhostUserProtocolFeatures, VhostUserVirtioFeatures};
use vhost_user_backend::{VhostUserBackend, VringT};
use virtio_bindings::bindings::virtio_config::VIRTIO_F_VERSION_1;
use virtio_bindings::bindings::virtio_ring::VIRTIO_RING_F_INDIRECT_DESC;
use vmm_sys_util::epoll::EventSet;
use vmm_sys_util::event::{EventConsumer, EventFlag, EventNotifier, new_event_consumer_and_notifier};

use super::exchange;
use super::lane::{Command, Lane};
use super::ring::{Memory, Traffic, Vring};
use super::task_management;
use super::wire::{Address, Outcome};

/// Control queue, event queue, and up to eight request queues.
const QUEUES: usize = 10;
/// Queues below this number are not request queues.
const REQUEST_QUEUE_FIRST: usize = 2;
/// Longest queue, in entries.
const QUEUE_ENTRIES_MAX: usize = 1024;
/// VIRTIO_SCSI_F_HOTPLUG and VIRTIO_SCSI_F_CHANGE. Neither event ever comes, but a guest that acknowledges a feature which was not offered
/// is cut off, and some acknowledge these.
const SCSI_FEATURES: u64 = 1 << 1 | 1 << 2;

/// The units of a server, each with its lane.
pub(super) struct Lanes(pub(super) Vec<Lane>);

impl Lanes {
    /// The lane to a target; `None` if there is no such target or no such logical unit.
    pub(super) fn to(&self, address: Option<Address>) -> Option<&Lane> {
        match address? {
            Address { target, lun: 0 } => self.0.get(usize::from(target)),
            Address { .. } => None,
        }
    }
}

/// The device.
pub(super) struct Device {
    memory: Memory,
    lanes: Arc<Lanes>,
    traffic: [Arc<Traffic>; QUEUES],
}

impl Device {
    /// A device in `memory`, in front of `lanes`.
    pub(super) fn new(memory: Memory, lanes: Arc<Lanes>) -> Self {
        Self {
            memory,
            lanes,
            traffic: std::array::from_fn(|_| Arc::default()),
        }
    }

    /// Takes everything that the guest has put on a queue.
    pub(super) fn drain(&self, queue: usize, vring: &Vring) {
        let Some(traffic) = self.traffic.get(queue) else { return };
        while let Some((chain, ticket)) = traffic.take(vring, &self.memory) {
            if queue < REQUEST_QUEUE_FIRST {
                task_management::serve(&self.lanes, chain, ticket);
                continue;
            }
            let Some(request) = exchange::header(&chain) else {
                ticket.finish(|| exchange::answer(&chain, Outcome::Failure));
                continue;
            };
            match self.lanes.to(request.address) {
                Some(lane) => lane.execute(Command { request, chain, ticket }),
                None => ticket.finish(|| exchange::answer(&chain, Outcome::BadTarget)),
            }
        }
    }
}

impl VhostUserBackend for Device {
    type Bitmap = ();
    type Vring = Vring;

    fn num_queues(&self) -> usize {
        QUEUES
    }

    fn max_queue_size(&self) -> usize {
        QUEUE_ENTRIES_MAX
    }

    fn features(&self) -> u64 {
        1 << VIRTIO_F_VERSION_1
            | 1 << VIRTIO_RING_F_INDIRECT_DESC
            | SCSI_FEATURES
            | VhostUserVirtioFeatures::PROTOCOL_FEATURES.bits()
    }

    fn protocol_features(&self) -> VhostUserProtocolFeatures {
        VhostUserProtocolFeatures::MQ | VhostUserProtocolFeatures::REPLY_ACK
    }

    fn set_event_idx(&self, _enabled: bool) {
        // EVENT_IDX is not offered, so this is always `false`.
    }

    fn update_memory(&self, _memory: Memory) -> io::Result<()> {
        // `self.memory` is the same cell: what is loaded from it is always the newest.
        Ok(())
    }

    fn exit_event(&self, _thread_index: usize) -> Option<(EventConsumer, EventNotifier)> {
        new_event_consumer_and_notifier(EventFlag::NONBLOCK | EventFlag::CLOEXEC).ok()
    }

    fn stop_vring(&self, queue_index: u32) -> io::Result<()> {
        if let Some(traffic) = usize::try_from(queue_index)
            .ok()
            .and_then(|queue| self.traffic.get(queue))
        {
            traffic.stop();
        }
        Ok(())
    }

    fn handle_event(&self, queue: u16, _events: EventSet, vrings: &[Vring], _thread: usize) -> io::Result<()> {
        // The guest's event queue is only filled, never used: there are no events to report.
        let queue = usize::from(queue);
        if queue != EVENT_QUEUE
            && let Some(vring) = vrings.get(queue)
            && vring.get_ref().is_enabled()
        {
            self.drain(queue, vring);
        }
        Ok(())
    }
}

/// Where the device would report events.
const EVENT_QUEUE: usize = 1;
