//! `sg-sim serve-vhost`: sets a drive or a library up, waits for QEMU, and ends on SIGTERM and SIGINT.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

use super::{VhostError, serve};
use crate::front::cli::{DriveArgs, RandomnessMaker};
use crate::front::listen::{ListenError, Listening};
use crate::front::machine::Outcome;
use crate::front::serve::{ServeError, randomness, set_up};
use crate::front::trace::Trace;
use crate::{Drive, ItNexus, Library, LibraryError, Pace, Reply, UnitKind, Units};

/// How a guest is served.
#[derive(Debug, Args)]
pub(in crate::front) struct ServeVhostArgs {
    /// Where QEMU connects
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Library to serve, described in this file: each drive is a target, then the changer
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cartridge", "serial", "library_managed", "refuse_spout"])]
    library: Option<PathBuf>,
    /// The drive, if there is no library
    #[command(flatten)]
    drive: DriveArgs,
    /// Name of the I_T nexus that the guest is
    #[arg(long, value_name = "NAME", default_value = "guest", value_parser = ItNexus::new)]
    nexus: ItNexus,
    /// Trace every command on standard error, never its data
    #[arg(short, long)]
    verbose: bool,
}

/// Why a guest could not be served.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(in crate::front) enum ProgramError {
    /// The socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The drive could not be set up.
    #[error(transparent)]
    Drive(#[from] ServeError),
    /// The library could not be opened.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The device ended.
    #[error(transparent)]
    Vhost(#[from] VhostError),
    /// The system refused something that every process may do.
    #[error("start the server: {0}\nhint: look at the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
}

/// Serves guests until SIGTERM or SIGINT. Drives draw from what `system` makes, unless a seed is asked for. Prints one line on standard output when it listens. Call it while the process has one thread.
///
/// # Errors
/// Anything that keeps the drive or the library from being set up, or the device from being served.
pub(in crate::front) fn run(args: &ServeVhostArgs, system: RandomnessMaker) -> Result<(), ProgramError> {
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    // Blocked before there are threads, so that none of them is interrupted and the wait below gets the signal.
    ends.thread_block().map_err(io::Error::from)?;
    let trace = Trace::new(args.verbose);
    let served = match &args.library {
        Some(description) => Served::Library(Arc::new(library(description, args.drive.seed, system)?)),
        None => Served::Drive(Arc::new(Mutex::new(set_up(&args.drive, system(), Pace::Instant)?))),
    };
    let socket = Listening::open(&args.socket)?;
    let failure = spawn(&socket, served.units(trace), args.nexus.clone(), trace)?;
    say_ready(&args.socket)?;
    ends.wait().map_err(io::Error::from)?;
    if let Ok(error) = failure.try_recv() {
        return Err(error.into());
    }
    served.end();
    Ok(())
}

/// What stands behind the targets.
enum Served {
    Drive(Arc<Mutex<Drive>>),
    Library(Arc<Library>),
}

impl Served {
    fn units(&self, trace: Trace) -> Arc<dyn Units> {
        let units: Arc<dyn Units> = match self {
            Self::Drive(drive) => Arc::clone(drive) as _,
            Self::Library(library) => Arc::clone(library) as _,
        };
        Arc::new(Traced { units, trace })
    }

    /// Writes out what is not on disk yet. A library keeps nothing back; a drive does while it holds a cartridge.
    fn end(&self) {
        if let Self::Drive(drive) = self {
            let mut drive = drive.lock().unwrap_or_else(PoisonError::into_inner);
            drop(drive.eject());
        }
    }
}

fn library(description: &Path, seed: Option<u64>, system: RandomnessMaker) -> Result<Library, LibraryError> {
    let mut drives = 0;
    Library::open(description, || {
        // Two drives with the same random numbers would use a nonce twice.
        let source = randomness(seed.map(|seed| seed.wrapping_add(drives)), system());
        drives += 1;
        source
    })
}

/// Serves guests in a thread. If that fails, the error comes through the channel, and SIGTERM after it.
fn spawn(socket: &Listening, units: Arc<dyn Units>, nexus: ItNexus, trace: Trace) -> io::Result<Receiver<VhostError>> {
    let listener = socket.acceptor()?;
    let (sender, failure) = channel();
    thread::Builder::new().name("vhost-user".to_owned()).spawn(move || {
        let error = serve(listener, units, &nexus, |ended| match ended {
            Ok(()) => trace.note(format_args!("the guest has gone")),
            Err(broken) => trace.alarm(format_args!("{broken}")),
        });
        // The main thread waits for a signal, and holds the other end until it has got it.
        let _ = sender.send(error);
        let _ = kill(Pid::this(), Signal::SIGTERM);
    })?;
    Ok(failure)
}

fn say_ready(socket: &Path) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "sg-sim: waiting for a guest on {}", socket.display())?;
    out.flush()
}

/// Units whose commands are traced.
struct Traced {
    units: Arc<dyn Units>,
    trace: Trace,
}

impl Units for Traced {
    fn kinds(&self) -> Vec<UnitKind> {
        self.units.kinds()
    }

    fn execute(&self, unit: usize, nexus: &ItNexus, cdb: &[u8], data_out: &[u8], data_in: &mut [u8]) -> Reply {
        let reply = self.units.execute(unit, nexus, cdb, data_out, data_in);
        self.trace
            .command(nexus, cdb, data_out.len(), &Ok(Outcome::Reply(reply.clone())));
        reply
    }

    fn reset(&self, unit: usize) {
        self.trace.note(format_args!("reset of unit {unit}"));
        self.units.reset(unit);
    }
}
