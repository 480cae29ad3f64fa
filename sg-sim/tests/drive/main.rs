//! Stories told to a drive through `Drive::execute` alone, by literal bytes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story whose own assumptions do not hold has failed"
)]

mod any_command;
mod cartridge_file;
mod encryption;
mod initiator;
mod pages;
mod quirks;
mod tape;
mod vectors;
