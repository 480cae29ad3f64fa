//! The servers that the KMIP tests run against. The fake one is true if it tells the same story as the real one, word for word.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;

use std::fmt::Debug;
use std::sync::Arc;

use kmip_support::certificates::{Authority, Validity};
use kmip_support::fake::{Custom, Fake, Habits, Hostility, Object, TLS12_ONLY, TLS13_ONLY, with};
use kmip_support::pykmip::{Kind, PyKmip, for_owner_and_readers};
use kmip_support::tags::{self, operation, reason, state};
use kmip_support::talk::{Carrier, Talk, X_KEYGROUP, grouped, in_state, named, outcome};
use kmip_support::ttlv::{Value, date_time, integer, text};

const CARRIERS: [Carrier; 3] = [
    X_KEYGROUP,
    Carrier::ObjectGroup,
    Carrier::ApplicationSpecificInformation,
];

fn authority() -> Arc<Authority> {
    Arc::new(Authority::new("CA of the KMIP tests"))
}

/// What a server answered, line by line, with `#1` for the identifier of the first key and so on.
#[derive(Default)]
struct Transcript {
    lines: Vec<String>,
    identifiers: Vec<String>,
}

impl Transcript {
    fn note(&mut self, what: &str, answer: impl Debug) {
        let mut line = format!("{what}: {answer:?}");
        for (number, identifier) in self.identifiers.iter().enumerate() {
            line = line.replace(&format!("\"{identifier}\""), &format!("#{}", number + 1));
        }
        self.lines.push(line);
    }

    /// A key's identifier; where there is none, one that no key has.
    fn key(&mut self, what: &str, made: Result<String, u32>) -> String {
        match made {
            Ok(identifier) => {
                self.identifiers.push(identifier.clone());
                self.note(what, &identifier);
                identifier
            }
            Err(reason) => {
                self.note(what, Err::<(), _>(reason));
                "999999".into()
            }
        }
    }
}

/// Makes keys, finds them, ends them, and does what is refused in between.
async fn story(mut talk: Talk) -> Vec<String> {
    let mut told = Transcript::default();
    told.note("versions", talk.discover_versions().await);
    told.note(
        "an empty server",
        talk.locate(vec![grouped(X_KEYGROUP, "ENCR_a")]).await,
    );
    for carrier in CARRIERS {
        one_carrier(&mut talk, &mut told, carrier).await;
    }
    life_of_a_key(&mut talk, &mut told).await;
    requests_that_are_odd(&mut talk, &mut told).await;
    told.lines
}

async fn one_carrier(talk: &mut Talk, told: &mut Transcript, carrier: Carrier) {
    let first = talk.register(carrier, "ENCR_a", &[1; 32]).await;
    let first = told.key("one in a", first);
    let second = talk.register(carrier, "ENCR_b", &[2; 32]).await;
    told.key("one in b", second);
    let made = talk.create(carrier, "ENCR_a").await;
    let made = told.key("one made in a", made);
    told.note("its length", talk.get(&made).await.map(|bytes| bytes.len()));
    for group in ["ENCR_a", "ENCR_b", "ENCR_c", "encr_a"] {
        let mut found = talk.locate(vec![grouped(carrier, group)]).await;
        // Keys of one second come in any order.
        if let Ok(found) = &mut found {
            found.sort();
        }
        told.note(group, found);
    }
    told.note("activate", talk.activate(&first).await);
    let both = vec![grouped(carrier, "ENCR_a"), in_state(state::ACTIVE)];
    told.note("active in a", talk.locate(both).await);
    let (name, _) = grouped(carrier, "ENCR_a");
    told.note("its group", talk.attributes(&first, &[name]).await);
}

async fn life_of_a_key(talk: &mut Talk, told: &mut Transcript) {
    let more = vec![named("a key with a name"), grouped(Carrier::ObjectGroup, "ENCR_life")];
    let made = talk.register_with(more, &[7; 32]).await;
    let key = told.key("named", made);
    told.note("pre-active", talk.get(&key).await);
    told.note(
        "revoked too soon",
        talk.revoke(&key, tags::CESSATION_OF_OPERATION).await,
    );
    told.note("activate", talk.activate(&key).await);
    told.note("activate again", talk.activate(&key).await);
    let names = [
        "State",
        "Name",
        "Object Type",
        "Cryptographic Algorithm",
        "Cryptographic Length",
        "Cryptographic Usage Mask",
        "Activation Date",
        "Unique Identifier",
    ];
    for name in names {
        told.note(name, talk.attributes(&key, &[name]).await);
    }
    told.note("destroyed too soon", talk.destroy(&key).await);
    told.note("by name", talk.locate(vec![named("a key with a name")]).await);
    told.note("revoke", talk.revoke(&key, tags::CESSATION_OF_OPERATION).await);
    told.note("deactivated", talk.get(&key).await);
    told.note("state", talk.attribute(&key, "State").await);
    told.note("compromise", talk.revoke(&key, tags::KEY_COMPROMISE).await);
    told.note("compromised", talk.get(&key).await);
    told.note("state", talk.attribute(&key, "State").await);
    told.note("destroy", talk.destroy(&key).await);
    told.note("destroyed", talk.get(&key).await);
    told.note("its attributes", talk.attributes(&key, &["State"]).await);
    told.note("destroy again", talk.destroy(&key).await);
    told.note("by name", talk.locate(vec![named("a key with a name")]).await);
}

