//! Attributes of objects: one as it is sent, in a search or for a new key; all of a key as they are read, and what they say.
//!
//! Up to 1.4 an attribute is a name and a value, a custom one by a name that begins with `x-`. From 2.0 on it is a tag of its own, a custom
//! one a vendor, a name and a value; `x` is the vendor of what was `x-` (KMIP specification, "Attributes", "Vendor Attributes").

use super::group::GroupAttribute;
use super::names::{AES, ENCRYPT, KEY_BITS, ProtocolVersion, SYMMETRIC_KEY, State, UNINTERPRETED_TEXT, tag};
use super::ttlv::{Element, Tag};
use super::write::Writer;

/// What custom attributes of clients begin with up to 1.4.
const CUSTOM_PREFIX: &str = "x-";
/// Their vendor from 2.0 on.
const CUSTOM_VENDOR: &str = "x";
/// The custom attribute that holds a key group's name.
pub(super) const X_KEYGROUP: &str = "x-keygroup";
/// The same, as some write it.
pub(super) const X_KEYGROUP_CAPITAL: &str = "x-keyGroup";
/// The custom attribute that holds what other software writes on the tape for a key.
pub(super) const X_KAD: &str = "x-kad";

/// One attribute as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Attribute {
    ObjectType,
    StateActive,
    Name(String),
    ObjectGroup(String),
    ApplicationSpecificInformation { namespace: &'static str, data: String },
    Custom { name: &'static str, value: String },
    Algorithm,
    Length,
    UsageMask(i32),
}

impl Attribute {
    fn name(&self) -> &'static str {
        match self {
            Self::ObjectType => "Object Type",
            Self::StateActive => "State",
            Self::Name(_) => "Name",
            Self::ObjectGroup(_) => "Object Group",
            Self::ApplicationSpecificInformation { .. } => "Application Specific Information",
            Self::Custom { name, .. } => name,
            Self::Algorithm => "Cryptographic Algorithm",
            Self::Length => "Cryptographic Length",
            Self::UsageMask(_) => "Cryptographic Usage Mask",
        }
    }

    fn tag(&self) -> Tag {
        match self {
            Self::ObjectType => tag::OBJECT_TYPE,
            Self::StateActive => tag::STATE,
            Self::Name(_) => tag::NAME,
            Self::ObjectGroup(_) => tag::OBJECT_GROUP,
            Self::ApplicationSpecificInformation { .. } => tag::APPLICATION_SPECIFIC_INFORMATION,
            Self::Custom { .. } => tag::ATTRIBUTE,
            Self::Algorithm => tag::CRYPTOGRAPHIC_ALGORITHM,
            Self::Length => tag::CRYPTOGRAPHIC_LENGTH,
            Self::UsageMask(_) => tag::CRYPTOGRAPHIC_USAGE_MASK,
        }
    }

    fn write_value(&self, writer: &mut Writer, tag: Tag) {
        match self {
            Self::ObjectType => writer.enumeration(tag, SYMMETRIC_KEY),
            Self::StateActive => writer.enumeration(tag, State::ACTIVE),
            Self::Name(name) => writer.structure(tag, |writer| {
                writer.text(tag::NAME_VALUE, name);
                writer.enumeration(tag::NAME_TYPE, UNINTERPRETED_TEXT);
            }),
            Self::ObjectGroup(group) => writer.text(tag, group),
            Self::ApplicationSpecificInformation { namespace, data } => writer.structure(tag, |writer| {
                writer.text(tag::APPLICATION_NAMESPACE, namespace);
                writer.text(tag::APPLICATION_DATA, data);
            }),
            Self::Custom { value, .. } => writer.text(tag, value),
            Self::Algorithm => writer.enumeration(tag, AES),
            Self::Length => writer.integer(tag, KEY_BITS),
            Self::UsageMask(mask) => writer.integer(tag, *mask),
        }
    }

    fn write(&self, writer: &mut Writer) {
        writer.structure(tag::ATTRIBUTE, |writer| {
            writer.text(tag::ATTRIBUTE_NAME, self.name());
            self.write_value(writer, tag::ATTRIBUTE_VALUE);
        });
    }

    fn write_tagged(&self, writer: &mut Writer) {
        let Self::Custom { name, .. } = self else {
            return self.write_value(writer, self.tag());
        };
        writer.structure(tag::ATTRIBUTE, |writer| {
            writer.text(tag::VENDOR_IDENTIFICATION, CUSTOM_VENDOR);
            writer.text(tag::ATTRIBUTE_NAME, name.strip_prefix(CUSTOM_PREFIX).unwrap_or(name));
            self.write_value(writer, tag::ATTRIBUTE_VALUE);
        });
    }

    /// Writes `attributes` as `version` has them; up to 1.4 inside `around`, if there is such a thing.
    pub(super) fn write_all(
        attributes: &[Self],
        (writer, version): (&mut Writer, ProtocolVersion),
        around: Option<Tag>,
    ) {
        let each = |writer: &mut Writer| attributes.iter().for_each(|attribute| attribute.write(writer));
        if version.has_tagged_attributes() {
            writer.structure(tag::ATTRIBUTES, |writer| {
                attributes.iter().for_each(|attribute| attribute.write_tagged(writer));
            });
        } else if let Some(around) = around {
            writer.structure(around, each);
        } else {
            each(writer);
        }
    }
}

