//! Key-associated data: what lies beside a key in the drive and beside each block on the tape (SSC-4, "Key-associated data (KAD)
//! descriptors").

use crate::{EncryptionProfile, sense::Sense};

/// Length of a descriptor without its data.
const DESCRIPTOR_BYTES: usize = 4;

/// DESCRIPTOR TYPE of an unauthenticated KAD.
pub(super) const UNAUTHENTICATED: u8 = 0;
/// DESCRIPTOR TYPE of an authenticated KAD.
pub(super) const AUTHENTICATED: u8 = 1;

/// One KAD.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Kad {
    /// DESCRIPTOR TYPE: 0 U-KAD, 1 A-KAD.
    pub(super) kind: u8,
    /// Its bytes.
    pub(super) data: Vec<u8>,
}

/// The AUTHENTICATED field of a descriptor that goes to the initiator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Authenticated {
    /// Nobody tried.
    NotAttempted,
    /// The value is the one that was written.
    Succeeded,
    /// The value, or the block beside it, was changed.
    Failed,
}

impl Authenticated {
    /// The field: a U-KAD is never covered by it, and drives differ in how they say so.
    const fn code(self, kind: u8, of_u_kad: u8) -> u8 {
        match (kind, self) {
            (UNAUTHENTICATED, _) => of_u_kad & 0x07,
            (_, Self::NotAttempted) => 2,
            (_, Self::Succeeded) => 3,
            (_, Self::Failed) => 4,
        }
    }
}

/// Takes the KAD descriptors at the end of a Set Data Encryption page; `offset` is where they begin in it.
///
/// # Errors
/// 05/26/00 at the first byte that breaks a rule: descriptors whole, types rising from U-KAD to A-KAD, reserved byte zero unless `lenient`, lengths as
/// the drive's capabilities say. Nonce, M-KAD and wrapped-key KAD belong to modes that the drive does not have.
pub(super) fn decode(
    descriptors: &[u8],
    offset: usize,
    capabilities: &EncryptionProfile,
    lenient: bool,
) -> Result<Vec<Kad>, Sense> {
    let refused = |at: usize, bit| Sense::invalid_parameter_field(u16::try_from(offset + at).unwrap_or(u16::MAX), bit);
    let (mut kads, mut at) = (Vec::<Kad>::new(), 0);
    while let Some(rest) = descriptors.get(at..).filter(|rest| !rest.is_empty()) {
        let Some(([kind, reserved, high, low], data)) = rest.split_first_chunk::<DESCRIPTOR_BYTES>() else {
            return Err(refused(at, 7));
        };
        let (maximum, fixed) = match *kind {
            UNAUTHENTICATED => (capabilities.u_kad_bytes_max, capabilities.u_kad_fixed),
            AUTHENTICATED => (capabilities.a_kad_bytes_max, capabilities.a_kad_fixed),
            _ => return Err(refused(at, 7)),
        };
        if kads.last().is_some_and(|before| before.kind >= *kind) {
            return Err(refused(at, 7));
        }
        if let Some(bit) = reserved.checked_ilog2().filter(|_| !lenient) {
            return Err(refused(at + 1, u8::try_from(bit).unwrap_or(7)));
        }
        let length = u16::from_be_bytes([*high, *low]);
        if length > maximum || (fixed && length != maximum) {
            return Err(refused(at + 2, 7));
        }
        let data = data.get(..usize::from(length)).ok_or(refused(at + 2, 7))?;
        kads.push(Kad {
            kind: *kind,
            data: data.to_vec(),
        });
        at += DESCRIPTOR_BYTES + data.len();
    }
    Ok(kads)
}

/// Takes the descriptors that lie beside a block.
pub(super) fn decode_stored(mut descriptors: &[u8]) -> Vec<Kad> {
    let mut kads = Vec::new();
    while let Some(([kind, _, high, low], rest)) = descriptors.split_first_chunk::<DESCRIPTOR_BYTES>() {
        let Some((data, rest)) = rest.split_at_checked(usize::from(u16::from_be_bytes([*high, *low]))) else {
            break;
        };
        kads.push(Kad {
            kind: *kind,
            data: data.to_vec(),
        });
        descriptors = rest;
    }
    kads
}

