//! What the fake server keeps, and the attributes of it in both forms that KMIP has: named ones (1.x) and tagged ones (2.x).

use super::habits::{Habits, Vendor};
use crate::kmip_support::tags::{self, state};
use crate::kmip_support::talk::{Carrier, grouped, named};
use crate::kmip_support::ttlv::{Item, Value, integer, structure, text};

/// The standard attributes, by both of their names.
const STANDARD: &[(&str, u32)] = &[
    ("Unique Identifier", tags::UNIQUE_IDENTIFIER),
    ("Name", tags::NAME),
    ("Object Type", tags::OBJECT_TYPE),
    ("Cryptographic Algorithm", tags::CRYPTOGRAPHIC_ALGORITHM),
    ("Cryptographic Length", tags::CRYPTOGRAPHIC_LENGTH),
    ("Cryptographic Usage Mask", tags::CRYPTOGRAPHIC_USAGE_MASK),
    ("State", tags::STATE),
    ("Initial Date", tags::INITIAL_DATE),
    ("Activation Date", tags::ACTIVATION_DATE),
    ("Protect Stop Date", tags::PROTECT_STOP_DATE),
    ("Object Group", tags::OBJECT_GROUP),
    (
        "Application Specific Information",
        tags::APPLICATION_SPECIFIC_INFORMATION,
    ),
];

/// The server's own vendor.
const OWN: &str = "Example.Org";
/// Stands between vendor and name where an attribute is kept that is another vendor's.
const BETWEEN: &str = " / ";

/// A managed object: a symmetric key, unless the test makes it something else.
#[derive(Debug, Clone)]
pub(crate) struct Object {
    /// Empty until the server gives it one.
    pub(crate) identifier: String,
    pub(crate) object_type: u32,
    pub(crate) algorithm: u32,
    pub(crate) length: i32,
    pub(crate) usage_mask: i32,
    pub(crate) state: u32,
    pub(crate) material: Vec<u8>,
    /// 0 until the server dates it.
    pub(crate) initial_date: i64,
    pub(crate) activation_date: Option<i64>,
    pub(crate) protect_stop_date: Option<i64>,
    /// Names, groups and custom attributes, under their names in KMIP 1.x.
    pub(crate) others: Vec<(String, Value)>,
    /// Attributes that are never told, by their names in KMIP 1.x.
    pub(crate) hidden: Vec<&'static str>,
    /// Its state before it was destroyed no longer counts.
    pub(crate) destroyed: bool,
}

impl Object {
    /// An active AES key for encryption and decryption, in no group.
    pub(crate) fn aes(material: &[u8]) -> Self {
        Self {
            identifier: String::new(),
            object_type: tags::SYMMETRIC_KEY_TYPE,
            algorithm: tags::AES,
            length: i32::try_from(material.len() * 8).unwrap(),
            usage_mask: tags::ENCRYPT | tags::DECRYPT,
            state: state::ACTIVE,
            material: material.to_vec(),
            initial_date: 0,
            activation_date: None,
            protect_stop_date: None,
            others: Vec::new(),
            hidden: Vec::new(),
            destroyed: false,
        }
    }

    pub(crate) fn in_group(self, carrier: Carrier, group: &str) -> Self {
        self.with(grouped(carrier, group))
    }

    pub(crate) fn named(self, name: &str) -> Self {
        self.with(named(name))
    }

    /// With one more attribute of this name.
    pub(crate) fn with(mut self, (name, value): (&str, Item)) -> Self {
        self.others.push((name.to_owned(), value.value));
        self
    }

    pub(crate) fn identified(self, identifier: &str) -> Self {
        let identifier = identifier.to_owned();
        Self { identifier, ..self }
    }

    pub(crate) fn in_state(self, state: u32) -> Self {
        Self { state, ..self }
    }

