//! Keys on KMIP servers from their making to their end, as the client finds them for backups and restores: on PyKMIP, and on the fake server
//! with the habits of several others.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;

use kmip_support::client::{Client, backup, group, not, restore, restore_identifier};
use kmip_support::everywhere::{Place, places, py_kmip};
use kmip_support::pykmip::{Kind, for_owner_and_readers};
use kmip_support::talk::{Carrier, X_KEYGROUP, grouped, named};
use kmip_support::ttlv::text;
use kmip_support::{in_time, tags};
use tapekey::kad::{BlockKads, KeyId};
use tapekey::kms::connector::kmip::GroupAttribute;
use tapekey::kms::connector::{ExternalServer, Finding, KeyName, KeyState, Verdict, Wanted};

/// Two active keys of one second, and a later look at which of them counts.
async fn twins(place: &Place, name: &str) -> [String; 2] {
    for _ in 0..20 {
        let twins = [
            place.active_key(name, [1; 32]).await,
            place.active_key(name, [2; 32]).await,
        ];
        let dates = [place.initial_date(&twins[0]).await, place.initial_date(&twins[1]).await];
        if dates[0] == dates[1] {
            return twins;
        }
    }
    panic!("{}: no two keys in one second", place.name);
}

#[tokio::test]
async fn of_two_keys_of_one_second_every_node_takes_the_same_and_a_newer_one_before_both() {
    for place in places().await {
        let name = &place.group("twins");
        let [first, second] = twins(&place, name).await;
        let expected = if first > second { &first } else { &second };
        for _ in 0..3 {
            let node = place.client().build();
            for _ in 0..2 {
                let key = backup(&node, name).await.unwrap();
                assert_eq!((&key.identifier, place.name), (expected, place.name));
                let material = if *expected == first { 1 } else { 2 };
                assert!(*key.key.expose() == [material; 32] && key.state == KeyState::Active);
            }
        }
        place.until_the_next_second(&second).await;
        let newest = place.active_key(name, [3; 32]).await;
        let key = backup(&place.client().build(), name).await.unwrap();
        assert_eq!((key.identifier, place.name), (newest, place.name));
        place.assert_nothing_to_complain_about();
    }
}

#[tokio::test]
async fn no_key_of_another_group_is_ever_given() {
    for place in places().await {
        let groups = ["a", "ab", "A", "b"].map(|name| place.group(name));
        let mut identifiers = Vec::new();
        for (name, number) in groups.iter().zip(1..) {
            identifiers.push(place.active_key(name, [number; 32]).await);
        }
        // Newer than all of them, and in no group of tapes.
        place.until_the_next_second(&identifiers[3]).await;
        place.active_key("other software", [9; 32]).await;

        let client = place.client().build();
        for ((name, identifier), number) in groups.iter().zip(&identifiers).zip(1..) {
            let key = backup(&client, name).await.unwrap();
            assert_eq!((&key.identifier, place.name), (identifier, place.name));
            assert_eq!(key.group, group(name));
            assert!(*key.key.expose() == [number; 32], "{}", place.name);

            let keys = restore_identifier(&client, identifier).await.unwrap();
            assert!(
                keys.len() == 1 && *keys[0].key.expose() == [number; 32],
                "{}",
                place.name
            );
            assert_eq!(keys[0].group, group(name));
        }
        for name in ["", "c", "aa"] {
            let said = not(backup(&client, &place.group(name)).await);
            assert!(said.is_no_such_key(), "{}: {said:?}", place.name);
        }
        let said = not(restore_identifier(&client, "no key has this identifier").await);
        assert!(said.is_no_such_key(), "{}: {said:?}", place.name);
        place.assert_nothing_to_complain_about();
    }
}