/// Descriptors for a status page; `of_u_kad` is what every U-KAD's AUTHENTICATED field says.
pub(super) fn encode(kads: &[Kad], authenticated: Authenticated, of_u_kad: u8) -> Vec<u8> {
    encode_with(kads, |kind| authenticated.code(kind, of_u_kad))
}

/// Descriptors to lie beside a block; padded to their maximum length if `padding` says with what.
pub(super) fn encode_stored(kads: &[Kad], padding: Option<u8>, capabilities: &EncryptionProfile) -> Vec<u8> {
    let mut kads = kads.to_vec();
    if let Some(padding) = padding {
        for kad in &mut kads {
            let maximum = if kad.kind == UNAUTHENTICATED {
                capabilities.u_kad_bytes_max
            } else {
                capabilities.a_kad_bytes_max
            };
            kad.data.resize(usize::from(maximum), padding);
        }
    }
    encode_with(&kads, |_| 0)
}

fn encode_with(kads: &[Kad], authenticated: impl Fn(u8) -> u8) -> Vec<u8> {
    let mut descriptors = Vec::new();
    for kad in kads {
        let [high, low] = u16::try_from(kad.data.len()).unwrap_or(u16::MAX).to_be_bytes();
        descriptors.extend_from_slice(&[kad.kind, authenticated(kad.kind), high, low]);
        descriptors.extend_from_slice(&kad.data);
    }
    descriptors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Profile;

    fn decode_ibm(descriptors: &[u8]) -> Result<Vec<Kad>, Sense> {
        decode(descriptors, 52, &Profile::ibm_lto8().encryption, false)
    }

    fn at(byte: u16, bit: u8) -> Option<Sense> {
        Some(Sense::invalid_parameter_field(byte, bit))
    }

    #[test]
    fn takes_one_of_each_kind_and_gives_them_back() {
        let kads = decode_ibm(b"\0\0\0\x03abc\x01\0\0\x02de").unwrap();
        assert_eq!(
            encode_stored(&kads, None, &Profile::ibm_lto8().encryption),
            b"\0\0\0\x03abc\x01\0\0\x02de"
        );
        assert_eq!(
            encode(&kads, Authenticated::Succeeded, 1),
            b"\0\x01\0\x03abc\x01\x03\0\x02de"
        );
        assert_eq!(decode_stored(b"\0\0\0\x03abc\x01\0\0\x02de"), kads);
    }

    #[test]
    fn points_at_what_it_refuses() {
        assert_eq!(
            decode_ibm(&[0x01, 0, 0, 1, 7, 0x00, 0, 0, 1, 7]).err(),
            at(57, 7),
            "types must rise"
        );
        assert_eq!(
            decode_ibm(&[0x00, 0, 0, 1, 7, 0x00, 0, 0, 1, 7]).err(),
            at(57, 7),
            "no type twice"
        );
        assert_eq!(decode_ibm(&[0x00, 0x20, 0, 1, 7]).err(), at(53, 5), "reserved bits");
        assert_eq!(
            decode_ibm(&[0x00, 0, 0, 33]).err(),
            at(54, 7),
            "a U-KAD has at most 32 bytes"
        );
        assert_eq!(
            decode_ibm(&[0x01, 0, 0, 13]).err(),
            at(54, 7),
            "an A-KAD has at most 12 bytes"
        );
        for kind in [2, 3, 4, 0xFF] {
            assert_eq!(decode_ibm(&[kind, 0, 0, 0]).err(), at(52, 7), "type {kind}");
        }
    }

    #[test]
    fn refuses_every_truncation() {
        let whole = b"\0\0\0\x03abc\x01\0\0\x02de";
        for length in (1..whole.len()).filter(|length| *length != 7) {
            assert!(decode_ibm(&whole[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn pads_stored_data_only_when_told_to() {
        let kads = decode_ibm(b"\0\0\0\x01a").unwrap();
        let stored = encode_stored(&kads, Some(b' '), &Profile::ibm_lto8().encryption);
        assert_eq!((stored.len(), &stored[..6]), (36, &b"\0\0\0\x20a "[..]));
    }
}
