//! What the fake server answers to one operation.

use super::habits::{Custom, Habits, Order, Vendor};
use super::objects::{Object, is_custom, read_named, read_reference, read_tagged, write_named, write_tagged};
use crate::kmip_support::tags::{self, operation, reason, state};
use crate::kmip_support::talk::symmetric_key;
use crate::kmip_support::ttlv::{self, Item, Value, enumeration, integer, structure, text};

/// Why there is no payload: the Result Reason.
pub(super) type Failure = u32;

/// What the server knows.
pub(super) struct World {
    pub(super) habits: Habits,
    pub(super) objects: Vec<Object>,
    /// Seconds since 1970.
    pub(super) now: i64,
    pub(super) made: u64,
    /// One for all connections, and set by Create and Register only: whoever trusts it gets a key of somebody else.
    pub(super) id_placeholder: Option<String>,
    /// Bytes for keys that it makes itself.
    pub(super) next_key: u8,
}

impl World {
    pub(super) fn answer(&mut self, version: (i32, i32), asked: u32, payload: &Item) -> Result<Vec<Item>, Failure> {
        match asked {
            operation::DISCOVER_VERSIONS if version == (1, 0) => Err(reason::OPERATION_NOT_SUPPORTED),
            operation::DISCOVER_VERSIONS => Ok(self.discover_versions(payload)),
            operation::QUERY => Ok(self.query(payload)),
            operation::LOCATE => self.locate(version, payload),
            operation::GET => self.get(version, payload),
            operation::EXPORT => self.export(version, payload),
            operation::GET_ATTRIBUTES => self.get_attributes(version, payload),
            operation::CREATE => {
                self.next_key += 1;
                self.make(version, payload, vec![self.next_key; 32])
            }
            operation::REGISTER => {
                let material = payload
                    .find(tags::SYMMETRIC_KEY)
                    .and_then(|key| {
                        key.find(tags::KEY_BLOCK)?
                            .find(tags::KEY_VALUE)?
                            .bytes(tags::KEY_MATERIAL)
                    })
                    .ok_or(reason::INVALID_MESSAGE)?;
                self.make(version, payload, material.to_vec())
            }
            operation::ACTIVATE => self.activate(payload),
            operation::REVOKE => self.revoke(payload),
            operation::DESTROY => self.destroy(payload),
            _ => Err(reason::OPERATION_NOT_SUPPORTED),
        }
    }

    /// Takes an object into the store; its identifier.
    pub(super) fn add(&mut self, mut object: Object) -> String {
        self.made += 1;
        if object.identifier.is_empty() {
            object.identifier = format!("5f0c1d9e-0000-4000-8000-{:012x}", self.made);
        }
        if object.initial_date == 0 {
            object.initial_date = self.now;
        }
        let identifier = object.identifier.clone();
        self.objects.push(object);
        identifier
    }

    fn discover_versions(&self, payload: &Item) -> Vec<Item> {
        let asked: Vec<_> = payload
            .all(tags::PROTOCOL_VERSION)
            .filter_map(|version| structure(0, [version.clone()]).version())
            .collect();
        let known = self.habits.versions.iter().copied();
        let told = known.filter(|version| asked.is_empty() || asked.contains(version));
        told.map(ttlv::version).collect()
    }

    fn query(&self, payload: &Item) -> Vec<Item> {
        let asked = |function| {
            payload
                .all(tags::QUERY_FUNCTION)
                .any(|item| item.value == Value::Enumeration(function))
        };
        let mut answer = Vec::new();
        if asked(1) {
            let known = self.habits.operations.iter();
            answer.extend(known.map(|known| enumeration(tags::OPERATION, *known)));
            if self.habits.strange_values {
                answer.push(enumeration(tags::OPERATION, operation::IMPORT));
                answer.push(enumeration(tags::OPERATION, 0x8000_0001));
            }
        }
        if asked(2) {
            answer.push(enumeration(tags::OBJECT_TYPE, tags::SYMMETRIC_KEY_TYPE));
        }
        if asked(3) {
            answer.push(text(tags::VENDOR_IDENTIFICATION, "fake KMIP server of the tests"));
        }
        answer
    }

    fn locate(&self, version: (i32, i32), payload: &Item) -> Result<Vec<Item>, Failure> {
        let filters = read_attributes(version, payload, self.habits.vendor)?;
        let asks_for_custom = filters.iter().any(|(name, _)| is_custom(name));
        if self.habits.custom == Custom::Unsupported && asks_for_custom {
            let any = self.objects.iter().any(|object| !object.destroyed);
            return if any {
                Err(reason::GENERAL_FAILURE)
            } else {
                Ok(Vec::new())
            };
        }
        let effective: Vec<_> = filters
            .into_iter()
            .filter(|(name, _)| !self.habits.ignored_filters.contains(&name.as_str()))
            .filter(|(name, _)| self.habits.custom == Custom::Filtered || !is_custom(name))
            .collect();
        let objects = self.objects.iter().filter(|object| !object.destroyed);
        let mut found: Vec<&Object> = objects.filter(|object| self.matches(object, &effective)).collect();
        if self.habits.order == Order::NewestFirst {
            found.sort_by_key(|object| std::cmp::Reverse(object.initial_date));
        }
        Ok(self.page(payload, &found))
    }