#[tokio::test]
async fn a_key_writes_while_it_is_active_reads_longer_and_is_gone_when_it_is_destroyed() {
    for place in places().await {
        let client = place.client().build();
        let forgiving = Client {
            allow_compromised_restore: true,
            ..place.client()
        };
        let forgiving = forgiving.build();
        let none = |said: kmip_support::client::Said| assert!(said.is_no_such_key(), "{}: {said:?}", place.name);

        let name = &place.group("life");
        let older = place.active_key(name, [1; 32]).await;
        place.until_the_next_second(&older).await;
        let key = place.register(name, [2; 32]).await;
        assert_eq!(backup(&client, name).await.unwrap().identifier, older);
        let said = not(restore_identifier(&client, &key).await);
        assert!(
            said.is_refused() && said.text().contains("Pre-Active"),
            "{}: {said:?}",
            place.name
        );

        place.activate(&key).await;
        assert_eq!(backup(&client, name).await.unwrap().identifier, key);
        let read = restore_identifier(&client, &key).await.unwrap();
        assert_eq!((read.len(), read[0].state), (1, KeyState::Active));

        place.deactivate(&key).await;
        assert_eq!(backup(&client, name).await.unwrap().identifier, older);
        let read = restore_identifier(&client, &key).await.unwrap();
        assert_eq!((read[0].state, place.name), (KeyState::Inactive, place.name));
        assert!(*read[0].key.expose() == [2; 32] && !read[0].compromised);

        place.compromise(&key).await;
        let said = not(restore_identifier(&client, &key).await);
        assert!(
            said.is_refused() && said.text().contains("allow_compromised_restore"),
            "{}: {said:?}",
            place.name
        );
        let read = restore_identifier(&forgiving, &key).await.unwrap();
        assert!(
            read[0].compromised && read[0].state == KeyState::Inactive,
            "{}",
            place.name
        );

        place.destroy(&key).await;
        none(not(restore_identifier(&forgiving, &key).await));
        place.deactivate(&older).await;
        none(not(backup(&client, name).await));
        place.destroy(&older).await;
        none(not(backup(&client, name).await));
        none(not(restore_identifier(&client, &older).await));
        place.assert_nothing_to_complain_about();
    }
}

#[tokio::test]
async fn a_new_key_is_made_in_its_group_and_is_the_newest() {
    for place in places().await {
        let client = place.client().build();
        let wanted = group(&place.group("new"));
        let older = place.active_key(wanted.as_str(), [1; 32]).await;
        place.until_the_next_second(&older).await;
        let name = KeyName::new("made-by-an-operator").unwrap();
        let asked = in_time("a new key", client.create_key(&wanted, Some(&name)));
        let made = kmip_support::client::got(asked.await).unwrap();
        assert_eq!((made.group, made.state), (wanted.clone(), KeyState::Active));
        let key = backup(&client, wanted.as_str()).await.unwrap();
        assert_eq!((&key.identifier, place.name), (&made.identifier, place.name));
        assert_eq!(key.name, Some(name));
        place.assert_nothing_to_complain_about();
    }
}

#[tokio::test]
async fn a_group_that_moves_to_another_attribute_is_followed_at_once() {
    let Some(server) = py_kmip(Kind::WithCustomAttributes).await else {
        return;
    };
    let mut owner = server.talk("owner").await;
    let client = Client::of(server.authority(), &[server.address()]).build();
    for (carrier, number) in [
        (Carrier::ObjectGroup, 1),
        (Carrier::ApplicationSpecificInformation, 2),
        (Carrier::Custom("x-keyGroup"), 3),
        (X_KEYGROUP, 4),
    ] {
        let identifier = owner.active_key(carrier, "ENCR_moving", &[number; 32]).await;
        for _ in 0..2 {
            assert_eq!(backup(&client, "ENCR_moving").await.unwrap().identifier, identifier);
        }
    }
}

#[tokio::test]
async fn a_kad_of_other_software_is_found_as_identifier_and_as_name() {
    for place in places().await {
        let client = place.client().build();
        let wanted = group(&place.group("foreign"));
        let by_identifier = place.active_key(wanted.as_str(), [1; 32]).await;
        let kads = |kad: &[u8]| {
            Wanted::ForeignKads(BlockKads {
                unauthenticated: kad.to_vec(),
                authenticated: Vec::new(),
            })
        };
        let keys = restore(&client, &kads(by_identifier.as_bytes())).await.unwrap();
        assert_eq!((&keys[0].identifier, place.name), (&by_identifier, place.name));

        let name = KeyName::new(place.group("tape-of-2019")).unwrap();
        let made = client.create_key(&wanted, Some(&name)).await;
        let made = kmip_support::client::got(made).unwrap();
        let padded = [name.as_str().as_bytes(), b" \0\0"].concat();
        let keys = restore(&client, &kads(&padded)).await.unwrap();
        assert_eq!(
            (keys.len(), &keys[0].identifier, place.name),
            (1, &made.identifier, place.name)
        );

        let said = not(restore(&client, &kads(b"tape-of-2020")).await);
        assert!(said.is_no_such_key(), "{}: {said:?}", place.name);
        place.assert_nothing_to_complain_about();
    }
}

#[tokio::test]
async fn a_check_finds_every_server_fit_and_says_what_is_missing() {
    for place in places().await {
        let client = place.client().build();
        place.active_key(&place.group("other"), [1; 32]).await;
        let wanted = group(&place.group("check"));
        let findings = in_time("a check", client.check(Some(&wanted))).await;
        let failed: Vec<_> = of(&findings, Verdict::Failed);
        assert_eq!(failed.len(), 1, "{}: {findings:?}", place.name);
        assert!(failed[0].text.contains("no active key"), "{}: {failed:?}", place.name);

        place.active_key(wanted.as_str(), [2; 32]).await;
        let findings = in_time("a check", client.check(Some(&wanted))).await;
        assert!(
            of(&findings, Verdict::Failed).is_empty(),
            "{}: {findings:?}",
            place.name
        );
        assert!(findings.iter().any(|finding| finding.text.contains("32 bytes")));
        for finding in &findings {
            assert_eq!(
                finding.verdict == Verdict::Ok,
                finding.remedy.is_none(),
                "{}: {finding:?}",
                place.name
            );
        }
        place.assert_nothing_to_complain_about();
    }
}

