//! The command line: which verbs and switches there are, and how a failure becomes text and exit code (0 ok, 1 failed, 2 usage).

use std::error::Error;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use super::conditions::ConditionArgs;
use super::machine::Clock;
use super::orders::{Order as GivenOrder, Request};
use super::vhost::program::ServeVhostArgs;
use super::{create, decode, inspect, order, run, serve, vhost};
use crate::{LibraryManaged, Randomness, SenseCode};

/// An LTO tape drive in software that really encrypts.
#[derive(Debug, Parser)]
#[command(name = "sg-sim", version, about, max_term_width = 110)]
struct Line {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run a drive or a library on Unix sockets until SIGTERM or SIGINT
    Serve(ServeArgs),
    /// Run a drive or a library for a QEMU guest (vhost-user-scsi) until SIGTERM or SIGINT
    ServeVhost(ServeVhostArgs),
    /// Run a program that finds a drive at /sim/nst0 (/sim/st0) and /sim/sg0
    Run(RunArgs),
    /// Give a running drive an order, or ask for its status
    Control(ControlArgs),
    /// Make a cartridge file with a blank medium
    Create(CreateArgs),
    /// Say what a cartridge file holds; never changes it
    Inspect(InspectArgs),
    /// Say in words what a trace file holds
    Trace(decode::TraceArgs),
}

/// How a drive is served over Unix sockets.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Where to listen for SCSI commands. With --library there is a socket for each unit: PATH.0, PATH.1, … for the drives in bay order, and the last
    /// one for the changer
    #[arg(long, value_name = "PATH")]
    pub socket: PathBuf,
    /// Library to serve, described in this file (docs/library.md), instead of one drive
    #[arg(long, value_name = "FILE", conflicts_with_all = ["cartridge", "serial", "library_managed", "refuse_spout", "quirks", "hang"])]
    pub library: Option<PathBuf>,
    /// The drive, if there is no library
    #[command(flatten)]
    pub drive: DriveArgs,
    /// What goes wrong, how time goes, who gives orders
    #[command(flatten)]
    pub conditions: ConditionArgs,
    /// Start with a hung drive
    #[arg(long)]
    pub hang: bool,
    /// Trace every command on standard error, never its data
    #[arg(short, long)]
    pub verbose: bool,
}

/// How a drive is set up.
#[derive(Debug, Args)]
pub struct DriveArgs {
    /// Cartridge to load; without it the drive starts empty
    #[arg(long, value_name = "FILE")]
    pub cartridge: Option<PathBuf>,
    /// Make the cartridge file if it does not exist
    #[arg(long, requires = "cartridge")]
    pub create: bool,
    /// Serial number of the drive, 10 characters
    #[arg(long, value_name = "SERIAL")]
    pub serial: Option<String>,
    /// Barcode of the cartridge; one that exists must have it
    #[arg(long, requires = "cartridge")]
    pub barcode: Option<String>,
    /// Serial number in the cartridge's memory; one that exists must have it. A new one gets a random one by default
    #[arg(long, value_name = "SERIAL", requires = "cartridge")]
    pub medium_serial: Option<String>,
    /// Turn the switches over that this TOML file names (docs/simulator-commands.md)
    #[arg(long, value_name = "FILE")]
    pub quirks: Option<PathBuf>,
    /// Say that the library owns encryption: hide protocol 20h (list), or prevent changes (cfgp)
    #[arg(long, value_name = "HOW")]
    pub library_managed: Option<ManagedArg>,
    /// End every SECURITY PROTOCOL OUT with this sense: key/asc/ascq in hex
    #[arg(long, value_name = "05/24/00")]
    pub refuse_spout: Option<SenseCode>,
    /// Repeat the random numbers that belong to this seed: nonces too, so never for data of any worth
    #[arg(long)]
    pub seed: Option<u64>,
}

