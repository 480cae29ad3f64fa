//! Sets the drives up, starts the command, waits for it, and gives its exit status.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use thiserror::Error;

use super::broker::Broker;
use super::folder::Folder;
use super::holds::Holds;
use super::program::{self, ProgramError};
use super::record::Record;
use super::shim;
use crate::front::cli::{RandomnessMaker, RunArgs};
use crate::front::conditions::{ConditionError, Sources, open_library, randomness};
use crate::front::machine::{Clock, Machine};
use crate::front::trace::Trace;
use crate::library::Library;
use crate::{Cartridge, CartridgeError, Drive, ItNexus, LibraryError, LoadError, MediumSpec, Profile, Units};

/// The cartridge of a run without a described library.
const BARCODE: &str = "SIM001L8";
/// The nexus that all nodes of this host share.
const NEXUS: &str = "sg-sim-run";
/// What a shell gives for a command that a signal ended.
const SIGNAL_BASE: i32 = 128;

/// Why a command could not be run.
#[derive(Debug, Error)]
pub(in crate::front) enum RunError {
    /// The shim could not get into the command.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// There is no shim for this machine.
    #[error(
        "run a command: there is no shim for this machine\nhint: x86-64 and 64-bit ARM with glibc have one; elsewhere use the socket"
    )]
    NoShim,
    /// The library cannot be opened.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// A cartridge could not be made or opened.
    #[error(transparent)]
    Cartridge(#[from] CartridgeError),
    /// The drive does not take the cartridge.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The conditions cannot be had.
    #[error(transparent)]
    Conditions(#[from] ConditionError),
    /// The folder for cartridges cannot be used.
    #[error("keep cartridges in {path:?}: {source}\nhint: name a folder that you may write to")]
    Keep {
        /// The folder asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The record cannot be written.
    #[error(
        "record commands in {path:?}: {source}\nhint: name a file that does not exist, in a folder that you may write to"
    )]
    Record {
        /// The file asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The command could not be started.
    #[error("run {command:?}: {source}")]
    Start {
        /// The command.
        command: OsString,
        /// The system's answer.
        source: io::Error,
    },
    /// The system refused something that every process may do.
    #[error("prepare a run: {0}\nhint: look at TMPDIR and at the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
}

/// Runs the command and gives its exit status, 128 + n for signal n. Drives draw from what `system` makes, unless a seed is asked for. Call it while the process has one thread.
///
/// # Errors
/// Anything that keeps the command from being started.
pub(in crate::front) fn run(args: &RunArgs, system: RandomnessMaker, clock: Clock) -> Result<u8, RunError> {
    let (name, arguments) = args
        .command
        .split_first()
        .ok_or_else(|| ProgramError::NotFound { name: String::new() })?;
    program::check(name)?;
    if !shim::available() {
        return Err(RunError::NoShim);
    }
    let folder = Folder::new()?;
    let sources = Sources {
        system,
        clock,
        seed: args.seed,
    };
    let trace = Trace::new(false);
    let machine = Arc::new(machine(args, &folder, sources, trace)?);
    let nexus = ItNexus::new(NEXUS).map_err(io::Error::other)?;
    let broker = Arc::new(Broker::new(
        Arc::clone(&machine),
        &nexus,
        Holds::listen(&folder.path().join("hold"))?,
    ));
    let requests = UnixListener::bind(folder.path().join("ask"))?;
    let object = shim::write(folder.path())?;

    // Blocked before there are threads, so that none of them is ended by what is meant for the command.
    let signals = SigSet::from_iter([Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM]);
    signals.thread_block().map_err(io::Error::from)?;
    broker.serve(requests)?;
    let _control = args.conditions.listen(&machine, trace)?;
    let mut command = Command::new(name);
    command
        .args(arguments)
        .env("SG_SIM_RUN", folder.path())
        .env("LD_PRELOAD", preload(&object));
    let mut child = start(&mut command, &signals).map_err(|source| RunError::Start {
        command: name.clone(),
        source,
    })?;
    let status = wait(&mut child, signals)?;
    broker.end();
    Ok(exit_code(status))
}

/// The units that the command sees, and all that is to happen to them.
fn machine(args: &RunArgs, folder: &Folder, sources: Sources, trace: Trace) -> Result<Machine, RunError> {
    let units: Arc<dyn Units> = match &args.library {
        Some(description) => {
            let description = moved_to(args.keep.as_deref(), description, folder)?;
            Arc::new(open_library(&description, sources)?)
        }
        None => Arc::new(Mutex::new(drive(args, folder, sources)?)),
    };
    let machine = args.conditions.machine(units, sources, trace)?;
    let Some(path) = &args.record else { return Ok(machine) };
    let record = Record::create(path).map_err(|source| RunError::Record {
        path: path.clone(),
        source,
    })?;
    Ok(machine.with_observer(Box::new(record)))
}

/// The description, or one like it in which the cartridges are in the folder to keep them in.
///
/// A description that cannot be read is given as it is: to open it says best what is wrong.
fn moved_to(keep: Option<&Path>, description: &Path, folder: &Folder) -> Result<PathBuf, RunError> {
    let Some(keep) = keep else {
        return Ok(description.to_owned());
    };
    // Its errors name the lines of the file that the user wrote.
    Library::check(description)?;
    let text = fs::read_to_string(description).unwrap_or_default();
    let Ok(mut table) = text.parse::<toml::Table>() else {
        return Ok(description.to_owned());
    };
    let absolute = std::path::absolute(keep)?;
    let place = absolute.to_str().ok_or_else(|| RunError::Keep {
        path: keep.to_owned(),
        source: io::ErrorKind::InvalidFilename.into(),
    })?;
    table.insert("cartridges".to_owned(), place.into());
    let changed = folder
        .path()
        .join(description.file_name().unwrap_or(OsStr::new("library.toml")));
    fs::write(&changed, table.to_string())?;
    Ok(changed)
}

/// One drive with a cartridge in it.
fn drive(args: &RunArgs, folder: &Folder, sources: Sources) -> Result<Drive, RunError> {
    let keep = args.keep.as_deref();
    if let Some(path) = keep {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|source| RunError::Keep {
            path: path.to_owned(),
            source,
        })?;
    }
    let mut drive = Drive::new(Profile::ibm_lto8(), randomness(sources.seed, sources.system));
    let file = format!("{BARCODE}.tape");
    drive.load(cartridge(&keep.unwrap_or(folder.path()).join(file))?)?;
    Ok(drive)
}

