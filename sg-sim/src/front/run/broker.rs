//! Answers the preloaded shim: finds the node, keeps the order of things, and sees to it that a tape has one opener.
//!
//! A tape is held by the process (or processes) that have the other end of a socket. When the last of them lets go, however it came to
//! that, the tape is closed as `st` closes it, before the next request about that drive is answered.

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, recv};
use zeroize::Zeroize;

use super::frames::{Answer, Driver, Operation, Request};
use super::holds::Holds;
use super::port::Port;
use super::tape::Tape;
use crate::front::machine::{Machine, Outcome};
use crate::{ItNexus, UnitKind};

const SECURITY_PROTOCOL_OUT: u8 = 0xB5;
/// How long a command of SG_IO may take that does not say.
const TIME_LIMIT: Duration = Duration::from_secs(60);
/// DID_NO_CONNECT: what is said of a command when everything ends.
const NO_CONNECT: u32 = 1;
/// The longest message that a program can write to a tape around the shim (through stdio), which is also the longest block of that kind.
const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// All nodes of one run.
pub(super) struct Broker {
    machine: Arc<Machine>,
    nodes: Vec<Node>,
    holds: Holds,
    /// Threads that wait for a request.
    idle: AtomicUsize,
}

struct Node {
    port: Port,
    device_type: u32,
    /// Drives have a tape device, changers have none.
    station: Option<Mutex<Station>>,
}

/// A tape device and who has it open.
struct Station {
    tape: Tape,
    holder: Option<Holder>,
    /// The last opening that ended, and how its close went.
    released: Option<(u64, Option<Errno>)>,
}

struct Holder {
    handle: u64,
    flags: OFlag,
    socket: UnixStream,
    /// What became of data that did not come by the shim.
    failure: Option<Errno>,
}

impl Broker {
    /// Nodes for all units, seen from one nexus, as the nodes of one host are.
    pub(super) fn new(machine: Arc<Machine>, nexus: &ItNexus, holds: Holds) -> Self {
        let node = |(unit, kind): (usize, UnitKind)| {
            let port = Port::new(Arc::clone(&machine), unit, nexus.clone());
            let station = || Station {
                tape: Tape::new(port.clone()),
                holder: None,
                released: None,
            };
            Node {
                device_type: if kind == UnitKind::Drive { 0x01 } else { 0x08 },
                station: (kind == UnitKind::Drive).then(|| Mutex::new(station())),
                port,
            }
        };
        Self {
            nodes: machine.kinds().iter().copied().enumerate().map(node).collect(),
            machine,
            holds,
            idle: AtomicUsize::new(0),
        }
    }

    /// Accepts requests until the process ends.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn serve(self: &Arc<Self>, listener: UnixListener) -> io::Result<()> {
        self.serve_one_more(&Arc::new(listener))
    }

    /// Starts a thread that accepts and answers, one request after the other. There is always one that waits for the next, so a drive that
    /// takes its time keeps nobody else waiting; there are as many as were ever needed at a time, and one more.
    fn serve_one_more(self: &Arc<Self>, listener: &Arc<UnixListener>) -> io::Result<()> {
        let (broker, listener) = (Arc::clone(self), Arc::clone(listener));
        self.idle.fetch_add(1, Ordering::AcqRel);
        spawn("requests", move || {
            for connection in listener.incoming().flatten() {
                if broker.idle.fetch_sub(1, Ordering::AcqRel) == 1 {
                    // Without another thread requests wait for this one.
                    let _ = broker.serve_one_more(&listener);
                }
                broker.converse(connection);
                broker.idle.fetch_add(1, Ordering::AcqRel);
            }
        })
    }

    fn converse(self: &Arc<Self>, mut connection: UnixStream) {
        // A connection that carries nonsense or breaks has nobody who could be told.
        if let Ok(Some(request)) = Request::receive(&mut connection) {
            let _ = self.answer(request).send(&mut connection);
        }
    }

    fn answer(self: &Arc<Self>, mut request: Request) -> Answer {
        let answer = self.dispatch(&request).unwrap_or_else(Answer::failed);
        if request.cdb.first() == Some(&SECURITY_PROTOCOL_OUT) {
            request.data_out.zeroize();
        }
        answer
    }

    fn dispatch(self: &Arc<Self>, request: &Request) -> Result<Answer, Errno> {
        let node = self.nodes.get(request.unit).ok_or(Errno::ENOENT)?;
        match (request.operation, request.driver, &node.station) {
            (_, Driver::Tape | Driver::TapeNoRewind, None) => Err(Errno::ENOENT),
            (Operation::Exists, ..) => Ok(Answer::value(node.device_type)),
            (Operation::Open, Driver::Generic, _) => Ok(Answer::default()),
            (Operation::Open, driver, Some(station)) => self.open(request, station, driver == Driver::Tape),
            (Operation::Released, _, Some(station)) => Ok(released(station, request.handle)),
            (operation, Driver::Generic, station) => {
                // Whoever waits for a drive that hangs has its station, and would keep `sg` waiting too.
                if let Some(station) = station.as_ref().filter(|_| !node.port.hangs()) {
                    lock(station).settle();
                }
                pass_through(operation, &node.port, request)
            }
            (_, _, Some(station)) => tape_request(&mut lock(station), &node.port, request),
        }
    }

    fn open(self: &Arc<Self>, request: &Request, station: &Mutex<Station>, rewinding: bool) -> Result<Answer, Errno> {
        let socket = self.holds.claim(request.handle).ok_or(Errno::ENXIO)?;
        let watched = socket.try_clone().map_err(|_| Errno::ENFILE)?;
        let flags = OFlag::from_bits_truncate(request.flags);
        {
            let mut station = lock(station);
            station.settle();
            if station.holder.is_some() {
                return Err(Errno::EBUSY);
            }
            station.tape.open(flags, rewinding)?;
            station.holder = Some(Holder {
                handle: request.handle,
                flags,
                socket,
                failure: None,
            });
        }
        let (broker, unit, handle) = (Arc::clone(self), request.unit, request.handle);
        // Without it a close is dealt with at the next request instead.
        let _ = spawn("tape", move || broker.watch(unit, handle, &watched));
        Ok(Answer::default())
    }

    /// Waits until the holder says something around the shim or lets go, and settles that at once.
    fn watch(&self, unit: usize, handle: u64, socket: &UnixStream) {
        let Some(station) = self.nodes.get(unit).and_then(|node| node.station.as_ref()) else {
            return;
        };
        loop {
            let mut event = [PollFd::new(socket.as_fd(), PollFlags::POLLIN)];
            match poll(&mut event, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => return,
            }
            let mut station = lock(station);
            station.settle();
            if station.holder.as_ref().is_none_or(|holder| holder.handle != handle) {
                return;
            }
        }
    }

    /// Closes what is still open, as the end of all processes would.
    pub(super) fn end(&self) {
        self.machine.hurry();
        for station in self.nodes.iter().filter_map(|node| node.station.as_ref()) {
            let mut station = lock(station);
            station.settle();
            station.release();
        }
    }
}

