//! Puts the daemon together from a checked configuration, and looks at every drive before it takes commands.

use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use thiserror::Error;
use tokio::sync::Notify;

use super::gate::{Claims, GateUnit, Maintenance, PlainMount};
use super::jobs::{JobBook, JobsError};
use super::lane::{Lane, Opener};
use super::libraries::{FoundLibraries, GivenLibrary, LibraryUnit};
use super::mount::{Mount, WrongKeys};
use super::serials::Inquirer;
use super::surroundings::Scans;
use super::{Daemon, DriveUnit, UnitState};
use crate::clock::{Clock, Timestamp};
use crate::controller::job::{JobKind, JobRecord, Level, Outcome};
use crate::controller::operation::Rules;
use crate::controller::report::{DriveStatus, MediumStatus, Reading};
use crate::discovery::Tree;
use crate::gate::{Pass, TapeNodes};
use crate::kad::{BlockKads, KeyId};
use crate::keysource::{HeadBook, KeySource};

/// The daemon cannot start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The state directory failed.
    #[error(transparent)]
    Jobs(#[from] JobsError),
    /// No thread for a drive.
    #[error("start the thread of {drive}: {source}\nhint: raise the limit on tasks (TasksMax of the unit)")]
    Thread {
        /// The drive or library.
        drive: String,
        /// What the system answered.
        source: std::io::Error,
    },
}

/// What the daemon is made of.
pub struct Given {
    /// Where jobs are kept; made if it is not there.
    pub state_directory: PathBuf,
    /// The drives.
    pub drives: Vec<GivenDrive>,
    /// The libraries that the configuration names.
    pub libraries: Vec<GivenLibrary>,
    /// Makes libraries of the changers that the kernel shows besides.
    pub found_libraries: FoundLibraries,
    /// Where the kernel shows drives and changers.
    pub tree: Tree,
    /// Asks a drive for a serial number that the kernel does not show.
    pub inquirer: Inquirer,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Where keys come from.
    pub keys: Arc<dyn KeySource>,
    /// What is remembered of the KMS's audit chains.
    pub heads: Arc<HeadBook>,
}

/// What a drive is made of.
pub struct GivenDrive {
    /// Its name.
    pub name: String,
    /// How it is reached, for people.
    pub path: String,
    /// Whether it is found by its serial number, wherever the kernel shows it.
    pub by_serial: bool,
    /// Whether it is a simulated drive.
    pub simulated: bool,
    /// What its jobs have to obey.
    pub rules: Rules,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// How to open it.
    pub opener: Opener,
    /// How to open its tape nodes, if programs are to be kept off it until it is ready.
    pub hold: Option<Arc<dyn TapeNodes>>,
}

impl Daemon {
    /// Locks the state directory, reads the jobs, starts a thread for each drive. Blocks; nothing is asked of a drive yet.
    ///
    /// # Errors
    /// [`StartError`].
    pub fn new(given: Given) -> Result<Arc<Self>, StartError> {
        let jobs = Arc::new(JobBook::open(&given.state_directory, given.clock.now())?);
        let drives = given.drives.into_iter().map(|drive| unit(drive, &given.clock, &jobs));
        let libraries = given
            .libraries
            .into_iter()
            .map(|library| start_library(library, &given.clock));
        let libraries = libraries.collect::<Result<_, _>>()?;
        Ok(Arc::new(Self {
            drives: drives.collect::<Result<_, _>>()?,
            jobs,
            keys: given.keys,
            heads: given.heads,
            tree: given.tree,
            libraries: Mutex::new(libraries),
            found_libraries: given.found_libraries,
            scans: Scans::default(),
            inquirer: given.inquirer,
            watched: Mutex::default(),
            looked_around: tokio::sync::watch::Sender::new(false),
            look_again: Notify::new(),
            clock: given.clock,
            running: AtomicU64::new(0),
            one_ended: Notify::new(),
        }))
    }

    /// Reads what the drives really hold, and says it in the log and in the jobs that the last end of the daemon interrupted.
    ///
    /// A drive in which a job left a key is not asked: a program may be writing on it, and a unit attention that our command met would not be
    /// reported to that program again. It would write on, plain, after a reset that it never heard of.
    pub async fn look_at_all(&self) {
        let report = self.look_at(self.drives.clone(), false).await;
        for drive in &report.drives {
            let found = in_words(drive);
            tracing::info!(drive = drive.name, "at start: {found}");
            let newest = self.jobs.list(Some(&drive.name), 1);
            for job in newest.iter().filter(|job| just_interrupted(job)) {
                let text = format!("when the daemon started again: {found}");
                self.annotate(job.id, Level::Note, &text, Some("load again, or clear the drive"), None)
                    .await;
            }
        }
    }
}

