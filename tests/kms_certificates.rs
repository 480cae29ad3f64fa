//! Certificates of clients from their first day to their last: enrolment by token, groups, renewal, revocation, expiry.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;
use kms_support::{Home, Log, Raw, client, error, group, new_group, new_snapshot, read_answer, rotate, volume};
use tapekey::clock::Clock;
use tapekey::kad::KeyKind;
use tapekey::kms::command::{self, Arguments, Machine};
use tapekey::kms::seal::HostMasterKey;
use tapekey::kms::snapshot::restore::{RestoreWith, restore};
use tapekey::kms_api::{
    BindGroups, Binding, ClientName, CreateEnrollment, EndReason, EnrollToken, ErrorCode, Expiry, RevokeCertificates,
    Role, ServerResult,
};
use tapekey::kms_client::renewal::keep_fresh;
use tapekey::kms_client::{EnrollError, KmsAddress, KmsClient, NewBundle, enroll};
use tokio::io::AsyncWriteExt;

const GET_GROUPS: &[u8] = b"GET /v1/groups HTTP/1.1\r\nhost: kms\r\n\r\n";

fn name(name: &str) -> ClientName {
    ClientName::new(name).unwrap()
}

fn groups(names: &[&str]) -> Binding {
    Binding::Groups(names.iter().map(|name| group(name)).collect())
}

fn addresses(address: SocketAddr) -> Vec<KmsAddress> {
    vec![format!("https://{address}").parse().unwrap()]
}

/// A token of `admin`, for a media server of ENCR_daily.
async fn token(admin: &KmsClient, of: &str) -> EnrollToken {
    let wanted = CreateEnrollment {
        name: name(of),
        role: Role::MediaServer,
        binding: Some(groups(&["ENCR_daily"])),
    };
    let token = admin.create_enrollment(&wanted).await.unwrap();
    EnrollToken::from_text(&token.token).ok().unwrap()
}

async fn try_token(
    home: &Home,
    address: SocketAddr,
    token: &EnrollToken,
) -> Result<tapekey::kms_client::Enrolled, EnrollError> {
    let clock: Arc<dyn Clock> = home.clock.clone();
    enroll(addresses(address), token, &clock).await
}

/// A host that enrolled, with its bundle in a folder.
async fn join(home: &Home, address: SocketAddr, token: &EnrollToken) -> (tempfile::TempDir, PathBuf) {
    let temporary = tempfile::tempdir().unwrap();
    let folder = temporary.path().join("bundle");
    let bundle = NewBundle::in_empty(&folder).unwrap();
    let enrolled = try_token(home, address, token)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    bundle.fill(&enrolled, &addresses(address)).unwrap();
    (temporary, folder)
}

fn client_of(home: &Home, bundle: &Path, address: SocketAddr) -> KmsClient {
    client(bundle, &[&format!("https://{address}")], &home.clock)
}

/// Two groups with a key each.
async fn two_groups(admin: &KmsClient) {
    for name in ["ENCR_daily", "ENCR_other"] {
        admin.create_group(&new_group(name, KeyKind::Derived)).await.unwrap();
        rotate(admin, name).await;
    }
}

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
async fn a_new_host_enrolls_with_a_token_and_gets_keys_of_its_groups_alone() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    two_groups(&admin).await;
    let token = token(&admin, "host-7").await;
    let (_temporary, bundle) = join(&home, running.address, &token).await;
    let host = client_of(&home, &bundle, running.address);
    let given = host.backup_key("ENCR_daily", &volume("A1")).await.ok().unwrap();
    assert_eq!(
        host.restore_keys(&given.kad.encode(), None).await.unwrap().keys.len(),
        1
    );
    let refused = host.backup_key("ENCR_other", &volume("A1")).await.err().unwrap();
    assert_eq!(refused.code(), Some(ErrorCode::GroupNotBound), "{refused}");
    // Which groups there are is not for it to learn either.
    let unknown = host.backup_key("ENCR_nothing", &volume("A1")).await.err().unwrap();
    assert_eq!(unknown.code(), Some(ErrorCode::GroupNotBound), "{unknown}");

    let listed = admin.certificates().await.unwrap();
    let own = listed.iter().find(|one| one.name == name("host-7")).unwrap();
    assert_eq!(
        (own.role, own.binding.clone()),
        (Role::MediaServer, Some(groups(&["ENCR_daily"])))
    );
    assert_eq!(own.issued_by, "CN=admin-1");
    running.stop().await;
    let audit = home.audit();
    let enrolled = audit.iter().find(|record| record.action == "enroll").unwrap();
    let detail = enrolled.detail.as_deref().unwrap();
    assert!(
        detail.contains("host-7") && detail.contains("token of CN=admin-1") && detail.contains(&own.serial),
        "{detail}"
    );
    assert!(
        audit
            .iter()
            .any(|record| record.outcome.contains("is not bound to group ENCR_other"))
    );
    assert!(
        !home.entropy.is_in(&home.store_bytes()),
        "the token's secret, or a key, is in the store"
    );
}

