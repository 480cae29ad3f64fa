//! What the gate does, told as stories, and what it never does, whatever happens.

use super::*;
use proptest::prelude::*;

const SECOND: Duration = Duration::from_secs(1);

/// A gate in front of a drive whose answers are given.
struct Stage {
    gate: Gate,
    now: Duration,
    /// Whether a program has the node open.
    busy: bool,
    /// What the drive shows.
    found: Found,
    did: Vec<Action>,
    said: Vec<Said>,
    held: bool,
}

impl Stage {
    fn new(claim: Option<Pass>) -> Self {
        Self {
            gate: Gate::new(claim),
            now: Duration::ZERO,
            busy: false,
            found: Found::Intact,
            did: Vec::new(),
            said: Vec::new(),
            held: false,
        }
    }

    /// A gate that is held.
    fn held() -> Self {
        let mut stage = Self::new(None);
        stage.on(Event::Came);
        assert_eq!((stage.gate.state(), stage.held), (State::Held, true));
        stage.forget()
    }

    /// A gate that a load let go.
    fn free() -> Self {
        let mut stage = Self::held();
        stage.load();
        assert_eq!((stage.gate.state(), stage.held), (State::Free, false));
        stage.forget()
    }

    fn forget(mut self) -> Self {
        self.did.clear();
        self.said.clear();
        self
    }

    fn load(&mut self) {
        self.on(Event::JobBegins);
        self.on(Event::JobEnds(Ending::Passed(Pass::KeyLoaded)));
    }

    fn after(&mut self, wait: Duration) {
        self.now += wait;
        if self.gate.is_due(self.now) {
            self.on(Event::Tick);
        }
    }

    fn on(&mut self, event: Event) {
        let mut event = event;
        for _ in 0..8 {
            let step = self.gate.handle(event, self.now);
            self.said.extend(step.say);
            let Some(action) = step.action else { return };
            self.did.push(action);
            event = self.answer(action);
        }
        panic!("it does not come to rest: {:?}", self.did);
    }

    fn answer(&mut self, action: Action) -> Event {
        match action {
            Action::Take if self.busy && !self.held => Event::Busy,
            Action::Take => {
                self.held = true;
                Event::Taken
            }
            Action::LetGo => {
                self.held = false;
                Event::Released
            }
            Action::Tell { .. } => Event::Told,
            Action::Look(_) => Event::Looked(self.found),
        }
    }

    fn state(&self) -> State {
        self.gate.state()
    }
}

#[test]
fn a_drive_is_held_when_it_comes_and_a_loaded_key_that_the_drive_shows_lets_it_go() {
    let mut stage = Stage::held();
    stage.load();
    assert_eq!(stage.did, [Action::Look(Pass::KeyLoaded), Action::LetGo]);
    assert_eq!(stage.state(), State::Free);
    assert_eq!(stage.said, [Said::Free]);
}

#[test]
fn a_key_that_is_not_there_any_more_at_the_last_look_lets_nothing_go() {
    for found in [Found::KeyLost, Found::Left, Found::Unknown] {
        let mut stage = Stage::held();
        stage.found = found;
        stage.load();
        assert_eq!((stage.state(), stage.held), (State::Held, true), "{found:?}");
    }
}

#[test]
fn a_job_that_brought_no_key_leaves_it_held() {
    for ending in [Ending::Unchanged, Ending::NoKey] {
        let mut stage = Stage::held();
        stage.on(Event::JobBegins);
        stage.on(Event::JobEnds(ending));
        assert_eq!((stage.state(), stage.held), (State::Held, true), "{ending:?}");
    }
}

#[test]
fn two_seconds_after_a_close_it_looks_and_an_intact_drive_is_free_again_without_a_word() {
    let mut stage = Stage::free();
    stage.on(Event::Closed);
    stage.after(SECOND);
    assert_eq!(stage.did, []);
    stage.after(SECOND);
    assert_eq!(stage.did, [Action::Take, Action::Look(Pass::KeyLoaded), Action::LetGo]);
    assert_eq!((stage.state(), stage.said), (State::Free, Vec::new()));
}

