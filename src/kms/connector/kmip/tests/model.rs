//! What the responder knows and how it behaves.

use super::super::names::tag;
use super::super::ttlv::{Element, Tag, Value, decode};

/// One key.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) id: String,
    pub(super) state: u32,
    pub(super) initial: i64,
    pub(super) bytes: Vec<u8>,
    /// Operations on it that fail, and for which reasons.
    pub(super) refused: Vec<(u32, u32)>,
    /// Attributes of text, by their names in 1.x: `x-…`, `Name`, `Object Group`.
    pub(super) texts: Vec<(String, String)>,
}

impl Key {
    pub(super) fn new(id: &str, group: &str) -> Self {
        Self {
            id: id.to_owned(),
            state: 2,
            initial: 1000,
            bytes: id.bytes().cycle().take(32).collect(),
            refused: Vec::new(),
            texts: vec![("x-keygroup".to_owned(), group.to_owned())],
        }
    }

    pub(super) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// What a request leads to.
pub(super) enum Said {
    Reply(Vec<u8>),
    Silence,
    HangUp,
    /// What cannot be decrypted.
    Garbage,
}

/// A server that knows no custom attributes.
pub(super) const CUSTOM: Option<(&str, u32)> = Some(("x-", 0x100));

/// What is done to a message before it leaves.
pub(super) type Spoil = Box<dyn FnMut(Vec<u8>) -> Said + Send>;

/// What becomes of requests with several items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Batches {
    #[default]
    Served,
    Refused,
    /// The first item is answered twice.
    Garbled,
    HungUp,
    /// There is never an answer.
    Silent,
}

/// The server's keys and habits.
#[derive(Default)]
pub(super) struct Model {
    pub(super) keys: Vec<Key>,
    /// Versions whose headers it reads; lists them too. Empty: all, and lists 1.4.
    pub(super) versions: Vec<(i64, i64)>,
    pub(super) ignores_custom_filters: bool,
    /// From 2.0 on, whether it keeps custom attributes under a vendor of its own, and finds none under `x`.
    pub(super) has_another_vendor: bool,
    /// As soon as there are keys, searches by attributes whose names begin with this fail for this reason.
    pub(super) refuses: Option<(&'static str, u32)>,
    pub(super) get_needs_active: bool,
    /// Most items of a batch that are answered.
    pub(super) answers_max: Option<usize>,
    pub(super) batches: Batches,
    /// Most ids of a search, and whether the next ones may be asked for.
    pub(super) cap: Option<(usize, bool)>,
    /// Whether it does not say how many there are in all.
    pub(super) uncounted: bool,
    /// Whether new connections get no TLS handshake.
    pub(super) deaf: bool,
    pub(super) spoil: Option<Spoil>,
    /// Operations that were asked, and requests.
    pub(super) asked: Vec<u32>,
    pub(super) requests: usize,
    pub(super) connections: usize,
}

pub(super) fn field(tag: Tag, kind: u8, value: &[u8]) -> Vec<u8> {
    let mut field = tag.0.to_be_bytes()[1..].to_vec();
    field.push(kind);
    field.extend(u32::try_from(value.len()).unwrap().to_be_bytes());
    field.extend(value);
    field.resize(field.len().next_multiple_of(8), 0);
    field
}

pub(super) fn structure(tag: Tag, fields: &[Vec<u8>]) -> Vec<u8> {
    field(tag, 1, &fields.concat())
}

pub(super) fn integer(tag: Tag, number: i32) -> Vec<u8> {
    field(tag, 2, &number.to_be_bytes())
}

pub(super) fn enumeration(tag: Tag, number: u32) -> Vec<u8> {
    field(tag, 5, &number.to_be_bytes())
}

pub(super) fn text(tag: Tag, text: &str) -> Vec<u8> {
    field(tag, 7, text.as_bytes())
}

fn date(tag: Tag, seconds: i64) -> Vec<u8> {
    field(tag, 9, &seconds.to_be_bytes())
}

type Answer = Result<Vec<Vec<u8>>, u32>;

impl Model {
    pub(super) fn answer(&mut self, request: &[u8]) -> Said {
        let request = decode(request).ok().unwrap();
        assert!(request.tag == tag::REQUEST_MESSAGE);
        self.requests += 1;
        let version = request.children()[0].find(tag::PROTOCOL_VERSION).unwrap();
        let number = |tag| version.find(tag).unwrap().number().unwrap();
        let version = (number(tag::PROTOCOL_VERSION_MAJOR), number(tag::PROTOCOL_VERSION_MINOR));
        let asked: Vec<_> = request.all(tag::BATCH_ITEM).collect();
        let unreadable = !self.versions.is_empty() && !self.versions.contains(&version);
        let batches = self.batches;
        match batches {
            Batches::HungUp if asked.len() > 1 => return Said::HangUp,
            Batches::Silent if asked.len() > 1 => return Said::Silence,
            _ => {}
        }
        let mut items: Vec<_> = if unreadable || (batches == Batches::Refused && asked.len() > 1) {
            vec![structure(
                tag::BATCH_ITEM,
                &[enumeration(tag::RESULT_STATUS, 1), enumeration(tag::RESULT_REASON, 4)],
            )]
        } else {
            let most = self.answers_max.unwrap_or(usize::MAX);
            asked.iter().take(most).map(|item| self.item(item, version.0)).collect()
        };
        if batches == Batches::Garbled && asked.len() > 1 {
            items.push(items[0].clone());
        }
        let header = structure(
            Tag(0x42_007A),
            &[integer(tag::BATCH_COUNT, i32::try_from(items.len()).unwrap())],
        );
        let reply = structure(tag::RESPONSE_MESSAGE, &[header, items.concat()]);
        match &mut self.spoil {
            Some(spoil) => spoil(reply),
            None => Said::Reply(reply),
        }
    }

