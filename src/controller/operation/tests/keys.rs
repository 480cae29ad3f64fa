//! Which key may be used.

use super::*;
use crate::keysource::{ServerOutcome, ServerResult};

fn with_our_volume(pool: Option<&str>) -> Play {
    Play::load(pool).at_the_beginning().tell(ours(2))
}

#[test]
fn refuses_a_pool_that_is_not_the_keys_group_and_says_both() {
    let play = with_our_volume(Some("ENCR_b")).tell(keys(facts(2, "ENCR_a")));
    play.must_be_refused("belongs to group ENCR_a, as its KAD and the KMS say, but the caller says ENCR_b");
}

#[test]
fn refuses_a_new_key_of_another_group() {
    let play = Play::load(Some("ENCR_a")).at_the_beginning().tell(blank());
    play.tell(Event::NewKey(facts(1, "ENCR_b")))
        .must_be_refused("a key of group ENCR_b, which nobody asked for");
}

#[test]
fn an_inactive_key_finishes_its_volume_only_if_the_policy_says_so_and_always_reads_it() {
    let inactive = || keys(facts_in_state(2, "ENCR_a", KeyState::Inactive));
    let play = with_our_volume(None).tell(inactive());
    assert!(matches!(play.next, Next::Ask(Ask::LoadKey(_))));
    assert!(
        play.said()
            .contains("key key-2 is inactive; the volume is finished under it")
    );

    let strict = || Rules {
        finish_volumes: false,
        ..rules()
    };
    let load = Wish::Load {
        pool: None,
        barcode: None,
    };
    Play::begin(load, strict())
        .at_the_beginning()
        .tell(ours(2))
        .tell(inactive())
        .must_be_refused("is inactive");
    let unlock = Play::begin(Wish::Unlock, strict())
        .at_the_beginning()
        .tell(ours(2))
        .tell(inactive());
    assert!(matches!(unlock.next, Next::Ask(Ask::LoadKey(_))));
}

#[test]
fn refuses_keys_that_are_for_nothing() {
    for state in [KeyState::Deprecated, KeyState::Terminated, KeyState::Prelive] {
        let event = || keys(facts_in_state(2, "ENCR_a", state));
        with_our_volume(None)
            .tell(event())
            .must_be_refused(&format!("is {state}"));
        let unlock = Play::begin(Wish::Unlock, rules()).at_the_beginning().tell(ours(2));
        unlock.tell(event()).must_be_refused(&format!("is {state}"));
    }
}

#[test]
fn without_a_key_it_names_the_kad_and_what_every_server_said() {
    let server = facts(1, "ENCR_a").server;
    let outcome = |result| ServerOutcome {
        server: server.clone(),
        result,
    };
    let outcomes = vec![
        outcome(ServerResult::None(None)),
        outcome(ServerResult::Unreachable("no route".into())),
        outcome(ServerResult::Refused("the key is terminated".into())),
    ];
    let play = with_our_volume(None).tell(Event::KeysOf {
        keys: Vec::new(),
        candidates: Vec::new(),
        wrong: Vec::new(),
        outcomes,
    });
    for word in [
        &kad(2).to_string(),
        &kad(2).key_id().to_string(),
        "has none",
        "no route",
        "the key is terminated",
    ] {
        assert!(play.said().contains(word), "{word}: {}", play.said());
    }
    play.must_be_refused("the drive stays without a key");
}

#[test]
fn a_kms_that_gives_nothing_is_the_reason_that_is_told() {
    Play::load(Some("ENCR_a"))
        .at_the_beginning()
        .tell(blank())
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
    with_our_volume(None)
        .tell(failure(FailureKind::Unchanged))
        .must_be_refused("it went wrong");
}
