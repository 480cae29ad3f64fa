//! How KADs and key ids stand in JSON: lower-case hex, and the hyphenated UUID. Use with `#[serde(with = "…")]`.

/// Longest KAD of any drive, with room: what is longer is no KAD.
pub const KAD_LENGTH_MAX: usize = 256;

/// Bytes of a KAD as hex.
pub mod hex_bytes {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use super::KAD_LENGTH_MAX;

    /// Writes lower-case hex.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        hex::encode(bytes).serialize(serializer)
    }

    /// Reads hex of either case.
    ///
    /// # Errors
    /// Anything but the hex of 1 to 256 bytes.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = hex::decode(&text).map_err(|error| D::Error::custom(format!("a KAD must be hex: {error}")))?;
        if (1..=KAD_LENGTH_MAX).contains(&bytes.len()) {
            Ok(bytes)
        } else {
            Err(D::Error::custom(format!(
                "a KAD has 1 to {KAD_LENGTH_MAX} bytes, this one {}",
                bytes.len()
            )))
        }
    }
}

/// The head of an audit chain as text.
pub mod audit_head {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::kms_api::AuditHead;

    /// Writes `NODE:SEQUENCE:MAC`.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(head: &AuditHead, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(head)
    }

    /// Reads the same.
    ///
    /// # Errors
    /// As the text's own.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AuditHead, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Heads of audit chains as texts.
pub mod audit_heads {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use crate::kms_api::AuditHead;

    /// Writes each as `NODE:SEQUENCE:MAC`.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(heads: &[AuditHead], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(heads.iter().map(ToString::to_string))
    }

    /// Reads the same.
    ///
    /// # Errors
    /// As the texts' own.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AuditHead>, D::Error> {
        let texts = Vec::<String>::deserialize(deserializer)?;
        let heads = texts.iter().map(|text| text.parse().map_err(D::Error::custom));
        heads.collect()
    }
}

/// Bytes of a KAD as hex, where there may be none. Use with `default` and `skip_serializing_if = "Option::is_none"`.
pub mod optional_hex_bytes {
    use serde::{Deserializer, Serializer};

    /// Writes lower-case hex, or null.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => super::hex_bytes::serialize(bytes, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads hex of either case.
    ///
    /// # Errors
    /// As [`super::hex_bytes::deserialize`].
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error> {
        super::hex_bytes::deserialize(deserializer).map(Some)
    }
}

/// A KAD of ours as hex of exactly its 30 bytes.
pub mod our_kad {
    use serde::de::Error as _;
    use serde::{Deserializer, Serializer};

    use crate::kad::{KAD_LENGTH, OurKad};

    /// Writes lower-case hex.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(kad: &OurKad, serializer: S) -> Result<S::Ok, S::Error> {
        super::hex_bytes::serialize(&kad.encode(), serializer)
    }

    /// Reads hex.
    ///
    /// # Errors
    /// Anything that is not a KAD of ours in form, and padding after it.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<OurKad, D::Error> {
        let bytes = super::hex_bytes::deserialize(deserializer)?;
        OurKad::decode(&bytes)
            .filter(|_| bytes.len() == KAD_LENGTH)
            .ok_or_else(|| D::Error::custom("not a KAD of tapekey's form"))
    }
}

/// A key id as a hyphenated UUID.
pub mod key_id {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};
    use uuid::Uuid;

    use crate::kad::KeyId;

    /// Writes the hyphenated form.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(id: &KeyId, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }

    /// Reads any usual spelling of a UUID.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<KeyId, D::Error> {
        let text = String::deserialize(deserializer)?;
        Uuid::try_parse(&text)
            .map(|uuid| KeyId(uuid.into_bytes()))
            .map_err(|error| D::Error::custom(format!("a key id must be a UUID: {error}")))
    }
}

/// A key id as a hyphenated UUID, where there may be none. Use with `default` and `skip_serializing_if = "Option::is_none"`.
pub mod optional_key_id {
    use serde::{Deserializer, Serializer};

    use crate::kad::KeyId;

    /// Writes the hyphenated form, or null.
    ///
    /// # Errors
    /// Those of `serializer`.
    pub fn serialize<S: Serializer>(id: &Option<KeyId>, serializer: S) -> Result<S::Ok, S::Error> {
        match id {
            Some(id) => super::key_id::serialize(id, serializer),
            None => serializer.serialize_none(),
        }
    }

    /// Reads any usual spelling of a UUID.
    ///
    /// # Errors
    /// Anything else.
    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<KeyId>, D::Error> {
        super::key_id::deserialize(deserializer).map(Some)
    }
}
