//! The libraries: each with a thread of its own, asked what is in its places now and then, at most one question at a time.
//!
//! A changer that hangs or is dead keeps its last inventory, with its age and what is wrong; nothing else waits for it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Heard, Lane, LaneError, Opener};
use super::{Daemon, DriveUnit};
use crate::clock::{Clock, Timestamp};
use crate::discovery::openers::Openers;
use crate::discovery::{Device, Kind};
use crate::library::{Bay, Changer, ChangerIdentity, Inventory, LibraryError, Volume};

/// How often a library is asked what is where.
const INVENTORY_EVERY: Duration = Duration::from_secs(10);

/// What a library is made of.
pub struct GivenLibrary {
    /// How commands name it.
    pub name: String,
    /// Its serial number, if the configuration demands one.
    pub serial: Option<String>,
    /// How it is reached, for people.
    pub path: String,
    /// Whether it is a simulated library.
    pub simulated: bool,
    /// How long one command may take.
    pub command_timeout: Duration,
    /// How to open it.
    pub opener: Opener<Changer>,
}

/// Makes libraries out of changers that the kernel shows and the configuration does not name, by their serial number.
pub type FoundLibraries = Box<dyn Fn(&str) -> GivenLibrary + Send + Sync>;

/// One library and what the daemon knows of it.
pub(super) struct LibraryUnit {
    pub(super) name: String,
    pub(super) path: String,
    pub(super) simulated: bool,
    serial: Option<String>,
    command_timeout: Duration,
    lane: Lane<Changer>,
    /// Whether a question is under way.
    asked: AtomicBool,
    state: Mutex<LibraryState>,
}

#[derive(Default)]
struct LibraryState {
    identity: Option<ChangerIdentity>,
    seen: Option<Seen>,
    problem: Option<String>,
    /// Monotonic time from which on it is to be asked again.
    next: Duration,
}

/// An inventory and its time.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) at: Timestamp,
    pub(super) inventory: Inventory,
}

/// What a library says of the bay of a drive.
#[derive(Debug, Clone)]
pub(super) struct SeenBay {
    pub(super) library: String,
    /// Counted from 0, as backup programs count drives.
    pub(super) number: usize,
    pub(super) bay: Bay,
    pub(super) at: Timestamp,
}

/// A volume that came to a bay or left it; or a bay that is empty at the first inventory, whatever was in it before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Move {
    pub(super) drive_serial: Option<String>,
    pub(super) before: Option<Volume>,
    pub(super) now: Option<Volume>,
}