async fn requests_that_are_odd(talk: &mut Talk, told: &mut Transcript) {
    let [first, last] = [[3; 32], [4; 32]].map(|material| material.to_vec());
    let made = talk.register(Carrier::ObjectGroup, "ENCR_odd", &first).await;
    let first = told.key("first", made);
    let made = talk.register(Carrier::ObjectGroup, "ENCR_other", &last).await;
    told.key("last", made);
    let dated = vec![("Activation Date", date_time(tags::ATTRIBUTE_VALUE, 1_000))];
    told.note("with an Activation Date", talk.register_with(dated, &[5; 32]).await);
    let by_date = vec![
        grouped(Carrier::ObjectGroup, "ENCR_odd"),
        ("Activation Date", date_time(tags::ATTRIBUTE_VALUE, 1_000)),
    ];
    told.note("by a date that it does not keep", talk.locate(by_date).await);

    // Locate does not set the ID Placeholder: Get answers with the key that was made last.
    let locate = vec![kmip_support::talk::attribute(
        "Object Group",
        text(tags::ATTRIBUTE_VALUE, "ENCR_odd"),
    )];
    let batch = vec![(operation::LOCATE, locate), (operation::GET, Vec::new())];
    note_batch(talk, told, "locate and get", batch).await;

    let get = |identifier: &str| (operation::GET, vec![text(tags::UNIQUE_IDENTIFIER, identifier)]);
    note_batch(talk, told, "a batch", vec![get(&first), get(&first)]).await;
    note_batch(talk, told, "a batch that stops", vec![get("999999"), get(&first)]).await;
    note_batch(
        talk,
        told,
        "an operation of 1.4",
        vec![(operation::EXPORT, get(&first).1)],
    )
    .await;
    for version in [(1, 0), (1, 1), (1, 3), (1, 9), (3, 0)] {
        talk.version = version;
        note_batch(talk, told, &format!("in {version:?}"), vec![get(&first)]).await;
        note_batch(talk, told, "versions", vec![(operation::DISCOVER_VERSIONS, Vec::new())]).await;
    }
    talk.version = (1, 4);
}

/// Per item: its operation, its id, and its payload or why there is none.
async fn note_batch(
    talk: &mut Talk,
    told: &mut Transcript,
    what: &str,
    items: Vec<(u32, Vec<kmip_support::ttlv::Item>)>,
) {
    let reply = talk.batch(items).await.unwrap();
    let results: Vec<_> = reply
        .all(tags::BATCH_ITEM)
        .map(|item| {
            let id = item.bytes(tags::UNIQUE_BATCH_ITEM_ID).map(<[u8]>::to_vec);
            (item.enumeration(tags::OPERATION), id, outcome(item))
        })
        .collect();
    let version = reply.find(tags::RESPONSE_HEADER).unwrap().version();
    told.note(what, (version, results));
}

async fn tells_the_same_as_the_fake_with(kind: Kind, habits: Habits) {
    let authority = authority();
    let Some(real) = PyKmip::start(kind, &authority).await else {
        return;
    };
    let fake = Fake::start(&authority, habits).await;
    let told_by_real = story(real.talk("somebody").await).await;
    let told_by_fake = story(fake.talk("somebody").await).await;
    for (real, fake) in told_by_real.iter().zip(&told_by_fake) {
        assert_eq!(real, fake);
    }
    assert_eq!(told_by_real.len(), told_by_fake.len());
}

#[tokio::test]
async fn the_fake_tells_the_same_story_as_stock_pykmip() {
    tells_the_same_as_the_fake_with(Kind::Stock, Habits::of_pykmip()).await;
}

#[tokio::test]
async fn the_fake_tells_the_same_story_as_pykmip_with_custom_attributes() {
    let habits = Habits {
        custom: Custom::Filtered,
        ..Habits::of_pykmip()
    };
    tells_the_same_as_the_fake_with(Kind::WithCustomAttributes, habits).await;
}