#[tokio::test]
async fn a_wrong_a_used_and_an_old_token_are_refused_alike_and_not_often() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let used = token(&admin, "host-1").await;
    join(&home, running.address, &used).await;
    let old = token(&admin, "host-2").await;
    home.clock.advance_days(1);
    // As long as there is a good one, hosts without a certificate are let in.
    let good = token(&admin, "host-3").await;
    let wrong = EnrollToken {
        secret: [9; 32].into(),
        ..EnrollToken::from_text(&good.to_text()).ok().unwrap()
    };
    let none = EnrollToken {
        id: [9; 16],
        ..EnrollToken::from_text(&good.to_text()).ok().unwrap()
    };
    let mut texts = Vec::new();
    for token in [&wrong, &used, &old, &none] {
        let refused = error(try_token(&home, running.address, token).await);
        assert!(refused.contains("the enrollment token is not valid"), "{refused}");
        texts.push(refused);
    }
    assert!(texts.iter().all(|text| *text == texts[0]), "{texts:?}");
    let mut refused = String::new();
    for _ in 0..5 {
        refused = error(try_token(&home, running.address, &wrong).await);
    }
    assert!(refused.contains("a new host at 127.0.0.1 asks too often"), "{refused}");
    home.clock.advance_days(1);
    running.stop().await;
    let audit = home.audit();
    let tried: Vec<_> = audit
        .iter()
        .filter(|record| record.action == "enroll")
        .filter_map(|record| record.detail.clone())
        .collect();
    for why in [
        "a wrong secret, for host-3",
        "a token that was used, for host-1",
        "an expired token, for host-2",
        "a token that does not exist",
    ] {
        assert!(tried.iter().any(|detail| detail == why), "{why}: {tried:?}");
    }
    assert!(audit.iter().any(|record| record.outcome.contains("asks too often")));
}