/// What to run, and with which tapes.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Run with the library that this file describes (docs/library.md) instead of one drive: /sim/nst0… and /sim/sg0…, then the changer
    #[arg(long, value_name = "L.toml")]
    pub(super) library: Option<PathBuf>,
    /// Keep the cartridges in this folder, and use those that are there. Without it a library's cartridges stay where its description
    /// says, and the one of a single drive goes when the command ends
    #[arg(long, value_name = "DIR")]
    pub(super) keep: Option<PathBuf>,
    /// Write every SCSI command and its answer to this new file, one JSON line each, keys masked
    #[arg(long, value_name = "FILE")]
    pub(super) record: Option<PathBuf>,
    /// What goes wrong, how time goes, who gives orders
    #[command(flatten)]
    pub(super) conditions: ConditionArgs,
    /// Repeat the random numbers that belong to this seed: nonces too, so never for data of any worth
    #[arg(long)]
    pub(super) seed: Option<u64>,
    /// The command and its arguments
    #[arg(
        required = true,
        trailing_var_arg = true,
        allow_hyphen_values = true,
        value_name = "COMMAND"
    )]
    pub(super) command: Vec<OsString>,
}

/// Who owns encryption, as the command line and the control socket write it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ManagedArg {
    /// The host
    Off,
    /// The library; protocol 20h is hidden
    List,
    /// The library; pages answer, changes are prevented
    Cfgp,
}

impl From<ManagedArg> for LibraryManaged {
    fn from(word: ManagedArg) -> Self {
        match word {
            ManagedArg::Off => Self::Off,
            ManagedArg::List => Self::ProtocolHidden,
            ManagedArg::Cfgp => Self::ConfigurationPrevented,
        }
    }
}

impl From<LibraryManaged> for ManagedArg {
    fn from(managed: LibraryManaged) -> Self {
        match managed {
            LibraryManaged::Off => Self::Off,
            LibraryManaged::ProtocolHidden => Self::List,
            LibraryManaged::ConfigurationPrevented => Self::Cfgp,
        }
    }
}

#[derive(Debug, Args)]
struct ControlArgs {
    /// The control socket
    #[arg(long, value_name = "PATH")]
    control: PathBuf,
    /// The unit that the order is for: a drive by its bay, behind the last one the changer. Without it the first drive; a fault may then
    /// strike at any unit
    #[arg(long, value_name = "N")]
    unit: Option<usize>,
    #[command(subcommand)]
    order: Order,
}

