//! The gates carried out: each drive's tape nodes are held by a thread of its own, and asked for nothing else.
//!
//! What is to be done the state machine in [`crate::gate`] says. Here its actions meet the kernel, the drive and the people who have to hear of
//! it. A pass is made in one place, out of a job's own outcome.

mod found;
mod job;
mod watch;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::lane::{Heard, Lane, LaneError, PathLoss, Patience, Reached};
use super::{Daemon, DriveUnit};
use crate::clock::{Clock, Timestamp};
use crate::controller::job::{JobMessage, Level};
use crate::controller::report::GateStatus;
use crate::discovery::{Device, Node};
use crate::drive::Attention;
use crate::gate::{Action, Event, Found, Gate, Keeper, NodeError, NodeName, Pass, Said, State, TapeNode, TapeNodes};

pub(super) use found::PlainMount;
pub(super) use job::{AtGate, Note};
pub(super) use watch::ClosesHeard;

/// How long st may take to open or close a node: it looks into the drive.
const OPEN_MAX: Patience = Patience {
    wait: Duration::from_secs(20),
    may_take: Duration::from_secs(60),
};

/// How long a medium may take to be loaded.
const LOAD_MAX: Patience = Patience {
    wait: Duration::from_secs(600),
    may_take: Duration::from_secs(600),
};

/// How long a look waits for the gate.
const STANDS_STILL_WITHIN: Duration = Duration::from_secs(5);

/// Actions that can follow from one event; the state machine comes to rest after fewer.
const ACTIONS_MAX: usize = 8;

/// The gate of one drive and the thread that has its nodes.
pub(super) struct GateUnit {
    gate: Mutex<Gate>,
    lane: Lane<Keeper>,
    /// One event at a time.
    turn: tokio::sync::Mutex<()>,
    /// Closes of ours that were not heard yet.
    own_closes: Arc<AtomicU64>,
    /// Whether a key may be taken out: no program can be writing under it, or a person said that it may.
    may_lose_key: Arc<AtomicBool>,
    facts: Mutex<Facts>,
}

/// What people want to know beside the state.
#[derive(Debug, Clone, Default)]
struct Facts {
    /// Why it is not held, or not let go.
    trouble: Option<String>,
    maintenance: Option<Maintenance>,
}

/// A person let the drive go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Maintenance {
    pub(super) job: u64,
    pub(super) until: Timestamp,
    pub(super) reason: String,
}

/// What the records say of a drive at start.
#[derive(Debug, Default)]
pub(super) struct Claims {
    /// What the last job let it go for.
    pub(super) pass: Option<Pass>,
    /// For what a person had let it go.
    pub(super) maintenance: Option<Maintenance>,
}

impl Reached for Keeper {
    type Error = NodeError;

    fn take_attentions(&mut self) -> Vec<Attention> {
        Vec::new()
    }
}

impl PathLoss for NodeError {
    /// The keeper itself knows which of its nodes are dead.
    fn path_is_lost(&self) -> bool {
        false
    }
}

impl GateUnit {
    /// Starts the thread. Nothing is opened yet.
    pub(super) fn start(
        drive: &str,
        nodes: Arc<dyn TapeNodes>,
        claims: Claims,
        clock: &Arc<dyn Clock>,
    ) -> std::io::Result<Self> {
        let own_closes = Arc::new(AtomicU64::new(0));
        let counted = own_closes.clone();
        let opener = Box::new(move || Ok(Keeper::new(nodes.clone(), counted.clone())));
        let gate = match &claims.maintenance {
            Some(maintenance) => {
                let rest = Duration::try_from(maintenance.until - clock.now()).unwrap_or_default();
                Gate::set_aside(clock.monotonic().saturating_add(rest), claims.pass)
            }
            None => Gate::new(claims.pass),
        };
        Ok(Self {
            gate: Mutex::new(gate),
            lane: Lane::start(&format!("gate {drive}"), opener, clock.clone())?,
            turn: tokio::sync::Mutex::default(),
            own_closes,
            may_lose_key: Arc::new(AtomicBool::new(true)),
            facts: Mutex::new(Facts {
                trouble: None,
                maintenance: claims.maintenance,
            }),
        })
    }

    fn gate(&self) -> MutexGuard<'_, Gate> {
        self.gate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn state(&self) -> State {
        self.gate().state()
    }

    fn note_state(&self) {
        let state = self.state();
        let nobody_is_in = matches!(state, State::Held | State::Absent | State::SetAside(_));
        self.may_lose_key.store(nobody_is_in, Ordering::SeqCst);
        if state == State::Absent {
            // Nobody hears of closes of nodes that have gone.
            self.own_closes.store(0, Ordering::SeqCst);
        }
    }

