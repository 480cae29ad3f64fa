//! Nonsense on the wire, in both directions: a KMS that is none, and clients that are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use kms_support::{Home, Raw, TlsTime, client_config, new_group, rotate, volume};
use reqwest::Method;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tapekey::clock::Clock;
use tapekey::kad::KeyKind;
use tapekey::kms::master_key::Given;
use tapekey::kms::verify::verify;
use tapekey::kms_api::ErrorCode;
use tapekey::kms_client::{KmsClient, KmsClientError, Remedy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// Something that has the KMS's certificate and answers every request with `answer`; with none it never answers.
async fn pretender(home: &Home, answer: Option<Vec<u8>>) -> String {
    let config = home.config();
    let chain = CertificateDer::pem_file_iter(&config.server_certificate)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    let key = PrivateKeyDer::from_pem_file(&config.server_key).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = rustls::ServerConfig::builder_with_details(provider, Arc::new(TlsTime(home.clock.clone())))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let (acceptor, answer) = (acceptor.clone(), answer.clone());
            tokio::spawn(async move {
                let mut stream = acceptor.accept(stream).await.unwrap();
                let mut request = [0; 8192];
                let _ = stream.read(&mut request).await.unwrap();
                let Some(answer) = answer else {
                    return std::future::pending().await;
                };
                // A client that has heard enough may hang up.
                let _ = stream.write_all(&answer).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    address
}

fn http(status: &str, body: &str) -> Option<Vec<u8>> {
    let length = body.len();
    Some(
        format!("HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}").into(),
    )
}

fn quick_client(home: &Home, name: &str, addresses: &[&str]) -> KmsClient {
    let mut config = client_config(&home.bundle(name), addresses);
    config.timeout = Duration::from_millis(400);
    let clock: Arc<dyn Clock> = home.clock.clone();
    KmsClient::new(&config, &clock).unwrap()
}

/// A well-formed answer, of a key that this KMS never had.
fn golden() -> String {
    let vector: serde_json::Value =
        serde_json::from_str(include_str!("vectors/kms-api/backup-key-answer.json")).unwrap();
    vector["message"].to_string()
}

/// What a service that is no KMS may answer, and what the error says of it.
fn nonsense() -> Vec<(Option<Vec<u8>>, &'static str)> {
    let golden = golden();
    let wrong_key = golden.replace("j7xmWw", "k7xmWw");
    assert_ne!(wrong_key, golden);
    let key = serde_json::from_str::<serde_json::Value>(&golden).unwrap()["key"].to_string();
    let with_key = |other: &str| golden.replace(&key, other);
    let endless = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: 9999999\r\n\r\n{}",
        "x".repeat(2_000_000)
    );
    let chunked = format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1e8480\r\n{}",
        "x".repeat(2_000_000)
    );
    vec![
        (None, "no answer in 400 ms"),
        (Some(Vec::new()), "broken answer: "),
        (Some(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "broken answer: "),
        (Some(vec![0xA5; 4096]), "broken answer: "),
        (
            http("200 OK", "<html>It works!</html>"),
            "JSON that is malformed, line 1 column 1",
        ),
        (http("200 OK", ""), "JSON that ends early"),
        (
            http("200 OK", r#"{"key":"AAAA"}"#),
            "has other fields or values than expected",
        ),
        (http("200 OK", &golden[..200]), "JSON that ends early"),
        (
            http("200 OK", &with_key("\"\"")),
            "has other fields or values than expected",
        ),
        (
            http("200 OK", &with_key("\"c2hvcnQ=\"")),
            "has other fields or values than expected",
        ),
        (http("200 OK", &wrong_key), "the key check value differs"),
        (
            http("200 OK", &golden.replace("ENCR_daily", "ENCR_other")),
            "the key is of group ENCR_other, not ENCR_daily",
        ),
        (
            http(
                "500 Oops",
                r#"{"code":"store","error":"the disk \u001b[31m died","hint":""}"#,
            ),
            r"the KMS failed (500 Internal Server Error): the disk \u{1b}[31m died",
        ),
        (
            http("404 Not Found", "<html>nginx</html>"),
            "404 Not Found without a reason",
        ),
        (
            http("302 Found", r#"{"code":"store","error":"elsewhere","hint":""}"#),
            "unexpected status 302",
        ),
        (Some(endless.into()), "longer than 1048576 bytes"),
        (Some(chunked.into()), "longer than 1048576 bytes"),
    ]
}

#[tokio::test]
async fn a_kms_that_answers_nonsense_is_named_and_passed_over() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let real = format!("https://{}", running.address);
    for (answer, says) in nonsense() {
        let fake = pretender(&home, answer).await;
        let alone = quick_client(&home, "media-server-1", &[&fake])
            .backup_key("ENCR_daily", &volume("A1"))
            .await;
        let error = alone.err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, KmsClientError::Unreachable { .. }), "{text}");
        assert!(
            text.contains(&fake) && text.contains(says) && text.contains("\nhint: "),
            "{says}: {text}"
        );
        assert!(
            !text.contains("j7xmWw") && !text.contains("k7xmWw"),
            "no error repeats a key: {text}"
        );
        let both = quick_client(&home, "media-server-1", &[&fake, &real])
            .backup_key("ENCR_daily", &volume("A1"))
            .await;
        assert_eq!(both.ok().unwrap().server.address, real, "{says}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_definite_no_is_not_asked_again_elsewhere_and_tells_who_was_passed_over() {
    let home = Home::new();
    let running = home.serve().await;
    let real = format!("https://{}", running.address);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let nobody = format!("https://{nobody}");
    let never = pretender(&home, http("500 Oops", "{}")).await;
    let media = quick_client(&home, "media-server-1", &[&nobody, &real, &never]);
    let error = media.backup_key("ENCR_daily", &volume("A1")).await.err().unwrap();
    assert_eq!(error.code(), Some(ErrorCode::NoSuchGroup));
    let text = error.to_string();
    assert!(
        text.contains(&format!("{nobody}: no connection: ")) && !text.contains(&never),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_change_that_may_have_been_made_is_not_sent_to_a_second_kms() {
    let home = Home::new();
    let running = home.serve().await;
    let real = format!("https://{}", running.address);
    let silent = pretender(&home, None).await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let group = new_group("ENCR_daily", KeyKind::Derived);
    let error = quick_client(&home, "admin-1", &[&silent, &real])
        .create_group(&group)
        .await
        .unwrap_err();
    assert!(matches!(error, KmsClientError::Uncertain { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("may or may not have done it: no answer in 400 ms"),
        "{error}"
    );
    // Where nothing was sent, the next one is asked.
    let nobody = format!("https://{nobody}");
    quick_client(&home, "admin-1", &[&nobody, &real])
        .create_group(&group)
        .await
        .unwrap();
    running.stop().await;
}

#[tokio::test]
async fn a_kms_that_wants_to_be_left_alone_for_long_is_not_waited_for() {
    let home = Home::new();
    let answer = r#"{"code":"too_many","error":"you ask too often","hint":"wait"}"#;
    let fake = pretender(&home, http("429 Too Many Requests\r\nretry-after: 3600", answer)).await;
    let error = quick_client(&home, "media-server-1", &[&fake])
        .backup_key("ENCR_daily", &volume("A1"))
        .await;
    let error = error.err().unwrap();
    assert_eq!(
        (error.code(), error.remedy()),
        (Some(ErrorCode::TooMany), Remedy::Retry),
        "{error}"
    );
}

#[tokio::test]
async fn garbage_on_its_port_does_not_disturb_the_service() {
    let home = Home::new();
    let running = home.serve().await;
    let hello = [0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00, 0x01, 0xFC, 0x03, 0x03];
    let mut open = Vec::new();
    for bytes in [
        b"GET / HTTP/1.1\r\n\r\n".as_slice(),
        &[0xA5; 70_000],
        &[0; 1],
        &hello,
        b"",
    ] {
        let mut stream = TcpStream::connect(running.address).await.unwrap();
        // The service may have hung up already.
        let _ = stream.write_all(bytes).await;
        open.push(stream);
    }
    let admin = home.client("admin-1", running.address);
    assert_eq!(admin.groups().await.unwrap(), []);
    // What is no TLS is told so and hung up on.
    let mut answer = Vec::new();
    let _ = tokio::time::timeout(Duration::from_secs(20), open[0].read_to_end(&mut answer))
        .await
        .expect("hung up");
    assert_eq!(answer.first(), Some(&0x15), "a TLS alert: {answer:02x?}");
    running.stop().await;
}

/// The first words of a client of ours.
fn hello(home: &Home) -> Vec<u8> {
    let tls = Raw::new(home, "admin-1", SocketAddr::from(([127, 0, 0, 1], 1))).tls();
    let name = ServerName::from(IpAddr::from([127, 0, 0, 1]));
    let mut connection = rustls::ClientConnection::new(tls, name).unwrap();
    let mut bytes = Vec::new();
    connection.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test]
async fn a_hello_cut_or_changed_at_any_place_ends_its_connection_and_no_other() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin
        .create_group(&new_group("ENCR_a", KeyKind::Derived))
        .await
        .unwrap();
    let hello = hello(&home);
    assert!(hello.len() > 100 && hello[0] == 0x16, "a handshake record");
    for place in 0..hello.len() {
        let mut changed = hello.clone();
        changed[place] ^= 1 << (place % 8);
        for bytes in [&hello[..place], &changed] {
            let mut stream = TcpStream::connect(running.address).await.unwrap();
            // The service may have hung up already.
            let _ = stream.write_all(bytes).await;
            let _ = stream.shutdown().await;
            let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut Vec::new())).await;
            assert!(ended.is_ok(), "it hangs on a hello that was cut or changed at {place}");
        }
    }
    assert_eq!(admin.groups().await.unwrap().len(), 1);
    running.stop().await;
    let (clock, entropy) = (&*home.clock, &*home.entropy);
    let with = (None, &Given::default());
    let report = verify(&home.folder(), with, (clock, entropy), &mut |_, _, _| {}).unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}

#[tokio::test]
async fn malformed_http_inside_tls_does_not_disturb_the_service() {
    let home = Home::new();
    let running = home.serve().await;
    let raw = Raw::new(&home, "admin-1", running.address);
    let deep = "[".repeat(60_000);
    let (status, _) = raw.send(Method::POST, "/v1/groups", deep).await;
    assert_eq!(status.as_u16(), 400);
    for request in [
        "NONSENSE\r\n\r\n".to_owned(),
        "GET /v1/groups HTTP/9.9\r\n\r\n".to_owned(),
        format!("GET /v1/groups HTTP/1.1\r\n{}\r\n\r\n", "a: b\r\n".repeat(10_000)),
        format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(1_000_000)),
        "POST /v1/groups HTTP/1.1\r\ncontent-length: 10\r\ncontent-length: 20\r\n\r\n".to_owned(),
        "POST /v1/groups HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n".to_owned(),
        "POST /v1/groups HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{\"name\"".to_owned(),
    ] {
        let answer = raw.bytes(request.as_bytes()).await;
        let status = answer.get(9..12).unwrap_or_default();
        assert!(
            answer.is_empty() || status.starts_with(b"4"),
            "{request:.60}: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    assert_eq!(home.client("admin-1", running.address).groups().await.unwrap(), []);
    running.stop().await;
}
