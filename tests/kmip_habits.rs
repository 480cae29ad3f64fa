//! What other servers were seen to do, each by itself: searches that filter by nothing or show no more than so many keys, endpoints that come
//! and go, connections that end while nobody looks, a server that is killed in the middle of an answer.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kmip_support::certificates::Authority;
use kmip_support::client::{Client, Said, backup, got, group, not, restore_identifier};
use kmip_support::fake::{Custom, Fake, Habits, Hostility, Object, Order, with};
use kmip_support::in_time;
use kmip_support::pykmip::{Kind, PyKmip};
use kmip_support::tags::{operation, reason, state};
use kmip_support::talk::{Carrier, X_KEYGROUP};
use tapekey::kms::connector::kmip::{GroupAttribute, KmipServer};
use tapekey::kms::connector::{ExternalServer, KeyState};

async fn fake(habits: Habits) -> Fake {
    Fake::start(&Arc::new(Authority::new("CA of the KMIP tests")), habits).await
}

fn client(fake: &Fake) -> KmipServer {
    Client::of(fake.authority(), &[fake.address()]).build()
}

/// So many keys, one a second, in groups that take turns; the last is of the first group, made last of all.
fn many_keys(fake: &Fake, count: u8, groups: u8, carrier: Carrier) -> String {
    for number in 0..count {
        fake.advance(1);
        let name = format!("ENCR_{}", number % groups);
        fake.add(Object::aes(&[number; 32]).in_group(carrier, &name));
    }
    fake.advance(1);
    fake.add(Object::aes(&[0xEE; 32]).in_group(carrier, "ENCR_0"))
}

#[tokio::test]
async fn a_server_that_filters_by_nothing_still_gives_only_keys_of_the_group() {
    let ignored = vec![
        "State",
        "Object Group",
        "Application Specific Information",
        "Object Type",
        "Name",
    ];
    for order in [Order::AsMade, Order::NewestFirst] {
        let fake = fake(Habits {
            custom: Custom::NotFiltered,
            ignored_filters: ignored.clone(),
            order,
            ..Habits::default()
        })
        .await;
        let newest = many_keys(&fake, 200, 7, X_KEYGROUP);
        fake.advance(1);
        fake.add(
            Object::aes(&[9; 32])
                .in_group(X_KEYGROUP, "ENCR_0")
                .in_state(state::DEACTIVATED),
        );
        let client = client(&fake);
        assert_eq!(backup(&client, "ENCR_0").await.unwrap().identifier, newest);
        fake.requests();
        assert_eq!(backup(&client, "ENCR_0").await.unwrap().identifier, newest);
        let requests = fake.requests().len();
        assert!(requests <= 8, "{requests} requests for 202 keys");
        assert!(not(backup(&client, "ENCR_8").await).is_no_such_key());
        assert_eq!(fake.complaints(), [""; 0]);
    }
}

#[tokio::test]
async fn where_a_server_shows_only_so_many_keys_a_missing_one_is_not_called_missing() {
    // It filters by no custom attribute and shows the oldest.
    let cut = || Habits {
        results_max: Some(100),
        ..Habits::of_another_server()
    };
    let server = fake(cut()).await;
    let newest = many_keys(&server, 250, 2, X_KEYGROUP);
    let said = not(backup(&client(&server), "ENCR_none").await);
    assert!(
        said.is_refused() && said.text().contains("it may have more"),
        "{said:?}"
    );
    // Its identifier is a UUID, and so found without a search.
    assert_eq!(restore_identifier(&client(&server), &newest).await.unwrap().len(), 1);
    let last = server.add(
        Object::aes(&[1; 32])
            .in_group(X_KEYGROUP, "ENCR_x")
            .identified("no UUID"),
    );
    let said = not(restore_identifier(&client(&server), &last).await);
    assert!(
        said.is_refused() && said.text().contains("it may have more"),
        "{said:?}"
    );
    assert_eq!(server.complaints(), [""; 0]);

    // By Object Group it can search.
    let server = fake(cut()).await;
    many_keys(&server, 250, 50, Carrier::ObjectGroup);
    let newest = server.add(Object::aes(&[1; 32]).in_group(Carrier::ObjectGroup, "ENCR_last"));
    let by_object_group = Client {
        group_attribute: Some(GroupAttribute::ObjectGroup),
        ..Client::of(server.authority(), &[server.address()])
    };
    assert_eq!(
        backup(&by_object_group.build(), "ENCR_last").await.unwrap().identifier,
        newest
    );
}

#[tokio::test]
async fn a_server_with_pages_is_read_to_the_end() {
    for counts_located in [true, false] {
        let fake = fake(Habits {
            results_max: Some(50),
            order: Order::AsMade,
            counts_located,
            ..Habits::default()
        })
        .await;
        let newest = many_keys(&fake, 249, 1, X_KEYGROUP);
        let client = client(&fake);
        assert_eq!(backup(&client, "ENCR_0").await.unwrap().identifier, newest);
        let last = fake.add(
            Object::aes(&[1; 32])
                .in_group(X_KEYGROUP, "ENCR_x")
                .identified("no UUID"),
        );
        assert_eq!(restore_identifier(&client, &last).await.unwrap()[0].identifier, last);
    }
}

