//! A walk over the tape.

use super::*;
use crate::drive::{Place, Spaced, Standing};

fn place(object: u64, standing: Standing) -> Event {
    Event::Place(Place {
        object: Some(object),
        standing,
    })
}

fn end(object: u64) -> Event {
    Event::Spaced(Spaced::EndOfData { object: Some(object) })
}

/// Everything up to the first look.
fn walking() -> Play {
    let play = Play::begin(Wish::Scan, rules());
    assert_eq!(play.next, Next::Ask(Ask::HoldNode), "before anything is sent");
    let play = play
        .tell(Event::Held)
        .tell(identity())
        .tell(Event::InForce(in_force(None, 1)))
        .tell(ready())
        .tell(volume());
    assert_eq!(play.next, Next::Ask(Ask::Rewind));
    let play = play.tell(Event::Rewound);
    assert_eq!(play.next, Next::Ask(Ask::LookHere));
    play
}

fn files(play: &Play) -> Vec<Option<u64>> {
    let file = |change: &Change| match change {
        Change::File(place) => Some(place.object),
        _ => None,
    };
    play.changes.iter().filter_map(file).collect()
}

#[track_caller]
fn must_end_rewound(play: Play, outcome: Outcome) {
    assert_eq!(play.next, Next::Ask(Ask::Rewind), "{}", play.said());
    assert_eq!(play.tell(Event::Rewound).next, Next::End(outcome));
}

/// The look whether it is still the same volume.
#[track_caller]
fn same_volume(play: Play) -> Play {
    assert_eq!(play.next, Next::Ask(Ask::Volume), "{}", play.said());
    play.tell(volume())
}

#[test]
fn another_volume_at_the_end_of_the_walk_is_no_whole_tape() {
    let play = walking().tell(place(0, Standing::EndOfData));
    let play = play.tell(named_volume(Some("V2"), None, None));
    assert!(!play.changes.contains(&Change::AllFiles));
    assert!(play.said().contains("another volume is in the drive now"));
    must_end_rewound(play, Outcome::Failed);
}

#[test]
fn every_file_is_looked_at_and_what_follows_the_last_filemark_is_none() {
    for last in [Standing::NotTold, Standing::EndOfData] {
        let play = walking()
            .tell(place(0, Standing::Plain))
            .tell(Event::Spaced(Spaced::NextFile))
            .tell(place(9, Standing::NotTold))
            .tell(Event::Spaced(Spaced::NextFile))
            .tell(place(12, last.clone()));
        let play = if last == Standing::EndOfData {
            play
        } else {
            play.tell(end(12))
        };
        assert_eq!(files(&play), [Some(0), Some(9)], "{last:?}");
        let play = same_volume(play);
        assert!(play.changes.contains(&Change::AllFiles));
        must_end_rewound(play, Outcome::Scanned);
    }
}

#[test]
fn a_last_file_without_a_filemark_behind_it_counts() {
    let play = walking().tell(place(0, Standing::NotTold)).tell(end(5));
    assert_eq!(files(&play), [Some(0)]);
    let play = same_volume(play);
    must_end_rewound(play, Outcome::Scanned);
}

#[test]
fn a_blank_volume_has_no_files() {
    let play = walking().tell(place(0, Standing::EndOfData));
    assert_eq!(files(&play), []);
    let play = same_volume(play);
    must_end_rewound(play, Outcome::Scanned);
}

#[test]
fn whatever_ends_the_walk_the_tape_is_rewound_and_what_was_seen_is_kept() {
    let cancelled = || Event::Cancelled("cancelled by user 0".into());
    let seen = || {
        walking()
            .tell(place(0, Standing::Plain))
            .tell(Event::Spaced(Spaced::NextFile))
    };
    for event in [cancelled(), failure(FailureKind::Unchanged)] {
        let play = seen().tell(event.clone());
        assert_eq!(files(&play), [Some(0)]);
        must_end_rewound(play, Outcome::Failed);
        let play = seen().tell(place(4, Standing::Plain)).tell(event);
        assert_eq!(files(&play), [Some(0), Some(4)]);
        assert!(!play.changes.contains(&Change::AllFiles));
        must_end_rewound(play, Outcome::Failed);
    }
}

#[test]
fn a_tape_that_cannot_be_rewound_is_said_to_stand_nobody_knows_where() {
    let play = walking()
        .tell(place(0, Standing::EndOfData))
        .tell(volume())
        .tell(failure(FailureKind::Unchanged));
    assert_eq!(play.next, Next::End(Outcome::Failed));
    assert!(play.said().contains("where the tape stands is not known"));
}

#[test]
fn refuses_a_drive_that_is_used_or_holds_a_key() {
    Play::begin(Wish::Scan, rules())
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    Play::begin(Wish::Scan, rules())
        .tell(Event::Held)
        .tell(identity())
        .tell(Event::InForce(in_force(Some(kad(1)), 5)))
        .must_be_refused("is in the drive, so a program may be using it; the tape was not moved");
}

#[test]
fn the_walk_has_an_end_however_many_files_there_are() {
    let mut play = walking();
    for file in 0..100_000 {
        play = play
            .tell(place(file, Standing::Plain))
            .tell(Event::Spaced(Spaced::NextFile));
        play.changes.clear();
    }
    let play = play.tell(place(100_000, Standing::Plain));
    assert!(!play.changes.contains(&Change::AllFiles));
    must_end_rewound(play, Outcome::Scanned);
}
