//! What an operator hears when a certificate is wrong, on either side and under every TLS, and that it is not told as a server that is down.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kmip_support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kmip_support::certificates::{Authority, Identity, Validity};
use kmip_support::client::{Client, Said, backup, group, not, restore_identifier};
use kmip_support::fake::{Fake, Habits, Object, TLS12_ONLY, TLS13_ONLY};
use kmip_support::in_time;
use kmip_support::pykmip::{Kind, PyKmip};
use kmip_support::talk::X_KEYGROUP;
use tapekey::kms::connector::kmip::KmipServer;
use tapekey::kms::connector::{ExternalServer, Verdict};

/// Servers that take certificates of `authority`: PyKMIP, which has TLS 1.2 alone, and the fake one with either version.
struct Servers {
    authority: Arc<Authority>,
    py_kmip: Option<PyKmip>,
    fakes: [Fake; 2],
}

impl Servers {
    async fn start() -> Self {
        let authority = Arc::new(Authority::new("CA of the KMIP tests"));
        let server = authority.server();
        Self {
            py_kmip: PyKmip::start(Kind::WithCustomAttributes, &authority).await,
            fakes: [
                Fake::start_as(&authority, &server, TLS12_ONLY, Habits::default()).await,
                Fake::start_as(&authority, &server, TLS13_ONLY, Habits::default()).await,
            ],
            authority,
        }
    }

    fn addresses(&self) -> Vec<SocketAddr> {
        let real = self.py_kmip.as_ref().map(PyKmip::address);
        real.into_iter().chain(self.fakes.iter().map(Fake::address)).collect()
    }

    fn client(&self, address: SocketAddr, certificate: Identity) -> KmipServer {
        let client = Client {
            certificate,
            ..Client::of(&self.authority, &[address])
        };
        client.build()
    }
}

fn is_about_a_certificate(said: &Said) {
    assert!(said.is_unreachable(), "{said:?}");
    let (told, hint) = said.text().split_once("\nhint: ").unwrap_or_else(|| panic!("{said:?}"));
    assert!(hint.contains("certificate"), "{said:?}");
    for word in ["connection refused", "no answer", "os error", "down"] {
        assert!(!told.to_lowercase().contains(word), "{said:?}");
    }
}

#[tokio::test]
async fn a_client_certificate_that_the_server_does_not_take_is_named_as_the_reason() {
    let servers = Servers::start().await;
    let foreign = || Authority::new("another CA").client("owner");
    let expired = || servers.authority.client_valid("owner", Validity::past());
    for address in servers.addresses() {
        for (certificate, hint) in [
            (foreign(), "the server does not know the CA of the client certificate"),
            (expired(), "the client certificate has expired"),
        ] {
            let client = servers.client(address, certificate);
            for said in [
                not(backup(&client, "ENCR_a").await),
                not(restore_identifier(&client, "1").await),
            ] {
                is_about_a_certificate(&said);
                assert!(said.text().contains(hint), "{address}: {said:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_certificate_that_is_not_for_clients_is_named_as_the_reason() {
    let servers = Servers::start().await;
    let Some(server) = &servers.py_kmip else {
        return;
    };
    let client = servers.client(server.address(), servers.authority.client_without_usage("owner"));
    let said = not(backup(&client, "ENCR_a").await);
    assert!(!said.is_no_such_key(), "{said:?}");
    assert!(
        said.text().contains("Authentication Not Successful") && said.text().contains("client certificate"),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_server_certificate_that_cannot_be_trusted_is_named_as_the_reason() {
    let authority = Arc::new(Authority::new("CA of the KMIP tests"));
    let other = Authority::new("another CA");
    let cases = [
        (
            authority.server_valid(Validity::past()),
            "renew the server's certificate",
        ),
        (
            authority.server_elsewhere(),
            "use a host name or address that stands in it",
        ),
        (other.server(), "trust the CA that signed it"),
    ];
    for (certificate, hint) in &cases {
        for versions in [TLS12_ONLY, TLS13_ONLY] {
            let fake = Fake::start_as(&authority, certificate, versions, Habits::default()).await;
            let client = Client::of(&authority, &[fake.address()]).build();
            let said = not(backup(&client, "ENCR_a").await);
            assert!(said.is_unreachable() && said.text().contains(hint), "{said:?}");
            assert!(said.text().contains("the server's certificate is refused"), "{said:?}");
        }
        if let Some(server) = PyKmip::start_as_far_as_it_listens(Kind::Stock, &authority, certificate).await {
            let client = Client::of(&authority, &[server.address()]).build();
            let said = not(backup(&client, "ENCR_a").await);
            assert!(said.is_unreachable() && said.text().contains(hint), "{said:?}");
        }
    }
}

#[tokio::test]
async fn a_server_that_is_down_or_silent_is_not_told_as_a_certificate() {
    let authority = Arc::new(Authority::new("CA of the KMIP tests"));
    let mut fake = Fake::start(&authority, Habits::default()).await;
    fake.go_down().await;
    let said = not(backup(&Client::of(&authority, &[fake.address()]).build(), "ENCR_a").await);
    assert!(
        said.is_unreachable() && said.text().to_lowercase().contains("connection refused"),
        "{said:?}"
    );
    assert!(!said.text().contains("certificate"), "{said:?}");

    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Client {
        endpoint_limit: Duration::from_millis(300),
        ..Client::of(&authority, &[silent.local_addr().unwrap()])
    };
    let said = not(backup(&client.build(), "ENCR_a").await);
    assert!(
        said.is_unreachable() && said.text().contains("no answer in 300 ms"),
        "{said:?}"
    );
    assert!(!said.text().contains("certificate"), "{said:?}");
}

#[tokio::test]
async fn a_check_says_which_certificate_ends_when_and_which_is_not_taken() {
    let authority = Arc::new(Authority::new("CA of the KMIP tests"));
    let soon = authority.server_valid(Validity::ending_in_days(5));
    let fake = Fake::start_as(&authority, &soon, TLS13_ONLY, Habits::default()).await;
    fake.add(Object::aes(&[1; 32]).in_group(X_KEYGROUP, "ENCR_a"));
    let client = Client {
        certificate: authority.client_valid("owner", Validity::ending_in_days(20)),
        ..Client::of(&authority, &[fake.address()])
    };
    let findings = in_time("a check", client.build().check(Some(&group("ENCR_a")))).await;
    for (what, days) in [
        ("server certificate", "4 days left"),
        ("client certificate", "19 days left"),
    ] {
        let found = findings.iter().find(|finding| finding.what == what).unwrap();
        assert!(found.text.contains(days), "{findings:?}");
        assert!(
            found.verdict == Verdict::Warning && found.remedy.is_some(),
            "{findings:?}"
        );
    }

    let client = Client {
        certificate: authority.client_valid("owner", Validity::past()),
        ..Client::of(&authority, &[fake.address()])
    };
    let findings = in_time("a check", client.build().check(None)).await;
    let failed: Vec<_> = findings
        .iter()
        .filter(|finding| finding.verdict == Verdict::Failed)
        .collect();
    assert!(
        failed.iter().any(|finding| finding.what == "client certificate"),
        "{findings:?}"
    );
    assert!(
        failed.iter().any(|finding| finding
            .remedy
            .as_ref()
            .unwrap()
            .contains("the client certificate has expired")),
        "{findings:?}"
    );
}
