//! The key-associated data that tapekey writes beside every block, and the keys that follow from it.
//!
//! Layout, derivation and key check value are frozen: `tests/vectors/kad-v1.json` pins them, made by an independent program. A change
//! here would make tapes unreadable, so there will only ever be new versions.
//!
//! | bytes | content |
//! |---|---|
//! | 0-1 | `TK` |
//! | 2 | high nibble version (1), low nibble kind |
//! | 3-18 | key id |
//! | 19-24 | volume nonce, zeros for kind 0 |
//! | 25-29 | key check value |

use std::fmt;

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use thiserror::Error;
use uuid::Uuid;
use zeroize::{Zeroize, Zeroizing};

use crate::secret::{DataKey, KEY_LENGTH};

/// Bytes of a KAD of ours.
pub const KAD_LENGTH: usize = 30;

/// Bytes that the key check value covers: everything before it.
const HEAD_LENGTH: usize = 25;

/// Bytes of the key check value.
const KCV_LENGTH: usize = 5;

const MAGIC: [u8; 2] = *b"TK";
const VERSION: u8 = 1;
const DERIVE_INFO: &[u8] = b"tapekey volume v1";
const KCV_INFO: &[u8] = b"tapekey kcv v1";

/// 16 bytes that name a key.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// The key id of a key that some store knows by `identifier`: the UUID it spells (plain, hyphens, braces or urn, any case), else
    /// SHA-256 of its UTF-8 text cut to 16 bytes.
    #[must_use]
    pub fn from_identifier(identifier: &str) -> Self {
        if let Ok(uuid) = Uuid::try_parse(identifier) {
            return Self(uuid.into_bytes());
        }
        let digest: [u8; 32] = Sha256::digest(identifier.as_bytes()).into();
        let (id, _) = digest.split_at(16);
        Self(id.try_into().unwrap_or_default())
    }

    /// The key id of a new key: a version 4 UUID made of `random` bytes.
    #[must_use]
    pub fn from_random(random: [u8; 16]) -> Self {
        Self(uuid::Builder::from_random_bytes(random).into_uuid().into_bytes())
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Uuid::from_bytes(self.0).as_hyphenated().fmt(formatter)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The KADs of a block as a drive gives them, whoever wrote it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BlockKads {
    /// U-KAD, may be empty.
    pub unauthenticated: Vec<u8>,
    /// A-KAD, may be empty. Blocks of ours have none.
    pub authenticated: Vec<u8>,
}

impl BlockKads {
    /// Whether both KADs are those of `other`, but for what drives fill them up with.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        without_padding(&self.unauthenticated) == without_padding(&other.unauthenticated)
            && without_padding(&self.authenticated) == without_padding(&other.authenticated)
    }
}

impl From<OurKad> for BlockKads {
    fn from(kad: OurKad) -> Self {
        Self {
            unauthenticated: kad.encode().to_vec(),
            authenticated: Vec::new(),
        }
    }
}

/// A foreign KAD without the 00h and 20h at its end: some drives and programs fill KADs up with them. A KAD of ours is never trimmed.
#[must_use]
pub fn without_padding(kad: &[u8]) -> &[u8] {
    let end = kad.iter().rposition(|byte| !matches!(byte, 0x00 | 0x20));
    kad.split_at(end.map_or(0, |last| last + 1)).0
}

/// 6 bytes drawn for each new volume, so that no two volumes share a key.
pub type VolumeNonce = [u8; 6];

/// How the key on the drive follows from the key in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyKind {
    /// The group's key is used as it is, so that other software can read the volume. Kind 0.
    AsIs,
    /// The key is derived for one volume; the group's key never leaves the KMS. Kind 1.
    Derived,
}

/// The key on the drive for the volume with `nonce`: HKDF-SHA-256 of the group's key, salt the key id.
#[must_use]
pub fn derive_volume_key(group_key: &DataKey, key_id: KeyId, nonce: VolumeNonce) -> DataKey {
    let mut okm = [0; KEY_LENGTH];
    let info: Vec<u8> = [DERIVE_INFO, &nonce].concat();
    // 32 bytes are one block of HKDF-SHA-256, which refuses only more than 255 blocks.
    if Hkdf::<Sha256>::new(Some(&key_id.0), group_key.expose())
        .expand(&info, &mut okm)
        .is_err()
    {
        okm.zeroize();
    }
    DataKey::take(&mut okm)
}

/// A KAD of ours. Ours in form: only [`OurKad::verify`] with the right key shows that it really is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OurKad {
    bytes: [u8; KAD_LENGTH],
}