    /// Has the keeper's thread do `work`. What went wrong is kept for people, unless a program was in the way.
    async fn keep(
        &self,
        name: &'static str,
        patience: Patience,
        work: impl FnOnce(&mut Keeper) -> Result<(), NodeError> + Send + 'static,
        done: Event,
    ) -> Event {
        let trouble = match self.lane.call(name, patience, work, |_, _| {}).await {
            Ok(Heard { answer: Ok(()), .. }) => return done,
            Ok(Heard {
                answer: Err(NodeError::Busy { .. }),
                ..
            }) => return Event::Busy,
            Ok(Heard { answer: Err(error), .. }) => one_line(&error),
            Err(LaneError::Gone) => "nobody holds the tape node any more: this is a bug in tapekeyd".to_owned(),
            Err(error) => one_line(&error),
        };
        self.facts().trouble = Some(trouble);
        Event::Failed
    }
}

impl DriveUnit {
    /// Where its gate stands; nothing if the configuration does not want it to be held.
    pub(super) fn gate_status(&self) -> Option<GateStatus> {
        let gate = self.gate.as_ref()?;
        let facts = gate.facts().clone();
        Some(match (gate.state(), facts.maintenance) {
            (State::Absent, _) => GateStatus::Absent,
            (State::Held, _) => GateStatus::Held,
            (State::Free, _) => GateStatus::Free,
            (State::SetAside(_), Some(Maintenance { job, until, reason })) => {
                GateStatus::Released { until, reason, job }
            }
            (State::Lost | State::SetAside(_), _) => GateStatus::Lost(facts.trouble.unwrap_or_default()),
        })
    }

    pub(super) fn remember_maintenance(&self, maintenance: Maintenance) {
        if let Some(gate) = &self.gate {
            gate.facts().maintenance = Some(maintenance);
        }
    }

    pub(super) fn forget_maintenance(&self) {
        if let Some(gate) = &self.gate {
            gate.facts().maintenance = None;
        }
    }

    /// Whether a key may be taken out of it now, to be asked again when it is.
    pub(super) fn may_lose_key(&self) -> Arc<AtomicBool> {
        let gate = self.gate.as_ref();
        gate.map_or_else(|| Arc::new(AtomicBool::new(true)), |gate| gate.may_lose_key.clone())
    }

    /// Keeps the gate as it is while a look at the drive is under way; nothing if something else is for longer than anybody waits.
    pub(super) async fn gate_stands_still(&self) -> Option<Option<tokio::sync::MutexGuard<'_, ()>>> {
        match &self.gate {
            None => Some(None),
            Some(gate) => tokio::time::timeout(STANDS_STILL_WITHIN, gate.turn.lock())
                .await
                .ok()
                .map(Some),
        }
    }

    /// Whether its nodes are ours, so that no program can be using it.
    pub(super) fn is_held(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.state() == State::Held)
    }
}

impl Daemon {
    /// Tells the gate of a drive what happened, and does what follows. Where it stands then; nothing if the drive has no gate.
    pub(super) async fn at_gate(&self, unit: &DriveUnit, event: Event) -> Option<State> {
        let gate = unit.gate.as_ref()?;
        let _turn = gate.turn.lock().await;
        let mut event = event;
        for _ in 0..ACTIONS_MAX {
            let step = gate.gate().handle(event, self.clock.monotonic());
            if let Some(said) = step.say {
                self.say_of_gate(unit, gate, said).await;
            }
            let Some(action) = step.action else { break };
            gate.note_state();
            event = self.act_on_gate(unit, gate, action).await;
        }
        gate.note_state();
        Some(gate.state())
    }

    async fn act_on_gate(&self, unit: &DriveUnit, gate: &GateUnit, action: Action) -> Event {
        match action {
            Action::Take => match self.tape_nodes(unit).await {
                Err(problem) => {
                    gate.facts().trouble = Some(problem);
                    Event::Failed
                }
                Ok(nodes) if nodes.is_empty() => Event::NoNode,
                Ok(nodes) => {
                    let take = move |keeper: &mut Keeper| keeper.take(&nodes);
                    gate.keep("hold the tape node", OPEN_MAX, take, Event::Taken).await
                }
            },
            Action::LetGo => {
                let let_go = |keeper: &mut Keeper| {
                    keeper.let_go();
                    Ok(())
                };
                gate.keep("let the tape node go", OPEN_MAX, let_go, Event::Released)
                    .await
            }
            Action::Tell { unless_known } => {
                let tell = move |keeper: &mut Keeper| keeper.tell(unless_known);
                let told = gate.keep("show the medium to st", LOAD_MAX, tell, Event::Told).await;
                if told == Event::Failed {
                    let why = gate.facts().trouble.take().unwrap_or_default();
                    tracing::warn!(
                        drive = unit.name,
                        "st was not shown the volume that was put in; it looks when a program opens the node: {why}"
                    );
                }
                told
            }
            Action::Look(pass) => Event::Looked(self.look_for_gate(unit, gate, pass).await),
        }
    }

