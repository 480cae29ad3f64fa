//! Whether a drive is held: a state machine for one drive, pure.
//!
//! An event goes in, at most one action comes out; what the action came to is the next event. Times are monotonic.

use std::time::Duration;

/// How long after a close the drive is looked at: long enough for a program that opens again at once, far shorter than another volume takes to
/// become ready.
const LOOK_AFTER_CLOSE: Duration = Duration::from_secs(2);

/// How long until it is tried again to hold a drive that should be.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How long until a drive is looked at again that did not say what it holds.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(10);

/// What a drive was let go for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// A key of ours, which the drive itself reported.
    KeyLoaded,
    /// The pool of the volume is plain.
    Plain,
}

/// Where a drive stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The kernel shows no tape node of it.
    Absent,
    /// Its nodes are ours: nobody else can open one.
    Held,
    /// Programs may use it, for as long as the volume is mounted.
    Free,
    /// It should be held and is not.
    Lost,
    /// A person let it go, until then.
    SetAside(Duration),
}

/// What happens to a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Its nodes are there, or are others than before.
    Came,
    /// Its nodes have gone.
    Went,
    /// A program closed one of its nodes.
    Closed,
    /// The library shows another volume in it, or none. `into`: one was put in that may get a key.
    Moved {
        /// Whether one was put in.
        into: bool,
    },
    /// The key that it was let go for is not in force any more.
    KeyLost,
    /// Time has passed.
    Tick,
    /// A job is about to send it commands.
    JobBegins,
    /// The job has ended.
    JobEnds(Ending),
    /// A person wants it to be held.
    HoldAsked,
    /// A person wants it to be let go until then.
    SetAsideAsked(Duration),
    /// To [`Action::Take`]: it is ours.
    Taken,
    /// To [`Action::Take`]: a program has one of its nodes open.
    Busy,
    /// To [`Action::Take`]: there is no node.
    NoNode,
    /// To any action: it could not be carried out.
    Failed,
    /// To [`Action::LetGo`].
    Released,
    /// To [`Action::Tell`].
    Told,
    /// To [`Action::Look`].
    Looked(Found),
}

/// How a job ended, for the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// With this.
    Passed(Pass),
    /// What was in force before still is, as far as is known.
    Unchanged,
    /// With no key in the drive, or none that could be relied upon.
    NoKey,
}

/// What a look at the drive showed of what it was let go for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The same volume, and the same key in force if there was one.
    Intact,
    /// The volume has left.
    Left,
    /// The volume is there, and its key is not in force.
    KeyLost,
    /// The drive did not say.
    Unknown,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Open all its nodes, or keep them open.
    Take,
    /// Close them.
    LetGo,
    /// Have st look at the medium that was put in; `unless_known`: not if st knows of one.
    Tell {
        /// Whether what st knows is to be trusted: the node was opened after the move.
        unless_known: bool,
    },
    /// Ask the drive whether what it was let go for still holds.
    Look(Pass),
}

/// What people should hear.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is held until it is ready for a volume.
    Held,
    /// Programs may use it.
    Free,
    /// It should be held, and a program has it, or its nodes cannot be opened: an alarm.
    Lost,
    /// It was let go although a program had it open already, since a job of before left its key in it.
    FreeUnseen,
    /// It does not say what it holds, so it stays held.
    StillHeld,
    /// The time for which a person had let it go is over.
    MaintenanceOver,
}

/// What follows from an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Step {
    /// What people should hear.
    pub say: Option<Said>,
    /// What to do; it must be answered with an event before any other.
    pub action: Option<Action>,
}

/// Why the nodes are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Why {
    /// To see whether it may stay as it is.
    Judge,
    /// It should have been held.
    Retry,
    /// Something was moved.
    Moved { into: bool },
    /// For a job.
    Job,
    /// A person asked.
    Asked,
    /// The key is not there any more.
    KeyLost,
}

/// What was asked last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Nothing,
    Taking(Why),
    Telling,
    Looking,
    LettingGo(State),
}

/// The gate of one drive.
#[derive(Debug, Clone)]
pub struct Gate {
    state: State,
    /// What it may be free for, as far as nothing speaks against it.
    pass: Option<Pass>,
    doing: Doing,
    job: bool,
    /// It was free until a moment ago, and is looked at.
    short: bool,
    /// The pass is what the records said at start, and nobody has looked since.
    claimed: bool,
    /// Something happened while a job ran, and is looked at when that has ended.
    missed: bool,
    /// When to look, or to try again.
    next: Option<Duration>,
}

