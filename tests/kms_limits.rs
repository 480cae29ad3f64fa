//! One client, many or all: none takes the service away from the others, and each is told what it did too much of.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::time::Duration;

use kms_support::{Home, Log, Raw, group, read_answer};
use reqwest::Method;
use tapekey::kms_api::{CreateKey, ErrorCode};
use tapekey::kms_client::Remedy;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const GET_GROUPS: &[u8] = b"GET /v1/groups HTTP/1.1\r\nhost: kms\r\n\r\n";

/// Waits until `is_so`, with an end.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            tokio::task::yield_now().await;
        }
    };
    assert!(
        tokio::time::timeout(Duration::from_secs(20), waiting).await.is_ok(),
        "never: {what}"
    );
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_nobody_else_is_slowed_down() {
    let home = Home::new();
    home.limit("requests_burst", 3);
    home.limit("requests_per_second", 1);
    let running = home.serve().await;
    let raw = Raw::new(&home, "operator-1", running.address);
    let mut stream = raw.connect().await;
    let mut answers = Vec::new();
    for _ in 0..10 {
        stream.write_all(GET_GROUPS).await.unwrap();
        answers.push(read_answer(&mut stream).await);
    }
    let served = answers
        .iter()
        .filter(|answer| answer.starts_with("HTTP/1.1 200 "))
        .count();
    assert_eq!(served, 3, "{answers:?}");
    for refused in &answers[3..] {
        assert!(
            refused.starts_with("HTTP/1.1 429 ") && refused.contains(r#""code":"too_many""#),
            "{refused}"
        );
        assert!(refused.contains("\r\nretry-after: 2\r\n"), "{refused}");
    }
    home.client("admin-1", running.address).groups().await.unwrap();
    home.clock.advance_days(1);
    stream.write_all(GET_GROUPS).await.unwrap();
    assert!(read_answer(&mut stream).await.starts_with("HTTP/1.1 200 "));
    running.stop().await;
    let audit = home.audit();
    let told: Vec<_> = audit
        .iter()
        .filter(|record| record.outcome.contains("asks too often"))
        .collect();
    assert!(
        told.len() == 1 && told[0].subject == "CN=operator-1",
        "once, not seven times: {told:?}"
    );
}

#[tokio::test]
async fn a_client_of_ours_comes_back_when_it_is_told_to() {
    let home = Home::new();
    home.limit("requests_burst", 1);
    let running = home.serve().await;
    let operator = home.client("operator-1", running.address);
    operator.groups().await.unwrap();
    let (asked, ()) = tokio::join!(operator.groups(), async {
        until("told to wait", async || {
            home.audit().iter().any(|one| one.outcome.contains("asks too often"))
        })
        .await;
        home.clock.advance_days(1);
    });
    asked.unwrap();
    // If the service goes on saying so, it gives up; nothing was done, so a change is not uncertain either.
    let error = operator
        .create_key(&group("ENCR_daily"), &CreateKey::default())
        .await
        .unwrap_err();
    assert_eq!(
        (error.code(), error.remedy()),
        (Some(ErrorCode::TooMany), Remedy::Retry),
        "{error}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_has_so_many_connections_and_no_more() {
    let home = Home::new();
    home.limit("connections_per_client", 2);
    let running = home.serve().await;
    let raw = Raw::new(&home, "operator-1", running.address);
    let ask = async |stream: &mut _| {
        AsyncWriteExt::write_all(stream, GET_GROUPS).await.unwrap();
        read_answer(stream).await
    };
    let mut open = [raw.connect().await, raw.connect().await];
    for stream in &mut open {
        assert!(ask(stream).await.starts_with("HTTP/1.1 200 "));
    }
    let mut third = raw.connect().await;
    let refused = ask(&mut third).await;
    assert!(
        refused.starts_with("HTTP/1.1 429 ") && refused.contains("CN=operator-1 has 2 connections open already"),
        "{refused}"
    );
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0, "and it is hung up on");
    home.client("admin-1", running.address).groups().await.unwrap();
    drop(open);
    until("there is room again", async || {
        ask(&mut raw.connect().await).await.starts_with("HTTP/1.1 200 ")
    })
    .await;
    running.stop().await;
}

#[tokio::test]
async fn a_second_certificate_of_a_client_gives_it_no_more_requests_and_no_more_connections() {
    let home = Home::new();
    home.limit("connections_per_client", 2);
    home.limit("requests_burst", 4);
    home.limit("requests_per_second", 1);
    let running = home.serve().await;
    let (bundle, before) = (home.bundle("operator-1"), home.bundle("operator-of-before"));
    std::fs::create_dir(&before).unwrap();
    for file in std::fs::read_dir(&bundle).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), before.join(file.file_name())).unwrap();
    }
    home.client("operator-1", running.address)
        .renew()
        .await
        .map(drop)
        .unwrap();
    home.clock.advance_seconds(10);
    let old = Raw::new(&home, "operator-of-before", running.address);
    let new = Raw::new(&home, "operator-1", running.address);
    let ask = async |stream: &mut _| {
        AsyncWriteExt::write_all(stream, GET_GROUPS).await.unwrap();
        read_answer(stream).await
    };
    // The connection of the renewal takes a moment to end.
    let mut open = Vec::new();
    until("two connections are open", async || {
        home.clock.advance_seconds(10);
        let mut stream = old.connect().await;
        if ask(&mut stream).await.starts_with("HTTP/1.1 200 ") {
            open.push(stream);
        }
        open.len() == 2
    })
    .await;
    let refused = ask(&mut new.connect().await).await;
    assert!(
        refused.contains("CN=operator-1 has 2 connections open already"),
        "{refused}"
    );

    let mut first = open.remove(0);
    drop(open);
    home.clock.advance_seconds(10);
    let mut second = None;
    until("there is room for one of the other certificate", async || {
        home.clock.advance_seconds(10);
        let mut stream = new.connect().await;
        let served = ask(&mut stream).await.starts_with("HTTP/1.1 200 ");
        second = served.then_some(stream);
        served
    })
    .await;
    let mut second = second.unwrap();
    home.clock.advance_seconds(10);
    let mut served = 0;
    for _ in 0..4 {
        served += usize::from(ask(&mut first).await.starts_with("HTTP/1.1 200 "));
        served += usize::from(ask(&mut second).await.starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(served, 4, "both together as often as one");
    running.stop().await;
}

#[tokio::test]
async fn a_full_service_says_so_and_a_change_goes_to_another_node() {
    let (home, log) = (Home::new(), Log::default());
    let _collecting = log.collect();
    home.limit("connections_max", 1);
    let running = home.serve().await;
    let mut only = Raw::new(&home, "admin-1", running.address).connect().await;
    only.write_all(GET_GROUPS).await.unwrap();
    assert!(read_answer(&mut only).await.starts_with("HTTP/1.1 200 "));
    let error = home
        .client("operator-1", running.address)
        .quiesce()
        .await
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("no KMS answered")
            && error.contains("the KMS is busy: all connections of the service are in use"),
        "not \"may or may not have done it\": {error}"
    );
    assert!(log.text().contains("a connection was turned away"), "{}", log.text());
    running.stop().await;
}