    /// The tape nodes of all paths to the drive.
    async fn tape_nodes(&self, unit: &DriveUnit) -> Result<Vec<TapeNode>, String> {
        let around = self.surroundings().await;
        if let Some(problem) = &around.problem {
            return Err(problem.replace("\nhint: ", "; "));
        }
        let devices = around.of_unit(unit);
        Ok(devices.into_iter().filter_map(tape_node).collect())
    }

    /// Whether what the drive was let go for is still so, as the drive itself says. Its nodes are held meanwhile.
    async fn look_for_gate(&self, unit: &DriveUnit, gate: &GateUnit, pass: Pass) -> Found {
        let (mount, plain) = {
            let state = unit.state();
            (state.mount.clone(), state.plain.clone())
        };
        let seen = match self.look_under_hold(unit).await {
            Ok(seen) => seen,
            Err(why) => {
                gate.facts().trouble = Some(why);
                return Found::Unknown;
            }
        };
        let found = found::found(pass, mount.as_ref(), plain.as_ref(), &seen);
        match found {
            Found::Left | Found::KeyLost => {
                let plain = unit.state().plain.take();
                if let Some(plain) = plain {
                    self.note_gone(plain.job).await;
                }
            }
            Found::Unknown => gate.facts().trouble = Some("the drive does not say what it holds".into()),
            Found::Intact => {}
        }
        found
    }

    async fn say_of_gate(&self, unit: &DriveUnit, gate: &GateUnit, said: Said) {
        let drive = unit.name.as_str();
        match said {
            Said::Held => {
                gate.facts().trouble = None;
                tracing::info!(
                    drive,
                    "the drive is held: until a key is in it, or its volume is to be plain, every program gets \
                     \"Device or resource busy\" (EBUSY); tapekey load {drive} makes it ready, tapekey drive release {drive} lets it go without a key"
                );
            }
            Said::Free => {
                gate.facts().trouble = None;
                tracing::info!(drive, "programs may use the drive until its volume leaves");
            }
            Said::FreeUnseen => tracing::warn!(
                drive,
                "a program has the drive open already; the key that a job left in it is taken to be there until the program closes, then it is looked at"
            ),
            Said::StillHeld => {
                let why = gate.facts().trouble.clone().unwrap_or_default();
                tracing::warn!(drive, "the drive stays held: {why}");
            }
            Said::MaintenanceOver => {
                gate.facts().maintenance = None;
                tracing::info!(drive, "the time for which the drive was released is over");
            }
            Said::Lost => self.gate_is_lost(unit, gate).await,
        }
    }

    /// The alarm: the drive should be held, and is not.
    async fn gate_is_lost(&self, unit: &DriveUnit, gate: &GateUnit) {
        let around = self.surroundings().await;
        let trouble = gate.facts().trouble.clone();
        let why = match (trouble, self.program_in(unit, &around)) {
            (_, Some(programs)) => format!("{programs} has its tape node open"),
            (Some(trouble), None) => trouble,
            (None, None) => "a program has its tape node open, and the daemon may not see which".to_owned(),
        };
        gate.facts().trouble = Some(why.clone());
        let what = format!("gate lost: the drive should be held, and is not: {why}");
        let hint = "what is written on it now may be plain: end that program, and load the volume's key; it is held as soon as it can be";
        let mount = unit.state().mount.clone();
        match mount {
            Some(mount) => self.raise(unit, &mount, vec![what.clone()], &what, hint).await,
            None => self.raise_for_drive(unit, what, hint),
        }
    }

    /// Raises an alarm that is about no job's key.
    fn raise_for_drive(&self, unit: &DriveUnit, text: String, hint: &str) {
        tracing::error!(drive = unit.name, hint, "ALARM: {text}");
        unit.state().alarm(JobMessage {
            at: self.clock.now(),
            level: Level::Alarm,
            text,
            hint: Some(hint.into()),
        });
    }
}

fn tape_node(device: &Device) -> Option<TapeNode> {
    let name = |node: &Node| NodeName {
        path: node.path.clone(),
        major: node.number.major,
        minor: node.number.minor,
    };
    let held = device.no_rewind()?;
    let others = device.tape.iter().filter(|node| *node != held);
    Some(TapeNode {
        held: name(held),
        others: others.map(name).collect(),
    })
}

fn one_line(error: &impl ToString) -> String {
    error.to_string().replace("\nhint: ", "; ").replace('\n', " ")
}

/// Whether a close was ours, and then it is not counted again.
fn is_own(gate: &GateUnit) -> bool {
    let counted = gate
        .own_closes
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |closes| closes.checked_sub(1));
    counted.is_ok()
}
