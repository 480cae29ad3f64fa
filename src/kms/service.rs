//! What the KMS does, each thing as one audited transaction. Who may ask for what was decided before.

use std::sync::atomic::AtomicI64;
use std::sync::{Arc, Mutex};

use super::admissions::Admissions;
use super::audit::{Action, Actor, AuditHead, Event};
use super::connector::{ByKind, Connect};
use super::metrics::Releases;
use super::model::{Refusal, ServiceError, check_description};
use super::schedule::Snapshots;
use super::select::Selection;
use super::servers::Connections;
use super::store::groups::{self, Group};
use super::store::keys::{self, StoredKey};
use super::store::{Session, Store, StoreError, StoreFile, snapshots};
use super::upkeep::Noted;
use crate::clock::{Clock, Timestamp};
use crate::entropy::{Entropy, random_bytes};
use crate::kad::{KeyId, KeyKind, OurKad, derive_volume_key};
use crate::kms_api::{
    CreateGroup, CreateKey, GroupList, GroupName, GroupRecord, KeyList, KeyMove, KeyName, KeyOrigin, KeyRecord,
    KeyState, MoveKey, PAGE_RECORDS_MAX, PageQuery, Purpose,
};
use crate::secret::DataKey;

/// The key service, without its web front.
pub struct Kms {
    pub(super) store: Store,
    /// Where the service makes snapshots by itself.
    pub(super) snapshots: Option<Snapshots>,
    /// Held by whoever rotates: one rotation ends before the next begins.
    pub(super) rotating: tokio::sync::Mutex<()>,
    pub(super) noted: Mutex<Noted>,
    pub(super) selection: Arc<Selection>,
    pub(super) connections: Arc<Connections>,
    pub(super) clock: Arc<dyn Clock>,
    /// Wakes whoever does what is due.
    pub(super) wake: tokio::sync::Notify,
    pub(super) releases: Releases,
    pub(super) admissions: Admissions,
    /// Until when clients without a certificate may come with a token, in milliseconds since 1970.
    pub(super) enrollment_until: AtomicI64,
    /// The last moments of the service's own certificate and of those above it.
    pub(super) own_dates: Mutex<Vec<(&'static str, Timestamp)>>,
}

impl Kms {
    /// Sets the service to work on an opened store.
    ///
    /// # Errors
    /// As [`Store::start`].
    pub fn start(file: StoreFile, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Result<Self, StoreError> {
        Ok(Self {
            store: Store::start(file, clock.clone(), entropy)?,
            selection: Arc::new(Selection::built_in_only(false, clock.clone())),
            connections: Arc::new(Connections::through(Arc::new(ByKind { clock: clock.clone() }))),
            clock,
            snapshots: None,
            rotating: tokio::sync::Mutex::default(),
            noted: Mutex::default(),
            wake: tokio::sync::Notify::new(),
            releases: Releases::default(),
            admissions: Admissions::default(),
            enrollment_until: AtomicI64::new(0),
            own_dates: Mutex::default(),
        })
    }

    /// The same service with a place for the snapshots that it makes by itself.
    #[must_use]
    pub fn with_snapshots(mut self, snapshots: Option<Snapshots>) -> Self {
        self.snapshots = snapshots;
        self
    }

    /// The same service with servers behind it.
    #[must_use]
    pub fn with_servers(mut self, selection: Selection) -> Self {
        self.selection = Arc::new(selection);
        self
    }

    /// The same service with other connectors than this program's own.
    #[must_use]
    pub fn with_connectors(mut self, connect: Arc<dyn Connect>) -> Self {
        self.connections = Arc::new(Connections::through(connect));
        self
    }

    /// End of the audit chain.
    #[must_use]
    pub fn audit_head(&self) -> AuditHead {
        self.store.head()
    }

    /// Writes down that `actor` asked for `what` and was turned away.
    ///
    /// # Errors
    /// The store's.
    pub async fn record_denial(&self, actor: &Actor, what: String, why: &str) -> Result<(), ServiceError> {
        let mut event = Event::new(actor, Action::Request);
        event.detail = Some(what);
        event.outcome = format!("refused: {why}");
        self.store
            .run(move |session| session.audited(event, |_, _| Ok(())))
            .await
    }

    /// Makes a group.
    ///
    /// # Errors
    /// [`Refusal`]: no `ENCR_`, name taken, description.
    pub async fn create_group(&self, actor: &Actor, wanted: CreateGroup) -> Result<GroupRecord, ServiceError> {
        let mut event = Event::new(actor, Action::CreateGroup);
        event.group = Some(wanted.name.to_string());
        let work = move |session: &Session<'_>, _: &mut Event| {
            check_purpose(wanted.purpose, &wanted.name)?;
            check_description(&wanted.description)?;
            if groups::by_name(session, &wanted.name)?.is_some() {
                return Err(Refusal::GroupExists { group: wanted.name }.into());
            }
            Ok(groups::insert(session, &wanted)?)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// A page of groups.
    ///
    /// # Errors
    /// The store's.
    pub async fn groups(&self, query: PageQuery) -> Result<GroupList, ServiceError> {
        let after = cursor(query.after.as_deref()).to_owned();
        let groups = self
            .store
            .run(move |session| Ok(groups::list(session, &after, PAGE_RECORDS_MAX)?))
            .await?;
        let full = groups.len() == PAGE_RECORDS_MAX;
        let next = groups.last().filter(|_| full).map(|group| group.name.to_string());
        Ok(GroupList { groups, next })
    }

    /// Makes a random key, prelive.
    ///
    /// # Errors
    /// [`Refusal`]: no such group, name taken, description.
    pub async fn create_key(
        &self,
        actor: &Actor,
        group: GroupName,
        wanted: CreateKey,
    ) -> Result<KeyRecord, ServiceError> {
        let mut event = Event::new(actor, Action::CreateKey);
        event.group = Some(group.to_string());
        let work = move |session: &Session<'_>, event: &mut Event| {
            let group = existing(session, &group)?;
            let stored = insert(session, &group, wanted.name, &wanted.description)?;
            event.key_id = Some(stored.record.id);
            Ok(stored.record)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }

    /// A page of keys.
    ///
    /// # Errors
    /// [`Refusal::NoSuchGroup`].
    pub async fn keys(&self, query: PageQuery) -> Result<KeyList, ServiceError> {
        self.store.run(move |session| page_of_keys(session, &query)).await
    }

    /// Gives a key another state.
    ///
    /// # Errors
    /// [`Refusal`]: no such group or key, more than one step, single copy.
    pub async fn move_key(
        &self,
        actor: &Actor,
        key: (GroupName, KeyName),
        to: MoveKey,
    ) -> Result<KeyMove, ServiceError> {
        let (group, name) = key;
        let mut event = Event::new(actor, Action::MoveKey);
        event.group = Some(group.to_string());
        event.detail = Some(detail(to.state, to.single_copy));
        let work = move |session: &Session<'_>, event: &mut Event| {
            let found = existing(session, &group)?;
            let stored = keys::by_name(session, &found, &name)?.ok_or(Refusal::NoSuchKey { group, key: name })?;
            event.key_id = Some(stored.record.id);
            make_move(session, &found, &stored, &to)
        };
        self.store.run(move |session| session.audited(event, work)).await
    }
}

/// The name of a group says what it is for.
pub(super) fn check_purpose(purpose: Purpose, group: &GroupName) -> Result<(), Refusal> {
    match purpose {
        _ if purpose == Purpose::of(group) => Ok(()),
        Purpose::Tape => Err(Refusal::NotForTape { group: group.clone() }),
        Purpose::Disk => Err(Refusal::NotForDisk { group: group.clone() }),
    }
}

pub(super) fn existing(session: &Session<'_>, name: &GroupName) -> Result<Group, ServiceError> {
    Ok(groups::by_name(session, name)?.ok_or_else(|| Refusal::NoSuchGroup { group: name.clone() })?)
}

pub(super) fn insert(
    session: &Session<'_>,
    group: &Group,
    name: Option<KeyName>,
    description: &str,
) -> Result<StoredKey, ServiceError> {
    check_new(session, group, name.as_ref(), description)?;
    Ok(keys::insert_random(session, group, name, description)?)
}

/// A new key's name must be free and its description fit.
pub(super) fn check_new(
    session: &Session<'_>,
    group: &Group,
    name: Option<&KeyName>,
    description: &str,
) -> Result<(), ServiceError> {
    check_description(description)?;
    if let Some(name) = name
        && keys::by_name(session, group, name)?.is_some()
    {
        return Err(Refusal::KeyExists {
            group: group.record.name.clone(),
            key: name.clone(),
        }
        .into());
    }
    Ok(())
}

/// Whether the key can be had again if the store's disk dies.
pub(super) fn survives_a_disk(session: &Session<'_>, stored: &StoredKey) -> Result<bool, ServiceError> {
    match stored.record.origin {
        // It comes back from the passphrase.
        KeyOrigin::Passphrase => Ok(true),
        KeyOrigin::Random | KeyOrigin::Imported => Ok(snapshots::is_kept(session, stored.record.id)?),
    }
}

/// Moves `stored`; a key that becomes active makes the former one inactive first, so that there are never two.
pub(super) fn make_move(
    session: &Session<'_>,
    group: &Group,
    stored: &StoredKey,
    to: &MoveKey,
) -> Result<KeyMove, ServiceError> {
    let (from, key) = (stored.record.state, stored.record.name.clone());
    let group_name = group.record.name.clone();
    if from == to.state {
        return Ok(KeyMove {
            key: stored.record.clone(),
            former: None,
            changed: false,
        });
    }
    if !from.may_move_to(to.state) {
        return Err(Refusal::WrongMove {
            group: group_name,
            key,
            from,
            to: to.state,
        }
        .into());
    }
    let becomes_active = to.state == KeyState::Active;
    if becomes_active && !to.single_copy && !survives_a_disk(session, stored)? {
        return Err(Refusal::SingleCopy { group: group_name, key }.into());
    }
    let former = if becomes_active {
        keys::active(session, group)?
    } else {
        None
    };
    let former = former
        .map(|former| former.moved_to(session, KeyState::Inactive))
        .transpose()?;
    let moved = stored.moved_to(session, to.state)?;
    Ok(KeyMove {
        key: moved.record,
        former: former.map(|former| former.record),
        changed: true,
    })
}

/// The key on the drive and its KAD, with a nonce that no volume had before.
pub(super) fn for_new_volume(
    session: &Session<'_>,
    kind: KeyKind,
    id: KeyId,
    group_key: &DataKey,
) -> Result<(DataKey, OurKad), ServiceError> {
    match kind {
        KeyKind::AsIs => Ok((group_key.copy_to_release(), OurKad::as_is(id, group_key))),
        KeyKind::Derived => {
            let nonce = random_bytes(session.entropy)?;
            let key = derive_volume_key(group_key, id, nonce);
            let kad = OurKad::derived(id, nonce, &key);
            Ok((key, kad))
        }
    }
}

/// Where a listing goes on. No name has a NUL, which PostgreSQL does not take: whatever follows one orders nothing.
pub(super) fn cursor(after: Option<&str>) -> &str {
    after.unwrap_or_default().split('\0').next().unwrap_or_default()
}

/// Keys of one group, or of all, ordered by group and name; `after` is `GROUP/NAME`, neither of which can have a slash.
fn page_of_keys(session: &Session<'_>, query: &PageQuery) -> Result<KeyList, ServiceError> {
    let after = cursor(query.after.as_deref());
    let (after_group, after_name) = after.split_once('/').unwrap_or((after, ""));
    let mut keys = Vec::new();
    if let Some(name) = &query.group {
        let group = existing(session, name)?;
        keys = keys::list(session, &group, after_name, PAGE_RECORDS_MAX)?;
    } else {
        // The group in which the last page ended may have more.
        let started = GroupName::new(after_group)
            .ok()
            .map(|name| groups::by_name(session, &name))
            .transpose()?
            .flatten();
        if let Some(group) = started {
            keys = keys::list(session, &group, after_name, PAGE_RECORDS_MAX)?;
        }
        add_later_groups(session, after_group, &mut keys)?;
    }
    let full = keys.len() == PAGE_RECORDS_MAX;
    let next = keys
        .last()
        .filter(|_| full)
        .map(|key| format!("{}/{}", key.group, key.name));
    Ok(KeyList { keys, next })
}

fn add_later_groups(session: &Session<'_>, after: &str, keys: &mut Vec<KeyRecord>) -> Result<(), ServiceError> {
    let mut after = after.to_owned();
    while keys.len() < PAGE_RECORDS_MAX {
        let Some(record) = groups::list(session, &after, 1)?.pop() else {
            return Ok(());
        };
        let group = existing(session, &record.name)?;
        keys.extend(keys::list(session, &group, "", PAGE_RECORDS_MAX - keys.len())?);
        after = record.name.to_string();
    }
    Ok(())
}

fn detail(state: KeyState, single_copy: bool) -> String {
    format!("to {state}{}", if single_copy { ", single copy accepted" } else { "" })
}