#[derive(Debug, Subcommand)]
enum Order {
    /// What the drive holds and which modes are in force, as JSON
    Status {
        /// The nexus whose modes to show; default: one without parameters of its own
        #[arg(long)]
        nexus: Option<String>,
    },
    /// Let SCSI commands wait, or go on
    Hang {
        /// on or off
        state: Switch,
    },
    /// Who owns encryption
    LibraryManaged {
        /// off, list (protocol 20h hidden) or cfgp (changes prevented)
        mode: ManagedArg,
    },
    /// End every SECURITY PROTOCOL OUT with a sense
    RefuseSpout {
        /// off, or key/asc/ascq in hex such as 05/24/00
        sense: String,
    },
    /// End the next commands without SCSI status
    TransportError {
        /// Linux host byte: 1 no connect, 3 time out, 5 abort, 7 error, 8 reset; 0 takes the order back
        host_status: u8,
        /// How many commands
        #[arg(long, default_value_t = 1)]
        count: u32,
        /// Let the drive execute them first
        #[arg(long)]
        executed: bool,
    },
    /// The drive loses its key
    KeyDropped,
    /// Reset the drive
    Reset,
    /// The drive loses sight of a nexus
    NexusLoss {
        /// Its name
        nexus: String,
    },
    /// A nexus that nobody here names sets a key for all
    AnotherNexusSetsAKey,
    /// Power off and on again
    PowerCycle,
    /// Put a cartridge into the empty drive
    Load {
        /// The cartridge file
        file: PathBuf,
    },
    /// Take the cartridge out
    Eject,
    /// Let something go wrong with a command to come
    Fault {
        /// As JSON: {"at":{"opcode":181},"do":{"what":"sense","sense":"05/26/00"},"times":1}
        rule: String,
    },
    /// Take every fault back
    ClearFaults,
    /// Let the drive's time go on
    Advance {
        /// By how much
        milliseconds: u64,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Switch {
    On,
    Off,
}

impl Order {
    fn into_request(self) -> io::Result<Request> {
        Ok(match self {
            Self::Status { nexus } => Request::Status { nexus },
            Self::Hang { state } => Request::Hang {
                on: state == Switch::On,
            },
            Self::LibraryManaged { mode } => Request::LibraryManaged { mode },
            Self::RefuseSpout { sense } => Request::RefuseSpout { sense },
            Self::TransportError {
                host_status,
                count,
                executed,
            } => Request::TransportError {
                host_status,
                count,
                executed,
            },
            Self::KeyDropped => Request::KeyDropped {},
            Self::Reset => Request::Reset {},
            Self::NexusLoss { nexus } => Request::NexusLoss { nexus },
            Self::AnotherNexusSetsAKey => Request::AnotherNexusSetsAKey {},
            Self::PowerCycle => Request::PowerCycle {},
            Self::Load { file } => Request::Load {
                file: std::path::absolute(file)?,
            },
            Self::Eject => Request::Eject {},
            Self::Fault { rule } => Request::Fault(serde_json::from_str(&rule)?),
            Self::ClearFaults => Request::ClearFaults {},
            Self::Advance { milliseconds } => Request::Advance { milliseconds },
        })
    }
}

#[derive(Debug, Args)]
struct CreateArgs {
    /// The file to make; it must not exist
    file: PathBuf,
    /// Serial number in the cartridge's memory
    #[arg(long, value_name = "SERIAL")]
    medium_serial: String,
    /// Barcode
    #[arg(long)]
    barcode: Option<String>,
}

#[derive(Debug, Args)]
struct InspectArgs {
    /// The cartridge file
    file: PathBuf,
    /// Print JSON, every object with its own entry
    #[arg(long)]
    json: bool,
}

/// Makes a source of random numbers for each drive that needs one.
pub type RandomnessMaker = fn() -> Box<dyn Randomness + Send>;

/// The command line as such, for whoever describes it (man pages).
#[must_use]
pub fn command() -> clap::Command {
    Line::command()
}

/// Runs the program on the process's arguments; drives draw from what `randomness` makes unless a seed is asked for,
/// and those in real time go by `clock`.
#[must_use]
pub fn main(randomness: RandomnessMaker, clock: Clock) -> ExitCode {
    match execute(Line::parse().verb, randomness, clock) {
        Ok(code) => code,
        Err(error) => {
            // A closed standard error leaves the exit code to speak.
            let _ = writeln!(io::stderr(), "sg-sim: {error}");
            ExitCode::FAILURE
        }
    }
}

fn execute(verb: Verb, randomness: RandomnessMaker, clock: Clock) -> Result<ExitCode, Box<dyn Error>> {
    match verb {
        Verb::Serve(args) => serve::run(&args, randomness, clock)?,
        Verb::Run(args) => return Ok(run::run(&args, randomness, clock)?.into()),
        Verb::ServeVhost(args) => vhost::program::run(&args, randomness, clock)?,
        Verb::Control(args) => {
            let request = args.order.into_request()?;
            print(&order::give(
                &args.control,
                &GivenOrder {
                    unit: args.unit,
                    request,
                },
            )?)?;
        }
        Verb::Create(args) => create::run(&args.file, &args.medium_serial, args.barcode.as_deref())?,
        Verb::Trace(args) => trace(&args)?,
        Verb::Inspect(args) => print(&inspect::run(&args.file, args.json)?)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a trace; a reader that has gone away is no failure.
fn trace(args: &decode::TraceArgs) -> Result<(), Box<dyn Error>> {
    match decode::run(args, &mut io::stdout().lock()) {
        Err(decode::TraceError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => Ok(other?),
    }
}

/// Prints `text`; a reader that has gone away is no failure.
fn print(text: &str) -> Result<(), Box<dyn Error>> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Line::command().debug_assert();
    }

    #[test]
    fn a_barcode_without_a_cartridge_is_a_usage_error() {
        assert!(Line::try_parse_from(["sg-sim", "serve", "--socket", "s", "--barcode", "A00001L8"]).is_err());
    }
}
