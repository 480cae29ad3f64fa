//! `sg-sim run`: an unmodified program, started so that it finds simulated drives under `/sim/`.
//!
//! The parent of the program keeps the drives and all that Linux' tape driver keeps for them; a preloaded shim (`sg-sim/shim`) brings
//! the program's calls here. Nothing needs a privilege, and no node exists in the file system.

mod broker;
mod command;
mod folder;
mod frames;
mod holds;
mod port;
mod program;
mod record;
mod shim;
mod tape;

pub(super) use command::run;