    fn matches(&self, object: &Object, filters: &[(String, Value)]) -> bool {
        let attributes = object.attributes(&self.habits);
        filters.iter().all(|(name, wanted)| {
            let mut values = attributes.iter().filter(|(known, _)| known == name);
            values.any(|(_, value)| match (value, wanted) {
                (Value::Integer(mask), Value::Integer(bits)) if name == "Cryptographic Usage Mask" => {
                    mask & bits == *bits
                }
                (value, wanted) => value == wanted,
            })
        })
    }

    fn page(&self, payload: &Item, found: &[&Object]) -> Vec<Item> {
        let number = |tag| payload.integer(tag).and_then(|number| usize::try_from(number).ok());
        let offset = number(tags::OFFSET_ITEMS).filter(|_| self.habits.honours_offset);
        let most = number(tags::MAXIMUM_ITEMS).unwrap_or(usize::MAX);
        let most = most.min(self.habits.results_max.unwrap_or(usize::MAX));
        let page = found.iter().skip(offset.unwrap_or(0)).take(most);
        let mut answer = Vec::new();
        if self.habits.counts_located {
            let count = i32::try_from(found.len()).unwrap();
            answer.push(integer(tags::LOCATED_ITEMS, count));
        }
        answer.extend(page.map(|object| text(tags::UNIQUE_IDENTIFIER, object.identifier.clone())));
        answer
    }

    fn get(&self, version: (i32, i32), payload: &Item) -> Result<Vec<Item>, Failure> {
        let object = self.named_in(payload)?;
        if self.habits.get_refused_in.contains(&object.state) {
            return Err(reason::WRONG_KEY_LIFECYCLE_STATE);
        }
        let after = match self.habits.attributes_after_material {
            true => self.told(version, object, &[]),
            false => Vec::new(),
        };
        Ok(vec![
            enumeration(tags::OBJECT_TYPE, object.object_type),
            text(tags::UNIQUE_IDENTIFIER, object.identifier.clone()),
            key_of(object, after),
        ])
    }

    fn export(&self, version: (i32, i32), payload: &Item) -> Result<Vec<Item>, Failure> {
        let object = self.named_in(payload)?;
        let attributes = match version {
            (2.., _) => vec![structure(tags::ATTRIBUTES, self.told(version, object, &[]))],
            _ => self.told(version, object, &[]),
        };
        let mut answer = vec![
            enumeration(tags::OBJECT_TYPE, object.object_type),
            text(tags::UNIQUE_IDENTIFIER, object.identifier.clone()),
        ];
        answer.extend(attributes);
        answer.push(key_of(object, Vec::new()));
        Ok(answer)
    }

    fn get_attributes(&self, version: (i32, i32), payload: &Item) -> Result<Vec<Item>, Failure> {
        let object = self.named_in(payload)?;
        let mut names: Vec<String> = payload
            .all(tags::ATTRIBUTE_NAME)
            .filter_map(|name| name.as_text().map(str::to_owned))
            .collect();
        let references = payload.all(tags::ATTRIBUTE_REFERENCE);
        names.extend(references.filter_map(|reference| read_reference(reference, self.habits.vendor)));
        let told = self.told(version, object, &names);
        let told = match version {
            (2.., _) => vec![structure(tags::ATTRIBUTES, told)],
            _ => told,
        };
        let identifier = text(tags::UNIQUE_IDENTIFIER, object.identifier.clone());
        Ok(std::iter::once(identifier).chain(told).collect())
    }

    /// The attributes with these names, all if there is none.
    fn told(&self, version: (i32, i32), object: &Object, names: &[String]) -> Vec<Item> {
        let mut told: Vec<Item> = Vec::new();
        let mut before: Vec<String> = Vec::new();
        for (name, value) in object.attributes(&self.habits) {
            let missed = version.0 >= 2 && self.habits.misses_references && is_custom(&name) && !names.is_empty();
            let unknown = self.habits.custom == Custom::Unsupported && is_custom(&name);
            if missed || unknown || !(names.is_empty() || names.contains(&name)) {
                continue;
            }
            let index = before.iter().filter(|known| **known == name).count();
            let several = matches!(
                name.as_str(),
                "Name" | "Object Group" | "Application Specific Information"
            );
            let index = Some(i32::try_from(index).unwrap()).filter(|_| several || is_custom(&name));
            told.push(match version {
                (2.., _) => write_tagged(&name, value, self.habits.vendor),
                _ => write_named(&name, index, value),
            });
            before.push(name);
        }
        if version.0 >= 2 && self.habits.strange_values {
            // A tag of the range for extensions.
            told.push(enumeration(0x54_0001, 0x8000_0001));
        }
        told
    }

