//! Servers and networks that do not behave.

use std::sync::atomic::Ordering;

use rcgen::ExtendedKeyUsagePurpose;
use rustls::version::{TLS12, TLS13};

use super::model::{Batches, Said, field, structure};
use super::*;
use crate::clock::MockClock;
use crate::kms::connector::kmip::names::tag;

const ONLY_TLS12: &[&rustls::SupportedProtocolVersion] = &[&TLS12];
const ONLY_TLS13: &[&rustls::SupportedProtocolVersion] = &[&TLS13];

/// Spoils every reply from the `n`th on.
pub(super) fn from_the(n: usize, mut spoil: impl FnMut(Vec<u8>) -> Said + Send + 'static) -> Option<model::Spoil> {
    let mut count = 0;
    Some(Box::new(move |reply| {
        count += 1;
        if count < n { Said::Reply(reply) } else { spoil(reply) }
    }))
}

async fn spoilt(spoil: Option<model::Spoil>) -> (&'static str, String) {
    let mut model = keys([Key::new("a", "ENCR_a")]);
    model.spoil = spoil;
    let stage = Stage::with(model, |settings| settings.endpoint_limit = Duration::from_millis(300)).await;
    not_found(stage.backup().await)
}

#[tokio::test]
async fn replies_that_are_none_are_told_as_such_and_never_taken() {
    type Says = fn(Vec<u8>) -> Said;
    let cases: [(Says, &str); 7] = [
        (
            |mut reply| {
                reply[3] = 7;
                Said::Reply(reply)
            },
            "its reply is no response message",
        ),
        (
            |mut reply| {
                reply[4] = 0xFF;
                Said::Reply(reply)
            },
            "at most 1048576 are read",
        ),
        (
            |mut reply| {
                reply.truncate(30);
                Said::Reply(reply)
            },
            "no answer in 300 ms",
        ),
        (|_| Said::Silence, "no answer in 300 ms"),
        (|_| Said::HangUp, "connection broken"),
        (
            |_| Said::Reply(structure(tag::RESPONSE_MESSAGE, &[])),
            "does not answer Locate",
        ),
        (
            |_| {
                Said::Reply(structure(
                    tag::RESPONSE_MESSAGE,
                    &[field(tag::BATCH_ITEM, 1, &[0x42, 0, 1, 2, 0, 0, 0, 9])],
                ))
            },
            "its reply is no TTLV",
        ),
    ];
    for (spoil, why) in cases {
        let (kind, text) = spoilt(from_the(2, spoil)).await;
        assert!(kind == "unreachable" && text.contains(why), "{why}: {text}");
    }
}

#[tokio::test]
async fn an_item_of_another_request_is_never_taken() {
    let mut kept: Option<Vec<u8>> = None;
    let (kind, text) = spoilt(from_the(2, move |reply| {
        Said::Reply(kept.replace(reply.clone()).unwrap_or(reply))
    }))
    .await;
    assert!(
        kind == "unreachable" && text.contains("holds an item that was not asked for"),
        "{text}"
    );
}

#[tokio::test]
async fn a_connection_that_died_in_between_is_opened_again() {
    let stage = Stage::new(keys([Key::new("a", "ENCR_a")])).await;
    found(stage.backup().await);
    let mut once = true;
    let spoil = move |reply| match std::mem::take(&mut once) {
        true => Said::HangUp,
        false => Said::Reply(reply),
    };
    stage.model(|model| model.spoil = Some(Box::new(spoil)));
    found(stage.backup().await);
    stage.model(|model| assert_eq!(model.connections, 2));
}

#[tokio::test]
async fn a_server_that_answers_few_items_or_takes_no_batches_is_asked_for_the_rest() {
    for (answers_max, batches) in [
        (Some(7), Batches::Served),
        (Some(1), Batches::Served),
        (None, Batches::Refused),
        (None, Batches::Garbled),
        (None, Batches::HungUp),
    ] {
        let mut model = keys((0..20).map(|number| Key::new(&format!("{number:02}"), "ENCR_a")));
        (model.answers_max, model.batches) = (answers_max, batches);
        let stage = Stage::new(model).await;
        // What it answered to the first is then asked for at once.
        for _ in 0..3 {
            assert_eq!(found(stage.backup().await).identifier, "19", "{batches:?}");
        }
        let wanted = Wanted::Id(crate::kad::KeyId::from_identifier("07"));
        assert_eq!(found(stage.server.keys_for_restore(&wanted).await)[0].identifier, "07");
    }
}

