//! Taking the key out.

use super::*;

fn clear() -> Play {
    let play = Play::begin(Wish::Clear, rules()).tell(identity());
    assert_eq!(play.next, Next::Ask(Ask::InForce));
    play
}

fn with_key() -> Play {
    let play = clear().tell(Event::InForce(in_force(Some(kad(1)), 5)));
    assert_eq!(play.next, Next::Ask(Ask::Readiness));
    play
}

#[test]
fn the_proof_is_taken_before_the_key_is_cleared() {
    let play = with_key().tell(ready()).tell(volume());
    assert_eq!(play.next, Next::Ask(Ask::Proof));
    let play = play.tell(Event::Proof(Proof::AllEncrypted));
    assert_eq!(play.next, Next::Ask(Ask::ClearKey));
    assert!(play.changes.contains(&Change::Proof(Proof::AllEncrypted)));
    let play = play.tell(Event::Cleared { already: false });
    assert_eq!(play.next, Next::End(Outcome::Cleared));
    assert!(
        play.said()
            .contains(&format!("before: key {} in force", kad(1).key_id()))
    );
}

#[test]
fn a_proof_that_cannot_be_taken_is_said_to_be_missing_and_the_key_is_cleared_all_the_same() {
    let no_medium = with_key().tell(Event::Readiness(Readiness::NoMedium));
    let failed = |play: Play| play.tell(failure(FailureKind::Unchanged));
    for play in [
        no_medium,
        failed(with_key()),
        failed(with_key().tell(ready())),
        failed(with_key().tell(ready()).tell(volume())),
    ] {
        assert_eq!(play.next, Next::Ask(Ask::ClearKey));
        assert!(play.said().contains("proof not taken: "), "{}", play.said());
        assert!(!play.changes.iter().any(|change| matches!(change, Change::Proof(_))));
        assert_eq!(
            play.tell(Event::Cleared { already: false }).next,
            Next::End(Outcome::Cleared)
        );
    }
}

#[test]
fn a_drive_that_does_not_say_what_it_holds_is_not_called_cleared() {
    for kind in [FailureKind::Unchanged, FailureKind::NoEncryption] {
        let play = clear().tell(failure(kind));
        assert_eq!(play.next, Next::End(Outcome::Failed));
        assert!(play.said().contains("nothing was cleared"));
    }
}

#[test]
fn a_key_that_stays_is_an_alarm() {
    let play = with_key()
        .tell(Event::Readiness(Readiness::NoMedium))
        .tell(failure(FailureKind::Unchanged));
    assert_eq!(play.next, Next::End(Outcome::Failed));
    assert!(play.said().contains("ALARM: a key may still be in the drive"));
}

#[test]
fn a_key_is_cleared_although_a_cleaning_cartridge_is_in_the_drive() {
    let play = with_key().tell(Event::Readiness(Readiness::CleaningCartridge));
    assert_eq!(play.next, Next::Ask(Ask::ClearKey));
    assert!(
        play.said()
            .contains("proof not taken: a cleaning cartridge is in the drive")
    );
}

#[test]
fn clearing_twice_says_that_there_was_nothing_to_clear() {
    let play = clear()
        .tell(Event::InForce(in_force(None, 5)))
        .tell(Event::Readiness(Readiness::NoMedium));
    let play = play.tell(Event::Cleared { already: true });
    assert_eq!(play.next, Next::End(Outcome::Cleared));
    assert!(play.said().contains("the drive held no key already"));
}
