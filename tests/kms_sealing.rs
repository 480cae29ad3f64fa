//! What the store is sealed under: host master keys from files, passphrases and credentials, another one, and another key protection key.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use kms_support::process::{PROGRAM, Process, ended, finished, where_the_store_is};
use kms_support::{Home, group, import, new_group, new_snapshot, rotate, store_bytes, volume};
use tapekey::kad::KeyKind;
use tapekey::kms::audit::Actor;
use tapekey::kms::master_key::Given;
use tapekey::kms::service::Kms;
use tapekey::kms::upkeep::Upkeep;
use tapekey::kms::verify::verify;
use tapekey::kms_api::{BackupKeyRequest, CreateKey, Purpose, RotateGroup};

const OLD: &str = "orbit lemon castle river paper quiet falcon seven\n";
const NEW: &str = "copper velvet engine mirror winter salmon pocket ladder\n";

/// The program, with secrets on its descriptors 3 and 4 and nothing on its terminal.
fn run(words: &[&str], secrets: [&str; 2], folder: &Path) -> Output {
    let [third, fourth] = secrets.map(|secret| {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(secret.as_bytes()).unwrap();
        file.rewind().unwrap();
        file
    });
    let mut command = with_descriptors(third, fourth);
    finished(command.args(words).args(where_the_store_is(words)).current_dir(folder))
}

/// A shell between, since a program's own descriptors are closed when it starts another one.
fn with_descriptors(third: File, fourth: File) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "exec \"$@\" 3<&0 4<&1 0</dev/null 1>&2", "sh", PROGRAM])
        .stdin(Stdio::from(OwnedFd::from(third)))
        .stdout(Stdio::from(OwnedFd::from(fourth)))
        .stderr(Stdio::piped());
    command
}

/// What it said; all of it comes on standard error.
fn says(words: &[&str], secrets: [&str; 2], folder: &Path) -> String {
    let ended = run(words, secrets, folder);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{words:?}: {told}");
    told
}

fn fails(words: &[&str], secrets: [&str; 2], folder: &Path) -> String {
    let ended = run(words, secrets, folder);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.code() == Some(1) && told.contains("hint: "),
        "{words:?}: {told}"
    );
    told
}

const WHOLE: &str = "Every record opens, every index agrees, the audit chain is whole.\n";

#[test]
fn a_host_master_key_of_a_passphrase_opens_store_and_snapshot_and_a_wrong_one_changes_nothing() {
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    let weak = fails(
        &["init", "kms", "--master-key", "passphrase", "--passphrase-fd", "3"],
        ["too weak", ""],
        at,
    );
    assert!(weak.contains("a proposal has 88") && !at.join("kms").exists(), "{weak}");
    let made = says(
        &["init", "kms", "--master-key", "passphrase", "--passphrase-fd", "3"],
        [OLD, ""],
        at,
    );
    assert!(made.contains("Keep the passphrase of the host master key"), "{made}");
    assert!(!at.join("kms/host-master.key").exists());
    let config = std::fs::read_to_string(at.join("kms/kms.toml")).unwrap();
    assert!(config.contains("master_key = \"passphrase\"\n"), "{config}");

    let verified = says(&["verify", "kms", "--passphrase-fd", "3"], [OLD, ""], at);
    assert!(verified.ends_with(WHOLE), "{verified}");
    let before = store_bytes(&at.join("kms"));
    for verb in [
        vec!["verify", "kms", "--passphrase-fd", "3"],
        vec!["serve", "kms", "--passphrase-fd", "3"],
        vec!["audit", "list", "kms", "--passphrase-fd", "3"],
        vec!["snapshot", "kms", "s", "--same-filesystem", "--passphrase-fd", "3"],
        vec!["reseal", "kms", "--master-key", "new.key", "--passphrase-fd", "3"],
    ] {
        let wrong = fails(&verb, [NEW, ""], at);
        assert!(
            wrong.contains("the passphrase is not the one of host master key "),
            "{verb:?}: {wrong}"
        );
        assert!(!wrong.contains("copper"), "{wrong}");
    }
    assert!(store_bytes(&at.join("kms")) == before);
    assert!(!at.join("s").exists() && !at.join("new.key").exists());
    let nobody = fails(&["verify", "kms"], ["", ""], at);
    assert!(
        nobody.contains("there is no terminal") && nobody.contains("--passphrase-fd"),
        "{nobody}"
    );

    says(
        &["snapshot", "kms", "s", "--same-filesystem", "--passphrase-fd", "3"],
        [OLD, ""],
        at,
    );
    let restore = [
        "restore",
        "s",
        "again",
        "--master-key",
        "passphrase",
        "--passphrase-fd",
        "3",
    ];
    fails(&restore, [NEW, ""], at);
    says(&restore, [OLD, ""], at);
    let verified = says(&["verify", "again", "--passphrase-fd", "3"], [OLD, ""], at);
    assert!(verified.ends_with(WHOLE), "store and passphrase are enough: {verified}");
}