#[tokio::test]
async fn a_group_that_was_found_before_is_found_again_after_any_trouble() {
    let stage = Stage::with(keys([Key::new("a", "ENCR_a")]), |settings| {
        settings.endpoint_limit = Duration::from_millis(300);
    })
    .await;
    found(stage.backup().await);
    // Over batches of several questions it is silent.
    stage.model(|model| model.batches = Batches::Silent);
    let (kind, text) = not_found(stage.backup().await);
    assert!(kind == "unreachable" && text.contains("no answer in 300 ms"), "{text}");
    found(stage.backup().await);
}

#[tokio::test]
async fn the_next_endpoint_is_asked_when_one_is_dead_and_stays_the_first_then() {
    let pki = Pki::new("ours");
    let responder = Responder::start(tls(&pki), keys([Key::new("a", "ENCR_a")])).await;
    // Nobody listens there any more.
    let dead = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dead = Endpoint::new("127.0.0.1", dead).unwrap();
    let both = settings(&pki, vec![dead.clone(), responder.endpoint.clone()]);
    let server = KmipServer::new(identity(), both, Arc::new(Still)).unwrap();
    found(server.key_for_backup(&group()).await);
    let alone = KmipServer::new(identity(), settings(&pki, vec![dead]), Arc::new(Still)).unwrap();
    let (kind, text) = not_found(alone.key_for_backup(&group()).await);
    assert!(kind == "unreachable" && text.contains("refused"), "{text}");
}

