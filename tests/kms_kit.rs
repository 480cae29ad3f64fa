//! The recovery kit as people make and use it: `tapekey-kms kit` beside a running service, and `recover` from it with nothing else.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use kms_support::connectors::Trust;
use kms_support::process::{PROGRAM, ended, finished};
use kms_support::{Home, group, new_group, rotate, volume};
use nix::fcntl::OFlag;
use nix::pty::{grantpt, posix_openpt, ptsname_r, unlockpt};
use serde_json::Value;
use tapekey::kad::KeyKind;
use tapekey::kms_api::{
    AddServer, BindGroupToServer, CreateKey, ErrorCode, KeyName, KeyState, MoveKey, RotateAfter, SetRotation,
    SnapshotForm,
};
use tapekey::kms_client::KmsClient;

const WORDS: &str = "orbit lemon castle river paper quiet falcon seven";

/// Runs `tapekey-kms WORDS` with `input` on descriptor 0, and standard output as a pipe.
fn kms(input: &[u8], words: &[&str]) -> Output {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(input).unwrap();
    std::io::Seek::rewind(&mut file).unwrap();
    ended(Command::new(PROGRAM).args(words).stdin(file))
}

#[track_caller]
fn says(input: &[u8], words: &[&str]) -> Output {
    let ended = kms(input, words);
    assert!(
        ended.status.success(),
        "{words:?}: {}",
        String::from_utf8_lossy(&ended.stderr)
    );
    ended
}