    /// All attributes that are told: names in KMIP 1.x, and values.
    pub(super) fn attributes(&self, habits: &Habits) -> Vec<(String, Value)> {
        let mut all: Vec<(&str, Value)> = vec![
            ("Unique Identifier", Value::Text(self.identifier.clone())),
            ("Object Type", Value::Enumeration(self.object_type)),
            ("Cryptographic Algorithm", Value::Enumeration(self.algorithm)),
            ("Cryptographic Length", Value::Integer(self.length)),
            ("Cryptographic Usage Mask", Value::Integer(self.usage_mask)),
            ("State", Value::Enumeration(self.state)),
            ("Initial Date", Value::DateTime(self.initial_date)),
        ];
        let dates = [
            ("Activation Date", self.activation_date),
            ("Protect Stop Date", self.protect_stop_date),
        ];
        all.extend(
            dates
                .into_iter()
                .filter_map(|(name, date)| Some((name, Value::DateTime(date?)))),
        );
        let mut all: Vec<_> = all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        all.extend(self.others.iter().cloned());
        if habits.strange_values {
            all.push(("Certificate Type".into(), Value::Enumeration(0x8000_0001)));
            all.push(("A New Attribute".into(), Value::Interval(7)));
            all.push(("x-counter".into(), Value::BigInteger(vec![0xFF; 16])));
        }
        all.retain(|(name, _)| !self.hidden.contains(&name.as_str()));
        all
    }
}

/// An attribute read from a request in the form of KMIP 1.x.
pub(super) fn read_named(attribute: &Item) -> Option<(String, Value)> {
    let name = attribute.text(tags::ATTRIBUTE_NAME)?;
    let value = attribute.find(tags::ATTRIBUTE_VALUE)?;
    Some((name.to_owned(), value.value.clone()))
}

/// An attribute read from a request in the form of KMIP 2.x.
pub(super) fn read_tagged(item: &Item, vendor: Vendor) -> Option<(String, Value)> {
    if item.tag == tags::ATTRIBUTE {
        let value = item.find(tags::ATTRIBUTE_VALUE)?;
        return Some((vendor_name(item, vendor)?, value.value.clone()));
    }
    Some((standard_name(item.tag)?.to_owned(), item.value.clone()))
}

/// The name of what an Attribute Reference of KMIP 2.x means: by tag, or by vendor and name.
pub(super) fn read_reference(reference: &Item, vendor: Vendor) -> Option<String> {
    match reference.value {
        Value::Enumeration(tag) => standard_name(tag).map(str::to_owned),
        _ => vendor_name(reference, vendor),
    }
}

/// In the form of KMIP 1.x; `index` where there may be several.
pub(super) fn write_named(name: &str, index: Option<i32>, value: Value) -> Item {
    let value = Item {
        tag: tags::ATTRIBUTE_VALUE,
        value,
    };
    let index = index.map(|index| integer(tags::ATTRIBUTE_INDEX, index));
    let head = [text(tags::ATTRIBUTE_NAME, name)];
    structure(tags::ATTRIBUTE, head.into_iter().chain(index).chain([value]))
}

/// In the form of KMIP 2.x.
pub(super) fn write_tagged(name: &str, value: Value, vendor: Vendor) -> Item {
    if let Some((_, tag)) = STANDARD.iter().find(|(known, _)| *known == name) {
        return Item { tag: *tag, value };
    }
    let custom = name.strip_prefix("x-");
    let (vendor, name) = match (custom.and_then(|custom| custom.split_once(BETWEEN)), vendor, custom) {
        (Some((vendor, name)), _, _) => (vendor, name),
        (None, Vendor::X, Some(rest)) => ("x", rest),
        (None, Vendor::X | Vendor::Own, _) => (OWN, name),
    };
    let value = Item {
        tag: tags::ATTRIBUTE_VALUE,
        value,
    };
    let head = [
        text(tags::VENDOR_IDENTIFICATION, vendor),
        text(tags::ATTRIBUTE_NAME, name),
    ];
    structure(tags::ATTRIBUTE, head.into_iter().chain([value]))
}

pub(super) fn is_custom(name: &str) -> bool {
    name.starts_with("x-")
}

fn standard_name(tag: u32) -> Option<&'static str> {
    let (name, _) = STANDARD.iter().find(|(_, known)| *known == tag)?;
    Some(name)
}

/// Its name in KMIP 1.x. Of another vendor than the server has it from, it is another attribute.
fn vendor_name(item: &Item, vendor: Vendor) -> Option<String> {
    let name = item.text(tags::ATTRIBUTE_NAME)?;
    Some(match (vendor, item.text(tags::VENDOR_IDENTIFICATION)?) {
        (Vendor::X, "x") => format!("x-{name}"),
        (Vendor::Own, OWN) => name.to_owned(),
        (_, other) => format!("x-{other}{BETWEEN}{name}"),
    })
}