#[tokio::test]
async fn certificate_trouble_is_named_under_both_versions_of_tls_and_says_what_to_do() {
    let (pki, other) = (Pki::new("ours"), Pki::new("another"));
    for versions in [ONLY_TLS12, ONLY_TLS13] {
        let expired = |params: &mut rcgen::CertificateParams| params.not_after = rcgen::date_time_ymd(2020, 1, 1);
        let cases = [
            (pki.server(), other.client(), "the server refuses us"),
            (
                pki.server(),
                pki.leaf(ExtendedKeyUsagePurpose::ClientAuth, expired),
                "has expired: renew it",
            ),
            (other.server(), pki.client(), "trust the CA that signed it"),
            (
                pki.leaf(ExtendedKeyUsagePurpose::ServerAuth, expired),
                pki.client(),
                "renew the server's certificate",
            ),
        ];
        for (certificate, (client, private_key), why) in cases {
            let tls = Tls {
                server: certificate,
                trust: pki.root(),
                versions,
            };
            let responder = Responder::start(tls, keys([])).await;
            let settings = KmipSettings {
                certificate: vec![client],
                private_key,
                ..settings(&pki, vec![responder.endpoint])
            };
            let server = KmipServer::new(identity(), settings, Arc::new(Still)).unwrap();
            let (kind, text) = not_found(server.key_for_backup(&group()).await);
            assert!(
                kind == "unreachable" && text.contains(why) && text.contains("\nhint: "),
                "{why}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn a_change_whose_answer_is_lost_is_not_made_twice() {
    let mut model = keys([Key::new("a", "ENCR_a")]);
    // Discover Versions and the probe's two searches come first.
    model.spoil = from_the(4, |_| Said::HangUp);
    let stage = Stage::new(model).await;
    let (kind, text) = not_found(stage.server.create_key(&group(), None).await);
    assert!(
        kind == "unreachable" && text.contains("not known whether the change was made"),
        "{text}"
    );
    stage.model(|model| assert_eq!(model.keys.len(), 2));
}

#[tokio::test]
async fn a_connection_that_lies_idle_is_ended_and_the_keys_in_its_buffers_with_it() {
    let pki = Pki::new("ours");
    let responder = Responder::start(tls(&pki), keys([Key::new("a", "ENCR_a")])).await;
    let seconds = Arc::new(AtomicU64::new(1));
    let mut clock = MockClock::new();
    clock.expect_now().returning(|| Still.now());
    let running = seconds.clone();
    clock
        .expect_monotonic()
        .returning(move || Duration::from_secs(running.load(Ordering::Relaxed)));
    let settings = settings(&pki, vec![responder.endpoint.clone()]);
    let server = KmipServer::new(identity(), settings, Arc::new(clock)).unwrap();
    found(server.key_for_backup(&group()).await);
    seconds.fetch_add(59, Ordering::Relaxed);
    server.end_idle();
    found(server.key_for_backup(&group()).await);
    assert_eq!(responder.model.lock().unwrap().connections, 1);
    seconds.fetch_add(60, Ordering::Relaxed);
    server.end_idle();
    let ended = tokio::time::timeout(Duration::from_secs(20), responder.ended.notified());
    ended.await.expect("the connection is kept");
}

#[tokio::test]
async fn a_question_waits_for_no_other_that_gets_no_answer() {
    let stage = Stage::with(keys([Key::new("a", "ENCR_a")]), |settings| {
        settings.endpoint_limit = Duration::from_secs(60);
    })
    .await;
    found(stage.backup().await);
    let (hung, is_hanging) = tokio::sync::oneshot::channel();
    let mut hung = Some(hung);
    let spoil = move |reply| match hung.take() {
        Some(hung) => {
            hung.send(()).unwrap();
            Said::Silence
        }
        None => Said::Reply(reply),
    };
    stage.model(|model| model.spoil = Some(Box::new(spoil)));
    let first = tokio::spawn(stage.server.key_for_backup(&group()));
    is_hanging.await.unwrap();
    let second = tokio::time::timeout(Duration::from_secs(20), stage.backup());
    found(second.await.expect("the second waits for the first"));
    assert!(!first.is_finished());
    first.abort();
}

#[tokio::test]
async fn a_change_that_was_not_sent_is_certainly_not_made() {
    let stage = Stage::with(keys([Key::new("a", "ENCR_a")]), |settings| {
        settings.endpoint_limit = Duration::from_millis(300);
    })
    .await;
    found(stage.backup().await);
    stage.model(|model| model.deaf = true);
    let (kind, text) = not_found(stage.server.create_key(&group(), None).await);
    assert!(kind == "unreachable" && text.ends_with("no answer in 300 ms"), "{text}");
    stage.model(|model| assert_eq!(model.keys.len(), 1));
}

#[tokio::test]
async fn a_change_is_not_sent_to_the_next_endpoint_when_tls_fails_after_it() {
    let mut model = keys([Key::new("a", "ENCR_a")]);
    // Discover Versions comes first.
    model.spoil = from_the(2, |_| Said::Garbage);
    let stage = Stage::with(model, |settings| {
        settings.endpoints.push(settings.endpoints[0].clone());
        settings.group_attribute = Some(GroupAttribute::XKeygroup);
    })
    .await;
    let (kind, text) = not_found(stage.server.create_key(&group(), None).await);
    assert!(
        kind == "unreachable" && text.contains("not known whether the change was made"),
        "{text}"
    );
    stage.model(|model| assert_eq!(model.keys.len(), 2));
}

#[test]
fn settings_that_cannot_work_are_refused() {
    let pki = Pki::new("ours");
    let endpoint = || vec!["kms:5696".parse().unwrap()];
    let refused = |settings| KmipServer::new(identity(), settings, Arc::new(Still)).err().unwrap();
    assert!(matches!(
        refused(settings(&pki, Vec::new())),
        KmipError::NoEndpoint { .. }
    ));
    let untrusting = KmipSettings {
        trust: Vec::new(),
        ..settings(&pki, endpoint())
    };
    assert!(matches!(refused(untrusting), KmipError::Trust { .. }));
    let mismatched = KmipSettings {
        certificate: vec![pki.client().0],
        ..settings(&pki, endpoint())
    };
    assert!(matches!(refused(mismatched), KmipError::OwnCertificate { .. }));
}