#[test]
fn a_program_that_has_opened_again_is_left_alone_until_its_next_close() {
    let mut stage = Stage::free();
    stage.on(Event::Closed);
    stage.busy = true;
    stage.after(2 * SECOND);
    stage.after(60 * SECOND);
    assert_eq!(
        (stage.did.as_slice(), stage.state()),
        ([Action::Take].as_slice(), State::Free)
    );
    stage.busy = false;
    stage.on(Event::Closed);
    stage.after(2 * SECOND);
    assert_eq!(stage.state(), State::Free);
    assert_eq!(stage.did.len(), 4);
}

#[test]
fn it_is_taken_back_when_the_look_shows_that_volume_or_key_has_gone() {
    for found in [Found::Left, Found::KeyLost] {
        let mut stage = Stage::free();
        stage.on(Event::Closed);
        stage.found = found;
        stage.after(2 * SECOND);
        assert_eq!(
            (stage.state(), stage.said.as_slice()),
            (State::Held, [Said::Held].as_slice())
        );
        stage.found = Found::Intact;
        stage.after(60 * SECOND);
        assert_eq!(stage.state(), State::Held, "only another pass lets it go");
    }
}

#[test]
fn a_drive_that_does_not_say_what_it_holds_is_held_and_asked_again() {
    let mut stage = Stage::free();
    stage.on(Event::Closed);
    stage.found = Found::Unknown;
    stage.after(2 * SECOND);
    assert_eq!(
        (stage.state(), stage.said.as_slice()),
        (State::Held, [Said::StillHeld].as_slice())
    );
    stage.found = Found::Intact;
    stage.after(ASK_AGAIN_AFTER);
    assert_eq!(stage.state(), State::Free);
}

#[test]
fn a_volume_that_the_library_takes_out_closes_the_gate_and_one_that_it_puts_in_is_shown_to_st() {
    let mut stage = Stage::free();
    stage.found = Found::Left;
    stage.on(Event::Moved { into: false });
    assert_eq!(stage.did, [Action::Take, Action::Look(Pass::KeyLoaded)]);
    assert_eq!(stage.state(), State::Held);
    let mut stage = stage.forget();
    stage.on(Event::Moved { into: true });
    assert_eq!(stage.did, [Action::Tell { unless_known: false }]);
    let mut stage = stage.forget();
    stage.load();
    assert!(
        !stage.did.iter().any(|action| matches!(action, Action::Tell { .. })),
        "once"
    );
}

#[test]
fn a_volume_that_was_changed_under_a_program_is_an_alarm_and_it_is_held_as_soon_as_it_can_be() {
    let mut stage = Stage::free();
    stage.busy = true;
    stage.on(Event::Moved { into: true });
    assert_eq!(
        (stage.state(), stage.said.as_slice()),
        (State::Lost, [Said::Lost].as_slice())
    );
    stage.after(SECOND);
    stage.after(SECOND);
    assert_eq!(stage.said.len(), 1, "said once");
    (stage.busy, stage.found) = (false, Found::Left);
    stage.after(SECOND);
    assert_eq!((stage.state(), stage.said.last()), (State::Held, Some(&Said::Held)));
    assert!(
        !stage.did.iter().any(|action| matches!(action, Action::Tell { .. })),
        "st has looked"
    );
}

#[test]
fn a_lost_key_closes_the_gate_or_is_an_alarm() {
    for busy in [false, true] {
        let mut stage = Stage::free();
        stage.busy = busy;
        stage.on(Event::KeyLost);
        let expected = if busy {
            (State::Lost, Said::Lost)
        } else {
            (State::Held, Said::Held)
        };
        assert_eq!((stage.state(), stage.said[0]), expected);
    }
}

#[test]
fn at_start_a_claim_counts_only_once_the_drive_has_shown_it() {
    for (found, state) in [
        (Found::Intact, State::Free),
        (Found::KeyLost, State::Held),
        (Found::Left, State::Held),
        (Found::Unknown, State::Held),
    ] {
        let mut stage = Stage::new(Some(Pass::KeyLoaded));
        stage.found = found;
        stage.on(Event::Came);
        assert_eq!(stage.state(), state, "{found:?}");
    }
}

