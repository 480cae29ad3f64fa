//! External servers as a KMS sees them, played by a second KMS in the same process: it keeps its keys in a store of its own, and every
//! answer of it comes out of that store. What a network does to a server is ordered by the test.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tapekey::clock::Timestamp;
use tapekey::kad::{KeyId, KeyKind};
use tapekey::kms::audit::Actor;
use tapekey::kms::connector::{
    Answer, Asking, Checking, CreatedKey, ExternalKey, ExternalServer, Finding, GroupName, KeyName, KeyServerKind,
    KeyState, Peer, ServerIdentity, ServerName, Verdict, Wanted,
};
use tapekey::kms::service::Kms;
use tapekey::kms_api::{
    BackupKeyRequest, CandidateKeyAnswer, GroupAttribute, MoveKey, PageQuery, Purpose, RestoreKeysRequest, RotateGroup,
};
use tapekey::secret::DataKey;
use tokio::sync::Barrier;

use super::{Home, group, import, new_group, volume};

/// What is between the KMS and the server.
#[derive(Clone)]
pub(crate) enum Weather {
    Fine,
    /// No connection.
    Down,
    /// Connected, and never a word.
    Silent,
    /// It answers, and refuses everything.
    Refusing,
    /// It answers once as many questions as the barrier waits for have come, to whichever server.
    Together(Arc<Barrier>),
    /// Its connector panics.
    Broken,
}

/// A KMS that plays an external server. Groups in it are as-is, so that it gives its group keys as they are.
pub(crate) struct OtherKms {
    identity: ServerIdentity,
    pub(crate) home: Home,
    kms: Arc<Kms>,
    weather: Mutex<Weather>,
    asked: AtomicUsize,
    /// What it calls its key, where that is not the key's id.
    identifier: Mutex<Option<String>>,
    /// The group that it says a key is in, where that is not so.
    lie: Mutex<Option<GroupName>>,
    /// Whether it marks its keys as compromised.
    compromised: AtomicBool,
    /// The last moment of the certificate that it shows.
    certificate_not_after: Mutex<Option<Timestamp>>,
}

impl OtherKms {
    pub(crate) fn new(name: &str, priority: i32) -> Self {
        let home = Home::with_seed(name.bytes().map(u64::from).sum());
        let kms = Kms::start(home.opened_store(), home.clock.clone(), home.entropy.clone()).unwrap();
        Self {
            identity: ServerIdentity {
                name: ServerName::new(name).unwrap(),
                kind: KeyServerKind::Kmip,
                address: format!("{name}.example.org:5696"),
                priority,
                enabled_for_backup: true,
                limit: Duration::from_secs(20),
            },
            home,
            kms: Arc::new(kms),
            weather: Mutex::new(Weather::Fine),
            asked: AtomicUsize::new(0),
            identifier: Mutex::new(None),
            lie: Mutex::new(None),
            compromised: AtomicBool::new(false),
            certificate_not_after: Mutex::new(None),
        }
    }

    pub(crate) fn not_for_backup(mut self) -> Self {
        self.identity.enabled_for_backup = false;
        self
    }

    pub(crate) fn with_limit(mut self, limit: Duration) -> Self {
        self.identity.limit = limit;
        self
    }

    pub(crate) fn set_weather(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }

    pub(crate) fn call_its_key(&self, identifier: &str) {
        *self.identifier.lock().unwrap() = Some(identifier.to_owned());
    }

    pub(crate) fn say_its_keys_are_in(&self, name: &str) {
        *self.lie.lock().unwrap() = Some(group(name));
    }

    pub(crate) fn mark_its_keys_as_compromised(&self) {
        self.compromised.store(true, Ordering::SeqCst);
    }