/// The cartridge in that file, a blank one if there is none.
fn cartridge(path: &Path) -> Result<Cartridge, CartridgeError> {
    let spec = MediumSpec {
        barcode: Some(BARCODE.to_owned()),
        ..MediumSpec::default()
    };
    match Cartridge::create(path, &spec) {
        Err(CartridgeError::Exists { .. }) => Cartridge::open(path),
        made => made,
    }
}

/// Our object first, then whatever else the user preloads.
fn preload(object: &Path) -> OsString {
    let mut list = object.as_os_str().to_owned();
    if let Some(others) = env::var_os("LD_PRELOAD").filter(|others| !others.is_empty()) {
        list.push(":");
        list.push(others);
    }
    list
}

/// Starts the command with the signals as they were.
fn start(command: &mut Command, signals: &SigSet) -> io::Result<Child> {
    signals.thread_unblock()?;
    let child = command.spawn();
    signals.thread_block()?;
    child
}

/// Waits for the command. SIGTERM and SIGHUP are passed on; SIGINT and SIGQUIT come from a terminal, which sends them to the command itself.
fn wait(child: &mut Child, signals: SigSet) -> io::Result<ExitStatus> {
    let over = Arc::new(AtomicBool::new(false));
    let (seen, pid) = (Arc::clone(&over), i32::try_from(child.id()).map(Pid::from_raw));
    let forward = move || {
        while let Ok(signal) = signals.wait() {
            if seen.load(Ordering::Acquire) {
                return;
            }
            if let (Ok(pid), Signal::SIGTERM | Signal::SIGHUP) = (&pid, signal) {
                // It may have ended just now.
                let _ = kill(*pid, signal);
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(forward)?;
    let status = child.wait();
    over.store(true, Ordering::Release);
    status
}

fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| SIGNAL_BASE + signal));
    code.and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_is_that_of_the_command() {
        assert_eq!(exit_code(ExitStatus::from_raw(3 << 8)), 3);
        assert_eq!(exit_code(ExitStatus::from_raw(15)), 143);
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
    }
}
