//! The stories of the other files once more, with PostgreSQL behind the service instead of SQLite. Whoever writes a story in one of them
//! has written it for both: `Home::new` looks at the name of this program, and so does `init` where a story runs the real one.
//!
//! A file of stories is in this list, or in [`NOT_HERE`] with the reason.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise"
)]
#![allow(
    clippy::duplicate_mod,
    reason = "every story brings its own support, as it does where it stands alone"
)]

#[path = "kms_audit.rs"]
mod kms_audit;
#[path = "kms_certificates.rs"]
mod kms_certificates;
#[path = "kms_cli.rs"]
mod kms_cli;
#[path = "kms_clock.rs"]
mod kms_clock;
#[path = "kms_further_admin.rs"]
mod kms_further_admin;
#[path = "kms_garbage.rs"]
mod kms_garbage;
#[path = "kms_keys.rs"]
mod kms_keys;
#[path = "kms_kit.rs"]
mod kms_kit;
#[path = "kms_lifecycle.rs"]
mod kms_lifecycle;
#[path = "kms_limits.rs"]
mod kms_limits;
#[path = "kms_monitoring.rs"]
mod kms_monitoring;
#[path = "kms_openapi.rs"]
mod kms_openapi;
#[path = "kms_process.rs"]
mod kms_process;
#[path = "kms_refusals.rs"]
mod kms_refusals;
#[path = "kms_releases.rs"]
mod kms_releases;
#[path = "kms_requests.rs"]
mod kms_requests;
#[path = "kms_revocations.rs"]
mod kms_revocations;
#[path = "kms_roles.rs"]
mod kms_roles;
#[path = "kms_rollback.rs"]
mod kms_rollback;
#[path = "kms_rotation.rs"]
mod kms_rotation;
#[path = "kms_rotation_process.rs"]
mod kms_rotation_process;
#[path = "kms_schedule.rs"]
mod kms_schedule;
#[path = "kms_sealing.rs"]
mod kms_sealing;
#[path = "kms_sealing_process.rs"]
mod kms_sealing_process;
#[path = "kms_select.rs"]
mod kms_select;
#[path = "kms_server_cli.rs"]
mod kms_server_cli;
#[path = "kms_server_faults.rs"]
mod kms_server_faults;
#[path = "kms_servers.rs"]
mod kms_servers;
#[path = "kms_snapshot_process.rs"]
mod kms_snapshot_process;
#[path = "kms_snapshots.rs"]
mod kms_snapshots;
#[path = "kms_store.rs"]
mod kms_store;
#[path = "kms_stories.rs"]
mod kms_stories;

/// Files of stories that do not run here, and why.
const NOT_HERE: &[(&str, &str)] = &[
    ("kms_api_golden", "reads and writes JSON, no store"),
    ("kms_copy_process", "kills a copy between two SQLite files"),
    (
        "kms_deletion_process",
        "kills at chosen bytes of the write-ahead log of an SQLite file",
    ),
    (
        "kms_disk_faults",
        "ruins the file of an SQLite store, and the disk that it is on",
    ),
    ("kms_nodes", "has a server of its own, which it restarts"),
    ("kms_on_postgresql", "is this one"),
    ("kms_sqlite", "tells what holds for an SQLite file alone"),
    (
        "kms_steps_process",
        "kills at chosen bytes of the write-ahead log of an SQLite file",
    ),
    ("kms_store_copy", "has both stores, and moves one into the other"),
];

#[test]
fn every_file_of_stories_is_in_one_of_the_two_lists() {
    let here = include_str!("kms_on_postgresql.rs").lines();
    let here = here.filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let mut listed: Vec<_> = here.chain(NOT_HERE.iter().map(|(name, _)| *name)).collect();
    listed.sort_unstable();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let names = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut found: Vec<_> = names
        .filter_map(|name| {
            Some(
                name.strip_suffix(".rs")
                    .filter(|name| name.starts_with("kms_"))?
                    .to_owned(),
            )
        })
        .collect();
    found.sort_unstable();
    assert_eq!(listed, found);
}
