//! Every finding about a drive, from answers made by hand.

use super::*;
use crate::controller::operation::PlainBlocks;
use crate::drive::{DecryptionMode, DriveIdentity, EncryptionMode, Scope, VolumeIdentity};
use crate::kad::{KeyId, OurKad};
use crate::scsi::tde::capabilities::{AES_256_GCM_128, AlgorithmDescriptor};
use crate::scsi::tde::management::ManagementCapabilities;
use crate::secret::DataKey;
use crate::transport::TransportError;

fn rules() -> Rules {
    Rules {
        expected_serial: Some("D1".into()),
        finish_volumes: true,
        scope: SetScope::AllItNexus,
        plain_blocks: PlainBlocks::default(),
    }
}

fn no_key(key_instance_counter: u32) -> KeyInForce {
    KeyInForce {
        encryption_mode: EncryptionMode::Disable,
        decryption_mode: DecryptionMode::Disable,
        key_scope: Scope::Public,
        algorithm_index: 0,
        key_instance_counter,
        unauthenticated_kad: Vec::new(),
        authenticated_kad: Vec::new(),
    }
}

fn offered(management: ManagementCapabilities) -> EncryptionOffer {
    EncryptionOffer {
        algorithm: AlgorithmDescriptor {
            algorithm_index: 1,
            valid_for_mounted_volume: true,
            decrypt_capable: 2,
            encrypt_capable: 2,
            unauthenticated_kad_fixed_length: false,
            unauthenticated_kad_bytes_max: 32,
            authenticated_kad_bytes_max: 12,
            key_size: 32,
            raw_decryption_mode_control: 4,
            security_algorithm_code: AES_256_GCM_128,
        },
        management,
        key_instance_counter: 1,
    }
}

fn medium() -> MediumFacts {
    MediumFacts {
        volume: VolumeIdentity {
            medium_serial: Some("V1".into()),
            barcode: Some("A00001L8".into()),
            pool: None,
            cleaning: false,
        },
        write_protected: false,
        density: Some(0x5E),
        worm: Some(false),
    }
}

fn good() -> Examination {
    Examination {
        identity: Ok(DriveIdentity {
            vendor: "IBM".into(),
            product: "ULT3580-TD8".into(),
            revision: "N9M1".into(),
            serial: "D1".into(),
            designators: Vec::new(),
        }),
        readiness: Ok(Readiness::Ready),
        medium: Some(Ok(medium())),
        offer: Ok(offered(ManagementCapabilities::ALL_IT_NEXUS)),
        in_force: Ok([no_key(1), no_key(1)]),
        sending: Ok(()),
        statistics: Some(Ok(true)),
    }
}

fn refused(refusal: Refusal) -> DriveError {
    DriveError::Refused {
        path: "/dev/sg3".into(),
        refusal,
    }
}

/// The one finding that is not as good as the others, in words.
#[track_caller]
fn only_flaw(examination: &Examination, verdict: Verdict, words: &str) {
    let found = findings(examination, &rules());
    let flaws: Vec<_> = found.iter().filter(|found| found.verdict != Verdict::Ok).collect();
    assert_eq!(flaws.len(), 1, "{flaws:#?}");
    assert_eq!(flaws[0].verdict, verdict, "{flaws:#?}");
    assert!(flaws[0].text.contains(words), "{words:?}: {flaws:#?}");
    assert!(flaws[0].remedy.is_some(), "{flaws:#?}");
}

#[test]
fn a_good_drive_has_nothing_but_good_findings_and_no_remedies() {
    let found = findings(&good(), &rules());
    assert!(
        found
            .iter()
            .all(|found| found.verdict == Verdict::Ok && found.remedy.is_none()),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|found| found.text.contains("A00001L8, LTO-8")),
        "{found:#?}"
    );
}

#[test]
fn a_drive_whose_keys_others_manage_is_wrong_and_says_who() {
    for (refusal, words) in [
        (Refusal::LibraryManaged, "protocol 20h is not offered"),
        (Refusal::NoSecurityProtocols, "does not know SECURITY PROTOCOL IN"),
        (Refusal::ConfigurationPrevented, "CFG_P 2"),
        (
            Refusal::ControlledElsewhere { owner: "the library" },
            "controlled by the library",
        ),
        (Refusal::NoAlgorithm, "no AES-256-GCM"),
        (Refusal::NotForThisVolume, "cannot be encrypted by it"),
    ] {
        let examination = Examination {
            offer: Err(refused(refusal)),
            ..good()
        };
        only_flaw(&examination, Verdict::Wrong, words);
    }
}