impl OurKad {
    /// The KAD for a volume whose blocks are encrypted by a key derived with `nonce`.
    #[must_use]
    pub fn derived(key_id: KeyId, nonce: VolumeNonce, drive_key: &DataKey) -> Self {
        Self::build(KeyKind::Derived, key_id, nonce, drive_key)
    }

    /// The KAD for a volume whose blocks are encrypted by the group's key itself.
    #[must_use]
    pub fn as_is(key_id: KeyId, drive_key: &DataKey) -> Self {
        Self::build(KeyKind::AsIs, key_id, [0; 6], drive_key)
    }

    fn build(kind: KeyKind, key_id: KeyId, nonce: VolumeNonce, drive_key: &DataKey) -> Self {
        let kind_nibble = match kind {
            KeyKind::AsIs => 0,
            KeyKind::Derived => 1,
        };
        let mut bytes = [0; KAD_LENGTH];
        let (head, check_value) = bytes.split_at_mut(HEAD_LENGTH);
        let fields = [MAGIC.as_slice(), &[VERSION << 4 | kind_nibble], &key_id.0, &nonce].concat();
        head.copy_from_slice(&fields);
        check_value.copy_from_slice(&key_check_value(drive_key, head));
        Self { bytes }
    }

    /// Reads the U-KAD of a block. `None` if it is not ours in form: wrong magic, version or kind, a nonce with kind 0, or anything
    /// but 00h and 20h after the 30 bytes. Those 30 bytes are never trimmed.
    #[must_use]
    pub fn decode(u_kad: &[u8]) -> Option<Self> {
        let (kad, padding) = u_kad.split_first_chunk::<KAD_LENGTH>()?;
        let kad = Self { bytes: *kad };
        let in_form = kad.bytes.starts_with(&MAGIC)
            && match kad.bytes[2] {
                0x10 => kad.nonce() == [0; 6],
                0x11 => true,
                _ => false,
            };
        (in_form && padding.iter().all(|byte| matches!(byte, 0x00 | 0x20))).then_some(kad)
    }

    /// The 30 bytes as they stand in the U-KAD.
    #[must_use]
    pub fn encode(&self) -> [u8; KAD_LENGTH] {
        self.bytes
    }

    /// How the key on the drive follows from the key named by [`OurKad::key_id`].
    #[must_use]
    pub fn kind(&self) -> KeyKind {
        if self.bytes[2] & 0x0F == 0 {
            KeyKind::AsIs
        } else {
            KeyKind::Derived
        }
    }

    /// The key in the store.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let mut id = [0; 16];
        id.copy_from_slice(&self.bytes[3..19]);
        KeyId(id)
    }

    /// The nonce of the volume, zeros for an as-is key.
    #[must_use]
    pub fn nonce(&self) -> VolumeNonce {
        let mut nonce = [0; 6];
        nonce.copy_from_slice(&self.bytes[19..HEAD_LENGTH]);
        nonce
    }

    /// Shows that `drive_key` is the key that this KAD was made for, without using it on a drive.
    ///
    /// # Errors
    /// [`KeyCheckFailed`] if it is another key, or if this KAD only looks like ours.
    pub fn verify(&self, drive_key: &DataKey) -> Result<(), KeyCheckFailed> {
        let (head, check_value) = self.bytes.split_at(HEAD_LENGTH);
        if key_check_value(drive_key, head).as_slice().ct_eq(check_value).into() {
            Ok(())
        } else {
            Err(KeyCheckFailed)
        }
    }
}

impl fmt::Display for OurKad {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.bytes))
    }
}

impl fmt::Debug for OurKad {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The key check value of a KAD and a key do not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the key does not fit this KAD: the key check value differs")]
pub struct KeyCheckFailed;

fn key_check_value(drive_key: &DataKey, head: &[u8]) -> [u8; KCV_LENGTH] {
    // HMAC takes a key shorter than SHA-256's block padded with zeros to that block.
    let mut padded_key = Zeroizing::new([0; 64]);
    padded_key
        .iter_mut()
        .zip(drive_key.expose())
        .for_each(|(padded, byte)| *padded = *byte);
    let mut mac = Hmac::<Sha256>::new((&*padded_key).into());
    mac.update(KCV_INFO);
    mac.update(head);
    let tag = mac.finalize().into_bytes();
    let mut value = [0; KCV_LENGTH];
    value.iter_mut().zip(tag).for_each(|(byte, tag_byte)| *byte = tag_byte);
    value
}
