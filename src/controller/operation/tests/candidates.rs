//! A volume of other software: which keys are tried, how many, and what stays in the drive.

use super::*;
use crate::drive::Fit;
use crate::kad::BlockKads;
use crate::keysource::{CandidateFacts, KadMatch};

fn kads() -> BlockKads {
    BlockKads {
        unauthenticated: b"stenc tape".to_vec(),
        authenticated: vec![0xAB],
    }
}

fn candidate(byte: u8) -> CandidateFacts {
    let KeyFacts {
        group, state, server, ..
    } = facts(byte, "ENCR_old");
    CandidateFacts {
        key_id: KeyId([byte; 16]),
        key_name: format!("key-{byte}"),
        group,
        state,
        matched: KadMatch::Exact,
        server,
    }
}

/// An unlock of the foreign volume that got `count` candidates, those in `wrong` tried before.
fn with_candidates(count: u8, wrong: &[u8]) -> Play {
    let BlockKads {
        unauthenticated,
        authenticated,
    } = kads();
    let play = Play::begin(Wish::Unlock, rules())
        .at_the_beginning()
        .tell(Event::Beginning(Beginning::Foreign {
            unauthenticated_kad: unauthenticated,
            authenticated_kad: authenticated,
        }));
    assert!(matches!(&play.next, Next::Ask(Ask::KeysOf { kads: asked, .. }) if *asked == kads()));
    play.tell(Event::KeysOf {
        keys: Vec::new(),
        candidates: (0..count).map(candidate).collect(),
        wrong: wrong.iter().map(|byte| KeyId([*byte; 16])).collect(),
        outcomes: Vec::new(),
    })
}

#[track_caller]
fn tries(play: &Play, expected: usize) {
    match &play.next {
        Next::Ask(Ask::TryKey { candidate, parameters }) => {
            assert_eq!(*candidate, expected);
            assert_eq!(
                (&parameters.unauthenticated_kad, &parameters.authenticated_kad),
                (&kads().unauthenticated, &kads().authenticated)
            );
        }
        other => panic!("{other:?}"),
    }
}

fn tried(fit: Fit) -> Event {
    Event::Tried {
        receipt: Receipt::for_test(in_force(None, 5), &[]),
        fit,
    }
}

fn counted(play: &Play) -> usize {
    let mut counts = play.changes.iter().rev().filter_map(|change| match change {
        Change::WrongKeys(ids) => Some(ids.len()),
        _ => None,
    });
    counts.next().unwrap_or_default()
}

#[test]
fn candidates_are_tried_in_their_order_until_one_fits() {
    let play = with_candidates(3, &[]);
    tries(&play, 0);
    assert_eq!(counted(&play), 1, "it counts before it is sent");
    let play = play.tell(tried(Fit::DoesNot));
    tries(&play, 1);
    let play = play.tell(tried(Fit::Fits));
    assert_eq!(play.next, Next::End(Outcome::KeyLoaded));
    assert_eq!(counted(&play), 1);
    let loaded = Change::Candidate {
        facts: candidate(1),
        kads: kads(),
    };
    assert!(play.changes.contains(&loaded));
}

#[test]
fn what_was_wrong_once_is_not_tried_again_in_the_same_mount() {
    tries(&with_candidates(3, &[0, 1]), 2);
    with_candidates(2, &[0, 1]).must_be_refused("2 were tried");
}

#[test]
fn never_more_than_eight_wrong_keys_in_a_mount() {
    let mut play = with_candidates(8, &[100, 101, 102]);
    for index in 0..5 {
        tries(&play, index);
        play = play.tell(tried(Fit::DoesNot));
    }
    assert_eq!((&play.next, counted(&play)), (&Next::Ask(Ask::ClearKey), 8));
    assert!(play.said().contains("unload the volume"), "{}", play.said());
    let play = play.tell(Event::Cleared { already: false });
    assert_eq!(play.next, Next::End(Outcome::Failed));
    let eight: Vec<u8> = (50..58).collect();
    with_candidates(1, &eight).must_be_refused("8 keys were tried");
}

#[test]
fn no_key_that_was_tried_stays_if_none_fits_or_the_drive_does_not_tell() {
    let unknown = Fit::Unknown { why: "1h".into() };
    for (fit, says) in [(Fit::DoesNot, "none fits"), (unknown, "unknown: 1h")] {
        let play = with_candidates(1, &[]).tell(tried(fit.clone()));
        assert_eq!(play.next, Next::Ask(Ask::ClearKey));
        let said = play.said();
        assert!(
            said.contains(says) || said.contains("no key that the KMS has for this volume fits"),
            "{said}"
        );
        assert_eq!(
            play.tell(Event::Cleared { already: false }).next,
            Next::End(Outcome::Failed)
        );
    }
}

#[test]
fn a_failure_ends_the_trials_and_clears_whatever_may_be_in_the_drive() {
    for kind in [FailureKind::Uncertain, FailureKind::Disputed] {
        assert_eq!(
            with_candidates(3, &[]).tell(failure(kind)).next,
            Next::Ask(Ask::ClearKey)
        );
    }
    for kind in [
        FailureKind::Unchanged,
        FailureKind::NoEncryption,
        FailureKind::VolumeChanged,
    ] {
        let play = with_candidates(3, &[]).tell(tried(Fit::DoesNot)).tell(failure(kind));
        assert_eq!((&play.next, counted(&play)), (&Next::Ask(Ask::ClearKey), 1), "{kind:?}");
    }
    let refused = with_candidates(3, &[]).tell(failure(FailureKind::Unchanged));
    assert_eq!(counted(&refused), 0, "nothing was sent");
    refused.must_be_refused("it went wrong");
    let again = with_candidates(3, &[]).tell(failure(FailureKind::VolumeChanged));
    assert_eq!(again.next, Next::Ask(Ask::Readiness));
}

#[test]
fn a_volume_without_any_kad_names_no_key() {
    for kad in [b"".as_slice(), b"\0\0", b"  "] {
        Play::begin(Wish::Unlock, rules())
            .at_the_beginning()
            .tell(Event::Beginning(Beginning::Foreign {
                unauthenticated_kad: kad.to_vec(),
                authenticated_kad: Vec::new(),
            }))
            .must_be_refused("wrote no KAD");
    }
}