/// What a server says of an object. Nothing here is secret.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct KeyAttributes {
    pub(super) identifier: String,
    pub(super) object_type: Option<u32>,
    pub(super) algorithm: Option<u32>,
    pub(super) length: Option<i64>,
    pub(super) usage_mask: Option<i64>,
    pub(super) state: Option<u32>,
    pub(super) initial_date: Option<i64>,
    pub(super) activation_date: Option<i64>,
    pub(super) protect_stop_date: Option<i64>,
    pub(super) names: Vec<String>,
    pub(super) x_keygroup: Vec<String>,
    pub(super) object_groups: Vec<String>,
    pub(super) application_data: Vec<String>,
    pub(super) x_kad: Vec<String>,
}

impl KeyAttributes {
    /// Reads the attributes in the payload of a reply, of either kind.
    pub(super) fn read(identifier: &str, payload: &Element<'_>) -> Self {
        let mut attributes = Self {
            identifier: identifier.to_owned(),
            ..Self::default()
        };
        for attribute in payload.all(tag::ATTRIBUTE) {
            attributes.add_named(attribute);
        }
        for attribute in payload.all(tag::ATTRIBUTES).flat_map(Element::children) {
            match attribute.tag {
                tag::ATTRIBUTE => attributes.add_named(attribute),
                _ => attributes.add(attribute.tag, attribute),
            }
        }
        attributes
    }

    /// The key's state, as far as one is given.
    pub(super) fn state(&self) -> Option<State> {
        self.state.map(State::of)
    }

    /// The groups that it is in by `attribute`.
    pub(super) fn groups(&self, attribute: GroupAttribute) -> &[String] {
        match attribute {
            GroupAttribute::XKeygroup => &self.x_keygroup,
            GroupAttribute::ObjectGroup => &self.object_groups,
            GroupAttribute::ApplicationSpecificInformation => &self.application_data,
        }
    }

    /// Whether it may not protect anything any more at `now`.
    pub(super) fn is_past_protect_stop(&self, now: i64) -> bool {
        self.protect_stop_date.is_some_and(|stop| stop <= now)
    }