#[tokio::test]
async fn a_token_is_not_said_to_another_kms_and_nobody_comes_without_one() {
    let (home, other) = (Home::new(), Home::new());
    let (running, foreign) = (home.serve().await, other.serve().await);
    let admin = home.client("admin-1", running.address);
    let token = token(&admin, "host-7").await;
    // The other one would let a new host in, too.
    other
        .client("admin-1", foreign.address)
        .create_enrollment(&CreateEnrollment {
            name: name("host-7"),
            role: Role::Operator,
            binding: None,
        })
        .await
        .unwrap();
    let refused = error(try_token(&home, foreign.address, &token).await);
    assert!(
        refused.contains("TLS: ") && refused.contains("UnknownIssuer"),
        "{refused}"
    );
    foreign.stop().await;
    assert!(
        !other.audit().iter().any(|record| record.action == "enroll"),
        "it never heard of it"
    );

    join(&home, running.address, &token).await;
    let closed = error(try_token(&home, running.address, &token).await);
    assert!(
        closed.contains("the enrollment token is not valid"),
        "within the hour it says so: {closed}"
    );
    running.stop().await;
    let running = home.serve().await;
    let closed = error(try_token(&home, running.address, &token).await);
    assert!(
        closed.contains("TLS: ") && !closed.contains("not valid"),
        "no token, no stranger: {closed}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_token_is_for_a_free_name_a_fitting_role_and_no_administrator_unasked() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let wanted = |of: &str, role, binding| CreateEnrollment {
        name: name(of),
        role,
        binding,
    };
    for (wanted, says) in [
        (
            wanted("admin-3", Role::Admin, None),
            "needs two others and a waiting time",
        ),
        (
            wanted("operator-1", Role::Operator, None),
            "a valid certificate of operator-1 already",
        ),
        (
            wanted("host-7", Role::MediaServer, None),
            "role media-server needs groups",
        ),
        (
            wanted("carol", Role::Auditor, Some(Binding::AllGroups)),
            "role auditor has no groups",
        ),
    ] {
        let refused = admin.create_enrollment(&wanted).await.err().unwrap().to_string();
        assert!(refused.contains(says) && refused.contains("\nhint: "), "{refused}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_revoked_certificate_is_refused_at_once_also_on_an_open_connection() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let mut open = Raw::new(&home, "operator-1", running.address).connect().await;
    open.write_all(GET_GROUPS).await.unwrap();
    assert!(read_answer(&mut open).await.starts_with("HTTP/1.1 200 "));
    let ended = admin
        .revoke(&name("operator-1"), &RevokeCertificates::default())
        .await
        .unwrap();
    assert_eq!(ended.len(), 1);
    open.write_all(GET_GROUPS).await.unwrap();
    let refused = read_answer(&mut open).await;
    assert!(
        refused.starts_with("HTTP/1.1 403 ") && refused.contains("was revoked on 2026-11-24"),
        "{refused}"
    );
    let fresh = home.client("operator-1", running.address).groups().await.unwrap_err();
    assert_eq!(fresh.code(), Some(ErrorCode::Certificate), "{fresh}");

    let again = admin
        .revoke(&name("operator-1"), &RevokeCertificates::default())
        .await
        .unwrap_err();
    assert_eq!(again.code(), Some(ErrorCode::NoSuchCertificate));
    let other_serial = RevokeCertificates {
        serial: Some("abcd".to_owned()),
    };
    let none = admin.revoke(&name("auditor-1"), &other_serial).await.unwrap_err();
    assert!(
        none.to_string().contains("no valid certificate abcd of auditor-1"),
        "{none}"
    );
    admin
        .revoke(&name("admin-2"), &RevokeCertificates::default())
        .await
        .unwrap();
    let last = admin
        .revoke(&name("admin-1"), &RevokeCertificates::default())
        .await
        .unwrap_err();
    assert!(
        last.to_string()
            .contains("the last valid certificate of an administrator"),
        "{last}"
    );

    // The name is free for somebody new.
    let wanted = CreateEnrollment {
        name: name("operator-1"),
        role: Role::Operator,
        binding: None,
    };
    admin.create_enrollment(&wanted).await.map(drop).unwrap();
    running.stop().await;
    let audit = home.audit();
    let revocations = audit
        .iter()
        .filter(|record| record.action == "revoke_certificates" && record.outcome == "done");
    assert_eq!(revocations.count(), 2);
}

#[tokio::test]
async fn a_media_server_has_the_groups_it_is_bound_to_and_they_can_change_at_once() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    two_groups(&admin).await;
    let media = home.client("media-server-1", running.address);
    let given = media.backup_key("ENCR_daily", &volume("A1")).await.ok().unwrap();
    let binding = groups(&["ENCR_other"]);
    let bound = admin
        .bind_groups(
            &name("media-server-1"),
            &BindGroups {
                binding: binding.clone(),
            },
        )
        .await
        .unwrap();
    assert_eq!(bound[0].binding, Some(binding));
    let refused = media.backup_key("ENCR_daily", &volume("A1")).await.err().unwrap();
    assert!(
        refused
            .to_string()
            .contains("hint: if it is to have these keys: tapekey kms certificate bind"),
        "{refused}"
    );
    let answer = media.restore_keys(&given.kad.encode(), None).await.unwrap();
    let ServerResult::Refused(why) = &answer.outcomes[0].result else {
        panic!("{:?}", answer.outcomes)
    };
    assert!(
        answer.keys.is_empty() && why.contains("is not bound to group ENCR_daily"),
        "{why}"
    );
    media.backup_key("ENCR_other", &volume("A1")).await.map(drop).unwrap();
    let wrong = admin
        .bind_groups(
            &name("operator-1"),
            &BindGroups {
                binding: Binding::AllGroups,
            },
        )
        .await
        .unwrap_err();
    assert!(wrong.to_string().contains("role operator has no groups"), "{wrong}");
    running.stop().await;
}

#[tokio::test]
async fn candidates_for_a_foreign_kad_come_from_bound_groups_alone() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin.create_group(&new_group("ENCR_old", KeyKind::AsIs)).await.unwrap();
    admin
        .import_keys(&group("ENCR_old"), &kms_support::import(&[7], true))
        .await
        .unwrap();
    let media = home.client("media-server-1", running.address);
    assert_eq!(
        media.restore_keys(b"foreign 7", None).await.unwrap().candidates.len(),
        1
    );
    let binding = groups(&["ENCR_other"]);
    admin
        .bind_groups(&name("media-server-1"), &BindGroups { binding })
        .await
        .unwrap();
    let answer = media.restore_keys(b"foreign 7", None).await.unwrap();
    assert!(answer.candidates.is_empty(), "{:?}", answer.outcomes);
    assert!(
        matches!(&answer.outcomes[0].result, ServerResult::Refused(why) if why.contains("not bound")),
        "{:?}",
        answer.outcomes
    );
    running.stop().await;
}