    fn item(&mut self, item: &Element<'_>, major: i64) -> Vec<u8> {
        let operation = item.find(tag::OPERATION).unwrap().enumeration().unwrap();
        self.asked.push(operation);
        let id = item.find(tag::UNIQUE_BATCH_ITEM_ID).unwrap().bytes().unwrap();
        let head = [
            enumeration(tag::OPERATION, operation),
            field(tag::UNIQUE_BATCH_ITEM_ID, 8, id),
        ]
        .concat();
        let rest = match self.serve(operation, item.find(tag::REQUEST_PAYLOAD).unwrap(), major) {
            Ok(payload) => [
                enumeration(tag::RESULT_STATUS, 0),
                structure(tag::RESPONSE_PAYLOAD, &payload),
            ],
            Err(reason) => [
                enumeration(tag::RESULT_STATUS, 1),
                enumeration(tag::RESULT_REASON, reason),
            ],
        };
        structure(tag::BATCH_ITEM, &[head, rest.concat()])
    }

    fn serve(&mut self, operation: u32, payload: &Element<'_>, major: i64) -> Answer {
        let id = payload
            .find(tag::UNIQUE_IDENTIFIER)
            .and_then(Element::text)
            .unwrap_or_default();
        let key = self.keys.iter().find(|key| key.id == id).ok_or(0x37);
        let refused = key.map_or(&[][..], |key| &key.refused).iter();
        if let Some((_, reason)) = refused.into_iter().find(|(refused, _)| *refused == operation) {
            return Err(*reason);
        }
        match operation {
            0x1E => Ok(self.listed()),
            0x18 => Ok(vec![
                enumeration(tag::OPERATION, 0x08),
                text(tag::VENDOR_IDENTIFICATION, "tests"),
            ]),
            0x08 => self.locate(payload),
            0x0B => key.map(|key| attributes(key, major, self.has_another_vendor)),
            0x0A if self.get_needs_active && key?.state != 2 => Err(0x43),
            0x2B if major < 2 => Err(0x05),
            0x0A | 0x2B => key.map(material),
            0x01 => self.create(payload),
            0x12 => {
                let key = self.keys.iter_mut().find(|key| key.id == id).ok_or(0x01_u32)?;
                key.state = 2;
                Ok(vec![text(tag::UNIQUE_IDENTIFIER, id)])
            }
            _ => Err(0x05),
        }
    }