fn unit(given: GivenDrive, clock: &Arc<dyn Clock>, jobs: &JobBook) -> Result<Arc<DriveUnit>, StartError> {
    let GivenDrive {
        name,
        path,
        by_serial,
        simulated,
        rules,
        command_timeout,
        opener,
        hold,
    } = given;
    if simulated {
        tracing::warn!(
            drive = name,
            path,
            "THIS IS A SIMULATED DRIVE: it gets real keys, because the configuration allows simulated drives"
        );
    }
    let no_thread = |source| StartError::Thread {
        drive: name.clone(),
        source,
    };
    let lane = Lane::start(&format!("drive {name}"), opener, clock.clone()).map_err(no_thread)?;
    let of_drive = jobs.list(Some(&name), usize::MAX);
    let (mount, plain) = (of_drive.iter().find_map(left_by), plain_left_by(&of_drive));
    // A person who had it held since wants another load first.
    let held = of_drive
        .iter()
        .find(|job| job.outcome == Outcome::Held)
        .map_or(0, |job| job.id);
    let claims = Claims {
        pass: match (&mount, &plain) {
            (Some(mount), _) if mount.job > held => Some(Pass::KeyLoaded),
            (None, Some(plain)) if plain.job > held => Some(Pass::Plain),
            _ => None,
        },
        maintenance: maintenance_left_by(&of_drive, clock.now()),
    };
    let gate = hold.map(|nodes| GateUnit::start(&name, nodes, claims, clock));
    let gate = gate.transpose().map_err(no_thread)?;
    let state = UnitState {
        mount,
        plain,
        wrong_keys: of_drive.iter().find_map(refused_by).unwrap_or_default(),
        ..UnitState::default()
    };
    Ok(Arc::new(DriveUnit {
        name,
        path,
        by_serial,
        simulated,
        rules,
        command_timeout,
        lane,
        gate,
        state: Mutex::new(state),
    }))
}

fn start_library(given: GivenLibrary, clock: &Arc<dyn Clock>) -> Result<Arc<LibraryUnit>, StartError> {
    let name = given.name.clone();
    if given.simulated {
        tracing::warn!(
            library = name,
            path = given.path,
            "THIS IS A SIMULATED LIBRARY: what it says of drives is a game"
        );
    }
    LibraryUnit::start(given, clock).map_err(|source| StartError::Thread { drive: name, source })
}

fn just_interrupted(job: &JobRecord) -> bool {
    let told = |text: &str| text.starts_with("when the daemon started again");
    job.outcome == Outcome::Interrupted && !job.messages.iter().any(|message| told(&message.text))
}

/// The key that a job says it left in its drive: a claim, checked against the drive at the first look.
fn left_by(job: &JobRecord) -> Option<Mount> {
    if job.outcome != Outcome::KeyLoaded || job.key_gone.is_some() {
        return None;
    }
    let key = job.key.as_ref()?;
    Some(Mount {
        job: job.id,
        kads: BlockKads {
            unauthenticated: hex::decode(&key.kad).ok()?,
            authenticated: hex::decode(key.a_kad.as_deref().unwrap_or_default()).ok()?,
        },
        key_instance_counter: job.in_force.as_ref()?.key_instance_counter,
        medium_serial: job.volume.serial.clone(),
    })
}

/// The plain volume for which the last job about a volume let the drive go.
fn plain_left_by(of_drive: &[JobRecord]) -> Option<PlainMount> {
    let about_volumes = |job: &&JobRecord| !matches!(job.kind, JobKind::Hold | JobKind::Release);
    let newest = of_drive.iter().find(about_volumes)?;
    (newest.outcome == Outcome::Plain && newest.key_gone.is_none()).then(|| PlainMount {
        job: newest.id,
        medium_serial: newest.volume.serial.clone(),
    })
}

/// The maintenance for which a person let the drive go, unless it was held again or is over.
fn maintenance_left_by(of_drive: &[JobRecord], now: Timestamp) -> Option<Maintenance> {
    let newest = of_drive
        .iter()
        .find(|job| matches!(job.outcome, Outcome::Held | Outcome::Released))?;
    let maintenance = newest
        .maintenance
        .as_ref()
        .filter(|maintenance| maintenance.until > now)?;
    Some(Maintenance {
        job: newest.id,
        until: maintenance.until,
        reason: maintenance.reason.clone(),
    })
}

/// The keys that count as wrong, as the last job says that saw a volume. A unit attention at the first look shows if it was away since.
fn refused_by(job: &JobRecord) -> Option<WrongKeys> {
    let medium_serial = Some(job.volume.serial.clone()?);
    let ids = job.wrong_keys.iter().map(|id| KeyId::from_identifier(id)).collect();
    Some(WrongKeys { ids, medium_serial })
}

fn in_words(drive: &DriveStatus) -> String {
    let medium = match &drive.medium {
        Reading::NotAsked(why) => return format!("not asked: {why}"),
        Reading::Unknown(why) => format!("what is in the drive is unknown ({why})"),
        Reading::Known(MediumStatus::Empty) => "no volume".into(),
        Reading::Known(MediumStatus::CleaningCartridge) => "a cleaning cartridge".into(),
        Reading::Known(MediumStatus::BecomingReady) => "a volume that is becoming ready".into(),
        Reading::Known(MediumStatus::Volume { serial, barcode, .. }) => {
            let name = barcode.as_ref().or(serial.as_ref());
            format!("volume {}", name.map_or("without a name", String::as_str))
        }
    };
    let modes = match &drive.modes {
        Reading::Unknown(why) | Reading::NotAsked(why) => format!("modes unknown ({why})"),
        Reading::Known(modes) => {
            let key = modes
                .key_id
                .as_ref()
                .map_or_else(|| "no key of ours".to_owned(), |id| format!("key {id}"));
            format!(
                "encryption {}, decryption {}, {key}",
                modes.encryption, modes.decryption
            )
        }
    };
    format!("{medium}; {modes}")
}
