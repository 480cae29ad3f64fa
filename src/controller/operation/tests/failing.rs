//! What goes wrong on the way, and what is left in the drive then.

use super::*;

#[test]
fn whatever_fails_before_a_key_is_sent_is_a_refusal() {
    Play::load(None)
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    Play::load(None)
        .tell(identity())
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    let play = Play::load(Some("ENCR_a")).tell(identity()).tell(ready());
    play.tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    let play = Play::load(Some("ENCR_a")).tell(identity()).tell(ready()).tell(volume());
    play.tell(failure(FailureKind::NoEncryption))
        .must_be_refused("it went wrong");
    Play::load(None)
        .at_the_beginning()
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    Play::loading()
        .tell(failure(FailureKind::NoEncryption))
        .must_be_refused("it went wrong");
}

#[test]
fn a_key_that_may_be_in_the_drive_is_cleared_and_the_job_failed() {
    let play = Play::loading().tell(failure(FailureKind::Uncertain));
    assert_eq!(play.next, Next::Ask(Ask::ClearKey));
    let play = play.tell(Event::Cleared { already: false });
    assert_eq!(play.next, Next::End(Outcome::Failed));
    assert!(play.said().contains("error: it went wrong / mend it"));
    assert!(play.said().contains("the drive holds no key now, as read back"));
}

#[test]
fn a_key_that_cannot_be_cleared_is_an_alarm() {
    let play = Play::loading()
        .tell(failure(FailureKind::Uncertain))
        .tell(failure(FailureKind::Unchanged));
    assert_eq!(play.next, Next::End(Outcome::Failed));
    assert!(
        play.said().contains("ALARM: a key may still be in the drive"),
        "{}",
        play.said()
    );
}

#[test]
fn a_key_that_somebody_replaced_is_loaded_once_more_and_the_job_is_not_proven() {
    let play = Play::loading().tell(failure(FailureKind::Disputed));
    assert!(matches!(play.next, Next::Ask(Ask::LoadKey(_))));
    assert!(play.said().contains("ALARM: it went wrong"));
    let well = play.tell(receipt(1));
    assert_eq!(well.next, Next::End(Outcome::KeyLoaded));
    assert!(
        well.changes
            .iter()
            .any(|change| matches!(change, Change::NotProven(why) if why.contains("it went wrong")))
    );

    let badly = Play::loading()
        .tell(failure(FailureKind::Disputed))
        .tell(failure(FailureKind::Disputed));
    assert_eq!(badly.next, Next::Ask(Ask::ClearKey), "only once");
    assert_eq!(
        badly.tell(Event::Cleared { already: false }).next,
        Next::End(Outcome::Failed)
    );
}

#[test]
fn a_volume_that_changed_meanwhile_is_looked_at_afresh_once() {
    let play = Play::loading().tell(failure(FailureKind::VolumeChanged));
    assert_eq!(play.next, Next::Ask(Ask::Readiness));
    let play = play
        .tell(ready())
        .tell(named_volume(Some("V2"), Some("A00002L8"), None))
        .tell(Event::Offered)
        .tell(blank());
    let asked = VolumeName::new("A00002L8").unwrap();
    assert!(
        matches!(&play.next, Next::Ask(Ask::NewKey { volume, .. }) if *volume == asked),
        "a key of its own"
    );
    let play = play.tell(Event::NewKey(facts(2, "ENCR_a")));
    let Next::Ask(Ask::LoadKey(parameters)) = &play.next else {
        panic!("{:?}", play.next)
    };
    assert_eq!(parameters.unauthenticated_kad, kad(2).encode());
    play.tell(failure(FailureKind::VolumeChanged))
        .must_be_refused("it went wrong");
}

#[test]
fn a_refusal_clears_the_key_of_another_volume_and_keeps_the_one_of_this_volume() {
    let refused = || {
        let play = Play::load(Some("ENCR_b"))
            .at_the_beginning()
            .tell(ours(2))
            .tell(keys(facts(2, "ENCR_a")));
        assert_eq!(play.next, Next::Ask(Ask::InForce));
        play
    };
    let own = refused().tell(Event::InForce(in_force(Some(kad(2)), 5)));
    assert_eq!(
        own.next,
        Next::End(Outcome::Refused),
        "a program may be writing under it"
    );

    let other = || refused().tell(Event::InForce(in_force(Some(kad(3)), 5)));
    assert_eq!(other().next, Next::Ask(Ask::VolumeOf(kad(3))));
    let strange = other().tell(Event::VolumeOf(Some("V9".into())));
    assert_eq!(strange.next, Next::Ask(Ask::ClearKey));
    assert_eq!(
        strange.tell(Event::Cleared { already: false }).next,
        Next::End(Outcome::Refused)
    );
    assert_eq!(
        other().tell(Event::VolumeOf(Some("V1".into()))).next,
        Next::End(Outcome::Refused)
    );
    let unknown = other().tell(Event::VolumeOf(None));
    assert_eq!(unknown.next, Next::End(Outcome::Refused));
    assert!(
        unknown.said().contains("ALARM: a key of ours is in the drive"),
        "{}",
        unknown.said()
    );
    let uncleared = other()
        .tell(Event::VolumeOf(Some("V9".into())))
        .tell(failure(FailureKind::Unchanged));
    assert_eq!(uncleared.next, Next::End(Outcome::Failed));
    assert!(uncleared.said().contains("ALARM: a key may still be in the drive"));
}

#[test]
fn a_refusal_says_so_if_it_cannot_see_what_the_drive_holds() {
    let play = Play::load(None)
        .at_the_beginning()
        .tell(blank())
        .tell(failure(FailureKind::Unchanged));
    assert_eq!(play.next, Next::End(Outcome::Refused));
    assert!(
        play.said()
            .contains("what the drive holds now is unknown: it went wrong")
    );
}

#[test]
fn an_answer_to_another_question_ends_the_job_and_clears_what_may_be_loaded() {
    let early = Play::load(None).tell(ready());
    assert_eq!(early.next, Next::End(Outcome::Failed));
    assert!(early.said().contains("a bug in tapekeyd"));
    let late = Play::loading().tell(ready());
    assert_eq!(late.next, Next::Ask(Ask::ClearKey));
    let ended = late.tell(Event::Cleared { already: false }).tell(ready());
    assert_eq!(ended.next, Next::End(Outcome::Failed));
}

#[test]
fn notes_of_the_drive_reach_the_record() {
    let loaded = Receipt::for_test(in_force(Some(kad(1)), 5), &["CKOD was dropped"]);
    assert!(
        Play::loading()
            .tell(Event::Loaded(loaded))
            .said()
            .contains("note: CKOD was dropped")
    );
}