impl LibraryUnit {
    pub(super) fn start(given: GivenLibrary, clock: &Arc<dyn Clock>) -> std::io::Result<Arc<Self>> {
        let lane = Lane::start(&format!("library {}", given.name), given.opener, clock.clone())?;
        Ok(Arc::new(Self {
            name: given.name,
            path: given.path,
            simulated: given.simulated,
            serial: given.serial,
            command_timeout: given.command_timeout,
            lane,
            asked: AtomicBool::new(false),
            state: Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, LibraryState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn identity(&self) -> Option<ChangerIdentity> {
        self.state().identity.clone()
    }

    pub(super) fn serial(&self) -> Option<String> {
        let said = || self.state().identity.as_ref().map(|identity| identity.serial.clone());
        self.serial.clone().or_else(said)
    }

    pub(super) fn seen(&self) -> Option<Seen> {
        self.state().seen.clone()
    }

    /// What is wrong with it now.
    pub(super) fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Asks what is where, unless it was asked and has not answered. The moves of bays since the last inventory, if there was one.
    async fn ask(&self, clock: &Arc<dyn Clock>) -> Vec<Move> {
        if self.asked.swap(true, Ordering::SeqCst) {
            return Vec::new();
        }
        let answer = self
            .lane
            .call("read the inventory", self.command_timeout, look, |_, _| {})
            .await;
        let answer = match answer {
            Ok(Heard { answer, .. }) => answer.map_err(|error| one_line(&error)),
            Err(error) => Err(in_words(&error)),
        };
        let moves = self.note(answer, clock.as_ref());
        self.asked.store(false, Ordering::SeqCst);
        moves
    }

    fn note(&self, answer: Result<(ChangerIdentity, Inventory), String>, clock: &dyn Clock) -> Vec<Move> {
        let mut state = self.state();
        state.next = clock.monotonic().saturating_add(INVENTORY_EVERY);
        let (identity, inventory) = match answer {
            Ok(found) => found,
            Err(problem) => return state.fail(&self.name, problem),
        };
        if state.problem.take().is_some() {
            tracing::info!(library = self.name, "the library answers again");
        }
        let before = state.seen.replace(Seen {
            at: clock.now(),
            inventory: inventory.clone(),
        });
        state.identity = Some(identity);
        before.map_or_else(|| empty(&inventory), |before| moves(&before.inventory, &inventory))
    }
}

impl LibraryState {
    fn fail(&mut self, library: &str, problem: String) -> Vec<Move> {
        // Said once, and again when it is another one.
        if self.problem.as_ref() != Some(&problem) {
            tracing::warn!(library, "{problem}");
        }
        self.problem = Some(problem);
        Vec::new()
    }
}

fn look(changer: &mut Changer) -> Result<(ChangerIdentity, Inventory), LibraryError> {
    Ok((changer.identify()?, changer.inventory()?))
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().replace("\nhint: ", "; ").replace('\n', " ")
}

fn in_words(error: &LaneError) -> String {
    match error {
        LaneError::Hangs { seconds, .. } => {
            format!(
                "the library hangs: it has not answered for {seconds} s; look at it, and power-cycle it if it stays so"
            )
        }
        LaneError::NoAnswer { seconds, .. } => {
            format!("the library gave no answer in {seconds} s; it is busy or hangs, and is asked again")
        }
        LaneError::Gone => {
            "nobody talks to the library any more: this is a bug in tapekeyd; see its log and restart it".into()
        }
    }
}

/// The bays without a volume.
fn empty(inventory: &Inventory) -> Vec<Move> {
    let is_empty = |bay: &&Bay| bay.place.volume.is_none();
    let empty = |bay: &Bay| Move {
        drive_serial: bay.drive_serial.clone(),
        before: None,
        now: None,
    };
    inventory.bays.iter().filter(is_empty).map(empty).collect()
}

/// What came to bays and left them between two inventories.
fn moves(before: &Inventory, now: &Inventory) -> Vec<Move> {
    let was = |address| before.bays.iter().find(|bay| bay.place.address == address);
    let moved = |bay: &Bay| {
        let before = was(bay.place.address)?.place.volume.clone();
        (before != bay.place.volume).then(|| Move {
            drive_serial: bay.drive_serial.clone(),
            before,
            now: bay.place.volume.clone(),
        })
    };
    now.bays.iter().filter_map(moved).collect()
}

impl Daemon {
    /// The libraries that there are now, those of the configuration first.
    pub(super) fn libraries(&self) -> Vec<Arc<LibraryUnit>> {
        self.libraries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has changers that the kernel shows asked too, each once.
    pub(super) fn adopt(&self, devices: &[Device]) {
        let changers = devices.iter().filter(|device| device.kind == Kind::Changer);
        for serial in changers.filter_map(|changer| changer.serial.as_deref()) {
            let known = self.libraries();
            if known.iter().any(|library| library.serial().as_deref() == Some(serial)) {
                continue;
            }
            match LibraryUnit::start((self.found_libraries)(serial), &self.clock) {
                Ok(library) => self
                    .libraries
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(library),
                Err(error) => tracing::warn!(serial, "start the thread of a library: {error}"),
            }
        }
    }

    /// Begins to ask every library whose time has come. Waits for none.
    pub(super) fn ask_libraries(self: &Arc<Self>) {
        let now = self.clock.monotonic();
        for library in self.libraries() {
            if library.state().next <= now {
                let daemon = self.clone();
                tokio::spawn(async move { daemon.ask_library(&library).await });
            }
        }
    }

    /// Asks a library, and draws the conclusions for the drives in its bays.
    pub(super) async fn ask_library(self: &Arc<Self>, library: &LibraryUnit) {
        for moved in library.ask(&self.clock).await {
            let unit = self
                .drives
                .iter()
                .find(|unit| moved.drive_serial.is_some() && unit.serial() == moved.drive_serial);
            let drive = unit.map_or_else(
                || moved.drive_serial.clone().unwrap_or_default(),
                |unit| unit.name.clone(),
            );
            if let Some(said) = said(&moved) {
                tracing::info!(library = library.name, drive, "{said}");
            }
            if let Some(unit) = unit {
                self.mind_move(unit, &moved).await;
            }
        }
    }

    /// The volume of a drive is not there any more: if a key of ours was in it, the drive is asked whether the key went too.
    async fn mind_move(&self, unit: &Arc<DriveUnit>, moved: &Move) {
        self.gate_hears_of_move(unit, moved).await;
        let volume_is_gone = moved.before.is_some() || moved.now.is_none();
        if volume_is_gone && unit.state().mount.is_some() {
            let around = self.surroundings().await;
            let devices = around.of_unit(unit);
            let nobody = devices.is_empty() || around.openers_of(&devices) == Openers::Nobody;
            if unit.is_held() || (unit.gate.is_none() && nobody) {
                self.look_at(vec![unit.clone()], true).await;
            }
        }
    }

    /// What the libraries say of the bay in which the drive with this serial number is.
    pub(super) fn bay_of(&self, serial: Option<&str>) -> Option<SeenBay> {
        let serial = serial?;
        self.libraries().iter().find_map(|library| {
            let seen = library.seen()?;
            let is_it = |bay: &Bay| bay.drive_serial.as_deref() == Some(serial);
            let number = seen.inventory.bays.iter().position(is_it)?;
            Some(SeenBay {
                library: library.name.clone(),
                number,
                bay: seen.inventory.bays.get(number)?.clone(),
                at: seen.at,
            })
        })
    }
}

fn said(moved: &Move) -> Option<String> {
    let name = |volume: &Volume| {
        volume
            .barcode
            .clone()
            .unwrap_or_else(|| "a volume without a barcode".into())
    };
    Some(match (&moved.before, &moved.now) {
        (None, Some(volume)) => format!("{} was put into the drive", name(volume)),
        (Some(volume), None) => format!("{} was taken out of the drive", name(volume)),
        (Some(before), Some(now)) => format!("{} was taken out of the drive, and {} put in", name(before), name(now)),
        (None, None) => return None,
    })
}
