//! The typed drive against the simulator, in one process: what it does, what it refuses, and what it must never believe.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

#[path = "support/in_process.rs"]
mod in_process;

use std::time::Duration;

use in_process::{Bench, Path, blank};
use proptest::prelude::*;
use sg_sim::{Event, LibraryManaged};
use tapekey::drive::{
    Beginning, Drive, DriveError, KeyParameters, LoadKeyError, Meaning, Mismatch, Proof, Readiness, Refusal,
};
use tapekey::kad::{KeyId, OurKad, derive_volume_key};
use tapekey::scsi::sense::SenseKey;
use tapekey::scsi::tde::set_data_encryption::{Decryption, SetScope};
use tapekey::scsi::tde::{DecryptionMode, EncryptionMode};
use tapekey::secret::DataKey;
use tapekey::transport::{Completion, TransportError};

const SPIN: u8 = 0xA2;
const SPOUT: u8 = 0xB5;
const HOST: &str = "host1";
const PLAINTEXT: &[u8] = b"a block that nobody may read without the key, long enough to be recognised";

fn drive(path: Path) -> Drive {
    Drive::new(Box::new(path), Duration::from_secs(60))
}

/// A key of ours, its KAD, and everything else for the volume that is in the drive.
fn key_for(drive: &mut Drive, nonce: u8) -> (DataKey, OurKad, KeyParameters) {
    let key_id = KeyId([0x11; 16]);
    let key = derive_volume_key(&DataKey::take(&mut [0x22; 32]), key_id, [nonce; 6]);
    let kad = OurKad::derived(key_id, [nonce; 6], &key);
    let parameters = KeyParameters {
        volume: drive.volume().unwrap(),
        unauthenticated_kad: kad.encode().to_vec(),
        authenticated_kad: Vec::new(),
        decryption: Decryption::Decrypt,
        scope: SetScope::AllItNexus,
    };
    (key, kad, parameters)
}

fn write(path: &mut Path, block: &[u8]) -> u8 {
    let length = u8::try_from(block.len()).unwrap();
    path.command(&[0x0A, 0, 0, 0, length, 0], block, 0).0
}

fn rewind(path: &mut Path) {
    assert_eq!(path.command(&[0x01, 0, 0, 0, 0, 0], &[], 0).0, 0);
}

/// A drive with a key in it, and the program beside it on the same nexus.
fn loaded(bench: &Bench) -> (Drive, Path, OurKad) {
    let mut program = bench.path(HOST);
    program.settle();
    let mut drive = drive(bench.path(HOST));
    let (key, kad, parameters) = key_for(&mut drive, 1);
    drive.load_key(&key, &parameters).unwrap();
    (drive, program, kad)
}

#[test]
fn tells_who_it_is_and_what_is_in_it() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut drive = drive(bench.path(HOST));
    let identity = drive.identify().unwrap();
    assert_eq!((identity.vendor.as_str(), identity.serial.len()), ("IBM", 10));
    assert_eq!(drive.readiness().unwrap(), Readiness::Ready);
    let met: Vec<_> = drive
        .take_attentions()
        .iter()
        .map(|attention| attention.meaning())
        .collect();
    assert!(met.contains(&Meaning::MediumChanged), "{met:?}");
    assert_eq!(drive.volume().unwrap().medium_serial.as_deref(), Some("VOLUME01"));
    bench.drive().eject().unwrap();
    assert_eq!(drive.readiness().unwrap(), Readiness::NoMedium);
}

