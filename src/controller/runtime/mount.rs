//! The key that a job left in a drive, and whether it is still what the drive uses. Pure.

use crate::drive::{Attention, KeyInForce, Meaning, VolumeIdentity};
use crate::kad::{BlockKads, KeyId};

/// A key that a job left in a drive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The job.
    pub job: u64,
    /// The KADs of the key.
    pub kads: BlockKads,
    /// Key instance counter when it was read back.
    pub key_instance_counter: u32,
    /// Medium serial number of the volume that the key is for.
    pub medium_serial: Option<String>,
}

/// What was seen of the drive since.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Unit attentions that our commands met.
    pub attentions: Vec<Attention>,
    /// What is in the drive, if that was read: `Some(None)` is nothing.
    pub medium: Option<Option<VolumeIdentity>>,
    /// What is in force, if that was read.
    pub in_force: Option<KeyInForce>,
}

/// What follows for the mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Nothing speaks against it.
    Intact,
    /// The volume has left the drive, and the key is gone with it.
    Left,
    /// The volume has left the drive, and the key stayed behind.
    KeyOutlivedVolume,
    /// This happened to the key while the volume was mounted; never empty.
    Disturbed(Vec<String>),
}

/// Judges `mount` by what was `seen`. What was not read counts for nothing, except that a unit attention is believed until the volume is
/// seen to have left.
#[must_use]
pub fn judge(mount: &Mount, seen: &Seen) -> Judgement {
    if has_left(mount, seen) {
        let is_ours = |in_force: &KeyInForce| in_force.kads().same_as(&mount.kads);
        return if seen.in_force.as_ref().is_some_and(is_ours) {
            Judgement::KeyOutlivedVolume
        } else {
            Judgement::Left
        };
    }
    let mut reasons: Vec<String> = seen
        .attentions
        .iter()
        .filter(|met| concerns_keys(met))
        .map(reported)
        .collect();
    reasons.extend(seen.in_force.as_ref().and_then(|in_force| not_as_left(mount, in_force)));
    if reasons.is_empty() {
        Judgement::Intact
    } else {
        Judgement::Disturbed(reasons)
    }
}

fn concerns_keys(attention: &Attention) -> bool {
    matches!(attention.meaning(), Meaning::Reset | Meaning::ParametersChanged)
}

fn reported(attention: &Attention) -> String {
    format!("the drive reported {}", attention.sense)
}

fn not_as_left(mount: &Mount, in_force: &KeyInForce) -> Option<String> {
    let (was, is) = (mount.key_instance_counter, in_force.key_instance_counter);
    if in_force.is_disabled() {
        Some("the drive holds no key any more".into())
    } else if !in_force.kads().same_as(&mount.kads) {
        Some("another key is in force".into())
    } else if is != was {
        Some(format!(
            "the key was set again by somebody else: key instance counter {is}, not {was}"
        ))
    } else {
        None
    }
}

/// A drive that lost power with the volume in it loads it again and reports a medium change too: that does not show that the volume was away.
fn has_left(mount: &Mount, seen: &Seen) -> bool {
    let met = |meaning| seen.attentions.iter().any(|attention| attention.meaning() == meaning);
    let changed = met(Meaning::MediumChanged) && !met(Meaning::Reset);
    match &seen.medium {
        Some(None) => true,
        Some(Some(volume)) => changed || volume.medium_serial != mount.medium_serial,
        None => changed,
    }
}

/// The keys that the drive has refused, or may have, since the volume came. A drive forgets them when the volume leaves, or with its power.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrongKeys {
    /// Their ids.
    pub ids: Vec<KeyId>,
    /// Medium serial number of the volume.
    pub medium_serial: Option<String>,
}

