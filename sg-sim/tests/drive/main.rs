//! Stories told to a drive through `Drive::execute` alone, by literal bytes.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a story whose own assumptions do not hold has failed"
)]

mod any_command;
mod cartridge_file;
mod cartridge_kill;
mod cartridge_reader;
mod commands;
mod documented;
mod doubts;
mod encryption;
mod faults;
mod initiator;
mod logs;
mod outcomes;
mod pages;
mod quirks;
mod reservation;
mod tape;
mod time;
mod vectors;