#[tokio::test]
async fn a_client_renews_its_certificate_in_place_and_the_old_one_ends_after_an_hour() {
    let home = Home::new();
    let running = home.serve().await;
    let bundle = home.bundle("operator-1");
    let copies = tempfile::tempdir().unwrap();
    for file in ["certificate.pem", "key.pem", "ca.pem", "client.toml"] {
        std::fs::copy(bundle.join(file), copies.path().join(file)).unwrap();
    }
    home.clock.advance_days(1);
    let operator = home.client("operator-1", running.address);
    operator.groups().await.unwrap();
    let renewed = operator.renew().await.unwrap();
    assert_eq!((renewed.name, renewed.role), (name("operator-1"), Role::Operator));
    // The client goes on under the new one, and so does one that reads the files now.
    operator.groups().await.unwrap();
    home.client("operator-1", running.address).groups().await.unwrap();
    let left = client_of(&home, copies.path(), running.address);
    left.groups().await.expect("for an hour");
    home.clock.advance_days(1);
    let ended = left.groups().await.unwrap_err();
    assert!(ended.to_string().contains("was replaced on"), "{ended}");
    let listed = home.client("admin-1", running.address).certificates().await.unwrap();
    let own: Vec<_> = listed.iter().filter(|one| one.name == name("operator-1")).collect();
    let replaced = own
        .iter()
        .filter(|one| one.ended.as_ref().is_some_and(|ended| ended.why == EndReason::Replaced));
    assert_eq!((own.len(), replaced.count()), (2, 1));
    running.stop().await;
    assert!(
        home.audit()
            .iter()
            .any(|record| record.action == "replace_certificates")
    );
}

#[tokio::test]
async fn a_renewal_that_ends_between_its_two_files_leaves_a_bundle_that_works_and_can_be_renewed() {
    let home = Home::new();
    let running = home.serve().await;
    let certificate = home.bundle("operator-1").join("certificate.pem");
    let beside = home.bundle("operator-1").join("certificate.pem.new");
    let old = std::fs::read(&certificate).unwrap();
    let operator = home.client("operator-1", running.address);
    // The second of the two cannot be moved: a folder is in its way.
    std::fs::remove_file(&certificate).unwrap();
    std::fs::create_dir_all(certificate.join("in the way")).unwrap();
    let failed = error(operator.renew().await);
    assert!(failed.contains("cannot be kept: write "), "{failed}");
    std::fs::remove_dir_all(&certificate).unwrap();
    std::fs::write(&certificate, &old).unwrap();

    home.clock.advance_seconds(1);
    let again = home.client("operator-1", running.address);
    again.groups().await.expect("under the certificate beside the new key");
    let renewed = again.renew().await.unwrap();
    again.groups().await.unwrap();
    assert!(!beside.exists());
    home.client("operator-1", running.address).groups().await.unwrap();
    let listed = home.client("admin-1", running.address).certificates().await.unwrap();
    let good = listed
        .iter()
        .filter(|one| one.name == name("operator-1") && one.ended.is_none());
    assert_eq!(good.map(|one| &one.serial).collect::<Vec<_>>(), [&renewed.serial]);
    running.stop().await;
}

