//! What a revocation ends, and that nothing brings it back: no clock, no token, no second certificate.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kms_support::{Home, Running, client, error};
use tapekey::clock::Clock;
use tapekey::kms_api::{
    CertificateRecord, ClientName, CreateEnrollment, EndReason, EnrollToken, ErrorCode, RevokeCertificates, Role,
};
use tapekey::kms_client::{Enrolled, KmsClient, KmsClientError, enroll};

fn name(name: &str) -> ClientName {
    ClientName::new(name).unwrap()
}

async fn token(maker: &KmsClient, of: &str) -> EnrollToken {
    let wanted = CreateEnrollment {
        name: name(of),
        role: Role::Operator,
        binding: None,
    };
    let token = maker.create_enrollment(&wanted).await.unwrap();
    EnrollToken::from_text(&token.token).ok().unwrap()
}

async fn try_token(home: &Home, address: SocketAddr, token: &EnrollToken) -> Result<Enrolled, String> {
    let clock: Arc<dyn Clock> = home.clock.clone();
    let addresses = vec![format!("https://{address}").parse().unwrap()];
    let enrolled = enroll(addresses, token, &clock).await;
    enrolled.map_err(|error| error.to_string())
}

async fn revoke(by: &KmsClient, of: &str, serial: Option<&str>) -> Result<Vec<CertificateRecord>, KmsClientError> {
    let wanted = RevokeCertificates {
        serial: serial.map(str::to_owned),
    };
    by.revoke(&name(of), &wanted).await
}

/// A copy of a client's bundle as it is now.
fn keep(home: &Home, of: &str, as_name: &str) -> PathBuf {
    let kept = home.bundle(as_name);
    std::fs::create_dir(&kept).unwrap();
    for file in std::fs::read_dir(home.bundle(of)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), kept.join(file.file_name())).unwrap();
    }
    kept
}

/// Renews and uses the new certificate; its serial number. The one before is about to end.
async fn renew(home: &Home, running: &Running, of: &str) -> String {
    let client = home.client(of, running.address);
    let serial = client.renew().await.unwrap().serial;
    client.status().await.unwrap();
    serial
}

#[tokio::test]
async fn a_revoked_certificate_stays_revoked_when_the_clock_is_set_back() {
    let home = Home::new();
    let running = home.serve().await;
    home.clock.advance_days(60);
    let admin = home.client("admin-1", running.address);
    keep(&home, "operator-1", "operator-of-before");
    renew(&home, &running, "operator-1").await;
    home.clock.advance_days(1);
    for of in ["operator-1", "admin-2"] {
        revoke(&admin, of, None).await.unwrap();
    }
    for days in [0, -1, -30] {
        home.clock.jump_days(days);
        for of in ["operator-1", "admin-2", "operator-of-before"] {
            if of == "operator-1" && days == -30 {
                // It is not valid yet by this clock: TLS refuses it.
                continue;
            }
            let refused = home.client(of, running.address).groups().await.unwrap_err();
            assert_eq!(refused.code(), Some(ErrorCode::Certificate), "{of}, {days}: {refused}");
            assert!(
                refused.to_string().contains("was revoked on"),
                "{of}, {days}: {refused}"
            );
        }
    }
    let last = error(revoke(&admin, "admin-1", None).await);
    assert!(
        last.contains("the last valid certificate of an administrator"),
        "{last}"
    );
    running.stop().await;
}

#[tokio::test]
async fn revoking_ends_the_tokens_for_the_name_and_those_that_its_holder_made() {
    let home = Home::new();
    let running = home.serve().await;
    let (one, two) = (
        home.client("admin-1", running.address),
        home.client("admin-2", running.address),
    );
    let (first, second) = (token(&one, "host-1").await, token(&one, "host-1").await);
    try_token(&home, running.address, &first).await.map(drop).unwrap();
    revoke(&one, "host-1", None).await.unwrap();
    let refused = error(try_token(&home, running.address, &second).await);
    assert!(refused.contains("the enrollment token is not valid"), "{refused}");

    let (of_one, of_two) = (token(&one, "host-2").await, token(&two, "host-3").await);
    // As long as a certificate of the maker stays, so do its tokens.
    let before = one.certificates().await.unwrap();
    let before = before.iter().find(|record| record.name == name("admin-2")).unwrap();
    home.clock.advance_seconds(1);
    renew(&home, &running, "admin-2").await;
    revoke(&one, "admin-2", Some(&before.serial)).await.unwrap();
    assert_eq!(one.enrollments().await.unwrap().len(), 2);
    revoke(&one, "admin-2", None).await.unwrap();
    let open = one.enrollments().await.unwrap();
    assert_eq!(open.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["host-2"]);
    let refused = error(try_token(&home, running.address, &of_two).await);
    assert!(refused.contains("the enrollment token is not valid"), "{refused}");
    try_token(&home, running.address, &of_one).await.map(drop).unwrap();
    running.stop().await;
    let said: Vec<_> = home.audit().into_iter().filter_map(|record| record.detail).collect();
    for detail in [
        "host-1, all; enrollment tokens cancelled: 1",
        "admin-2, all; enrollment tokens cancelled: 1",
        "a token that was cancelled, for host-1",
    ] {
        assert!(said.iter().any(|one| one == detail), "{detail}: {said:?}");
    }
}

#[tokio::test]
async fn an_administrator_whose_certificate_is_about_to_end_is_not_another_one() {
    let home = Home::new();
    let running = home.serve().await;
    home.clock.advance_days(1);
    let of_two = renew(&home, &running, "admin-2").await;
    let of_one = renew(&home, &running, "admin-1").await;
    let admin = home.client("admin-1", running.address);
    // What is left of admin-2 ends within the hour, and what is left of admin-1 too.
    revoke(&admin, "admin-2", Some(&of_two)).await.unwrap();
    for serial in [Some(of_one.as_str()), None] {
        let last = error(revoke(&admin, "admin-1", serial).await);
        assert!(
            last.contains("the last valid certificate of an administrator"),
            "{last}"
        );
    }
    let listed = admin.certificates().await.unwrap();
    let ending = listed.iter().filter(|record| {
        record
            .ended
            .as_ref()
            .is_some_and(|ended| ended.why == EndReason::Replaced)
    });
    assert_eq!(ending.count(), 2, "{listed:?}");
    running.stop().await;
}

#[tokio::test]
async fn of_certificates_that_nobody_uses_a_client_has_four_at_most() {
    let home = Home::new();
    let running = home.serve().await;
    let mut kept = Vec::new();
    for number in 0..6 {
        // Each under the certificate that `init` made, and none uses what it got.
        let bundle = keep(&home, "operator-1", &format!("operator-{}", number + 10));
        home.clock.advance_seconds(1);
        let address = format!("https://{}", running.address);
        client(&bundle, &[&address], &home.clock).renew().await.unwrap();
        kept.push((bundle, address));
    }
    let auditor = home.client("auditor-1", running.address);
    let listed = auditor.certificates().await.unwrap();
    let good = listed
        .iter()
        .filter(|record| record.name == name("operator-1") && record.ended.is_none());
    assert_eq!(good.count(), 5, "the one in use, and four: {listed:?}");
    for (number, (bundle, address)) in kept.iter().enumerate().take(2) {
        let refused = error(client(bundle, &[address], &home.clock).groups().await);
        assert!(refused.contains("was replaced on"), "{number}: {refused}");
    }
    let (bundle, address) = &kept[5];
    client(bundle, &[address], &home.clock).groups().await.unwrap();
    running.stop().await;
}
