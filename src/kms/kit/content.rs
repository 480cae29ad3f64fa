//! What a kit holds: every group with its keys, and how they stand in the sealed part. The kit's own text describes this layout for whoever
//! has no tapekey any more, and `tests/vectors/kit-v1.json` pins it. From the first release on it changes only with the kit's version.

use zeroize::Zeroizing;

use super::KitError;
use crate::clock::Timestamp;
use crate::kad::{KeyId, KeyKind};
use crate::kms::store::{millis, moment};
use crate::kms_api::{
    Cipher, GroupName, GroupRecord, KeyName, KeyOrigin, KeyRecord, KeyState, ROTATE_AFTER_DAYS_MAX, ServerName,
};
use crate::secret::{DataKey, KEY_LENGTH};

/// Most bytes of the sealed part.
pub(super) const CONTENT_LENGTH_MAX: usize = 256 << 20;

/// All that a kit holds. No `Debug`: it carries keys.
pub struct Contents {
    /// The groups, in the order of their names.
    pub groups: Vec<KitGroup>,
}

/// A group and its keys. No `Debug`: it carries keys.
pub struct KitGroup {
    /// What is known of the group.
    pub record: GroupRecord,
    /// Whether keys that an external server has under its name were given out, so that name and kind must stay.
    pub released_outside: bool,
    /// Its keys.
    pub keys: Vec<KitKey>,
}

/// A key and what is known of it. No `Debug`: it carries a key.
pub struct KitKey {
    /// What is known of it.
    pub record: KeyRecord,
    /// The group's key itself, of which volume keys are derived or not.
    pub key: DataKey,
}

/// Stands for the time of what never happened.
const NEVER: i64 = 0;

/// Stands for the age at which keys of a group are rotated that is rotated by hand.
const BY_HAND: u32 = 0;

/// Added to the number of a group's kind if keys that an external server has under its name were given out.
const RELEASED_OUTSIDE: u8 = 2;

/// The content is none of ours.
const MALFORMED: KitError = KitError::Malformed {
    problem: "it opens with this passphrase, but what is in it is malformed",
};

impl Contents {
    /// How many keys there are.
    #[must_use]
    pub fn keys(&self) -> usize {
        self.groups.iter().map(|group| group.keys.len()).sum()
    }

    /// The bytes to be sealed.
    ///
    /// # Errors
    /// [`KitError::TooLong`].
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, KitError> {
        let length = self.length();
        if length > CONTENT_LENGTH_MAX {
            return Err(KitError::TooLong {
                found: length,
                most: CONTENT_LENGTH_MAX,
            });
        }
        // Reserved whole, so that growing leaves no copy of a key behind.
        let mut to = Zeroizing::new(Vec::with_capacity(length));
        put_count(&mut to, self.groups.len());
        for KitGroup {
            record,
            released_outside,
            keys,
        } in &self.groups
        {
            let mark = if *released_outside { RELEASED_OUTSIDE } else { 0 };
            to.push(kind_number(record.kind) + mark);
            put_short(&mut to, record.name.as_str().as_bytes());
            put_long(&mut to, record.description.as_bytes());
            put_times(&mut to, record.created, record.modified);
            to.extend_from_slice(&record.rotate_after_days.unwrap_or(BY_HAND).to_be_bytes());
            put_short(&mut to, server_of(record).as_bytes());
            put_count(&mut to, keys.len());
            keys.iter().for_each(|key| key.put(&mut to));
        }
        Ok(to)
    }

    fn length(&self) -> usize {
        let of_group = |group: &KitGroup| {
            let keys: usize = group.keys.iter().map(KitKey::length).sum();
            let names = group.record.name.as_str().len() + server_of(&group.record).len();
            1 + 1 + names + 2 + group.record.description.len() + 16 + 4 + 1 + 4 + keys
        };
        4 + self.groups.iter().map(of_group).sum::<usize>()
    }

    /// What was sealed.
    ///
    /// # Errors
    /// [`KitError::Malformed`]: cut, longer, or of values that nobody writes.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, KitError> {
        let mut from = Rest(bytes);
        let contents = from.contents().filter(|_| from.0.is_empty());
        contents.ok_or(MALFORMED)
    }
}

impl KitKey {
    fn length(&self) -> usize {
        let kad = self.record.foreign_kad.as_ref().map_or(0, Vec::len);
        16 + KEY_LENGTH + 2 + 1 + self.record.name.as_str().len() + 2 + self.record.description.len() + 2 + kad + 24
    }

    fn put(&self, to: &mut Vec<u8>) {
        let record = &self.record;
        to.extend_from_slice(&record.id.0);
        to.extend_from_slice(self.key.expose());
        to.extend_from_slice(&[state_number(record.state), origin_number(record.origin)]);
        put_short(to, record.name.as_str().as_bytes());
        put_long(to, record.description.as_bytes());
        put_long(to, record.foreign_kad.as_deref().unwrap_or_default());
        put_times(to, record.created, record.modified);
        to.extend_from_slice(&record.activated.map_or(NEVER, millis).to_be_bytes());
    }
}

/// The server that alone gives the group its new keys; empty if any may.
fn server_of(record: &GroupRecord) -> &str {
    record.server.as_ref().map_or("", ServerName::as_str)
}

fn put_count(to: &mut Vec<u8>, count: usize) {
    // What is sealed has at most 2^28 bytes, and so fewer things.
    to.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes());
}

/// A name; it has at most 64 bytes.
fn put_short(to: &mut Vec<u8>, text: &[u8]) {
    to.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
    to.extend_from_slice(text);
}

