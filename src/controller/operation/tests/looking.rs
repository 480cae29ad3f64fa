//! Drive, volume and beginning.

use super::*;

#[test]
fn a_blank_volume_gets_a_new_key_of_its_pool() {
    let play = Play::load(Some("ENCR_a")).at_the_beginning().tell(blank());
    let (group, volume) = (GroupName::new("ENCR_a").unwrap(), VolumeName::new("A00001L8").unwrap());
    assert_eq!(play.next, Next::Ask(Ask::NewKey { group, volume }));
    let play = play.tell(Event::NewKey(facts(1, "ENCR_a")));
    let Next::Ask(Ask::LoadKey(parameters)) = &play.next else {
        panic!("{:?}", play.next)
    };
    assert_eq!(parameters.unauthenticated_kad, kad(1).encode());
    assert_eq!(parameters.volume.medium_serial.as_deref(), Some("V1"));
    assert_eq!(
        (parameters.decryption, parameters.scope),
        (Decryption::Decrypt, SetScope::AllItNexus)
    );
    assert!(parameters.authenticated_kad.is_empty());
    let play = play.tell(receipt(1));
    assert_eq!(play.next, Next::End(Outcome::KeyLoaded));
    assert!(play.changes.contains(&Change::Key {
        facts: facts(1, "ENCR_a"),
        new: true
    }));
    assert!(play.changes.contains(&Change::InForce(in_force(Some(kad(1)), 5))));
    assert!(!play.changes.iter().any(|change| matches!(change, Change::NotProven(_))));
}

#[test]
fn a_volume_of_ours_gets_its_very_key_with_or_without_a_pool_and_for_unlock() {
    let unlock = Play::begin(Wish::Unlock, rules());
    for play in [Play::load(None), Play::load(Some("ENCR_a")), unlock] {
        let play = play.at_the_beginning().tell(ours(2));
        let volume = Some(VolumeName::new("A00001L8").unwrap());
        assert_eq!(
            play.next,
            Next::Ask(Ask::KeysOf {
                kads: kad(2).into(),
                volume
            })
        );
        let play = play.tell(keys(facts(2, "ENCR_a")));
        assert!(play.changes.contains(&Change::Key {
            facts: facts(2, "ENCR_a"),
            new: false
        }));
        assert_eq!(play.tell(receipt(2)).next, Next::End(Outcome::KeyLoaded));
    }
}

#[test]
fn waits_for_a_volume_that_becomes_ready_but_not_for_ever() {
    let mut play = Play::load(None).tell(identity());
    let becoming = || Event::Readiness(Readiness::BecomingReady);
    for _ in 0..600 {
        play = play.tell(becoming());
        assert_eq!(play.next, Next::Ask(Ask::Pause(PAUSE)));
        play = play.tell(Event::Paused);
        assert_eq!(play.next, Next::Ask(Ask::Readiness));
    }
    play.tell(becoming()).must_be_refused("still not ready after 600 s");
}

#[test]
fn refuses_a_drive_that_is_not_the_configured_one() {
    for wish in [Wish::Unlock, Wish::Clear] {
        let play = Play::begin(
            wish,
            Rules {
                expected_serial: Some("D2".into()),
                ..rules()
            },
        );
        play.tell(identity())
            .must_be_refused("serial number D1, not D2 as configured");
    }
}

#[test]
fn refuses_an_empty_drive_and_one_that_is_not_ready() {
    let play = || Play::load(None).tell(identity());
    play()
        .tell(Event::Readiness(Readiness::NoMedium))
        .must_be_refused("no volume in the drive");
    let sense = "NOT READY 04h/12h".to_owned();
    play()
        .tell(Event::Readiness(Readiness::NotReady { sense }))
        .must_be_refused("NOT READY 04h/12h");
}

#[test]
fn refuses_a_cleaning_cartridge_whoever_says_that_it_is_one() {
    const REASON: &str = "a cleaning cartridge is in the drive: it holds no data, so it never gets a key";
    for pool in ["ENCR_a", "plain"] {
        let play = || Play::load(Some(pool)).tell(identity());
        play()
            .tell(Event::Readiness(Readiness::CleaningCartridge))
            .must_be_refused(REASON);
        let by_memory = Event::Volume(VolumeIdentity {
            medium_serial: Some("C1".into()),
            cleaning: true,
            ..VolumeIdentity::default()
        });
        play().tell(ready()).tell(by_memory).must_be_refused(REASON);
    }
    Play::begin(Wish::Unlock, rules())
        .tell(identity())
        .tell(Event::Readiness(Readiness::CleaningCartridge))
        .must_be_refused(REASON);
}

#[test]
fn refuses_a_blank_volume_without_a_pool() {
    Play::load(None)
        .at_the_beginning()
        .tell(blank())
        .must_be_refused("only the caller can say which pool");
    Play::begin(Wish::Unlock, rules())
        .at_the_beginning()
        .tell(blank())
        .must_be_refused("nothing to unlock");
}