    pub(crate) fn show_a_certificate_until(&self, not_after: Timestamp) {
        *self.certificate_not_after.lock().unwrap() = Some(not_after);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// Makes a group if there is none yet, and a new active key in it.
    pub(crate) async fn rotate(&self, name: &str) -> KeyId {
        // There may be one already.
        let _ = self
            .kms
            .create_group(&Actor::local(), new_group(name, KeyKind::AsIs))
            .await;
        let wanted = RotateGroup {
            name: None,
            single_copy: true,
        };
        let made = self
            .kms
            .rotate_group(&Actor::local(), group(name), wanted)
            .await
            .unwrap();
        made.key.id
    }

    /// Imports keys whose bytes are all the same, with the KADs `foreign N`.
    pub(crate) async fn import(&self, name: &str, bytes: &[u8]) {
        let _ = self
            .kms
            .create_group(&Actor::local(), new_group(name, KeyKind::AsIs))
            .await;
        let wanted = import(bytes, true);
        self.kms
            .import_keys(&Actor::local(), group(name), wanted)
            .await
            .unwrap();
    }

    /// Imports one key under its id.
    pub(crate) async fn adopt(&self, name: &str, id: KeyId, key: DataKey) {
        self.kms
            .create_group(&Actor::local(), new_group(name, KeyKind::AsIs))
            .await
            .unwrap();
        let mut wanted = import(&[0], true);
        wanted.keys[0].id = Some(id);
        wanted.keys[0].key = key;
        self.kms
            .import_keys(&Actor::local(), group(name), wanted)
            .await
            .unwrap();
    }

    /// Makes every key of the group active, one after the other.
    pub(crate) async fn activate_all(&self, name: &str) {
        for key in self.kms.keys(PageQuery::default()).await.unwrap().keys {
            let to = MoveKey {
                state: KeyState::Active,
                single_copy: true,
            };
            self.kms
                .move_key(&Actor::local(), (group(name), key.name), to)
                .await
                .unwrap();
        }
    }

    /// Gives the active key of the group another state.
    pub(crate) async fn retire(&self, name: &str, state: KeyState) {
        let query = PageQuery {
            group: Some(group(name)),
            after: None,
        };
        let keys = self.kms.keys(query).await.unwrap().keys;
        let key = keys.into_iter().find(|key| key.state == KeyState::Active).unwrap();
        let to = MoveKey {
            state,
            single_copy: false,
        };
        self.kms
            .move_key(&Actor::local(), (group(name), key.name), to)
            .await
            .unwrap();
    }

    /// What comes before any answer.
    fn arrive<T: Send + 'static>(&self, answer: impl Future<Output = Answer<T>> + Send + 'static) -> Asking<T> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let weather = self.weather.lock().unwrap().clone();
        Box::pin(async move {
            match weather {
                Weather::Fine => {}
                Weather::Down => return Answer::Unreachable("connection\nrefused".to_owned()),
                Weather::Silent => std::future::pending().await,
                Weather::Refusing => return Answer::Refused("permission denied".to_owned()),
                Weather::Together(barrier) => {
                    barrier.wait().await;
                }
                Weather::Broken => panic!("the connector is broken, as the test wants it"),
            }
            answer.await
        })
    }
}

impl ExternalServer for OtherKms {
    fn identity(&self) -> &ServerIdentity {
        &self.identity
    }

    fn key_for_backup(&self, wanted: &GroupName) -> Asking<ExternalKey> {
        let (kms, seen) = (self.kms.clone(), self.seen());
        let request = BackupKeyRequest {
            purpose: Purpose::of(wanted),
            group: wanted.clone(),
            volume: volume("of-another-kms"),
        };
        self.arrive(async move {
            match kms.backup_key(&Actor::local(), request).await {
                Ok(found) => Answer::Found(seen.key(ExternalKey {
                    key: found.key,
                    identifier: found.kad.key_id().to_string(),
                    name: Some(found.key_name),
                    group: found.group,
                    state: KeyState::Active,
                    compromised: false,
                    foreign_kad: None,
                    protocol_version: "1.4".to_owned(),
                })),
                Err(error) => Answer::NoSuchKey(Some(error.to_string())),
            }
        })
    }