#[track_caller]
fn fails(input: &[u8], words: &[&str]) -> String {
    let ended = kms(input, words);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{words:?}: {told}");
    assert!(
        told.contains("\nhint: ") && ended.stdout.is_empty(),
        "{words:?}: {told}"
    );
    told
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A KMS with a derived group, its first key prelive, and a place on another disk.
struct Scene {
    home: Home,
    disk: tempfile::TempDir,
    running: Option<kms_support::Running>,
    address: std::net::SocketAddr,
    admin: KmsClient,
}

impl Scene {
    async fn new() -> Self {
        let home = Home::new();
        let disk = home.other_disk();
        let running = home.serve().await;
        let admin = home.client("admin-1", running.address);
        admin
            .create_group(&new_group("ENCR_daily", KeyKind::Derived))
            .await
            .unwrap();
        let scene = Self {
            home,
            disk,
            address: running.address,
            running: Some(running),
            admin,
        };
        scene.create("first").await;
        scene
    }

    async fn create(&self, name: &str) {
        let key = CreateKey {
            name: Some(KeyName::new(name).unwrap()),
            description: String::new(),
        };
        self.admin.create_key(&group("ENCR_daily"), &key).await.unwrap();
    }

    async fn activate(&self, name: &str) -> Result<(), Option<ErrorCode>> {
        let to = MoveKey {
            state: KeyState::Active,
            single_copy: false,
        };
        let moved = self
            .admin
            .move_key(&group("ENCR_daily"), &KeyName::new(name).unwrap(), &to)
            .await;
        moved.map(drop).map_err(|error| error.code())
    }

    async fn stop(&mut self) {
        self.running.take().unwrap().stop().await;
    }

    fn kit(&self) -> PathBuf {
        self.disk.path().join("kit.txt")
    }

    fn make_kit(&self) -> Value {
        let (folder, kit) = (self.home.folder(), self.kit());
        let made = says(
            WORDS.as_bytes(),
            &["kit", text(&folder), text(&kit), "--passphrase-fd", "0", "--json"],
        );
        serde_json::from_slice(&made.stdout).unwrap()
    }
}

#[tokio::test]
async fn a_key_becomes_active_once_a_kit_on_another_disk_holds_it() {
    let mut scene = Scene::new().await;
    assert_eq!(scene.activate("first").await, Err(Some(ErrorCode::SingleCopy)));
    let made = scene.make_kit();
    assert_eq!(
        (&made["form"], &made["counts"], &made["keys"]),
        (&"kit".into(), &true.into(), &1.into())
    );
    scene.create("second").await;
    scene.activate("first").await.unwrap();
    assert_eq!(
        scene.activate("second").await,
        Err(Some(ErrorCode::SingleCopy)),
        "made after the kit"
    );

    let listed = scene.admin.snapshots().await.unwrap();
    assert_eq!(
        (listed.len(), listed[0].form, &listed[0].id),
        (1, SnapshotForm::Kit, &made["id"].as_str().unwrap().to_owned())
    );
    let status = scene.admin.status().await.unwrap();
    assert_eq!((status.keys, status.keys_in_no_snapshot), (2, 1));
    assert_eq!(status.last_snapshot, listed.first().cloned());
    let audit = scene.home.audit();
    let record = audit.iter().find(|record| record.action == "create_kit").unwrap();
    assert_eq!(record.subject, "local");
    assert!(record.outcome.starts_with("done: kit "), "{record:?}");
    says(b"", &["verify", text(&scene.home.folder())]);
    scene.stop().await;
}

#[tokio::test]
async fn a_kit_is_private_read_back_and_holds_no_open_key() {
    let mut scene = Scene::new().await;
    let made = scene.make_kit();
    let kit = fs::read_to_string(scene.kit()).unwrap();
    assert_eq!(fs::metadata(scene.kit()).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!scene.home.entropy.is_in(kit.as_bytes()) && !kit.contains(WORDS));
    let pages = made["pages"].as_u64().unwrap();
    assert_eq!(kit.matches("\x0c").count() as u64 + 1, pages);
    assert_eq!(
        fs::read_dir(scene.disk.path()).unwrap().count(),
        1,
        "nothing half made is left"
    );
    // It never replaces anything.
    let folder = scene.home.folder();
    let again = ["kit", text(&folder), text(&scene.kit()), "--passphrase-fd", "0"].map(str::to_owned);
    let again: Vec<&str> = again.iter().map(String::as_str).collect();
    assert!(fails(WORDS.as_bytes(), &again).contains("there is something at"));
    assert_eq!(fs::read_to_string(scene.kit()).unwrap(), kit);
    scene.stop().await;
}

#[tokio::test]
async fn a_kit_beside_the_store_and_a_weak_passphrase_are_refused_until_accepted() {
    let mut scene = Scene::new().await;
    let folder = scene.home.folder();
    let beside = folder.join("kit.txt");
    let words = ["kit", text(&folder), text(&beside), "--passphrase-fd", "0"];
    assert!(fails(WORDS.as_bytes(), &words).contains("--same-filesystem"));
    let accepted = [words.as_slice(), &["--same-filesystem"]].concat();
    let weak = fails(b"hunter2", &accepted);
    assert!(weak.contains("28 bits at most") && !beside.exists(), "{weak}");
    let accepted = [accepted.as_slice(), &["--weak"]].concat();
    let said = says(b"hunter2", &accepted).stdout;
    assert!(String::from_utf8_lossy(&said).contains("counts for no key"));
    assert_eq!(scene.activate("first").await, Err(Some(ErrorCode::SingleCopy)));
    let audit = scene.home.audit();
    let of_kits: Vec<_> = audit.iter().filter(|record| record.action == "create_kit").collect();
    assert_eq!(of_kits.len(), 2);
    assert!(of_kits[0].outcome.starts_with("refused: "), "{:?}", of_kits[0]);
    let detail = of_kits[1].detail.as_deref().unwrap();
    assert!(
        detail.ends_with(", same file system accepted, weak passphrase accepted"),
        "{detail}"
    );
    scene.stop().await;
}

#[tokio::test]
async fn a_record_of_a_kit_that_was_made_one_of_a_snapshot_is_noticed() {
    let mut scene = Scene::new().await;
    scene.make_kit();
    scene.stop().await;
    scene.home.sql("UPDATE snapshots SET form = 'snapshot'");
    let told = kms(b"", &["verify", text(&scene.home.folder())]);
    let said = String::from_utf8(told.stdout).unwrap();
    assert!(said.contains("the record of snapshot"), "{said}");
}

#[tokio::test]
async fn a_kit_alone_gives_the_very_key_that_the_service_gave_for_a_volume() {
    let mut scene = Scene::new().await;
    scene.make_kit();
    scene.activate("first").await.unwrap();
    let host = scene.home.client("media-server-1", scene.address);
    let given = host.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap();
    let kad = hex::encode(given.kad.encode());
    scene.stop().await;
    let kit = scene.kit();
    // Nothing of the service is left.
    fs::remove_dir_all(scene.home.folder()).unwrap();

    let words = [
        "recover",
        "--kit",
        text(&kit),
        "--kad",
        &kad,
        "--passphrase-fd",
        "0",
        "--key-fd",
        "1",
    ];
    let ended = says(WORDS.as_bytes(), &words);
    assert_eq!(ended.stdout, given.key.expose());
    let told = String::from_utf8(ended.stderr.clone()).unwrap();
    assert!(
        told.contains("key first of group ENCR_daily") && told.contains("check value of the KAD agrees"),
        "{told}"
    );
    assert!(!scene.home.entropy.is_in(&ended.stderr));

    assert!(fails(b"another", &words).contains("does not open"));
    let last = &kad[kad.len() - 1..];
    let other = format!("{}{}", &kad[..kad.len() - 1], if last == "0" { "1" } else { "0" });
    let altered = [
        "recover",
        "--kit",
        text(&kit),
        "--kad",
        &other,
        "--passphrase-fd",
        "0",
        "--key-fd",
        "1",
    ];
    assert!(fails(WORDS.as_bytes(), &altered).contains("the key check value differs") || kad == other);

    let list = ["recover", "--kit", text(&kit), "--list", "--passphrase-fd", "0"];
    let listed = String::from_utf8(says(WORDS.as_bytes(), &list).stdout).unwrap();
    assert!(listed.contains("ENCR_daily  first"), "{listed}");
    let json = says(WORDS.as_bytes(), &[list.as_slice(), &["--json"]].concat()).stdout;
    assert!(!scene.home.entropy.is_in(&json));
    let json: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(
        (&json["groups"][0]["kind"], &json["keys"][0]["name"]),
        (&"derived".into(), &"first".into())
    );
}

/// Makes the group ENCR_bound, with a key of its own, and binds it to an external server.
async fn bind_a_group(scene: &Scene) {
    let wanted = new_group("ENCR_bound", KeyKind::Derived);
    scene.admin.create_group(&wanted).await.unwrap();
    rotate(&scene.admin, "ENCR_bound").await;
    let server = AddServer {
        enabled_for_backup: false,
        ..Trust::new(&scene.home).server("offsite")
    };
    scene.admin.add_server(&server).await.unwrap();
    let to = BindGroupToServer {
        server: Some(server.name),
    };
    scene
        .admin
        .bind_group_to_server(&group("ENCR_bound"), &to)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_kit_makes_a_whole_new_service_that_gives_the_old_volumes_their_keys() {
    let mut scene = Scene::new().await;
    scene.create("never-used").await;
    let age = SetRotation {
        rotate_after: RotateAfter::Days(90),
    };
    scene.admin.set_rotation(&group("ENCR_daily"), &age).await.unwrap();
    bind_a_group(&scene).await;
    scene.make_kit();
    scene.activate("first").await.unwrap();
    fs::remove_file(scene.kit()).unwrap();
    scene.make_kit();
    let before = scene.admin.keys(Some(&group("ENCR_daily"))).await.unwrap();
    let host = scene.home.client("media-server-1", scene.address);
    let given = host.backup_key("ENCR_daily", &volume("A00001L8")).await.unwrap();
    scene.stop().await;
    let kit = scene.kit();
    let new = Home::empty_beside(&scene.home);
    let folder = new.folder();
    let words = [
        "recover",
        "--kit",
        text(&kit),
        "--into",
        text(&folder),
        "--passphrase-fd",
        "0",
    ];
    assert!(fails(b"another", &words).contains("does not open") && !folder.exists());
    let said = String::from_utf8(says(WORDS.as_bytes(), &words).stdout).unwrap();
    assert!(said.contains("Made a new KMS with 2 groups and 3 keys"), "{said}");
    assert!(said.contains("Groups that were bound to one still are"), "{said}");
    assert!(fails(WORDS.as_bytes(), &words).contains("is not empty"));

    says(b"", &["verify", text(&folder)]);
    new.clock.advance_to_the_real_time();
    let running = new.serve().await;
    let admin = new.client("admin-1", running.address);
    let keys = admin.keys(Some(&group("ENCR_daily"))).await.unwrap();
    let states: Vec<_> = keys.iter().map(|key| (key.name.as_str(), key.state)).collect();
    assert_eq!(
        states,
        [("first", KeyState::Active), ("never-used", KeyState::Inactive)]
    );
    assert_eq!(keys[0], before[0], "as it was, with its times");
    let groups = admin.groups().await.unwrap();
    assert_eq!(groups[1].rotate_after_days, Some(90), "as it was");
    let host = new.client("media-server-1", running.address);
    let bound = host.backup_key("ENCR_bound", &volume("A00002L8")).await.err().unwrap();
    assert!(
        bound
            .to_string()
            .contains("group ENCR_bound is bound to server offsite alone: there is no external server of that name"),
        "{bound}"
    );
    let restored = host.restore_keys(&given.kad.encode(), None).await.unwrap();
    assert!(restored.keys[0].key == given.key);
    assert_eq!(
        admin.status().await.unwrap().keys_in_no_snapshot,
        3,
        "the old kit counts for nothing here"
    );
    running.stop().await;
    let audit = new.audit();
    let record = audit.iter().find(|record| record.action == "restore_store").unwrap();
    assert!(record.detail.as_deref().unwrap().starts_with("from kit "), "{record:?}");
    assert_eq!(
        record.outcome,
        "done: 2 groups, 3 keys; 1 prelive ones are inactive now; 1 groups stay bound to a server"
    );
}

#[tokio::test]
async fn a_kit_that_was_typed_again_serves_and_a_wrong_line_is_named() {
    let mut scene = Scene::new().await;
    let made = scene.make_kit();
    scene.stop().await;
    let kit = fs::read_to_string(scene.kit()).unwrap();
    let mark = made["mark"].as_str().unwrap();
    let is_line = |line: &&str| line.starts_with(mark);
    let mut lines: Vec<String> = kit.lines().filter(is_line).map(str::to_lowercase).collect();
    lines.reverse();
    let passphrase = scene.disk.path().join("passphrase");
    fs::write(&passphrase, WORDS).unwrap();
    let typed = |lines: &[String]| {
        let input = scene.disk.path().join("typed");
        fs::write(&input, lines.join("\n")).unwrap();
        let line = format!(
            "exec {PROGRAM} recover --kit - --list --passphrase-fd 3 3< {}",
            text(&passphrase)
        );
        let mut command = Command::new("sh");
        ended(command.arg("-c").arg(line).stdin(File::open(input).unwrap()))
    };
    let ended = typed(&lines);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(
        ended.status.success() && String::from_utf8_lossy(&ended.stdout).contains("first"),
        "{told}"
    );

    let count = lines.len();
    let line = lines[2].clone();
    let wrong = if line.ends_with('z') { "y" } else { "z" };
    lines[2].replace_range(76.., wrong);
    let lost = lines.remove(0);
    let told = String::from_utf8(typed(&lines).stderr).unwrap();
    assert!(
        told.contains(&format!(
            "line {} (line 2 of what was given): it does not fit",
            count - 2
        )),
        "{told}"
    );
    assert!(told.contains(&format!("missing: line {count} of {count}")), "{told}");
    lines.extend([line, lost]);
    assert!(typed(&lines).status.success());
}

#[test]
fn a_passphrase_and_a_kad_give_the_key_of_the_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("vectors/kad-v1.json")).unwrap();
    let case = &vectors["passphrases"][0];
    let (passphrase, key) = (case["passphrase"].as_str().unwrap(), case["key"].as_str().unwrap());
    let id = tapekey::kad::KeyId::from_identifier(case["key_id"].as_str().unwrap());
    let mut bytes: [u8; 32] = hex::decode(key).unwrap().try_into().unwrap();
    let group_key = tapekey::secret::DataKey::take(&mut bytes);
    let volume_key = tapekey::kad::derive_volume_key(&group_key, id, [7; 6]);
    let kad = tapekey::kad::OurKad::derived(id, [7; 6], &volume_key).to_string();
    let words = [
        "recover",
        "--passphrase-key",
        "--kad",
        &kad,
        "--passphrase-fd",
        "0",
        "--key-fd",
        "1",
    ];
    assert_eq!(says(passphrase.as_bytes(), &words).stdout, volume_key.expose());
    assert!(fails(b"wrong horse battery staple", &words).contains("does not give the key of this tape"));
}

