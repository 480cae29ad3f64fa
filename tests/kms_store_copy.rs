//! `tapekey-kms store copy`: a store that moves from SQLite to PostgreSQL and back, with a kill in between.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::process::{Command, Output, Stdio};

use kms_support::postgresql::{Server, USER};
use kms_support::{Home, group, new_group, rotate, volume};
use sha2::{Digest, Sha256};
use tapekey::kad::{KeyId, KeyKind};
use tapekey::kms::store::StorePlace;
use tapekey::kms_api::{IMPORT_KEYS_MAX, ImportKeys, ImportedKey};
use tapekey::kms_client::BackupKey;
use tapekey::secret::DataKey;

const PROGRAM: &str = env!("CARGO_BIN_EXE_tapekey-kms");

/// Keys in the store: enough for a kill in the middle.
const KEYS: usize = 100 * IMPORT_KEYS_MAX;

/// As many keys as an import takes, no two of them alike.
fn imported(part: usize) -> ImportKeys {
    let key = |number: usize| ImportedKey {
        id: None,
        name: None,
        description: String::new(),
        key: DataKey::take(&mut Sha256::digest([part.to_be_bytes(), number.to_be_bytes()].concat()).into()),
        foreign_kad: None,
    };
    ImportKeys {
        keys: (0..IMPORT_KEYS_MAX).map(key).collect(),
        commit: true,
    }
}

fn copy(words: &[String]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(["store", "copy"]).args(words);
    command
}

fn told(ended: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    )
}

fn refused(words: &[String], why: &str) {
    let ended = copy(words).output().unwrap();
    let told = told(&ended);
    assert!(
        ended.status.code() == Some(1) && told.contains(why) && told.contains("hint: "),
        "{told}"
    );
}

/// Copies, and does what is printed then; the place of the store before.
fn moved(home: &Home, words: &[String]) -> String {
    let ended = copy(words).output().unwrap();
    let told = told(&ended);
    assert!(
        ended.status.success() && told.contains("every record of the copy was opened"),
        "{told}"
    );
    let (_, setting) = told.split_once(" of the file:").unwrap();
    let (setting, _) = setting.split_once("  2. Start").unwrap();
    let path = home.folder().join("kms.toml");
    let before = std::fs::read_to_string(&path).unwrap();
    let kept: Vec<_> = match before.split_once("[store.postgresql]") {
        Some((before, _)) => before.lines().collect(),
        None => before.lines().filter(|line| !line.starts_with("store = ")).collect(),
    };
    let text = if setting.contains("[store") {
        format!("{}\n{setting}", kept.join("\n"))
    } else {
        format!("{setting}\n{}", kept.join("\n"))
    };
    std::fs::write(&path, text).unwrap();
    told
}

#[tokio::test]
async fn a_store_moves_to_postgresql_and_back_also_after_a_kill_and_its_keys_and_chains_go_on() {
    let server = Server::start_or_leave("");
    let StorePlace::Postgresql(place) = server.new_store(KeyId([0; 16])) else {
        unreachable!()
    };
    let home = Home::new();
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    admin
        .create_group(&new_group("ENCR_daily", KeyKind::Derived))
        .await
        .unwrap();
    rotate(&admin, "ENCR_daily").await;
    let backup = media.backup_key("ENCR_daily", &volume("A1")).await.unwrap();
    admin.create_group(&new_group("ENCR_old", KeyKind::AsIs)).await.unwrap();
    for part in 0..KEYS / IMPORT_KEYS_MAX {
        admin.import_keys(&group("ENCR_old"), &imported(part)).await.unwrap();
    }
    let folder = home.folder().to_str().unwrap().to_owned();
    let mut to_server = vec![folder.clone()];
    to_server.extend(
        [
            "--postgresql",
            &place.host,
            "--database",
            &place.database,
            "--user",
            USER,
        ]
        .map(str::to_owned),
    );
    to_server.extend([
        "--data-directory".to_owned(),
        server.data().to_str().unwrap().to_owned(),
    ]);
    refused(&to_server, "in use by another tapekey-kms");
    running.stop().await;

    move_to_server(&home, &to_server, || {
        server.administer(
            &place.database,
            "SELECT count(*) FROM pg_tables WHERE schemaname = 'tapekey'",
        )
    });
    let before = home.audit();
    gives_again(&home, &backup).await;
    let after = home.audit();
    let (last, next) = (before.last().unwrap(), after.last().unwrap());
    assert_eq!(
        (next.node, next.sequence),
        (last.node, last.sequence + 1),
        "the same chain goes on"
    );

    let back = home.folder().join("store-2");
    let to_file = vec![folder, back.to_str().unwrap().to_owned()];
    cut_short(&back, &to_file);
    moved(&home, &to_file);
    refused(&to_file, "is not empty");
    gives_again(&home, &backup).await;
}

/// With kills before; `tables` says how many tables the server has.
fn move_to_server(home: &Home, words: &[String], tables: impl Fn() -> String) {
    let mut killed = 0;
    for milliseconds in [50, 150, 300, 450] {
        killed += u32::from(killed_after(words, milliseconds));
        assert_eq!(tables().trim(), "0", "nothing is seen of a copy that was cut short");
    }
    assert!(killed > 0, "the copy takes longer than the first kill");
    moved(home, words);
    refused(words, "a store of tapekey-kms in it already");
}

/// With kills before: no file that was cut short passes for a store.
fn cut_short(folder: &std::path::Path, words: &[String]) {
    let mut cut_short = 0;
    for milliseconds in [20, 50, 150] {
        let killed = killed_after(words, milliseconds);
        if killed && !folder.join("kms.sqlite").exists() {
            cut_short += 1;
            continue;
        }
        // A file of that name is a whole store, also if the kill came right after it.
        let whole = rusqlite::Connection::open(folder.join("kms.sqlite")).unwrap();
        let keys: i64 = whole
            .query_row("SELECT count(*) FROM keys", (), |row| row.get(0))
            .unwrap();
        assert_eq!(usize::try_from(keys).unwrap(), KEYS + 1);
        drop(whole);
        std::fs::remove_dir_all(folder).unwrap();
    }
    assert!(cut_short > 0, "every copy was faster than the kill");
}

/// The store gives the key of a tape that was written before it moved, and has all the others.
async fn gives_again(home: &Home, backup: &BackupKey) {
    let running = home.serve().await;
    let (admin, media) = (
        home.client("admin-1", running.address),
        home.client("media-server-1", running.address),
    );
    let found = media.restore_keys(&backup.kad.encode(), None).await.unwrap();
    assert!(found.keys.len() == 1 && found.keys[0].key == backup.key);
    assert_eq!(admin.keys(None).await.unwrap().len(), KEYS + 1);
    running.stop().await;
}

/// Starts a copy and kills it; false if it had ended before.
fn killed_after(words: &[String], milliseconds: u64) -> bool {
    let mut child = copy(words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    // Where in its work it is hit is left to the machine: any place must do.
    std::thread::sleep(std::time::Duration::from_millis(milliseconds));
    let at_work = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    at_work
}
