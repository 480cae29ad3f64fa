//! tapekey puts the right AES-256 key into an LTO drive before a program writes, finds it again when a program reads, and proves
//! afterwards that the tape holds only cipher text.
//!
//! Three programs share this library: `tapekeyd` on every host with drives, `tapekey` the command line, `tapekey-kms` the key service.
//! The rooms and the arrows between them are drawn in `ARCHITECTURE.md` and tested by `tests/house_rules.rs`.

pub mod cli;
pub mod clock;
pub mod config;
pub mod control;
pub mod controller;
pub mod discovery;
pub mod drive;
pub mod entropy;
pub mod gate;
pub mod journal;
pub mod kad;
pub mod keysource;
pub mod kms;
pub mod kms_api;
pub mod kms_client;
pub mod library;
pub mod passphrase;
pub mod scsi;
pub mod secret;
pub mod systemd;
pub mod terminal;
pub mod transport;
