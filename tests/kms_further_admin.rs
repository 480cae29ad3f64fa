//! A further administrator: two others and a month of service time come before the token, and everything that could go round them is refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::net::SocketAddr;
use std::sync::Arc;

use kms_support::{Home, client, error};
use tapekey::clock::Clock;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms_api::{
    AdminChange, AdminRequest, AdminRequestState, ClientName, CreateEnrollment, EnrollToken, ErrorCode,
    NewAdminRequest, RevokeCertificates, Role, UndoAdminRequest,
};
use tapekey::kms_client::{EnrollError, Enrolled, KmsAddress, KmsClient, NewBundle, enroll};

const DAYS: u32 = 30;

fn zoe() -> ClientName {
    ClientName::new("zoe").unwrap()
}

fn add(name: &str) -> NewAdminRequest {
    NewAdminRequest {
        change: AdminChange::AddAdmin {
            name: ClientName::new(name).unwrap(),
        },
        reason: "ada leaves in spring".to_owned(),
    }
}

fn token_for(name: &str) -> CreateEnrollment {
    CreateEnrollment {
        name: ClientName::new(name).unwrap(),
        role: Role::Admin,
        binding: None,
    }
}

/// Lets the service run without its web front, with a look every hour; the alarms at the end.
async fn run_hours(home: &Home, hours: u32) -> Vec<String> {
    let (kms, mut upkeep) = (home.kms(), Upkeep::default());
    upkeep.look(&kms, &*home.clock).await;
    for _ in 0..hours {
        home.clock.advance_hours(1);
        upkeep.look(&kms, &*home.clock).await;
    }
    let alarms = kms.status().await.unwrap().security_alarms;
    alarms.into_iter().map(|alarm| alarm.text).collect()
}

/// A KMS in which two administrators have said yes to `zoe`, so many hours ago.
async fn approved(hours: u32) -> Home {
    let home = Home::new();
    let running = home.serve().await;
    let (first, second) = (
        home.client("admin-1", running.address),
        home.client("admin-2", running.address),
    );
    let made = first.make_request(&add("zoe")).await.unwrap();
    second.approve_request(made.number).await.unwrap();
    running.stop().await;
    run_hours(&home, hours).await;
    home
}

async fn new_token(admin: &KmsClient) -> EnrollToken {
    let made = admin.create_enrollment(&token_for("zoe")).await;
    let made = made.unwrap_or_else(|error| panic!("{error}"));
    EnrollToken::from_text(&made.token).ok().unwrap()
}

fn addresses(address: SocketAddr) -> Vec<KmsAddress> {
    vec![format!("https://{address}").parse().unwrap()]
}

async fn try_token(home: &Home, address: SocketAddr, token: &EnrollToken) -> Result<Enrolled, EnrollError> {
    let clock: Arc<dyn Clock> = home.clock.clone();
    enroll(addresses(address), token, &clock).await
}

async fn refused(admin: &KmsClient, name: &str, code: ErrorCode) -> String {
    let refused = admin
        .create_enrollment(&token_for(name))
        .await
        .err()
        .expect("a refusal");
    assert_eq!(refused.code(), Some(code), "{refused}");
    assert!(refused.to_string().contains("\nhint: "), "{refused}");
    refused.to_string()
}

async fn only_request(admin: &KmsClient) -> AdminRequest {
    let mut requests = admin.requests().await.unwrap();
    assert_eq!(requests.len(), 1);
    requests.remove(0)
}

