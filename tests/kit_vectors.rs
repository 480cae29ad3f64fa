//! The recovery kit against `tests/vectors/kit-v1.json`, which an independent program made from the kit's own description: what it holds, and
//! that the same keys, salt and nonce give the same lines.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

use std::path::Path;
use std::sync::Mutex;

use serde_json::Value;
use tapekey::clock::Timestamp;
use tapekey::entropy::{Entropy, EntropyError};
use tapekey::kad::{KeyId, KeyKind};
use tapekey::kms::kit::{Contents, KitError, KitGroup, KitKey, KitOf, SealedKit, read};
use tapekey::kms_api::{Cipher, GroupName, GroupRecord, KeyName, KeyOrigin, KeyRecord, KeyState, ServerName};
use tapekey::passphrase::Passphrase;
use tapekey::secret::DataKey;

/// Gives these bytes, in this order.
struct Given(Mutex<Vec<u8>>);

impl Entropy for Given {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        let mut given = self.0.lock().unwrap();
        let rest = given.split_off(bytes.len());
        bytes.copy_from_slice(&given);
        *given = rest;
        Ok(())
    }
}

fn vectors() -> Value {
    serde_json::from_str(include_str!("vectors/kit-v1.json")).unwrap()
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    hex::decode(word(value)).unwrap()
}

fn at(value: &Value) -> Timestamp {
    Timestamp::from_unix_timestamp_nanos(i128::from(value.as_i64().unwrap()) * 1_000_000).unwrap()
}

fn key(group: &Value, key: &Value) -> KitKey {
    let record = KeyRecord {
        id: KeyId(bytes(&key["id"]).try_into().unwrap()),
        name: KeyName::new(word(&key["name"])).unwrap(),
        group: GroupName::new(word(&group["name"])).unwrap(),
        state: KeyState::from_name(word(&key["state"])).unwrap(),
        description: word(&key["description"]).to_owned(),
        origin: KeyOrigin::from_name(word(&key["origin"])).unwrap(),
        foreign_kad: Some(bytes(&key["foreign_kad"])).filter(|kad| !kad.is_empty()),
        created: at(&key["created_ms"]),
        modified: at(&key["modified_ms"]),
        activated: key["activated_ms"].is_number().then(|| at(&key["activated_ms"])),
    };
    let key = DataKey::take_slice(&mut bytes(&key["key"])).unwrap();
    KitKey { record, key }
}

fn group(value: &Value) -> KitGroup {
    let record = GroupRecord {
        name: GroupName::new(word(&value["name"])).unwrap(),
        kind: if value["kind"] == "derived" {
            KeyKind::Derived
        } else {
            KeyKind::AsIs
        },
        cipher: Cipher::Aes256Gcm,
        description: word(&value["description"]).to_owned(),
        server: value["server"].as_str().map(|name| ServerName::new(name).unwrap()),
        rotate_after_days: value["rotate_after_days"]
            .as_u64()
            .map(|days| u32::try_from(days).unwrap()),
        created: at(&value["created_ms"]),
        modified: at(&value["modified_ms"]),
    };
    let keys = value["keys"].as_array().unwrap();
    KitGroup {
        record,
        released_outside: value["released_outside"].as_bool().unwrap(),
        keys: keys.iter().map(|one| key(value, one)).collect(),
    }
}

fn contents(vectors: &Value) -> Contents {
    Contents {
        groups: vectors["groups"].as_array().unwrap().iter().map(group).collect(),
    }
}

fn passphrase(vectors: &Value) -> Passphrase {
    Passphrase::read(word(&vectors["passphrase"]).as_bytes()).ok().unwrap()
}

fn kit(vectors: &Value) -> Result<SealedKit, KitError> {
    let lines: Vec<&str> = vectors["lines"].as_array().unwrap().iter().map(word).collect();
    read(&mut lines.join("\n").as_bytes(), Path::new("kit-v1.json"))
}

#[test]
fn the_kit_of_the_vectors_holds_what_they_say() {
    let vectors = vectors();
    let kit = kit(&vectors).unwrap();
    assert_eq!(kit.head().id.to_string(), word(&vectors["id"]));
    assert_eq!(kit.head().store.to_string(), word(&vectors["store"]));
    assert_eq!(kit.head().made, at(&vectors["made_ms"]));
    let (found, wanted) = (kit.open(&passphrase(&vectors)).ok().unwrap(), contents(&vectors));
    assert_eq!(found.groups.len(), wanted.groups.len());
    for (found, wanted) in found.groups.iter().zip(&wanted.groups) {
        assert_eq!(found.record, wanted.record);
        assert_eq!(found.released_outside, wanted.released_outside);
        assert_eq!(found.keys.len(), wanted.keys.len());
        for (found, wanted) in found.keys.iter().zip(&wanted.keys) {
            assert_eq!(found.record, wanted.record);
            assert!(found.key == wanted.key, "{}", wanted.record.name);
        }
    }
}

#[test]
fn the_same_keys_salt_and_nonce_give_the_kit_of_the_vectors() {
    let vectors = vectors();
    let given = Given(Mutex::new([bytes(&vectors["salt"]), bytes(&vectors["nonce"])].concat()));
    let of = KitOf {
        id: KeyId::from_identifier(word(&vectors["id"])),
        made: at(&vectors["made_ms"]),
        store: KeyId::from_identifier(word(&vectors["store"])),
    };
    let sealed = SealedKit::seal(&contents(&vectors), of, &passphrase(&vectors), &given).unwrap();
    assert_eq!(sealed, kit(&vectors).unwrap());
}

#[test]
fn a_changed_character_of_any_line_is_named_by_its_line() {
    let vectors = vectors();
    let count = vectors["lines"].as_array().unwrap().len();
    for number in 1..=count {
        let mut altered = vectors.clone();
        let line = word(&altered["lines"][number - 1]).to_owned();
        let other = if &line[20..21] == "7" { "8" } else { "7" };
        altered["lines"][number - 1] = format!("{}{other}{}", &line[..20], &line[21..]).into();
        let error = kit(&altered).unwrap_err().to_string();
        assert!(
            error.contains(&format!("line {number} (line {number} of what was given)")),
            "{error}"
        );
    }
}