#[test]
fn a_loaded_key_is_reported_by_the_drive_and_what_is_written_is_cipher_text() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut program = bench.path(HOST);
    program.settle();
    let mut drive = drive(bench.path(HOST));
    assert!(matches!(drive.beginning().unwrap(), Beginning::Blank { .. }));
    let (key, kad, parameters) = key_for(&mut drive, 1);
    let proof = drive.load_key(&key, &parameters).unwrap();
    assert_eq!(proof.in_force().our_kad(), Some(kad));
    assert_eq!(proof.in_force().encryption_mode, EncryptionMode::Encrypt);
    assert!(proof.clear_key_on_demount() && proof.notes().is_empty());
    assert_eq!(write(&mut program, PLAINTEXT), 0);
    assert_eq!(drive.proof().unwrap(), Proof::AllEncrypted);
    rewind(&mut program);
    assert_eq!(drive.beginning().unwrap(), Beginning::Ours(kad));
    let (status, _, data) = program.command(&[0x08, 0, 0, 1, 0, 0], &[], 256);
    assert_eq!(
        (status, data.as_slice()),
        (2, PLAINTEXT),
        "a short block: CHECK CONDITION with ILI, and its data"
    );
    assert!(!drive.clear_key().unwrap().already());
    assert!(drive.read_back().unwrap().is_disabled());
    assert!(drive.clear_key().unwrap().already());
    rewind(&mut program);
    let (status, sense, data) = program.command(&[0x08, 0, 0, 1, 0, 0], &[], 256);
    assert_eq!(
        (status, sense[12], sense[13], data.len()),
        (2, 0x74, 0x01, 0),
        "without the key it cannot be read"
    );
}

#[test]
fn the_key_of_another_volume_is_never_sent() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut drive = drive(bench.path(HOST));
    drive.readiness().unwrap();
    let (key, _, mut parameters) = key_for(&mut drive, 1);
    parameters.volume.medium_serial = Some("VOLUME02".to_owned());
    let error = drive.load_key(&key, &parameters).unwrap_err();
    assert!(
        matches!(&error, LoadKeyError::AnotherVolume { found, .. } if found == "VOLUME01"),
        "{error}"
    );
    assert!(!error.may_have_loaded());
    assert!(!bench.sent().contains(&SPOUT));
}

#[test]
fn a_volume_that_cannot_be_told_from_another_gets_no_key() {
    // READ ATTRIBUTE finds no attribute at all: AVAILABLE DATA 0.
    let nameless = |cdb: &[u8], data: &mut [u8], length: usize| {
        if cdb[0] != 0x8C {
            return length;
        }
        data[..4].fill(0);
        4
    };
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut drive = drive(bench.path(HOST).after(Box::new(nameless)));
    drive.readiness().unwrap();
    let (key, _, parameters) = key_for(&mut drive, 1);
    assert_eq!(parameters.volume.medium_serial, None);
    let error = drive.load_key(&key, &parameters).unwrap_err();
    assert!(matches!(&error, LoadKeyError::AnotherVolume { .. }), "{error}");
    assert!(!bench.sent().contains(&SPOUT));
}

#[test]
fn a_volume_changed_at_the_last_moment_does_not_get_the_key() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut swapped = false;
    let path = bench.path(HOST).before(Box::new(move |cdb, drive| {
        if cdb[0] == SPOUT && !std::mem::replace(&mut swapped, true) {
            drive.eject().unwrap();
            drive.load(blank("VOLUME02")).unwrap();
        }
        None
    }));
    let mut drive = drive(path);
    drive.readiness().unwrap();
    let (key, _, parameters) = key_for(&mut drive, 1);
    let error = drive.load_key(&key, &parameters).unwrap_err();
    assert!(
        matches!(&error, LoadKeyError::Interrupted { sense, .. } if sense.is(SenseKey::UnitAttention, 0x28, 0x00)),
        "{error}"
    );
    assert!(drive.read_back().unwrap().is_disabled());
}

#[test]
fn good_status_is_not_proof() {
    // Something happens between the SPOUT and the read-back; every time the load must fail.
    let events: [fn() -> Event; 4] = [
        || Event::KeyDropped,
        || Event::Reset,
        || Event::KeySetByAnotherNexus,
        || Event::PowerCycle,
    ];
    for event in events {
        let bench = Bench::with_blank_volume("VOLUME01");
        let (mut sent, mut happened) = (false, false);
        let path = bench.path(HOST).before(Box::new(move |cdb, drive| {
            if sent && !happened && cdb[0] == SPIN {
                drive.apply(event());
                happened = true;
            }
            sent |= cdb[0] == SPOUT;
            None
        }));
        let mut drive = drive(path);
        drive.readiness().unwrap();
        let (key, _, parameters) = key_for(&mut drive, 1);
        let error = drive.load_key(&key, &parameters).unwrap_err();
        let attention = matches!(
            &error,
            LoadKeyError::ReadBackMismatch {
                mismatch: Mismatch::Attention(_),
                ..
            }
        );
        assert!(attention && error.may_have_loaded(), "{error}");
        drive.clear_key().unwrap();
        assert!(drive.read_back().unwrap().is_disabled());
    }
}