fn of(findings: &[Finding], verdict: Verdict) -> Vec<&Finding> {
    findings.iter().filter(|finding| finding.verdict == verdict).collect()
}

#[tokio::test]
async fn a_reader_gets_what_the_owner_lets_it_read_and_is_told_where_a_right_is_missing() {
    for (kind, carrier) in [
        (Kind::Stock, Carrier::ObjectGroup),
        (Kind::WithCustomAttributes, X_KEYGROUP),
    ] {
        let Some(server) = py_kmip(kind).await else {
            return;
        };
        let authority = server.authority();
        server.until_the_policy_is_in_force().await;
        let mut owner = server.talk("owner").await;
        let for_all = vec![grouped(carrier, "ENCR_shared"), for_owner_and_readers()];
        let shared = owner.register_with(for_all, &[1; 32]).await.unwrap();
        owner.activate(&shared).await.unwrap();
        let own = owner.active_key(carrier, "ENCR_own", &[2; 32]).await;

        let reader = Client {
            certificate: authority.client("reader"),
            ..Client::of(server.authority(), &[server.address()])
        };
        let reader = reader.build();
        assert_eq!(backup(&reader, "ENCR_shared").await.unwrap().identifier, shared);
        assert_eq!(restore_identifier(&reader, &shared).await.unwrap().len(), 1);
        // The server does not show it even that there is such a key.
        assert!(not(backup(&reader, "ENCR_own").await).is_no_such_key());
        let by_name = Wanted::ForeignKads(BlockKads {
            unauthenticated: own.as_bytes().to_vec(),
            authenticated: Vec::new(),
        });
        let said = not(restore(&reader, &by_name).await);
        assert!(
            said.is_refused() && said.text().contains("give this client the right"),
            "{said:?}"
        );
    }
}

#[tokio::test]
async fn what_was_noted_in_x_kad_is_found_as_text_and_in_hex() {
    let Some(server) = py_kmip(Kind::WithCustomAttributes).await else {
        return;
    };
    let mut owner = server.talk("owner").await;
    let client = Client::of(server.authority(), &[server.address()]).build();
    for (noted, kad, number) in [("00FFa1", &[0, 0xFF, 0xA1][..], 1), ("a tape", b"a tape", 2)] {
        let more = vec![
            grouped(X_KEYGROUP, "ENCR_kad"),
            ("x-kad", text(tags::ATTRIBUTE_VALUE, noted.to_lowercase())),
            named(&format!("name {number}")),
        ];
        let identifier = owner.register_with(more, &[number; 32]).await.unwrap();
        owner.activate(&identifier).await.unwrap();
        for authenticated in [false, true] {
            let mut kads = BlockKads {
                unauthenticated: kad.to_vec(),
                authenticated: Vec::new(),
            };
            if authenticated {
                std::mem::swap(&mut kads.unauthenticated, &mut kads.authenticated);
            }
            let keys = restore(&client, &Wanted::ForeignKads(kads)).await.unwrap();
            assert_eq!((keys.len(), &keys[0].identifier), (1, &identifier));
            assert_eq!(keys[0].foreign_kad.as_deref(), Some(kad));
        }
    }
}

#[tokio::test]
async fn the_group_attribute_that_is_configured_decides() {
    let Some(server) = py_kmip(Kind::WithCustomAttributes).await else {
        return;
    };
    let mut owner = server.talk("owner").await;
    let by = |group_attribute| {
        let client = Client {
            group_attribute: Some(group_attribute),
            ..Client::of(server.authority(), &[server.address()])
        };
        client.build()
    };
    for (carrier, attribute, number) in [
        (X_KEYGROUP, GroupAttribute::XKeygroup, 1),
        (Carrier::ObjectGroup, GroupAttribute::ObjectGroup, 2),
        (
            Carrier::ApplicationSpecificInformation,
            GroupAttribute::ApplicationSpecificInformation,
            3,
        ),
    ] {
        let identifier = owner.active_key(carrier, "ENCR_by", &[number; 32]).await;
        let key = backup(&by(attribute), "ENCR_by").await.unwrap();
        assert_eq!(
            (key.identifier.clone(), key.id()),
            (identifier.clone(), KeyId::from_identifier(&identifier))
        );
    }
}