    fn listed(&self) -> Vec<Vec<u8>> {
        let listed = if self.versions.is_empty() {
            &[(1, 4)][..]
        } else {
            &self.versions
        };
        let number = |tag, number: i64| integer(tag, i32::try_from(number).unwrap());
        let one = |(major, minor): &(i64, i64)| {
            let parts = [
                number(tag::PROTOCOL_VERSION_MAJOR, *major),
                number(tag::PROTOCOL_VERSION_MINOR, *minor),
            ];
            structure(tag::PROTOCOL_VERSION, &parts)
        };
        listed.iter().map(one).collect()
    }

    fn locate(&self, payload: &Element<'_>) -> Answer {
        let filters = filters(payload);
        if let Some((refused, reason)) = self.refuses
            && !self.keys.is_empty()
            && filters.iter().any(|(name, _)| name.starts_with(refused))
        {
            return Err(reason);
        }
        let fits = |key: &&Key| {
            filters.iter().all(|(name, value)| match name.as_str() {
                "Object Type" => true,
                "State" => key.state == 2,
                name if name.starts_with("x-") && self.ignores_custom_filters => true,
                name if name.starts_with("x-") && self.has_another_vendor => false,
                name => key.texts.iter().any(|(own, text)| own == name && text == value),
            })
        };
        let number = |tag| {
            payload
                .find(tag)
                .and_then(Element::number)
                .map(|number| usize::try_from(number).unwrap())
        };
        let (cap, pages) = self.cap.unwrap_or((usize::MAX, true));
        let offset = if pages {
            number(tag::OFFSET_ITEMS).unwrap_or(0)
        } else {
            0
        };
        let most = number(tag::MAXIMUM_ITEMS).unwrap_or(cap).min(cap);
        let in_all = self.keys.iter().filter(fits).count();
        let in_all = (!self.uncounted).then(|| integer(tag::LOCATED_ITEMS, i32::try_from(in_all).unwrap()));
        let found = self.keys.iter().filter(fits).skip(offset).take(most);
        let found = found.map(|key| text(tag::UNIQUE_IDENTIFIER, &key.id));
        Ok(in_all.into_iter().chain(found).collect())
    }

    fn create(&mut self, payload: &Element<'_>) -> Answer {
        let template = payload.find(tag::TEMPLATE_ATTRIBUTE).unwrap_or(payload);
        let mut texts = filters(template);
        texts.retain(|(_, text)| !text.is_empty());
        if self.refuses == CUSTOM && texts.iter().any(|(name, _)| name.starts_with("x-")) {
            return Err(0x07);
        }
        let id = format!("made-{}", self.keys.len());
        self.keys.push(Key {
            state: 1,
            texts,
            ..Key::new(&id, "")
        });
        Ok(vec![text(tag::UNIQUE_IDENTIFIER, &id)])
    }
}

/// Names and texts of the attributes in a request, as 1.x has them.
fn filters(payload: &Element<'_>) -> Vec<(String, String)> {
    let inner = |value: &Element<'_>, tag: Tag| value.find(tag).and_then(Element::text).map(str::to_owned);
    let of = |value: &Element<'_>| match &value.value {
        Value::Text(text) => (*text).to_owned(),
        Value::Structure(_) => inner(value, tag::NAME_VALUE)
            .or(inner(value, tag::APPLICATION_DATA))
            .unwrap_or_default(),
        _ => String::new(),
    };
    let mut filters = Vec::new();
    for attribute in payload.all(tag::ATTRIBUTE) {
        let value = attribute.find(tag::ATTRIBUTE_VALUE).unwrap();
        filters.push((inner(attribute, tag::ATTRIBUTE_NAME).unwrap(), of(value)));
    }
    for attribute in payload.find(tag::ATTRIBUTES).map_or(&[][..], Element::children) {
        filters.push(match attribute.tag {
            tag::ATTRIBUTE => {
                assert_eq!(inner(attribute, tag::VENDOR_IDENTIFICATION).as_deref(), Some("x"));
                let name = format!("x-{}", inner(attribute, tag::ATTRIBUTE_NAME).unwrap());
                (name, of(attribute.find(tag::ATTRIBUTE_VALUE).unwrap()))
            }
            tag::STATE => ("State".to_owned(), String::new()),
            tag::OBJECT_TYPE => ("Object Type".to_owned(), String::new()),
            tag::OBJECT_GROUP => ("Object Group".to_owned(), of(attribute)),
            tag => (tag.to_string(), of(attribute)),
        });
    }
    filters
}

