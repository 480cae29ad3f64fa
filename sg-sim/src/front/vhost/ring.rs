//! A guest's queue as the device sees it: chains taken from it go back exactly once, and never after the queue was stopped.
//!
//! Once the guest's side has stopped a queue, the memory behind a chain belongs to it again. A task that is still with a drive then
//! is forgotten: its answer must not be written.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;

use vhost_user_backend::{VringMutex, VringT};
use virtio_queue::{DescriptorChain, QueueT};
use vm_memory::{GuestAddressSpace, GuestMemoryAtomic, GuestMemoryLoadGuard, GuestMemoryMmap};

/// The guest's memory as it is now.
pub(super) type Memory = GuestMemoryAtomic<GuestMemoryMmap>;
/// A queue of the guest.
pub(super) type Vring = VringMutex<Memory>;
/// A request as the guest laid it out, with the memory that it was laid out in.
pub(super) type Chain = DescriptorChain<GuestMemoryLoadGuard<GuestMemoryMmap>>;

/// How long a queue that is being stopped waits for the answers of tasks that drives are busy with.
const STOP_WAIT: Duration = Duration::from_secs(2);

/// What is under way on one queue.
#[derive(Default)]
pub(super) struct Traffic {
    /// Counts the stops of the queue. Who writes an answer holds it for reading.
    stops: RwLock<u64>,
    open_chains: Mutex<usize>,
    closed: Condvar,
}

impl Traffic {
    /// Takes the next chain from the queue, if the guest has put one there.
    pub(super) fn take(self: &Arc<Self>, vring: &Vring, memory: &Memory) -> Option<(Chain, Ticket)> {
        // Held until the chain is counted, so that a stop comes either before it or after it.
        let stops = self.stops.read().unwrap_or_else(PoisonError::into_inner);
        let chain = vring.get_mut().get_queue_mut().pop_descriptor_chain(memory.memory())?;
        *self.open_chains() += 1;
        let ticket = Ticket {
            vring: vring.clone(),
            traffic: Arc::clone(self),
            stops_before: *stops,
            head: chain.head_index(),
        };
        Some((chain, ticket))
    }

    /// Waits, at most two seconds, until every chain has been answered, and lets go of those that have not.
    pub(super) fn stop(&self) {
        let waited = self
            .closed
            .wait_timeout_while(self.open_chains(), STOP_WAIT, |open_chains| *open_chains > 0);
        drop(waited);
        let mut stops = self.stops.write().unwrap_or_else(PoisonError::into_inner);
        *stops = stops.wrapping_add(1);
    }

    /// A plain count: a thread that died while it held it left it whole.
    fn open_chains(&self) -> MutexGuard<'_, usize> {
        self.open_chains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The duty to give one chain back to the guest.
pub(super) struct Ticket {
    vring: Vring,
    traffic: Arc<Traffic>,
    stops_before: u64,
    head: u16,
}

impl Ticket {
    /// Whether the queue was stopped meanwhile, so that nobody waits for the answer.
    pub(super) fn is_void(&self) -> bool {
        *self.traffic.stops.read().unwrap_or_else(PoisonError::into_inner) != self.stops_before
    }

    /// Lets `answer` write into the chain, unless the queue was stopped meanwhile, and gives the chain back.
    ///
    /// `answer` returns how many bytes it wrote, counted from the beginning of the writable part.
    pub(super) fn finish(self, answer: impl FnOnce() -> u32) {
        let stops = self.traffic.stops.read().unwrap_or_else(PoisonError::into_inner);
        if *stops != self.stops_before {
            return;
        }
        let written = answer();
        // A ring that the guest has put outside its memory takes no answer: the guest waits for its own mistake.
        if self.vring.add_used(self.head, written).is_ok() {
            // A guest that cannot be told looks at the ring when it times out.
            let _ = self.vring.signal_used_queue();
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open_chains = self.traffic.open_chains();
        *open_chains = open_chains.saturating_sub(1);
        self.traffic.closed.notify_all();
    }
}
