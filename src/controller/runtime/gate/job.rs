//! The gate around a job: the drive is held before the first command, and let go only for what the job's own outcome proves.

use std::sync::Arc;
use std::time::Duration;

use crate::controller::job::{JobKind, Level, Outcome};
use crate::controller::runtime::{Daemon, DriveUnit};
use crate::controller::step::Receipt;
use crate::gate::{Ending, Event, Pass, State};

/// How long a job waits to hear from the library what is in its drive.
const LIBRARY_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// A job that is at the gate: however it ends, the gate hears of it.
pub(in crate::controller::runtime) struct AtGate {
    daemon: Arc<Daemon>,
    unit: Arc<DriveUnit>,
    /// Whether the gate was told.
    pub(in crate::controller::runtime) told: bool,
}

impl AtGate {
    pub(in crate::controller::runtime) fn new(daemon: &Arc<Daemon>, unit: &Arc<DriveUnit>) -> Self {
        Self {
            daemon: daemon.clone(),
            unit: unit.clone(),
            told: unit.gate.is_none(),
        }
    }
}

impl Drop for AtGate {
    fn drop(&mut self) {
        if !self.told {
            self.daemon.tell_gate(&self.unit, vec![Event::JobEnds(Ending::NoKey)]);
        }
    }
}

/// Something that the job's details say.
pub(in crate::controller::runtime) struct Note {
    pub(in crate::controller::runtime) level: Level,
    pub(in crate::controller::runtime) text: String,
    pub(in crate::controller::runtime) hint: Option<&'static str>,
}

/// What a job's outcome is for the gate: the only place where a pass is made, out of the drive's own read-back or of the answer that the pool is plain.
///
/// What the drive was let go for before stands only if the job was refused and did not want that to end: a wish for a key ends a plain volume's pass.
fn ending(
    unit: &DriveUnit,
    (kind, plain_pool): (JobKind, bool),
    outcome: Outcome,
    receipt: Option<&Receipt>,
) -> Ending {
    let keeps_plain = kind == JobKind::Scan || (outcome == Outcome::Refused && (plain_pool || kind == JobKind::Clear));
    if outcome != Outcome::Plain && !keeps_plain {
        unit.state().plain = None;
    }
    match (outcome, receipt) {
        (Outcome::KeyLoaded, Some(_)) => Ending::Passed(Pass::KeyLoaded),
        (Outcome::Plain, _) => Ending::Passed(Pass::Plain),
        (Outcome::Cleared, _) => Ending::NoKey,
        _ => {
            let state = unit.state();
            if state.mount.is_some() || state.plain.is_some() {
                Ending::Unchanged
            } else {
                Ending::NoKey
            }
        }
    }
}

impl Daemon {
    /// Holds the drive for a job. What the job should say; or why it must not begin.
    ///
    /// # Errors
    /// A key is not taken out of a drive that a program has open: what it wrote on would be plain.
    pub(in crate::controller::runtime) async fn enter_gate(
        self: &Arc<Self>,
        unit: &Arc<DriveUnit>,
        kind: JobKind,
    ) -> Result<Option<Note>, Note> {
        if unit.gate.is_none() {
            return Ok(None);
        }
        self.hear_of_moves(unit).await;
        let program = match self.at_gate(unit, Event::JobBegins).await {
            Some(State::Free | State::Lost) => self.who_is_in(unit).await,
            _ => return Ok(None),
        };
        if kind == JobKind::Clear {
            return Err(Note {
                level: Level::Error,
                text: format!(
                    "the drive could not be held: {program}; what it wrote after the key is out would be plain"
                ),
                hint: Some("end that program, or tapekey drive release with a reason first"),
            });
        }
        Ok(Some(Note {
            level: Level::Note,
            text: format!("the drive could not be held: {program}; the job goes on under it"),
            hint: None,
        }))
    }

    /// Who is in the way of the hold.
    pub(in crate::controller::runtime) async fn who_is_in(&self, unit: &DriveUnit) -> String {
        let around = self.surroundings().await;
        let trouble = || unit.gate.as_ref().and_then(|gate| gate.facts().trouble.clone());
        match self.program_in(unit, &around) {
            Some(programs) => format!("{programs} has its tape node open"),
            None => trouble().unwrap_or_else(|| "a program has its tape node open".into()),
        }
    }

    /// A move into the drive may be news to us: st must be shown the volume before a command of ours takes its unit attention.
    async fn hear_of_moves(self: &Arc<Self>, unit: &DriveUnit) {
        let Some(bay) = self.bay_of(unit.serial().as_deref()) else {
            return;
        };
        let libraries = self.libraries();
        let Some(library) = libraries.into_iter().find(|library| library.name == bay.library) else {
            return;
        };
        if library.problem().is_some() {
            return;
        }
        let daemon = self.clone();
        let asked = tokio::spawn(async move { daemon.ask_library(&library).await });
        if tokio::time::timeout(LIBRARY_ANSWERS_WITHIN, asked).await.is_err() {
            tracing::warn!(
                drive = unit.name,
                "the library did not say in time what is in the drive"
            );
        }
    }

    /// Lets the drive go if the job earned it. What the job should say.
    pub(in crate::controller::runtime) async fn leave_gate(
        &self,
        unit: &DriveUnit,
        wanted: (JobKind, bool),
        outcome: Outcome,
        receipt: Option<&Receipt>,
    ) -> Option<Note> {
        let ending = ending(unit, wanted, outcome, receipt);
        let before = unit.gate.as_ref()?.state();
        let after = self.at_gate(unit, Event::JobEnds(ending)).await?;
        let trouble = || unit.gate.as_ref().and_then(|gate| gate.facts().trouble.clone());
        match (before, after, ending) {
            (State::Held, State::Free, _) => Some(Note {
                level: Level::Note,
                text: "the drive is let go: programs may use it until its volume leaves".into(),
                hint: None,
            }),
            (State::Held, State::Held, Ending::Passed(_)) => Some(Note {
                level: Level::Error,
                text: format!(
                    "the drive stays held: {}",
                    trouble().unwrap_or_else(|| "what was loaded was not in force any more a moment later".into())
                ),
                hint: Some("see tapekey status; load again"),
            }),
            (State::Held, State::Held, _) => Some(Note {
                level: Level::Note,
                text: "the drive is held: no program can open it".into(),
                hint: None,
            }),
            _ => None,
        }
    }
}