impl WrongKeys {
    /// Forgets them if `seen` shows that the volume was away. What shows nothing lets them stand.
    pub fn keep_while_mounted(&mut self, seen: &Seen) {
        let changed = |attention: &Attention| attention.meaning() == Meaning::MediumChanged;
        let gone = match &seen.medium {
            Some(None) => true,
            Some(Some(volume)) => volume.medium_serial != self.medium_serial,
            None => false,
        };
        if gone || seen.attentions.iter().any(changed) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::drive::{DecryptionMode, EncryptionMode, Scope};
    use crate::kad::OurKad;
    use crate::scsi::sense::Sense;
    use crate::secret::DataKey;

    fn kad(byte: u8) -> OurKad {
        OurKad::derived(KeyId([byte; 16]), [byte; 6], &DataKey::take(&mut [byte; 32]))
    }

    fn mount() -> Mount {
        Mount {
            job: 3,
            kads: kad(1).into(),
            key_instance_counter: 7,
            medium_serial: Some("V1".into()),
        }
    }

    fn in_force(kad: Option<OurKad>, key_instance_counter: u32) -> KeyInForce {
        let mode = kad.map_or((EncryptionMode::Disable, DecryptionMode::Disable), |_| {
            (EncryptionMode::Encrypt, DecryptionMode::Decrypt)
        });
        KeyInForce {
            encryption_mode: mode.0,
            decryption_mode: mode.1,
            key_scope: Scope::AllItNexus,
            algorithm_index: 1,
            key_instance_counter,
            unauthenticated_kad: kad.map(|kad| kad.encode().to_vec()).unwrap_or_default(),
            authenticated_kad: Vec::new(),
        }
    }

    fn attention(asc: u8, ascq: u8) -> Attention {
        // Fixed format, current, UNIT ATTENTION (SPC-5, "Fixed format sense data").
        let bytes = [0x70, 0, 6, 0, 0, 0, 0, 10, 0, 0, 0, 0, asc, ascq, 0, 0, 0, 0];
        Attention {
            attempt: "TEST UNIT READY",
            sense: Sense::decode(&bytes).unwrap(),
        }
    }

    fn volume(serial: &str) -> Option<Option<VolumeIdentity>> {
        Some(Some(VolumeIdentity {
            medium_serial: Some(serial.into()),
            ..VolumeIdentity::default()
        }))
    }

    #[test]
    fn the_same_key_under_the_same_volume_is_intact() {
        let seen = Seen {
            medium: volume("V1"),
            in_force: Some(in_force(Some(kad(1)), 7)),
            ..Seen::default()
        };
        assert_eq!(judge(&mount(), &seen), Judgement::Intact);
        assert_eq!(judge(&mount(), &Seen::default()), Judgement::Intact);
    }

    #[test]
    fn another_key_no_key_or_another_counter_is_a_disturbance() {
        for (state, word) in [
            (in_force(Some(kad(2)), 8), "another key"),
            (in_force(None, 8), "no key any more"),
            (in_force(Some(kad(1)), 9), "counter 9, not 7"),
        ] {
            let seen = Seen {
                medium: volume("V1"),
                in_force: Some(state),
                ..Seen::default()
            };
            let Judgement::Disturbed(why) = judge(&mount(), &seen) else {
                panic!("{word}")
            };
            assert!(why.len() == 1 && why[0].contains(word), "{why:?}");
        }
    }

    #[test]
    fn a_reset_or_a_change_of_parameters_is_a_disturbance_even_if_the_key_looks_right() {
        for (asc, ascq) in [(0x29, 0x00), (0x2A, 0x11), (0x2A, 0x12), (0x2A, 0x13)] {
            let seen = Seen {
                attentions: vec![attention(asc, ascq)],
                medium: volume("V1"),
                in_force: Some(in_force(Some(kad(1)), 7)),
            };
            assert!(
                matches!(judge(&mount(), &seen), Judgement::Disturbed(_)),
                "{asc:02X}/{ascq:02X}"
            );
        }
        let unread = Seen {
            attentions: vec![attention(0x29, 0)],
            ..Seen::default()
        };
        assert!(
            matches!(judge(&mount(), &unread), Judgement::Disturbed(_)),
            "unknown is never fine"
        );
    }

    #[test]
    fn a_volume_that_left_takes_its_key_along_or_raises_an_alarm() {
        let gone = Seen {
            attentions: vec![attention(0x2A, 0x12)],
            medium: Some(None),
            in_force: Some(in_force(None, 8)),
        };
        assert_eq!(judge(&mount(), &gone), Judgement::Left);
        let stayed = Seen {
            medium: volume("V2"),
            in_force: Some(in_force(Some(kad(1)), 7)),
            ..Seen::default()
        };
        assert_eq!(judge(&mount(), &stayed), Judgement::KeyOutlivedVolume);
        let changed = Seen {
            attentions: vec![attention(0x28, 0)],
            ..Seen::default()
        };
        assert_eq!(judge(&mount(), &changed), Judgement::Left);
    }

    #[test]
    fn a_power_loss_with_the_volume_in_the_drive_is_a_disturbance_and_no_departure() {
        let switched_off = |medium| Seen {
            attentions: vec![attention(0x29, 0x01), attention(0x28, 0x00)],
            medium,
            in_force: Some(in_force(None, 0)),
        };
        for medium in [volume("V1"), None] {
            let Judgement::Disturbed(why) = judge(&mount(), &switched_off(medium)) else {
                panic!("the key went while its volume was mounted")
            };
            assert_eq!(why.len(), 2, "the reset and the missing key: {why:?}");
        }
        assert_eq!(judge(&mount(), &switched_off(volume("V2"))), Judgement::Left);
    }

    #[test]
    fn wrong_keys_stand_until_the_volume_was_seen_to_be_away() {
        let wrong = WrongKeys {
            ids: vec![KeyId([1; 16])],
            medium_serial: Some("V1".into()),
        };
        let after = |seen: Seen| {
            let mut wrong = wrong.clone();
            wrong.keep_while_mounted(&seen);
            wrong.ids.len()
        };
        let met = |asc, ascq| Seen {
            attentions: vec![attention(asc, ascq)],
            ..Seen::default()
        };
        let medium = |medium| Seen {
            medium,
            ..Seen::default()
        };
        assert_eq!(after(Seen::default()), 1);
        assert_eq!(
            (after(medium(volume("V1"))), after(met(0x29, 0)), after(met(0x2A, 0x11))),
            (1, 1, 1)
        );
        assert_eq!(
            (
                after(medium(volume("V2"))),
                after(medium(Some(None))),
                after(met(0x28, 0))
            ),
            (0, 0, 0)
        );
    }
}