#[test]
fn a_load_reports_a_foreign_kad_in_hex_and_tries_nothing() {
    let foreign = |a_kad: &[u8]| {
        Event::Beginning(Beginning::Foreign {
            unauthenticated_kad: b"stenc key 1".to_vec(),
            authenticated_kad: a_kad.to_vec(),
        })
    };
    let play = || Play::load(Some("ENCR_a")).at_the_beginning();
    play()
        .tell(foreign(b""))
        .must_be_refused("U-KAD 7374656e63206b65792031, A-KAD none; no key was tried");
    play()
        .tell(foreign(&[0xAB]))
        .must_be_refused("A-KAD ab; no key was tried");
}

#[test]
fn refuses_what_it_cannot_see_or_use() {
    let play = || Play::load(Some("ENCR_a")).at_the_beginning();
    play()
        .tell(Event::Beginning(Beginning::NotAtBeginning { object: 7 }))
        .must_be_refused("stands at object 7");
    play()
        .tell(Event::Beginning(Beginning::OtherAlgorithm))
        .must_be_refused("an algorithm that this drive does not have");
    let why = "it begins with a filemark".to_owned();
    play()
        .tell(Event::Beginning(Beginning::Unknown { why }))
        .must_be_refused("unknown: it begins with a filemark");
}

#[test]
fn refuses_plain_blocks_unless_the_pool_allows_them() {
    let plain = || Event::Beginning(Beginning::Plain);
    Play::load(Some("ENCR_a"))
        .at_the_beginning()
        .tell(plain())
        .must_be_refused("pool ENCR_a takes only encrypted ones");
    Play::load(None)
        .at_the_beginning()
        .tell(plain())
        .must_be_refused("only the caller can say");
}

#[test]
fn a_plain_beginning_needs_no_key_to_be_read_unless_encrypted_blocks_may_follow() {
    let play = |proof| {
        Play::begin(Wish::Unlock, rules())
            .at_the_beginning()
            .tell(Event::Beginning(Beginning::Plain))
            .tell(Event::Proof(proof))
    };
    play(Proof::NothingEncrypted).must_be_refused("no key is needed");
    for proof in [
        Proof::PlainBefore { object: 3 },
        Proof::Unknown { why: "no page".into() },
    ] {
        let play = play(proof);
        assert!(matches!(play.next, Next::Ask(Ask::KadOf(_))), "{:?}", play.next);
        play.tell(Event::KadOf(None))
            .must_be_refused("no job of this host names the key");
    }
    let known = play(Proof::PlainBefore { object: 3 })
        .tell(Event::KadOf(Some(kad(1))))
        .tell(keys(facts(1, "ENCR_a")));
    let Next::Ask(Ask::LoadKey(parameters)) = known.next else {
        panic!("{:?}", known.next)
    };
    assert_eq!(parameters.decryption, Decryption::Mixed);
}

#[test]
fn a_pool_that_allows_plain_blocks_gets_mixed_and_never_a_second_key() {
    let play = || {
        Play::load(Some("ENCR_mixed"))
            .at_the_beginning()
            .tell(Event::Beginning(Beginning::Plain))
    };
    assert!(matches!(play().next, Next::Ask(Ask::KadOf(_))));
    let first = play().tell(Event::KadOf(None));
    assert_eq!(first.next, Next::Ask(Ask::Proof));
    let first = first
        .tell(Event::Proof(Proof::NothingEncrypted))
        .tell(Event::NewKey(facts(1, "ENCR_mixed")));
    let Next::Ask(Ask::LoadKey(parameters)) = first.next else {
        panic!("{:?}", first.next)
    };
    assert_eq!(parameters.decryption, Decryption::Mixed);

    let again = play().tell(Event::KadOf(Some(kad(1))));
    assert!(matches!(again.next, Next::Ask(Ask::KeysOf { kads: asked, .. }) if asked == kad(1).into()));
    for proof in [
        Proof::PlainBefore { object: 3 },
        Proof::AllEncrypted,
        Proof::Unknown { why: "no page".into() },
    ] {
        play()
            .tell(Event::KadOf(None))
            .tell(Event::Proof(proof))
            .must_be_refused("blocks of a key that no job names");
    }
}

#[test]
fn refuses_a_volume_without_a_name_or_with_an_odd_one() {
    let with = |event| Play::load(Some("ENCR_a")).tell(identity()).tell(ready()).tell(event);
    with(named_volume(None, None, None)).must_be_refused("neither a barcode nor a usable medium serial number");
    with(named_volume(Some("V1"), Some("A0\u{7}1"), None)).must_be_refused("barcode on the medium");
    assert_eq!(with(named_volume(Some("V1"), None, None)).next, Next::Ask(Ask::Offer));
}

#[test]
fn the_callers_barcode_names_a_volume_without_one_and_must_fit_a_volume_with_one() {
    let with = |event| {
        let barcode = Some(VolumeName::new("A00001L8").unwrap());
        let wish = Wish::Load {
            pool: Some(Pool::parse("ENCR_a").unwrap()),
            barcode,
        };
        Play::begin(wish, rules()).tell(identity()).tell(ready()).tell(event)
    };
    with(named_volume(Some("V2"), Some("A00002L8"), None)).must_be_refused("has barcode A00002L8, not A00001L8");
    assert_eq!(with(volume()).next, Next::Ask(Ask::Offer));
    let nameless = with(named_volume(Some("V1"), None, None));
    assert!(nameless.changes.contains(&Change::Barcode("A00001L8".into())));
    assert_eq!(nameless.next, Next::Ask(Ask::Offer));
}
