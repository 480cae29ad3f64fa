//! The KAD, the derivation and the key check value against vectors made by an independent program.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use serde_json::Value;
use tapekey::kad::{KeyId, KeyKind, OurKad, derive_volume_key};
use tapekey::passphrase::Passphrase;
use tapekey::secret::DataKey;

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/kad-v1.json")).unwrap()
}

fn bytes<const N: usize>(case: &Value, field: &str) -> [u8; N] {
    hex::decode(case[field].as_str().unwrap()).unwrap().try_into().unwrap()
}

fn key(case: &Value, field: &str) -> DataKey {
    DataKey::take(&mut bytes(case, field))
}

#[test]
fn every_kad_is_made_as_the_vectors_say() {
    let vectors = vectors();
    let cases = vectors["kads"].as_array().unwrap();
    assert!(cases.len() >= 7);
    for case in cases {
        let key_id = KeyId::from_identifier(case["identifier"].as_str().unwrap());
        assert_eq!(key_id.0, bytes(case, "key_id"), "{case}");
        let nonce = bytes(case, "nonce");
        let (kind, drive_key, kad) = match case["kind"].as_str().unwrap() {
            "derived" => {
                let drive_key = derive_volume_key(&key(case, "group_key"), key_id, nonce);
                let kad = OurKad::derived(key_id, nonce, &drive_key);
                (KeyKind::Derived, drive_key, kad)
            }
            "as_is" => (
                KeyKind::AsIs,
                key(case, "group_key"),
                OurKad::as_is(key_id, &key(case, "group_key")),
            ),
            other => panic!("unknown kind {other}"),
        };
        assert!(drive_key == key(case, "drive_key"), "{case}");
        assert_eq!(kad.encode(), bytes(case, "kad"), "{case}");
        assert_eq!(OurKad::decode(&kad.encode()), Some(kad));
        assert_eq!((kad.kind(), kad.key_id(), kad.nonce()), (kind, key_id, nonce), "{case}");
        assert!(
            kad.verify(&drive_key).is_ok() && kad.verify(&DataKey::take(&mut [0; 32])).is_err(),
            "{case}"
        );
    }
}

#[test]
fn what_a_drive_returns_is_read_as_the_vectors_say() {
    let vectors = vectors();
    let right_key = key(&vectors["kads"][0], "drive_key");
    for case in vectors["reading"].as_array().unwrap() {
        let u_kad = hex::decode(case["u_kad"].as_str().unwrap()).unwrap();
        let read = OurKad::decode(&u_kad);
        match case["verdict"].as_str().unwrap() {
            "ours" => assert!(read.unwrap().verify(&right_key).is_ok(), "{case}"),
            "ours in form; the KCV fails, so foreign" => assert!(read.unwrap().verify(&right_key).is_err(), "{case}"),
            "foreign" | "no KAD" => assert_eq!(read, None, "{case}"),
            other => panic!("unknown verdict {other}"),
        }
    }
}

#[test]
fn no_truncation_of_a_kad_is_ours() {
    let kad: [u8; 30] = bytes(&vectors()["kads"][0], "kad");
    for length in 0..kad.len() {
        assert_eq!(OurKad::decode(&kad[..length]), None, "{length} bytes");
    }
}

#[test]
fn every_passphrase_gives_the_key_of_the_vectors() {
    let vectors = vectors();
    let cases = vectors["passphrases"].as_array().unwrap();
    assert!(cases.len() >= 3);
    for case in cases {
        let typed = format!("{}\n", case["passphrase"].as_str().unwrap());
        let passphrase = Passphrase::read(typed.as_bytes()).unwrap_or_else(|error| panic!("{case}: {error}"));
        let id = KeyId(bytes(case, "key_id"));
        let derived = passphrase.derive(id).unwrap_or_else(|error| panic!("{case}: {error}"));
        assert!(derived == key(case, "key"), "{case}");
    }
}
