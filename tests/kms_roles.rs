//! Every route with every role: who is let in, who is turned away, and that nobody who is turned away gets their request read.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::collections::{BTreeMap, BTreeSet};

use kms_support::{Home, Raw, read_answer};
use tapekey::kms::server::declared;
use tapekey::kms_api::Role;
use tokio::io::AsyncWriteExt;

/// One certificate of each role.
const CLIENTS: [(&str, Role); 4] = [
    ("admin-1", Role::Admin),
    ("operator-1", Role::Operator),
    ("auditor-1", Role::Auditor),
    ("media-server-1", Role::MediaServer),
];

/// Who may ask what: method, path, roles. Written down here a second time, so that no route gets its roles by accident.
const ALLOWED: &str = "
POST /v1/backup-key                            media-server
POST /v1/restore-keys                          media-server
GET  /v1/groups                                admin operator auditor
POST /v1/groups                                admin operator
POST /v1/groups/{group}/rotate                 admin operator
POST /v1/groups/{group}/name                   admin operator
POST /v1/groups/{group}/description            admin operator
POST /v1/groups/{group}/rotation               admin operator
POST /v1/rotate-due                            admin operator
POST /v1/seal/rotate                           admin
POST /v1/groups/{group}/keys/{key}/name        admin operator
POST /v1/groups/{group}/keys/{key}/description admin operator
POST /v1/groups/{group}/keys/{key}/group       admin operator
POST /v1/groups/{group}/keys                   admin operator
POST /v1/groups/{group}/passphrase-keys        admin
POST /v1/groups/{group}/import                 admin
POST /v1/groups/{group}/keys/{key}/state       admin operator
GET  /v1/keys                                  admin operator auditor
GET  /v1/requests                              admin operator auditor
POST /v1/requests                              admin
GET  /v1/requests/{number}                     admin operator auditor
POST /v1/requests/{number}/approve             admin
POST /v1/requests/{number}/undo                admin operator
GET  /v1/audit                                 admin operator auditor
GET  /v1/audit/heads                           admin operator auditor
GET  /v1/snapshots                             admin operator auditor
POST /v1/snapshots                             admin operator
GET  /v1/status                                admin operator auditor
POST /v1/quiesce                               admin operator
POST /v1/unquiesce                             admin operator
POST /v1/cache/clear                           admin operator
GET  /v1/servers                               admin operator auditor
POST /v1/servers                               admin
GET  /v1/servers/{server}                      admin operator auditor
POST /v1/servers/{server}/settings             admin
POST /v1/servers/{server}/remove               admin
POST /v1/servers/{server}/check                admin operator
POST /v1/servers/{server}/keys                 admin operator
POST /v1/groups/{group}/server                 admin
GET  /v1/certificates                          admin operator auditor
POST /v1/certificates/{name}/revoke            admin
POST /v1/certificates/{name}/groups            admin
POST /v1/renewal                               admin operator auditor media-server
GET  /v1/enrollments                           admin operator auditor
POST /v1/enrollments                           admin
POST /v1/enrollments/{name}/cancel             admin
POST /v1/enroll
GET  /v1/openapi.json                          admin operator auditor media-server
";

type Table = BTreeMap<(String, String), BTreeSet<&'static str>>;

fn allowed() -> Table {
    let lines = ALLOWED.trim().lines();
    let entries = lines.map(|line| {
        let mut words = line.split_whitespace();
        let (method, path) = (words.next().unwrap(), words.next().unwrap());
        ((method.to_owned(), path.to_owned()), words.collect())
    });
    entries.collect()
}

#[test]
fn every_route_has_the_roles_of_the_table() {
    let served: Table = declared()
        .into_iter()
        .map(|route| {
            let roles = route.roles.iter().map(|role| role.name()).collect();
            ((route.method.to_string(), route.path), roles)
        })
        .collect();
    assert_eq!(
        served,
        allowed(),
        "the router on the left, the table of this test on the right"
    );
}

#[tokio::test]
async fn whoever_is_turned_away_is_so_before_the_request_is_read() {
    let home = Home::new();
    let running = home.serve().await;
    let mut refusals = 0;
    for (client, role) in CLIENTS {
        let raw = Raw::new(&home, client, running.address);
        // Where nobody is named, anybody may come: tests/kms_certificates.rs.
        for ((method, path), roles) in allowed().into_iter().filter(|(_, roles)| !roles.is_empty()) {
            let path = path.replace(['{', '}'], "");
            let mut stream = raw.connect().await;
            if roles.contains(role.name()) {
                let request = format!("{method} {path} HTTP/1.1\r\nhost: kms\r\ncontent-length: 1\r\n\r\nx");
                stream.write_all(request.as_bytes()).await.unwrap();
                let answer = read_answer(&mut stream).await;
                let let_in = answer.starts_with("HTTP/1.1 200 ") || answer.contains(r#""code":"bad_request""#);
                assert!(let_in, "{role} {method} {path}: {answer}");
            } else {
                // A body is promised and never sent: only who does not wait for it can answer.
                let request = format!("{method} {path} HTTP/1.1\r\nhost: kms\r\ncontent-length: 60000\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                let answer = read_answer(&mut stream).await;
                let turned_away = answer.starts_with("HTTP/1.1 403 ") && answer.contains(r#""code":"forbidden""#);
                assert!(turned_away, "{role} {method} {path}: {answer}");
                refusals += 1;
            }
        }
    }
    running.stop().await;
    let denied = home
        .audit()
        .into_iter()
        .filter(|record| record.action == "request")
        .count();
    assert_eq!(denied, refusals, "each is in the audit log");
}