fn attributes(key: &Key, major: i64, has_another_vendor: bool) -> Vec<Vec<u8>> {
    let simple = [
        (
            "Object Type",
            tag::OBJECT_TYPE,
            enumeration as fn(Tag, u32) -> Vec<u8>,
            2,
        ),
        ("Cryptographic Algorithm", tag::CRYPTOGRAPHIC_ALGORITHM, enumeration, 3),
        ("State", tag::STATE, enumeration, key.state),
        (
            "Cryptographic Length",
            tag::CRYPTOGRAPHIC_LENGTH,
            |tag, number| integer(tag, i32::try_from(number).unwrap()),
            256,
        ),
        (
            "Cryptographic Usage Mask",
            tag::CRYPTOGRAPHIC_USAGE_MASK,
            |tag, number| integer(tag, i32::try_from(number).unwrap()),
            12,
        ),
        (
            "Initial Date",
            tag::INITIAL_DATE,
            |tag, seconds| date(tag, seconds.into()),
            u32::try_from(key.initial).unwrap(),
        ),
    ];
    let named = |name: &str, value: Vec<u8>| structure(tag::ATTRIBUTE, &[text(tag::ATTRIBUTE_NAME, name), value]);
    let mut all = vec![text(tag::UNIQUE_IDENTIFIER, &key.id)];
    let mut tagged = Vec::new();
    for (name, tag, write, value) in simple {
        all.push(named(name, write(tag::ATTRIBUTE_VALUE, value)));
        tagged.push(write(tag, value));
    }
    for (name, value) in &key.texts {
        let written = match name.as_str() {
            "Name" => structure(tag::ATTRIBUTE_VALUE, &[text(tag::NAME_VALUE, value)]),
            "Application Specific Information" => structure(
                tag::ATTRIBUTE_VALUE,
                &[
                    text(tag::APPLICATION_NAMESPACE, "x-keygroup"),
                    text(tag::APPLICATION_DATA, value),
                ],
            ),
            _ => text(tag::ATTRIBUTE_VALUE, value),
        };
        all.push(named(name, written.clone()));
        if let Some(custom) = name.strip_prefix("x-") {
            let (vendor, custom) = match has_another_vendor {
                true => ("Example.Org", name.as_str()),
                false => ("x", custom),
            };
            let parts = [
                text(tag::VENDOR_IDENTIFICATION, vendor),
                text(tag::ATTRIBUTE_NAME, custom),
                written,
            ];
            tagged.push(structure(tag::ATTRIBUTE, &parts));
        } else if name == "Object Group" {
            tagged.push(text(tag::OBJECT_GROUP, value));
        }
    }
    match major {
        1 => all,
        _ => vec![all.remove(0), structure(tag::ATTRIBUTES, &tagged)],
    }
}

/// With attributes behind the material, as some servers have it.
fn material(key: &Key) -> Vec<Vec<u8>> {
    let extra = structure(tag::ATTRIBUTE, &[text(tag::ATTRIBUTE_NAME, "x-keygroup")]);
    let value = structure(tag::KEY_VALUE, &[field(tag::KEY_MATERIAL, 8, &key.bytes), extra]);
    let block = structure(tag::KEY_BLOCK, &[enumeration(Tag(0x42_0042), 1), value]);
    vec![
        enumeration(tag::OBJECT_TYPE, 2),
        text(tag::UNIQUE_IDENTIFIER, &key.id),
        structure(tag::SYMMETRIC_KEY, &[block]),
    ]
}