#[tokio::test]
async fn many_who_begin_a_handshake_and_never_end_it_keep_nobody_out() {
    let home = Home::new();
    let running = home.serve().await;
    // More than there are places for unknown clients; each sends the beginning of a ClientHello.
    let mut slow = Vec::new();
    for _ in 0..400 {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
        slow.push(stream);
    }
    home.client("admin-1", running.address).groups().await.unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(8), slow[0].read(&mut [0; 64])).await;
    assert!(
        matches!(ended, Ok(Ok(0) | Err(_))),
        "the oldest gave way before its time was over: {ended:?}"
    );
    running.stop().await;
}

#[tokio::test]
async fn each_part_of_a_request_has_its_time() {
    let home = Home::new();
    for limit in ["handshake_seconds", "idle_seconds", "body_seconds"] {
        home.limit(limit, 1);
    }
    let running = home.serve().await;
    let raw = Raw::new(&home, "operator-1", running.address);
    let handshake = async {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        stream.write_all(&[0x16, 0x03]).await.unwrap();
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0);
    };
    let idle = async { assert_eq!(raw.connect().await.read(&mut [0; 64]).await.unwrap_or(0), 0) };
    let header = async {
        let mut stream = raw.connect().await;
        stream.write_all(b"GET /v1/groups HTTP/1.1\r\nhost: k").await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    };
    let body = async {
        let mut stream = raw.connect().await;
        let begun = b"POST /v1/groups HTTP/1.1\r\nhost: kms\r\ncontent-length: 50\r\n\r\n{\"name\":";
        stream.write_all(begun).await.unwrap();
        let answer = read_answer(&mut stream).await;
        assert!(
            answer.starts_with("HTTP/1.1 408 ") && answer.contains(r#""code":"slow_body""#),
            "{answer}"
        );
        assert_eq!(stream.read(&mut [0; 64]).await.unwrap_or(0), 0, "and it is hung up on");
    };
    let all = async { tokio::join!(handshake, idle, header, body) };
    tokio::time::timeout(Duration::from_secs(20), all)
        .await
        .expect("none waits for ever");
    home.client("admin-1", running.address).groups().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn many_slow_requests_of_one_certificate_stop_nobody() {
    let home = Home::new();
    let running = home.serve().await;
    let raw = Raw::new(&home, "media-server-1", running.address);
    let mut slow = Vec::new();
    for number in 0..64 {
        let mut stream = raw.connect().await;
        let begun: &[u8] = match number % 2 {
            0 => b"POST /v1/backup-key HTTP/1.1\r\nhost: kms\r\ncontent-length: 100\r\n\r\n{",
            _ => b"POST /v1/backup-key HTT",
        };
        stream.write_all(begun).await.unwrap();
        slow.push(stream);
    }
    home.client("admin-1", running.address).groups().await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn what_is_too_long_is_refused_without_being_kept() {
    let home = Home::new();
    let running = home.serve().await;
    let raw = Raw::new(&home, "operator-1", running.address);
    let (status, text) = raw.send(Method::POST, "/v1/groups", "x".repeat(65 * 1024)).await;
    assert!(status == 413 && text.contains("too_long"), "{status} {text}");
    for header in [
        format!("GET /v1/groups HTTP/1.1\r\nlong: {}\r\n\r\n", "x".repeat(20_000)),
        format!("GET /v1/groups HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(100)),
    ] {
        let answer = String::from_utf8(raw.bytes(header.as_bytes()).await).unwrap();
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    home.client("admin-1", running.address).groups().await.unwrap();
    running.stop().await;
}
