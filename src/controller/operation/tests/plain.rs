//! Plain pools.

use super::*;

fn plain() -> Play {
    let play = Play::load(Some("Scratch"))
        .tell(identity())
        .tell(ready())
        .tell(volume());
    assert_eq!(play.next, Next::Ask(Ask::InForce));
    play
}

#[test]
fn a_key_of_ours_is_cleared_for_a_plain_volume() {
    for beginning in [blank(), Event::Beginning(Beginning::Plain)] {
        let play = plain().tell(Event::InForce(in_force(Some(kad(3)), 5))).tell(beginning);
        assert_eq!(play.next, Next::Ask(Ask::ClearKey));
        assert_eq!(
            play.tell(Event::Cleared { already: false }).next,
            Next::End(Outcome::Plain)
        );
    }
}

#[test]
fn a_drive_without_a_key_of_ours_is_left_alone() {
    let play = plain().tell(Event::InForce(in_force(None, 5))).tell(blank());
    assert_eq!(play.next, Next::End(Outcome::Plain));
    let mut foreign = in_force(Some(kad(3)), 5);
    foreign.unauthenticated_kad = b"stenc".to_vec();
    let play = plain()
        .tell(Event::InForce(foreign))
        .tell(Event::Beginning(Beginning::Plain));
    assert_eq!(play.next, Next::End(Outcome::Plain));
    assert!(
        play.said()
            .contains("a key that is not ours is in force; it was left alone")
    );
}

#[test]
fn a_volume_of_ours_is_never_treated_as_plain() {
    let play = plain().tell(Event::InForce(in_force(Some(kad(2)), 5))).tell(ours(2));
    assert_eq!(play.next, Next::Ask(Ask::InForce), "refused");
    let play = play.tell(Event::InForce(in_force(Some(kad(2)), 5)));
    assert_eq!(play.next, Next::End(Outcome::Refused));
    assert!(!play.said().contains("clear"), "its key stays: {}", play.said());
    let play = Play::load(Some("Scratch")).tell(identity()).tell(ready());
    let play = play
        .tell(named_volume(Some("V1"), None, Some("ENCR_a")))
        .tell(Event::InForce(in_force(None, 5)));
    assert!(play.said().contains("its memory names pool ENCR_a"));
    assert_eq!(play.next, Next::Ask(Ask::InForce), "refused");
}

#[test]
fn what_cannot_be_seen_is_not_taken_for_plain() {
    for beginning in [
        Beginning::Unknown { why: "1h".into() },
        Beginning::NotAtBeginning { object: 4 },
    ] {
        let play = plain()
            .tell(Event::InForce(in_force(Some(kad(3)), 5)))
            .tell(Event::Beginning(beginning));
        assert_eq!(play.next, Next::Ask(Ask::InForce), "refused");
    }
    plain()
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
}

#[test]
fn a_drive_that_takes_no_keys_holds_none_of_ours() {
    let play = plain().tell(failure(FailureKind::NoEncryption));
    assert_eq!(play.next, Next::End(Outcome::Plain));
    assert!(play.said().contains("takes no keys from tapekey: it went wrong"));
}