#[tokio::test]
async fn a_group_of_a_thousand_keys_costs_a_bounded_number_of_requests() {
    let fake = fake(Habits::default()).await;
    for number in 0..1_000_u32 {
        fake.advance(1);
        fake.add(
            Object::aes(&[7; 32])
                .in_group(X_KEYGROUP, "ENCR_a")
                .identified(&format!("key {number:04}")),
        );
    }
    let client = client(&fake);
    backup(&client, "ENCR_a").await.unwrap();
    fake.requests();
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, "key 0999");
    let requests = fake.requests();
    assert!(requests.len() <= 13, "{} requests", requests.len());
    assert_eq!(fake.connections(), 1);
    assert_eq!(fake.complaints(), [""; 0]);
}

#[tokio::test]
async fn what_was_destroyed_or_is_unknown_is_no_such_key_by_whichever_reason() {
    for fine_reasons in [true, false] {
        let fake = fake(Habits {
            fine_reasons,
            ..Habits::default()
        })
        .await;
        let key = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
        fake.change(&key, |key| key.destroyed = true);
        let client = client(&fake);
        let never = "5f0c1d9e-0000-4000-8000-ffffffffffff";
        for identifier in [&key[..], never, "no UUID"] {
            let said = not(restore_identifier(&client, identifier).await);
            assert!(said.is_no_such_key(), "{identifier}: {said:?}");
        }
    }
}

#[tokio::test]
async fn a_deactivated_key_is_exported_where_get_is_refused_and_only_then() {
    let fake = fake(Habits::of_another_server()).await;
    let key = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    let client = client(&fake);
    let read = restore_identifier(&client, &key).await.unwrap();
    assert!(read.len() == 1 && read[0].state == KeyState::Active);
    assert!(
        fake.requests()
            .iter()
            .all(|request| !request.operations.contains(&operation::EXPORT))
    );

    fake.change(&key, |key| key.state = state::DEACTIVATED);
    let read = restore_identifier(&client, &key).await.unwrap();
    assert!(*read[0].key.expose() == [1; 32] && read[0].state == KeyState::Inactive);
    let requests = fake.requests();
    let exports: Vec<_> = requests
        .iter()
        .filter(|request| request.operations.contains(&operation::EXPORT))
        .collect();
    assert!(exports.len() == 1 && exports[0].version == (2, 1), "{exports:?}");

    // Where there is no Export either, the reason of Get is told.
    fake.set(|habits| habits.operations.retain(|known| *known != operation::EXPORT));
    let said = not(restore_identifier(&client, &key).await);
    assert!(
        said.is_refused() && said.text().contains("Wrong Key Lifecycle State"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_protect_stop_date_ends_writing_and_not_reading() {
    let fake = fake(Habits::default()).await;
    let older = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    fake.advance(1);
    let stopped = fake.add(Object::aes(&[2; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    fake.change(&stopped, |key| key.protect_stop_date = Some(1_000));
    let client = client(&fake);
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, older);
    let read = restore_identifier(&client, &stopped).await.unwrap();
    assert_eq!(read[0].state, KeyState::Inactive);
    fake.change(&stopped, |key| key.protect_stop_date = Some(i64::from(u32::MAX)));
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, stopped);
}

#[tokio::test]
async fn connections_that_ended_while_nobody_looked_are_opened_again() {
    let mut fake = fake(Habits::default()).await;
    let key = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    let client = client(&fake);
    for round in 1..=3 {
        assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, key);
        assert_eq!(fake.connections(), round, "one is kept");
        fake.hang_up();
    }
    fake.go_down().await;
    assert!(not(backup(&client, "ENCR_a").await).is_unreachable());
    fake.come_back().await;
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, key);
}

#[tokio::test]
async fn of_several_endpoints_one_that_lives_is_enough_and_is_kept() {
    let authority = Arc::new(Authority::new("CA of the KMIP tests"));
    let mut first = Fake::start(&authority, Habits::default()).await;
    let mut second = Fake::start(&authority, Habits::default()).await;
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    // Two doors to the same store.
    for fake in [&first, &second] {
        fake.add(
            Object::aes(&[1; 32])
                .in_group(X_KEYGROUP, "ENCR_a")
                .identified("the key"),
        );
    }
    let client = Client {
        endpoint_limit: Duration::from_millis(1_500),
        ..Client::of(
            &authority,
            &[silent.local_addr().unwrap(), first.address(), second.address()],
        )
    };
    let client = client.build();
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, "the key");
    let begun = Instant::now();
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, "the key");
    assert!(
        begun.elapsed() < Duration::from_millis(1_500),
        "the silent one is not asked again"
    );
    first.go_down().await;
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, "the key");
    assert!(second.connections() == 1);
    second.go_down().await;
    let said = not(backup(&client, "ENCR_a").await);
    assert!(said.is_unreachable(), "{said:?}");
    for address in [silent.local_addr().unwrap(), first.address(), second.address()] {
        assert!(said.text().contains(&address.to_string()), "{said:?}");
    }
    first.come_back().await;
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, "the key");
}

