//! What a look under the hold means for what the drive was let go for. Pure.

use crate::controller::runtime::mount::{Judgement, Mount, Seen, judge};
use crate::drive::Meaning;
use crate::gate::{Found, Pass};

/// A volume of a plain pool, for which the drive was let go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::controller::runtime) struct PlainMount {
    /// The job that let it go.
    pub(in crate::controller::runtime) job: u64,
    /// Its medium serial number.
    pub(in crate::controller::runtime) medium_serial: Option<String>,
}

/// What was `seen` against what was let in. What the drive did not say is unknown, never intact.
pub(super) fn found(pass: Pass, mount: Option<&Mount>, plain: Option<&PlainMount>, seen: &Seen) -> Found {
    match (pass, mount, plain) {
        (Pass::KeyLoaded, Some(mount), _) => key(mount, seen),
        (Pass::Plain, _, Some(plain)) => volume(plain, seen),
        // Nobody knows any more what it was let go for.
        _ => Found::KeyLost,
    }
}

fn key(mount: &Mount, seen: &Seen) -> Found {
    match judge(mount, seen) {
        // A volume without a name cannot be told from another one.
        Judgement::Intact if mount.medium_serial.is_none() => Found::Unknown,
        Judgement::Intact if seen.in_force.is_some() && matches!(seen.medium, Some(Some(_))) => Found::Intact,
        Judgement::Intact => Found::Unknown,
        Judgement::Left => Found::Left,
        Judgement::KeyOutlivedVolume | Judgement::Disturbed(_) => Found::KeyLost,
    }
}

fn volume(plain: &PlainMount, seen: &Seen) -> Found {
    let changed = |met: &crate::drive::Attention| met.meaning() == Meaning::MediumChanged;
    match &seen.medium {
        None => Found::Unknown,
        Some(Some(volume)) if volume.medium_serial.is_none() && plain.medium_serial.is_none() => Found::Unknown,
        Some(Some(volume)) if volume.medium_serial == plain.medium_serial && !seen.attentions.iter().any(changed) => {
            Found::Intact
        }
        Some(_) => Found::Left,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{DecryptionMode, EncryptionMode, KeyInForce, Scope, VolumeIdentity};
    use crate::kad::{BlockKads, KeyId, OurKad};
    use crate::secret::DataKey;

    fn kads() -> BlockKads {
        OurKad::derived(KeyId([1; 16]), [1; 6], &DataKey::take(&mut [1; 32])).into()
    }

    fn mount() -> Mount {
        Mount {
            job: 1,
            kads: kads(),
            key_instance_counter: 7,
            medium_serial: Some("V1".into()),
        }
    }

    fn seen(serial: Option<&str>, encrypts: Option<bool>) -> Seen {
        let volume = |serial: &str| VolumeIdentity {
            medium_serial: Some(serial.into()),
            ..VolumeIdentity::default()
        };
        let in_force = |encrypts: bool| KeyInForce {
            encryption_mode: if encrypts {
                EncryptionMode::Encrypt
            } else {
                EncryptionMode::Disable
            },
            decryption_mode: if encrypts {
                DecryptionMode::Decrypt
            } else {
                DecryptionMode::Disable
            },
            key_scope: Scope::AllItNexus,
            algorithm_index: 1,
            key_instance_counter: 7,
            unauthenticated_kad: if encrypts { kads().unauthenticated } else { Vec::new() },
            authenticated_kad: Vec::new(),
        };
        Seen {
            attentions: Vec::new(),
            medium: serial.map(|serial| (!serial.is_empty()).then(|| volume(serial))),
            in_force: encrypts.map(in_force),
        }
    }

    #[test]
    fn a_key_is_intact_only_if_volume_and_key_were_both_seen_to_be_the_same() {
        let found = |serial, encrypts| found(Pass::KeyLoaded, Some(&mount()), None, &seen(serial, encrypts));
        assert_eq!(found(Some("V1"), Some(true)), Found::Intact);
        assert_eq!(found(Some("V1"), None), Found::Unknown);
        assert_eq!(found(None, Some(true)), Found::Unknown);
        assert_eq!(found(Some("V1"), Some(false)), Found::KeyLost);
        assert_eq!(found(Some("V2"), Some(true)), Found::KeyLost, "it outlived its volume");
        assert_eq!(found(Some("V2"), Some(false)), Found::Left);
        assert_eq!(found(Some(""), Some(false)), Found::Left);
    }

    #[test]
    fn a_plain_volume_is_intact_only_while_it_is_the_same_one() {
        let plain = PlainMount {
            job: 1,
            medium_serial: Some("V1".into()),
        };
        let found = |serial| found(Pass::Plain, None, Some(&plain), &seen(serial, None));
        assert_eq!(found(Some("V1")), Found::Intact);
        assert_eq!((found(Some("V2")), found(Some(""))), (Found::Left, Found::Left));
        assert_eq!(found(None), Found::Unknown);
    }

    #[test]
    fn without_a_record_of_what_it_was_let_go_for_nothing_is_intact() {
        assert_eq!(
            found(Pass::KeyLoaded, None, None, &seen(Some("V1"), Some(true))),
            Found::KeyLost
        );
        assert_eq!(
            found(Pass::Plain, Some(&mount()), None, &seen(Some("V1"), None)),
            Found::KeyLost
        );
    }
}