impl Gate {
    /// The gate of a drive of which nothing was seen yet. `claim`: what the records say it was let go for; it counts once the drive
    /// has shown it.
    #[must_use]
    pub fn new(claim: Option<Pass>) -> Self {
        Self {
            state: State::Absent,
            pass: claim,
            doing: Doing::Nothing,
            job: false,
            short: false,
            claimed: claim.is_some(),
            missed: false,
            next: None,
        }
    }

    /// The same for a drive that a person had let go until then.
    #[must_use]
    pub fn set_aside(until: Duration, claim: Option<Pass>) -> Self {
        Self {
            state: State::SetAside(until),
            ..Self::new(claim)
        }
    }

    /// Where the drive stands.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether a [`Event::Tick`] would change something now.
    #[must_use]
    pub fn is_due(&self, now: Duration) -> bool {
        let next = match self.state {
            State::SetAside(until) => Some(until),
            _ => self.next,
        };
        !self.job && next.is_some_and(|next| next <= now)
    }

    /// What follows from `event` at the time `now`.
    #[must_use]
    pub fn handle(&mut self, event: Event, now: Duration) -> Step {
        let doing = std::mem::replace(&mut self.doing, Doing::Nothing);
        let claimed = self.claimed;
        if matches!(doing, Doing::Taking(_)) || event == Event::Went {
            self.claimed = false;
        }
        match (doing, event) {
            (Doing::Taking(why), Event::Taken) => self.taken(why),
            (Doing::Taking(why), Event::Busy) => self.busy(why, claimed, now),
            (Doing::Taking(_), Event::NoNode) => self.no_node(),
            // It may be opened later, when nobody waits any more.
            (Doing::Taking(Why::Asked), Event::Failed) => self.let_go(self.state),
            (Doing::Taking(_), Event::Failed) => self.lost(now.saturating_add(ASK_AGAIN_AFTER)),
            (Doing::Telling, Event::Told | Event::Failed) => self.look_if_let_go_before(),
            (Doing::Looking, Event::Looked(found)) => self.looked(found, now),
            (Doing::LettingGo(then), Event::Released) => self.released(then),
            (Doing::Looking, Event::Failed) => self.looked(Found::Unknown, now),
            (Doing::LettingGo(_), Event::Failed) => self.not_released(now),
            (_, event) => self.happened(event, now),
        }
    }

    /// What comes from outside.
    fn happened(&mut self, event: Event, now: Duration) -> Step {
        match event {
            Event::Came => match self.state {
                State::Absent | State::Held | State::Free if !self.job => self.take(Why::Judge),
                _ => self.miss(),
            },
            Event::Went => match self.state {
                State::SetAside(_) => Step::default(),
                _ => self.let_go(State::Absent),
            },
            Event::Closed => {
                if self.state == State::Free {
                    self.next = Some(now.saturating_add(LOOK_AFTER_CLOSE));
                }
                Step::default()
            }
            Event::Moved { into } => self.moved(into),
            Event::KeyLost => self.key_lost(),
            Event::Tick => self.tick(now),
            Event::JobBegins => self.job_begins(),
            Event::JobEnds(ending) => self.job_ends(ending),
            Event::HoldAsked if self.state == State::Held => {
                self.pass = None;
                Step::default()
            }
            Event::HoldAsked => self.take(Why::Asked),
            Event::SetAsideAsked(until) => self.let_go(State::SetAside(until)),
            Event::Taken
            | Event::Busy
            | Event::NoNode
            | Event::Failed
            | Event::Released
            | Event::Told
            | Event::Looked(_) => Step::default(),
        }
    }

    fn tick(&mut self, now: Duration) -> Step {
        if !self.is_due(now) {
            return Step::default();
        }
        self.next = None;
        match (self.state, self.pass) {
            (State::SetAside(_), _) => Step {
                say: Some(Said::MaintenanceOver),
                ..self.take(Why::Judge)
            },
            (State::Free, _) => self.take(Why::Judge),
            (State::Held, Some(pass)) => self.look(pass),
            (State::Lost, _) => self.take(Why::Retry),
            (State::Held | State::Absent, _) => Step::default(),
        }
    }

    fn moved(&mut self, into: bool) -> Step {
        match self.state {
            State::Held => {
                self.pass = None;
                if into { self.tell(false) } else { Step::default() }
            }
            State::Free if !self.job => self.take(Why::Moved { into }),
            // Whoever opens it next, st looks then.
            _ => self.miss(),
        }
    }

    fn key_lost(&mut self) -> Step {
        self.pass = None;
        match self.state {
            State::Free if !self.job => self.take(Why::KeyLost),
            _ => self.miss(),
        }
    }