/// SG_IO and reset, which go past the drivers to the device.
fn pass_through(operation: Operation, port: &Port, request: &Request) -> Result<Answer, Errno> {
    match operation {
        Operation::Scsi => {
            let mut data_in = vec![0; request.allocation];
            let [limit_ms, _] = request.numbers;
            let limit = match limit_ms.cast_unsigned() {
                0 => TIME_LIMIT,
                milliseconds => Duration::from_millis(milliseconds.into()),
            };
            Ok(
                match port.execute(&request.cdb, &request.data_out, &mut data_in, limit) {
                    Outcome::Reply(reply) => {
                        data_in.truncate(reply.data_in);
                        Answer {
                            scsi_status: reply.status.0,
                            sense: reply.sense,
                            ..Answer::data(data_in)
                        }
                    }
                    Outcome::Transport(host_status) => Answer::value(u32::from(host_status.get())),
                    Outcome::Gone => Answer::value(NO_CONNECT),
                },
            )
        }
        Operation::Reset => port.reset().map(|()| Answer::default()),
        _ => Err(Errno::EINVAL),
    }
}

fn tape_request(station: &mut Station, port: &Port, request: &Request) -> Result<Answer, Errno> {
    station.settle();
    let holder = station.holder.as_ref().filter(|holder| holder.handle == request.handle);
    let flags = holder.ok_or(Errno::EBADF)?.flags;
    let tape = &mut station.tape;
    match request.operation {
        Operation::Read => tape.read(request.allocation).map(Answer::data),
        Operation::Write => {
            let written = tape.write(&request.data_out)?;
            u32::try_from(written).map(Answer::value).map_err(|_| Errno::EINVAL)
        }
        Operation::Move => {
            let [operation, count] = request.numbers;
            tape.operate(operation, count, flags).map(|()| Answer::default())
        }
        Operation::Status => tape.status().map(|status| Answer::data(status.encode())),
        Operation::Position => tape.position().map(Answer::value),
        operation => pass_through(operation, port, request),
    }
}

fn released(station: &Mutex<Station>, handle: u64) -> Answer {
    let mut station = lock(station);
    station.settle();
    match station.released {
        Some((released, Some(errno))) if released == handle => Answer::failed(errno),
        _ => Answer::default(),
    }
}

impl Station {
    /// Takes in what happened to the holder's socket since the last look.
    fn settle(&mut self) {
        let peek = MsgFlags::MSG_PEEK | MsgFlags::MSG_DONTWAIT;
        while let Some(holder) = &mut self.holder {
            match recv(holder.socket.as_raw_fd(), &mut [0], peek) {
                Ok(1..) => {
                    let written = message(&holder.socket).and_then(|data| self.tape.write(&data));
                    holder.failure = written.err().or(holder.failure);
                }
                Err(Errno::EAGAIN) => return,
                Err(Errno::EINTR) => {}
                Ok(0) | Err(_) => self.release(),
            }
        }
    }

    fn release(&mut self) {
        if let Some(holder) = self.holder.take() {
            let closed = self.tape.release();
            self.released = Some((holder.handle, holder.failure.or(closed.err())));
        }
    }
}

/// What a program wrote in one go around the shim.
fn message(mut socket: &UnixStream) -> Result<Vec<u8>, Errno> {
    let mut data = vec![0; MESSAGE_BYTES_MAX];
    let length = socket.read(&mut data).map_err(|_| Errno::EIO)?;
    data.truncate(length);
    Ok(data)
}

/// A thread that died while it held a tape leaves it as a driver's bug would: usable, perhaps in another place.
fn lock(station: &Mutex<Station>) -> MutexGuard<'_, Station> {
    station.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    std::thread::Builder::new().name(name.to_owned()).spawn(run).map(drop)
}