#[test]
fn a_key_that_the_drive_swallows_without_a_word_is_noticed() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let path = bench.path(HOST).before(Box::new(|cdb, _| {
        (cdb[0] == SPOUT).then(|| {
            Ok(Completion {
                status: 0,
                sense: Vec::new(),
                transferred: 82,
            })
        })
    }));
    let mut drive = drive(path);
    drive.readiness().unwrap();
    let (key, _, parameters) = key_for(&mut drive, 1);
    let error = drive.load_key(&key, &parameters).unwrap_err();
    assert!(
        matches!(
            &error,
            LoadKeyError::ReadBackMismatch {
                mismatch: Mismatch::Field { .. },
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn the_same_key_sent_into_the_void_is_noticed_by_the_counter() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let (_, _, kad) = loaded(&bench);
    let path = bench.path(HOST).before(Box::new(|cdb, _| {
        (cdb[0] == SPOUT).then(|| {
            Ok(Completion {
                status: 0,
                sense: Vec::new(),
                transferred: 82,
            })
        })
    }));
    let mut drive = drive(path);
    let (key, same_kad, parameters) = key_for(&mut drive, 1);
    assert_eq!(kad, same_kad);
    let error = drive.load_key(&key, &parameters).unwrap_err();
    let stood_still = matches!(
        &error,
        LoadKeyError::ReadBackMismatch {
            mismatch: Mismatch::CounterStoodStill(_),
            ..
        }
    );
    assert!(stood_still, "{error}");
}

#[test]
fn a_drive_that_keeps_its_key_is_not_called_cleared() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let (_, _, kad) = loaded(&bench);
    let path = bench.path(HOST).before(Box::new(|cdb, _| {
        (cdb[0] == SPOUT).then(|| {
            Ok(Completion {
                status: 0,
                sense: Vec::new(),
                transferred: 20,
            })
        })
    }));
    let mut drive = drive(path);
    let error = drive.clear_key().unwrap_err();
    assert!(matches!(&error, DriveError::NotCleared { .. }), "{error}");
    assert_eq!(drive.read_back().unwrap().our_kad(), Some(kad));
}

#[test]
fn a_scope_that_the_drive_does_not_offer_is_never_sent() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let path = bench.path(HOST).after(Box::new(|cdb, data, length| {
        if cdb[0] == SPIN && cdb[2..4] == [0x00, 0x12] {
            // Page 0012h: the header stays, nothing is offered.
            data[4..length].fill(0);
        }
        length
    }));
    let mut drive = drive(path);
    drive.readiness().unwrap();
    let (key, _, mut parameters) = key_for(&mut drive, 1);
    for scope in [SetScope::AllItNexus, SetScope::Local] {
        parameters.scope = scope;
        let error = drive.load_key(&key, &parameters).unwrap_err();
        assert!(
            matches!(
                &error,
                LoadKeyError::NotSent(DriveError::Refused {
                    refusal: Refusal::ScopeMissing,
                    ..
                })
            ),
            "{error}"
        );
    }
    assert!(!bench.sent().contains(&SPOUT));
}

#[test]
fn a_drive_that_does_not_answer_may_hold_the_key() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let path = bench.path(HOST).before(Box::new(|cdb, _| {
        (cdb[0] == SPOUT).then(|| {
            Err(TransportError::Timeout {
                path: "in-process drive".to_owned(),
                timeout_ms: 60_000,
            })
        })
    }));
    let mut drive = drive(path);
    drive.readiness().unwrap();
    let (key, _, parameters) = key_for(&mut drive, 1);
    let error = drive.load_key(&key, &parameters).unwrap_err();
    assert!(error.may_have_loaded(), "{error}");
    assert!(
        matches!(&error, LoadKeyError::Refused(cause) if cause.is_timeout()),
        "{error}"
    );
}