#[test]
fn without_a_volume_what_depends_on_one_is_unknown_and_the_drive_is_not_blamed() {
    let examination = Examination {
        readiness: Ok(Readiness::NoMedium),
        medium: None,
        statistics: None,
        offer: Err(refused(Refusal::NotForThisVolume)),
        ..good()
    };
    only_flaw(&examination, Verdict::Unknown, "no volume is in the drive");
}

#[test]
fn a_system_that_filters_commands_is_wrong_and_says_what_is_missing() {
    let source = TransportError::Path {
        path: "/dev/sg3".into(),
        attempt: "SG_IO",
        reason: "Operation not permitted (os error 1)".into(),
        hint: "give the daemon CAP_SYS_RAWIO",
    };
    let attempt = "SECURITY PROTOCOL OUT, protocol 00h";
    let examination = Examination {
        sending: Err(DriveError::Transport { attempt, source }),
        ..good()
    };
    only_flaw(&examination, Verdict::Wrong, "Operation not permitted");
    let found = findings(&examination, &rules());
    assert!(
        found
            .iter()
            .any(|found| found.remedy.as_deref() == Some("give the daemon CAP_SYS_RAWIO"))
    );
}

#[test]
fn keys_that_nobody_here_left_and_those_that_come_and_go_are_told() {
    let kad = OurKad::derived(KeyId([1; 16]), [1; 6], &DataKey::take(&mut [1; 32]));
    let with = |kad: Vec<u8>| KeyInForce {
        encryption_mode: EncryptionMode::Encrypt,
        decryption_mode: DecryptionMode::Decrypt,
        unauthenticated_kad: kad,
        ..no_key(1)
    };
    for (kad, words) in [
        (kad.encode().to_vec(), "of tapekey is in the drive"),
        (b"theirs".to_vec(), "not ours"),
    ] {
        let examination = Examination {
            in_force: Ok([with(kad.clone()), with(kad)]),
            ..good()
        };
        only_flaw(&examination, Verdict::Warning, words);
    }
    let examination = Examination {
        in_force: Ok([no_key(1), no_key(2)]),
        ..good()
    };
    only_flaw(&examination, Verdict::Wrong, "key instance counter 1, then 2");
}

#[test]
fn media_that_cannot_be_written_or_not_twice_are_warned_of() {
    let with = |medium: MediumFacts| Examination {
        medium: Some(Ok(medium)),
        ..good()
    };
    let write_protected = MediumFacts {
        write_protected: true,
        ..medium()
    };
    only_flaw(&with(write_protected), Verdict::Warning, "write-protected");
    let worm = |worm| MediumFacts { worm, ..medium() };
    only_flaw(&with(worm(Some(true))), Verdict::Warning, "WORM");
    only_flaw(&with(worm(None)), Verdict::Unknown, "does not tell whether it is WORM");
    let nameless = MediumFacts {
        volume: VolumeIdentity::default(),
        ..medium()
    };
    only_flaw(
        &with(nameless),
        Verdict::Wrong,
        "neither a medium serial number nor a barcode",
    );
}

#[test]
fn the_wrong_drive_the_wrong_scope_and_no_statistics_are_told() {
    let other = Rules {
        expected_serial: Some("D2".into()),
        scope: SetScope::Local,
        ..rules()
    };
    let examination = Examination {
        statistics: Some(Ok(false)),
        ..good()
    };
    let found = findings(&examination, &other);
    let flaws = found.iter().filter(|found| found.verdict != Verdict::Ok);
    let flaws: Vec<_> = flaws.map(|found| (found.about.as_str(), found.verdict)).collect();
    let expected = [
        ("reached", Verdict::Wrong),
        ("scope", Verdict::Wrong),
        ("proof", Verdict::Warning),
    ];
    assert_eq!(flaws, expected);
}