#[tokio::test]
async fn a_service_serves_under_a_passphrase_and_under_a_credential() {
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    says(
        &["init", "kms", "--master-key", "passphrase", "--passphrase-fd", "3"],
        [OLD, ""],
        at,
    );
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(OLD.as_bytes()).unwrap();
    let serve = |words: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", "exec \"$0\" \"$@\" 3<\"$SECRET\"", PROGRAM, "serve"]);
        command
            .arg(at.join("kms"))
            .args(words.split_whitespace())
            .env("SECRET", secret.path());
        command
    };
    let process = Process::start(serve("--passphrase-fd 3"));
    let admin = process.client(&at.join("kms"), "admin-1");
    assert!(admin.groups().await.unwrap().is_empty());
    drop(process);

    let credentials = at.join("credentials");
    std::fs::create_dir(&credentials).unwrap();
    let with = |mode: u32| {
        std::fs::set_permissions(credentials.join("master"), PermissionsExt::from_mode(mode)).unwrap();
        let mut command = serve("");
        command.env("CREDENTIALS_DIRECTORY", &credentials);
        command
    };
    let file = [
        "reseal",
        "kms",
        "--master-key",
        "credentials/master",
        "--passphrase-fd",
        "3",
    ];
    says(&file, [OLD, ""], at);
    let missing = fails(&["reseal", "kms", "--master-key", "credential:master"], ["", ""], at);
    assert!(missing.contains("systemd passed no credentials"), "{missing}");
    let config = at.join("kms/kms.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let line = text.lines().find(|line| line.starts_with("master_key")).unwrap();
    std::fs::write(&config, text.replace(line, "master_key = \"credential:master\"")).unwrap();
    let process = Process::start(with(0o400));
    assert!(
        process
            .client(&at.join("kms"), "admin-1")
            .groups()
            .await
            .unwrap()
            .is_empty()
    );
    drop(process);
    let loose = ended(with(0o444).args(["--listen", "127.0.0.1:0"]));
    assert!(
        String::from_utf8_lossy(&loose.stderr).contains("hint: chmod 600"),
        "{loose:?}"
    );
}

