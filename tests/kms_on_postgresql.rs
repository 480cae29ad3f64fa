//! The stories of the other files once more, with PostgreSQL behind the service instead of SQLite. Whoever writes a story in one of them
//! has written it for both: `Home::new` looks at the name of this program.
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

#[path = "kms_garbage.rs"]
mod kms_garbage;
#[path = "kms_keys.rs"]
mod kms_keys;
#[path = "kms_lifecycle.rs"]
mod kms_lifecycle;
#[path = "kms_refusals.rs"]
mod kms_refusals;
#[path = "kms_releases.rs"]
mod kms_releases;
#[path = "kms_requests.rs"]
mod kms_requests;
#[path = "kms_rotation.rs"]
mod kms_rotation;
#[path = "kms_sealing.rs"]
mod kms_sealing;
#[path = "kms_servers.rs"]
mod kms_servers;
#[path = "kms_snapshots.rs"]
mod kms_snapshots;
#[path = "kms_store.rs"]
mod kms_store;
#[path = "kms_stories.rs"]
mod kms_stories;
