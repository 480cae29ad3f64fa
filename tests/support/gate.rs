//! A place where a wire stops whatever passes, until a test has done what it wanted to do at that moment.

use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use super::programs::PATIENCE;

/// What becomes of what was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on.
    GoOn,
    /// The connection ends.
    Cut,
}

/// One thing at a time is held here.
#[derive(Default)]
pub struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held: bool,
    verdict: Option<Verdict>,
}

impl Gate {
    /// Stops here until the test decides; a test that never does counts as a cut.
    pub fn hold(&self) -> Verdict {
        let mut state = self.state();
        state.held = true;
        self.changed.notify_all();
        let waited = self
            .changed
            .wait_timeout_while(state, PATIENCE * 2, |state| state.verdict.is_none());
        let mut state = waited.unwrap().0;
        state.held = false;
        state.verdict.take().unwrap_or(Verdict::Cut)
    }

    /// Whether something is held, or comes to be held within `limit`.
    pub fn holds_within(&self, limit: Duration) -> bool {
        let state = self.state();
        let waited = self.changed.wait_timeout_while(state, limit, |state| !state.held);
        waited.unwrap().0.held
    }

    /// Waits until something is held.
    #[track_caller]
    pub fn wait(&self) {
        assert!(self.holds_within(PATIENCE), "the moment never came");
    }

    /// Decides about what is held.
    #[track_caller]
    pub fn decide(&self, verdict: Verdict) {
        let mut state = self.state();
        assert!(state.held && state.verdict.is_none(), "nothing is held");
        state.verdict = Some(verdict);
        self.changed.notify_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}
