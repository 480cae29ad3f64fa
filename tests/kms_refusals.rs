//! Who is turned away by the KMS, and what they are told: roles, certificates, names, requests that make no sense.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::os::unix::fs::PermissionsExt;
use std::sync::Arc;

use kms_support::{
    Home, Log, Raw, VirtualClock, client, client_config, error, group, import, new_group, new_snapshot, passphrase_key,
    rotate, volume,
};
use reqwest::{Method, StatusCode};
use tapekey::clock::Clock;
use tapekey::kad::{KeyId, KeyKind, OurKad};
use tapekey::kms_api::{CreateKey, ErrorCode, KeyName, KeyState, MoveKey, RotateGroup, ServerResult};
use tapekey::kms_client::{KmsClient, Remedy};
use tapekey::secret::DataKey;

#[tokio::test]
async fn each_role_gets_what_is_its_own_and_nothing_else() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-2", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let kad = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap().kad;

    let daily = group("ENCR_daily");
    let refused = [
        admin.backup_key("ENCR_daily", &volume("A1")).await.err().unwrap(),
        admin.restore_keys(&kad.encode(), None).await.err().unwrap(),
        media.groups().await.unwrap_err(),
        media.keys(None).await.unwrap_err(),
        media
            .create_group(&new_group("ENCR_mine", KeyKind::AsIs))
            .await
            .unwrap_err(),
        media.create_key(&daily, &CreateKey::default()).await.unwrap_err(),
        media.snapshots().await.unwrap_err(),
        media.create_snapshot(&new_snapshot("/nowhere/x")).await.unwrap_err(),
        media.status().await.unwrap_err(),
        media.quiesce().await.unwrap_err(),
        media.unquiesce().await.unwrap_err(),
        media
            .create_passphrase_key(&daily, &passphrase_key(9))
            .await
            .unwrap_err(),
        media.import_keys(&daily, &import(&[9], true)).await.unwrap_err(),
        media
            .rotate_group(
                &daily,
                &RotateGroup {
                    name: None,
                    single_copy: true,
                },
            )
            .await
            .unwrap_err(),
    ];
    for error in refused {
        assert_eq!(
            (error.code(), error.remedy()),
            (Some(ErrorCode::Forbidden), Remedy::AskOperator)
        );
        assert!(
            error
                .to_string()
                .contains("hint: use the client bundle of a holder of role"),
            "{error}"
        );
    }
    assert_eq!(admin.keys(None).await.unwrap().len(), 1, "nothing was changed");
    running.stop().await;
}

#[tokio::test]
async fn the_role_is_looked_at_before_the_request() {
    let home = Home::new();
    let running = home.serve().await;
    let media = Raw::new(&home, "media-server-1", running.address);
    for (path, body) in [
        ("/v1/groups", "this is no JSON"),
        ("/v1/groups", &"x".repeat(100_000)),
        ("/v1/groups/no%20group%20name/keys", "{}"),
    ] {
        let (status, text) = media.send(Method::POST, path, body).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{path}: {text}");
    }
    running.stop().await;
}

