//! `sg-sim serve`: sets a drive or a library up, listens, and ends cleanly on SIGTERM and SIGINT.
//!
//! Real randomness comes in from the program; this room only chooses between it and a seed.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use nix::sys::signal::{SigSet, Signal};
use thiserror::Error;

use super::cli::{DriveArgs, RandomnessMaker, ServeArgs};
use super::conditions::{ConditionError, Sources, open_library, randomness};
use super::listen::{ListenError, Listening};
use super::machine::Clock;
use super::server::{Scsi, spawn_acceptor};
use super::trace::Trace;
use crate::{
    Cartridge, CartridgeError, Drive, LibraryError, LoadError, MediumSpec, Pace, Profile, ProfileError, Quirks,
    Randomness, Units,
};

/// Why a drive could not be run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum ServeError {
    /// A socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The drive's serial number is not one.
    #[error(transparent)]
    Profile(#[from] ProfileError),
    /// The cartridge file cannot be used.
    #[error(transparent)]
    Cartridge(#[from] CartridgeError),
    /// There is no such file.
    #[error("load {path}: there is no such file\nhint: add --create to make it, or name another file")]
    NoCartridge {
        /// The path asked for.
        path: PathBuf,
    },
    /// The drive does not take the cartridge.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The cartridge is another one than the command line says.
    #[error(
        "load {path}: its {what} is {found:?}, not {asked:?}\nhint: leave the switch out, or name another file; nothing was changed"
    )]
    OtherCartridge {
        /// The cartridge file.
        path: PathBuf,
        /// Which of its names.
        what: &'static str,
        /// What it has.
        found: String,
        /// What was asked for.
        asked: String,
    },
    /// The system refused something that every process may do.
    #[error("start the server: {0}\nhint: look at the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
    /// The file of switches cannot be read.
    #[error("read switches from {path:?}: {source}")]
    QuirksFile {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// It is not TOML, or names what is no switch.
    #[error("read switches from {path:?}: {source}\nhint: the switches are in docs/simulator-commands.md")]
    Quirks {
        /// The file.
        path: PathBuf,
        /// What is wrong, and in which line.
        source: toml::de::Error,
    },
    /// The library could not be opened.
    #[error(transparent)]
    Library(#[from] LibraryError),
    /// The conditions cannot be had.
    #[error(transparent)]
    Conditions(#[from] ConditionError),
}

/// Runs a drive or a library until SIGTERM or SIGINT. Prints one line on standard output when it listens. Call it while the process has one thread.
///
/// # Errors
/// Anything that keeps the drive from being set up, or a bug that stopped it before the end.
pub(super) fn run(args: &ServeArgs, system: RandomnessMaker, clock: Clock) -> Result<(), ServeError> {
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
    let paths = sockets(args, units.kinds().len());
    let machine = Arc::new(args.conditions.machine(units, sources, trace)?);
    machine.set_hang(0, args.hang);
    let mut listening = Vec::new();
    for (unit, path) in paths.iter().enumerate() {
        let socket = Listening::open(path)?;
        let service = Scsi {
            machine: Arc::clone(&machine),
            unit,
            trace,
        };
        listening.push((socket, service));
    }
    // Threads only now: opening a socket sets the umask for a moment.
    for (socket, service) in &listening {
        spawn_acceptor("scsi", socket.acceptor()?, service.clone(), trace)?;
    }
    let _control = args.conditions.listen(&machine, trace)?;
    say_ready(args)?;
    ends.wait().map_err(io::Error::from)?;
    machine.end();
    Ok(())
}

/// One socket for a drive; for a library one for each unit, with its number.
fn sockets(args: &ServeArgs, units: usize) -> Vec<PathBuf> {
    if args.library.is_none() {
        return vec![args.socket.clone()];
    }
    let numbered = |unit| {
        let mut path = args.socket.clone().into_os_string();
        path.push(format!(".{unit}"));
        PathBuf::from(path)
    };
    (0..units).map(numbered).collect()
}

/// Sets a drive up as the command line says, its time going at this pace.
///
/// # Errors
/// Serial number or cartridge cannot be used.
pub(super) fn set_up(args: &DriveArgs, system: RandomnessMaker, pace: Pace) -> Result<Drive, ServeError> {
    let mut profile = Profile::ibm_lto8();
    if let Some(serial) = &args.serial {
        profile = profile.with_serial_number(serial)?;
    }
    let mut randomness = randomness(args.seed, system);
    let cartridge = args
        .cartridge
        .as_deref()
        .map(|path| cartridge(args, path, randomness.as_mut()))
        .transpose()?;
    let mut drive = Drive::new(profile, randomness);
    drive.set_pace(pace);
    if let Some(cartridge) = cartridge {
        check_identity(args, &cartridge)?;
        drive.load(cartridge)?;
    }
    let quirks = drive.quirks();
    if let Some(path) = &args.quirks {
        *quirks = read_quirks(path)?;
    }
    quirks.library_managed = args.library_managed.map_or(quirks.library_managed, Into::into);
    quirks.refuse_security_protocol_out = args.refuse_spout.or(quirks.refuse_security_protocol_out);
    Ok(drive)
}

fn read_quirks(path: &Path) -> Result<Quirks, ServeError> {
    let path_of = || path.to_owned();
    let text = fs::read_to_string(path).map_err(|source| ServeError::QuirksFile {
        path: path_of(),
        source,
    })?;
    toml::from_str(&text).map_err(|source| ServeError::Quirks {
        path: path_of(),
        source,
    })
}

fn cartridge(args: &DriveArgs, path: &Path, randomness: &mut dyn Randomness) -> Result<Cartridge, ServeError> {
    if !args.create {
        return Cartridge::open(path).map_err(|error| missing(path, error));
    }
    let spec = MediumSpec {
        medium_serial: args.medium_serial.clone().unwrap_or_else(|| random_serial(randomness)),
        barcode: args.barcode.clone(),
        ..MediumSpec::default()
    };
    match Cartridge::create(path, &spec) {
        Err(CartridgeError::Exists { .. }) => Ok(Cartridge::open(path)?),
        made => Ok(made?),
    }
}

/// Tells a file that is not there from one that cannot be used.
fn missing(path: &Path, error: CartridgeError) -> ServeError {
    match error {
        CartridgeError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
            ServeError::NoCartridge { path: path.to_owned() }
        }
        other => other.into(),
    }
}

fn check_identity(args: &DriveArgs, cartridge: &Cartridge) -> Result<(), ServeError> {
    let check = |what, asked: Option<&String>, found: String| match asked {
        Some(asked) if *asked != found => {
            let path = args.cartridge.clone().unwrap_or_default();
            Err(ServeError::OtherCartridge {
                path,
                what,
                found,
                asked: asked.clone(),
            })
        }
        _ => Ok(()),
    };
    check(
        "medium serial number",
        args.medium_serial.as_ref(),
        cartridge.medium_serial().to_owned(),
    )?;
    check(
        "barcode",
        args.barcode.as_ref(),
        cartridge.barcode().unwrap_or_default(),
    )
}

fn say_ready(args: &ServeArgs) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let control = args.conditions.control_on();
    writeln!(out, "sg-sim: listening on {}{control}", args.socket.display())?;
    out.flush()
}

/// A medium serial number that no other cartridge is likely to have.
fn random_serial(randomness: &mut dyn Randomness) -> String {
    let mut bytes = [0; 8];
    randomness.fill(&mut bytes);
    format!("SIM{:07}", u64::from_be_bytes(bytes) % 10_000_000)
}