    fn make(&mut self, version: (i32, i32), payload: &Item, material: Vec<u8>) -> Result<Vec<Item>, Failure> {
        let mut object = Object {
            usage_mask: 0,
            state: state::PRE_ACTIVE,
            ..Object::aes(&material)
        };
        for (name, value) in read_attributes(version, payload, self.habits.vendor)? {
            match (name.as_str(), value) {
                ("Cryptographic Usage Mask", Value::Integer(mask)) => object.usage_mask = mask,
                ("Cryptographic Algorithm", Value::Enumeration(algorithm)) => object.algorithm = algorithm,
                ("Cryptographic Length", Value::Integer(length)) if length == object.length => {}
                ("Activation Date", Value::DateTime(date)) if self.habits.dates_activation && date <= self.now => {
                    object.state = state::ACTIVE;
                    object.activation_date = Some(self.now);
                }
                ("Protect Stop Date", Value::DateTime(date)) => object.protect_stop_date = Some(date),
                ("Name" | "Object Group" | "Application Specific Information", value) => {
                    object.others.push((name, value))
                }
                (custom, value) if is_custom(custom) && self.habits.custom != Custom::Unsupported => {
                    object.others.push((name, value));
                }
                _ => return Err(reason::INVALID_FIELD),
            }
        }
        let identifier = self.add(object);
        self.id_placeholder = Some(identifier.clone());
        Ok(vec![
            enumeration(tags::OBJECT_TYPE, tags::SYMMETRIC_KEY_TYPE),
            text(tags::UNIQUE_IDENTIFIER, identifier),
        ])
    }

    fn activate(&mut self, payload: &Item) -> Result<Vec<Item>, Failure> {
        let date = Some(self.now).filter(|_| self.habits.dates_activation);
        let object = self.named_in_mut(payload)?;
        if object.state != state::PRE_ACTIVE {
            return Err(reason::PERMISSION_DENIED);
        }
        object.state = state::ACTIVE;
        object.activation_date = date;
        Ok(vec![text(tags::UNIQUE_IDENTIFIER, object.identifier.clone())])
    }

    fn revoke(&mut self, payload: &Item) -> Result<Vec<Item>, Failure> {
        let why = payload
            .find(tags::REVOCATION_REASON)
            .and_then(|reason| reason.enumeration(tags::REVOCATION_REASON_CODE));
        let object = self.named_in_mut(payload)?;
        object.state = match (why, object.state) {
            (Some(tags::KEY_COMPROMISE), _) => state::COMPROMISED,
            (Some(_), state::ACTIVE) => state::DEACTIVATED,
            (Some(_), _) => return Err(reason::ILLEGAL_OPERATION),
            (None, _) => return Err(reason::INVALID_MESSAGE),
        };
        Ok(vec![text(tags::UNIQUE_IDENTIFIER, object.identifier.clone())])
    }

    fn destroy(&mut self, payload: &Item) -> Result<Vec<Item>, Failure> {
        let object = self.named_in_mut(payload)?;
        object.state = match object.state {
            state::ACTIVE => return Err(reason::PERMISSION_DENIED),
            state::COMPROMISED => state::DESTROYED_COMPROMISED,
            _ => state::DESTROYED,
        };
        object.destroyed = true;
        object.material.clear();
        Ok(vec![text(tags::UNIQUE_IDENTIFIER, object.identifier.clone())])
    }

    fn named_in(&self, payload: &Item) -> Result<&Object, Failure> {
        let index = self.index(payload)?;
        Ok(&self.objects[index])
    }

    fn named_in_mut(&mut self, payload: &Item) -> Result<&mut Object, Failure> {
        let index = self.index(payload)?;
        Ok(&mut self.objects[index])
    }

    fn index(&self, payload: &Item) -> Result<usize, Failure> {
        let placeholder = self.id_placeholder.as_deref();
        let wanted = payload.text(tags::UNIQUE_IDENTIFIER).or(placeholder);
        let fine = self.habits.fine_reasons;
        let found = self
            .objects
            .iter()
            .position(|object| Some(object.identifier.as_str()) == wanted);
        match found {
            Some(index) if !self.objects[index].destroyed => Ok(index),
            Some(_) if fine => Err(reason::OBJECT_DESTROYED),
            None if fine => Err(reason::OBJECT_NOT_FOUND),
            _ => Err(reason::ITEM_NOT_FOUND),
        }
    }
}

fn key_of(object: &Object, after: Vec<Item>) -> Item {
    symmetric_key(tags::RAW, object.material.clone(), object.length, after)
}

/// The attributes that a request holds, in the form of its version.
fn read_attributes((major, _): (i32, i32), payload: &Item, vendor: Vendor) -> Result<Vec<(String, Value)>, Failure> {
    let read: Option<Vec<_>> = if major >= 2 {
        let attributes = payload.find(tags::ATTRIBUTES).map(Item::items);
        let attributes = attributes.unwrap_or_default().iter();
        attributes.map(|attribute| read_tagged(attribute, vendor)).collect()
    } else {
        let template = payload.find(tags::TEMPLATE_ATTRIBUTE).unwrap_or(payload);
        template.all(tags::ATTRIBUTE).map(read_named).collect()
    };
    read.ok_or(reason::INVALID_MESSAGE)
}