    fn keys_for_restore(&self, wanted: &Wanted) -> Asking<Vec<ExternalKey>> {
        let (kms, seen, wanted) = (self.kms.clone(), self.seen(), wanted.clone());
        self.arrive(async move {
            let names = names(&kms).await;
            let request = match wanted {
                // A key with an identifier of its own is found by looking at all.
                Wanted::Id(id) if seen.identifier.is_some() && seen.id() == Some(id) => by_id(names[0].0),
                Wanted::Id(id) => by_id(id),
                Wanted::ForeignKads(kads) => RestoreKeysRequest {
                    kad: kads.unauthenticated,
                    a_kad: kads.authenticated,
                    volume: None,
                },
            };
            let found = kms.restore_keys(&Actor::local(), request).await.unwrap();
            let keys: Vec<_> = found
                .candidates
                .into_iter()
                .map(|candidate| seen.key(external(candidate, &names)))
                .collect();
            match keys.is_empty() {
                true => Answer::NoSuchKey(None),
                false => Answer::Found(keys),
            }
        })
    }

    fn check(&self, group: Option<&GroupName>) -> Checking {
        let text = format!(
            "looked at{}",
            group.map_or_else(String::new, |group| format!(" with {group}"))
        );
        let looked = self.arrive(async move { Answer::Found(text) });
        Box::pin(async move {
            let (verdict, text, remedy) = match looked.await {
                Answer::Found(text) => (Verdict::Ok, text, None),
                Answer::NoSuchKey(_) => (Verdict::Unproven, String::new(), None),
                Answer::Unreachable(why) | Answer::Refused(why) => (Verdict::Failed, why, Some("mend it".to_owned())),
            };
            vec![Finding {
                what: "the other KMS".to_owned(),
                verdict,
                text,
                remedy,
            }]
        })
    }

    fn create_key(&self, wanted: &GroupName, _: Option<&KeyName>) -> Asking<CreatedKey> {
        let (kms, wanted) = (self.kms.clone(), wanted.clone());
        self.arrive(async move {
            // There may be one already.
            let _ = kms
                .create_group(&Actor::local(), new_group(wanted.as_str(), KeyKind::AsIs))
                .await;
            let rotate = RotateGroup {
                name: None,
                single_copy: true,
            };
            let made = kms.rotate_group(&Actor::local(), wanted, rotate).await.unwrap().key;
            Answer::Found(CreatedKey {
                identifier: made.id.to_string(),
                group: made.group,
                name: Some(made.name),
                state: made.state,
                group_attribute: GroupAttribute::XKeygroup,
            })
        })
    }

    fn peer(&self) -> Peer {
        Peer {
            protocol_version: Some("1.4".to_owned()),
            certificate_not_after: *self.certificate_not_after.lock().unwrap(),
        }
    }
}

fn by_id(id: KeyId) -> RestoreKeysRequest {
    RestoreKeysRequest {
        kad: id.0.to_vec(),
        a_kad: Vec::new(),
        volume: None,
    }
}

async fn names(kms: &Kms) -> Vec<(KeyId, Option<Vec<u8>>)> {
    let keys = kms.keys(PageQuery::default()).await.unwrap().keys;
    keys.into_iter().map(|key| (key.id, key.foreign_kad)).collect()
}

fn external(candidate: CandidateKeyAnswer, names: &[(KeyId, Option<Vec<u8>>)]) -> ExternalKey {
    let kad = names.iter().find(|(id, _)| *id == candidate.id);
    ExternalKey {
        key: candidate.key,
        identifier: candidate.id.to_string(),
        name: Some(candidate.key_name),
        group: candidate.group,
        state: candidate.state,
        compromised: false,
        foreign_kad: kad.and_then(|(_, kad)| kad.clone()),
        protocol_version: "1.4".to_owned(),
    }
}

/// How the server's keys look from outside.
struct Seen {
    identifier: Option<String>,
    lie: Option<GroupName>,
    compromised: bool,
}

impl Seen {
    fn id(&self) -> Option<KeyId> {
        self.identifier.as_deref().map(KeyId::from_identifier)
    }

    fn key(&self, key: ExternalKey) -> ExternalKey {
        ExternalKey {
            name: key.name.filter(|_| self.identifier.is_none()),
            identifier: self.identifier.clone().unwrap_or(key.identifier),
            group: self.lie.clone().unwrap_or(key.group),
            compromised: self.compromised,
            ..key
        }
    }
}

impl OtherKms {
    fn seen(&self) -> Seen {
        Seen {
            identifier: self.identifier.lock().unwrap().clone(),
            lie: self.lie.lock().unwrap().clone(),
            compromised: self.compromised.load(Ordering::SeqCst),
        }
    }
}
