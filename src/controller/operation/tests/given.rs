//! A key that somebody gave: checked against our KAD before it is sent, tried on the drive for any other, within the same eight.

use super::*;
use crate::controller::job::JobGiver;
use crate::kad::BlockKads;

const GIVER: JobGiver = JobGiver { uid: 7, pid: 4711 };

fn unlock(beginning: Event) -> Play {
    Play::begin(Wish::UnlockWith(GIVER), rules())
        .at_the_beginning()
        .tell(beginning)
}

fn foreign() -> Event {
    Event::Beginning(Beginning::Foreign {
        unauthenticated_kad: Vec::new(),
        authenticated_kad: vec![0xAB],
    })
}

fn failed() -> Event {
    let text = "the key that was given is not the one of this volume\nhint: recover it";
    Event::Failed(Failure::new(FailureKind::Unchanged, text))
}

#[test]
fn a_given_key_that_fits_our_kad_is_loaded_and_the_record_says_who_gave_it() {
    let play = unlock(ours(2));
    let kads = BlockKads::from(kad(2));
    assert_eq!(play.next, Next::Ask(Ask::CheckGiven { kads: kads.clone() }));
    let play = play.tell(Event::GivenFits(kad(2)));
    let Next::Ask(Ask::LoadKey(parameters)) = &play.next else {
        panic!("{:?}", play.next)
    };
    assert_eq!(parameters.unauthenticated_kad, kad(2).encode());
    assert!(play.changes.contains(&Change::GivenKey { kads, by: GIVER }));
}

#[test]
fn a_given_key_that_does_not_fit_our_kad_is_never_sent() {
    unlock(ours(2))
        .tell(failed())
        .must_be_refused("not the one of this volume");
}

#[test]
fn a_given_key_for_a_volume_without_any_kad_of_ours_counts_as_wrong_until_the_drive_says_otherwise() {
    let id = KeyId([9; 16]);
    let play = unlock(foreign());
    assert!(
        matches!(play.next, Next::Ask(Ask::CheckGiven { .. })),
        "{:?}",
        play.next
    );
    let play = play.tell(Event::GivenUnchecked { id, wrong: Vec::new() });
    assert!(
        matches!(play.next, Next::Ask(Ask::TryKey { candidate: 0, .. })),
        "{:?}",
        play.next
    );
    assert!(play.changes.contains(&Change::WrongKeys(vec![id])));
}

#[test]
fn the_ninth_given_key_is_not_tried() {
    let wrong = (0..8).map(|byte| KeyId([byte; 16])).collect();
    let play = unlock(foreign()).tell(Event::GivenUnchecked {
        id: KeyId([9; 16]),
        wrong,
    });
    play.must_be_refused("8 keys were tried");
}

#[test]
fn a_given_key_goes_into_no_blank_volume() {
    unlock(blank()).must_be_refused("the volume is blank");
}
