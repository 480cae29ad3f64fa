//! Under which conditions units are served: what goes wrong, how time goes, who may give orders, what is written down. The same for every front end.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use thiserror::Error;

use super::cli::RandomnessMaker;
use super::decode::Recorder;
use super::listen::{ListenError, Listening};
use super::machine::{Clock, Machine};
use super::server::{Control, spawn_acceptor};
use super::trace::Trace;
use crate::fault::{FaultScript, FaultScriptError, Struck};
use crate::{Library, LibraryError, Pace, Randomness, SeededRandomness, Units};

/// What goes wrong, how time goes, who gives orders.
#[derive(Debug, Args)]
pub struct ConditionArgs {
    /// Where to listen for orders of `sg-sim control`
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,
    /// Let go wrong what this script says (docs/simulator-faults.md)
    #[arg(long, value_name = "FILE")]
    pub faults: Option<PathBuf>,
    /// Write every command and its answer to this new file, for sg-sim trace; never a key, never a block
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Let loading, winding and streaming take the time of an LTO-8 drive: on the drive's own clock alone, or for its clients too
    #[arg(long, value_name = "HOW", default_value = "instant")]
    pub time: PaceArg,
}

/// How the drive's time goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PaceArg {
    /// Everything takes no time
    Instant,
    /// Everything takes its time, and nobody waits for it
    Virtual,
    /// Everything takes its time
    Real,
}

impl From<PaceArg> for Pace {
    fn from(word: PaceArg) -> Self {
        match word {
            PaceArg::Instant => Self::Instant,
            PaceArg::Virtual => Self::Virtual,
            PaceArg::Real => Self::Real,
        }
    }
}

/// Where randomness and time come from.
#[derive(Clone, Copy)]
pub(super) struct Sources {
    /// The system's randomness, a source for each who asks.
    pub(super) system: RandomnessMaker,
    /// The system's clock.
    pub(super) clock: Clock,
    /// Everything random follows from this, if it is there.
    pub(super) seed: Option<u64>,
}

/// Why the conditions cannot be had.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(super) enum ConditionError {
    /// The control socket could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The script of faults cannot be used.
    #[error(transparent)]
    Faults(#[from] FaultScriptError),
    /// The trace cannot be written.
    #[error(
        "trace commands in {path:?}: {source}\nhint: name a file that does not exist, in a folder that you may write to"
    )]
    Trace {
        /// The file asked for.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The system refused something that every process may do.
    #[error("listen for orders: {0}\nhint: look at the limits of this process (ulimit -a)")]
    System(#[from] io::Error),
}

impl ConditionArgs {
    /// Puts `units` under these conditions. The seed of the faults and every fault that strikes are said on standard error.
    ///
    /// # Errors
    /// The script cannot be used, or the trace not be written.
    pub(super) fn machine(
        &self,
        units: Arc<dyn Units>,
        sources: Sources,
        trace: Trace,
    ) -> Result<Machine, ConditionError> {
        let read = |path: &PathBuf| FaultScript::read(path, units.kinds().len());
        let script = self.faults.as_ref().map(read).transpose()?.unwrap_or_default();
        let seed = sources.seed.or(script.seed).unwrap_or_else(|| {
            let mut bytes = [0; 4];
            (sources.system)().fill(&mut bytes);
            u64::from(u32::from_be_bytes(bytes))
        });
        if let Some(path) = &self.faults {
            let count = script.fault.len();
            let faults = if count == 1 { "fault" } else { "faults" };
            trace.alarm(format_args!("{count} {faults} from {}, seed {seed}", path.display()));
        }
        let report = Box::new(move |struck: &Struck| trace.alarm(format_args!("{struck}")));
        let machine = Machine::new(units)
            .with_faults(script.fault, seed, report)
            .with_pace(self.time.into(), sources.clock)
            .with_observer(Box::new(trace));
        let Some(path) = &self.trace else { return Ok(machine) };
        let recorder = Recorder::create(path).map_err(|source| ConditionError::Trace {
            path: path.clone(),
            source,
        })?;
        Ok(machine.with_observer(Box::new(recorder)))
    }

    /// Listens for orders, if that is asked for, until the process ends. The socket goes with the value.
    ///
    /// # Errors
    /// The socket cannot be opened, or the system gives no thread.
    pub(super) fn listen(&self, machine: &Arc<Machine>, trace: Trace) -> Result<Option<Listening>, ConditionError> {
        let Some(path) = &self.control else { return Ok(None) };
        let listening = Listening::open(path)?;
        let control = Control {
            machine: Arc::clone(machine),
            trace,
        };
        spawn_acceptor("control", listening.acceptor()?, control, trace)?;
        Ok(Some(listening))
    }

    /// What to add to the line that says where the server listens.
    pub(super) fn control_on(&self) -> String {
        let on = |path: &PathBuf| format!(", control on {}", path.display());
        self.control.as_ref().map(on).unwrap_or_default()
    }
}

/// Opens a described library whose drives draw from these sources.
///
/// # Errors
/// As [`Library::open`].
pub(super) fn open_library(description: &Path, sources: Sources) -> Result<Library, LibraryError> {
    let mut drives = 0;
    Library::open(description, || {
        // Two drives with the same random numbers would use a nonce twice.
        let source = randomness(sources.seed.map(|seed| seed.wrapping_add(drives)), sources.system);
        drives += 1;
        source
    })
}

/// The random numbers of a drive: those of `seed`, or the system's.
pub(super) fn randomness(seed: Option<u64>, system: RandomnessMaker) -> Box<dyn Randomness + Send> {
    match seed {
        Some(seed) => Box::new(SeededRandomness::new(seed)),
        None => system(),
    }
}