#[test]
fn at_start_a_program_with_the_node_open_is_an_alarm_unless_a_job_left_its_key() {
    for (claim, state, said) in [
        (None, State::Lost, Said::Lost),
        (Some(Pass::KeyLoaded), State::Free, Said::FreeUnseen),
    ] {
        let mut stage = Stage::new(claim);
        stage.busy = true;
        stage.on(Event::Came);
        assert_eq!((stage.state(), stage.said.as_slice()), (state, [said].as_slice()));
        stage.busy = false;
        stage.found = Found::KeyLost;
        stage.on(Event::Closed);
        stage.after(2 * SECOND);
        assert_eq!(stage.state(), State::Held, "looked at after its close");
    }
}

#[test]
fn a_job_goes_on_under_a_program_and_its_end_decides() {
    for (ending, state) in [
        (Ending::Passed(Pass::KeyLoaded), State::Free),
        (Ending::Unchanged, State::Free),
        (Ending::NoKey, State::Lost),
    ] {
        let mut stage = Stage::free();
        stage.busy = true;
        stage.on(Event::JobBegins);
        assert_eq!(stage.state(), State::Free, "so the job hears that it is not held");
        stage.after(60 * SECOND);
        stage.on(Event::JobEnds(ending));
        assert_eq!(stage.state(), state, "{ending:?}");
    }
}

#[test]
fn a_refused_job_gives_a_free_drive_back_and_one_that_lost_its_key_does_not() {
    for (found, state) in [(Found::Intact, State::Free), (Found::KeyLost, State::Held)] {
        let mut stage = Stage::free();
        stage.on(Event::JobBegins);
        assert_eq!(stage.state(), State::Held);
        stage.found = found;
        stage.on(Event::JobEnds(Ending::Unchanged));
        assert_eq!(stage.state(), state);
    }
}

#[test]
fn a_maintenance_ends_by_itself_and_what_is_in_the_drive_then_decides() {
    for (busy, found, state) in [
        (false, Found::Intact, State::Free),
        (false, Found::Left, State::Held),
        (true, Found::Intact, State::Lost),
    ] {
        let mut stage = Stage::free();
        stage.on(Event::SetAsideAsked(3600 * SECOND));
        assert_eq!(stage.state(), State::SetAside(3600 * SECOND));
        (stage.busy, stage.found) = (busy, found);
        stage.after(3599 * SECOND);
        assert!(matches!(stage.state(), State::SetAside(_)));
        stage.after(SECOND);
        assert_eq!((stage.state(), stage.said[0]), (state, Said::MaintenanceOver));
    }
}

#[test]
fn a_person_who_asks_for_the_hold_gets_it_or_hears_that_a_program_is_in() {
    let mut stage = Stage::free();
    stage.busy = true;
    stage.on(Event::HoldAsked);
    assert_eq!(stage.state(), State::Free);
    stage.busy = false;
    stage.on(Event::HoldAsked);
    assert_eq!(stage.state(), State::Held);
    stage.after(60 * SECOND);
    assert_eq!(stage.state(), State::Held, "until a job brings a key");
}

#[test]
fn a_drive_that_goes_and_comes_back_is_held_until_it_has_shown_its_key() {
    let mut stage = Stage::free();
    stage.on(Event::Went);
    assert_eq!(stage.state(), State::Absent);
    stage.found = Found::KeyLost;
    stage.on(Event::Came);
    assert_eq!(stage.state(), State::Held);
}

#[test]
fn a_drive_that_came_back_with_a_program_in_it_is_an_alarm_whatever_it_was_free_for_before() {
    let mut stage = Stage::free();
    stage.on(Event::Went);
    stage.busy = true;
    stage.on(Event::Came);
    assert_eq!(
        (stage.state(), stage.said.as_slice()),
        (State::Lost, [Said::Lost].as_slice())
    );
    stage.busy = false;
    stage.after(SECOND);
    assert_eq!(stage.state(), State::Free, "it has shown its key");
}