/// A description or KAD; both are bounded by a few hundred bytes where they come in.
fn put_long(to: &mut Vec<u8>, bytes: &[u8]) {
    to.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(u16::MAX).to_be_bytes());
    to.extend_from_slice(bytes);
}

fn put_times(to: &mut Vec<u8>, created: Timestamp, modified: Timestamp) {
    to.extend_from_slice(&millis(created).to_be_bytes());
    to.extend_from_slice(&millis(modified).to_be_bytes());
}

/// What is not read yet. Every reading answers `None` where the bytes end or make no sense.
struct Rest<'a>(&'a [u8]);

impl Rest<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take::<1>().map(|[byte]| byte)
    }

    fn count(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn days(&mut self) -> Option<Option<u32>> {
        let days = self.count()?;
        (days <= ROTATE_AFTER_DAYS_MAX).then_some((days != BY_HAND).then_some(days))
    }

    fn server(&mut self) -> Option<Option<ServerName>> {
        let name = self.short()?;
        if name.is_empty() {
            return Some(None);
        }
        ServerName::new(name).ok().map(Some)
    }

    fn bytes(&mut self, length: usize) -> Option<Vec<u8>> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken.to_vec())
    }

    fn short(&mut self) -> Option<String> {
        let length = self.byte()?;
        String::from_utf8(self.bytes(length.into())?).ok()
    }

    fn long(&mut self) -> Option<Vec<u8>> {
        let length = u16::from_be_bytes(self.take()?);
        self.bytes(length.into())
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.take().map(i64::from_be_bytes).map(moment)
    }

    fn time_if_any(&mut self) -> Option<Option<Timestamp>> {
        let at = self.take().map(i64::from_be_bytes)?;
        Some((at != NEVER).then(|| moment(at)))
    }

    fn contents(&mut self) -> Option<Contents> {
        let count = self.count()?;
        let groups = (0..count).map(|_| self.group()).collect::<Option<_>>()?;
        Some(Contents { groups })
    }

    fn group(&mut self) -> Option<KitGroup> {
        let number = self.byte()?;
        let released_outside = number & RELEASED_OUTSIDE != 0;
        let kind = kind_from_number(number & !RELEASED_OUTSIDE)?;
        let record = GroupRecord {
            kind,
            name: GroupName::new(self.short()?).ok()?,
            cipher: Cipher::Aes256Gcm,
            description: String::from_utf8(self.long()?).ok()?,
            created: self.time()?,
            modified: self.time()?,
            rotate_after_days: self.days()?,
            server: self.server()?,
        };
        let count = self.count()?;
        let keys = (0..count).map(|_| self.key(&record.name)).collect::<Option<_>>()?;
        Some(KitGroup {
            record,
            released_outside,
            keys,
        })
    }

    fn key(&mut self, group: &GroupName) -> Option<KitKey> {
        let id = KeyId(self.take()?);
        let mut key = Zeroizing::new(self.take::<KEY_LENGTH>()?);
        let key = DataKey::take(&mut key);
        let state = state_from_number(self.byte()?)?;
        let origin = origin_from_number(self.byte()?)?;
        let record = KeyRecord {
            id,
            name: KeyName::new(self.short()?).ok()?,
            group: group.clone(),
            state,
            origin,
            description: String::from_utf8(self.long()?).ok()?,
            foreign_kad: Some(self.long()?).filter(|kad| !kad.is_empty()),
            created: self.time()?,
            modified: self.time()?,
            activated: self.time_if_any()?,
        };
        Some(KitKey { record, key })
    }
}

fn kind_number(kind: KeyKind) -> u8 {
    match kind {
        KeyKind::AsIs => 0,
        KeyKind::Derived => 1,
    }
}

fn kind_from_number(number: u8) -> Option<KeyKind> {
    [KeyKind::AsIs, KeyKind::Derived]
        .into_iter()
        .find(|kind| kind_number(*kind) == number)
}

fn state_number(state: KeyState) -> u8 {
    match state {
        KeyState::Prelive => 0,
        KeyState::Active => 1,
        KeyState::Inactive => 2,
        KeyState::Deprecated => 3,
        KeyState::Terminated => 4,
        KeyState::Deleted => 5,
    }
}

fn state_from_number(number: u8) -> Option<KeyState> {
    // Of a deleted key there is nothing to keep.
    KeyState::ALL
        .into_iter()
        .filter(|state| *state != KeyState::Deleted)
        .find(|state| state_number(*state) == number)
}

fn origin_number(origin: KeyOrigin) -> u8 {
    match origin {
        KeyOrigin::Random => 0,
        KeyOrigin::Passphrase => 1,
        KeyOrigin::Imported => 2,
    }
}

fn origin_from_number(number: u8) -> Option<KeyOrigin> {
    [KeyOrigin::Random, KeyOrigin::Passphrase, KeyOrigin::Imported]
        .into_iter()
        .find(|origin| origin_number(*origin) == number)
}

#[cfg(test)]
mod tests {
    use super::super::tests::contents;
    use super::*;

    #[test]
    fn everything_comes_back_and_nothing_of_what_is_cut_or_longer() {
        let encoded = contents().encode().unwrap();
        assert_eq!(encoded.len(), contents().length());
        let read = Contents::decode(&encoded).ok().unwrap();
        assert!(read.encode().unwrap() == encoded);
        for length in 0..encoded.len() {
            assert!(Contents::decode(&encoded[..length]).is_err(), "{length} bytes");
        }
        assert!(Contents::decode(&[encoded.as_slice(), b"\0"].concat()).is_err());
    }

    #[test]
    fn a_count_that_promises_more_than_there_is_costs_nothing() {
        assert!(Contents::decode(&[0xFF; 4]).is_err());
    }
}
