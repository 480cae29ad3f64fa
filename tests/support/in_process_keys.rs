//! A key source in this process, without a KMS.

use std::sync::Mutex;

use tapekey::kad::{BlockKads, KeyId, OurKad, derive_volume_key};
use tapekey::keysource::{
    FetchedKey, Fetching, FoundKeys, GroupName, KeyFacts, KeyServer, KeySource, KeyState, VolumeName,
};
use tapekey::kms_api::KeyServerKind;
use tapekey::secret::DataKey;

/// Gives each volume a key of its own and remembers for which volumes it was asked.
#[derive(Default)]
pub(crate) struct Keys {
    /// The volumes.
    pub(crate) asked: Mutex<Vec<String>>,
}

/// The volume key with this nonce.
pub(crate) fn key(nonce: u8) -> FetchedKey {
    let key_id = KeyId([0x11; 16]);
    let drive_key = derive_volume_key(&DataKey::take(&mut [0x22; 32]), key_id, [nonce; 6]);
    let facts = KeyFacts {
        kad: OurKad::derived(key_id, [nonce; 6], &drive_key),
        key_name: "first".into(),
        group: GroupName::new("ENCR_a").unwrap(),
        state: KeyState::Active,
        server: KeyServer {
            name: "built-in".into(),
            kind: KeyServerKind::BuiltIn,
            address: "https://kms1:8443".into(),
            server_address: None,
            priority: None,
            cached: false,
            fallback: false,
            took_ms: 3,
            protocol_version: None,
            identifier: None,
        },
        asked: Vec::new(),
    };
    FetchedKey { key: drive_key, facts }
}

impl KeySource for Keys {
    fn key_for_backup(&self, _: GroupName, volume: VolumeName) -> Fetching<FetchedKey> {
        let mut asked = self.asked.lock().unwrap();
        asked.push(volume.to_string());
        let nonce = u8::try_from(asked.len()).unwrap();
        Box::pin(async move { Ok(key(nonce)) })
    }

    fn alarm(&self) -> Option<String> {
        None
    }

    fn keys_for_restore(&self, kads: BlockKads, _: Option<VolumeName>) -> Fetching<FoundKeys> {
        let kad = OurKad::decode(&kads.unauthenticated).unwrap();
        let keys = vec![key(kad.nonce()[0])];
        Box::pin(async move {
            Ok(FoundKeys {
                keys,
                candidates: Vec::new(),
                outcomes: Vec::new(),
            })
        })
    }
}
