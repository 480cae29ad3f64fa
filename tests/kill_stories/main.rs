//! `kill -9` of the daemon, of the KMS and of the drive at chosen moments of a backup: never a plain block on an ENCR_ volume, never a key
//! that cannot be found again.
//!
//! Moments are events on the wires between the programs, not times. Which block or command it is follows from a seed, which every failure
//! shows beside the moment; `TAPEKEY_KILL_SEED=N` repeats it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first surprise, and says which seed and moment it was"
)]

mod daemon;
mod drive;
mod kms;
mod load;
mod play;
mod tape_data;

#[path = "../support/mod.rs"]
mod support;