    /// Why it is no AES-256 key, if it says something else or not enough.
    pub(super) fn not_aes_256(&self) -> Option<&'static str> {
        if self.object_type.is_some_and(|object_type| object_type != SYMMETRIC_KEY) {
            Some("is no symmetric key")
        } else if self.algorithm != Some(AES) {
            Some("is not for AES")
        } else if self.length != Some(KEY_BITS.into()) {
            Some("has not 256 bits")
        } else {
            None
        }
    }

    /// Whether it may encrypt.
    pub(super) fn may_encrypt(&self) -> bool {
        self.usage_mask.is_some_and(|mask| mask & i64::from(ENCRYPT) != 0)
    }

    fn add_named(&mut self, attribute: &Element<'_>) {
        let Some(name) = attribute.find(tag::ATTRIBUTE_NAME).and_then(Element::text) else {
            return;
        };
        let Some(value) = attribute.find(tag::ATTRIBUTE_VALUE) else {
            return;
        };
        let vendor = attribute.find(tag::VENDOR_IDENTIFICATION).and_then(Element::text);
        let is = |custom: &str| {
            name.eq_ignore_ascii_case(custom)
                || (vendor == Some(CUSTOM_VENDOR)
                    && custom
                        .strip_prefix(CUSTOM_PREFIX)
                        .is_some_and(|custom| name.eq_ignore_ascii_case(custom)))
        };
        if is(X_KEYGROUP) {
            self.x_keygroup.extend(value.text().map(str::to_owned));
        } else if is(X_KAD) {
            self.x_kad.extend(value.text().map(str::to_owned));
        } else if vendor.is_none()
            && let Some((_, tag)) = STANDARD.iter().find(|(standard, _)| *standard == name)
        {
            self.add(*tag, value);
        }
    }

    fn add(&mut self, tag: Tag, value: &Element<'_>) {
        let text = |value: &Element<'_>| value.text().map(str::to_owned);
        let inner = |tag: Tag| value.find(tag).and_then(Element::text);
        match tag {
            tag::OBJECT_TYPE => self.object_type = value.enumeration().or(self.object_type),
            tag::CRYPTOGRAPHIC_ALGORITHM => self.algorithm = value.enumeration().or(self.algorithm),
            tag::CRYPTOGRAPHIC_LENGTH => self.length = value.number().or(self.length),
            tag::CRYPTOGRAPHIC_USAGE_MASK => self.usage_mask = value.number().or(self.usage_mask),
            tag::STATE => self.state = value.enumeration().or(self.state),
            tag::INITIAL_DATE => self.initial_date = value.seconds().or(self.initial_date),
            tag::ACTIVATION_DATE => self.activation_date = value.seconds().or(self.activation_date),
            tag::PROTECT_STOP_DATE => self.protect_stop_date = value.seconds().or(self.protect_stop_date),
            tag::NAME => self.names.extend(inner(tag::NAME_VALUE).map(str::to_owned)),
            tag::OBJECT_GROUP => self.object_groups.extend(text(value)),
            tag::APPLICATION_SPECIFIC_INFORMATION
                if inner(tag::APPLICATION_NAMESPACE).is_some_and(|space| space.eq_ignore_ascii_case(X_KEYGROUP)) =>
            {
                self.application_data
                    .extend(inner(tag::APPLICATION_DATA).map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Names of the attributes that are read, and the tags that stand for them.
const STANDARD: [(&str, Tag); 11] = [
    ("Object Type", tag::OBJECT_TYPE),
    ("Cryptographic Algorithm", tag::CRYPTOGRAPHIC_ALGORITHM),
    ("Cryptographic Length", tag::CRYPTOGRAPHIC_LENGTH),
    ("Cryptographic Usage Mask", tag::CRYPTOGRAPHIC_USAGE_MASK),
    ("State", tag::STATE),
    ("Initial Date", tag::INITIAL_DATE),
    ("Activation Date", tag::ACTIVATION_DATE),
    ("Protect Stop Date", tag::PROTECT_STOP_DATE),
    ("Name", tag::NAME),
    ("Object Group", tag::OBJECT_GROUP),
    (
        "Application Specific Information",
        tag::APPLICATION_SPECIFIC_INFORMATION,
    ),
];