#[tokio::test]
async fn a_renewal_keeps_owner_and_mode_and_what_cannot_be_kept_is_not_asked_for() {
    let home = Home::new();
    let running = home.serve().await;
    let paths = ["certificate.pem", "key.pem"].map(|file| home.bundle("operator-1").join(file));
    for path in &paths {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o640)).unwrap();
        // Only root can give files away; anybody else has the mode alone to look at.
        let _ = std::os::unix::fs::chown(path, Some(4321), Some(4322));
    }
    let looks = |path: &PathBuf| {
        let metadata = std::fs::metadata(path).unwrap();
        (metadata.uid(), metadata.gid(), metadata.mode() & 0o7777)
    };
    let before = paths.each_ref().map(looks);
    assert_eq!(before[1].2, 0o640);
    let operator = home.client("operator-1", running.address);
    let serial = operator.renew().await.unwrap().serial;
    assert_eq!(paths.each_ref().map(looks), before);

    let in_the_way = home.bundle("operator-1").join("key.pem.new/in the way");
    std::fs::create_dir_all(&in_the_way).unwrap();
    let failed = error(operator.renew().await);
    assert!(
        failed.contains("key.pem.new: ") && failed.contains("\nhint: "),
        "{failed}"
    );
    operator.groups().await.unwrap();
    let listed = home.client("admin-1", running.address).certificates().await.unwrap();
    let own: Vec<_> = listed.iter().filter(|one| one.name == name("operator-1")).collect();
    assert!(own.len() == 2 && own.iter().any(|one| one.serial == serial), "{own:?}");
    running.stop().await;
}

#[tokio::test]
async fn a_program_that_runs_goes_on_under_a_certificate_that_somebody_else_put_into_its_bundle() {
    let home = Home::new();
    let running = home.serve().await;
    home.clock.advance_days(1);
    let program = home.client("operator-1", running.address);
    program.groups().await.unwrap();
    let by_hand = home.client("operator-1", running.address);
    by_hand.renew().await.unwrap();
    by_hand.groups().await.unwrap();
    home.clock.advance_hours(2);
    program.groups().await.expect("it reads its files again");
    program.quiesce().await.map(drop).unwrap();
    running.stop().await;
    let refused = home.audit();
    let refused = refused
        .iter()
        .filter(|record| record.outcome.contains("was replaced on"));
    assert_eq!(refused.count(), 1, "once, and it is another certificate from then on");
}

#[tokio::test]
async fn a_program_that_runs_for_long_renews_by_itself_in_the_last_third() {
    let home = Home::new();
    let running = home.serve().await;
    let media = Arc::new(home.client("media-server-1", running.address));
    home.clock.advance_days(480);
    let auditor = home.client("auditor-1", running.address);
    let count = async || {
        auditor
            .certificates()
            .await
            .unwrap()
            .iter()
            .filter(|one| one.name == name("media-server-1"))
            .count()
    };
    let early = tokio::spawn(keep_fresh(media.clone()));
    media.restore_keys(b"x", None).await.unwrap();
    assert_eq!(count().await, 1, "there is time yet");
    early.abort();
    home.clock.advance_days(10);
    let due = tokio::spawn(keep_fresh(media.clone()));
    until("renewed", async || count().await == 2).await;
    until("in use", async || {
        home.audit().iter().any(|one| one.action == "replace_certificates") || {
            media.restore_keys(b"x", None).await.unwrap();
            false
        }
    })
    .await;
    due.abort();
    running.stop().await;
}

#[tokio::test]
async fn the_server_s_own_certificate_is_renewed_without_a_restart() {
    let home = Home::new();
    let certificate = home.config().server_certificate;
    let before = std::fs::read(&certificate).unwrap();
    let running = home.serve_after(|| home.clock.advance_days(490)).await;
    until("a new certificate", async || {
        std::fs::read(&certificate).unwrap() != before
    })
    .await;
    home.clock.advance_days(200);
    // The old one would not be valid for much longer than that; the new one is good for two years.
    let status = home.client("auditor-1", running.address).status().await.unwrap();
    assert_eq!(status.certificates[0].what, "server");
    assert_eq!(status.certificates[0].expiry, None, "{:?}", status.certificates);
    running.stop().await;
    assert!(home.audit().iter().any(|record| {
        record
            .detail
            .as_deref()
            .is_some_and(|detail| detail.contains("of the service itself"))
    }));
}