#[tokio::test]
async fn pykmip_keeps_its_keys_when_it_is_killed_and_lets_readers_only_read() {
    let authority = authority();
    let Some(mut server) = PyKmip::start(Kind::WithCustomAttributes, &authority).await else {
        return;
    };
    let mut owner = server.talk("owner").await;
    let for_all = vec![grouped(X_KEYGROUP, "ENCR_p"), for_owner_and_readers()];
    let shared = owner.register_with(for_all, &[1; 32]).await.unwrap();
    let own = owner.active_key(X_KEYGROUP, "ENCR_p", &[2; 32]).await;

    server.kill();
    let client = authority.client("owner");
    let refused = Talk::open(server.address(), &authority, &client).await;
    assert_eq!(refused.err().unwrap().kind(), std::io::ErrorKind::ConnectionRefused);
    server.start_again().await;
    server.until_the_policy_is_in_force().await;

    let mut reader = server.talk("reader").await;
    let found = reader.locate(vec![grouped(X_KEYGROUP, "ENCR_p")]).await;
    assert_eq!(found.as_deref(), Ok(&[shared.clone()][..]));
    assert_eq!(reader.get(&shared).await, Ok(vec![1; 32]));
    assert_eq!(reader.get(&own).await, Err(reason::PERMISSION_DENIED));
    assert_eq!(reader.destroy(&shared).await, Err(reason::PERMISSION_DENIED));
    assert_eq!(server.talk("owner").await.destroy(&shared).await, Ok(()));
}

#[tokio::test]
async fn the_fake_has_all_the_ways_of_the_other_server() {
    let authority = authority();
    let fake = Fake::start(&authority, Habits::of_another_server()).await;
    let mut talk = fake.talk("somebody").await;
    let old = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    fake.advance(1);
    let new = fake.add(Object::aes(&[2; 32]).in_group(X_KEYGROUP, "ENCR_b"));

    let bogus = talk.locate(vec![grouped(X_KEYGROUP, "no such group")]).await;
    assert_eq!(bogus, Ok(vec![old.clone(), new.clone()]), "everything, in no order");
    let group = talk.attribute(&new, "x-keygroup").await;
    assert_eq!(group, Some(Value::Text("ENCR_b".into())));

    talk.revoke(&old, tags::CESSATION_OF_OPERATION).await.unwrap();
    assert_eq!(talk.get(&old).await, Err(reason::WRONG_KEY_LIFECYCLE_STATE));
    assert_eq!(talk.export(&old).await, Err(reason::INVALID_MESSAGE));
    talk.version = (2, 1);
    assert_eq!(talk.export(&old).await, Ok(vec![1; 32]));
    talk.version = (1, 9);
    assert_eq!(talk.get(&new).await, Ok(vec![2; 32]), "an unknown version is echoed");
    talk.version = (1, 4);
    assert_eq!(talk.get("nobody").await, Err(reason::OBJECT_NOT_FOUND));
    talk.destroy(&old).await.unwrap();
    assert_eq!(talk.get(&old).await, Err(reason::OBJECT_DESTROYED));
    assert_eq!(fake.complaints(), [""; 0]);

    for _ in 0..1_500 {
        fake.add(Object::aes(&[3; 32]));
    }
    let page = |offset| vec![integer(tags::MAXIMUM_ITEMS, 2_000), integer(tags::OFFSET_ITEMS, offset)];
    let first = talk.ask(operation::LOCATE, page(0)).await.unwrap();
    assert_eq!(first.all(tags::UNIQUE_IDENTIFIER).count(), 1_000);
    assert_eq!(talk.ask(operation::LOCATE, page(1_000)).await, Ok(first));
}

#[tokio::test]
async fn a_foreign_or_expired_certificate_shows_late_in_tls_1_3_and_at_once_in_tls_1_2() {
    let authority = authority();
    let foreign = Authority::new("another CA").client("somebody");
    let expired = authority.client_valid("somebody", Validity::past());
    for client in [foreign, expired] {
        let server = authority.server();
        let fake = Fake::start_as(&authority, &server, TLS13_ONLY, Habits::default()).await;
        let mut talk = Talk::open(fake.address(), &authority, &client).await.unwrap();
        let asked = kmip_support::talk::request((1, 4), &[(operation::QUERY, Vec::new())]);
        assert!(talk.exchange(&asked.encode()).await.is_err());
        let fake = Fake::start_as(&authority, &server, TLS12_ONLY, Habits::default()).await;
        assert!(Talk::open(fake.address(), &authority, &client).await.is_err());
        assert_eq!(fake.connections(), 0);
    }
}

#[tokio::test]
async fn the_fake_does_harm_only_where_it_is_told_to() {
    let fake = Fake::start(&authority(), Habits::default()).await;
    let key = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    let mut talk = fake.talk("somebody").await;
    fake.set(|habits| habits.trouble = with(operation::GET, Hostility::KeyBytes(16)));
    assert_eq!(talk.get(&key).await, Ok(vec![0x5A; 16]));
    assert_eq!(talk.locate(Vec::new()).await, Ok(vec![key.clone()]));
    fake.set(|habits| habits.trouble = with(operation::GET, Hostility::Reversed));
    assert_eq!(talk.get(&key).await, Ok(vec![1; 32]));
    fake.trouble(Hostility::CloseAfter(20));
    let asked = kmip_support::talk::request((1, 4), &[(operation::QUERY, Vec::new())]);
    assert!(talk.exchange(&asked.encode()).await.is_err());
}
