//! What the process tests share: the programs as they really run, a host to play on, and a program that writes tapes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first surprise, and no test file needs all of this"
)]

pub mod gate;
pub mod kms_wire;
pub mod programs;
pub mod stage;
pub mod tape;
pub mod wire;