#[tokio::test]
async fn the_end_of_the_issuing_ca_is_an_alarm_a_year_ahead() {
    let home = Home::new();
    for (days, is_said) in [(3280, false), (10, true)] {
        home.clock.advance_days(days);
        let log = Log::default();
        let collecting = log.collect();
        let running = home.serve().await;
        // It is looked at after the CAs.
        until("the log says what ends", async || {
            log.text()
                .contains("ALARM: the certificate of auditor auditor-1 has expired")
        })
        .await;
        let said = "ALARM: the issuing CA ends within a year, on 2036-11-21";
        assert_eq!(log.text().contains(said), is_said, "{}", log.text());
        running.stop().await;
        drop(collecting);
    }
}

#[tokio::test]
async fn ends_are_said_at_thirty_seven_and_one_days() {
    let home = Home::new();
    let running = home.serve().await;
    let auditor = home.client("auditor-1", running.address);
    assert_eq!(auditor.expiry(), None);
    let near = async || {
        let status = auditor.status().await.unwrap().certificates;
        status
            .into_iter()
            .find(|one| one.what == "media-server media-server-1")
            .and_then(|one| one.expiry)
    };
    home.clock.advance_days(699);
    assert_eq!(near().await, None);
    for (days, said) in [
        (1, Expiry::InThirtyDays),
        (23, Expiry::InSevenDays),
        (6, Expiry::InOneDay),
    ] {
        home.clock.advance_days(days);
        assert_eq!(near().await, Some(said));
        let own = auditor.expiry().unwrap();
        assert!(own.contains(&said.to_string()) && own.contains("2028-11-23"), "{own}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_newer_than_the_snapshot_is_unknown_after_a_restore_until_it_is_admitted() {
    let home = Home::new();
    let disk = home.other_disk();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    two_groups(&admin).await;
    admin
        .create_snapshot(&new_snapshot(disk.path().join("1")))
        .await
        .unwrap();
    let token = token(&admin, "host-7").await;
    let (_temporary, bundle) = join(&home, running.address, &token).await;
    running.stop().await;

    let new = Home::empty_beside(&home);
    let master = HostMasterKey::read(&home.master_key_file()).unwrap();
    let with = RestoreWith {
        master: &master,
        hosts: &[],
        clock: &*home.clock,
        entropy: &*home.entropy,
        progress: &mut |_, _, _| {},
    };
    restore(&disk.path().join("1"), &new.folder(), with).map(drop).unwrap();
    let running = new.serve().await;
    let host = client_of(&home, &bundle, running.address);
    let unknown = host
        .backup_key("ENCR_daily", &volume("A1"))
        .await
        .err()
        .unwrap()
        .to_string();
    assert!(
        unknown.contains("is not known to this service") && unknown.contains("tapekey-kms certificate admit"),
        "{unknown}"
    );
    let certificate = bundle.join("certificate.pem");
    let admit = async |certificate: &Path| {
        let folder = new.folder();
        let words = [
            "tapekey-kms",
            "certificate",
            "admit",
            folder.to_str().unwrap(),
            certificate.to_str().unwrap(),
            "--group",
            "ENCR_daily",
        ];
        let machine = Machine {
            clock: home.clock.clone(),
            entropy: home.entropy.clone(),
        };
        let (mut out, mut err) = (Vec::new(), Vec::new());
        command::run(Arguments::try_parse_from(words).unwrap(), machine, &mut out, &mut err).await;
        String::from_utf8([out, err].concat()).unwrap()
    };
    let told = admit(&certificate).await;
    assert!(told.contains("admitted: host-7, role media-server"), "{told}");
    host.backup_key("ENCR_daily", &volume("A1")).await.map(drop).unwrap();
    assert!(admit(&certificate).await.contains("it is known already"));
    let foreign = Home::new();
    let told = admit(&foreign.bundle("media-server-1").join("certificate.pem")).await;
    assert!(told.contains("it is not of this KMS"), "{told}");
    running.stop().await;
}
