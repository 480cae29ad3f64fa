//! `sg-sim serve-vhost`: sets a drive or a library up, waits for QEMU, and ends on SIGTERM and SIGINT.

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use clap::Args;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

use super::{VhostError, serve};
use crate::front::cli::{DriveArgs, RandomnessMaker};
use crate::front::conditions::{ConditionArgs, ConditionError, Sources, open_library};
use crate::front::listen::{ListenError, Listening};
use crate::front::machine::{Clock, Machine};
use crate::front::serve::{ServeError, set_up};
use crate::front::trace::Trace;
use crate::{ItNexus, LibraryError, Units};

/// How a guest is served.
#[derive(Debug, Args)]
pub(in crate::front) struct ServeVhostArgs {
    /// Where QEMU connects
    #[arg(long, value_name = "PATH")]
    socket: PathBuf,
    /// Library to serve, described in this file: each drive is a target, then the changer
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cartridge", "serial", "library_managed", "refuse_spout", "quirks"])]
    library: Option<PathBuf>,
    /// The drive, if there is no library
    #[command(flatten)]
    drive: DriveArgs,
    /// Name of the I_T nexus that the guest is
    #[arg(long, value_name = "NAME", default_value = "guest", value_parser = ItNexus::new)]
    nexus: ItNexus,
    /// What goes wrong, how time goes, who gives orders
    #[command(flatten)]
    conditions: ConditionArgs,
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
    /// The conditions cannot be had.
    #[error(transparent)]
    Conditions(#[from] ConditionError),
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
pub(in crate::front) fn run(args: &ServeVhostArgs, system: RandomnessMaker, clock: Clock) -> Result<(), ProgramError> {
    let ends = SigSet::from_iter([Signal::SIGTERM, Signal::SIGINT]);
    // Blocked before there are threads, so that none of them is interrupted and the wait below gets the signal.
    ends.thread_block().map_err(io::Error::from)?;
    let trace = Trace::new(args.verbose);
    let sources = Sources {
        system,
        clock,
        seed: args.drive.seed,
    };
    let units: Arc<dyn Units> = match &args.library {
        Some(description) => Arc::new(open_library(description, sources)?),
        None => Arc::new(Mutex::new(set_up(&args.drive, system, args.conditions.time.into())?)),
    };
    let machine = Arc::new(args.conditions.machine(units, sources, trace)?);
    let socket = Listening::open(&args.socket)?;
    let failure = spawn(&socket, Arc::clone(&machine), args.nexus.clone(), trace)?;
    let _control = args.conditions.listen(&machine, trace)?;
    say_ready(args)?;
    ends.wait().map_err(io::Error::from)?;
    if let Ok(error) = failure.try_recv() {
        return Err(error.into());
    }
    machine.end();
    Ok(())
}

/// Serves guests in a thread. If that fails, the error comes through the channel, and SIGTERM after it.
fn spawn(socket: &Listening, machine: Arc<Machine>, nexus: ItNexus, trace: Trace) -> io::Result<Receiver<VhostError>> {
    let listener = socket.acceptor()?;
    let (sender, failure) = channel();
    thread::Builder::new().name("vhost-user".to_owned()).spawn(move || {
        let error = serve(listener, &machine, &nexus, |ended| match ended {
            Ok(()) => trace.note(format_args!("the guest has gone")),
            Err(broken) => trace.alarm(format_args!("{broken}")),
        });
        // The main thread waits for a signal, and holds the other end until it has got it.
        let _ = sender.send(error);
        let _ = kill(Pid::this(), Signal::SIGTERM);
    })?;
    Ok(failure)
}

fn say_ready(args: &ServeVhostArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let control = args.conditions.control_on();
    writeln!(out, "sg-sim: waiting for a guest on {}{control}", args.socket.display())?;
    out.flush()
}