    fn miss(&mut self) -> Step {
        self.missed = self.job;
        Step::default()
    }

    fn job_begins(&mut self) -> Step {
        self.job = true;
        match self.state {
            State::Held | State::SetAside(_) => Step::default(),
            State::Absent | State::Free | State::Lost => self.take(Why::Job),
        }
    }

    fn job_ends(&mut self, ending: Ending) -> Step {
        self.job = false;
        match ending {
            Ending::Passed(pass) => {
                self.short = false;
                self.pass = Some(pass);
            }
            Ending::NoKey => self.pass = None,
            Ending::Unchanged => {}
        }
        let missed = std::mem::replace(&mut self.missed, false);
        match (self.state, ending, self.pass) {
            (State::Absent | State::Free | State::Held, _, _) if missed => self.take(Why::Judge),
            (State::Held, _, Some(pass)) => self.look(pass),
            (State::Lost, Ending::Passed(_), _) => self.let_go(State::Free),
            (State::Free, Ending::NoKey, _) => self.take(Why::KeyLost),
            _ => Step::default(),
        }
    }

    fn take(&mut self, why: Why) -> Step {
        self.doing = Doing::Taking(why);
        act(Action::Take)
    }

    fn look(&mut self, pass: Pass) -> Step {
        self.doing = Doing::Looking;
        act(Action::Look(pass))
    }

    fn let_go(&mut self, then: State) -> Step {
        self.doing = Doing::LettingGo(then);
        act(Action::LetGo)
    }

    fn tell(&mut self, unless_known: bool) -> Step {
        self.doing = Doing::Telling;
        act(Action::Tell { unless_known })
    }

    fn look_if_let_go_before(&mut self) -> Step {
        match self.pass {
            Some(pass) if !self.job => self.look(pass),
            _ => Step::default(),
        }
    }

    fn taken(&mut self, why: Why) -> Step {
        let was = std::mem::replace(&mut self.state, State::Held);
        self.next = None;
        self.short = was == State::Free;
        match why {
            Why::Asked => self.pass = None,
            // st looked when the node was opened; a volume that was not ready then it has not seen.
            Why::Moved { into: true } => return self.tell(true),
            _ => {}
        }
        let looks = self.look_if_let_go_before();
        if looks.action.is_some() || self.job || was == State::Held {
            return looks;
        }
        say(Said::Held)
    }

    fn busy(&mut self, why: Why, claimed: bool, now: Duration) -> Step {
        match (why, self.state) {
            (Why::Asked, _) | (Why::Job, State::Free | State::Lost) => Step::default(),
            // It has opened again, and its close will be seen.
            (Why::Judge, State::Free) if self.pass.is_some() => {
                self.next = None;
                Step::default()
            }
            (Why::Judge | Why::Job, State::Absent) if claimed && self.pass.is_some() => {
                self.state = State::Free;
                say(Said::FreeUnseen)
            }
            (Why::Retry, _) => {
                self.next = Some(now.saturating_add(RETRY_AFTER));
                Step::default()
            }
            // What it was let go for may still be there: the look that follows once it is held will tell.
            _ => self.lost(now.saturating_add(RETRY_AFTER)),
        }
    }

    fn no_node(&mut self) -> Step {
        self.state = State::Absent;
        self.next = None;
        Step::default()
    }

    fn lost(&mut self, next: Duration) -> Step {
        let was = std::mem::replace(&mut self.state, State::Lost);
        self.next = Some(next);
        if was == State::Lost {
            Step::default()
        } else {
            say(Said::Lost)
        }
    }

    fn looked(&mut self, found: Found, now: Duration) -> Step {
        match found {
            Found::Intact => self.let_go(State::Free),
            Found::Left | Found::KeyLost => {
                self.pass = None;
                say(Said::Held)
            }
            Found::Unknown => {
                self.next = Some(now.saturating_add(ASK_AGAIN_AFTER));
                say(Said::StillHeld)
            }
        }
    }

    fn released(&mut self, then: State) -> Step {
        self.state = then;
        self.next = None;
        if then == State::Free && !self.short {
            say(Said::Free)
        } else {
            Step::default()
        }
    }

    fn not_released(&mut self, now: Duration) -> Step {
        if self.state != State::Held {
            return Step::default();
        }
        // The kernel may close it later, when nobody waits any more.
        self.lost(now.saturating_add(RETRY_AFTER))
    }
}

fn act(action: Action) -> Step {
    Step {
        say: None,
        action: Some(action),
    }
}

fn say(said: Said) -> Step {
    Step {
        say: Some(said),
        action: None,
    }
}

#[cfg(test)]
mod tests;