#[test]
fn the_host_master_key_is_changed_and_the_message_says_what_may_go() {
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    says(&["init", "kms"], ["", ""], at);
    says(&["snapshot", "kms", "old.snapshot", "--same-filesystem"], ["", ""], at);
    let line = |name: &str| {
        let text = std::fs::read_to_string(at.join("kms/kms.toml")).unwrap();
        text.lines().find(|line| line.starts_with(name)).map(str::to_owned)
    };
    let told = says(&["reseal", "kms", "--master-key", "kms/second.key"], ["", ""], at);
    assert!(
        told.contains("it can go when they go") && told.contains("(host-master.key)"),
        "{told}"
    );
    assert_eq!(line("master_key").unwrap(), "master_key = \"second.key\"");
    assert_eq!(line("former"), None);
    let mode = std::fs::metadata(at.join("kms/second.key"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    let again = says(&["reseal", "kms", "--master-key", "kms/second.key"], ["", ""], at);
    assert!(again.contains("already"), "{again}");
    let json = says(
        &["reseal", "kms", "--master-key", "kms/second.key", "--json"],
        ["", ""],
        at,
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(
        (&json["changed"], &json["master_key"]),
        (&false.into(), &"second.key".into())
    );
    // The old snapshot opens under the old key alone.
    says(
        &["verify", "old.snapshot", "--master-key", "kms/host-master.key"],
        ["", ""],
        at,
    );
    let wrong = fails(
        &["verify", "old.snapshot", "--master-key", "kms/second.key"],
        ["", ""],
        at,
    );
    assert!(wrong.contains("sealed under host master key"), "{wrong}");
    std::fs::remove_file(at.join("kms/host-master.key")).unwrap();
    assert!(says(&["verify", "kms"], ["", ""], at).ends_with(WHOLE));
}

#[test]
fn the_host_master_key_is_changed_to_a_passphrase_to_another_one_and_back_to_a_file() {
    let temporary = tempfile::tempdir().unwrap();
    let at = temporary.path();
    says(&["init", "kms"], ["", ""], at);

    says(
        &[
            "reseal",
            "kms",
            "--master-key",
            "passphrase",
            "--new-passphrase-fd",
            "4",
        ],
        ["", OLD],
        at,
    );
    let config = std::fs::read_to_string(at.join("kms/kms.toml")).unwrap();
    assert!(config.contains("\nmaster_key = \"passphrase\"\n"), "{config}");
    let both = [
        "reseal",
        "kms",
        "--master-key",
        "passphrase",
        "--passphrase-fd",
        "3",
        "--new-passphrase-fd",
        "4",
    ];
    says(&both, [OLD, NEW], at);
    fails(&["verify", "kms", "--passphrase-fd", "3"], [OLD, ""], at);
    let verified = says(&["verify", "kms", "--passphrase-fd", "3"], [NEW, ""], at);
    assert!(verified.ends_with(WHOLE));
    let back = [
        "reseal",
        "kms",
        "--json",
        "--master-key",
        "kms/third.key",
        "--passphrase-fd",
        "3",
    ];
    let json: serde_json::Value = serde_json::from_str(&says(&back, [NEW, ""], at)).unwrap();
    assert_eq!(
        (&json["changed"], &json["former_master_key"], &json["master_key"]),
        (&true.into(), &"passphrase".into(), &"third.key".into())
    );
    assert_ne!(json["host_master_key"], json["before"]);
    let listed = says(&["audit", "list", "kms"], ["", ""], at);
    assert_eq!(
        listed.matches("reseal_store  under host master key").count(),
        3,
        "{listed}"
    );
    assert!(says(&["verify", "kms"], ["", ""], at).ends_with(WHOLE));
}

#[tokio::test]
async fn a_running_service_goes_on_through_a_reseal_and_says_when_it_must_be_restarted() {
    let home = Home::made_by_the_program();
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    let media = process.client(&home.folder(), "media-server-1");
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let before = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    let quiet = home.folder();
    admin.quiesce().await.unwrap();
    let waits = fails(&["reseal", ".", "--master-key", "second.key"], ["", ""], &quiet);
    assert!(waits.contains("the service is quiesced"), "{waits}");
    let config = std::fs::read_to_string(home.folder().join("kms.toml")).unwrap();
    assert!(
        config.contains("master_key = \"host-master.key\"\n") && !config.contains("former"),
        "{config}"
    );
    admin.unquiesce().await.unwrap();
    says(&["reseal", ".", "--master-key", "second.key"], ["", ""], &home.folder());
    let restored = media.restore_keys(&before.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == before.key);
    rotate(&admin, "ENCR_daily").await;
    let refused = admin.rotate_seal().await.unwrap_err().to_string();
    assert!(
        refused.contains("resealed since this service started") && refused.contains("hint: restart"),
        "{refused}"
    );
    drop(process);
    let process = Process::serve(&home.folder());
    let admin = process.client(&home.folder(), "admin-1");
    admin.rotate_seal().await.unwrap();
    let restored = process
        .client(&home.folder(), "media-server-1")
        .restore_keys(&before.kad.encode(), None)
        .await
        .unwrap();
    assert!(restored.keys[0].key == before.key);
}

/// A service without its web front, with some groups and keys.
struct Service {
    home: Home,
    kms: Arc<Kms>,
    upkeep: Upkeep,
    written: tapekey::kms_api::BackupKeyAnswer,
}

impl Service {
    async fn with_keys(keys: usize) -> Self {
        let home = Home::new();
        let (kms, admin) = (home.kms(), Actor::local());
        for (name, kind) in [("ENCR_daily", KeyKind::Derived), ("ENCR_shared", KeyKind::AsIs)] {
            kms.create_group(&admin, new_group(name, kind)).await.unwrap();
        }
        kms.import_keys(&admin, group("ENCR_shared"), import(&[1, 2, 3], true))
            .await
            .unwrap();
        for _ in 1..keys {
            kms.create_key(&admin, group("ENCR_daily"), CreateKey::default())
                .await
                .unwrap();
        }
        let at_once = RotateGroup {
            name: None,
            single_copy: true,
        };
        kms.rotate_group(&admin, group("ENCR_daily"), at_once).await.unwrap();
        let request = BackupKeyRequest {
            purpose: Purpose::Tape,
            group: group("ENCR_daily"),
            volume: volume("A1"),
        };
        let written = kms.backup_key(&admin, request).await.unwrap();
        Self {
            home,
            kms,
            upkeep: Upkeep::default(),
            written,
        }
    }

    async fn look(&mut self) {
        self.upkeep.look(&self.kms, &*self.home.clock).await;
    }

    async fn check(&self) {
        let request = tapekey::kms_api::RestoreKeysRequest {
            kad: self.written.kad.encode().to_vec(),
            a_kad: Vec::new(),
            volume: None,
        };
        let restored = self.kms.restore_keys(&Actor::local(), request).await.unwrap();
        assert!(restored.keys.len() == 1 && restored.keys[0].key == self.written.key);
        let (clock, entropy) = (&*self.home.clock, &*self.home.entropy);
        let given = Given::default();
        let report = verify(&self.home.folder(), (None, &given), (clock, entropy), &mut |_, _, _| {}).unwrap();
        assert_eq!(report.problems, Vec::<String>::new());
    }

    fn count(&self, sql: &str) -> i64 {
        self.home.select(sql).parse().unwrap()
    }
}

#[tokio::test]
async fn a_new_key_protection_key_seals_at_once_and_the_old_one_goes_when_it_seals_nothing() {
    let mut service = Service::with_keys(350).await;
    let modified = service.count("SELECT sum(modified) FROM keys");
    let first = service.kms.status().await.unwrap().seal.unwrap();
    assert_eq!((first.former, first.records_left), (0, 0));
    let rotated = service.kms.rotate_key_protection(&Actor::local()).await.unwrap();
    assert_ne!(rotated.key_protection_key, first.key_protection_key);
    // Keys, groups and the issuing CA.
    assert_eq!((rotated.former, rotated.records_left), (1, 353 + 2 + 1));
    service
        .kms
        .create_key(&Actor::local(), group("ENCR_daily"), CreateKey::default())
        .await
        .unwrap();
    let now = service.kms.status().await.unwrap().seal.unwrap();
    assert_eq!(now.records_left, 356, "the newest record is under the new key");
    service.check().await;
    service.home.clock.advance_days(1);
    service.look().await;
    let done = service.kms.status().await.unwrap();
    let seal = done.seal.unwrap();
    assert_eq!((seal.former, seal.records_left), (0, 0));
    assert_eq!(seal.key_protection_key, rotated.key_protection_key);
    assert!(done.alarms.is_empty());
    assert_eq!(
        service.count("SELECT count(*) FROM sealing_keys"),
        2,
        "it and the audit key"
    );
    assert!(
        service.count("SELECT sum(modified) FROM keys") > modified,
        "one key more"
    );
    service.check().await;
    service.look().await;
    let actions: Vec<_> = service
        .home
        .audit()
        .into_iter()
        .filter(|record| record.action.contains("key_protection"))
        .map(|record| (record.subject, record.action))
        .collect();
    let expected = [
        ("local", "rotate_key_protection"),
        ("schedule", "retire_key_protection"),
    ];
    assert_eq!(
        actions,
        expected.map(|(subject, action)| (subject.to_owned(), action.to_owned()))
    );
}

#[tokio::test]
async fn sealing_anew_changes_nothing_that_a_record_says() {
    let mut service = Service::with_keys(20).await;
    let said = |home: &Home| {
        home.select(
            "SELECT id, group_id, name, state, description, origin, foreign_kad, created, activated, modified FROM keys ORDER BY id",
        )
    };
    let before = said(&service.home);
    for _ in 0..3 {
        service.home.clock.advance_days(1);
        service.kms.rotate_key_protection(&Actor::local()).await.unwrap();
    }
    assert_eq!(service.kms.status().await.unwrap().seal.unwrap().former, 3);
    service.check().await;
    service.look().await;
    assert_eq!(service.kms.status().await.unwrap().seal.unwrap().former, 0);
    assert_eq!(said(&service.home), before);
    service.check().await;
}

#[tokio::test]
async fn a_record_that_does_not_open_keeps_the_old_key_and_is_an_alarm() {
    let mut service = Service::with_keys(5).await;
    let spoil = "UPDATE keys SET description = 'x' WHERE id = (SELECT id FROM keys WHERE state = 'prelive' ORDER BY id LIMIT 1)";
    assert_eq!(service.home.sql(spoil), 1);
    service.kms.rotate_key_protection(&Actor::local()).await.unwrap();
    service.look().await;
    let status = service.kms.status().await.unwrap();
    assert!(
        status.alarms[0].contains("1 records do not open, key "),
        "{:?}",
        status.alarms
    );
    assert_eq!(status.seal.unwrap().former, 1);
    let mend = "UPDATE keys SET description = '' WHERE description = 'x'";
    assert_eq!(service.home.sql(mend), 1);
    service.home.clock.advance_hours(1);
    service.look().await;
    let status = service.kms.status().await.unwrap();
    assert_eq!((status.seal.unwrap().former, status.alarms.len()), (0, 0));
    service.check().await;
}

#[tokio::test]
async fn nothing_is_sealed_anew_while_quiesced() {
    let mut service = Service::with_keys(5).await;
    let admin = Actor::local();
    service.kms.quiesce(&admin).await.unwrap();
    let refused = service.kms.rotate_key_protection(&admin).await.unwrap_err();
    assert!(refused.to_string().contains("quiesced"));
    service.kms.unquiesce(&admin).await.unwrap();
    service.kms.rotate_key_protection(&admin).await.unwrap();
    service.kms.quiesce(&admin).await.unwrap();
    let sealed = "SELECT count(*) FROM sealing_keys";
    service.look().await;
    assert_eq!(service.count(sealed), 3);
    assert!(service.kms.status().await.unwrap().alarms.is_empty());
    service.kms.unquiesce(&admin).await.unwrap();
    service.look().await;
    assert_eq!(service.count(sealed), 2);
    service.check().await;
}

#[tokio::test]
async fn a_snapshot_taken_between_two_key_protection_keys_opens() {
    let mut service = Service::with_keys(5).await;
    let disk = service.home.other_disk();
    let admin = Actor::local();
    service.kms.rotate_key_protection(&admin).await.unwrap();
    service
        .kms
        .create_key(&admin, group("ENCR_daily"), CreateKey::default())
        .await
        .unwrap();
    let path: PathBuf = disk.path().join("s");
    service.kms.create_snapshot(&admin, new_snapshot(&path)).await.unwrap();
    service.look().await;
    let file = tapekey::kms::master_key::MasterKeySource::File(service.home.master_key_file());
    let (clock, entropy) = (&*service.home.clock, &*service.home.entropy);
    let report = verify(
        &path,
        (Some(&file), &Given::default()),
        (clock, entropy),
        &mut |_, _, _| {},
    )
    .unwrap();
    assert_eq!(report.problems, Vec::<String>::new());
}