#[tokio::test]
async fn one_asks_another_approves_a_month_passes_and_then_a_token_makes_an_administrator() {
    let home = Home::new();
    let running = home.serve().await;
    let client_of = |name| home.client(name, running.address);
    let (first, second, operator) = (client_of("admin-1"), client_of("admin-2"), client_of("operator-1"));
    let unasked = refused(&first, "zoe", ErrorCode::SecondAdmin).await;
    assert!(unasked.contains("no open request is for zoe"), "{unasked}");
    let held = first.make_request(&add("admin-2")).await.unwrap_err();
    assert_eq!(held.code(), Some(ErrorCode::NameTaken), "{held}");
    let forbidden = operator.make_request(&add("zoe")).await.unwrap_err();
    assert_eq!(forbidden.code(), Some(ErrorCode::Forbidden), "{forbidden}");

    let made = first.make_request(&add("zoe")).await.unwrap();
    assert!(
        refused(&first, "zoe", ErrorCode::NotYet)
            .await
            .contains("was not approved yet")
    );
    let twice = second.make_request(&add("zoe")).await.unwrap_err().to_string();
    assert!(twice.contains("request 1 is about the same and still open"), "{twice}");
    let own = first.approve_request(made.number).await.unwrap_err();
    assert_eq!(own.code(), Some(ErrorCode::SecondAdmin), "{own}");
    second.approve_request(made.number).await.unwrap();
    let early = refused(&second, "zoe", ErrorCode::NotYet).await;
    assert!(early.contains("has 30 days of service left to wait"), "{early}");
    running.stop().await;

    let alarms = run_hours(&home, DAYS * 24 - 1).await;
    assert!(
        alarms[0].contains("in 1 days of service the KMS will let zoe become an administrator"),
        "{alarms:?}"
    );
    let running = home.serve().await;
    refused(&home.client("admin-1", running.address), "zoe", ErrorCode::NotYet).await;
    running.stop().await;
    let alarms = run_hours(&home, 1).await;
    assert!(
        alarms[0].starts_with(
            "a token for administrator zoe can be made, as CN=admin-1 asked and CN=admin-2 approved (request 1)"
        ),
        "{alarms:?}"
    );

    let running = home.serve().await;
    let second = home.client("admin-2", running.address);
    refused(&second, "yan", ErrorCode::SecondAdmin).await;
    let token = new_token(&second).await;
    let enrolled = try_token(&home, running.address, &token).await;
    let enrolled = enrolled.unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let bundle = NewBundle::in_empty(folder.path()).unwrap();
    bundle.fill(&enrolled, &addresses(running.address)).unwrap();
    let zoe = client(folder.path(), &[&format!("https://{}", running.address)], &home.clock);
    zoe.make_request(&add("yan")).await.unwrap();
    let ended = zoe.request(1).await.unwrap();
    assert_eq!(ended.state, AdminRequestState::Done);
    assert_eq!(ended.ended_by.as_deref(), Some("a new host at 127.0.0.1"));
    let serial = &enrolled.issued.record.serial;
    assert_eq!(ended.outcome, Some(format!("done: serial number {serial}")));
    assert_eq!(enrolled.issued.record.issued_by, "CN=admin-2");
    refused(&second, "zoe", ErrorCode::NameTaken).await;
    running.stop().await;
    let records = home.audit();
    let enrolling = records.iter().find(|record| record.action == "enroll").unwrap();
    let detail = enrolling.detail.as_deref().unwrap();
    assert!(
        detail.starts_with("request 1: with a token of CN=admin-2: zoe, role admin"),
        "{detail}"
    );
}

#[tokio::test]
async fn until_somebody_enrolls_the_request_is_undone_and_tokens_are_worth_nothing() {
    let home = approved(DAYS * 24).await;
    let running = home.serve().await;
    let (admin, operator) = (
        home.client("admin-1", running.address),
        home.client("operator-1", running.address),
    );
    let token = new_token(&admin).await;
    let undo = UndoAdminRequest {
        reason: "nobody knows zoe".to_owned(),
    };
    operator.undo_request(1, &undo).await.unwrap();
    let worthless = error(try_token(&home, running.address, &token).await);
    assert!(worthless.contains("the enrollment token is not valid"), "{worthless}");
    refused(&admin, "zoe", ErrorCode::SecondAdmin).await;
    running.stop().await;
    let records = home.audit();
    let tried = records.iter().find(|record| record.action == "enroll").unwrap();
    let detail = tried.detail.as_deref().unwrap();
    assert!(
        detail.starts_with("a token for administrator zoe: ") && detail.contains("no open request is for zoe"),
        "{detail}"
    );
}

#[tokio::test]
async fn a_request_that_nobody_uses_is_void_after_another_month() {
    let home = approved(DAYS * 24).await;
    run_hours(&home, DAYS * 24 - 1).await;
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    assert_eq!(only_request(&admin).await.seconds_left, Some(0));
    new_token(&admin).await;
    running.stop().await;
    assert_eq!(run_hours(&home, 1).await, Vec::<String>::new());
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let void = only_request(&admin).await;
    assert_eq!(void.state, AdminRequestState::Void);
    assert_eq!(
        void.outcome.as_deref(),
        Some("nobody enrolled within 30 days of the time")
    );
    refused(&admin, "zoe", ErrorCode::SecondAdmin).await;
    running.stop().await;
}

