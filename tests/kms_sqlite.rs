//! The store as an SQLite file: what stands in it, and which files are none.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]

mod kms_support;

use std::os::unix::fs::PermissionsExt;

use kms_support::{Home, error, group, new_group, rotate};
use tapekey::kad::KeyKind;
use tapekey::kms_api::CreateKey;

#[tokio::test]
async fn a_newer_store_an_older_one_and_other_files_are_refused_untouched() {
    for (sql, says) in [
        (
            "PRAGMA user_version = 8;",
            "has version 8, this program knows 7\nhint: run the tapekey-kms that wrote it",
        ),
        ("PRAGMA user_version = 5;", "has version 5, this program knows 7"),
        ("PRAGMA application_id = 7;", "is no store of tapekey-kms"),
    ] {
        let home = Home::new();
        home.sql(sql);
        let before = std::fs::read(home.database()).unwrap();
        let error = error(home.open_store());
        assert!(error.contains(says), "{error}");
        assert_eq!(std::fs::read(home.database()).unwrap(), before, "{sql}");
    }
    let home = Home::new();
    std::fs::write(
        home.database(),
        b"this is no database, but it is long enough to look like one".repeat(20),
    )
    .unwrap();
    assert!(error(home.open_store()).contains("not a database"));
    std::fs::remove_file(home.database()).unwrap();
    let missing = error(home.open_store());
    assert!(
        missing.contains("kms.sqlite: No such file") && missing.contains("tapekey-kms init"),
        "{missing}"
    );
}

#[tokio::test]
async fn no_key_that_was_drawn_stands_open_in_any_file_of_the_store() {
    let home = Home::new();
    let running = home.serve().await;
    let admin = home.client("admin-1", running.address);
    admin.create_group(&new_group("ENCR_a", KeyKind::AsIs)).await.unwrap();
    admin.create_key(&group("ENCR_a"), &CreateKey::default()).await.unwrap();
    rotate(&admin, "ENCR_a").await;
    for file in std::fs::read_dir(home.folder().join("store")).unwrap() {
        let file = file.unwrap();
        assert_eq!(
            file.metadata().unwrap().permissions().mode() & 0o077,
            0,
            "{file:?} is for the owner alone"
        );
        assert!(!home.entropy.is_in(&std::fs::read(file.path()).unwrap()), "{file:?}");
    }
    running.stop().await;
    assert!(
        home.entropy.is_in(&std::fs::read(home.master_key_file()).unwrap()),
        "the look works"
    );
}
