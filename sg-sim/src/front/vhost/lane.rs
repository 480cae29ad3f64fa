//! The way to one logical unit: its commands are executed one after another, in a thread of their own.
//!
//! Task management goes past the commands that wait: they are answered without being executed, and the function is answered after them, so
//! that no command of before is under way once the guest has heard of it. A command that waits for the end of a hang is one of those that wait.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::exchange::{self, Buffers};
use super::ring::{Chain, Ticket};
use super::wire::{Outcome, Request};
use crate::ItNexus;
use crate::front::machine::{Client, Machine};

/// Commands that may wait for one unit. A guest cannot have more under way than its queues have entries.
const WAITING_MAX: usize = 1024;
/// Resets that may wait for one unit.
const RESETS_MAX: usize = 16;

/// The way to one unit.
pub(super) struct Lane {
    tasks: SyncSender<Task>,
    resets: SyncSender<Confirmation>,
    cut: Arc<Cut>,
}

/// A command that waits for a unit.
pub(super) struct Command {
    /// Its header.
    pub(super) request: Request,
    /// Where its data and its answer are.
    pub(super) chain: Chain,
    /// The duty to answer.
    pub(super) ticket: Ticket,
}

/// Writes the answer to a task management function.
pub(super) type Confirmation = Box<dyn FnOnce(Outcome) + Send>;

enum Task {
    Execute { command: Command, accepted: u64 },
    Confirm(Confirmation),
}

/// Which waiting commands are not to be executed any more: those accepted before the last cut, and those that are aborted by their tag.
struct Cut(Mutex<LastCut>);

struct LastCut {
    number: u64,
    outcome: Outcome,
    aborted: Vec<u64>,
}

impl Cut {
    fn new() -> Self {
        Self(Mutex::new(LastCut {
            number: 0,
            outcome: Outcome::Aborted,
            aborted: Vec::new(),
        }))
    }

    fn number(&self) -> u64 {
        self.last().number
    }

    fn make(&self, outcome: Outcome) {
        let mut last = self.last();
        last.number = last.number.wrapping_add(1);
        last.outcome = outcome;
    }

    fn abort(&self, tag: u64) {
        self.last().aborted.push(tag);
    }

    /// A tag may be used again.
    fn forget(&self, tag: u64) {
        let mut last = self.last();
        if let Some(at) = last.aborted.iter().position(|aborted| *aborted == tag) {
            last.aborted.swap_remove(at);
        }
    }

    /// What to tell the guest instead of executing a command.
    fn verdict(&self, accepted: u64, tag: u64) -> Option<Outcome> {
        let last = self.last();
        if last.number != accepted {
            return Some(last.outcome);
        }
        last.aborted.contains(&tag).then_some(Outcome::Aborted)
    }

    /// Plain values, written whole.
    fn last(&self) -> MutexGuard<'_, LastCut> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lane {
    /// Opens the way to `unit`. Its threads end when the lane is dropped and what they are doing is done.
    ///
    /// # Errors
    /// The system gives no thread.
    pub(super) fn open(machine: Arc<Machine>, unit: usize, nexus: ItNexus) -> io::Result<Self> {
        let (tasks, waiting) = sync_channel(WAITING_MAX);
        let (resets, waiting_resets) = sync_channel(RESETS_MAX);
        let cut = Arc::new(Cut::new());
        let worker = Worker {
            machine: Arc::clone(&machine),
            unit,
            nexus,
            cut: Arc::clone(&cut),
        };
        let confirmations = tasks.clone();
        thread::Builder::new()
            .name(format!("unit {unit}"))
            .spawn(move || worker.run(&waiting))?;
        thread::Builder::new()
            .name(format!("reset {unit}"))
            .spawn(move || reset(&machine, unit, &waiting_resets, &confirmations))?;
        Ok(Self { tasks, resets, cut })
    }

    /// Hands a command to the unit. The guest is told BUSY if too many wait.
    pub(super) fn execute(&self, command: Command) {
        let accepted = self.cut.number();
        if let Err(refused) = self.tasks.try_send(Task::Execute { command, accepted })
            && let (Task::Execute { command, .. }, outcome) = outcome_of(refused)
        {
            let Command { chain, ticket, .. } = command;
            ticket.finish(|| exchange::answer(&chain, outcome));
        }
    }

    /// Ends every waiting command, and confirms once the one under way is done.
    pub(super) fn abort_all(&self, confirmation: Confirmation) {
        self.cut.make(Outcome::Aborted);
        self.confirm(confirmation);
    }

    /// Ends a waiting command, and confirms once every command accepted so far is done. What a unit is executing is waited for.
    pub(super) fn abort(&self, tag: u64, confirmation: Confirmation) {
        self.cut.abort(tag);
        let cut = Arc::clone(&self.cut);
        self.confirm(Box::new(move |outcome| {
            cut.forget(tag);
            confirmation(outcome);
        }));
    }

    fn confirm(&self, confirmation: Confirmation) {
        if let Err(refused) = self.tasks.try_send(Task::Confirm(confirmation))
            && let (Task::Confirm(confirmation), outcome) = outcome_of(refused)
        {
            confirmation(outcome);
        }
    }

    /// Resets the unit, ends every waiting command, and confirms.
    pub(super) fn reset(&self, confirmation: Confirmation) {
        self.cut.make(Outcome::Reset);
        if let Err(refused) = self.resets.try_send(confirmation) {
            let (confirmation, outcome) = outcome_of(refused);
            confirmation(outcome);
        }
    }
}

fn outcome_of<T>(refused: TrySendError<T>) -> (T, Outcome) {
    match refused {
        TrySendError::Full(refused) => (refused, Outcome::Busy),
        TrySendError::Disconnected(refused) => (refused, Outcome::Failure),
    }
}

/// The thread for resets: a reset must reach a unit that hangs in a command.
fn reset(machine: &Machine, unit: usize, waiting: &Receiver<Confirmation>, confirmations: &SyncSender<Task>) {
    for confirmation in waiting {
        // A drive that is at work for minutes hears nothing, and the guest nothing of that.
        let _ = machine.reset(unit);
        if confirmations.send(Task::Confirm(confirmation)).is_err() {
            return;
        }
    }
}

/// The thread that executes a unit's commands.
struct Worker {
    machine: Arc<Machine>,
    unit: usize,
    nexus: ItNexus,
    cut: Arc<Cut>,
}

impl Worker {
    fn run(&self, waiting: &Receiver<Task>) {
        let mut buffers = Buffers::default();
        for task in waiting {
            match task {
                Task::Execute { command, accepted } => self.execute(&mut buffers, command, accepted),
                Task::Confirm(confirmation) => confirmation(Outcome::Ok),
            }
        }
    }

    fn execute(&self, buffers: &mut Buffers, command: Command, accepted: u64) {
        let Command { request, chain, ticket } = command;
        let verdict = || self.cut.verdict(accepted, request.tag);
        if let Some(outcome) = verdict() {
            ticket.finish(|| exchange::answer(&chain, outcome));
            return;
        }
        let mut present = || verdict().is_none() && !ticket.is_void();
        let mut client = Client::new(&mut present);
        let to = (self.unit, &self.nexus);
        let executed = buffers.execute(&self.machine, to, &request, &chain, &mut client);
        match (executed, verdict()) {
            (Some(executed), _) => ticket.finish(|| executed.write(&chain)),
            (None, Some(outcome)) => ticket.finish(|| exchange::answer(&chain, outcome)),
            // The guest has gone, or the server ends.
            (None, None) => {}
        }
    }
}