#[test]
fn what_happens_while_a_job_runs_is_looked_at_when_it_has_ended() {
    for event in [Event::Came, Event::Moved { into: false }, Event::KeyLost] {
        let mut stage = Stage::free();
        stage.busy = true;
        stage.on(Event::JobBegins);
        stage.on(event);
        assert_eq!(stage.state(), State::Free, "{event:?}");
        (stage.busy, stage.found) = (false, Found::Left);
        stage.on(Event::JobEnds(Ending::Unchanged));
        assert_eq!(stage.state(), State::Held, "{event:?}");
    }
    let mut stage = Stage::free();
    stage.found = Found::Left;
    stage.on(Event::Came);
    assert_eq!(stage.state(), State::Held, "other nodes than before");
}

fn events() -> impl Strategy<Value = Event> {
    let pass = || prop_oneof![Just(Pass::KeyLoaded), Just(Pass::Plain)];
    prop_oneof![
        Just(Event::Came),
        Just(Event::Went),
        Just(Event::Closed),
        any::<bool>().prop_map(|into| Event::Moved { into }),
        Just(Event::KeyLost),
        Just(Event::Tick),
        Just(Event::JobBegins),
        pass().prop_map(|pass| Event::JobEnds(Ending::Passed(pass))),
        Just(Event::JobEnds(Ending::Unchanged)),
        Just(Event::JobEnds(Ending::NoKey)),
        Just(Event::HoldAsked),
        (1..100u64).prop_map(|seconds| Event::SetAsideAsked(Duration::from_secs(seconds))),
    ]
}

fn founds() -> impl Strategy<Value = Found> {
    prop_oneof![
        3 => Just(Found::Intact),
        1 => Just(Found::Left),
        1 => Just(Found::KeyLost),
        1 => Just(Found::Unknown)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, ..ProptestConfig::default() })]

    /// Whatever happens in whatever order: it lets go only after the drive has shown what it was let go for, or because a person asked, or because
    /// the drive went, or because a job brought a key under a program that had it open; and LOAD only follows a move into the drive.
    #[test]
    fn nothing_lets_go_but_a_pass_that_the_drive_has_shown_or_a_person(
        story in proptest::collection::vec((events(), any::<bool>(), founds(), 0..15u64), 1..40)
    ) {
        let mut stage = Stage::new(None);
        for (event, busy, found, seconds) in story {
            stage.now += Duration::from_secs(seconds);
            (stage.busy, stage.found) = (busy, found);
            let was = stage.state();
            stage.did.clear();
            stage.on(event);
            let let_go = stage.did.contains(&Action::LetGo);
            let shown = stage.did.iter().any(|action| matches!(action, Action::Look(_))) && found == Found::Intact;
            let asked = matches!(event, Event::SetAsideAsked(_) | Event::Went);
            let under_a_program = was == State::Lost && matches!(event, Event::JobEnds(Ending::Passed(_)));
            prop_assert!(!let_go || shown || asked || under_a_program, "{event:?} in {was:?}: {:?}", stage.did);
            let told = stage.did.iter().any(|action| matches!(action, Action::Tell { .. }));
            prop_assert!(!told || event == Event::Moved { into: true }, "{event:?}: {:?}", stage.did);
            prop_assert_eq!(stage.state() == State::Held, stage.held, "{:?} in {:?}", event, was);
        }
    }

    /// A program that has nothing open cannot keep it from being held: a second after every quarrel it is free, held or set aside.
    #[test]
    fn a_lost_gate_is_held_as_soon_as_the_program_has_gone(
        story in proptest::collection::vec((events(), any::<bool>(), founds(), 0..15u64), 1..40)
    ) {
        let mut stage = Stage::new(None);
        for (event, busy, found, seconds) in story {
            stage.now += Duration::from_secs(seconds);
            (stage.busy, stage.found) = (busy, found);
            stage.on(event);
        }
        stage.busy = false;
        stage.on(Event::JobEnds(Ending::Unchanged));
        stage.after(ASK_AGAIN_AFTER);
        prop_assert_ne!(stage.state(), State::Lost);
    }
}