#[test]
fn a_key_goes_to_no_terminal_no_file_on_standard_output_and_not_among_the_messages() {
    // Neither side is left to programs that other stories start meanwhile: the terminal would never end.
    let shown_on = posix_openpt(OFlag::O_RDWR | OFlag::O_NOCTTY | OFlag::O_CLOEXEC).unwrap();
    grantpt(&shown_on).unwrap();
    unlockpt(&shown_on).unwrap();
    let terminal = ptsname_r(&shown_on).unwrap();
    let terminal = File::options().read(true).write(true).open(terminal).unwrap();
    let base = [
        "recover",
        "--kit",
        "/nowhere",
        "--kad",
        "00",
        "--passphrase-fd",
        "0",
        "--key-fd",
    ];
    let mut command = Command::new(PROGRAM);
    command
        .args(base)
        .arg("1")
        .stdin(Stdio::null())
        .stdout(terminal)
        .stderr(Stdio::piped());
    let ended = finished(&mut command);
    let told = String::from_utf8(ended.stderr).unwrap();
    assert!(told.contains("it is a terminal") && told.contains("hint: "), "{told}");
    drop(command);
    let mut shown = Vec::new();
    let _ = File::from(std::os::fd::OwnedFd::from(shown_on)).read_to_end(&mut shown);
    assert!(shown.is_empty());
    for descriptor in ["0", "2", "77"] {
        fails(b"", &[base.as_slice(), &[descriptor]].concat());
    }
    let file = tempfile::tempfile().unwrap();
    let mut command = Command::new(PROGRAM);
    command
        .args(base)
        .arg("1")
        .stdin(Stdio::null())
        .stdout(file)
        .stderr(Stdio::piped());
    let ended = finished(&mut command);
    assert!(String::from_utf8_lossy(&ended.stderr).contains("must be a pipe"));
    for usage in [
        ["recover", "--kit", "/nowhere"].as_slice(),
        &["recover", "--kad", "00", "--key-fd", "1"],
        &[
            "recover",
            "--kit",
            "a",
            "--passphrase-key",
            "--kad",
            "00",
            "--key-fd",
            "1",
        ],
        &["recover", "--kit", "a", "--kad", "xyz", "--key-fd", "1"],
        &["recover", "--kit", "a", "--list", "--kad", "00"],
    ] {
        assert_eq!(kms(b"", usage).status.code(), Some(2), "{usage:?}");
    }
}