#[tokio::test]
async fn neither_an_edit_of_the_tables_nor_an_older_copy_of_the_row_makes_an_administrator() {
    let home = approved(1).await;
    home.sql("CREATE TABLE kept AS SELECT * FROM admin_requests");
    for sql in [
        "UPDATE admin_requests SET due = 0",
        "UPDATE admin_requests SET name = 'yan'",
        "UPDATE admin_requests SET change = 'delete_group', name = 'ENCR_a'",
    ] {
        home.sql(sql);
        let running = home.serve().await;
        let admin = home.client("admin-1", running.address);
        let broken = admin.create_enrollment(&token_for("zoe")).await.err().unwrap();
        assert!(
            broken.to_string().contains("request 1 does not open"),
            "{sql}: {broken}"
        );
        running.stop().await;
        home.sql("DELETE FROM admin_requests; INSERT INTO admin_requests SELECT * FROM kept");
    }
    home.sql("DROP TABLE kept");

    run_hours(&home, DAYS * 24).await;
    home.sql("CREATE TABLE kept AS SELECT * FROM admin_requests");
    let running = home.serve().await;
    let token = new_token(&home.client("admin-1", running.address)).await;
    try_token(&home, running.address, &token).await.ok().unwrap();
    running.stop().await;
    home.sql("DELETE FROM admin_requests; INSERT INTO admin_requests SELECT * FROM kept; DROP TABLE kept");
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin.revoke(&zoe(), &RevokeCertificates::default()).await.unwrap();
    assert_eq!(only_request(&admin).await.state, AdminRequestState::Approved);
    refused(&admin, "zoe", ErrorCode::SecondAdmin).await;
    running.stop().await;
}

#[tokio::test]
async fn open_tokens_are_listed_without_themselves_and_can_be_cancelled() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, auditor) = (
        home.client("admin-1", running.address),
        home.client("auditor-1", running.address),
    );
    assert!(auditor.enrollments().await.unwrap().is_empty());
    let mut tokens = Vec::new();
    for name in ["carol", "bert", "bert"] {
        let wanted = CreateEnrollment {
            name: ClientName::new(name).unwrap(),
            role: Role::Operator,
            binding: None,
        };
        let made = admin.create_enrollment(&wanted).await.ok().unwrap();
        tokens.push(EnrollToken::from_text(&made.token).ok().unwrap());
        home.clock.advance_seconds(60);
    }
    let open = auditor.enrollments().await.unwrap();
    let names: Vec<_> = open.iter().map(|token| token.name.as_str()).collect();
    assert_eq!(names, ["bert", "bert", "carol"]);
    assert!(
        open.iter()
            .all(|token| token.created_by == "CN=admin-1" && token.role == Role::Operator),
        "{open:?}"
    );
    let shown = serde_json::to_vec(&open).unwrap();
    assert!(!home.entropy.is_in(&shown), "a token's secret is listed");

    let forbidden = auditor.cancel_enrollments(&open[0].name).await.unwrap_err();
    assert_eq!(forbidden.code(), Some(ErrorCode::Forbidden));
    let cancelled = admin.cancel_enrollments(&open[0].name).await.unwrap();
    assert_eq!(cancelled, open[..2]);
    let worthless = error(try_token(&home, running.address, &tokens[1]).await);
    assert!(worthless.contains("the enrollment token is not valid"), "{worthless}");
    let again = admin.cancel_enrollments(&open[0].name).await.unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::NoSuchEnrollment), "{again}");
    try_token(&home, running.address, &tokens[0]).await.ok().unwrap();
    assert!(admin.enrollments().await.unwrap().is_empty(), "a used one is not open");
    home.clock.advance_hours(2);
    let expired = admin.cancel_enrollments(&open[2].name).await.unwrap_err();
    assert_eq!(expired.code(), Some(ErrorCode::NoSuchEnrollment), "{expired}");
    // With no token left, nobody comes without a certificate.
    let closed = error(try_token(&home, running.address, &tokens[2]).await);
    assert!(closed.contains("TLS: ") && !closed.contains("not valid"), "{closed}");
    running.stop().await;
    let records = home.audit();
    let details: Vec<_> = records.iter().filter_map(|record| record.detail.as_deref()).collect();
    for wanted in ["for bert, 2 of them", "a token that was cancelled, for bert"] {
        assert!(details.contains(&wanted), "{wanted}: {details:?}");
    }
}