#[test]
fn says_which_check_failed_when_somebody_else_owns_the_keys() {
    for (managed, refusal) in [
        (LibraryManaged::ProtocolHidden, Refusal::LibraryManaged),
        (LibraryManaged::ConfigurationPrevented, Refusal::ConfigurationPrevented),
    ] {
        let bench = Bench::with_blank_volume("VOLUME01");
        bench.drive().quirks().library_managed = managed;
        let mut drive = drive(bench.path(HOST));
        drive.readiness().unwrap();
        let (key, _, parameters) = key_for(&mut drive, 1);
        let error = drive.load_key(&key, &parameters).unwrap_err();
        assert!(
            matches!(&error, LoadKeyError::NotSent(DriveError::Refused { refusal: found, .. }) if *found == refusal),
            "{error}"
        );
        assert!(error.to_string().contains("hint: "), "{error}");
        assert!(!bench.sent().contains(&SPOUT));
    }
}

#[test]
fn says_what_the_drive_said_when_it_takes_no_key() {
    let bench = Bench::with_blank_volume("VOLUME01");
    bench.drive().quirks().refuse_security_protocol_out = Some("05/74/21".parse().unwrap());
    let mut drive = drive(bench.path(HOST));
    drive.readiness().unwrap();
    let (key, _, parameters) = key_for(&mut drive, 1);
    let error = drive.load_key(&key, &parameters).unwrap_err().to_string();
    assert!(
        error.contains("ILLEGAL REQUEST 74h/21h (data encryption configuration prevented)"),
        "{error}"
    );
    assert!(drive.read_back().unwrap().is_disabled());
}

#[test]
fn gives_up_clear_on_demount_before_it_gives_up_the_key() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut refusals = 0;
    let path = bench.path(HOST).before(Box::new(move |cdb, _| {
        refusals += usize::from(cdb[0] == SPOUT);
        let sense = vec![0x70, 0, 5, 0, 0, 0, 0, 10, 0, 0, 0, 0, 0x26, 0, 0, 0x80, 0, 5];
        (cdb[0] == SPOUT && refusals == 1).then_some(Ok(Completion {
            status: 2,
            sense,
            transferred: 0,
        }))
    }));
    let mut drive = drive(path);
    drive.readiness().unwrap();
    let (key, kad, parameters) = key_for(&mut drive, 1);
    let proof = drive.load_key(&key, &parameters).unwrap();
    assert!(
        !proof.clear_key_on_demount() && proof.notes()[0].contains("CLEAR KEY ON DEMOUNT"),
        "{:?}",
        proof.notes()
    );
    assert_eq!(proof.in_force().our_kad(), Some(kad));
}

#[test]
fn another_hosts_key_and_a_reset_are_remembered_as_attentions() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let (mut drive, _, _) = loaded(&bench);
    drive.take_attentions();
    for (event, meaning) in [
        (Event::KeySetByAnotherNexus, Meaning::ParametersChanged),
        (Event::Reset, Meaning::Reset),
    ] {
        bench.drive().apply(event);
        drive.read_back().unwrap();
        let met: Vec<_> = drive
            .take_attentions()
            .iter()
            .map(|attention| attention.meaning())
            .collect();
        assert_eq!(met, [meaning]);
    }
}

#[test]
fn a_key_leaves_with_its_volume() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let (mut drive, mut program, _) = loaded(&bench);
    bench.drive().eject().unwrap();
    bench.drive().load(blank("VOLUME02")).unwrap();
    program.settle();
    assert!(drive.read_back().unwrap().is_disabled());
}