/// Requests that make no sense, one a line: method, path, body, the status they get and what the answer says.
const NONSENSE_OF_AN_ADMINISTRATOR: &str = r#"
POST /v1/groups - 400 bad_request
POST /v1/groups { 400 bad_request
POST /v1/groups [1,2] 400 bad_request
POST /v1/groups {"name":"ENCR_a","kind":"derived","colour":"red"} 400 unknown field `colour`
POST /v1/groups {"name":"ENCR_a","kind":"magic"} 400 unknown variant `magic`
POST /v1/groups {"name":"ENCR_a/b","kind":"derived"} 400 has a character that is not allowed
POST /v1/groups {"name":"daily","kind":"derived"} 400 not_for_tape
POST /v1/groups {"name":"ENCR_a","kind":"derived","description":"a\nb"} 400 control characters
POST /v1/groups/a%2Fb/keys {} 400 bad_request
POST /v1/groups/ENCR_a/passphrase-keys {"key":"c2VjcmV0"} 400 wrong at line 1
POST /v1/groups/ENCR_a/import {"keys":[]} 404 no_such_group
GET /v1/keys?colour=red - 400 unknown field
GET /v1/keys?group=ENCR_none - 404 no_such_group
GET /v1/keys?after=%00%2F%FF - 200 "keys":[]
GET /v1/groups?after=%00 - 200 "groups":[
GET /v1/certificates?after=%00 - 200 "certificates":[
GET /v1/enrollments?after=%00 - 200 "enrollments":[
GET /v1/servers?after=%00 - 200 "servers":[
GET / - 404 no_such_path
GET /v1/groups/ - 404 no_such_path
DELETE /v1/groups - 405 wrong_method
POST /v1/snapshots {"path":"x"} 409 is not absolute
POST /v1/snapshots {"path":"/"} 409 names no file
POST /v1/snapshots {"path":"/tmp/a\u001b"} 409 has control characters
POST /v1/snapshots {"path":"/no/such/folder/x"} 409 No such file
POST /v1/snapshots {"path":"/etc/passwd/x"} 409 ot a directory
POST /v1/snapshots {"path":"/tmp/x","same_file_system":true} 400 unknown field
POST /v1/quiesce {} 400 there should be none
POST /v1/unquiesce - 409 not_quiesced
DELETE /v1/snapshots - 405 wrong_method
"#;

const NONSENSE_OF_A_MEDIA_SERVER: &str = r#"
GET /v1/backup-key - 405 wrong_method
POST /v1/backup-key {"group":"ENCR_a","volume":"A1"} 400 missing field `purpose`
POST /v1/backup-key {"purpose":"tape","group":"ENCR_a","volume":"A\u001b1"} 400 barcode
POST /v1/restore-keys {"kad":"xyz"} 400 must be hex
POST /v1/restore-keys {} 400 no KAD
"#;

#[tokio::test]
async fn a_request_that_makes_no_sense_gets_json_that_says_why() {
    let home = Home::new();
    let running = home.serve().await;
    for (client, requests) in [
        ("admin-1", NONSENSE_OF_AN_ADMINISTRATOR),
        ("media-server-1", NONSENSE_OF_A_MEDIA_SERVER),
    ] {
        let client = Raw::new(&home, client, running.address);
        for line in requests.trim().lines() {
            let [method, path, body, status, says] = line.splitn(5, ' ').collect::<Vec<_>>().try_into().unwrap();
            let body = if body == "-" { "" } else { body };
            let (found, text) = client.send(method.parse().unwrap(), path, body).await;
            assert!(
                found.as_str() == status && text.contains(says),
                "{line}: {found} {text}"
            );
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let explained = json["error"].is_string() && json["hint"].as_str().is_some_and(|hint| !hint.is_empty());
            assert!(status == "200" || explained, "{text}");
        }
    }
    let admin = Raw::new(&home, "admin-1", running.address);
    let (status, text) = admin.send(Method::POST, "/v1/groups", "x".repeat(100_000)).await;
    assert!(
        status == StatusCode::PAYLOAD_TOO_LARGE && text.contains("too_long"),
        "{text}"
    );
    running.stop().await;
}

#[tokio::test]
async fn a_tape_request_names_a_tape_group_that_exists_and_has_an_active_key() {
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_empty", KeyKind::Derived))
        .await
        .unwrap();
    let made = admin
        .create_key(&group("ENCR_empty"), &CreateKey::default())
        .await
        .unwrap();
    for (name, code, says) in [
        ("daily", ErrorCode::NotForTape, "hint: name the group ENCR_"),
        ("ENCR_typo", ErrorCode::NoSuchGroup, "hint: check the pool's name"),
        (
            "ENCR_empty",
            ErrorCode::NoActiveKey,
            "hint: make one with tapekey kms key create ENCR_empty",
        ),
        ("ENCR_a b", ErrorCode::BadRequest, "hint: 1 to 64 letters"),
    ] {
        let error = media.backup_key(name, &volume("A1")).await.err().unwrap();
        assert_eq!(error.code(), Some(code), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    let twice = admin
        .create_group(&new_group("ENCR_empty", KeyKind::AsIs))
        .await
        .unwrap_err();
    assert_eq!(twice.code(), Some(ErrorCode::NameTaken));
    let again = CreateKey {
        name: Some(made.name.clone()),
        description: String::new(),
    };
    assert_eq!(
        admin.create_key(&group("ENCR_empty"), &again).await.unwrap_err().code(),
        Some(ErrorCode::NameTaken)
    );
    let nobody = MoveKey {
        state: KeyState::Active,
        single_copy: true,
    };
    let missing = admin
        .move_key(&group("ENCR_empty"), &KeyName::new("nobody").unwrap(), &nobody)
        .await
        .unwrap_err();
    assert_eq!(missing.code(), Some(ErrorCode::NoSuchKey));
    running.stop().await;
}

#[tokio::test]
async fn a_key_on_one_disk_becomes_active_only_when_that_is_said() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    let daily = group("ENCR_daily");
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    let key = admin.create_key(&daily, &CreateKey::default()).await.unwrap();
    let activate = MoveKey {
        state: KeyState::Active,
        single_copy: false,
    };
    let error = admin.move_key(&daily, &key.name, &activate).await.unwrap_err();
    assert_eq!(error.code(), Some(ErrorCode::SingleCopy));
    assert!(
        error.to_string().contains("if the disk dies") && error.to_string().contains("--single-copy"),
        "{error}"
    );
    let rotate = RotateGroup {
        name: None,
        single_copy: false,
    };
    assert_eq!(
        admin.rotate_group(&daily, &rotate).await.unwrap_err().code(),
        Some(ErrorCode::SingleCopy)
    );
    let keys = admin.keys(Some(&daily)).await.unwrap();
    assert_eq!(keys, [key], "the refused rotation left no key behind");
    running.stop().await;
}

#[tokio::test]
async fn a_kad_of_an_unknown_key_or_of_another_program_names_none() {
    let home = Home::new();
    let running = home.serve().await;
    let media = home.client("media-server-1", running.address);
    let foreign_key = DataKey::take(&mut [7; 32]);
    let unknown = OurKad::derived(KeyId([7; 16]), [7; 6], &foreign_key).encode();
    for (kad, says) in [
        (unknown.as_slice(), "no key 07070707-"),
        (b"stenc tag", "no key of an as-is group was imported with this KAD"),
    ] {
        let answer = media.restore_keys(kad, None).await.unwrap();
        let ServerResult::None(Some(why)) = &answer.outcomes[0].result else {
            panic!("{:?}", answer.outcomes)
        };
        assert!(answer.keys.is_empty() && why.contains(says), "{why}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_derived_group_s_key_is_in_no_answer_whatever_is_asked_and_no_key_in_the_log() {
    let home = Home::new();
    let log = Log::default();
    let _collecting = log.collect();
    let running = home.serve().await;
    let admin = Raw::new(&home, "admin-1", running.address);
    let media = Raw::new(&home, "media-server-1", running.address);
    let mut answers = Vec::new();
    let mut ask = async |client: &Raw, method: Method, path: &str, body: String| {
        let (_, text) = client.send(method, path, body).await;
        answers.push(text.clone());
        serde_json::from_str::<serde_json::Value>(&text).unwrap()
    };
    for kind in ["derived", "as_is"] {
        let body = format!(r#"{{"name":"ENCR_{kind}","kind":"{kind}"}}"#);
        ask(&admin, Method::POST, "/v1/groups", body).await;
    }
    let rotate = r#"{"single_copy":true}"#.to_owned();
    let moved = ask(&admin, Method::POST, "/v1/groups/ENCR_derived/rotate", rotate.clone()).await;
    let id = moved["key"]["id"].as_str().unwrap().replace('-', "");
    let (name, path) = (moved["key"]["name"].as_str().unwrap(), "/v1/groups/ENCR_derived/keys");
    ask(&admin, Method::POST, path, "{}".to_owned()).await;
    ask(
        &admin,
        Method::POST,
        &format!("{path}/{name}/state"),
        r#"{"state":"active","single_copy":true}"#.to_owned(),
    )
    .await;
    ask(&admin, Method::GET, "/v1/groups", String::new()).await;
    ask(&admin, Method::GET, "/v1/keys?group=ENCR_derived", String::new()).await;
    let body = r#"{"purpose":"tape","group":"ENCR_derived","volume":"A1"}"#.to_owned();
    let backup = ask(&media, Method::POST, "/v1/backup-key", body).await;
    let kad = backup["kad"].as_str().unwrap().to_owned();
    // Its own KAD, the same key id claimed to be as-is, the bare id as hex and as text, and what begins like a KAD of ours.
    let as_is = format!("544b10{id}{}", "00".repeat(11));
    for kad in [
        kad.clone(),
        as_is,
        id.clone(),
        hex::encode(&id),
        hex::encode(name),
        kad[..58].to_owned(),
        format!("{kad}ff"),
    ] {
        let restored = ask(
            &media,
            Method::POST,
            "/v1/restore-keys",
            format!(r#"{{"kad":"{kad}"}}"#),
        )
        .await;
        assert!(restored["outcomes"].is_array(), "{restored}");
    }
    for answer in &answers {
        assert!(
            !home.entropy.is_in(answer.as_bytes()),
            "a key that was drawn left the KMS: {answer}"
        );
    }
    // The same look finds the key of an as-is group, so it would have found the other.
    admin.send(Method::POST, "/v1/groups/ENCR_as_is/rotate", rotate).await;
    let body = r#"{"purpose":"tape","group":"ENCR_as_is","volume":"A1"}"#;
    let (_, as_is) = media.send(Method::POST, "/v1/backup-key", body).await;
    assert!(home.entropy.is_in(as_is.as_bytes()));
    let log = log.text();
    assert!(
        log.contains("/v1/backup-key") && !home.entropy.is_in(log.as_bytes()),
        "{log}"
    );
    assert!(!log.contains(backup["key"].as_str().unwrap()), "{log}");
    running.stop().await;
}

#[tokio::test]
async fn a_certificate_of_another_kms_is_refused_and_its_holder_named_in_the_log() {
    let (home, other) = (Home::new(), Home::new());
    let log = Log::default();
    let _collecting = log.collect();
    let running = home.serve().await;
    let address = format!("https://{}", running.address);
    // It trusts this KMS, but its own certificate is from the other one.
    let mut config = client_config(&other.bundle("admin-1"), &[&address]);
    config.ca = home.bundle("admin-1").join("ca.pem");
    let clock: Arc<dyn Clock> = home.clock.clone();
    let foreign = KmsClient::new(&config, &clock).unwrap();
    let error = foreign.groups().await.unwrap_err().to_string();
    assert!(
        error.contains("the KMS does not know the CA of our certificate"),
        "{error}"
    );
    assert!(
        log.text().contains("a client certificate was refused") && log.text().contains("CN=admin-1"),
        "{}",
        log.text()
    );
    // And the other way round: a KMS that is not ours is not trusted.
    let error = error_of(&client(&other.bundle("admin-1"), &[&address], &home.clock)).await;
    assert!(
        error.contains("TLS: ") && error.contains("hint: check the CA and the client certificate"),
        "{error}"
    );
    assert_eq!(home.client("admin-1", running.address).groups().await.unwrap(), []);
    running.stop().await;
}

async fn error_of(client: &KmsClient) -> String {
    client.groups().await.unwrap_err().to_string()
}

#[tokio::test]
async fn an_expired_certificate_is_refused_on_old_and_new_connections() {
    let home = Home::new();
    let log = Log::default();
    let _collecting = log.collect();
    let running = home.serve().await;
    let address = format!("https://{}", running.address);
    // A host whose clock stands still, so that only the KMS sees the date.
    let connected = client(&home.bundle("admin-1"), &[&address], &VirtualClock::new());
    connected.groups().await.unwrap();
    home.clock.advance_days(731);
    let error = error_of(&connected).await;
    assert!(
        error.contains("the client certificate expired on 2028-11-23"),
        "{error}"
    );
    let fresh = client(&home.bundle("admin-1"), &[&address], &VirtualClock::new());
    let error = error_of(&fresh).await;
    assert!(
        error.contains("the KMS says that our certificate has expired"),
        "{error}"
    );
    assert!(
        log.text().contains("a client certificate was refused"),
        "{}",
        log.text()
    );
    running.stop().await;
    // The service's own one expired at the same time: at its next start it makes a new one.
    let certificate = home.config().server_certificate;
    let before = std::fs::read(&certificate).unwrap();
    home.serve().await.stop().await;
    assert_ne!(std::fs::read(&certificate).unwrap(), before);
}

#[test]
fn a_host_s_own_files_are_checked_before_anything_is_sent() {
    let home = Home::new();
    let bundle = home.bundle("media-server-1");
    let config = client_config(&bundle, &["https://localhost:1"]);
    let clock: Arc<dyn Clock> = home.clock.clone();
    let attempt = |clock: &Arc<dyn Clock>| error(KmsClient::new(&config, clock));

    std::fs::set_permissions(&config.key, PermissionsExt::from_mode(0o644)).unwrap();
    let exposed = attempt(&clock);
    assert!(
        exposed.contains("mode 0644") && exposed.contains("hint: chmod 600"),
        "{exposed}"
    );
    std::fs::set_permissions(&config.key, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(KmsClient::new(&config, &clock).is_ok(), "a group may read it");

    let later = VirtualClock::new();
    later.advance_days(731);
    let expired = attempt(&(later as Arc<dyn Clock>));
    assert!(expired.contains("certificate.pem expired on 2028-11-23"), "{expired}");
    let earlier = VirtualClock::new();
    earlier.advance_days(-1);
    let early = attempt(&(earlier as Arc<dyn Clock>));
    assert!(early.contains("not valid before") && early.contains("clock"), "{early}");

    let other = Home::new();
    let certificate = std::fs::read(&config.certificate).unwrap();
    std::fs::copy(other.bundle("admin-1").join("certificate.pem"), &config.certificate).unwrap();
    assert!(attempt(&clock).contains("must be a pair"), "{}", attempt(&clock));
    for wrong in [b"".as_slice(), b"rubbish", &certificate[..200]] {
        std::fs::write(&config.certificate, wrong).unwrap();
        let error = attempt(&clock);
        assert!(error.contains("certificate.pem") && error.contains("hint: "), "{error}");
    }
    std::fs::remove_file(&config.certificate).unwrap();
    assert!(
        attempt(&clock).contains("certificate.pem: No such file"),
        "{}",
        attempt(&clock)
    );
}
