//! Accepts connections, each served by a thread of its own. What goes wrong on one connection stays there.

use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::connection;
use super::control;
use super::frame::Refusal;
use super::machine::Machine;
use super::trace::Trace;

/// Connections that the server takes at one time, on each of its sockets.
pub(super) const CONNECTIONS_MAX: usize = 256;
/// Pause after a failed accept, so that a lack of descriptors does not become a busy loop.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What a socket's connections speak.
pub(super) trait Service: Send + Sync + 'static {
    /// Serves one connection until it ends.
    fn serve(&self, stream: UnixStream);
    /// Tells a client that there is no room for it.
    fn turn_away(&self, stream: &UnixStream);
}

/// SCSI commands (`PROTOCOL.md` part 1).
#[derive(Clone)]
pub(super) struct Scsi {
    /// The units.
    pub(super) machine: Arc<Machine>,
    /// Which of them executes what comes here.
    pub(super) unit: usize,
    /// Where connections are traced.
    pub(super) trace: Trace,
}

/// Orders of a test (`PROTOCOL.md` part 2).
pub(super) struct Control {
    /// The units that get them.
    pub(super) machine: Arc<Machine>,
    /// Where orders are traced.
    pub(super) trace: Trace,
}

impl Service for Scsi {
    fn serve(&self, stream: UnixStream) {
        match connection::serve(&stream, &self.machine, self.unit) {
            Ok(()) => self.trace.note(format_args!("connection closed")),
            Err(ended) => self.trace.note(format_args!("connection closed: {ended}")),
        }
    }

    fn turn_away(&self, stream: &UnixStream) {
        // A client that cannot read the answer learns it from the closed connection.
        let _ = connection::turn_away(stream, &Refusal::Connections(CONNECTIONS_MAX));
    }
}

impl Service for Control {
    fn serve(&self, stream: UnixStream) {
        if let Err(error) = control::serve(&stream, &self.machine, self.trace) {
            self.trace.note(format_args!("control connection closed: {error}"));
        }
    }

    fn turn_away(&self, stream: &UnixStream) {
        // As above.
        let _ = control::turn_away(stream, CONNECTIONS_MAX);
    }
}

/// Accepts connections in a thread until the process ends.
///
/// # Errors
/// The system gives no thread.
pub(super) fn spawn_acceptor(
    name: &str,
    listener: UnixListener,
    service: impl Service,
    trace: Trace,
) -> io::Result<()> {
    let service = Arc::new(service);
    thread::Builder::new().name(format!("{name}-accept")).spawn(move || {
        let connections = Arc::new(AtomicUsize::new(0));
        for accepted in listener.incoming() {
            if let Err(error) = accepted.and_then(|stream| spawn_connection(stream, &service, &connections)) {
                trace.note(format_args!("accept a connection: {error}"));
                thread::sleep(ACCEPT_PAUSE);
            }
        }
    })?;
    Ok(())
}

fn spawn_connection(stream: UnixStream, service: &Arc<impl Service>, connections: &Arc<AtomicUsize>) -> io::Result<()> {
    let place = Place::take(connections);
    if place.number > CONNECTIONS_MAX {
        service.turn_away(&stream);
        return Ok(());
    }
    let service = Arc::clone(service);
    thread::Builder::new().spawn(move || {
        service.serve(stream);
        drop(place);
    })?;
    Ok(())
}

/// One connection in the count; given back when it goes, also if its thread panics.
struct Place {
    connections: Arc<AtomicUsize>,
    number: usize,
}

impl Place {
    fn take(connections: &Arc<AtomicUsize>) -> Self {
        let number = connections.fetch_add(1, Ordering::SeqCst) + 1;
        Self {
            connections: Arc::clone(connections),
            number,
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.connections.fetch_sub(1, Ordering::SeqCst);
    }
}