#[test]
fn tells_blank_plain_ours_foreign_and_elsewhere_apart() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut program = bench.path(HOST);
    program.settle();
    let mut drive = drive(bench.path(HOST));
    assert!(matches!(drive.beginning().unwrap(), Beginning::Blank { .. }));
    assert_eq!(write(&mut program, PLAINTEXT), 0);
    assert!(matches!(
        drive.beginning().unwrap(),
        Beginning::NotAtBeginning { object: 1 }
    ));
    rewind(&mut program);
    assert_eq!(drive.beginning().unwrap(), Beginning::Plain);
    assert_eq!(drive.proof().unwrap(), Proof::NothingEncrypted);
    let (key, _, mut parameters) = key_for(&mut drive, 1);
    parameters.unauthenticated_kad = b"made by another program".to_vec();
    drive.load_key(&key, &parameters).unwrap();
    assert_eq!(write(&mut program, PLAINTEXT), 0);
    rewind(&mut program);
    let foreign = Beginning::Foreign {
        unauthenticated_kad: b"made by another program".to_vec(),
        authenticated_kad: Vec::new(),
    };
    assert_eq!(drive.beginning().unwrap(), foreign);
    let plain_tail = drive.clear_key().and_then(|_| drive.next_block()).unwrap();
    assert_eq!(plain_tail.logical_object_number, 0);
    program.command(&[0x11, 0x03, 0, 0, 0, 0], &[], 0);
    assert_eq!(write(&mut program, PLAINTEXT), 0);
    let mixed = Proof::Mixed {
        first_encrypted_object: 0,
        first_plain_object: 1,
    };
    assert_eq!(drive.proof().unwrap(), mixed);
}

#[test]
fn a_volume_that_the_drive_does_not_look_into_is_blank_only_if_its_statistics_say_so() {
    let bench = Bench::with_blank_volume("VOLUME01");
    let mut program = bench.path(HOST);
    program.settle();
    let mut drive = drive(bench.path(HOST));
    let (key, _, parameters) = key_for(&mut drive, 1);
    drive.load_key(&key, &parameters).unwrap();
    assert_eq!(write(&mut program, PLAINTEXT), 0);
    let cartridge = bench.drive().eject().unwrap();
    bench.drive().quirks().next_block_unknown_after_load = true;
    bench.drive().load(cartridge).unwrap();
    assert!(
        matches!(drive.beginning().unwrap(), Beginning::Unknown { .. }),
        "an encrypted volume is never taken for blank"
    );
    bench.drive().eject().unwrap();
    bench.drive().load(blank("VOLUME02")).unwrap();
    assert!(matches!(drive.beginning().unwrap(), Beginning::Blank { .. }));
}

#[test]
fn padding_after_the_kad_is_no_difference() {
    for padding in [0x00, 0x20] {
        let bench = Bench::with_blank_volume("VOLUME01");
        bench.drive().quirks().kad_padding = Some(padding);
        let (mut drive, mut program, kad) = loaded(&bench);
        assert_eq!(write(&mut program, PLAINTEXT), 0);
        rewind(&mut program);
        assert_eq!(drive.beginning().unwrap(), Beginning::Ours(kad));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever a drive sends, nothing panics, and a `KeyLoaded` exists only if the drive really encrypts under our KAD.
    #[test]
    fn no_reply_however_broken_makes_a_proof(which in 0_usize..24, place in 0_usize..64, value: u8, cut in prop::option::of(0_usize..64)) {
        let bench = Bench::with_blank_volume("VOLUME01");
        let mut count = 0;
        let path = bench.path(HOST).after(Box::new(move |_, data, length| {
            count += 1;
            if count != which || length == 0 {
                return length;
            }
            if let Some(byte) = data.get_mut(place) {
                *byte ^= value;
            }
            cut.map_or(length, |cut| length.min(cut))
        }));
        let mut drive = drive(path);
        let _ = (drive.identify(), drive.readiness(), drive.beginning());
        let Ok(volume) = drive.volume() else { return Ok(()) };
        let key = DataKey::take(&mut [0x22; 32]);
        let kad = OurKad::as_is(KeyId([0x11; 16]), &key);
        let parameters = KeyParameters {
            volume,
            unauthenticated_kad: kad.encode().to_vec(),
            authenticated_kad: Vec::new(),
            decryption: Decryption::Mixed,
            scope: SetScope::AllItNexus,
        };
        if drive.load_key(&key, &parameters).is_ok() {
            let in_force = Drive::new(Box::new(bench.path(HOST)), Duration::from_secs(60)).read_back().unwrap();
            prop_assert_eq!(in_force.encryption_mode, EncryptionMode::Encrypt);
            prop_assert_eq!(in_force.decryption_mode, DecryptionMode::Mixed);
            prop_assert_eq!(in_force.our_kad(), Some(kad));
        }
        let _ = (drive.proof(), drive.clear_key());
    }
}