#[tokio::test]
async fn a_new_key_is_asked_for_once_even_if_its_answer_is_lost() {
    let fake = fake(Habits::default()).await;
    let client = Client {
        endpoint_limit: Duration::from_millis(1_500),
        ..Client::of(fake.authority(), &[fake.address(), fake.address()])
    };
    let client = client.build();
    assert!(not(backup(&client, "ENCR_a").await).is_no_such_key());
    for lost in [
        Hostility::Close,
        Hostility::Silence,
        Hostility::CutShort,
        Hostility::CloseAfter(30),
    ] {
        fake.requests();
        fake.set(|habits| habits.trouble = with(operation::CREATE, lost.clone()));
        let said: Said = not(got(
            in_time("a new key", client.create_key(&group("ENCR_a"), None)).await
        ));
        assert!(said.text().contains("not known whether"), "{lost:?}: {said:?}");
        let created = fake
            .requests()
            .into_iter()
            .filter(|request| request.operations.contains(&operation::CREATE));
        assert_eq!(created.count(), 1, "{lost:?}");
    }
    fake.set(|habits| {
        habits.trouble = with(
            operation::ACTIVATE,
            Hostility::Refused(reason::PERMISSION_DENIED, String::new()),
        )
    });
    let said = not(got(client.create_key(&group("ENCR_a"), None).await));
    assert!(
        said.is_refused() && said.text().contains("was made and is not active"),
        "{said:?}"
    );
    fake.set(|habits| habits.trouble = None);
    got(client.create_key(&group("ENCR_a"), None).await).unwrap();
    backup(&client, "ENCR_a").await.unwrap();
}

#[tokio::test]
async fn a_question_that_is_given_up_leaves_no_late_answer_to_the_next() {
    let fake = fake(Habits::default()).await;
    let key = fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    let other = fake.add(Object::aes(&[2; 32]).in_group(X_KEYGROUP, "ENCR_b"));
    let client = client(&fake);
    backup(&client, "ENCR_a").await.unwrap();
    fake.set(|habits| habits.delay = Duration::from_millis(200));
    for _ in 0..5 {
        let late = tokio::time::timeout(Duration::from_millis(100), client.key_for_backup(&group("ENCR_a"))).await;
        assert!(late.is_err());
        let keys = [
            backup(&client, "ENCR_b").await.unwrap(),
            backup(&client, "ENCR_a").await.unwrap(),
        ];
        assert_eq!([&keys[0].identifier, &keys[1].identifier], [&other, &key]);
    }
}

#[tokio::test]
async fn questions_that_come_together_get_each_its_own_answer() {
    let fake = fake(Habits::default()).await;
    let mut keys = Vec::new();
    for number in 0..8_u8 {
        keys.push(fake.add(Object::aes(&[number; 32]).in_group(X_KEYGROUP, &format!("ENCR_{number}"))));
    }
    let client = Arc::new(client(&fake));
    let asked: Vec<_> = (0..32)
        .map(|number| {
            let client = Arc::clone(&client);
            tokio::spawn(async move {
                backup(&client, &format!("ENCR_{}", number % 8))
                    .await
                    .unwrap()
                    .identifier
            })
        })
        .collect();
    for (number, asked) in asked.into_iter().enumerate() {
        assert_eq!(asked.await.unwrap(), keys[number % 8]);
    }
    assert_eq!(fake.complaints(), [""; 0]);
}

#[tokio::test]
async fn a_server_that_is_killed_in_the_middle_of_a_request_is_unreachable_and_then_back_with_its_keys() {
    let authority = Arc::new(Authority::new("CA of the KMIP tests"));
    let Some(mut server) = PyKmip::start(Kind::WithCustomAttributes, &authority).await else {
        return;
    };
    let key = server
        .talk("owner")
        .await
        .active_key(X_KEYGROUP, "ENCR_a", &[1; 32])
        .await;
    let client = Client::of(&authority, &[server.address()]).build();
    let limited = Client {
        endpoint_limit: Duration::from_millis(300),
        ..Client::of(&authority, &[server.address()])
    };
    let limited = limited.build();
    for _ in 0..2 {
        assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, key);
        server.freeze();
        {
            let mut asked = pin!(client.key_for_backup(&group("ENCR_a")));
            let early = tokio::time::timeout(Duration::from_millis(300), &mut asked).await;
            assert!(early.is_err(), "it stands still");
            let said = not(backup(&limited, "ENCR_a").await);
            assert!(
                said.is_unreachable() && said.text().contains("no answer in 300 ms"),
                "{said:?}"
            );
            server.kill();
            let said = not(got(in_time("the end", asked).await));
            assert!(said.is_unreachable(), "{said:?}");
        }
        let said = not(backup(&client, "ENCR_a").await);
        assert!(
            said.is_unreachable() && !said.text().contains("certificate"),
            "{said:?}"
        );
        server.start_again().await;
    }
    assert_eq!(backup(&client, "ENCR_a").await.unwrap().identifier, key);
    let read = restore_identifier(&client, &key).await.unwrap();
    assert!(*read[0].key.expose() == [1; 32]);
}
